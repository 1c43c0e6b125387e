"""Keys of a token issuer (RFC 7517), by address or file. The one module of the runtime that speaks HTTP."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import jwt
import msgspec

from runtime.clock import Clock

FRESH_SECONDS = 600.0
"""How long keys are used without asking again."""
PAUSE_SECONDS = 30.0
"""Shortest time between two questions: made-up key ids must not become a flood at the issuer."""
STALE_SECONDS = 3_600.0
"""How long known keys are still used while the issuer does not answer."""
_TIMEOUT_SECONDS = 5.0
_MAX_BYTES = 1_048_576
_FAMILIES = {"RS": "RSA", "PS": "RSA", "ES": "EC"}

Fetch = Callable[[], Awaitable[bytes]]
Transport = httpx.AsyncBaseTransport


class NoKeys(Exception):
    """The issuer's keys cannot be had now."""


class _Jwk(msgspec.Struct):
    """What decides whether a key is the right one."""

    kty: str = ""
    kid: str | None = None
    use: str | None = None
    alg: str | None = None


class _Set(msgspec.Struct):
    keys: list[dict[str, Any]]


class Jwks:
    """Caches what `fetch` brings. `aclose` ends what the fetching needs."""

    def __init__(
        self, fetch: Fetch, *, clock: Clock, where: str, aclose: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self._fetch = fetch
        self._where = where
        self._clock = clock
        self._aclose = aclose
        self._keys: list[tuple[_Jwk, Any]] = []
        self._fetched_at: float | None = None
        self._asked_at: float | None = None
        self._one_at_a_time = asyncio.Lock()

    async def key(self, kid: str | None, algorithm: str) -> Any | None:
        """The key for a token's header; null when the issuer has none. Raises `NoKeys` when it cannot be asked."""
        if self._age() >= FRESH_SECONDS:
            await self._refresh(FRESH_SECONDS)
        found = self._find(kid, algorithm)
        if found is None:
            await self._refresh(PAUSE_SECONDS)  # the issuer may have a new key
            found = self._find(kid, algorithm)
        return found

    async def check(self) -> str:
        """How many usable keys there are, and where. Raises `NoKeys`."""
        await self._refresh(FRESH_SECONDS)
        if not self._keys:
            raise NoKeys(f"{self._where} holds no key that can be used")
        return f"by one of {len(self._keys)} keys at {self._where}"

    async def aclose(self) -> None:
        if self._aclose is not None:
            await self._aclose()

    def _age(self) -> float:
        return float("inf") if self._fetched_at is None else self._clock.monotonic() - self._fetched_at

    async def _refresh(self, older_than: float) -> None:
        """Fetches keys that are so old, unless somebody has just asked."""
        async with self._one_at_a_time:
            now = self._clock.monotonic()
            paused = self._asked_at is None or now - self._asked_at >= PAUSE_SECONDS
            if self._age() >= older_than and paused:
                self._asked_at = now
                try:
                    self._keys = _parsed(await self._fetch())
                    self._fetched_at = now
                except (httpx.HTTPError, OSError, msgspec.MsgspecError) as error:
                    if self._age() >= STALE_SECONDS:
                        raise NoKeys(f"the issuer's keys cannot be had: {type(error).__name__}") from error
            if self._age() >= STALE_SECONDS:
                raise NoKeys("the issuer's keys could not be had a moment ago")

    def _find(self, kid: str | None, algorithm: str) -> Any | None:
        family = _FAMILIES.get(algorithm[:2])
        fitting = [
            key
            for jwk, key in self._keys
            if jwk.kty == family
            and jwk.use in (None, "sig")
            and jwk.alg in (None, algorithm)
            and (kid is None or jwk.kid == kid)
        ]
        # a token that names no key is fine only where there is no choice
        return fitting[0] if len(fitting) == 1 or (fitting and kid is not None) else None


def from_url(url: str, *, clock: Clock, transport: Transport | None = None) -> Jwks:
    """Keys behind an address. Redirects are not followed: the address is what was configured."""
    client: httpx.AsyncClient | None = None

    async def fetch() -> bytes:
        nonlocal client
        if client is None:
            client = httpx.AsyncClient(transport=transport, timeout=_TIMEOUT_SECONDS, follow_redirects=False)
        body = b""
        async with client.stream("GET", url, headers={"accept": "application/json"}) as response:
            if response.status_code != 200:
                raise httpx.RemoteProtocolError(f"the issuer answered {response.status_code}")
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > _MAX_BYTES:
                    raise httpx.RemoteProtocolError("the issuer's keys are too large")
        return body

    async def aclose() -> None:
        if client is not None:
            await client.aclose()

    return Jwks(fetch, clock=clock, where=url, aclose=aclose)


def from_file(path: Path, *, clock: Clock) -> Jwks:
    """Keys in a file, read again like those behind an address."""
    return Jwks(lambda: asyncio.to_thread(path.read_bytes), clock=clock, where=str(path))


def _parsed(body: bytes) -> list[tuple[_Jwk, Any]]:
    """The public keys of the set; what is of a type that we cannot use is left out (RFC 7517, 5)."""
    found = []
    for each in msgspec.json.decode(body, type=_Set).keys:
        try:
            found.append((msgspec.convert(each, _Jwk), jwt.PyJWK(each).key))
        except (jwt.PyJWTError, msgspec.ValidationError):
            continue
    return found
