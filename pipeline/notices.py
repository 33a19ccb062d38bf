"""Tells receivers of webhooks that a run has ended: what the message says, its signature, and the sending.

The body is JSON; its `text` is what Slack shows. With a secret, `X-Seamline-Signature: sha256=<hex>` is the HMAC-SHA256
of the body's bytes. `X-Seamline-Event` stays the same when a message is sent again, so receivers can drop doubles.
"""

import hashlib
import hmac
import json
import logging
import random
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from pipeline import words
from pipeline.engine.clock import Clock
from pipeline.engine.outbox import Delivery, Notification, Outbox
from pipeline.engine.reader import Reader
from pipeline.engine.records import Event, Run, Task
from pipeline.engine.states import RunState, TaskState
from pipeline.engine.store import Store
from pipeline.errors import NotFound, PipelineError
from pipeline.server import log_view
from pipeline.server.rendering import iso

LOG = logging.getLogger("seamline.notices")
MOST_TASKS, MOST_LINES, LONGEST_LINE = 10, 20, 500
_SLACK_TASKS, _SLACK_LINES = 3, 8
_TIMEOUT_S = 10.0
_CLAIM_S = 60.0  # longer than an attempt takes


class Undelivered(Exception):
    """An attempt that did not reach the receiver. The message names no address."""


