"""Links in a round: followed to files and folders, and then known to its digest, or else refused with a reason."""

import os
import shutil

import pytest

from components.artifacts import round_files
from components.errors import DataError
from components.ingest import csv_table, fashionai, folders, layouts
from components.ingest.rows import open_rounds
from pipeline.rounds import digest
from pipeline.rounds.folders import deliveries, describe

GONE = "broken link: No such file or directory"
CIRCLE = "link in a circle: it leads to a folder that holds it"


@pytest.fixture
def elsewhere(tmp_path):
    """A folder outside the data with two pictures."""
    for name in ("1.png", "deep/2.png"):
        (tmp_path / "elsewhere" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "elsewhere" / name).write_bytes(f"picture {name}".encode())
    return tmp_path / "elsewhere"


@pytest.fixture
def round1(delivery):
    """A round with two classes, seen by name only."""
    delivery.put("train/cat/a.png", b"a")
    delivery.put("train/dog/b.png", b"b")
    return delivery


def read(delivery):
    return folders.read(open_rounds([delivery.struct]), [])


def refused(reading):
    return {row.image_id: row.reason for row in reading.rejected}


def paths(reading):
    return [row.path for row in reading.rows]


def test_a_linked_picture_is_a_picture_wherever_it_lies(round1, elsewhere):
    (round1.folder / "train/cat/far.png").symlink_to(elsewhere / "1.png")
    (round1.folder / "train/cat/near.png").symlink_to("../dog/b.png")
    reading = read(round1)
    assert paths(reading) == ["train/cat/a.png", "train/cat/far.png", "train/cat/near.png", "train/dog/b.png"]
    assert not reading.rejected and not reading.notes


@pytest.mark.parametrize("place", ["train/bird", "train/cat/more", "pool"])
def test_a_linked_folder_is_read_as_if_it_were_copied(round1, elsewhere, place, tmp_path):
    shutil.copytree(round1.folder, tmp_path / "copied" / "round1")
    shutil.copytree(elsewhere, tmp_path / "copied" / "round1" / place)
    (round1.folder / place).symlink_to(elsewhere)
    copied = folders.read(open_rounds([{"name": "round1", "uri": str(tmp_path / "copied" / "round1")}]), [])
    assert read(round1) == copied
    assert digest(str(round1.folder)) == digest(str(tmp_path / "copied" / "round1"))


def test_the_digest_and_the_watchers_fingerprint_know_what_lies_behind_links(round1, elsewhere):
    (round1.folder / "train/cat/far.png").symlink_to(elsewhere / "1.png")
    (round1.folder / "train/dog/more").symlink_to(elsewhere / "deep")
    for changed in ("1.png", "deep/2.png"):
        before = digest(str(round1.folder)), deliveries(str(round1.folder))[0].fingerprint
        (elsewhere / changed).write_bytes(b"another picture")
        after = digest(str(round1.folder)), deliveries(str(round1.folder))[0].fingerprint
        assert before[0] != after[0] and before[1] != after[1]


def test_the_digest_and_the_reader_see_the_same_files(round1, elsewhere):
    (round1.folder / "train/dog/more").symlink_to(elsewhere)
    (round1.folder / "train/dog/again").symlink_to("..")
    (seen,) = deliveries(str(round1.folder))
    assert [entry.name for entry in seen.entries] == open_rounds([round1.struct])[0].files


def test_links_that_lead_nowhere_are_refused_with_a_reason(round1, tmp_path):
    (round1.folder / "train/cat/gone.png").symlink_to(tmp_path / "nowhere.png")
    (round1.folder / "train/cat/me.png").symlink_to("me.png")
    (round1.folder / "val").symlink_to(tmp_path / "nowhere")
    reading = read(round1)
    assert refused(reading) == {
        "train/cat/gone.png": "broken link: No such file or directory",
        "train/cat/me.png": "broken link: Too many levels of symbolic links",
        "val": "broken link: No such file or directory",
    }
    assert {(row.file, row.line, row.attribute) for row in reading.rejected} >= {("round1/val", 0, "class")}
    assert paths(reading) == ["train/cat/a.png", "train/dog/b.png"]


