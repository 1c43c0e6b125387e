"""The wire: requests as httpx made them over aiohttp's sockets; answers read and unpacked within a bound."""

import socket
import ssl
import warnings
import zlib
from functools import cache
from typing import Any, Final

import aiohttp
import httpx
import yarl
from aiohttp.typedefs import LooseHeaders, StrOrURL
from httpx_aiohttp import AiohttpTransport

_OURS: Final = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
"""Headers that aiohttp adds where they are missing; only what a connector asks for is sent."""
_GZIP, _ZLIB, _BARE = 31, 15, -15
"""`wbits` of zlib: a gzip wrapper, a zlib wrapper, none."""
UNTRUSTED: Final = "cannot connect: its certificate is not trusted"
NO_TLS: Final = "cannot connect: there is no TLS between us"
UNKNOWN_HOST: Final = "cannot connect: its host name is not known"
REFUSED: Final = "cannot connect: the connection was refused"
NO_HTTP: Final = "the answer is no HTTP"
BROKE_OFF: Final = "the connection broke off"
"""What `failure` says of a connection that fails."""
_MEMBER: Final = b"\x1f\x8b"
"""What a gzip member begins with (RFC 1952 section 2.3)."""


with warnings.catch_warnings():
    # aiohttp discourages subclasses of its session; there is no other way to keep it from quoting anew
    warnings.simplefilter("ignore", DeprecationWarning)

    class _Session(aiohttp.ClientSession):
        """Sends URL and headers as httpx made them: yarl would re-quote `%2C`, `%3A`, `%27`, which breaks
        signatures over the URL and OData keys; httpx shows its header names in lower case only."""

        def _build_url(self, str_or_url: StrOrURL) -> yarl.URL:
            return yarl.URL(str(str_or_url), encoded=True)

        def _prepare_headers(self, headers: LooseHeaders | None) -> Any:
            if isinstance(headers, httpx.Headers):
                headers = [(name.decode("ascii"), value.decode(headers.encoding)) for name, value in headers.raw]
            return super()._prepare_headers(headers)


@cache
def tls_context() -> ssl.SSLContext:
    """One context for all integrations: loading the CA bundle costs 16 ms of CPU each time."""
    return ssl.create_default_context()


def real_transport(context: ssl.SSLContext | None = None) -> httpx.AsyncBaseTransport:
    """The transport that talks to the network. No cookie jar: one jar would serve all clients of a session."""
    tls = context or tls_context()

    def session() -> aiohttp.ClientSession:
        return _Session(
            connector=aiohttp.TCPConnector(limit=64, ssl=tls, keepalive_timeout=30),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=_OURS,
        )

    return AiohttpTransport(client=session, verify=tls)  # without `verify` it would load the CA bundle once more


class Broken(Exception):
    """There is no whole body: it broke off, or its compression does not hold. Says which."""


class TooLong(Exception):
    """The body is longer than the bound, packed or unpacked."""


class UnknownCoding(Exception):
    """The body is packed in a way that nobody asked for. Says which."""


async def read_body(response: httpx.Response, limit: int) -> bytes:
    """The whole body, unpacked; never holds more than `limit` bytes of it and a piece from the wire.

    Raises `Broken`, `TooLong`, `UnknownCoding` (for good answers only: an error's status says enough), and what
    httpx raises for a connection that fails.
    """
    coding = response.headers.get("content-encoding", "").strip().lower()
    unpack: _Unpacker | None = None
    if coding in ("gzip", "x-gzip", "deflate"):
        unpack = _Unpacker(coding)
    elif coding not in ("", "identity") and response.status_code < 400:
        raise UnknownCoding(coding[:40])
    expected = _length(response)
    if (expected or 0) > limit:
        raise TooLong
    pieces: list[bytes] = []
    received = size = 0
    async for piece in response.aiter_raw():
        received += len(piece)
        if unpack is not None:
            piece = unpack.feed(piece, limit - size + 1)
        size += len(piece)
        if size > limit or received > limit:
            raise TooLong
        pieces.append(piece)
    if expected is not None and expected != received:
        raise Broken(f"the answer broke off after {received} of {expected} bytes")
    if unpack is not None and received:
        unpack.finish()
    return b"".join(pieces)


