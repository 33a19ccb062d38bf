"""The command `kfp`, unmodified, as a process of its own, against the real server."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
KFP = Path(sys.executable).with_name("kfp")
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
WAIT_S = 60


@pytest.fixture
def kfp(server):
    """Runs `kfp ...`, says yes when it asks, and returns what it printed, as JSON where it is."""

    def run(*words, fails=False):
        command = [KFP, "--endpoint", server.url, "--output", "json", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, input="y\n")
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        try:
            return json.loads(done.stdout)
        except ValueError:
            return done.stdout + done.stderr

    return run


@pytest.fixture(scope="module")
def greeting_id(server, packages):
    command = [KFP, "--endpoint", server.url, "--output", "json", "pipeline", "create"]
    done = subprocess.run([*command, "-p", "Greeting", packages("greeting.yaml")], capture_output=True, text=True)
    return ID.search(done.stdout)[0]


def state_of(kfp, run_id, *awaited):
    """Waits until a run is in one of the states."""
    until = time.monotonic() + WAIT_S
    while (state := kfp("run", "get", run_id)["state"]) not in awaited and time.monotonic() < until:
        time.sleep(0.2)
    return state


def test_pipelines_and_versions(kfp, greeting_id, packages):
    assert names(kfp("pipeline", "list")) == {"Greeting"}
    assert kfp("pipeline", "get", greeting_id)["display_name"] == "Greeting"
    kfp("pipeline", "create-version", "-p", greeting_id, "-v", "second", packages("greeting.yaml"))
    versions = kfp("pipeline", "list-versions", greeting_id)
    assert names(versions) == {"Greeting", "second"}
    version_id = id_of(versions, "second", "pipeline_version_id")
    assert kfp("pipeline", "get-version", greeting_id, version_id)["display_name"] == "second"
    kfp("pipeline", "delete-version", greeting_id, version_id)
    assert names(kfp("pipeline", "list-versions", greeting_id)) == {"Greeting"}


def listed(answer):
    """Rows of a list; an empty one prints something else."""
    return answer if isinstance(answer, list) else []


def names(answer):
    return {row["display_name"] for row in listed(answer)}


def id_of(answer, name, key):
    """The id of the row with a name."""
    return next(row[key] for row in listed(answer) if row["display_name"] == name)


def run_of(said):
    """The run in the address that the client prints."""
    return re.search(rf"runs/details/({ID.pattern})", said)[1]


def test_experiments(kfp):
    kfp("experiment", "create", "By command")
    experiment_id = id_of(kfp("experiment", "list"), "By command", "experiment_id")
    assert kfp("experiment", "get", experiment_id)["display_name"] == "By command"
    kfp("experiment", "archive", "--experiment-id", experiment_id)
    assert kfp("experiment", "get", experiment_id)["storage_state"] == "ARCHIVED"
    kfp("experiment", "unarchive", "--experiment-id", experiment_id)
    kfp("experiment", "delete", experiment_id)
    assert "By command" not in names(kfp("experiment", "list"))


def test_a_number_given_for_a_text_is_a_text_and_the_watch_ends_with_the_run(kfp, packages):
    said = kfp("run", "create", "-e", "Default", "-f", packages("greeting.yaml"), "--watch", "text=5", "times=2")
    run_id = run_of(said)
    assert state_of(kfp, run_id, "SUCCEEDED", "FAILED") == "SUCCEEDED"


def test_runs_of_a_version_are_listed_archived_and_deleted(kfp, greeting_id):
    version_id = id_of(kfp("pipeline", "list-versions", greeting_id), "Greeting", "pipeline_version_id")
    made = kfp("run", "create", "-e", "Default", "-r", "shelved", "-p", greeting_id, "-v", version_id, "share=0.25")
    run_id = run_of(made)
    assert state_of(kfp, run_id, "SUCCEEDED", "FAILED") == "SUCCEEDED"
    assert "shelved" in names(kfp("run", "list"))
    kfp("run", "archive", run_id)
    assert kfp("run", "get", run_id)["storage_state"] == "ARCHIVED"
    kfp("run", "unarchive", run_id)
    kfp("run", "delete", run_id)
    assert run_id not in json.dumps(kfp("run", "list"))


def test_an_unknown_parameter_is_refused_with_the_nearest_name(kfp, packages):
    said = kfp("run", "create", "-e", "Default", "-f", packages("greeting.yaml"), "tims=2", fails=True)
    assert "did you mean 'times'?" in said


def test_recurring_runs_are_made_disabled_unless_asked(kfp, packages):
    arguments = ["--experiment-name", "Default", "--cron-expression", "0 0 2 * * *"]
    arguments += ["--pipeline-package-path", packages("greeting.yaml")]
    kfp("recurring-run", "create", "--job-name", "nightly", *arguments, "share=0.3")
    recurring_id = id_of(kfp("recurring-run", "list"), "nightly", "recurring_run_id")
    assert "DISABLED" in json.dumps(kfp("recurring-run", "get", recurring_id))
    kfp("recurring-run", "enable", recurring_id)
    assert "ENABLED" in json.dumps(kfp("recurring-run", "get", recurring_id))
    kfp("recurring-run", "disable", recurring_id)
    kfp("recurring-run", "delete", recurring_id)
    assert "nightly" not in json.dumps(kfp("recurring-run", "list"))


def test_a_pipeline_is_deleted_after_its_versions(kfp, packages):
    made = kfp("pipeline", "create", "-p", "Passing", packages("resting.yaml"))
    pipeline_id = ID.search(json.dumps(made))[0]
    version_id = id_of(kfp("pipeline", "list-versions", pipeline_id), "Passing", "pipeline_version_id")
    kfp("pipeline", "delete-version", pipeline_id, version_id)
    kfp("pipeline", "delete", pipeline_id)
    assert "Passing" not in json.dumps(kfp("pipeline", "list"))


def test_the_address_may_come_from_the_environment_and_an_old_context_does_no_harm(server, own_home):
    context = own_home / ".config" / "kfp" / "context.json"
    context.parent.mkdir(parents=True)
    context.write_text(json.dumps({"namespace": "stale", "client_authentication_cookie": "old=cookie; odd"}))
    environment = {**os.environ, "KF_PIPELINES_ENDPOINT": server.url}
    done = subprocess.run([KFP, "experiment", "list"], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "Default" in done.stdout


def test_the_page_says_which_routes_this_client_has_driven(server, check_against_page):
    check_against_page("kfp command", server.driven())
