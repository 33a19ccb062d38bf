"""The work of transfer: what is not there yet is fetched; what cannot be had is listed, never dropped in silence."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from components import entry
from components.artifacts import boxes, reference, storage, storage_transfer, transfer_list, web
from components.errors import DataError, SettingsError, Unreachable
from components.progress import log, progress
from components.transfer import downloader, page
from components.transfer.downloader import Failures
from components.transfer.hosts import Job
from components.transfer.settings import Inputs, Settings

_TACTICS = ("parallel", "per_host", "attempts", "silence_s", "longest_pause_s")
"""Knobs that decide how something is fetched, and not what comes out."""


@dataclass
class Plan:
    """What is to be done.

    Attributes:
        files: image_id to file.
        refused: image_id to the reason why it can have none.
        jobs: files that are to be fetched.
        at_hand: how many are there already.
        failures: files that cannot be fetched; grows.
        unanswered: those of them for which nobody answered rightly.
    """

    files: dict[str, str] = field(default_factory=dict)
    refused: Failures = field(default_factory=dict)
    jobs: list[Job] = field(default_factory=list)
    at_hand: int = 0
    failures: Failures = field(default_factory=dict)
    unanswered: set[str] = field(default_factory=set)

    def problem(self, image_id: str) -> str:
        """Why a picture is not there; empty if it is."""
        return self.refused.get(image_id) or self.failures.get(self.files[image_id], "")


def run(settings: Settings, inputs: Inputs, outputs: entry.Outputs) -> entry.Summary:
    """Fetches what is missing, and writes the subset again with its files.

    Raises:
        DataError: too many pictures are missing, or the subset is none.
        Unreachable: pictures are missing because nobody answered.
        OSError: the disk has no room for what is to be fetched.
    """
    table = boxes.read(inputs.subset)
    if table.stage != "subset":
        raise DataError(
            f"{inputs.subset} is at the stage {table.stage!r}; expected 'subset', give the result of openimages_subset"
        )
    downloads = boxes.downloads_in(inputs.data_root)
    plan = planned(table.pictures, storage.entries(downloads), settings.largest_mb * 1_000_000)
    log(f"{plan.at_hand:,} pictures are there, {len(plan.jobs):,} are to be fetched")
    _refuse_without_room(plan.jobs, downloads)
    _fetch(plan, table.pictures, settings, inputs, outputs.unfinished)
    lost = _lost(table.pictures, plan)
    _refuse_too_many(lost, plan, settings)
    made = transferred(table, plan)
    missing = {row["url"]: row["reason"] for row in lost}
    outputs.write_text("transfer_page", page.render(made, missing, plan.at_hand))
    knobs = {name: value for name, value in asdict(settings).items() if name not in _TACTICS}
    parents = [reference.digest_of(inputs.subset)]
    result = boxes.write(inputs.data_root, made, {"step": "transfer", "settings": knobs, "parents": parents})
    if not storage.is_remote(outputs.unfinished):
        shutil.rmtree(outputs.unfinished, ignore_errors=True)
    fetched = len(plan.jobs) - sum(job.file in plan.failures for job in plan.jobs)
    numbers = {"pictures": made.pictures.num_rows, "missing": len(lost), "fetched": fetched, "at_hand": plan.at_hand}
    return entry.Summary({"boxes": result}, {"metrics": numbers})


def planned(pictures: pa.Table, present: Iterable[storage.Entry], largest: int) -> Plan:
    """Sets what is wanted against what is there.

    Args:
        pictures: of the subset.
        present: the files in the folder of downloads. A file is put there whole and checked, so its size tells.
        largest: bytes of a picture whose size is not known.
    """
    plan, sizes, wanted = Plan(), {found.name: found.size for found in present}, dict[str, web.Wanted]()
    for row in pictures.select(["image_id", "url", "bytes", "md5"]).to_pylist():
        file = transfer_list.object_name(row["url"])
        one = web.Wanted(row["url"], row["bytes"], row["md5"], largest)
        if reason := _refusal(file, one, wanted):
            plan.refused[row["image_id"]] = reason
        else:
            plan.files[row["image_id"]] = file
            wanted.setdefault(file, one)
    for file, one in wanted.items():
        if any(str(parent) in wanted for parent in Path(file).parents):
            plan.failures[file] = "part of its name is another picture's file"
        elif file in sizes and one.size in (-1, sizes[file]):
            plan.at_hand += 1
        else:
            plan.jobs.append(Job(file, one))
    return plan


def _refusal(file: str, one: web.Wanted, wanted: Mapping[str, web.Wanted]) -> str:
    """Why a picture can have no file of its own nor share another picture's; empty if it can."""
    if not file:
        return "its address gives no safe file name"
    other = wanted.get(file, one)
    if (one.size, one.md5) != (other.size, other.md5):
        return "another picture with the same file name has another size or MD5"
    if one.url != other.url and not one.md5:
        return "another picture with the same file name has another address, and no MD5 says whether they are the same"
    return ""


