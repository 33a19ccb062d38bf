"""A log that is read from its beginning again and again is in the file once."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engine.pod_log import SEAM, Removed, unread

TEXT = b"".join(b"epoch %d of 400: loss 0.%03d\n" % (i, i) for i in range(400))


def test_a_new_file_takes_all_of_it(tmp_path: Path) -> None:
    assert b"".join(unread(iter([TEXT]), tmp_path / "log")) == TEXT


@given(st.data())
def test_what_is_there_is_left_out_wherever_the_copy_was_cut_off(data: st.DataObject) -> None:
    had = data.draw(st.integers(0, len(TEXT)))
    cuts = sorted(data.draw(st.lists(st.integers(1, len(TEXT) - 1), max_size=6)))
    pieces = [TEXT[a:b] for a, b in zip([0, *cuts], [*cuts, len(TEXT)], strict=True) if a < b]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        path.write_bytes(TEXT[:had])
        assert TEXT[:had] + b"".join(unread(iter(pieces), path)) == TEXT


def test_a_node_that_has_dropped_the_beginning_makes_no_line_twice(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(TEXT[:8000])
    kept = TEXT[4096:]
    assert TEXT[:8000] + b"".join(unread(iter([kept[:5000], kept[5000:]]), tmp_path / "log")) == TEXT


def test_where_lines_are_lost_the_log_says_so(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"epoch 1\n")
    assert b"".join(unread(iter([b"epoch 9\n", b"epoch 10\n"]), tmp_path / "log")) == SEAM + b"epoch 9\nepoch 10\n"


def test_a_node_that_has_removed_the_container_says_so_in_place_of_the_log(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"epoch 1\n")
    answer = b"unable to retrieve container logs for containerd://0123"
    with pytest.raises(Removed):
        list(unread(iter([answer]), tmp_path / "log"))
