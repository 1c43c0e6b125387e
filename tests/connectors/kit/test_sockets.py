"""The vendor's WebSocket: comes back with growing pauses, is told once, follows nobody, ends when it must."""

import asyncio
import contextlib
import http
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import websockets
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import Request, Response, ServerConnection, serve

from connectors.kit.errors import AuthFailed, VendorDown
from connectors.kit.reconnect import STEADY_SECONDS
from connectors.kit.services import Services
from connectors.kit.sockets import Greet, Opened, Target, listen
from tests.connectors.contract import FakeClock, Lines
from tests.connectors.kit.peer import integration

Talk = Callable[[ServerConnection], Awaitable[None]]


class Vendor:
    """A WebSocket server: what it says on each connection, the last of it for ever; what it has seen."""

    def __init__(self, *talks: Talk) -> None:
        self.talks = list(talks)
        self.refuse: list[Response] = []
        self.requests: list[Request] = []
        self.closed = asyncio.Event()
        self.url = ""

    async def handle(self, socket: ServerConnection) -> None:
        talk = self.talks.pop(0) if len(self.talks) > 1 else self.talks[0]
        try:
            await talk(socket)
        finally:
            self.closed.set()

    def request(self, _: ServerConnection, request: Request) -> Response | None:
        self.requests.append(request)
        return self.refuse.pop(0) if self.refuse else None


def refusal(status: int, **headers: str) -> Response:
    return Response(status, http.HTTPStatus(status).phrase, websockets.Headers(headers), b"")


def says(*messages: str | bytes) -> Talk:
    async def talk(socket: ServerConnection) -> None:
        for each in messages:
            await socket.send(each)

    return talk


async def stays(socket: ServerConnection) -> None:
    await socket.wait_closed()


@contextlib.asynccontextmanager
async def vendor(*talks: Talk, **options: Any) -> AsyncIterator[Vendor]:
    made = Vendor(*talks)
    async with serve(made.handle, "127.0.0.1", 0, process_request=made.request, **options) as server:
        made.url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/socket?token=hidden"
        yield made


class Listening:
    def __init__(self, target: str | Callable[[], Awaitable[Target]], **options: Any) -> None:
        self.clock, self.log = FakeClock(), Lines()
        options.setdefault("silence_seconds", 5.0)
        seconds = options.pop("deadline_seconds", 5.0)
        self.stream = listen(
            target if callable(target) else self._to(target),
            integration=integration(deadline_seconds=seconds),
            services=Services(clock=self.clock, log=self.log),
            **options,
        )

    @staticmethod
    def _to(url: str) -> Callable[[], Awaitable[Target]]:
        async def target() -> Target:
            return Target(url)

        return target

    async def take(self, count: int) -> list[Opened | str | bytes]:
        async with asyncio.timeout(5):
            return [await anext(self.stream) for _ in range(count)]

    async def told(self) -> None:
        """Returns when the log has a line."""
        async with asyncio.timeout(5):
            while not self.log.lines:  # noqa: ASYNC110 - the log of the tests has no event
                await asyncio.sleep(0.01)

    async def __aenter__(self) -> "Listening":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stream.aclose()  # type: ignore[attr-defined]
        assert "hidden" not in repr(self.log.lines)


async def test_messages_come_with_the_connection_before_them() -> None:
    async with vendor(says("a", b"b"), stays) as peer, Listening(peer.url) as heard:
        assert await heard.take(4) == [Opened(again=False), "a", b"b", Opened(again=True)]
        assert heard.log.events == ["vendor.socket_lost", "vendor.socket_open"]
        assert heard.log.lines[0][1] == {"integration": "depot", "reason": "closed with code 1000"}


async def test_closing_closes_the_socket() -> None:
    async with vendor(stays) as peer, Listening(peer.url) as heard:
        await heard.take(1)
        await heard.stream.aclose()  # type: ignore[attr-defined]
        await asyncio.wait_for(peer.closed.wait(), 2)


async def test_cancelling_closes_the_socket() -> None:
    async with vendor(stays) as peer, Listening(peer.url) as heard:
        await heard.take(1)
        task = asyncio.ensure_future(anext(heard.stream))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(peer.closed.wait(), 2)


async def test_a_vendor_that_is_not_there_is_tried_with_growing_pauses() -> None:
    tries = 0

    async def target() -> Target:
        nonlocal tries
        tries += 1
        if tries > 12:
            raise AuthFailed("enough")
        raise VendorDown("the log-in is down")

    async with Listening(target, longest_pause=20.0) as heard:
        with pytest.raises(AuthFailed, match="enough"):
            await heard.take(1)
        base = [0.5, 1, 2, 4, 8, 16, 20, 20, 20, 20, 20, 20]
        assert [round(pause / want, 2) for pause, want in zip(heard.clock.slept, base, strict=True)] == [
            pytest.approx(1, abs=0.26)
        ] * 12
        assert len(set(heard.clock.slept[6:])) > 1, "not all at once"
        assert heard.log.lines == [("vendor.socket_lost", {"integration": "depot", "reason": "VendorDown"})]


