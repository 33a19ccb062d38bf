"""Logs in at Dex with a password, as a browser would: Kubeflow has no other way in for programs outside the cluster.

Works with both gates that Kubeflow has had in front of Dex: oidc-authservice, and since 1.9 oauth2-proxy, which does
not lead to Dex by itself but shows a page with a button. There is no published contract; the steps are those of
Kubeflow's documentation ("Connect the SDK to the API", full Kubeflow).

The password goes to Dex's form (`web/templates/password.html` of Dex) at the endpoint's own host, and to another host
only where the user has named it: a gate may as well lead to GitHub's login.
"""

import re
from html.parser import HTMLParser

import httpx

from pipeline.errors import PipelineError

TIMEOUT_S = 30.0
_MOST_PAGES = 4
_FORM_PATH = re.compile(r"/auth/[^/]+/login$")


def session(host: str, user: str, password: str, dex_host: str = "") -> str:
    """Logs in and gives the session as the value of a `Cookie` header.

    Args:
        host: address of the endpoint.
        user: as Dex knows it, an e-mail address.
        password: of that user.
        dex_host: `HOST` or `HOST:PORT` of a Dex that is not at the endpoint's own; empty where it is.

    Raises:
        PipelineError: no Dex there, a way to another host or out of TLS, or a wrong user or password.
    """
    try:
        with httpx.Client(follow_redirects=True, timeout=TIMEOUT_S) as browser:
            form = _form(browser, httpx.URL(host + "/"), dex_host.lower())
            given = {"login": user, "password": password}
            answer = browser.post(form, data=given, follow_redirects=False)  # 307 would send the password on
            if answer.next_request is None:
                raise PipelineError(f"Dex at {_place(form)} refuses this user and password")
            answer = browser.get(answer.next_request.url)
            if answer.url.path.endswith("/approval") and answer.url.netloc == form.netloc:
                browser.post(answer.url, data={"approval": "approve"})
            return _cookies(browser, httpx.URL(host).host)
    except httpx.HTTPError as error:
        raise PipelineError(f"{host} cannot be logged in to ({type(error).__name__})") from None


def _form(browser: httpx.Client, endpoint: httpx.URL, dex_host: str) -> httpx.URL:
    """Dex's login form: behind the proxy's own page, and behind the choice of a connector."""
    page = browser.get(endpoint)
    for _ in range(_MOST_PAGES):
        _refuse_strangers(page.url, endpoint, dex_host)
        if _is_form(page):
            return page.url
        following = _next(page, endpoint)
        if following is None:
            break
        page = browser.get(following)
    raise PipelineError(f"{_place(page.url)} is no login page of Dex; give --auth cookie:FILE instead")


def _refuse_strangers(url: httpx.URL, endpoint: httpx.URL, dex_host: str) -> None:
    """Ends the way where a password must not go: a host that nobody has named, or in the open."""
    if endpoint.scheme == "https" and url.scheme != "https":
        raise PipelineError(f"{_place(url)} is not https as {_place(endpoint)} is; no password is sent there")
    there = url.netloc.decode()
    if there not in (endpoint.netloc.decode(), dex_host):
        raise PipelineError(
            f"{_place(url)} is not at the endpoint's host, and no password is sent there; if Dex is, write {there} "
            "into the third line of the file of --auth dex:FILE, else give --auth cookie:FILE"
        )


def _next(page: httpx.Response, endpoint: httpx.URL) -> httpx.URL | None:
    """Where a page leads that is on the way to the form; None from any other."""
    url, path = page.url, page.url.path
    is_page = page.headers.get("content-type", "").startswith("text/html")
    has_button = path.endswith("/oauth2/sign_in") or (page.status_code == httpx.codes.FORBIDDEN and is_page)
    if has_button and url.netloc == endpoint.netloc:
        return url.copy_with(path="/oauth2/start", query=b"rd=%2F")
    if path.endswith("/auth"):
        return url.copy_with(path=path + "/local")
    return url.copy_with(path=path + "/login") if path.endswith("/auth/local") else None


def _is_form(page: httpx.Response) -> bool:
    """Whether a page is Dex's own, by its path and its two inputs; other logins have inputs of these names, too."""
    if not _FORM_PATH.search(page.url.path):
        return False
    inputs = _Inputs()
    inputs.feed(page.text)
    return {"login", "password"} <= inputs.names


class _Inputs(HTMLParser):
    """The names of a page's inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str | None] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See HTMLParser."""
        if tag == "input":
            self.names.add(dict(attrs).get("name"))


def _cookies(browser: httpx.Client, host: str) -> str:
    """What the endpoint's own host has set; Dex may live on another one."""
    return "; ".join(f"{c.name}={c.value}" for c in browser.cookies.jar if c.domain.removesuffix(".local") in host)


def _place(url: httpx.URL) -> str:
    """An address without its query, which carries secrets of the login."""
    return f"{url.scheme}://{url.netloc.decode()}{url.path}"
