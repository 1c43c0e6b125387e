"""The one way out to a vendor over HTTP: waits for the rate, signs, sends, retries, explains, decodes.

httpx gives the types (`Request`, `Response`, `Auth`); the wire is httpx-aiohttp, called directly: no redirects,
no cookie jar unless the connector asks for one. Measured: about half the CPU of httpx's own client.
"""

import asyncio
import hashlib
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Generic, NoReturn, TypeVar
from urllib.parse import quote

import aiohttp
import httpx
import msgspec

from connectors.kit import decode, redaction
from connectors.kit.attempts import ATTEMPTS, LONGEST_PAUSE, attempts
from connectors.kit.auth import RenewingAuth
from connectors.kit.errors import (
    BadPayload,
    BadRequest,
    Busy,
    NotFound,
    TimedOut,
    VendorDown,
    VendorError,
)
from connectors.kit.integration import Integration, Origin
from connectors.kit.outcomes import (
    CANCELLED,
    OK,
    Explain,
    Outcome,
    OutcomeKind,
    by_status,
    label_of,
    looks_like_html,
    raise_for,
    request_id,
    retry_after,
)
from connectors.kit.pace import current_pace
from connectors.kit.resilience import Breaker, LastGood, RateLimit
from connectors.kit.services import Services, current_reading
from connectors.kit.transport import (
    Broken,
    TooLong,
    UnknownCoding,
    failure,
    fit_to_chain,
    read_body,
    real_transport,
    tls_context,
)

__all__ = [
    "ATTEMPTS",
    "LONGEST_PAUSE",
    "MAX_BODY",
    "OK",
    "Answer",
    "Api",
    "Explain",
    "Outcome",
    "OutcomeKind",
    "Params",
    "by_status",
    "each_or_absent",
    "looks_like_html",
    "raise_for",
    "real_transport",
    "request_id",
    "retry_after",
    "segment",
    "tls_context",
]

T = TypeVar("T")
Params = Mapping[str, Any] | Sequence[tuple[str, Any]] | str | None
"""Query: a mapping or pairs are percent-encoded by httpx; a text goes out as it is (already encoded)."""

MAX_BODY = 32 << 20
"""Bytes of an answer that are read, packed or unpacked; a longer one is refused."""
MAX_CALLS = 1_000
"""Calls of one `Api` that are under way or wait; one more is refused."""
MAX_COOKIES = 100


