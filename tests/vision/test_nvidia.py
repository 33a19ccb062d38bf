"""GPUs are used where there are any, and never silently not."""

import ctypes
import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import keras
import pytest
import tensorflow as tf

from components.errors import GpuUnused
from components.vision import learner, nvidia
from pipeline.engine.failures import Evidence, classify
from pipeline.engine.ir import Retry
from pipeline.engine.retries import NEVER, Circumstances, policy_for


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """NVIDIA's package with a libcusolver that is none."""
    library = tmp_path / "nvidia" / "cusolver" / "lib" / "libcusolver.so.11"
    library.parent.mkdir(parents=True)
    library.write_bytes(b"no library")
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path / "nvidia")])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec if name == "nvidia" else None)
    return library


def test_the_library_that_tensorflow_does_not_find_is_loaded_from_nvidias_package(package, monkeypatch):
    loaded: list[str] = []
    monkeypatch.setattr(ctypes, "CDLL", loaded.append)
    assert nvidia.load_cusolver() == loaded == [str(package)]


def test_a_library_that_cannot_be_loaded_is_said_and_nothing_ends(package, capsys):
    assert nvidia.load_cusolver() == []
    assert str(package) in capsys.readouterr().out


def test_without_nvidias_packages_nothing_is_loaded(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert nvidia.load_cusolver() == []


UNUSED = [("nvidia0", None, 0), ("nvidia0", "0", 0), ("nvidia3", "GPU-1", 0)]
USED_OR_NOT_WANTED = [("nvidia0", None, 1), ("nvidia0", "-1", 0), ("nvidia0", "", 0), ("nvidiactl", None, 0)]
IN_A_CONTAINER = [".dockerenv", "run/.containerenv", "KUBERNETES_SERVICE_HOST"]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """The root of a machine with one device; of a container, if a mark of one is given."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)

    def made(device: str, chosen: str | None, mark: str = "") -> Path:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if chosen is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
        if mark.isupper():
            monkeypatch.setenv(mark, "10.0.0.1")
        for name in (f"dev/{device}", "" if mark.isupper() else mark):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            if name:
                (tmp_path / name).touch()
        return tmp_path

    return made


@pytest.mark.parametrize(("device", "chosen", "num_seen"), UNUSED)
def test_outside_of_a_container_a_gpu_that_tensorflow_does_not_see_is_said(machine, capsys, device, chosen, num_seen):
    nvidia.check_used(num_seen, machine(device, chosen))
    assert "TensorFlow sees none" in capsys.readouterr().out


@pytest.mark.parametrize("mark", IN_A_CONTAINER)
@pytest.mark.parametrize(("device", "chosen", "num_seen"), UNUSED)
def test_in_a_container_it_ends_the_step_with_what_to_mend(machine, device, chosen, num_seen, mark):
    with pytest.raises(GpuUnused) as refused:
        nvidia.check_used(num_seen, machine(device, chosen, mark))
    for words in (device, "steps-gpu", "525 or newer", "/usr/local/nvidia/lib64", "CUDA_VISIBLE_DEVICES=-1"):
        assert words in str(refused.value)


@pytest.mark.parametrize("mark", ["", *IN_A_CONTAINER])
@pytest.mark.parametrize(("device", "chosen", "num_seen"), USED_OR_NOT_WANTED)
def test_a_gpu_that_is_used_or_hidden_or_not_there_is_no_matter(machine, capsys, device, chosen, num_seen, mark):
    nvidia.check_used(num_seen, machine(device, chosen, mark))
    assert capsys.readouterr().out == ""


def test_a_gpu_held_for_nothing_is_not_tried_again_and_the_whole_fix_is_shown(machine):
    with pytest.raises(GpuUnused) as refused:
        nvidia.check_used(0, machine("nvidia0", None, ".dockerenv"))
    failure = classify(Evidence(refused.value.exit_code, lines=[f"error: {refused.value}"]))
    assert policy_for(failure, Circumstances(Retry(limit=3))) == NEVER
    assert f"{failure.cause}; {failure.fix}" == str(refused.value)


def test_every_step_that_computes_on_a_gpu_asks_first(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: [])
    asked: list[int] = []
    monkeypatch.setattr(nvidia, "check_used", asked.append)
    learner.prepare_tensorflow(0)
    assert asked == [0]


def test_a_process_that_has_computed_on_its_gpu_may_still_prepare(monkeypatch):
    def refuse(*_):
        raise RuntimeError("Physical devices cannot be modified after being initialized")

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: ["GPU:0"])
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", refuse)
    learner.prepare_tensorflow(3)
    first = float(keras.random.uniform(()))
    learner.prepare_tensorflow(3)
    assert float(keras.random.uniform(())) == first


def test_float32_is_not_rounded_to_tf32():
    learner.prepare_tensorflow(0)
    assert not tf.config.experimental.tensor_float_32_execution_enabled()