@pytest.mark.parametrize("target", [".", "..", "../..", "/"])
def test_a_link_to_a_folder_that_holds_it_is_refused(round1, target):
    (round1.folder / "train/cat/again").symlink_to(target)
    reading = read(round1)
    assert refused(reading) == {"train/cat/again": CIRCLE}
    assert len(reading.rows) == 2 and not reading.notes


def test_two_folders_that_link_each_other_come_to_an_end(round1):
    (round1.folder / "train/cat/dogs").symlink_to("../dog")
    (round1.folder / "train/dog/cats").symlink_to("../cat")
    reading = read(round1)
    assert {name: reason.split(":")[0] for name, reason in refused(reading).items()} == {
        "train/cat/dogs/cats": "link behind a link",
        "train/dog/cats/dogs": "link behind a link",
    }
    assert paths(reading) == ["train/cat/a.png", "train/cat/dogs/b.png", "train/dog/b.png", "train/dog/cats/a.png"]


def test_what_is_neither_a_file_nor_a_folder_is_refused(round1):
    os.mkfifo(round1.folder / "train/cat/pipe.png")
    assert refused(read(round1)) == {"train/cat/pipe.png": "special file: neither a file nor a folder"}


def test_hidden_links_are_as_hidden_as_hidden_files(round1, tmp_path):
    (round1.folder / "train/.cache").symlink_to(tmp_path / "nowhere")
    assert not read(round1).rejected


def test_a_table_names_pictures_behind_links_but_none_that_the_digest_does_not_know(delivery, elsewhere):
    delivery.put("labels.csv", b"image,kind\nlinked/1.png,x\nlinked/deep/2.png,y\nself/labels.csv,x\n.hidden/3.png,y\n")
    delivery.put(".hidden/3.png", b"x")
    (delivery.folder / "linked").symlink_to(elsewhere)
    (delivery.folder / "self").symlink_to(".")
    reading = csv_table.read(open_rounds([delivery.struct]), [])
    assert paths(reading) == ["linked/1.png", "linked/deep/2.png"]
    assert refused(reading) == {
        "self/labels.csv": CIRCLE,
        ".hidden/3.png": "hidden: what begins with a dot is not read",
    }


def test_what_a_table_names_and_cannot_be_had_has_the_reason_why(delivery, tmp_path):
    delivery.put("__MACOSX/1.png", b"x")
    delivery.put("2.png", b"x")
    delivery.put("labels.csv", b"image,kind\n2.png,x\n__MACOSX/1.png,y\ngone/deep/1.png,y\ngone.png,y\nno.png,y\n")
    for name in ("gone", "gone.png"):
        (delivery.folder / name).symlink_to(tmp_path / "nowhere")
    assert refused(csv_table.read(open_rounds([delivery.struct]), [])) == {
        "__MACOSX/1.png": "hidden: what lies in __MACOSX is not read",
        "gone/deep/1.png": GONE,
        "gone.png": GONE,
        "no.png": "missing file: no no.png",
    }


@pytest.fixture
def contest(delivery):
    """A round in the contest's layout with a labelled picture and a question."""
    delivery.put("Images/a.jpg", b"x")
    delivery.labels("Images/a.jpg,coat_length_labels,nynnnnnn")
    delivery.labels("Images/q.jpg,coat_length_labels,", file="Tests/question.csv")
    return delivery


def test_what_cannot_be_read_of_a_contests_pictures_is_refused_and_told_once(contest, tmp_path):
    contest.labels("Images/a.jpg,coat_length_labels,nynnnnnn", "Images/gone.jpg,coat_length_labels,nynnnnnn")
    contest.put("Pool/b.jpg", b"x")
    for name in ("Pool/gone.jpg", "Images/gone.jpg", "Images/unnamed.jpg"):
        (contest.folder / name).symlink_to(tmp_path / "nowhere.jpg")
    reading = fashionai.read(open_rounds([contest.struct]), [])
    assert [(row.image_id, row.line, row.reason) for row in reading.rejected] == [
        ("Images/gone.jpg", 2, GONE),
        ("Images/unnamed.jpg", 0, GONE),
        ("Pool/gone.jpg", 0, GONE),
    ]


