"""The official client against an API server that answers what a test says: what is an error, and which."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from kubernetes import client

from pipeline.engine.kubernetes_api import RealCluster, Refused, Unreachable
from pipeline.engine.pod_watch import PodMirror


class ApiServer(ThreadingHTTPServer):
    """Answers each request with the next of `answers`: a status and a body, which may be pieces of a stream."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[tuple[int, Any]] = []
        self.asked: list[str] = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ApiServer

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.asked.append(f"{self.command} {self.path}")
        status, body = self.server.answers.pop(0)
        pieces = body if isinstance(body, list) else [json.dumps(body).encode()]
        self.send_response(status)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for piece in pieces:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    do_GET = do_POST = do_DELETE = answer

    def log_message(self, *arguments: Any) -> None:
        return


@pytest.fixture
def server() -> Iterator[ApiServer]:
    made = ApiServer()
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def cluster(server: ApiServer) -> RealCluster:
    settings = client.Configuration(host=f"http://127.0.0.1:{server.server_address[1]}")
    settings.retries = False
    return RealCluster(client.CoreV1Api(client.ApiClient(settings)), "team")


def test_a_quota_that_somebody_else_changed_meanwhile_is_no_pod(server: ApiServer, cluster: RealCluster) -> None:
    server.answers = [status(409, "Operation cannot be fulfilled on resourcequotas: the object has been modified")]
    with pytest.raises(Unreachable, match="resourcequotas"):
        cluster.create({"metadata": {"name": "a"}})


def status(code: int, message: str) -> tuple[int, Any]:
    return code, {"kind": "Status", "code": code, "message": message}


def test_a_pod_that_is_there_already_is_no_error(server: ApiServer, cluster: RealCluster) -> None:
    server.answers = [(201, {}), status(409, "already exists")]
    cluster.create({"metadata": {"name": "a"}})
    cluster.create({"metadata": {"name": "a"}})
    assert server.asked == ["POST /api/v1/namespaces/team/pods"] * 2


@pytest.mark.parametrize("code", [400, 403, 404, 422])
def test_a_refusal_carries_the_servers_own_words(server: ApiServer, cluster: RealCluster, code: int) -> None:
    server.answers = [status(code, "because\n  of that")]
    with pytest.raises(Refused, match="because of that") as refused:
        cluster.create({})
    assert refused.value.status == code


@pytest.mark.parametrize("code", [429, 500, 503])
def test_a_server_in_trouble_is_asked_again_later(server: ApiServer, cluster: RealCluster, code: int) -> None:
    server.answers = [status(code, "etcd is away")]
    with pytest.raises(Unreachable, match="etcd is away"):
        cluster.create({})


def test_an_answer_that_is_no_json_is_told_too(server: ApiServer, cluster: RealCluster) -> None:
    server.answers = [(502, [b"<html>Bad Gateway</html>"])]
    with pytest.raises(Unreachable, match="502"):
        cluster.pod("a")


def test_no_server_at_all_is_unreachable() -> None:
    settings = client.Configuration(host="http://127.0.0.1:9")
    settings.retries = False
    with pytest.raises(Unreachable, match="cannot be reached"):
        RealCluster(client.CoreV1Api(client.ApiClient(settings)), "team").pods("a=b")


def test_what_is_gone_is_not_there_and_may_be_deleted_again(server: ApiServer, cluster: RealCluster) -> None:
    server.answers = [status(404, "not found"), status(404, "not found")]
    assert cluster.pod("a") is None
    cluster.delete("a", 30)


def pod(name: str, version: int, phase: str = "Pending") -> dict[str, Any]:
    return {"metadata": {"name": name, "resourceVersion": str(version)}, "status": {"phase": phase}}


def change(kind: str, body: Any) -> bytes:
    return json.dumps({"type": kind, "object": body}).encode() + b"\n"


