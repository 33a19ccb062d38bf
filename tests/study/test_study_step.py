"""The step study on answers that were made up: its tables, its page, and what it refuses."""

import csv
import json

import pyarrow.parquet as pq
import pytest

from components import entry
from components.artifacts import reference
from components.errors import DataError, SettingsError
from components.study import settings
from components.vision import complexity

N = 60
ATTRIBUTE = "sleeve_length_labels"


def right(share: float, shift: int = 0) -> list[bool]:
    """Answers of which a share is right; `shift` chooses which."""
    return [(i * 7 + shift) % N < share * N for i in range(N)]


def variant(name: str, *seeds: int, notes: str = "", **changes) -> dict:
    models = [{"name": f"{name}-seed{seed}", "seed": seed} for seed in seeds]
    return {"name": name, "notes": notes, "changes": changes, "models": models}


TWO = [variant("v1_0", 1, 2, notes="First <simple> approach"), variant("v1_1", 1, 2, **{"train.backbone": "x"})]


@pytest.fixture
def two_variants(trained):
    """Predictions of two variants with two seeds each; the second one is far better."""
    return [
        trained("v1_0-seed1", right(0.4), test_right=right(0.3)),
        trained("v1_0-seed2", right(0.45, 3), test_right=right(0.3, 5), seconds=150),
        trained("v1_1-seed1", right(0.95), backbone="tiny_resnet", test_right=right(0.9)),
        trained("v1_1-seed2", right(0.95, 1), backbone="tiny_resnet", test_right=right(0.9, 4)),
    ]


def told(folder) -> dict:
    return json.loads((folder / "study.json").read_text())


def test_the_progress_table_has_size_time_and_metric_over_seeds(run, two_variants) -> None:
    folder, page, _ = run(two_variants, variants=TWO, base="v1_0")
    first, second = told(folder)["variants"]
    assert (first["name"], first["parameters"], second["parameters"]) == ("v1_0", 293_747, 304_499)
    assert first["minutes"] == pytest.approx((90 + 150) / 2 / 60)
    assert first["valid"]["seeds"] == pytest.approx({"1": 24 / N, "2": 27 / N})
    assert first["valid"]["mean"] == pytest.approx(25.5 / N)
    assert first["flops"] > 1_000_000
    assert "First &lt;simple&gt; approach" in page and "293,747" in page


