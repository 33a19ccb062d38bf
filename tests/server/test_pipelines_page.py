"""What was uploaded, in which versions, and the groups of runs."""

from starlette.testclient import TestClient

from pipeline.engine.catalogue import Catalogue, Labels
from pipeline.engine.records import About
from pipeline.engine.runner import Engine
from pipeline.server.services import Services

JSON = {"accept": "application/json"}


def upload(client: TestClient, text: str, **given: str) -> str:
    answer = client.post("/pipelines", data=given, files={"file": ("mine.yaml", text)})
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def test_an_empty_list_says_how_to_upload(client: TestClient) -> None:
    page = client.get("/pipelines").text
    assert "No pipeline was uploaded" in page
    assert "kfp --endpoint" in page


def test_an_uploaded_file_becomes_a_pipeline_named_as_it_names_itself(client: TestClient, two_steps_ir: str) -> None:
    found = client.get(upload(client, two_steps_ir), headers=JSON).json()
    assert found["pipeline"]["name"] == "two-steps"
    assert [v["name"] for v in found["versions"]] == ["two-steps"]
    assert {p["name"]: p["default"] for p in found["parameters"]}["word"] == "hello"


def test_a_version_is_added_and_comes_first(client: TestClient, two_steps_ir: str) -> None:
    where = upload(client, two_steps_ir)
    newer = two_steps_ir.replace("defaultValue: hello", "defaultValue: good day")
    assert upload(client, newer, pipeline_id=where.rsplit("/", 1)[1], name="polite") == where
    found = client.get(where, headers=JSON).json()
    assert [v["name"] for v in found["versions"]] == ["polite", "two-steps"]
    assert {p["name"]: p["default"] for p in found["parameters"]}["word"] == "good day"


def test_what_is_no_pipeline_is_refused_on_the_same_page(client: TestClient) -> None:
    answer = client.post("/pipelines", data={"name": "mine"}, files={"file": ("x.yaml", "a: 1")}, headers=JSON)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert "no file was chosen" in client.post("/pipelines", data={"name": "mine"}, headers=JSON).json()["error"]


def test_a_name_that_is_taken_is_told_with_the_form_kept(client: TestClient, two_steps_ir: str) -> None:
    upload(client, two_steps_ir, name="mine")
    answer = client.post("/pipelines", data={"name": "mine"}, files={"file": ("x.yaml", two_steps_ir)})
    assert answer.status_code == 400
    assert "there is a pipeline &#39;mine&#39; already" in answer.text
    assert 'value="mine"' in answer.text


def test_a_version_shows_what_it_takes_and_gives_the_compiled_pipeline(client: TestClient, two_steps_ir: str) -> None:
    where = upload(client, two_steps_ir)
    version_id = client.get(where, headers=JSON).json()["versions"][0]["version_id"]
    page = client.get(f"{where}/version/{version_id}")
    assert f'href="/submit?version={version_id}"' in page.text
    given = client.get(f"{where}/version/{version_id}?as=yaml")
    assert given.text == two_steps_ir
    assert given.headers["content-disposition"].startswith("attachment")


def test_runs_of_a_pipeline_are_listed_with_a_way_to_clone_them_onto_its_newest_version(
    client: TestClient, services: Services, engine: Engine, two_steps_ir: str
) -> None:
    known = Catalogue(services.store)
    made = known.create(Labels("mine"), 1.0, two_steps_ir)
    version_id = known.latest(made.pipeline_id).version_id
    run_id = engine.create_run(two_steps_ir, {}, about=About(version_id=version_id))
    page = client.get(f"/pipelines/{made.pipeline_id}").text
    assert f"/submit?clone={run_id}&amp;version={version_id}" in page


def test_an_unknown_pipeline_is_not_found(client: TestClient) -> None:
    assert client.get("/pipelines/nope", headers=JSON).status_code == 404
    assert client.get("/pipelines/nope/version/nope", headers=JSON).status_code == 404


def test_many_pipelines_come_in_pages(client: TestClient, services: Services, two_steps_ir: str) -> None:
    known = Catalogue(services.store)
    for number in range(53):
        known.create(Labels(f"p{number}"), float(number), two_steps_ir)
    first = client.get("/pipelines", headers=JSON).json()
    assert (first["total"], len(first["pipelines"])) == (53, 50)
    second = client.get("/pipelines", params={"after": first["after"]}, headers=JSON).json()
    assert [row["pipeline"]["name"] for row in second["pipelines"]] == ["p2", "p1", "p0"]


def test_an_experiment_is_made_archived_and_taken_out_again(client: TestClient) -> None:
    assert client.post("/experiments", data={"name": "autumn"}).headers["location"] == "/experiments"
    (made,) = client.get("/experiments", headers=JSON).json()["experiments"]
    assert (made["display_name"], made["archived"]) == ("autumn", False)
    client.post("/experiments", data={"archive": made["experiment_id"]})
    assert client.get("/experiments", headers=JSON).json()["experiments"][0]["archived"]
    client.post("/experiments", data={"unarchive": made["experiment_id"]})
    assert not client.get("/experiments", headers=JSON).json()["experiments"][0]["archived"]


def test_an_experiment_without_a_name_or_with_one_that_is_taken_is_refused(client: TestClient) -> None:
    client.post("/experiments", data={"name": "autumn"})
    for name in ("", "autumn"):
        answer = client.post("/experiments", data={"name": name}, headers=JSON)
        assert answer.status_code == 400
        assert answer.json()["error"]
    assert client.post("/experiments", data={"archive": "nope"}, headers=JSON).status_code == 404
