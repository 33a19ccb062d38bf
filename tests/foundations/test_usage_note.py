"""A step in a container notes what it has used, when the launcher asks for it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from components import idle, usage
from pipeline.engine import exit_note
from pipeline.engine.launch import Exit

SPENDS = "import time; a = bytearray(60 << 20)\nwhile time.process_time() < 0.3: a[::4096] = bytes(len(a[::4096]))\n"


def ended(script: str, note: Path) -> int:
    """The exit status of a process that was told where to leave its note."""
    told = "from components import usage; usage.note_at_end()\n" + script
    # Over a shell: Linux counts the memory of who started a process as its own, and these tests are large.
    command = ["sh", "-c", '"$0" "$@"; exit $?', sys.executable, "-c", told]
    return subprocess.run(command, env={**os.environ, usage.FILE: str(note)}, check=False).returncode


def test_the_launcher_and_the_step_call_it_the_same() -> None:
    assert usage.FILE == exit_note.USAGE


@pytest.mark.parametrize(("script", "code"), [("", 0), ("raise SystemExit(143)", 143), ("1/0", 1)])
def test_memory_and_cpu_time_are_noted_however_the_step_ends(tmp_path: Path, script: str, code: int) -> None:
    assert ended(SPENDS + script, tmp_path / exit_note.USAGE_FILE) == code
    used = exit_note.with_usage(tmp_path, Exit(code, {"wall_s": 3.0})).usage
    assert 60 << 20 < used["max_rss_bytes"] < 600 << 20
    assert 0.3 <= used["cpu_s"] < 10
    assert used["wall_s"] == 3.0


def test_a_real_step_leaves_its_note_even_when_its_data_is_refused(tmp_path: Path) -> None:
    rounds = json.dumps([{"name": "round1", "uri": str(tmp_path / "none"), "digest": "x", "folders": []}])
    command = [sys.executable, "-m", "components.ingest", "--rounds", rounds, "--data-root", str(tmp_path / "root")]
    told = {**os.environ, usage.FILE: str(tmp_path / exit_note.USAGE_FILE)}
    step = subprocess.run(command, env=told, capture_output=True, check=False)
    assert step.returncode == 2
    assert exit_note.with_usage(tmp_path, Exit(2)).usage.keys() == {"max_rss_bytes", "cpu_s"}


def test_the_largest_child_counts(tmp_path: Path) -> None:
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SPENDS!r}])"
    ended(child, tmp_path / "note")
    body = json.loads((tmp_path / "note").read_text())
    assert body["max_rss_bytes"] > 60 << 20
    assert body["cpu_s"] >= 0.3


def test_a_step_that_ends_itself_for_doing_nothing_leaves_its_note(tmp_path: Path) -> None:
    assert ended("from components import idle; idle._end('idle')", tmp_path / "note") == idle.EXIT
    assert json.loads((tmp_path / "note").read_text())["max_rss_bytes"] > 0


def test_without_a_launcher_that_asks_nothing_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(usage.FILE, raising=False)
    usage.note()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_costs_no_work(tmp_path: Path) -> None:
    assert ended("", tmp_path / "no folder" / "note") == 0


@pytest.mark.parametrize(
    "text",
    ["", "no JSON", "[1]", '{"max_rss_bytes": "1"}', '{"cpu_s": -1}', '{"cpu_s": NaN}', '{"cpu_s": 1e300}', "\xff"],
)
def test_a_note_that_cannot_be_true_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / exit_note.USAGE_FILE).write_text(text, encoding="latin-1")
    assert exit_note.with_usage(tmp_path, Exit(0)) == Exit(0)


def test_only_a_small_file_is_a_note(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text('{"cpu_s": 1}')
    (tmp_path / exit_note.USAGE_FILE).symlink_to(tmp_path / "elsewhere")
    assert exit_note.with_usage(tmp_path, Exit(0)) == Exit(0)
    (tmp_path / exit_note.USAGE_FILE).unlink()
    os.mkfifo(tmp_path / exit_note.USAGE_FILE)
    assert exit_note.with_usage(tmp_path, Exit(0)) == Exit(0)