class Answer(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A decoded answer and when it was read. `stale`: it is the last good one of a vendor that fails now."""

    value: T
    origin: Origin


@dataclass
class _Flight:
    """A read that is under way, and how many wait for it."""

    task: asyncio.Task[tuple[bytes, datetime]]
    waiters: int = 0


class Api:
    """The calls of one integration. Made in a connector's constructor, closed with it; does nothing until
    the first call. Raises `ValueError` for a base URL that cannot be called."""

    def __init__(
        self,
        integration: Integration,
        services: Services,
        *,
        base_url: str | None = None,
        auth: httpx.Auth | None = None,
        explain: Explain | None = None,
        headers: Mapping[str, str] | None = None,
        rate: float | None = None,
        burst: int = 10,
        tls: ssl.SSLContext | None = None,
        cookies: bool = False,
    ) -> None:
        self.integration = integration
        self.services = services
        self.base_url = (base_url or integration.base_url).rstrip("/")
        self.address = redaction.url(self.base_url)
        self._home = _home(self.base_url)
        self.auth = auth
        self.explain = explain
        self.headers = dict(headers or {})
        self.breaker = Breaker(clock=services.clock)
        services.vitals.track(integration.key, self.breaker)
        self.rate = RateLimit(integration.rate_per_second or rate, burst=burst, clock=services.clock)
        self.last_good = LastGood()
        self.cookies: httpx.Cookies | None = httpx.Cookies() if cookies else None
        self._tls = tls
        self._transport = services.transport
        self._owns_transport = services.transport is None
        self._flights: dict[str, _Flight] = {}
        self._calls = 0
        self._closed = False
        if isinstance(auth, RenewingAuth):
            auth.bind(self.exchange_for_log_in, services.clock)

    # --- what connectors call

    async def get(
        self, path: str, into: type[T], *, params: Params = None, headers: Mapping[str, str] | None = None
    ) -> Answer[T]:
        """GET, decoded. Retried; identical calls in flight share one; falls back to the last good answer."""
        return await self.read(self.build("GET", path, params=params, headers=headers), into)

    async def post_to_read(
        self, path: str, into: type[T], *, json: Any, headers: Mapping[str, str] | None = None
    ) -> Answer[T]:
        """A POST that only reads (batch endpoints, JSON RPC), with all that `get` does."""
        return await self.read(self.build("POST", path, json=json, headers=headers), into)

    async def read(self, request: httpx.Request, into: type[T]) -> Answer[T]:
        """A read of any form, decoded into `into` (`bytes` gives the body as it is)."""
        key = self._key(request)
        body, origin = await self._shared(request, key)
        if into is bytes:
            return Answer(value=body, origin=origin)  # type: ignore[arg-type]
        try:
            return Answer(value=self.decoded(body, into, at=request.url.path), origin=origin)
        except BadPayload:
            self.last_good.drop(key)  # it was not good
            raise

    async def read_as(self, request: httpx.Request, read: Callable[[bytes], T]) -> Answer[T]:
        """As `read`, for answers that are no JSON: `read` makes the value, or raises `BadPayload`."""
        key = self._key(request)
        body, origin = await self._shared(request, key)
        try:
            return Answer(value=read(body), origin=origin)
        except BadPayload as fault:
            self.last_good.drop(key)  # it was not good
            self._place_fault(fault, at=request.url.path)
            raise

    async def read_bytes(self, request: httpx.Request) -> tuple[bytes, Origin]:
        """The body of a read and its origin: fresh, shared with an identical call, or the last good one."""
        return await self._shared(request, self._key(request))

    async def _shared(self, request: httpx.Request, key: str) -> tuple[bytes, Origin]:
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight(asyncio.create_task(self._read(request, key)))
            flight.task.add_done_callback(partial(self._landed, key, flight))
        elif (reading := current_reading.get()) is not None:
            reading.joined += 1
        flight.waiters += 1
        try:
            body, as_of = await asyncio.shield(flight.task)
            if (pace := current_pace.get()) is not None:
                await pace.breathe()  # all who share the call get its answer in the same moment
        except asyncio.CancelledError:
            flight.waiters -= 1
            task = asyncio.current_task()
            if flight.task.cancelled() and task is not None and not task.cancelling():
                self._raise_closed()
            if flight.waiters == 0:
                self._landed(key, flight)  # who comes now must not share a call that is being given up
                flight.task.cancel()  # nobody waits any more: close the vendor's connection
            raise
        except VendorDown as error:
            good = self.last_good.get(key)
            if good is None:
                raise
            reading = current_reading.get()
            if reading is not None:
                reading.note_stale(good.as_of, error)
            return good.body, self.origin(good.as_of, stale=True)
        return body, self.origin(as_of)

    async def send(self, request: httpx.Request, *, repeatable: bool) -> httpx.Response:
        """One call whose answer is explained: raises the error that the outcome stands for.

        `repeatable` calls are retried on outages; pass false for a write without an idempotency key.
        """
        return await self._attempts(request, repeatable=repeatable)

    def build(
        self,
        method: str,
        path: str,
        *,
        params: Params = None,
        json: Any = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Request:
        """A request below the base URL. `path` is already percent-encoded (see `segment`); it may hold a query, to
        which `params` are added, or be a whole address at the same host, as the links in vendors' answers are.

        Raises `BadPayload` for an address at another host (credentials would go there), `BadRequest` for one that
        cannot be written.
        """
        url = path if path.startswith(("http://", "https://")) else self.base_url + path
        pairs: Any = params
        query = params if isinstance(params, str) else str(httpx.QueryParams(pairs)) if params else ""
        if query:
            url += ("&" if "?" in url else "?") + query
        sent = {**self.headers, **(headers or {})}
        if json is not None:
            content = msgspec.json.encode(json)
            sent.setdefault("Content-Type", "application/json")
        sent.setdefault("Accept", "application/json")
        sent.setdefault("User-Agent", "crossdock")
        sent.setdefault("Accept-Encoding", "gzip, deflate")
        try:
            request = httpx.Request(method, url, content=content, headers=sent)
        except (httpx.InvalidURL, UnicodeEncodeError):
            raise BadRequest(
                f"{self.integration.key}: the address or a header of a call cannot be written; it is too long or "
                "holds characters that no HTTP request can",
                integration=self.integration.key,
            ) from None
        if url is path and self._home is not None and _place(request.url) != self._home:
            raise BadPayload(
                f"{self.integration.key}: the vendor gave a link to another host than its own; it is not followed",
                path="$",
                integration=self.integration.key,
            )
        return request

    def origin(self, as_of: datetime | None = None, *, stale: bool = False) -> Origin:
        """The origin of records read at `as_of` (default: now)."""
        return Origin(
            integration=self.integration.key,
            system=self.integration.system,
            as_of=as_of or self.services.clock.now(),
            stale=stale,
        )

    def decoded(self, body: bytes, into: type[T], *, at: str) -> T:
        """`decode.json` with the integration and the place named in the error."""
        try:
            return decode.json(body, into)
        except BadPayload as fault:
            self._place_fault(fault, at=at)
            raise

    def _place_fault(self, fault: BadPayload, *, at: str) -> None:
        fault.integration = self.integration.key
        fault.message = f"{self.integration.key}: {at}: {fault.message}"
        fault.args = (fault.message,)

    async def aclose(self) -> None:
        """Cancels what is in flight and closes the connections; later calls are refused."""
        self._closed = True
        flights = [flight.task for flight in self._flights.values()]
        for task in flights:
            task.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
        if isinstance(self.auth, RenewingAuth):
            await self.auth.aclose()
        if self._owns_transport and self._transport is not None:
            await self._transport.aclose()
            self._transport = None

    # --- inside

    def _key(self, request: httpx.Request) -> str:
        """Equal for calls that mean the same. Headers count: a language, a tenant, somebody's own credential."""
        said = hashlib.blake2b(f"{request.method} {request.url}\0".encode(), digest_size=16)
        for name, value in request.headers.raw:
            said.update(name.lower() + b":" + value + b"\0")
        said.update(request.content)
        return said.hexdigest()

    def _landed(self, key: str, flight: _Flight, _task: object = None) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        if flight.task.done() and not flight.task.cancelled():
            flight.task.exception()  # its waiters may all be gone

    async def _read(self, request: httpx.Request, key: str) -> tuple[bytes, datetime]:
        try:
            response = await self._attempts(request, repeatable=True)
        except VendorDown:
            raise
        except VendorError:
            self.last_good.drop(key)  # the vendor says that it is gone, or not for us: the old answer is no longer true
            raise
        as_of = self.services.clock.now()
        self.last_good.put(key, response.content, as_of)
        return response.content, as_of

    def _raise_closed(self) -> NoReturn:
        raise VendorDown(f"{self.integration.key}: the integration is closed", integration=self.integration.key)

    async def _attempts(self, request: httpx.Request, *, repeatable: bool) -> httpx.Response:
        if self._calls >= MAX_CALLS:
            raise Busy(
                f"{self.integration.key}: {self._calls} calls are under way already; this one was not sent",
                integration=self.integration.key,
                retry_after=1.0,
            )
        self._calls += 1
        try:
            return await attempts(self, lambda deadline: self._once(request, deadline), repeatable=repeatable)
        finally:
            self._calls -= 1

    async def _once(self, request: httpx.Request, deadline: float) -> httpx.Response:
        clock = self.services.clock
        started = clock.monotonic()
        label: str | None = None
        try:
            try:
                async with asyncio.timeout(max(0.0, deadline - started)):
                    response = await self._signed(request)
            except TimeoutError:
                raise self._late(request) from None
            outcome = (self.explain(response) if self.explain else None) or by_status(response, now=clock.now())
            label = outcome.label
            raise_for(outcome, request, response, self.integration.key)
            return response
        except VendorError as error:
            label = label or label_of(error)
            error.integration = error.integration or self.integration.key
            raise
        finally:
            self.services.metrics.vendor_call(self.integration.key, label or CANCELLED, clock.monotonic() - started)

    async def _signed(self, request: httpx.Request) -> httpx.Response:
        if self.auth is None:
            return await self.exchange(request)
        flow: AsyncGenerator[httpx.Request, httpx.Response] = self.auth.async_auth_flow(request)
        try:
            signed = await anext(flow)
            while True:
                response = await self.exchange(signed)
                try:
                    signed = await flow.asend(response)
                except StopAsyncIteration:
                    return response
                if (reading := current_reading.get()) is not None:
                    reading.retries += 1
        finally:
            await flow.aclose()

    async def exchange_for_log_in(self, request: httpx.Request) -> httpx.Response:
        """An exchange that is not the call itself, but what it needs to be signed."""
        if (reading := current_reading.get()) is not None:
            reading.logins += 1
        return await self.exchange(request)

    async def exchange(self, request: httpx.Request) -> httpx.Response:
        """One request on the wire, as it is; the whole body read, within the deadline. Raises `VendorDown` when there
        is no whole answer, `BadPayload` when it is too long."""
        if self._closed:
            self._raise_closed()
        if self._transport is None:
            self._transport = real_transport(self._tls)
        reading = current_reading.get()
        if reading is not None:
            reading.calls += 1
        request.headers.setdefault("User-Agent", "crossdock")
        request.headers.setdefault("Accept-Encoding", "gzip, deflate")
        if self.cookies is not None:
            request.headers.pop("cookie", None)
            self.cookies.set_cookie_header(request)
        limit = self.integration.deadline_seconds
        request.extensions["timeout"] = {"connect": limit, "read": limit, "write": limit, "pool": limit}
        raw: httpx.Response | None = None
        try:
            async with asyncio.timeout(limit):
                raw = await self._transport.handle_async_request(request)
                raw.request = request
                try:
                    body = await read_body(raw, MAX_BODY)
                finally:
                    await raw.aclose()
        except TooLong:
            self._raise_unreadable(request, raw, f"is longer than {MAX_BODY >> 20} MiB")
        except UnknownCoding as coding:
            self._raise_unreadable(request, raw, f"is packed as {str(coding)!r}, which was not asked for")
        except Broken as fault:
            raise self._down(request, raw, str(fault)) from None
        except TimeoutError:
            raise self._late(request) from None
        except (httpx.HTTPError, OSError, aiohttp.ClientError) as error:
            reason = failure(error)
            raise (self._late(request) if reason is None else self._down(request, raw, reason)) from fit_to_chain(error)
        told = [each for each in raw.headers.raw if each[0].lower() not in _OF_THE_WIRE]
        response = httpx.Response(raw.status_code, headers=told, content=body, request=request)
        if self.cookies is not None:
            self.cookies.extract_cookies(response)
            if len(self.cookies.jar) > MAX_COOKIES:
                self.cookies.clear()  # no vendor means that many; a new session is cheaper than endless memory
        return response

    def _late(self, request: httpx.Request) -> TimedOut:
        return TimedOut(
            f"{self.integration.key}: no answer to {_call(request)} within {self.integration.deadline_seconds:g} s",
            integration=self.integration.key,
        )

    def _down(self, request: httpx.Request, raw: httpx.Response | None, reason: str) -> VendorDown:
        return VendorDown(
            f"{self.integration.key}: {_call(request)} failed: {reason}",
            integration=self.integration.key,
            status=None if raw is None else raw.status_code,
            request_id=None if raw is None else request_id(raw),
        )

    def _raise_unreadable(self, request: httpx.Request, raw: httpx.Response | None, fault: str) -> NoReturn:
        raise BadPayload(
            f"{self.integration.key}: the answer to {_call(request)} {fault}",
            path="$",
            integration=self.integration.key,
            status=None if raw is None else raw.status_code,
            request_id=None if raw is None else request_id(raw),
        ) from None


_OF_THE_WIRE = frozenset({b"content-length", b"content-encoding", b"transfer-encoding"})
"""Headers of an answer that are no longer true of its body once it is read and unpacked."""


def _call(request: httpx.Request) -> str:
    return f"{request.method} {redaction.url(str(request.url))}"


def _place(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _home(base_url: str) -> tuple[str, str, int | None] | None:
    """Where the vendor is; null when there is no base URL. Raises `ValueError`."""
    if not base_url:
        return None
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL:
        raise ValueError(
            "base_url cannot be read as an address; write https://host or https://host:port/path"
        ) from None
    if url.userinfo:
        raise ValueError("base_url must hold no user and password; give them as credentials")
    return _place(url)


def segment(text: str) -> str:
    """`text` as one path segment: everything but letters, digits and `-._~` percent-encoded."""
    return quote(text, safe="")


async def each_or_absent(calls: Sequence[Any]) -> list[Any]:
    """Runs single reads side by side; `NotFound` becomes null, the first other error is raised."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, NotFound):
            raise result
    return [None if isinstance(result, NotFound) else result for result in results]
