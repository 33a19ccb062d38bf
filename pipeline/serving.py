"""`seamline serve`: server, dispatcher, and what else has to happen in time, in one process."""

import logging
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import uvicorn

from pipeline import code_identity, local
from pipeline.engine.dispatch import Dispatcher
from pipeline.engine.launch import ProcessLauncher
from pipeline.engine.runner import Engine
from pipeline.engine.store import Store
from pipeline.engine.tools import Hooks
from pipeline.errors import PipelineError
from pipeline.server.app import create_app
from pipeline.server.guard import Access
from pipeline.server.services import Domain, Services

LOG = logging.getLogger("seamline")


@dataclass(frozen=True)
class Address:
    """Where to listen; `token` is needed by everybody when it is not empty."""

    host: str
    port: int
    token: str = ""


def make_engine(store: Store) -> Engine:
    """The engine over an open state folder, with our notions of code identity and of references that still exist."""
    hooks = Hooks(
        code_identity=code_identity.identity, still_valid=local.references_exist, environment=local.environment
    )
    return Engine(store, ProcessLauncher(), hooks=hooks)


def domain() -> Domain:
    """What the console knows of our own pipelines."""
    from pipeline.console import comparison, models, pictures, recipes, results, rounds

    return Domain(
        results=results.LocalResults(),
        recipes=recipes.LocalRecipes(),
        comparison=comparison.LocalComparison(),
        models=models.LocalModels(),
        pictures=pictures.LocalPictures(),
        rounds=rounds.LocalRounds(),
    )


def serve(state_dir: Path, address: Address, ready: Callable[[str], None]) -> None:
    """Serves until it is asked to end; running tasks go on and are taken up by the next server or command.

    Args:
        state_dir: the state folder; made when missing.
        address: where to listen.
        ready: told the console's address once connections are taken.

    Raises:
        StateError: the state folder cannot be used, or another process executes runs in it.
        PipelineError: the address cannot be listened at.
    """
    store = Store.open(state_dir)
    stopping = threading.Event()
    with store.exclusive(serving=True), _listening(address) as listener:
        app = create_app(Services(state_dir, make_engine, domain()), Access(address.token), stopping)
        worker = threading.Thread(target=_dispatch, args=(state_dir, stopping), name="dispatcher", daemon=True)
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=3
        )
        ready(f"http://{address.host}:{listener.getsockname()[1]}")
        worker.start()
        try:
            _Server(config, stopping).run(sockets=[listener])
        finally:
            stopping.set()
            worker.join(timeout=10)


class _Server(uvicorn.Server):
    """Ends streams first when asked to end: they would never end by themselves."""

    def __init__(self, config: uvicorn.Config, stopping: threading.Event) -> None:
        super().__init__(config)
        self._stopping = stopping

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """See uvicorn."""
        self._stopping.set()
        super().handle_exit(sig, frame)


def _dispatch(state_dir: Path, stopping: threading.Event) -> None:
    store = Store.open(state_dir)
    Dispatcher(make_engine(store), store, stopping.wait).loop(stopping)  # the lock is held by `serve`


def _listening(address: Address) -> socket.socket:
    try:
        return socket.create_server((address.host, address.port), backlog=128)
    except OSError as error:
        raise PipelineError(
            f"cannot listen at {address.host}:{address.port}: {error.strerror}; give another one with --port"
        ) from error
