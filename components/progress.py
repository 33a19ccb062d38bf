"""What a running step says to whoever watches: lines on stdout that begin with `::` and carry one JSON object.

`::progress {"done": 3, "total": 10, "unit": "epochs"}` moves a bar; `::metric {"step": 3, "loss": 0.4}` is one point of
a curve. Plain lines are the log. A line is the one channel that every launcher (process, Docker, Kubernetes, KFP) has.
"""

import json
import sys
import time
from collections.abc import Mapping

_SECONDS_BETWEEN = 0.5
_last: dict[str, float] = {}


def progress(done: int, total: int, unit: str) -> None:
    """Says how far the step is; more often than twice a second is dropped, the last one never is."""
    now = time.monotonic()
    if done < total and now - _last.get(unit, float("-inf")) < _SECONDS_BETWEEN:
        return
    _last[unit] = now
    _emit("progress", {"done": done, "total": total, "unit": unit})


def metric(step: int, **values: float) -> None:
    """Says one point of the learning curves, for instance `metric(epoch, loss=0.4, valid_map=0.9)`."""
    _emit("metric", {"step": step, **values})


def log(message: str) -> None:
    """Writes one line to the task's log."""
    print(message, flush=True)


def _emit(kind: str, body: Mapping[str, float | str]) -> None:
    sys.stdout.write(f"::{kind} {json.dumps(body)}\n")
    sys.stdout.flush()
