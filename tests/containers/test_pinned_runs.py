"""Whoever starts a run, its images are pinned as it is made: a tag that moves later changes no run and no retry."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from components import images as names
from pipeline import image_pins, images, images_command, launchers, local, remote_command, running, serving
from pipeline.cli import main
from pipeline.console.rounds import LocalRounds
from pipeline.engine import irtext
from pipeline.engine.records import About
from pipeline.engine.store import Store
from pipeline.errors import PipelineError
from pipeline.rounds import sensor
from pipeline.rounds.launching import LocalLauncher, Order, RemoteLauncher
from pipeline.server.app import create_app
from pipeline.server.guard import Access
from pipeline.server.services import Services

IR = """
components:
  comp-say:
    executorLabel: exec-say
deploymentSpec:
  executors:
    exec-say:
      container:
        command: [echo, hello]
        image: team/tool:1
pipelineInfo: {name: say}
root:
  dag:
    tasks:
      say:
        componentRef: {name: comp-say}
        taskInfo: {name: say}
schemaVersion: 2.1.0
sdkVersion: kfp-2.17.0
"""
HERE = "http://127.0.0.1:8080"


class Engine:
    """A Docker Engine in which tags move."""

    def __init__(self) -> None:
        self.images = self
        self.tags: dict[str, Any] = {}

    def tag(self, name: str, digest: str) -> None:
        repository = name.rpartition(":")[0]
        self.tags[name] = FakeImage(name, f"{repository}@sha256:{digest * 64}")

    def get(self, name: str) -> Any:
        from docker.errors import NotFound

        found = next((one for one in self.tags.values() if name in (one.tags[0], *one.attrs["RepoDigests"])), None)
        if not found:
            raise NotFound(name)
        return found


class FakeImage:
    """An image of other people: a tag and a digest."""

    def __init__(self, tag: str, digest: str) -> None:
        self.tags, self.labels, self.id = [tag], {}, "sha256:0"
        self.attrs = {"RepoDigests": [digest]}


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    made = Engine()
    made.tag("team/tool:1", "a")
    monkeypatch.setattr(images_command, "connected", lambda: made)
    return made


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "state")


@pytest.fixture
def image_of(store: Store) -> Callable[[str], str]:
    """The image in the pipeline that a run keeps."""
    return lambda run_id: image_pins.images_in(store.pipeline_text(run_id))[0]


def by_docker(store: Store) -> Any:
    return local.make_engine(store, launcher="docker")


@pytest.fixture
def console(store: Store, engine: Engine) -> Iterator[TestClient]:
    """A server with `--launcher docker`, whose dispatcher does nothing."""
    services = Services(store.directory, by_docker, serving.domain(engine_of=by_docker))
    with TestClient(create_app(services, Access()), base_url=HERE) as client:
        yield client


def test_a_run_of_the_api_keeps_the_image_that_its_tag_led_to(console: TestClient, engine: Engine, image_of) -> None:  # type: ignore[no-untyped-def]
    spec = irtext.api_spec(IR)
    made = console.post("/apis/v2beta1/runs", json={"display_name": "say", "pipeline_spec": spec}).json()["run_id"]
    engine.tag("team/tool:1", "b")
    assert image_of(made) == f"team/tool@sha256:{'a' * 64}"
    again = console.post("/apis/v2beta1/runs", json={"display_name": "say", "pipeline_spec": spec}).json()["run_id"]
    assert image_of(again) == f"team/tool@sha256:{'b' * 64}"


def test_a_run_of_the_console_is_pinned_too(console: TestClient, store: Store, image_of) -> None:  # type: ignore[no-untyped-def]
    files = {"uploadfile": ("say.yaml", IR.encode(), "application/yaml")}
    console.post("/apis/v2beta1/pipelines/upload", params={"name": "say"}, files=files)
    (pipeline,) = console.get("/apis/v2beta1/pipelines").json()["pipelines"]
    versions = console.get(f"/apis/v2beta1/pipelines/{pipeline['pipeline_id']}/versions").json()
    version = versions["pipeline_versions"][0]["pipeline_version_id"]
    told = console.post("/submit", data={"version": version}, follow_redirects=False)
    assert told.status_code == 303, told.text
    assert image_of(store.runs()[0].run_id) == f"team/tool@sha256:{'a' * 64}"


def test_an_image_that_is_not_there_is_refused_before_a_run_is_made(console: TestClient, engine: Engine, store) -> None:  # type: ignore[no-untyped-def]
    engine.tags.clear()
    told = console.post("/apis/v2beta1/runs", json={"display_name": "say", "pipeline_spec": irtext.api_spec(IR)})
    assert told.status_code == 400
    assert told.json()["message"] == "there is no image team/tool:1 here; get it with `docker pull team/tool:1`"
    assert store.runs() == []


def test_a_launched_round_is_pinned_once(store: Store, engine: Engine, image_of) -> None:  # type: ignore[no-untyped-def]
    launcher = LocalLauncher(by_docker(store), store)
    order = Order("key", "round1", IR, {})
    made = launcher.launch(order)
    engine.tag("team/tool:1", "b")
    assert launcher.launch(order) == made
    assert image_of(made) == f"team/tool@sha256:{'a' * 64}"


def test_a_rerun_keeps_the_image_of_the_run_that_it_repeats(store: Store, engine: Engine, image_of) -> None:  # type: ignore[no-untyped-def]
    processes = local.make_engine(store)
    made = by_docker(store).create_run(IR, {}, about=About())
    processes.execute(made)
    engine.tags["team/tool:old"] = engine.tags["team/tool:1"]
    engine.tag("team/tool:1", "b")
    assert image_of(by_docker(store).rerun(made, "say")) == f"team/tool@sha256:{'a' * 64}"


def test_the_servers_own_watching_asks_the_servers_engine(
    store: Store, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both the thread that looks and the button of the console."""
    looks = iter(("by itself", "by the button"))

    def look_at(log: Any, source: Any, launcher: LocalLauncher, *rest: Any) -> Any:
        launcher.launch(Order(next(looks), "round", IR, {}))
        return (), ""

    monkeypatch.setattr(sensor, "look_at", look_at)
    monkeypatch.setattr(sensor.RoundLog, "sources", lambda self: [Watched()])
    monkeypatch.setattr("pipeline.rounds.source.find", lambda log, source_id: Watched())
    settings = sensor.SensorSettings(store.directory)
    sensor.Sensor(settings, lambda: Store.open(store.directory), engine_of=by_docker).look()
    LocalRounds(by_docker).look(store, "x")
    pinned = [image_pins.images_in(store.pipeline_text(run.run_id)) for run in store.runs()]
    assert pinned == [(f"team/tool@sha256:{'a' * 64}",)] * 2


