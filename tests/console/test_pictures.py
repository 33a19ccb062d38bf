"""What happened to a picture, told from the references of a run."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.console.pictures import LocalPictures
from pipeline.engine.records import Run
from pipeline.engine.store import Store
from pipeline.server.domain import pictures as domain
from pipeline.server.domain.pictures import Choice, Judged, Picture, Tile

from .conftest import SKIRT, TEACHER, World, name_of

PICTURES = LocalPictures()


@pytest.fixture
def run(world: World, store: Store) -> Run:
    return store.run(world.run(world.whole()))


def told(store: Store, run: Run, letter: str) -> Picture:
    found = PICTURES.picture(store, run, name_of(letter))
    assert found is not None
    return found


def judged(store: Store, run: Run, letter: str) -> Judged:
    return told(store, run, letter).judged[0]


def listed(store: Store, run: Run, **choice: object) -> list[Tile]:
    return list(PICTURES.grid(store, run, Choice(**choice), 0, 60).tiles)  # type: ignore[arg-type]


def letters(tiles: list[Tile]) -> str:
    return " ".join(Path(tile.image_id).stem for tile in tiles)


def middle(data: bytes | None) -> list[int]:
    assert data is not None
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return [pixels.shape[0], pixels.shape[1], round(float(pixels.mean()))]


def test_every_model_and_the_ensemble_are_heard_with_their_views_weights_and_verdicts(store: Store, run: Run) -> None:
    ensemble, teacher, student = judged(store, run, "d").votes
    assert ensemble.is_ensemble and list(ensemble.probability) == TEACHER["d"]
    assert [teacher.title, teacher.about, teacher.weight] == ["cnn round2", "teacher", 1.0]
    assert [student.title, student.about, student.weight] == ["cnn student", "student", None]
    assert [(view.name, view.weight) for view in teacher.views] == [("plain", 0.6), ("flip", 0.4)]
    assert teacher.answer == 1 and teacher.verdict == domain.WRONG
    assert [vote.verdict for vote in judged(store, run, "e").votes] == [domain.RIGHT, domain.RIGHT, domain.FUZZY]


def test_a_label_is_told_in_words_by_round_with_fold_and_use(store: Store, run: Run) -> None:
    row = told(store, run, "e").rows[0]
    assert [row.round_name, row.label, row.source_label, row.fold] == ["round2", "Short (Knee)", "Knee", 0]
    assert row.role == "validates"
    assert told(store, run, "b").rows[0].role == "learnt from"
    assert judged(store, run, "b").votes == []


def test_a_picture_that_was_left_out_says_why_and_leads_to_its_copy(store: Store, run: Run) -> None:
    found = told(store, run, "c")
    assert found.rows[0].kind == domain.LEFT_OUT and found.rows[0].reason.startswith("exact duplicate")
    assert [(copy.image_id, copy.how, copy.same_label) for copy in found.copies] == [
        (name_of("a"), "equal pixels", "yes")
    ]
    assert found.judged[0].views == [] and found.judged[0].pseudo is None


def test_a_refused_picture_is_known_by_its_reason(store: Store, run: Run) -> None:
    found = told(store, run, "z")
    assert found.rows == [] and found.rejected == [f"round1/label.csv line 7 ({SKIRT}): truncated JPEG"]


def test_a_question_shows_its_pseudo_label_with_the_gates_numbers_and_its_final_row(store: Store, run: Run) -> None:
    found = judged(store, run, "q")
    assert found.pseudo is not None and found.final is not None
    assert [found.pseudo.has, found.pseudo.predicted, found.pseudo.threshold] == [True, "Short", 0.65]
    assert found.pseudo.gate == {"precision": 0.9, "low": 0.6, "high": 1.0, "min_precision": 0.5, "rows": 11.0}
    assert [found.final.line, found.final.text] == [2, f"{name_of('q')},{SKIRT},0.7;0.2;0.1"]


def test_a_question_without_a_pseudo_label_says_what_was_missing(store: Store, run: Run) -> None:
    found = judged(store, run, "r").pseudo
    assert found is not None and not found.has
    assert found.said == "its teachers say Short with 0.400; 0.650 were needed"


def test_a_label_that_the_report_doubts_carries_its_rank(store: Store, run: Run) -> None:
    assert [judged(store, run, "d").suspicion, judged(store, run, "e").suspicion] == [1, 0]


def test_files_that_are_gone_are_named_and_the_rest_is_told(world: World, store: Store, run: Run) -> None:
    for left in Path(world.data_root, "predictions").glob("*/predictions.parquet"):
        left.unlink()
    found = judged(store, run, "d")
    assert [vote.title for vote in found.votes] == ["ensemble"]
    assert found.missing[0].startswith("what predict made cannot be read: ") and len(found.missing) == 2


def test_without_its_manifest_a_run_says_so(world: World, store: Store) -> None:
    run = store.run(world.run({"ingest": f"{world.data_root}/manifests/{'0' * 32}"}))
    assert "cannot be shown" in PICTURES.grid(store, run, Choice(), 0, 60).reason
    assert PICTURES.picture(store, run, name_of("a")) is None
    assert PICTURES.image(store, run, name_of("a"), "", 160) is None


def test_references_that_are_no_references_of_ours_are_said_to_be_gone(world: World, store: Store) -> None:
    world.pictures()
    odd = world.commit("ensembles", {"members": "none"})
    Path(world.data_root, "broken").mkdir(parents=True)
    Path(world.data_root, "broken", "index.json").write_text("{")
    made = {"ingest": world.manifest(), "ensemble": odd, "predict": f"{world.data_root}/broken", "report": "x" * 5000}
    run = store.run(world.run(made))
    found = judged(store, run, "q")
    assert found.votes == [] and found.final is None
    assert found.missing[:2] == ["what ensemble made is gone", "what predict made is gone"]
    assert letters(listed(store, run)) == "a b c d e q r gone"


def test_answers_with_other_classes_are_not_shown_as_if_they_fitted(world: World, store: Store) -> None:
    world.pictures()
    manifest = world.manifest()
    wide = {letter: [*values, 0.0] for letter, values in TEACHER.items()}
    run = store.run(world.run({"ingest": manifest, "predict": world.predictions("round2", wide)}))
    found = judged(store, run, "q")
    assert found.votes == [] and found.missing == ["what predict made has another number of classes than the manifest"]


def test_data_in_a_bucket_is_said_and_not_waited_for(world: World, store: Store) -> None:
    run = store.run(world.run({"ingest": f"gs://bucket/data/manifests/{'0' * 32}"}))
    assert "lies in a bucket" in PICTURES.grid(store, run, Choice(), 0, 60).reason
    assert list(PICTURES.find(store, "a", 5)) == []


def test_a_run_of_another_pipeline_has_no_pictures(world: World, store: Store) -> None:
    run = store.run(world.run({"ensemble": "just a text"}))
    assert "has no manifest" in PICTURES.grid(store, run, Choice(), 0, 60).reason
    assert PICTURES.runs(store) == []


def test_the_list_is_in_the_manifests_order_and_filtered_by_kind_round_and_name(store: Store, run: Run) -> None:
    assert letters(listed(store, run)) == "a b c d e q r gone"
    assert letters(listed(store, run, kind=domain.QUESTION)) == "q r"
    assert letters(listed(store, run, kind=domain.LEFT_OUT)) == "c"
    assert letters(listed(store, run, kind=domain.UNLABELLED)) == "gone"
    assert letters(listed(store, run, round=1, kind=domain.LABELLED)) == "a b"
    assert letters(listed(store, run, text="/GONE")) == "gone"
    assert listed(store, run, attribute="another") == []


def test_wrong_ones_come_first_and_only_those_that_can_be_judged(store: Store, run: Run) -> None:
    tiles = listed(store, run, order=domain.WRONG_FIRST)
    assert [(letters([tile]), tile.verdict) for tile in tiles] == [("d", "wrong"), ("e", "right")]
    assert [tiles[0].label, tiles[0].answer, tiles[0].confidence] == ["Short", "Knee", 0.8]


def test_the_least_confident_come_first_with_questions_among_them(store: Store, run: Run) -> None:
    assert letters(listed(store, run, order=domain.UNSURE_FIRST)) == "r e q d"


def test_pictures_that_the_students_answer_otherwise_are_found(store: Store, run: Run) -> None:
    assert letters(listed(store, run, order=domain.CHANGED_ONLY)) == "e r"


def test_the_list_comes_by_pages(store: Store, run: Run) -> None:
    grid = PICTURES.grid(store, run, Choice(), 1, 3)
    assert letters(list(grid.tiles)) == "d e q" and grid.matching == 8
    assert PICTURES.grid(store, run, Choice(), 9, 3).tiles == []


def test_the_neighbours_are_those_of_the_list_that_one_came_from(store: Store, run: Run) -> None:
    unsure = Choice(order=domain.UNSURE_FIRST)
    assert PICTURES.neighbours(store, run, unsure, name_of("e")) == (name_of("r"), name_of("q"))
    assert PICTURES.neighbours(store, run, Choice(), name_of("a")) == ("", name_of("b"))
    assert PICTURES.neighbours(store, run, unsure, name_of("a")) == ("", "")


def test_a_picture_is_made_smaller_but_never_larger(store: Store, run: Run) -> None:
    assert middle(PICTURES.image(store, run, name_of("d"), "", 45)) == [45, 30, 60]
    assert middle(PICTURES.image(store, run, name_of("d"), "", 640)) == [90, 60, 60]


def test_a_view_comes_out_of_the_shards_also_after_a_name_that_contains_it(store: Store, run: Run) -> None:
    assert middle(PICTURES.image(store, run, name_of("d"), "flip", 160)) == [8, 8, 140]
    assert PICTURES.image(store, run, name_of("d"), "upside_down", 160) is None


def test_a_picture_whose_file_is_gone_is_taken_from_the_shards(world: World, store: Store, run: Run) -> None:
    shutil.rmtree(world.state_dir / "round2")
    assert middle(PICTURES.image(store, run, name_of("d"), "", 160)) == [8, 8, 40]
    assert PICTURES.image(store, run, name_of("gone"), "", 160) is None


def test_a_link_out_of_the_round_is_not_followed(world: World, store: Store, run: Run) -> None:
    outside = world.state_dir / "secret.png"
    cv2.imwrite(str(outside), np.full((30, 30, 3), 255, np.uint8))
    inside = world.state_dir / "round2" / name_of("d")
    inside.unlink()
    inside.symlink_to(outside)
    assert middle(PICTURES.image(store, run, name_of("d"), "", 160)) == [8, 8, 40]


@pytest.mark.parametrize("name", ["../state/secret.png", "/etc/passwd", f"{SKIRT}/../d.png", "", "a\0b"])
def test_only_what_the_manifest_names_is_ever_served(store: Store, run: Run, name: str) -> None:
    assert PICTURES.image(store, run, name, "", 160) is None
    assert PICTURES.picture(store, run, name) is None


def test_runs_that_know_a_picture_come_the_finished_and_newest_first(world: World, store: Store, run: Run) -> None:
    again = world.run({"ingest": str(store.task_at(run.run_id, "ingest").outputs.parameters["manifest"])})  # type: ignore[union-attr]
    assert [one.run_id for one in PICTURES.runs(store, name_of("a"))] == [again, run.run_id]
    assert PICTURES.runs(store, "nobody.jpg") == []


def test_a_search_finds_part_of_a_name_in_the_newest_run_that_knows_it(store: Store, run: Run) -> None:
    found = PICTURES.find(store, "GONE", 5)
    assert [(one.image_id, one.kind, one.run_id) for one in found] == [(name_of("gone"), "unlabelled", run.run_id)]
    assert len(PICTURES.find(store, SKIRT, 3)) == 3
