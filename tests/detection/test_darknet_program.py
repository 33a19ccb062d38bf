"""The trainer darknet, with a program that behaves as pjreddie's does: reads its files, prints, leaves backups.

Like the real one it takes the argument after the configuration for a weights file, and ends with 0 where it cannot open
that.
"""

import os
import shutil
import stat
import sys
from pathlib import Path

import pytest

from components.artifacts import darknet_files, detectors, reference
from components.detect_train import by_darknet
from components.detect_train.outcome import Task
from components.detect_train.settings import Inputs, Settings
from components.errors import DataError, SettingsError, StepError
from components.vision.detection import cfg, log, network, networks, weights

NAN = b"\0\0\xc0\x7f"
# Each weight is the number of iterations that had been trained, so that a test sees where another began.
PROGRAM = """#!{python}
import os, pathlib, struct, sys
print("stdout is flushed by", os.environ.get("_STDBUF_O"), "and the next key is", repr(sys.stdin.read()))
_, mode, command, data, configuration, *more = sys.argv
assert (mode, command) == ("detector", "train"), sys.argv
options = dict(line.split(" = ") for line in open(data).read().splitlines())
assert sorted(options) == ["backup", "classes", "names", "train", "valid"]
for path in open(options["train"]).read().split():
    assert open(path, "rb").read(2) == b"\\xff\\xd8", path
    label = path.replace("images", "labels", 1).replace(".jpg", ".txt")
    for line in open(label):
        kind, *box = line.split()
        assert kind in ("0", "1") and all(0 <= float(value) <= 1 for value in box), line
batch = int([l for l in open(configuration) if l.startswith("batch=")][0].split("=")[1])
last = int([l for l in open(configuration) if l.startswith("max_batches=")][0].split("=")[1])
numbers = int(pathlib.Path("{numbers}").read_text())
start = pathlib.Path(more[0])
if not start.exists():
    print("Couldn't open file:", start)
    sys.exit(0)
assert start.stat().st_size in (20, 20 + 4 * numbers), "all weights"
begin = struct.unpack("<iiiQ", start.read_bytes()[:20])[3] // batch
pathlib.Path("{numbers}").with_name("begun").write_bytes(start.read_bytes())
def save(name, done):
    values = struct.pack("<iiiQ", 0, 2, 0, done * batch) + struct.pack("<f", done) * numbers
    pathlib.Path(options["backup"], name).write_bytes(values)
for number in range(begin + 1, last + 1):
    print(f"Region 9 Avg IOU: 0.5, Class: 0.9, Obj: 0.1, No Obj: 0.1, .5R: 1.0, .75R: 0.0,  count: 4")
    print(f"{{number}}: {{10.0 / number}}, 5.0 avg, 0.001 rate, 0.1 seconds, {{number * batch}} images", flush=True)
    if number % 2 == 0:
        save("detector.backup", number)
    if number == {dies}:
        print("CUDA Error: out of memory", flush=True)
        sys.exit(1)
save("detector_final.weights", last)
"""


@pytest.fixture
def darknet(tmp_path, train):
    """Writes the program for the network of `train`; `dies` is the iteration after which it fails."""

    def write(name: str = "darknet", dies: int = 0) -> str:
        sections = cfg.adapted(networks.NETWORKS["micro"](), 2)
        numbers = tmp_path / "numbers"
        numbers.write_text(str(sum(shape.numbers for shape in network.build(sections, 0).shapes)))
        path = tmp_path / name
        path.write_text(PROGRAM.format(python=sys.executable, numbers=numbers, dies=dies))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    return write


def first_number(uri: str) -> float:
    detector = detectors.read(uri)
    shapes = network.build(cfg.parse(detector.cfg), 0).shapes
    return float(weights.read(detector.weights, shapes, "it")[1][0]["biases"][0])


