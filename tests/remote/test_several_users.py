"""A Kubeflow for several users: every run is of an experiment in a namespace, which KFP does not make by itself."""

import json

import pytest
from click.testing import CliRunner, Result

from pipeline import local
from pipeline.cli import main
from pipeline.errors import PipelineError
from pipeline.remote import Endpoint
from pipeline.rounds.launching import Order, RemoteLauncher
from tests.remote.stock_kfp import Accepting, StockKfp

pytestmark = pytest.mark.usefixtures("nothing_of_this_machine")
TEAM = "team"


@pytest.fixture
def cluster(tmp_path):
    return StockKfp(tmp_path / "state", multi_user=True)


@pytest.fixture
def address(cluster, on_socket):
    return on_socket(cluster.app)


@pytest.fixture
def endpoint(address):
    return Endpoint(address, namespace=TEAM)


@pytest.fixture
def submitted(endpoint, machine, rounds_ir):
    run_id = endpoint.submit_version(rounds_ir, {"counter": str(machine.counter)}, "first", experiment="tries")
    machine.ran()
    return run_id


def experiments(cluster: StockKfp) -> list[tuple[str, str]]:
    return [(one["display_name"], one["namespace"]) for one in cluster.kept["experiments"].values()]


def experiment_of(cluster: StockKfp, run_id: str) -> str:
    key = cluster.engine()[0].run(run_id).labels["experiment"]
    return str(cluster.kept["experiments"][key]["display_name"])


def command(address: str, *words: str) -> Result:
    return CliRunner().invoke(main, [*words, "--host", address, "--json"])


def test_a_run_without_an_experiment_goes_into_the_default_one_of_its_namespace(endpoint, cluster, machine, rounds_ir):
    parameters = {"counter": str(machine.counter)}
    for name in ("first", "second"):
        assert endpoint.run(endpoint.submit(rounds_ir, parameters, name)).state == "SUCCEEDED"
    assert experiments(cluster) == [("Default", TEAM)]
    assert [run.name for run in endpoint.runs()] == ["second", "first"]
    assert [pipeline["namespace"] for pipeline in cluster.kept["pipelines"].values()] == []
    endpoint.submit_version(rounds_ir, parameters, "third")
    assert [pipeline["namespace"] for pipeline in cluster.kept["pipelines"].values()] == [TEAM]


def test_another_namespace_has_experiments_and_runs_of_its_own(endpoint, cluster, address, machine, rounds_ir):
    endpoint.submit(rounds_ir, {"counter": str(machine.counter)}, "ours")
    theirs = Endpoint(address, namespace="others")
    assert theirs.runs() == [] and theirs.find_run("ours") is None
    theirs.submit(rounds_ir, {"counter": str(machine.counter)}, "theirs")
    assert experiments(cluster) == [("Default", TEAM), ("Default", "others")]
    assert [run.name for run in endpoint.runs()] == ["ours"]


def test_without_a_namespace_the_refusal_says_which_option_names_it(address, machine, rounds_ir):
    for asked in (
        lambda: Endpoint(address).runs(),
        lambda: Endpoint(address).submit(rounds_ir, {"counter": str(machine.counter)}, "x"),
        lambda: Endpoint(address).submit(rounds_ir, {"counter": str(machine.counter)}, "x", experiment="tries"),
    ):
        with pytest.raises(PipelineError, match="in multi-user mode; name your profile with --namespace") as refused:
            asked()
        assert "\n" not in str(refused.value)


def test_the_command_submits_there(on_socket, tmp_path, monkeypatch):
    cluster = Accepting(tmp_path / "state", multi_user=True)
    rounds = [{"name": "round1", "uri": "gs://b/round1", "digest": "0"}]
    monkeypatch.setattr(local, "prepare", lambda *_: ({"rounds": rounds, "data_root": "gs://b/data"}, ""))
    address = on_socket(cluster.app)
    told = command(address, "submit", "demo", "--namespace", TEAM)
    assert told.exit_code == 0, told.output
    assert experiments(cluster) == [("Default", TEAM)] and len(cluster.kept["versions"]) == 1
    assert experiment_of(cluster, json.loads(told.stdout)["run_id"]) == "Default"
    told = command(address, "submit", "demo", "--namespace", TEAM, "--experiment", "tries")
    assert experiment_of(cluster, json.loads(told.stdout)["run_id"]) == "tries"


def test_a_repeated_task_runs_in_the_experiment_of_the_old_run(address, cluster, machine, submitted):
    told = command(address, "rerun", submitted, "--task", "skirt/b/train", "--set", "epochs=7")
    assert told.exit_code == 0, told.output
    again = json.loads(told.stdout)
    assert (again["state"], again["name"]) == ("SUCCEEDED", "first again: skirt/b/train")
    assert experiment_of(cluster, again["run_id"]) == "tries"
    assert experiments(cluster) == [("tries", TEAM)], "an experiment was made for it"
    assert any(line.startswith("train(7,b") for line in machine.ran())


def test_a_failed_run_goes_on_where_it_failed(address, endpoint, cluster, machine, mended_ir, tmp_path):
    file = tmp_path / "wanted"
    run_id = endpoint.submit_version(mended_ir, {"counter": str(machine.counter), "path": str(file)}, "mended")
    assert endpoint.run(run_id).state == "FAILED" and machine.ran() == ["ingest()"]
    file.touch()
    told = command(address, "retry", run_id)
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["state"] == "SUCCEEDED"
    assert [line.partition("(")[0] for line in machine.ran()] == ["check", "report"], "ingest had succeeded"
    assert experiment_of(cluster, run_id) == "Default"


def test_a_watcher_launches_there_once_and_as_a_version(endpoint, cluster, machine, rounds_ir, tmp_path):
    order = Order("key", "round1 of it", rounds_ir, {"counter": str(machine.counter)})
    launched = [RemoteLauncher(endpoint, tmp_path / name).launch(order) for name in ("one", "other")]
    assert launched[0] == launched[1] and RemoteLauncher(endpoint, tmp_path).outcome(launched[0]).state == "SUCCEEDED"
    assert len(cluster.kept["versions"]) == 1 and experiment_of(cluster, launched[0]) == "Default"


def test_kfps_own_client_finds_the_same_default_there(address, endpoint, cluster, machine, rounds_ir, tmp_path):
    import kfp

    file = tmp_path / "rounds.yaml"
    file.write_text(rounds_ir)
    parameters = {"counter": str(machine.counter)}
    theirs = kfp.Client(host=address, namespace=TEAM).create_run_from_pipeline_package(
        str(file), parameters, run_name="by kfp", namespace=TEAM
    )
    ours = endpoint.submit(rounds_ir, parameters, "ours")
    assert experiments(cluster) == [("Default", TEAM)]
    assert [run.run_id for run in endpoint.runs()] == [ours, theirs.run_id]


def test_the_console_is_told_its_namespace(address, monkeypatch):
    served = []
    monkeypatch.setattr("pipeline.serving.serve", lambda state, listen, say, endpoint, *rest: served.append(endpoint))
    told = CliRunner().invoke(main, ["serve", "--kfp", address, "--kfp-namespace", TEAM])
    assert told.exit_code == 0 and served[0].runs() == []
