"""Bodies: packed, damaged, cut short, too long. Whatever comes, it is a whole answer or a clear error."""

import gzip
import os
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable
from functools import partial

import httpx
import pytest

from connectors.kit import http
from connectors.kit.errors import BadPayload, VendorDown
from connectors.kit.transport import Broken, TooLong, read_body
from tests.connectors.kit.peer import Peer, Reply, peer, real, reply

WORDS = b'{"name": "' + b"a truck " * 5_000 + b'"}'


def bare(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": partial(gzip.compress, mtime=0),
    "x-gzip": partial(gzip.compress, mtime=0),
    "deflate": zlib.compress,
}


def chunked(*parts: bytes, coding: str = "", last: bool = True) -> tuple[bytes, ...]:
    head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + (f"Content-Encoding: {coding}\r\n" if coding else "")
    body = [f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in parts]
    return (head.encode() + b"\r\n", *body, b"0\r\n\r\n" if last else b"")


async def body(given: Reply) -> bytes:
    async with peer(given) as vendor, real(vendor.url) as api:
        return (await api.exchange(api.build("GET", "/x"))).content


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate", "GZIP"])
async def test_packed_bodies_are_unpacked(coding: str) -> None:
    packed = PACKERS[coding.lower()](WORDS)
    assert await body(reply(packed, f"Content-Encoding: {coding}")) == WORDS


async def test_bare_deflate_is_unpacked_too() -> None:
    """Some servers leave the zlib wrapper out."""
    assert await body(reply(bare(WORDS), "Content-Encoding: deflate")) == WORDS


async def test_all_members_of_a_gzip_body_count() -> None:
    packed = (
        gzip.compress(b'{"a":', mtime=0) + gzip.compress(b"", mtime=0) + gzip.compress(b"1}", mtime=0) + b"\0\0padding"
    )
    assert await body(reply(packed, "Content-Encoding: gzip")) == b'{"a":1}'


class Pieces(httpx.AsyncByteStream):
    """A body that comes in pieces of so many bytes."""

    def __init__(self, content: bytes, size: int) -> None:
        self.content, self.size = content, size

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for at in range(0, len(self.content), self.size):
            yield self.content[at : at + self.size]


def answer(content: bytes, size: int = 1_000_000, **headers: str) -> httpx.Response:
    """An answer that nobody has read yet; names of headers with underscores."""
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(200, headers=told, stream=Pieces(content, size), request=httpx.Request("GET", "http://x"))


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        (
            "gzip",
            gzip.compress(b'{"a":', mtime=0)
            + gzip.compress(b"", mtime=0)
            + gzip.compress(b"1}", mtime=0)
            + b"\0\0\x1f",
        ),
        ("deflate", zlib.compress(b'{"a":1}') + b"\0\0"),
        ("deflate", bare(b'{"a":1}')),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 7])
async def test_it_does_not_matter_where_a_packed_body_is_cut(coding: str, packed: bytes, size: int) -> None:
    assert await read_body(answer(packed, size, content_encoding=coding), 100) == b'{"a":1}'


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@pytest.mark.parametrize("left", [1, 2, 12, 100, -1, -4])
async def test_a_packed_body_that_breaks_off_is_no_answer(coding: str, left: int) -> None:
    """Its length is right, so that only the missing end of the packing tells."""
    cut = PACKERS[coding](os.urandom(200) + WORDS)[:left]
    with pytest.raises(VendorDown, match=r"GET http://127\.0\.0\.1:\d+/x failed: the compressed answer broke off"):
        await body(reply(cut, f"Content-Encoding: {coding}"))


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_damaged_body_is_no_answer(coding: str) -> None:
    packed = bytearray(PACKERS[coding](os.urandom(2_000)))
    packed[-6] ^= 0xFF  # within the checksum
    with pytest.raises(VendorDown, match="the compressed answer is damaged"):
        await body(reply(bytes(packed), f"Content-Encoding: {coding}"))


async def test_what_is_called_gzip_and_is_not_is_no_answer() -> None:
    with pytest.raises(VendorDown, match="the compressed answer is damaged"):
        await body(reply(b"{}" * 50, "Content-Encoding: gzip"))


async def test_a_packing_that_nobody_asked_for_is_named() -> None:
    with pytest.raises(BadPayload, match="is packed as 'br', which was not asked for"):
        await body(reply(b"\x0b\x01\x80{}\x03", "Content-Encoding: br"))


async def test_an_outage_in_an_unknown_packing_is_still_an_outage() -> None:
    async with peer(reply(b"\x0b", "Content-Encoding: br", status="503 Down")) as vendor, real(vendor.url) as api:
        with pytest.raises(VendorDown) as caught:
            await api.send(api.build("GET", "/x"), repeatable=False)
        assert caught.value.status == 503


