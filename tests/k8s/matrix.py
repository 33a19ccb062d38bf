"""The page docs/manifest-matrix.md: what was built and checked."""

from collections.abc import Iterator

from tests.k8s import published
from tests.k8s.manifests import SUPPORTED, Combination, Manifest, build, combinations, extremes

VERSIONS = ", ".join(published.VERSIONS)
INTRODUCTION = f"""# The manifest matrix

Made by `make golden` from the manifests, never edited. Every combination below is built by `kubectl kustomize`,
validated strictly (no unknown field) against the published schemas of Kubernetes {VERSIONS}, and checked against
the policies of `tests/k8s`. What GKE defines itself is validated against schemas made from the fields of Google's
published sources.

`gke` contains the options `gpu-pool` and `workload-identity`.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([INTRODUCTION, *_combinations(), "", "## Kinds", "", *_kinds(), ""])


def _combinations() -> Iterator[str]:
    yield f"| overlay and options | objects | {' | '.join(published.VERSIONS)} |"
    yield "|---|---|" + "---|" * len(published.VERSIONS)
    for combination in combinations():
        objects = build(combination)
        verdicts = [_verdict(objects, version) for version in published.VERSIONS]
        yield f"| {_title(combination)} | {len(objects)} | {' | '.join(verdicts)} |"


def _verdict(objects: tuple[Manifest, ...], version: str) -> str:
    return "valid" if not any(published.faults(made, version) for made in objects) else "NOT VALID"


def _title(combination: Combination) -> str:
    return f"`{combination.overlay}`" + "".join(f" + {option}" for option in combination.options)


def _kinds() -> Iterator[str]:
    yield "| kind | API version | control plane 1.20 | in |"
    yield "|---|---|---|---|"
    largest = [combination for combination in extremes() if combination.options]
    found = {(o["apiVersion"], o["kind"]) for one in largest for o in build(one)}
    for api_version, kind in sorted(found, key=lambda names: names[1]):
        served = published.NOT_IN_1_20.get((api_version, kind))
        note = f"no, since {served}: validated by schema only" if served else "yes"
        if published.is_of_gke({"apiVersion": api_version, "kind": kind}):
            note = "GKE only: validated by schema only"
        places = [name for name in SUPPORTED if _is_in(largest, name, kind)]
        yield f"| {kind} | `{api_version}` | {note} | {', '.join(places)} |"


def _is_in(largest: list[Combination], overlay: str, kind: str) -> bool:
    return any(made["kind"] == kind for one in largest if one.overlay == overlay for made in build(one))
