"""Rounds: deliveries of data, named by their content, in the order in which they came.

`folders` says what a round is and names its content; `landing` when it has landed; `gate` whether it may teach;
`watch` does all that to one folder and launches, exactly once; `sensor` does it to all folders that a server watches.
"""

from pipeline.rounds.folders import attributes_in, describe, digest, discover

__all__ = ["attributes_in", "describe", "digest", "discover"]
