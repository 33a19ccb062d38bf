"""Who wants to hear of ended runs, and what must still be told them: an outbox in the state folder.

The ends of runs are read from the journal behind a cursor. One transaction puts them into the outbox and moves the
cursor, so each end gets exactly one row for each receiver, whatever dies meanwhile. Rows are tried until they are
delivered or a day has passed: at least once, under an event id that stays the same.
"""

import json
import sqlite3
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from pipeline.engine.database import to_json
from pipeline.engine.reader import load
from pipeline.engine.records import Event
from pipeline.engine.states import RUN_ENDED, RunState
from pipeline.engine.store import Store
from pipeline.errors import NotFound, PipelineError

TRIED_S = 86_400.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 3600.0
_KEPT_S = 30 * 86_400.0
_ENDS_AT_ONCE = 100


class Moment(StrEnum):
    """When a receiver is told."""

    FAILED = "failed"  # a run has failed
    ENDED = "ended"  # a run has succeeded, failed or been stopped


@dataclass(frozen=True)
class Notification:
    """A receiver of webhooks. Its address and secret never stand in logs; show `shown_url`.

    Attributes:
        url: where to POST, http or https.
        moment: which ends it hears of.
        secret: signs the body when not empty.
    """

    notification_id: str
    url: str = field(repr=False)
    moment: Moment
    secret: str = field(repr=False)
    created: float

    @property
    def shown_url(self) -> str:
        """Scheme and host only: in many webhooks the path is the password."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "") + "/…"

    def wants(self, state: RunState) -> bool:
        """Whether it hears of a run that ended so."""
        return self.moment is Moment.ENDED or state is RunState.FAILED


@dataclass(frozen=True)
class Delivery:
    """A row of the outbox.

    Attributes:
        event_id: the same for every attempt, and for every receiver of the same end.
        attempts: how often it was tried.
        next_try: when it is tried again; 0: delivered or given up.
        delivered: when, 0 where not.
        problem: of the last attempt.
    """

    number: int
    event_id: str
    notification_id: str
    run_id: str
    body: Mapping[str, Any]
    created: float
    attempts: int
    next_try: float
    delivered: float
    problem: str


class Outbox:
    """Notifications and what is still to be delivered. One object per thread, as the store.

    Args:
        store: the state folder.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._database = store.database

    # Receivers

    def add(self, url: str, moment: Moment | str, now: float, secret: str = "") -> Notification:
        """Adds a receiver; it hears of runs that end from now on.

        Raises:
            PipelineError: not a web address, or an unknown moment.
        """
        made = Notification(str(uuid.uuid4()), _checked_url(url), _checked_moment(moment), secret, now)
        columns = {name: getattr(made, name) for name in ("notification_id", "url", "moment", "secret", "created")}
        with self._database.writing() as journal:
            self._database.insert("notifications", columns)
            detail = {"change": "added", "url": made.shown_url, "moment": made.moment}
            journal(now, "", made.notification_id, "notification", detail)
        return made

    def receivers(self) -> list[Notification]:
        """All receivers, oldest first."""
        rows = self._database.rows("SELECT * FROM notifications ORDER BY created, notification_id")
        return [Notification(**{**dict(row), "moment": Moment(row["moment"])}) for row in rows]

    def receiver(self, notification_id: str) -> Notification:
        """A receiver by its id.

        Raises:
            NotFound: there is none.
        """
        for one in self.receivers():
            if one.notification_id == notification_id:
                return one
        raise NotFound(f"no notification {notification_id!r}; it was removed, or its id is wrong")

    def remove(self, notification_id: str, now: float) -> None:
        """Removes a receiver, and what it has not been told.

        Raises:
            NotFound: there is none.
        """
        with self._database.writing() as journal:
            was = self.receiver(notification_id)
            self._database.rows("DELETE FROM notifications WHERE notification_id = ?", (notification_id,))
            journal(now, "", notification_id, "notification", {"change": "removed", "url": was.shown_url})

    # Ends of runs -> rows

    def collect(self, describe: Callable[[Event], Mapping[str, Any]], now: float) -> int:
        """Puts ends of runs that stand in the journal behind the cursor into the outbox.

        Args:
            describe: the body for an end of a run; gets the journal's event. `event_id` and `time` are added here.
            now: the time.

        Returns:
            How many rows were added.
        """
        begin = self._cursor()
        events, seen = self._ends_after(begin)
        if seen == begin:
            return 0
        receivers = self.receivers()
        wanted = [(event, one) for event in events for one in receivers if one.wants(_state_of(event))]
        bodies = {event.sequence: {**describe(event), "event_id": _event_id(event)} for event, _ in wanted}
        with self._database.writing():
            if self._cursor() != begin:
                return 0  # somebody else has done it meanwhile
            for event, one in wanted:
                self._put(event, one, bodies[event.sequence], now)
            self._database.rows("UPDATE outbox_cursor SET sequence = ?", (seen,))
            self._database.rows("DELETE FROM outbox WHERE next_try = 0 AND created < ?", (now - _KEPT_S,))
        return len(wanted)

    # Rows -> receivers

    def due(self, now: float) -> list[Delivery]:
        """What is to be tried now, oldest first. A time too far ahead means that the clock went back: also now."""
        sql = "SELECT * FROM outbox WHERE next_try > 0 AND (next_try <= ? OR next_try > ?) ORDER BY number"
        return [_delivery(row) for row in self._database.rows(sql, (now, now + 2 * LONGEST_PAUSE_S))]

    def claim(self, delivery: Delivery, until: float) -> bool:
        """Reserves a row for an attempt; False when somebody else has it. After `until` it is free again."""
        sql = "SELECT 1 FROM outbox WHERE number = ? AND next_try = ?"
        with self._database.writing():
            if not self._database.rows(sql, (delivery.number, delivery.next_try)):
                return False
            columns = {"next_try": until, "attempts": delivery.attempts + 1}
            self._database.update("outbox", columns, {"number": delivery.number})
        return True

    def succeeded(self, delivery: Delivery, now: float) -> None:
        """Records that the receiver has it."""
        columns = {"delivered": now, "next_try": 0, "problem": ""}
        with self._database.writing():
            self._database.update("outbox", columns, {"number": delivery.number})

    def failed(self, delivery: Delivery, problem: str, now: float, chance: float) -> float:
        """Records a failed attempt.

        Args:
            delivery: as it was claimed.
            problem: why.
            now: the time.
            chance: 0 to 1, spreads the attempts of many senders.

        Returns:
            When it is tried again; 0: a day has passed, it is given up.
        """
        pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(delivery.attempts, 20)) * (0.5 + chance)
        again = now + pause if now + pause <= delivery.created + TRIED_S else 0.0
        with self._database.writing():
            self._database.update("outbox", {"next_try": again, "problem": problem}, {"number": delivery.number})
        return again

    def deliveries(self, limit: int = 50) -> list[Delivery]:
        """The latest rows, newest first, delivered or not: what a page shows."""
        rows = self._database.rows("SELECT * FROM outbox ORDER BY number DESC LIMIT ?", (limit,))
        return [_delivery(row) for row in rows]

    def _cursor(self) -> int:
        return int(self._database.rows("SELECT sequence FROM outbox_cursor")[0]["sequence"])

    def _ends_after(self, begin: int) -> tuple[Sequence[Event], int]:
        """Ends of runs, and up to where the journal was read for them."""
        newest = int(self._database.rows("SELECT COALESCE(MAX(sequence), 0) AS newest FROM journal")[0]["newest"])
        states = ", ".join(f"'{state}'" for state in RUN_ENDED)
        sql = (
            "SELECT * FROM journal WHERE sequence > ? AND sequence <= ? AND kind = 'run' AND key = '' "
            f"AND json_extract(detail_json, '$.state') IN ({states}) ORDER BY sequence LIMIT {_ENDS_AT_ONCE}"
        )
        events = [load(Event, row) for row in self._database.rows(sql, (begin, newest))]
        return events, (events[-1].sequence if len(events) == _ENDS_AT_ONCE else max(begin, newest))

    def _put(self, event: Event, receiver: Notification, body: Mapping[str, Any], now: float) -> None:
        columns = {
            "event_id": _event_id(event),
            "notification_id": receiver.notification_id,
            "run_id": event.run_id,
            "body_json": to_json(body),
            "created": now,
            "next_try": now,
        }
        self._database.insert("outbox", columns)


def _event_id(event: Event) -> str:
    return f"{event.run_id}/{event.sequence}"


def _state_of(event: Event) -> RunState:
    return RunState(event.detail["state"])


def _delivery(row: sqlite3.Row) -> Delivery:
    plain = {name: row[name] for name in row.keys() if name != "body_json"}  # noqa: SIM118 (a Row is no mapping)
    return Delivery(body=json.loads(row["body_json"]), **plain)


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url.strip())
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or any(character.isspace() or not character.isprintable() for character in url.strip()):
        raise PipelineError("the webhook's address is not usable; expected http://… or https://… with a host")
    return url.strip()


def _checked_moment(moment: Moment | str) -> Moment:
    if moment not in set(Moment):
        raise PipelineError(f"a notification on {moment!r} is not possible; expected {' or '.join(Moment)}")
    return Moment(moment)
