"""Who may be asked for what, and when: few at a time from one host, and nothing from one that wants to be left alone.

Time is an argument, so that a test can say what happens when; threads and pauses are the downloader's business.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from components.artifacts.web import Wanted


@dataclass(frozen=True)
class Job:
    """A file to be fetched.

    Attributes:
        file: below the folder of downloads.
        wanted: where it is, and how it must be.
        tries: attempts that failed.
        not_before: seconds on the clock that `take` is given.
    """

    file: str
    wanted: Wanted
    tries: int = 0
    not_before: float = 0.0

    @property
    def host(self) -> str:
        """Whom to ask: name and port."""
        return urlsplit(self.wanted.url).netloc


@dataclass
class _Host:
    jobs: deque[Job] = field(default_factory=deque)
    busy: int = 0
    rests_until: float = 0.0

    def ready_at(self) -> float:
        """When its next job may begin, if a place is free then."""
        return max(self.rests_until, self.jobs[0].not_before)


class Hosts:
    """All that is still to be fetched, by host.

    Args:
        jobs: in the order in which to ask each host.
        per_host: at most so many at a time from one.
    """

    def __init__(self, jobs: Iterable[Job], per_host: int) -> None:
        self._per_host = per_host
        self._hosts: dict[str, _Host] = {}
        for job in jobs:
            self._hosts.setdefault(job.host, _Host()).jobs.append(job)

    @property
    def is_done(self) -> bool:
        """Whether nothing waits and nobody is at work."""
        return not any(host.jobs or host.busy for host in self._hosts.values())

    def take(self, now: float) -> Job | None:
        """A job that may begin now, from the host that was asked longest ago; None if there is none."""
        for name, host in self._hosts.items():
            if self._is_free(host) and host.ready_at() <= now:
                host.busy += 1
                self._hosts[name] = self._hosts.pop(name)  # to the end of the line
                return host.jobs.popleft()
        return None

    def wait_s(self, now: float) -> float | None:
        """Seconds until `take` may have something by the passing of time alone; None if never."""
        times = [host.ready_at() for host in self._hosts.values() if self._is_free(host)]
        return max(0.0, min(times) - now) if times else None

    def end(self, job: Job) -> None:
        """A job is over, well or not."""
        self._hosts[job.host].busy -= 1

    def retry(self, job: Job, at: float) -> None:
        """A job is to be tried again, after the others of its host and not before `at`."""
        self.end(job)
        self._hosts[job.host].jobs.append(replace(job, tries=job.tries + 1, not_before=at))

    def rest(self, name: str, until: float) -> None:
        """A host wants to be left alone."""
        host = self._hosts[name]
        host.rests_until = max(host.rests_until, until)

    def _is_free(self, host: _Host) -> bool:
        return bool(host.jobs) and host.busy < self._per_host
