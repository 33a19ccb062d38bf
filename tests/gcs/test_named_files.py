"""Files that settings name on gs://: another content is another digest, and nothing is read to know it."""

import pytest

from components.artifacts import gcs, storage
from pipeline import named_files


@pytest.fixture
def digest(bucket: str, monkeypatch: pytest.MonkeyPatch):
    """Writes files into the bucket; the digest of what a transfer with a mirror there, or a training, reads."""
    monkeypatch.setattr(gcs, "read", lambda uri: pytest.fail(f"{uri} was read"))
    monkeypatch.setattr(gcs, "download", lambda uri, *_: pytest.fail(f"{uri} was read"))

    def digest(files: dict[str, bytes], group: str, knob: str, value: str) -> str:
        for name, data in files.items():
            storage.write_bytes(f"{bucket}/{name}", data)
        told = named_files.digests({f"{group}_{knob}": f"{bucket}/{value}", "source": ""})
        return told[f"{group}_files_digest"]

    return digest


def test_other_weights_under_an_old_name_are_noticed_and_the_same_ones_are_the_same(digest) -> None:
    first = digest({"a.weights": b"abc", "b.weights": b"abc"}, "detect_train", "weights", "a.weights")
    assert first and first == digest({}, "detect_train", "weights", "b.weights")
    assert digest({"c.weights": b"abd"}, "detect_train", "weights", "c.weights") != first


def test_another_picture_in_a_mirror_is_noticed(digest) -> None:
    first = digest({"mirror/h/1.jpg": b"1"}, "transfer", "mirror", "mirror")
    assert first and first == digest({}, "transfer", "mirror", "mirror")
    assert digest({"mirror/h/2.jpg": b"2"}, "transfer", "mirror", "mirror") != first


def test_what_is_not_there_has_no_digest(digest) -> None:
    assert digest({}, "detect_train", "weights", "none.weights") == ""
