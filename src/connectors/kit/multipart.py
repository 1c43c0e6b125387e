"""An HTTP answer that does not end: `multipart` documents one after the other, read as they come.

Everything is bounded: the head of a part, a part, and the silence between two pieces.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from email.message import Message
from typing import Final

import aiohttp
import httpx
import msgspec

from connectors.kit import redaction
from connectors.kit.errors import BadPayload, TimedOut, VendorDown, VendorError
from connectors.kit.http import MAX_BODY, Api, Params
from connectors.kit.outcomes import CANCELLED, OK, by_status, label_of, raise_for
from connectors.kit.services import current_reading
from connectors.kit.transport import failure, fit_to_chain, real_transport

LARGEST_PART: Final = 8 << 20
_HEAD_MOST: Final = 16 << 10
_BOUNDARY_MOST: Final = 200


class Part(msgspec.Struct, frozen=True):
    """One document. Header names are lower case. `whole`: the answer was no multipart but this document alone."""

    headers: dict[str, str]
    body: bytes
    whole: bool = False


async def parts(
    api: Api,
    path: str,
    *,
    params: Params = None,
    headers: Mapping[str, str] | None = None,
    silence_seconds: float,
    largest: int = LARGEST_PART,
) -> AsyncIterator[Part]:
    """The parts of one answer, until it ends. An answer that is no multipart is one part, `whole`.

    Raises what the vendor's error answers mean (as `Api.get` does), `VendorDown` when the connection breaks,
    `TimedOut` after `silence_seconds` without a byte, `BadPayload` for a part over `largest` bytes or without form.
    """
    request = api.build("GET", path, params=params, headers={**(headers or {}), "Accept-Encoding": "identity"})
    where = f"{request.method} {redaction.url(str(request.url))}"
    key = api.integration.key
    if api.auth is not None:
        request = await anext(api.auth.async_auth_flow(request))
    limit = api.integration.deadline_seconds
    # the waits for the head and for each piece have limits here; a second one beside them would win now and then
    request.extensions["timeout"] = {"connect": limit, "read": None, "write": limit, "pool": limit}
    owned = None if api.services.transport is not None else real_transport(api._tls)
    transport = api.services.transport or owned
    assert transport is not None
    reading = current_reading.get()
    if reading is not None:
        reading.calls += 1
    started, outcome = api.services.clock.monotonic(), CANCELLED
    try:
        try:
            async with asyncio.timeout(limit):
                raw = await transport.handle_async_request(request)
        except TimeoutError:
            raise TimedOut(f"{key}: no answer to {where} in time", integration=key) from None
        raw.request = request
        try:
            boundary = _boundary(raw.headers.get("content-type", ""))
            pieces = _pieces(raw, silence_seconds, where, key)
            if raw.status_code >= 300 or boundary is None:
                body = await _whole(pieces, where, key)
                response = httpx.Response(raw.status_code, headers=raw.headers, content=body, request=request)
                meaning = (api.explain(response) if api.explain else None) or by_status(response)
                outcome = meaning.label
                raise_for(meaning, request, response, key)
                yield Part(dict(raw.headers), body, whole=True)
                return
            outcome = OK.label
            async for part in _split(pieces, boundary, largest, where, key):
                yield part
        finally:
            await raw.aclose()
    except (httpx.HTTPError, OSError, aiohttp.ClientError) as error:
        what = failure(error)
        lost = VendorDown if what is not None else TimedOut
        fault = lost(f"{key}: {where}: {what or 'no answer in time'}", integration=key)
        outcome = label_of(fault)
        raise fault from fit_to_chain(error)
    except VendorError as error:
        outcome = outcome if outcome != CANCELLED else label_of(error)
        raise
    finally:
        api.services.metrics.vendor_call(key, outcome, api.services.clock.monotonic() - started)
        if owned is not None:
            await owned.aclose()


def _boundary(content_type: str) -> bytes | None:
    """The boundary of a multipart content type, quoted or not; null for anything else."""
    message = Message()
    message["content-type"] = content_type
    boundary = message.get_param("boundary") if message.get_content_maintype() == "multipart" else None
    if not isinstance(boundary, str) or not boundary:
        return None
    return boundary[:_BOUNDARY_MOST].encode("latin-1", "replace")


async def _pieces(raw: httpx.Response, silence: float, where: str, key: str) -> AsyncIterator[bytes]:
    stream = raw.aiter_raw()
    while True:
        try:
            async with asyncio.timeout(silence):
                piece = await anext(stream, None)
        except TimeoutError:
            raise TimedOut(f"{key}: {where}: silent for {silence:g} s", integration=key) from None
        if piece is None:
            return
        yield piece


async def _whole(pieces: AsyncIterator[bytes], where: str, key: str) -> bytes:
    body = bytearray()
    async for piece in pieces:
        body += piece
        if len(body) > MAX_BODY:
            raise BadPayload(
                f"{key}: the answer to {where} is longer than {MAX_BODY >> 20} MiB", path="$", integration=key
            )
    return bytes(body)


class _Incoming:
    """What has come and is not cut off yet."""

    def __init__(self, pieces: AsyncIterator[bytes], where: str, key: str) -> None:
        self.buffer = bytearray()
        self._pieces, self._where, self._key = pieces, where, key

    async def more(self) -> bool:
        """Takes in the next piece; false when there is none."""
        piece = await anext(self._pieces, None)
        if piece is None:
            return False
        self.buffer += piece
        return True

    def bad(self, what: str) -> BadPayload:
        return BadPayload(f"{self._key}: {self._where}: {what}", path="$", integration=self._key)

    async def boundary(self, line: bytes) -> bool:
        """Cuts off up to the end of the next boundary; false when no part follows it."""
        start = self.buffer.find(line)
        while start < 0:
            if len(self.buffer) > _HEAD_MOST:
                raise self.bad("the multipart answer has no boundary where one belongs")
            if not await self.more():
                return False
            start = self.buffer.find(line)
        del self.buffer[: start + len(line)]
        while len(self.buffer) < 2:
            if not await self.more():
                return False
        return self.buffer[:2] != b"--"

    async def head(self) -> dict[str, str] | None:
        """The headers of a part; null when the answer ends within them."""
        while True:
            for blank in (b"\r\n\r\n", b"\n\n"):
                end = self.buffer.find(blank)
                if end >= 0:
                    text = bytes(self.buffer[:end]).decode("latin-1")
                    del self.buffer[: end + len(blank)]
                    rows = (row.partition(":") for row in text.splitlines())
                    return {name.strip().lower(): value.strip() for name, colon, value in rows if colon}
            if len(self.buffer) > _HEAD_MOST:
                raise self.bad(f"the head of a part is longer than {_HEAD_MOST} bytes")
            if not await self.more():
                return None

    async def body(self, head: Mapping[str, str], line: bytes, largest: int) -> bytes:
        """A part, by `Content-length` where it has one, else up to the next boundary."""
        length = head.get("content-length", "")
        size = int(length) if length.isdecimal() and len(length) < 12 else None
        if size is not None and size > largest:
            raise self.bad(f"a part of {size} bytes is longer than {largest}")
        while True:
            end = size if size is not None else self.buffer.find(b"\r\n" + line)
            if 0 <= end <= len(self.buffer):
                found = bytes(self.buffer[:end])
                del self.buffer[:end]
                return found
            if len(self.buffer) > largest:
                raise self.bad(f"a part is longer than {largest} bytes")
            if not await self.more():
                raise VendorDown(f"{self._key}: {self._where} broke off within a part", integration=self._key)


async def _split(
    pieces: AsyncIterator[bytes], boundary: bytes, largest: int, where: str, key: str
) -> AsyncIterator[Part]:
    line, incoming = b"--" + boundary, _Incoming(pieces, where, key)
    while await incoming.boundary(line):
        head = await incoming.head()
        if head is None:
            return
        yield Part(head, await incoming.body(head, line, largest))
