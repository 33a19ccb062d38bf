"""The one way into a step: command line or KFP executor input -> settings and inputs -> `run` -> what KFP reads back.

`python -m components.<step> --executor-input JSON` is what a container runs (contract: KFP 2.17, launcher v2).
`python -m components.<step> --epochs 3 ...` is the same step by hand; its results are printed as JSON.
Exit codes: 0 done, 1 failed, 2 settings or data that the user can mend (one line on stderr, no traceback), 124 ended
itself for doing nothing (`components.idle`), 130 interrupted (Ctrl-C), 143 asked to end (SIGTERM).
"""

import argparse
import errno
import hashlib
import json
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import ModuleType
from typing import Any

from components import idle, knobs, progress, usage
from components.errors import SettingsError, StepError

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)
LAYERS = ("attribute", "model")  # inputs whose tables overrule the knobs; the later one counts before the earlier
SEED = "seed"  # of the run, unless the model has its own
MOUNTS = {"gs://": "/gcs/", "minio://": "/minio/", "s3://": "/s3/"}


@dataclass(frozen=True)
class Outputs:
    """Where a step puts what people look at, and its unfinished work.

    Attributes:
        artifacts: output artifact name to the local file to write; the parent folder exists.
        unfinished: `<data_root>/unfinished/<fingerprint>`, the same for every attempt at the same task.
    """

    artifacts: Mapping[str, Path]
    unfinished: str

    def write_text(self, name: str, text: str) -> None:
        """Writes one artifact, for instance an HTML page."""
        self.artifacts[name].write_text(text, encoding="utf-8")


@dataclass(frozen=True)
class Summary:
    """What a step reports.

    Attributes:
        results: output parameter name to string, one for every name in the step's RESULTS.
        metadata: output artifact name to its metadata; finite numbers, strings and flat lists or dicts of them.
    """

    results: dict[str, str]
    metadata: dict[str, dict[str, Any]] = field(default_factory=dict)


Run = Callable[[Any, Any, Outputs], Summary]


def main(settings: ModuleType, run: Run, argv: list[str] | None = None) -> None:
    """Runs one step and exits.

    Args:
        settings: the step's settings module (`Settings`, `Inputs`, `RESULTS`, `ARTIFACTS`).
        run: the step's work.
        argv: the arguments, by default those of the process.
    """
    arguments = vars(_parser(settings).parse_args(argv))
    _end_when_asked()
    idle.watch_from_environment()
    usage.note_at_end()
    try:
        if arguments["executor_input"]:
            _run_in_pipeline(settings, run, json.loads(arguments["executor_input"]))
        else:
            _run_by_hand(settings, run, arguments)
    except StepError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        print(f"error: {error.filename or 'the disk'}: {error.strerror}; make room and try again", file=sys.stderr)
        sys.exit(1)


def _end_when_asked() -> None:
    """SIGTERM ends the step with 143, so that it counts as preempted.

    As the first process of a container it would not even hear of the signal: there the kernel has no default for it.
    """
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def resolve(settings: ModuleType, values: Mapping[str, Any]) -> tuple[Any, Any]:
    """Splits plain values into the step's inputs and its effective settings.

    Keys that belong to neither, which KFP adds for resources, are ignored.
    """
    known = {f.name for f in fields(settings.Inputs)}
    given = {k: v for k, v in values.items() if k in known}
    if SEED in known and SEED in (values.get("model") or {}):
        given[SEED] = values["model"][SEED]
    inputs = knobs.from_mapping(settings.Inputs, given)
    return inputs, effective(settings, dict(values) | knobs.as_mapping(inputs))


def effective(settings: ModuleType, values: Mapping[str, Any]) -> Any:
    """The settings that a task with these values runs with.

    A knob may be set for one attribute or one model: the `attribute` and `model` inputs are structs in which a table
    named after the step (or after the input `phase`) overrides the knobs given for all.

    Raises:
        SettingsError: a value that a knob does not take, or knobs that contradict each other.
    """
    step = _step_name(settings)
    known = {f.name for f in fields(settings.Settings)}
    merged = {k: v for k, v in values.items() if k in known}
    for layer in LAYERS:
        for table in tables(settings, values):
            merged |= (values.get(layer) or {}).get(table) or {}
    found = knobs.from_mapping(settings.Settings, merged, where=step)
    if problem := getattr(found, "contradiction", str)():
        raise SettingsError(f"{step}.{problem}")
    return found


def tables(settings: ModuleType, values: Mapping[str, Any]) -> list[str]:
    """The tables of its attribute and its model that a task reads: its step's, and its phase's."""
    return [str(name) for name in (_step_name(settings), values.get("phase")) if name]


