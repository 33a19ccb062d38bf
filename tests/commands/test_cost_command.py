"""`seamline show RUN --cost` and budgets in GPU hours, as a user types them."""

import io
import json
import re

import pytest
from click.testing import CliRunner
from kfp import compiler, dsl
from rich.console import Console

from pipeline import cost, recipe
from pipeline.cli import main
from pipeline.engine import spending
from pipeline.engine.budget import Budget
from pipeline.engine.launch import ProcessLauncher
from pipeline.engine.runner import Engine
from pipeline.engine.spending import Spent
from pipeline.engine.store import Store
from pipeline.recipe_tables import Prices

PRICES = {"prices": {"gpu_hour": 3600.0, "cpu_hour": 36.0, "currency": "EUR"}}


@dsl.container_component
def work(seconds: str, out: dsl.OutputPath(str)):
    script = 'sleep "$0"; mkdir -p "$(dirname "$1")" && printf done > "$1"'
    return dsl.ContainerSpec(image="img:1", command=["sh", "-c", script], args=[seconds, out])


@dsl.pipeline(name="work")
def on_a_gpu(seconds: str = "0.2", gpu_hours_budget: float = 0.0):
    work(seconds=seconds).set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(2)
    work(seconds="0.2").set_cpu_limit("2").set_display_name("on-cpus")


@pytest.fixture
def seamline(tmp_path, monkeypatch):
    monkeypatch.setenv("SEAMLINE_STATE", str(tmp_path / "state"))
    return lambda *arguments: CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture
def execute(tmp_path):
    """Executes the pipeline on a machine with two GPUs, and returns the run's id."""
    compiler.Compiler().compile(on_a_gpu, str(tmp_path / "p.yaml"))

    def executed(labels=PRICES, **parameters):
        store = Store.open(tmp_path / "state")
        engine = Engine(store, ProcessLauncher(), budget=Budget(4.0, 8 << 30, gpus=2))
        run_id = engine.create_run((tmp_path / "p.yaml").read_text(), parameters, labels=labels, cache=False)
        engine.execute(run_id)
        return run_id

    return executed


def test_the_cost_of_a_run_is_told_by_task_and_in_all(seamline, execute):
    run_id = execute()
    body = json.loads(seamline("show", run_id, "--cost", "--json").stdout)
    by_label = {task["label"]: task for task in body["tasks"]}
    on_gpu, on_cpu = by_label["work"], by_label["on-cpus"]
    assert on_gpu["gpu_hours"] == pytest.approx(2 * on_gpu["hours"]) and on_gpu["hours"] > 0
    assert on_gpu["money"] == pytest.approx(3600 * on_gpu["gpu_hours"])
    assert on_cpu["gpu_hours"] == 0 and on_cpu["cpu_hours"] == pytest.approx(2 * on_cpu["hours"])
    assert on_cpu["money"] == pytest.approx(36 * on_cpu["cpu_hours"])
    assert body["money"] == pytest.approx(on_gpu["money"] + on_cpu["money"])
    assert body["gpu_hours_budget"] is None
    said = seamline("show", run_id, "--cost").stdout
    assert "EUR" in said and "on-cpus" in said and "in all " in said


def test_what_was_used_is_told_beside_what_was_asked_for(seamline, execute):
    run_id = execute()
    for task in json.loads(seamline("show", run_id, "--cost", "--json").stdout)["tasks"]:
        assert 1e5 < task["peak_memory_bytes"] < 1e9 and 0 <= (task["used_cpu_hours"] or 0) < task["hours"]
    said = seamline("show", run_id, "--cost").stdout
    assert "CPU used" in said and re.search(r"\d MB", said)


def test_what_an_image_that_is_not_ours_used_is_unknown():
    spent = [Spent("work", "work", "work", attempts=1, seconds=60.0, cpu_s=60.0, gpu_s=0.0)]
    report = cost.Report("run", spent, spending.Prices(), 0.0)
    (task,) = report.as_json()["tasks"]
    assert (task["peak_memory_bytes"], task["used_cpu_hours"]) == (None, None)
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(report.table())
    assert console.export_text().splitlines()[1].split()[-2:] == ["–", "–"]


def test_without_prices_hours_are_told_and_where_prices_belong(seamline, execute):
    run_id = execute(labels={})
    said = seamline("show", run_id, "--cost").stdout
    assert "CPU hours (no prices: see [prices] of the recipe)" in said and "EUR" not in said
    assert json.loads(seamline("show", run_id, "--cost", "--json").stdout)["money"] is None


def test_a_spent_budget_refuses_the_retry_with_one_line(seamline, execute):
    run_id = execute(seconds="30", gpu_hours_budget=0.0001)
    shown = json.loads(seamline("show", run_id, "--json").stdout)
    assert shown["state"] == "CANCELED" and "of 0.0001 GPU hours are spent" in shown["reason"]
    refused = seamline("retry", run_id)
    assert refused.exit_code == 2 and "give it more with --gpu-hours N" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_budget_for_a_recipe_without_gpus_is_a_mistake_in_one_line(seamline):
    refused = seamline("run", "demo", "--gpu-hours", "2")
    assert refused.exit_code == 2 and "placement.gpu_hours=2 limits nothing" in refused.stderr


def test_the_prices_of_a_recipe_stay_with_its_runs():
    read = recipe.load("demo", ["prices.gpu_hour=0.7", "prices.currency=EUR"])
    assert cost.label(read.prices) == {"prices": {"gpu_hour": 0.7, "cpu_hour": 0.0, "currency": "EUR"}}
    assert cost.label(Prices()) == {}


@pytest.mark.parametrize("words", [("show", "r", "--cost"), ("retry", "r", "--gpu-hours", "3")])
def test_what_an_endpoint_cannot_do_is_refused_before_it_is_asked(seamline, words):
    refused = seamline(*words, "--host", "http://127.0.0.1:9")
    assert refused.exit_code == 2 and "does not go with --host" in refused.stderr
