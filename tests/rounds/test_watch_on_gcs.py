"""The same, where the rounds lie in a bucket."""

import pytest

from components.artifacts import storage
from components.errors import DataError
from pipeline.rounds import folders

NAME = "skirt_length_labels"


@pytest.fixture
def place(place, bucket):
    place.address = f"{bucket}/rounds"
    return place


def test_a_round_in_a_bucket_lands_is_corrected_and_launches_each_time_once(place):
    place.deliver("round1", range(4))
    assert place.look() == []
    place.clock.passes(60)
    assert len(place.look()) == 1 and place.look() == []
    storage.write_bytes(f"{place.address}/round1/Images/{NAME}/2.jpg", b"corrected")
    assert place.look() == []
    place.clock.passes(60)
    assert len(place.look()) == 1
    view = place.rounds()["round1"]
    assert (view.label, view.pictures) == ("round1 v2", 4)
    assert place.learnt() == [["round1"], ["round1"]]


def test_a_marker_in_a_bucket_lands_the_round_at_once(place):
    place.deliver("round1", range(4))
    place.mark("round1")
    assert len(place.look()) == 1


def test_an_object_written_again_with_the_same_size_is_noticed(place):
    place.deliver("round1", range(4))
    (before,) = folders.deliveries(place.address)
    storage.write_bytes(f"{place.address}/round1/Images/{NAME}/2.jpg", b"picture 9")
    (after,) = folders.deliveries(place.address)
    assert before.fingerprint != after.fingerprint


def test_the_digest_does_not_depend_on_where_the_round_lies(place):
    place.deliver("round1", range(4))
    place.mark("round1")
    place.look()
    place.deliver("round1", range(4), where=str(place.folder / "copy"))
    assert place.rounds()["round1"].digest == folders.digest(str(place.folder / "copy"))


def test_listing_tells_folders_and_only_folders(place):
    for name in ("round1", "round10", ".hidden"):
        storage.write_bytes(f"{place.address}/{name}/Annotations/label.csv", b"")
    storage.write_bytes(f"{place.address}/read-me.txt", b"")
    assert storage.folders(place.address) == ["round1", "round10"]


def test_a_bucket_that_is_not_there_is_named(place):
    with pytest.raises(DataError, match="there is no bucket gs://no-such-bucket"):
        storage.folders("gs://no-such-bucket/x")
