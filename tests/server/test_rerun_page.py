"""What will happen if it runs again: the form of a rerun, its plan, the new run; and the plan of a retry."""

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kfp import dsl
from starlette.testclient import TestClient

from pipeline.engine import ir, rerun
from pipeline.engine.records import Task
from pipeline.engine.rerun import Plan, PlanRow
from pipeline.engine.runner import Engine
from pipeline.engine.states import TaskState
from pipeline.engine.store import Store
from pipeline.engine.values import Values
from pipeline.errors import RecipeError
from pipeline.server import plan_view, rerun_form
from pipeline.server.domain.recipes import Field

from .conftest import shell_step

JSON = {"accept": "application/json"}


def address(run_id: str, key: str, **changes: Any) -> str:
    return f"/runs/{run_id}/rerun?{urlencode({'key': key} | {'v.' + k: v for k, v in changes.items()})}"


@pytest.fixture
def done(engine: Engine, two_steps_ir: str) -> str:
    run_id = engine.create_run(two_steps_ir, {})
    engine.execute(run_id)
    return run_id


def fields(body: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {field["name"]: field for group in body["form"]["groups"] for field in group["fields"]}


def test_the_form_holds_the_settings_that_the_task_had_with_their_types(client: TestClient, done: str) -> None:
    found = fields(client.get(address(done, "say"), headers=JSON).json())
    assert {name: (f["kind"], f["value"]) for name, f in found.items()} == {
        "word": ("text", "hello"),
        "times": ("integer", "1"),
    }


def test_the_button_says_what_it_will_do(client: TestClient, done: str) -> None:
    body = client.get(address(done, "shout"), headers=JSON).json()
    assert body["button"].startswith("Run 1 task, reuse 1 (about ")
    assert body["button"] in client.get(address(done, "shout")).text


def test_a_changed_value_is_marked_and_stands_in_the_plan_and_the_command(client: TestClient, done: str) -> None:
    body = client.get(address(done, "say", times=3), headers=JSON).json()
    assert body["form"]["changes"] == {"times": "3"}
    assert body["plan"]["rows"][0]["reason"] == "chosen; parameter times 1 -> 3"
    text = client.get(address(done, "say", times=3)).text
    assert "was 1" in text and f"seamline rerun {done[:8]} --task say --set=times=3" in text


def test_the_command_that_is_shown_is_one_that_the_command_line_takes(client: TestClient, done: str) -> None:
    from click.testing import CliRunner

    from pipeline.cli import main

    text = client.get(address(done, "say", word="two words")).text
    assert "--set=&#39;word=two words&#39;" in text or "&#39;--set=word=two words&#39;" in text
    parsed = CliRunner().invoke(
        main, ["rerun", "x", "--task", "say", "--set=word=two words", "--state", "/nowhere/x", "--plan"]
    )
    assert "no such option" not in parsed.output.lower()


def test_a_wrong_value_is_told_beside_its_field_and_nothing_can_start(client: TestClient, done: str) -> None:
    body = client.get(address(done, "say", times="many", word="x"), headers=JSON).json()
    assert "takes NUMBER_INTEGER" in fields(body)["times"]["error"] and not fields(body)["word"]["error"]
    answer = client.post(address(done, "say"), data={"v.times": "many", "v.word": "kept"})
    assert answer.status_code == 400
    assert 'value="many"' in answer.text and 'value="kept"' in answer.text and "Mend 1 setting first" in answer.text


def test_an_unknown_setting_is_refused(client: TestClient, done: str, state_dir: Any) -> None:
    assert client.post(address(done, "say"), data={"v.tims": "2"}).status_code == 400
    assert len(Store.open(state_dir).runs()) == 1


def test_going_makes_the_run_and_leads_to_it(client: TestClient, engine: Engine, done: str, state_dir: Any) -> None:
    answer = client.post(address(done, "say"), data={"v.times": "3", "v.word": "hello"})
    made = answer.headers["location"].removeprefix("/runs/")
    assert answer.status_code == 303
    engine.execute(made)
    store = Store.open(state_dir)
    assert store.task(made, "say").inputs.parameters == {"word": "hello", "times": 3}
    assert store.run(made).source == done
    assert store.task(done, "say").inputs.parameters["times"] == 1


def test_a_program_gets_the_new_run_as_json(client: TestClient, done: str) -> None:
    answer = client.post(address(done, "say"), data={"v.times": "2"}, headers=JSON)
    assert answer.status_code == 201 and answer.json()["run_id"] != done


def test_another_sites_page_cannot_start_anything(client: TestClient, done: str, state_dir: Any) -> None:
    assert client.post(address(done, "say"), headers={"origin": "http://evil.example"}).status_code == 403
    assert len(Store.open(state_dir).runs()) == 1


def test_an_unknown_task_is_not_found(client: TestClient, done: str) -> None:
    assert client.get(address(done, "nothing")).status_code == 404
    assert client.get(f"/runs/{done}/rerun").status_code == 404


def test_the_plan_of_a_retry_says_what_goes_on(client: TestClient, engine: Engine, two_steps_ir: str) -> None:
    run_id = engine.create_run(two_steps_ir, {"fail": True})
    engine.execute(run_id)
    body = client.get(f"/runs/{run_id}/retry", headers=JSON).json()
    assert body["button"].startswith("Run 1 task, reuse 1")
    assert f'<form method="post" action="/runs/{run_id}/retry">' in client.get(f"/runs/{run_id}/retry").text


def test_a_run_that_succeeded_has_nothing_to_retry(client: TestClient, done: str) -> None:
    answer = client.get(f"/runs/{done}/retry")
    assert answer.status_code == 409 and "nothing is left to retry" in answer.text


def test_structs_are_lines_and_a_line_is_a_path(
    client: TestClient, engine: Engine, compile_ir: Callable[[Any], str]
) -> None:
    step = shell_step("fit", "true", model=dict, views=list)

    @dsl.pipeline(name="structs")
    def pipeline(model: dict = {"name": "3", "train": {"epochs": 2, "net": "tiny"}}, views: list = ["a"]) -> None:  # noqa: B006
        step(model=model, views=views)

    run_id = engine.create_run(compile_ir(pipeline), {})
    engine.execute(run_id)
    found = fields(client.get(address(run_id, "fit"), headers=JSON).json())
    assert found["model"]["value"] == 'name="3"\ntrain.epochs=2\ntrain.net=tiny'
    lines = 'name="3"\r\ntrain.epochs=4\r\ntrain.net=tiny\r\ntrain.mixup = 0.5\r\n'
    body = client.get(address(run_id, "fit", model=lines, views="b, c"), headers=JSON).json()
    assert body["form"]["changes"] == {"model.train.epochs": "4", "model.train.mixup": "0.5", "views": "b, c"}
    made = client.post(address(run_id, "fit"), data={"v.model": lines, "v.views": "b, c"}).headers["location"]
    engine.execute(made.removeprefix("/runs/"))
    given = fields(client.get(address(made.removeprefix("/runs/"), "fit"), headers=JSON).json())
    assert given["model"]["value"].splitlines()[1:] == ["train.epochs=4", "train.mixup=0.5", "train.net=tiny"]
    assert given["views"]["value"] == '["b", "c"]'


@pytest.mark.parametrize(
    ("lines", "error"), [("train", "has no value"), ("a=1", "is gone"), ("=3\nname=x", "no value")]
)
def test_lines_that_say_nothing_or_take_something_away_are_refused(lines: str, error: str) -> None:
    filled = _read({"name": "x"}, {"model": lines})
    assert error in filled.groups[0].fields[0].error and not filled.overrides


names = st.from_regex(r"[a-z]{1,4}", fullmatch=True)
plain_values = (
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5) | st.lists(st.integers(), max_size=2)
)
structs = st.recursive(plain_values, lambda inner: st.dictionaries(names, inner, max_size=3), max_leaves=6)


