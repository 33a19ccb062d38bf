"""Names, tags, labels and digests of images, over a Docker Engine in memory."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker.errors import ImageNotFound

from components import images as names
from pipeline import image_pins, images, images_command, launchers
from pipeline.errors import PipelineError
from pipeline.options import LAUNCHERS

DIGEST = "sha256:" + "ab" * 32
IR = images.ROOT / "tests/dag/golden/demo.yaml"


class FakeImage:
    """One image: its tags, labels and the digests that registries gave it."""

    def __init__(self, engine: "FakeEngine", *tags: str, digests: tuple[str, ...] = (), **labels: str) -> None:
        self.engine, self.tags, self.labels = engine, list(tags), labels
        self.attrs = {"RepoDigests": list(digests), "Size": 1_000}
        self.id = f"sha256:{len(engine.all):064x}"

    def tag(self, repository: str, tag: str) -> None:
        name = f"{repository}:{tag}"
        for other in self.engine.all:
            other.tags = [one for one in other.tags if one != name]
        self.tags.append(name)


class FakeEngine:
    """As much of docker-py's client as images need; `says` is what a build or a push answers."""

    def __init__(self) -> None:
        self.all: list[FakeImage] = []
        self.asked: list[dict[str, Any]] = []
        self.says: list[dict[str, Any]] = []
        self.images = self.api = self

    def get(self, name: str) -> FakeImage:
        found = next((one for one in self.all if name in (*one.tags, *one.attrs["RepoDigests"], one.id)), None)
        if found is None:
            raise ImageNotFound(name)
        return found

    def list(self, name: str) -> "list[FakeImage]":
        return [one for one in self.all if any(tag.startswith(f"{name}:") for tag in one.tags)]

    def build(self, **asked: Any) -> Iterator[dict[str, Any]]:
        self.asked.append(asked)
        yield from self.says
        self.all.append(FakeImage(self, asked["tag"], **asked["labels"]))

    def push(self, repository: str, tag: str, **_: Any) -> Iterator[dict[str, Any]]:
        self.asked.append({"push": f"{repository}:{tag}"})
        yield from self.says
        self.get(f"{repository}:{tag}").attrs["RepoDigests"] = [f"{repository}@{DIGEST}"]


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what images are made of."""
    for part in ("docker", "components", "pipeline"):
        shutil.copytree(images.ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(images.ROOT / part, tmp_path)
    return tmp_path


def tags(root: Path, base: str = images.BASE) -> dict[str, str]:
    return {target: images.content(target, base, root) for target in images.NAMES}


@pytest.mark.parametrize(
    ("edited", "changed"),
    [
        ("components/train/step.py", {"steps-cpu", "steps-gpu", "server"}),
        ("pipeline/cli.py", {"server"}),
        ("docker/requirements-gpu.lock", {"steps-gpu"}),
        ("docker/requirements.lock", {"steps-cpu", "steps-gpu", "server"}),
        ("docker/entrypoint.sh", {"steps-cpu", "steps-gpu"}),
        ("README.md", {"server"}),
        ("LICENSE", {"server"}),
        ("docker/README.md", set()),
        ("components/__pycache__/x.pyc", set()),
    ],
)
def test_a_tag_changes_with_what_the_image_is_made_of(checkout: Path, edited: str, changed: set[str]) -> None:
    before = tags(checkout)
    target = checkout / edited
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(target.read_bytes() + b"\n#" if target.exists() else b"new")
    after = tags(checkout)
    assert {name for name in before if before[name] != after[name]} == changed


def test_a_tag_changes_with_the_base_and_not_with_the_place(checkout: Path) -> None:
    assert tags(checkout) == tags(images.ROOT)
    assert tags(checkout, "python@sha256:1")["steps-cpu"] != tags(checkout)["steps-cpu"]


def test_without_a_checkout_there_is_nothing_to_build(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="from a checkout"):
        images.content("steps-cpu", root=tmp_path)


def test_an_image_gets_both_tags_and_labels(engine: FakeEngine) -> None:
    made = images.build(engine, "steps-cpu", "base:1", lambda _: None)
    assert set(made.tags) == {names.CPU, images.content_name("steps-cpu", "base:1")}
    (asked,) = engine.asked
    assert (asked["target"], asked["buildargs"]) == ("steps-cpu", {"BASE": "base:1"})
    assert asked["labels"]["org.opencontainers.image.version"] == names.TAG
    assert made.is_current


def test_what_is_there_is_not_built_again(engine: FakeEngine) -> None:
    images.build(engine, "server", "base:1", lambda _: None)
    images.build(engine, "server", "base:1", lambda _: None)
    assert len(engine.asked) == 1


def test_a_build_that_fails_says_why_and_ends_with_1(engine: FakeEngine) -> None:
    engine.says = [{"stream": "Step 1/2 : FROM x\n"}, {"error": "pull access\n denied"}]
    said: list[str] = []
    with pytest.raises(images.ImageFailed, match="steps-gpu could not be built: pull access denied") as failed:
        images.build(engine, "steps-gpu", "base:1", said.append)
    assert said == ["Step 1/2 : FROM x"]
    assert failed.value.exit_code == 1


def test_both_tags_are_pushed_and_the_digest_is_told(engine: FakeEngine) -> None:
    images.build(engine, "steps-cpu", "base:1", lambda _: None)
    engine.says = [{"status": "Pushing", "id": "a"}, {"status": "Pushing", "id": "a"}, {"status": "Pushed", "id": "a"}]
    said: list[str] = []
    made = images.push(engine, "steps-cpu", "base:1", said.append)
    assert [one["push"] for one in engine.asked[1:]] == [images.content_name("steps-cpu", "base:1"), names.CPU]
    assert made.digest == f"{names.CPU.rsplit(':', 1)[0]}@{DIGEST}"
    assert said == ["a Pushing", "a Pushed"] * 2


def test_what_was_not_built_is_not_pushed(engine: FakeEngine) -> None:
    with pytest.raises(PipelineError, match="seamline images build server"):
        images.push(engine, "server", "base:1", lambda _: None)


def test_a_list_says_what_is_of_other_code(engine: FakeEngine) -> None:
    images.build(engine, "steps-cpu", "base:1", lambda _: None)
    engine.all.append(FakeImage(engine, f"{names.CPU.rsplit(':', 1)[0]}:old", **{images.CONTENT: "old"}))
    assert [one.is_current for one in images.listed(engine)] == [True, False]


def test_revision_and_date_are_those_of_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    found = images.labels("steps-cpu", "base:1")
    assert found["org.opencontainers.image.created"] == "1970-01-02T00:00:00+00:00"
    assert images.labels("steps-cpu", "base:1") == found


def pushed(engine: FakeEngine) -> None:
    images.build(engine, "steps-cpu", images.BASE, lambda _: None)
    images.push(engine, "steps-cpu", images.BASE, lambda _: None)


def test_a_cluster_gets_digests_and_nothing_else_changes(engine: FakeEngine) -> None:
    pushed(engine)
    text = IR.read_text(encoding="utf-8")
    pinned = image_pins.for_cluster(text, engine)
    digest = f"{names.CPU.rsplit(':', 1)[0]}@{DIGEST}"
    assert image_pins.images_in(pinned) == (digest,)
    assert pinned.replace(digest, names.CPU) == text
    assert image_pins.for_cluster(pinned, engine) == pinned


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda image: image.tags.clear(), "there is no image"),
        (lambda image: image.attrs.update(RepoDigests=[]), "no registry has it"),
        (lambda image: image.labels.update({images.CONTENT: "other"}), "of other code"),
    ],
)
def test_a_cluster_gets_nothing_that_could_move(engine: FakeEngine, spoil: Any, words: str) -> None:
    pushed(engine)
    spoil(engine.all[0])
    with pytest.raises(PipelineError, match=words):
        image_pins.for_cluster(IR.read_text(encoding="utf-8"), engine)


def test_this_machine_gets_the_tag_of_the_content_where_no_registry_gave_a_digest(engine: FakeEngine) -> None:
    images.build(engine, "steps-cpu", images.BASE, lambda _: None)
    text, strange = image_pins.for_this_machine(IR.read_text(encoding="utf-8"), engine)
    assert image_pins.images_in(text) == (images.content_name("steps-cpu"),)
    assert strange == ()


def test_this_machine_gets_the_id_of_an_image_that_nobody_has_named_by_its_content(engine: FakeEngine) -> None:
    engine.all.append(FakeImage(engine, names.CPU))
    text, _ = image_pins.for_this_machine(IR.read_text(encoding="utf-8"), engine)
    assert image_pins.images_in(text) == (engine.all[0].id,)
    assert image_pins.for_this_machine(text, engine)[0] == text


def test_an_image_of_other_code_is_said(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    images.build(engine, "steps-cpu", images.BASE, lambda _: None)
    engine.all[0].labels[images.CONTENT] = "other"
    monkeypatch.setattr(images_command, "connected", lambda: engine)
    images_command.pinned_here(IR.read_text(encoding="utf-8"))
    assert "is of other code than this checkout" in capsys.readouterr().err


def test_the_command_knows_every_launcher() -> None:
    assert set(LAUNCHERS) == set(launchers.NAMES)
