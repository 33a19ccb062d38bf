"""Round 1 from the champion: the model carries the offer, the data decide whether it is taken."""

from pathlib import Path

import pytest


def offer(trained):
    return {"name": "small", "start": {"colour_labels": Path(trained.reference).name}}


def test_round1_starts_from_the_champion_of_older_data(make_shards, train, capsys):
    champion = train(make_shards(rounds=1), epochs=1)
    grown = make_shards(rounds=2)
    started = train(grown, phase="round1", model=offer(champion), epochs=1)
    assert started.index["parent"] == Path(champion.reference).name
    assert "from the champion: " in capsys.readouterr().out


def test_later_phases_and_a_restart_do_not_look_at_the_champion(make_shards, train):
    champion = train(make_shards(rounds=1), epochs=1)
    grown = make_shards(rounds=2)
    for how in ({"phase": "round2"}, {"phase": "student"}, {"phase": "round1", "restart": True}):
        assert train(grown, model=offer(champion), epochs=1, **how).index["parent"] == ""


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"backbone": "small_separable"}, "has backbone 'tiny'"),
        ({"fold": 1}, "may have learnt from 12 of the 24 pictures that would judge it"),
    ],
)
def test_a_champion_that_does_not_fit_is_left_aside_and_that_is_said(make_shards, train, capsys, changed, why):
    champion = train(make_shards(rounds=1), epochs=1)
    started = train(make_shards(rounds=2), phase="round1", model=offer(champion), epochs=1, **changed)
    assert started.index["parent"] == ""
    said = capsys.readouterr().out
    assert "not from the champion: " in said and why in said


def test_a_champion_that_knows_an_old_picture_of_the_fold_is_left_aside_though_only_new_ones_judge(
    make_shards, train, capsys
):
    """Round 1 is judged by the newest pictures, but what starts from it may be judged by all."""
    champion = train(make_shards(rounds=1, folds=2, per_fold=18), epochs=1)
    started = train(make_shards(rounds=2), phase="round1", model=offer(champion), epochs=1, fold=2)
    assert started.index["parent"] == "" and "not from the champion" in capsys.readouterr().out


def test_a_champion_whose_checkpoint_is_gone_is_left_aside(make_shards, train, capsys):
    model = {"name": "small", "start": {"colour_labels": "0" * 32}}
    assert train(make_shards(), phase="round1", model=model, epochs=1).index["parent"] == ""
    assert "is not a finished reference" in capsys.readouterr().out
