"""Every picture is decoded once: odd ones are read and said to be odd, broken ones are refused with a reason."""

import hashlib
import io

import cv2
import numpy as np
import pytest
from PIL import Image

from components.ingest import pictures
from components.ingest.rows import Row, open_rounds
from components.vision import phash


@pytest.fixture
def look(delivery, tmp_path):
    """Looks at the files that the test has put into the delivery."""

    def run(*paths, max_megapixels=64.0, threads=2):
        rows = [Row("label.csv", i, 1, "labelled", path, "neck", "yn", path) for i, path in enumerate(paths, 1)]
        folder = tmp_path / "thumbnails"
        folder.mkdir(exist_ok=True)
        rounds = open_rounds([delivery.struct])
        return pictures.look_at_all(rounds, rows, folder, max_megapixels=max_megapixels, threads=threads)

    return run


def saved(image, kind, **options):
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


def test_a_sound_picture_is_known_by_the_digest_of_its_pixels_and_its_size(delivery, look, draw):
    rgb = draw(1)
    seen = look(delivery.picture("a.png", 1))
    assert seen.pixels[0] == hashlib.sha256(rgb.tobytes()).hexdigest()
    assert (seen.width[0], seen.height[0], seen.reason[0], seen.notes) == (48, 60, "", {})


def test_equal_pixels_in_different_bytes_have_equal_digests(delivery, look, draw):
    image = Image.fromarray(draw(1))
    seen = look(*(delivery.put(f"{level}.png", saved(image, "PNG", compress_level=level)) for level in (0, 9)))
    assert (delivery.folder / "0.png").read_bytes() != (delivery.folder / "9.png").read_bytes()
    assert seen.pixels[0] == seen.pixels[1]


def test_a_picture_turned_by_exif_equals_the_upright_one(delivery, look, draw):
    upright = draw(1)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = Image.fromarray(np.rot90(upright))  # stored turned a quarter against the clock
    seen = look(delivery.picture("a.png", 1), delivery.put("b.png", saved(turned, "PNG", exif=exif)))
    assert seen.pixels[0] == seen.pixels[1]
    assert (seen.width[1], seen.height[1]) == (48, 60)
    assert seen.notes == {"turned upright by EXIF orientation": (1, "b.png")}


@pytest.mark.parametrize(
    ("mode", "kind", "suffix", "note"),
    [
        ("L", "JPEG", "jpg", "grey"),
        ("L", "PNG", "png", "grey"),
        ("CMYK", "JPEG", "jpg", "CMYK"),
        ("RGBA", "PNG", "png", "alpha"),
        ("LA", "PNG", "png", "grey with alpha"),
        ("L", "BMP", "bmp", "grey"),
    ],
)
def test_unusual_colours_are_read_and_noted(delivery, look, draw, mode, kind, suffix, note):
    picture = delivery.put(f"a.{suffix}", saved(Image.fromarray(draw(1)).convert(mode), kind))
    seen = look(picture)
    assert seen.reason[0] == ""
    assert seen.notes == {note: (1, picture)}


@pytest.mark.parametrize("ink", [0, 255])
def test_drawings_on_nothing_are_told_apart_whatever_their_ink(delivery, look, ink):
    drawings = np.full((2, 40, 40, 4), (ink, ink, ink, 0), np.uint8)
    drawings[0, 10:30, 5:15, 3] = drawings[1, 10:30, 25:35, 3] = 255
    seen = look(*(delivery.put(f"{i}.png", saved(Image.fromarray(d), "PNG")) for i, d in enumerate(drawings)))
    assert seen.pixels[0] != seen.pixels[1]
    assert not seen.is_flat.any()


def test_a_wrong_extension_is_read_by_content_and_noted(delivery, look, draw, encode):
    seen = look(delivery.put("a.jpg", encode["png"](draw(1))), delivery.put("b.png", encode["jpeg"](draw(2))))
    assert list(seen.reason) == ["", ""]
    assert seen.notes == {
        "wrong extension: a PNG called .jpg": (1, "a.jpg"),
        "wrong extension: a JPEG called .png": (1, "b.png"),
    }


