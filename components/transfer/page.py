"""The page of the transfer: what came from where, and what is missing and why."""

from collections import Counter
from collections.abc import Mapping

from components import page
from components.artifacts import boxes, transfer_list

_LISTED = 50


def render(table: boxes.BoxTable, missing: Mapping[str, str], at_hand: int) -> str:
    """One self-contained HTML page.

    Args:
        table: after the transfer.
        missing: address to reason, for every picture that is not there.
        at_hand: how many pictures were there before.
    """
    urls = table.pictures["url"].to_pylist()
    about = f"{len(urls):,} pictures are there, {at_hand:,} of them from before; {len(missing):,} are missing."
    fetched, lost = Counter(map(_host, urls)), Counter(map(_host, missing))
    reasons = Counter(reason.split(":")[0] for reason in missing.values())
    by_host = [(host, fetched[host], lost[host]) for host in sorted(fetched | lost)]
    why = reasons.most_common() or [("nothing is missing", 0)]
    sections = [
        page.table("Hosts", ["host", "pictures", "missing"], by_host),
        page.table("Reasons", ["missing because", "pictures"], why),
        page.table("The first of the missing", ["address", "missing because"], sorted(missing.items())[:_LISTED]),
    ]
    return page.render("Transfer", about, sections)


def _host(url: str) -> str:
    return transfer_list.object_name(url).split("/")[0]
