"""The server's own sensor: looks at what is registered, never falls over bad data, tells the console what it saw."""

import sqlite3
import threading
from dataclasses import replace

import pytest

from pipeline.engine.store import Store
from pipeline.errors import NotFound, PipelineError, StateError
from pipeline.local import make_engine
from pipeline.rounds import source as sources
from pipeline.rounds import views
from pipeline.rounds.launching import LocalLauncher
from pipeline.rounds.sensor import Sensor, SensorSettings, backfill
from pipeline.rounds.watch import Watch


@pytest.fixture
def sensor(place):
    return Sensor(SensorSettings(place.state), lambda: Store.open(place.state), place.clock)


def look_until_landed(place, sensor):
    sensor.look()
    place.clock.passes(60)
    return sensor.look()


def test_only_registered_sources_are_looked_at(place, sensor):
    place.deliver("round1", range(5))
    place.log.put_source(place.source)
    assert look_until_landed(place, sensor) == [] and place.rounds() == {}
    sources.add(place.log, place.source)
    assert len(look_until_landed(place, sensor)) == 1


def test_a_paused_or_removed_source_is_not_looked_at_and_keeps_its_history(place, sensor):
    place.deliver("round1", range(5))
    sources.add(place.log, place.source)
    look_until_landed(place, sensor)
    place.deliver("round2", range(5, 9))
    sources.enable(place.log, str(place.folder), False)
    assert look_until_landed(place, sensor) == []
    sources.enable(place.log, str(place.folder), True)
    sources.remove(place.log, place.source.source_id)
    assert look_until_landed(place, sensor) == []
    assert list(place.rounds()) == ["round1"]
    sources.add(place.log, place.source)
    assert len(look_until_landed(place, sensor)) == 1


def test_a_second_look_by_a_new_sensor_launches_nothing_again(place, sensor):
    place.deliver("round1", range(5))
    sources.add(place.log, place.source)
    look_until_landed(place, sensor)
    again = Sensor(SensorSettings(place.state), lambda: Store.open(place.state), place.clock)
    assert again.look() == [] and len(place.runs()) == 1


def test_a_source_in_trouble_says_so_and_does_not_stop_the_next(place, sensor, tmp_path):
    lost = sources.describe(str(tmp_path / "gone"), str(place.recipe), (), place.options, 0.0)
    sources.add(place.log, lost)
    sources.add(place.log, place.source)
    place.deliver("round1", range(5))
    assert len(look_until_landed(place, sensor)) == 1
    trouble = {source.address: source.trouble for source in views.list_sources(place.log)}
    assert trouble == {lost.address: f"{lost.address} is not a folder; check the address", str(place.folder): ""}


def test_a_recipe_that_was_spoilt_is_trouble_until_it_is_mended(place, sensor):
    place.deliver("round1", range(5))
    sources.add(place.log, place.source)
    good = place.recipe.read_text()
    place.recipe.write_text("name = ")
    assert look_until_landed(place, sensor) == []
    assert "is not TOML" in views.list_sources(place.log)[0].trouble
    place.recipe.write_text(good)
    assert len(look_until_landed(place, sensor)) == 1
    assert views.list_sources(place.log)[0].trouble == ""


def test_an_error_that_nobody_foresaw_is_the_trouble_of_its_source_and_stops_no_other(place, sensor, monkeypatch):
    other = sources.describe(str(place.folder.parent / "other"), str(place.recipe), (), place.options, 0.0)
    sources.add(place.log, other)
    sources.add(place.log, place.source)
    place.deliver("round1", range(5))
    look = Watch.look

    def falls_over_the_other(watch):
        if watch._source.source_id == other.source_id:
            raise ValueError("not what a Parquet file begins with")
        return look(watch)

    monkeypatch.setattr(Watch, "look", falls_over_the_other)
    assert len(look_until_landed(place, sensor)) == 1
    trouble = {source.address: source.trouble for source in views.list_sources(place.log)}
    assert trouble[other.address].endswith("please report it: ValueError: not what a Parquet file begins with")
    assert trouble[str(place.folder)] == ""


@pytest.mark.parametrize("error", [StateError("made by a newer version"), sqlite3.OperationalError("disk I/O error")])
def test_a_state_folder_that_cannot_be_used_now_is_tried_again(place, error):
    broken = [error]

    class Away:
        database = property(lambda self: (_ for _ in ()).throw(broken[0]))
        close = staticmethod(lambda: None)

    def open_store():
        if isinstance(broken[0], StateError):
            raise broken[0]
        return Away()

    assert Sensor(SensorSettings(place.state), open_store, place.clock).look() == []


def test_the_console_gets_sources_and_rounds_as_plain_data(place, sensor):
    place.deliver("round1", range(5))
    place.deliver("round2", range(3, 9), extra="Images/x.jpg,skirt_length_labels,ynnnnn\n")
    sources.add(place.log, place.source)
    look_until_landed(place, sensor)
    (source,) = views.list_sources(place.log)
    assert (source.pipeline, source.registered, source.num_rounds, source.looked) == (
        "watched", True, 2, place.clock().wall,
    )  # fmt: skip
    first, second = views.list_rounds(place.log, source.source_id)
    assert (second.pictures, second.new_pictures, second.rejected, second.landed) == (6, 4, 1, place.clock().wall)
    assert list(second.reasons) == ["missing file"]
    assert first.launch == second.launch and second.launch.rounds == ["round1", "round2"]
    assert views.list_launches(place.log, source.source_id) == [second.launch]


def test_a_source_is_found_by_its_address_or_its_id_and_named_where_it_is_not(place):
    sources.add(place.log, place.source)
    assert sources.find(place.log, place.source.source_id).address == str(place.folder)
    with pytest.raises(NotFound, match=f"give the id of one of these: {place.source.source_id}"):
        sources.find(place.log, "/elsewhere")


def test_registering_again_changes_what_is_watched_for(place):
    sources.add(place.log, place.source)
    place.options = replace(place.options, min_new=9)
    sources.add(place.log, place.source)
    (source,) = views.list_sources(place.log)
    assert source.options.min_new == 9


def test_options_that_make_no_sense_are_refused(place):
    place.options = sources.Options(quiet_s=-1.0)
    with pytest.raises(PipelineError, match="quiet_s"):
        _ = place.source


def test_the_console_backfills_by_names(place, sensor):
    place.deliver("round1", range(5))
    place.deliver("round2", range(5, 9))
    sources.add(place.log, place.source)
    look_until_landed(place, sensor)
    store = place.store()
    launcher = LocalLauncher(make_engine(store), store)
    (launch,) = backfill(launcher, store, place.source.source_id, ["round1"], sources.COALESCE, place.clock)
    assert (launch.rounds, launch.state) == (["round1"], "PENDING")
    assert place.learnt() == [["round1", "round2"], ["round1"]]


def test_a_thread_looks_until_it_is_stopped(place, sensor):
    place.options = sources.Options(quiet_s=0.0)
    place.deliver("round1", range(5))
    sources.add(place.log, place.source)

    class Stopped(threading.Event):
        def wait(self, timeout=None):
            assert timeout == 30.0
            self.set()

    sensor.run(Stopped())
    assert len(place.runs()) == 1
