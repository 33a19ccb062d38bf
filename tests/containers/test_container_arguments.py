"""What a job asks of a Docker Engine, and how a container has ended: pure functions."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engine import ir
from pipeline.engine.docker_container import Surroundings, arguments, exit_of, mounts, name_of, shared_memory_bytes
from pipeline.engine.launch import Exit, Job, Whose

AROUND = Surroundings(Path("/state"), "5:6", 4)
ATTEMPT = "/state/runs/r/t/attempt-1"


def job(*paths: str, **more: Any) -> Job:
    return Job(["run", "it"], "image:1", {"A": "1"}, Path(ATTEMPT), whose=Whose("r", "t", 1), paths=paths, **more)


def container(*command: str, kubernetes: dict[str, Any] | None = None, **resources: str) -> ir.Container:
    return ir.Container("image:1", command, ("it",), {}, resources, kubernetes=kubernetes or {})


def test_a_command_takes_the_place_of_the_entrypoint() -> None:
    wanted = arguments(job(container=container("run")), AROUND)
    assert (wanted["entrypoint"], wanted["command"]) == (["run", "it"], [])


def test_arguments_alone_are_given_to_the_image_s_entrypoint() -> None:
    wanted = arguments(job(container=container()), AROUND)
    assert wanted["command"] == ["run", "it"]
    assert "entrypoint" not in wanted


def test_memory_is_limited_without_swap() -> None:
    wanted = arguments(job(memory_bytes=1 << 30), AROUND)
    assert (wanted["mem_limit"], wanted["memswap_limit"]) == (1 << 30, 1 << 30)
    assert "mem_limit" not in arguments(job(), AROUND)


@pytest.mark.parametrize(("limit", "nano"), [("500m", 500_000_000), ("2", 2_000_000_000), ("64", 4_000_000_000)])
def test_cores_are_limited_to_what_the_machine_has(limit: str, nano: int) -> None:
    assert arguments(job(container=container("run", resourceCpuLimit=limit)), AROUND)["nano_cpus"] == nano


def test_a_request_of_cores_is_no_limit() -> None:
    assert "nano_cpus" not in arguments(job(container=container("run", resourceCpuRequest="2")), AROUND)


def test_shared_memory_is_read_from_the_volume_at_dev_shm() -> None:
    volumes = [{"mountPath": "/scratch", "sizeLimit": "9Gi"}, {"mountPath": "/dev/shm", "sizeLimit": "2Gi"}]
    assert shared_memory_bytes(container(kubernetes={"emptyDirMounts": volumes})) == 2 << 30
    assert shared_memory_bytes(container()) == 0


def test_the_task_s_environment_beats_what_every_container_gets() -> None:
    around = replace(AROUND, environment={"A": "0", "B": "2"})
    environment = arguments(job(), around)["environment"]
    assert (environment["A"], environment["B"], environment["HOME"]) == ("1", "2", "/tmp")


def test_a_name_is_the_attempt_s_own() -> None:
    other = replace(job(), directory=Path("/state/runs/r/t/attempt-2"), whose=Whose("r", "t", 2))
    assert name_of(job(), Path("/state")) == name_of(job("/elsewhere"), Path("/state"))
    assert len({name_of(job(), Path("/state")), name_of(other, Path("/state")), name_of(job(), Path("/s2"))}) == 3


def shared(*paths: str, writable: tuple[str, ...] = (), readable: tuple[str, ...] = ()) -> dict[str, str]:
    found = mounts(job(*paths), replace(AROUND, writable=writable, readable=readable))
    return {one.path: "ro" if one.read_only else "rw" for one in found}


def test_inputs_are_read_only_and_the_attempt_s_folder_is_not() -> None:
    assert shared("/data/round1", "/state/artifacts/ab/model") == {
        ATTEMPT: "rw",
        "/data/round1": "ro",
        "/state/artifacts/ab/model": "ro",
    }


def test_what_lies_inside_something_mounted_is_not_mounted_again() -> None:
    assert shared("/root1/shards/ab", "/root1", "/in/a", "/in", writable=("/root1",)) == {
        ATTEMPT: "rw",
        "/root1": "rw",
        "/in": "ro",
    }


def test_a_writable_folder_inside_a_readable_one_stays_writable() -> None:
    assert shared("/in", writable=("/in/root",)) == {ATTEMPT: "rw", "/in": "ro", "/in/root": "rw"}


@pytest.mark.parametrize("path", ["/", "/usr", "/usr/bin/python3", "/etc/passwd", "/dev/null", "/proc", "/tmp", "/run"])
def test_a_text_that_names_a_part_of_the_system_is_no_input(path: str) -> None:
    assert shared(path) == {ATTEMPT: "rw"}


def test_credentials_are_readable() -> None:
    assert shared(readable=("/home/me/key.json",))["/home/me/key.json"] == "ro"


FOLDERS = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(lambda parts: "/data/" + "/".join(parts))


@given(st.lists(FOLDERS, max_size=6), st.lists(FOLDERS, max_size=3))
def test_every_input_can_be_read_and_no_mount_is_twice_or_hides_another(paths: list[str], writable: list[str]) -> None:
    found = mounts(job(*paths), replace(AROUND, writable=tuple(writable)))
    names = [one.path for one in found]
    assert len(set(names)) == len(names)
    for path in (*paths, *writable):
        assert any(Path(path).is_relative_to(name) for name in names)
    for path in writable:
        nearest = max((one for one in found if Path(path).is_relative_to(one.path)), key=lambda one: len(one.path))
        assert not nearest.read_only


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ({"ExitCode": 0, "FinishedAt": "2026-01-01T00:00:00Z"}, Exit(0, {"oom_kills": 0})),
        ({"ExitCode": 0, "FinishedAt": "0001-01-01T00:00:00Z"}, Exit(None)),
        ({"ExitCode": 0}, Exit(None)),
        ({"ExitCode": 137, "OOMKilled": True}, Exit(137, {"oom_kills": 1})),
        ({"ExitCode": 3, "OOMKilled": True}, Exit(3, {"oom_kills": 1})),
        ({"ExitCode": 137, "OOMKilled": False}, Exit(137, {"oom_kills": 0})),
        (
            {"ExitCode": 1, "StartedAt": "2026-01-01T00:00:00.123456789Z", "FinishedAt": "2026-01-01T00:01:00.5Z"},
            Exit(1, {"oom_kills": 0, "wall_s": 60.377}),
        ),
        (
            {"ExitCode": 1, "StartedAt": "0001-01-01T00:00:00Z", "FinishedAt": "2026-01-01T00:00:00Z"},
            Exit(1, {"oom_kills": 0}),
        ),
    ],
)
def test_an_end_is_told_as_the_docker_engine_saw_it(state: dict[str, Any], told: Exit) -> None:
    assert exit_of(state) == told