@given(st.dictionaries(names, structs, max_size=3))
def test_an_untouched_struct_changes_nothing_whatever_it_holds(struct: dict[str, Any]) -> None:
    text = _read(struct, {}).groups[0].fields[0].value
    assert not _read(struct, {"model": text}).changes
    assert not _read(struct, {"model": text.replace("\n", "\r\n") + "\r\n"}).errors


@given(st.dictionaries(names, structs, min_size=1, max_size=3), st.text(max_size=6))
def test_the_engine_reads_a_changed_line_as_what_was_meant(struct: dict[str, Any], value: str) -> None:
    leaf = next(path for path, _ in rerun_form._leaves(struct))
    line = f"{leaf}={rerun_form._entry(value)}"
    before = _read(struct, {}).groups[0].fields[0].value.split("\n")
    filled = _read(struct, {"model": "\n".join([line, *before[1:]])})
    typed = rerun.typed_overrides(_component(), {"model": struct}, filled.overrides)
    found: Any = typed.get("model", struct)
    for part in leaf.split("."):
        found = found[part]
    assert found == value or (not filled.changes and found == _value_at(struct, leaf))


def _value_at(struct: dict[str, Any], path: str) -> Any:
    found: Any = struct
    for part in path.split("."):
        found = found[part]
    return found


