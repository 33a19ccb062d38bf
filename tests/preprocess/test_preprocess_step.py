"""preprocess: every kept picture of an attribute, once, in order, the same bytes whoever makes them."""

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from components.artifacts import shards
from components.preprocess import settings
from components.vision import decode, views


def records_of(made: str, group: str) -> list[shards.Record]:
    return list(shards.read_examples(shards.group_files(made, [group])))


def whole(made: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(made).iterdir()}


def test_pictures_go_to_their_groups_in_manifest_order(data_set, preprocess) -> None:
    data_set.fill()
    made = preprocess(data_set.inputs())
    index = shards.read_shards_index(made)
    counts = {name: group["count"] for name, group in index["groups"].items()}
    assert counts == {"labelled-f0-r1": 3, "labelled-f1-r2": 3, "pool-r2": 2, "test-r2": 3}
    assert [record.image_id for record in records_of(made, "labelled-f1-r2")] == [f"Images/l{n}.jpg" for n in (1, 3, 5)]
    assert [record.image_id for record in records_of(made, "test-r2")] == [f"Images/q{n}.jpg" for n in range(3)]


def test_the_index_says_what_a_reader_needs(data_set, preprocess) -> None:
    data_set.fill()
    index = shards.read_shards_index(preprocess(data_set.inputs(), views=["plain", "stretch"]))
    del index["groups"]
    assert index == {
        "schema": 1,
        "attribute": "sleeve",
        "classes": ["none", "short", "long"],
        "ordinal": True,
        "size_px": 32,
        "channels": 3,
        "views": ["plain", "stretch"],
        "encoding": "raw",
        "folds": 2,
        "skipped": {"labelled": 0, "pool": 0},
        "black": 0,
    }


def test_a_record_carries_the_manifest_row_and_its_views(data_set, preprocess, picture, as_jpeg) -> None:
    data_set.fill(labelled=3)
    record = records_of(preprocess(data_set.inputs()), "labelled-f0-r1")[1]
    assert (record.image_id, record.label, record.weight, record.group) == ("Images/l2.jpg", "nyn", 1.0, 2)
    assert (record.fold, record.round, record.width, record.height) == (0, 1, 62, 80)
    plain = views.square(decode.rgb(as_jpeg(picture(2, 62, 80)), 40), 32).pixels
    assert record.views == {"plain": plain.tobytes(), "flip": plain[:, ::-1].tobytes()}


@pytest.mark.parametrize(("background", "grey"), [("black", 0), ("grey", 128), ("white", 255)])
def test_what_nothing_is_drawn_on_takes_the_background(data_set, preprocess, background: str, grey: int) -> None:
    data_set.add("Images/clear.png", cv2.imencode(".png", np.zeros((40, 40, 4), np.uint8))[1].tobytes())
    (record,) = records_of(preprocess(data_set.inputs(), background=background), "labelled-f0-r1")
    assert set(record.views["plain"]) == {grey}


@pytest.mark.parametrize("encoding", ["jpeg", "png", "raw"])
def test_bytes_do_not_depend_on_the_number_of_workers(data_set, preprocess, encoding: str) -> None:
    data_set.fill(labelled=20)
    knobs = {"views": list(settings.VIEWS), "encoding": encoding, "records_per_shard": 4}
    first = preprocess(data_set.inputs(), workers=1, **knobs)
    bytes_of_one = whole(first)
    for path in Path(first).iterdir():
        path.unlink()  # an equal reference would be kept, not written again
    assert preprocess(data_set.inputs(), workers=4, **knobs) == first
    assert whole(first) == bytes_of_one and len(bytes_of_one) == 3 + 3 + 1 + 1 + 1


def test_png_and_raw_keep_every_bit_and_jpeg_is_close(data_set, preprocess) -> None:
    data_set.fill(labelled=1)
    found = {e: records_of(preprocess(data_set.inputs(), encoding=e), "labelled-f0-r1")[0] for e in shards.ENCODINGS}
    raw = np.frombuffer(found["raw"].views["plain"], np.uint8).reshape(32, 32, 3)
    assert (decode.rgb(found["png"].views["plain"]) == raw).all()
    assert np.abs(decode.rgb(found["jpeg"].views["plain"]).astype(int) - raw).mean() < 3
    assert found["jpeg"].views["plain"].startswith(b"\xff\xd8")


def test_a_question_that_cannot_be_read_is_black_and_still_there(data_set, preprocess) -> None:
    data_set.fill(questions=1)
    data_set.add("Images/broken.jpg", b"not a picture", kind="test", number=2)
    data_set.add("Images/missing.jpg", None, kind="test", number=2)
    made = preprocess(data_set.inputs(), views=["plain", "noise"])
    first, *others = records_of(made, "test-r2")
    assert [record.image_id for record in others] == ["Images/broken.jpg", "Images/missing.jpg"]
    assert all(record.views == dict.fromkeys(["plain", "noise"], bytes(32 * 32 * 3)) for record in others)
    assert (others[0].width, others[0].height) == (0, 0) and first.width == 80
    assert shards.read_shards_index(made)["black"] == 2


