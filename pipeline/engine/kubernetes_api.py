"""The few calls of the Kubernetes API that the launcher needs. Objects are JSON as the API gives them."""

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

import yaml

from pipeline.engine.cluster_place import ClusterPlace
from pipeline.engine.pod import CONTAINER
from pipeline.errors import PipelineError

Json = dict[str, Any]
_QUICK_S = (5.0, 30.0)  # to connect, and for an answer
_LOOK_S = (3.0, 5.0)
_WATCH_S = 60
_WATCH_GIVES_UP_S = (5.0, _WATCH_S + 30.0)
_LOG_S = (5.0, 3600.0)
_PASSING = frozenset({0, 408, 429, 500, 502, 503, 504})
_PIECE_BYTES = 1 << 16
_CONFLICT, _NOT_FOUND, _EXPIRED = 409, 404, 410


class Unreachable(PipelineError):
    """The API server cannot be reached or asks to come back later; what runs, runs on."""


class Refused(PipelineError):
    """The API server has understood and refuses.

    Attributes:
        status: of HTTP.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Stream(Protocol):
    """An answer that comes in pieces."""

    def __iter__(self) -> Iterator[bytes]:
        """The pieces as they come; may raise Unreachable."""

    def stop(self) -> None:
        """Ends the stream; called from another thread than the one that reads."""


class Cluster(Protocol):
    """What the launcher needs of a cluster. Every method may raise Unreachable or Refused."""

    def create(self, pod: Json) -> None:
        """Makes a Pod; one that is there already is left as it is."""

    def delete(self, name: str, grace_s: int) -> None:
        """Ends a Pod: SIGTERM, after the grace time SIGKILL; harmless when it is gone."""

    def pod(self, name: str) -> Json | None:
        """A Pod, None when there is none."""

    def pods(self, selector: str) -> tuple[list[Json], str]:
        """All Pods that a selector chooses, and the version of the list from which `changes` goes on."""

    def changes(self, selector: str, version: str) -> Iterator[tuple[str, Json]]:
        """ADDED, MODIFIED and DELETED with the Pod as it was last, until the server ends the stream."""

    def log(self, name: str, follow: bool) -> Stream:
        """A Pod's log from its beginning, as far as its node has kept it."""

    def events(self, name: str) -> list[tuple[str, str]]:
        """What happened to a Pod, oldest first: reason and message."""

    def access_modes(self, claim: str) -> list[str]:
        """How a PersistentVolumeClaim may be mounted: `ReadWriteOnce`, `ReadWriteMany`, ..."""


class RealCluster:
    """Talks to a cluster through the official client."""

    def __init__(self, core: Any, namespace: str) -> None:
        self._core = core
        self._namespace = namespace

    @property
    def namespace(self) -> str:
        """Where Pods are made."""
        return self._namespace

    def create(self, pod: Json) -> None:
        """See Cluster."""
        try:
            self._call(self._core.create_namespaced_pod, self._namespace, pod)
        except Refused as error:
            if error.status != _CONFLICT:
                raise
            if "already exists" not in str(error):  # somebody else has changed the quota meanwhile
                raise Unreachable(str(error)) from None

    def delete(self, name: str, grace_s: int) -> None:
        """See Cluster."""
        body = {"gracePeriodSeconds": grace_s, "kind": "DeleteOptions", "apiVersion": "v1"}
        try:
            self._call(self._core.delete_namespaced_pod, name, self._namespace, body=body)
        except Refused as error:
            if error.status != _NOT_FOUND:
                raise

    def pod(self, name: str) -> Json | None:
        """See Cluster."""
        try:
            return self._call(self._core.read_namespaced_pod, name, self._namespace)
        except Refused as error:
            if error.status != _NOT_FOUND:
                raise
            return None

    def pods(self, selector: str) -> tuple[list[Json], str]:
        """See Cluster."""
        body = self._call(self._core.list_namespaced_pod, self._namespace, label_selector=selector)
        return list(body.get("items", ())), str(body["metadata"].get("resourceVersion", ""))

    def changes(self, selector: str, version: str) -> Iterator[tuple[str, Json]]:
        """See Cluster."""
        options = {"label_selector": selector, "resource_version": version, "allow_watch_bookmarks": True}
        times = {"timeout_seconds": _WATCH_S, "_request_timeout": _WATCH_GIVES_UP_S}
        stream = self._stream(self._core.list_namespaced_pod, self._namespace, watch=True, **options, **times)
        for line in _lines(stream):
            change = json.loads(line)
            if change["type"] == "ERROR":
                status = change["object"]
                raise Refused(int(status.get("code", _EXPIRED)), str(status.get("message", "the watch has ended")))
            yield change["type"], change["object"]

    def log(self, name: str, follow: bool) -> Stream:
        """See Cluster."""
        times = {"_request_timeout": _LOG_S if follow else _QUICK_S}
        return self._stream(
            self._core.read_namespaced_pod_log, name, self._namespace, container=CONTAINER, follow=follow, **times
        )

    def events(self, name: str) -> list[tuple[str, str]]:
        """See Cluster."""
        chosen = {"field_selector": f"involvedObject.kind=Pod,involvedObject.name={name}"}
        found = self._call(self._core.list_namespaced_event, self._namespace, **chosen).get("items", ())
        in_order = sorted(found, key=lambda e: str(e.get("lastTimestamp") or e.get("eventTime") or ""))
        return [(str(e.get("reason", "")), str(e.get("message", ""))) for e in in_order]

    def ask(self, method: str, path: str, body: Json | None = None, **query: str) -> Json:
        """Anything else that the API knows, by its path; waits for a few seconds only."""
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        what = {"header_params": headers, "query_params": list(query.items()), "body": body}
        how = {"auth_settings": ["BearerToken"], "_return_http_data_only": True, "_request_timeout": _LOOK_S}
        return self._call(self._core.api_client.call_api, path, method, **what, **how)

    def access_modes(self, claim: str) -> list[str]:
        """See Cluster."""
        body = self._call(self._core.read_namespaced_persistent_volume_claim, claim, self._namespace)
        return list(body.get("status", {}).get("accessModes") or body.get("spec", {}).get("accessModes", ()))

    def _call(self, function: Any, *arguments: Any, **options: Any) -> Json:
        response = self._asked(function, *arguments, **{"_request_timeout": _QUICK_S} | options)
        body: Json = json.loads(response.data)
        return body

    def _stream(self, function: Any, *arguments: Any, **options: Any) -> Stream:
        return _RealStream(self._asked(function, *arguments, **options))

    def _asked(self, function: Any, *arguments: Any, **options: Any) -> Any:
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        try:
            return function(*arguments, **options, _preload_content=False)
        except ApiException as error:
            message = _message(error)
            if (error.status or 0) in _PASSING:
                raise Unreachable(f"the cluster answers {error.status}: {message}") from None
            raise Refused(error.status, message) from None
        except HTTPError as error:
            raise Unreachable(f"the cluster cannot be reached: {_root(error)}") from None


