"""Ways of signing in at a vendor, each an `httpx.Auth`.

A retry goes round the whole of it, so that a request signs again; a renewal is single-flight: however many
calls find the session expired, one of them logs in.
"""

import asyncio
import base64
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from datetime import datetime, timedelta
from urllib.parse import quote_plus

import httpx
import msgspec

from connectors.kit import decode
from connectors.kit.errors import AuthFailed, BadPayload, RateLimited, VendorDown
from connectors.kit.integration import Secret
from connectors.kit.services import Clock, TokenStore

Send = Callable[[httpx.Request], Awaitable[httpx.Response]]
"""One exchange with the vendor, unsigned and unrepeated, body read; raises `VendorDown`."""


class HeaderAuth(httpx.Auth):
    """A fixed header: API keys, fixed bearer tokens."""

    def __init__(self, name: str, value: Secret, *, prefix: str = "") -> None:
        self._name, self._value, self._prefix = name, value, prefix

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers[self._name] = self._prefix + self._value.reveal()
        yield request


class BasicAuth(httpx.Auth):
    """RFC 7617, UTF-8."""

    def __init__(self, user: str, password: Secret) -> None:
        self._user, self._password = user, password

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        pair = f"{self._user}:{self._password.reveal()}".encode()
        request.headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()
        yield request


class RenewingAuth(httpx.Auth):
    """Base of all that expires. A subclass says how to log in, how to sign and how expiry looks.

    `bind` is called by `Api` before the first request. `log_in` raises `AuthFailed` when the vendor refuses
    the credentials; it is not repeated then.
    """

    requires_response_body = True

    def __init__(self) -> None:
        self._send: Send | None = None
        self._credential: str | None = None
        self._renewal: asyncio.Task[str] | None = None
        self.logins = 0

    def bind(self, send: Send) -> None:
        """Gives the way out to the vendor."""
        self._send = send

    async def log_in(self, send: Send) -> str:
        """A fresh credential. Override."""
        raise AuthFailed(f"{type(self).__name__} has no way to log in; {send!r} was not used")

    def sign(self, request: httpx.Request, credential: str) -> None:
        """Puts the credential on the request. Default: bearer token."""
        request.headers["Authorization"] = f"Bearer {credential}"

    def expired(self, response: httpx.Response) -> bool:
        """Whether the answer says that the credential is no longer valid. Default: status 401."""
        return response.status_code == 401

    async def current(self) -> str:
        """The credential to use now."""
        return self._credential if self._credential is not None else await self.renewed(None)

    async def renewed(self, refused: str | None) -> str:
        """A credential other than `refused`. One log-in at a time; everybody waits for the same."""
        if self._credential is not None and self._credential != refused:
            return self._credential
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._renew())
            self._renewal.add_done_callback(_retrieve)
        return await asyncio.shield(self._renewal)  # one caller's cancellation must not fail the others

    async def _renew(self) -> str:
        if self._send is None:
            raise AuthFailed("the authentication is not bound to a client")
        self._credential = None
        self.logins += 1
        self._credential = await self.log_in(self._send)
        return self._credential

    def forget(self) -> None:
        """The next request logs in anew."""
        self._credential = None

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        credential = await self.current()
        self.sign(request, credential)
        response = yield request
        if self.expired(response):
            self.sign(request, await self.renewed(credential))
            yield request


def _retrieve(task: asyncio.Task[str]) -> None:
    if not task.cancelled():
        task.exception()  # all waiters may be gone; the failure was theirs to see


class _Token(msgspec.Struct):
    access_token: str | None = None
    token_type: str | None = None
    expires_in: float | None = None
    error: str | None = None
    error_description: str | None = None


class OAuth2ClientCredentials(RenewingAuth):
    """RFC 6749 section 4.4. The client signs in the body (`in_body`) or by HTTP Basic.

    The token is shared through the token store under `store_key`, renewed `margin` seconds before it
    expires; without `expires_in` it is used until a 401.
    """

    def __init__(
        self,
        token_url: str,
        *,
        client_id: str,
        client_secret: Secret,
        scope: str | None = None,
        in_body: bool = False,
        margin: float = 60.0,
        tokens: TokenStore,
        store_key: str,
        clock: Clock,
    ) -> None:
        super().__init__()
        self._token_url, self._client_id, self._client_secret = token_url, client_id, client_secret
        self._scope, self._in_body, self._margin = scope, in_body, margin
        self._tokens, self._store_key, self._clock = tokens, store_key, clock
        self._expires_at: datetime | None = None
        self._refused: str | None = None

    async def current(self) -> str:
        if self._credential is not None and self._is_late(self._expires_at):
            self.forget()
        return await super().current()

    async def renewed(self, refused: str | None) -> str:
        self._refused = refused
        return await super().renewed(refused)

    def _is_late(self, expires_at: datetime | None) -> bool:
        return expires_at is not None and self._clock.now() >= expires_at - timedelta(seconds=self._margin)

    async def log_in(self, send: Send) -> str:
        shared = await self._tokens.get(self._store_key)
        if shared is not None and shared[0] != self._refused and not self._is_late(shared[1]):
            self._expires_at = shared[1]
            return shared[0]
        form = {"grant_type": "client_credentials"}
        headers = {"Accept": "application/json"}
        if self._scope:
            form["scope"] = self._scope
        if self._in_body:
            form |= {"client_id": self._client_id, "client_secret": self._client_secret.reveal()}
        else:  # RFC 6749 section 2.3.1: both are form-urlencoded before Base64
            pair = f"{quote_plus(self._client_id)}:{quote_plus(self._client_secret.reveal())}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        response = await send(httpx.Request("POST", self._token_url, data=form, headers=headers))
        _raise_for_outage(response)
        try:
            token = decode.json(response.content, _Token)
        except BadPayload:
            token = _Token()
        if token.error or response.status_code >= 400 or not token.access_token:
            reason = token.error or f"HTTP {response.status_code} without an access token"
            raise AuthFailed(
                f"the token endpoint refused the client credentials ({reason})", status=response.status_code
            )
        if token.token_type is not None and token.token_type.lower() != "bearer":
            raise AuthFailed("the token endpoint gave a token that is no bearer token")
        expires_at = None if token.expires_in is None else self._clock.now() + timedelta(seconds=token.expires_in)
        self._expires_at = expires_at
        await self._tokens.put(self._store_key, token.access_token, expires_at)
        return token.access_token


def _raise_for_outage(response: httpx.Response) -> None:
    """An outage or a limit of the token endpoint is no refusal of the credentials. Raises `VendorDown`."""
    from connectors.kit.http import request_id, retry_after  # it imports this module

    status = response.status_code
    if status == 429 or status >= 500:
        error = RateLimited if status == 429 else VendorDown
        raise error(
            f"the token endpoint answered {status}",
            status=status,
            retry_after=retry_after(response),
            request_id=request_id(response),
        )


__all__ = [
    "BasicAuth",
    "HeaderAuth",
    "OAuth2ClientCredentials",
    "RenewingAuth",
    "Send",
]
