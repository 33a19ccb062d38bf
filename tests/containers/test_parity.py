"""The same pipeline as processes and as containers: the same bytes come out of every task."""

import hashlib
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from components.artifacts.reference import INDEX, KINDS
from pipeline import local
from pipeline.engine.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]

DEMO = Path(local.__file__).parent / "recipes" / "demo.toml"
SHORT = ("round1.epochs=2", "round2.epochs=1", "student.epochs=1", "preprocess.size_px=32", "data.images=60")


LEFT_OUT = (
    "[attributes.sleeve_length_labels]\n",
    "[attributes.collar_design_labels]\n",
    '[models.residual.train]\nbackbone = "tiny_resnet"\n',
)
WHOLE = os.environ.get("SEAMLINE_WHOLE_DEMO") == "1"


def recipe(folder: Path) -> Path:
    """The demo with one attribute and one model, so that each step runs once or twice; or the whole one."""
    text = DEMO.read_text(encoding="utf-8")
    for section in () if WHOLE else LEFT_OUT:
        assert section in text
        text = text.replace(section, "")
    (folder / "demo.toml").write_text(text, encoding="utf-8")
    return folder / "demo.toml"


def run(folder: Path, launcher: str, base: str) -> dict[str, Any]:
    """Runs it, and what came of it: references and artifacts by task, the bytes of both, and the submission."""
    state = folder / launcher
    state.mkdir()
    command = [sys.executable, "-m", "pipeline", "run", str(recipe(state)), "--state", str(state / "state")]
    options = [word for setting in (() if WHOLE else SHORT) for word in ("--set", setting)]
    environment = {**os.environ, "SEAMLINE_BASE_IMAGE": base}
    told = subprocess.run(
        [*command, "--launcher", launcher, *options], env=environment, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stdout[-3000:] + told.stderr[-3000:]
    state = state / "state"
    reader = Store.open(state, read_only=True)
    run_id = reader.run("latest").run_id
    found = local.results(reader, run_id)
    assert found
    tasks = [task for task in reader.tasks(run_id) if task.is_leaf]
    attempts = [attempt for task in tasks for attempt in reader.attempts(run_id, task.key)]
    return {
        "unmeasured": [a.key for a in attempts if not {"max_rss_bytes", "cpu_s", "wall_s"} <= a.usage.keys()],
        "references": {t.label: _below(t.outputs.parameters, state) for t in tasks},
        "artifacts": {t.label: _contents(t.outputs.artifacts, state) for t in tasks},
        "files": _files(state / "data"),
        "submission": hashlib.sha256(Path(found.submission).read_bytes()).hexdigest(),
    }


def _below(values: Any, state: Path) -> dict[str, str]:
    """Values as they read from the state folder, which is the only thing that differs."""
    return {name: re.sub(re.escape(str(state)), "", str(value)) for name, value in values.items()}


def _contents(artifacts: Any, state: Path) -> dict[str, Any]:
    """The digest of each artifact's bytes, which is the folder that it lies in, and its metadata."""
    return {
        name: [(Path(one.uri).parent.name, _below(one.metadata, state)) for one in listed]
        for name, listed in artifacts.items()
    }


def _files(data: Path) -> dict[str, tuple[int, str]]:
    """Size and digest of every file of every reference, but for the index: it says how long the making took, too."""
    files = [path for kind in KINDS for path in (data / kind).rglob("*") if path.is_file() and path.name != INDEX]
    return {str(p.relative_to(data)): (p.stat().st_size, hashlib.sha256(p.read_bytes()).hexdigest()) for p in files}


def test_processes_and_containers_give_the_same_bytes(steps_image: Any, base: str, tmp_path: Path) -> None:
    assert steps_image.is_current
    with ThreadPoolExecutor() as both:
        as_containers, as_processes = both.map(run, [tmp_path] * 2, ["docker", "process"], [base] * 2)
    assert as_containers["references"] == as_processes["references"]
    assert len(as_containers["references"]) >= 10
    assert as_containers["unmeasured"] == as_processes["unmeasured"] == []
    assert as_containers["submission"] == as_processes["submission"]
    assert as_containers["artifacts"] == as_processes["artifacts"]
    assert as_containers["files"] == as_processes["files"]
    print(_counted(as_containers))


def _counted(found: dict[str, Any]) -> str:
    """How much was equal, for docs/containers.md."""
    sizes = [size for size, _ in found["files"].values()]
    artifacts = sum(len(listed) for names in found["artifacts"].values() for listed in names.values())
    return (
        f"equal: {len(found['references'])} tasks, {sum(map(len, found['references'].values()))} outputs, "
        f"{artifacts} artifacts; {len(sizes)} files of {sum(sizes):,} bytes"
    )
