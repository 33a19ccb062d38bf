"""Implements pipeline.server.domain.notices over `pipeline.notices`."""

from pipeline import notices
from pipeline.engine.clock import SystemClock
from pipeline.engine.store import Store


class LocalNotices:
    """See pipeline.server.domain.notices.Notices.

    Args:
        sender: how it is sent, by default by HTTP.
    """

    def __init__(self, sender: notices.Sender | None = None) -> None:
        self._sender = sender

    def send_test(self, store: Store, notification_id: str) -> None:
        """See Notices."""
        notices.Notices(store, SystemClock(), link=str, sender=self._sender).send_test(notification_id)
