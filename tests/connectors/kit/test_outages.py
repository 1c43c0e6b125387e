"""Vendors that are not there, do not answer, or answer too slowly; calls that are given up; closing."""

import asyncio
import socket
import ssl
import time

import httpx
import pytest
import trustme

from connectors.kit.errors import BadPayload, TimedOut, VendorDown
from tests.connectors.kit.peer import SILENCE, Reply, peer, real, scripted


async def outage(url: str, **options: object) -> VendorDown:
    async with real(url, **options) as api:  # type: ignore[arg-type]
        with pytest.raises(VendorDown) as caught:
            await api.exchange(api.build("GET", "/x?token=hidden"))
        assert caught.value.integration == "depot"
        assert "hidden" not in f"{caught.value!r} {caught.value.__cause__!r}"
        return caught.value


async def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    error = await outage(f"http://127.0.0.1:{port}")
    assert str(error) == f"depot: GET http://127.0.0.1:{port}/x failed: cannot connect: the connection was refused"


async def test_the_host_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    def lookup(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    error = await outage("http://vendor.invalid")
    assert str(error) == "depot: GET http://vendor.invalid/x failed: cannot connect: its host name is not known"


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


def server_tls(ca: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(name).configure_cert(context)
    return context


def client_tls(ca: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    ca.configure_trust(context)
    return context


async def test_a_trusted_certificate_is_fine(ca: trustme.CA) -> None:
    async with peer(tls=server_tls(ca)) as vendor, real(vendor.url, tls=client_tls(ca)) as api:
        assert (await api.get("/x", dict)).value == {}


async def test_a_certificate_of_an_unknown_ca_is_not_trusted(ca: trustme.CA) -> None:
    async with peer(tls=server_tls(ca)) as vendor:
        error = await outage(vendor.url, tls=client_tls(trustme.CA()))
        assert str(error).endswith("failed: cannot connect: its certificate is not trusted")
        assert vendor.requests == []


async def test_nor_one_of_another_host(ca: trustme.CA) -> None:
    async with peer(tls=server_tls(ca, "vendor.example")) as vendor:
        assert str(await outage(vendor.url, tls=client_tls(ca))).endswith("its certificate is not trusted")


async def test_the_default_trusts_the_usual_cas_only(ca: trustme.CA) -> None:
    async with peer(tls=server_tls(ca)) as vendor:
        assert str(await outage(vendor.url)).endswith("its certificate is not trusted")


async def test_tls_where_there_is_none() -> None:
    async def plain(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    error = await outage(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    assert str(error).endswith("failed: cannot connect: there is no TLS between us")
    server.close()


@pytest.mark.parametrize("then", ["end", "reset"])
async def test_it_hangs_up_without_an_answer(then: str) -> None:
    async with peer(Reply(then=then)) as vendor:
        assert str(await outage(vendor.url)).endswith("failed: the connection broke off")


# --- the deadline


async def test_a_vendor_that_never_answers_is_given_up_at_the_deadline() -> None:
    async with peer(SILENCE) as vendor, real(vendor.url, seconds=0.05) as api:
        started = time.monotonic()
        with pytest.raises(TimedOut, match=r"no answer to GET http://127\.0\.0\.1:\d+/x within 0\.05 s"):
            await api.get("/x", dict)
        assert time.monotonic() - started < 2
        await asyncio.wait_for(vendor.gone.wait(), 2)


@pytest.mark.parametrize("call", ["get", "exchange"])
async def test_a_vendor_that_trickles_is_given_up_at_the_deadline(call: str) -> None:
    """Every byte comes within the time of a read, all of them do not."""
    pieces = (b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n", *[b"x"] * 10_000)
    async with peer(Reply(pieces, pause=0.01)) as vendor, real(vendor.url, seconds=0.06) as api:
        with pytest.raises(TimedOut, match=r"within 0\.06 s"):
            await (api.get("/x", dict) if call == "get" else api.exchange(api.build("GET", "/x")))
        await asyncio.wait_for(vendor.gone.wait(), 2)


async def test_a_head_that_trickles_is_given_up_too() -> None:
    pieces = (b"HTTP/1.1 200 OK\r\n", *[b"X: y\r\n"] * 1_000)
    async with peer(Reply(pieces, pause=0.01)) as vendor, real(vendor.url, seconds=0.06) as api:
        with pytest.raises(TimedOut):
            await api.get("/x", dict)


async def test_all_attempts_share_the_deadline() -> None:
    """A failed first attempt leaves the second the rest of the time."""
    made = scripted(httpx.Response(503), facts={"deadline_seconds": 0.25})
    with pytest.raises(VendorDown) as caught:
        await made.api.get("/x", dict)
    assert caught.value.status == 503
    assert made.wire is not None
    assert len(made.wire.requests) == 2
    assert 0.15 <= made.clock.passed <= 0.25


async def test_a_timeout_on_the_way_is_a_timeout() -> None:
    made = scripted(httpx.ReadTimeout("slow"))
    with pytest.raises(TimedOut, match="within 10 s"):
        await made.api.send(made.api.build("GET", "/x"), repeatable=False)


# --- giving up


@pytest.mark.parametrize(
    "given",
    [SILENCE, Reply((b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",), then="silence")],
    ids=["no answer", "half"],
)
@pytest.mark.parametrize("call", ["get", "send"])
async def test_cancelling_closes_the_connection(given: Reply, call: str) -> None:
    async with peer(given) as vendor, real(vendor.url) as api:
        request = api.build("GET", "/x")
        task = asyncio.ensure_future(api.read(request, dict) if call == "get" else api.send(request, repeatable=True))
        await asyncio.wait_for(vendor.arrived.wait(), 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(vendor.gone.wait(), 2)
        assert len(vendor.requests) == 1


async def test_cancelling_while_a_long_body_is_sent_does_not_hang() -> None:
    """The vendor does not read: the rest of the body must not keep the call alive."""

    hung_up = asyncio.Event()

    async def deaf(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await hung_up.wait()
        writer.close()

    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    narrow.bind(("127.0.0.1", 0))
    server = await asyncio.start_server(deaf, sock=narrow, limit=1)
    async with real(f"http://127.0.0.1:{narrow.getsockname()[1]}", seconds=0.05) as api:
        started = time.monotonic()
        with pytest.raises(TimedOut):
            await api.send(api.build("POST", "/x", content=b"x" * 1_000_000), repeatable=False)
        assert time.monotonic() - started < 2
    hung_up.set()
    server.close()
    await server.wait_closed()


async def test_closing_ends_what_is_in_flight_and_refuses_what_comes() -> None:
    async with peer(SILENCE) as vendor, real(vendor.url) as api:
        calls = [asyncio.create_task(api.get("/x", dict)) for _ in range(2)]
        await asyncio.wait_for(vendor.arrived.wait(), 2)
        await api.aclose()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert [str(each) for each in results] == ["depot: the integration is closed"] * 2
        assert all(type(each) is VendorDown for each in results)
        await asyncio.wait_for(vendor.gone.wait(), 2)
        with pytest.raises(VendorDown, match="the integration is closed"):
            await api.get("/y", dict)
        assert vendor.connections == 1


async def test_closing_twice_is_closing_once() -> None:
    async with peer() as vendor, real(vendor.url) as api:
        await api.get("/x", dict)
        await api.aclose()
        await api.aclose()


# --- the last good answer


async def test_the_last_good_answer_stands_in_with_its_age() -> None:
    made = scripted(httpx.Response(200, json={"n": 1}), httpx.Response(503))
    first = await made.api.get("/x", dict)
    made.clock.passed += 3_600
    again = await made.api.get("/x", dict)
    assert (again.value, again.origin.stale, again.origin.as_of) == ({"n": 1}, True, first.origin.as_of)
    with pytest.raises(VendorDown):
        await made.api.get("/y", dict)


@pytest.mark.parametrize("status", [404, 403, 422])
async def test_what_the_vendor_denies_is_no_longer_good(status: int) -> None:
    """Gone, or no longer for us: an outage must not bring it back."""
    made = scripted(httpx.Response(200, json={"n": 1}), httpx.Response(status), httpx.Response(503))
    await made.api.get("/x", dict)
    with pytest.raises(Exception, match=f"answered {status}"):
        await made.api.get("/x", dict)
    with pytest.raises(VendorDown, match="answered 503"):
        await made.api.get("/x", dict)


async def test_what_could_not_be_read_was_not_good() -> None:
    made = scripted(httpx.Response(200, content=b"[]"), httpx.Response(503))
    with pytest.raises(BadPayload):
        await made.api.get("/x", dict)
    with pytest.raises(VendorDown):
        await made.api.get("/x", dict)
