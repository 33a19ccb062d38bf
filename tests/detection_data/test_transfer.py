"""transfer: every picture is there, whole and as published, or is listed with the reason; and no server is pestered."""

import functools
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from components import entry, knobs
from components.artifacts import boxes, storage
from components.errors import DataError, SettingsError, Unreachable
from components.transfer import settings
from pipeline.datasets import boats, openimages
from tests.detection_data.fault_server import Fault, FaultServer, cut, drips, stalls, status

Run = Callable[..., entry.Summary]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def subset(run_subset: Run, site: FaultServer, published: Path, tmp_path: Path) -> str:
    """Reference of the subset of the published pictures, below `tmp_path / "root"`."""
    return run_subset(tmp_path / "root", source=published).results["boxes"]


def planted(published: Path, *quirks: str) -> set[str]:
    where = json.loads((published / boats.QUIRKS).read_text())["where"]
    return {name for quirk in quirks for name in where[quirk]}


def fetched(done: entry.Summary) -> boxes.BoxTable:
    return boxes.read(done.results["boxes"])


def paths(subset: str) -> list[str]:
    return ["/" + url.split("/", 3)[3] for url in boxes.read(subset).pictures["url"].to_pylist()]


def test_every_sound_picture_is_there_as_published_under_host_and_path(
    run_transfer: Run, subset: str, published: Path, tmp_path: Path
) -> None:
    table = fetched(run_transfer(subset, tmp_path / "root"))
    lost = planted(published, "missing", "wrong_size", "wrong_md5")
    before = set(boxes.read(subset).pictures["image_id"].to_pylist())
    assert set(table.pictures["image_id"].to_pylist()) == before - lost
    assert (table.stage, lost & set(table.boxes["image_id"].to_pylist())) == ("transferred", set())
    for file in table.pictures["file"].to_pylist():
        assert (tmp_path / "root" / "downloads" / file).read_bytes() == (published / "mirror" / file).read_bytes()


def test_what_cannot_be_had_is_listed_with_its_reason(
    run_transfer: Run, subset: str, published: Path, tmp_path: Path
) -> None:
    table = fetched(run_transfer(subset, tmp_path / "root"))
    reasons = {row["image_id"]: row["reason"] for row in table.rejected.to_pylist()}
    expected = {"missing": "HTTP 404", "wrong_size": "wrong size: ", "wrong_md5": "wrong MD5: "}
    for quirk, start in expected.items():
        assert all(reasons[name].startswith(start) for name in planted(published, quirk))
    assert set(reasons) >= planted(published, "crooked_boxes", "not_listed"), "what the subset refused stays listed"
    page = (tmp_path / "root" / "out" / "transfer_page").read_text()
    assert all(f"<td>{start.split(':')[0]}</td><td class=n>1</td>" in page for start in expected.values())


def test_once_more_asks_only_for_what_is_not_there(
    run_transfer: Run, subset: str, site: FaultServer, tmp_path: Path
) -> None:
    first = run_transfer(subset, tmp_path / "root")
    site.log.clear()
    again = run_transfer(subset, tmp_path / "root")
    assert sum(site.asked().values()) == first.metadata["metrics"]["missing"] == 3
    assert again.results == first.results
    assert again.metadata["metrics"]["fetched"] == 0


def test_a_file_of_another_size_at_its_place_is_fetched_again(run_transfer: Run, subset: str, tmp_path: Path) -> None:
    table = fetched(run_transfer(subset, tmp_path / "root"))
    file = tmp_path / "root" / "downloads" / table.pictures["file"][0].as_py()
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    assert run_transfer(subset, tmp_path / "root").metadata["metrics"]["fetched"] == 1
    assert file.read_bytes() == whole


def test_faults_that_pass_cost_attempts_and_nothing_else(
    run_transfer: Run, subset: str, site: FaultServer, tmp_path: Path
) -> None:
    plain = run_transfer(subset, tmp_path / "root").results
    kinds = [cut(2000), status(503), status(429, Retry_After="1"), cut(0)]
    site.faults = {path: [kinds[number % len(kinds)]] for number, path in enumerate(paths(subset)[:40])}
    (tmp_path / "root" / "downloads").rename(tmp_path / "away")
    assert run_transfer(subset, tmp_path / "root").results == plain


