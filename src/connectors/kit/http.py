"""The one way out to a vendor over HTTP: waits for the rate, signs, sends, retries, explains, decodes.

httpx gives the types (`Request`, `Response`, `Auth`); the wire is httpx-aiohttp, called directly: no redirects,
no cookie jar unless the connector asks for one. Measured: about half the CPU of httpx's own client.
"""

import asyncio
import hashlib
import random
import ssl
import warnings
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from functools import cache
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import aiohttp
import httpx
import msgspec
import yarl
from aiohttp.typedefs import StrOrURL
from httpx_aiohttp import AiohttpTransport

from connectors.kit import decode, redaction
from connectors.kit.auth import RenewingAuth
from connectors.kit.errors import (
    AuthFailed,
    BadPayload,
    BadRequest,
    CircuitOpen,
    Conflict,
    NotFound,
    PermissionDenied,
    RateLimited,
    Rejected,
    SessionExpired,
    TimedOut,
    VendorDown,
    VendorError,
)
from connectors.kit.integration import Integration, Origin
from connectors.kit.resilience import Breaker, LastGood, RateLimit
from connectors.kit.services import Services, current_reading

T = TypeVar("T")
Params = Mapping[str, Any] | Sequence[tuple[str, Any]] | str | None
"""Query: a mapping or pairs are percent-encoded by httpx; a text goes out as it is (already encoded)."""

MAX_BODY = 32 << 20
"""Bytes of an answer that are read; a longer one is refused."""
ATTEMPTS = 3
LONGEST_PAUSE = 5.0
"""Seconds; a vendor that asks for a longer pause is reported as rate limited instead of waited for."""


class OutcomeKind(Enum):
    OK = "ok"
    AUTH_EXPIRED = "auth expired"
    AUTH_FAILED = "auth failed"
    DENIED = "denied"
    ABSENT = "absent"
    CONFLICT = "conflict"
    REJECTED = "rejected"
    BAD_REQUEST = "bad request"
    THROTTLED = "throttled"
    DOWN = "down"
    NONSENSE = "nonsense"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a vendor's answer means. `message` is the vendor's own words, fit to show (no stack trace)."""

    kind: OutcomeKind
    message: str | None = None
    code: str | None = None
    """The vendor's error code, as text."""
    retry_after: float | None = None
    """Seconds."""


OK = Outcome(kind=OutcomeKind.OK)
Explain = Callable[[httpx.Response], Outcome | None]
"""What this vendor's answers mean beyond HTTP; null leaves it to `by_status`."""


def by_status(response: httpx.Response, *, now: datetime | None = None) -> Outcome:
    """What the HTTP status says, for vendors that mean it."""
    status = response.status_code
    if status < 400:
        return OK
    if status == 429:
        return Outcome(kind=OutcomeKind.THROTTLED, retry_after=retry_after(response, now=now))
    if status >= 500 or status in (408, 425):
        return Outcome(kind=OutcomeKind.DOWN, retry_after=retry_after(response, now=now))
    kinds = {
        401: OutcomeKind.AUTH_EXPIRED,
        403: OutcomeKind.DENIED,
        404: OutcomeKind.ABSENT,
        409: OutcomeKind.CONFLICT,
        410: OutcomeKind.ABSENT,
        412: OutcomeKind.CONFLICT,
        422: OutcomeKind.REJECTED,
    }
    return Outcome(kind=kinds.get(status, OutcomeKind.BAD_REQUEST))


def retry_after(response: httpx.Response, *, now: datetime | None = None) -> float | None:
    """Seconds from the `Retry-After` header, a number or a date (RFC 9110); null when there is none."""
    value = response.headers.get("retry-after", "").strip()
    if not value:
        return None
    if value.isascii() and value.replace(".", "", 1).isdigit():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return max(0.0, (at - (now or datetime.now(UTC))).total_seconds())


def request_id(response: httpx.Response) -> str | None:
    """The vendor's own id of the call, under the names that vendors use."""
    for name in (
        "x-request-id",
        "x-correlation-id",
        "x-correlationid",
        "sap-passport-transactionid",
        "x-uber-request-id",
        "x-trace-id",
        "request-id",
    ):
        value: str | None = response.headers.get(name)
        if value:
            return value[:200]
    return None


