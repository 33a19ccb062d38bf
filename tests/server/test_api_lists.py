"""Filters, order and pages, the same for every list."""

import base64
import json
import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engine.database import Database
from pipeline.engine.listing import Column, Condition, Kind, Operation, Query, page, page_in_memory
from pipeline.engine.store import Store

EXPERIMENTS = "/apis/v2beta1/experiments"
COLUMNS = {"name": Column("name"), "size": Column("size", Kind.NUMBER), "created": Column("created", Kind.TIME)}
WORDS = st.text(alphabet="abAB_%é", max_size=3)
TIMES = st.sampled_from([0.0, 0.5, 1.0, 1.9, 2.0])
ROWS = st.lists(st.tuples(WORDS, st.integers(-2, 2), TIMES), max_size=12)


@st.composite
def conditions(draw):
    column = draw(st.sampled_from(list(COLUMNS.values())))
    values = {Kind.TEXT: WORDS, Kind.NUMBER: st.integers(-2, 2), Kind.TIME: st.integers(0, 2)}[column.kind]
    known = [o for o in Operation if o is not Operation.IS_SUBSTRING or column.kind is Kind.TEXT]
    operation = draw(st.sampled_from(known))
    count = 2 if operation is Operation.IN else 1
    return Condition(column, operation, tuple(draw(values) for _ in range(count)))


@st.composite
def queries(draw):
    order, wanted = draw(st.sampled_from(list(COLUMNS.values()))), draw(st.lists(conditions(), max_size=2))
    return Query(order, wanted, draw(st.booleans()), limit=draw(st.integers(1, 5)))


def table(rows):
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.execute("CREATE TABLE things (number INTEGER PRIMARY KEY, name TEXT, size INTEGER, created REAL)")
    connection.executemany("INSERT INTO things (name, size, created) VALUES (?, ?, ?)", rows)
    return connection


def walk(ask, query, between=lambda: None):
    """Numbers of all rows, page after page."""
    seen, after = [], None
    while True:
        found = ask(Query(query.order, query.conditions, query.descending, after, query.limit))
        seen += [row["number"] for row in found.rows]
        after = found.end
        if after is None:
            return seen
        between()


@given(ROWS, queries())
def test_a_list_in_memory_and_one_in_the_database_are_cut_alike(rows, query):
    database = Database(table(rows))
    items = [dict(row) for row in database.rows("SELECT * FROM things")]
    stored = walk(lambda q: page(database, "things", "number", q), query)
    assert stored == walk(lambda q: page_in_memory(items, lambda item: item, "number", q), query)
    assert page(database, "things", "number", query).total == len(stored)


@given(ROWS, queries())
def test_rows_that_come_between_two_pages_neither_repeat_nor_hide_others(rows, query):
    connection = table(rows)
    database = Database(connection)
    before = set(walk(lambda q: page(database, "things", "number", q), query))

    def add():
        if connection.execute("SELECT COUNT(*) FROM things").fetchone()[0] < 40:
            connection.execute("INSERT INTO things (name, size, created) VALUES ('a', 1, 1.0)")

    seen = walk(lambda q: page(database, "things", "number", q), query, between=add)
    assert len(seen) == len(set(seen))
    assert before <= set(seen)


@pytest.fixture
def named(client):
    """Experiments a0 ... a4 besides Default."""
    for i in range(5):
        client.post(EXPERIMENTS, json={"display_name": f"a{i}", "description": f"number {i % 2}"})
    return lambda **query: client.get(EXPERIMENTS, params=query)


def names(answer):
    return [e["display_name"] for e in answer.json().get("experiments", [])]


def predicate(**parts):
    return json.dumps({"predicates": [{"operation": "EQUALS", "key": "display_name", **parts}]})


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"operation": 1, "stringValue": "a1"}, ["a1"]),
        ({"operation": "1", "string_value": "a1"}, ["a1"]),
        ({"operation": "EQUALS", "key": "displayName", "stringValue": "a1"}, ["a1"]),
        ({"key": "name", "stringValue": "a1"}, ["a1"]),
        ({"operation": 2, "stringValue": "a1"}, ["Default", "a0", "a2", "a3", "a4"]),
        ({"operation": 3, "stringValue": "a3"}, ["a4"]),
        ({"operation": 5, "stringValue": "a3"}, ["a3", "a4"]),
        ({"operation": 6, "stringValue": "a1"}, ["Default", "a0"]),
        ({"operation": "LESS_THAN_EQUALS", "stringValue": "a0"}, ["Default", "a0"]),
        ({"operation": 8, "stringValues": {"values": ["a1", "a3", "x"]}}, ["a1", "a3"]),
        ({"operation": "IS_SUBSTRING", "stringValue": "AUL"}, ["Default"]),
        ({"operation": 9, "stringValue": "%"}, []),
        ({"key": "created_at", "operation": 6, "timestampValue": "2000-01-01T00:00:00Z"}, []),
        ({"key": "created_at", "operation": 3, "long_value": "0"}, ["Default", "a0", "a1", "a2", "a3", "a4"]),
        ({"key": "storage_state", "stringValue": "AVAILABLE"}, ["Default", "a0", "a1", "a2", "a3", "a4"]),
    ],
)
def test_every_operation_by_number_or_name_with_keys_in_either_case(named, given, found):
    assert names(named(filter=predicate(**given), sort_by="display_name")) == found


