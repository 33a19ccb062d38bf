"""`seamline gc`: removes what no run refers to."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.errors import NotFound
from pipeline.options import AtLeast, json_option, state_option
from pipeline.output import print_json

if TYPE_CHECKING:
    from pipeline.garbage import Garbage


@click.command()
@click.option(
    "--keep-days",
    type=AtLeast(min=0),
    default=7.0,
    show_default=True,
    metavar="N",
    help="What was written less than so many days ago stays.",
)
@click.option(
    "--data-root",
    "others",
    multiple=True,
    metavar="ADDRESS",
    help="Look into this data root too, outside the state folder; only where no other state folder or cluster uses it.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@state_option
@json_option
def gc(keep_days: float, others: tuple[str, ...], dry_run: bool, state_dir: Path, as_json: bool) -> None:
    """Remove what no run refers to: references, artifacts, deleted runs' folders, unfinished work.

    What a champion's history names stays too. Refused while a server or another command executes runs here. Exit 1:
    some of it could not be removed.
    """
    from components.artifacts.storage import is_remote
    from pipeline import garbage
    from pipeline.engine.store import Store

    Store.open(state_dir, read_only=True).close()  # one that is not there is not made
    store = Store.open(state_dir)
    inside, outside = garbage.own_roots(store)
    if absent := [root for root in others if not is_remote(root) and not Path(root).is_dir()]:
        raise NotFound(f"--data-root {absent[0]} is not a folder; give a folder or a gs:// address")
    with store.exclusive():
        found = garbage.find(store, [*inside, *others], keep_days)
        stayed = dict([] if dry_run else garbage.remove(found))
    gone = [one for one in found if one not in stayed]
    left = [root for root in outside if root not in others]
    if as_json:
        told = {"dry_run": dry_run, "garbage": [asdict(one) for one in gone], "bytes": sum(one.size for one in gone)}
        not_removed = [asdict(one) | {"reason": reason} for one, reason in stayed.items()]
        print_json(told | {"not_removed": not_removed, "left_alone": left})
    else:
        click.echo(_text(gone, left, dry_run))
    for reason in [] if as_json else stayed.values():
        click.echo(f"not removed: {reason}", err=True)
    if stayed:
        sys.exit(1)


def _text(found: "Sequence[Garbage]", left: Sequence[str], dry_run: bool) -> str:
    from pipeline import garbage

    lines = [
        f"{kind:<12} {count:>6,}  {size / 1e6:>12,.1f} MB" for kind, (count, size) in garbage.by_kind(found).items()
    ]
    done = "would be removed" if dry_run else "removed"
    lines.append(f"{sum(one.size for one in found) / 1e6:,.1f} MB {done}" if found else "nothing to remove")
    lines += [f"left alone: {root}; where nobody else uses it, --data-root {root}" for root in left]
    return "\n".join(lines)
