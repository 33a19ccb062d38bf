"""Whether a round may teach: its labels are sane and it brings enough pictures that no other round has."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from components import knobs
from pipeline import recipe_loops
from pipeline.engine.round_records import LANDED, REJECTED, WAITING
from pipeline.errors import PipelineError
from pipeline.recipe import Recipe
from pipeline.rounds import folders

_EXAMPLES = 3


@dataclass(frozen=True)
class Labels:
    """What ingest makes of the labels of one round.

    Attributes:
        error: why the data as a whole is refused; the rest is empty then.
        labelled: rows it takes.
        rejected: rows it refuses.
        reasons: category to how many rows and the first of them.
        pictures: different paths that labelled rows name, relative to the round.
    """

    error: str = ""
    labelled: int = 0
    pool: int = 0
    questions: int = 0
    rejected: int = 0
    reasons: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    attributes: Sequence[str] = ()
    pictures: Sequence[str] = ()


def read_labels(rounds: Sequence[Mapping[str, Any]], newest: str, recipe: Recipe) -> Labels:
    """Has ingest's own readers, in a process of their own, read the labels of all rounds; no picture is decoded.

    Args:
        rounds: structs of the rounds that have landed, and of the one in question.
        newest: the name of the one in question.
        recipe: its attributes and classes are the known ones.

    Raises:
        PipelineError: the reader itself fails.
    """
    present = folders.attributes_in(rounds)
    wanted = recipe_loops.present(recipe, present)
    if not wanted:
        named = ", ".join(item["name"] for item in recipe.attributes)
        return Labels(error=f"its labels are about {', '.join(sorted(present))}; the recipe knows {named}")
    asked = {
        "rounds": list(rounds),
        "newest": newest,
        "attributes": wanted,
        "layout": recipe.groups["ingest"].layout,
    }
    command = [sys.executable, "-m", "components.ingest.check"]
    done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        why = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise PipelineError(f"the labels of round {newest} cannot be checked: {why[0]}")
    return Labels(**json.loads(done.stdout))


def judge(labels: Labels, num_new: int, min_new: int, max_rejected: float) -> tuple[str, str]:
    """State and reason of a round. Pure.

    Args:
        labels: what its labels are.
        num_new: its labelled pictures that no other round has.
        min_new: so many are asked for; fewer wait for more.
        max_rejected: the largest share of refused rows that ingest takes.
    """
    total = labels.rejected + labels.labelled + labels.pool
    if labels.error:
        return REJECTED, labels.error
    if not labels.labelled:
        return REJECTED, f"no usable labelled row among {total}: {_worst(labels) or 'it has no label'}"
    if labels.rejected > max_rejected * total:
        share = f"{labels.rejected} of {total} rows are refused, more than max_rejected={max_rejected:g}"
        return REJECTED, f"{share}: {_worst(labels)}; mend the data or raise ingest.max_rejected"
    if num_new < min_new:
        pictures = f"{num_new} of its {len(labels.pictures)} labelled pictures are new"
        return WAITING, f"{pictures}, {min_new} are asked for; deliver more, or lower --min-new"
    return LANDED, ""


def terms(recipe: Recipe, min_new: int, others: Mapping[str, str]) -> str:
    """Names everything but the round itself that its examination depends on."""
    ingest = recipe.groups["ingest"]
    asked = [recipe.attributes, ingest.layout, ingest.max_rejected, min_new, sorted(others.items())]
    return folders.content_digest([("terms", json.dumps(asked, sort_keys=True))])


def settings_digest(recipe: Recipe) -> str:
    """Names all settings of a recipe but for its data and its description."""
    groups = {name: knobs.as_mapping(settings) for name, settings in recipe.groups.items()}
    whole = [groups, recipe.attributes, recipe.models, knobs.as_mapping(recipe.generations), recipe.head.seed]
    return folders.content_digest([("settings", json.dumps(whole, sort_keys=True))])


def _worst(labels: Labels) -> str:
    counted = sorted(labels.reasons.items(), key=lambda item: -item[1][0])[:_EXAMPLES]
    return ", ".join(f"{number} x {reason} ({example})" for reason, (number, example) in counted)
