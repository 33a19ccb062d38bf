"""Caltech-256: folders called NNN.name, from a tar archive or a folder, with and without clutter."""

import csv
import tarfile
from collections import Counter
from pathlib import Path

import pytest

from pipeline.datasets import caltech256
from pipeline.datasets.dataset import DataSet
from pipeline.errors import PipelineError

COUNTS = {"001.ak47": 10, "002.american-flag": 5, "257.clutter": 5}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "256_ObjectCategories"
    for name, count in COUNTS.items():
        (source / name).mkdir(parents=True)
        for number in range(count):
            (source / name / f"{name[:3]}_{number:04}.jpg").write_bytes(f"{name} {number}".encode())
    (source / "198.spider").mkdir()
    (source / "198.spider" / "RENAME2").write_bytes(b"the real archive holds such files")
    return source


def rows(made: DataSet) -> list[list[str]]:
    files = [made.folder / "base" / "Annotations" / "label.csv", made.answers]
    return [row for file in files for row in csv.reader(file.open())]


def test_every_picture_is_copied_once_with_the_class_of_its_folder(tmp_path: Path, folder: Path) -> None:
    made = caltech256.cut(tmp_path / "out", str(folder))
    classes = made.attributes[0]["classes"]
    found = {}
    for path, _, label, *_ in rows(made):
        found[(made.folder / "base" / path).read_bytes().decode()] = classes[label.index("y")]
    assert classes == ["ak47", "american-flag"] and len(found) == 15
    assert all(content.split(" ")[0].split(".")[1] == name for content, name in found.items())


def test_of_every_class_the_same_share_is_asked(tmp_path: Path, folder: Path) -> None:
    made = caltech256.cut(tmp_path / "out", str(folder))
    assert Counter(row[2] for row in csv.reader(made.answers.open())) == {"yn": 2, "ny": 1}


def test_clutter_is_a_class_where_it_is_wished(tmp_path: Path, folder: Path) -> None:
    made = caltech256.cut(tmp_path / "out", str(folder), clutter=True)
    assert made.attributes[0]["classes"] == ["ak47", "american-flag", "clutter"] and len(rows(made)) == 20


def test_the_archive_gives_the_same_bytes_as_the_folder(tmp_path: Path, folder: Path) -> None:
    archive = tmp_path / "256_ObjectCategories.tar"
    with tarfile.open(archive, "w") as target:
        target.add(folder, folder.name)
    trees = []
    for name, source in (("a", folder), ("b", archive)):
        made = caltech256.cut(tmp_path / name, str(source), seed=4).folder
        trees.append({p.relative_to(made): p.read_bytes() for p in made.rglob("*") if p.is_file()})
    assert len(trees[0]) > 15 and trees[0] == trees[1]


def test_a_folder_without_such_folders_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="0 folders NNN.name with pictures; expected Caltech-256"):
        caltech256.cut(tmp_path / "out", str(tmp_path))


@pytest.mark.parametrize("questions", [1, 2, 9, 11, 19])
def test_as_many_pictures_are_asked_as_were_wished_of_every_class_alike(tmp_path: Path, questions: int) -> None:
    for name in ("001.a", "002.b"):
        (tmp_path / name).mkdir()
        for number in range(10):
            (tmp_path / name / f"{number}.jpg").write_bytes(bytes([number]))
    made = caltech256.cut(tmp_path / "out", str(tmp_path), questions=questions)
    asked = Counter(row[2] for row in csv.reader(made.answers.open()))
    assert asked.total() == questions and abs(asked["yn"] - asked["ny"]) <= 1


def test_more_questions_than_pictures_are_refused(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(PipelineError, match="has 0 training and 15 test pictures; ask for less"):
        caltech256.cut(tmp_path / "out", str(folder), questions=500)


def test_what_a_mac_packs_beside_a_picture_is_no_picture(tmp_path: Path, folder: Path) -> None:
    (folder / "001.ak47" / "._001_0001.jpg").write_bytes(b"resources")
    assert len(rows(caltech256.cut(tmp_path / "out", str(folder)))) == 15


def test_a_class_in_two_folders_is_refused(tmp_path: Path, folder: Path) -> None:
    (folder / "003.ak47").mkdir()
    (folder / "003.ak47" / "003_0001.jpg").write_bytes(b"another rifle")
    with pytest.raises(PipelineError, match="'ak47' under two numbers; a class is one folder NNN.name"):
        caltech256.cut(tmp_path / "out", str(folder))


def test_an_archive_that_holds_a_file_twice_is_refused(tmp_path: Path, folder: Path) -> None:
    archive = tmp_path / "twice.tar"
    with tarfile.open(archive, "w") as target:
        target.add(folder, folder.name)
        target.add(folder / "001.ak47" / "001_0003.jpg", f"{folder.name}/001.ak47/001_0003.jpg")
    with pytest.raises(PipelineError, match="holds .*001_0003.jpg twice; pack every file once"):
        caltech256.cut(tmp_path / "out", str(archive))


def test_an_archive_cut_between_two_files_is_refused(tmp_path: Path, folder: Path) -> None:
    archive = tmp_path / "cut.tar"
    with tarfile.open(archive, "w") as target:
        target.add(folder, folder.name)
    with tarfile.open(archive) as whole:
        ends = [member.offset for member in whole][3:]
    body = archive.read_bytes()
    for end in ends:
        archive.write_bytes(body[:end])
        with pytest.raises(PipelineError, match="is no whole tar archive"):
            caltech256.cut(tmp_path / "out", str(archive))
