"""The files for darknet programs: labels to six decimals, lists whose paths lead to pictures, names, data."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.artifacts import darknet_files
from components.errors import DataError
from components.vision import decode

from .conftest import png, scene

BOX, SMALL = (0.0125, 0.148438, 0.195312, 0.5875), (0.7, 0.7, 0.8, 0.9)
# fill_truth_detection in its src/data.c, line by line.
PJREDDIES = [
    ("images", "labels"),
    ("JPEGImages", "labels"),
    ("raw", "labels"),
    (".jpg", ".txt"),
    (".png", ".txt"),
    (".JPG", ".txt"),
    (".JPEG", ".txt"),
]
share = st.floats(0, 1).map(lambda value: round(value, 6))


@pytest.fixture
def laid_out(subset, prepare, split, tmp_path: Path) -> Path:
    for number in range(40):
        subset.add(f"p{number:02d}", png(scene(number, 64, 64, BOX)), BOX, *([SMALL] if number % 2 else []))
    done = split(prepare(subset, encoding="jpeg").reference, train_share=0.5, validation_share=0.25)
    darknet_files.lay_out(done.reference, tmp_path / "darknet")
    return tmp_path / "darknet"


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_the_worked_example_of_a_label() -> None:
    assert darknet_files.label(0, 0.0125, 0.148438, 0.195312, 0.5875) == "0 0.103906 0.367969 0.182812 0.439062"


@given(share, share, share, share)
def test_a_label_leads_back_to_the_box(a: float, b: float, c: float, d: float) -> None:
    x_min, x_max, y_min, y_max = min(a, b), max(a, b), min(c, d), max(c, d)
    kind, x, y, width, height = map(float, darknet_files.label(3, x_min, y_min, x_max, y_max).split())
    assert kind == 3
    back = x - width / 2, y - height / 2, x + width / 2, y + height / 2
    assert back == pytest.approx((x_min, y_min, x_max, y_max), abs=1e-6)


def test_every_listed_picture_is_there_with_its_labels_where_either_darknet_looks_for_them(laid_out: Path) -> None:
    listed = [line for name in darknet_files.LISTS.values() for line in lines(laid_out / name)]
    assert len(set(listed)) == len(listed) == 40
    for path in listed:
        labels = lines(laid_out / path.replace("images", "labels", 1).replace(".jpg", ".txt"))
        number = int(Path(path).stem.removeprefix("p"))
        assert labels[0] == "0 0.103906 0.367969 0.182812 0.439062" and len(labels) == 1 + number % 2
        assert lines(laid_out / path.replace(".jpg", ".txt")) == labels
        assert decode.rgb((laid_out / path).read_bytes()).shape == (64, 64, 3)


def test_the_data_file_names_the_lists_the_names_and_the_folder_for_weights(laid_out: Path) -> None:
    about = dict(line.split(" = ") for line in lines(laid_out / darknet_files.DATA))
    assert about == {
        "classes": "1",
        "train": "train.txt",
        "valid": "valid.txt",
        "names": "detector.names",
        "backup": "backup",
    }
    assert lines(laid_out / about["names"]) == ["Boat"] and (laid_out / about["backup"]).is_dir()


def test_writing_twice_gives_the_same_files(laid_out: Path, subset) -> None:
    before = {path.relative_to(laid_out): path.read_bytes() for path in laid_out.rglob("*") if path.is_file()}
    reference = next(
        str(folder)
        for folder in sorted((subset.root / "boxes").iterdir())
        if '"stage": "split"' in (folder / "index.json").read_text()
    )
    darknet_files.lay_out(reference, laid_out)
    assert {path.relative_to(laid_out): path.read_bytes() for path in laid_out.rglob("*") if path.is_file()} == before


def test_boxes_without_splits_are_refused(subset, prepare, tmp_path: Path) -> None:
    subset.add("a", png(scene(1)), BOX)
    with pytest.raises(DataError, match="is at the stage 'prepared'; expected 'split'"):
        darknet_files.lay_out(prepare(subset).reference, tmp_path / "out")


@pytest.mark.parametrize("name", ["strawberry", "JPEGImages_1", "images", "old.png_1", "OLD.JPG_1", "x.v2"])
def test_labels_lie_where_pjreddies_darknet_looks_whatever_the_name(
    subset, prepare, split, tmp_path: Path, name: str
) -> None:
    """It made "labels/stlabelsberry.txt" of "images/strawberry.jpg", and ended."""
    subset.add(name, png(scene(1, 64, 64, BOX)), BOX)
    subset.add_others()
    done = split(prepare(subset, encoding="jpeg").reference, train_share=0.5)
    darknet_files.lay_out(done.reference, tmp_path / "out")
    path = f"images/{name}.jpg"
    for word, other in PJREDDIES:
        path = path.replace(word, other, 1)
    labels = lines(tmp_path / "out" / path)
    assert len(labels) == 1 and lines(tmp_path / "out" / "images" / f"{name}.txt") == labels


@pytest.mark.parametrize("name", ["../../etc/x", "a/b", "", ".hidden", "a b", "a.png.x"])
def test_an_image_id_that_is_no_file_name_is_refused(subset, prepare, split, tmp_path: Path, name: str) -> None:
    subset.add("sound", png(scene(1)), BOX)
    subset.pictures[0]["image_id"] = subset.boxes[0]["image_id"] = name
    subset.add_others()
    done = split(prepare(subset).reference, train_share=0.5)
    with pytest.raises(DataError, match="cannot name a file"):
        darknet_files.lay_out(done.reference, tmp_path / "out")


def test_by_hand_a_refusal_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.argv", ["darknet_files", str(tmp_path / "boxes" / ("0" * 32)), str(tmp_path / "out")])
    with pytest.raises(SystemExit) as ended:
        darknet_files.main()
    assert ended.value.code == 2 and "is not a finished reference" in capsys.readouterr().err.splitlines()[-1]
