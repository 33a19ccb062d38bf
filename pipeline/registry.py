"""The digest behind an image's tag, asked of its registry by the OCI distribution specification ("Pulling manifests").

Credentials are those that `docker login` has kept, for Google's registries else the application default credentials.
No secret gets into a message.
"""

import hashlib
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

import httpx

from pipeline.errors import PipelineError

TIMEOUT_S = 10.0
_MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
_DOCKER_HUB = {"docker.io": "registry-1.docker.io"}
_OF_GOOGLE = re.compile(r"(\.pkg\.dev|(^|\.)gcr\.io)$")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_REFUSALS = (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)


def digest(image: str) -> str:
    """What a tag leads to now: `sha256:` and 64 hex digits.

    Args:
        image: its name as `docker pull` takes it; without a tag the tag `latest`.

    Raises:
        PipelineError: no such image, no right to read it, or no registry that answers.
    """
    host, repository, tag = _parts(image)
    scheme = "http" if re.match(r"(localhost|127\.)", host) else "https"
    try:
        with httpx.Client(base_url=f"{scheme}://{_DOCKER_HUB.get(host, host)}", timeout=TIMEOUT_S) as client:
            return _digest(client, host, repository, tag)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:  # also: certificates, proxies
        raise PipelineError(
            f"registry {host} cannot be asked for the digest of {image}: {error or type(error).__name__}; "
            "check the name, the network and the proxies"
        ) from None


def _digest(client: httpx.Client, host: str, repository: str, tag: str) -> str:
    path = f"/v2/{repository}/manifests/{tag}"
    answer = _asked(client, "HEAD", path, host, repository)
    told = str(answer.headers.get("docker-content-digest", ""))
    if answer.is_success and not _DIGEST.fullmatch(told):  # registries should tell it, and need not
        answer = _asked(client, "GET", path, host, repository)
        told = "sha256:" + hashlib.sha256(answer.content).hexdigest()
    if answer.status_code in _REFUSALS:
        raise PipelineError(f"registry {host} does not let us read {repository}:{tag}; {_login(host)}")
    if answer.status_code == httpx.codes.NOT_FOUND:
        raise PipelineError(f"registry {host} has no image {repository}:{tag}; push it, or correct its name")
    if not answer.is_success:
        raise PipelineError(f"registry {host} answers {answer.status_code} for {repository}:{tag}; try again later")
    return told


def _parts(image: str) -> tuple[str, str, str]:
    """Registry, repository and tag of an image's name, with Docker's defaults."""
    from docker.auth import resolve_repository_name
    from docker.errors import InvalidRepository

    repository, colon, tag = image.rpartition(":")
    if not colon or "/" in tag:  # the colon of a port
        repository, tag = image, "latest"
    try:
        host, path = resolve_repository_name(repository)
    except InvalidRepository as error:
        raise PipelineError(f"{image!r} is no name of an image: {error}; expected REGISTRY/REPOSITORY:TAG") from None
    return host, path if host != "docker.io" or "/" in path else f"library/{path}", tag


def _asked(client: httpx.Client, method: str, path: str, host: str, repository: str) -> httpx.Response:
    """Asks as nobody first, and then as whom the registry wants to know."""
    headers = {"accept": _MANIFESTS}
    answer = client.request(method, path, headers=headers)
    if answer.status_code != httpx.codes.UNAUTHORIZED:
        return answer
    challenge = answer.headers.get("www-authenticate", "")
    known = _kept(host)
    if not challenge.lower().startswith("bearer"):
        return client.request(method, path, headers=headers, auth=known) if known else answer
    token = (not known and _google_token(host)) or _bearer(client, challenge, known, repository)
    if not token:
        return answer
    return client.request(method, path, headers=headers | {"authorization": f"Bearer {token}"})


def _bearer(client: httpx.Client, challenge: str, known: httpx.BasicAuth | None, repository: str) -> str:
    """A token of the service that the registry names, for reading one repository."""
    told = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    if urlsplit(told.get("realm", "")).scheme != client.base_url.scheme:
        raise PipelineError(f"a registry at {client.base_url.host} sends logins to an address that is not safe")
    asked = {"service": told.get("service", ""), "scope": told.get("scope") or f"repository:{repository}:pull"}
    answer = client.get(told["realm"], params=asked, auth=known)
    body = answer.json() if answer.is_success else None
    return str(body.get("token") or body.get("access_token") or "") if isinstance(body, dict) else ""


def _kept(host: str) -> httpx.BasicAuth | None:
    """What `docker login` has kept for a registry."""
    from docker.auth import load_config
    from docker.errors import DockerException

    try:
        found: Mapping[str, str] | None = load_config().resolve_authconfig(host)
    except DockerException as error:
        raise PipelineError(f"the login that Docker keeps for {host} cannot be used: {error}; {_login(host)}") from None
    return httpx.BasicAuth(found["username"], found["password"]) if found and found.get("username") else None


def _google_token(host: str) -> str:
    """An access token of the application default credentials; empty where they are not for this registry."""
    if not _OF_GOOGLE.search(host):
        return ""
    import google.auth
    from google.auth.exceptions import GoogleAuthError
    from google.auth.transport.requests import Request

    try:
        credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform.read-only"])
        credentials.refresh(Request())  # type: ignore[no-untyped-call]
    except GoogleAuthError:
        return ""
    return str(credentials.token)


def _login(host: str) -> str:
    role = ", or give this account the role Artifact Registry Reader" if _OF_GOOGLE.search(host) else ""
    return f"log in with `docker login {host}`{role}"
