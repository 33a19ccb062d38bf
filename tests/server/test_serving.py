"""`seamline serve` as a process: it says where it is, executes runs, ends when asked to, and shares no state folder."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from pipeline import serving
from pipeline.engine.states import RUN_ENDED, RunState
from pipeline.engine.store import Store

SECONDS = 30


def seamline(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeline", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)


@contextlib.contextmanager
def served(state: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server on a free port and its address."""
    command = [sys.executable, "-m", "pipeline", "serve", "--port", "0", "--state", str(state), *arguments]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        line = next(line for line in process.stderr if not line.startswith("listens "))
        assert line.startswith("console "), line + process.stderr.read()
        yield process, line.split()[1]
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def until(true: Callable[[], bool]) -> None:
    ends = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < ends, "it did not happen"
        time.sleep(0.05)


def ended(store: Store, run_id: str) -> bool:
    return store.run(run_id).state in RUN_ENDED


def test_a_run_that_anybody_makes_is_executed_by_the_server(engine, state_dir, two_steps_ir):
    store = Store.open(state_dir)
    with served(state_dir):
        run_id = engine.create_run(two_steps_ir, {})
        until(lambda: ended(store, run_id))
    assert store.run(run_id).state is RunState.SUCCEEDED


def test_a_command_watches_the_server_execute_what_it_asked_for(engine, state_dir, two_steps_ir):
    failed = engine.create_run(two_steps_ir, {"fail": True})
    engine.execute(failed)
    with served(state_dir):
        told = seamline("retry", failed[:8], "--state", state_dir)
    assert told.returncode == 1
    assert "shout failed" in told.stdout
    assert Store.open(state_dir).task(failed, "shout").attempts == 2


def test_a_second_server_on_the_same_state_folder_is_refused_with_the_first_ones_process(state_dir):
    with served(state_dir) as (first, _):
        second = seamline("serve", "--port", "0", "--state", state_dir)
    assert second.returncode == 2
    assert second.stderr == (
        f"error: state folder {state_dir} is served by process {first.pid}; stop that server, or give another --state\n"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_end_it_ends_also_while_a_browser_listens(state_dir, number):
    with served(state_dir) as (process, address), httpx.stream("GET", address + "/live") as stream:
        next(stream.iter_lines())
        process.send_signal(number)
        assert process.wait(timeout=SECONDS) == 0


def test_tasks_outlive_the_server_and_the_next_one_takes_them_up(engine, state_dir, slow_ir, tmp_path):
    run_id = engine.create_run(slow_ir, {"mark": str(tmp_path / "runs")})
    store = Store.open(state_dir)
    with served(state_dir) as (process, _):
        until((tmp_path / "runs").exists)
        os.kill(process.pid, signal.SIGKILL)
    with served(state_dir):
        until(lambda: ended(store, run_id))
    assert store.run(run_id).state is RunState.SUCCEEDED
    assert (tmp_path / "runs").read_text() == "run\n"


def test_other_machines_are_let_in_only_with_a_token(state_dir, tmp_path):
    refused = seamline("serve", "--host", "0.0.0.0", "--state", state_dir)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    short = tmp_path / "token"
    short.write_text("1234")
    assert "16 or more" in seamline("serve", "--token-file", short, "--state", state_dir).stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_an_address_that_stands_for_all_is_told_by_the_machines_name(host):
    assert serving.Address(host, 8080).name == socket.gethostname()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "10.0.0.5", "pictures.example.org"])
def test_any_other_address_is_told_as_it_was_given(host):
    assert serving.Address(host, 8080).name == host


def test_a_server_for_all_prints_links_that_can_be_opened(state_dir, tmp_path):
    token = tmp_path / "token"
    token.write_text("0123456789abcdef")
    with served(state_dir, "--host", "0.0.0.0", "--token-file", str(token)) as (_, address):
        assert address.startswith(f"http://{socket.gethostname()}:")


def test_a_port_that_is_taken_is_one_clear_line(state_dir):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        told = seamline("serve", "--port", taken.getsockname()[1], "--state", state_dir)
    assert told.returncode == 2
    assert told.stderr.startswith("error: cannot listen at 127.0.0.1:") and told.stderr.count("\n") == 1


def test_it_listens_at_an_ipv6_address_too(state_dir):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"not run: no IPv6 on this machine ({error})")
    with served(state_dir, "--host", "::1") as (_, address):
        assert address.startswith("http://[::1]:")
        assert httpx.get(address + "/apis/v2beta1/healthz").status_code == 200


def test_a_client_that_hangs_up_while_it_sends_leaves_no_traceback(state_dir):
    with served(state_dir) as (process, address):
        host, port = address.removeprefix("http://").split(":")
        head = f"POST /submit HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 99\r\n"
        with socket.create_connection((host, int(port))) as client:
            client.sendall(f"{head}Content-Type: application/x-www-form-urlencoded\r\n\r\nrecipe=".encode())
        assert httpx.get(address + "/").status_code == 200
        process.terminate()
        process.wait(SECONDS)
        assert "Traceback" not in process.stderr.read()
