"""`seamline serve`: server, dispatcher, and what else has to happen in time, in one process."""

import contextlib
import functools
import importlib
import ipaddress
import logging
import signal
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import uvicorn

from pipeline import launchers
from pipeline.console.cluster import KfpCluster
from pipeline.engine.clock import SystemClock
from pipeline.engine.dispatch import Dispatcher
from pipeline.engine.runner import Engine
from pipeline.engine.store import Store
from pipeline.engine.ticker import Ticker
from pipeline.errors import PipelineError
from pipeline.local import make_engine
from pipeline.notices import Notices
from pipeline.remote import Endpoint
from pipeline.server.app import create_app
from pipeline.server.guard import Access
from pipeline.server.services import Domain, Services

LOG = logging.getLogger("seamline")
JOIN_S = 10.0
RESTART_S = 5.0
WARM_AFTER_S = 1.0
HEAVY = (
    "album",
    "changed_verdicts",
    "dossier",
    "intervals",
    "picture_files",
    "standing",
)  # modules of pipeline.console


EngineOf = Callable[[Store], Engine]


@dataclass(frozen=True)
class Address:
    """Where to listen.

    Attributes:
        host: address of this machine.
        port: 0 for any that is free.
        token: needed by everybody when it is not empty.
        public_url: the console's address for people, where it is another one; without a slash at its end.
    """

    host: str
    port: int
    token: str = ""
    public_url: str = ""

    @property
    def name(self) -> str:
        """What a browser may call the host. `0.0.0.0` and `::` are no host, but all addresses of this one."""
        try:
            is_all = ipaddress.ip_address(self.host).is_unspecified
        except ValueError:  # a name
            is_all = False
        return socket.gethostname() if is_all else self.host


def domain(endpoint: Endpoint | None = None, engine_of: EngineOf = make_engine) -> Domain:
    """What the console knows of our own pipelines, and of a KFP endpoint."""
    from pipeline.console import comparison, models, notices, pictures, recipes, results, rounds

    return Domain(
        results=results.LocalResults(),
        recipes=recipes.LocalRecipes(),
        comparison=comparison.LocalComparison(),
        models=models.LocalModels(),
        pictures=pictures.LocalPictures(),
        rounds=rounds.LocalRounds(engine_of),
        notices=notices.LocalNotices(),
        cluster=KfpCluster(endpoint) if endpoint else None,
    )


def serve(
    state_dir: Path,
    address: Address,
    ready: Callable[[str], None],
    endpoint: Endpoint | None = None,
    launcher: str = "process",
    strict: bool = False,
) -> None:
    """Serves until it is asked to end; running tasks go on and are taken up by the next server or command.

    Args:
        state_dir: the state folder; made when missing.
        address: where to listen.
        ready: told the console's address once connections are taken.
        endpoint: a KFP endpoint that the console shows beside this machine.
        launcher: where steps run, one of `launchers.NAMES`.
        strict: admit no pipeline that Kubeflow Pipelines could not run.

    Raises:
        StateError: the state folder cannot be used, or another process executes runs in it.
        PipelineError: the address cannot be listened at.
    """
    store = Store.open(state_dir)
    stopping = threading.Event()
    engine_of = functools.partial(make_engine, launcher=launcher, strict=strict)
    _ask(launcher, state_dir)
    with store.exclusive(serving=True), _listening(address) as listener:
        here = f"http://{_in_address(address.name)}:{listener.getsockname()[1]}"
        around = _Around(state_dir, stopping, address.public_url or here, engine_of)
        services = Services(state_dir, engine_of, domain(endpoint, engine_of))
        app = create_app(services, Access(address.token), stopping)
        workers = [
            threading.Thread(
                target=keep_working,
                args=(functools.partial(job, around), stopping),
                name=name,
                daemon=True,
            )
            for name, job in (("dispatcher", _dispatch), ("ticker", _tick), ("notices", _notify), ("sensor", _sense))
        ]
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=3
        )
        ready(here)
        for worker in workers:
            worker.start()
        threading.Thread(target=warm_up, args=(stopping,), name="warm-up", daemon=True).start()
        try:
            _Server(config, stopping).run(sockets=[listener])
        finally:
            stopping.set()
            for worker in workers:
                worker.join(timeout=JOIN_S)


