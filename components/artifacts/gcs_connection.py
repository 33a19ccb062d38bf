"""The connection to Google Cloud Storage: who we are, how long we wait, what is tried again, what an error means.

What is tried again: answers 408, 429, 500, 502, 503 and 504, cut connections and silence, after random pauses that grow
(and as long as a `Retry-After` asks for), until `operation_s` are over. Every write carries a precondition, so that a
repeated one cannot undo what somebody else has written in between.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from components.errors import Conflict, DataError, Missing, Unreachable

READER, WRITER = "roles/storage.objectViewer", "roles/storage.objectUser"
_TRANSIENT = (408, 429, 500, 502, 503, 504)
_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
_CONNECTIONS = 64  # more threads than that share them
_LOGIN = "`gcloud auth application-default login` makes them; on GKE bind the Pod's service account"


@dataclass(frozen=True)
class Patience:
    """Limits of time, in seconds.

    Attributes:
        connect_s: until a connection stands.
        silence_s: between two bytes of an answer.
        answer_s: of one answer, first to last byte; what has come by then is kept, the rest is asked for anew.
        operation_s: of one operation, all its attempts and pauses together. A large object is many operations.
        pause_s: mean of the first pause; each next one is twice as long, to `longest_pause_s`.
    """

    connect_s: float = 10
    silence_s: float = 60
    answer_s: float = 120
    operation_s: float = 300
    pause_s: float = 1
    longest_pause_s: float = 32


PATIENCE = Patience()


@dataclass(frozen=True)
class Connection:
    """The library's client, and a session with the same credentials for ranged downloads; both for many threads."""

    client: Any
    session: Any


@cache
def connection() -> Connection:
    """The connection of this process, by application default credentials.

    Raises:
        DataError: there are none.
    """
    # Loaded only where a gs:// address is used: it takes a second.
    import google.auth
    from google.auth.credentials import AnonymousCredentials
    from google.auth.exceptions import DefaultCredentialsError
    from google.auth.transport.requests import AuthorizedSession
    from google.cloud import storage  # type: ignore[attr-defined]
    from requests.adapters import HTTPAdapter

    try:
        emulated = os.environ.get("STORAGE_EMULATOR_HOST")
        given = (AnonymousCredentials(), "") if emulated else google.auth.default(scopes=[_SCOPE])  # type: ignore[no-untyped-call]
    except DefaultCredentialsError as error:
        raise DataError(f"gs:// addresses need Google credentials and there are none; {_LOGIN}") from error
    credentials, project = given
    session = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=_CONNECTIONS))
    client = storage.Client(project=project or "none", credentials=credentials)  # no operation here needs a project
    return Connection(client, session)


def how() -> dict[str, Any]:
    """Retry and time limits as the library's methods take them."""
    return {"retry": retry(), "timeout": (PATIENCE.connect_s, PATIENCE.silence_s)}


def retry() -> Any:
    """Runs a function until it ends well, or as long as our patience lasts."""
    from google.api_core.retry import Retry

    return Retry(
        predicate=_is_transient,
        initial=2 * PATIENCE.pause_s,  # a pause lies anywhere between nothing and this
        maximum=PATIENCE.longest_pause_s,
        multiplier=2,
        timeout=PATIENCE.operation_s,
        on_error=_wait_as_told,
    )


@contextmanager
def in_words(uri: str, role: str) -> Iterator[None]:
    """Says errors of the library in one line each.

    Args:
        uri: what is read or written.
        role: the least role that may do it.

    Raises:
        Missing: the object or its bucket is not there.
        Conflict: it is not as the precondition says.
        Unreachable: no good answer came in time.
        DataError: everything else that was refused.
    """
    import requests
    import urllib3
    from google.api_core import exceptions as api
    from google.auth import exceptions as auth
    from google.cloud.storage.exceptions import DataCorruption

    try:
        yield
    except api.NotFound as error:
        raise Missing(_what_is_missing(uri)) from error
    except api.PreconditionFailed as error:
        raise Conflict(f"{uri} was written by somebody else meanwhile; look at it, then try again") from error
    except api.Forbidden as error:
        raise DataError(f"{uri}: permission denied; give {_account()} {role} on {bucket_of(uri)}") from error
    except DataCorruption as error:
        raise wrong_checksum(uri) from error
    except (api.RetryError, auth.TransportError, requests.RequestException, urllib3.exceptions.HTTPError) as error:
        why = _short(error.__cause__ or error)
        raise Unreachable(f"{uri}: no answer within {PATIENCE.operation_s:g} s ({why}); try again later") from error
    except (api.Unauthorized, auth.GoogleAuthError) as error:
        raise DataError(f"{uri}: Google refuses the credentials ({_short(error)}); {_LOGIN}") from error
    except api.GoogleAPICallError as error:
        raise DataError(f"{uri}: Google Cloud Storage refuses it ({_short(error)}); check the address") from error


def wrong_checksum(uri: str) -> Unreachable:
    """The error for bytes that are others on the two sides."""
    return Unreachable(f"{uri}: wrong checksum, the bytes were damaged on the way and are not used; try again")


def split(uri: str) -> tuple[str, str]:
    """Bucket and name of an object."""
    bucket, _, name = uri.removeprefix("gs://").partition("/")
    return bucket, name


def bucket_of(uri: str) -> str:
    """`gs://bucket` of an address."""
    return f"gs://{split(uri)[0]}"


def _is_transient(error: BaseException) -> bool:
    import requests
    import urllib3
    from google.auth import exceptions as auth

    code = getattr(error, "code", None) or getattr(getattr(error, "response", None), "status_code", None)
    if code:
        return code in _TRANSIENT
    broken = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
    return isinstance(
        error, (*broken, urllib3.exceptions.HTTPError, auth.TransportError, ConnectionError, TimeoutError)
    )


def _wait_as_told(error: BaseException) -> None:
    told = getattr(getattr(error, "response", None), "headers", {}).get("Retry-After", "")
    if told.isdigit():  # it may be a date too; then our own pauses do
        time.sleep(min(int(told), PATIENCE.longest_pause_s))


def _what_is_missing(uri: str) -> str:
    """An object's 404 and a bucket's look alike, so the bucket is asked too."""
    from google.api_core.exceptions import GoogleAPICallError, NotFound

    bucket = bucket_of(uri)
    try:
        next(iter(connection().client.list_blobs(bucket.removeprefix("gs://"), max_results=1, **how())), None)
    except NotFound:
        return f"{uri} cannot be found: there is no bucket {bucket}; check the address, or make the bucket"
    except GoogleAPICallError:
        return f"{uri} does not exist, or may not be seen; check the address and the permissions"
    return f"{uri} does not exist; check the address"


def _account() -> str:
    email = getattr(connection().client._credentials, "service_account_email", "")
    return f"{email} the role" if email and email != "default" else "whoever runs this the role"


def _short(error: BaseException) -> str:
    """The first line of an error, without the address of the request that Google's messages begin with."""
    text = (str(error).splitlines() or [type(error).__name__])[0]
    return text if len(text) <= 160 else f"{text[:157]}..."
