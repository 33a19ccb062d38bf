"""`seamline watch` and `seamline rollback`: retraining when a round of data has landed, and the way back."""

import functools
import getpass
import json
import signal
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

import click

from pipeline.errors import NotFound, PipelineError
from pipeline.options import (
    AtLeast,
    Host,
    endpoint_options,
    json_option,
    launcher_option,
    pin_images_option,
    set_option,
    shared_paths_option,
    state_option,
)
from pipeline.output import print_json

NEVER_PROMOTED = (
    'note: predict.valid_rounds is "newest", so no picture judges both the champion and the next round\'s model, and '
    'promote will refuse it; leave it at "all"'
)
PINNED_HERE = (
    "here --launcher docker pins by itself, and --launcher kubernetes where kubernetes.toml says pin_images = true"
)
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Manner:
    """How `seamline watch` watches: its options, by their names."""

    once: bool
    wait: bool
    every_s: float
    backfill: str
    host: Host | None
    register: bool
    quiet_s: float
    min_new: int
    queue: bool
    launcher: str
    pin_images: bool
    shared_paths: bool
    as_json: bool


@click.command()
@click.argument("rounds_address", metavar="ROUNDS")
@click.option("--recipe", required=True, help="The recipe that learns from the rounds: a file, or a name like `demo`.")
@set_option
@state_option
@click.option("--once", is_flag=True, help="Look once, wait for the runs that it launches, and end: for cron.")
@click.option("--wait/--no-wait", default=True, help="With --once: whether to carry out and wait for the runs.")
@click.option(
    "--quiet-s",
    type=AtLeast(min=0),
    default=60.0,
    show_default=True,
    metavar="S",
    help="A round has landed after so many seconds without a change, or with a file _SUCCESS.",
)
@click.option(
    "--min-new",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    metavar="N",
    help="New labelled pictures that a round must bring.",
)
@click.option(
    "--every",
    "every_s",
    type=AtLeast(min=0.1),
    default=30.0,
    show_default=True,
    metavar="S",
    help="Seconds between two looks.",
)
@click.option("--coalesce/--queue", default=True, help="One run on all rounds that land together, or one for each.")
@click.option("--backfill", default="", metavar="R1,R2", help="Launch these rounds again; with --queue one by one.")
@endpoint_options()
@shared_paths_option
@pin_images_option
@launcher_option
@click.option("--register", is_flag=True, help="Have the server of the state folder watch from now on, and end.")
@json_option
def watch(rounds_address: str, recipe: str, overrides: tuple[str, ...], state_dir: Path, **how: Any) -> None:
    """Watch ROUNDS, a folder or gs:// prefix of rounds, and retrain, once, when a new one has landed.

    Exit: 0 nothing to do or the runs succeeded, 1 a run failed.
    """
    from pipeline.engine.round_log import RoundLog
    from pipeline.engine.store import Store
    from pipeline.rounds import landing
    from pipeline.rounds import source as sources

    manner = Manner(queue=not how.pop("coalesce"), **how)
    options = sources.Options(
        quiet_s=manner.quiet_s,
        min_new=manner.min_new,
        mode=sources.QUEUE if manner.queue else sources.COALESCE,
        host=manner.host.address if manner.host else "",
    )
    source = sources.describe(rounds_address, recipe, overrides, options, landing.instant().wall)
    store = Store.open(state_dir)
    log = RoundLog(store.database)
    if manner.pin_images and not manner.host:
        raise PipelineError(f"--pin-images goes with --host; {PINNED_HERE}")
    if manner.register and manner.host:
        raise PipelineError(
            "--register with --host: the server launches on its own machine only; leave one of them out"
        )
    if manner.register:
        added = sources.add(log, source)
        click.echo(f"{added.address}: watched by the server of {store.directory} from now on, as {added.source_id}")
        return
    log.put_source(source)
    if sources.recipe_of(source).groups["predict"].valid_rounds == "newest":
        click.echo(NEVER_PROMOTED, err=True)
    _watch(store, sources.find(log, source.source_id), manner)


@click.command()
@click.argument("attribute")
@click.option(
    "--to", "number", type=click.IntRange(min=1), help="Entry of the history that put the wanted one in force."
)
@click.option("--why", default="", help="The reason, kept in the history.")
@click.option("--data-root", default="", metavar="DIR", help="Where the champions lie; by default STATE/data.")
@state_option
@json_option
def rollback(attribute: str, number: int | None, why: str, data_root: str, state_dir: Path, as_json: bool) -> None:
    """Put the champion before the present one of ATTRIBUTE in force again.

    Who was rolled back is refused by the gate from then on; `--to` with its own entry brings it back.
    """
    from components.artifacts import champions, storage

    root = data_root or str(state_dir / "data")
    if not storage.is_remote(root) and not Path(root).is_dir():
        raise NotFound(f"{root} is not a folder, so it has no champions; give another one with --data-root or --state")
    at = datetime.now(UTC).isoformat(timespec="seconds")
    after = champions.roll_back(root, attribute, number or 0, _user(), why, at)
    entry = after.history[-1]
    if as_json:
        print_json(entry)
    else:
        new = entry["challenger"]["ensemble"]
        click.echo(
            f"{attribute}: champion {new[:12]} in force, {entry['champion'][:12]} rolled back (entry {entry['number']})"
        )


def _watch(store: Any, source: Any, manner: Manner) -> None:
    from pipeline import watcher
    from pipeline.rounds import source as sources

    with _ended_by_signals():
        watching = watcher.Watcher(store, source, _hands(store, manner))
        if not manner.once and not manner.backfill:
            watching.forever(manner.every_s, lambda text: _say(watching, manner, text))
            return
        trouble = "" if manner.backfill else watching.look()
        if manner.backfill:
            names = [name.strip() for name in manner.backfill.split(",") if name.strip()]
            watching.backfill(names, sources.QUEUE if manner.queue else sources.COALESCE)
        ended = watching.wait() if manner.wait else []
        click.echo(json.dumps(watching.as_json(trouble), indent=2) if manner.as_json else watching.text(trouble))
        if trouble:
            raise PipelineError(trouble)
        if any(launch.state != "SUCCEEDED" for launch in ended):
            sys.exit(1)


def _say(watching: Any, manner: Manner, text: str) -> None:
    click.echo(json.dumps(watching.as_json()) if manner.as_json else text)


def _hands(store: Any, manner: Manner) -> Any:
    from pipeline import images_command, launchers, local, remote_command, running, watcher
    from pipeline.live import LiveProgress
    from pipeline.rounds import launching

    if host := manner.host:
        endpoint = remote_command.connect(host)
        check = functools.partial(remote_command.refuse_local_paths, endpoint, shared=manner.shared_paths)
        pinned = images_command.pinned_for_cluster if manner.pin_images else str
        return watcher.Hands(launching.RemoteLauncher(endpoint, store.directory, check, pinned))
    launchers.place(manner.launcher, store.directory).ask()
    engine = local.open_engine(store.directory, launcher=manner.launcher)

    def progress(run_id: str) -> AbstractContextManager[Any]:
        return LiveProgress(store.directory, run_id, running.terminal())

    return watcher.Hands(launching.LocalLauncher(engine, store), engine, progress)


class _ended_by_signals(AbstractContextManager[None]):
    """A signal ends the watcher at once; a run that it carries out stays open, and the next watcher goes on with it."""

    def __enter__(self) -> None:
        heard = [number for number in STOP_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._end) for number in heard}

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _end(self, number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user has no name
        return "unknown"