async def test_a_vendor_that_opens_and_closes_is_not_called_twice_a_second() -> None:
    async with vendor(says("hello")) as peer, Listening(peer.url) as heard:
        await heard.take(2 * 6)
        assert [round(pause / want, 2) for pause, want in zip(heard.clock.slept, [0.5, 1, 2, 4, 8], strict=True)] == [
            pytest.approx(1, abs=0.26)
        ] * 5


async def test_after_a_steady_connection_the_pauses_begin_anew() -> None:
    async with vendor(says("x")) as peer, Listening(peer.url) as heard:
        await heard.take(2 * 4)
        heard.clock.passed += STEADY_SECONDS + 1
        await heard.take(2)
        assert heard.clock.slept[2] >= 1.5
        assert heard.clock.slept[3] <= 0.63


async def test_silence_is_an_end() -> None:
    async with vendor(stays) as peer, Listening(peer.url, silence_seconds=0.02) as heard:
        assert await heard.take(2) == [Opened(again=False), Opened(again=True)]
        assert heard.log.lines[0][1]["reason"] == "silent for 0.02 s"
        await asyncio.wait_for(peer.closed.wait(), 2)


async def test_a_handshake_that_hangs_is_given_up() -> None:
    connected = asyncio.Event()

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with Listening(url, deadline_seconds=0.05) as heard:
        task = asyncio.ensure_future(heard.take(1))
        await heard.told()
        assert heard.log.lines[0][1]["reason"] == "not open within 0.05 s"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    server.close()


async def test_a_greeting_that_hangs_is_given_up() -> None:
    async def greet(socket: Any) -> None:
        await socket.recv()

    async with vendor(stays) as peer, Listening(peer.url, greet=greet, deadline_seconds=0.05) as heard:
        task = asyncio.ensure_future(heard.take(1))
        await heard.told()
        assert heard.log.lines[0][1]["reason"] == "not open within 0.05 s"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_the_greeting_goes_first() -> None:
    async def echo(socket: ServerConnection) -> None:
        await socket.send(f"you said {await socket.recv()}")
        await socket.wait_closed()

    greet: Greet = lambda socket: socket.send("hello")  # noqa: E731
    async with vendor(echo) as peer, Listening(peer.url, greet=greet) as heard:
        assert await heard.take(2) == [Opened(again=False), "you said hello"]


async def test_a_message_that_is_too_long_ends_the_connection() -> None:
    async with vendor(says("x" * 2_000), stays) as peer, Listening(peer.url, max_size=1_000) as heard:
        assert await heard.take(2) == [Opened(again=False), Opened(again=True)]


async def test_a_vendor_that_sends_faster_than_we_read_has_to_wait() -> None:
    """At most 64 messages are held, and what the kernel holds; the vendor's own queue grows, not ours."""
    sent, stop = 0, False

    async def flood(socket: ServerConnection) -> None:
        nonlocal sent
        while not stop:
            await socket.send("x" * 100_000)
            sent += 1
        await socket.wait_closed()

    async with vendor(flood, write_limit=1) as peer, Listening(peer.url) as heard:
        await heard.take(2)
        before = -1
        while before != sent < 1_000:
            before = sent
            await asyncio.sleep(0.05)
        assert 64 <= sent < 250
        stop = True
        await heard.take(sent)


async def test_redirects_are_not_followed() -> None:
    """The address and its headers hold credentials."""
    async with vendor(stays) as elsewhere, vendor(stays) as peer:
        peer.refuse = [refusal(307, Location=elsewhere.url)]
        async with Listening(peer.url) as heard:
            assert await heard.take(1) == [Opened(again=False)]
            assert elsewhere.requests == []
            assert len(peer.requests) == 2
            assert heard.log.lines[0][1]["reason"] == "HTTP 307"


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_handshake_asks_for_fresh_credentials_and_ends_at_the_third(status: int) -> None:
    asked = 0
    async with vendor(stays) as peer:
        peer.refuse = [refusal(status)] * 3

        async def target() -> Target:
            nonlocal asked
            asked += 1
            return Target(peer.url, {"Cookie": f"SESSION={asked}"})

        async with Listening(target) as heard:
            with pytest.raises(AuthFailed, match=f"refuses the credentials .HTTP {status}") as caught:
                await heard.take(1)
            assert (caught.value.integration, caught.value.status) == ("depot", status)
            assert [each.headers["Cookie"] for each in peer.requests] == ["SESSION=1", "SESSION=2", "SESSION=3"]


async def test_other_answers_between_do_not_count_as_refusals() -> None:
    async with vendor(stays) as peer, Listening(peer.url) as heard:
        peer.refuse = [refusal(401), refusal(401), refusal(503), refusal(401), refusal(401)]
        assert await heard.take(1) == [Opened(again=False)]


async def test_it_pings() -> None:
    """A vendor's dead machine does not answer pings: the connection ends although nothing says so."""
    seen: list[tuple[float | None, float | None]] = []

    async def greet(socket: ClientConnection) -> None:
        seen.append((socket.ping_interval, socket.ping_timeout))

    async with vendor(stays) as peer, Listening(peer.url, greet=greet) as heard:
        await heard.take(1)
        assert seen == [(20, 20)]
