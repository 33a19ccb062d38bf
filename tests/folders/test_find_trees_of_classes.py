"""`--data DIR`: which folders are one round of classes, and which are rounds."""

import pytest

from pipeline import local, recipe, recipe_checks
from pipeline.errors import RecipeError
from pipeline.rounds import attributes_in, discover
from pipeline.rounds.folders import deliveries


@pytest.fixture
def tree(tmp_path):
    def make(*paths):
        for path in paths:
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text("image,colour,kind,split\n" if path.endswith(".csv") else "picture")
        return str(tmp_path)

    return make


ONE_ROUND = {
    "train and val": ["train/cat/1.jpg", "val/cat/2.jpg"],
    "training and validation": ["Training/cat/1.jpg", "validation/cat/2.jpg"],
    "train alone, with folders inside the classes": ["train/cat/grey/1.jpg", "train/dog/1.jpg"],
    "a tree of classes": ["cat/1.jpg", "dog/1.jpg"],
    "a tree of classes with questions": ["cat/1.jpg", "dog/1.jpg", "test/3.jpg"],
    "a table": ["labels.csv", "pictures/1.jpg"],
    "a table with pictures in two levels": ["labels.csv", "pictures/2020/1.jpg"],
}


@pytest.mark.parametrize("what", ONE_ROUND)
def test_a_data_set_with_classes_or_a_table_is_one_round(tree, what):
    place = tree(*ONE_ROUND[what])
    assert [(r["name"], r["uri"]) for r in discover(place)] == [("round1", place)]


@pytest.mark.parametrize(
    "paths",
    [
        ["first/cat/1.jpg", "first/dog/1.jpg", "second/cat/1.jpg"],
        ["first/train/cat/1.jpg", "second/train/cat/1.jpg"],
        ["first/labels.csv", "first/1.jpg", "second/labels.csv"],
    ],
)
def test_folders_that_are_such_data_sets_are_rounds(tree, paths):
    assert [r["name"] for r in discover(tree(*paths))] == ["first", "second"]


def test_a_watched_folder_that_is_split_is_one_delivery(tree):
    assert [d.name for d in deliveries(tree("train/cat/1.jpg", "val/cat/2.jpg"))] == ["round1"]


def test_the_attributes_of_a_table_are_its_columns_but_image_and_split(tree):
    assert attributes_in(discover(tree("labels.csv", "1.jpg"))) == {"colour", "kind"}
    assert attributes_in([]) == set()


def test_the_folders_recipe_learns_every_column_or_else_the_one_attribute_of_the_tree(tree, tmp_path):
    read = recipe.load("folders")
    rounds = discover(tree("labels.csv", "1.jpg"))
    given = local.parameters(read, rounds, tmp_path / "state")["attributes"]
    assert [(item["name"], item["task"]) for item in given] == [("colour", "auto"), ("kind", "auto")]
    (tmp_path / "labels.csv").unlink()
    bare = local.parameters(read, discover(tree("cat/1.jpg", "dog/1.jpg")), tmp_path / "state")["attributes"]
    assert [item["name"] for item in bare] == ["class"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_columns_are_found_in_a_head_of_several_lines_and_in_any_encoding(tmp_path, encoding):
    (tmp_path / "labels.csv").write_text('image,"kind of\n thing"\n1.jpg,x\n', encoding=encoding)
    assert attributes_in([{"uri": str(tmp_path)}]) == {"kind of thing"}


def test_a_head_whose_quote_never_closes_is_one_clear_line(tmp_path):
    (tmp_path / "labels.csv").write_text('image,"kind\n' + "1.jpg,x\n" * 20_000)
    with pytest.raises(RecipeError, match="labels.csv begins with no names of columns: field larger"):
        attributes_in([{"uri": str(tmp_path)}])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["attributes.class.task=binary", "attributes.class.classes=a,b,c"], "task=binary has two classes, not 3"),
        (["attributes.class.task=regression", "attributes.class.classes=a,b"], "learns a number and has no classes"),
        (["attributes.class.task=ordinal"], "task=ordinal needs classes, the lowest first"),
        (["attributes.class.task=multi_label", "generations.pseudo=true"], "set generations.pseudo=false"),
        (["attributes.class.task=regression", "generations.pseudo=true"], "set generations.pseudo=false"),
    ],
)
def test_a_task_that_cannot_be_is_refused_before_anything_starts(changes, message):
    with pytest.raises(RecipeError, match=message):
        recipe_checks.refuse_contradictions(recipe.load("folders", changes))


def test_ranks_that_are_named_in_their_order_are_accepted():
    loaded = recipe.load("folders", ["attributes.class.task=ordinal", "attributes.class.classes=1,2,10"])
    recipe_checks.refuse_contradictions(loaded)
    assert loaded.attributes[0]["classes"] == ["1", "2", "10"]


def test_broken_links_alone_are_no_data(tmp_path):
    (tmp_path / "data" / "train" / "cat").mkdir(parents=True)
    (tmp_path / "data" / "train" / "cat" / "1.jpg").symlink_to(tmp_path / "nowhere.jpg")
    with pytest.raises(RecipeError, match="holds no files; check the address"):
        discover(str(tmp_path / "data"))


def test_an_unknown_task_is_refused_with_the_known_ones():
    with pytest.raises(RecipeError, match=r"attributes.class.task='ordinals' is not one of .*did you mean ordinal"):
        recipe.load("folders", ["attributes.class.task=ordinals"])
