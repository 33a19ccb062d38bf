"""Is it really better? Runs side by side: what differs, how long it took, what was measured."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from pipeline.engine.records import Metric
from pipeline.engine.runner import Engine
from pipeline.server import side_by_side
from pipeline.server.domain.comparison import ChangedVerdict, Overlap, Paired, PairedMetrics
from pipeline.server.services import Services

JSON = {"accept": "application/json"}


@pytest.fixture
def two(engine: Engine, two_steps_ir: str) -> tuple[str, str]:
    runs = [engine.create_run(two_steps_ir, {"word": word, "times": 2}, name=word) for word in ("hi", "ho")]
    for run_id in runs:
        engine.execute(run_id)
    return runs[0], runs[1]


def compared(client: TestClient, *runs: str, **more: str) -> dict[str, Any]:
    address = "/compare?" + "&".join([*(f"run={r}" for r in runs), *(f"{k}={v}" for k, v in more.items())])
    answer = client.get(address, headers=JSON)
    assert answer.status_code == 200, answer.text
    assert client.get(address).status_code == 200
    return dict(answer.json())


def test_only_parameters_that_differ_are_shown(client: TestClient, two: tuple[str, str]) -> None:
    assert compared(client, *two)["parameters"] == [{"name": "word", "values": ["hi", "ho"]}]


def test_a_task_that_was_reused_says_from_which_run(client: TestClient, two: tuple[str, str]) -> None:
    times = {row["label"]: row["timings"] for row in compared(client, *two)["times"]}
    assert [t["word"] for t in times["say"]] == ["succeeded", "succeeded"]
    assert [(t["word"], t["origin"]) for t in times["shout"]] == [("succeeded", ""), ("reused", two[0])]


def test_metrics_of_a_foreign_pipeline_are_compared_by_their_last_values_and_called_possible_noise(
    client: TestClient, two: tuple[str, str]
) -> None:
    found = compared(client, *two)
    assert found["last_values"] == [{"label": "say", "metric": "loss", "values": [0.5, 0.5]}]
    assert "no ensembles" in found["paired"][0]["reason"]
    assert "may be noise" in client.get(f"/compare?run={two[0]}&run={two[1]}").text


def test_curves_of_one_metric_are_overlaid(client: TestClient, two: tuple[str, str]) -> None:
    curves = compared(client, *two)["curves"]
    assert curves["metric"] == "loss"
    assert [(line["run"], line["y"]) for line in curves["charts"][0]["lines"]] == [(0, [0.5]), (1, [0.5])]


def test_runs_may_be_named_by_their_beginning_and_count_once(client: TestClient, two: tuple[str, str]) -> None:
    found = compared(client, two[0][:10], "latest", two[0])
    assert [run["run_id"] for run in found["runs"]] == list(two)


def test_one_run_alone_leads_to_a_list_to_choose_from(client: TestClient, two: tuple[str, str]) -> None:
    answer = client.get(f"/compare?run={two[0]}")
    assert "Tick two or more" in answer.text
    assert answer.text.count(" checked") == 1


def test_without_runs_the_page_says_how_to_make_one(client: TestClient) -> None:
    assert "seamline run demo" in client.get("/compare").text


def test_more_runs_than_there_are_letters_are_refused(client: TestClient, engine: Engine, two_steps_ir: str) -> None:
    runs = [engine.create_run(two_steps_ir, {"word": str(n)}) for n in range(7)]
    answer = client.get("/compare?" + "&".join(f"run={r}" for r in runs), headers=JSON)
    assert answer.status_code == 400
    assert answer.json()["message"] == "7 runs are named; compare at most 6"


def test_an_unknown_run_is_not_found(client: TestClient) -> None:
    assert client.get("/compare?run=nope&run=latest", headers=JSON).status_code == 404


def test_runs_of_different_pipelines_say_so(
    client: TestClient, engine: Engine, two_steps_ir: str, two: tuple[str, str]
) -> None:
    other = engine.create_run(two_steps_ir.replace("LOUD", "LOUDER"), {})
    assert compared(client, *two)["same_pipeline"]
    assert not compared(client, two[0], other)["same_pipeline"]


def test_another_default_of_a_parameter_does_not_make_another_pipeline(two_steps_ir: str) -> None:
    edited = two_steps_ir.replace("defaultValue: hello", "defaultValue: goodbye")
    assert edited != two_steps_ir
    assert side_by_side.is_one_pipeline([two_steps_ir, edited])


# What a comparison of our own runs shows


class KnownComparison:
    """A comparison with a gain on one attribute, nothing on another, noise in total, and thirty pictures."""

    def paired(self, *_: Any) -> PairedMetrics:
        rows = [
            Paired("", "map", 0.8, 0.81, 0.01, -0.01, 0.03, "noise", 60),
            Paired("sleeve", "ap", 0.7, 0.8, 0.1, 0.02, 0.15, "gain", 60),
            Paired("collar", "ap", 0.9, 0.9, 0.0, 0.0, 0.0, "same", 60),
        ]
        return PairedMetrics(rows, [Overlap("sleeve", 70, 61, 60, 1, 2)], 1000, 0)

    def verdicts(self, *_: Any) -> list[ChangedVerdict]:
        kinds = ["broken"] * 10 + ["fixed"] * 20
        return [
            ChangedVerdict(f"a/{i}.jpg", "sleeve", k, "Short", "Cup", "Short", 0.5, 0.6) for i, k in enumerate(kinds)
        ]


@pytest.fixture
def known(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = type("Domain", (), {"comparison": KnownComparison(), "cluster": None})
    monkeypatch.setattr(services, "domain", fake)


@pytest.mark.usefixtures("known")
def test_an_interval_that_spans_zero_is_called_noise_in_words(client: TestClient, two: tuple[str, str]) -> None:
    page = client.get(f"/compare?run={two[0]}&run={two[1]}").text
    assert "the interval spans zero, so this is noise" in page
    assert "+0.1000" in page and "−0.0100 to +0.0300" in page
    assert "</span> the same</span>" in page
    assert "1,000 resamples, seed 0" in page


def showing(*rows: Paired) -> Any:
    """A comparison that says these rows, and has no pictures."""
    found = PairedMetrics(rows, [], 1000, 0)
    return type("Fake", (), {"paired": lambda *_: found, "verdicts": lambda *_: []})()


def test_a_difference_without_an_interval_is_not_shown(
    services: Services, monkeypatch: pytest.MonkeyPatch, client: TestClient, two: tuple[str, str]
) -> None:
    undefined = Paired("", "map", 0.8, None, None, None, None, "unknown", 0)
    monkeypatch.setattr(services, "domain", type("D", (), {"comparison": showing(undefined), "cluster": None}))
    page = client.get(f"/compare?run={two[0]}&run={two[1]}").text
    assert "the difference is not defined" in page and "+0.0000" not in page


def test_errors_of_numbers_have_a_table_of_their_own_and_claim_nothing_of_pictures(
    services: Services, monkeypatch: pytest.MonkeyPatch, client: TestClient, two: tuple[str, str]
) -> None:
    errors = Paired("price", "mae", 12.5, 11.0, -1.5, -2.5, -0.5, "gain", 40)
    monkeypatch.setattr(services, "domain", type("D", (), {"comparison": showing(errors), "cluster": None}))
    page = client.get(f"/compare?run={two[0]}&run={two[1]}").text
    assert "mean absolute error" in page and "less is better" in page and "−2.5000 to −0.5000" in page
    assert "numbers, which have no total" in page
    assert "judge every common picture alike" not in page and "BasicPrecision" not in page


@pytest.mark.usefixtures("known")
def test_validation_sets_that_differ_or_leak_are_named(client: TestClient, two: tuple[str, str]) -> None:
    page = client.get(f"/compare?run={two[0]}&run={two[1]}").text
    assert "A has 70 pictures, B 61, 60 are compared; 1 have another label" in page
    assert "Leak in sleeve: 2 pictures" in page


@pytest.mark.usefixtures("known")
def test_pictures_whose_verdict_changed_come_in_pages_and_by_kind(client: TestClient, two: tuple[str, str]) -> None:
    first = compared(client, *two)
    assert (len(first["verdicts"]), first["pages"]) == (24, 2)
    assert first["verdict_counts"] == {"broken": 10, "fixed": 20, "changed": 0}
    assert len(compared(client, *two, page="2")["verdicts"]) == 6
    assert {v["kind"] for v in compared(client, *two, kind="fixed")["verdicts"]} == {"fixed"}
    assert compared(client, *two, page="99", kind="nonsense")["page"] == 2


@pytest.mark.usefixtures("known")
def test_a_picture_leads_to_its_own_page_in_the_run_that_judges_it_now(
    client: TestClient, two: tuple[str, str]
) -> None:
    page = client.get(f"/compare?run={two[0]}&run={two[1]}").text
    assert f'href="/pictures/a/0.jpg?run={two[1]}"' in page
    assert f'src="/pictures/a/0.jpg/image?run={two[1]}&amp;size=160"' in page


# What is compared


NAMES = st.text("abc", min_size=1, max_size=3)
STRUCTS = st.recursive(st.integers(), lambda inner: st.dictionaries(NAMES, inner, max_size=4), max_leaves=12)


@given(st.dictionaries(NAMES, STRUCTS, max_size=4))
def test_flattening_loses_no_value_that_is_not_an_empty_struct(value: dict[str, Any]) -> None:
    def leaves(v: Any) -> list[Any]:
        return list(itertools.chain.from_iterable(map(leaves, v.values()))) if isinstance(v, dict) and v else [v]

    flat = side_by_side.flattened(value)
    assert sorted(map(str, flat.values())) == sorted(map(str, leaves(value) if value else [{}]))


def test_structs_with_names_are_flattened_by_their_names() -> None:
    value = {"models": [{"name": "a", "train": {"epochs": 3}}, {"name": "b"}], "seed": 1}
    assert side_by_side.flattened(value) == {"models.a.train.epochs": 3, "models.b": True, "seed": 1}


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=1000))
def test_a_long_curve_is_thinned_but_keeps_its_ends(values: list[tuple[float, float]]) -> None:
    said = [Metric("r", "k", 1, 0.0, x, {"loss": y}) for x, y in values]
    (chart,) = side_by_side.curves({"task": [(("r", "k"), said)]}, "loss").charts
    (line,) = chart.lines
    assert len(line.x) == min(len(values), side_by_side.MOST_POINTS)
    assert (line.x[0], line.y[0]) == values[0]
    assert (line.x[-1], line.y[-1]) == values[-1]


def test_a_run_that_reused_an_execution_shows_the_same_curve_and_says_so() -> None:
    said = [Metric("r", "k", 1, 0.0, 1.0, {"loss": 0.5})]
    (chart,) = side_by_side.curves({"task": [(("r", "k"), said), (("r", "k"), said)]}, "").charts
    assert [line.same_as for line in chart.lines] == [None, 0]
