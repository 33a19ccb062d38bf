"""What a training was asked and what it made, the same for both trainers."""

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from components import progress
from components.artifacts import boxes, storage, web, web_checked
from components.detect_train.settings import Inputs, Settings
from components.vision.detection import weights
from components.vision.detection.batches import Pictures
from components.vision.detection.cfg import Section


@dataclass(frozen=True)
class Task:
    """Pictures to learn from and to choose by, the network's configuration, and where unfinished work lies."""

    inputs: Inputs
    settings: Settings
    classes: Sequence[str]
    training: Pictures
    validation: Pictures
    sections: list[Section]
    unfinished: str

    @property
    def iterations(self) -> int:
        """In all."""
        return self.sections[0].integer("max_batches")

    def start_weights(self, shapes: Sequence[weights.Shape]) -> list[weights.Convolution]:
        """The first convolutions, as many as the file has that the knob `weights` names; none without one.

        Raises:
            DataError: no such file, or one of another network. Unreachable: an address does not answer.
        """
        where = self.settings.weights
        return weights.read(self._start_file(where), shapes, where)[1] if where else []

    def _start_file(self, where: str) -> bytes:
        """What comes from the web is kept among the data root's downloads, for other attempts and other runs."""
        if not web.is_web(where):
            return storage.read_bytes(where)
        kept = storage.join(boxes.downloads_in(self.inputs.data_root), hashlib.sha256(where.encode()).hexdigest()[:32])
        if not storage.exists(kept):
            progress.log(f"fetching {where}")
            with tempfile.TemporaryDirectory() as folder:
                storage.write_bytes(kept, web_checked.local_copy(where, Path(folder)).read_bytes())
        return storage.read_bytes(kept)


@dataclass(frozen=True)
class Trained:
    """Bytes of the weights file, iterations after which they were, text of the log, and the judgements on the way.

    A judgement is a row `iteration`, `ap50`, `ap` (of 0.5 to 0.95) on the validation split.
    """

    weights: bytes
    iteration: int
    log: str
    judgements: Sequence[dict[str, float]]
