"""What README shows is what the commands print; only numbers may differ."""

import os
import re
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def shown(command: str) -> str:
    """The block of README that begins with `$ command`, without that line."""
    blocks = re.findall(r"```text\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    return next(block.partition("\n")[2] for block in blocks if block.startswith(f"$ {command}\n"))


def shape(text: str) -> list[str]:
    """Lines without what differs from run to run and from machine to machine: numbers, digests, widths."""
    lines = re.sub(r"\b[0-9a-f]{8,32}\b", "#", text).splitlines()
    lines = [re.sub(r"\d+(\.\d+)? (h|min|s)\b( \d+ (min|s)\b)?", "TIME", line) for line in lines]
    lines = [re.sub(r"\d[\d,.]*", "#", line) for line in lines]
    return [re.sub(r"\s+", " ", line).strip() for line in lines if line.strip()]


def demo(state: Path) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "MAKEFLAGS"}
    command = ["make", "--no-print-directory", "demo", f"STATE={state}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment, timeout=900)


@pytest.fixture(scope="module")
def state():
    """A folder below the project, as README's is, so that paths print alike."""
    folder = ROOT / "build" / f"readme-{os.getpid()}"
    yield folder
    subprocess.run(["rm", "-rf", str(folder)], check=True)


@pytest.mark.slow
@pytest.mark.timeout(1000)
def test_make_demo_prints_what_readme_shows_and_the_second_time_takes_seconds(state):
    first = demo(state)
    assert first.returncode == 0, first.stdout + first.stderr
    printed = first.stdout.replace(str(state.relative_to(ROOT)), ".seamline")
    assert shape(printed) == shape(shown("make demo"))

    started = time.monotonic()
    second = demo(state)
    assert "1 tasks ran, 41 reused" in second.stdout
    assert time.monotonic() - started < 60


def test_the_summary_shown_for_make_test_is_one_of_a_run_that_passed():
    assert re.fullmatch(r"\d+ passed(, \d+ \w+)* in [\d.]+s( \([\d:]+\))?", shown("make test").splitlines()[-1])


def test_every_seamline_command_that_readme_names_exists():
    from pipeline.cli import main

    text = (ROOT / "README.md").read_text()
    named = set(re.findall(r"seamline ([a-z][a-z-]+)", text))
    listed = re.findall(r"^seamline (.+?)(?:  |$)", text, re.M)
    named |= {word for line in listed for word in re.findall(r"(?:^|\| )([a-z-]+)", line)}
    assert named - set(main.commands) == set()
    assert set(main.commands) - named == set()


def test_every_make_target_that_readme_names_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"make ([a-z-]+)", (ROOT / "README.md").read_text())) <= targets
