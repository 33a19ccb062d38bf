"""Pages of lists: `page_size`, `page_token`, `sort_by` and `filter` of a request -> a query, and the answer's token."""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.engine.listing import Column, Condition, Kind, Page, Place, Query
from pipeline.errors import PipelineError
from pipeline.server.api import fields, filters
from pipeline.server.api.calls import Call

DEFAULT_SIZE = 20  # both are KFP's
LARGEST_SIZE = 200
_WAYS = {"asc": False, "desc": True}
_BAD_TOKEN = "page_token is not one that this server gave; leave it out to start at the first page"


@dataclass(frozen=True)
class Wanted:
    """Which part of a list a request asks for, as text; `after` is where the page before ended."""

    sort_by: str
    filter: str
    after: Place | None
    size: int

    def query(self, columns: Mapping[str, Column], also: Sequence[Condition] = ()) -> Query:
        """As a query.

        Raises:
            PipelineError: an unknown key, or a token that does not fit the order.
        """
        order, descending = _order(self.sort_by, columns)
        if self.after is not None and isinstance(self.after[0], str) != (order.kind is Kind.TEXT):
            raise PipelineError(_BAD_TOKEN)
        conditions = (*also, *filters.read(self.filter, columns))
        return Query(order, conditions, descending, self.after, self.size)

    def answer(self, name: str, items: Sequence[Any], page: Page) -> dict[str, Any]:
        """A page in KFP's form, empty fields left out."""
        answer: dict[str, Any] = {name: list(items)} if items else {}
        if page.total:
            answer["total_size"] = page.total
        if page.end:
            answer["next_page_token"] = _token(self.sort_by, self.filter, page.end)
        return answer


def wanted(call: Call) -> Wanted:
    """Reads a request. Without `sort_by` and `filter` those of the token hold.

    Raises:
        PipelineError: a bad size, or a token that is none or belongs to another order or filter.
    """
    size = call.whole("page_size", 0)
    if size < 0:
        raise PipelineError(f"page_size={size} is not possible; expected 1 to {LARGEST_SIZE}")
    sort_by, given = call.query("sort_by"), call.query("filter")
    token = call.query("page_token")
    size = min(size or DEFAULT_SIZE, LARGEST_SIZE)
    if not token:
        return Wanted(sort_by, given, None, size)
    body = _read_token(token)
    if sort_by not in ("", body["sort_by"]) or given not in ("", body["filter"]):
        raise PipelineError("page_token belongs to a list with another sort_by or filter; leave it out to start anew")
    return Wanted(body["sort_by"], body["filter"], (body["value"], body["number"]), size)


def _order(sort_by: str, columns: Mapping[str, Column]) -> tuple[Column, bool]:
    key, *ways = sort_by.split() or ["created_at"]
    if len(ways) > 1 or (ways and ways[0].lower() not in _WAYS):
        raise PipelineError(f"sort_by={sort_by[:80]!r} is not understood; expected KEY, `KEY asc` or `KEY desc`")
    return filters.column_named(key, columns), _WAYS[ways[0].lower()] if ways else False


def _token(sort_by: str, given: str, end: Place) -> str:
    body = {"sort_by": sort_by, "filter": given, "value": end[0], "number": end[1]}
    return base64.urlsafe_b64encode(json.dumps(body).encode()).decode()


def _read_token(token: str) -> dict[str, Any]:
    try:
        body = fields.read(base64.b64decode(token.encode(), altchars=b"-_", validate=True), "page_token")
    except (binascii.Error, PipelineError):
        raise PipelineError(_BAD_TOKEN) from None
    kinds = {"sort_by": str, "filter": str, "value": str | int | float, "number": int}
    if not isinstance(body, dict) or any(not isinstance(body.get(k), kind) for k, kind in kinds.items()):
        raise PipelineError(_BAD_TOKEN)
    return body
