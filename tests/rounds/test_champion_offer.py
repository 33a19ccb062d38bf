"""What a recipe with `generations.start = "champion"` offers its models when a run is made."""

import pytest

from components.artifacts import champions, reference, storage
from components.artifacts.champions import Candidate, Champion, Decision
from pipeline import champion_start, local, recipe

NAME = "skirt_length_labels"


@pytest.fixture
def root(tmp_path):
    return str(tmp_path / "data")


def publish(root, kind, content):
    with reference.draft(root, kind) as draft:
        return reference.digest_of(draft.commit(content, {}))


def crown(root, **checkpoints):
    """Makes an ensemble of one prediction for each model champion."""
    members = {
        name: publish(root, "predictions", {"model": name, "checkpoint": digest})
        for name, digest in checkpoints.items()
    }
    ensemble = publish(root, "ensembles", {"members": members})
    decision = Decision("promoted", "first champion of this attribute")
    crowned = Champion(NAME).with_decision(Candidate(ensemble, "r", "m"), {}, decision, "day")
    champions.write(root, crowned)


def trained(root, number, pseudo="", parent=""):
    return publish(root, "checkpoints", {"number": number, "pseudo": pseudo, "parent": parent})


def test_each_model_is_offered_the_champions_checkpoint_of_its_name(root):
    one, two = trained(root, 1), trained(root, 2)
    crown(root, one=one, two=two)
    offered = champion_start.offered(root, [NAME], [{"name": "two", "train": {"epochs": 3}}, {"name": "new"}])
    assert offered == [{"name": "two", "train": {"epochs": 3}, "start": {NAME: two}}, {"name": "new"}]


def test_of_a_student_its_teacher_is_offered(root):
    """The student has seen the pool by its pseudo-labels; the next round may bring true labels that judge."""
    teacher = trained(root, 1)
    crown(root, one=trained(root, 2, pseudo="p", parent=teacher))
    assert champion_start.offered(root, [NAME], [{"name": "one"}]) == [{"name": "one", "start": {NAME: teacher}}]


def test_a_student_without_a_teacher_is_not_offered(root):
    crown(root, one=trained(root, 2, pseudo="p"))
    assert champion_start.offered(root, [NAME], [{"name": "one"}]) == [{"name": "one"}]


def test_without_a_champion_or_with_a_lost_one_nothing_is_offered(root):
    assert champion_start.offered(root, [NAME], [{"name": "one"}]) == [{"name": "one"}]
    crown(root, one=trained(root, 1))
    storage.remove_folder(storage.join(root, "ensembles"))
    assert champion_start.offered(root, [NAME], [{"name": "one"}]) == [{"name": "one"}]


def test_only_a_recipe_that_asks_for_it_gets_the_offer(place, root):
    one = trained(root, 1)
    crown(root, one=one)
    place.deliver("round1", range(3))
    structs = [{"name": "round1", "uri": str(place.folder / "round1"), "digest": ""}]

    def given(*overrides):
        read = recipe.load(str(place.recipe), [f"data_root={root}", *overrides])
        return local.parameters(read, structs, place.state)

    assert "models" not in given()
    (model,) = given("generations.start=champion")["models"]
    assert model["round1"] == {"name": "one", "train": {"backbone": "small_cnn"}, "start": {NAME: one}}
