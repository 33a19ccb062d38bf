"""What am I about to start? Sources, typed settings, what differs, what it will take, and the run itself."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl
from starlette.testclient import TestClient

from pipeline.engine.catalogue import Catalogue, Labels
from pipeline.engine.experiments import Experiments
from pipeline.engine.runner import Engine
from pipeline.engine.store import Store
from pipeline.errors import RecipeError
from pipeline.server.pages.submit import roughly
from pipeline.server.preparing import Preparation, Preparations
from pipeline.server.services import Services

from .conftest import shell_step

JSON = {"accept": "application/json"}


@pytest.fixture
def done(engine: Engine, two_steps_ir: str) -> str:
    run_id = engine.create_run(two_steps_ir, {"word": "hi", "times": 3}, name="first")
    engine.execute(run_id)
    return run_id


@pytest.fixture
def version_id(services: Services, two_steps_ir: str) -> str:
    known = Catalogue(services.store)
    return known.latest(known.create(Labels("two-steps"), 1.0, two_steps_ir).pipeline_id).version_id


def body(client: TestClient, address: str) -> dict[str, Any]:
    answer = client.get(address, headers=JSON)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def settings(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for group in found["form"]["groups"] for one in group["fields"]}


def run_made_by(store: Store, answer: Any) -> Any:
    assert answer.status_code == 303, answer.text
    return store.run(answer.headers["location"].removeprefix("/runs/"))


# The form


def test_without_a_run_the_demo_is_offered_with_its_settings_and_no_time_is_claimed(client: TestClient) -> None:
    found = body(client, "/submit")
    assert found["form"]["source"]["name"] == "demo"
    assert [group["name"] for group in found["form"]["groups"]][-3:] == ["ensemble", "report", "promote"]
    assert (found["estimate"]["tasks"], found["estimate"]["seconds"], found["estimate"]["unknown"]) == (42, None, 42)
    assert "Start run (42 tasks)" in client.get("/submit").text


@pytest.mark.parametrize(("recipe", "asked"), [("demo", "rounds"), ("boats_demo", "files")])
def test_the_folder_that_is_asked_for_is_the_one_that_the_pipeline_reads(
    client: TestClient, recipe: str, asked: str
) -> None:
    page = client.get(f"/submit?recipe={recipe}").text
    assert f"Folder of the {asked}</label>" in page and ("is one round" in page) is (asked == "rounds")


def test_a_setting_has_the_type_the_range_the_choices_and_the_help_of_its_knob(client: TestClient) -> None:
    found = settings(body(client, "/submit?recipe=demo"))
    epochs, optimiser, restart = (found[f"round1.{name}"] for name in ("epochs", "optimiser", "restart"))
    assert (epochs["kind"], epochs["value"], epochs["low"], epochs["unit"]) == ("integer", "20", 1, "epochs")
    assert (optimiser["kind"], optimiser["choices"]) == (
        "choice",
        ["adam", "adamw", "sgd", "gradient_descent", "rmsprop", "adagrad", "lion"],
    )
    assert restart["kind"] == "boolean"
    page = client.get("/submit?recipe=demo").text
    assert '<option value="adamw" selected>' in page
    assert 'name="set.round1.epochs" value="20" step="1" min="1"' in page
    assert "longest training" in page


def test_what_is_changed_is_told_against_the_recipe_and_stands_in_the_command(client: TestClient) -> None:
    found = body(client, "/submit?recipe=demo&set.round1.epochs=3&set.round1.learning_rate=2e-3")
    assert [(one["name"], one["default"], one["value"]) for one in found["changed"]] == [("round1.epochs", "20", "3")]
    assert found["command"] == "seamline run demo --set round1.epochs=3"


def test_a_knob_that_the_models_set_for_themselves_says_so(client: TestClient) -> None:
    found = settings(body(client, "/submit?recipe=demo"))
    assert "not for models.plain_cnn.train, models.residual.train" in found["round1.backbone"]["help"]
    assert found["models.plain_cnn.train.backbone"]["value"] == "tiny_cnn"


def test_parts_that_are_switched_off_leave_their_tasks_out_of_the_estimate(client: TestClient) -> None:
    found = body(client, "/submit?recipe=demo&set.generations.pseudo=false")
    assert found["estimate"]["tasks"] == 27
    off = [group["name"] for group in found["form"]["groups"] if group["is_off"]]
    assert off == ["pseudo_label", "student"]


def test_a_recipe_that_does_not_exist_is_named_with_those_that_do(client: TestClient) -> None:
    answer = client.get("/submit?recipe=nowhere.toml", headers=JSON)
    assert answer.status_code == 400
    assert "demo, fashion_mnist, fashionai" in answer.json()["message"]


def test_choosing_a_source_leads_to_its_address(client: TestClient) -> None:
    assert client.get("/submit?from=recipe:fashion_mnist").headers["location"] == "/submit?recipe=fashion_mnist"
    assert client.get("/submit?from=recipe:demo&clone=abc").headers["location"] == "/submit?recipe=demo&clone=abc"
    assert client.get("/submit?from=nonsense", headers=JSON).status_code == 400


def test_the_estimate_alone_answers_a_form_that_is_being_filled_in(client: TestClient) -> None:
    answer = client.post("/submit/estimate", data={"recipe": "demo", "set.round1.epochs": "0"}, headers=JSON)
    assert answer.json()["problems"][0]["error"] == "round1.epochs=0 is below 1; give 1 or more"
    assert "<main" not in client.post("/submit/estimate", data={"recipe": "demo"}).text


def test_without_a_script_the_form_can_be_checked_with_everything_kept(client: TestClient) -> None:
    sent = {"recipe": "demo", "set.round1.epochs": "3", "description": "why not", "token": "t"}
    page = client.post("/submit/check", data=sent)
    assert page.status_code == 200
    assert 'value="why not"' in page.text
    assert "--set round1.epochs=3" in page.text


# What is wrong


def test_a_wrong_value_makes_no_run_and_is_told_beside_its_field_with_everything_kept(
    client: TestClient, services: Services
) -> None:
    sent = {"recipe": "demo", "set.round1.epochs": "many", "set.ensemble.method": "greedy", "run_name": "mine"}
    answer = client.post("/submit", data=sent, headers=JSON)
    assert answer.status_code == 400
    found = settings(answer.json())
    assert (found["round1.epochs"]["value"], found["ensemble.method"]["value"]) == ("many", "greedy")
    assert "'many' is not an int" in found["round1.epochs"]["error"]
    assert found["ensemble.method"]["error"] == ""
    assert answer.json()["run_name"] == "mine"
    assert services.reader.runs() == []


def test_a_form_that_names_nothing_to_start_makes_no_run(client: TestClient, services: Services) -> None:
    answer = client.post("/submit", data={"run_name": "mine"}, headers=JSON)
    assert answer.status_code == 400 and "nothing says what to start" in answer.json()["message"]
    assert services.reader.runs() == []


@pytest.mark.parametrize("address", ["/no/such/folder", "gs://"])
def test_data_that_cannot_be_is_refused_with_the_reason(client: TestClient, address: str) -> None:
    answer = client.post("/submit", data={"recipe": "demo", "data": address}, headers=JSON)
    assert answer.status_code == 400
    assert answer.json()["form"]["data_error"]


def test_a_recipe_without_data_asks_for_it(client: TestClient) -> None:
    answer = client.post("/submit", data={"recipe": "fashionai"}, headers=JSON)
    assert answer.status_code == 400
    assert answer.json()["form"]["data_error"].startswith("recipe fashionai does not say where the data is")


def test_the_rounds_of_a_folder_are_shown_before_the_start(client: TestClient, tmp_path: Path) -> None:
    for name in ("web", "base", "round2", "round3"):
        (tmp_path / name / "Annotations").mkdir(parents=True)
        (tmp_path / name / "Annotations" / "label.csv").write_text("a,b,c\n")
    found = body(client, f"/submit?recipe=demo&data={tmp_path}")
    assert [(r["name"], r["files"]) for r in found["rounds"]] == [("round1", 2), ("round2", 2)]


def test_folders_are_listed_below_the_state_folder_and_nowhere_else(client: TestClient, state_dir: Path) -> None:
    (state_dir / "rounds" / "one").mkdir(parents=True)
    found = body(client, f"/submit/folders?at={state_dir / 'rounds'}")
    assert found["folder"]["folders"] == ["one"]
    assert client.get("/submit/folders?at=/etc", headers=JSON).status_code == 404


def test_a_link_does_not_lead_out_of_what_may_be_listed(client: TestClient, state_dir: Path) -> None:
    (state_dir / "way-out").symlink_to("/etc")
    assert client.get(f"/submit/folders?at={state_dir / 'way-out'}", headers=JSON).status_code == 404


# Clones and uploaded pipelines


def test_a_clone_has_the_parameters_of_its_run_typed_by_the_pipeline(client: TestClient, done: str) -> None:
    found = body(client, f"/submit?clone={done[:8]}")
    kinds = {name: (one["kind"], one["value"], one["default"]) for name, one in settings(found).items()}
    assert kinds == {
        "word": ("text", "hi", "hello"),
        "times": ("integer", "3", "1"),
        "share": ("number", "0.5", "0.5"),
        "fail": ("boolean", "false", "false"),
    }
    assert found["against_earlier"] == []


def test_starting_a_clone_makes_a_run_with_the_changed_parameter(
    client: TestClient, services: Services, done: str
) -> None:
    sent = {"clone": done, "set.word": "ho", "run_name": "again", "description": "louder", "cache": "false"}
    made = run_made_by(services.store, client.post("/submit", data=sent))
    assert made.parameters == {"word": "ho", "times": 3, "share": 0.5, "fail": False}
    assert (made.name, made.description, made.cache) == ("again", "louder", False)
    assert made.labels["cloned_from"] == done


def test_the_time_of_a_clone_comes_from_the_run_before_it(client: TestClient, done: str) -> None:
    estimate = body(client, f"/submit?clone={done}")["estimate"]
    assert (estimate["tasks"], estimate["unknown"]) == (2, 0)
    assert estimate["seconds"] > 0
    assert estimate["basis"].startswith("From 1 earlier run:")


def test_a_form_that_is_sent_twice_makes_one_run(client: TestClient, services: Services, done: str) -> None:
    sent = {"clone": done, "token": "the same"}
    first, second = (client.post("/submit", data=sent).headers["location"] for _ in range(2))
    assert first == second
    assert len(services.reader.runs()) == 2
    other = client.post("/submit", data=sent | {"set.word": "other"}).headers["location"]
    assert other != first


def test_the_experiment_is_found_by_its_name_or_made(client: TestClient, services: Services, done: str) -> None:
    for word in ("a", "b"):
        client.post("/submit", data={"clone": done, "experiment": "autumn", "set.word": word})
    made = {run.experiment_id for run in services.reader.runs(limit=2)}
    assert len(made) == 1
    assert Experiments(services.store).get(made.pop()).display_name == "autumn"


def test_an_uploaded_version_is_started_with_its_own_defaults(
    client: TestClient, services: Services, version_id: str
) -> None:
    made = run_made_by(services.store, client.post("/submit", data={"version": version_id, "set.times": "2"}))
    assert made.version_id == version_id
    assert made.parameters["times"] == 2
    assert body(client, f"/submit?version={version_id}")["command"].startswith("kfp run create -e Default -p ")


def test_a_parameter_of_the_wrong_type_is_told_beside_its_field(client: TestClient, version_id: str) -> None:
    answer = client.post("/submit", data={"version": version_id, "set.times": "two"}, headers=JSON)
    assert answer.status_code == 400
    assert "is no JSON" in settings(answer.json())["times"]["error"]


def test_literals_of_the_pipeline_are_choices_and_what_has_no_default_is_needed(
    client: TestClient, services: Services, compile_ir: Callable[[Any], str]
) -> None:
    step = shell_step("step", "true", size=str, count=int)

    @dsl.pipeline(name="choosing")
    def choosing(count: int, size: str = "small"):
        step(size=size, count=count)

    text = compile_ir(choosing)
    marker = "      size:\n        defaultValue: small\n        isOptional: true\n"
    assert marker in text
    known = Catalogue(services.store)
    made = known.create(Labels("choosing"), 1.0, text.replace(marker, marker + "        literals: [small, large]\n"))
    version_id = known.latest(made.pipeline_id).version_id
    found = settings(body(client, f"/submit?version={version_id}"))
    assert (found["size"]["kind"], found["size"]["choices"]) == ("choice", ["small", "large"])
    assert found["count"]["error"].startswith("needs a value")
    answer = client.post("/submit", data={"version": version_id, "set.size": "huge", "set.count": "1"}, headers=JSON)
    assert settings(answer.json())["size"]["error"] == "size=huge is not one of small, large"


def test_a_clone_onto_another_version_keeps_what_both_have_and_says_what_it_loses(
    client: TestClient, services: Services, done: str, compile_ir: Callable[[Any], str]
) -> None:
    step = shell_step("step", "true", word=str, loud=bool)

    @dsl.pipeline(name="newer")
    def newer(word: str = "hello", loud: bool = True):
        step(word=word, loud=loud)

    known = Catalogue(services.store)
    version_id = known.latest(known.create(Labels("newer"), 1.0, compile_ir(newer)).pipeline_id).version_id
    found = body(client, f"/submit?clone={done}&version={version_id}")
    assert {name: one["value"] for name, one in settings(found).items()} == {"word": "hi", "loud": "true"}
    assert found["form"]["notes"] == [
        "Left out, this version has no such parameter: fail=false, share=0.5, times=3",
        "New in this version, with its default: loud",
    ]


def test_a_parameter_may_have_the_name_of_a_field_of_the_form(
    client: TestClient, services: Services, compile_ir: Callable[[Any], str]
) -> None:
    step = shell_step("step", "true", description=str)

    @dsl.pipeline(name="same-names")
    def same_names(description: str = "of the pipeline"):
        step(description=description)

    known = Catalogue(services.store)
    version_id = known.latest(known.create(Labels("same"), 1.0, compile_ir(same_names)).pipeline_id).version_id
    sent = {"version": version_id, "description": "of the run", "set.description": "given"}
    made = run_made_by(services.store, client.post("/submit", data=sent))
    assert (made.description, made.parameters["description"]) == ("of the run", "given")


# Starting takes time


class SlowRecipes:
    """Recipes whose preparing waits, or fails, as a large folder would."""

    def __init__(self, real: Any, error: str = "") -> None:
        self._real = real
        self._error = error
        self.go_on = threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def prepare(self, *given: Any) -> Any:
        self.go_on.wait(30)
        if self._error:
            raise RecipeError(self._error)
        return self._real.prepare(*given)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.server.pages.submit.PATIENCE_S", 0.05)


def waiting_for(services: Services, monkeypatch: pytest.MonkeyPatch, error: str = "") -> SlowRecipes:
    slow = SlowRecipes(services.domain.recipes, error)
    monkeypatch.setattr(services, "domain", type("Domain", (), {"recipes": slow, "cluster": None}))
    return slow


@pytest.mark.usefixtures("impatient")
def test_what_takes_long_has_a_page_of_its_own_that_goes_to_the_run(
    client: TestClient, services: Services, done: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = waiting_for(services, monkeypatch)
    where = client.post("/submit", data={"clone": done}).headers["location"]
    page = client.get(where)
    assert where.startswith("/submit/preparing/")
    assert page.headers["refresh"] == "1"
    assert "compiling the pipeline and preparing the data" in page.text
    slow.go_on.set()
    client.app.state.preparations.get(where.rsplit("/", 1)[1]).ended.wait(30)  # type: ignore[attr-defined]
    assert run_made_by(services.store, client.get(where)).labels["cloned_from"] == done


@pytest.mark.usefixtures("impatient")
def test_a_preparation_that_fails_shows_the_form_with_the_reason_and_what_was_filled_in(
    client: TestClient, services: Services, done: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = waiting_for(services, monkeypatch, "the folder vanished")
    slow.go_on.set()
    where = client.post("/submit", data={"clone": done, "set.word": "kept"})
    if where.status_code == 303:
        token = where.headers["location"].rsplit("/", 1)[1]
        client.app.state.preparations.get(token).ended.wait(30)  # type: ignore[attr-defined]
        where = client.get(where.headers["location"])
    assert where.status_code == 400
    assert "the folder vanished" in where.text
    assert 'value="kept"' in where.text
    assert len(services.reader.runs()) == 1


def test_a_preparation_nobody_remembers_says_so(client: TestClient) -> None:
    assert "restarted" in client.get("/submit/preparing/gone", headers=JSON).json()["message"]


def test_a_preparation_begins_once_unless_it_failed() -> None:
    known, calls = Preparations(), []

    def work() -> str:
        calls.append(len(calls))
        if len(calls) == 1:
            raise RecipeError("not yet")
        return "run"

    for expected in ("", "run", "run"):
        begun = known.begin(Preparation("token", "title", 0.0), work)
        assert begun.ended.wait(10)
        assert begun.run_id == expected
    assert calls == [0, 1]


def test_an_estimate_is_no_more_exact_than_it_can_be() -> None:
    assert [roughly(s) for s in (0.2, 12, 52, 80, 243, 3601, 5000)] == [
        "5 s",
        "10 s",
        "50 s",
        "1 min",
        "4 min",
        "1 h 00 min",
        "1 h 20 min",
    ]


@pytest.mark.slow
def test_a_recipe_is_compiled_its_data_drawn_and_the_run_made_as_the_terminal_would(
    client: TestClient, services: Services
) -> None:
    sent = {"recipe": "demo", "set.data.images": "60", "set.round1.epochs": "1", "token": "demo"}
    where = client.post("/submit", data=sent)
    location = where.headers["location"]
    if location.startswith("/submit/preparing/"):
        preparation = client.app.state.preparations.get(location.rsplit("/", 1)[1])  # type: ignore[attr-defined]
        assert preparation.ended.wait(120)
        where = client.get(location)
    made = run_made_by(services.store, where)
    assert made.labels["recipe"] == "demo"
    assert made.labels["overrides"] == ["data.images=60", "round1.epochs=1"]
    assert [r["name"] for r in made.parameters["rounds"]] == ["round1", "round2"]
    assert made.parameters["round1_epochs"] == 1
    cloned = body(client, f"/submit?recipe=demo&clone={made.run_id}")
    assert {one["name"] for one in cloned["changed"]} == {"data.images", "round1.epochs"}
    assert cloned["against_earlier"] == []
