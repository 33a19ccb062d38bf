"""What a running step says to whoever watches: lines on stdout that begin with `::` and carry one JSON object.

`::progress {"done": 3, "total": 10, "unit": "epochs"}` moves a bar; `::metric {"step": 3, "loss": 0.4}` is one point of
a curve; `::made {"component": "train", "inputs": "<digest>", "outputs": {...}}` says at the end what came out of which
inputs, for whoever has nothing but the logs (a KFP endpoint tells no output parameters). Plain lines are the log. A
line is the one channel that every launcher (process, Docker, Kubernetes, KFP) has.
"""

import hashlib
import json
import sys
import time
from collections.abc import Mapping
from typing import Any

_SECONDS_BETWEEN = 0.5
_last: dict[str, float] = {}
_num_lines = 0


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


def made(component: str, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> None:
    """Says what a component made of its inputs."""
    body = {"component": component, "inputs": digest_of_inputs(inputs), "outputs": dict(outputs)}
    _say(f"::made {json.dumps(body, ensure_ascii=False)}")


def digest_of_inputs(inputs: Mapping[str, Any]) -> str:
    """Names the values that a task got, however JSON wrote their numbers: 3 and 3.0 are one value."""
    text = json.dumps({k: _plain(v) for k, v in inputs.items()}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def log(message: str) -> None:
    """Writes one line to the task's log."""
    _say(message)


def num_lines() -> int:
    """How many lines have been said."""
    return _num_lines


def _emit(kind: str, body: Mapping[str, float | str]) -> None:
    _say(f"::{kind} {json.dumps(body)}")


def _say(line: str) -> None:
    global _num_lines
    _num_lines += 1
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
