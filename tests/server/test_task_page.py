"""The page of a task: the cause first, then why it ran, its log, its curves, what it took and made."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kfp import dsl
from starlette.testclient import TestClient

from pipeline.engine.records import Metric
from pipeline.engine.runner import Engine
from pipeline.engine.store import Store
from pipeline.server import curves, log_view, task_view

from .conftest import shell_step

JSON = {"accept": "application/json"}


def address(run_id: str, key: str, **query: Any) -> str:
    return f"/runs/{run_id}/task?{urlencode({'key': key, **query})}"


@pytest.fixture
def failed(engine: Engine, two_steps_ir: str) -> str:
    """A run whose second step has failed with exit code 3."""
    run_id = engine.create_run(two_steps_ir, {"fail": True})
    engine.execute(run_id)
    return run_id


@pytest.fixture
def done(engine: Engine, two_steps_ir: str) -> str:
    run_id = engine.create_run(two_steps_ir, {})
    engine.execute(run_id)
    return run_id


def test_a_failure_is_told_before_anything_else(client: TestClient, failed: str) -> None:
    text = client.get(address(failed, "shout")).text
    assert text.index("exit code 3") < text.index("Likely fix") < text.index('id="log"') < text.index("Inputs")
    cause = client.get(address(failed, "shout"), headers=JSON).json()["cause"]
    assert cause["kind"] == "bug" and cause["lines"] == ["LOUD {'fail': True, 'share': 0.5}"]


def test_a_failed_task_leads_to_a_rerun_and_to_a_retry_of_its_run(client: TestClient, failed: str) -> None:
    text = client.get(address(failed, "shout")).text
    assert f'data-key="r" href="/runs/{failed}/rerun?key=shout"' in text
    assert f'href="/runs/{failed}/retry"' in text


def test_each_attempt_says_as_what_it_ran(client: TestClient, failed: str) -> None:
    handle = client.get(address(failed, "shout"), headers=JSON).json()["attempts"][0]["handle"]
    pid = json.loads(handle)["process"].split(":")[0]
    assert f"<td>process {pid}</td>" in client.get(address(failed, "shout")).text


def test_an_attempt_that_has_queued_shows_its_wait_apart_from_its_work(
    client: TestClient, engine: Engine, done: str
) -> None:
    store = client.app.state.services.store  # type: ignore[attr-defined]
    (attempt,) = store.attempts(done, "shout")
    times = {"began": attempt.started + 3600, "ended": attempt.started + 3660, "usage_json": "{}"}
    with store.database.writing():
        store.database.update("attempts", times, {"run_id": done, "key": "shout"})
    text = client.get(address(done, "shout")).text
    assert "1 min 00 s" in text and "after a wait of 1 h 00 min" in text


def test_a_task_that_went_well_shows_no_cause(client: TestClient, done: str) -> None:
    assert client.get(address(done, "shout"), headers=JSON).json()["cause"] is None


def test_a_task_that_was_left_out_names_the_failure_before_it(
    client: TestClient, engine: Engine, compile_ir: Callable[[Any], str]
) -> None:
    one, two, three = (
        shell_step(name, command) for name, command in (("one", "exit 1"), ("two", "true"), ("three", "exit 1"))
    )

    @dsl.pipeline(name="left-out")
    def pipeline() -> None:
        two().after(one())
        three()

    run_id = engine.create_run(compile_ir(pipeline), {})
    engine.execute(run_id)
    cause = client.get(address(run_id, "two"), headers=JSON).json()["cause"]
    assert "upstream one" in cause["text"] and cause["because"] == [["one", "one"]]


def test_it_says_why_the_task_ran_and_what_differs(
    client: TestClient, engine: Engine, two_steps_ir: str, done: str
) -> None:
    run_id = engine.create_run(two_steps_ir, {"word": "bye"})
    engine.execute(run_id)
    why = client.get(address(run_id, "say"), headers=JSON).json()["why"]
    assert why["differences"] == ["parameter word hello -> bye"]
    assert why["other"] == [done, "say", "say"]


def test_references_in_a_difference_are_told_by_the_end_of_their_digests() -> None:
    long = "parameter start /tmp/a/data...18741028cf3107e6dd70b795 -> /data/shards/4608142f47f81b0eb66a8a8fbb57b1a7"
    assert task_view.shortened(long) == "parameter start …dd70b795 -> …bb57b1a7"
    listed = 'parameter x ["/tmp/demo_state/da...8ba3a96a29e331ba7ddb7a"] -> nothing'
    assert task_view.shortened(listed) == "parameter x …ba7ddb7a -> nothing"
    assert task_view.shortened("parameter epochs 3 -> 4") == "parameter epochs 3 -> 4"
    assert (
        task_view.shortened(f"not cached: {listed}; x 1 -> 2 (against a in run 8a1d0b10)")
        == "not cached: parameter x …ba7ddb7a -> nothing; x 1 -> 2 (against a in run 8a1d0b10)"
    )


def test_a_reused_task_shows_log_curves_and_attempts_of_where_it_ran(
    client: TestClient, engine: Engine, two_steps_ir: str, done: str
) -> None:
    run_id = engine.create_run(two_steps_ir, {})
    engine.execute(run_id)
    shown = client.get(address(run_id, "say"), headers=JSON).json()
    assert shown["word"] == "reused" and shown["why"]["other"][0] == done
    assert "{'times': 1, 'word': 'hello'}" in [line["text"] for line in shown["log"]["lines"]]
    assert [a["run_id"] for a in shown["attempts"]] == [done]
    assert shown["charts"][0]["series"][0]["y"] == [0.5]


def test_the_command_of_an_attempt_can_be_repeated_by_hand(client: TestClient, done: str) -> None:
    command = client.get(address(done, "shout"), headers=JSON).json()["by_hand"]
    assert command.startswith("sh -c ") and '"share": 0.5' in command


def test_a_name_for_the_task_or_the_run_leads_to_the_full_address(client: TestClient, done: str) -> None:
    answer = client.get(address(done[:8], "shout"))
    assert answer.status_code == 303 and answer.headers["location"].startswith(f"/runs/{done}/task")
    assert client.get(address(done, "nothing")).status_code == 404
    assert client.get(address(done, "shout", attempt=7)).status_code == 404


def test_the_page_names_its_neighbours_and_the_command_in_the_terminal(client: TestClient, done: str) -> None:
    text = client.get(address(done, "shout")).text
    assert 'rel="prev"' in text and 'rel="next"' not in text
    assert f"seamline logs {done[:8]} &#39;shout&#39; --follow" in text


def test_what_a_task_writes_is_never_markup(
    client: TestClient, engine: Engine, compile_ir: Callable[[Any], str]
) -> None:
    nasty = """echo '<script>alert(1)</script>'; printf '\\033[31mred\\033[0m "quoted"\\n'; exit 1"""
    step = shell_step("nasty", nasty, word=str)

    @dsl.pipeline(name="nasty")
    def pipeline(word: str = "<img src=x onerror='alert(1)'>") -> None:
        step(word=word)

    run_id = engine.create_run(compile_ir(pipeline), {})
    engine.execute(run_id)
    text = client.get(address(run_id, "nasty")).text
    assert "<script>alert" not in text and "<img src=x" not in text and "\x1b" not in text
    assert "red &#34;quoted&#34;" in text
    assert "<script>alert" not in client.get(address(run_id, "nasty", find="<script>")).text


def test_first_paint_of_a_log_is_its_last_200_lines_and_the_rest_comes_by_pages(
    client: TestClient, done: str, state_dir: Path
) -> None:
    path = _log_of(state_dir, done, "say")
    path.write_text("".join(f"line {i}\n" for i in range(1000)))
    page = client.get(address(done, "say"), headers=JSON).json()["log"]
    assert [page["lines"][0]["text"], page["lines"][-1]["text"], len(page["lines"])] == ["line 800", "line 999", 200]
    older = client.get(f"/runs/{done}/task/log?key=say&before={page['start']}", headers=JSON).json()["log"]
    assert [older["lines"][0]["text"], older["lines"][-1]["text"]] == ["line 600", "line 799"]
    newer = client.get(f"/runs/{done}/task/log?key=say&at={page['start']}", headers=JSON).json()["log"]
    assert newer["lines"] == page["lines"]
    assert client.get(f"/runs/{done}/task/log?key=say&at=0").text.startswith('<div class="lines" data-start="0"')


def test_a_gigabyte_of_log_is_paged_and_not_read(client: TestClient, done: str, state_dir: Path) -> None:
    path = _log_of(state_dir, done, "say")
    with path.open("wb") as log:
        log.truncate(1 << 30)
        log.seek(0, 2)
        log.write(b"\n" + b"the end\n" * 300)
    page = client.get(address(done, "say"), headers=JSON).json()["log"]
    assert [line["text"] for line in page["lines"]] == ["the end"] * 200
    answer = client.get(f"/runs/{done}/task/log?key=say&before={1 << 30}")
    assert len(answer.content) < 1 << 20


def test_a_search_finds_lines_in_the_whole_log_and_leads_to_them(
    client: TestClient, done: str, state_dir: Path
) -> None:
    _log_of(state_dir, done, "say").write_text("start\n" + "filler\n" * 5000 + "Needle here\n" + "filler\n" * 5000)
    found = client.get(address(done, "say", find="NEEDLE"), headers=JSON).json()["found"]
    assert [line["text"] for line in found["lines"]] == ["Needle here"] and found["complete"]
    at = client.get(address(done, "say", at=found["lines"][0]["offset"]), headers=JSON).json()["log"]
    assert at["lines"][0]["text"] == "Needle here"
    assert "No line holds" in client.get(address(done, "say", find="haystack")).text


def test_a_log_that_a_task_has_replaced_by_a_link_is_not_read(
    client: TestClient, done: str, state_dir: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("the token of this machine\n")
    path = _log_of(state_dir, done, "say")
    path.unlink()
    path.symlink_to(tmp_path / "secret")
    assert "the token" not in client.get(address(done, "say", find="token")).text


def test_odd_numbers_in_the_address_are_taken_as_none(client: TestClient, done: str) -> None:
    for query in ({"at": "-5"}, {"before": "x"}, {"at": "9" * 400}, {"attempt": "²"}, {"at": "999999999"}):
        assert client.get(address(done, "say", **query)).status_code == 200


def _log_of(state_dir: Path, run_id: str, key: str) -> Path:
    return Path(Store.open(state_dir).attempts(run_id, key)[-1].directory) / "log"


# Lines


def test_colour_codes_and_overwritten_progress_bars_are_taken_out() -> None:
    assert log_view.clean("\x1b[1;31merror\x1b[0m: \x1b]0;title\x07x\x00") == "error: x"
    assert log_view.clean("10%\r50%\r100%\r") == "100%"


def test_messages_for_programs_are_told_from_lines_for_people(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(
        '::progress {"done": 1}\nhello\n::metric {"step": 1}\n\nE0000 00:00:17.793083 13558 x.cc:52] cuInit\n'
    )
    assert log_view.telling(log_view.last(path).lines, 5) == ["hello"]


def test_the_end_of_a_log_is_what_it_says_to_people_however_much_it_reports_to_programs(tmp_path):
    path = tmp_path / "log"
    said = b"".join(b"line %d\n\n" % number for number in range(9)) + b"\x1b[31mlast\x1b[0m \xff\n"
    path.write_bytes(b"x" * log_view.MOST_PAGE_BYTES + b"\n" + said + b"::progress {}\n" * 2 * log_view.PAGE_LINES)
    assert log_view.ending(path, 3) == ["line 7", "line 8", "last \ufffd"]
    assert log_view.ending(tmp_path / "gone", 3) == []


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n")), max_size=30), st.integers(1, 9))
def test_paging_back_and_forth_meets_every_line_once(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], page: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "log"
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8", newline="")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_view, "PAGE_LINES", page)
        backward: list[log_view.Line] = []
        before: int | None = None
        while before != 0:
            found = log_view.last(path, before)
            backward = [*found.lines, *backward]
            before = found.start
        forward: list[log_view.Line] = []
        at = 0
        while at < path.stat().st_size:
            found = log_view.following(path, at)
            forward += found.lines
            at = found.end
    assert forward == backward and len(forward) == len(lines)


def test_an_unfinished_line_is_where_following_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("whole\nhalf")
    assert (log_view.last(path).resume, log_view.last(path).end) == (6, 10)
    path.write_text("whole\n")
    assert log_view.last(path).resume == 6


# Curves


def point(step: float, attempt: int = 1, **values: float) -> Metric:
    return Metric("r", "k", attempt, 0.0, step, values)


def test_a_metric_and_its_validation_share_a_chart_and_come_first() -> None:
    found = curves.charts([point(1, rate=1, loss=2, valid_loss=3), point(2, rate=1, loss=1, valid_loss=2)])
    assert [(c.name, [s.name for s in c.series]) for c in found] == [
        ("loss", ["loss", "valid_loss"]),
        ("rate", ["rate"]),
    ]
    assert found[0].series[1].y == [3, 2]


def test_attempts_have_curves_of_their_own() -> None:
    found = curves.charts([point(1, loss=2), point(1, 2, loss=3), point(2, 2, loss=1)])
    assert [(s.label, s.x, s.y) for s in found[0].series] == [
        ("training, attempt 1", [1], [2]),
        ("training, attempt 2", [1, 2], [3, 1]),
    ]


def test_a_long_curve_is_thinned_and_keeps_its_ends() -> None:
    found = curves.charts([point(i, loss=i) for i in range(10_000)])[0].series[0]
    assert (len(found.x), found.x[0], found.x[-1]) == (curves.MOST_POINTS, 0, 9999)


def test_points_of_curves_stand_in_a_table_and_in_the_page_for_the_script(client: TestClient, done: str) -> None:
    text = client.get(address(done, "say")).text
    assert 'id="points"' in text
    assert json.loads(text.split("data-points='")[1].split("'")[0].replace("&#34;", '"')) == [
        ["loss", "training", 1, [1], [0.5]]
    ]


def test_several_attempts_are_told_apart(client: TestClient, engine: Engine, state_dir: Path, failed: str) -> None:
    engine.retry(failed)
    engine.execute(failed)
    shown = client.get(address(failed, "shout"), headers=JSON).json()
    assert [(a["number"], a["exit_code"]) for a in shown["attempts"]] == [(1, 3), (2, 3)] and shown["attempt"] == 2
    assert client.get(address(failed, "shout", attempt=1), headers=JSON).json()["attempt"] == 1
    assert "Log of attempt 1" in client.get(address(failed, "shout", attempt=1)).text


def test_asked_and_taken_resources_stand_side_by_side(
    client: TestClient, engine: Engine, compile_ir: Callable[[Any], str]
) -> None:
    step = shell_step("work", "true")

    @dsl.pipeline(name="asking")
    def pipeline() -> None:
        step().set_memory_limit("2Gi").set_cpu_limit("1").set_retry(3)

    run_id = engine.create_run(compile_ir(pipeline), {})
    engine.execute(run_id)
    found = client.get(address(run_id, "work"), headers=JSON).json()["resources"]
    assert (found["memory_bytes"], found["cpu_slots"], found["retries"]) == (2 * 2**30, 1.0, 3)
    assert found["used_bytes"] > 0


def test_whatever_a_task_says_about_its_progress_the_page_stands(
    client: TestClient, engine: Engine, compile_ir: Callable[[Any], str], state_dir: Path
) -> None:
    said = [
        '{"total": 5}',
        '{"done": "many", "total": 5}',
        '{"done": 1, "total": -2}',
        '{"done": NaN, "total": NaN}',
        "[1]",
    ]
    step = shell_step("odd", "; ".join(f"echo '::progress {body}'" for body in said) + "; exit 1")

    @dsl.pipeline(name="odd")
    def pipeline() -> None:
        step()

    run_id = engine.create_run(compile_ir(pipeline), {})
    engine.execute(run_id)
    database = Store.open(state_dir).database
    for body in said[:4]:
        with database.writing():
            database.update("tasks", {"progress_json": body, "state": "RUNNING"}, {"run_id": run_id, "key": "odd"})
        assert client.get(address(run_id, "odd")).status_code == 200
