"""`seamline images` and `--launcher docker` where no Docker Engine answers."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pipeline.cli import main


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):  # type: ignore[no-untyped-def]
    """Runs the command on a machine without a Docker Engine."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    return lambda *words: CliRunner().invoke(main, list(words))


def one_line(told: Result) -> str:
    """What it says, which must be a line and no traceback."""
    assert told.exit_code == 2
    assert told.stdout == ""
    (line,) = told.stderr.strip().splitlines()
    return line


@pytest.mark.parametrize("words", [["list"], ["build"], ["push", "server"]])
def test_images_need_a_docker_engine(said, words: list[str]) -> None:  # type: ignore[no-untyped-def]
    line = one_line(said("images", *words))
    assert "no Docker Engine answers" in line and "DOCKER_HOST" in line


def test_an_unknown_target_is_refused(said) -> None:  # type: ignore[no-untyped-def]
    told = said("images", "build", "steps-tpu")
    assert told.exit_code == 2 and "steps-tpu" in told.stderr


def test_digests_need_a_docker_engine(said, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    target = tmp_path / "out.yaml"
    assert "no Docker Engine answers" in one_line(said("compile", "demo", "-o", str(target), "--pin-images"))
    assert not target.exists()


def test_a_run_in_containers_needs_a_docker_engine(said, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    state = tmp_path / "state"
    told = said("run", "demo", "--launcher", "docker", "--state", str(state))
    assert told.exit_code == 2
    assert "no Docker Engine answers" in told.stderr and "Traceback" not in told.stderr
    assert not state.exists()