def test_its_weights_and_log_are_published_like_our_own(make_boxes, train, darknet):
    ran = train(make_boxes(train=6, validation=2), trainer="darknet", darknet=darknet())
    detector = detectors.read(ran.result)
    assert first_number(ran.result) == 8 and detectors.read(ran.result).classes == ("Ship", "Buoy")
    assert log.parse(detector.log).iteration.tolist() == list(range(1, 9))
    assert reference.read_index(ran.result, detectors.KIND)["trainer"] == "darknet"
    assert "valid_ap50" in ran.metrics and not ran.unfinished.exists()


@pytest.mark.parametrize("trainer", ["keras", "darknet"])
def test_either_trainers_detector_has_the_data_file_that_darknet_is_started_with(make_boxes, train, darknet, trainer):
    uri = make_boxes(train=6, validation=2)
    ran = train(uri, trainer=trainer, darknet=darknet())
    data = (Path(ran.result) / "detector.data").read_text()
    folder = Path(ran.result).parents[1] / "laid_out"
    darknet_files.lay_out(uri, folder)
    assert data == (folder / "detector.data").read_text() and data.startswith("classes = 2\ntrain = train.txt\n")


def test_another_attempt_goes_on_from_the_last_backup_with_the_log_so_far(make_boxes, train, darknet):
    uri, knobs = make_boxes(train=6), {"trainer": "darknet", "darknet": darknet(dies=5)}
    with pytest.raises(StepError, match=r"ended with 1; .*out of memory"):
        train(uri, **knobs)
    darknet(dies=0)
    unfinished = train.unfinished(uri, **knobs)
    unfinished.mkdir(parents=True, exist_ok=True)
    (unfinished / "darknet.weights").write_bytes(weights.Header(seen=4 * 8).pack())
    (unfinished / "train_log.txt").write_text("".join(map(line, range(1, 6))))
    ran = train(uri, **knobs)
    found = log.parse(detectors.read(ran.result).log)
    assert found.iteration.tolist() == list(range(1, 9)), "of both attempts, each iteration once"
    assert first_number(ran.result) == 8


@pytest.fixture
def watched(tmp_path, nano):
    """What has been heard of a program that works in a folder, its backups written by the test."""
    sections = cfg.adapted(nano, 2, net={"max_batches": 9})
    shapes = network.build(sections, 0).shapes
    (tmp_path / "backup").mkdir()
    inputs = Inputs("boxes", str(tmp_path))
    task = Task(inputs, Settings(), ("Ship", "Buoy"), None, None, sections, str(tmp_path / "unfinished"))
    return by_darknet._Watched(task, tmp_path, shapes)


def backup(watched, done: int) -> bytes:
    numbers = sum(shape.numbers for shape in watched.shapes)
    return weights.Header(seen=done * 8).pack() + bytes(4 * numbers)


def line(number: int) -> str:
    return log.iteration_line(number, 1.0, 1.0, 0.1, 0.1, number * 8) + "\n"


def test_a_backup_is_kept_once_the_log_has_come_as_far(watched, tmp_path):
    """The program is ahead of what has been heard of it; kept are only a backup and a log that go together."""
    kept = tmp_path / "unfinished"
    (tmp_path / "backup" / "detector.backup").write_bytes(backup(watched, 2))
    watched.hear(line(1))
    assert not kept.exists()
    watched.hear(line(2))
    assert (kept / "darknet.weights").read_bytes() == backup(watched, 2)
    assert log.parse((kept / "train_log.txt").read_text()).iteration.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [(lambda data: data[:-40], "no whole weights file"), (lambda data: data[:-4] + NAN, "weights that are no numbers")],
    ids=["half written", "no numbers"],
)
def test_weights_that_no_training_could_go_on_from_are_neither_kept_nor_published(watched, tmp_path, spoil, words):
    file = tmp_path / "backup" / "detector_final.weights"
    file.write_bytes(spoil(backup(watched, 1)))
    watched.hear(line(1))
    assert not (tmp_path / "unfinished").exists()
    with pytest.raises(StepError, match=words):
        watched.weights(0)
    file.write_bytes(backup(watched, 1))
    watched.hear(line(2))
    assert (tmp_path / "unfinished" / "darknet.weights").exists() and watched.weights(0) == file.read_bytes()


