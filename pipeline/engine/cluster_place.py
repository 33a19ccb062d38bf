"""Where in a Kubernetes cluster tasks run, and as whom: what the compiled pipeline does not say."""

import dataclasses
import os
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pipeline.engine.budget import quantity
from pipeline.errors import PipelineError

VARIABLE = "SEAMLINE_KUBERNETES"
FILE = "kubernetes.toml"
_PULL_POLICIES = ("", "Always", "IfNotPresent", "Never")


@dataclass(frozen=True)
class ClusterPlace:
    """Settings of the Kubernetes launcher.

    Attributes:
        namespace: where Pods are made; empty for the one of the kubeconfig's context, or of the Pod that runs this.
        context: of the kubeconfig; empty for the cluster that this runs in, else for its current one.
        claim: the PersistentVolumeClaim (ReadWriteMany, or one node) with the state folder on it; empty where the
            nodes share the folder by themselves (`host_path`).
        host_path: the state folder is at its own path on every node, for instance by NFS.
        mount: where the claim is mounted here and in every Pod; empty for the state folder itself.
        service_account: of the Pods; it needs no rights in the cluster.
        image_pull_policy: empty for Kubernetes' own rule, which the pipeline may have replaced.
        image_pull_secrets: names of Secrets.
        pin_images: images by the digests that their registries tell when a run is made; a moved tag changes no run.
        priority_class: of all Pods; empty for none.
        gpu_priority_class: of Pods with a GPU; empty for `priority_class`.
        user: uid and gid of the commands; 0 for those of the engine.
        tmp_size: most that a Pod may write to its `/tmp`, as a Kubernetes quantity; empty for no limit. A task that
            asks for a volume of its own there has that.
        at_once: most Pods at once; more wait in the engine.
        image_wait_s: how long an image may fail to be pulled before the task fails.
        misfit_wait_s: how long a Pod may wait that no node would take, however empty; 0 for ever.
        grace_s: between the request to end (SIGTERM) and the end (SIGKILL).
    """

    namespace: str = ""
    context: str = ""
    claim: str = ""
    host_path: bool = False
    mount: str = ""
    service_account: str = ""
    image_pull_policy: str = ""
    image_pull_secrets: tuple[str, ...] = ()
    pin_images: bool = False
    priority_class: str = ""
    gpu_priority_class: str = ""
    user: int = 0
    tmp_size: str = "32Gi"
    at_once: int = 100
    image_wait_s: float = 300.0
    misfit_wait_s: float = 900.0
    grace_s: float = 30.0

    def __post_init__(self) -> None:
        if self.claim and self.host_path:
            raise PipelineError("claim and host_path are both given; the state folder is on one of them")
        if self.image_pull_policy not in _PULL_POLICIES:
            wanted = ", ".join(_PULL_POLICIES[1:])
            raise PipelineError(f"image_pull_policy is {self.image_pull_policy!r}; it is one of {wanted}")
        if self.tmp_size and not quantity(self.tmp_size) > 0:
            raise PipelineError(f"tmp_size is {self.tmp_size!r}; nothing fits into it, and empty means no limit")
        if self.at_once < 1:
            raise PipelineError(f"at_once is {self.at_once}; at least 1 Pod has to run")
        for name in ("image_wait_s", "misfit_wait_s", "grace_s", "user"):
            if getattr(self, name) < 0:
                raise PipelineError(f"{name} is {getattr(self, name)}; it cannot be negative")

    @property
    def uid(self) -> int:
        """The user that commands run as.

        Raises:
            PipelineError: it would be root.
        """
        uid = self.user or os.geteuid()
        if uid == 0:
            raise PipelineError(
                "the engine runs as root, and Pods never do; run it as another user, or write user = UID of the owner "
                "of the state folder to kubernetes.toml"
            )
        return uid


def read(state_dir: Path) -> ClusterPlace:
    """The settings in the file that SEAMLINE_KUBERNETES names, else in `kubernetes.toml` of the state folder, if any.

    Raises:
        PipelineError: the file cannot be read, or holds what is no setting.
    """
    named = os.environ.get(VARIABLE, "")
    path = Path(named) if named else state_dir / FILE
    if not named and not path.exists():
        return ClusterPlace()
    try:
        return parse(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PipelineError(f"{path} cannot be read as TOML: {error}") from None
    except PipelineError as error:
        raise PipelineError(f"{path}: {error}") from None


def parse(body: dict[str, Any]) -> ClusterPlace:
    """Settings from a table.

    Raises:
        PipelineError: an unknown name, or a value of another type.
    """
    known = {field.name: field.default for field in fields(ClusterPlace)}
    if unknown := sorted(set(body) - set(known)):
        raise PipelineError(f"{', '.join(unknown)} is no setting; they are {', '.join(known)}")
    given = {name: _typed(name, value, known[name]) for name, value in body.items()}
    return dataclasses.replace(ClusterPlace(), **given)


def _typed(name: str, value: Any, default: Any) -> Any:
    if isinstance(default, tuple) and isinstance(value, list) and all(isinstance(one, str) for one in value):
        return tuple(value)
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(default):
        kind = "list of texts" if isinstance(default, tuple) else type(default).__name__
        raise PipelineError(f"{name} is {value!r}; it takes a value of type {kind}")
    return value
