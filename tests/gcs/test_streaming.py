"""Shards on gs:// pass through a cache that is smaller than they are; what is read is what a disk would give."""

import re
import time
from dataclasses import replace

import numpy as np
import pytest

from components.artifacts import cache as caches
from components.artifacts import reference, shards
from components.errors import DataError, Unreachable
from components.vision import view_index
from tests.gcs.fault_proxy import Fault, damaged, status

SIDE, PER_SHARD = 64, 10
SHARD_BYTES = PER_SHARD * (2 * SIDE**2 * 3 + 300)  # two views of raw pixels each; a little more than it takes


def picture(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


def publish(root: str, pictures: int = 100) -> str:
    with reference.draft(root, shards.KIND) as draft:
        with shards.Writer(draft.folder, "pool-r1", PER_SHARD) as writer:
            for n in range(pictures):
                views = {"plain": picture(n).tobytes(), "flip": picture(n)[:, ::-1].tobytes()}
                writer.write(shards.Record(f"{n}.jpg", "", 1.0, n, -1, 1, SIDE, SIDE, views))
            groups = {"pool-r1": writer.close()}
        about = {"schema": 1, "groups": groups, "views": ["plain", "flip"], "encoding": "raw", "size_px": SIDE}
        return draft.commit(about, {})


@pytest.fixture
def cache_of(monkeypatch):
    """Makes the cache so many shards large."""

    def limited(num_shards: float) -> None:
        own = replace(caches.cache(), limit=int(num_shards * SHARD_BYTES))
        monkeypatch.setattr(caches, "cache", lambda: own)
        monkeypatch.setattr(shards, "cache", lambda: own)

    return limited


def in_cache() -> int:
    return sum(path.stat().st_size for path in caches.cache().folder.rglob("*") if path.is_file())


def pixels(found: view_index.Records, rows: np.ndarray, views: np.ndarray) -> np.ndarray:
    made = view_index.decode(found, rows, views, threads=3)
    assert in_cache() <= caches.cache().limit
    return made


def expected(rows: np.ndarray, views: np.ndarray) -> np.ndarray:
    return np.stack([picture(r)[:, ::-1] if v else picture(r) for r, v in zip(rows, views, strict=True)])


def shuffled(seed: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.default_rng(seed)
    return chance.integers(0, 100, size), chance.integers(0, 2, size)


def test_in_order_every_shard_is_fetched_once_through_a_cache_of_three(faulty, proxy, cache_of):
    made = publish(f"{faulty}/data")
    cache_of(3)
    proxy.play()
    found = view_index.find(made, ["pool-r1"], ["plain", "flip"])
    assert list(found.image_id) == [f"{n}.jpg" for n in range(100)] and in_cache() <= caches.cache().limit
    assert sum(name.kind == "download" and "tfrecord" in name.name for name in proxy.seen) == 10
    rows, views = np.repeat(np.arange(100), 2), np.tile([0, 1], 100)
    for part in np.array_split(np.arange(200), 20):
        assert np.array_equal(pixels(found, rows[part], views[part]), expected(rows[part], views[part]))


def test_shuffled_over_more_than_the_cache_holds_pictures_are_read_one_by_one(faulty, proxy, cache_of):
    made = publish(f"{faulty}/data")
    cache_of(3)
    found = view_index.find(made, ["pool-r1"], ["plain", "flip"])
    proxy.play()
    for seed in range(3):
        rows, views = shuffled(seed, 30)
        assert np.array_equal(pixels(found, rows, views), expected(rows, views))
    record = 2 * SIDE**2 * 3 + 300
    assert proxy.seen and all(seen.bytes_down <= record for seen in proxy.seen)


def test_shuffled_over_what_the_cache_holds_every_shard_is_fetched_once(faulty, proxy, cache_of):
    made = publish(f"{faulty}/data")
    cache_of(11)
    found = view_index.find(made, ["pool-r1"], ["plain", "flip"])
    proxy.play()
    for seed in range(3):
        rows, views = shuffled(seed, 30)
        assert np.array_equal(pixels(found, rows, views), expected(rows, views))
    assert proxy.seen == []


def test_a_picture_read_alone_is_checked_too(faulty, proxy, cache_of):
    made = publish(f"{faulty}/data")
    cache_of(1.2)
    found = view_index.find(made, ["pool-r1"], ["plain"])
    proxy.play(Fault("download", answer=damaged))
    with pytest.raises(Unreachable, match=r"the record of 5.jpg arrived damaged; try again"):
        view_index.decode(found, np.array([5, 3]), np.array([0, 0]), threads=1)


def test_a_shard_that_is_damaged_on_the_way_never_gets_into_the_cache(faulty, proxy, cache_of):
    made = publish(f"{faulty}/data", pictures=PER_SHARD)
    cache_of(3)
    for fault in (
        Fault("download", 9, "tfrecord", answer=damaged),
        Fault("download", 9, "tfrecord", instead=status(404)),
    ):
        proxy.play(fault)
        with pytest.raises((Unreachable, DataError)):
            view_index.find(made, ["pool-r1"], [])
        assert in_cache() == 0
    proxy.play()
    assert len(view_index.find(made, ["pool-r1"], [])) == PER_SHARD


def test_a_shard_of_another_length_is_refused_before_it_is_fetched(faulty, proxy, cache_of):
    made = publish(f"{faulty}/data", pictures=PER_SHARD)
    cache_of(3)
    name = re.escape("pool-r1-00000-of-00001.tfrecord")

    def shorter(answer):
        total = int(answer.headers["Content-Range"].rpartition("/")[2])
        headers = answer.headers | {"Content-Range": f"bytes 0-{total - 2}/{total - 1}"}
        return type(answer)(answer.status, headers, answer.body[:-1])

    proxy.play(Fault("download", 1, "tfrecord", answer=shorter))
    with pytest.raises(DataError, match=f"{name} has .* bytes, not .* as written"):
        view_index.find(made, ["pool-r1"], [])


def test_the_next_shards_are_fetched_while_one_is_read(faulty, proxy, cache_of):
    made = publish(f"{faulty}/data")
    cache_of(11)
    files = shards.group_files(made, ["pool-r1"])
    reading = shards.opened(files)
    next(reading)
    for _ in range(500):
        if all(shard.is_at_hand for shard in files[1:5]):
            break
        time.sleep(0.01)
    assert [shard.is_at_hand for shard in files] == [True] * 5 + [False] * 5
    reading.close()
