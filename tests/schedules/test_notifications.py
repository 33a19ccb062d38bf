"""Webhooks: who hears of which run, what the message says, and that nothing is lost or told twice."""

import hashlib
import hmac
import json
import logging
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from pipeline.engine import schema
from pipeline.engine.database import connect, to_json
from pipeline.engine.outbox import TRIED_S, Moment, Outbox
from pipeline.engine.states import RunState, TaskState
from pipeline.engine.store import Store
from pipeline.errors import NotFound, PipelineError
from pipeline.notices import HttpSender, Notices, Undelivered, signature

URL = "https://hooks.example.org/services/T0/pass?token=hush"
SECRET = "s3cret-key"


class Receiver:
    """A sender that keeps what it was given; it refuses while `problem` is set."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, Any], Mapping[str, str], bytes]] = []
        self.tried = 0
        self.problem = ""

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        self.tried += 1
        if self.problem:
            raise Undelivered(self.problem)
        self.got.append((url, json.loads(body), headers, body))


class Post:
    """The outbox of a state folder and who receives from it."""

    def __init__(self, office: Any) -> None:
        self.office = office
        self.clock = office.clock
        self.outbox = Outbox(office.store)
        self.receiver = Receiver()
        self.notices = self.new_notices(office.store)

    def new_notices(self, store: Store) -> Notices:
        return Notices(store, self.clock, lambda run_id: f"http://here/runs/{run_id}", self.receiver, lambda: 0.5)

    def add(self, moment: str = "ended", **values: Any) -> Any:
        return self.outbox.add(URL, moment, self.clock.now(), **values)

    def end_run(self, state: RunState = RunState.FAILED, log: str = "", reason: str = "exit code 1") -> str:
        """Makes a run whose one task ends so, and ends it."""
        store, now = self.office.store, self.clock.now()
        run_id = str(self.office.engine.create_run(store_text(self.office), {}, "colours <1>"))
        store.move_run(run_id, RunState.RUNNING, now)
        task_state = TaskState.FAILED if state is RunState.FAILED else TaskState.SUCCEEDED
        folder = store.directory / "runs" / run_id
        folder.mkdir(parents=True)
        (folder / "log").write_text(log)
        with store.database.writing():
            task = {"run_id": run_id, "key": "train", "label": "red/train", "name": "train", "kind": "task"}
            store.database.insert(
                "tasks", task | {"parent": "", "component": "c", "state": task_state, "reason": reason, "created": now}
            )
            attempt = {"run_id": run_id, "key": "train", "number": 1, "state": task_state, "directory": str(folder)}
            failure = {"kind": "bug", "cause": "ValueError: no <red>", "fix": "mend the code", "on_gpu": False}
            known = {"failure_json": to_json(failure)} if state is RunState.FAILED and log else {}
            store.database.insert("attempts", attempt | {"started": now} | known)
        store.move_run(run_id, state, now, "failed: train" if state is RunState.FAILED else "")
        return run_id

    def messages(self) -> list[dict[str, Any]]:
        return [message for _, message, _, _ in self.receiver.got]


def store_text(office: Any) -> str:
    rows = office.store.database.rows("SELECT text FROM pipelines WHERE digest = ?", (office.digest,))
    return str(rows[0]["text"])


@pytest.fixture
def post(office: Any) -> Post:
    return Post(office)


# Who hears of what


def test_a_receiver_of_failures_hears_of_failed_runs_only(post: Post) -> None:
    post.add("failed")
    failed = post.end_run(RunState.FAILED)
    post.end_run(RunState.SUCCEEDED)
    post.end_run(RunState.CANCELED)
    post.notices.turn()
    assert [message["run_id"] for message in post.messages()] == [failed]


def test_a_receiver_of_ends_hears_of_every_end(post: Post) -> None:
    post.add("ended")
    for state in (RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELED):
        post.end_run(state)
    post.notices.turn()
    assert [message["state"] for message in post.messages()] == ["SUCCEEDED", "FAILED", "CANCELED"]


def test_nobody_hears_of_what_ended_before_they_were_added(post: Post) -> None:
    post.end_run()
    post.notices.turn()
    post.add()
    post.notices.turn()
    assert post.messages() == []


def test_a_run_that_fails_again_after_a_retry_is_a_new_event(post: Post, office: Any) -> None:
    post.add()
    run_id = post.end_run()
    post.notices.turn()
    office.engine.retry(run_id)
    office.finish(RunState.FAILED)
    post.notices.turn()
    first, second = post.messages()
    assert first["run_id"] == second["run_id"] == run_id
    assert first["event_id"] != second["event_id"]


def test_a_folder_of_an_older_version_tells_nobody_of_its_old_runs(
    office: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "old"
    old.mkdir()
    connection = connect(old / "seamline.db", False)
    newest = schema.scripts()
    with monkeypatch.context() as patch:
        patch.setattr(schema, "scripts", lambda: {n: text for n, text in newest.items() if n <= 2})
        schema.migrate(connection)
    connection.execute("INSERT INTO journal VALUES (7, 1.0, 'r', '', 'run', '{\"state\": \"FAILED\"}')")
    connection.close()
    store = Store.open(old)
    outbox = Outbox(store)
    outbox.add(URL, Moment.ENDED, 2.0)
    assert outbox.collect(lambda event: {}, 3.0) == 0
    store.close()


# What the message says


def test_the_message_names_the_run_the_failed_task_and_the_end_of_its_log(post: Post) -> None:
    post.add()
    lines = "\n".join(f"line {number}" for number in range(100))
    run_id = post.end_run(
        log=f'{lines}\n::progress {{"done": 1}}\n::metric {{"step": 1}}\nValueError: no <red> & blue\n'
    )
    post.notices.turn()
    (message,) = post.messages()
    assert message["event"] == "run.ended" and message["time"] == "2026-11-22T00:00:00Z"
    assert (message["run_id"], message["name"], message["state"]) == (run_id, "colours <1>", "FAILED")
    assert message["reason"] == "failed: train" and message["link"] == f"http://here/runs/{run_id}"
    (task,) = message["failed_tasks"]
    assert (task["task"], task["reason"]) == ("red/train", "exit code 1")
    assert (task["class"], task["cause"], task["fix"]) == ("bug", "ValueError: no <red>", "mend the code")
    assert task["log"] == [f"line {number}" for number in range(81, 100)] + ["ValueError: no <red> & blue"]


def test_the_text_is_what_slack_shows_and_a_log_cannot_break_out_of_its_block(post: Post) -> None:
    post.add()
    run_id = post.end_run(log="```\n<!channel> & more\n")
    post.notices.turn()
    assert post.messages()[0]["text"] == (
        f"*colours &lt;1&gt;* failed (run {run_id[:8]}): http://here/runs/{run_id}\n"
        "red/train: ValueError: no &lt;red&gt;\nLikely fix: mend the code\n"
        "```\n'''\n&lt;!channel&gt; &amp; more\n```"
    )


def test_a_log_of_any_size_and_any_bytes_gives_a_small_message(post: Post, office: Any) -> None:
    post.add()
    run_id = post.end_run(log="")
    (office.store.directory / "runs" / run_id / "log").write_bytes(b"\xff\xfe\x00" * 1_000_000)
    post.notices.turn()
    assert len(post.receiver.got[0][3]) < 20_000


def test_a_missing_log_leaves_the_message_without_lines(post: Post, office: Any) -> None:
    post.add()
    run_id = post.end_run(log="x")
    (office.store.directory / "runs" / run_id / "log").unlink()
    post.notices.turn()
    assert post.messages()[0]["failed_tasks"][0]["log"] == []


def test_a_run_that_was_deleted_before_the_message_is_still_told_of(post: Post, office: Any) -> None:
    post.add()
    run_id = post.end_run()
    with office.store.database.writing():
        office.store.database.update("runs", {"deleted": 1.0}, {"run_id": run_id})
    post.notices.turn()
    assert post.messages()[0]["text"] == f"Run {run_id[:8]} failed; it has been deleted."


def test_a_secret_signs_the_very_bytes_that_are_sent(post: Post) -> None:
    post.add(secret=SECRET)
    post.end_run()
    post.notices.turn()
    _, message, headers, body = post.receiver.got[0]
    expected = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert headers["X-Seamline-Signature"] == f"sha256={expected}" == signature(SECRET, body)
    assert headers["X-Seamline-Event"] == message["event_id"]


def test_without_a_secret_there_is_no_signature(post: Post) -> None:
    post.add()
    post.end_run()
    post.notices.turn()
    assert "X-Seamline-Signature" not in post.receiver.got[0][2]


# Delivery


def test_a_message_that_does_not_arrive_is_tried_again_later_and_later_with_the_same_event_id(post: Post) -> None:
    post.add()
    post.end_run()
    post.receiver.problem = "HTTP 503"
    pauses = []
    for _ in range(12):
        post.notices.turn()
        (row,) = post.outbox.deliveries()
        pauses.append(round(row.next_try - post.clock.now()))
        post.clock.time = row.next_try - 0.5
        post.notices.turn()  # too early: nothing is tried
        post.clock.time = row.next_try
    assert post.receiver.tried == 12
    assert pauses == [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600]
    assert row.problem == "HTTP 503"
    post.receiver.problem = ""
    assert post.notices.turn() == 1
    assert post.messages()[0]["event_id"] == row.event_id
    assert post.outbox.deliveries()[0].delivered == post.clock.now()
    assert post.outbox.due(post.clock.now() + 1e6) == []


def test_after_a_day_it_is_given_up_and_says_so(post: Post, caplog: pytest.LogCaptureFixture) -> None:
    post.add()
    post.end_run()
    post.receiver.problem = "ConnectTimeout"
    begin = post.clock.now()
    post.notices.turn()
    while (row := post.outbox.deliveries()[0]).next_try:
        post.clock.time = row.next_try
        post.notices.turn()
    assert (row.next_try, row.delivered, row.problem) == (0, 0, "ConnectTimeout")
    assert TRIED_S - 3600 < post.clock.now() - begin <= TRIED_S
    assert "given up after a day" in caplog.text


def test_a_receiver_that_does_not_answer_is_tried_once_in_a_turn_and_delays_no_other(post: Post) -> None:
    post.add()
    other = post.outbox.add("http://other.example.org", "ended", post.clock.now())
    for _ in range(3):
        post.end_run()

    class Half(Receiver):
        def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
            self.problem = "" if url == other.url else "ConnectError"
            super().post(url, body, headers)

    post.receiver = Half()
    assert post.new_notices(post.office.store).turn() == 3
    assert post.receiver.tried == 4


def test_a_sender_killed_while_it_sends_sends_again_after_a_restart(post: Post) -> None:
    post.add()
    post.end_run()

    class Killed(BaseException):
        pass

    class Dying(Receiver):
        def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
            raise Killed

    alive, post.receiver = post.receiver, Dying()
    with pytest.raises(Killed):
        post.new_notices(post.office.store).turn()
    post.receiver = alive
    post.clock.sleep(61)
    assert post.new_notices(post.office.store).turn() == 1
    assert len(post.messages()) == 1


def test_two_senders_at_once_put_each_end_into_the_outbox_once_and_send_it_once(
    post: Post, second_store: Store
) -> None:
    post.add()
    post.end_run()
    other = Outbox(second_store)
    post.outbox.collect(lambda event: {"by": other.collect(lambda event: {"by": "other"}, 1.0)}, 2.0)
    (row,) = post.outbox.deliveries()
    assert row.body["by"] == "other"
    assert other.claim(row, post.clock.now() + 60)
    assert not post.outbox.claim(row, post.clock.now() + 60)


def test_more_ends_than_fit_into_one_look_are_all_told(post: Post) -> None:
    post.add()
    database = post.office.store.database
    with database.writing() as journal:
        for number in range(250):
            journal(1.0, f"run-{number}", "", "run", {"state": "FAILED"})
            journal(1.0, f"run-{number}", "train", "task", {"state": "FAILED"})
    for _ in range(3):
        post.notices.turn()
    assert [m["run_id"] for m in post.messages()] == [f"run-{number}" for number in range(250)]


def test_a_clock_that_goes_back_does_not_hold_a_message_up(post: Post) -> None:
    post.add()
    post.end_run()
    post.receiver.problem = "HTTP 500"
    post.notices.turn()
    post.receiver.problem = ""
    post.clock.sleep(-30 * 86_400.0)
    assert post.notices.turn() == 1


def test_a_removed_receiver_is_told_nothing_more(post: Post) -> None:
    made = post.add()
    post.end_run()
    post.outbox.collect(lambda event: {}, post.clock.now())
    post.outbox.remove(made.notification_id, post.clock.now())
    assert post.outbox.deliveries() == [] and post.outbox.receivers() == []
    assert post.notices.turn() == 0
    with pytest.raises(NotFound, match="it was removed, or its id is wrong"):
        post.outbox.remove(made.notification_id, 0.0)


# Settings


@pytest.mark.parametrize(
    "url",
    ["", "hooks.example.org", "ftp://h/x", "http://", "http://h:0/", "http://[::1", "http://h/ x", "http://\x00/"],
)
def test_an_address_that_is_none_is_refused_without_repeating_it(post: Post, url: str) -> None:
    with pytest.raises(PipelineError, match=r"^the webhook's address is not usable; expected http://… or https://…"):
        post.outbox.add(url, "ended", 0.0)


def test_an_unknown_moment_is_refused(post: Post) -> None:
    with pytest.raises(PipelineError, match="a notification on 'started' is not possible; expected failed or ended"):
        post.add("started")


def test_secret_and_address_stand_in_no_log_no_journal_and_no_description(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    made = post.add(secret=SECRET)
    post.end_run()
    post.receiver.problem = "HTTP 500"
    post.notices.turn()
    post.receiver.problem = ""
    told = caplog.text + repr(made) + str(post.office.store.events("")) + made.shown_url
    assert "https://hooks.example.org/…" in told
    assert not [word for word in ("pass", "hush", SECRET) if word in told]


def test_a_test_message_is_sent_at_once_and_tells_what_went_wrong(post: Post) -> None:
    made = post.add()
    post.notices.send_test(made.notification_id)
    assert post.messages()[0]["text"].startswith("Seamline: this is a test")
    post.receiver.problem = "HTTP 404"
    with pytest.raises(PipelineError, match="the test did not reach https://hooks.example.org/…: HTTP 404"):
        post.notices.send_test(made.notification_id)


# By real HTTP


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    """Answers with the status that the path names, and keeps what it got in `got`."""
    got: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.headers["X-Seamline-Event"], self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(int(self.path.strip("/").split("?")[0]))
            self.send_header("Location", "/200")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    running = HTTPServer(("127.0.0.1", 0), Handler)
    running.got = got  # type: ignore[attr-defined]
    thread = threading.Thread(target=running.serve_forever, args=(0.02,))
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


def test_a_message_goes_out_by_http_and_the_address_into_no_log(server: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    HttpSender().post(f"http://127.0.0.1:{server.server_port}/204?token=hush", b'{"a": 1}', {"X-Seamline-Event": "e"})
    assert server.got == [("e", b'{"a": 1}')]
    assert "hush" not in caplog.text


@pytest.mark.parametrize("status", [302, 404, 500])
def test_any_other_answer_is_a_failure_and_redirects_are_not_followed(server: Any, status: int) -> None:
    with pytest.raises(Undelivered, match=f"HTTP {status}"):
        HttpSender().post(f"http://127.0.0.1:{server.server_port}/{status}", b"{}", {"X-Seamline-Event": "e"})
    assert len(server.got) == 1


def test_nobody_listening_is_a_failure_that_does_not_name_the_address(server: Any) -> None:
    port = server.server_port
    server.shutdown()
    server.server_close()
    with pytest.raises(Undelivered) as failed:
        HttpSender().post(f"http://127.0.0.1:{port}/200?token=hush", b"{}", {})
    assert str(failed.value) == "ConnectError"
