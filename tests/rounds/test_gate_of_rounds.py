"""Whether a round may teach: sane labels, enough new pictures; otherwise a state and the reason in words."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.datasets import demo
from pipeline.rounds import gate
from pipeline.rounds.gate import Labels

NAME = "skirt_length_labels"


def view(place, name="round1"):
    return place.rounds()[name]


def test_a_sound_round_is_counted(place):
    place.deliver("round1", range(5), extra=f"Images/{NAME}/0.jpg,{NAME},ynnn\n")
    place.land()
    found = view(place)
    assert (found.pictures, found.new_pictures, found.labelled, found.rejected) == (5, 5, 5, 1)
    assert found.reasons["wrong length"] == [
        1,
        "round1/Annotations/label.csv line 6: wrong length: 'ynnn' has 4 characters; skirt_length_labels has 6 classes",
    ]


def test_too_many_bad_rows_reject_the_round_with_the_commonest_reasons(place):
    place.deliver("round1", range(5), extra=f"Images/{NAME}/gone.jpg,{NAME},ynnnnn\n" * 2)
    assert place.land() == []
    assert view(place).state == "rejected"
    assert "2 of 7 rows are refused, more than max_rejected=0.2: 2 x missing file" in view(place).reason
    assert place.runs() == []


def test_the_recipe_says_how_many_bad_rows_are_too_many(place):
    place.overrides = ("ingest.max_rejected=0.5",)
    place.deliver("round1", range(5), extra=f"Images/{NAME}/gone.jpg,{NAME},ynnnnn\n" * 2)
    assert len(place.land()) == 1


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ("y", "no usable labelled row among 3: 3 x wrong length"),
        ("nnnnnn", "no usable labelled row among 3: 3 x no y"),
        ("", "has no labelled row"),
    ],
)
def test_a_round_without_one_usable_label_is_rejected(place, label, reason):
    place.deliver("round1", range(3), label=label)
    place.land()
    assert view(place).state == "rejected" and reason in view(place).reason


def test_labels_about_what_the_recipe_does_not_know_are_rejected(place):
    place.deliver("round1", [], extra="Images/a.jpg,colour_labels,ynn\n")
    place.land()
    assert view(place).reason == "its labels are about colour_labels; the recipe knows skirt_length_labels"


def test_a_table_that_is_no_table_is_rejected(place):
    place.deliver("round1", range(2))
    (place.folder / "round1/Annotations/label.csv").write_bytes(bytes(range(256)) * 50)
    place.land()
    assert view(place).state == "rejected"


def test_a_rejected_round_does_not_stop_the_others(place):
    place.deliver("round1", range(3))
    place.deliver("round2", range(3, 6), label="y")
    place.land()
    assert place.learnt() == [["round1"]]


def test_a_round_that_cannot_be_read_waits_and_says_why_and_the_others_go_on(place):
    place.deliver("round1", range(3))
    place.deliver("round2", range(3, 6))
    secret = place.folder / "round2/Annotations/label.csv"
    secret.unlink()
    secret.symlink_to("/proc/self/mem")  # a file that stands there and refuses to be read
    place.land()
    assert view(place, "round2").state == "waiting" and view(place, "round2").reason
    assert place.learnt() == [["round1"]]


def test_too_few_new_pictures_wait_for_more_and_more_make_no_new_version(place):
    place.options = replace(place.options, min_new=6)
    place.deliver("round1", range(5))
    assert place.land() == []
    assert view(place).state == "waiting"
    assert view(place).reason.startswith("5 of its 5 labelled pictures are new, 6 are asked for")
    place.deliver("round1", range(7))
    assert len(place.land()) == 1
    assert (view(place).version, view(place).state) == (1, "launched")


def test_pictures_of_earlier_rounds_and_copies_within_the_round_are_not_new(place):
    place.options = replace(place.options, min_new=3)
    place.deliver("round1", range(5))
    place.land()
    place.deliver("round2", [3, 4, 5, 6])
    (place.folder / f"round2/Images/{NAME}/6.jpg").write_bytes(b"picture 5")
    place.land()
    found = view(place, "round2")
    assert (found.state, found.pictures, found.new_pictures) == ("waiting", 3, 1)


def test_a_lower_minimum_is_applied_to_a_round_that_waits(place):
    place.options = replace(place.options, min_new=6)
    place.deliver("round1", range(5))
    place.land()
    place.options = replace(place.options, min_new=5)
    assert len(place.look()) == 1


def test_folders_of_classes_are_read_too(place):
    place.recipe.write_text(place.recipe.read_text().replace(f"[attributes.{NAME}]", "[attributes.kind]"))
    for number, kind in enumerate(("cat", "dog")):
        (place.folder / "round1" / kind).mkdir(parents=True)
        (place.folder / "round1" / kind / "a.jpg").write_bytes(bytes([number]))
    assert len(place.land()) == 1
    assert view(place).pictures == 2


def test_the_drawn_data_with_all_its_quirks_passes(place, tmp_path):
    made = demo.draw(tmp_path / "drawn", images=60, attributes=[NAME])
    place.address = str(made.folder)
    launched = place.land()
    assert [round["name"] for round in launched[0].rounds] == ["round1", "round2"]
    found = place.rounds()
    planted = demo.quirk_counts(made.folder)
    assert found["round1"].rejected + found["round2"].rejected > 0, planted
    assert found["round2"].new_pictures < found["round2"].pictures, "copies across rounds are planted"


@given(labelled=st.integers(0, 50), rejected=st.integers(0, 50), new=st.integers(0, 50), limit=st.floats(0, 1))
def test_what_lands_has_labels_few_bad_rows_and_enough_new_pictures(labelled, rejected, new, limit):
    labels = Labels(labelled=labelled, rejected=rejected, reasons={"x": [rejected, "a"]})
    state, reason = gate.judge(labels, new, 10, limit)
    sound = labelled > 0 and rejected <= limit * (labelled + rejected) and new >= 10
    assert (state == "landed") == sound
    assert (reason == "") == sound
