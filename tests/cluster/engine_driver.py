"""An engine in a process of its own, to be killed: STATE IR SETTINGS [RUN to go on with]."""

import json
import sys
from pathlib import Path

from pipeline.engine import cluster_place
from pipeline.engine.budget import Budget
from pipeline.engine.kubernetes_api import connect
from pipeline.engine.kubernetes_launch import KubernetesLauncher
from pipeline.engine.runner import Engine
from pipeline.engine.states import RunState
from pipeline.engine.store import Store
from pipeline.engine.tools import Pace


def main(state: Path, ir: Path, settings: str, run_id: str = "") -> int:
    place = cluster_place.parse(json.loads(settings))
    store = Store.open(state)
    state.chmod(0o777)
    launcher = KubernetesLauncher(lambda: connect(place), place, state)
    engine = Engine(store, launcher, budget=Budget.of_cluster(10), pace=Pace(0.2, 5.0))
    if run_id:
        engine.retry(run_id)
    else:
        run_id = engine.create_run(ir.read_text(), {})
        (state.parent / "run_id").write_text(run_id)
    return int(engine.execute(run_id) is not RunState.SUCCEEDED)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:]))
