"""Our own downloader: many threads, polite to each host, stoppable at any moment and gone on with where it stopped."""

import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from components.artifacts import storage, web
from components.errors import Missing, Unreachable
from components.progress import log, progress
from components.transfer.hosts import Hosts, Job
from components.transfer.settings import Settings

Failures = dict[str, str]
"""File to the reason why it is not there."""
_LOGGED = 20


class Crew:
    """Threads that take jobs until none is left.

    Args:
        hosts: the jobs.
        settings: how many, how often, how patient.
        fetch: does one attempt, or raises `web.Gone` or `web.Later`.
    """

    def __init__(self, hosts: Hosts, settings: Settings, fetch: Callable[[Job], None]) -> None:
        self.failures: Failures = {}
        self.unanswered: set[str] = set()
        self._hosts, self._settings, self._fetch = hosts, settings, fetch
        self._turn = threading.Condition()
        self._stopped = False
        self._error: Exception | None = None
        self._ended = 0

    def work(self, total: int) -> None:
        """Comes back when every job is over; an error that is no job's own, or a signal, ends the work at once.

        The threads are daemons: who waits for a slow server then holds nobody up. What has come of its file is kept.
        """
        numbers = range(self._settings.parallel)
        threads = [threading.Thread(target=self._work, args=(total,), name=f"fetch-{n}", daemon=True) for n in numbers]
        try:
            for thread in threads:
                thread.start()
            with self._turn:
                self._turn.wait_for(lambda: self._stopped)
        finally:
            self._stop()
        if self._error:
            raise self._error
        for thread in threads:
            thread.join()

    def _work(self, total: int) -> None:
        try:
            while job := self._next():
                self._try(job)
                progress(self._ended, total, "pictures")
        except Exception as error:  # raised again by `work`; what others meet after the end is no news
            self._error = self._error or error
        finally:
            self._stop()  # the first to find nothing left tells the others; so does one that breaks

    def _next(self) -> Job | None:
        with self._turn:
            while not self._stopped and not self._hosts.is_done:
                if job := self._hosts.take(time.monotonic()):
                    return job
                self._turn.wait(self._hosts.wait_s(time.monotonic()))
            return None

    def _try(self, job: Job) -> None:
        try:
            self._fetch(job)
        except web.Later as error:
            self._later(job, error)
        except web.Gone as error:
            self._end(job, str(error))
        else:
            self._end(job, "")

    def _later(self, job: Job, error: web.Later) -> None:
        if job.tries + 1 >= self._settings.attempts:
            self.unanswered.add(job.file)
            self._end(job, f"no good answer: {error}, {job.tries + 1} times")
            return
        longest = self._settings.longest_pause_s
        asked = min(error.pause_s, longest)
        at = time.monotonic() + max(asked, web.pause_s(job.tries, longest))
        with self._turn:
            if asked:
                self._hosts.rest(job.host, time.monotonic() + asked)
            self._hosts.retry(job, at)
            self._turn.notify_all()

    def _end(self, job: Job, problem: str) -> None:
        with self._turn:
            if problem:
                self.failures[job.file] = problem
                if len(self.failures) <= _LOGGED:
                    log(f"{job.wanted.url}: {problem}")
            self._ended += 1
            self._hosts.end(job)
            self._turn.notify_all()

    def _stop(self) -> None:
        with self._turn:
            self._stopped = True
            self._turn.notify_all()


def download(jobs: Sequence[Job], settings: Settings, downloads: str, parts: Path) -> tuple[Failures, set[str]]:
    """Fetches files from the web.

    Args:
        jobs: what to fetch.
        settings: of the step.
        downloads: folder or gs:// address to put the files into.
        parts: local folder for what is not whole yet; what an attempt before has left there is used.

    Returns:
        What failed, and which of these because nobody answered rightly.
    """
    parts.mkdir(parents=True, exist_ok=True)
    with web.client(settings.silence_s, settings.parallel) as client:

        def fetch(job: Job) -> None:
            part = parts / hashlib.sha256(job.file.encode()).hexdigest()[:32]
            web.attempt(client, job.wanted, part, longest_s=10 * settings.silence_s)
            _put(part, storage.join(downloads, job.file))

        crew = Crew(Hosts(jobs, settings.per_host), settings, fetch)
        crew.work(len(jobs))
    return crew.failures, crew.unanswered


def copy(jobs: Sequence[Job], settings: Settings, downloads: str, mirror: str) -> Failures:
    """Copies files from a mirror, a folder or gs:// address that has them under the same names."""

    def one(job: Job) -> str:
        try:
            data = storage.read_bytes(storage.join(mirror, job.file))
        except Missing:
            return "not in the mirror"
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        if problem := web.difference(job.wanted, len(data), md5):
            return problem
        storage.write_bytes(storage.join(downloads, job.file), data)
        return ""

    failures: Failures = {}
    with ThreadPoolExecutor(settings.parallel) as pool:
        for number, (job, problem) in enumerate(zip(jobs, pool.map(one, jobs), strict=True)):
            if problem:
                failures[job.file] = problem
            progress(number + 1, len(jobs), "pictures")
    return failures


def _put(part: Path, target: str) -> None:
    """Whatever stood at the target was not as published: it is replaced."""
    if not storage.is_remote(target):
        storage.put_file(part, target)
        return
    try:
        storage.write_bytes(target, part.read_bytes())
    except Unreachable as error:
        raise web.Later(str(error)) from error
    part.unlink()
