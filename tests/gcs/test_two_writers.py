"""Two writers at a time: neither loses what it wrote, or the later one is told."""

import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from components.artifacts import champions, checkpoint, gcs, storage
from components.artifacts.champions import Candidate, Champion, Decision
from components.errors import Conflict

PROMOTED = Decision("promoted", "better")


def promote(root: str, name: str) -> None:
    champions.update(root, "sleeve", lambda c: c.with_decision(Candidate(name, "r", "m"), {"why": ""}, PROMOTED, "day"))


@pytest.fixture(params=["gs://", "a disk"])
def root(request, tmp_path):
    return f"{request.getfixturevalue('bucket')}/data" if request.param == "gs://" else str(tmp_path)


def test_of_many_promotions_at_once_none_is_lost(root):
    names = [f"e{number}" for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(promote, [root] * 6, names))
    found = champions.read(root, "sleeve")
    assert sorted(entry["challenger"]["ensemble"] for entry in found.history) == names
    assert [entry["number"] for entry in found.history] == [1, 2, 3, 4, 5, 6]
    assert found.current and found.current.ensemble == found.history[-1]["challenger"]["ensemble"]


def test_a_promotion_that_was_overtaken_is_decided_again_on_what_stands(bucket):
    champions_seen = []

    def slow(champion: Champion) -> Champion:
        champions_seen.append(champion.current and champion.current.ensemble)
        if len(champions_seen) == 1:
            promote(bucket, "faster")
        return champion.with_decision(Candidate("slow", "r", "m"), {"why": ""}, PROMOTED, "day")

    after = champions.update(bucket, "sleeve", slow)
    assert champions_seen == [None, "faster"]
    assert [entry["champion"] for entry in after.history] == ["", "faster"]


def test_a_decision_that_changes_nothing_writes_nothing(bucket):
    promote(bucket, "one")
    before = storage.entries(bucket)
    champions.update(bucket, "sleeve", lambda champion: champion)
    assert storage.entries(bucket) == before


def test_the_state_of_a_training_has_one_writer(bucket):
    folder = f"{bucket}/unfinished/task"
    first = checkpoint.save_state(folder, {"w": np.zeros(3)}, {"epoch": 1})
    found = checkpoint.load_state(folder)  # another attempt, on another machine
    assert found and found.version == first
    checkpoint.save_state(folder, {"w": np.ones(3)}, {"epoch": 2}, found.version)
    with pytest.raises(Conflict, match="another attempt at this training writes .*; it goes on, this one ends"):
        checkpoint.save_state(folder, {"w": np.zeros(3)}, {"epoch": 2}, first)
    after = checkpoint.load_state(folder)
    assert after and after.arrays["w"].tolist() == [1, 1, 1]


def test_an_attempt_that_was_thought_dead_does_not_bring_a_finished_training_back(bucket):
    folder = f"{bucket}/unfinished/task"
    version = checkpoint.save_state(folder, {}, {"epoch": 1})
    checkpoint.discard_state(folder)
    with pytest.raises(Conflict):
        checkpoint.save_state(folder, {}, {"epoch": 2}, version)
    assert checkpoint.load_state(folder) is None


def test_what_is_written_only_if_absent_is_written_once(bucket):
    go = threading.Barrier(8)

    def create(number: int) -> bool:
        go.wait()
        return gcs.create(f"{bucket}/a", io.BytesIO(f"{number}".encode()))

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(create, range(8)))
    assert won.count(True) == 1
    assert gcs.read(f"{bucket}/a")[0] == f"{won.index(True)}".encode()
    assert gcs.create(f"{bucket}/a", io.BytesIO(gcs.read(f"{bucket}/a")[0]))  # the same bytes again


def test_the_last_of_two_that_write_whatever_stands_wins(bucket):
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda n: storage.write_bytes(f"{bucket}/a", json.dumps(n).encode()), range(6)))
    assert json.loads(storage.read_bytes(f"{bucket}/a")) in range(6)
