"""The graph of a run: drawn from left to right, loops folded to counts."""

import pytest

from pipeline.engine import ir
from pipeline.engine.records import Task
from pipeline.engine.states import TaskState
from pipeline.server.run_dag import Opened, draw


def component(name, dag=None):
    return ir.Component(name, {}, {}, {}, {}, executor="" if dag else "exec", dag=dag)


def pipeline(many=3):
    """first -> each of `many` items: (inner -> after) -> last, the loop with a condition inside."""
    loop = ir.Loop("item", ir.Source("constant", list(range(many))))
    inside = {"inner": ir.Task("inner", "inner", "leaf"), "after": ir.Task("after", "after", "leaf", ("inner",))}
    outer = {
        "first": ir.Task("first", "first", "leaf"),
        "loop-1": ir.Task("loop-1", "each", "body", ("first",), loop=loop),
        "last": ir.Task("last", "last", "leaf", ("first", "loop-1")),
    }
    components = {"leaf": component("leaf"), "body": component("body", ir.Dag(inside))}
    return ir.Pipeline("p", "", component("root", ir.Dag(outer)), components, {"exec": None})


def task(key, state=TaskState.SUCCEEDED, kind="task"):
    label = key.replace("loop-1(0)", "red").replace("loop-1(1)", "green").replace("loop-1(2)", "blue")
    return Task("r", key, label, key.rpartition("/")[2], kind, key.rpartition("/")[0], "c", state)


def tasks(many=3):
    found = [task("first")]
    for i in range(many):
        found += [task(f"loop-1({i})", kind="iteration"), task(f"loop-1({i})/inner")]
        found.append(task(f"loop-1({i})/after", TaskState.FAILED if i == 1 else TaskState.SUCCEEDED))
    return [*found, task("last", TaskState.PENDING)]


def marks(*opened, many=3):
    drawing = draw(pipeline(many), tasks(many), Opened.read(opened), "/runs/r")
    return {box.item.title: box.item for box in drawing.boxes}, drawing


def test_a_folded_loop_is_one_box_with_its_count_and_the_states_of_all_in_it():
    boxes, _ = marks()
    assert set(boxes) == {"first", "each", "last"}
    assert boxes["each"].shown == "each × 3" and boxes["each"].word == "failed"
    assert dict(boxes["each"].counts) == {"succeeded": 5, "failed": 1}
    assert boxes["each"].address == "/runs/r?tab=dag&open=loop-1"


def test_an_open_loop_shows_each_task_once_for_all_iterations():
    boxes, drawing = marks("loop-1")
    assert dict(boxes["after"].counts) == {"succeeded": 2, "failed": 1}
    assert boxes["after"].address == "/runs/r?tab=tasks&name=after"
    assert boxes["each"].is_open and boxes["each"].address == "/runs/r?tab=dag"
    assert list(drawing.choices[0].addresses) == ["all", "red", "green", "blue"]


def test_one_iteration_can_be_chosen_and_its_boxes_open_its_tasks():
    boxes, drawing = marks("loop-1(1)")
    assert dict(boxes["after"].counts) == {"failed": 1}
    assert boxes["after"].address == "/runs/r/task?key=loop-1%281%29%2Fafter"
    assert drawing.choices[0].chosen == "green"


def test_a_loop_of_a_thousand_is_drawn_as_small_as_one_of_three():
    small, large = marks("loop-1")[1], marks("loop-1", many=1000)[1]
    assert (len(large.boxes), large.height) == (len(small.boxes), small.height)
    assert len(large.choices[0].addresses) == 25 and large.choices[0].left_out == 976


def test_every_box_lies_right_of_all_that_it_waits_for_and_members_lie_in_their_group():
    drawing = marks("loop-1")[1]
    boxes = {box.item.title: box for box in drawing.boxes}
    for box in drawing.boxes:
        for name in box.item.depends:
            assert boxes[name].x + boxes[name].width <= box.x
        for name in box.item.inside:
            group = boxes[name]
            assert group.x <= box.x and box.x + box.width <= group.x + group.width
            assert group.y <= box.y and box.y + box.height <= group.y + group.height
        assert box.x >= 0 and box.x + box.width <= drawing.width and box.y + box.height <= drawing.height


def test_before_the_run_begins_everything_waits():
    drawing = draw(pipeline(), [], Opened.read([]), "/runs/r")
    assert {box.item.word for box in drawing.boxes} == {"waiting"}


@pytest.mark.parametrize("text", ["nothing", "loop-1(77)", "loop-1/(", "(3)", ""])
def test_an_address_that_names_no_group_only_folds_everything_or_shows_nothing(text):
    assert {box.item.title for box in marks(text)[1].boxes} >= {"first", "each", "last"}


def test_a_chain_of_a_thousand_tasks_is_drawn():
    chain = {f"t{i}": ir.Task(f"t{i}", f"t{i}", "leaf", (f"t{i - 1}",) if i else ()) for i in range(1000)}
    whole = ir.Pipeline("p", "", component("root", ir.Dag(chain)), {"leaf": component("leaf")}, {"exec": None})
    assert len(draw(whole, [], Opened.read([]), "/runs/r").boxes) == 1000