def test_predicates_must_all_hold(named):
    both = [
        {"operation": "IS_SUBSTRING", "key": "description", "stringValue": "number 1"},
        {"operation": "GREATER_THAN", "key": "display_name", "stringValue": "a1"},
    ]
    assert names(named(filter=json.dumps({"predicates": both}))) == ["a3"]


def test_without_sort_by_the_oldest_come_first_as_in_kfp(named):
    assert names(named()) == ["Default", "a0", "a1", "a2", "a3", "a4"]
    assert names(named(sort_by="created_at desc"))[0] == "a4"
    assert names(named(sort_by="display_name ASC"))[:2] == ["Default", "a0"]


def test_pages_are_walked_by_their_token_alone(named):
    first = named(page_size=2, sort_by="display_name desc", filter=predicate(operation=2, stringValue="a2")).json()
    assert (names_of(first), first["total_size"]) == (["a4", "a3"], 5)
    second = named(page_size=2, page_token=first["next_page_token"]).json()
    assert names_of(second) == ["a1", "a0"]
    third = named(page_size=2, page_token=second["next_page_token"]).json()
    assert names_of(third) == ["Default"] and "next_page_token" not in third


def names_of(body):
    return [e["display_name"] for e in body["experiments"]]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"filter": "{"}, "no JSON"),
        ({"filter": "[]"}, "expected a JSON object"),
        ({"filter": '{"predicates": {}}'}, "must be a list"),
        ({"filter": '{"predicates": [1]}'}, "expected a JSON object"),
        ({"filter": predicate(key="colour", stringValue="x")}, "known are experiment_id, display_name"),
        ({"filter": predicate(operation=4, stringValue="x")}, "expected one of EQUALS"),
        ({"filter": predicate(operation="LIKE", stringValue="x")}, "expected one of EQUALS"),
        ({"filter": predicate()}, "exactly one of"),
        ({"filter": predicate(stringValue="x", intValue=1)}, "exactly one of"),
        ({"filter": predicate(operation=8, stringValues=["x"])}, "expected a JSON object"),
        ({"filter": predicate(operation=8, stringValues={"values": []})}, "needs one of"),
        ({"filter": predicate(stringValue=[1])}, "must be a text or a number"),
        ({"filter": predicate(stringValue=True)}, "must be a text or a number"),
        ({"filter": predicate(key="created_at", stringValue="soon")}, "no time"),
        ({"filter": predicate(key="created_at", operation=9, stringValue="2")}, "looks into texts only"),
        ({"filter": predicate(key="created_at", longValue=10**30)}, "beyond 64 bits"),
        ({"filter": json.dumps({"predicates": [{}] * 21})}, "at most 20"),
        ({"filter": '{"predicates": [{"key": "display_name", "stringValue": "\\ud800"}]}'}, "half a character"),
        ({"filter": '{"predicates": [{"key": "display_name", "stringValue": "\\u0000"}]}'}, "NUL"),
        ({"filter": '{"predicates": [{"key": "created_at", "intValue": NaN}]}'}, "NaN"),
        ({"filter": "[" * 10_000}, "nested too deeply"),
        ({"sort_by": "colour"}, "known are"),
        ({"sort_by": "created_at sideways"}, "KEY desc"),
        ({"sort_by": "created_at desc please"}, "KEY desc"),
        ({"page_size": "-1"}, "expected 1 to 200"),
        ({"page_size": "many"}, "no whole number"),
        ({"page_size": "٣"}, "no whole number"),
        ({"page_size": "1-"}, "no whole number"),
        ({"page_token": "nonsense"}, "not one that this server gave"),
        ({"page_token": "e30="}, "not one that this server gave"),
        ({"page_token": base64.b64encode(b'{"sort_by":"","filter":"","value":"x","number":1}').decode()}, "not one"),
        ({"page_token": base64.b64encode(b'{"sort_by":"","filter":"","value":1e999,"number":1}').decode()}, "not one"),
    ],
)
def test_a_bad_question_is_a_400_that_says_why(named, query, said):
    answer = named(**query)
    assert answer.status_code == 400, answer.text
    assert said in answer.json()["message"] and answer.json()["code"] == 3


def test_a_token_of_another_list_is_refused(named):
    token = named(page_size=1, sort_by="display_name").json()["next_page_token"]
    assert "another sort_by" in named(page_token=token, sort_by="created_at").json()["message"]
    assert named(page_token=token, filter=predicate(stringValue="a1")).status_code == 400


def test_a_page_has_twenty_rows_unless_asked_and_at_most_two_hundred(client, state_dir):
    store = Store.open(state_dir)
    with store.database.writing():
        for i in range(230):
            row = {"experiment_id": f"id{i}", "display_name": f"n{i:03}", "created": float(i)}
            store.database.insert("experiments", row)
    assert len(client.get(EXPERIMENTS).json()["experiments"]) == 20
    assert len(client.get(EXPERIMENTS, params={"page_size": 5000}).json()["experiments"]) == 200
