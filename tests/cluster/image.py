"""Writes the two small images of the cluster tests as an archive that `ctr images import` takes; no Docker is needed.

    python tests/cluster/image.py ARCHIVE

`seamline-test/pause:1` holds a Pod's namespaces, `seamline-test/shell:1` runs the tasks of the fault tests. Both are
Debian's static busybox, which apt has installed.
"""

import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path

BUSYBOX = Path("/bin/busybox")
APPLETS = (
    "sh",
    "sleep",
    "cat",
    "echo",
    "mkdir",
    "id",
    "ls",
    "test",
    "true",
    "head",
    "tail",
    "touch",
    "rm",
    "date",
    "wc",
)
IMAGES = {"seamline-test/pause:1": ["sleep", "1000000"], "seamline-test/shell:1": ["sh"]}


def layer() -> bytes:
    """A root file system with nothing but busybox."""
    found = io.BytesIO()
    with tarfile.open(fileobj=found, mode="w") as archive:
        for folder in ("bin", "tmp", "proc", "dev", "sys", "etc"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            archive.addfile(entry)
        body = BUSYBOX.read_bytes()
        program = tarfile.TarInfo("bin/busybox")
        program.size, program.mode = len(body), 0o755
        archive.addfile(program, io.BytesIO(body))
        for applet in APPLETS:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
    return found.getvalue()


def write(target: Path) -> None:
    """The archive, in the format of `docker save`."""
    body = layer()
    digest = hashlib.sha256(body).hexdigest()
    files, manifest = {"layer.tar": body}, []
    for tag, command in IMAGES.items():
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": command, "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        }
        text = json.dumps(config).encode()
        name = hashlib.sha256(text).hexdigest() + ".json"
        files[name] = text
        manifest.append({"Config": name, "RepoTags": [tag], "Layers": ["layer.tar"]})
    files["manifest.json"] = json.dumps(manifest).encode()
    with tarfile.open(target, "w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
