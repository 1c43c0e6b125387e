"""Signing in at a SAP gateway: Basic with its session cookies, OAuth2, and the CSRF token of writes."""

import asyncio
import base64
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from connectors.kit.auth import OAuth2ClientCredentials, RenewingAuth, Send
from connectors.kit.errors import AuthFailed, PermissionDenied
from connectors.kit.http import Api, OutcomeKind, by_status, looks_like_html, raise_for
from connectors.kit.integration import Secret
from connectors.kit.odata.answers import CSRF_REQUIRED

if TYPE_CHECKING:
    import httpx

Build = Callable[..., "httpx.Request"]
"""`Api.build`."""


def logged_out(response: "httpx.Response") -> bool:
    """401, or the logon page where data should be."""
    return response.status_code == 401 or (response.status_code < 400 and looks_like_html(response))


class BasicSession(RenewingAuth):
    """User and password with each call, and one session for all of them.

    Logging in is one call of `root`: without it each of the calls that start side by side would open a session
    of its own. `reset` forgets the old session's cookies.
    """

    def __init__(
        self,
        user: str,
        password: Secret,
        *,
        build: Build,
        root: str,
        reset: Callable[[], None],
        integration: str,
        params: str | None = None,
    ) -> None:
        super().__init__()
        self._user, self._password = user, password
        self._build, self._root, self._reset = build, root, reset
        self._integration, self._params = integration, params

    def sign(self, request: "httpx.Request", credential: str) -> None:  # noqa: ARG002 - the session is in the cookies
        pair = f"{self._user}:{self._password.reveal()}".encode()
        request.headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()

    def expired(self, response: "httpx.Response") -> bool:
        return logged_out(response)

    async def log_in(self, send: Send) -> str:
        self._reset()
        request = self._build("GET", self._root, params=self._params)
        self.sign(request, "")
        response = await send(request)
        if logged_out(response):
            raise AuthFailed("the user and password were refused", status=response.status_code)
        outcome = by_status(response)
        if outcome.kind in (OutcomeKind.DOWN, OutcomeKind.THROTTLED):
            raise_for(outcome, request, response, self._integration)
        return str(self.logins)  # a service that the user may not use says so when it is read


class BearerSession(OAuth2ClientCredentials):
    """OAuth2 client credentials; the session cookies of the old token go with it."""

    def __init__(self, token_url: str, *, reset: Callable[[], None], **facts: Any) -> None:
        super().__init__(token_url, **facts)
        self._reset = reset

    def expired(self, response: "httpx.Response") -> bool:
        return logged_out(response)

    async def log_in(self, send: Send) -> str:
        self._reset()
        return await super().log_in(send)


class Csrf:
    """The token that every POST, PUT, PATCH and DELETE needs, `$batch` included.

    One fetch at a time; valid as long as the session, so `forget` it with the session.
    """

    def __init__(self, api: Api, root: str) -> None:
        self._api, self._root = api, root if root.endswith("/") else root + "/"
        self._token: str | None = None
        self._lock = asyncio.Lock()
        self.fetches = 0

    def forget(self) -> None:
        self._token = None

    async def send(self, request: "httpx.Request", *, repeatable: bool = False) -> "httpx.Response":
        """The call with its token; a token that the server no longer knows is fetched anew, once."""
        token = await self._fetched(None)
        request.headers["X-CSRF-Token"] = token
        try:
            return await self._api.send(request, repeatable=repeatable)
        except PermissionDenied as error:
            if error.vendor_code != CSRF_REQUIRED:
                raise
        request.headers["X-CSRF-Token"] = await self._fetched(token)
        return await self._api.send(request, repeatable=repeatable)

    async def _fetched(self, refused: str | None) -> str:
        async with self._lock:
            if self._token is None or self._token == refused:
                self.fetches += 1
                # GET and the final slash matter: HEAD and the bare root are refused by some systems
                request = self._api.build("GET", self._root, headers={"X-CSRF-Token": "Fetch"})
                response = await self._api.send(request, repeatable=True)
                token: str = response.headers.get("x-csrf-token", "")
                if not token or token.lower() == "required":
                    raise PermissionDenied(
                        f"{self._api.integration.key}: {self._root} gave no CSRF token",
                        integration=self._api.integration.key,
                        status=response.status_code,
                    )
                self._token = token
            return self._token
