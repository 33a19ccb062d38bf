"""How long a training took: noted beside the checkpoint, never in it, all attempts together."""

from pathlib import Path

from components.artifacts import reference
from components.vision.unfinished import Progress, Unfinished


class Pupil:
    """A learner without anything to learn."""

    def state(self) -> dict:
        return {}

    def fits(self, state: dict) -> bool:
        return True

    def restore(self, state: dict) -> None:
        pass


def test_what_an_earlier_attempt_took_is_counted_up_to_its_last_state(tmp_path: Path) -> None:
    first = Unfinished(str(tmp_path), {}, clock=iter([100.0, 130.0]).__next__)
    first.save(Pupil(), Progress(epoch=1), {})
    second = Unfinished(str(tmp_path), {}, clock=iter([500.0, 507.0]).__next__)
    second.load(Pupil())
    assert second.seconds == 30 + 7


def test_another_training_in_the_folder_counts_for_nothing(tmp_path: Path) -> None:
    Unfinished(str(tmp_path), {"of": "a"}, clock=iter([0.0, 30.0]).__next__).save(Pupil(), Progress(epoch=1), {})
    other = Unfinished(str(tmp_path), {"of": "b"}, clock=iter([500.0, 507.0]).__next__)
    other.load(Pupil())
    assert other.seconds == 7


def test_the_time_stands_beside_the_checkpoint_and_changes_nothing_of_it(train, make_shards) -> None:
    made = train(make_shards())
    assert reference.read_made_by(made.reference)["seconds"] >= 0
    assert "seconds" not in made.index
