"""Nobody there to run a step: said in a line before anything is made, and a server says it and waits for somebody."""

import logging
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from kfp import compiler, dsl
from kubernetes.config import kube_config

from pipeline import launchers, local, serving
from pipeline.cli import main
from pipeline.engine.kubernetes_api import RealCluster, Refused
from pipeline.engine.store import Store
from pipeline.errors import PipelineError

DEAD = """
apiVersion: v1
kind: Config
current-context: here
clusters: [{name: c, cluster: {server: "http://127.0.0.1:9"}}]
contexts: [{name: here, context: {cluster: c, user: u}}]
users: [{name: u, user: {token: t}}]
"""


@dsl.container_component
def fails():  # type: ignore[no-untyped-def]
    return dsl.ContainerSpec(image="img:1", command=["false"])


@dsl.pipeline(name="small")
def small() -> None:
    fails()


@pytest.fixture
def ended(tmp_path: Path) -> str:
    """A run that has failed, and can be retried."""
    compiler.Compiler().compile(small, str(tmp_path / "small.yaml"))
    engine = local.open_engine(tmp_path / "state")
    run_id = engine.create_run((tmp_path / "small.yaml").read_text(), {})
    engine.execute(run_id)
    return run_id


@pytest.fixture(params=["none", "dead", "elsewhere", "docker"])
def absent(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[str, str]:
    """A launcher that nobody answers, and words of what has to be said."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("SEAMLINE_KUBERNETES", str(tmp_path / "kubernetes.toml"))
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "config"))
    (tmp_path / "kubernetes.toml").write_text('context = "prod"' if request.param == "elsewhere" else "")
    if request.param in ("dead", "elsewhere"):
        (tmp_path / "config").write_text(DEAD)
    words = {
        "none": "no Kubernetes cluster: .*; set KUBECONFIG",
        "dead": "the cluster cannot be reached: .* Connection refused; mend the network or the kubeconfig",
        "elsewhere": "context 'prod' is not in the kubeconfig, which has here",
        "docker": "no Docker Engine answers: .*; start it, or name another one by DOCKER_HOST",
    }
    return "docker" if request.param == "docker" else "kubernetes", words[request.param]


def seamline(*words: object) -> Any:
    return CliRunner().invoke(main, [str(word) for word in words])


def refused(told: Any, words: str) -> None:
    """One line of error, whatever progress came before it, and exit code 2."""
    assert (told.exit_code, told.stdout) == (2, ""), told.output
    last = told.stderr.splitlines()[-1]
    assert last.startswith("error: ") and "Traceback" not in told.stderr
    with pytest.raises(PipelineError, match=words):
        raise PipelineError(last)


@pytest.mark.parametrize("command", [("run", "demo"), ("study", "cnn_zoo")])
def test_a_run_is_not_made(absent: tuple[str, str], tmp_path: Path, command: tuple[str, str]) -> None:
    launcher, words = absent
    refused(seamline(*command, "--launcher", launcher, "--state", tmp_path / "other"), words)
    assert not (tmp_path / "other").exists()


def test_a_failed_run_stays_as_it_is(absent: tuple[str, str], ended: str, tmp_path: Path) -> None:
    launcher, words = absent
    where = ("--launcher", launcher, "--state", tmp_path / "state")
    for command in (["retry", ended], ["rerun", ended, "--task", "fails"]):
        told = seamline(*command, *where)
        assert told.exit_code == 2 and "Traceback" not in told.stderr
    (run,) = Store.open(tmp_path / "state", read_only=True).runs()
    assert str(run.state) == "FAILED"
    assert seamline("retry", ended, "--plan", *where).exit_code == 0  # looking needs nobody


def test_a_watcher_does_not_begin(absent: tuple[str, str], tmp_path: Path) -> None:
    launcher, words = absent
    (tmp_path / "rounds").mkdir()
    refused(
        seamline("watch", tmp_path / "rounds", "--recipe", "demo", "--launcher", launcher, "--state", tmp_path / "w"),
        words,
    )


def test_a_server_says_so_and_begins_since_somebody_may_answer_later(
    absent: tuple[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    launcher, words = absent
    with caplog.at_level(logging.WARNING, logger="seamline"):
        serving._ask(launcher, tmp_path)
    with pytest.raises(PipelineError, match=f"--launcher {launcher}: {words}"):
        raise PipelineError(caplog.messages[0])


def test_settings_that_cannot_be_are_refused_by_a_server_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kubernetes.toml").write_text("claim = 5")
    monkeypatch.setenv("SEAMLINE_KUBERNETES", str(tmp_path / "kubernetes.toml"))
    refused(seamline("serve", "--port", 0, "--launcher", "kubernetes", "--state", tmp_path), "claim is 5; it takes")


def test_a_login_that_has_ended_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    class Locked(RealCluster):
        def ask(self, *words: Any, **query: Any) -> Any:
            raise Refused(401, "Unauthorized")

    with pytest.raises(PipelineError, match="the cluster refuses us: Unauthorized; log in to it again"):
        launchers._ask_cluster(Locked(None, "team"))


def test_an_endpoint_that_is_not_there_is_said_before_the_data_is_drawn(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["submit", "demo", "--host", "http://127.0.0.1:9", "--state", str(tmp_path / "s")])
    assert done.exit_code == 2 and "http://127.0.0.1:9" in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "s").exists()
