"""What a recipe becomes on this machine."""

import pytest

from pipeline import local, recipe
from pipeline.datasets import demo
from pipeline.engine.budget import Demand
from pipeline.errors import RecipeError


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return demo.draw(tmp_path_factory.mktemp("drawn") / "data", images=60, attributes=["skirt_length_labels"])


def test_only_the_attributes_that_the_data_has_are_run(drawn, tmp_path):
    read = recipe.load("demo")
    given, answers = local.prepare(read, str(drawn.folder), tmp_path)
    assert [item["name"] for item in given["attributes"]] == ["skirt_length_labels"]
    assert len(read.attributes) == 3
    assert answers == ""


def test_drawn_data_is_asked_the_same_as_its_folder(tmp_path):
    read = recipe.load("demo", ["data.images=60"])
    made, _ = local.prepare(read, "", tmp_path)
    folder = next((tmp_path / "datasets").glob("demo-*"))
    assert local.prepare(read, str(folder), tmp_path)[0]["attributes"] == made["attributes"]


def test_data_without_any_attribute_of_the_recipe_is_refused(drawn, tmp_path):
    with pytest.raises(RecipeError, match="the data has skirt_length_labels, the recipe wants garment_labels"):
        local.prepare(recipe.load("fashion_mnist"), str(drawn.folder), tmp_path)


def test_a_recipe_without_data_says_what_to_give(tmp_path):
    with pytest.raises(RecipeError, match="give --data DIR"):
        local.prepare(recipe.load("fashionai", ["data.rounds=[]"]), "", tmp_path)


def test_a_task_gets_as_many_threads_as_it_has_slots():
    threads = {local.environment(Demand(cpu_slots=slots))["TF_NUM_INTRAOP_THREADS"] for slots in (0.5, 1.0)}
    assert threads == {"1"}
    assert local.environment(Demand(cpu_slots=4))["OMP_NUM_THREADS"] == "4"


def test_only_a_task_that_asks_for_a_gpu_sees_one():
    assert local.environment(Demand())["CUDA_VISIBLE_DEVICES"] == "-1"
    assert "CUDA_VISIBLE_DEVICES" not in local.environment(Demand(gpus=1))


def test_a_reference_whose_bytes_are_gone_is_not_taken_from_the_cache(tmp_path):
    reference = tmp_path / "checkpoints" / ("0" * 32)
    assert not local.references_exist({"checkpoint": str(reference)})
    reference.mkdir(parents=True)
    (reference / "index.json").write_text("{}")
    assert local.references_exist({"checkpoint": str(reference), "decision": "kept", "count": 3})
