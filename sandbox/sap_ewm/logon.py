"""Who may come in: Basic, OAuth2 tokens, API key; sessions in cookies, and a CSRF token per session."""

import base64
import binascii
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import parse_qs, unquote_plus

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

USER: Final = "CROSSDOCK"
PASSWORD: Final = "sandbox-ewm-password"
CLIENT_ID: Final = "sb-crossdock!b1|ewm"
CLIENT_SECRET: Final = "sandbox-ewm-client-secret"
API_KEY: Final = "sandbox-ewm-api-key"

IDLE: Final = timedelta(minutes=30)
"""A session without a call for so long is gone."""
SESSIONS: Final = 500
LOGON_PAGE: Final = "<!DOCTYPE html><html><head><title>Logon</title></head><body><form>Logon</form></body></html>"


@dataclass
class Session:
    id: str
    seen: datetime
    csrf: str = field(default_factory=lambda: base64.b64encode(secrets.token_bytes(16)).decode())


class Logon:
    """`html` names the services that answer 200 with the logon page where others answer 401."""

    def __init__(
        self,
        sid: str,
        clock: Callable[[], datetime],
        *,
        token_seconds: int,
        html: frozenset[str],
        user: tuple[str, str] = (USER, PASSWORD),
        client: tuple[str, str] = (CLIENT_ID, CLIENT_SECRET),
    ) -> None:
        self._user, self._client = list(user), list(client)
        self.cookie = f"SAP_SESSIONID_{sid}_100"
        self.logins = 0
        """Tokens given and sessions opened by user and password."""
        self._clock, self._token_seconds, self._html = clock, token_seconds, html
        self._sessions: dict[str, Session] = {}
        self._tokens: dict[str, datetime] = {}

    def expire(self) -> None:
        self._sessions.clear()
        self._tokens.clear()

    async def token(self, request: Request) -> Response:
        """RFC 6749 client credentials, the client in the Basic header."""
        form = parse_qs((await request.body()).decode("ascii", "replace"))
        pair = [unquote_plus(part) for part in _basic(request)]
        if pair != self._client:
            return JSONResponse({"error": "invalid_client"}, 401, {"WWW-Authenticate": 'Basic realm="SAP"'})
        if form.get("grant_type") != ["client_credentials"]:
            return JSONResponse({"error": "unsupported_grant_type"}, 400)
        token = secrets.token_urlsafe(24)
        self.logins += 1
        self._tokens[token] = self._clock() + timedelta(seconds=self._token_seconds)
        return JSONResponse({"access_token": token, "token_type": "Bearer", "expires_in": self._token_seconds})

    def enter(self, request: Request, service: str) -> Session | Response:
        """The session of the call, or the refusal."""
        now = self._clock()
        given = request.headers.get("authorization", "")
        if given.lower().startswith("bearer "):
            until = self._tokens.get(given[7:])
            if until is None or until <= now:
                return self._refuse(service)
        known = self._sessions.get(request.cookies.get(self.cookie, ""))
        if known and now - known.seen <= IDLE:
            known.seen = now
            return known
        if given.lower().startswith("bearer "):
            return self._open(now)
        if self.cookie in request.cookies:
            return self._refuse(service)
        if _basic(request) == self._user:
            self.logins += 1
            return self._open(now)
        if request.headers.get("apikey") == API_KEY and request.method == "GET":
            return Session("", now)
        return self._refuse(service)

    def _open(self, now: datetime) -> Session:
        session = Session(secrets.token_hex(12), now)
        if len(self._sessions) >= SESSIONS:
            self._sessions.pop(next(iter(self._sessions)))
        self._sessions[session.id] = session
        return session

    def close(self, request: Request) -> None:
        """Logs off: the session of the call's cookies is gone."""
        self._sessions.pop(request.cookies.get(self.cookie, ""), None)

    @property
    def open_sessions(self) -> int:
        return len(self._sessions)

    def guard(self, request: Request, session: Session) -> Response | None:
        """The refusal of a change without a valid CSRF token."""
        if request.method in ("GET", "HEAD") or (session.id and request.headers.get("x-csrf-token") == session.csrf):
            return None
        return Response("CSRF token validation failed", 403, {"x-csrf-token": "Required"}, "text/plain")

    def leave(self, request: Request, session: Session, response: Response) -> Response:
        """The answer with the session's cookies, and the CSRF token where it was asked for."""
        if session.id and request.cookies.get(self.cookie) != session.id:
            response.set_cookie(self.cookie, session.id, path="/", httponly=True)
            response.set_cookie("sap-usercontext", "sap-client=100", path="/")
        if request.method == "GET" and request.headers.get("x-csrf-token", "").lower() == "fetch" and session.id:
            response.headers["x-csrf-token"] = session.csrf
        return response

    def _refuse(self, service: str) -> Response:
        if service in self._html:
            return HTMLResponse(LOGON_PAGE)
        return HTMLResponse(
            "<html><body>Anmeldung fehlgeschlagen</body></html>", 401, {"WWW-Authenticate": 'Basic realm="SAP"'}
        )


def _basic(request: Request) -> list[str]:
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return []
    try:
        return base64.b64decode(text, validate=True).decode().split(":", 1)
    except (binascii.Error, UnicodeDecodeError):
        return []
