"""The images as built: what they run, as whom, how big they are, and that nothing is left in them."""

import os
import shutil
import socket
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from components import images as names
from pipeline import images
from pipeline.engine.docker_launch import connect
from pipeline.engine.store import FILE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

GB = 1e9
BUDGET = {"steps-cpu": 3.6 * GB, "server": 3.7 * GB, "steps-gpu": 8.2 * GB}
IMAGES = {"steps-cpu": "steps_image", "server": "server_image", "steps-gpu": "gpu_image"}
STEPS = sorted(program.parent.name for program in Path(names.__file__).parent.glob("*/__main__.py"))
CODE_BYTES = 10e6
"""What an edit of the code costs in every registry and on every node."""


@pytest.fixture
def said(steps_image: Any) -> Any:
    """What a command in the image of the steps says, as a cluster would run it: nothing but /tmp can be written."""

    def run(*command: str, **more: Any) -> str:
        client = connect(timeout_s=300)
        options = {"remove": True, "read_only": True, "tmpfs": {"/tmp": ""}, "stderr": True, "cap_drop": ["ALL"]} | more
        return str(client.containers.run(names.CPU, list(command), **options).decode())

    return run


def test_a_step_is_run_by_its_name(said: Any) -> None:
    assert "usage: python -m components.preprocess" in said("preprocess", "--help")


def test_a_command_is_run_as_it_stands(said: Any) -> None:
    assert "usage: python -m components.train" in said("python", "-m", "components.train", "--help")
    assert said("id", "-u").strip() == "1000"


def test_without_a_command_the_steps_are_named(said: Any) -> None:
    assert f"steps: {' '.join(STEPS)}\n" in said()


def test_everything_loads_where_only_tmp_can_be_written(said: Any) -> None:
    modules = ", ".join(f"components.{step}.step" for step in STEPS)
    assert said("python", "-c", f"import {modules}; print('loaded')", user="4321:4321").endswith("loaded\n")


def test_a_python_component_of_kfp_finds_kfp(said: Any) -> None:
    assert said("python", "-c", "import kfp; print(kfp.__version__)").startswith("2.17")


def test_nothing_is_left_of_the_build(said: Any) -> None:
    looked_for = "command -v gcc cc make; find / -xdev -path '*/pip/cache*' -o -xdev -name '*.whl' -path '/tmp/*'"
    assert said("sh", "-c", f"{looked_for} 2> /dev/null; true") == ""
    assert said("sh", "-c", "find /opt/venv /app -writable 2> /dev/null | head -3", read_only=False) == ""


def test_labels_say_what_it_was_made_of(steps_image: Any) -> None:
    labels = connect().images.get(names.CPU).labels
    assert labels["org.opencontainers.image.version"] == names.TAG
    assert {"org.opencontainers.image.revision", "org.opencontainers.image.created"} <= labels.keys()
    assert labels[images.CONTENT] == images.content("steps-cpu", labels["org.opencontainers.image.base.name"])


@pytest.fixture
def gpu_image(base: str) -> images.Image:
    """The image with NVIDIA's libraries, if somebody has built it: it takes minutes and 8 GB, and CI does not."""
    found = [one for one in images.listed(connect()) if one.target == "steps-gpu" and one.is_current]
    if not found:
        pytest.skip(f"NOT RUN, no claim about steps-gpu is made: seamline images build steps-gpu --base {base}")
    return found[0]


@pytest.mark.parametrize("target", IMAGES)
def test_an_image_keeps_to_its_budget_and_an_edit_to_its_last_layers(target: str, request: Any) -> None:
    made = request.getfixturevalue(IMAGES[target])
    print(f"{target}: {made.bytes / GB:.2f} GB")
    assert made.bytes <= BUDGET[target]
    history = connect().images.get(images.NAMES[target]).history()
    code = history[: next(i for i, layer in enumerate(history) if "--require-hashes" in layer["CreatedBy"])]
    assert sum(layer["Size"] for layer in code) < CODE_BYTES


