"""Our own API: tasks, logs, curves, plans, reruns, why something was cached, and streams that can be taken up again."""

import base64
import json

import pytest

from pipeline.engine.launch import ProcessLauncher
from pipeline.engine.store import Store

OWN = "/seamline/v1/runs"


@pytest.fixture
def run(engine, two_steps_ir):
    """Executes a run and returns its id."""

    def make(**parameters):
        run_id = engine.create_run(two_steps_ir, parameters)
        engine.execute(run_id)
        return run_id

    return make


@pytest.fixture
def ask(client):
    """GET of our own API, as JSON."""
    return lambda path, **query: client.get(f"{OWN}/{path}", params=query).json()


def sent(client, path, headers=None, **query):
    """The events of a stream that ends: (name, data, id)."""
    text = client.get(f"{OWN}/{path}", params=query, headers=headers or {}).text
    found = []
    for block in text.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines())
        found.append((lines["event"], json.loads(lines["data"]), lines.get("id", "")))
    return found


def rewrite_log(state_dir, run_id, key, content):
    Store.open(state_dir).log_path(run_id, key).write_bytes(content)


def test_tasks_are_listed_with_their_word(ask, run):
    body = ask(f"{run()[:8]}/tasks")
    assert body["word"] == "succeeded"
    assert [(t["key"], t["word"], t["attempts"]) for t in body["tasks"]] == [
        ("say", "succeeded", 1),
        ("shout", "succeeded", 1),
    ]


def test_a_log_is_read_in_pieces_that_never_cut_a_character(ask, run, state_dir):
    run_id = run()
    content = "aé€😀z" * 20
    rewrite_log(state_dir, run_id, "say", content.encode())
    text, offset = "", 0
    while offset < len(content.encode()):
        piece = ask(f"{run_id}/log", key="say", offset=offset, limit=5)
        assert piece["offset"] > offset and "\ufffd" not in piece["text"]
        text, offset = text + piece["text"], piece["offset"]
    assert text == content
    assert piece["ended"] and piece["size"] == offset
    assert ask(f"{run_id}/log", key="say", offset=-3)["text"] == "z"  # the rest of an emoji is left out


def test_bytes_that_are_no_text_are_shown_as_such(ask, run, state_dir):
    run_id = run()
    rewrite_log(state_dir, run_id, "say", b"a\xffb\xe2\x82")
    piece = ask(f"{run_id}/log", key="say")
    assert piece["text"] == "a\ufffdb\ufffd" and piece["offset"] == 5


def test_a_log_stream_can_be_taken_up_where_it_broke(client, run, state_dir):
    run_id = run()
    content = "".join(f"line {i} ü\n" for i in range(20_000)).encode()
    rewrite_log(state_dir, run_id, "say", content)
    events = sent(client, f"{run_id}/log/stream", key="say")
    assert [name for name, _, _ in events][-1] == "end" and events[-1][1] == {"state": "SUCCEEDED"}
    assert "".join(data["text"] for name, data, _ in events if name == "log").encode() == content
    assert max(len(data["text"]) for name, data, _ in events if name == "log") <= 1 << 16
    middle = events[0][2]
    again = sent(client, f"{run_id}/log/stream", headers={"last-event-id": middle}, key="say")
    assert [e for e in again] == events[1:]
    assert sent(client, f"{run_id}/log/stream", key="say", offset=len(content)) == events[-1:]


def test_the_log_of_a_reused_task_is_that_of_the_execution_it_reuses(ask, run):
    first, second = run(), run()
    assert ask(f"{second}/log", key="say")["text"] == ask(f"{first}/log", key="say")["text"] != ""


def test_curves_and_their_stream(client, ask, run):
    run_id = run()
    assert ask(f"{run_id}/metrics", key="say") == {"series": {"loss": {"x": [1.0], "y": [0.5]}}, "count": 1}
    events = sent(client, f"{run_id}/metrics/stream", key="say")
    assert events == [
        ("metric", {"step": 1.0, "values": {"loss": 0.5}, "attempt": 1}, "1"),
        ("end", {"state": "SUCCEEDED"}, ""),
    ]
    assert ask(f"{run()}/metrics", key="say")["count"] == 1  # cached: the curve of the execution it reuses


def test_the_journal_and_its_stream(client, ask, run):
    run_id = run()
    journal = ask(f"{run_id}/events")
    assert journal["events"][0]["detail"]["state"] == "PENDING"
    rest = ask(f"{run_id}/events", after=journal["events"][2]["sequence"])
    assert rest["events"] == journal["events"][3:]
    assert ask(f"{run_id}/events", after=journal["next"])["events"] == []
    stream = sent(client, f"{run_id}/events/stream")
    assert [data for name, data, _ in stream if name == "journal"] == journal["events"]
    assert stream[-1][:2] == ("end", {"state": "SUCCEEDED"})


def test_why_a_task_was_cached_and_what_differs_when_it_was_not(ask, run):
    first, same, other = run(), run(), run(word="bye")
    hit = ask(f"{same}/cache", key="say")
    assert hit["cached"] and hit["origin"] == {"run_id": first, "key": "say"} and hit["differences"] == []
    miss = ask(f"{other}/cache", key="say")
    assert not miss["cached"] and miss["nearest"] == {"run_id": first, "key": "say"}
    assert miss["differences"] == ["parameter word hello -> bye"]
    assert miss["parts"]["parameters"] == {"word": "bye", "times": 1}
    assert ask(f"{first}/cache", key="say")["nearest"] is None