@pytest.mark.parametrize("base", ["", "rank/"])
@pytest.mark.parametrize("place", ["Tests/question.csv", "Tests", "Annotations/z.csv", "Annotations", "tests/more"])
def test_labels_and_questions_that_cannot_be_read_stop_the_run(contest, tmp_path, base, place):
    (contest.folder / base / place).parent.mkdir(parents=True, exist_ok=True)
    if (contest.folder / base / place).exists():
        (contest.folder / base / place).rename(tmp_path / "away")
    (contest.folder / base / place).symlink_to(tmp_path / "nowhere")
    with pytest.raises(DataError, match=f"round1/{base}{place} cannot be read: {GONE}; labels and questions lie there"):
        fashionai.read(open_rounds([contest.struct]), [])


def test_a_round_whose_tables_are_all_behind_broken_links_is_still_the_contests(delivery, tmp_path):
    delivery.put("Images/a.jpg", b"x")
    (delivery.folder / "Tests").mkdir()
    (delivery.folder / "Tests/question.csv").symlink_to(tmp_path / "nowhere")
    rounds = open_rounds([delivery.struct])
    assert layouts.reader("auto", rounds) is fashionai.read


def test_a_folder_of_a_round_that_cannot_be_read_stops_the_run(contest, monkeypatch):
    """Nobody is refused a folder where all run as root."""
    contest.put("base/Images/b.jpg", b"x")
    look = round_files.Look([], [round_files.Unread("base", "unreadable folder: Permission denied")])
    monkeypatch.setattr(round_files, "look", lambda uri, folders: look)
    with pytest.raises(DataError, match="round1/base cannot be read: unreadable folder: Permission denied"):
        fashionai.read(open_rounds([contest.struct | {"folders": ["base"]}]), [])


def test_the_digest_sees_what_the_reader_sees_also_where_a_rounds_folder_is_a_link(tmp_path):
    """Seen from `base` a link in it would be the first, seen from the round it lies behind one."""
    for name in ("far/base/Images/a.png", "far/more/b.png", "data/web/Images/c.png", "data/later/d.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "far/base/Images/more").symlink_to(tmp_path / "far/more")
    (tmp_path / "data/base").symlink_to(tmp_path / "far/base")
    struct = describe("round1", str(tmp_path / "data"), ["web", "base"])
    (seen,) = open_rounds([struct])
    assert seen.files == ["base/Images/a.png", "web/Images/c.png"]
    assert [item.name for item in seen.unread] == ["base/Images/more"]
    (tmp_path / "far/more/b.png").write_bytes(b"what nobody reads")
    assert digest(struct["uri"], struct["folders"]) == struct["digest"]
    (tmp_path / "far/base/Images/a.png").write_bytes(b"another")
    assert digest(struct["uri"], struct["folders"]) != struct["digest"]


def test_the_report_tells_the_refused_links(delivery, ingest, tmp_path):
    for number, path in enumerate([f"train/{kind}/{n}.png" for kind in ("cat", "dog") for n in range(4)]):
        delivery.picture(path, number)
    (delivery.folder / "train/cat/gone.png").symlink_to(tmp_path / "nowhere.png")
    result = ingest(delivery)
    assert list(result.rejected.reason) == ["broken link: No such file or directory"]
    assert "broken link" in result.page and "train/cat/gone.png" in result.page


def test_a_folder_that_is_not_there_holds_nothing(tmp_path):
    assert round_files.look(str(tmp_path / "nowhere")) == ([], [])
    with pytest.raises(DataError, match="no file under"):
        open_rounds([{"name": "r", "uri": str(tmp_path / "nowhere")}])[0].files  # noqa: B018
