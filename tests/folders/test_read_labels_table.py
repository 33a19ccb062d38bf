"""What ingest makes of a `labels.csv`: several attributes a picture, several classes a cell, numbers, splits."""

from pathlib import Path

import pytest

from components.errors import DataError, SettingsError
from components.ingest import csv_table, layouts
from components.ingest.rows import open_rounds


@pytest.fixture
def table(tmp_path):
    """Writes a round with pictures of the names given and a table; gives the round's struct."""

    def write(text, name="round1", pictures="abcdef"):
        folder = tmp_path / name
        folder.mkdir()
        for letter in pictures:
            (folder / f"{letter}.png").write_bytes(b"seen only by name")
        (folder / "labels.csv").write_bytes(text.encode() if isinstance(text, str) else text)
        return {"name": name, "uri": str(folder)}

    return write


def read(*rounds, structs=()):
    return csv_table.read(open_rounds(list(rounds)), list(structs))


def labels_of(reading, attribute):
    return {row.image_id: row.label for row in reading.rows if row.attribute == attribute and row.kind == "labelled"}


def test_every_column_is_an_attribute_and_its_cells_say_what_it_is(table):
    reading = read(table("image,kind,colours,fits\na.png,shirt,red|blue,yes\nb.png,skirt,green,no\nc.png,coat,-,no\n"))
    about = {name: (a.classes, a.task) for name, a in reading.attributes.items()}
    assert about == {
        "kind": (("coat", "shirt", "skirt"), "one_of_k"),
        "colours": (("blue", "green", "red"), "multi_label"),
        "fits": (("no", "yes"), "binary"),
    }
    assert labels_of(reading, "colours") == {"a.png": "yny", "b.png": "nyn", "c.png": "nnn"}
    assert labels_of(reading, "fits") == {"a.png": "ny", "b.png": "yn", "c.png": "yn"}


def test_a_question_mark_makes_a_class_fuzzy(table):
    reading = read(table("image,kind\na.png,shirt|blouse?\nb.png,blouse\n"))
    assert reading.attributes["kind"].task == "binary"
    assert labels_of(reading, "kind") == {"a.png": "my", "b.png": "yn"}


def test_an_empty_cell_is_unlabelled_and_the_split_says_the_rest(table):
    text = "image,kind,split\na.png,x,train\nb.png,,\nc.png,y,val\nd.png,x,test\ne.png,y,pool\n"
    reading = read(table(text))
    assert [(row.image_id, row.kind, row.label, row.held_out) for row in reading.rows] == [
        ("a.png", "labelled", "yn", False),
        ("b.png", "pool", "", False),
        ("c.png", "labelled", "ny", True),
        ("d.png", "test", "", False),
        ("e.png", "pool", "", False),
    ]


def test_the_recipe_chooses_columns_classes_and_tasks(table):
    structs = [
        {"name": "price", "task": "regression"},
        {"name": "size", "task": "ordinal", "classes": ["small", "large"]},
    ]
    reading = read(table("image,size,price,colour\na.png,large,3.50,red\nb.png,small,4e1,blue\n"), structs=structs)
    assert labels_of(reading, "price") == {"a.png": "3.5", "b.png": "40"}
    assert labels_of(reading, "size") == {"a.png": "ny", "b.png": "yn"}
    assert reading.attributes["size"].ordinal
    assert reading.ignored == {"colour": 2}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a.png,mauve,1", "unknown class: 'mauve'"),
        ("a.png,red|green,1", "more than one y"),
        ("a.png,red,dear", "no number: 'dear'"),
        ("a.png,red,nan", "no number: 'nan'"),
        ("a.png,red,1_000", "no number: '1_000'"),
        ("../a.png,red,1", "path leaves the round's folder"),
        ("z.png,red,1", "missing file: no z.png"),
        ("b.png,red,1", "duplicate row"),
    ],
)
def test_a_cell_that_cannot_be_used_is_refused_with_its_line(table, row, reason):
    structs = [
        {"name": "colour", "task": "one_of_k", "classes": ["red", "green"]},
        {"name": "price", "task": "regression"},
    ]
    reading = read(table(f"image,colour,price\nb.png,red,1\n{row}\n"), structs=structs)
    assert reason in [r.reason for r in reading.rejected][0]
    assert {r.line for r in reading.rejected} == {3}


@pytest.mark.parametrize(
    ("split", "kind", "held_out"),
    [
        ("training", "labelled", False),
        ("Valid", "labelled", True),
        ("validation", "labelled", True),
        ("tests", "test", False),
        ("unlabelled", "pool", False),
    ],
)
def test_a_split_may_be_called_as_folders_may(table, split, kind, held_out):
    reading = read(table(f"image,kind,split\na.png,x,train\nb.png,y,{split}\n"))
    assert [(row.kind, row.held_out) for row in reading.rows] == [("labelled", False), (kind, held_out)]


def test_an_unknown_split_is_refused(table):
    reading = read(table("image,kind,split\na.png,x,train\nb.png,y,learn\n"))
    assert [r.reason for r in reading.rejected] == ["unknown split: 'learn'; expected train, val, test or pool"]


def test_a_column_that_is_not_there_is_said_with_the_nearest_one(table):
    with pytest.raises(DataError, match="'colors' is no column of labels.csv; did you mean colour"):
        read(table("image,colour\na.png,red\nb.png,blue\n"), structs=[{"name": "colors"}])