@pytest.mark.parametrize("given", [0, 3], ids=["drawn weights", "the first layers from a file"])
def test_it_begins_with_all_weights_and_no_iteration_done(make_boxes, train, darknet, tmp_path, given):
    """Somebody trained a backbone for many iterations; darknet must not take them for this training's."""
    shapes = network.build(cfg.adapted(networks.NETWORKS["micro"](), 2), 0).shapes
    start = tmp_path / "backbone.weights"
    start.write_bytes(weights.Header(seen=10**6).pack() + b"\0\0\x80?" * sum(s.numbers for s in shapes[:given]))
    ran = train(make_boxes(train=6), trainer="darknet", darknet=darknet(), weights=str(start) if given else "")
    header, begun = weights.read((tmp_path / "begun").read_bytes(), shapes, "it")
    assert header.seen == 0 and len(begun) == len(shapes)
    assert [bool((arrays["kernel"] == 1).all()) for arrays in begun] == [n < given for n in range(len(shapes))]
    assert log.parse(detectors.read(ran.result).log).iteration.tolist() == list(range(1, 9))


def test_weights_of_another_network_are_refused_before_it_starts(make_boxes, train, darknet, tmp_path):
    """Darknet would read them without a word."""
    start = tmp_path / "other.weights"
    start.write_bytes(weights.Header().pack() + bytes(4 * 7))
    with pytest.raises(DataError, match="of another network"):
        train(make_boxes(train=4), trainer="darknet", darknet=darknet(), weights=str(start))
    assert not (tmp_path / "begun").exists()


def test_a_program_that_is_not_there_is_named(make_boxes, train):
    with pytest.raises(SettingsError, match="darknet='/no/darknet' is no program"):
        train(make_boxes(train=4), trainer="darknet", darknet="/no/darknet")


def test_a_program_is_found_from_where_the_step_was_started(make_boxes, train, darknet, tmp_path, monkeypatch):
    darknet("mine")
    monkeypatch.chdir(tmp_path)
    assert first_number(train(make_boxes(train=4), trainer="darknet", darknet="./mine").result) == 8


def test_the_program_does_not_outlive_the_step(make_boxes, train, darknet, tmp_path, monkeypatch):
    endless = Path(darknet())
    pid = "import os, time; print(os.getpid(), flush=True); time.sleep(600)\n"
    endless.write_text(f"#!{sys.executable}\n{pid}")
    heard = []

    def asked_to_end(_, line):
        heard.append(int(line))
        sys.exit(143)

    monkeypatch.setattr(by_darknet._Watched, "hear", asked_to_end)
    with pytest.raises(SystemExit):
        train(make_boxes(train=4), trainer="darknet", darknet=str(endless))
    with pytest.raises(ProcessLookupError):
        os.kill(heard[0], 0)


def test_a_program_that_ends_well_before_its_last_iteration_is_an_error(make_boxes, train, darknet):
    """Pjreddie's ends with 0 when it cannot open a file, also in the middle, when backups are there."""
    quitter = Path(darknet(dies=5))
    quitter.write_text(quitter.read_text().replace("sys.exit(1)", "sys.exit(0)"))
    with pytest.raises(StepError, match="ended with 0 and left no final weights; .*out of memory"):
        train(make_boxes(train=4), trainer="darknet", darknet=str(quitter))


@pytest.mark.skipif(not shutil.which("stdbuf"), reason="needs stdbuf of GNU coreutils")
def test_it_prints_line_by_line_and_never_waits_for_a_key(make_boxes, train, darknet):
    """C saves up what goes to a pipe, but no errors: they tore lines of a real log. AlexeyAB's calls getchar."""
    ran = train(make_boxes(train=4), trainer="darknet", darknet=darknet())
    assert detectors.read(ran.result).log.startswith("stdout is flushed by L and the next key is ''\n")


def test_a_schedule_that_it_does_not_know_is_refused(watched):
    """Pjreddie's would go on with a constant rate; this is its line."""
    with pytest.raises(SettingsError, match=r"does not know schedule=steps .*sgdr.*set schedule=steps or constant"):
        watched.hear("Couldn't find policy sgdr, going with constant\n")
