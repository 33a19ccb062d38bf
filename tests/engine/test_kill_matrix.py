"""kill -9 of the engine and of tasks, wherever they can die: docs/kill-matrix.md shows the places, this is the proof.

The places are listed by a run that nobody disturbs (see `kill_driver`), so an engine that does more has more of them.
For each, a run is disturbed there and taken up again, and everything that `kill_inquest` knows must hold of what is
left: the same bytes as without the kill, no committed task run twice, only legal moves, no process left alive.
"""

import collections
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.engine.kill_lab import Kill, Lab, Trial

PAGE = Path(__file__).parents[2] / "docs/kill-matrix.md"
TOGETHER = 2
PATIENCE_S = 1800  # minutes where nobody else needs the machine
_KEY = r"(?:for-loop-2(?:\(\d\))?|condition-3)?/?(?:begin(?:-\d)?|flaky|make|gather|importer)?"
# Whether the states of two groups change in one transaction or in two depends on who ends first.
OF_GROUPS = re.compile(r"commit: before task (?:for-loop-2(?:\(\d\))?|condition-3) ")
KINDS = (
    (r"folder runs/RUN/.+/attempt-\d.* is made", "folder of an attempt is made"),
    (r"folder (?:runs|artifacts)\b.* is made", "folder of a run, a task or an artifact is made"),
    (r"runs/RUN/.+/attempt-\d/artifacts/\w+$", "an artifact"),
    (r"runs/RUN/.+/attempt-\d/", ""),
    (r"runs/RUN/.+/attempt-\d$", "an attempt"),
    (rf" {_KEY}(?: \d)? ([A-Z]+|begun)$", r" \1"),
)
PHASED = ("begin", "flaky", "for-loop-2(0)/make")
LAST_OF_WORK = "the command has written its outputs"
VICTIMS = ("command", "supervisor", "session", "machine")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("kills"))


def trials(lab: Lab, kills: Iterable[Kill]) -> dict[Kill, Trial]:
    """Some at a time: a trial waits more than it computes."""
    listed = list(kills)
    with ThreadPoolExecutor(TOGETHER) as pool:
        return dict(zip(listed, pool.map(lab.trial, listed), strict=True))


def wrong(found: Mapping[Kill, Trial]) -> dict[Kill, tuple[str, ...]]:
    return {kill: trial.wrong for kill, trial in found.items() if trial.wrong}


def kind_of(point: str) -> str:
    """A point without the names of tasks and the number of its repetition: a row of the page."""
    plain = re.sub(r" #\d+$", "", point)
    for pattern, name in KINDS:
        plain = re.sub(pattern, name, plain)
    return plain


def engine_table(points: list[str]) -> str:
    """Where an engine dies, and how many points there are of each kind."""
    counts = collections.Counter(kind_of(point) for point in points if not OF_GROUPS.match(point))
    rows = [f"| {kind} | {n} |" for kind, n in sorted(counts.items())]
    rows += ["| commit: before the states of groups | 3 to 5 |", f"| all but the last | {counts.total()} |"]
    return "\n".join(["| the engine dies | points |", "|---|---|", *rows])


def phases(points: list[str]) -> list[str]:
    """The phases of a task, in order of time, without its name; that of the task that writes a folder in its place."""
    ordered = [p.partition(": ")[2] for key in PHASED for p in points if p.partition(": ")[0] == key]
    folders = [phase for phase in dict.fromkeys(ordered) if phase.endswith("folder")]
    found = [phase for phase in dict.fromkeys(ordered) if phase not in folders]
    last = found.index(LAST_OF_WORK)
    return [*found[:last], *folders, *found[last:]]


def victims_of(phase: str, key: str) -> tuple[str, ...]:
    """Who can die there: a command only in its own phases; the whole machine is tried with one task."""
    able = VICTIMS if phase.startswith("the command") else VICTIMS[1:]
    return able if key == "begin" else able[:-1]


def task_kills(points: list[str]) -> list[Kill]:
    """Every phase of three tasks (a plain one, one with a retry policy, one that writes a folder) and every victim."""
    keyed = [(p, *p.partition(": ")[::2]) for p in points]
    return [Kill(task=p, whom=whom) for p, key, phase in keyed if key in PHASED for whom in victims_of(phase, key)]


def task_table(points: list[str], found: Mapping[Kill, Trial]) -> str:
    """What comes of a kill in each phase: is the attempt kept, or repeated? A task that fails at first says nothing."""
    head = "| the task is killed when | command | supervisor | both | both and the engine |"
    cells = collections.defaultdict(set)
    for kill, trial in found.items():
        key, _, phase = kill.task.partition(": ")
        if key != "flaky":
            cells[phase, kill.whom].add("repeated" if len(trial.attempts[key]) > 1 else "kept")
    rows = []
    for phase in phases(points):
        told = [" or ".join(sorted(cells[phase, whom])) or "-" for whom in VICTIMS]
        rows.append(f"| {phase} | {' | '.join(told)} |")
    return "\n".join([head, "|---|---|---|---|---|", *rows, f"| kills, all in all: {len(found)} | | | | |"])


