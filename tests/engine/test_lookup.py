"""From a reference back to the run that made it, also in a folder whose texts SQLite does not take for JSON."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.engine.lookup import Lookup
from pipeline.engine.records import Run
from pipeline.engine.states import RunState
from pipeline.engine.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path)


def add_run(store: Store, name: str, **parameters: Any) -> None:
    store.add_run(Run(name, name, "p", RunState.SUCCEEDED, parameters=parameters), "text")


def add_task(
    store: Store, run_id: str, ended: float = 1.0, cached: int = 0, kind: str = "task", **outputs: Any
) -> None:
    row = {"run_id": run_id, "key": kind, "label": "x", "name": "x", "kind": kind, "parent": "", "component": "c"}
    text = json.dumps({"parameters": outputs, "artifacts": {}})
    done = {"state": "SUCCEEDED", "created": ended, "ended": ended, "cached": cached, "outputs_json": text}
    with store.database.writing():
        store.database.insert("tasks", row | done)


def test_the_first_task_that_really_made_a_report_is_its_maker(store: Store) -> None:
    for name, ended, cached in (("late", 9.0, 0), ("first", 3.0, 0), ("reused", 1.0, 1)):
        add_run(store, name)
        add_task(store, name, ended, cached, report="/data/reports/1")
    maker = Lookup(store).reported_by("/data/reports/1")
    assert maker is not None and maker.run_id == "first"
    assert Lookup(store).reported_by("/data/reports/2") is None


def test_a_deleted_run_made_nothing_and_has_no_pictures(store: Store) -> None:
    add_run(store, "gone")
    add_task(store, "gone", report="/r", manifest="/m")
    with store.database.writing():
        store.database.update("runs", {"deleted": 5.0}, {"run_id": "gone"})
    assert Lookup(store).reported_by("/r") is None and Lookup(store).with_manifest(5) == []


def test_runs_with_a_manifest_come_the_newest_first_once_each(store: Store) -> None:
    for number, name in enumerate(("one", "two", "without")):
        add_run(store, name)
        outputs = {} if name == "without" else {"manifest": f"/{name}"}
        add_task(store, name, float(number), **outputs)
        add_task(store, name, float(number), kind="loop", **outputs)
    assert [(one.run.run_id, one.manifest) for one in Lookup(store).with_manifest(5)] == [
        ("two", "/two"),
        ("one", "/one"),
    ]
    assert len(Lookup(store).with_manifest(1)) == 1


def test_data_roots_are_named_once_and_empty_ones_not_at_all(store: Store) -> None:
    for number, root in enumerate(("/b", "gs://a", "/b", "")):
        add_run(store, f"run{number}", data_root=root)
    add_run(store, "none")
    assert Lookup(store).data_roots() == ["/b", "gs://a"]


def test_numbers_that_are_no_json_stop_nobody_from_writing(store: Store) -> None:
    add_run(store, "odd", share=float("nan"))
    add_task(store, "odd", manifest="/m", loss=float("nan"))
    assert store.run("odd").parameters["share"] != store.run("odd").parameters["share"]
    assert Lookup(store).with_manifest(5) == []
