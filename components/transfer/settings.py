"""Fetches the pictures of a subset into the data root, each checked against its size and MD5."""

from dataclasses import dataclass

from components.knobs import given, knob


@dataclass(frozen=True)
class Inputs:
    subset: str = given("reference of the subset")
    data_root: str = given("folder or gs:// address of all references; pictures go into its folder downloads")
    source: str = given("folder or gs:// address below which a mirror lies that has no full address", "")
    files_digest: str = given("of the files that the settings name: other bytes, another task", "")


@dataclass(frozen=True)
class Settings:
    method: str = knob(
        "own",
        "who fetches: our own downloader, or Google's Storage Transfer Service into a gs:// data root",
        choices=("own", "storage_transfer"),
    )
    mirror: str = knob("", "folder or gs:// address with the pictures as <host>/<path>; nothing else is asked then")
    parallel: int = knob(16, "pictures fetched at a time", at_least=1, at_most=256)
    per_host: int = knob(4, "of these from one host", at_least=1, at_most=32)
    attempts: int = knob(5, "how often one picture is tried", at_least=1, at_most=20)
    silence_s: float = knob(30.0, "longest wait for the next byte", unit="s", at_least=0.1, at_most=600)
    longest_pause_s: float = knob(
        120.0, "longest pause before another attempt, also where a server asks for more", unit="s", at_least=0
    )
    largest_mb: int = knob(64, "largest picture whose size is not known before", unit="MB", at_least=1, at_most=4096)
    max_missing: float = knob(
        0.25, "share of pictures that may be missing for good; more of them end the step", at_least=0, at_most=1
    )
    max_unanswered: float = knob(
        0.0,
        "share of pictures that may be missing because nobody answered rightly; more of them end the step, to be tried "
        "again later",
        at_least=0,
        at_most=1,
    )
    project: str = knob("", "Google Cloud project that pays for Storage Transfer Service")

    def contradiction(self) -> str:
        """Which knob does not go with another, and why; empty when all do."""
        if self.method == "storage_transfer" and self.mirror:
            return "method='storage_transfer' fetches from the web, mirror from a folder; set one of them"
        if self.method == "storage_transfer" and not self.project:
            return "method='storage_transfer' needs a project; name the Google Cloud project that pays"
        return ""


RESULTS = {"boxes": "reference of the subset with the pictures' files"}
ARTIFACTS = {
    "transfer_page": ("HTML", "what was fetched from where, and what is missing and why"),
    "metrics": ("Metrics", "numbers of pictures, bytes and missing pictures"),
}
