"""The threads beside the server: one that falls gets up again, so that a server which answers also works."""

import logging
import threading

import pytest

from pipeline.errors import StateError
from pipeline.serving import keep_working


class Falling:
    """A job that falls over so often, and then works until it is asked to end."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.stopping = threading.Event()
        self.tries = 0

    def __call__(self) -> None:
        self.tries += 1
        if self.errors:
            raise self.errors.pop(0)
        self.stopping.set()


@pytest.mark.parametrize("error", [StateError("the folder is locked"), OSError("disk full"), KeyError("no such thing")])
def test_a_worker_that_an_error_ends_begins_anew(error):
    job = Falling(error, error)
    keep_working(job, job.stopping, pause_s=0)
    assert job.tries == 3


def test_an_error_that_nobody_foresaw_is_logged_with_where_it_was(caplog):
    job = Falling(StateError("the folder is locked"), KeyError("no such thing"))
    with caplog.at_level(logging.WARNING):
        keep_working(job, job.stopping, pause_s=0)
    foreseen, unforeseen = caplog.records
    assert foreseen.exc_info is None and "the folder is locked" in foreseen.getMessage()
    assert unforeseen.exc_info and "please report it" in unforeseen.getMessage()


def test_a_worker_ends_when_the_server_does():
    job = Falling()
    keep_working(job, job.stopping, pause_s=3600)
    assert job.tries == 1
