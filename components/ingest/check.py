"""What ingest would say about the labels of the newest round, without decoding a picture.

`python -m components.ingest.check` reads `{"rounds", "newest", "attributes", "layout"}` as JSON from stdin and writes
JSON to stdout: the counts and the pictures of the newest round, or `error` where the data as a whole is refused.
Whoever watches for rounds asks this before it starts a run that would stop at its first task.
"""

import json
import sys
from collections import Counter
from typing import Any

from components.errors import StepError
from components.ingest import layouts
from components.ingest.rows import Reading, Rejected, Round, category, open_rounds


def check(asked: dict[str, Any]) -> dict[str, Any]:
    """Reads all rounds, as ingest does, and says what became of the rows of the one called `newest`."""
    try:
        rounds = open_rounds(asked["rounds"])
        read = layouts.reader(asked["layout"], rounds)
        return _about(read(rounds, asked["attributes"]), next(r for r in rounds if r.name == asked["newest"]))
    except StepError as error:
        return {"error": str(error)}
    except OSError as error:
        return {"error": f"{error.filename or 'a file'} cannot be read: {error.strerror}"}


def _about(reading: Reading, newest: Round) -> dict[str, Any]:
    rows = [row for row in reading.rows if row.round == newest.number]
    rejected = [row for row in reading.rejected if row.file.startswith(f"{newest.name}/")]
    kinds = Counter(row.kind for row in rows)
    return {
        "labelled": kinds["labelled"],
        "pool": kinds["pool"],
        "questions": kinds["test"],
        "rejected": len(rejected),
        "reasons": _reasons(rejected),
        "attributes": sorted({row.attribute for row in rows if row.kind == "labelled"}),
        "pictures": sorted({row.path for row in rows if row.kind == "labelled"}),
    }


def _reasons(rejected: list[Rejected]) -> dict[str, list[Any]]:
    """Category to how many, with the place of the first."""
    found: dict[str, list[Any]] = {}
    for row in rejected:
        entry = found.setdefault(category(row.reason), [0, f"{row.file} line {row.line}: {row.reason}"])
        entry[0] += 1
    return found


if __name__ == "__main__":
    json.dump(check(json.load(sys.stdin)), sys.stdout)
