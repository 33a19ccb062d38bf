"""The whole step, run the way a container runs it."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from components.artifacts import manifest, storage

NECK, COAT = "neck_design_labels", "coat_length_labels"
FIVE = {"a.png": "ynnnn", "b.png": "nynnn", "c.png": "nnynn", "d.png": "nnnyn", "e.png": "nnnny"}


def refused(capfd):
    """The one line that the step ends with."""
    lines = capfd.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    return lines[0]


def test_a_sound_round_becomes_a_manifest_in_reading_order(delivery, ingest):
    delivery.labelled(NECK, FIVE)
    delivery.questions(NECK, {"z.png": 50, "y.png": 51})
    result = ingest(delivery)
    assert [Path(name).name for name in result.rows.image_id] == [*FIVE, "z.png", "y.png"]
    assert list(result.rows.label) == [*FIVE.values(), "", ""]
    assert list(result.rows.kind) == ["labelled"] * 5 + ["test"] * 2
    assert result.rows.keep.all() and (result.rows.weight == 1).all()
    assert sorted(result.rows.fold[:5]) == [0, 1, 2, 3, 4] and set(result.rows.fold[5:]) == {-1}
    assert len(result.rejected) == len(result.pairs) == 0


def test_the_index_says_classes_counts_rounds_and_folds_and_no_place(delivery, ingest, tmp_path):
    delivery.labelled(NECK, FIVE)
    result = ingest(delivery, seed=7)
    attribute = result.index["attributes"][NECK]
    assert attribute["classes"][0] == "Invisible" and attribute["ordinal"] is False
    assert attribute["counts"]["per_class"] == [1, 1, 1, 1, 1]
    assert result.index["rounds"] == [{"name": "round1", "digest": ""}]
    assert (result.index["folds"], result.index["seed"]) == (5, 7)
    assert str(tmp_path) not in json.dumps(result.index)


def test_the_same_data_in_another_place_gives_the_same_reference(delivery, ingest, tmp_path):
    delivery.labelled(NECK, FIVE)
    first = ingest(delivery)
    moved = tmp_path / "elsewhere" / "round1"
    moved.parent.mkdir()
    delivery.folder.rename(moved)
    delivery.folder = moved
    again = ingest(delivery, threads=1)
    assert Path(first.reference).name == Path(again.reference).name
    assert Path(first.reference).name != Path(ingest(delivery, seed=1).reference).name


def test_duplicates_are_found_across_attributes_rounds_and_questions(delivery, later, ingest):
    delivery.labelled(NECK, {"a.png": "ynnnn", "b.png": "nynnn", "c.png": "nnynn"})
    later.labelled(COAT, {"same_as_a.png": "nynnnnnn", "other.png": "nnynnnnn"})
    later.questions(NECK, {"same_as_b.png": 1})
    later.put(f"Images/{COAT}/other.png", (delivery.folder / f"Images/{NECK}/c.png").read_bytes())
    result = ingest(delivery, later)
    groups = {Path(row.image_id).name: row.group for row in result.rows.itertuples()}
    assert groups["a.png"] == groups["same_as_a.png"]
    assert groups["b.png"] == groups["same_as_b.png"]
    assert groups["c.png"] == groups["other.png"]
    across = {Path(row.image_b).name: row.across for row in result.pairs.itertuples()}
    assert across == {"same_as_a.png": "attribute+round", "same_as_b.png": "round+test", "other.png": "attribute+round"}
    assert result.row("/a.png").fold == result.row("same_as_a.png").fold
    assert result.metrics["test_leaks"] == 1
    assert result.row("/b.png").keep


def test_a_leak_is_dropped_on_request(delivery, ingest):
    delivery.labelled(NECK, FIVE)
    delivery.questions(NECK, {"same_as_b.png": 1})
    result = ingest(delivery, test_leak="drop")
    assert not result.row("/b.png").keep
    assert result.row("/b.png").reason.startswith("test leak")
    assert result.row("same_as_b.png").keep


def test_near_duplicates_share_group_and_fold_and_stay_in_training(delivery, ingest, draw, encode):
    delivery.labelled(NECK, FIVE)
    copy = cv2.resize(draw(2), (96, 120), interpolation=cv2.INTER_CUBIC)
    delivery.put("Images/copy.jpg", encode["jpeg"](copy, 70))
    delivery.labels(f"Images/copy.jpg,{NECK},nnynn", file="Annotations/more.csv")
    result = ingest(delivery)
    assert result.row("copy.jpg").group == result.row("c.png").group
    assert result.row("copy.jpg").fold == result.row("c.png").fold
    assert result.row("copy.jpg").keep and result.row("c.png").keep
    assert list(result.pairs.kind) == ["near"] and list(result.pairs.same_label) == ["yes"]


def test_exact_copies_merge_or_fall_by_their_labels(delivery, ingest):
    delivery.labelled(NECK, FIVE)
    for name, seed in (("equal.png", 0), ("fuzzy.png", 1), ("wrong.png", 2)):
        delivery.picture(f"Images/{name}", seed)
    delivery.labels(
        f"Images/equal.png,{NECK},ynnnn",
        f"Images/fuzzy.png,{NECK},nmynn",
        f"Images/wrong.png,{NECK},nnnny",
        file="Annotations/more.csv",
    )
    result = ingest(delivery)
    assert (result.row("/a.png").keep, result.row("equal.png").keep) == (True, False)
    assert (result.row("/b.png").label, result.row("/b.png").source_label) == ("nymnn", "nynnn")
    assert (result.row("fuzzy.png").label, result.row("fuzzy.png").keep) == ("nymnn", False)
    assert not result.row("/c.png").keep and not result.row("wrong.png").keep
    assert (result.metrics["conflicts_merged"], result.metrics["conflicts_real"]) == (1, 1)
    assert (result.metrics[f"{NECK}.dropped_exact"], result.metrics[f"{NECK}.dropped_conflict"]) == (2, 2)


def test_a_kept_name_is_unique_even_when_a_later_round_uses_it_for_another_picture(delivery, later, ingest):
    delivery.labelled(NECK, FIVE)
    later.labelled(NECK, FIVE, start=100)
    later.questions(NECK, {"a.png": 100})
    rows = ingest(delivery, later).rows
    labelled = rows[rows.kind == "labelled"]
    assert labelled.image_id.is_unique
    assert labelled.image_id.iloc[5] == f"round2/Images/{NECK}/a.png"
    assert rows.image_id.iloc[-1] == f"Images/{NECK}/a.png"


def test_broken_pictures_are_refused_and_broken_questions_stay(delivery, ingest):
    delivery.labelled(NECK, FIVE)
    delivery.questions(NECK, {"z.png": 50})
    delivery.put(f"Images/{NECK}/b.png", b"")
    delivery.put(f"Images/{NECK}/z.png", b"")
    result = ingest(delivery)
    assert [(r.line, Path(r.image_id).name, r.reason) for r in result.rejected.itertuples()] == [
        (2, "b.png", "empty file")
    ]
    question = result.row("z.png")
    assert (question.keep, question.width, question.pixels, question.reason) == (True, 0, "", "empty file")
    assert "b.png" not in set(result.rows.image_id)
    assert result.metrics["test_without_picture"] == 1


def test_too_many_refused_rows_stop_the_run_and_name_the_worst_reason(delivery, ingest, capfd):
    delivery.labelled(NECK, FIVE)
    delivery.labels(*(f"Images/gone{i}.png,{NECK},ynnnn" for i in range(3)), file="Annotations/more.csv")
    with pytest.raises(SystemExit) as stop:
        ingest(delivery)
    assert stop.value.code == 2
    message = refused(capfd)
    assert "3 of 8 rows are refused" in message and "3 x missing file (round1/Annotations/more.csv line 1)" in message
    assert "max_rejected=0.2" in message


def test_the_limit_is_a_knob(delivery, ingest):
    delivery.labelled(NECK, FIVE)
    delivery.labels(*(f"Images/gone{i}.png,{NECK},ynnnn" for i in range(3)), file="Annotations/more.csv")
    assert ingest(delivery, max_rejected=0.5).metrics["rejected"] == 3


def test_pictures_that_are_all_corrupt_are_one_line(delivery, ingest, capfd):
    delivery.labelled(NECK, FIVE)
    for name in FIVE:
        delivery.put(f"Images/{NECK}/{name}", b"no picture")
    with pytest.raises(SystemExit) as stop:
        ingest(delivery, max_rejected=1.0)
    assert stop.value.code == 2
    lines = capfd.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and "no usable labelled row among 5: 5 x not an image" in lines[0]


@pytest.mark.parametrize(
    ("fill", "message"),
    [
        (lambda d: None, "no file under"),
        (lambda d: d.labels(""), "no labelled row"),
        (lambda d: d.questions(NECK, {"z.png": 1}), "no labelled row"),
    ],
    ids=["empty folder", "empty label file", "questions only"],
)
def test_an_empty_data_set_is_one_line(delivery, ingest, capfd, fill, message):
    fill(delivery)
    with pytest.raises(SystemExit):
        ingest(delivery)
    assert message in refused(capfd)


def test_one_attribute_losing_all_its_pictures_is_one_line(delivery, ingest, capfd):
    delivery.labelled(NECK, FIVE)
    delivery.labels(
        f"Images/{NECK}/a.png,{COAT},ynnnnnnn", f"Images/{NECK}/a.png,{COAT},nnnnnnny", file="Annotations/c.csv"
    )
    with pytest.raises(SystemExit):
        ingest(delivery)
    error = capfd.readouterr().err.strip()
    assert f"attribute '{COAT}' has no usable labelled row: 2 x conflict" in error


def test_one_round_is_enough(delivery, ingest):
    delivery.labelled(NECK, FIVE)
    result = ingest(delivery)
    assert set(result.rows["round"]) == {1}


def test_empty_classes_and_an_attribute_of_one_picture_are_survived_and_reported(delivery, ingest):
    delivery.labelled("sleeve_length_labels", {f"{i}.png": "nynnnnnnn" for i in range(6)})
    delivery.labels(f"Images/sleeve_length_labels/0.png,{NECK},ynnnn", file="Annotations/one.csv")
    result = ingest(delivery)
    assert result.index["attributes"][NECK]["counts"]["per_class"] == [1, 0, 0, 0, 0]
    assert "sleeve_length_labels has no example of Invisible" in result.page
    assert f"{NECK} has only 1 groups of pictures" in result.page


def test_fewer_groups_than_folds_give_fewer_folds_and_a_note(delivery, ingest):
    delivery.labelled(NECK, {"a.png": "ynnnn", "b.png": "nynnn"})
    result = ingest(delivery)
    assert result.index["folds"] == 2
    assert "2 folds instead of 5" in result.page


def test_folders_per_class_run_through_the_same_step(delivery, later, ingest):
    for i, path in enumerate(["train/cat/1.png", "train/cat/2.png", "val/dog/3.png", "test/4.png", "Pool/5.png"]):
        delivery.picture(path, i)
    later.picture("train/dog/1.png", 60)
    later.put("train/dog/broken.png", b"")
    result = ingest(delivery, later, attributes=[{"name": "animal"}])
    assert result.index["attributes"]["animal"]["classes"] == ["cat", "dog"]
    assert result.rows.kind.value_counts().to_dict() == {"labelled": 4, "test": 1, "pool": 1}
    assert [(row.file, row.line) for row in result.rejected.itertuples()] == [("round2/train/dog/broken.png", 0)]


def test_the_layout_can_be_told_instead_of_guessed(delivery, ingest):
    delivery.labelled(NECK, FIVE)
    for i in range(2):
        delivery.picture(f"Annotations/{i}.png", i)
    result = ingest(delivery, layout="folders", max_rejected=1.0, near_duplicates="exact")
    assert result.index["attributes"]["class"]["classes"] == ["Annotations", "Images"]


def test_the_report_is_self_contained_and_escapes_what_the_data_says(delivery, ingest):
    delivery.labelled(NECK, FIVE)
    delivery.labels(f"<script>alert(1)</script>.png,{NECK},ynnnn", file="Annotations/more.csv")
    page = ingest(delivery).page
    assert "<script" not in page and "&lt;script&gt;" in page
    assert "http://" not in page and "https://" not in page
    assert "prefers-color-scheme: dark" in page and 'name="viewport"' in page


def test_the_report_shows_conflicting_and_near_pictures(delivery, ingest, draw, encode):
    delivery.labelled(NECK, FIVE)
    delivery.picture("Images/wrong.png", 2)
    delivery.put("Images/near.jpg", encode["jpeg"](draw(3), 80))
    delivery.labels(f"Images/wrong.png,{NECK},nnnny", f"Images/near.jpg,{NECK},nnnyn", file="Annotations/more.csv")
    page = ingest(delivery).page
    assert page.count("data:image/png;base64,") == 4
    assert "dropped" in page and "wrong.png" in page and "near.jpg" in page


def test_metrics_are_finite_numbers(delivery, ingest):
    delivery.labelled(NECK, FIVE)
    assert all(type(value) is int for value in ingest(delivery).metrics.values())


def test_tables_have_their_schemas_and_no_pandas_metadata(delivery, ingest):
    delivery.labelled(NECK, FIVE)
    folder = Path(ingest(delivery).reference)
    schemas = {
        manifest.FILE: manifest.SCHEMA,
        manifest.REJECTED_FILE: manifest.REJECTED_SCHEMA,
        manifest.DUPLICATES_FILE: manifest.DUPLICATES_SCHEMA,
    }
    for name, schema in schemas.items():
        found = pq.read_schema(folder / name)
        assert found.equals(schema) and not found.metadata


def test_rounds_may_lie_in_a_bucket(delivery, ingest, monkeypatch):
    delivery.labelled(NECK, FIVE)
    local = ingest(delivery)
    address, folder = "gs://bucket/rounds/1", delivery.folder
    on_disk = {name: getattr(storage, name) for name in ("entries", "read_bytes")}
    for name, function in on_disk.items():
        monkeypatch.setattr(storage, name, lambda uri, read=function: read(uri.replace(address, str(folder))))
    remote = type("Remote", (), {"struct": {"name": "round1", "uri": address}})
    assert Path(ingest(remote).reference).name == Path(local.reference).name


def test_the_step_loads_no_heavy_library_that_it_may_not_need():
    heavy = "print(*(m for m in ('tensorflow', 'keras', 'kfp', 'sklearn', 'numba') if m in sys.modules))"
    loaded = f"import sys; import components.ingest.step; {heavy}"
    result = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""


@pytest.mark.slow
def test_seventy_thousand_small_pictures_are_all_kept(delivery, ingest, tmp_path):
    rng = np.random.default_rng(0)
    lines = []
    for i in range(70_000):
        _, data = cv2.imencode(".png", cv2.resize(rng.integers(0, 256, (5, 5), dtype=np.uint8), (28, 28)))
        path = delivery.put(f"Images/{i % 100}/{i}.png", data.tobytes())
        lines.append(f"{path},{NECK},{list(FIVE.values())[i % 5]}")
    delivery.labels(*lines)
    result = ingest(delivery)
    assert result.metrics["kept"] == 70_000
