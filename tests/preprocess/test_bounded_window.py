"""window: parallel, in order, never more than a few results ahead of the reader."""

import threading
import time

import pytest

from components.vision import window


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_results_come_in_the_order_of_the_items(workers: int) -> None:
    def slow_first(item: int) -> int:
        time.sleep(0.002 * (5 - item % 5))
        return item * item

    assert list(window.in_order(slow_first, range(30), workers)) == [item * item for item in range(30)]


def test_work_waits_for_a_slow_reader() -> None:
    started = []
    results = window.in_order(lambda item: started.append(item) or item, range(1000), 2)
    assert [next(results) for _ in range(10)] == list(range(10))
    time.sleep(0.05)
    assert 10 <= len(started) <= 10 + 4 * 2
    results.close()


def test_an_error_comes_after_the_results_before_it_and_ends_the_work() -> None:
    def fails_at_three(item: int) -> int:
        if item == 3:
            raise ValueError("three")
        return item

    found = []
    with pytest.raises(ValueError, match="three"):
        for result in window.in_order(fails_at_three, iter(range(10_000)), 4):
            found.append(result)
    assert found == [0, 1, 2]


def test_several_items_are_worked_on_at_once() -> None:
    together = threading.Barrier(3, timeout=5)
    assert len(list(window.in_order(lambda _: together.wait(), range(3), 3))) == 3
