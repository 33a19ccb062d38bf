"""`seamline gc`: what no run refers to goes; what a run or champion refers to stays, with all that it was made of."""

import errno
import json
import os
import time
import uuid
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from components import entry
from components.artifacts import champions, reference, storage
from components.artifacts.champions import Candidate, Champion, Decision
from components.errors import DataError
from pipeline import garbage
from pipeline.cli import main
from pipeline.engine.records import Attempt, Run
from pipeline.engine.run_pages import RunPages
from pipeline.engine.states import RunState, TaskState
from pipeline.engine.store import Store
from pipeline.errors import Conflict
from pipeline.recipe import STEPS

WEEK_S = 7 * 86_400.0


class Place:
    """A state folder, with shortcuts to what runs leave in it."""

    def __init__(self, folder: Path) -> None:
        self.store = Store.open(folder)
        self.root = str(folder / "data")

    def publish(self, kind: str, *parents: str) -> str:
        """A reference whose index names others."""
        with reference.draft(self.root, kind) as draft:
            (draft.folder / "bytes").write_bytes(b"x" * 100)
            return draft.commit({"number": uuid.uuid4().hex, "made of": list(map(reference.digest_of, parents))}, {})

    def run(self, *outputs: str, artifact: str = "", state: RunState = RunState.SUCCEEDED, **inputs: str) -> str:
        """A run whose task made these references and that artifact folder."""
        run_id = str(uuid.uuid4())
        self.store.add_run(Run(run_id, "r", "p", RunState.PENDING, parameters={"data_root": self.root}), "text")
        made = {"parameters": {f"o{i}": one for i, one in enumerate(outputs)}, "artifacts": {}}
        if artifact:
            uri = f"{self.store.directory}/artifacts/{artifact}/x.html"
            made["artifacts"] = {"x": [{"name": "x", "type": "system.HTML", "uri": uri, "digest": artifact}]}
            storage.write_bytes(uri, b"<p>")
        row = {"run_id": run_id, "key": "t", "label": "t", "name": "t", "kind": "task", "parent": "", "created": 1.0}
        row |= {"component": "comp-train", "state": "SUCCEEDED" if outputs else "FAILED"}
        row |= {"outputs_json": json.dumps(made), "inputs_json": json.dumps({"parameters": inputs, "artifacts": {}})}
        storage.write_bytes(f"{self.store.directory}/runs/{run_id}/t/attempt-1/log", b"said")
        with self.store.database.writing():
            self.store.database.insert("tasks", row)
        self.store.move_run(run_id, RunState.RUNNING, 1.0)
        if state is not RunState.RUNNING:
            self.store.move_run(run_id, state, 2.0)
        return run_id

    def delete(self, run_id: str) -> None:
        RunPages(self.store).delete(run_id, 3.0)

    def gc(self, keep_days: float = 7.0, later_s: float = 2 * WEEK_S) -> set[str]:
        """Removes garbage some time later, and returns the addresses."""
        found = garbage.find(self.store, [self.root], keep_days, time.time() + later_s)
        garbage.remove(found)
        return {one.address for one in found}

    def exists(self, made: str) -> bool:
        return storage.exists(storage.join(made, reference.INDEX))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "state")


def test_what_only_a_deleted_run_made_goes_and_so_do_its_folders(place: Place) -> None:
    kept, gone = place.publish("shards"), place.publish("shards")
    here, there = place.run(kept, artifact="a" * 64), place.run(gone, artifact="b" * 64)
    place.delete(there)
    folder = place.store.directory
    assert place.gc() == {gone, f"{folder}/runs/{there}", f"{folder}/artifacts/{'b' * 64}"}
    assert place.exists(kept) and not Path(gone).exists()
    assert (folder / "runs" / here / "t/attempt-1/log").exists() and (folder / "artifacts" / ("a" * 64)).exists()
    assert place.gc() == set()


def test_what_something_kept_was_made_of_is_kept_too(place: Place) -> None:
    shards = place.publish("shards")
    checkpoint = place.publish("checkpoints", shards)
    place.run(place.publish("predictions", checkpoint))
    assert place.gc() == set()
    assert place.exists(shards) and place.exists(checkpoint)


