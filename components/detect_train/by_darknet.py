"""The trainer that somebody else wrote: a darknet program, given its files, its log read while it runs.

Its backups go to the unfinished work as soon as they are whole, so that another attempt goes on from there: darknet
reads from the weights how many pictures it has seen. It knows no groups: boxes of groups are learnt like others.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from components import progress
from components.artifacts import darknet_files, storage
from components.detect_train.outcome import Task, Trained
from components.errors import Damaged, DataError, SettingsError, StepError
from components.vision.detection import cfg, log, network, weights

_BACKUP, _LOG = "darknet.weights", "train_log.txt"
_CFG, _START = "detector.cfg", "start.weights"
_FINAL = "detector_final.weights"  # darknet names it after _CFG
_LAST_LINES = 5


def train(task: Task) -> Trained:
    """Trains from the last backup, or from the start.

    Raises:
        SettingsError: there is no such program.
        StepError: it failed, or left no whole weights.
    """
    made = network.build(task.sections, task.inputs.seed)
    with tempfile.TemporaryDirectory(prefix="darknet-") as name:
        folder = Path(name)
        darknet_files.lay_out(task.inputs.boxes, folder)
        (folder / _CFG).write_text(cfg.write(task.sections), encoding="utf-8")
        (folder / _START).write_bytes(_start(task, made))
        watched = _Watched(task, folder, made.shapes)
        with _running(_command(task), folder) as process:
            for line in process.stdout or ():
                watched.hear(line)
            code = process.wait()
        found = watched.weights(code)
    text = log.text(watched.lines)
    entries = log.parse(text)
    return Trained(found, int(entries.iteration[-1]) if len(entries) else 0, text, [])


def _start(task: Task, made: network.Network) -> bytes:
    """All weights to begin with: the last attempt's backup, else what the knob names and drawn ones for the rest.

    There always are some: pjreddie's darknet takes whatever follows the configuration for their file. They count no
    pictures as seen, which darknet would take for iterations that are done.
    """
    backup = storage.join(task.unfinished, _BACKUP)
    if storage.exists(backup):
        progress.log("going on from the last attempt's backup")
        return storage.read_bytes(backup)
    made.load(task.start_weights(made.shapes))
    return weights.write(weights.Header(), made.save())


def _command(task: Task) -> list[str]:
    # Found before the program's own folder is entered, from where another path would lead elsewhere.
    program = shutil.which(task.settings.darknet)
    if program is None:
        raise SettingsError(
            f"darknet={task.settings.darknet!r} is no program that can be started; give the path of a darknet program, "
            "or set trainer=keras"
        )
    arguments = ["detector", "train", darknet_files.DATA, _CFG, _START, *task.settings.darknet_arguments]
    return [*_line_by_line(), str(Path(program).absolute()), *arguments]


def _line_by_line() -> list[str]:
    """Has each line come when it is whole: darknet saves them up, and its errors would tear them apart."""
    stdbuf = shutil.which("stdbuf")
    return [stdbuf, "-oL"] if stdbuf else []


@contextmanager
def _running(command: list[str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The program, which does not outlive the block."""
    progress.log(" ".join(command))
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,  # AlexeyAB's darknet waits for a key after some errors
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class _Watched:
    """What the program has said, of this attempt and those before, and the weights it has left."""

    def __init__(self, task: Task, folder: Path, shapes: list[weights.Shape]) -> None:
        self.task, self.folder, self.shapes = task, folder, shapes
        former = storage.join(task.unfinished, _LOG)
        self.lines = storage.read_bytes(former).decode().splitlines() if storage.exists(former) else []
        self._kept = (0, 0)

    def hear(self, line: str) -> None:
        """Takes one line; each iteration is told on, and a new backup kept.

        Raises:
            SettingsError: the program has not the schedule, and goes on with a constant rate.
        """
        self.lines.append(line.rstrip("\n"))
        if line.startswith("Couldn't find policy"):
            raise SettingsError(
                f"{self.task.settings.darknet} does not know schedule={self.task.settings.schedule} "
                f"({line.strip()}); set schedule=steps or constant"
            )
        found = log.parse(line)
        if len(found):
            progress.log(line.strip())
            progress.progress(int(found.iteration[-1]), self.task.iterations, "iterations")
            self._keep(int(found.images[-1]))

    def weights(self, code: int) -> bytes:
        """The final weights, after the program has ended with a code; darknet ends with 0 after many errors, too.

        Raises:
            StepError: there are none, or not whole ones.
        """
        name, file = self.task.settings.darknet, self.folder / "backup" / _FINAL
        if code or not file.is_file():
            last = " | ".join(self.lines[-_LAST_LINES:])
            left = "" if code else " and left no final weights"
            raise StepError(f"{name} ended with {code}{left}; its last lines: {last or 'none'}")
        data = file.read_bytes()
        if fault := self._fault(data):
            raise StepError(f"{_FINAL} of {name} {fault}")
        return data

    def _keep(self, images: int) -> None:
        """Keeps a new backup once the log has come as far, so that the two together tell one training."""
        file = self._newest()
        if file is None or (stamp := _stamp(file)) == self._kept:
            return
        data = file.read_bytes()
        if not self._fault(data) and weights.Header.unpack(data, file.name).seen <= images:
            self._kept = stamp
            storage.write_bytes(storage.join(self.task.unfinished, _LOG), log.text(self.lines).encode())
            storage.write_bytes(storage.join(self.task.unfinished, _BACKUP), data)

    def _newest(self) -> Path | None:
        files = [f for f in (self.folder / "backup").iterdir() if f.suffix in (".weights", ".backup")]
        return max(files, key=lambda f: (f.stat().st_mtime_ns, f.name), default=None)

    def _fault(self, data: bytes) -> str:
        """What is wrong with a weights file, empty for nothing. One that is being written ends early."""
        try:
            found = weights.read(data, self.shapes, "the backup")[1]
        except (Damaged, DataError):
            found = []
        if len(found) < len(self.shapes):
            return "is no whole weights file of this network"
        finite = all(np.isfinite(array).all() for arrays in found for array in arrays.values())
        return "" if finite else "has weights that are no numbers; lower learning_rate"


def _stamp(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_mtime_ns, found.st_size
