"""A task that the run will have, but has not yet, has a page that says what it waits for."""

from urllib.parse import quote

import pytest
from kfp import compiler, dsl

from pipeline.engine.states import RunState


@dsl.container_component
def split(fail: bool, items: dsl.OutputPath(list)):
    """Says for which items there is work."""
    command = 'mkdir -p "$(dirname "$1")"; [ "$0" = true ] && exit 3; echo "[1, 2]" > "$1"'
    return dsl.ContainerSpec(image="img:1", command=["sh", "-c", command], args=[fail, items])


@dsl.container_component
def work(item: int):
    """Is there once for each item."""
    return dsl.ContainerSpec(image="img:1", command=["echo"], args=[item])


@pytest.fixture(scope="module")
def looping_ir(tmp_path_factory):
    @dsl.pipeline(name="looping")
    def looping(fail: bool = False):
        with dsl.ParallelFor(split(fail=fail).output) as item:
            work(item=item)

    target = tmp_path_factory.mktemp("ir") / "looping.yaml"
    compiler.Compiler().compile(looping, str(target))
    return target.read_text()


LOOP, MEMBER = "for-loop-1", "for-loop-1(1)/work"


def task_page(client, run_id, key, accept="text/html"):
    return client.get(f"/runs/{run_id}/task?key={quote(key, safe='')}", headers={"accept": accept})


@pytest.fixture
def execution(engine, services, looping_ir):
    """A run whose loop waits for its items."""
    run_id = engine.create_run(looping_ir, {})
    with services.store.exclusive():
        begun = engine.begin(services.reader.run(run_id))
        begun.turn()
        yield run_id, begun


@pytest.mark.parametrize("key", [LOOP, MEMBER])
def test_a_task_of_a_loop_that_is_not_unrolled_says_what_it_waits_for(client, execution, key):
    run_id, _ = execution
    told = task_page(client, run_id, key, "application/json").json()["task"]
    assert (told["word"], told["group"]) == ("waiting", LOOP)
    assert [task["label"] for task in told["before"]] == ["split"]
    page = task_page(client, run_id, key).text
    assert "It does not exist yet" in page and f'href="/runs/{run_id}/task?key=split"' in page
    assert f'data-live="{run_id}"' in page, "it becomes the task's page by itself"


def test_unrolled_it_is_the_page_of_the_task(client, execution):
    run_id, begun = execution
    assert begun.run() is RunState.SUCCEEDED
    assert "Attempts" in task_page(client, run_id, MEMBER).text


@pytest.mark.parametrize("key", [LOOP, "for-loop-1(1)"])
def test_unrolled_a_group_leads_to_its_tasks(client, execution, key):
    run_id, begun = execution
    begun.run()
    page = task_page(client, run_id, key)
    assert (page.status_code, page.headers["location"]) == (303, f"/runs/{run_id}?tab=tasks")


@pytest.mark.parametrize("key", ["for-loop-1(7)/work", "for-loop-1(0)/play", "play"])
def test_a_task_that_can_never_be_is_not_found(client, execution, key):
    run_id, begun = execution
    begun.run()
    assert task_page(client, run_id, key).status_code == 404


def test_a_loop_that_was_skipped_says_that_its_tasks_never_came_to_be(client, engine, looping_ir):
    run_id = engine.create_run(looping_ir, {"fail": True})
    engine.execute(run_id)
    page = task_page(client, run_id, MEMBER).text
    assert "It never came to be" in page and "data-live" not in page


def test_before_a_run_begins_all_its_tasks_are_awaited(client, engine, looping_ir):
    run_id = engine.create_run(looping_ir, {})
    assert "The run has not begun" in task_page(client, run_id, "split").text
    assert task_page(client, run_id, "play").status_code == 404


def test_the_plan_of_a_rerun_links_groups_to_a_page_that_is_there(client, execution):
    run_id, _ = execution
    rows = client.get(f"/runs/{run_id}/rerun?key=split&format=json").json()["plan"]["rows"]
    assert [row["key"] for row in rows] == ["split", LOOP]
    assert {task_page(client, run_id, row["key"]).status_code for row in rows} == {200}
