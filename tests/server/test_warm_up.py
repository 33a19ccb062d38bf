"""A server starts without the libraries of a few pages, and loads them before the first visitor asks."""

import subprocess
import sys

CHECK = """
import sys, threading
from pipeline import serving
from pipeline.console import comparison, pictures

serving.domain()
assert "pandas" not in sys.modules, "loaded at the start"
stopped = threading.Event()
stopped.set()
serving.warm_up(stopped)
assert "pandas" not in sys.modules, "loaded while the server ends"
serving.warm_up(threading.Event(), after_s=0)
assert {"pandas", "pyarrow", "cv2"} <= set(sys.modules), "not loaded"
before = set(sys.modules)
from pipeline.console import album, changed_verdicts, dossier, evidence, intervals, picture_files, standing
late = set(sys.modules) - before
assert not late, late
"""


def test_what_comparisons_and_pictures_need_is_loaded_after_the_start_and_not_before():
    told = subprocess.run([sys.executable, "-c", CHECK], capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode == 0, told.stderr
