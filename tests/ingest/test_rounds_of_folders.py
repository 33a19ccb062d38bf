"""A round may be some of the folders of an address, as the contest's `base`, `web` and `rank` are."""

import pytest

from components.errors import DataError
from components.ingest.rows import open_rounds


@pytest.fixture
def address(tmp_path):
    for name in ("base", "rank", "week-rank"):
        (tmp_path / name / "Annotations").mkdir(parents=True)
        (tmp_path / name / "Annotations" / "label.csv").write_text("x")
    return str(tmp_path)


def test_only_the_named_folders_belong_to_the_round(address):
    (first,) = open_rounds([{"name": "round1", "uri": address, "folders": ["base", "rank"]}])
    assert first.files == ["base/Annotations/label.csv", "rank/Annotations/label.csv"]


def test_without_names_all_folders_do(address):
    (whole,) = open_rounds([{"name": "round1", "uri": address}])
    assert len(whole.files) == 3


def test_a_folder_that_holds_nothing_is_refused_by_the_rounds_name(address):
    (absent,) = open_rounds([{"name": "round1", "uri": address, "folders": ["bsae"]}])
    with pytest.raises(DataError, match="round 'round1': no file"):
        _ = absent.files
