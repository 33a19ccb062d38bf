"""The page of the prepared pictures: some of them with their boxes drawn, counts, and what was refused."""

from collections import Counter
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import simplejpeg

from components import page
from components.artifacts import boxes
from components.boxes_prepare.render import Prepared
from components.boxes_prepare.settings import Settings
from components.vision import decode

_COLOUR = (40, 200, 80)
_SHOWN_PX = 320
_REASONS = 12


def numbers(table: boxes.BoxTable, left_out: int, rejected: int) -> dict[str, int]:
    """What is counted."""
    groups = np.unique(table.pictures["group"].to_numpy(), return_counts=True)[1]
    return {
        "pictures": table.pictures.num_rows,
        "boxes": table.boxes.num_rows,
        "boxes_left_out": left_out,
        "rejected": rejected,
        "duplicate_groups": int((groups > 1).sum()),
        "duplicates": int((groups - 1).sum()),
    }


def render(table: boxes.BoxTable, counted: Mapping[str, int], shown: Sequence[Prepared], settings: Settings) -> str:
    """One self-contained HTML page."""
    about = f"{settings.size_px} x {settings.size_px} px, stored as {settings.encoding}"
    reasons = Counter(reason.split(":")[0] for reason in table.rejected["reason"].to_pylist())
    refused = reasons.most_common(_REASONS) or [("nothing was refused", 0)]
    drawn = [(f"{made.row.image_id}: {len(made.row.boxes)} boxes", _drawn(made)) for made in shown]
    sections = [
        page.table("Counts", ["of", "number"], [(name.replace("_", " "), count) for name, count in counted.items()]),
        page.table("Sides of the boxes", ["of the picture's side", "boxes"], _sizes(table)),
        page.pictures("Pictures with their boxes", drawn),
        page.table("Refused since the beginning", ["because", "pictures or rows"], refused),
    ]
    return page.render(f"Pictures of {', '.join(table.classes)}", about, sections)


def _sizes(table: boxes.BoxTable) -> list[tuple[str, int]]:
    """How large the boxes are: the root of their area, in shares of the square's side."""
    low, high = (np.stack([table.boxes[f"{axis}_{end}"].to_numpy() for axis in "xy"], axis=1) for end in ("min", "max"))
    bounds = [0, 0.03, 0.1, 0.3, 1.01]
    names = ["below 3 %", "3 to 10 %", "10 to 30 %", "30 % and more"]
    counts, _ = np.histogram(np.sqrt((high - low).prod(axis=1)), bounds)
    return list(zip(names, counts.tolist(), strict=True))


def _drawn(made: Prepared) -> bytes:
    pixels = decode.rgb(made.encoded)
    side = min(_SHOWN_PX, pixels.shape[0])
    picture = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)
    for box in made.boxes if made.boxes is not None else ():
        left, top, right, bottom = np.rint(box * (side - 1)).astype(int).tolist()
        cv2.rectangle(picture, (left, top), (right, bottom), _COLOUR, 1)
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(picture), 85, "RGB", "420"))
