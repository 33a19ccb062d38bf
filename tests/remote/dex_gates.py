"""The two gates that Kubeflow has had before Dex: oidc-authservice, which leads there, and oauth2-proxy, which asks."""

from abc import ABC, abstractmethod
from urllib.parse import quote, urlencode

from tests.remote.gates import Asked, Kfp, Told

SECRET_STATE = "SECRETSTATE"
BUTTON_PAGE = "<!doctype html><title>Sign In</title><form method='GET' action='/oauth2/start'></form>"
FORM_PAGE = (
    "<!doctype html><title>dex</title><form method='post' action='/dex/auth/local/login'>"
    "<input required id='login' name='login' type='text'><INPUT id=password name=password type=password /></form>"
)
APPROVAL_PAGE = "<!doctype html><title>Grant Access</title><form method='post'></form>"


class Dex:
    """Dex's own pages, which lead back to a gate's callback. `asks`: shows the page on which a login is approved.

    Attributes:
        address: of a Dex with a site of its own; empty for one behind its gate.
        gate: the gate's address then.
    """

    address = gate = ""

    def __init__(self, user: str, password: str, asks: bool = False) -> None:
        self.right = {"login": user, "password": password}
        self.asks = asks

    def answer(self, asked: Asked) -> Told:
        state = asked.query.get("state", [""])[0]
        query = urlencode({"state": state})
        if asked.path == "/dex/auth":
            return Told.page("choose how to log in") if self.asks else Told.to(f"/dex/auth/local?{query}")
        if asked.path == "/dex/auth/local":
            return Told.to(f"/dex/auth/local/login?back=&{query}")
        if asked.method != "POST":
            return Told.page(FORM_PAGE if asked.path.endswith("/login") else APPROVAL_PAGE)
        if asked.path == "/dex/approval":
            return self._back(query) if asked.form == {"approval": "approve"} else Told.page(APPROVAL_PAGE)
        if asked.form != self.right:
            return Told.page(FORM_PAGE)
        return Told.to(f"/dex/approval?req=1&{query}") if self.asks else self._back(query)

    def _back(self, query: str) -> Told:
        return Told.to(f"{self.gate}/oauth2/callback?code=SECRETCODE&{query}")


class Gate(ABC):
    """What the two have in common. `sessions` are those that the gate still knows."""

    cookie = ""

    def __init__(self, kfp: Kfp, dex: Dex) -> None:
        self.kfp, self.dex = kfp, dex
        self.sessions: set[str] = set()
        self.logins = 0

    def answer(self, asked: Asked) -> Told:
        if asked.path.startswith("/dex/") and not self.dex.address:
            return self.dex.answer(asked)
        if asked.path.startswith("/oauth2/"):
            return self.login(asked)
        if cookies(asked).get(self.cookie) not in self.sessions:
            return self.refuse(asked)
        return Told.page("<title>Kubeflow</title>") if asked.path == "/" else self.kfp.answer(asked)

    @abstractmethod
    def login(self, asked: Asked) -> Told: ...

    @abstractmethod
    def refuse(self, asked: Asked) -> Told: ...

    def opened(self) -> str:
        """The `Set-Cookie` of a new session."""
        self.logins += 1
        self.sessions.add(f"s{self.logins}")
        return f"{self.cookie}=s{self.logins}; Path=/; HttpOnly"


class AuthService(Gate):
    """oidc-authservice, of Kubeflow up to 1.8: redirects to Dex from everywhere."""

    cookie = "authservice_session"

    def login(self, asked: Asked) -> Told:
        return Told.to("/", **{"set-cookie": self.opened()})

    def refuse(self, asked: Asked) -> Told:
        return Told.to(f"{self.dex.address}/dex/auth?client_id=kubeflow&state={SECRET_STATE}")


class OAuth2Proxy(Gate):
    """oauth2-proxy as Kubeflow sets it up since 1.9: `common/oauth2-proxy/base/oauth2_proxy.cfg` of its manifests.

    Args:
        api_routes: paths of the API get 401, as there; else the page with the button, and 403, like all others.
    """

    cookie = "oauth2_proxy_kubeflow"

    def __init__(self, kfp: Kfp, dex: Dex, api_routes: bool = True) -> None:
        super().__init__(kfp, dex)
        self.api_routes = api_routes

    def login(self, asked: Asked) -> Told:
        csrf = f"{self.cookie}_csrf"
        if asked.path == "/oauth2/start":
            back = quote(asked.query["rd"][0])
            where = f"{self.dex.address}/dex/auth?client_id=kubeflow-oidc-authservice&state={SECRET_STATE}:{back}"
            return Told.to(where, **{"set-cookie": f"{csrf}={SECRET_STATE}; Path=/; HttpOnly"})
        state, _, back = asked.query.get("state", [""])[0].partition(":")
        if asked.path != "/oauth2/callback" or state != cookies(asked).get(csrf, "none"):
            return Told.page("Unable to find a valid CSRF token. Please try again.", 403)
        return Told.to(back, **{"set-cookie": self.opened()})

    def refuse(self, asked: Asked) -> Told:
        if self.api_routes and "/apis/" in asked.path:
            return Told.json({}, 401)
        return Told.page(BUTTON_PAGE, 403)


def cookies(asked: Asked) -> dict[str, str]:
    """The cookies of a request."""
    pairs = (part.strip().partition("=") for part in asked.headers.get("cookie", "").split(";"))
    return {name: value for name, _, value in pairs if name}
