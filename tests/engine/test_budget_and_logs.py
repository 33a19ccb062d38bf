"""Resource quantities and who holds what; what a log says while it grows."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engine.budget import Budget, Demand, demand_of, quantity
from pipeline.engine.ledger import Ledger
from pipeline.engine.logtail import read_from
from pipeline.errors import PipelineError


@pytest.mark.parametrize(
    ("text", "value"), [("2", 2), ("500m", 0.5), ("8Gi", 8 * 2**30), ("1.5G", 1.5e9), (" 1Ki ", 1024)]
)
def test_kubernetes_quantities_are_read(text: str, value: float) -> None:
    assert quantity(text) == pytest.approx(value)


def test_a_quantity_that_is_none_is_refused() -> None:
    with pytest.raises(PipelineError, match="resource quantity 'lots' is none"):
        quantity("lots")


def test_a_task_takes_what_the_ir_says_or_one_slot() -> None:
    assert demand_of({}, {}) == Demand(1.0, 0, 0)
    compiled = {
        "cpuLimit": 2.0,
        "resourceCpuLimit": "2",
        "memoryLimit": 8.589934592,
        "resourceMemoryLimit": "8Gi",
        "accelerator": {"count": "1", "resourceCount": "1", "resourceType": "nvidia.com/gpu"},
    }
    assert demand_of(compiled, {}) == Demand(2.0, 8 * 2**30, 1)
    assert demand_of({"cpuLimit": 3.0, "memoryLimit": 2.0}, {}) == Demand(3.0, 2 * 10**9, 0)
    named = {"resourceCpuLimit": "{{$.inputs.parameters['cpu']}}"}
    assert demand_of(named, {"cpu": "4"}).cpu_slots == 4
    with pytest.raises(PipelineError, match="a resource of the task is"):
        demand_of(named, {})


@given(st.lists(st.tuples(st.floats(0.5, 6), st.integers(0, 6), st.integers(0, 3)), max_size=12))
def test_what_runs_together_fits_or_runs_alone_and_no_gpu_is_lent_twice(wishes: list[tuple[float, int, int]]) -> None:
    ledger = Ledger(Budget(4.0, 4, 2))
    held: dict[str, tuple[Demand, tuple[int, ...]]] = {}
    for number, wish in enumerate(wishes):
        demand = Demand(*wish)
        gpus = ledger.take(str(number), demand)
        if gpus is None:
            assert held  # an idle machine refuses nothing
            key = next(iter(held))
            del held[key]
            ledger.give_back(key)
            continue
        held[str(number)] = (demand, gpus)
        lent = [gpu for _, g in held.values() for gpu in g]
        assert len(lent) == len(set(lent))
        if len(held) > 1:
            assert sum(d.cpu_slots for d, _ in held.values()) <= 4.0
            assert sum(d.memory_bytes for d, _ in held.values()) <= 4


LINES = st.lists(
    st.sampled_from(
        [
            b'::progress {"done": 1, "total": 2}\n',
            b'::metric {"step": 1, "loss": 0.5}\n',
            b"plain\n",
            b"::metric {broken\n",
            b'::metric {"loss": 1}\n',
            b'::metric {"step": 2, "loss": NaN}\n',
            b"::progress 3\n",
        ]
    ),
    max_size=20,
)


@given(LINES, st.lists(st.integers(0, 400), max_size=6))
def test_a_log_read_in_pieces_says_the_same_as_read_at_once(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], cuts: list[int]
) -> None:
    path = tmp_path_factory.mktemp("log") / "log"
    text = b"".join(lines)
    path.write_bytes(text)
    whole = read_from(path, 0)
    offset, progress, metrics = 0, {}, ()
    for cut in [*sorted(cuts), len(text)]:
        path.write_bytes(text[:cut])
        said = read_from(path, offset)
        offset, progress, metrics = said.offset, said.progress or progress, (*metrics, *said.metrics)
    assert (offset, progress, metrics) == (whole.offset, whole.progress, whole.metrics)
    assert whole.offset == len(text)


def test_a_line_longer_than_the_buffer_does_not_stop_the_reading(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"x" * (3 << 20) + b'\n::metric {"step": 1, "a": 2}\n')
    assert read_from(tmp_path / "log", 0).metrics == ({"step": 1, "a": 2},)


def test_a_log_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    assert read_from(tmp_path / "log", 0).offset == 0
