"""The local cache of objects: bounded, right, safe for several processes, whole after a kill."""

import fcntl
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.artifacts import cache as caches
from components.artifacts.cache import Cache
from components.errors import DataError, Unreachable

LIMIT = 1000


def content(uri: str, size: int) -> bytes:
    return random.Random(uri).randbytes(size)


def taken(folder: Path) -> int:
    """Bytes in the cache at one moment, downloads under way counted with the room they have taken."""
    with open(folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        total = 0
        for path in (Path(place, name) for place, _, names in os.walk(folder) for name in names):
            with suppress(FileNotFoundError):  # a download that has just failed
                total += path.stat().st_size
        return total


class Store:
    """Objects whose size stands in their name; looks at the cache with every byte that it hands out."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.downloads, self.most = folder, 0, 0
        self.cache = Cache(folder, LIMIT, self.size, self.download)

    def size(self, uri: str) -> int:
        return int(uri.rpartition("-")[2])

    def download(self, uri: str, file: BinaryIO, size: int) -> None:
        self.downloads += 1
        file.write(content(uri, size))
        self.most = max(self.most, taken(self.folder))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


def read(store: Store, name: str) -> bytes:
    with store.cache.open("gs://b/shards/d1", name) as file:
        return file.read()


@pytest.fixture(scope="module")
def unsynced() -> Iterator[None]:
    """Hundreds of small files: nobody pulls the plug in this test, so none waits for the disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from([1, 90, 250, 400, 1000]), st.booleans()), max_size=30))
def test_it_never_exceeds_its_limit_and_always_returns_the_right_bytes(unsynced, tmp_path_factory, asked) -> None:
    store = Store(tmp_path_factory.mktemp("cache"))
    for digest, size, by_name in asked:
        reference, name = f"gs://b/shards/d{digest}", f"s-{size}"
        if by_name:
            found = store.cache.path(reference, name).read_bytes()
        else:
            with store.cache.open(reference, name) as file:
                found = file.read()
        assert found == content(f"{reference}/{name}", size)
        assert taken(store.folder) <= LIMIT
    assert store.most <= LIMIT
    caches._let_go(0)


def test_what_is_there_is_not_downloaded_again(store: Store) -> None:
    assert read(store, "a-300") == read(store, "a-300")
    assert store.downloads == 1


def test_what_was_used_longest_ago_goes_first(store: Store) -> None:
    for name in ("a-300", "b-300", "c-300", "a-300", "d-300"):
        read(store, name)
    assert [store.cache.holds("gs://b/shards/d1", f"{n}-300") for n in "abcd"] == [True, False, True, True]


def test_what_is_open_stays(store: Store) -> None:
    with store.cache.open("gs://b/shards/d1", "a-600") as file:
        read(store, "b-300")
        read(store, "c-300")
        assert store.cache.holds("gs://b/shards/d1", "a-600")
        assert file.read() == content("gs://b/shards/d1/a-600", 600)
    read(store, "d-500")
    assert not store.cache.holds("gs://b/shards/d1", "a-600")


def test_a_path_that_was_handed_out_stays_until_its_room_is_needed(store: Store) -> None:
    path = store.cache.path("gs://b/shards/d1", "a-600")
    read(store, "b-300")
    assert path.read_bytes() == content("gs://b/shards/d1/a-600", 600)
    read(store, "c-900")
    assert not path.exists()


def test_a_cache_full_of_files_in_use_says_so(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caches, "_PATIENCE_S", 0.1)
    with (
        store.cache.open("gs://b/shards/d1", "a-600"),
        pytest.raises(Unreachable, match="full of files in use and 500 bytes do not fit; raise SEAMLINE_CACHE_MB"),
    ):
        read(store, "b-500")
    assert read(store, "b-500") == content("gs://b/shards/d1/b-500", 500)