@pytest.mark.parametrize("text", ["", "picture,kind\na.png,x\n", "image,kind,kind\na.png,x,y\n", "image,,kind\n"])
def test_a_table_without_a_usable_head_is_one_clear_line(table, text):
    with pytest.raises(DataError, match=r"round1/labels.csv begins with .*expected different names"):
        read(table(text))


def test_a_task_that_does_not_fit_the_classes_is_one_clear_line(table):
    round1 = table("image,kind\na.png,x\nb.png,y\nc.png,z\n")
    with pytest.raises(SettingsError, match="task=binary has two classes, not 3; use one_of_k"):
        read(round1, structs=[{"name": "kind", "task": "binary"}])
    with pytest.raises(SettingsError, match="task='ordinals' is not one of .*did you mean ordinal"):
        read(round1, structs=[{"name": "kind", "task": "ordinals"}])


def test_names_alone_are_no_ranks(table):
    round1 = table("image,size\na.png,small\nb.png,large\nc.png,middle\n")
    for wish, words in (({"task": "ordinal"}, "task=ordinal"), ({"ordinal": True}, "ordinal=true")):
        with pytest.raises(SettingsError, match=f"'size': {words} needs classes, the lowest first; found: .'large'"):
            read(round1, structs=[{"name": "size", **wish}])


def test_two_spaces_in_the_name_of_a_picture_are_kept(table):
    round1 = table("image,kind\na  b.png ,x\nc.png,y\n", pictures=["a  b", "c"])
    assert [(row.image_id, row.path) for row in read(round1).rows] == [("a  b.png", "a  b.png"), ("c.png", "c.png")]


def test_a_class_is_one_class_however_its_accent_is_written(table):
    reading = read(table("image,kind\na.png,caf\u00e9\nb.png,cafe\u0301\nc.png,tea\n"))
    assert reading.attributes["kind"].classes == ("caf\u00e9", "tea")


def test_a_picture_of_train_and_of_val_stays_in_val_alone(table):
    reading = read(table("image,kind,split\na.png,x,train\na.png,x,val\na.png,x,val\nb.png,y,\n"))
    assert [(row.image_id, row.held_out) for row in reading.rows] == [
        ("a.png", False),  # goes as a copy of what is held out, see `conflicts.drop_held_out_copies`
        ("a.png", True),
        ("b.png", False),
    ]
    assert [r.reason for r in reading.rejected] == ["duplicate row: the first one counts"]


def test_one_class_alone_teaches_nothing(table):
    with pytest.raises(DataError, match=r"attribute 'kind' has 1 class\(es\): \['x'\]; expected two or more"):
        read(table("image,kind\na.png,x\n"))


def test_all_rounds_share_the_classes_and_a_question_is_answered_once(table):
    first = table("image,kind,split\na.png,x,\nb.png,,test\n")
    second = table("image,kind,split\na.png,y,\nb.png,,test\n", name="round2")
    reading = read(first, second)
    assert [(r.round, r.label) for r in reading.rows if r.kind == "labelled"] == [(1, "yn"), (2, "ny")]
    assert [r.reason for r in reading.rejected] == ["repeated question: the first one is answered"]


def test_quotes_windows_line_ends_and_a_bom_are_read(table):
    reading = read(table(b'\xef\xbb\xbfimage,kind\r\n"a.png","red, or so"\r\nb.png,blue\r\n'))
    assert reading.attributes["kind"].classes == ("blue", "red, or so")
    assert reading.notes == ["round1/labels.csv is UTF-8 with BOM; read as such"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_cell_in_quotes_may_go_over_several_lines(table, end):
    text = 'image,"kind of\nthing",note\na.png,"shirt\nor blouse","one\n\ntwo"\nz.png,skirt,"three\nfour"\n'
    text += "y.png,skirt,\nb.png,skirt,\n"
    reading = read(table(text.replace("\n", end)), structs=[{"name": "kind of thing"}])
    assert reading.attributes["kind of thing"].classes == ("shirt or blouse", "skirt")
    assert labels_of(reading, "kind of thing") == {"a.png": "yn", "b.png": "ny"}
    assert [(row.image_id, row.line) for row in reading.rejected] == [("z.png", 7), ("y.png", 9)]
    assert [row.line for row in reading.rows] == [3, 10]


@pytest.mark.parametrize("mark", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"])
def test_signs_that_only_unicode_calls_line_breaks_end_no_line(table, mark):
    reading = read(table(f"image,kind\na.png,x{mark}y\nb.png,z\n"))
    assert reading.attributes["kind"].classes == ("x y", "z")
    assert not reading.rejected


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ('image,kind\na.png,x\nb.png,"y\nc.png,x\n', 3, "a quote is not closed"),
        ('image,kind\na.png,"x"" wide"\nb.png,"y" wide\n', 3, "',' expected after '\"'"),
        ('image,kind\na.png,"' + "x\n" * 70_000 + '"\n', 2, "field larger than field limit"),
    ],
)
def test_quotes_that_would_swallow_rows_are_one_clear_line(table, text, line, why):
    with pytest.raises(DataError, match=f"round1/labels.csv cannot be read from line {line} on: {why}"):
        read(table(text))


def test_the_layout_is_found_by_the_table_itself(table):
    rounds = open_rounds([table("image,kind\na.png,x\nb.png,y\n")])
    assert layouts.reader("auto", rounds) is csv_table.read


def test_a_round_without_a_table_among_rounds_with_one_is_refused(table, tmp_path: Path):
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "a.png").write_bytes(b"x")
    with pytest.raises(DataError, match="round 'bare' has no labels.csv"):
        read(table("image,kind\na.png,x\nb.png,y\n"), {"name": "bare", "uri": str(tmp_path / "bare")})