def test_a_champion_and_those_before_it_stay_although_their_runs_are_deleted(place: Place) -> None:
    champion = Champion("skirt")
    made = [[place.publish(kind) for kind in ("ensembles", "reports", "manifests")] for _ in range(2)]
    for one in made:
        candidate = Candidate(*map(reference.digest_of, one))
        champion = champion.with_decision(candidate, {}, Decision("promoted", "better"), "day")
        place.delete(place.run(*one))
    champions.write(place.root, champion)
    place.gc()
    assert all(map(place.exists, made[0] + made[1]))


def test_nothing_young_goes_whoever_refers_to_it(place: Place) -> None:
    stray = place.publish("shards")
    assert place.gc(later_s=WEEK_S - 60) == set()
    assert place.gc(later_s=WEEK_S + 60) == {stray}


def test_the_unfinished_work_of_a_task_that_may_be_retried_stays(place: Place) -> None:
    inputs = {"shards": "s", "attribute": {"name": "a"}, "model": {"name": "m"}, "data_root": place.root}
    place.run(state=RunState.FAILED, **inputs)
    own = entry.fingerprint("train", *entry.resolve(STEPS["train"], inputs))
    for name in (own, "f" * 32, "draft-shards-abc"):
        storage.write_bytes(f"{place.root}/unfinished/{name}/state", b"epoch 3")
    assert place.gc() == {f"{place.root}/unfinished/{name}" for name in ("f" * 32, "draft-shards-abc")}
    assert Path(place.root, "unfinished", own, "state").exists()


def test_half_removed_references_go_the_next_time(place: Place) -> None:
    stray = place.publish("shards")
    os.unlink(f"{stray}/index.json")
    assert place.gc() == {stray}


def test_a_run_whose_tasks_may_still_run_stops_it(place: Place) -> None:
    run_id = place.run(state=RunState.RUNNING)
    with place.store.database.writing():
        place.store.database.update("tasks", {"state": "PENDING"}, {"run_id": run_id})
    place.store.begin_attempt(Attempt(run_id, "t", 1, TaskState.RUNNING, "/x", started=1.0))
    with pytest.raises(Conflict, match="its tasks may still run; `seamline retry` or `seamline terminate` it first"):
        place.gc()


def test_a_logs_home_stays_as_long_as_a_run_reuses_what_was_made_there(place: Place) -> None:
    made = place.publish("shards")
    origin, user = place.run(made), place.run(made)
    with place.store.database.writing():
        place.store.database.update("tasks", {"origin_json": json.dumps([origin, "t"])}, {"run_id": user})
    place.delete(origin)
    assert place.gc() == set()


def seamline(*arguments: object) -> object:
    return CliRunner().invoke(main, ["gc", *map(str, arguments)])


def test_the_command_tells_sizes_first_and_does_it_then(place: Place) -> None:
    stray, how = place.publish("shards"), ("--state", place.store.directory, "--keep-days", 0)
    told = seamline(*how, "--dry-run", "--json")
    (one,) = json.loads(told.stdout)["garbage"]
    assert (one["kind"], one["address"], one["size"] > 100, place.exists(stray)) == ("shards", stray, True, True)
    done = seamline(*how)
    assert (done.exit_code, "shards            1" in done.stdout, place.exists(stray)) == (0, True, False)
    assert seamline(*how).stdout == "nothing to remove\n"