class Watched:
    """A source of rounds."""

    registered = enabled = True
    address, source_id = "rounds", "x"


def test_processes_have_no_images_so_nothing_is_asked(tmp_path: Path) -> None:
    assert launchers.place("process", tmp_path).pinned(IR) == IR


def test_pods_are_pinned_by_the_registry_where_their_settings_say_so(tmp_path: Path) -> None:
    assert launchers.place("kubernetes", tmp_path).pinned(IR) == IR
    (tmp_path / "kubernetes.toml").write_text("pin_images = true\n")
    assert launchers.place("kubernetes", tmp_path).pinned is image_pins.by_registry


def test_an_order_for_an_endpoint_is_pinned_when_it_is_sent_and_not_asked_of_one_that_has_arrived(tmp_path) -> None:  # type: ignore[no-untyped-def]
    endpoint = Endpoint()
    launcher = RemoteLauncher(endpoint, tmp_path, pinned=lambda text: text + "# pinned")
    launcher.launch(Order("key", "one", IR, {}))
    assert endpoint.sent == [IR + "# pinned"]
    endpoint.known = "run-1"
    assert launcher.launch(Order("key", "one", IR, {})) == "run-1"
    assert len(endpoint.sent) == 1


class Endpoint:
    """Takes runs."""

    host = HERE

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.known: str | None = None

    def runs(self, limit: int) -> list[Any]:
        return []

    def find_run(self, name: str) -> str | None:
        return self.known

    def submit(self, text: str, parameters: Any, name: str, experiment: str = "") -> str:
        self.sent.append(text)
        return "run-1"

    submit_version = submit

    def run(self, run_id: str) -> Any:
        from pipeline.remote import RemoteRun

        return RemoteRun(run_id, "n", "PENDING", "")


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Endpoint:
    made = Endpoint()
    monkeypatch.setattr(remote_command, "connect", lambda host: made)
    monkeypatch.setattr(local, "prepare", lambda *_: ({"rounds": [], "data_root": "gs://b"}, ""))
    return made


def submit(*words: str) -> Any:
    return CliRunner().invoke(main, ["submit", "demo", "--host", HERE, *words])


def test_submit_sends_digests_when_asked_to(endpoint: Endpoint, engine: Engine) -> None:
    pushed = FakeImage(names.CPU, f"{names.CPU.rpartition(':')[0]}@sha256:{'c' * 64}")
    pushed.labels = {images.CONTENT: images.content("steps-cpu")}
    engine.tags[names.CPU] = pushed
    assert submit().exit_code == 0
    assert submit("--pin-images").exit_code == 0
    plain, pinned = endpoint.sent
    assert image_pins.images_in(plain) == (names.CPU,)
    assert image_pins.images_in(pinned) == tuple(pushed.attrs["RepoDigests"])


def test_submit_sends_nothing_when_an_image_has_no_digest(endpoint: Endpoint, engine: Engine) -> None:
    told = submit("--pin-images")
    assert (told.exit_code, endpoint.sent) == (2, [])
    assert "seamline images build" in told.stderr and told.stderr.count("\n") == 1


def test_a_run_of_the_command_is_pinned_before_anything_is_made(engine: Engine, monkeypatch, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(running, "execute", lambda *_: None)
    state = tmp_path / "other"
    told = CliRunner().invoke(main, ["run", "demo", "--launcher", "docker", "--state", str(state)])
    assert told.exit_code == 2 and "seamline images build" in told.stderr
    assert not state.exists()


def test_watching_here_pins_by_its_launcher_and_says_so(tmp_path: Path) -> None:
    words = ["watch", str(tmp_path), "--recipe", "demo", "--pin-images", "--state", str(tmp_path / "state")]
    told = CliRunner().invoke(main, words)
    assert told.exit_code == 2
    assert "--pin-images goes with --host; here --launcher docker pins by itself" in told.stderr


def test_a_refusal_of_a_registry_is_told_to_whoever_starts_the_run(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    (store.directory / "kubernetes.toml").write_text("pin_images = true\n")
    text = IR.replace("team/tool:1", "127.0.0.1:9/team/tool:1")
    with pytest.raises(PipelineError, match="registry 127.0.0.1:9 cannot be asked"):
        local.make_engine(store, launcher="kubernetes").create_run(text, {})
    assert store.runs() == []
