"""Two runs against each other on the pictures that both were judged on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.artifacts import ensembles, manifest, reference
from components.vision import tasks
from pipeline.console import changed_verdicts, evidence, intervals
from pipeline.console.comparison import LocalComparison
from pipeline.console.evidence import Side
from pipeline.engine.records import Run, Task
from pipeline.engine.states import RunState, TaskState
from pipeline.engine.values import Values

CLASSES = ("Short", "Long")


def valid(*rows: tuple[str, str, Sequence[float]]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"image_id": i, "label": label, "group": n, "probability": np.array(p)}
            for n, (i, label, p) in enumerate(rows)
        ]
    )


def manifest_of(**rows: dict[str, Any]) -> pd.DataFrame:
    usual = {"kind": "labelled", "keep": True, "fold": 1, "group": -1}
    return pd.DataFrame([{"image_id": name, "pixels": "px-" + name} | usual | given for name, given in rows.items()])


def side(rows: pd.DataFrame, rows_of_manifest: pd.DataFrame) -> Side:
    return Side("sleeve", CLASSES, rows, rows_of_manifest)


HELD_OUT = {"fold": 0}


def test_only_pictures_of_both_with_the_same_label_and_pixels_are_compared() -> None:
    before = side(
        valid(("a", "yn", [0.9, 0.1]), ("b", "yn", [0.9, 0.1]), ("c", "yn", [0.9, 0.1]), ("d", "yn", [1, 0])),
        manifest_of(a=HELD_OUT, b=HELD_OUT, c=HELD_OUT, d=HELD_OUT),
    )
    after = side(
        valid(("e", "yn", [0.9, 0.1]), ("c", "yn", [0.4, 0.6]), ("b", "ny", [0.9, 0.1]), ("a", "yn", [0.8, 0.2])),
        manifest_of(a=HELD_OUT | {"pixels": "other"}, b=HELD_OUT, c=HELD_OUT, e=HELD_OUT),
    )
    joined = evidence.joined(before, after)
    assert joined.image_id == ("c",)
    assert joined.first.tolist() == [[0.9, 0.1]]
    assert joined.second.tolist() == [[0.4, 0.6]]
    assert joined.counts == {"first": 4, "second": 4, "relabelled": 2, "trained_on": 0}


def test_a_duplicate_that_a_run_learnt_from_is_counted_as_a_leak() -> None:
    rows = valid(("a", "yn", [1, 0]), ("b", "yn", [1, 0]), ("c", "yn", [1, 0]))
    clean = manifest_of(a=HELD_OUT, b=HELD_OUT, c=HELD_OUT)
    leaky = manifest_of(
        a=HELD_OUT | {"group": 7}, b=HELD_OUT, c=HELD_OUT, near={"group": 7}, same={"pixels": "px-b"}, other={}
    )
    assert evidence.joined(side(rows, clean), side(rows, leaky)).counts["trained_on"] == 2
    assert evidence.joined(side(rows, clean), side(rows, clean)).counts["trained_on"] == 0


@settings(max_examples=25)
@given(st.lists(st.tuples(st.floats(0.01, 0.99), st.booleans()), min_size=2, max_size=30))
def test_a_run_against_itself_is_the_same_with_no_difference(rows: list[tuple[float, bool]]) -> None:
    shown = [(f"p{i}", "yn" if is_short else "ny", [p, 1 - p]) for i, (p, is_short) in enumerate(rows)]
    one = side(valid(*shown), manifest_of(**{name: HELD_OUT for name, _, _ in shown}))
    for row in intervals.rows([evidence.joined(one, one)], 100, 0):
        assert (row.difference, row.low, row.high) == (0.0, 0.0, 0.0)
        assert row.verdict == "same"


def test_a_clear_gain_is_called_one_for_the_attribute_and_in_total() -> None:
    many = [(f"p{i}", "yn", [0.4, 0.6]) for i in range(60)]
    rows = manifest_of(**{name: HELD_OUT for name, _, _ in many})
    better = [(name, label, [0.9, 0.1]) for name, label, _ in many]
    found = intervals.rows([evidence.joined(side(valid(*many), rows), side(valid(*better), rows))], 100, 0)
    assert [(r.attribute, r.metric, r.verdict) for r in found if r.metric in ("map", "ap")] == [
        ("", "map", "gain"),
        ("sleeve", "ap", "gain"),
    ]
    assert found[0].difference == 1.0


def test_without_common_pictures_nothing_is_claimed() -> None:
    one = side(valid(("a", "yn", [1, 0])), manifest_of(a=HELD_OUT))
    other = side(valid(("b", "yn", [1, 0])), manifest_of(b=HELD_OUT))
    for row in intervals.rows([evidence.joined(one, other)], 100, 0):
        assert (row.first, row.difference, row.verdict, row.pictures) == (None, None, "unknown", 0)


def shirts(*probabilities: Sequence[float]) -> Side:
    """Pictures of red (and white) things, which are told by any number of colours."""
    rows = valid(*((f"p{i}", "yy" if i % 2 else "yn", p) for i, p in enumerate(probabilities)))
    about = manifest_of(**{f"p{i}": HELD_OUT for i in range(len(probabilities))})
    return Side("colour", ("red", "white"), rows, about, tasks.TASKS[tasks.MULTI_LABEL])


def test_of_any_number_of_classes_the_decisions_are_compared() -> None:
    joined = evidence.joined(shirts(*[[0.9, 0.4]] * 20), shirts(*([0.9, 0.4], [0.9, 0.8]) * 10))
    rows = {row.metric: row for row in intervals.rows([joined], 200, 0) if row.attribute}
    assert (rows["accuracy"].first, rows["accuracy"].second) == (0.75, 1.0)  # of 40 decisions 10 were wrong
    assert rows["accuracy"].verdict == "gain" and rows["accuracy"].pictures == 20
    found = list(changed_verdicts.of(joined))
    assert len(found) == 10 and {v.kind for v in found} == {"fixed"}
    assert (found[0].label, found[0].first_answer, found[0].second_answer) == ("red white", "red", "red white")
    assert (found[0].first_confidence, found[0].second_confidence) == (0.6, 0.8)


def test_what_stands_at_a_half_is_no_answer() -> None:
    (found,) = changed_verdicts.of(evidence.joined(shirts([0.9, 0.1], [0.9, 0.5]), shirts([0.9, 0.1], [0.9, 0.6])))
    assert (found.first_answer, found.second_answer, found.kind) == ("red", "red white", "fixed")


def prices(*values: float) -> Side:
    rows = valid(*((f"p{i}", "10.0", [value]) for i, value in enumerate(values)))
    about = manifest_of(**{f"p{i}": HELD_OUT for i in range(len(values))})
    return Side("price", ("price",), rows, about, tasks.TASKS[tasks.REGRESSION])


def test_of_numbers_the_errors_are_compared_and_less_is_better() -> None:
    joined = evidence.joined(prices(*[13.0, 8.0] * 20), prices(*[11.0, 9.0] * 20))
    (row,) = intervals.rows([joined], 200, 0)
    assert (row.attribute, row.metric, row.first, row.second, row.difference) == ("price", "mae", 2.5, 1.0, -1.5)
    assert row.verdict == "gain" and row.low is not None and row.low < -1.5 < (row.high or 0) < 0
    (back,) = intervals.rows([evidence.joined(prices(*[11.0] * 9), prices(*[13.0] * 9))], 200, 0)
    assert (back.difference, back.verdict) == (2.0, "loss")
    assert list(changed_verdicts.of(joined)) == []


def test_numbers_do_not_enter_the_total_of_shares() -> None:
    colours = evidence.joined(shirts([0.9, 0.4], [0.9, 0.4]), shirts([0.9, 0.4], [0.9, 0.4]))
    found = intervals.rows([evidence.joined(prices(1.0), prices(2.0)), colours], 100, 0)
    assert [(row.attribute, row.metric, row.pictures) for row in found if row.metric in ("accuracy", "mae")] == [
        ("", "accuracy", 2),
        ("price", "mae", 1),
        ("colour", "accuracy", 2),
    ]


def test_pictures_are_fixed_broken_or_changed_and_broken_ones_come_first() -> None:
    labels = {"fixed": "yn", "broken": "ny", "same": "yn", "fuzzy": "mn"}
    before = valid(*((name, label, [0.3, 0.7]) for name, label in labels.items()))
    after = valid(
        *((name, label, [0.8, 0.2]) for name, label in labels.items() if name != "same"), ("same", "yn", [0.1, 0.9])
    )
    rows = manifest_of(**dict.fromkeys(labels, HELD_OUT))
    found = sorted(
        changed_verdicts.of(evidence.joined(side(before, rows), side(after, rows))), key=changed_verdicts.by_importance
    )
    assert [(v.image_id, v.kind) for v in found] == [("broken", "broken"), ("fixed", "fixed"), ("fuzzy", "changed")]
    assert (found[1].first_answer, found[1].second_answer, found[1].label) == ("Long", "Short", "Short")


def test_a_label_is_told_by_its_classes_with_the_fuzzy_ones_in_brackets() -> None:
    assert changed_verdicts.in_words("ymn", ("Cup", "Short", "Long")) == "Cup (Short)"


# Whole runs, from references on disk


class Tasks:
    """Tasks of runs."""

    def __init__(self, tasks: dict[str, list[Task]]) -> None:
        self._tasks = tasks

    def tasks(self, run_id: str) -> list[Task]:
        return self._tasks[run_id]


def finished(run_id: str, name: str, **outputs: str) -> Task:
    return Task(run_id, name, name, name, "task", "", "comp", TaskState.SUCCEEDED, outputs=Values(outputs))


def run(run_id: str, **parameters: Any) -> Run:
    return Run(run_id, "demo", "demo", RunState.SUCCEEDED, parameters=parameters)


def kept_ensemble(root: Path, probability: list[float]) -> str:
    rows = [
        {"image_id": f"p{i}.jpg", "split": "valid", "label": "yn", "group": i, "probability": probability}
        for i in range(40)
    ]
    with reference.draft(str(root), "ensembles") as draft:
        pd.DataFrame(rows).to_parquet(draft.folder / ensembles.FILE)
        return draft.commit({"attribute": "sleeve", "classes": list(CLASSES)}, {})


def kept_manifest(root: Path) -> str:
    rows = [
        dict.fromkeys(manifest.SCHEMA.names, 0)
        | {"image_id": f"p{i}.jpg", "attribute": "sleeve", "round": 1, "kind": "labelled", "path": f"p{i}.jpg"}
        | {"label": "yn", "source_label": "yn", "pixels": f"px{i}", "group": -1, "keep": True, "reason": ""}
        for i in range(40)
    ]
    with reference.draft(str(root), "manifests") as draft:
        manifest.write(pd.DataFrame(rows), draft.folder / manifest.FILE)
        return draft.commit({"attributes": {}}, {})


@pytest.fixture
def two(tmp_path: Path) -> Any:
    made = kept_manifest(tmp_path)
    tasks = {
        name: [finished(name, "ingest", manifest=made), finished(name, "ensemble", ensemble=kept_ensemble(tmp_path, p))]
        for name, p in (("before", [0.4, 0.6]), ("after", [0.8, 0.2]))
    }
    return Tasks(tasks | {"foreign": [finished("foreign", "say", said="hello")]})


def test_two_runs_are_compared_by_what_they_left_behind(two: Any) -> None:
    found = LocalComparison().paired(two, run("before"), run("after"))
    assert [(r.attribute, r.verdict, r.pictures) for r in found.rows if r.metric == "accuracy"] == [
        ("", "gain", 40),
        ("sleeve", "gain", 40),
    ]
    assert {v.kind for v in LocalComparison().verdicts(two, run("before"), run("after"))} == {"fixed"}


def test_a_foreign_run_is_not_compared_and_the_reason_names_it(two: Any) -> None:
    found = LocalComparison().paired(two, run("before"), run("foreign"))
    assert (found.rows, found.reason) == ((), "run foreign has no ensembles that could be compared (yet)")
    assert LocalComparison().verdicts(two, run("before"), run("foreign")) == []


def test_references_that_are_gone_are_a_reason_and_no_failure(two: Any, tmp_path: Path) -> None:
    gone = {
        "gone": [finished("gone", "i", manifest=f"{tmp_path}/manifests/x"), finished("gone", "e", ensemble="/no/e")]
    }
    found = LocalComparison().paired(Tasks(two._tasks | gone), run("before"), run("gone"))  # type: ignore[arg-type]
    assert found.reason.startswith("what the runs made is no longer there")
