"""One row of the manifest -> one record with all its encoded views."""

import math
from dataclasses import dataclass, fields

import cv2
import numpy as np
import simplejpeg

from components.artifacts import shards, storage
from components.errors import Missing
from components.preprocess.settings import BACKGROUNDS, Settings
from components.vision import decode, views

# Longer side of the decoded picture in squares. 1.25 halves the error against a full decode for a third of a
# millisecond; the face crop is a third of the picture or less, cut from twice the square it is less blurred.
_SOURCE, _FACE_SOURCE = 1.25, 2.0
_PNG_FAST = [cv2.IMWRITE_PNG_COMPRESSION, 1]


@dataclass(frozen=True, slots=True)
class Row:
    """What preprocess needs of a manifest row; `uri` is the picture's address."""

    image_id: str
    kind: str
    label: str
    weight: float
    group: int
    fold: int
    round: int
    uri: str

    @property
    def shard_group(self) -> str:
        """The group of shards it goes to."""
        return shards.group_name(self.kind, self.fold, self.round)


@dataclass(frozen=True)
class Rendered:
    """A row's record, or None with the reason where its picture cannot be read; a question then has black views."""

    row: Row
    record: shards.Record | None
    problem: str = ""


def knobs_of(settings: Settings, seed: int) -> views.Knobs:
    """The knobs of the views, by name, out of the step's settings."""
    return views.Knobs(
        **{f.name: getattr(settings, f.name) for f in fields(views.Knobs) if f.name != "seed"}, seed=seed
    )


def source_px(settings: Settings) -> int:
    """The longer side a picture is decoded at, at least, where it is that large."""
    return math.ceil(settings.size_px * (_FACE_SOURCE if "face" in settings.views else _SOURCE))


def render(row: Row, settings: Settings, knobs: views.Knobs) -> Rendered:
    """Reads, decodes and encodes one picture. Depends on nothing but its arguments and the picture's bytes."""
    try:
        data = storage.read_bytes(row.uri)
        width, height = decode.size(data)
        picture = decode.rgb(data, source_px(settings), background=BACKGROUNDS[settings.background])
    except (Missing, decode.Undecodable) as error:
        return Rendered(row, _black(row, settings) if row.kind == "test" else None, str(error))
    made = views.square(picture, settings.size_px, row.image_id)
    encoded = {name: encode(views.VIEWS[name](made, knobs), settings) for name in settings.views}
    return Rendered(row, _record(row, width, height, encoded))


def encode(pixels: np.ndarray, settings: Settings) -> bytes:
    """Stores a view of (S, S, 3) uint8 RGB. JPEG keeps the chroma at full size: colour edges at 299 px are thin."""
    if settings.encoding == "jpeg":
        return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), settings.quality, "RGB", "444"))
    if settings.encoding == "png":
        return cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), _PNG_FAST)[1].tobytes()
    return pixels.tobytes()


def _black(row: Row, settings: Settings) -> shards.Record:
    nothing = encode(views.black(settings.size_px, row.image_id).pixels, settings)
    return _record(row, 0, 0, dict.fromkeys(settings.views, nothing))


def _record(row: Row, width: int, height: int, encoded: dict[str, bytes]) -> shards.Record:
    return shards.Record(row.image_id, row.label, row.weight, row.group, row.fold, row.round, width, height, encoded)
