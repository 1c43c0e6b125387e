"""The token endpoint: client credentials in the form body, at most 100 living tokens an hour."""

import hmac
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qs
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.world import World

CLIENT_ID: Final = "sandbox-uber-client"
CLIENT_SECRET: Final = "sandbox-uber-secret"
SCOPE: Final = "guests.trips"
TOKEN_SECONDS: Final = 2_592_000
TOKENS_PER_HOUR: Final = 100


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    issued: datetime


class Tokens:
    """Living tokens, oldest first; the 101st within an hour ends the oldest."""

    def __init__(self, world: World, seconds: int = TOKEN_SECONDS) -> None:
        self._world = world
        self._seconds = seconds
        self._living: deque[_Token] = deque()
        self.logins = 0

    def forget(self) -> None:
        self._living.clear()

    def knows(self, request: Request) -> bool:
        kind, _, text = request.headers.get("authorization", "").partition(" ")
        self._bury()
        return kind.lower() == "bearer" and any(hmac.compare_digest(one.text, text) for one in self._living)

    def _bury(self) -> None:
        born = self._world.now() - timedelta(seconds=self._seconds)
        while self._living and self._living[0].issued <= born:
            self._living.popleft()

    async def endpoint(self, request: Request) -> Response:
        if request.headers.get("content-type", "").split(";")[0].strip() != "application/x-www-form-urlencoded":
            return _refused(400, "invalid_request", "send a form")
        form = {name: given[-1] for name, given in parse_qs((await request.body()).decode("latin-1")).items()}
        if form.get("grant_type") != "client_credentials":
            return _refused(400, "unsupported_grant_type", "only client_credentials is supported")
        known = form.get("client_id") == CLIENT_ID
        if not known or not hmac.compare_digest(form.get("client_secret", "").encode(), CLIENT_SECRET.encode()):
            return _refused(401, "invalid_client", "client authentication failed")
        if SCOPE not in form.get("scope", "").split():
            return _refused(400, "invalid_scope", "scope(s) are invalid")
        self.logins += 1
        self._bury()
        now = self._world.now()
        self._living.append(_Token(f"IA.{uuid4().hex}{uuid4().hex}", now))
        recent = sum(1 for one in self._living if one.issued > now - timedelta(hours=1))
        if recent > TOKENS_PER_HOUR:
            self._living.popleft()
        told: dict[str, Any] = {
            "access_token": self._living[-1].text,
            "expires_in": self._seconds,
            "token_type": "Bearer",
            "scope": SCOPE,
        }
        return JSONResponse(told, headers={"Cache-Control": "no-store"})


def _refused(status: int, error: str, description: str) -> Response:
    return JSONResponse({"error": error, "error_description": description}, status)
