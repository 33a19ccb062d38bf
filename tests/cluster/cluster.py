"""A cluster as tests handle it: kubectl, and a hand on the processes that up.sh has started."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

PATIENCE_S = 150.0


@dataclass(frozen=True)
class Cluster:
    """A cluster and a folder that its nodes and this machine share.

    Attributes:
        kubeconfig: file.
        shared: the folder.
        home: what up.sh has written, None for a cluster of somebody else.
        namespace: of this session.
        engine: kubeconfig of the account that the engine has there, once it is made.
    """

    kubeconfig: Path
    shared: Path
    home: Path | None
    namespace: str = f"seamline-{os.getpid()}"
    engine: Path = Path(os.devnull)

    def kubectl(self, *words: str, text: str = "", check: bool = True) -> str:
        """Runs kubectl and returns what it says."""
        binary = programs() / "kubectl"
        command = [str(binary) if binary.exists() else "kubectl", "--kubeconfig", str(self.kubeconfig)]
        command += ["--namespace", self.namespace, *words]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
        return done.stdout.strip()

    def apply(self, *objects: dict[str, Any]) -> None:
        """Makes objects."""
        self.kubectl("apply", "-f", "-", text=yaml.safe_dump_all(objects))

    def restart(self, name: str, number: int) -> None:
        """Ends a part of the cluster by a signal and starts it again after a while, as its supervisor would."""
        assert self.home is not None
        pid = self.pid(name)
        words = [os.fsdecode(word) for word in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]]
        with open(f"/proc/{pid}/ns/mnt", "rb") as namespace, (self.home / "log" / name).open("ab") as log:
            os.kill(pid, number)
            time.sleep(5)
            entered = ["nsenter", f"--mount=/proc/self/fd/{namespace.fileno()}", str(programs() / words[0]), *words[1:]]
            child = subprocess.Popen(
                entered, stdout=log, stderr=log, start_new_session=True, pass_fds=[namespace.fileno()]
            )
        with (self.home / "pids").open("a") as pids:
            pids.write(f"{child.pid} {name}\n")

    def pid(self, name: str) -> int:
        """The process of a part of the cluster: `kubelet-gpu-node`, `apiserver`."""
        assert self.home is not None
        lines = (self.home / "pids").read_text().splitlines()
        return int(next(line.split()[0] for line in reversed(lines) if line.split()[1] == name))


def programs() -> Path:
    """Where build.sh leaves the programs."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "seamline-cluster"
    return Path(os.environ.get("SEAMLINE_CLUSTER_CACHE") or cache) / "bin"


def missing(cluster: Cluster, names: set[str], patience_s: float = 45.0) -> set[str]:
    """Which of these images no node has. A kubelet tells of a new one within half a minute."""
    give_up = time.monotonic() + patience_s
    while (lacking := names - _images(cluster)) and time.monotonic() < give_up:
        time.sleep(2)
    return lacking


def _images(cluster: Cluster) -> set[str]:
    """Names of the images that nodes have, without their registry."""
    nodes = json.loads(cluster.kubectl("get", "nodes", "-o", "json"))["items"]
    names = {name for node in nodes for image in node["status"].get("images", ()) for name in image["names"]}
    return {name.removeprefix("docker.io/") for name in names}


def until(condition: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    """Waits for something to become true, and says what did not."""
    give_up = time.monotonic() + patience_s
    while not (found := condition()):
        assert time.monotonic() < give_up, f"waited {patience_s:g} s in vain: {what}"
        time.sleep(0.2)
    return found