def test_a_mirror_lists_once_and_then_follows(server: ApiServer, cluster: RealCluster) -> None:
    first = change("ADDED", pod("b", 2)) + change("MODIFIED", pod("a", 3, "Running"))
    second = change("DELETED", pod("b", 4, "Failed")) + change("BOOKMARK", {"metadata": {"resourceVersion": "9"}})
    cut = len(first) // 2
    server.answers = [
        (200, {"metadata": {"resourceVersion": "1"}, "items": [pod("a", 1)]}),
        (200, [first[:cut], first[cut:]]),
        (200, [second]),
        (200, []),
    ]
    mirror = PodMirror(cluster, "x=y")
    mirror.follow("b")
    mirror.look()
    seen = {name: mirror.get(name) for name in "ab"}
    assert seen["a"] is not None and not seen["a"].gone
    assert seen["a"].pod["status"]["phase"] == "Running"
    assert seen["b"] is not None and seen["b"].gone
    assert seen["b"].pod["status"]["phase"] == "Failed"
    versions = [path.partition("resourceVersion=")[2].partition("&")[0] for path in server.asked]
    assert versions == ["", "1", "3", "9"]


def test_a_watch_from_a_version_that_is_too_old_begins_anew(server: ApiServer, cluster: RealCluster) -> None:
    gone = {"kind": "Status", "code": 410, "message": "too old resource version"}
    server.answers = [(200, {"metadata": {"resourceVersion": "1"}, "items": []}), (200, [change("ERROR", gone)])]
    with pytest.raises(Refused, match="too old"):
        PodMirror(cluster, "x=y").look()


def test_a_pod_that_a_new_list_lacks_is_gone_with_what_was_last_known(server: ApiServer, cluster: RealCluster) -> None:
    mirror = PodMirror(cluster, "x=y")
    mirror.follow("a")
    server.answers = [(200, {"metadata": {}, "items": [pod("a", 1, "Running")]}), (200, {"metadata": {}, "items": []})]
    mirror.look()
    mirror.look()
    seen = mirror.get("a")
    assert seen is not None and seen.gone
    assert seen.pod["status"]["phase"] == "Running"


def test_of_pods_that_nobody_follows_only_those_that_are_there_are_kept(
    server: ApiServer, cluster: RealCluster
) -> None:
    listed = {"metadata": {"resourceVersion": "1"}, "items": [pod("a", 1), pod("b", 1)]}
    server.answers = [(200, listed), (200, [change("DELETED", pod("a", 2))]), (200, []), (200, listed | {"items": []})]
    mirror = PodMirror(cluster, "x=y")
    mirror.look()
    assert (mirror.get("a"), mirror.get("b") is not None) == (None, True)
    server.answers += [(200, [])]
    mirror.look()
    assert mirror.get("b") is None


def test_a_log_comes_in_pieces(server: ApiServer, cluster: RealCluster) -> None:
    server.answers = [(200, [b"epoch 1\n", b"epoch 2\n"])]
    assert b"".join(cluster.log("a", follow=True)) == b"epoch 1\nepoch 2\n"
    assert "container=task" in server.asked[0]
    assert "follow=True" in server.asked[0]


def test_a_claim_tells_how_it_is_mounted_or_wants_to_be(server: ApiServer, cluster: RealCluster) -> None:
    spec = {"accessModes": ["ReadWriteMany"]}
    server.answers = [(200, {"spec": spec, "status": {"accessModes": ["ReadWriteOnce"]}}), (200, {"spec": spec})]
    assert [cluster.access_modes("state"), cluster.access_modes("state")] == [["ReadWriteOnce"], ["ReadWriteMany"]]
    assert server.asked[0] == "GET /api/v1/namespaces/team/persistentvolumeclaims/state"


def test_events_are_told_in_order(server: ApiServer, cluster: RealCluster) -> None:
    items = [
        {"reason": "Preempted", "message": "by b", "lastTimestamp": "2026-01-01T00:00:02Z"},
        {"reason": "Scheduled", "message": "on n", "lastTimestamp": "2026-01-01T00:00:01Z"},
    ]
    server.answers = [(200, {"metadata": {}, "items": items})]
    assert cluster.events("a") == [("Scheduled", "on n"), ("Preempted", "by b")]