def fingerprint(step: str, inputs: Any, settings: Any) -> str:
    """Names a task by what it does, not by where: the data root is left out, also of references below it."""
    given = knobs.as_mapping(inputs)
    root = given.pop("data_root").rstrip("/") + "/"
    what = {name: _below(value, root) for name, value in given.items()}
    body = json.dumps([step, what, knobs.as_mapping(settings)], sort_keys=True)
    return hashlib.sha256(body.encode()).hexdigest()[:32]


def _below(value: Any, root: str) -> Any:
    """A reference, or a list of them, as it reads from the data root; anything else as it is."""
    if isinstance(value, list):
        return [_below(element, root) for element in value]
    return value.removeprefix(root) if isinstance(value, str) else value


def _run_in_pipeline(settings: ModuleType, run: Run, message: dict[str, Any]) -> None:
    inputs, knob_values = resolve(settings, message.get("inputs", {}).get("parameterValues", {}))
    declared = message["outputs"].get("artifacts", {})
    paths = {name: _local(a["artifacts"][0]["uri"]) for name, a in declared.items() if name in settings.ARTIFACTS}
    summary = _run(settings, run, inputs, knob_values, paths)
    body: dict[str, Any] = {"parameterValues": summary.results}
    if summary.metadata:
        body["artifacts"] = {name: {"artifacts": [{"metadata": m}]} for name, m in summary.metadata.items()}
    target = Path(message["outputs"]["outputFile"])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(body, allow_nan=False), encoding="utf-8")
    known = knobs.types_of(settings.Inputs) | knobs.types_of(settings.Settings)
    values = message.get("inputs", {}).get("parameterValues", {})
    progress.made(_step_name(settings), {k: v for k, v in values.items() if k in known}, summary.results)


def _run_by_hand(settings: ModuleType, run: Run, arguments: dict[str, Any]) -> None:
    types = knobs.types_of(settings.Inputs) | knobs.types_of(settings.Settings)
    values = {k: knobs.parse(v, types[k]) for k, v in arguments.items() if k in types and v is not None}
    inputs, knob_values = resolve(settings, values)
    paths = {name: Path(arguments["out"]) / name for name in settings.ARTIFACTS}
    summary = _run(settings, run, inputs, knob_values, paths)
    print(json.dumps({"results": summary.results, "metadata": summary.metadata}, indent=2, ensure_ascii=False))


def _run(settings: ModuleType, run: Run, inputs: Any, knob_values: Any, paths: dict[str, Path]) -> Summary:
    step = _step_name(settings)
    for path in paths.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = f"{inputs.data_root.rstrip('/')}/unfinished/{fingerprint(step, inputs, knob_values)}"
    summary = run(knob_values, inputs, Outputs(paths, unfinished))
    undeclared = set(summary.results) ^ set(settings.RESULTS) | set(summary.metadata) - set(settings.ARTIFACTS)
    if undeclared:
        raise RuntimeError(
            f"step {step} reports {sorted(summary.results)}; its settings declare {sorted(settings.RESULTS)}"
        )
    return summary


def _step_name(settings: ModuleType) -> str:
    return settings.__name__.split(".")[-2]


def _local(uri: str) -> Path:
    for scheme, mount in MOUNTS.items():
        if uri.startswith(scheme):
            return Path(mount + uri.removeprefix(scheme))
    return Path(uri.removeprefix("file://"))


def _parser(settings: ModuleType) -> argparse.ArgumentParser:
    step = _step_name(settings)
    parser = argparse.ArgumentParser(
        prog=f"python -m components.{step}",
        description=settings.__doc__,
        epilog="Lists are given as a,b,c or as JSON, structs as JSON.",
    )
    parser.add_argument("--executor-input", metavar="JSON", help="everything at once, as KFP hands it over")
    parser.add_argument(
        "--out", default="out", metavar="DIR", help="folder for " + ", ".join(settings.ARTIFACTS or ["nothing"])
    )
    for group, cls in (("inputs", settings.Inputs), ("settings", settings.Settings)):
        section = parser.add_argument_group(group)
        for knob in fields(cls):
            section.add_argument(f"--{knob.name.replace('_', '-')}", metavar="VALUE", help=_help(knob))
    return parser


def _help(knob: Any) -> str:
    default = knobs.default_of(knob)
    shown = "required" if default is knobs.REQUIRED else f"default {json.dumps(default)}"
    return f"{knobs.describe(knob)} ({shown})".replace("%", "%%")
