"""What a step has used, noted when it ends: in a container nobody outside can measure it once it is gone.

Where a launcher names a file in the environment, memory and CPU time go there; anywhere else, as on KFP, nothing
happens. A step that is killed leaves no note. The memory is the peak of the largest process, as the process launcher
measures it: a cgroup's own peak counts the page cache, too, which fills whatever there is.
"""

import atexit
import json
import os
import resource
import sys
from contextlib import suppress

FILE = "SEAMLINE_USAGE"
"""Environment variable: the file that takes the note."""


def note_at_end() -> None:
    """Leaves the note when this process ends by itself, if the environment asks for it."""
    if os.environ.get(FILE):
        atexit.register(note)


def note() -> None:
    """Leaves the note now: `max_rss_bytes` of the largest process, `cpu_s` of this one and its ended children."""
    path = os.environ.get(FILE)
    if not path:
        return
    spent = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    unit = 1 if sys.platform == "darwin" else 1024
    cpu_s = sum(one.ru_utime + one.ru_stime for one in spent)
    body = {"max_rss_bytes": max(one.ru_maxrss for one in spent) * unit, "cpu_s": round(cpu_s, 3)}
    with suppress(OSError), open(path, "w", encoding="utf-8") as stream:  # a full disk must not cost the work
        json.dump(body, stream)
