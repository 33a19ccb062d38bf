"""A training that is killed goes on, and ends with the bytes of one that was not."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from components.artifacts import checkpoint, storage
from components.errors import DataError
from components.vision import learner, train_loop, unfinished

KNOBS = {"epochs": 4, "ema": 0.9, "augment": "shift_flip", "mixup": 0.3, "dropout": 0.4, "patience": 0, "batch_size": 8}


class Killed(BaseException):
    """Stands for a kill: nobody may catch it."""


def files(uri: str) -> dict[str, Any]:
    """Everything but how long it took, which the index notes and no digest knows."""
    found: dict[str, Any] = {path.name: path.read_bytes() for path in Path(uri).iterdir()}
    found["index.json"] = json.loads(found["index.json"])
    assert found["index.json"]["made_by"].pop("seconds") > 0
    return found


def dies_at_step(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    alive = learner.Learner.step

    def mortal(self, batch, rate, number):
        if number == step:
            raise Killed
        return alive(self, batch, rate, number)

    monkeypatch.setattr(learner.Learner, "step", mortal)


@pytest.mark.parametrize("step", [0, 7, 12, 20])
def test_killed_in_any_epoch_it_ends_with_the_same_files(make_shards, train, monkeypatch, step):
    """6 steps an epoch: before the first state, in the second, on the border to the third, in the last epoch."""
    uri = make_shards()
    start = train(uri, epochs=1).reference
    # A frozen epoch first, so that the change of stage is on the way.
    knobs = KNOBS | {"phase": "round2", "start": start, "frozen_epochs": 2}
    expected = files(train(uri, **knobs).reference)
    with monkeypatch.context() as patch:
        dies_at_step(patch, step)
        with pytest.raises(Killed):
            train(uri, **knobs)
    first_steps = []
    alive = learner.Learner.step
    monkeypatch.setattr(learner.Learner, "step", lambda *a: first_steps.append(a[3]) or alive(*a))
    found = train(uri, **knobs)
    assert first_steps[0] == step // 6 * 6, "an epoch that was finished ran again"
    assert files(found.reference) == expected


def asked_to_end_in(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """SIGTERM arrives while a step is computed, as a preempted machine sends it."""
    alive = learner.Learner.step

    def warned(self, batch, rate, number):
        if number == step:
            signal.raise_signal(signal.SIGTERM)
        return alive(self, batch, rate, number)

    monkeypatch.setattr(learner.Learner, "step", warned)


@pytest.mark.parametrize("step", [7, 11, 12])
def test_asked_to_end_it_saves_at_the_next_step_and_goes_on_with_exactly_the_one_after(
    make_shards, train, monkeypatch, step
):
    """6 steps an epoch: in the second, in its last step, on freeing the backbone."""
    uri = make_shards()
    start = train(uri, epochs=1).reference
    knobs = KNOBS | {"phase": "round2", "start": start, "frozen_epochs": 2}
    expected = files(train(uri, **knobs).reference)
    with monkeypatch.context() as patch:
        asked_to_end_in(patch, step)
        with pytest.raises(SystemExit) as left:
            train(uri, **knobs)
    assert left.value.code == 128 + signal.SIGTERM
    steps = []
    alive = learner.Learner.step
    monkeypatch.setattr(learner.Learner, "step", lambda *a: steps.append(a[3]) or alive(*a))
    found = train(uri, **knobs)
    assert steps[0] == (step + 1 if step != 12 else 12), "a finished step ran again, or one was left out"
    assert files(found.reference) == expected


def test_asked_to_end_while_it_validates_it_keeps_the_epoch(make_shards, train, monkeypatch):
    uri = make_shards()
    expected = files(train(uri, **KNOBS).reference)
    alive, judged = learner.Learner.evaluate, []

    def warned(self, batches):
        judged.append(1)
        if len(judged) == 2:
            signal.raise_signal(signal.SIGTERM)
        return alive(self, batches)

    with monkeypatch.context() as patch:
        patch.setattr(learner.Learner, "evaluate", warned)
        with pytest.raises(SystemExit):
            train(uri, **KNOBS)
    steps = []
    alive_step = learner.Learner.step
    monkeypatch.setattr(learner.Learner, "step", lambda *a: steps.append(a[3]) or alive_step(*a))
    assert files(train(uri, **KNOBS).reference) == expected
    assert steps[0] == 12, "the second epoch was trained again"


def test_a_kill_between_the_last_epoch_and_publishing_costs_no_training(make_shards, train, monkeypatch):
    uri = make_shards()
    expected = files(train(uri, **KNOBS).reference)
    with monkeypatch.context() as patch:
        patch.setattr("components.train.step._publish", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            train(uri, **KNOBS)
    monkeypatch.setattr(learner.Learner, "step", lambda *_: pytest.fail("trained again"))
    assert files(train(uri, **KNOBS).reference) == expected


def test_early_stopping_is_remembered_over_a_kill(make_shards, train, monkeypatch):
    uri, knobs = make_shards(), {"epochs": 9, "patience": 2, "learning_rate": 0.0}
    expected = train(uri, **knobs)
    with monkeypatch.context() as patch:
        dies_at_step(patch, 13)
        with pytest.raises(Killed):
            train(uri, **knobs)
    assert train(uri, **knobs).reference == expected.reference and expected.index["epochs"] == 3


def left_unfinished(make_shards, train, monkeypatch):
    """Shards, what a whole training of them makes, and the state file of one that was killed."""
    uri = make_shards()
    found = train(uri, **KNOBS)
    with monkeypatch.context() as patch:
        dies_at_step(patch, 7)
        with pytest.raises(Killed):
            train(uri, **KNOBS)
    return uri, found, found.unfinished / checkpoint.STATE


def test_a_state_that_may_not_be_read_just_now_is_kept(make_shards, train, monkeypatch):
    uri, _, state = left_unfinished(make_shards, train, monkeypatch)

    def forbidden(uri):
        raise DataError(f"{uri} may not be read")

    with monkeypatch.context() as patch:
        patch.setattr(storage, "read_version", forbidden)
        with pytest.raises(DataError, match="may not be read"):
            train(uri, **KNOBS)
    assert state.exists()


@pytest.mark.parametrize("damage", ["foreign", "cut"])
def test_a_state_that_does_not_fit_is_not_used(make_shards, train, monkeypatch, capsys, damage):
    uri, found, state = left_unfinished(make_shards, train, monkeypatch)
    arrays, about = checkpoint.unpack(state.read_bytes(), "state")
    about["identity"]["tensorflow"] = "1.0"
    state.write_bytes(checkpoint.pack(arrays, about) if damage == "foreign" else state.read_bytes()[:5000])
    assert train(uri, **KNOBS).reference == found.reference
    assert "starting afresh" in capsys.readouterr().out


def test_a_termination_signal_while_the_state_is_written_waits_for_it(make_shards, train, monkeypatch, tmp_path):
    save = checkpoint.save_state

    def interrupted(*state):
        signal.raise_signal(signal.SIGTERM)
        return save(*state)

    uri, before = make_shards(), signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_state", interrupted)
        with pytest.raises(SystemExit) as left:
            train(uri, **KNOBS)
    assert left.value.code == 143 and signal.getsignal(signal.SIGTERM) == before
    states = list((tmp_path / "data" / "unfinished").glob(f"*/{checkpoint.STATE}"))
    assert len(states) == 1 and checkpoint.load_state(str(states[0].parent)).about["progress"]["epoch"] == 1


def test_a_state_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    checkpoint.save_state(str(tmp_path), {}, {"progress": 1})
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(Killed))
    with pytest.raises(Killed):
        checkpoint.save_state(str(tmp_path), {}, {"progress": 2})
    assert checkpoint.load_state(str(tmp_path)).about == {"progress": 1}


def command(uri: str, out: Path) -> list[str]:
    knobs = {
        "backbone": "small_separable",
        "weights": "none",
        "epochs": 5,
        "ema": 0.9,
        "augment": "shift",
        "patience": 0,
    }
    given = {
        "shards": uri,
        "data_root": str(Path(uri).parents[1]),
        "batch_size": 16,
        "seed": 3,
        "out": str(out),
        "mixup": 0.2,
    }
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in (knobs | given).items()]
    structs = ['--attribute={"name": "colour_labels"}', '--model={"name": "small"}']
    return [sys.executable, "-m", "components.train", *flags, *structs]


def run_to_end(uri: str, out: Path) -> tuple[str, str]:
    done = subprocess.run(command(uri, out), capture_output=True, text=True, check=True)
    return json.loads(done.stdout[done.stdout.rindex("\n{") :])["results"]["checkpoint"], done.stdout


def stopped_after(uri: str, out: Path, epoch: int, number: int) -> int:
    """Starts the step, sends it a signal some time after an epoch, and gives its exit code."""
    with subprocess.Popen(command(uri, out), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        for line in process.stdout:
            if line.startswith(f'::metric {{"step": {epoch},'):
                break
        time.sleep(0.05)
        process.send_signal(number)
        process.stdout.read()
        return process.wait(timeout=30)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 128 + signal.SIGTERM)]
)
def test_a_killed_process_and_its_successors_end_with_the_bytes_of_an_uninterrupted_one(
    make_shards, tmp_path, number, code
):
    uri = make_shards(per_fold=20)
    whole, _ = run_to_end(uri, tmp_path / "out")
    expected = files(whole)
    for path in Path(whole).iterdir():
        path.unlink()
    assert stopped_after(uri, tmp_path / "out", 2, number) == code
    assert stopped_after(uri, tmp_path / "out", 4, number) == code
    again, said = run_to_end(uri, tmp_path / "out")
    assert "going on after epoch 4" in said and again == whole
    assert files(again) == expected
    assert not list((Path(uri).parents[1] / "unfinished").iterdir())


def test_the_best_epoch_is_told_apart_by_the_loss_where_the_metric_is_equal():
    plan = train_loop.Plan(9, 0, 1.0, 1.0, "constant", 0, 0, (), 1, "map", 0)
    done = unfinished.Progress()
    rows = [
        {"valid_map": 0.5, "valid_loss": 2.0},
        {"valid_map": 0.5, "valid_loss": 1.0},
        {"valid_map": 0.4, "valid_loss": 0.1},
    ]
    best = []
    for row in rows:
        done, is_best = train_loop._judged(done, row, plan, judged=True)
        best.append(is_best)
    assert best == [True, True, False] and (done.best_epoch, done.waited) == (2, 1)


def test_an_undefined_metric_is_worse_than_any_other():
    plan = train_loop.Plan(9, 0, 1.0, 1.0, "constant", 0, 0, (), 1, "map", 0)
    done, first = train_loop._judged(
        unfinished.Progress(), {"valid_map": float("nan"), "valid_loss": 2.0}, plan, judged=True
    )
    done, second = train_loop._judged(done, {"valid_map": 0.0, "valid_loss": 9.0}, plan, judged=True)
    assert first and second and done.best_epoch == 2