@pytest.mark.parametrize(("method", "status"), [("HEAD", "200 OK"), ("GET", "204 No Content"), ("GET", "304 Same")])
async def test_answers_without_a_body_may_speak_of_one(method: str, status: str) -> None:
    head = f"HTTP/1.1 {status}\r\nContent-Encoding: gzip\r\n" + ("" if "204" in status else "Content-Length: 99\r\n")
    async with peer(Reply((head.encode() + b"\r\n",))) as vendor, real(vendor.url) as api:
        assert (await api.exchange(api.build(method, "/x"))).content == b""


# --- lengths


async def test_half_a_body_is_no_answer() -> None:
    given = reply(b'{"a": 1, "b', "X-Request-Id: req-1", length=500)
    async with peer(given) as vendor, real(vendor.url) as api:
        with pytest.raises(VendorDown, match="the connection broke off") as caught:
            await api.get("/x", dict)
        assert (caught.value.status, caught.value.request_id) == (200, "req-1")
        assert len(vendor.requests) == 3, "it was tried again"


@pytest.mark.parametrize(
    "then", [Reply(chunked(b'{"a":', last=False), then="end"), Reply(chunked(b'{"a":', last=False), then="reset")]
)
async def test_chunks_that_break_off_are_no_answer(then: Reply) -> None:
    with pytest.raises(VendorDown, match="the connection broke off"):
        await body(then)


async def test_a_length_that_is_too_small_does_not_pass_half_an_answer_for_whole() -> None:
    with pytest.raises(VendorDown, match="the answer is no HTTP"):
        await body(reply(b'{"a": 1}', length=4))


async def test_a_transport_that_does_not_count_is_counted() -> None:
    """Behind another transport than the real one nobody else compares the lengths."""
    with pytest.raises(Broken, match="broke off after 2 of 9 bytes"):
        await read_body(answer(b"{}", content_length="9"), 100)


@pytest.mark.parametrize("length", ["²", "-1", "9" * 30, "x"])
async def test_a_length_that_is_none_is_ignored(length: str) -> None:
    headers = [(b"content-length", length.encode("latin-1"))]
    made = httpx.Response(
        200, headers=headers, stream=httpx.ByteStream(b"{}"), request=httpx.Request("GET", "http://x")
    )
    assert await read_body(made, 100) == b"{}"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nbroken header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_no_answer(answer: bytes) -> None:
    """The query holds a token; neither the error nor what is chained to it shows it."""
    async with peer(Reply((answer,), then="end")) as vendor, real(vendor.url) as api:
        with pytest.raises(VendorDown, match=r"the answer is no HTTP|the connection broke off") as caught:
            await api.exchange(api.build("GET", "/x?token=hidden"))
        error: BaseException | None = caught.value
        while error is not None:
            assert "hidden" not in f"{error} {error!r}"
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


# --- bounds


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(http, "MAX_BODY", 1 << 20)
    return 1 << 20


async def refused(vendor: Peer) -> str:
    async with real(vendor.url) as api:
        with pytest.raises(BadPayload) as caught:
            await api.get("/x", bytes)
        assert len(vendor.requests) == 1, "it is not asked for again"
        return str(caught.value)


async def test_the_bound_itself_is_allowed(small: int) -> None:
    assert len(await body(reply(b"x" * small))) == small
    assert len(await body(reply(gzip.compress(b"x" * small, mtime=0), "Content-Encoding: gzip"))) == small


async def test_a_body_that_says_it_is_too_long_is_not_read(small: int) -> None:
    async with peer(Reply(reply(b"", length=small + 1).pieces, then="silence")) as vendor:
        assert "is longer than 1 MiB" in await refused(vendor)


async def test_a_body_that_turns_out_too_long_is_given_up(small: int) -> None:
    parts = chunked(*[b"x" * 65_536] * 40)
    async with peer(Reply(parts)) as vendor:
        assert "is longer than 1 MiB" in await refused(vendor)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_bomb_is_refused_without_being_unpacked(small: int, coding: str) -> None:
    """100 MB in 100 KB: at no time more than a few times the bound is in memory."""
    packer = zlib.compressobj(9, wbits=31 if coding == "gzip" else 15)
    bomb = b"".join(packer.compress(b"\0" * 1_000_000) for _ in range(100)) + packer.flush()
    assert len(bomb) < 150_000
    async with peer(reply(bomb, f"Content-Encoding: {coding}")) as vendor:
        tracemalloc.start()
        try:
            assert "is longer than 1 MiB" in await refused(vendor)
            assert tracemalloc.get_traced_memory()[1] < 6 * small
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("size", [1, 1_000_000])
async def test_many_members_add_up_to_too_much(size: int) -> None:
    packed = gzip.compress(b"x" * 60, mtime=0) * 2
    assert await read_body(answer(packed, size, content_encoding="gzip"), 120) == b"x" * 120
    with pytest.raises(TooLong):
        await read_body(answer(packed, size, content_encoding="gzip"), 119)


async def test_a_packed_body_counts_as_it_comes_too() -> None:
    """Members that unpack to nothing, one after the other for ever."""
    with pytest.raises(TooLong):
        await read_body(answer(gzip.compress(b"", mtime=0) * 60, content_encoding="gzip"), 1_000)
