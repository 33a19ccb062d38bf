"""The downloader's threads: what they do with the outcome of an attempt, and how they end."""

import os
import signal
import threading

import pytest

from components.artifacts import web
from components.transfer.downloader import Crew
from components.transfer.hosts import Hosts, Job
from components.transfer.settings import Settings

QUICK = Settings(parallel=4, per_host=2, attempts=3, longest_pause_s=0.01)
JOBS = [Job(f"{host}/{n}", web.Wanted(f"https://{host}/{n}")) for host in "ab" for n in range(5)]


class Noted(Hosts):
    """Hosts that remember who asked to rest."""

    rested: tuple[str, ...] = ()

    def rest(self, name: str, until: float) -> None:
        self.rested += (name,)
        super().rest(name, until)


def crew_of(fetch: object, hosts: Hosts | None = None) -> Crew:
    return Crew(hosts or Hosts(JOBS, QUICK.per_host), QUICK, fetch)  # type: ignore[arg-type]


def fetching() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("fetch-")]


def test_every_job_is_fetched_once_when_nothing_is_wrong() -> None:
    seen: list[str] = []
    crew = crew_of(lambda job: seen.append(job.file))
    crew.work(len(JOBS))
    assert sorted(seen) == sorted(job.file for job in JOBS)
    assert (crew.failures, crew.unanswered) == ({}, set())


def test_who_asks_for_a_pause_gets_it_and_who_merely_fails_does_not() -> None:
    failed: list[str] = []
    hosts = Noted(JOBS, QUICK.per_host)

    def fetch(job: Job) -> None:
        if job.file not in failed:
            failed.append(job.file)
            raise web.Later("busy", pause_s=7.0 if job.file == "a/1" else 0.0)

    crew = crew_of(fetch, hosts)
    crew.work(len(JOBS))
    assert hosts.rested == ("a",)
    assert crew.failures == {}


def test_what_never_answers_is_told_apart_from_what_is_gone() -> None:
    tries: list[str] = []

    def fetch(job: Job) -> None:
        tries.append(job.file)
        if job.file == "a/0":
            raise web.Later("HTTP 503")
        if job.file == "b/0":
            raise web.Gone("HTTP 404")

    crew = crew_of(fetch)
    crew.work(len(JOBS))
    assert crew.failures == {"a/0": "no good answer: HTTP 503, 3 times", "b/0": "HTTP 404"}
    assert (crew.unanswered, tries.count("a/0"), tries.count("b/0")) == ({"a/0"}, 3, 1)


def test_an_error_that_is_no_picture_s_own_ends_all_threads() -> None:
    def fetch(job: Job) -> None:
        if job.file == "a/3":
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        crew_of(fetch).work(len(JOBS))
    for thread in fetching():
        thread.join(30)
    assert not fetching()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_work_though_a_server_is_waited_for(number: signal.Signals) -> None:
    answered, waited = threading.Event(), list[str]()
    all_at_work = threading.Barrier(QUICK.parallel)

    def fetch(job: Job) -> None:
        all_at_work.wait(30)
        if job.file == "a/0":
            answered.wait(0.2)
            os.kill(os.getpid(), number)
        answered.wait(60)
        waited.append(job.file)

    def end(*_: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(number, end)
    try:
        with pytest.raises(SystemExit):
            crew_of(fetch).work(len(JOBS))
        assert waited == [], "nobody was waited for"
    finally:
        signal.signal(number, before)
        answered.set()
        for thread in fetching():
            thread.join(30)


def test_no_jobs_are_no_work() -> None:
    crew = crew_of(lambda job: None, Hosts([], 1))
    crew.work(0)
    assert (crew.failures, crew.unanswered) == ({}, set())
