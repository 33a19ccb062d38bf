"""Webhooks that hear of ended runs."""

from typing import Protocol

from pipeline.engine.store import Store


class Notices(Protocol):
    """Sends to the receivers of a state folder."""

    def send_test(self, store: Store, notification_id: str) -> None:
        """Sends a message that says it is a test, at once and once.

        Raises:
            NotFound: no such receiver.
            PipelineError: it did not arrive.
        """