def test_the_plan_of_a_retry(ask, run):
    plan = ask(f"{run(fail=True)}/plan/retry")
    assert [(row["key"], row["action"]) for row in plan["rows"]] == [("say", "reuse"), ("shout", "run")]


def test_a_rerun_is_planned_and_made(client, ask, run, engine):
    run_id = run()
    assert [row["action"] for row in ask(f"{run_id}/plan/rerun", key="say")["rows"]] == ["run", "run"]
    body = {"task": "shout", "overrides": {"share": 0.75}}
    plan = client.post(f"{OWN}/{run_id}/plan/rerun", json=body).json()
    made = client.post(f"{OWN}/{run_id}/rerun", json=body).json()
    assert made["plan"] == plan and [row["action"] for row in plan["rows"]] == ["reuse", "run"]
    assert "share 0.5 -> 0.75" in plan["rows"][1]["reason"]
    assert engine.execute(made["run_id"]) == "SUCCEEDED"
    assert 0.75 in json.loads(json.dumps(ask(f"{made['run_id']}/cache", key="shout")["parts"]["parameters"])).values()


@pytest.mark.parametrize(
    ("path", "query", "status", "said"),
    [
        ("nowhere/tasks", {}, 404, "no run 'nowhere'"),
        ("latest/log", {}, 400, "key is missing"),
        ("latest/log", {"key": "nobody"}, 404, "no task 'nobody'"),
        ("latest/log", {"key": "say", "attempt": 7}, 404, "no attempt 7"),
        ("latest/log", {"key": "say", "limit": 0}, 400, "limit is 4 to"),
        ("latest/log", {"key": "say", "offset": "x"}, 400, "no whole number"),
        ("latest/log/stream", {"key": "nobody"}, 404, "no task"),
        ("latest/plan/retry", {}, 409, "succeeded"),
        ("latest/plan/rerun", {}, 400, "no task is named"),
    ],
)
def test_bad_questions(client, run, path, query, status, said):
    run()
    answer = client.get(f"{OWN}/{path}", params=query)
    assert answer.status_code == status
    assert said in answer.json()["message"]


def test_a_stream_of_a_run_that_is_deleted_meanwhile_ends(client, run, engine, two_steps_ir):
    run_id = run()
    client.delete(f"/apis/v2beta1/runs/{run_id}")
    assert client.get(f"{OWN}/{run_id}/log/stream", params={"key": "say"}).status_code == 404


def test_no_artifact_outside_of_the_state_folder_is_sent(client, engine, compile_ir, tmp_path):
    from kfp import dsl

    secret = tmp_path / "secret"
    secret.write_text("do not show")

    @dsl.container_component
    def make(note: dsl.Output[dsl.Artifact]):
        return dsl.ContainerSpec("img:1", ["sh", "-c", 'mkdir -p "$(dirname "$0")"; printf ok > "$0"'], [note.path])

    @dsl.pipeline(name="files")
    def files():
        make()
        dsl.importer(str(secret), dsl.Artifact, reimport=True)

    run_id = engine.create_run(compile_ir(files), {})
    engine.execute(run_id)
    address = f"/apis/v2beta1/runs/{run_id}/nodes/%s/artifacts/%s:read"
    assert base64.b64decode(client.get(address % ("make", "note")).json()["data"]) == b"ok"
    assert client.get(address % ("importer", "artifact")).status_code == 404
    assert client.get(address % ("make", "..%2F..%2Fseamline.db")).status_code == 404
    assert client.get(address % ("make", "nothing")).status_code == 404


def test_a_log_by_kfps_own_address(client, run):
    run_id = run()
    answer = client.get(f"/apis/v1alpha1/runs/{run_id}/nodes/say/log")
    assert "::metric" in answer.text and answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert client.get(f"/apis/v1alpha1/runs/{run_id}/nodes/nobody/log").status_code == 404


def test_a_task_whose_log_does_not_exist_yet_has_an_empty_one(ask, engine, two_steps_ir, state_dir, monkeypatch):
    monkeypatch.setattr(ProcessLauncher, "release", lambda launcher, handle: None)  # its command has not begun
    store = Store.open(state_dir)
    run_id = engine.create_run(two_steps_ir, {})
    engine.begin(store.run(run_id)).turn()
    assert not store.log_path(run_id, "say").exists()
    piece = ask(f"{run_id}/log", key="say")
    engine.terminate(run_id)
    assert (piece["text"], piece["offset"], piece["ended"]) == ("", 0, False)


def test_rounds_are_listed_by_the_folder_they_lie_in(client, state_dir):
    from pipeline.engine.round_log import RoundLog
    from pipeline.engine.round_records import Source

    RoundLog(Store.open(state_dir).database).put_source(Source("s1", "/data/rounds", "demo", "demo", created=1.0))
    found = client.get("/seamline/v1/rounds").json()["sources"]
    assert [(s["address"], s["versions"], s["launches"]) for s in found] == [("/data/rounds", [], [])]
