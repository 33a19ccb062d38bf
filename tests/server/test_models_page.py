"""The page of champions: what is in force, since when, why, and the way back."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from pipeline.engine.store import Store
from pipeline.errors import Conflict
from pipeline.server import history_chart
from pipeline.server.domain.models import Champion, Made, Member, Registry, Ruling
from pipeline.server.domain.results import Score
from pipeline.server.pages.models import ago
from pipeline.server.services import Services

JSON = {"accept": "application/json"}


def ruling(number: int, action: str, value: float | None = 0.9, **changed: Any) -> Ruling:
    score = Score("AP on validation pictures", value, value - 0.1, value + 0.05) if value is not None else None
    made = Made("run-1234", "nightly", "report")
    entry = Ruling(
        number,
        1e9 + number,
        action,
        f"reason {number}",
        f"e{number}",
        "",
        None,
        None,
        None,
        0,
        "ap",
        score,
        made,
        False,
    )
    return replace(entry, **changed)


FIRST = ruling(1, "promoted", 0.8, may_return=True)
REFUSED = ruling(2, "refused", 0.7, difference=-0.1, low=-0.2, high=-0.05, pictures=40)
SECOND = ruling(3, "promoted")
SKIRT = Champion(
    "skirt<length>",
    "/data",
    SECOND,
    [FIRST, REFUSED, SECOND],
    [Member("cnn round2", 0.5, "tiny_cnn", "c" * 32, True, Made("run-1234", "nightly", "loop(0)/train-2"))],
    ["Short", "Long"],
    back=FIRST,
)


@dataclass
class FakeModels:
    """Answers with what it is given, and remembers what was put back."""

    found: Sequence[Registry] = ()
    put_back: list[tuple[str, str, int, str, str]] = field(default_factory=list)
    asked_bucket: str = ""

    def registries(self, store: Store, bucket: str = "") -> Sequence[Registry]:
        self.asked_bucket = bucket
        return self.found

    def roll_back(self, store: Store, data_root: str, attribute: str, number: int, by: str, why: str) -> None:
        if number == 99:
            raise Conflict("entry 99 put nobody in force; give one of these: 1, 3")
        self.put_back.append((data_root, attribute, number, by, why))


@pytest.fixture
def models(services: Services) -> FakeModels:
    fake = FakeModels([Registry("/data", [SKIRT])])
    services.domain = replace(services.domain, models=fake)
    return fake


@pytest.mark.usefixtures("models")
def test_the_table_says_who_is_in_force_with_interval_reason_and_run_before_any_detail(client: TestClient) -> None:
    text = client.get("/models").text
    table = text[text.index("<tbody>") : text.index("</tbody>")]
    assert "0.900" in table and "0.800 to 0.950" in table and "reason 3" in table and 'href="/runs/run-1234"' in table


@pytest.mark.usefixtures("models")
def test_every_decision_stands_there_with_its_word_and_its_difference(client: TestClient) -> None:
    text = client.get("/models").text
    history = text[text.index('class="history"') :]
    assert history.index("reason 3") < history.index("reason 2") < history.index("reason 1")
    assert "refused" in history and "−0.1000 <small>−0.2000 to −0.0500" in history


@pytest.mark.usefixtures("models")
def test_a_model_of_the_ensemble_leads_to_the_task_that_trained_it(client: TestClient) -> None:
    assert 'href="/runs/run-1234/task?key=loop%280%29%2Ftrain-2"' in client.get("/models").text


@pytest.mark.usefixtures("models")
def test_names_are_never_markup(client: TestClient) -> None:
    assert "skirt<length>" not in client.get("/models").text


@pytest.mark.usefixtures("models")
def test_the_same_address_gives_json(client: TestClient) -> None:
    champion = client.get("/models", headers=JSON).json()["registries"][0]["champions"][0]
    assert [champion["current"]["score"]["value"], champion["back"]["number"]] == [0.9, 1]


@pytest.mark.usefixtures("models")
def test_the_terminal_command_does_what_the_button_does(client: TestClient) -> None:
    text = client.get("/models").text
    assert "seamline rollback &#39;skirt&lt;length&gt;&#39; --data-root /data" in text
    assert "Put the champion of" in text


def test_the_button_puts_back_with_its_reason_and_leads_to_the_attribute(
    client: TestClient, models: FakeModels
) -> None:
    form = {"data_root": "/data", "attribute": "skirt<length>", "number": "0", "why": " too\nmany  complaints "}
    answer = client.post("/models/rollback", data=form)
    assert answer.status_code == 303 and answer.headers["location"] == "/models#skirt%3Clength%3E"
    assert models.put_back == [("/data", "skirt<length>", 0, "the console", "too many complaints")]


@pytest.mark.parametrize(
    ("changed", "status"),
    [({"number": "-1"}, 400), ({"number": "x"}, 400), ({"why": "x" * 501}, 400), ({"number": "99"}, 409)],
)
def test_a_form_that_cannot_be_followed_is_refused_in_one_line(
    client: TestClient, models: FakeModels, changed: dict[str, str], status: int
) -> None:
    form = {"data_root": "/data", "attribute": "a", "number": "1", "why": ""} | changed
    answer = client.post("/models/rollback", data=form, headers=JSON)
    assert answer.status_code == status and "\n" not in answer.json()["message"]
    assert models.put_back == []


def test_nothing_in_force_says_what_to_do_next(client: TestClient) -> None:
    text = client.get("/models").text
    assert "Nothing is in force yet" in text and "seamline run demo" in text


def test_a_bucket_is_read_only_when_somebody_asks(client: TestClient, models: FakeModels) -> None:
    models.found = [Registry("gs://b/data", reason="it lies in a bucket, which is read when you ask for it")]
    text = client.get("/models").text
    assert 'href="/models?bucket=gs%3A%2F%2Fb%2Fdata"' in text and models.asked_bucket == ""
    client.get("/models?bucket=gs%3A%2F%2Fb%2Fdata")
    assert models.asked_bucket == "gs://b/data"


def test_trouble_is_loud_and_the_page_still_works(client: TestClient, models: FakeModels) -> None:
    broken = Champion("broken", "/data", None, (), trouble="broken.json is not a champion file")
    models.found = [Registry("/data", [broken, replace(SKIRT, current=replace(SECOND, score=None, made=None))])]
    text = client.get("/models").text
    assert '<p class="cause">broken.json is not a champion file</p>' in text and "its report is gone" in text


def test_a_long_history_shows_its_newest_and_leads_to_the_rest(client: TestClient, models: FakeModels) -> None:
    many = [ruling(number, "refused") for number in range(1, 60)]
    models.found = [Registry("/data", [replace(SKIRT, history=many)])]
    text = client.get("/models").text
    assert 'why">reason 59<' in text and 'why">reason 30<' not in text and "All 59 decisions" in text
    assert 'why">reason 30<' in client.get("/models?all=1").text


def test_the_line_follows_who_was_in_force() -> None:
    chart = history_chart.draw([FIRST, REFUSED, SECOND])
    heights = [float(point.split(",")[1]) for point in chart.line.split()]
    first, _, second = (mark.y for mark in chart.marks)
    assert heights == [first, first, second, second]


@given(
    st.lists(st.tuples(st.sampled_from(["promoted", "kept", "refused", "rolled back"]), st.floats(0, 1)), max_size=60)
)
def test_everything_that_is_drawn_lies_inside_the_drawing(decisions: list[tuple[str, float]]) -> None:
    chart = history_chart.draw([ruling(at, action, value) for at, (action, value) in enumerate(decisions, start=1)])
    assert len(chart.marks) == min(len(decisions), history_chart.MOST)
    points = [(mark.x, y) for mark in chart.marks for y in (mark.y, mark.low, mark.high)]
    points += [(0, y) for y, _ in chart.ticks]
    assert all(0 <= x <= chart.width and 0 <= (y or 0) <= chart.height for x, y in points)


@pytest.mark.parametrize(
    ("seconds", "said"), [(5, "a moment ago"), (60, "1 minute ago"), (7300, "2 hours ago"), (3.5 * 86400, "3 days ago")]
)
def test_the_button_says_how_old_the_champion_is(seconds: float, said: str) -> None:
    assert ago(seconds) == said
