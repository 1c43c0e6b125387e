"""Ways of signing in at a vendor, each an `httpx.Auth`.

A retry goes round the whole of it, so that a request signs again; a renewal is single-flight: however many
calls find the session expired, one of them logs in.
"""

import asyncio
import base64
import copy
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote_plus

import httpx
import msgspec

from connectors.kit import decode, redaction
from connectors.kit.errors import AuthFailed, BadPayload, RateLimited, VendorDown
from connectors.kit.integration import Secret
from connectors.kit.outcomes import request_id, retry_after
from connectors.kit.services import Clock, TokenStore

Send = Callable[[httpx.Request], Awaitable[httpx.Response]]
"""One exchange with the vendor, unsigned and unrepeated, body read; raises `VendorDown`."""
REFUSED_SECONDS: Final = 30.0
"""How long a refused log-in is not tried again: vendors lock accounts after a few."""
_LONGEST_LIFE: Final = 10 * 365 * 86_400.0


def _header_value(text: str, what: str) -> str:
    """The text, fit for a header. Raises `ValueError` for what would break out of it or cannot be sent."""
    if not (text.isascii() and text.isprintable()):
        raise ValueError(f"{what} holds a line break or another character that no HTTP header can; write it anew")
    return text


class HeaderAuth(httpx.Auth):
    """A fixed header: API keys, fixed bearer tokens. Raises `ValueError` for a value that no header can hold."""

    def __init__(self, name: str, value: Secret, *, prefix: str = "") -> None:
        _header_value(value.reveal(), f"the credential for the header {name}")
        self._name, self._value, self._prefix = name, value, prefix

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers[self._name] = self._prefix + self._value.reveal()
        yield request


class BasicAuth(httpx.Auth):
    """RFC 7617, UTF-8. Raises `ValueError` for a user with a colon, which the receiver would take for the end."""

    def __init__(self, user: str, password: Secret) -> None:
        if ":" in user:
            raise ValueError("a user name with a colon cannot be sent with HTTP Basic")
        self._user, self._password = user, password

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        pair = f"{self._user}:{self._password.reveal()}".encode()
        request.headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()
        yield request


class RenewingAuth(httpx.Auth):
    """Base of all that expires. A subclass says how to log in, how to sign and how expiry looks.

    `bind` is called by `Api` before the first request. `log_in` raises `AuthFailed` when the vendor refuses
    the credentials; it is not repeated for `REFUSED_SECONDS` then.
    """

    requires_response_body = True

    def __init__(self) -> None:
        self._send: Send | None = None
        self._credential: str | None = None
        self._renewal: asyncio.Task[str] | None = None
        self._refusal: tuple[float, AuthFailed] | None = None
        self._bound_clock: Clock | None = None
        self.logins = 0

    def bind(self, send: Send, clock: Clock | None = None) -> None:
        """Gives the way out to the vendor; without a clock, now or earlier, a refusal is not remembered."""
        self._send = send
        self._bound_clock = clock or self._bound_clock

    async def aclose(self) -> None:
        """Gives up a log-in that is under way; who waits for it is told that the vendor is not there."""
        if self._renewal is not None and not self._renewal.done():
            self._renewal.cancel()
            await asyncio.gather(self._renewal, return_exceptions=True)

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
            self._raise_if_refused()
            self._renewal = asyncio.create_task(self._renew())
            self._renewal.add_done_callback(_retrieve)
        renewal = self._renewal
        try:
            return await asyncio.shield(renewal)  # one caller's cancellation must not fail the others
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if renewal.cancelled() and task is not None and not task.cancelling():
                raise VendorDown("the integration is being closed") from None
            raise

    async def _renew(self) -> str:
        if self._send is None:
            raise AuthFailed("the authentication is not bound to a client")
        self._credential = None
        self.logins += 1
        try:
            self._credential = await self.log_in(self._send)
        except AuthFailed as error:
            if self._bound_clock is not None:
                self._refusal = (self._bound_clock.monotonic(), error)
            raise
        return self._credential

    def _raise_if_refused(self) -> None:
        if self._refusal is None or self._bound_clock is None:
            return
        at, error = self._refusal
        if self._bound_clock.monotonic() < at + REFUSED_SECONDS:
            raise copy.copy(error)  # the one that is kept must not collect tracebacks

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
    expires, or after half its life where that is later; without `expires_in` it is used until a 401.
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
        self._renew_at: datetime | None = None
        self._refused: str | None = None

    async def current(self) -> str:
        if self._credential is not None and self._is_past(self._renew_at):
            self.forget()
        return await super().current()

    async def renewed(self, refused: str | None) -> str:
        if refused is not None:  # who has none must not make a log-in under way forget which one was refused
            self._refused = refused
        return await super().renewed(refused)

    def _is_past(self, moment: datetime | None) -> bool:
        return moment is not None and self._clock.now() >= moment

    def grant(self) -> dict[str, str]:
        """What is sent to the token endpoint. Override for another grant; the client signs in as with this one."""
        return {"grant_type": "client_credentials"}

    async def log_in(self, send: Send) -> str:
        shared = await self._tokens.get(self._store_key)
        if shared is not None and shared[0] != self._refused:
            renew_at = None if shared[1] is None else shared[1] - timedelta(seconds=self._margin)
            if not self._is_past(renew_at):
                self._renew_at = renew_at
                return shared[0]
        form = self.grant()
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
        if response.status_code in (404, 405) and not token.error:
            raise AuthFailed(
                f"there is no token endpoint at {redaction.url(self._token_url)} (HTTP {response.status_code})",
                status=response.status_code,
            )
        if token.error or response.status_code >= 400 or not token.access_token:
            reason = redaction.text(token.error or f"HTTP {response.status_code} without an access token")
            raise AuthFailed(
                f"the token endpoint refused the client credentials ({reason})", status=response.status_code
            )
        if token.token_type is not None and token.token_type.lower() != "bearer":
            raise AuthFailed("the token endpoint gave a token that is no bearer token")
        try:
            _header_value(token.access_token, "the token")
        except ValueError:
            raise AuthFailed("the token endpoint gave a token that no HTTP header can hold") from None
        expires_at, self._renew_at = self._life(token.expires_in)
        await self._tokens.put(self._store_key, token.access_token, expires_at)
        return token.access_token

    def _life(self, seconds: float | None) -> tuple[datetime | None, datetime | None]:
        """When the token ends and when to renew it; nulls where the endpoint does not say."""
        if seconds is None or not seconds > 0:
            return None, None
        now, seconds = self._clock.now(), min(seconds, _LONGEST_LIFE)
        used = max(seconds - self._margin, seconds / 2)
        return now + timedelta(seconds=seconds), now + timedelta(seconds=used)


def _raise_for_outage(response: httpx.Response) -> None:
    """An outage or a limit of the token endpoint is no refusal of the credentials. Raises `VendorDown`."""
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
