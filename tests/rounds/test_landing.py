"""When a round has landed: quiet, or marked; by what the watcher saw, whatever the clocks and the files say."""

from dataclasses import replace

from pipeline.rounds import folders


def state(place, name="round1"):
    return place.rounds()[name].state


def test_a_round_lands_once_it_has_been_quiet_and_not_before(place):
    place.deliver("round1", range(5))
    assert place.look() == []
    assert place.rounds()["round1"].reason == "quiet for 0.0 s of 1 min 00 s; no _SUCCESS"
    place.clock.passes(59)
    assert place.look() == []
    place.clock.passes(1)
    assert len(place.look()) == 1
    assert state(place) == "launched"


def test_a_change_starts_the_quiet_time_anew(place):
    place.deliver("round1", range(5))
    place.look()
    place.clock.passes(50)
    place.deliver("round1", range(6))
    place.look()
    place.clock.passes(50)
    assert place.look() == [] and state(place) == "waiting"
    place.clock.passes(10)
    assert len(place.look()) == 1


def test_old_times_of_files_do_not_make_a_round_quiet(place, touch):
    place.deliver("round1", range(5))
    for path in place.folder.rglob("*"):
        touch(path)
    place.look()
    assert state(place) == "waiting"


def test_a_file_that_keeps_size_and_time_but_was_written_anew_is_a_change(place, touch):
    place.deliver("round1", range(5))
    picture = next((place.folder / "round1" / "Images").rglob("4.jpg"))
    touch(picture)
    place.land()
    picture.write_bytes(b"another 4")
    touch(picture)
    place.land()
    assert place.rounds()["round1"].version == 2


def test_a_marker_lands_a_round_at_once(place):
    place.deliver("round1", range(5))
    place.mark("round1", "round1_SUCCESS")
    assert len(place.look()) == 1


def test_a_marker_is_no_part_of_the_content(place):
    place.deliver("round1", range(5))
    before = folders.digest(str(place.folder / "round1"))
    place.mark("round1")
    assert folders.digest(str(place.folder / "round1")) == before
    place.land()
    assert place.rounds()["round1"].digest == before


def test_an_old_marker_says_nothing_about_files_that_came_after_it(place):
    place.deliver("round1", range(5))
    place.mark("round1")
    place.look()
    place.deliver("round1", range(6))
    place.look()
    assert "its files changed after its _SUCCESS" in place.rounds()["round1"].reason
    place.mark("round1")
    assert len(place.look()) == 1


def test_a_marker_that_comes_after_the_round_was_launched_launches_nothing(place):
    place.deliver("round1", range(5))
    place.land()
    place.mark("round1")
    assert place.land() == [] and len(place.runs()) == 1
    place.deliver("round1", range(6))
    place.look()
    assert state(place) == "waiting"


def test_a_wall_clock_put_forward_by_a_day_lands_nothing(place):
    place.deliver("round1", range(5))
    place.look()
    place.clock.passes(1)
    place.clock.jump(86_400)
    assert place.look() == [] and state(place) == "waiting"


def test_a_wall_clock_put_back_by_a_day_delays_nothing(place):
    place.deliver("round1", range(5))
    place.look()
    place.clock.jump(-86_400)
    place.clock.passes(60)
    assert len(place.look()) == 1


def test_a_look_from_another_machine_counts_by_the_wall_clock(place):
    place.deliver("round1", range(5))
    place.look()
    place.clock.passes(60)
    place.clock.on_another_machine()
    assert len(place.look()) == 1


def test_another_machine_with_an_earlier_wall_clock_begins_to_count_anew(place):
    place.deliver("round1", range(5))
    place.look()
    place.clock.on_another_machine()
    place.clock.jump(-3600)
    assert place.look() == []
    place.clock.passes(60)
    assert len(place.look()) == 1


def test_no_quiet_time_asked_for_lands_at_the_first_look(place):
    place.options = replace(place.options, quiet_s=0.0)
    place.deliver("round1", range(5))
    assert len(place.look()) == 1


def test_an_empty_folder_is_no_round_yet(place):
    (place.folder / "round1" / "Annotations").mkdir(parents=True)
    assert place.land() == [] and place.rounds() == {}


def test_a_round_that_vanishes_before_it_has_landed_is_forgotten(place):
    place.deliver("round1", range(2))
    place.look()
    for path in sorted(place.folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    place.look()
    assert place.rounds() == {}


def test_a_round_that_vanishes_after_it_was_launched_stays_on_record(place):
    place.deliver("round1", range(2))
    place.land()
    for path in sorted((place.folder / "round1").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    place.look()
    view = place.rounds()["round1"]
    assert (view.state, view.present, view.reason) == ("launched", False, "it is not there now")


def test_only_new_and_changed_files_are_read(place, monkeypatch):
    read = []
    content_of = folders.content_of
    monkeypatch.setattr(folders, "content_of", lambda address: read.append(address) or content_of(address))
    place.deliver("round1", range(5))
    place.land()
    assert len(read) == 6
    place.look()
    assert len(read) == 6
    (place.folder / "round1/Images/skirt_length_labels/9.jpg").write_bytes(b"new")
    place.land()
    assert [address.rpartition("/")[2] for address in read[6:]] == ["9.jpg"]


def test_the_digest_of_a_watched_round_is_that_of_the_same_round_elsewhere(place):
    place.deliver("base", range(3))
    place.deliver("web", range(3, 5))
    place.deliver("round2", range(5, 9))
    place.land()
    found = place.rounds()
    assert found["round1"].digest == folders.digest(str(place.folder), ["web", "base"])
    assert found["round2"].digest == folders.digest(str(place.folder / "round2"))
