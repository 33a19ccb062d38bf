"""Paths of this machine are sent to a server that sees its files, and to nobody else, whatever its address."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pipeline import local
from pipeline.cli import main
from pipeline.engine.launch import ProcessLauncher
from pipeline.engine.runner import Engine
from pipeline.engine.store import Store
from pipeline.errors import PipelineError
from pipeline.remote import Endpoint
from pipeline.server.app import create_app
from pipeline.server.guard import Access
from pipeline.server.services import Services
from pipeline.serving import domain
from tests.remote.gates import TOKEN, Told, endpoint
from tests.remote.stock_kfp import Accepting

LABEL = "Images/skirt/1.jpg,skirt_length_labels,ynnnnn\n"
pytestmark = pytest.mark.usefixtures("nothing_of_this_machine")


@pytest.fixture(autouse=True)
def rounds_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rounds = [{"name": "round1", "uri": str(tmp_path / "round1"), "digest": "0"}]
    given = {"rounds": rounds, "data_root": str(tmp_path / "data")}
    monkeypatch.setattr(local, "prepare", lambda *_: (given, ""))


def ours(state: Path, token: str = "") -> Any:
    Store.open(state).close()
    return create_app(Services(state, lambda store: Engine(store, ProcessLauncher()), domain()), Access(token))


def submit(address: str, *words: str) -> Result:
    return CliRunner().invoke(main, ["submit", "demo", "--host", address, "--json", *words])


def test_a_server_on_this_machine_gets_paths_whatever_its_state_folder(on_socket: Any, tmp_path: Path) -> None:
    told = submit(on_socket(ours(tmp_path / "its own state")), "--state", str(tmp_path / "another"))
    assert told.exit_code == 0, told.output
    sent = Store.open(tmp_path / "its own state").run(json.loads(told.stdout)["run_id"])
    assert sent.parameters["data_root"] == str(tmp_path / "data")


def test_a_tunnel_to_a_cluster_gets_none_and_nothing_is_made_there(on_socket: Any, tmp_path: Path) -> None:
    cluster = Accepting(tmp_path / "cluster")
    address = on_socket(cluster.app)
    told = submit(address)
    assert told.exit_code == 2 and told.stderr.count("\n") == 1
    assert f"{tmp_path}/data is a path of this machine, which {address} cannot read: no `seamline serve`" in told.stderr
    assert "gs://BUCKET/FOLDER, or --shared-paths where it sees the same folders" in told.stderr
    assert not any(cluster.kept.values()) and Store.open(cluster.state_dir).runs() == []


def test_who_knows_that_the_cluster_sees_the_same_folders_says_so(on_socket: Any, tmp_path: Path) -> None:
    told = submit(on_socket(Accepting(tmp_path / "cluster").app), "--shared-paths")
    assert told.exit_code == 0, told.output


def test_a_server_of_ours_that_wants_a_token_is_not_taken_for_none(on_socket: Any, tmp_path: Path, token: Path) -> None:
    address = on_socket(ours(tmp_path / "state", TOKEN))
    with pytest.raises(PipelineError, match=r"does not accept who we are \(401\); say who you are with --auth"):
        Endpoint(address).shares_files()
    assert endpoint(address, f"token:{token}").shares_files()


def test_a_watcher_sends_none_through_a_tunnel_either(on_socket: Any, tmp_path: Path) -> None:
    cluster = Accepting(tmp_path / "cluster", multi_user=True)
    address = on_socket(cluster.app)
    folder = tmp_path / "rounds" / "round1"
    for name, content in (("Images/skirt/1.jpg", "a picture"), ("Annotations/label.csv", LABEL)):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(content)
    watch = ["watch", str(folder.parent), "--recipe", "demo", "--once", "--no-wait", "--quiet-s", "0"]
    where = ["--state", str(tmp_path / "state"), "--host", address, "--namespace", "team"]
    told = CliRunner().invoke(main, [*watch, *where])
    assert f"a path of this machine, which {address} cannot read" in told.output
    assert Store.open(cluster.state_dir).runs() == []
    told = CliRunner().invoke(main, [*watch, *where, "--shared-paths"])
    assert told.exit_code == 0, told.output
    (run,) = Store.open(cluster.state_dir).runs()
    assert run.parameters["rounds"][0]["uri"] == str(folder)
    assert len(cluster.kept["versions"]) == 1 and run.labels["reference"]["pipeline_version_id"] == "version-1"


@pytest.mark.parametrize("inode", [0, 1])
def test_a_server_in_a_container_or_behind_a_tunnel_names_a_folder_that_is_another_here(
    site: Any, tmp_path: Path, inode: int
) -> None:
    here = tmp_path.stat()
    folder = {"folder": str(tmp_path), "device": here.st_dev, "inode": here.st_ino + inode}
    assert Endpoint(site(lambda asked: Told.json(folder)).address).shares_files() == (inode == 0)


@pytest.mark.parametrize(
    "told",
    [
        Told.json({"folder": "/no/such/folder", "device": 1, "inode": 2}),
        Told.json({"folder": "\0", "device": 1, "inode": 2}),
        Told.json({"folder": None}),
        Told.json({}),
        Told.json({"message": "no"}, 404),
        Told.page("<title>Kubeflow Pipelines</title>"),
    ],
)
def test_whoever_tells_no_folder_of_this_machine_does_not_see_its_files(site: Any, told: Told) -> None:
    assert not Endpoint(site(lambda asked: told).address).shares_files()
