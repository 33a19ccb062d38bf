"""What the pages on Kubernetes tell to type exists: options, files, objects, fields; and what they show is valid."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipeline.cli import main
from pipeline.engine.store import Store
from tests.k8s import policies, published, references
from tests.k8s.command_lines import blocks, calls, understood
from tests.k8s.manifests import K8S, OPTIONS, ROOT, SUPPORTED, Combination, Manifest, build, kustomize, named

OPERATIONS = ROOT / "docs/operations.md"
KUBERNETES = ROOT / "docs/kubernetes.md"
READMES = {option: K8S / "options" / option / "README.md" for option in OPTIONS}
EXAMPLES = {"ACCOUNT": "seamline-task", "PROJECT": "our-project", "REGION": "us-central1", "ZONE": "us-central1-a"} | {
    "CLUSTER": "seamline",
    "BUCKET": "our-bucket",
    "NUMBER": "1",
    "POOL": "principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/our-project.svc.id.goog",
}


def commands(program: str) -> list[list[str]]:
    """Every call of a program on the pages, as its words."""
    return [words for page in (OPERATIONS, *READMES.values()) for words in calls(page, program, EXAMPLES)]


def test_the_pages_hold_commands_of_each_program() -> None:
    assert len(commands("gcloud")) > 15 and len(commands("kubectl")) > 20 and len(commands("seamline")) == 3


@pytest.mark.parametrize("words", commands("seamline"), ids=" ".join)
def test_the_program_has_the_options_of_the_page(words: list[str]) -> None:
    assert understood(main, words) in words


def gcloud(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs it as somebody who has never logged in."""
    environment = {**os.environ, "CLOUDSDK_CONFIG": str(folder), "CLOUDSDK_CORE_PROJECT": "our-project"}
    return subprocess.run(["gcloud", *words], env=environment, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gcloud") is None, reason="not run: no gcloud here")
@pytest.mark.parametrize("words", commands("gcloud"), ids=lambda words: " ".join(words[:4]))
def test_gcloud_knows_every_option(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "rounds").mkdir()
    done = gcloud(words, tmp_path)
    # It reads all words before it looks for an account, of which there is none here.
    assert "do not currently have an active account" in done.stderr or done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gcloud") is None, reason="not run: no gcloud here")
def test_an_option_that_gcloud_does_not_know_would_be_noticed(tmp_path: Path) -> None:
    done = gcloud(["container", "node-pools", "create", "x", "--zero-nodes"], tmp_path)
    assert done.returncode == 2 and "unrecognized arguments" in done.stderr


@pytest.mark.parametrize("words", commands("kubectl"), ids=" ".join)
def test_what_kubectl_is_told_about_exists(words: list[str]) -> None:
    objects = build(Combination("gke", SUPPORTED["gke"]))
    for flag, value in zip(words, words[1:], strict=False):
        if flag in ("-k", "-f") and value != "-":
            assert value.endswith("/ours") or (ROOT / value).exists()
    line = " ".join(words)
    for kind, name in re.findall(r"\b(deployment|cronjob|service|resourcequota)[/ ](seamline[\w-]*)", line):
        known = {(made["kind"].lower(), made["metadata"]["name"]) for made in objects}
        assert (kind, name) in known
    for name in re.findall(r"secret generic (\S+)", line):
        assert ("Secret", name) in references.YOURS


def test_the_json_patch_of_the_page_finds_what_it_changes() -> None:
    (text,) = [word for words in commands("kubectl") for word in words if word.lstrip().startswith("[")]
    console: Manifest = named(build(Combination("gke")), "Deployment", "seamline-console")
    for operation in json.loads(text):
        at = console
        for part in operation["path"].split("/")[1:]:
            at = at[int(part) if part.isdigit() else part]
        assert at


def test_the_backup_of_the_page_is_a_journal_that_opens(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "state")  # held open, as by a console that works
    (code,) = [words[-1] for words in commands("kubectl") if "VACUUM" in words[-1]]
    code = code.replace("/var/lib/seamline", str(tmp_path / "state")).replace("/tmp/seamline.db", f"{tmp_path}/copy.db")
    subprocess.run([sys.executable, "-c", code], check=True)
    (tables,) = sqlite3.connect(tmp_path / "copy.db").execute("SELECT count(*) FROM sqlite_master").fetchone()
    assert (tables,) == sqlite3.connect(store.directory / "seamline.db").execute(
        "SELECT count(*) FROM sqlite_master"
    ).fetchone()


def made_of(layers: Manifest, folder: Path) -> tuple[Manifest, ...]:
    """Builds an overlay of the pages as if it lay beside ours."""
    here = os.path.relpath(K8S / "overlays/ours", folder)
    for part in ("resources", "components"):
        layers[part] = [os.path.normpath(os.path.join(here, path)) for path in layers.get(part, [])]
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(layers), encoding="utf-8")
    return kustomize(folder)


def test_the_overlay_of_the_page_is_valid_and_keeps_the_policies(tmp_path: Path) -> None:
    (text,) = blocks(KUBERNETES, "yaml")
    objects = made_of(yaml.safe_load(text), tmp_path)
    assert [fault for made in objects for fault in published.faults(made, published.VERSIONS[-1])] == []
    assert [breach for policy in policies.POLICIES for breach in policy(objects)] == []
    console = named(objects, "Deployment", "seamline-console")["spec"]["template"]["spec"]["containers"][0]
    assert console["image"].startswith("us-central1-docker.pkg.dev/our-project/seamline/server@sha256:")


@pytest.mark.parametrize("option", [option for option, page in READMES.items() if blocks(page, "yaml")])
def test_the_patch_of_an_option_s_page_changes_the_build(option: str, tmp_path: Path) -> None:
    (text,) = blocks(READMES[option], "yaml")
    chosen = (option,) if option in SUPPORTED["gke"] else ()
    layers = {"resources": ["../gke"], "components": [f"../../options/{name}" for name in chosen]}
    changed = made_of({**layers, **yaml.safe_load(text)}, tmp_path)
    assert sum(a != b for a, b in zip(changed, build(Combination("gke", chosen)), strict=True)) == 1
    assert [fault for made in changed for fault in published.faults(made, published.VERSIONS[-1])] == []


def test_what_the_user_makes_is_on_the_page() -> None:
    page = KUBERNETES.read_text(encoding="utf-8")
    assert {name for kind, name in references.YOURS if f"{kind} `{name}`" in page} == {n for _, n in references.YOURS}


@pytest.mark.parametrize("page", READMES.values(), ids=lambda page: page.parent.name)
def test_links_of_an_option_s_page_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []
