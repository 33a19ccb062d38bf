"""What the pages on Kubernetes tell to type exists: options, files, objects, fields; and what they show is valid."""

import copy
import dataclasses
import ipaddress
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

from components import images
from pipeline.cli import main
from pipeline.engine import cluster_place
from pipeline.engine.store import Store
from tests.k8s import policies, published, references
from tests.k8s.command_lines import blocks, calls, understood
from tests.k8s.manifests import (
    K8S,
    OPTIONS,
    ROOT,
    SUPPORTED,
    Combination,
    Manifest,
    build,
    kustomize,
    launcher_settings,
    named,
)

OPERATIONS = ROOT / "docs/operations.md"
KUBERNETES = ROOT / "docs/kubernetes.md"
KUBECTL = Path(sys.executable).with_name("kubectl")
READMES = {option: K8S / "options" / option / "README.md" for option in OPTIONS}
PAGES = (OPERATIONS, *READMES.values())
EXAMPLES = {"ACCOUNT": "seamline-task", "PROJECT": "our-project", "REGION": "us-central1", "ZONE": "us-central1-a"} | {
    "CLUSTER": "seamline",
    "BUCKET": "our-bucket",
    "SEAMLINE_REGISTRY": "us-central1-docker.pkg.dev/our-project/seamline",
    "NUMBER": "1",
    "POOL": "principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/our-project.svc.id.goog",
}


def commands(program: str) -> list[list[str]]:
    """Every call of a program on the pages, as its words."""
    return [words for page in PAGES for words in calls(page, program, EXAMPLES)]


def test_the_pages_hold_commands_of_each_program() -> None:
    assert len(commands("gcloud")) > 25 and len(commands("kubectl")) > 40 and len(commands("seamline")) > 4


@pytest.mark.parametrize("words", commands("seamline"), ids=" ".join)
def test_the_program_has_the_options_of_the_page(words: list[str]) -> None:
    assert understood(main, words) in words


needs_gcloud = pytest.mark.skipif(
    shutil.which("gcloud") is None, reason="NOT RUN, no claim about the options of gcloud is made: no gcloud here"
)


def gcloud(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs it as somebody who has never logged in."""
    environment = {**os.environ, "CLOUDSDK_CONFIG": str(folder), "CLOUDSDK_CORE_PROJECT": "our-project"}
    return subprocess.run(["gcloud", *words], env=environment, cwd=folder, capture_output=True, text=True, check=False)


@needs_gcloud
@pytest.mark.slow
@pytest.mark.parametrize("words", commands("gcloud"), ids=lambda words: " ".join(words[:4]))
def test_gcloud_knows_every_option(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "rounds").mkdir()
    done = gcloud(words, tmp_path)
    # It reads all words before it looks for an account, of which there is none here.
    assert "do not currently have an active account" in done.stderr or done.returncode == 0, done.stderr


@needs_gcloud
@pytest.mark.slow
def test_an_option_that_gcloud_does_not_know_would_be_noticed(tmp_path: Path) -> None:
    done = gcloud(["container", "node-pools", "create", "x", "--zero-nodes"], tmp_path)
    assert done.returncode == 2 and "unrecognized arguments" in done.stderr


def kubectl(words: list[str]) -> subprocess.CompletedProcess[str]:
    """Has it read a command line to the end, and then explain it instead of obeying it."""
    end = words.index("--") if "--" in words else len(words)
    asked = [KUBECTL, *words[:end], "--help", *words[end:]]
    return subprocess.run(asked, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("words", commands("kubectl"), ids=" ".join)
def test_kubectl_knows_every_option(words: list[str]) -> None:
    done, verb = kubectl(words), next(word for word in words if word not in ("-n", "seamline"))
    assert (done.returncode, done.stderr) == (0, "") and f"kubectl {verb}" in done.stdout


def test_an_option_that_kubectl_does_not_know_would_be_noticed() -> None:
    done = kubectl(["-n", "seamline", "exec", "deployment/seamline-console", "--as-root", "--", "ls", "--all"])
    assert done.returncode == 1 and "unknown flag: --as-root" in done.stderr


@pytest.mark.parametrize("words", commands("kubectl"), ids=" ".join)
def test_what_kubectl_is_told_about_exists(words: list[str]) -> None:
    objects = build(Combination("gke", SUPPORTED["gke"]))
    for flag, value in zip(words, words[1:], strict=False):
        if flag in ("-k", "-f") and value != "-":
            assert value.endswith("/ours") or (ROOT / value).exists()
    line = " ".join(words)
    for kind, name in re.findall(r"\b(deploy|deployment|cronjob|service|resourcequota)[/ ](seamline[\w-]*)", line):
        known = {(made["kind"].lower(), made["metadata"]["name"]) for made in objects}
        assert ("deployment" if kind == "deploy" else kind, name) in known
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


def overlay_of_the_page(folder: Path) -> tuple[Manifest, ...]:
    """What the page on the manifests tells to write, built."""
    (text,), (settings,) = blocks(KUBERNETES, "yaml"), blocks(KUBERNETES, "toml")
    (folder / cluster_place.FILE).write_text(settings, encoding="utf-8")
    return made_of(yaml.safe_load(text), folder)


def test_the_overlay_of_the_page_is_valid_and_keeps_the_policies(tmp_path: Path) -> None:
    objects = overlay_of_the_page(tmp_path)
    assert [fault for made in objects for fault in published.faults(made, published.VERSIONS[-1])] == []
    assert [breach for policy in policies.POLICIES for breach in policy(objects)] == []
    console = named(objects, "Deployment", "seamline-console")["spec"]["template"]["spec"]["containers"][0]
    assert console["image"].startswith("us-central1-docker.pkg.dev/our-project/seamline/server@sha256:")


def test_the_overlay_of_the_page_changes_one_setting_of_the_launcher_and_keeps_the_others(tmp_path: Path) -> None:
    ours = launcher_settings(build(Combination("gke")))
    assert launcher_settings(overlay_of_the_page(tmp_path)) == dataclasses.replace(ours, tmp_size="64Gi")


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


def valued(words: list[str], option: str) -> str:
    """What stands after an option, empty where it is not given."""
    return words[words.index(option) + 1] if option in words else ""


SERVICES = {  # words of the commands -> the service of Google that has to be enabled for them
    "compute": "compute",
    "container": "container",
    "storage": "storage",
    "artifacts": "artifactregistry",
    "dns": "dns",
    "iap": "iap",
    "--enable-image-streaming": "containerfilesystem",
    "GcpFilestoreCsiDriver,HttpLoadBalancing": "file",
    "filestore": "file",
}


def test_every_service_that_the_commands_need_is_enabled_first() -> None:
    enabled = next(words for words in commands("gcloud") if words[:2] == ["services", "enable"])
    used = {SERVICES[word] for words in commands("gcloud") for word in words if word in SERVICES}
    assert used == set(SERVICES.values())
    assert {f"{service}.googleapis.com" for service in used} <= set(enabled)


def test_volumes_are_deleted_before_the_cluster_that_could_delete_them() -> None:
    (block,) = [block for block in blocks(OPERATIONS, "sh") if "clusters delete" in block]
    assert block.index("kubectl delete namespace seamline") < block.index("gcloud container clusters delete")


def test_who_pins_images_may_read_the_registry() -> None:
    bound = {
        (valued(words, "--member").rpartition("/sa/")[2], valued(words, "--role"))
        for words in calls(READMES["workload-identity"], "gcloud", EXAMPLES)
        if words[:3] == ["artifacts", "repositories", "add-iam-policy-binding"]
    }
    assert launcher_settings(build(Combination("gke"))).pin_images
    assert ("seamline-console", "roles/artifactregistry.reader") in bound


@pytest.mark.parametrize("domain", ["googleapis.com.", "pkg.dev."])  # the storage, and the registry of pinned images
def test_where_policies_narrow_the_way_out_google_s_names_lead_there(domain: str) -> None:
    page = list(calls(READMES["network-policies"], "gcloud", EXAMPLES))
    (zone,) = [words[3] for words in page if valued(words, "--dns-name") == domain]
    records = {words[3]: words for words in page if words[1] == "record-sets" and valued(words, "--zone") == zone}
    goal = valued(records[f"*.{domain}"], "--rrdatas")
    narrowed = named(build(Combination("gke", ("network-policies",))), "NetworkPolicy", "console-out")
    (block,) = [peer["ipBlock"]["cidr"] for peer in narrowed["spec"]["egress"][0]["to"]]
    addresses = valued(records[goal], "--rrdatas").split(",")
    assert {ipaddress.ip_address(one) for one in addresses} == set(ipaddress.ip_network(block))


def test_the_pod_that_gives_the_volume_away_is_valid_and_gives_it_to_the_console_s_user() -> None:
    (words,) = [words for words in commands("kubectl") if "run" in words]
    objects = build(Combination("gke"))
    spec = json.loads(valued(words, "--overrides"))["spec"]
    (container,), (volume,) = spec["containers"], spec["volumes"]
    metadata = {"name": words[words.index("run") + 1]}
    made = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": copy.deepcopy(spec)}
    made["spec"]["containers"][0]["image"] = valued(words, "--image")
    assert published.faults(made, published.VERSIONS[-1]) == [] and container["name"] == metadata["name"]
    console = named(objects, "Deployment", "seamline-console")["spec"]["template"]["spec"]
    user = console["securityContext"]["runAsUser"]
    assert container["command"] == ["chown", f"{user}:{user}", container["volumeMounts"][0]["mountPath"]]
    assert named(objects, "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"])


def test_images_on_the_pages_have_the_program_s_version() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert set(re.findall(r"/(?:server|steps-cpu|steps-gpu):([\w.]+)", text)) == {images.TAG}


@pytest.mark.parametrize("option", [option for option, page in READMES.items() if list(calls(page, "gcloud", {}))])
def test_an_option_that_needs_google_cloud_says_that_it_was_not_tried(option: str) -> None:
    assert "not verified here" in READMES[option].read_text(encoding="utf-8").lower()
