"""GPUs are used where there are any, and never silently not."""

import ctypes
import importlib.util
from pathlib import Path
from types import SimpleNamespace

import keras
import pytest
import tensorflow as tf

from components.vision import learner, nvidia


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


@pytest.mark.parametrize(
    ("device", "chosen", "num_seen", "is_said"),
    [
        ("nvidia0", None, 0, True),
        ("nvidia0", "0", 0, True),
        ("nvidia0", None, 1, False),
        ("nvidia0", "-1", 0, False),
        ("nvidia0", "", 0, False),
        ("nvidiactl", None, 0, False),
    ],
)
def test_a_gpu_that_tensorflow_does_not_see_is_said(tmp_path, monkeypatch, capsys, device, chosen, num_seen, is_said):
    (tmp_path / device).touch()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if chosen is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    nvidia.say_unused(num_seen, tmp_path)
    assert ("TensorFlow sees none" in capsys.readouterr().out) == is_said


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
