"""Rounds in the console: a folder is watched, what landed and what was refused is shown, chosen rounds run again."""

import html
import shutil

import pytest

from pipeline.datasets import demo


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A drawn data set of two rounds."""
    return demo.draw(tmp_path_factory.mktemp("drawn") / "data", seed=3, images=60).folder


@pytest.fixture
def data(drawn, tmp_path):
    """A folder in which the first of them has landed."""
    folder = tmp_path / "rounds"
    shutil.copytree(drawn / "base", folder / "round1")
    (folder / "round1" / "_SUCCESS").touch()
    return folder


def watched(client, data, **more):
    return client.post("/rounds", data={"address": str(data), "recipe": "demo", "quiet_s": "0", **more})


def folder(client):
    return client.get("/rounds", params={"format": "json"}).json()["folders"][0]


def test_a_round_that_has_landed_launches_a_run_that_the_page_links(client, data, services):
    assert watched(client, data).status_code == 303
    (found,) = folder(client)["rounds"]
    assert (found["label"], found["state"]) == ("round1", "launched")
    run = services.reader.run(found["launch"]["run_id"])
    assert f"/runs/{run.run_id}" in client.get("/rounds").text
    assert len(services.reader.runs()) == 1


def test_watching_the_same_folder_again_launches_nothing_more(client, data, services):
    watched(client, data)
    watched(client, data)
    assert len(services.reader.runs()) == 1 and len(folder(client)["rounds"]) == 1


def test_a_round_that_is_refused_says_why(client, data, services):
    for table in (data / "round1").rglob("*.csv"):
        table.write_text("nonsense\n")
    watched(client, data)
    (found,) = folder(client)["rounds"]
    assert found["state"] in ("rejected", "waiting") and found["reason"]
    assert found["reason"] in html.unescape(client.get("/rounds").text)
    assert services.reader.runs() == []


def test_a_chosen_round_runs_again_and_the_page_leads_to_its_run(client, data, services):
    watched(client, data)
    source = folder(client)["source"]["source_id"]
    answer = client.post(f"/rounds/{source}/backfill", data={"round": ["round1"]})
    assert answer.headers["location"].startswith("/runs/")
    assert client.post(f"/rounds/{source}/backfill", data={}).status_code == 400


def test_a_folder_is_paused_resumed_and_forgotten_with_its_record_kept(client, data):
    watched(client, data)
    source = folder(client)["source"]["source_id"]
    client.post(f"/rounds/{source}/pause")
    assert folder(client)["source"]["enabled"] is False and "Paused" in client.get("/rounds").text
    client.post(f"/rounds/{source}/resume")
    assert folder(client)["source"]["enabled"] is True
    client.post(f"/rounds/{source}/remove")
    assert folder(client)["source"]["registered"] is False and len(folder(client)["rounds"]) == 1


@pytest.mark.parametrize(
    "wrong", [{"address": " "}, {"recipe": "nothing"}, {"quiet_s": "soon"}, {"overrides": "round1.epoch=3"}]
)
def test_what_does_not_fit_is_said_beside_the_form_with_everything_kept(client, data, wrong):
    answer = watched(client, data, **{"overrides": "round1.epochs=3", **wrong})
    assert answer.status_code == 400 and 'role="alert"' in answer.text
    assert "round1.epoch" in answer.text
    assert client.get("/rounds", params={"format": "json"}).json()["folders"] == []


def test_an_unknown_folder_or_action_is_not_found(client, data):
    watched(client, data)
    source = folder(client)["source"]["source_id"]
    assert client.post("/rounds/nothing/look").status_code == 404
    assert client.post(f"/rounds/{source}/explode").status_code == 404
