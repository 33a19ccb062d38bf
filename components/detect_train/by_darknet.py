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

from components import progress
from components.artifacts import darknet_files, storage
from components.detect_train.outcome import Task, Trained
from components.errors import Damaged, DataError, SettingsError, StepError
from components.vision.detection import cfg, log, network, weights

_BACKUP, _LOG = "darknet.weights", "train_log.txt"
_LAST_LINES = 5


def train(task: Task) -> Trained:
    """Trains from the last backup, or from the start.

    Raises:
        SettingsError: there is no such program.
        StepError: it failed, or left no whole weights.
    """
    shapes = network.build(task.sections, task.inputs.seed).shapes
    with tempfile.TemporaryDirectory(prefix="darknet-") as name:
        folder = Path(name)
        darknet_files.lay_out(task.inputs.boxes, folder)
        (folder / "detector.cfg").write_text(cfg.write(task.sections), encoding="utf-8")
        start = _start(task, folder)
        watched = _Watched(task, folder, shapes)
        with _running(_command(task, start), folder) as process:
            for line in process.stdout or ():
                watched.hear(line)
            code = process.wait()
        if code:
            last = " | ".join(watched.lines[-_LAST_LINES:])
            raise StepError(f"{task.settings.darknet} ended with {code}; its last lines: {last or 'none'}")
        found = watched.weights()
    text = log.text(watched.lines)
    entries = log.parse(text)
    return Trained(found, int(entries.iteration[-1]) if len(entries) else 0, text, [])


def _start(task: Task, folder: Path) -> str:
    """The weights to begin with: the last attempt's backup, what the knob names, or none."""
    backup = storage.join(task.unfinished, _BACKUP)
    where = backup if storage.exists(backup) else task.settings.weights
    if not where:
        return ""
    if where == backup:
        progress.log("going on from the last attempt's backup")
    start = folder / "start.weights"
    start.write_bytes(storage.read_bytes(where))
    return str(start)


def _command(task: Task, start: str) -> list[str]:
    # Found before the program's own folder is entered, from where another path would lead elsewhere.
    program = shutil.which(task.settings.darknet)
    if program is None:
        raise SettingsError(
            f"darknet={task.settings.darknet!r} is no program that can be started; give the path of a darknet program, "
            "or set trainer=keras"
        )
    files = [darknet_files.DATA, "detector.cfg", *([start] if start else [])]
    return [str(Path(program).absolute()), "detector", "train", *files, *task.settings.darknet_arguments]


@contextmanager
def _running(command: list[str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The program, which does not outlive the block."""
    progress.log(" ".join(command))
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
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
        """Takes one line; each iteration is told on, and a new backup kept."""
        self.lines.append(line.rstrip("\n"))
        found = log.parse(line)
        if len(found):
            progress.log(line.strip())
            progress.progress(int(found.iteration[-1]), self.task.iterations, "iterations")
            self._keep(int(found.images[-1]))

    def weights(self) -> bytes:
        """The last weights. Raises StepError where there are none, or not whole ones."""
        file = self._newest()
        if file is None:
            raise StepError(f"{self.task.settings.darknet} ended well and left no weights in its backup folder")
        data = file.read_bytes()
        if not self._is_whole(data):
            raise StepError(f"{file.name} of {self.task.settings.darknet} is no whole weights file of this network")
        return data

    def _keep(self, images: int) -> None:
        """Keeps a new backup once the log has come as far, so that the two together tell one training."""
        file = self._newest()
        if file is None or (stamp := _stamp(file)) == self._kept:
            return
        data = file.read_bytes()
        if self._is_whole(data) and weights.Header.unpack(data, file.name).seen <= images:
            self._kept = stamp
            storage.write_bytes(storage.join(self.task.unfinished, _LOG), log.text(self.lines).encode())
            storage.write_bytes(storage.join(self.task.unfinished, _BACKUP), data)

    def _newest(self) -> Path | None:
        files = [f for f in (self.folder / "backup").iterdir() if f.suffix in (".weights", ".backup")]
        return max(files, key=lambda f: (f.stat().st_mtime_ns, f.name), default=None)

    def _is_whole(self, data: bytes) -> bool:
        """Not half written: all convolutions are there."""
        try:
            return len(weights.read(data, self.shapes, "the backup")[1]) == len(self.shapes)
        except (Damaged, DataError):
            return False


def _stamp(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_mtime_ns, found.st_size
