"""The work of transfer: what is not there yet is fetched; what cannot be had is listed, never dropped in silence."""

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
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
        jobs: files that are to be fetched.
        at_hand: how many are there already.
        failures: files that cannot be fetched; grows.
    """

    files: dict[str, str] = field(default_factory=dict)
    jobs: list[Job] = field(default_factory=list)
    at_hand: int = 0
    failures: Failures = field(default_factory=dict)


def run(settings: Settings, inputs: Inputs, outputs: entry.Outputs) -> entry.Summary:
    """Fetches what is missing, and writes the subset again with its files.

    Raises:
        DataError: too many pictures are missing, or the subset is none.
        Unreachable: too many are missing because nobody answered.
    """
    table = boxes.read(inputs.subset)
    downloads = boxes.downloads_in(inputs.data_root)
    plan = planned(table.pictures, storage.entries(downloads), settings.largest_mb * 1_000_000)
    log(f"{plan.at_hand:,} pictures are there, {len(plan.jobs):,} are to be fetched")
    unanswered = _fetch(plan, table.pictures, settings, inputs, outputs.unfinished)
    made = transferred(table, plan)
    lost = made.rejected.num_rows - table.rejected.num_rows
    _refuse_too_many(lost, unanswered, table.pictures.num_rows, plan.failures, settings.max_missing)
    outputs.write_text("transfer_page", page.render(made, _by_address(table.pictures, plan), plan.at_hand))
    knobs = {name: value for name, value in asdict(settings).items() if name not in _TACTICS}
    parents = [reference.digest_of(inputs.subset)]
    result = boxes.write(inputs.data_root, made, {"step": "transfer", "settings": knobs, "parents": parents})
    fetched = len(plan.jobs) - sum(job.file in plan.failures for job in plan.jobs)
    numbers = {"pictures": made.pictures.num_rows, "missing": lost, "fetched": fetched, "at_hand": plan.at_hand}
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
        plan.files[row["image_id"]] = file
        if file not in wanted:
            wanted[file] = web.Wanted(row["url"], row["bytes"], row["md5"], largest)
        elif (row["bytes"], row["md5"]) != (wanted[file].size, wanted[file].md5):
            plan.files[row["image_id"]] = ""
    for file, one in wanted.items():
        if any(str(parent) in wanted for parent in Path(file).parents):
            plan.failures[file] = "part of its name is another picture's file"
        elif file in sizes and one.size in (-1, sizes[file]):
            plan.at_hand += 1
        else:
            plan.jobs.append(Job(file, one))
    return plan


def transferred(table: boxes.BoxTable, plan: Plan) -> boxes.BoxTable:
    """The subset with the names of its files, without what is not there."""
    files = [plan.files[name] for name in table.pictures["image_id"].to_pylist()]
    there = pa.array([bool(file) and file not in plan.failures for file in files], pa.bool_())
    at = table.pictures.schema.get_field_index("file")
    pictures = table.pictures.set_column(at, "file", pa.array(files, pa.string())).filter(there)
    lost = [
        {"image_id": row["image_id"], "url": row["url"], "reason": _reason(plan, row["image_id"])}
        for row in table.pictures.filter(pc.invert(there)).select(["image_id", "url"]).to_pylist()
    ]
    kept = table.boxes.filter(pc.is_in(table.boxes["image_id"], value_set=pictures["image_id"].combine_chunks()))
    rejected = pa.concat_tables([table.rejected, boxes.rows(boxes.REJECTED, lost)])
    return replace(table, pictures=pictures, boxes=kept, rejected=rejected, stage="transferred")


def _fetch(plan: Plan, pictures: pa.Table, settings: Settings, inputs: Inputs, unfinished: str) -> int:
    """Fetches the plan's jobs by the wanted method; how many failed because nobody answered."""
    downloads = boxes.downloads_in(inputs.data_root)
    if not plan.jobs:
        return 0
    if settings.mirror:
        mirror = web.address(settings.mirror, inputs.source)
        plan.failures |= downloader.copy(plan.jobs, settings, downloads, mirror)
        return 0
    if settings.method == "storage_transfer":
        plan.failures |= by_service(plan.jobs, pictures, settings.project, downloads, unfinished)
        return 0
    with _parts(unfinished) as folder:
        failures, unanswered = downloader.download(plan.jobs, settings, downloads, folder)
    plan.failures |= failures
    return unanswered


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


@contextmanager
def _parts(unfinished: str) -> Iterator[Path]:
    """A local folder for what is not whole yet: the task's own where data lie on disk, so that a retry finds it."""
    if storage.is_remote(unfinished):
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
    else:
        yield Path(unfinished)
        shutil.rmtree(unfinished, ignore_errors=True)


def _reason(plan: Plan, image_id: str) -> str:
    file = plan.files[image_id]
    return plan.failures[file] if file else "another picture with the same address has another size or MD5"


def _by_address(pictures: pa.Table, plan: Plan) -> Failures:
    rows = pictures.select(["image_id", "url"]).to_pylist()
    lost = (row for row in rows if not plan.files[row["image_id"]] or plan.files[row["image_id"]] in plan.failures)
    return {row["url"]: _reason(plan, row["image_id"]) for row in lost}


def _refuse_too_many(lost: int, unanswered: int, total: int, failures: Failures, most: float) -> None:
    if lost <= most * total:
        return
    example = next(iter(failures.items()), ("", ""))
    said = f"{lost} of {total} pictures are missing, for instance {example[0]}: {example[1]}"
    if 2 * unanswered > lost:
        raise Unreachable(f"{said}; try again later, what has come is kept")
    raise DataError(f"{said}; raise transfer.max_missing above {most:g} to go on without them")