def looks_like_html(response: httpx.Response) -> bool:
    """Whether a page for people came instead of data."""
    if "html" in response.headers.get("content-type", ""):
        return True
    start = response.content[:100].lstrip().lower()
    return start.startswith((b"<!doctype html", b"<html"))


class Answer(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A decoded answer and when it was read. `stale`: it is the last good one of a vendor that fails now."""

    value: T
    origin: Origin


with warnings.catch_warnings():
    # aiohttp discourages subclasses of its session; there is no other way to keep it from quoting anew
    warnings.simplefilter("ignore", DeprecationWarning)

    class _Session(aiohttp.ClientSession):
        """Sends the URL's bytes as httpx made them: yarl would re-quote `%2C`, `%3A`, `%27`, which breaks
        signatures over the URL and OData keys."""

        def _build_url(self, str_or_url: StrOrURL) -> yarl.URL:
            return yarl.URL(str(str_or_url), encoded=True)


@cache
def tls_context() -> ssl.SSLContext:
    """One context for all integrations: loading the CA bundle costs 16 ms of CPU each time."""
    return ssl.create_default_context()


def real_transport(context: ssl.SSLContext | None = None) -> httpx.AsyncBaseTransport:
    """The transport that talks to the network. No cookie jar: one jar would serve all clients of a session."""

    def session() -> aiohttp.ClientSession:
        return _Session(
            connector=aiohttp.TCPConnector(limit=64, ssl=context or tls_context(), keepalive_timeout=30),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )

    return AiohttpTransport(client=session)


class Api:
    """The calls of one integration. Made in a connector's constructor, closed with it; does nothing until
    the first call."""

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
        self.auth = auth
        self.explain = explain
        self.headers = dict(headers or {})
        self.breaker = Breaker(clock=services.clock)
        self.rate = RateLimit(integration.rate_per_second or rate, burst=burst, clock=services.clock)
        self.last_good = LastGood()
        self.cookies: httpx.Cookies | None = httpx.Cookies() if cookies else None
        self._tls = tls
        self._transport = services.transport
        self._owns_transport = services.transport is None
        self._flights: dict[str, asyncio.Task[tuple[bytes, datetime]]] = {}
        if isinstance(auth, RenewingAuth):
            auth.bind(self.exchange)

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
        body, origin = await self.read_bytes(request)
        if into is bytes:
            return Answer(value=body, origin=origin)  # type: ignore[arg-type]
        return Answer(value=self.decoded(body, into, at=request.url.path), origin=origin)

    async def read_bytes(self, request: httpx.Request) -> tuple[bytes, Origin]:
        """The body of a read and its origin: fresh, shared with an identical call, or the last good one."""
        key = self._key(request)
        flight = self._flights.get(key)
        if flight is None or flight.done():
            flight = asyncio.create_task(self._read(request, key))
            self._flights[key] = flight
            flight.add_done_callback(lambda task: self._landed(key, task))
        waiters = getattr(flight, "waiters", 0) + 1
        flight.waiters = waiters  # type: ignore[attr-defined]
        try:
            body, as_of = await asyncio.shield(flight)
        except asyncio.CancelledError:
            flight.waiters -= 1  # type: ignore[attr-defined]
            if flight.waiters == 0:  # type: ignore[attr-defined]
                flight.cancel()  # nobody waits any more: close the vendor's connection
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
        """A request below the base URL. `path` is already percent-encoded (see `segment`)."""
        url = path if path.startswith(("http://", "https://")) else self.base_url + path
        if isinstance(params, str):
            url, params = (f"{url}?{params}" if params else url), None
        sent = {**self.headers, **(headers or {})}
        if json is not None:
            content = msgspec.json.encode(json)
            sent.setdefault("Content-Type", "application/json")
        sent.setdefault("Accept", "application/json")
        sent.setdefault("User-Agent", "crossdock")
        sent.setdefault("Accept-Encoding", "gzip, deflate")
        pairs: Any = params
        return httpx.Request(method, url, params=pairs, content=content, headers=sent)

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
            fault.integration = self.integration.key
            fault.message = f"{self.integration.key}: {at}: {fault.message}"
            fault.args = (fault.message,)
            raise

    async def aclose(self) -> None:
        """Cancels what is in flight and closes the connections."""
        flights = [task for task in self._flights.values() if not task.done()]
        for task in flights:
            task.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
        if self._owns_transport and self._transport is not None:
            await self._transport.aclose()
            self._transport = None

    # --- inside

    def _key(self, request: httpx.Request) -> str:
        text = f"{request.method} {request.url} {request.headers.get('accept', '')} ".encode()
        return hashlib.blake2b(text + request.content, digest_size=16).hexdigest()

    def _landed(self, key: str, task: asyncio.Task[tuple[bytes, datetime]]) -> None:
        if self._flights.get(key) is task:
            del self._flights[key]
        if not task.cancelled():
            task.exception()  # its waiters may all be gone

    async def _read(self, request: httpx.Request, key: str) -> tuple[bytes, datetime]:
        response = await self._attempts(request, repeatable=True)
        as_of = self.services.clock.now()
        self.last_good.put(key, response.content, as_of)
        return response.content, as_of

    async def _attempts(self, request: httpx.Request, *, repeatable: bool) -> httpx.Response:
        clock = self.services.clock
        deadline = clock.monotonic() + self.integration.deadline_seconds
        attempt = 0
        while True:
            attempt += 1
            if not self.breaker.admit():
                raise CircuitOpen(
                    f"{self.integration.key} failed {self.breaker.failures} times in a row and is left alone "
                    f"for {self.breaker.seconds_left():.0f} s",
                    integration=self.integration.key,
                    retry_after=self.breaker.seconds_left(),
                )
            try:
                response = await self._once(request, deadline)
            except VendorDown as error:
                throttled = isinstance(error, RateLimited)
                if throttled:
                    self.breaker.abandon()  # it answers: no outage
                    self.rate.hold(min(error.retry_after or 1.0, 60.0))
                elif self.breaker.failed():
                    self.services.log.warning(
                        "vendor.unavailable",
                        integration=self.integration.key,
                        status=error.status,
                        request_id=error.request_id,
                        error=error.message,
                    )
                self.services.metrics.breaker(self.integration.key, self.breaker.state.value)
                pause = error.retry_after
                if pause is None:
                    pause = min(2.0, 0.2 * 2 ** (attempt - 1)) * (0.75 + random.random() / 2)
                left = deadline - clock.monotonic()
                if not repeatable or attempt >= ATTEMPTS or pause > min(left, LONGEST_PAUSE):
                    raise
                reading = current_reading.get()
                if reading is not None:
                    reading.retries += 1
                await clock.sleep(pause)
            except VendorError:
                self._well_again()  # the vendor is there; it said no
                raise
            except BaseException:  # cancelled, or a bug: the half-open breaker must let another try
                self.breaker.abandon()
                raise
            else:
                self._well_again()
                return response

    def _well_again(self) -> None:
        if self.breaker.succeeded():
            self.services.log.info("vendor.available", integration=self.integration.key)
            self.services.metrics.breaker(self.integration.key, self.breaker.state.value)

    async def _once(self, request: httpx.Request, deadline: float) -> httpx.Response:
        clock = self.services.clock
        started = clock.monotonic()
        outcome_name = "cancelled"
        try:
            try:
                async with asyncio.timeout(max(0.0, deadline - started)):
                    await self.rate.wait()
                    response = await self._signed(request)
            except TimeoutError:
                raise TimedOut(
                    f"{self.integration.key}: no answer to {request.method} {redaction.url(str(request.url))} "
                    f"within {self.integration.deadline_seconds:g} s",
                    integration=self.integration.key,
                ) from None
            outcome = (self.explain(response) if self.explain else None) or by_status(response)
            outcome_name = outcome.kind.value
            raise_for(outcome, request, response, self.integration.key)
            return response
        except VendorError as error:
            outcome_name = outcome_name if outcome_name != "cancelled" else error.code
            error.integration = error.integration or self.integration.key
            raise
        finally:
            self.services.metrics.vendor_call(self.integration.key, outcome_name, clock.monotonic() - started)

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
        finally:
            await flow.aclose()

    async def exchange(self, request: httpx.Request) -> httpx.Response:
        """One request on the wire, as it is; the whole body read. Raises `VendorDown` when there is no
        whole answer, `BadPayload` when it is too long."""
        if self._transport is None:
            self._transport = real_transport(self._tls)
        reading = current_reading.get()
        if reading is not None:
            reading.calls += 1
        if self.cookies is not None:
            request.headers.pop("cookie", None)
            self.cookies.set_cookie_header(request)
        limit = self.integration.deadline_seconds
        request.extensions["timeout"] = {"connect": limit, "read": limit, "write": limit, "pool": limit}
        where = f"{request.method} {redaction.url(str(request.url))}"
        try:
            raw = await self._transport.handle_async_request(request)
            raw.request = request
            try:
                chunks, size = [], 0
                async for chunk in raw.aiter_raw():
                    size += len(chunk)
                    if size > MAX_BODY:
                        raise BadPayload(
                            f"{self.integration.key}: the answer to {where} is longer than {MAX_BODY >> 20} MiB",
                            path="$",
                            integration=self.integration.key,
                        )
                    chunks.append(chunk)
            finally:
                await raw.aclose()
            body = b"".join(chunks)
            # A second response decodes the content coding, and checks it
            response = httpx.Response(
                raw.status_code, headers=_without_length(raw.headers), content=body, request=request
            )
        except httpx.TimeoutException as error:
            if (broken := _broken(error)) is not None:
                raise VendorDown(
                    f"{self.integration.key}: {where} failed: {broken}", integration=self.integration.key
                ) from error
            raise TimedOut(
                f"{self.integration.key}: no answer to {where} in time", integration=self.integration.key
            ) from error
        except (httpx.HTTPError, OSError, aiohttp.ClientError) as error:
            raise VendorDown(
                f"{self.integration.key}: {where} failed: {_reason(error)}", integration=self.integration.key
            ) from error
        expected = raw.headers.get("content-length", "")
        if expected.isdigit() and request.method != "HEAD" and int(expected) != len(body):
            raise VendorDown(
                f"{self.integration.key}: the answer to {where} broke off after {len(body)} of {expected} bytes",
                integration=self.integration.key,
                status=raw.status_code,
                request_id=request_id(response),
            )
        if self.cookies is not None:
            self.cookies.extract_cookies(response)
        return response


def _without_length(headers: httpx.Headers) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers.multi_items() if name.lower() != "content-length"]


def _broken(error: httpx.TimeoutException) -> str | None:
    """httpx-aiohttp calls every broken connection a timeout: what it really was; null for a timeout."""
    cause = error.__cause__
    if not isinstance(cause, aiohttp.ClientConnectionError) or isinstance(cause, TimeoutError):
        return None
    return "cannot connect" if isinstance(cause, aiohttp.ClientConnectorError) else "the connection broke off"


def _reason(error: Exception) -> str:
    """The class of the fault in words; its text may hold addresses and credentials."""
    names: dict[type[Exception], str] = {
        httpx.ConnectError: "cannot connect",
        httpx.RemoteProtocolError: "the connection broke off",
        httpx.ReadError: "the connection broke off",
        httpx.DecodingError: "the compressed answer is damaged",
    }
    return names.get(type(error), type(error).__name__)


def raise_for(outcome: Outcome, request: httpx.Request, response: httpx.Response, integration: str) -> None:
    """Raises the error that the outcome stands for; returns for OK."""
    if outcome.kind is OutcomeKind.OK:
        return
    status, call_id = response.status_code, request_id(response)
    said = f": {redaction.text(outcome.message)}" if outcome.message else ""
    if outcome.code:
        said = f" ({outcome.code}){said}"
    text = (
        f"{integration}: {request.method} {redaction.url(str(request.url))} answered {status}, "
        f"{outcome.kind.value}{said}"
    )
    facts: dict[str, Any] = {
        "integration": integration,
        "status": status,
        "request_id": call_id,
        "vendor_code": outcome.code,
    }
    match outcome.kind:
        case OutcomeKind.THROTTLED:
            raise RateLimited(text, retry_after=outcome.retry_after, **facts)
        case OutcomeKind.DOWN:
            raise VendorDown(text, retry_after=outcome.retry_after, **facts)
        case OutcomeKind.NONSENSE:
            raise BadPayload(text, path="$", **facts)
        case kind:
            raise _ERRORS[kind](text, **facts)


_ERRORS: dict[OutcomeKind, type[VendorError]] = {
    OutcomeKind.AUTH_EXPIRED: SessionExpired,
    OutcomeKind.AUTH_FAILED: AuthFailed,
    OutcomeKind.DENIED: PermissionDenied,
    OutcomeKind.ABSENT: NotFound,
    OutcomeKind.CONFLICT: Conflict,
    OutcomeKind.REJECTED: Rejected,
    OutcomeKind.BAD_REQUEST: BadRequest,
}


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
