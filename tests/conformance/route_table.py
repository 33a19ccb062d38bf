"""KFP's routes, and the page that says which client has driven which of them."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"
CLIENTS = ("kfp command", "kfp.Client", "kfp_server_api", "PipelinesClient", "plain HTTP")
_V2 = "/apis/v2beta1"
_PIPELINE = f"{_V2}/pipelines/{{pipeline_id}}"
_VERSION = f"{_PIPELINE}/versions/{{pipeline_version_id}}"
_EXPERIMENT = f"{_V2}/experiments/{{experiment_id}}"
_RUN = f"{_V2}/runs/{{run_id}}"
_RECURRING = f"{_V2}/recurringruns/{{recurring_run_id}}"

# Every route that KFP's clients and its own console call.
ROUTES = (
    f"GET {_V2}/healthz",
    f"POST {_V2}/pipelines/upload",
    f"POST {_V2}/pipelines/upload_version",
    f"GET {_V2}/pipelines",
    f"GET {_PIPELINE}",
    f"DELETE {_PIPELINE}",
    f"GET {_V2}/pipelines/names/{{name}}",
    f"POST {_V2}/pipelines/create",
    f"GET {_PIPELINE}/versions",
    f"GET {_VERSION}",
    f"DELETE {_VERSION}",
    f"PATCH {_VERSION}",
    f"GET {_V2}/experiments",
    f"POST {_V2}/experiments",
    f"GET {_EXPERIMENT}",
    f"DELETE {_EXPERIMENT}",
    f"POST {_EXPERIMENT}:archive",
    f"POST {_EXPERIMENT}:unarchive",
    f"POST {_V2}/runs",
    f"GET {_V2}/runs",
    f"GET {_RUN}",
    f"POST {_RUN}:terminate",
    f"POST {_RUN}:retry",
    f"POST {_RUN}:archive",
    f"POST {_RUN}:unarchive",
    f"DELETE {_RUN}",
    f"POST {_V2}/recurringruns",
    f"GET {_V2}/recurringruns",
    f"GET {_RECURRING}",
    f"DELETE {_RECURRING}",
    f"POST {_RECURRING}:enable",
    f"POST {_RECURRING}:disable",
    "GET /apis/v1alpha1/runs/{run_id}/nodes/{node_id:path}/log",
    f"GET {_RUN}/nodes/{{node_id:path}}/artifacts/{{artifact_name}}:read",
)
_HEAD = f"""# Which client has driven which route

`tests/conformance` starts the real server and drives it with KFP's own clients, unmodified, from their packages: the
command `kfp` as a process of its own, `kfp.Client`, the generated client `kfp_server_api`, `PipelinesClient`
(`kfp.kubeflow_client`), and by plain HTTP where no client of KFP's has a call. A recorder in front of the server notes
the routes; this page is made of its notes, and the tests fail when the two no longer say the same
(`pytest -m '' tests/conformance --update-golden` writes it anew).

All {len(ROUTES)} routes that KFP's clients and KFP's own console use:

"""
_ROW = re.compile(r"^\| `(?P<route>[^`]+)` \|(?P<cells>.*)\|$")


def read() -> dict[str, set[str]]:
    """Route -> the clients that the page names for it."""
    found: dict[str, set[str]] = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines() if PAGE.exists() else ():
        if row := _ROW.match(line):
            cells = [cell.strip() for cell in row["cells"].split("|")]
            found[row["route"]] = {client for client, cell in zip(CLIENTS, cells, strict=True) if cell}
    return found


def write(client: str, driven: set[str]) -> None:
    """Replaces one client's column."""
    known = read()
    lines = [f"| Route | {' | '.join(CLIENTS)} |", "|---" * (len(CLIENTS) + 1) + "|"]
    for route in ROUTES:
        clients = known.get(route, set()) - {client} | ({client} if route in driven else set())
        lines.append(f"| `{route}` | {' | '.join('✓' if c in clients else ' ' for c in CLIENTS)} |")
    PAGE.write_text(_HEAD + "\n".join(lines) + "\n", encoding="utf-8")
