"""The doctor on what only some launchers need: a Docker Engine with images, a Kubernetes cluster with rights."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from click.testing import CliRunner
from kubernetes.config import kube_config

from pipeline import doctor_cluster, doctor_docker, images
from pipeline.cli import main
from pipeline.errors import PipelineError
from pipeline.finding import Finding

ROOT = Path(__file__).parents[2]
INFO = {
    "ServerVersion": "27.1",
    "NCPU": 8,
    "Runtimes": {"nvidia": {}, "runc": {}},
    "DockerRootDir": "/on/another/machine",
}


class Engine:
    """A Docker Engine with images of ours."""

    def __init__(self, *targets: str, **info: Any) -> None:
        self.images, self.told, self.targets = self, INFO | info, targets

    def info(self) -> dict[str, Any]:
        return self.told

    def list(self, name: str) -> list[Any]:
        found = [target for target in self.targets if images.NAMES[target].startswith(f"{name}:")]
        return [Image(images.NAMES[target], images.content(target)) for target in found]


class Image:
    """One image of this code."""

    def __init__(self, name: str, content: str) -> None:
        self.tags, self.labels, self.attrs = [name], {images.CONTENT: content}, {"Size": 3_300_000_000}


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}


def refuse() -> Any:
    raise ConnectionError("no Docker Engine answers: [Errno 2]\n No such file")


def test_without_a_docker_engine_one_line_says_that_it_is_not_needed_and_how_to_get_one() -> None:
    (told,) = doctor_docker.look(refuse)
    assert told.state == "optional"
    assert told.detail.startswith("not needed unless --launcher docker; no Docker Engine answers: [Errno 2] No such")
    assert "DOCKER_HOST" in told.fix


def test_a_docker_engine_is_told_with_its_version_and_its_gpus() -> None:
    assert by_name(doctor_docker.look(Engine))["Docker"].detail == "version 27.1, 8 cores, NVIDIA's runtime"


def test_a_disk_too_small_for_images_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_docker, "FREE_BYTES_WANTED", 1 << 60)
    told = by_name(doctor_docker.look(lambda: Engine(DockerRootDir=str(tmp_path))))["Docker"]
    assert (told.state, told.fix) == ("optional", "docker system prune")
    assert f"GB free at {tmp_path}" in told.detail


def test_images_of_this_code_are_told_from_those_that_are_not_built() -> None:
    told = by_name(doctor_docker.look(lambda: Engine("steps-cpu")))["images"]
    assert (told.state, told.fix) == ("ok", "seamline images build")
    assert told.detail == "steps-cpu 3.3 GB; not of this code: server, steps-gpu"
    assert by_name(doctor_docker.look(Engine))["images"].state == "optional"


def test_outside_a_checkout_nobody_knows_which_images_are_current(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse_listing(engine: Any) -> Any:
        raise PipelineError("/x has no docker/Dockerfile")

    monkeypatch.setattr(images, "listed", refuse_listing)
    assert by_name(doctor_docker.look(Engine))["images"].detail == "/x has no docker/Dockerfile"


class ApiServer(ThreadingHTTPServer):
    """A Kubernetes API: `answers` by path; a status alone is a refusal. `denied`: rights that it does not grant."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, Any] = {"/version": {"gitVersion": "v1.34.0"}}
        self.denied: set[tuple[str, str, str]] = set()


class Handler(BaseHTTPRequestHandler):
    server: ApiServer

    def do_GET(self) -> None:
        found = self.server.answers.get(urlsplit(self.path).path, 404)
        self.reply(*((found, {"message": "no such thing"}) if isinstance(found, int) else (200, found)))

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))["spec"]["resourceAttributes"]
        assert asked["namespace"] == "team"
        denied = (asked["verb"], asked["resource"], asked["subresource"]) in self.server.denied
        self.reply(201, {"status": {"allowed": not denied}})

    def reply(self, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments: Any) -> None:
        return


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ApiServer]:
    server = ApiServer()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_address[1]}"}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "team"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    # The client has read KUBECONFIG when it was imported, perhaps by an earlier test.
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "config"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def look(tmp_path: Path) -> Callable[[], dict[str, Finding]]:
    return lambda: by_name(doctor_cluster.look(tmp_path))


def test_a_cluster_is_told_with_version_and_namespace(cluster: ApiServer, look: Any) -> None:
    assert look()["Kubernetes"] == Finding("Kubernetes", "ok", "version v1.34.0, namespace team")


def test_rights_that_lack_are_named(cluster: ApiServer, look: Any) -> None:
    assert look()["Kubernetes rights"].state == "ok"
    cluster.denied = {("create", "pods", ""), ("get", "pods", "log")}
    told = look()["Kubernetes rights"]
    assert (told.state, told.detail) == ("optional", "not allowed: create pods, get pods/log")


