"""`seamline watch` without a server: carries out what it launched, waits for it, and goes on where another died."""

import threading
from contextlib import nullcontext

import pytest
from kfp import compiler, dsl

from pipeline import local
from pipeline.engine.dispatch import Dispatcher
from pipeline.engine.records import About
from pipeline.engine.states import RunState
from pipeline.engine.store import Store
from pipeline.rounds.launching import LocalLauncher
from pipeline.watcher import Hands, Watcher


@dsl.container_component
def promote(word: str, decision: dsl.OutputPath(str)):
    text = 'test "$0" != bad && mkdir -p "$(dirname "$1")" && printf %s "$0" > "$1"'
    return dsl.ContainerSpec(image="img:1", command=["sh", "-c", text], args=[word, decision])


DECIDED = '{"skirt_length_labels":{"action":"promoted","reason":"first champion of this attribute"}}'


class Small(LocalLauncher):
    """Makes a run of one task in place of the recipe's forty."""

    def __init__(self, engine, store, text, word=DECIDED):
        super().__init__(engine, store)
        self.text, self.word = text, word

    def launch(self, order):
        about = About(run_key=order.run_key)
        return self._engine.create_run(self.text, {"word": self.word}, name=order.name, about=about)


@pytest.fixture
def text(tmp_path):
    @dsl.pipeline(name="small")
    def small(word: str):
        promote(word=word)

    compiler.Compiler().compile(small, str(tmp_path / "small.yaml"))
    return (tmp_path / "small.yaml").read_text()


@pytest.fixture
def watcher(place, text):
    """A watcher, as another process would have it; `word` "bad" makes the run fail."""

    def make(word=DECIDED, sleep=lambda seconds: None):
        engine = local.open_engine(place.state)
        store = place.store()
        place.watch()  # makes the source known
        hands = Hands(Small(engine, store, text, word), engine, lambda run_id: nullcontext())
        return Watcher(store, place.source, hands, place.clock, sleep)

    return make


def landed(place, watching):
    place.deliver("round1", range(5))
    watching.look()
    place.clock.passes(60)
    watching.look()
    return watching


def test_a_launched_run_is_carried_out_and_its_verdict_stands_with_the_round(place, watcher):
    watching = landed(place, watcher())
    (launch,) = watching.wait()
    assert launch.state == RunState.SUCCEEDED
    assert launch.verdict["skirt_length_labels"]["action"] == "promoted"
    assert "succeeded, skirt_length_labels promoted" in watching.text()
    assert watching.wait() == []


def test_a_failed_run_is_told_and_not_repeated(place, watcher):
    (launch,) = landed(place, watcher("bad")).wait()
    assert (launch.state, launch.reason) == (RunState.FAILED, "failed: promote")
    assert watcher().wait() == []


def test_a_run_that_a_killed_watcher_left_is_gone_on_with(place, watcher):
    landed(place, watcher())
    (run,) = place.runs()
    place.store().move_run(run.run_id, RunState.RUNNING, 1.0, executor="999999:1:gone")
    (launch,) = watcher().wait()
    assert launch.state == RunState.SUCCEEDED and len(place.runs()) == 1


def test_who_holds_the_folder_executes_and_the_watcher_waits(place, watcher):
    """Another command holds the lock; when it lets go, the run is taken up."""
    holder = Store.open(place.state)
    lock = holder.exclusive()
    lock.__enter__()
    looks = []

    def sleep(seconds):
        looks.append(place.runs()[0].state)
        lock.__exit__(None, None, None) if len(looks) == 3 else None

    (launch,) = landed(place, watcher(sleep=sleep)).wait()
    assert looks == [RunState.PENDING] * 3 and launch.state == RunState.SUCCEEDED
    holder.close()


def test_a_server_executes_what_the_watcher_launches(place, watcher):
    stopped, ready = threading.Event(), threading.Event()

    def serve():
        store = Store.open(place.state)
        with store.exclusive(serving=True):
            ready.set()
            Dispatcher(local.open_engine(place.state), store, stopped.wait).run(stopped)

    watching = watcher(sleep=lambda seconds: stopped.wait(0.05))
    server = threading.Thread(target=serve)
    server.start()
    ready.wait()
    try:
        (launch,) = landed(place, watching).wait()
        assert launch.state == RunState.SUCCEEDED
    finally:
        stopped.set()
        server.join()


def test_forever_says_only_what_has_changed(place, watcher):
    said = []
    place.deliver("round1", range(5))

    class Enough(Exception):
        pass

    def sleep(seconds):
        place.clock.passes(seconds)
        if place.clock().steady > 5_000 + 5 * 30:
            raise Enough

    with pytest.raises(Enough):
        watcher(sleep=sleep).forever(30.0, said.append)
    states = [text.splitlines()[1].split()[1] for text in said]
    assert states == ["waiting", "waiting", "launched", "launched"]
    assert "pending" in said[2] and "succeeded" in said[3]