class FakeRecipes:
    """Knows one knob, which the model sets for itself."""

    def knobs(self, task: Task) -> Sequence[Field]:
        if task.component != "comp-train":
            return []
        own = task.inputs.parameters["model"]["train"]["epochs"]
        return [Field("model.train.epochs", "epochs", "integer", str(own), "9", str(own), "passes", low=1)]

    def check_changes(self, task: Task, changes: dict[str, str]) -> None:
        for path, text in changes.items():
            if path.endswith("epochs") and int(text) < 1:
                raise RecipeError(f"--set {path}={text}: epochs={text} is below 1; give 1 or more")


def _component(name: str = "comp-other") -> ir.Component:
    parameters = {"model": ir.Parameter("model", "STRUCT")}
    if name == "comp-train":
        parameters["epochs"] = ir.Parameter("epochs", "NUMBER_INTEGER")
    return ir.Component(name, parameters, {}, {}, {})


def _read(struct: dict[str, Any], given: dict[str, str], component: str = "comp-other") -> rerun_form.Filled:
    task = Task("r", "k", "k", "k", "task", "", component, TaskState.SUCCEEDED, inputs=Values({"model": struct}))
    return rerun_form.read(FakeRecipes(), task, _component(component), given)  # type: ignore[arg-type]


def test_a_knob_that_the_model_sets_is_offered_once_and_at_the_place_that_counts() -> None:
    filled = _read({"name": "tiny", "train": {"epochs": 3}}, {"model.train.epochs": "5"}, "comp-train")
    settings, handed_over = filled.groups
    assert [f.name for f in settings.fields] == ["model.train.epochs"]
    assert [(f.name, f.value) for f in handed_over.fields] == [("model", "name=tiny")]
    assert filled.overrides == {"model.train.epochs": "5"}


def test_what_a_step_would_refuse_is_refused_in_its_own_words() -> None:
    filled = _read({"name": "tiny", "train": {"epochs": 3}}, {"model.train.epochs": "0"}, "comp-train")
    assert filled.groups[0].fields[0].error == "epochs=0 is below 1; give 1 or more"
    assert filled.errors == 1 and not filled.overrides


def test_the_values_of_a_form_can_stand_in_an_address() -> None:
    query = urlsplit(address("r", "k", **{"model.train.epochs": "5", "word": "a&b=c"})).query
    assert rerun_form.asked(parse_qsl(query)) == {"model.train.epochs": "5", "word": "a&b=c"}


def row(action: str, seconds: float | None = None) -> PlanRow:
    return PlanRow("k", "k", action, "", seconds)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([row("run", 100), row("run", 92), row("reuse")], "Run 2 tasks, reuse 1 (about 3 min)"),
        ([row("run", 12), row("run"), row("skip")], "Run 2 tasks, skip 1 (at least 12 s)"),
        ([row("run")], "Run 1 task"),
        ([row("reuse"), row("reuse")], "Run nothing, reuse 2"),
        ([row("run", 9000)], "Run 1 task (about 2.5 h)"),
        ([row("run", 43)], "Run 1 task (about 40 s)"),
    ],
)
def test_a_plan_in_a_line(rows: list[PlanRow], words: str) -> None:
    assert plan_view.shown(Plan("r", tuple(rows))).headline == words


def test_what_runs_stands_before_what_is_reused() -> None:
    found = plan_view.shown(Plan("r", (row("reuse"), row("run"), row("skip"))))
    assert [r.action for r in found.rows] == ["run", "skip", "reuse"]
