"""The board: a run of ours as a table of attributes by stages, a lane for each model."""

import time

import pytest

from benchmarks.console_state import Filler
from pipeline.server import run_board

ATTRIBUTES, MODELS = ("collar_design", "coat_length"), ("small", "large")
STATES = {
    "collar_design_labels/preprocess": "reused",
    "collar_design_labels/small/train-student": "running",
    "collar_design_labels/small/predict-students": "waiting",
    "collar_design_labels/ensemble": "waiting",
    "coat_length_labels/large/train-round2": "failed",
    "coat_length_labels/large/predict-teachers": "waiting",
}


@pytest.fixture
def run_id(services):
    return Filler(services.store, time.time()).whole(STATES, ATTRIBUTES, MODELS)


@pytest.fixture
def board(services, run_id):
    reader = services.reader
    return services.domain.results.board(reader, reader.run(run_id), reader.tasks(run_id))


def test_columns_are_the_stages_in_the_order_of_the_pipeline(board):
    assert [stage.title for stage in board.stages] == [
        "preprocess",
        "round 1",
        "round 2",
        "predict",
        "pseudo-label",
        "student",
        "predict",
        "ensemble",
    ]
    assert [t.name for t in board.before] == ["ingest"] and [t.name for t in board.after] == ["report", "promote"]


def test_rows_are_the_attributes_and_each_model_has_its_lane(board):
    table = run_board.table(board)
    assert [row.title for row in table.rows] == ["collar design", "coat length"]
    assert [lane.model for lane in table.rows[0].lanes] == ["small", "large"]
    assert table.in_lanes == {"train-round1", "train-round2", "predict-teachers", "train-student", "predict-students"}
    assert set(table.rows[0].shared) == {"preprocess", "pseudo-label", "ensemble"}


def test_every_task_of_the_loop_stands_in_exactly_one_cell(services, board, run_id):
    inside = [t.key for t in services.reader.tasks(run_id) if t.is_leaf and t.parent]
    assert sorted(cell.task.key for cell in board.cells) == sorted(inside)


def test_a_row_says_what_needs_attention_first(board):
    collar, coat = run_board.table(board).rows
    assert (collar.word, coat.word) == ("running", "failed")
    assert (collar.done, collar.total) == (10, 13)


def test_a_cell_has_the_metric_once_it_is_known_and_the_curves_end_while_it_trains(board):
    scores = {(c.attribute, c.model, c.stage): c.score for c in board.cells}
    assert 0 < scores["coat_length_labels", "small", "train-round1"].value < 1
    assert scores["collar_design_labels", "small", "train-student"].name == "AP so far"
    assert scores["collar_design_labels", "small", "train-student"].value == pytest.approx(0.75)
    assert scores["coat_length_labels", "large", "train-round2"] is None


def test_the_page_is_loud_about_the_failure_and_quiet_about_what_was_reused(client, run_id):
    page = client.get(f"/runs/{run_id}").text
    assert page.count('class="cell cell-failed"') == 2  # in the table, and in the list for phones
    assert page.count('class="cell cell-reused"') == 2
    assert "killed by SIGKILL" in page and "62 %" in page


def test_every_cell_opens_its_task(client, board, run_id):
    page = client.get(f"/runs/{run_id}").text
    for cell in board.cells:
        key = cell.task.key.replace("/", "%2F").replace("(", "%28").replace(")", "%29")
        assert page.count(f'href="/runs/{run_id}/task?key={key}"') >= 2


def test_a_run_of_another_pipeline_or_one_that_has_not_begun_has_no_board(services, engine, two_steps_ir):
    reader, run_id = services.reader, engine.create_run(two_steps_ir, {})
    assert services.domain.results.board(reader, reader.run(run_id), reader.tasks(run_id)) is None
    engine.execute(run_id)
    assert services.domain.results.board(reader, reader.run(run_id), reader.tasks(run_id)) is None


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0.4 s"), (12.3, "12 s"), (59.6, "1 min"), (185, "3 min"), (7200, "2.0 h")]
)
def test_times_in_cells_are_brief(seconds, text):
    assert run_board.brief(seconds) == text
