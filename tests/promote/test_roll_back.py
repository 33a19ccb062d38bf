"""Rolling a champion back: the registry keeps who and why, and the gate does not let the same one in again."""

from hypothesis import given
from hypothesis import strategies as st

from components.artifacts.champions import Candidate, Champion, Decision
from components.errors import DataError

TERMS = {"policy": "no_loss"}
PROMOTED, REFUSED = Decision("promoted", "gain"), Decision("refused", "regression")


def candidate(letter):
    return Candidate(f"ensemble {letter}", f"report {letter}", f"manifest {letter}")


def after(*letters, start=None):
    champion = start or Champion("length")
    for letter in letters:
        decision = PROMOTED if letter.islower() else REFUSED
        champion = champion.with_decision(candidate(letter.lower()), TERMS, decision, "day")
    return champion


def test_the_decision_of_before_the_roll_back_is_not_given_again():
    """Without this the gate would say `promoted` from its notes, and the registry would stay as it is."""
    back = after("a", "b").rolled_back(0, "ann", "wrong on hems", "2026-01-02")
    told = back.decided(candidate("b"), TERMS)
    assert told.action == "refused"
    assert told.reason == (
        "it was rolled back on 2026-01-02 by ann (wrong on hems); `seamline rollback --to` brings it back"
    )


def test_other_terms_and_another_report_do_not_let_it_in_either():
    back = after("a", "b").rolled_back(0, "ann", "", "day")
    again = Candidate("ensemble b", "another report", "manifest b")
    assert back.decided(again, {"policy": "gain"}).action == "refused"


def test_who_is_put_in_force_again_is_judged_as_before():
    there = after("a", "b").rolled_back(0, "ann", "", "day").rolled_back(2, "ann", "it was right", "day")
    assert there.current == candidate("b") and there.withdrawal(candidate("b")) is None
    assert there.decided(candidate("b"), TERMS) == PROMOTED
    assert there.decided(candidate("a"), TERMS).action == "refused", "now that one has been rolled back"


def test_others_are_asked_about_as_before():
    back = after("a", "b").rolled_back(0, "ann", "", "day")
    assert back.decided(candidate("c"), TERMS) is None
    assert after("c", start=back).current == candidate("c")


def test_refused_challengers_are_passed_over():
    assert after("a", "B", "c", "D").rolled_back(0, "ann", "", "day").current == candidate("a")


def test_after_a_roll_back_the_next_champion_goes_back_to_the_one_it_replaced():
    back = after("a", "b").rolled_back(0, "ann", "", "day")
    assert after("c", start=back).rolled_back(0, "ann", "", "day").current == candidate("a")


@given(st.lists(st.sampled_from("abcdABCD"), max_size=8), st.integers(0, 9))
def test_a_roll_back_adds_one_entry_and_changes_none(letters, number):
    before = after(*letters)
    try:
        back = before.rolled_back(number, "ann", "", "day")
    except DataError:
        return
    assert back.history[:-1] == before.history and back.history[-1]["number"] == len(before.history) + 1
    assert back.current != before.current
    assert Candidate(**back.history[-1]["challenger"]) == back.current
    assert back.withdrawal(before.current) is not None
