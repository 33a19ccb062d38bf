"""Runs that are being prepared: compiling takes seconds, drawing or hashing data minutes, a browser waits for neither.

Kept in memory only: what is not yet a run when the server ends has to be asked for again.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pipeline.errors import PipelineError

KEPT = 100  # newest preparations that are remembered


@dataclass
class Preparation:
    """One run on its way.

    Attributes:
        token: names it; the same form sent twice has the same.
        title: for people.
        began: seconds since 1970.
        sent: what was asked for, so that it can be shown again.
        run_id: once it is a run.
        error: why it will never be one.
        ended: set when it is over, either way.
    """

    token: str
    title: str
    began: float
    sent: Any = None
    run_id: str = ""
    error: str = ""
    ended: threading.Event = field(default_factory=threading.Event)


class Preparations:
    """Starts each preparation once, in a thread of its own."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Preparation] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, token: str) -> Preparation | None:
        """A preparation by its token; None when nobody remembers it."""
        return self._known.get(token)

    def begin(self, preparation: Preparation, make_run: Callable[[], str]) -> Preparation:
        """Starts it, unless one with its token was started already and has not failed.

        Args:
            preparation: the new one.
            make_run: prepares, makes the run and returns its id; called in another thread.

        Returns:
            The one that counts.
        """
        with self._lock:
            earlier = self._known.get(preparation.token)
            if earlier and not earlier.error:
                return earlier
            self._known[preparation.token] = preparation
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        # A daemon: a server that ends does not wait for the digest of a terabyte.
        threading.Thread(target=_work, args=(preparation, make_run), name="preparing", daemon=True).start()
        return preparation


def _work(preparation: Preparation, make_run: Callable[[], str]) -> None:
    try:
        preparation.run_id = make_run()
    except PipelineError as error:
        preparation.error = str(error)
    except Exception as error:  # whatever it is, the person who waits must hear of it
        preparation.error = f"{type(error).__name__}: {error}"
        raise
    finally:
        preparation.ended.set()
