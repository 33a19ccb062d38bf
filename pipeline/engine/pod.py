"""A task's attempt as a Pod, made from the same placement that the compiled pipeline carries to KFP. Pure.

A Pod and not a Job: the engine itself decides what is repeated, and a Job makes a second Pod when the first is deleted,
so that an attempt would run twice. See docs/decisions/0015-a-pod-for-each-attempt.md.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.engine import exit_note, pod_placement
from pipeline.engine.cluster_place import ClusterPlace
from pipeline.engine.launch import Job, Whose
from pipeline.engine.pod_status import TMP_VOLUME
from pipeline.errors import PipelineError

CONTAINER = "task"
LABEL = "seamline.dev/"
MANAGED = {"app.kubernetes.io/managed-by": "seamline", "app.kubernetes.io/component": "task"}
TMP = "/tmp"
_STATE = "state"  # name of the volume
_MAX_NAME = 40
_MAX_LABEL = 63


def name_of(whose: Whose) -> str:
    """The Pod's name: the same for the same attempt, so that it cannot be made twice."""
    last = re.sub(r"[^a-z0-9]+", "-", whose.key.rpartition("/")[2].lower()).strip("-")[:_MAX_NAME].strip("-")
    digest = hashlib.sha256(f"{whose.run_id}/{whose.key}".encode()).hexdigest()[:12]
    return f"{last or 'task'}-{digest}-{whose.number}"


def state_label(state_dir: Path) -> str:
    """Marks the Pods of one state folder."""
    return hashlib.sha256(str(state_dir.resolve()).encode()).hexdigest()[:16]


def selector(state_dir: Path) -> str:
    """Selects the Pods of one state folder, for a list or a watch."""
    return ",".join(f"{k}={v}" for k, v in {**MANAGED, f"{LABEL}state": state_label(state_dir)}.items())


def manifest(job: Job, place: ClusterPlace, state_dir: Path) -> dict[str, Any]:
    """The Pod of an attempt.

    Raises:
        PipelineError: it needs what no Pod can give it: a path that is not shared, a setting that is not known here.
    """
    shared = Path(place.mount) if place.mount else state_dir.resolve()
    _check_paths(job, shared, place)
    settled = pod_placement.of(job)
    volumes = [_state_volume(place, shared), *_tmp(settled, {"emptyDir": _filled(sizeLimit=place.tmp_size)})]
    mounts = [{"name": _STATE, "mountPath": str(shared)}, *_tmp(settled, {"mountPath": TMP})]
    container = _filled(
        name=CONTAINER,
        image=job.image,
        imagePullPolicy=place.image_pull_policy or settled.pull_policy,
        **_command(job),
        env=[*_environment({**_own_environment(job), **job.environment}), *settled.environment],
        resources=settled.resources,
        volumeMounts=[*mounts, *settled.mounts],
        securityContext={
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        terminationMessagePolicy="File",
    )
    gpu = place.gpu_priority_class if settled.has_gpu else ""
    spec = _filled(
        restartPolicy="Never",
        containers=[container],
        volumes=[*volumes, *settled.volumes],
        nodeSelector=settled.node_selector,
        tolerations=settled.tolerations,
        activeDeadlineSeconds=settled.deadline_s,
        terminationGracePeriodSeconds=round(place.grace_s),
        serviceAccountName=place.service_account,
        priorityClassName=gpu or place.priority_class,
        imagePullSecrets=[{"name": n} for n in (*place.image_pull_secrets, *settled.pull_secrets)],
        # The command is not process 1, for which the kernel ignores SIGTERM unless it is handled.
        shareProcessNamespace=True,
        securityContext={
            "runAsNonRoot": True,
            "runAsUser": place.uid,
            "runAsGroup": place.uid,
            "fsGroup": place.uid,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    )
    spec |= {"automountServiceAccountToken": False, "enableServiceLinks": False}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": _metadata(job, settled, state_dir), "spec": spec}


def escaped(word: str) -> str:
    """A word that Kubernetes passes on as it is: it would replace `$(NAME)` by a variable, and `$$` by `$`."""
    return word.replace("$", "$$")


def _metadata(job: Job, settled: pod_placement.Settled, state_dir: Path) -> dict[str, Any]:
    whose = job.whose
    own = {"state": state_label(state_dir), "run": whose.run_id, "task": whose.key, "attempt": str(whose.number)}
    labels = {**settled.labels, **MANAGED, **{LABEL + k: _label(v) for k, v in own.items()}}
    # A node that is taken away to save money would cost a training its time.
    keep = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}
    annotations = {**keep, **settled.annotations, LABEL + "task": whose.key}
    return {"name": name_of(whose), "labels": labels, "annotations": annotations}


def _label(text: str) -> str:
    """The nearest legal value of a label."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[-_MAX_LABEL:].strip("-._")


def _state_volume(place: ClusterPlace, shared: Path) -> dict[str, Any]:
    if place.claim:
        return {"name": _STATE, "persistentVolumeClaim": {"claimName": place.claim}}
    if place.host_path:
        return {"name": _STATE, "hostPath": {"path": str(shared), "type": "Directory"}}
    raise PipelineError(
        "the Pods would not see the state folder: kubernetes.toml names neither a claim nor host_path; "
        'write claim = "NAME" of the PersistentVolumeClaim that it lies on'
    )


def _tmp(settled: pod_placement.Settled, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The volume of temporary files, or its mount; none where the task brings its own."""
    brings = any(mount["mountPath"].rstrip("/") == TMP for mount in settled.mounts)
    return [] if brings else [{"name": TMP_VOLUME, **body}]


def _check_paths(job: Job, shared: Path, place: ClusterPlace) -> None:
    """What a Pod cannot see is refused before it fails on a node, and by its name."""
    for path in (str(job.directory.resolve()), *job.paths):
        if not Path(path).is_relative_to(shared):
            where = place.claim or "what the nodes share"
            raise PipelineError(
                f"the task reads {path}, which is not below {shared} ({where}), so no Pod sees it; "
                "move it there, or use a gs:// address"
            )


def _own_environment(job: Job) -> dict[str, str]:
    return {"HOME": TMP, exit_note.USAGE: str(job.directory / exit_note.USAGE_FILE)}


def _environment(given: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"name": name, "value": escaped(value)} for name, value in sorted(given.items())]


def _filled(**values: Any) -> dict[str, Any]:
    """Without what is empty."""
    return {name: value for name, value in values.items() if value}


def _command(job: Job) -> dict[str, list[str]]:
    """A command takes the place of the image's entrypoint; arguments alone are given to it."""
    words = [escaped(word) for word in job.command]
    return {"args": words} if job.container is not None and not job.container.command else {"command": words}
