"""Which job may begin when: each once, few at a time from one host, none from a host that rests."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.artifacts.web import Wanted
from components.transfer.hosts import Hosts, Job


def job(host: str, number: int = 0) -> Job:
    return Job(f"{host}/{number}", Wanted(f"https://{host}/{number}"))


def taken(hosts: Hosts, now: float) -> list[str]:
    found = []
    while one := hosts.take(now):
        found.append(one.file)
    return found


def test_hosts_take_turns_and_none_has_more_than_its_share() -> None:
    hosts = Hosts([job("a", n) for n in range(3)] + [job("b", n) for n in range(3)], per_host=2)
    assert taken(hosts, 0) == ["a/0", "b/0", "a/1", "b/1"]
    assert (hosts.take(0), hosts.wait_s(0)) == (None, None), "only the end of a job brings more"
    hosts.end(job("a", 0))
    assert taken(hosts, 0) == ["a/2"]


def test_a_host_that_rests_holds_up_no_other() -> None:
    hosts = Hosts([job("a", 0), job("a", 1), job("b", 0), job("b", 1)], per_host=1)
    first = hosts.take(0)
    assert first == job("a", 0)
    hosts.rest("a", until=30)
    hosts.end(first)
    assert taken(hosts, 1) == ["b/0"]
    hosts.end(job("b", 0))
    assert taken(hosts, 2) == ["b/1"]
    assert hosts.wait_s(2) == 28
    assert taken(hosts, 30) == ["a/1"]


def test_a_shorter_rest_does_not_cut_a_longer_one() -> None:
    hosts = Hosts([job("a")], per_host=1)
    hosts.rest("a", until=30)
    hosts.rest("a", until=10)
    assert (hosts.take(10), hosts.wait_s(10)) == (None, 20)


def test_a_job_to_be_tried_again_comes_after_the_others_and_not_too_soon() -> None:
    hosts = Hosts([job("a", 0), job("a", 1)], per_host=1)
    first = hosts.take(0)
    assert first
    hosts.retry(first, at=5)
    second = hosts.take(0)
    assert second == job("a", 1)
    hosts.end(second)
    assert (hosts.take(4), hosts.wait_s(4), hosts.is_done) == (None, 1, False)
    again = hosts.take(5)
    assert again and (again.file, again.tries) == ("a/0", 1)
    hosts.end(again)
    assert hosts.is_done


def test_hosts_differ_by_port() -> None:
    hosts = Hosts([job("a:1"), job("a:2")], per_host=1)
    assert taken(hosts, 0) == ["a:1/0", "a:2/0"]


@pytest.mark.parametrize("jobs", [[], [job("a")]])
def test_it_is_done_when_nothing_waits_and_nobody_works(jobs: list[Job]) -> None:
    hosts = Hosts(jobs, per_host=1)
    assert hosts.is_done == (not jobs)
    for one in jobs:
        assert hosts.take(0) and not hosts.is_done
        hosts.end(one)
    assert hosts.is_done


@given(
    st.lists(st.sampled_from("abc"), max_size=25),
    st.integers(1, 4),
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from(["end", "retry", "rest"])), max_size=60),
)
def test_whatever_happens_every_job_ends_once_and_no_host_is_pressed(
    names: list[str], per_host: int, events: list[tuple[int, str]]
) -> None:
    hosts = Hosts([job(name, number) for number, name in enumerate(names)], per_host)
    working: list[Job] = []
    ended: Counter[str] = Counter()
    now, todo = 0.0, list(events)
    while not hosts.is_done:
        while one := hosts.take(now):
            working.append(one)
        assert all(count <= per_host for count in Counter(one.host for one in working).values())
        if not working:
            wait = hosts.wait_s(now)
            assert wait is not None and wait > 0, "somebody works, or time will bring something"
            now += wait
            continue
        which, what = todo.pop() if todo else (0, "end")
        one = working.pop(which % len(working))
        if what == "end":
            hosts.end(one)
            ended[one.file] += 1
        else:
            if what == "rest":
                hosts.rest(one.host, now + which)
            hosts.retry(one, now + which / 2)
    assert ended == Counter(f"{name}/{number}" for number, name in enumerate(names))