class Sender(Protocol):
    """Something that can POST."""

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Sends.

        Raises:
            Undelivered: it did not arrive, or was not accepted.
        """


class HttpSender:
    """Sends by HTTP; follows no redirects, which would carry the message to a place that nobody chose."""

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """See Sender."""
        import httpx

        for name in ("httpx", "httpcore"):  # they log whole addresses, in which webhooks have their password
            logging.getLogger(name).setLevel(logging.WARNING)
        try:
            with httpx.stream("POST", url, content=body, headers=dict(headers), timeout=_TIMEOUT_S) as response:
                status = response.status_code
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Undelivered(type(error).__name__) from None  # its text may hold the address
        if not 200 <= status < 300:
            raise Undelivered(f"HTTP {status}")


class Notices:
    """Collects ended runs and delivers what is due. Lives in one thread, with a store of that thread.

    Args:
        store: the state folder.
        clock: the time.
        link: run id -> address of its page, for people.
        sender: how it is sent, by default by HTTP.
        chance: 0 to 1, spreads repeated attempts.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        link: Callable[[str], str],
        sender: Sender | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._outbox = Outbox(store)
        self._clock = clock
        self._link = link
        self._sender = sender or HttpSender()
        self._chance = chance

    def turn(self) -> int:
        """Looks once at the journal and the outbox; whatever goes wrong is tried again later.

        Returns:
            How many messages were delivered.
        """
        try:
            self._outbox.collect(lambda event: describe(self._store, event, self._link), self._clock.now())
            return self._deliver()
        except (OSError, sqlite3.Error) as error:
            LOG.warning("notifications: %s; trying again", error)
            return 0

    def send_test(self, notification_id: str) -> None:
        """Sends a message that says it is a test, at once and once.

        Raises:
            NotFound: no such notification.
            PipelineError: it did not arrive.
        """
        receiver = self._outbox.receiver(notification_id)
        text = "Seamline: this is a test. You will hear of runs here."
        try:
            self._post(receiver, "test", {"event": "test", "event_id": "test", "text": text})
        except Undelivered as error:
            raise PipelineError(f"the test did not reach {receiver.shown_url}: {error}; check the address") from error

    def _deliver(self) -> int:
        receivers = {one.notification_id: one for one in self._outbox.receivers()}
        silent: set[str] = set()
        delivered = 0
        for delivery in self._outbox.due(self._clock.now()):
            receiver = receivers.get(delivery.notification_id)
            if receiver is None or receiver.notification_id in silent:
                continue  # one that does not answer is not waited for twice in a turn
            if not self._outbox.claim(delivery, self._clock.now() + _CLAIM_S):
                continue
            if self._attempt(delivery, receiver):
                delivered += 1
            else:
                silent.add(receiver.notification_id)
        return delivered

    def _attempt(self, delivery: Delivery, receiver: Notification) -> bool:
        try:
            self._post(receiver, delivery.event_id, delivery.body)
        except Undelivered as error:
            again = self._outbox.failed(delivery, str(error), self._clock.now(), self._chance())
            then = "trying again" if again else "given up after a day"
            LOG.warning("notification to %s of run %s: %s; %s", receiver.shown_url, delivery.run_id[:8], error, then)
            return False
        self._outbox.succeeded(delivery, self._clock.now())
        return True

    def _post(self, receiver: Notification, event_id: str, message: Mapping[str, Any]) -> None:
        body = json.dumps(message, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json", "User-Agent": "seamline", "X-Seamline-Event": event_id}
        if receiver.secret:
            headers["X-Seamline-Signature"] = signature(receiver.secret, body)
        self._sender.post(receiver.url, body, headers)


def signature(secret: str, body: bytes) -> str:
    """What `X-Seamline-Signature` says for a body."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def describe(reader: Reader, event: Event, link: Callable[[str], str]) -> dict[str, Any]:
    """The message for an ended run. A run that has been deleted meanwhile is described by what the journal says."""
    state = RunState(event.detail["state"])
    about = {"event": "run.ended", "time": iso(event.time), "run_id": event.run_id, "state": str(state)}
    try:
        run = reader.run(event.run_id)
    except NotFound:
        return {**about, "text": f"Run {event.run_id[:8]} {words.RUN_WORDS[state]}; it has been deleted."}
    failed = _failed_tasks(reader, run) if state is RunState.FAILED else []
    return {
        **about,
        "name": run.name,
        "pipeline": run.pipeline,
        "reason": str(event.detail.get("reason", "")),
        "recurring_run_id": run.recurring_id,
        "failed_tasks": failed,
        "link": link(run.run_id),
        "text": _slack_text(run, state, failed, link(run.run_id)),
    }


def _failed_tasks(reader: Reader, run: Run) -> list[dict[str, Any]]:
    failed = [task for task in reader.tasks(run.run_id) if task.is_leaf and task.state is TaskState.FAILED]
    return [_failed_task(reader, task) for task in failed[:MOST_TASKS]]


def _failed_task(reader: Reader, task: Task) -> dict[str, Any]:
    attempts = reader.attempts(task.run_id, task.key)
    failure = attempts[-1].failure if attempts else None
    return {
        "task": task.label,
        "reason": task.reason,
        "class": str(failure.kind) if failure else "",
        "cause": failure.cause[:LONGEST_LINE] if failure else "",
        "fix": failure.fix if failure else "",
        "log": _last_lines(reader, task),
    }


def _last_lines(reader: Reader, task: Task) -> list[str]:
    """The end of its log, without what is meant for programs; empty when there is none."""
    try:
        said = log_view.ending(reader.log_path(task.run_id, task.key), MOST_LINES)
    except NotFound:
        return []
    return [line[:LONGEST_LINE] for line in said]


def _slack_text(run: Run, state: RunState, failed: Sequence[Mapping[str, Any]], link: str) -> str:
    lines = [f"*{_escaped(run.name)}* {words.RUN_WORDS[state]} (run {run.run_id[:8]}): {link}"]
    for task in failed[:_SLACK_TASKS]:
        lines.append(f"{_escaped(task['task'])}: {_escaped(task['cause'] or task['reason'])}")
        lines += [f"Likely fix: {_escaped(task['fix'])}"] if task["fix"] else []
        if task["log"]:
            lines.append("```\n" + _escaped("\n".join(task["log"][-_SLACK_LINES:])) + "\n```")
    return "\n".join(lines)


def _escaped(text: str) -> str:
    """As Slack wants it; a log cannot end the block that it stands in."""
    for character, written in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("```", "'''")):
        text = text.replace(character, written)
    return text