def _ask(launcher: str, state_dir: Path) -> None:
    """Says now, not when the first run waits for it, that nobody answers who could run a step; somebody may later."""
    place = launchers.place(launcher, state_dir)
    try:
        place.ask()
    except PipelineError as error:
        LOG.warning("--launcher %s: %s", launcher, error)


class _Server(uvicorn.Server):
    """Ends streams first when asked to end (they would never end by themselves), and then ends without an error."""

    def __init__(self, config: uvicorn.Config, stopping: threading.Event) -> None:
        super().__init__(config)
        self._stopping = stopping

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """See uvicorn, which would raise the signal once more at the end."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """See uvicorn."""
        self._stopping.set()
        super().handle_exit(sig, frame)


def keep_working(job: Callable[[], object], stopping: threading.Event, pause_s: float = RESTART_S) -> None:
    """The body of a worker's thread: an error ends one try, never the worker while the server goes on without it.

    Beginning anew is safe, because everything that a worker knows is in the state folder.
    """
    while not stopping.is_set():
        try:
            job()
        except (OSError, sqlite3.Error, PipelineError) as error:
            LOG.warning("%s: %s; trying again in %g s", threading.current_thread().name, error, pause_s)
        except Exception:
            name = threading.current_thread().name
            LOG.exception("%s: an error of Seamline, please report it; trying again in %g s", name, pause_s)
        stopping.wait(pause_s)


def warm_up(stopping: threading.Event, after_s: float = WARM_AFTER_S) -> None:
    """Loads pandas and what else is too slow for a start, so that the first visitor of a comparison need not wait."""
    if not stopping.wait(after_s):
        for name in HEAVY:
            importlib.import_module(f"pipeline.console.{name}")


@dataclass(frozen=True)
class _Around:
    """What the workers share: the state folder, the server's end, its address for people, how an engine is made."""

    state_dir: Path
    stopping: threading.Event
    address: str
    engine_of: EngineOf


def _dispatch(around: _Around) -> None:
    """Executes runs; the lock is held by `serve`."""
    store = Store.open(around.state_dir)
    Dispatcher(around.engine_of(store), store, around.stopping.wait).loop(around.stopping)


def _tick(around: _Around) -> None:
    """Launches what recurring runs have due."""
    store = Store.open(around.state_dir)
    ticker = Ticker(store, around.engine_of(store), SystemClock())
    _again(ticker.tick, around.stopping)


def _notify(around: _Around) -> None:
    """Tells webhooks how runs ended."""
    store = Store.open(around.state_dir)
    notices = Notices(store, SystemClock(), link=lambda run_id: f"{around.address}/runs/{run_id}")
    _again(notices.turn, around.stopping)


def _sense(around: _Around) -> None:
    """Looks at the watched folders of rounds."""
    from pipeline.rounds.sensor import Sensor, SensorSettings

    sensor = Sensor(SensorSettings(around.state_dir), lambda: Store.open(around.state_dir), engine_of=around.engine_of)
    sensor.run(around.stopping)


def _again(work: Callable[[], object], stopping: threading.Event) -> None:
    """Does something every second; a full disk or a busy database is a reason to try again, not to end."""
    while not stopping.wait(1.0):
        try:
            work()
        except (OSError, sqlite3.Error, PipelineError) as error:
            LOG.warning("%s: %s; trying again", threading.current_thread().name, error)


def _in_address(host: str) -> str:
    """IPv6 needs brackets in an address, or its last part is read as the port."""
    return f"[{host}]" if ":" in host else host


def _listening(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        return socket.create_server((address.host, address.port), family=family, backlog=128)
    except OSError as error:
        raise PipelineError(
            f"cannot listen at {address.host}:{address.port}: {error.strerror}; give another one with --port"
        ) from error
