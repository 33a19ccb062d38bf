"""The same pipelines in kfp's own local runner and here: what the tasks are given and how the run ends.

Where the two differ on purpose, the difference has a test of its own, so that a new kfp that changes it is noticed.
"""

import builtins
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kfp import compiler, local

from pipeline.engine.budget import Budget
from pipeline.engine.launch import ProcessLauncher
from pipeline.engine.runner import Engine
from pipeline.engine.store import Store
from pipeline.engine.tools import Pace
from tests.engine import recorded_pipelines as recorded

Seen = tuple[str, list[Any]]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Seen]:
    """Runs a pipeline in the embedded engine: how it ended, and what its tasks recorded."""

    def run(pipeline: Any, **parameters: Any) -> Seen:
        monkeypatch.setenv("RECORD", str(tmp_path / "recorded_here"))
        compiler.Compiler().compile(pipeline, str(tmp_path / "pipeline.yaml"))
        store = Store.open(tmp_path / "state")
        engine = Engine(store, ProcessLauncher(), budget=Budget(2, 1 << 33), pace=Pace(0.02, 1.0))
        state = engine.execute(engine.create_run((tmp_path / "pipeline.yaml").read_text(), parameters))
        store.close()
        return str(state), lines(tmp_path / "recorded_here")

    return run


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Seen]]:
    """Runs a pipeline in kfp's local runner, as processes of this environment."""

    def run(pipeline: Any, **parameters: Any) -> Seen:
        monkeypatch.setenv("RECORD", str(tmp_path / "recorded_there"))
        monkeypatch.setattr(builtins, "print", print)  # kfp's threads may leave one of theirs behind
        local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "outputs"))
        try:
            pipeline(**parameters)
            state = "SUCCEEDED"
        except RuntimeError:
            state = "FAILED"
        return state, lines(tmp_path / "recorded_there")

    yield run
    local.config.LocalExecutionConfig.instance = None


def lines(path: Path) -> list[Any]:
    """What was recorded; parallel tasks record in any order."""
    recorded_lines = path.read_text().splitlines() if path.exists() else []
    return sorted((json.loads(line) for line in recorded_lines), key=str)


def slow(pipeline: Any, **parameters: Any) -> Any:
    named = "-".join([pipeline.name, *map(str, parameters.values())])
    return pytest.param(pipeline, parameters, marks=pytest.mark.slow, id=named)


SAME = [
    pytest.param(recorded.chain, {}, id="chain"),
    slow(recorded.static_loop),
    slow(recorded.branches, n=9),
    slow(recorded.branches, n=3),
    slow(recorded.branches, n=1),
    slow(recorded.on_output),
    slow(recorded.on_output, words="tails"),
    slow(recorded.parameter_loop),
    slow(recorded.output_loop),
    slow(recorded.struct_loop),
    slow(recorded.nested),
    slow(recorded.artifact_list),
    slow(recorded.bad_end),
    slow(recorded.second_try),
    slow(recorded.coloured),
    slow(recorded.item_in_a_text),
]


@pytest.mark.parametrize(("pipeline", "parameters"), SAME)
def test_both_give_the_tasks_the_same_and_end_alike(
    pipeline: Any, parameters: dict[str, Any], here: Callable[..., Seen], there: Callable[..., Seen]
) -> None:
    mine, theirs = here(pipeline, **parameters), there(pipeline, **parameters)
    assert mine == theirs
    assert mine[1] or pipeline is recorded.item_in_a_text


def test_an_importer_of_a_parameter_reads_the_same_file(
    tmp_path: Path, here: Callable[..., Seen], there: Callable[..., Seen]
) -> None:
    (tmp_path / "words.txt").write_text("imported words")
    uri = str(tmp_path / "words.txt")
    assert here(recorded.imported, uri=uri) == there(recorded.imported, uri=uri)


# What differs, and why.