def test_a_training_picture_that_broke_since_ingest_is_skipped_and_counted(data_set, preprocess, capsys) -> None:
    data_set.fill()
    data_set.add("Images/broken.jpg", b"", number=1)
    data_set.add("Images/cut.jpg", None, kind="pool", number=1)
    made = preprocess(data_set.inputs())
    index = shards.read_shards_index(made)
    assert index["skipped"] == {"labelled": 1, "pool": 1} and "pool-r1" not in index["groups"]
    assert len(records_of(made, "labelled-f0-r1")) == 3
    assert "Images/broken.jpg: empty file; skipped" in capsys.readouterr().out


def test_rows_not_kept_and_other_attributes_are_left_out(data_set, preprocess, picture, as_jpeg) -> None:
    data_set.fill()
    data_set.add("Images/other.jpg", as_jpeg(picture(7)))
    data_set.add("Images/refused.jpg", as_jpeg(picture(8)))
    data_set.rows[-2]["attribute"], data_set.rows[-1]["keep"] = "collar", False
    made = preprocess(data_set.inputs())
    assert sum(group["count"] for group in shards.read_shards_index(made)["groups"].values()) == 11


def test_an_attribute_may_have_its_own_size_and_views(data_set, preprocess) -> None:
    data_set.fill()
    inputs = data_set.inputs()
    inputs["attribute"] = {"name": "sleeve", "preprocess": {"size_px": 40, "views": ["plain", "rotate_left"]}}
    index = shards.read_shards_index(preprocess(inputs))
    assert (index["size_px"], index["views"]) == (40, ["plain", "rotate_left"])


def test_the_page_shows_pictures_with_every_view_and_needs_no_other_file(data_set, preprocess, tmp_path: Path) -> None:
    data_set.fill()
    data_set.add("Images/<b>&.jpg", b"broken", kind="test", number=2)
    preprocess(data_set.inputs(), views=["plain", "flip", "equalise"], encoding="jpeg")
    page = (tmp_path / "views.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 6 * 3
    assert "prefers-color-scheme: dark" in page and "http" not in page and "<b>&" not in page


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"views": ["flip"]}, r"preprocess.views=\['flip'\] lacks plain"),
        ({"views": ["plain", "flip", "flip"]}, "names a view twice"),
        ({"views": ["plain", "equalize"]}, "'equalize' is not one of .*did you mean equalise"),
        ({"size_px": 27}, "size_px=27 is below 28"),
        ({"attribute": {"name": "sleve"}}, "attribute 'sleve' is not in the manifest; it has sleeve"),
        ({"rounds": [{"name": "round1", "uri": "/nowhere", "digest": ""}]}, "pictures of round 2, but only 1 rounds"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_code_2(data_set, preprocess, capsys, change, message: str) -> None:
    data_set.fill()
    with pytest.raises(SystemExit, match="2"):
        preprocess(data_set.inputs() | change)
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and re.search(message, error)


def test_an_attribute_without_a_kept_picture_is_refused(data_set, preprocess, capsys) -> None:
    data_set.fill()
    for row in data_set.rows:
        row["keep"] = False
    with pytest.raises(SystemExit, match="2"):
        preprocess(data_set.inputs())
    assert "keeps no picture of 'sleeve'" in capsys.readouterr().err


def test_when_no_labelled_picture_can_be_read_the_address_is_doubted(data_set, preprocess, capsys) -> None:
    data_set.fill()
    inputs = data_set.inputs()
    inputs["rounds"] = [{"name": f"round{n}", "uri": "/moved", "digest": ""} for n in (1, 2)]
    with pytest.raises(SystemExit, match="2"):
        preprocess(inputs)
    assert "none of 6 labelled pictures can be read (/moved/" in capsys.readouterr().err
    assert not (Path(data_set.data_root) / "shards").exists()


def test_progress_ends_at_all_pictures(data_set, preprocess, capsys) -> None:
    data_set.fill()
    preprocess(data_set.inputs())
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("::progress")]
    assert json.loads(lines[-1].removeprefix("::progress ")) == {"done": 11, "total": 11, "unit": "pictures"}


def test_the_step_runs_alone_and_without_tensorflow(data_set) -> None:
    data_set.fill()
    code = "import sys; from components.preprocess import step; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    arguments = [
        f"--{name.replace('_', '-')}={v if isinstance(v, str) else json.dumps(v)}"
        for name, v in data_set.inputs().items()
    ]
    command = [
        sys.executable,
        "-m",
        "components.preprocess",
        *arguments,
        "--size-px=28",
        f"--out={data_set.scratch}/out",
    ]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    made = json.loads(ran.stdout[ran.stdout.index("\n{") :])["results"]["shards"]
    assert shards.read_shards_index(made)["size_px"] == 28
    assert (data_set.scratch / "out" / "views_page").exists()


def test_temporary_files_are_gone_afterwards(data_set, preprocess) -> None:
    data_set.fill()
    preprocess(data_set.inputs())
    assert list((Path(data_set.data_root) / "unfinished").iterdir()) == []


def test_the_component_takes_every_input_and_knob_under_its_own_name() -> None:
    from components.preprocess.component import preprocess

    spec = preprocess.component_spec
    known = {f.name for cls in (settings.Inputs, settings.Settings) for f in dataclasses.fields(cls)}
    assert set(spec.inputs) == known  # an output of the same name would hide an input
    assert set(spec.outputs) == {"shards", "views_page"}
