"""docs/gcs.md names every test of a fault, and no test that is not there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "gcs.md").read_text(encoding="utf-8")


def functions_in(*files: str) -> set[str]:
    texts = [(ROOT / "tests" / file).read_text(encoding="utf-8") for file in files]
    return {name for text in texts for name in re.findall(r"^def test_(\w+)", text, re.MULTILINE)}


def test_the_table_of_faults_names_every_test_of_a_fault_and_only_tests_that_exist() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and line.count("|") == 4]
    named = {name for row in rows for name in re.findall(r"`([a-z0-9]+(?:_[a-z0-9]+){3,})`", row.split("|")[3])}
    faults = functions_in("gcs/test_faults.py") - {"objects_of_every_size_come_back"}
    assert faults <= named
    assert named <= faults | functions_in("artifacts/test_cache.py", "gcs/test_run_on_gcs.py")


def test_the_page_names_the_limits_as_the_code_has_them() -> None:
    from components.artifacts import cache, gcs_connection, gcs_ranges

    assert f"| `{cache.LIMIT_MB}` | {cache.DEFAULT_MB} |" in PAGE and f"`{cache.FOLDER}`" in PAGE
    assert gcs_connection.READER in PAGE and gcs_connection.WRITER in PAGE
    assert f"Objects above {gcs_ranges.PIECE >> 20} MB come down" in PAGE