def test_what_is_larger_than_the_cache_is_refused_before_it_is_downloaded(store: Store) -> None:
    with pytest.raises(DataError, match="has 1,001 bytes, the cache .* may take 1,000; raise SEAMLINE_CACHE_MB"):
        read(store, "a-1001")
    assert store.downloads == 0


def test_a_download_that_fails_leaves_nothing(store: Store) -> None:
    def broken(uri: str, file: BinaryIO, size: int) -> None:
        file.write(b"half")
        raise Unreachable("cut")

    with pytest.raises(Unreachable, match="cut"):
        Cache(store.folder, LIMIT, store.size, broken).open("gs://b/shards/d1", "a-900")
    assert taken(store.folder) == 0
    assert read(store, "a-900") == content("gs://b/shards/d1/a-900", 900)


def test_two_files_of_one_name_in_two_references_are_two(store: Store) -> None:
    with store.cache.open("gs://b/shards/one", "x/a-10") as one, store.cache.open("gs://b/shards/two", "x/a-10") as two:
        assert one.read() != two.read()


@pytest.mark.parametrize("limit", ["0", "-1", "ten", "1.5"])
def test_a_limit_that_is_no_number_is_refused(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEAMLINE_CACHE_MB", limit)
    with pytest.raises(DataError, match=f"SEAMLINE_CACHE_MB='{limit}' is not a number of megabytes"):
        caches.cache()


def test_the_environment_names_folder_and_limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEAMLINE_CACHE", str(tmp_path))
    monkeypatch.setenv("SEAMLINE_CACHE_MB", "3")
    assert (caches.cache().folder, caches.cache().limit) == (tmp_path, 3_000_000)


def stuck(folder: Path, ready: str) -> None:
    """A process that takes its room, writes half of it and hangs."""

    def half(uri: str, file: BinaryIO, size: int) -> None:
        file.write(b"x" * (size // 2))
        file.flush()
        Path(ready).touch()
        time.sleep(60)

    Cache(folder, LIMIT, lambda _: 800, half).open("gs://b/shards/d1", "a-800")


def test_a_killed_download_leaves_no_half_file_and_takes_no_room(store: Store, tmp_path: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=stuck, args=(store.folder, str(tmp_path / "ready")))
    process.start()
    while not (tmp_path / "ready").exists():
        time.sleep(0.01)
    assert taken(store.folder) == 800
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    assert not store.cache.holds("gs://b/shards/d1", "a-800")
    assert read(store, "other-900") == content("gs://b/shards/d1/other-900", 900)
    assert taken(store.folder) == 900
    assert read(store, "a-800") == content("gs://b/shards/d1/a-800", 800)


def busy(folder: Path, seed: int, failed: str) -> None:
    """Opens files at random until it is killed; says so when one is wrong, the limit is passed, or anything raises."""
    chance, store = random.Random(seed), Store(folder)
    right = True
    try:
        while right:
            reference, name = f"gs://b/shards/d{chance.randrange(4)}", f"s-{chance.choice([50, 200, 400])}"
            with store.cache.open(reference, name) as file:
                right = file.read() == content(f"{reference}/{name}", store.size(name)) and store.most <= LIMIT
    finally:
        Path(failed).touch()


def test_processes_that_share_it_and_are_killed_at_random_break_nothing(store: Store, tmp_path: Path) -> None:
    context, chance = multiprocessing.get_context("fork"), random.Random(0)
    failed = tmp_path / "failed"
    running = [context.Process(target=busy, args=(store.folder, seed, str(failed))) for seed in range(3)]
    for process in running:
        process.start()
    for seed in range(3, 12):
        time.sleep(chance.uniform(0.02, 0.15))
        victim = running.pop(0)
        os.kill(victim.pid or 0, signal.SIGKILL)
        victim.join()
        running.append(context.Process(target=busy, args=(store.folder, seed, str(failed))))
        running[-1].start()
    for process in running:
        process.kill()
        process.join()
    assert not failed.exists() and store.folder.exists()
    read(store, "last-1")
    assert taken(store.folder) <= LIMIT and not list((store.folder / ".parts").iterdir())
