"""Where steps run, by the name that `--launcher` gives: what the engine needs to know of each place."""

import functools
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.artifacts import storage
from pipeline import code_identity
from pipeline.engine.budget import Budget
from pipeline.engine.launch import Exit, Job, Launcher, ProcessLauncher, held_since, waits
from pipeline.engine.tools import DEFAULT_PACE, Pace
from pipeline.errors import PipelineError

if TYPE_CHECKING:
    from pipeline.engine.kubernetes_api import RealCluster

NETWORK = "SEAMLINE_DOCKER_NETWORK"
CREDENTIALS = "GOOGLE_APPLICATION_CREDENTIALS"
PASSED_ON = (
    *(CREDENTIALS, "GOOGLE_CLOUD_PROJECT", "STORAGE_EMULATOR_HOST", "SEAMLINE_CACHE_MB"),
    *("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"),
)
"""Environment variables that steps in containers need to reach `gs://`; nothing else of ours reaches them."""
POD_POLL_S = 0.5


def _by_image(command: list[str]) -> str:
    """In an image the code is the image's."""
    return ""


def _by_name(image: str) -> str:
    return image


def _as_it_is(ir_text: str) -> str:
    """A process has no image."""
    return ir_text


def _nobody() -> None:
    """A process needs nobody."""


@dataclass(frozen=True)
class Place:
    """Somewhere that steps run.

    Attributes:
        launcher: starts and watches them.
        code_identity: see `Hooks`.
        image_identity: see `Hooks`.
        pinned: see `Hooks`.
        ask: raises PipelineError where nobody answers now who could run a step.
        budget: how much runs at once; None for all of this machine.
        pace: seconds between looks, and of grace when stopping.
    """

    launcher: Launcher
    code_identity: Callable[[list[str]], str] = _by_image
    image_identity: Callable[[str], str] = _by_name
    pinned: Callable[[str], str] = _as_it_is
    ask: Callable[[], object] = _nobody
    budget: Budget | None = None
    pace: Pace = DEFAULT_PACE


def _process(state_dir: Path) -> Place:
    return Place(ProcessLauncher(), code_identity.identity)


def _docker(state_dir: Path) -> Place:
    from pipeline import images_command
    from pipeline.engine.docker_container import Surroundings
    from pipeline.engine.docker_launch import DockerLauncher

    passed_on = {name: os.environ[name] for name in PASSED_ON if os.environ.get(name)}
    around = Surroundings(
        state_dir=state_dir.absolute(),
        user=f"{os.getuid()}:{os.getgid()}",
        cpus=os.cpu_count() or 1,
        network=os.environ.get(NETWORK, ""),
        environment=passed_on,
        readable=tuple(passed_on[name] for name in (CREDENTIALS,) if os.path.exists(passed_on.get(name, ""))),
    )
    launcher = DockerLauncher(around, writable)
    here = images_command.pinned_here
    return Place(launcher, image_identity=launcher.image_identity, pinned=here, ask=images_command.connected)


def writable(parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """The folder of references, made when missing: only the data root is written outside an attempt's own folder."""
    root = parameters.get("data_root")
    if not isinstance(root, str) or storage.is_remote(root) or not root.startswith("/"):
        return ()
    Path(root).mkdir(parents=True, exist_ok=True)
    return (root,)


def _kubernetes(state_dir: Path) -> Place:
    from pipeline import image_pins
    from pipeline.engine import cluster_place, kubernetes_api
    from pipeline.engine.kubernetes_launch import KubernetesLauncher

    chosen = cluster_place.read(state_dir)
    # A Pod has no file of ours: it is who its service account says.
    passed_on = {name: os.environ[name] for name in PASSED_ON if os.environ.get(name) and name != CREDENTIALS}
    connect = functools.partial(kubernetes_api.connect, chosen)
    launcher = KubernetesLauncher(connect, chosen, state_dir, passed_on)
    return Place(
        launcher,
        pinned=image_pins.by_registry if chosen.pin_images else _as_it_is,
        ask=lambda: _ask_cluster(connect()),
        budget=Budget.of_cluster(chosen.at_once),
        pace=Pace(POD_POLL_S, chosen.grace_s),
    )


def _ask_cluster(cluster: "RealCluster") -> None:
    from pipeline.engine.kubernetes_api import Refused, Unreachable

    try:
        cluster.ask("GET", "/version")
    except Unreachable as error:
        raise PipelineError(f"{error}; mend the network or the kubeconfig, or take another --launcher") from None
    except Refused as error:
        raise PipelineError(f"the cluster refuses us: {error}; log in to it again, or mend the kubeconfig") from None


PLACES: Mapping[str, Callable[[Path], Place]] = {"process": _process, "docker": _docker, "kubernetes": _kubernetes}
NAMES = tuple(PLACES)
_OF_HANDLE = {"process": "process", "container": "docker", "pod": "kubernetes"}
"""The first word of a handle's JSON, and whose handle it is."""


def place(name: str, state_dir: Path) -> Place:
    """The place of that name for one state folder; its launcher also follows what another place has started."""
    chosen = PLACES[name](state_dir)
    return replace(chosen, launcher=_Adopting(name, chosen.launcher, state_dir))


class _Adopting:
    """Starts in one place and follows whatever runs already, wherever an earlier engine has started it."""

    def __init__(self, name: str, chosen: Launcher, state_dir: Path) -> None:
        self._chosen = chosen
        self._launchers = {name: chosen}
        self._state_dir = state_dir

    def start(self, job: Job) -> str:
        """See Launcher."""
        return self._chosen.start(job)

    def release(self, handle: str) -> None:
        """See Launcher."""
        self._chosen.release(handle)

    def poll(self, handle: str) -> Exit | None:
        """See Launcher."""
        return self._of(handle).poll(handle)

    def signal(self, handle: str, kill: bool) -> None:
        """See Launcher."""
        self._of(handle).signal(handle, kill)

    def waits(self, handle: str) -> str | None:
        """See Queueing."""
        return waits(self._of(handle), handle)

    def held_since(self, handle: str) -> float | None:
        """See Queueing."""
        return held_since(self._of(handle), handle)

    def _of(self, handle: str) -> Launcher:
        name = _OF_HANDLE[next(iter(json.loads(handle)))]
        if name not in self._launchers:
            self._launchers[name] = PLACES[name](self._state_dir).launcher
        return self._launchers[name]