def _length(response: httpx.Response) -> int | None:
    """How long the body is said to be; null where the header speaks of another answer (RFC 9110 section 8.6)."""
    if response.request.method == "HEAD" or response.status_code in (204, 304):
        return None
    value = response.headers.get("content-length", "").strip()
    return int(value) if value.isascii() and value.isdigit() and len(value) <= 18 else None


class _Unpacker:
    """Undoes gzip (all its members) or deflate (in a zlib wrapper, or bare as some servers send it)."""

    def __init__(self, coding: str) -> None:
        self._gzip = coding != "deflate"
        self._member: Any = None
        """What undoes the current member; null between members."""
        self._members = 0
        self._start = b""
        """Too few bytes to tell what begins."""
        self._ended = False

    def feed(self, piece: bytes, most: int) -> bytes:
        """What the piece unpacks to, at most `most` bytes: the answer is too long when as many come out."""
        data, self._start = self._start + piece, b""
        found = b""
        while data and not self._ended:
            member = self._member = self._member or self._begun(data)
            if member is None:
                break
            try:
                found += member.decompress(data, most - len(found))
            except zlib.error:
                raise Broken("the compressed answer is damaged") from None
            if len(found) >= most or not member.eof:
                break
            data, self._member = member.unused_data, None
            self._members += 1
        return found

    def _begun(self, data: bytes) -> Any:
        """What undoes the member that begins with these bytes; null while none does."""
        if len(data) < 2:
            self._start = data
            return None
        if self._gzip and (self._members == 0 or data.startswith(_MEMBER)):
            return zlib.decompressobj(_GZIP)
        if self._members == 0:  # two bytes tell whether there is a wrapper (RFC 1950 section 2.2)
            wrapped = data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0
            return zlib.decompressobj(_ZLIB if wrapped else _BARE)
        self._ended = True  # what follows the last member is padding
        return None

    def finish(self) -> None:
        """Raises `Broken` unless the end of a member was seen, and with it the checksum."""
        if self._members == 0 or self._member is not None:
            raise Broken("the compressed answer broke off")


def failure(error: BaseException) -> str | None:
    """What went wrong on the wire, in words, since an exception's own text may hold addresses and credentials; null
    for a vendor that took too long. httpx-aiohttp calls every broken connection a timeout: the causes tell more."""
    causes = _causes(error)
    if any(isinstance(each, ssl.SSLCertVerificationError | aiohttp.ClientConnectorCertificateError) for each in causes):
        return UNTRUSTED
    if any(isinstance(each, ssl.SSLError | aiohttp.ClientConnectorSSLError) for each in causes):
        return NO_TLS
    if any(isinstance(each, socket.gaierror | aiohttp.ClientConnectorDNSError) for each in causes):
        return UNKNOWN_HOST
    if any(isinstance(each, ConnectionRefusedError) for each in causes):
        return REFUSED
    if any(isinstance(each, TimeoutError) for each in causes):
        return None
    if any(isinstance(each, aiohttp.ClientConnectorError | httpx.ConnectError) for each in causes):
        return "cannot connect"
    if any(isinstance(each, aiohttp.ClientResponseError | httpx.RemoteProtocolError) for each in causes):
        return NO_HTTP
    if any(isinstance(each, aiohttp.InvalidURL | httpx.UnsupportedProtocol) for each in causes):
        return "the address cannot be called"
    if any(isinstance(each, httpx.TimeoutException) for each in causes) and not any(
        isinstance(each, aiohttp.ClientConnectionError) for each in causes
    ):
        return None
    return BROKE_OFF


def fit_to_chain(error: BaseException) -> BaseException | None:
    """The error as the cause of ours; null for one whose text holds the whole address, as aiohttp's of answers do."""
    telling = (aiohttp.ClientResponseError, aiohttp.InvalidURL)
    return None if any(isinstance(each, telling) for each in _causes(error)) else error


def _causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and len(found) < 10:
        found.append(error)
        error = error.__cause__
    return found
