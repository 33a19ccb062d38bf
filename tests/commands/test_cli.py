"""What a user types and what comes back: results on stdout, one line for what can be mended, exit codes 0, 1 and 2."""

import json

import pytest
from click.testing import CliRunner
from kfp import compiler, dsl

from pipeline import local, recipe
from pipeline.cli import main
from pipeline.engine.store import Store

WRITE = 'echo "said by $0"; test "$1" != bad && mkdir -p "$(dirname "$2")" && printf %s "$1" > "$2"'


@dsl.container_component
def say(word: str, out: dsl.OutputPath(str)):
    return dsl.ContainerSpec(image="img:1", command=["sh", "-c", WRITE, "say"], args=[word, out])


@dsl.container_component
def repeat(word: str, out: dsl.OutputPath(str)):
    return dsl.ContainerSpec(image="img:1", command=["sh", "-c", WRITE, "repeat"], args=[word, out])


@pytest.fixture
def seamline(tmp_path, monkeypatch):
    monkeypatch.setenv("SEAMLINE_STATE", str(tmp_path / "state"))
    return lambda *arguments: CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def finished(tmp_path, state):
    """A function that executes `say(word) -> repeat` and returns the run's id."""

    @dsl.pipeline(name="two-words")
    def two(word: str):
        repeat(word=say(word=word).outputs["out"])

    compiler.Compiler().compile(two, str(tmp_path / "two.yaml"))

    def execute(word):
        engine = local.open_engine(state)
        run_id = engine.create_run((tmp_path / "two.yaml").read_text(), {"word": word})
        engine.execute(run_id)
        return run_id

    return execute


def test_runs_are_listed_newest_first(seamline, finished):
    first, second = finished("a"), finished("bad")
    lines = seamline("runs").output.splitlines()
    assert second[:8] in lines[1] and "failed" in lines[1]
    assert first[:8] in lines[2] and "succeeded" in lines[2]


def test_show_tells_why_each_task_ran_or_did_not(seamline, finished):
    finished("a")
    finished("a")
    shown = seamline("show", "latest").output
    assert "0 tasks ran, 2 reused" in shown
    assert "= reused" in shown


def test_show_for_machines(seamline, finished):
    run_id = finished("a")
    body = json.loads(seamline("show", run_id[:6], "--json").output)
    assert body["state"] == "SUCCEEDED"
    assert [(t["label"], t["outputs"]) for t in body["tasks"]] == [("say", {"out": "a"}), ("repeat", {"out": "a"})]


def test_logs_print_what_the_task_wrote(seamline, finished):
    finished("a")
    assert seamline("logs", "latest", "repeat").output == "said by repeat\n"


def test_a_failed_run_shows_the_cause_with_the_last_lines_and_the_way_on(seamline, finished):
    run_id = finished("bad")
    shown = seamline("show", run_id).output
    assert "say failed: exit code 1" in shown
    assert "  | said by say" in shown
    assert f"seamline retry {run_id[:8]} goes on where it stopped" in shown


def test_retry_shows_the_plan_without_doing_it(seamline, finished):
    run_id = finished("bad")
    planned = seamline("retry", run_id, "--plan")
    assert planned.exit_code == 0
    assert "was FAILED: exit code 1" in planned.output
    assert json.loads(seamline("show", run_id, "--json").output)["state"] == "FAILED"


def test_retry_of_a_run_that_fails_again_exits_with_1(seamline, finished):
    assert seamline("retry", finished("bad")).exit_code == 1


def test_rerun_of_one_task_with_another_input_makes_a_new_run(seamline, finished):
    source = finished("a")
    again = seamline("rerun", source, "--task", "repeat", "--set", "word=b", "--json")
    assert again.exit_code == 0
    body = json.loads(again.stdout)
    assert body["run_id"] != source
    tasks = json.loads(seamline("show", body["run_id"], "--json").output)["tasks"]
    assert [(t["cached"], t["outputs"]["out"]) for t in tasks] == [(True, "a"), (False, "b")]


def test_the_rerun_plan_says_reuse_and_run_with_reasons(seamline, state, finished):
    finished("a")
    planned = seamline("rerun", "latest", "--task", "repeat", "--set", "word=b", "--plan").output
    assert "reuse" in planned and "does not depend on repeat" in planned
    assert "chosen; parameter word a -> b" in planned
    assert len(Store.open(state, read_only=True).runs()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "nothing"], "no run 'nothing'"),
        (["logs", "latest", "sya"], "has no task 'sya'"),
        (["rerun", "latest", "--task", "repeat", "--set", "wrod=b"], "no input 'wrod'; did you mean 'word'?"),
        (["rerun", "latest", "--task", "repeat", "--set", "word"], "--set 'word' has no value"),
        (["retry", "latest"], "succeeded, so nothing is left to retry"),
        (["terminate", "latest"], "there is nothing to stop"),
    ],
)
def test_what_can_be_mended_is_one_line_and_exit_code_2(seamline, finished, arguments, message):
    finished("a")
    refused = seamline(*arguments)
    assert refused.exit_code == 2
    assert message in refused.output
    assert refused.output.startswith("error: ") and refused.output.count("\n") == 1


