"""Strict validation against published schemas: Kubernetes' own by version, GKE's from the files in `schemas/`."""

import functools
import json
from pathlib import Path

import jsonschema
import kubernetes_validate

from tests.k8s.manifests import Manifest, title

VERSIONS = ("1.31", "1.34", "1.37")
SCHEMAS = Path(__file__).with_name("schemas")
# Stable kinds that the oldest control plane of our own cluster tests (1.20) does not serve: since when.
NOT_IN_1_20 = {("batch/v1", "CronJob"): "1.21", ("policy/v1", "PodDisruptionBudget"): "1.21"}


def is_of_gke(made: Manifest) -> bool:
    """Whether GKE, and not Kubernetes, defines it."""
    return _file(made["apiVersion"], made["kind"]).exists()


def faults(made: Manifest, version: str) -> list[str]:
    """Why an object is no valid one of that version of Kubernetes; empty: it is."""
    return [f"{title(made)} {fault}" for fault in _faults(json.dumps(made), version)]


@functools.cache  # most objects are the same in most builds
def _faults(text: str, version: str) -> tuple[str, ...]:
    made = json.loads(text)
    try:
        if is_of_gke(made):
            jsonschema.validate(made, _schema(made["apiVersion"], made["kind"]))
        else:
            kubernetes_validate.validate(made, version, strict=True)
    except (jsonschema.ValidationError, kubernetes_validate.ValidationError) as error:
        return (f"{'.'.join(map(str, error.path)) or '.'}: {error.message}",)
    except kubernetes_validate.SchemaNotFoundError:
        return (f"is nothing that {version} has: {made['kind']} in {made['apiVersion']}",)
    return ()


@functools.cache
def _schema(api_version: str, kind: str) -> Manifest:
    return json.loads(_file(api_version, kind).read_text(encoding="utf-8"))


def _file(api_version: str, kind: str) -> Path:
    return SCHEMAS / f"{api_version.replace('/', '_')}_{kind}.json"