def test_what_gke_mounts_of_the_driver_is_found(gpu_image: images.Image) -> None:
    mounts = (
        "cd /usr/local/nvidia && mkdir bin lib64 && printf '#!/bin/sh\\necho called' > bin/nvidia-smi"
        " && chmod +x bin/nvidia-smi && cp $(python -c 'import _ctypes; print(_ctypes.__file__)') lib64/libcuda.so.1"
    )
    uses = 'nvidia-smi && python -c \'import ctypes; ctypes.CDLL("libcuda.so.1"); print("loaded")\''
    told = connect(timeout_s=300).containers.run(
        gpu_image.tags[0],
        ["sh", "-c", f"{mounts} && {uses}"],
        remove=True,
        tmpfs={"/usr/local/nvidia": "exec,mode=1777"},
    )
    assert told.decode().split() == ["called", "loaded"]


def test_a_gpu_that_tensorflow_does_not_see_is_not_held(said: Any) -> None:
    script = (
        "from components.vision import learner\n"
        "try: learner.prepare_tensorflow(0)\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    refused = said("python", "-c", script, devices=["/dev/null:/dev/nvidia0"])
    assert "GpuUnused this container was given a GPU (nvidia0)" in refused
    assert "GpuUnused" not in said("python", "-c", script)


def test_both_images_share_the_packages(steps_image: Any, server_image: Any) -> None:
    steps, server = (connect().images.get(images.NAMES[t]).attrs["RootFS"]["Layers"] for t in ("steps-cpu", "server"))
    assert len(set(steps) & set(server)) >= 5


@pytest.fixture
def token(tmp_path: Path) -> Path:
    tmp_path.chmod(0o755)
    (tmp_path / "token").write_text("a-token-of-two-dozen-letters\n")
    (tmp_path / "token").chmod(0o644)
    return tmp_path / "token"


def test_the_server_says_its_version_and_becomes_healthy(server_image: Any, token: Path) -> None:
    client = connect(timeout_s=300)
    version = client.containers.run(names.SERVER, ["--version"], remove=True).decode()
    assert names.TAG in version
    mounted = {str(token): {"bind": "/run/secrets/seamline-token", "mode": "ro"}}
    container = client.containers.run(
        names.SERVER, detach=True, read_only=True, tmpfs={"/tmp": ""}, volumes=mounted, cap_drop=["ALL"]
    )
    try:
        _until(lambda: client.api.inspect_container(container.id)["State"]["Health"]["Status"] == "healthy")
    finally:
        container.remove(force=True, v=True)


def test_compose_serves_the_console_with_a_volume(server_image: Any, token: Path) -> None:
    compose = shutil.which("docker-compose")
    if not compose:
        if os.environ.get("SEAMLINE_REQUIRE_DOCKER") == "1":
            pytest.fail("SEAMLINE_REQUIRE_DOCKER=1, but docker-compose is missing: apt-get install docker-compose")
        pytest.skip("NOT RUN: takes docker-compose")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "SEAMLINE_PORT": str(port), "SEAMLINE_TOKEN_FILE": str(token)}
    command = [compose, "-p", "seamline-test", "-f", str(images.ROOT / "docker" / "compose.yaml")]
    subprocess.run([*command, "config", "-q"], env=environment, check=True)
    subprocess.run([*command, "up", "-d"], env=environment, check=True, capture_output=True)
    try:
        page = _until(lambda: _page(port, token.read_text().strip()))
        assert "Seamline" in page
        inside = subprocess.run(
            [*command, "exec", "-T", "console", "ls", "/var/lib/seamline"], env=environment, capture_output=True
        )
        assert FILE.encode() in inside.stdout
    finally:
        subprocess.run([*command, "down", "-v"], env=environment, check=True, capture_output=True)


def _page(port: int, token: str) -> str:
    asked = urllib.request.Request(f"http://127.0.0.1:{port}/", headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(asked, timeout=5) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def _until(condition: Any, seconds: float = 180.0) -> Any:
    import time

    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.5)
    return found
