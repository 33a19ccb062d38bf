"""Every supported build is valid for three versions of Kubernetes, and says what the program understands."""

import copy
import os
import re
from pathlib import Path

import click
import pytest
import yaml

from components import images
from pipeline.cli import main
from pipeline.server import health
from tests.k8s import matrix, published
from tests.k8s.command_lines import understood
from tests.k8s.manifests import (
    K8S,
    OPTIONS,
    ROOT,
    SUPPORTED,
    Combination,
    Manifest,
    build,
    extremes,
    kustomize,
    named,
    parameters,
    workloads,
)

GKE = Combination("gke", SUPPORTED["gke"])


@pytest.mark.parametrize("version", published.VERSIONS)
@pytest.mark.parametrize("combination", parameters())
def test_every_object_is_valid(combination: Combination, version: str) -> None:
    assert [fault for made in build(combination) for fault in published.faults(made, version)] == []


@pytest.mark.parametrize(
    ("kind", "name", "field"),
    [
        ("Deployment", "seamline-console", "replica"),
        ("NetworkPolicy", "dns", "egresses"),
        ("BackendConfig", "seamline-console", "timeoutSeconds"),
        ("FrontendConfig", "seamline-console", "redirect"),
        ("ManagedCertificate", "seamline-console", "domain"),
    ],
)
def test_a_misspelt_field_is_refused(kind: str, name: str, field: str) -> None:
    made = copy.deepcopy(named(build(GKE), kind, name))
    made["spec"][field] = 1
    (fault,) = published.faults(made, published.VERSIONS[0])
    assert f"{kind}/{name}" in fault and field in fault


def test_a_kind_that_a_version_does_not_know_is_refused() -> None:
    made = {"apiVersion": "batch/v1beta1", "kind": "CronJob", "metadata": {"name": "old"}}
    assert published.faults(made, "1.31") == ["CronJob/old is nothing that 1.31 has: CronJob in batch/v1beta1"]


@pytest.mark.slow  # builds everything
def test_the_matrix_page_is_up_to_date(update_golden: bool) -> None:
    file = ROOT / "docs/manifest-matrix.md"
    if update_golden:
        file.write_text(matrix.page(), encoding="utf-8")
    assert file.read_text(encoding="utf-8") == matrix.page(), "run `make golden`"
    assert "NOT VALID" not in matrix.page()


@pytest.mark.parametrize("combination", extremes(), ids=str)
def test_images_have_the_program_s_version(combination: Combination) -> None:
    used = {container["image"] for workload in workloads(build(combination)) for container in workload.containers}
    assert used == {f"seamline/server:{images.TAG}"}


@pytest.mark.parametrize("combination", extremes(), ids=str)
def test_the_program_takes_every_command_line(combination: Combination) -> None:
    objects = build(combination)
    settings = _settings(objects)
    for workload in workloads(objects):
        for container in workload.containers:
            program, *words = [_expanded(word, settings) for word in container["command"]]
            if program == "seamline":
                assert understood(main, words) in words


def test_a_command_line_with_an_unknown_option_is_noticed() -> None:
    with pytest.raises(click.NoSuchOption):
        understood(main, ["watch", "rounds", "--recipe=demo", "--twice"])


@pytest.mark.parametrize("overlay", sorted(SUPPORTED))
def test_every_setting_is_used_or_read_by_the_program(overlay: str) -> None:
    objects = build(Combination(overlay))
    settings = _settings(objects)
    lines = " ".join(word for w in workloads(objects) for c in w.containers for word in c["command"])
    assert set(re.findall(r"\$\((\w+)\)", lines)) == set(settings) - {"SEAMLINE_REGISTRY", "SEAMLINE_PUBLIC_URL"}


def test_the_server_reads_its_public_address_and_the_base_gives_none() -> None:
    assert _settings(build(Combination("gke")))["SEAMLINE_PUBLIC_URL"] == ""
    assert "SEAMLINE_PUBLIC_URL" in [option.envvar for option in main.commands["serve"].params]


def test_links_lead_to_the_address_that_an_overlay_of_ones_own_gives(tmp_path: Path) -> None:
    """As the option's README says; the option itself cannot, as it would win over the overlay."""
    text = (K8S / "options/ingress-iap/README.md").read_text(encoding="utf-8")
    (literal,) = re.findall(r"`(SEAMLINE_PUBLIC_URL=\S+)`", text)
    layers = {"resources": [K8S / "overlays/gke"], "components": [K8S / "options/ingress-iap"]}
    own = {name: [os.path.relpath(path, tmp_path) for path in paths] for name, paths in layers.items()}
    settings = {"name": "seamline-settings", "behavior": "merge", "literals": [literal]}
    made = {"namespace": "seamline", **own, "configMapGenerator": [settings]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(made), encoding="utf-8")
    assert _settings(kustomize(tmp_path))["SEAMLINE_PUBLIC_URL"] == "https://seamline.your-company.com"


def test_every_option_is_supported_and_explained() -> None:
    built_in = {Path(path).name for path in _components_of_gke()}
    assert set(OPTIONS) == built_in | {option for options in SUPPORTED.values() for option in options}
    for option in OPTIONS:
        text = (K8S / "options" / option / "README.md").read_text(encoding="utf-8")
        assert text.startswith(f"# Option {option}\n")


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_fits_on_the_base_alone(option: str, tmp_path: Path) -> None:
    paths = {name: Path(*[".."] * len(tmp_path.parts)) / K8S.relative_to("/") / name for name in ("base", "options")}
    text = f"resources: [{paths['base']}]\ncomponents: [{paths['options']}/{option}]\n"
    (tmp_path / "kustomization.yaml").write_text(text, encoding="utf-8")
    assert len(kustomize(tmp_path)) >= len(kustomize(K8S / "base"))


def _settings(objects: tuple[Manifest, ...]) -> dict[str, str]:
    (found,) = [made["data"] for made in objects if made["metadata"]["name"].startswith("seamline-settings")]
    return dict(found)


def _components_of_gke() -> list[str]:
    text = (K8S / "overlays/gke/kustomization.yaml").read_text(encoding="utf-8")
    return re.findall(r"^  - (\.\./\.\./options/\S+)$", text, re.MULTILINE)


def _expanded(word: str, settings: dict[str, str]) -> str:
    return re.sub(r"\$\((\w+)\)", lambda found: settings[found[1]], word)


def test_the_server_knows_the_addresses_that_are_probed() -> None:
    console = next(w for w in workloads(build(GKE)) if w.owner["kind"] == "Deployment").containers[0]
    probes = [console[name]["httpGet"]["path"] for name in ("startupProbe", "readinessProbe", "livenessProbe")]
    asked = {*probes, named(build(GKE), "BackendConfig", "seamline-console")["spec"]["healthCheck"]["requestPath"]}
    assert asked == {route.path for route in health.routes}
