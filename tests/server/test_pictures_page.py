"""The pages of pictures: a grid by pages, one picture with all that happened to it, and its bytes."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from starlette.testclient import TestClient

from pipeline.engine.records import Run
from pipeline.engine.runner import Engine
from pipeline.engine.states import RunState
from pipeline.engine.store import Store
from pipeline.server.domain import pictures as domain
from pipeline.server.domain.pictures import (
    Choice,
    Copy,
    Final,
    Found,
    Grid,
    Judged,
    Picture,
    Pseudo,
    Row,
    Tile,
    View,
    Vote,
)
from pipeline.server.pages.pictures import summary
from pipeline.server.services import Services

RUN = Run("r", "r", "p", RunState.SUCCEEDED)
JSON = {"accept": "application/json"}
NAME = "Images/<b>/a b.jpg"
TILES = [Tile(f"p{number}.jpg", "skirt", 1, "labelled", "Short", "Long", 0.75, "wrong") for number in range(130)]


def judged() -> Judged:
    views = [View("plain", 0.6, [0.3, 0.7])]
    votes = [
        Vote("ensemble", "equal, teachers", "ensemble", [0.25, 0.75], "wrong", is_ensemble=True),
        Vote("cnn round2", "teacher", "loop(0)/predict", [0.2, 0.8], "wrong", 1.0, views),
    ]
    gate = {"precision": 0.91, "low": 0.62, "high": 0.98, "min_precision": 0.5, "rows": 11.0}
    pseudo = Pseudo(True, "precise", "pseudo-label", "Long", 0.81, 0.5, 0.8, gate)
    final = Final(7, "a.jpg,skirt,0.25;0.75", "report")
    return Judged("skirt", ["Short", "Long"], "yn", votes, pseudo, final, 3, ["plain", "flip"], ["what x made is gone"])


def picture_of(run: Run) -> Picture:
    row = Row("skirt", 1, "round1", "labelled", "Short", "", "yn", 1.0, 0, "validates", "", NAME)
    copies = [Copy("twin.jpg", "skirt", 2, "equal pixels", "no")]
    return Picture(NAME, run, 60, 90, "f" * 64, [row], [], copies, [judged()])


@dataclass
class FakePictures:
    """Knows one picture in every run of the store."""

    similar: Sequence[Found] = ()
    asked: list[tuple[str, str, int]] = field(default_factory=list)
    reason: str = ""

    def runs(self, store: Store, image_id: str = "") -> Sequence[Run]:
        return store.runs() if image_id in ("", NAME) else []

    def grid(self, store: Store, run: Run, choice: Choice, page: int, size: int) -> Grid:
        found = [tile for tile in TILES if choice.text in tile.image_id]
        return Grid(found[page * size : (page + 1) * size], len(found), ["skirt"], ["round1"], self.reason)

    def neighbours(self, store: Store, run: Run, choice: Choice, image_id: str) -> tuple[str, str]:
        return "", "next.jpg" if choice.order else ""

    def picture(self, store: Store, run: Run, image_id: str) -> Picture | None:
        return picture_of(run) if image_id == NAME else None

    def image(self, store: Store, run: Run, image_id: str, view: str, size_px: int) -> bytes | None:
        self.asked.append((image_id, view, size_px))
        return b"jpeg" if image_id == NAME else None

    def find(self, store: Store, text: str, limit: int) -> Sequence[Found]:
        return self.similar[:limit]


@pytest.fixture
def pictures(services: Services) -> FakePictures:
    fake = FakePictures()
    services.domain = replace(services.domain, pictures=fake)
    return fake


@pytest.fixture
def run_id(engine: Engine, two_steps_ir: str) -> str:
    return engine.create_run(two_steps_ir, {})


PAGE = "/pictures/Images/%3Cb%3E/a%20b.jpg"


@pytest.mark.usefixtures("pictures")
def test_the_grid_comes_by_pages_that_keep_the_choice(client: TestClient, run_id: str) -> None:
    first = client.get("/pictures?order=wrong&q=p").text
    assert first.count('class="tile tile-wrong"') == 60 and "1 to 60 of 130" in first
    assert 'href="/pictures?order=wrong&amp;q=p&amp;page=1" rel="next"' in first and 'rel="prev"' not in first
    last = client.get("/pictures?order=wrong&q=p&page=2").text
    assert "121 to 130 of 130" in last and 'rel="next"' not in last


@pytest.mark.usefixtures("pictures")
def test_a_tile_leads_to_its_picture_with_the_list_it_stands_in(client: TestClient, run_id: str) -> None:
    assert f'href="/pictures/p0.jpg?run={run_id}&amp;order=wrong"' in client.get("/pictures?order=wrong").text


@pytest.mark.usefixtures("pictures", "run_id")
@pytest.mark.parametrize("query", ["order=best", "kind=nice", "page=-1", "page=x", "round=1e9", "page=99999999"])
def test_an_address_that_makes_no_sense_is_refused_in_one_line(client: TestClient, query: str) -> None:
    answer = client.get(f"/pictures?{query}", headers=JSON)
    assert answer.status_code == 400 and "\n" not in answer.json()["message"]


def test_without_runs_the_grid_says_what_to_do(client: TestClient) -> None:
    assert "seamline run demo" in client.get("/pictures").text


@pytest.mark.usefixtures("run_id")
def test_why_there_are_no_pictures_is_said(client: TestClient, pictures: FakePictures) -> None:
    pictures.reason = "the data lies in a bucket"
    assert "the data lies in a bucket." in client.get("/pictures").text


@pytest.mark.usefixtures("pictures", "run_id")
def test_a_picture_is_summed_up_in_a_sentence_before_anything_else(client: TestClient) -> None:
    text = client.get(PAGE).text
    said = "Labelled Short in round1; the ensemble answers Long with 0.750: wrong."
    assert said in text and text.index(said) < text.index("<table")
    assert client.get(PAGE, headers=JSON).json()["said"] == [said]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"kind": domain.QUESTION}, "A question of round1; the ensemble answers Long with 0.750: wrong."),
        ({"kind": domain.LEFT_OUT, "reason": "conflict"}, "Left out of round1: conflict."),
    ],
)
def test_the_sentence_says_what_kind_of_picture_it_is(changed: dict[str, str], said: str) -> None:
    found = picture_of(RUN)
    assert summary(replace(found, rows=[replace(found.rows[0], **changed)])) == [said]


def test_a_question_that_cannot_be_decoded_says_so() -> None:
    found = picture_of(RUN)
    row = replace(found.rows[0], kind=domain.QUESTION, reason="truncated JPEG")
    assert "cannot be decoded (truncated JPEG): the models saw black" in summary(replace(found, width=0, rows=[row]))[0]


def test_a_refused_picture_is_summed_up_by_its_reason() -> None:
    found = picture_of(RUN)
    assert summary(replace(found, rows=[], judged=[], rejected=["label.csv line 7: no y"])) == [
        "Refused: label.csv line 7: no y."
    ]


@pytest.mark.usefixtures("pictures", "run_id")
def test_a_picture_shows_votes_views_pseudo_label_final_row_copies_and_what_is_missing(client: TestClient) -> None:
    text = client.get(PAGE).text
    for part in (
        "cnn round2",
        "weight 1",
        "0.800",
        "Answer for each view",
        "precision",
        "0.910",
        "a.jpg,skirt,0.25;0.75",
    ):
        assert part in text
    for part in (
        "Row 7 of the submission",
        "equal pixels",
        "other label",
        "number 3 of its list",
        "what x made is gone.",
    ):
        assert part in text


@pytest.mark.usefixtures("pictures")
def test_every_vote_leads_to_the_task_that_gave_it(client: TestClient, run_id: str) -> None:
    assert f'href="/runs/{run_id}/task?key=loop%280%29%2Fpredict"' in client.get(PAGE).text


@pytest.mark.usefixtures("pictures", "run_id")
def test_names_are_never_markup(client: TestClient) -> None:
    assert "Images/<b>" not in client.get(PAGE).text


@pytest.mark.usefixtures("pictures", "run_id")
def test_the_next_picture_is_the_next_of_the_list_one_came_from(client: TestClient) -> None:
    assert 'rel="next"' not in client.get(PAGE).text
    text = client.get(PAGE + "?order=wrong").text
    assert 'href="/pictures/next.jpg?run=' in text and "order=wrong" in text


def test_a_part_of_a_name_leads_to_the_only_picture_or_to_the_list(
    client: TestClient, pictures: FakePictures, run_id: str
) -> None:
    one = Found("x/y.jpg", "skirt", 1, domain.LABELLED, run_id)
    pictures.similar = [one]
    assert client.get("/pictures/y").headers["location"] == "/pictures/x/y.jpg"
    pictures.similar = [one, one]
    assert client.get("/pictures/y").headers["location"] == "/pictures?q=y"
    pictures.similar = []
    assert client.get("/pictures/y").status_code == 404
    assert client.get("/pictures/" + "y" * 2000).status_code == 400


@pytest.mark.usefixtures("pictures", "run_id")
def test_a_run_that_does_not_exist_is_not_found(client: TestClient) -> None:
    assert client.get(PAGE + "?run=nope").status_code == 404
    assert client.get("/pictures?run=nope").status_code == 404


def test_the_bytes_come_as_a_picture_that_a_browser_may_keep(
    client: TestClient, pictures: FakePictures, run_id: str
) -> None:
    answer = client.get(f"{PAGE}/image?run={run_id}&view=flip&size=320")
    assert [answer.status_code, answer.headers["content-type"], answer.content] == [200, "image/jpeg", b"jpeg"]
    assert pictures.asked == [(NAME, "flip", 320)]
    again = client.get(f"{PAGE}/image?run={run_id}", headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304 and again.content == b""


@pytest.mark.usefixtures("pictures", "run_id")
def test_a_picture_that_is_not_here_is_a_drawn_word_and_no_error_page(client: TestClient) -> None:
    answer = client.get("/pictures/other.jpg/image")
    assert answer.status_code == 404 and answer.headers["content-type"] == "image/svg+xml"


@pytest.mark.usefixtures("pictures", "run_id")
@pytest.mark.parametrize("size", ["7", "100000", "x"])
def test_only_a_few_sizes_are_made(client: TestClient, size: str) -> None:
    assert client.get(f"{PAGE}/image?size={size}", headers=JSON).status_code == 400


@pytest.mark.parametrize("name", ["..%2f..%2fetc%2fpasswd", "%2fetc%2fpasswd", "a%00b", "%ff"])
@pytest.mark.usefixtures("run_id")
def test_no_address_reaches_a_file(client: TestClient, name: str) -> None:
    assert client.get(f"/pictures/{name}/image").status_code == 404
    assert client.get(f"/pictures/{name}").status_code == 404
