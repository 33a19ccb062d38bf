"""Rounds are found in the order they came and named by their content."""

import pytest

from pipeline import rounds
from pipeline.errors import RecipeError


def deliver(folder, text="Images/skirt_length_labels/a.jpg,skirt_length_labels,nnynnn\n"):
    (folder / "Annotations").mkdir(parents=True)
    (folder / "Annotations" / "label.csv").write_text(text)
    return folder


def names(found):
    return [r["name"] for r in found]


def test_a_folder_in_the_contests_layout_is_one_round(tmp_path):
    assert names(rounds.discover(str(deliver(tmp_path)))) == ["round1"]


def test_folders_are_rounds_in_natural_order(tmp_path):
    for name in ("round10", "round2", "round1"):
        deliver(tmp_path / name)
    assert names(rounds.discover(str(tmp_path))) == ["round1", "round2", "round10"]


def test_the_contests_own_folders_make_two_rounds(tmp_path):
    for name in ("web", "base", "rank", "z_rank", "round2_train", "week-rank"):
        deliver(tmp_path / name, text=name)
    first, second = rounds.discover(str(tmp_path))
    assert (first["folders"], second["folders"]) == (["web", "base", "rank", "z_rank"], ["round2_train", "week-rank"])
    assert first["uri"] == second["uri"] == str(tmp_path)


def test_a_round_without_a_successor_stands_alone(tmp_path):
    deliver(tmp_path / "base")
    assert names(rounds.discover(str(tmp_path))) == ["round1"]


def test_the_digest_follows_the_content_not_the_place(tmp_path):
    here, there, other = (deliver(tmp_path / n, text=t) for n, t in (("a", "x"), ("b", "x"), ("c", "y")))
    assert rounds.digest(str(here)) == rounds.digest(str(there)) != rounds.digest(str(other))


def test_a_renamed_file_changes_the_digest(tmp_path):
    folder = deliver(tmp_path)
    before = rounds.digest(str(folder))
    (folder / "Annotations" / "label.csv").rename(folder / "Annotations" / "labels.csv")
    assert rounds.digest(str(folder)) != before


def test_nothing_there_is_said_with_what_was_expected(tmp_path):
    with pytest.raises(RecipeError, match="not a folder; give the folder that holds the rounds"):
        rounds.discover(str(tmp_path / "absent"))
    with pytest.raises(RecipeError, match="holds no folders; expected one folder per round"):
        rounds.discover(str(tmp_path))
    (tmp_path / "round1").mkdir()
    with pytest.raises(RecipeError, match="holds no files"):
        rounds.discover(str(tmp_path))


def test_the_attributes_of_the_data_are_read_from_its_tables(tmp_path):
    deliver(tmp_path / "base")
    deliver(tmp_path / "rank", text="\ufeffImages/a.jpg, coat_length_labels ,nnnnynnn,0\r\n")
    assert rounds.attributes_in(rounds.discover(str(tmp_path))) == {"skirt_length_labels", "coat_length_labels"}


def test_folders_that_belong_to_another_round_do_not_count(tmp_path):
    deliver(tmp_path / "base")
    deliver(tmp_path / "round2", text="Images/a.jpg,coat_length_labels,nnnnynnn\n")
    first, second = rounds.discover(str(tmp_path))
    assert rounds.attributes_in([first]) == {"skirt_length_labels"}
    assert rounds.attributes_in([second]) == {"coat_length_labels"}