def test_broken_files_are_refused_each_with_its_reason(delivery, look, draw, encode):
    data = encode["jpeg"](draw(1, 300, 300))
    names = [
        delivery.put("cut.jpg", data[: len(data) // 2]),
        delivery.put("cut.png", encode["png"](draw(1))[:-40]),
        delivery.put("empty.jpg", b""),
        delivery.put("page.jpg", b"<html>404 Not Found</html>"),
        "gone.jpg",
        "",
    ]
    assert list(look(*names).reason) == [
        "truncated JPEG",
        "truncated PNG",
        "empty file",
        "not an image",
        "missing file",
        "path leaves the round's folder",
    ]


def test_a_damaged_jpeg_is_refused_though_its_ends_are_whole(delivery, look, draw, encode):
    data = bytearray(encode["jpeg"](draw(1, 300, 300)))
    data[len(data) // 2 : len(data) // 2 + 64] = bytes(range(64, 128))
    assert look(delivery.put("a.jpg", bytes(data))).reason[0].startswith("corrupt JPEG")


def test_a_picture_larger_than_the_limit_is_refused_before_decoding(delivery, look, monkeypatch):
    bomb = saved(Image.new("L", (3000, 2000)), "PNG")
    monkeypatch.setattr(pictures.decode, "rgb", lambda data: pytest.fail("decoded"))
    assert look(delivery.put("a.png", bomb), max_megapixels=5.9).reason[0] == "too large: 3000 x 2000 pixels"


def test_a_picture_that_several_rows_name_is_read_once(delivery, look, monkeypatch):
    path = delivery.picture("a.png", 1)
    calls = []
    decode = pictures.decode.rgb
    monkeypatch.setattr(pictures.decode, "rgb", lambda data, **how: calls.append(1) or decode(data, **how))
    assert (len(look(path, path, path).pixels), len(calls)) == (1, 1)


def test_the_number_of_threads_changes_nothing(delivery, look):
    paths = [delivery.picture(f"{i}.png", i) for i in range(150)]
    one, four = look(*paths, threads=1), look(*paths, threads=4)
    assert list(one.pixels) == list(four.pixels)
    assert np.array_equal(one.phash, four.phash)


def bits_apart(first: np.ndarray, second: np.ndarray) -> int:
    thumbnails = np.stack([phash.thumbnail(first), phash.thumbnail(second)])
    a, b = phash.hashes(thumbnails)
    return int(np.bitwise_count(a ^ b))


@pytest.mark.parametrize("seed", range(8))
def test_the_hash_stays_close_when_a_picture_is_recompressed_resized_or_brightened(draw, encode, seed):
    rgb = draw(seed, 200, 160)
    worse = cv2.imdecode(np.frombuffer(encode["jpeg"](rgb, 50), np.uint8), cv2.IMREAD_COLOR_RGB)
    smaller = cv2.resize(rgb, (80, 100), interpolation=cv2.INTER_AREA)
    brighter = cv2.add(cv2.convertScaleAbs(rgb, alpha=0.8), (20, 20, 20, 0))
    assert max(bits_apart(rgb, changed) for changed in (worse, smaller, brighter)) <= 4
    assert bits_apart(rgb, draw(seed + 100, 200, 160)) > 8


def test_the_hash_of_a_symmetric_picture_is_no_rounding_noise(draw):
    half = draw(3, 64, 32)
    rgb = np.concatenate([half, half[:, ::-1]], axis=1)
    odd_columns = sum(1 << (63 - (8 * row + column)) for row in range(8) for column in (1, 3, 5, 7))
    bits = int(phash.hashes(phash.thumbnail(rgb)[None])[0]) & odd_columns
    assert bits in (0, odd_columns)  # zero coefficients are all on one side of the median