def test_what_fails_for_good_is_tried_once_and_what_may_pass_as_often_as_allowed(
    run_transfer: Run, subset: str, site: FaultServer, tmp_path: Path
) -> None:
    first, second = paths(subset)[:2]
    site.always = {first: status(503), second: status(410)}
    table = fetched(run_transfer(subset, tmp_path / "root", attempts=4, max_unanswered=1.0))
    reasons = [row["reason"] for row in table.rejected.to_pylist()]
    assert (site.asked()[first], site.asked()[second]) == (4, 1)
    assert "no good answer: HTTP 503, 4 times" in reasons and "HTTP 410" in reasons


def test_a_slow_picture_is_gone_on_with_and_holds_nobody_up(
    run_transfer: Run, subset: str, site: FaultServer, tmp_path: Path
) -> None:
    awake, slow = threading.Event(), paths(subset)[0]
    site.faults = {slow: [stalls(1500, awake)]}
    done = run_transfer(subset, tmp_path / "root", silence_s=0.3)
    awake.set()
    assert done.metadata["metrics"]["missing"] == 3
    assert [code for path, _, code in site.log if path == slow] == [200, 206]


def test_one_host_never_sees_more_at_a_time_than_allowed(
    run_transfer: Run, subset: str, site: FaultServer, tmp_path: Path
) -> None:
    run_transfer(subset, tmp_path / "root", parallel=16, per_host=2)
    assert site.most_at_a_time <= 2


@pytest.mark.slow
def test_killed_half_way_only_the_rest_is_fetched(
    subset: str, site: FaultServer, published: Path, tmp_path: Path
) -> None:
    held = threading.Event()
    kept, blocked = paths(subset)[:30], [path for path in paths(subset)[30:] if path in site.files]
    site.faults = {path: [stalls(1500, held)] for path in blocked}
    command = [sys.executable, "-m", "components.transfer", "--subset", subset, "--data-root", str(tmp_path / "root")]
    command += ["--out", str(tmp_path / "out"), "--per-host", "32", "--parallel", "32"]
    first = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    downloads = str(tmp_path / "root" / "downloads")
    for _ in range(600):
        if len(storage.entries(downloads)) >= len(kept) - 3 and len(site.log) > len(kept) + 3:
            break
        held.wait(0.05)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    held.set()
    there = {f"/{found.name.split('/', 1)[1]}" for found in storage.entries(downloads)}
    site.log.clear()
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    assert there and not there & set(site.asked())
    assert 206 in {code for _, _, code in site.log}, "parts of the killed attempt were gone on with"
    entries = storage.entries(downloads)
    assert len(entries) == len(set(paths(subset))) - len(planted(published, "missing", "wrong_size", "wrong_md5"))
    assert not list((tmp_path / "root" / "unfinished").iterdir()), "no parts are left behind"


@pytest.mark.slow
@pytest.mark.parametrize("slow", [drips, stalls])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_asked_to_end_it_does_so_though_servers_are_slow(
    subset: str, site: FaultServer, tmp_path: Path, slow: Callable[..., Fault], number: int, code: int
) -> None:
    held = threading.Event()
    site.always = dict.fromkeys(site.files, slow(1500, held))
    command = [sys.executable, "-m", "components.transfer", "--subset", subset, "--data-root", str(tmp_path / "root")]
    command += ["--out", str(tmp_path / "out"), "--silence-s", "600"]
    heard = functools.partial(
        signal.signal, signal.SIGINT, signal.default_int_handler
    )  # a job in the background is deaf
    running = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=heard
    )
    for _ in range(1200):
        if site.most_at_a_time >= 4 or running.poll() is not None:
            break
        held.wait(0.05)
    assert running.poll() is None and site.most_at_a_time >= 4
    held.wait(0.2)
    running.send_signal(number)
    try:
        assert running.wait(20) == code
    finally:
        running.kill()
        held.set()


