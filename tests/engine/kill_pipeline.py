"""The pipeline of the kill matrix: parallel tasks, a loop, collections, a retry, a cached task, a branch, an importer.

Its commands are real processes with points of their own at which they, their supervisor or both die.
"""

from kfp import dsl
from kfp.dsl import Artifact, Dataset, Input, Output, OutputPath

# Every command: counts its execution, passes its points, writes what it has to. `work` says what that is.
PROGRAM = r"""
import json, os, signal, subprocess, sys, time
message, work = json.loads(sys.argv[1]), sys.argv[2]
KEY, _, ATTEMPT = os.path.dirname(os.getcwd()).partition("/runs/")[2].partition("/")[2].rpartition("/attempt-")
values = message.get("inputs", {}).get("parameterValues", {})
given = {k: [a["uri"] for a in v["artifacts"]] for k, v in message.get("inputs", {}).get("artifacts", {}).items()}
def append(path, text):
    with open(path, "a") as stream:
        stream.write(text + "\n")
def point(name):
    name = f"{KEY}: the command {name}"
    if os.environ.get("TASK_POINTS"):
        append(os.environ["TASK_POINTS"], name)
    if os.environ.get("KILL_TASK") != name or os.path.exists(os.environ["KILL_MARK"]):
        return
    open(os.environ["KILL_MARK"], "x").close()
    whom = os.environ["KILL_WHOM"]
    if whom == "machine":
        os.kill(int(os.environ["ENGINE"]), 9)
    os.kill({"command": os.getpid(), "supervisor": os.getppid()}.get(whom, 0), 9)
    time.sleep(60)  # whoever finds its supervisor dead has to end it
def write(path, text, die=""):
    with open(path, "w") as stream:
        stream.write(text[:len(text) // 2])
        stream.flush()
        if die:
            point(die)
        stream.write(text[len(text) // 2:])
def page(name):
    return message["outputs"]["artifacts"][name]["artifacts"][0]["uri"]
def follow(key):
    # Ends a little after another task is committed, so that runs in peace go the same way every time.
    patience = time.monotonic() + 0.5
    run = os.getcwd().partition(KEY)[0]
    while not os.path.exists(f"{run}{key}/attempt-1/commit.json") and time.monotonic() < patience:
        time.sleep(0.005)
    time.sleep(0.03)
point("starts")
append(os.environ["SIDE_EFFECTS"], f"{KEY} {ATTEMPT}")
point("has counted itself")
while KEY in os.environ.get("HOLD_TASKS", "").split(",") and not os.path.exists(os.environ["HOLD_UNTIL"]):
    time.sleep(0.005)
said = ""
if work == "begin":
    subprocess.Popen(["sleep", "300"])  # is left behind
    write(page("data"), "seven\n", "is half through an artifact")
    said = "7"
elif work == "make":
    if values["name"] == "bb":
        follow("for-loop-2(0)/make")
    os.mkdir(page("pages"))
    with open(given["data"][0]) as stream:
        write(page("pages") + "/one.txt", values["name"] + stream.read())
    point("is half through a folder")
    write(page("pages") + "/two.txt", values["name"] * 3)
    print(f'::metric {{"step": 1, "loss": 0.{len(values["name"])}}}', flush=True)
    said = values["name"] + values["x"]
elif work == "flaky":
    with open(os.environ["SIDE_EFFECTS"]) as stream:
        if stream.read().split().count(KEY) == 1:
            sys.exit(1)
    follow("for-loop-2(1)/make")
    said = "at last"
elif work == "gather":
    texts = []
    for folder in given["pages"]:
        for name in ("one.txt", "two.txt"):
            with open(folder + "/" + name) as stream:
                texts.append(stream.read())
    write(page("whole"), "".join(texts))
    said = ",".join(values["parts"])
write(message["outputs"]["parameters"]["out"]["outputFile"], said, "is half through a parameter")
point("has written its outputs")
"""


def _command(work: str) -> dsl.ContainerSpec:
    return dsl.ContainerSpec(image="img", command=["python", "-I", "-S", "-c", PROGRAM], args=["{{$}}", work])


@dsl.container_component
def begin(data: Output[Dataset], out: OutputPath(str)):  # type: ignore[no-untyped-def,valid-type]
    return _command("begin")


@dsl.container_component
def make(name: str, x: str, data: Input[Dataset], pages: Output[Dataset], out: OutputPath(str)):  # type: ignore[no-untyped-def,valid-type]
    return _command("make")


@dsl.container_component
def flaky(out: OutputPath(str)):  # type: ignore[no-untyped-def,valid-type]
    return _command("flaky")


@dsl.container_component
def gather(parts: list[str], pages: Input[list[Dataset]], whole: Output[Dataset], out: OutputPath(str)):  # type: ignore[no-untyped-def,valid-type]
    return _command("gather")


@dsl.pipeline(name="killed")
def killed() -> None:
    """Parallel tasks, a loop, collected parameters and artifacts, a retry, a cached task, a branch, an importer."""
    dsl.importer(artifact_uri="gs://nowhere/at-all", artifact_class=Artifact)
    first = begin()
    begin().after(first)
    repeated = flaky().set_retry(1, backoff_duration="0s")
    with dsl.ParallelFor(["a", "bb"]) as name:
        one = make(name=name, x=first.outputs["out"], data=first.outputs["data"])
    gather(parts=dsl.Collected(one.outputs["out"]), pages=dsl.Collected(one.outputs["pages"]))
    with dsl.If(repeated.outputs["out"] == "never"):
        begin()