def part(name: str) -> str:
    """A generated part of the page."""
    found = re.search(rf"<!-- generated: {name} -->\n(.*?)\n<!-- end: {name} -->", PAGE.read_text(), re.DOTALL)
    assert found, f"docs/kill-matrix.md has no part {name!r}"
    return found[1]


def check_part(name: str, text: str, update: bool) -> None:
    """Compares a part with what was seen, or rewrites it."""
    if update:
        marked = f"<!-- generated: {name} -->\n{part(name)}\n"
        PAGE.write_text(PAGE.read_text().replace(marked, f"<!-- generated: {name} -->\n{text}\n"))
    assert part(name) == text, f"docs/kill-matrix.md is behind: pytest {Path(__file__).name} -m '' --update-golden"


def test_the_page_lists_every_place_where_an_engine_can_die(lab: Lab, update_golden: bool) -> None:
    check_part("engine", engine_table(lab.points), update_golden)


def test_the_page_lists_every_phase_of_a_task(lab: Lab) -> None:
    listed = re.findall(r"^\| (the (?:command|supervisor) .+?) \|", part("tasks"), re.MULTILINE)
    assert listed == phases(lab.task_points)


def test_a_few_kills_lose_nothing(lab: Lab) -> None:
    found = trials(
        lab,
        [
            Kill(("journal: after task begin SUCCEEDED",)),
            Kill(("commit: before attempt for-loop-2(0)/make 1 SUCCEEDED",)),
            Kill(task="flaky: the supervisor ends its session", whom="supervisor"),
            Kill(task="begin: the command is half through an artifact", whom="machine"),
        ],
    )
    assert not wrong(found)


@pytest.mark.slow
@pytest.mark.timeout(PATIENCE_S)
def test_no_kill_of_the_engine_loses_repeats_or_changes_anything(lab: Lab) -> None:
    found = trials(lab, (Kill((point,), fewer=bool(OF_GROUPS.match(point))) for point in lab.points))
    assert not wrong(found)
    assert not [kill for kill, trial in found.items() if trial.repeated]


@pytest.mark.slow
@pytest.mark.timeout(PATIENCE_S)
def test_no_kill_of_a_task_loses_or_changes_anything(lab: Lab, update_golden: bool) -> None:
    found = trials(lab, task_kills(lab.task_points))
    assert not wrong(found)
    assert {k.task for k, t in found.items() if set(t.repeated) - {k.task.partition(": ")[0]}} == set()
    check_part("tasks", task_table(lab.task_points, found), update_golden)


@pytest.mark.slow
@pytest.mark.timeout(PATIENCE_S)
@pytest.mark.parametrize("key", ["begin", "flaky", "for-loop-2(0)/make", "for-loop-2(1)/make", "gather"])
def test_a_task_that_outlives_its_engine_is_adopted_and_runs_once(lab: Lab, key: str) -> None:
    trial = lab.trial(Kill((f"process: after the release of runs/RUN/{key}/attempt-1",), held=(key,)))
    assert (trial.wrong, trial.repeated) == ((), ())
    assert key in trial.adopted


@pytest.mark.slow
@pytest.mark.timeout(PATIENCE_S)
@pytest.mark.parametrize("lines", [6, 9, 14])
def test_a_run_whose_engines_all_die_after_a_few_lines_of_journal_still_ends(lab: Lab, lines: int) -> None:
    trial = lab.trial(Kill((f"event {lines}",) * 100, fewer=True))
    assert (trial.wrong, trial.repeated) == ((), ())
    assert trial.deaths > 2


STOPPED = Kill(stop="attempt flaky 1 begun", held=("begin", "flaky"), fewer=True)


@pytest.mark.slow
@pytest.mark.timeout(PATIENCE_S)
def test_no_kill_while_a_run_is_stopped_and_retried_loses_or_changes_anything(lab: Lab) -> None:
    stopping, retrying, *_ = lab.points_of(STOPPED)
    stopping = stopping[stopping.index("journal: after stop requested") :]
    retrying = retrying[: retrying.index("journal: after run RUNNING") + 1]
    kills = [replace(STOPPED, engines=(point,)) for point in stopping]
    found = trials(lab, [*kills, *(replace(STOPPED, engines=("", point)) for point in retrying)])
    assert not wrong(found)
    assert {"journal: after run CANCELED", "journal: after task begin CANCELED"} <= set(stopping)
    assert "journal: after retry" in retrying
    assert all(trial.deaths == 1 for kill, trial in found.items() if "" in kill.engines)