def transferred(table: boxes.BoxTable, plan: Plan) -> boxes.BoxTable:
    """The subset with the names of its files, without what is not there."""
    names = table.pictures["image_id"].to_pylist()
    there = pa.array([not plan.problem(name) for name in names], pa.bool_())
    files = pa.array([plan.files.get(name, "") for name in names], pa.string())
    at = table.pictures.schema.get_field_index("file")
    pictures = table.pictures.set_column(at, "file", files).filter(there)
    kept = table.boxes.filter(pc.is_in(table.boxes["image_id"], value_set=pictures["image_id"].combine_chunks()))
    rejected = pa.concat_tables([table.rejected, boxes.rows(boxes.REJECTED, _lost(table.pictures, plan))])
    return replace(table, pictures=pictures, boxes=kept, rejected=rejected, stage="transferred")


def _lost(pictures: pa.Table, plan: Plan) -> list[dict[str, str]]:
    """The pictures that are not there, as rows of `boxes.REJECTED`."""
    rows = pictures.select(["image_id", "url"]).to_pylist()
    return [row | {"reason": problem} for row in rows if (problem := plan.problem(row["image_id"]))]


def _refuse_without_room(jobs: Sequence[Job], downloads: str) -> None:
    """Says so before the first byte comes; files of unknown size are not counted."""
    if storage.is_remote(downloads):
        return
    Path(downloads).mkdir(parents=True, exist_ok=True)
    wanted, free = sum(max(0, job.wanted.size) for job in jobs), shutil.disk_usage(downloads).free
    if wanted > free:
        said = f"{os.strerror(errno.ENOSPC)} for {wanted:,} bytes that are to be fetched, {free:,} are free"
        raise OSError(errno.ENOSPC, said, downloads)


def _fetch(plan: Plan, pictures: pa.Table, settings: Settings, inputs: Inputs, unfinished: str) -> None:
    """Fetches the plan's jobs by the wanted method, and notes there what failed."""
    downloads = boxes.downloads_in(inputs.data_root)
    if not plan.jobs:
        return
    if settings.mirror:
        mirror = web.address(settings.mirror, inputs.source)
        plan.failures |= downloader.copy(plan.jobs, settings, downloads, mirror)
    elif settings.method == "storage_transfer":
        plan.failures |= by_service(plan.jobs, pictures, settings.project, downloads, unfinished)
    else:
        with _parts(unfinished) as folder:
            failures, plan.unanswered = downloader.download(plan.jobs, settings, downloads, Path(folder))
        plan.failures |= failures


def by_service(jobs: Sequence[Job], pictures: pa.Table, project: str, downloads: str, unfinished: str) -> Failures:
    """Has Storage Transfer Service fetch the jobs into a bucket; a look there says what has come."""
    if not storage.is_remote(downloads):
        raise SettingsError(f"method='storage_transfer' fetches into gs://, not into {downloads}; use method='own'")
    wanted = pc.is_in(pictures["url"], value_set=pa.array([job.wanted.url for job in jobs]))
    list_uri = storage.join(unfinished, "transfer_list.tsv")
    storage.write_bytes(list_uri, transfer_list.render(pictures.filter(wanted)).encode())
    name = f"seamline-{reference.digest_of(unfinished)}"

    def tell(done: int, total: int) -> None:
        progress(done, max(total, len(jobs)), "pictures")

    told = storage_transfer.transfer(storage_transfer.client(), project, name, list_uri, downloads, tell)
    sizes = {found.name: found.size for found in storage.entries(downloads)}
    come = {job.file for job in jobs if job.wanted.size in (-1, sizes.get(job.file))}
    why = "not transferred: its size or MD5 is not as published, or it cannot be had"
    return {job.file: told.get(job.wanted.url, why) for job in jobs if job.file not in come or job.file not in sizes}


def _parts(unfinished: str) -> AbstractContextManager[str]:
    """A local folder for what is not whole yet: the task's own where data lie on disk, so that a retry finds it."""
    if storage.is_remote(unfinished):
        return tempfile.TemporaryDirectory(ignore_cleanup_errors=True)  # a thread may still write when we are ended
    return nullcontext(unfinished)


def _refuse_too_many(lost: Sequence[Mapping[str, str]], plan: Plan, settings: Settings) -> None:
    """What another attempt may bring is not given up for good: a result that lacks it would be used again for ever."""
    total = len(plan.files) + len(plan.refused)
    unanswered = [row for row in lost if plan.files.get(row["image_id"]) in plan.unanswered]
    gone = [row for row in lost if plan.files.get(row["image_id"]) not in plan.unanswered]
    if len(gone) > settings.max_missing * total:
        said = f"{len(gone)} of {total} pictures are missing, for instance {gone[0]['url']}: {gone[0]['reason']}"
        raise DataError(f"{said}; raise transfer.max_missing above {settings.max_missing:g} to go on without them")
    if len(unanswered) > settings.max_unanswered * total:
        first, most = unanswered[0], settings.max_unanswered
        said = f"{len(unanswered)} of {total} pictures are missing, for instance {first['url']}: {first['reason']}"
        mend = f"try again later, what has come is kept; or raise transfer.max_unanswered above {most:g}"
        raise Unreachable(f"{said}; {mend}")
