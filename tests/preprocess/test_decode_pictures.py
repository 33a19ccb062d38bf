"""decode: whatever the file, upright RGB pixels or one short reason."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from components.vision import decode


def saved(picture: np.ndarray | Image.Image, kind: str, **options: object) -> bytes:
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


def far(first: np.ndarray, second: np.ndarray) -> int:
    assert first.shape == second.shape
    return int(np.abs(first.astype(int) - second).max())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"])
def test_red_is_red_in_every_format(kind: str) -> None:
    pixels = decode.rgb(saved(Image.new("RGB", (20, 10), (255, 0, 0)), kind))
    assert pixels.shape == (10, 20, 3) and pixels.dtype == np.uint8
    assert far(pixels, np.full((10, 20, 3), (255, 0, 0))) <= 2


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_turned_upright(picture, kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(picture(1, 60, 40), kind, exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    assert far(decode.rgb(data), expected) <= 4
    assert decode.size(data) == (expected.shape[1], expected.shape[0])


def test_an_orientation_that_does_not_exist_is_upright(picture) -> None:
    exif = Image.Exif()
    exif[0x0112] = 17
    assert decode.size(saved(picture(1, 60, 40), "JPEG", exif=exif)) == (60, 40)


@given(st.integers(1, 700), st.integers(1, 700), st.integers(1, 400))
def test_a_scaled_decode_is_the_smallest_eighth_that_is_large_enough(width: int, height: int, min_size: int) -> None:
    data = simplejpeg.encode_jpeg(np.zeros((height, width, 3), np.uint8), 50)
    longer = max(decode.rgb(data, min_size).shape[:2])
    eighths = [-(-max(width, height) * k // 8) for k in range(1, 9)]
    assert longer == min([side for side in eighths if side >= min_size], default=max(width, height))


def test_a_scaled_decode_of_a_turned_picture_looks_at_the_longer_side(picture) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode.rgb(saved(picture(1, 400, 100), "JPEG", exif=exif), min_size=200).shape == (200, 50, 3)


def test_grey_is_repeated_over_the_channels(picture) -> None:
    for kind in ("JPEG", "PNG"):
        pixels = decode.rgb(saved(Image.fromarray(picture(3)).convert("L"), kind))
        assert (pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 0] == pixels[..., 2]).all()


def test_cmyk_jpeg_becomes_rgb() -> None:
    data = saved(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=95)  # no cyan: red
    assert far(decode.rgb(data), np.full((16, 16, 3), (255, 0, 0))) <= 6


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_transparent_parts_are_black(kind: str) -> None:
    image = Image.new("RGBA", (8, 8), (255, 255, 255, 0))
    image.paste((200, 100, 50, 128), (0, 0, 8, 4))
    pixels = decode.rgb(saved(image, kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {})))
    assert far(pixels[4:], np.zeros((4, 8, 3))) == 0
    assert far(pixels[:4], np.full((4, 8, 3), (100, 50, 25))) <= 1


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_transparent_parts_take_the_background_that_is_asked_for(kind: str) -> None:
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    image.paste((200, 100, 50, 51), (0, 0, 8, 4))  # a fifth of it
    pixels = decode.rgb(saved(image, kind), background=255)
    assert far(pixels[4:], np.full((4, 8, 3), 255)) == 0
    assert far(pixels[:4], np.full((4, 8, 3), (244, 224, 214))) <= 1


def test_a_palette_with_a_transparent_colour_is_composited_too() -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([9, 9, 9, 200, 100, 50])
    image.paste(0, (0, 0, 8, 4))
    assert decode.rgb(saved(image, "PNG")).reshape(-1, 3).tolist() == [[9, 9, 9]] * 32 + [[200, 100, 50]] * 32
    assert decode.rgb(saved(image, "PNG", transparency=0))[0, 0].tolist() == [0, 0, 0]


def test_sixteen_bits_are_rounded_to_eight() -> None:
    values = np.array([[0, 128, 257, 32768, 65535]], np.uint16)
    grey = decode.rgb(cv2.imencode(".png", values)[1].tobytes())
    colour = decode.rgb(cv2.imencode(".png", np.dstack([values, values * 0, values * 0]))[1].tobytes())  # BGR: blue
    assert grey[0, :, 0].tolist() == [0, 0, 1, 128, 255]
    assert colour[0, -1].tolist() == [0, 0, 255]
    assert decode.rgb(saved(Image.fromarray(values), "TIFF"))[0, :, 0].tolist() == [0, 0, 1, 128, 255]


def test_broken_files_have_a_short_reason(picture) -> None:
    jpeg, png, webp = (saved(picture(1, 300, 300), kind) for kind in ("JPEG", "PNG", "WEBP"))
    reasons = {
        b"": "empty file",
        b"<html>404 not found</html>": "not an image",
        bytes(3000): "not an image",
        jpeg[:100]: "truncated JPEG",
        jpeg[: len(jpeg) // 2]: "truncated JPEG",
        jpeg[:-2]: "truncated JPEG",
        png[:30]: "truncated PNG",
        png[: len(png) // 2]: "truncated PNG",
        png[:-12]: "truncated PNG",
        png[:300] + bytes([png[300] ^ 1]) + png[301:]: "corrupt PNG",
    }
    for data, reason in reasons.items():
        with pytest.raises(decode.Undecodable, match=f"^{reason}"):
            decode.rgb(data)
    with pytest.raises(decode.Undecodable):
        decode.rgb(webp[: len(webp) // 2])


def test_a_picture_of_too_many_pixels_is_refused_by_its_header() -> None:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    jpeg = bytearray(simplejpeg.encode_jpeg(np.zeros((16, 16, 3), np.uint8)))
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = struct.pack(">HH", 40_000, 40_000)
    for data in (bomb, bytes(jpeg)):
        with pytest.raises(decode.Undecodable, match="too large"):
            decode.rgb(data)


@pytest.mark.filterwarnings("ignore::UserWarning")  # what Pillow says of damaged TIFF tags
@given(st.data())
def test_damaged_bytes_give_pixels_or_a_reason_and_nothing_else(data: st.DataObject) -> None:
    picture = np.arange(24 * 20 * 3, dtype=np.uint8).reshape(24, 20, 3)
    kind = data.draw(st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"]))
    broken = bytearray(saved(picture, kind))
    for _ in range(data.draw(st.integers(1, 4))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    try:
        pixels = decode.rgb(bytes(broken[: data.draw(st.integers(0, len(broken)))]))
    except decode.Undecodable as reason:
        assert str(reason)
    else:
        assert pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.dtype == np.uint8