def test_every_difference_has_its_interval_and_verdict_and_the_base_has_none(run, two_variants) -> None:
    folder, page, _ = run(two_variants, variants=TWO, base="v1_0")
    first, second = told(folder)["variants"]
    assert first["valid"]["difference"] is None
    found = second["valid"]["difference"]
    assert found["low"] < found["difference"] < found["high"] and found["verdict"] == "gain"
    assert page.count("▲") == 1
    with (folder / "study.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["accuracy_verdict"] for row in rows] == ["", "gain"]
    assert float(rows[1]["accuracy_low"]) == found["low"]


def test_what_chance_could_have_done_is_called_noise(run, trained) -> None:
    made = [trained(f"{name}-seed{seed}", right(0.5, seed * k)) for k, name in ((1, "a"), (3, "b")) for seed in (1, 2)]
    folder, page, _ = run(made, variants=[variant("a", 1, 2), variant("b", 1, 2)])
    assert told(folder)["variants"][1]["valid"]["difference"]["verdict"] == "noise"
    assert "≈" in page and "▲" not in page and "▼" not in page


def test_the_base_comes_first_wherever_it_stands_in_the_study(run, two_variants) -> None:
    folder, _, _ = run(two_variants, variants=TWO, base="v1_1")
    assert [v["name"] for v in told(folder)["variants"]] == ["v1_1", "v1_0"]
    assert told(folder)["variants"][1]["valid"]["difference"]["verdict"] == "loss"


def test_where_answers_are_known_the_test_pictures_are_reported_too(run, two_variants, tmp_path) -> None:
    answers = tmp_path / "answers.csv"
    letters = ["ynn", "nyn", "nny"]
    answers.write_text("".join(f"test/{i}.png,{ATTRIBUTE},{letters[i % 3]}\n" for i in range(N)))
    folder, page, summary = run(two_variants, variants=TWO, base="v1_0", answers=str(answers))
    first, second = told(folder)["variants"]
    assert first["test"]["mean"] == pytest.approx(0.3) and second["test"]["mean"] == pytest.approx(0.9)
    assert second["test"]["difference"]["verdict"] == "gain"
    assert "On test pictures, which chose nothing" in page
    assert summary.metadata["metrics"]["v1_1.test"] == pytest.approx(0.9)


def test_without_answers_nothing_is_said_of_test_pictures(run, two_variants) -> None:
    folder, page, _ = run(two_variants, variants=TWO)
    assert "test" not in told(folder)["variants"][0] and "test pictures" not in page


def test_one_seed_is_said_to_be_one(run, trained) -> None:
    made = [trained("a-seed1", right(0.4)), trained("b-seed1", right(0.5))]
    folder, page, _ = run(made, variants=[variant("a", 1), variant("b", 1)])
    assert "There is one seed" in page and "±" not in page
    assert told(folder)["variants"][0]["valid"]["sd"] is None


def test_several_attributes_count_alike_whatever_their_sizes(run, trained) -> None:
    small, large = [True] * 6 + [False] * 4, [True] * 10 + [False] * 90
    made = [
        trained("a-seed1", answers, attribute=attribute)
        for attribute, answers in (("first_labels", small), ("second_labels", large))
    ]
    folder, _, _ = run(made, variants=[variant("a", 1)])
    assert told(folder)["variants"][0]["valid"]["mean"] == pytest.approx((0.6 + 0.1) / 2)


def test_minutes_that_nobody_wrote_down_are_not_made_up(run, trained) -> None:
    made = [trained("a-seed1", right(0.4), seconds=None)]
    folder, page, _ = run(made, variants=[variant("a", 1)])
    assert told(folder)["variants"][0]["minutes"] is None
    assert '<td class="n">–</td>' in page


def test_a_network_that_cannot_be_counted_costs_no_more_than_its_flops(run, trained, monkeypatch) -> None:
    def refuse(model):
        raise NotImplementedError("layer x is an Einstein; count its multiply-adds here")

    monkeypatch.setattr(complexity, "flops", refuse)
    folder, _, _ = run([trained("a-seed1", right(0.4))], variants=[variant("a", 1)])
    assert told(folder)["variants"][0]["flops"] is None


def test_each_network_is_drawn_and_each_training_is_a_row(run, two_variants) -> None:
    folder, _, _ = run(two_variants, variants=TWO)
    rows = pq.read_table(folder / "trials.parquet").to_pylist()
    assert [(r["variant"], r["seed"]) for r in rows] == [("v1_0", 1), ("v1_0", 2), ("v1_1", 1), ("v1_1", 2)]
    assert rows[0]["valid"] == pytest.approx(0.4) and rows[0]["test"] is None
    assert (folder / "v1_0.svg").read_text().startswith("<svg ") and (folder / "v1_1.svg").exists()
    assert reference.read_index(str(folder), "studies")["base"] == "v1_0"


def test_each_row_shows_its_network_small_and_leads_to_the_large_drawing_even_where_that_is_folded(
    run, trained
) -> None:
    names = [f"v{i}" for i in range(8)]
    made = [trained(f"{name}-seed1", right(0.4)) for name in names]
    _, page, _ = run(made, variants=[variant(name, 1) for name in names])
    assert page.count('<svg class="thumbnail"') == 8 and page.count("<details>") == 7
    for number in range(1, 9):
        assert f'href="#n{number}"' in page
        # A browser unfolds what the target lies in, not the target itself.
        assert f'<div id="n{number}"' in page.split("<details")[number]


def test_the_same_predictions_give_the_same_study(run, two_variants) -> None:
    assert run(two_variants, variants=TWO)[0] == run(two_variants, variants=TWO)[0]


def test_without_a_list_each_model_is_a_variant(run, two_variants) -> None:
    folder, _, _ = run(two_variants)
    assert [v["name"] for v in told(folder)["variants"]][:2] == ["v1_0-seed1", "v1_0-seed2"]


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"base": "v9"}, "base='v9' is no variant; give one of v1_0, v1_1"),
        ({"variants": [variant("v1_0", 1, 3)]}, "v1_0-seed3 has not predicted each of sleeve_length_labels once"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(run, two_variants, knobs, message) -> None:
    with pytest.raises(DataError, match=message):
        run(two_variants, **{"variants": TWO} | knobs)


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        ([{}], "study.variants[0].name is missing; give it a value"),
        ([{"name": "a", "modells": []}], "study.variants[0].modells is not a setting; did you mean models?"),
        ([{"name": "a", "models": [{"name": "a-seed1"}]}], "study.variants[0].models.seed is missing"),
        ([variant("../a", 1)], "variants has the name '../a'; give each its own, of at most 100 letters, digits, _"),
        ([variant("a" * 101, 1)], "give each its own, of at most 100 letters, digits, _ . -"),
        ([variant("a", 1), variant("a", 2)], "variants has the name 'a'; give each its own"),
        ([variant("a", 1, 1)], "variants: a has the seeds [1, 1]; give one or more, each once"),
        ([variant("a")], "variants: a has the seeds []; give one or more, each once"),
    ],
)
def test_a_list_of_variants_is_checked_before_anything_is_read(variants: list[dict], message: str) -> None:
    with pytest.raises(SettingsError) as error:
        entry.effective(settings, {"variants": variants})
    assert message in str(error.value) and "\n" not in str(error.value)


def test_nothing_to_compare_is_refused(run) -> None:
    with pytest.raises(DataError, match="predictions is empty; give those of at least one model"):
        run([])


def test_answers_to_other_pictures_are_refused(run, two_variants, tmp_path) -> None:
    (tmp_path / "other.csv").write_text(f"elsewhere.png,{ATTRIBUTE},ynn\n")
    with pytest.raises(DataError, match="names no test picture of the study"):
        run(two_variants, variants=TWO, answers=str(tmp_path / "other.csv"))


def test_networks_judged_by_different_pictures_are_not_compared(run, trained) -> None:
    made = [trained("a-seed1", right(0.4)), trained("b-seed1", right(0.4), image_id=[f"x{i}" for i in range(N)])]
    with pytest.raises(DataError, match="b-seed1 and a-seed1 are judged by other valid pictures"):
        run(made, variants=[variant("a", 1), variant("b", 1)])


def test_a_network_without_validation_pictures_is_refused(run, trained) -> None:
    made = [trained("a-seed1", [], test_right=right(0.4))]
    with pytest.raises(DataError, match="predicted no validation picture"):
        run(made)
