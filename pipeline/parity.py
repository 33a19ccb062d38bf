"""What is different here and on a cluster, for one compiled pipeline and its parameters: the parity report.

Everything that this machine ignores and the cluster applies, and everything that the cluster would trip over.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline import ir_checks
from pipeline.engine import irtext
from pipeline.ir_shape import strings

# Keys of kfp-kubernetes' platform document and what they do there; see kfp-kubernetes' KubernetesExecutorConfig.
PLACEMENT = {
    "nodeSelector": "node selector",
    "nodeAffinity": "node affinity",
    "tolerations": "tolerations",
    "pvcMount": "mounted volume claims",
    "emptyDirMounts": "shared memory or scratch volumes",
    "secretAsEnv": "secrets in the environment",
    "secretAsVolume": "mounted secrets",
    "configMapAsEnv": "config maps in the environment",
    "configMapAsVolume": "mounted config maps",
    "imagePullSecret": "image pull secrets",
    "imagePullPolicy": "image pull policy",
    "securityContext": "security context",
    "podMetadata": "labels and annotations of pods",
}
HERE, THERE = "ignored here, applies there", "would fail or surprise there"


@dataclass(frozen=True)
class Note:
    """One difference: which kind it is (HERE or THERE), what it concerns, and in words."""

    kind: str
    what: str
    words: str


def report(text: str, parameters: Mapping[str, Any]) -> list[Note]:
    """Compares.

    Args:
        text: IR YAML, one document or two.
        parameters: of the run.
    """
    documents = [d for d in irtext.documents(text) if d]
    return [
        *_ignored_here(documents[1] if len(documents) > 1 else {}),
        *_images(documents[0]),
        *_paths(parameters),
        *(Note(THERE, f.place, f.message) for f in ir_checks.check(text)),
    ]


def _ignored_here(platform: Mapping[str, Any]) -> Iterator[Note]:
    executors = platform.get("platforms", {}).get("kubernetes", {}).get("deploymentSpec", {}).get("executors", {})
    for key, words in PLACEMENT.items():
        used = sorted(name.removeprefix("exec-") for name, body in executors.items() if key in body)
        if used:
            yield Note(HERE, ", ".join(used), words)


def _images(spec: Mapping[str, Any]) -> Iterator[Note]:
    bodies = spec.get("deploymentSpec", {}).get("executors", {}).values()
    for image in sorted({b["container"]["image"] for b in bodies if "container" in b}):
        yield Note(HERE, image, "the image; here its command runs in Seamline's own environment")
        if "@sha256:" not in image:
            yield Note(THERE, image, "a tag can be moved to another image; the cluster's cache would not notice")


def _paths(parameters: Mapping[str, Any]) -> Iterator[Note]:
    for name, value in parameters.items():
        if any(text.startswith("/") for text in strings(value)):
            yield Note(THERE, name, "names a path of this machine, which pods cannot read; give gs://")
