"""Requests as no client would send them, byte by byte, to the real server: none of them is answered with a 5xx."""

import random
import socket
from collections import Counter
from urllib.parse import urlsplit

import httpx
import pytest

pytestmark = pytest.mark.slow
REQUESTS = 600
V2, OWN = "/apis/v2beta1", "/seamline/v1"
PATHS = (
    f"{V2}/runs",
    f"{V2}/runs/%s",
    f"{V2}/runs/%s:retry",
    f"{V2}/runs/%s/nodes/%s/artifacts/%s:read",
    f"{V2}/pipelines/names/%s",
    f"{V2}/pipelines/%s/versions/%s",
    f"{V2}/pipelines/upload",
    f"{V2}/pipelines/upload_version?pipelineid=%s",
    f"{V2}/experiments/%s:archive",
    f"{V2}/recurringruns",
    f"{OWN}/runs/%s/log?key=%s",
    f"{OWN}/runs/%s/plan/rerun",
    f"{OWN}/runs/%s/events/stream?after=%s",
)
PIECES = (
    "%00",
    "%ed%a0%80",
    "%ff",
    "..%2f..%2f",
    "latest",
    "%25",
    "a" * 3000,
    "%F0%9F%98%80",
    "'%22;--",
    "%0a",
    "-1",
    "9" * 40,
)
QUERY = ("page_token", "page_size", "sort_by", "filter", "experiment_id", "name", "key", "attempt", "offset", "tags")
BODIES = (b"", b"{}", b"[]", b"null", b"\xff\xfe", b'{"display_name": "x"}', b'{"task": "\\u0000"}', b"--x\r\n\r\n")
KINDS = (b"application/json", b"multipart/form-data; boundary=x", b"multipart/form-data", b"text/\xff")
HEADERS = (
    b"",
    b"Last-Event-ID: \xff\r\n",
    b"Range: bytes=9-1\r\n",
    b"Cookie: \xff=;;=\r\n",
    b"Transfer-Encoding: x\r\n",
)
METHODS = ("GET", "POST", "DELETE", "PATCH", "PUT", "HEAD", "OPTIONS", "BREW")


def made(dice):
    path = dice.choice(PATHS)
    while "%s" in path:
        path = path.replace("%s", dice.choice(PIECES), 1)
    given = "&".join(f"{name}={dice.choice(PIECES)}" for name in dice.sample(QUERY, dice.randint(0, 3)))
    path += ("&" if "?" in path else "?") + given
    body = dice.choice(BODIES)
    head = f"{dice.choice(METHODS)} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n".encode()
    kind = b"Content-Type: " + dice.choice(KINDS) + b"\r\n"
    return head + kind + dice.choice(HEADERS) + f"Content-Length: {len(body)}\r\n\r\n".encode() + body


def status(address, request):
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(request)
        return connection.recv(64).split(b" ")[1].decode()


def test_no_request_is_answered_with_a_5xx_and_the_server_lives_on(server):
    parts, dice = urlsplit(server.url), random.Random(3)
    seen = Counter()
    for _ in range(REQUESTS):
        request = made(dice)
        answered = status((parts.hostname, parts.port), request)
        assert answered < "500", request
        seen[answered] += 1
    assert {"200", "400", "404", "405"} <= set(seen)
    assert httpx.get(f"{server.url}{V2}/healthz").json() == {"multi_user": False}
