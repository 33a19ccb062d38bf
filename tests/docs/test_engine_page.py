"""docs/engine.md has the states and their moves, the parts of a cache key and the state folder of the code."""

import re
import sqlite3
from enum import StrEnum
from pathlib import Path

import pytest

from pipeline.engine import fingerprint, ir, states
from pipeline.engine.lock import FILE as LOCK
from pipeline.engine.states import RunState, TaskState
from pipeline.engine.store import FILE, Store
from pipeline.engine.tools import Pace
from pipeline.engine.values import Values
from pipeline.errors import Conflict

PAGE = (Path(__file__).parents[2] / "docs/engine.md").read_text(encoding="utf-8")


def tables(head: str) -> list[list[list[str]]]:
    """All tables whose first column has this head: rows of cells."""
    found = re.findall(rf"^\| {head} \|.*\n\|[-|]+\|\n((?:^\|.*\n)+)", PAGE, re.MULTILINE)
    return [[[cell.strip() for cell in line.strip("|").split("|")] for line in body.splitlines()] for body in found]


def is_legal(old: StrEnum, new: StrEnum) -> bool:
    check = states.check_run_move if isinstance(old, RunState) else states.check_task_move
    try:
        check(old, new)
    except Conflict:
        return False
    return True


@pytest.mark.parametrize(("number", "kind"), enumerate([RunState, TaskState]))
def test_the_states_and_their_moves_are_those_of_the_engine(number, kind):
    shown = {row[0].strip("`"): re.findall(r"`(\w+)`", row[2]) for row in tables("state")[number]}
    assert shown == {str(old): sorted(str(new) for new in kind if is_legal(old, new)) for old in kind}


def test_the_parts_of_a_cache_key_are_those_on_the_page():
    component = ir.Component("c", {}, {}, {}, {})
    found = fingerprint.fingerprint(component, ir.Container("i", ("x",), (), {}, {}), Values(), "")
    assert [row[0].strip("`") for row in tables("part")[0]] == list(found.parts)


def test_the_explanations_of_a_miss_are_those_on_the_page():
    before = {"command": ["python", "-m", "components.train"], "code": "a", "outputs": {}, "artifacts": {"x": "1"}}
    after = before | {"code": "b", "artifacts": {"x": "2"}}
    told = fingerprint.differences(before | {"parameters": {"epochs": 3}}, after | {"parameters": {"epochs": 4}})
    assert [line for line in told if line not in PAGE] == []
    assert str(fingerprint.Explanation(False)) in PAGE


def test_the_state_folder_has_the_files_and_tables_on_the_page(tmp_path):
    store = Store.open(tmp_path)
    with store.exclusive():
        listed = " ".join(row[0] for row in tables("path")[0])
        assert f"`{FILE}`" in listed and f"`{LOCK}`" in listed
        assert {path.name.removesuffix("-wal").removesuffix("-shm") for path in tmp_path.iterdir()} == {FILE, LOCK}
    with sqlite3.connect(tmp_path / FILE) as database:
        found = database.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
        named = re.search(r"The tables of the database are (.*?)\. ", PAGE, re.DOTALL)
        assert sorted(re.findall(r"`(\w+)`", named[1])) == sorted(name for (name,) in found)


def test_the_grace_time_is_the_one_on_the_page():
    assert f"kill them after {Pace().grace_s:g} seconds" in PAGE