@pytest.mark.slow
def test_integers_in_lists_and_structs_stay_integers_here_as_on_a_cluster(
    here: Callable[..., Seen], there: Callable[..., Seen]
) -> None:
    assert here(recorded.integers) == ("SUCCEEDED", [["add", [2, 4, 6]]])
    assert there(recorded.integers)[0] == "FAILED"  # the sum of its floats is no int


@pytest.mark.slow
def test_an_empty_loop_collects_nothing_here_and_is_an_error_there(
    here: Callable[..., Seen], there: Callable[..., Seen]
) -> None:
    assert here(recorded.empty_loop) == ("SUCCEEDED", [["gather", []]])
    with pytest.raises(ValueError, match="task 'for-loop-1' not found"):
        there(recorded.empty_loop)


@pytest.mark.slow
def test_what_nested_loops_give_is_one_flat_list_here_as_on_a_cluster_and_a_list_of_lists_there(
    here: Callable[..., Seen], there: Callable[..., Seen]
) -> None:
    pairs = [["pair", x, y] for x in "ab" for y in "12"]
    assert here(recorded.nested_loops) == ("SUCCEEDED", [["gather", ["a1", "a2", "b1", "b2"]], *pairs])
    assert there(recorded.nested_loops) == ("FAILED", [["gather", [["a1", "a2"], ["b1", "b2"]]], *pairs])


@pytest.mark.slow
def test_what_does_not_depend_on_a_failure_goes_on_here_and_may_not_start_there(
    here: Callable[..., Seen], there: Callable[..., Seen]
) -> None:
    state, seen = here(recorded.failing)
    assert (state, [line[1] for line in seen]) == ("FAILED", ["beside"])
    assert there(recorded.failing)[0] == "FAILED"


@pytest.mark.slow
def test_structs_in_metadata_are_wrapped_here_as_by_the_metadata_store_of_a_cluster(
    here: Callable[..., Seen], there: Callable[..., Seen]
) -> None:
    assert here(recorded.artifacts)[1] == [["read", "some words", {"words": 10, "shares": {"struct": {"a": 0.5}}}]]
    assert there(recorded.artifacts)[1] == [["read", "some words", {"words": 10, "shares": {"a": 0.5}}]]


@pytest.mark.slow
def test_the_exit_task_learns_the_word_of_a_cluster_here_and_another_there(
    here: Callable[..., Seen], there: Callable[..., Seen]
) -> None:
    assert ["bye", "COMPLETE"] in here(recorded.good_end)[1]
    assert ["bye", "SUCCEEDED"] in there(recorded.good_end)[1]


@pytest.mark.slow
def test_an_optional_input_may_be_passed_nothing_here_and_is_an_error_there(
    here: Callable[..., Seen], there: Callable[..., Seen]
) -> None:
    assert here(recorded.optional) == ("SUCCEEDED", [["maybe", "given", 3], ["maybe", None, 7]])
    with pytest.raises(ValueError, match="Unknown value type"):
        there(recorded.optional)


@pytest.mark.slow
def test_a_task_that_ignores_failures_upstream_gets_its_default_here_and_is_an_error_there(
    here: Callable[..., Seen], there: Callable[..., Seen]
) -> None:
    assert here(recorded.in_spite)[1] == [["maybe", None, 1]]
    with pytest.raises(ValueError, match="task 'fail' not found"):
        there(recorded.in_spite)


@pytest.mark.slow
def test_the_name_of_the_run_is_the_one_it_was_given_here_and_has_the_time_there(
    here: Callable[..., Seen], there: Callable[..., Seen]
) -> None:
    assert here(recorded.named)[1][0][1] == "named"
    assert there(recorded.named)[1][0][1].startswith("named-20")


def test_container_components_run_here_and_are_refused_there(
    here: Callable[..., Seen], there: Callable[..., Seen]
) -> None:
    assert here(recorded.contained) == ("SUCCEEDED", [["contained"]])
    assert there(recorded.contained) == ("FAILED", [])