def test_a_state_folder_that_is_not_there_is_said(seamline):
    refused = seamline("runs")
    assert (refused.exit_code, "there is no state in" in refused.output) == (2, True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("round2.epochz=3", "round2.epochz is not a setting; did you mean epochs?"),
        ("round2.epochs=many", "round2.epochs"),
        ("rond2.epochs=3", "did you mean round2?"),
    ],
)
def test_a_recipe_change_that_does_not_fit_is_refused_before_anything_starts(seamline, state, change, message):
    refused = seamline("run", "demo", "--set", change)
    assert (refused.exit_code, message in refused.output) == (2, True)
    assert not state.exists()


def test_a_recipe_that_does_not_exist_names_those_that_do(seamline):
    refused = seamline("run", "dmo")
    assert refused.exit_code == 2
    assert "demo, fashion_mnist, fashionai" in refused.output


def test_data_that_does_not_exist_is_refused(seamline, tmp_path):
    refused = seamline("run", "demo", "--data", tmp_path / "absent")
    assert (refused.exit_code, "is not a folder" in refused.output) == (2, True)


def test_every_packaged_recipe_compiles_from_the_command_line(seamline, tmp_path):
    for path in recipe.RECIPES.glob("*.toml"):
        done = seamline("compile", path, "-o", tmp_path / "pipeline.yaml")
        assert done.exit_code == 0, done.output
        assert "sdkVersion: kfp-2.17" in (tmp_path / "pipeline.yaml").read_text()


def test_an_output_that_cannot_be_written_is_said(seamline, tmp_path):
    refused = seamline("compile", "demo", "-o", tmp_path / "no" / "such" / "folder.yaml")
    assert (refused.exit_code, "cannot be written" in refused.output) == (2, True)


def test_demo_data_draws_rounds_and_hidden_answers(seamline, tmp_path):
    done = seamline("demo-data", tmp_path / "data", "--images", 60)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "data" / "answers.csv").exists()
    assert seamline("demo-data", tmp_path / "data").exit_code == 2


def test_demo_data_draws_boats_after_the_word(seamline, tmp_path):
    done = seamline("demo-data", "boats", tmp_path / "data", "--images", 60)
    assert (done.exit_code, "train-annotations-bbox.csv" in done.output) == (0, True)
    assert (tmp_path / "data" / "mirror").is_dir()


def test_demo_data_draws_a_folder_per_class_after_the_word(seamline, tmp_path):
    done = seamline("demo-data", "folders", tmp_path / "data", "--images", 40)
    assert (done.exit_code, done.output.endswith(": test, train, val\n")) == (0, True)
    assert len(list((tmp_path / "data").glob("val/*/*.jpg"))) == 10
    again = seamline("demo-data", "folders", tmp_path / "again", "--images", 40)
    assert again.exit_code == 0
    drawn = [sorted(p.read_bytes() for p in (tmp_path / n).rglob("*.jpg")) for n in ("data", "again")]
    assert drawn[0] == drawn[1]
    assert seamline("demo-data", "folders", tmp_path / "few", "--images", 3).exit_code == 2


@pytest.mark.parametrize("arguments", [(), ("ships", "out"), ("boats", "a", "b")])
def test_demo_data_says_what_it_takes(seamline, arguments):
    refused = seamline("demo-data", *arguments)
    assert (refused.exit_code, "expected [contest|boats|folders] OUT" in refused.output) == (2, True)


def test_score_refuses_a_file_that_is_not_there(seamline, tmp_path):
    refused = seamline("score", tmp_path / "a.csv", tmp_path / "b.csv")
    assert (refused.exit_code, refused.output.startswith("error: ")) == (2, True)


def test_the_doctor_speaks_json(seamline):
    names = {finding["name"] for finding in json.loads(seamline("doctor", "--json").output)}
    assert {"Python", "packages", "state folder"} <= names


def test_compile_says_what_the_start_of_the_pipeline_needs(tmp_path):
    told = CliRunner().invoke(main, ["compile", "demo", "-o", str(tmp_path / "p.yaml")])
    assert "data_root=gs://BUCKET/data" in told.output and '"uri": "gs://BUCKET/round1"' in told.output


def test_rerun_reads_a_list_with_commas_by_the_inputs_type(seamline, tmp_path, state):
    @dsl.container_component
    def count(words: list, out: dsl.OutputPath(str)):
        return dsl.ContainerSpec(image="img:1", command=["sh", "-c", WRITE, "count"], args=[words, out])

    @dsl.pipeline(name="words")
    def pipeline(words: list = ["a"]):  # noqa: B006
        count(words=words)

    compiler.Compiler().compile(pipeline, str(tmp_path / "words.yaml"))
    engine = local.open_engine(state)
    engine.execute(engine.create_run((tmp_path / "words.yaml").read_text(), {}))
    body = json.loads(seamline("rerun", "latest", "--task", "count", "--set", "words=b, c", "--json").stdout)
    (task,) = json.loads(seamline("show", body["run_id"], "--json").output)["tasks"]
    assert json.loads(task["outputs"]["out"]) == ["b", "c"]