def test_a_mirror_is_copied_and_nobody_is_asked(
    run_transfer: Run, subset: str, site: FaultServer, published: Path, tmp_path: Path
) -> None:
    from_web = run_transfer(subset, tmp_path / "root")
    asked = len(site.log)
    (tmp_path / "root" / "downloads").rename(tmp_path / "away")
    table = fetched(run_transfer(subset, tmp_path / "root", source=published, mirror="mirror"))
    assert len(site.log) == asked
    assert table.pictures == fetched(from_web).pictures
    reasons = {row["image_id"]: row["reason"] for row in table.rejected.to_pylist()}
    assert [reasons[name] for name in planted(published, "missing")] == ["not in the mirror"]
    assert all(reasons[name].startswith("wrong MD5") for name in planted(published, "wrong_md5"))


def test_into_a_bucket_and_out_of_a_mirror_in_a_bucket(
    run_transfer: Run, subset: str, published: Path, bucket: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    from_web = run_transfer(subset, f"{bucket}/a", source=out)
    for file in (published / "mirror").rglob("*.jpg"):
        storage.write_bytes(f"{bucket}/mirror/{file.relative_to(published / 'mirror')}", file.read_bytes())
    from_mirror = run_transfer(subset, f"{bucket}/b", source=out, mirror=f"{bucket}/mirror")
    there = [[entry[:2] for entry in storage.entries(f"{bucket}/{root}/downloads")] for root in "ab"]
    assert there[0] == there[1] and len(there[0]) == from_web.metadata["metrics"]["pictures"]
    assert fetched(from_web).pictures == fetched(from_mirror).pictures


def test_too_many_missing_pictures_end_the_step(
    run_transfer: Run, subset: str, site: FaultServer, tmp_path: Path
) -> None:
    site.files.clear()
    with pytest.raises(
        DataError, match=r"\d+ of \d+ pictures are missing, for instance .*HTTP 404; raise transfer.max_missing"
    ):
        run_transfer(subset, tmp_path / "root")


def test_a_net_that_is_down_is_no_fault_of_the_data(
    run_transfer: Run, subset: str, site: FaultServer, tmp_path: Path
) -> None:
    site.always = {path: status(503) for path in site.files}
    with pytest.raises(Unreachable, match="try again later, what has come is kept"):
        run_transfer(subset, tmp_path / "root", attempts=1)


def test_a_picture_that_nobody_answered_for_is_not_given_up(
    run_transfer: Run, subset: str, site: FaultServer, tmp_path: Path
) -> None:
    busy = paths(subset)[0]
    site.always = {busy: status(503)}
    with pytest.raises(Unreachable, match=r"1 of \d+ pictures are missing, .*; or raise transfer.max_unanswered"):
        run_transfer(subset, tmp_path / "root")
    site.always, site.log = {}, []
    again = run_transfer(subset, tmp_path / "root")
    assert site.asked()[busy] == again.metadata["metrics"]["fetched"] == 1, "all others were kept"


def test_what_is_not_there_for_good_is_said_before_what_may_come(
    run_transfer: Run, subset: str, site: FaultServer, tmp_path: Path
) -> None:
    site.always = {paths(subset)[0]: status(503)}
    with pytest.raises(DataError, match=r"3 of \d+ pictures are missing"):
        run_transfer(subset, tmp_path / "root", max_missing=0.0, max_unanswered=1.0)


def test_storage_transfer_needs_a_bucket(run_transfer: Run, subset: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="fetches into gs://, not into .*; use method='own'"):
        run_transfer(subset, tmp_path / "root", method="storage_transfer", project="p")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"method": "storage_transfer"}, "needs a project"),
        ({"method": "storage_transfer", "project": "p", "mirror": "m"}, "set one of them"),
        ({}, ""),
    ],
)
def test_contradictions_are_said(given: dict[str, str], said: str) -> None:
    assert said in knobs.from_mapping(settings.Settings, given).contradiction()


def test_the_subset_reads_its_files_from_the_web_too(
    run_subset: Run, site: FaultServer, published: Path, subset: str, tmp_path: Path
) -> None:
    names = {"boxes_csv": openimages.BOXES_FILE, "images_csv": openimages.IMAGES_FILE}
    site.files |= {f"/{name}": (published / name).read_bytes() for name in names.values()}
    site.faults = {f"/{name}": [cut(4000)] for name in names.values()}
    done = run_subset(tmp_path / "root", source=published, **{k: [f"{site.url}/{v}"] for k, v in names.items()})
    assert done.results["boxes"] == subset
