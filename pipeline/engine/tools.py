"""What an execution works with, and what only the caller of the engine knows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.engine.budget import Demand
from pipeline.engine.clock import Clock
from pipeline.engine.launch import Launcher
from pipeline.engine.ledger import Ledger
from pipeline.engine.store import Store


def _image_counts(command: list[str]) -> str:
    return ""


def _by_name(image: str) -> str:
    return image


def _as_it_is(ir_text: str) -> str:
    return ir_text


def _always_valid(outputs: dict[str, Any]) -> bool:
    return True


def _anything(ir_text: str, parameters: Mapping[str, Any]) -> None:
    return


def _nothing_extra(demand: Demand) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True)
class Hooks:
    """Knowledge of the caller.

    Attributes:
        code_identity: command, placeholders unfilled -> text that changes when the code behind it does; empty to go by
            the image's name.
        image_identity: image's name -> text that changes when what lies behind the name does; counts where the command
            says nothing of its code.
        still_valid: whether the output parameters (name -> value) of an earlier execution can be used, for instance
            because the references among them still exist.
        environment: extra environment variables of a task that takes that much, for instance thread limits.
        pinned: compiled pipeline -> the text that a run keeps of it, with images by names that do not move.
        admit: raises PipelineError where a compiled pipeline with these parameters must not become a run here.
    """

    code_identity: Callable[[list[str]], str] = _image_counts
    image_identity: Callable[[str], str] = _by_name
    still_valid: Callable[[dict[str, Any]], bool] = _always_valid
    environment: Callable[[Demand], Mapping[str, str]] = _nothing_extra
    pinned: Callable[[str], str] = _as_it_is
    admit: Callable[[str, Mapping[str, Any]], None] = _anything


@dataclass(frozen=True)
class Pace:
    """Seconds between looks at running tasks, and between asking a task to end and ending it."""

    poll_s: float = 0.1
    grace_s: float = 10.0


DEFAULT_HOOKS = Hooks()
DEFAULT_PACE = Pace()


@dataclass(frozen=True)
class Tools:
    """What an execution works with."""

    store: Store
    launcher: Launcher
    ledger: Ledger
    clock: Clock
    hooks: Hooks = DEFAULT_HOOKS
    pace: Pace = DEFAULT_PACE
