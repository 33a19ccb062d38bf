"""As what an attempt ran, in words, from its handle: for people, who look for it with `ps`, `docker` or `kubectl`."""

import json

_SHORT_ID = 12  # characters of a container's id, as Docker shows it


def whereabouts(handle: str) -> str:
    """`process 4711`, `container 3f2c91d0aa17` or `Pod train-85ab85a2c997-1`; empty where nothing was started."""
    if not handle.startswith("{"):
        return ""
    named = json.loads(handle)
    if pod := named.get("pod"):
        return f"Pod {pod}"
    if container := named.get("container"):
        return f"container {container[:_SHORT_ID]}"
    identity = named.get("process") or ""
    return f"process {identity.split(':', 1)[0]}" if identity else ""
