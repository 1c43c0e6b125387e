"""What Traccar's answers mean, and its three ways of signing in.

Any exception in the server becomes HTTP 400 with a Java stack trace as text, of which only the first line is fit to
show. A wrong credential is 401; an unknown session 401, or 404 on `GET /session`.
"""

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote_plus

from connectors.kit import decode
from connectors.kit.auth import BasicAuth, HeaderAuth, RenewingAuth, Send
from connectors.kit.errors import AuthFailed
from connectors.kit.http import Api, Outcome, OutcomeKind, by_status, looks_like_html, raise_for
from connectors.kit.integration import Integration, Secret
from connectors.traccar import wire

if TYPE_CHECKING:
    import httpx

_ID_IN_PATH: Final = re.compile(r"/\d+$")
_ID_IN_QUERY: Final = re.compile(r"(?:^|&)(?:id|deviceId|uniqueId|groupId)=")
_EXCEPTION: Final = re.compile(r"(?:[\w$]+\.)*(?P<name>[A-Z][\w$]*(?:Exception|Error))(?::\s*(?P<text>.*))?$")
_LONGEST: Final = 200
_TOTP: Final = "the account wants a one-time code at each log-in, which a server cannot give; use a token"


def explain(response: "httpx.Response") -> Outcome | None:
    """Null leaves it to the HTTP status."""
    status = response.status_code
    if status == 401:
        if "totp" in response.headers.get("www-authenticate", "").lower():
            return Outcome(kind=OutcomeKind.AUTH_FAILED, message=_TOTP)
        by_cookie = "cookie" in _request_headers(response)
        return Outcome(kind=OutcomeKind.AUTH_EXPIRED if by_cookie else OutcomeKind.AUTH_FAILED)
    if status == 404 and _path(response).endswith("/session"):
        return Outcome(kind=OutcomeKind.AUTH_EXPIRED)
    if status == 400:
        return _fault(response)
    if status < 400 and looks_like_html(response):
        return Outcome(
            kind=OutcomeKind.NONSENSE,
            message="a page in HTML instead of data; base_url must be the address of the Traccar server itself",
        )
    if status < 400 and "spreadsheet" in response.headers.get("content-type", ""):
        return Outcome(kind=OutcomeKind.NONSENSE, message="a spreadsheet instead of JSON")
    return None


def _fault(response: "httpx.Response") -> Outcome:
    """The first line of the stack trace says what it was; the class of the exception is the code."""
    line = response.text[:2000].lstrip().partition("\n")[0].strip()
    if looks_like_html(response):
        line = ""
    found = _EXCEPTION.match(line)
    code = found["name"] if found else None
    message = ((found["text"] if found else line) or "").strip()[:_LONGEST] or None
    if code == "SecurityException":
        return Outcome(kind=OutcomeKind.DENIED, code=code, message=message)
    kind = OutcomeKind.ABSENT if _asks_for_an_id(response) else OutcomeKind.BAD_REQUEST
    return Outcome(kind=kind, code=code, message=message)


def _asks_for_an_id(response: "httpx.Response") -> bool:
    request = _request(response)
    if request is None or request.method != "GET" or "/reports/" in request.url.path:
        return False
    query = request.url.query.decode("ascii", "replace")
    return bool(_ID_IN_PATH.search(request.url.path) or _ID_IN_QUERY.search(query))


def _request(response: "httpx.Response") -> "httpx.Request | None":
    try:
        return response.request
    except RuntimeError:  # an answer read from a file has none
        return None


def _request_headers(response: "httpx.Response") -> "httpx.Headers | dict[str, str]":
    request = _request(response)
    return request.headers if request is not None else {}


def _path(response: "httpx.Response") -> str:
    request = _request(response)
    return request.url.path if request is not None else ""


class SessionAuth(RenewingAuth):
    """`POST /session` with email and password gives a `JSESSIONID` cookie; a token gives one by `GET /session`.

    No `Origin` header is ever sent: the server binds the session to the one it saw at the log-in.
    """

    def __init__(self, integration: Integration, *, email: str = "", password: Secret | None = None) -> None:
        super().__init__()
        self._integration = integration
        self._email, self._password = email, password
        self._token: Secret | None = None
        self._api: Api | None = None

    @classmethod
    def by_token(cls, integration: Integration, token: Secret) -> "SessionAuth":
        made = cls(integration)
        made._token = token
        return made

    def through(self, api: Api) -> None:
        """The way to the server; needed before the first log-in."""
        self._api = api
        self.bind(api.exchange_for_log_in)

    async def log_in(self, send: Send) -> str:
        assert self._api is not None
        if self._token is not None:
            request = self._api.build("GET", "/session", params={"token": self._token.reveal()})
        else:
            password = self._password.reveal() if self._password is not None else ""
            form = f"email={quote_plus(self._email)}&password={quote_plus(password)}"
            request = self._api.build(
                "POST",
                "/session",
                content=form.encode(),
                headers={"Content-Type": "application/x-www-form-urlencoded"},
            )
        response = await send(request)
        outcome = explain(response) or by_status(response, now=self._api.services.clock.now())
        if outcome.kind in (OutcomeKind.AUTH_EXPIRED, OutcomeKind.DENIED):
            outcome = Outcome(kind=OutcomeKind.AUTH_FAILED, code=outcome.code, message=outcome.message)
        raise_for(outcome, request, response, self._integration.key)
        for header in response.headers.get_list("set-cookie"):
            name, _, value = header.partition(";")[0].strip().partition("=")
            if name == "JSESSIONID" and value:
                return value
        decode.json(response.content, wire.User)  # something else than Traccar may have answered
        raise AuthFailed(
            f"{self._integration.key}: the log-in gave no session cookie", integration=self._integration.key
        )

    def sign(self, request: "httpx.Request", credential: str) -> None:
        request.headers["Cookie"] = f"JSESSIONID={credential}"

    def expired(self, response: "httpx.Response") -> bool:
        return response.status_code == 401 or (response.status_code == 404 and _path(response).endswith("/session"))


class Access:
    """How an integration signs its calls and opens its socket, chosen by the credentials it has.

    `token`: bearer; the socket takes the token in its address, or a session made from it where the server is too
    old for that. `email` and `password`: a session. `username` and `password`: HTTP Basic, and a session for the
    socket only. Raises `ValueError` for none or several of these.
    """

    def __init__(self, integration: Integration) -> None:
        given = {name: secret for name, secret in integration.credentials.items() if secret}
        token, password = given.get("token"), given.get("password")
        email, username = given.get("email"), given.get("username")
        if sum(each is not None for each in (token, email, username)) != 1 or (token is None) != (password is not None):
            raise ValueError(
                f"{integration.key}: give one of the credentials `token`, `email` with `password` (session), "
                "`username` with `password` (HTTP Basic)"
            )
        self.token = token
        self.auth: httpx.Auth
        if token is not None:
            self.session = SessionAuth.by_token(integration, token)
            self.auth = HeaderAuth("Authorization", token, prefix="Bearer ")
        elif email is not None:
            self.session = SessionAuth(integration, email=email.reveal(), password=password)
            self.auth = self.session
        else:
            assert username is not None
            assert password is not None
            self.session = SessionAuth(integration, email=username.reveal(), password=password)
            self.auth = BasicAuth(username.reveal(), password)