def stubborn(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Files of these names stay, as on a volume that has become read-only, where not even root may remove them."""
    unlink = os.unlink

    def refusing(path: str, *, dir_fd: int | None = None) -> None:
        if os.path.basename(path) in names:
            raise OSError(errno.EROFS, "Read-only file system", path)
        unlink(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", refusing)


def test_what_cannot_be_removed_is_named_and_the_rest_goes(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = place.publish("shards"), place.publish("checkpoints")
    Path(one, "held").write_text("x")
    stubborn(monkeypatch, "held")
    told = seamline("--state", place.store.directory, "--keep-days", 0)
    assert told.exit_code == 1
    assert told.stderr == f"not removed: {one}/held: Read-only file system\n"
    assert "checkpoints       1" in told.stdout and "shards" not in told.stdout
    assert not Path(other).exists() and os.listdir(one) == ["held"]


def test_a_reference_whose_index_stays_stays_whole(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    stray = place.publish("shards")
    stubborn(monkeypatch, "index.json")
    told = json.loads(seamline("--state", place.store.directory, "--keep-days", 0, "--json").stdout)
    assert (told["garbage"], told["bytes"]) == ([], 0)
    (stayed,) = told["not_removed"]
    assert (stayed["address"], stayed["reason"]) == (stray, f"{stray}/index.json: Read-only file system")
    assert sorted(os.listdir(stray)) == ["bytes", "index.json"]


def test_a_bucket_that_refuses_is_named_too(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(uri: str, first: str = "") -> None:
        raise DataError(f"{uri} may not be removed")

    monkeypatch.setattr(storage, "remove_folder", refuse)
    found = [garbage.Garbage("shards", "gs://bucket/shards/a", 5)]
    assert garbage.remove(found) == [(found[0], "gs://bucket/shards/a may not be removed")]


def test_a_served_state_folder_is_refused(place: Place) -> None:
    with place.store.exclusive(serving=True):
        refused = seamline("--state", place.store.directory)
    assert (refused.exit_code, "is served by process" in refused.stderr) == (2, True)


def test_a_data_root_that_others_may_use_is_left_alone_unless_it_is_named(place: Place, tmp_path: Path) -> None:
    outside = Place(tmp_path / "elsewhere")
    stray = outside.publish("shards")
    run = Run("r1", "r", "p", RunState.PENDING, parameters={"data_root": outside.root})
    place.store.add_run(run, "text")
    how = ("--state", place.store.directory, "--keep-days", 0)
    assert f"left alone: {outside.root}" in seamline(*how).stdout and outside.exists(stray)
    assert seamline(*how, "--data-root", outside.root).exit_code == 0 and not outside.exists(stray)
    refused = seamline(*how, "--data-root", tmp_path / "nowhere")
    assert (refused.exit_code, "is not a folder" in refused.stderr) == (2, True)


def test_on_gs_the_same_goes_and_stays(tmp_path: Path, gcs_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from google.cloud import storage as client

    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_server)
    bucket = f"garbage-{uuid.uuid4().hex[:8]}"
    from google.auth.credentials import AnonymousCredentials

    client.Client(project="test", credentials=AnonymousCredentials()).create_bucket(bucket)
    place = Place(tmp_path / "state")
    place.root = f"gs://{bucket}/data"
    shards, stray = place.publish("shards"), place.publish("shards")
    place.run(place.publish("checkpoints", shards))
    assert place.gc(later_s=0) == set()
    assert place.gc() == {stray}
    assert place.exists(shards) and not place.exists(stray)


@settings(max_examples=20, deadline=None)
@given(
    parents=st.lists(st.sets(st.integers(0, 7), max_size=3), min_size=1, max_size=8),
    made=st.lists(st.tuples(st.sets(st.integers(0, 7)), st.booleans()), max_size=4),
    crowned=st.sets(st.integers(0, 7), max_size=2),
)
def test_after_gc_every_reference_of_every_run_and_champion_still_resolves(
    tmp_path_factory: pytest.TempPathFactory,
    parents: list[set[int]],
    made: list[tuple[set[int], bool]],
    crowned: set[int],
) -> None:
    place = Place(tmp_path_factory.mktemp("gc") / "state")
    references: list[str] = []
    for number, above in enumerate(parents):
        of = [references[one] for one in above if one < number]
        references.append(place.publish(reference.KINDS[number % len(reference.KINDS)], *of))
    needed: set[str] = {references[i] for i in crowned if i < len(references)}
    champion = Champion("skirt")
    for one in sorted(needed):
        champion = champion.with_decision(Candidate(reference.digest_of(one), "r", "m"), {}, Decision("kept", ""), "")
    champions.write(place.root, champion)
    for outputs, is_deleted in made:
        own = [references[i] for i in outputs if i < len(references)]
        run_id = place.run(*own)
        if is_deleted:
            place.delete(run_id)
        else:
            needed |= set(own)
    for number in reversed(range(len(references))):  # parents come before what is made of them
        if references[number] in needed:
            needed |= {references[one] for one in parents[number] if one < number}
    place.gc()
    assert {one for one in references if place.exists(one)} == needed
    place.store.close()
