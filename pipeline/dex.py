"""Logs in at Dex with a password, as a browser would: Kubeflow has no other way in for programs outside the cluster.

Works with both gates that Kubeflow has had in front of Dex: oidc-authservice, and since 1.9 oauth2-proxy, which does
not lead to Dex by itself but shows a page with a button. There is no published contract; the steps are those of
Kubeflow's documentation ("Connect the SDK to the API", full Kubeflow).
"""

import httpx

from pipeline.errors import PipelineError

TIMEOUT_S = 30.0
_MOST_PAGES = 4


def session(host: str, user: str, password: str) -> str:
    """Logs in and gives the session as the value of a `Cookie` header.

    Raises:
        PipelineError: no Dex there, or a wrong user or password.
    """
    try:
        with httpx.Client(follow_redirects=True, timeout=TIMEOUT_S) as browser:
            form = _form(browser, host)
            answer = browser.post(form.url, data={"login": user, "password": password})
            if not answer.history:
                raise PipelineError(f"Dex at {_place(form.url)} refuses this user and password")
            if answer.url.path.endswith("/approval"):
                browser.post(answer.url, data={"approval": "approve"})
            return _cookies(browser, httpx.URL(host).host)
    except httpx.HTTPError as error:
        raise PipelineError(f"{host} cannot be logged in to ({type(error).__name__})") from None


def _form(browser: httpx.Client, host: str) -> httpx.Response:
    """Dex's page with the login form: behind the proxy's own page, and behind the choice of a connector."""
    page = browser.get(host + "/")
    for _ in range(_MOST_PAGES):
        path = page.url.path
        if path.endswith("/login"):
            return page
        if path.endswith("/oauth2/sign_in") or page.status_code == httpx.codes.FORBIDDEN:  # the page with the button
            page = browser.get(page.url.copy_with(path="/oauth2/start", query=b"rd=%2F"))
        elif path.endswith("/auth"):
            page = browser.get(page.url.copy_with(path=path + "/local"))
        elif path.endswith("/auth/local"):
            page = browser.get(page.url.copy_with(path=path + "/login"))
        else:
            break
    raise PipelineError(f"{_place(page.url)} is no login page of Dex; give --auth cookie:FILE instead")


def _cookies(browser: httpx.Client, host: str) -> str:
    """What the endpoint's own host has set; Dex may live on another one."""
    return "; ".join(f"{c.name}={c.value}" for c in browser.cookies.jar if c.domain.removesuffix(".local") in host)


def _place(url: httpx.URL) -> str:
    """An address without its query, which carries secrets of the login."""
    return f"{url.scheme}://{url.netloc.decode()}{url.path}"
