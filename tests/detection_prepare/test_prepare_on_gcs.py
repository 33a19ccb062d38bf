"""Both steps with everything on gs://: the same pictures, boxes and splits as on a disk, and nothing left behind."""

from pathlib import Path

from components.artifacts import boxes, storage
from components.boxes_prepare import settings as prepare_settings
from components.boxes_prepare import step as prepare_step
from components.split import settings as split_settings
from components.split import step as split_step

from .conftest import _outputs, png, scene

BOX = (0.2, 0.25, 0.5, 0.75)


def test_a_bucket_gives_what_a_disk_gives(subset, prepare, split, bucket: str, tmp_path: Path) -> None:
    for number in range(12):
        subset.add(f"p{number:02d}", png(scene(number, 80, 60, BOX)) if number else None, BOX)
    here = split(prepare(subset).reference)
    for file in (subset.root / "downloads").rglob("*"):
        if file.is_file():
            storage.put_file(file, f"{bucket}/{file.relative_to(subset.root)}")
    table = boxes.read(subset.write())
    given = boxes.write(bucket, table, {"step": "test"})
    settings = prepare_settings.Settings(size_px=64, encoding="png", workers=2)
    prepared = prepare_step.run(
        settings, prepare_settings.Inputs(given, bucket), _outputs(prepare_settings, tmp_path)
    ).results["boxes"]
    done = split_step.run(
        split_settings.Settings(), split_settings.Inputs(prepared, bucket), _outputs(split_settings, tmp_path)
    ).results["boxes"]
    assert done.startswith(f"{bucket}/boxes/") and done.rsplit("/", 1)[1] == here.reference.rsplit("/", 1)[1]
    assert list(boxes.pictures_of(done, "train")) == list(boxes.pictures_of(here.reference, "train"))
