"""The pictures on the report's page are those that the models saw, on a background that hides no drawing."""

import base64

import cv2
import numpy as np

from components.report.pictures import Album


def shown(album, key):
    data = base64.b64decode(album.thumbnail(key).partition(",")[2])
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def test_transparent_parts_are_grey_whatever_colour_they_hide(tmp_path):
    pixels = np.full((20, 20, 4), (0, 0, 255, 0), np.uint8)  # BGRA: red, all of it transparent
    pixels[5:15, 5:15] = (0, 255, 0, 255)
    (tmp_path / "stamp.png").write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    picture = shown(Album({("class", "stamp"): str(tmp_path / "stamp.png")}, 64, 95), ("class", "stamp"))
    assert abs(picture[1, 1].astype(int) - 128).max() < 30
    assert picture[10, 10, 1] > 200


def test_a_damaged_picture_is_no_picture(tmp_path):
    (tmp_path / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\nhalf of it")
    assert Album({("class", "cut"): str(tmp_path / "cut.png")}, 64, 95).thumbnail(("class", "cut")) == ""
