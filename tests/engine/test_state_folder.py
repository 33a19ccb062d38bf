"""The state folder: versions, lookups, the journal that only grows, the lock."""

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from pipeline.engine import database, schema
from pipeline.engine.lock import StateLock
from pipeline.engine.records import Run
from pipeline.engine.states import RunState
from pipeline.engine.store import Store
from pipeline.errors import Conflict, NotFound, StateError


def add(store: Store, run_id: str, **fields: Any) -> None:
    store.add_run(Run(run_id, "n", "p", RunState.PENDING, created=1.0, **fields), "text")


def test_a_run_survives_closing_and_opening(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    add(store, "abc", parameters={"é": [1]}, labels={"recipe": "x"}, reuse={"k": ("r", "k")}, forced=("k",))
    store.close()
    run = Store.open(tmp_path, read_only=True).run("abc")
    assert (run.parameters, run.labels, run.reuse, run.forced) == (
        {"é": [1]},
        {"recipe": "x"},
        {"k": ("r", "k")},
        ("k",),
    )


def test_a_closed_state_on_a_disk_that_cannot_be_written_is_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(tmp_path)
    add(store, "abc")
    store.close()
    monkeypatch.setattr(database.os, "access", lambda *_: False)
    assert Store.open(tmp_path, read_only=True).run("abc").name == "n"
    assert [path.name for path in tmp_path.iterdir()] == ["seamline.db"]  # no file of SQLite's was made beside it


def test_a_transaction_that_cannot_be_committed_leaves_the_store_usable(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    store._db.execute("PRAGMA max_page_count = 60")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        add(store, "big", labels={"text": "x" * 1_000_000})
    add(store, "small")
    assert [run.run_id for run in store.runs()] == ["small"]


def test_a_run_is_found_by_its_beginning_or_as_latest(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    for run_id in ("abc1", "abd2", "abd"):
        add(store, run_id)
    assert store.run("abc").run_id == "abc1"
    assert store.run("abd").run_id == "abd"  # an exact id wins over a beginning
    assert store.run("latest").run_id == "abd"
    with pytest.raises(NotFound, match="not unique: abc1, abd2, abd"):
        store.run("ab")
    with pytest.raises(NotFound, match="no run 'a%'"):
        store.run("a%")
    assert [r.run_id for r in store.runs(2)] == ["abd", "abd2"]


def test_a_newer_state_folder_is_refused_with_advice(tmp_path: Path) -> None:
    Store.open(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "seamline.db")
    connection.execute(f"PRAGMA user_version = {schema.newest() + 1}")
    connection.close()
    for read_only in (False, True):
        with pytest.raises(StateError, match="Update Seamline, or give another folder"):
            Store.open(tmp_path, read_only=read_only)


def test_looking_makes_no_state_folder(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="there is no state in"):
        Store.open(tmp_path / "none", read_only=True)
    assert not (tmp_path / "none").exists()


def test_a_new_folder_that_another_process_is_just_making_is_waited_for(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "seamline.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    done = threading.Timer(0.2, other.execute, ["COMMIT"])
    done.start()
    assert Store.open(tmp_path).runs() == []
    done.join()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "seamline.db").write_bytes(b"not a database, but long enough to look at" * 10)
    with pytest.raises(StateError, match="cannot be used"):
        Store.open(tmp_path)


def test_a_state_folder_under_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="cannot be used"):
        Store.open(tmp_path / "file" / "state")


@pytest.mark.parametrize("sql", ["UPDATE journal SET kind = 'x'", "DELETE FROM journal"])
def test_the_journal_only_grows(tmp_path: Path, sql: str) -> None:
    add(Store.open(tmp_path), "r")
    with pytest.raises(sqlite3.IntegrityError, match="the journal only grows"):
        sqlite3.connect(tmp_path / "seamline.db").execute(sql)


def test_an_illegal_move_changes_nothing_and_journals_nothing(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    add(store, "r")
    store.move_run("r", RunState.RUNNING, 2.0)
    store.move_run("r", RunState.SUCCEEDED, 3.0)
    before = store.events("r")
    with pytest.raises(Conflict):
        store.move_run("r", RunState.RUNNING, 4.0)
    assert store.events("r") == before
    assert store.run("r").ended == 3.0


def test_the_listener_hears_of_an_event_only_when_it_is_committed(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    store.listen(lambda event: seen.append(len(Store.open(tmp_path, read_only=True).events("r"))))
    seen: list[int] = []
    add(store, "r")
    store.request_stop("r", 2.0)
    assert seen == [1, 2]


def test_readers_see_a_consistent_state_while_somebody_writes(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    add(store, "r")
    reader = Store.open(tmp_path, read_only=True)
    with store.exclusive():
        assert reader.run("r").state is RunState.PENDING
        store.move_run("r", RunState.RUNNING, 2.0)
        assert reader.run("r").state is RunState.RUNNING


def test_the_lock_is_refused_to_a_second_holder_and_free_after_a_kill(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from pipeline.engine.lock import StateLock\n"
        f"StateLock(Path({str(tmp_path)!r})).acquire(); print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert holder.stdout and holder.stdout.readline() == "held\n"
    lock = StateLock(tmp_path)
    with pytest.raises(StateError, match=f"executing runs in process {holder.pid};"):
        lock.acquire()
    holder.kill()
    holder.wait()
    lock.acquire()
    lock.acquire()
    lock.release()
    with pytest.raises(StateError):
        StateLock(tmp_path).acquire()
    lock.release()
    StateLock(tmp_path).acquire()


def test_an_older_folder_is_brought_up_to_date_by_whoever_opens_it_even_only_to_look(tmp_path):
    first = tmp_path / "seamline.db"
    connection = sqlite3.connect(first)
    connection.executescript(schema.scripts()[1] + "PRAGMA user_version = 1;")
    connection.close()
    assert Store.open(tmp_path, read_only=True).runs() == []
    assert sqlite3.connect(first).execute("PRAGMA user_version").fetchone()[0] == schema.newest()