def test_the_rights_asked_for_are_those_that_the_manifests_grant() -> None:
    objects = yaml.safe_load_all((ROOT / "k8s/base/accounts.yaml").read_text())
    (role,) = [one for one in objects if one["kind"] == "Role"]
    granted = {
        (verb, *(resource.partition("/")[::2]))
        for rule in role["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert granted == set(doctor_cluster.RIGHTS)


def node(name: str, gpus: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "status": {"allocatable": {"cpu": "8", "nvidia.com/gpu": gpus}}}


def pod(node_name: str, gpus: str) -> dict[str, Any]:
    limits = {"nvidia.com/gpu": gpus} if gpus else {}
    return {"spec": {"nodeName": node_name, "containers": [{"resources": {"limits": limits}}]}}


def test_gpus_are_counted_and_so_are_those_in_use(cluster: ApiServer, look: Any) -> None:
    cluster.answers["/api/v1/nodes"] = {"items": [node("a", "4"), node("b", "0"), node("c", "1")]}
    cluster.answers["/api/v1/pods"] = {"items": [pod("a", "3"), pod("b", ""), pod("elsewhere", "1")]}
    assert look()["Kubernetes GPUs"].detail == "5 on 2 nodes, 2 free"


def test_a_cluster_without_gpus_now_may_get_them(cluster: ApiServer, look: Any) -> None:
    cluster.answers["/api/v1/nodes"] = {"items": [node("b", "0")]}
    assert "no node has one now" in look()["Kubernetes GPUs"].detail


def test_what_this_account_may_not_look_at_is_said_and_is_no_fault(cluster: ApiServer, look: Any) -> None:
    cluster.answers["/api/v1/nodes"] = 403
    told = look()["Kubernetes GPUs"]
    assert (told.state, told.detail) == ("optional", "cannot be looked at: no such thing")


@pytest.mark.parametrize(
    ("settings", "phase", "state", "words"),
    [
        ("", "", "optional", "the state folder reaches no Pod"),
        ("host_path = true", "", "ok", "at its own path on every node"),
        ('claim = "work"', "Bound", "ok", "work is Bound, ReadWriteMany"),
        ('claim = "work"', "Pending", "optional", "work is Pending"),
        ('claim = "absent"', "Bound", "optional", "cannot be looked at: no such thing"),
    ],
)
def test_the_volume(
    cluster: ApiServer, look: Any, tmp_path: Path, settings: str, phase: str, state: str, words: str
) -> None:
    (tmp_path / "kubernetes.toml").write_text(settings)
    claim = {"spec": {"accessModes": ["ReadWriteMany"]}, "status": {"phase": phase}}
    cluster.answers["/api/v1/namespaces/team/persistentvolumeclaims/work"] = claim
    told = look()["Kubernetes volume"]
    assert (told.state, words in told.detail) == (state, True), told


@pytest.mark.parametrize(
    ("kubeconfig", "settings", "words"),
    [
        (None, "", "no Kubernetes cluster"),
        ("", "", "no Kubernetes cluster"),
        ("[1, 2]", "", "no Kubernetes cluster"),
        ("{", "", "no Kubernetes cluster"),
        ("kind: Config", "", "no Kubernetes cluster"),
        ("as it is", 'context = "elsewhere"', "context 'elsewhere' is not in the kubeconfig, which has here"),
        ("as it is", "at_once = 0", "at_once is 0"),
    ],
)
def test_without_a_cluster_one_line_says_that_it_is_not_needed(
    cluster: ApiServer, look: Any, tmp_path: Path, kubeconfig: str | None, settings: str, words: str
) -> None:
    (tmp_path / "kubernetes.toml").write_text(settings)
    if kubeconfig is None:
        (tmp_path / "config").unlink()
    elif kubeconfig != "as it is":
        (tmp_path / "config").write_text(kubeconfig)
    (told,) = look().values()
    assert (told.state, told.detail.startswith("not needed unless --launcher kubernetes; ")) == ("optional", True)
    assert words in told.detail and "\n" not in told.detail


def test_a_cluster_that_does_not_answer_is_said(cluster: ApiServer, look: Any) -> None:
    cluster.shutdown()
    cluster.server_close()
    (told,) = look().values()
    assert "the cluster cannot be reached" in told.detail


def test_what_only_some_launchers_need_is_no_reason_to_fail(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    told = CliRunner().invoke(main, ["doctor", "--state", str(tmp_path)])
    assert told.exit_code == 0, told.output
    assert "not needed unless --launcher docker" in told.stdout
    assert "not needed unless --launcher kubernetes" in told.stdout
    assert ".[gpu]" in told.stdout or "nvidia" in told.stdout.lower()
