"""The doctor names what is missing and the command that mends it."""

import shutil
import subprocess
import tempfile
from collections import namedtuple

from pipeline import doctor


def test_every_finding_that_is_not_ok_comes_with_its_fix(tmp_path):
    findings = doctor.examine(tmp_path)
    assert {f.name for f in findings} >= {"Python", "packages", "GPU", "state folder", "Docker", "Fashion-MNIST"}
    assert [f for f in findings if f.state != "ok" and not f.fix] == []


def test_a_full_disk_is_missing_not_optional(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 10, 1024))
    assert doctor.disk(tmp_path).state == "missing"


def test_a_state_folder_that_does_not_exist_yet_is_judged_by_the_folder_it_will_lie_in(tmp_path):
    assert str(tmp_path) in doctor.disk(tmp_path / "not" / "yet").detail


def test_a_missing_data_set_names_its_package(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "FASHION_MNIST", tmp_path / "absent.gz")
    assert doctor.fashion_mnist().fix == "apt-get install dataset-fashion-mnist"


def test_an_absent_package_is_named(monkeypatch):
    monkeypatch.setattr(doctor, "DISTRIBUTIONS", ("kfp", "no-such-distribution"))
    assert doctor.packages().detail == "not installed: no-such-distribution"


def test_a_state_folder_that_cannot_be_written_is_said(tmp_path, monkeypatch):
    def refuse(**_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    assert doctor.disk(tmp_path).detail == f"{tmp_path} cannot be written: Read-only file system"


def a_tool(folder, script):
    """An nvidia-smi of our own; gives its path."""
    tool = folder / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    tool.chmod(0o755)
    return str(tool)


def test_a_gpu_without_nvidias_libraries_is_told_to_be_unused(tmp_path, monkeypatch):
    tool = a_tool(tmp_path, "echo 'GPU 0: NVIDIA L4'")
    monkeypatch.setattr(shutil, "which", lambda _: tool)
    monkeypatch.setattr(doctor, "CUDA_DISTRIBUTION", "no-such-distribution")
    found = doctor.gpu()
    assert (found.state, found.fix) == ("optional", "pip install -e '.[gpu]'")
    assert found.detail == "GPU 0: NVIDIA L4; not used: no-such-distribution is not installed"
    monkeypatch.setattr(doctor, "CUDA_DISTRIBUTION", "kfp")
    assert doctor.gpu().state == "ok"


def test_a_driver_that_fails_is_told_with_its_words_and_a_fix(tmp_path, monkeypatch):
    tool = a_tool(tmp_path, "echo 'Failed to initialize NVML' >&2; exit 9")
    monkeypatch.setattr(shutil, "which", lambda _: tool)
    found = doctor.gpu()
    assert (found.state, found.detail) == ("optional", "Failed to initialize NVML") and found.fix


def test_a_driver_that_hangs_does_not_end_the_doctor(tmp_path, monkeypatch):
    def hang(*_, **__):
        raise subprocess.TimeoutExpired("nvidia-smi", 20)

    monkeypatch.setattr(shutil, "which", lambda _: "nvidia-smi")
    monkeypatch.setattr(subprocess, "run", hang)
    assert doctor.gpu().detail == "nvidia-smi does not answer"