class _RealStream:
    def __init__(self, response: Any) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        """See Stream."""
        from urllib3.exceptions import HTTPError

        try:
            yield from self._response.stream(_PIECE_BYTES)  # each piece as it comes: the answers are chunked
        except HTTPError as error:
            raise Unreachable(f"the cluster has cut the connection: {error}") from None
        finally:
            self._response.close()

    def stop(self) -> None:
        """See Stream."""
        with contextlib.suppress(OSError, ValueError, RuntimeError):  # it has ended by itself meanwhile
            self._response.shutdown()


def connect(place: ClusterPlace) -> RealCluster:
    """The cluster of the context that is asked for by name, else the one that this runs in, else the kubeconfig's own.

    A kubeconfig is the one that KUBECONFIG names, or `~/.kube/config`.

    Raises:
        PipelineError: there is none, or it cannot be used.
    """
    from kubernetes import client
    from kubernetes.config import ConfigException

    # The official client meets a file of another shape with whatever Python says of it.
    misshapen = (yaml.YAMLError, AttributeError, LookupError, TypeError, ValueError)
    settings = client.Configuration()
    try:
        namespace = _of_kubeconfig(place, settings) if place.context else _at_hand(place, settings)
    except (ConfigException, OSError, *misshapen) as error:
        said = " ".join(str(error).split())
        raise PipelineError(
            f"no Kubernetes cluster: {said}; set KUBECONFIG to a kubeconfig file, or run in a cluster"
        ) from None
    settings.retries = False
    return RealCluster(client.CoreV1Api(client.ApiClient(settings)), namespace)


def _at_hand(place: ClusterPlace, settings: Any) -> str:
    """Fills the client's settings without asking for a context, and says in which namespace."""
    from kubernetes import config

    try:
        config.load_incluster_config(client_configuration=settings)
        return place.namespace or _own_namespace()
    except config.ConfigException:
        return _of_kubeconfig(place, settings)


def _of_kubeconfig(place: ClusterPlace, settings: Any) -> str:
    """Fills the client's settings from a context of the kubeconfig, and says in which namespace."""
    from kubernetes import config

    listed, current = config.list_kube_config_contexts()
    named = {one["name"]: one for one in listed}
    if place.context and place.context not in named:
        known = ", ".join(sorted(named))
        raise PipelineError(
            f"context {place.context!r} is not in the kubeconfig, which has {known}; mend kubernetes.toml"
        )
    config.load_kube_config(context=place.context or None, client_configuration=settings)
    chosen = named[place.context] if place.context else current
    return place.namespace or str(chosen["context"].get("namespace") or "default")


def _own_namespace() -> str:
    with open("/var/run/secrets/kubernetes.io/serviceaccount/namespace", encoding="utf-8") as stream:
        return stream.read().strip()


def _message(error: Any) -> str:
    """The API's own words, in one line."""
    try:
        body = json.loads(error.body)
    except (TypeError, ValueError):
        body = None
    told = body.get("message") if isinstance(body, Mapping) else None
    return " ".join(str(told or error.reason or error.status).split())


def _root(error: BaseException) -> str:
    """What is behind urllib3's wrappers, without its addresses of objects."""
    reason = getattr(error, "reason", None) or error
    return str(reason).rpartition(">: ")[2] or type(reason).__name__


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from (line for line in whole if line)
    if rest:
        yield rest
