"""The engine's supervisor with points at which it, or its whole session, dies. A script for the kill matrix.

Started in its place as `python -I -S kill_supervisor.py DIRECTORY`. Environment: KILL_TASK (`KEY: POINT`, or empty),
KILL_WHOM (`supervisor`, `session`, or `machine`: the engine, too), KILL_MARK (a file made before the only kill),
TASK_POINTS (gets every point).
"""

import os
import runpy
import signal
import sys

SUPERVISE = os.environ["SUPERVISE"]
DIRECTORY = sys.argv[1]
KEY = DIRECTORY.rpartition("/attempt-")[0].partition("/runs/")[2].partition("/")[2]
DYING: list[str] = []


def point(name: str) -> None:
    """Passes a point."""
    if record := os.environ.get("TASK_POINTS"):
        with open(record, "a") as stream:
            stream.write(f"{KEY}: {name}\n")
    if os.environ.get("KILL_TASK") == f"{KEY}: {name}" and not os.path.exists(os.environ["KILL_MARK"]):
        DYING.append(name)  # its own kills are no points
        open(os.environ["KILL_MARK"], "x").close()
        if os.environ["KILL_WHOM"] == "machine":
            os.kill(int(os.environ["ENGINE"]), signal.SIGKILL)
        os.kill(os.getpid() if os.environ["KILL_WHOM"] == "supervisor" else 0, signal.SIGKILL)


def on_audit(event, args) -> None:  # type: ignore[no-untyped-def]
    """Before every step of the supervisor in the file system, and around its command."""
    name = os.path.basename(str(args[0])) if args else ""
    if event == "open" and str(args[0]).startswith(DIRECTORY):
        point(f"the supervisor opens {name}")
    elif event == "subprocess.Popen":
        point("the supervisor starts the command")
    elif event == "os.rename":
        point(f"the supervisor renames {name}")
    elif event == "os.kill" and args[0] > 0 and not DYING:
        point("the supervisor ends what the command left behind")
    elif event == "os.killpg":
        point("the supervisor ends its session")


point("the supervisor starts")
sys.addaudithook(on_audit)
sys.argv[0] = SUPERVISE
runpy.run_path(SUPERVISE, run_name="__main__")
