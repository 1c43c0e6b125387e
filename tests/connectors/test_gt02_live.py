"""The listener over real sockets on this machine: log-ins, strangers, bounds, silence, back-pressure, ends."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import uvloop

from connectors.gt02 import Trackers, listener
from connectors.gt02.frames import FRAME_MOST, answer, frames
from connectors.kit.health import HealthState
from connectors.kit.integration import Integration
from connectors.kit.protocols import Raw
from connectors.kit.services import Services
from sandbox import gt02 as standin
from sandbox.gt02 import frames as device
from sandbox.standin import Failure
from sandbox.world import World
from tests.connectors.contract import NOW, FakeClock, Lines
from tests.connectors.gt02_rig import alarm, heartbeat, location, registered
from unified.events import Changed, Happened
from unified.records import Connectivity
from unified.values import System

IMEIS = [f"35341903606{number:04d}" for number in range(40)]
FIRST, SECOND = IMEIS[0], IMEIS[1]
GT02_BEAT = device.gt02(0x1A, FIRST, b"\1\0", 1, voltage=5, gsm=4)


async def until(true: Callable[[], bool]) -> None:
    """Lets the loop turn until it is so; fails after five seconds."""
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110 - what is waited for is another end of a socket
            await asyncio.sleep(0.001)


class Client:
    """A tracker's end of a TCP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self, size: int = 10) -> bytes:
        async with asyncio.timeout(5):
            return await self.reader.readexactly(size)

    async def log_in(self, imei: str = FIRST, serial: int = 1) -> None:
        self.send(device.login(imei, serial))
        assert await self.answer() == answer(0x01, serial)

    async def ended(self) -> bool:
        """Whether the server hangs up without another word."""
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionError):
                return await self.reader.read() == b""
        return True

    async def close(self) -> None:
        self.writer.transport.abort()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


class Live:
    """A connector that listens; what it brings is in `raws` unless the test reads itself."""

    def __init__(self, **settings: Any) -> None:
        self.clock, self.log = FakeClock(), Lines()
        facts: dict[str, Any] = {"port": 0, "devices": [{"imei": imei} for imei in IMEIS], **settings}
        self.connector = Trackers(
            Integration(key="trackers", system=System.GT02, settings=facts), Services(clock=self.clock, log=self.log)
        )
        self.raws: list[Raw] = []
        self.take = asyncio.Event()
        self.take.set()
        self.clients: list[Client] = []
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for raw in self.connector.stream():
            await self.take.wait()
            self.raws.append(raw)

    @property
    def listener(self) -> listener.Listener:
        assert self.connector.listener is not None
        return self.connector.listener

    async def connect(self) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.listener.port))
        self.clients.append(client)
        return client

    async def tracker(self, imei: str = FIRST) -> Client:
        """One that has logged in."""
        client = await self.connect()
        await client.log_in(imei)
        return client

    def frames_of(self, imei: str) -> list[bytes]:
        return [raw.payload.body for raw in self.raws if raw.payload.headers.get("imei") == imei]

    async def states(self) -> list[tuple[str, bool]]:
        """The comings and goings so far."""
        found = []
        for raw in self.raws:
            if raw.decoder == "tracker-link":
                (changed,) = await self.connector.events(raw)
                assert isinstance(changed, Changed)
                found.append((changed.record.source.external_id, changed.record.connectivity is Connectivity.ONLINE))
        return found

    async def close(self) -> None:
        self.take.set()
        for client in self.clients:
            await client.close()
        async with asyncio.timeout(5):
            await self.connector.aclose()
            await self._reader


@pytest.fixture
async def opened() -> AsyncIterator[Callable[..., Any]]:
    """Makes connectors that listen, and closes them."""
    made: list[Live] = []

    async def make(**settings: Any) -> Live:
        live = Live(**settings)
        made.append(live)
        await until(lambda: live.connector.listener is not None)
        return live

    yield make
    for live in made:
        await live.close()


@pytest.fixture
async def live(opened: Callable[..., Any]) -> Live:
    made: Live = await opened()
    return made


# --- a conversation


async def test_a_login_and_what_follows_is_answered_with_its_serial(live: Live) -> None:
    client = await live.tracker()
    client.send(location(serial=0xFFFF))
    assert await client.answer() == answer(0x22, 0xFFFF)
    client.send(heartbeat(serial=1))
    assert await client.answer() == answer(0x13, 1), "the serial number wraps"
    client.send(alarm(0x01, serial=2))
    assert await client.answer() == answer(0x16, 2)
    await until(lambda: len(live.raws) == 4)
    assert await live.states() == [(FIRST, True)]
    assert live.frames_of(FIRST) == [location(serial=0xFFFF), heartbeat(serial=1), alarm(0x01, serial=2)]
    events = await live.connector.events(live.raws[-1])
    assert [type(each) for each in events] == [Changed, Happened]
    assert live.listener.figures.frames == 4


async def test_frames_split_and_joined(live: Live) -> None:
    client = await live.connect()
    stream = device.login(FIRST, 1) + location(serial=2) + heartbeat(serial=3)
    for place in range(0, len(stream), 7):
        client.send(stream[place : place + 7])
        await asyncio.sleep(0)
    assert await client.answer(30) == answer(0x01, 1) + answer(0x22, 2) + answer(0x13, 3)
    client.send(b"\xff\x00garbage\r\n" + location(serial=4, kmh=7.0) + heartbeat(serial=5) + heartbeat(serial=6))
    assert await client.answer(30) == answer(0x22, 4) + answer(0x13, 5) + answer(0x13, 6)
    await until(lambda: len(live.frames_of(FIRST)) == 5)


async def test_gt02_needs_no_login(live: Live) -> None:
    client = await live.connect()
    place = device.gt02(0x10, FIRST, device.place_02(NOW, 6.5, 3.4, 12.0, 8.0), 2)
    client.send(place + GT02_BEAT)
    assert await client.answer(5) == b"\x54\x68\x1a\r\n", "only the heartbeat is answered"
    other = device.gt02(0x1A, SECOND, b"\1\0", 1, voltage=5, gsm=4)
    client.send(other)
    assert await client.answer(5) == b"\x54\x68\x1a\r\n"
    await until(lambda: len(live.raws) == 3)
    assert (live.frames_of(FIRST), live.frames_of(SECOND)) == ([place, GT02_BEAT], [other])


async def test_ten_logins_are_answered_and_told_once(live: Live) -> None:
    client = await live.connect()
    for serial in range(1, 13):
        await client.log_in(serial=serial)
    await until(lambda: len(live.raws) == 1)
    assert await live.states() == [(FIRST, True)], "it came once"
    assert live.listener.figures.connections == 1
    assert [line for line in live.log.lines if line[0] == "vendor.login_loop"] == [
        ("vendor.login_loop", {"integration": "trackers", "device": FIRST, "logins": 10})
    ]


async def test_a_repeated_frame_is_answered_again_and_kept_once(live: Live) -> None:
    client = await live.tracker()
    client.send(location() * 3)
    assert await client.answer(30) == answer(0x22, 2) * 3
    await until(lambda: len(live.raws) == 2)


async def test_answers_wait_until_the_delivery_is_safe(opened: Callable[..., Any]) -> None:
    """As the server uses it: a tracker that keeps what is not answered loses nothing by our crash."""
    live = await opened()
    live.connector.kept(())
    client = await live.tracker()
    client.send(location(serial=2) + location(serial=2) + heartbeat(serial=3) + answer(0x8A, 4))
    clock = await client.answer(16)
    assert clock[3] == 0x8A, "what is only asked is answered at once"
    await until(lambda: len(live.raws) == 3)
    assert not client.reader._buffer  # type: ignore[attr-defined]
    live.connector.kept(live.raws[:2])
    assert await client.answer() == answer(0x22, 2)
    live.connector.kept(live.raws)
    assert await client.answer() == answer(0x13, 3)
    await client.close()
    await until(lambda: live.listener.figures.connections == 0)
    live.connector.kept(live.raws)  # and nobody is there any more


async def test_the_end_of_the_old_connection_of_a_tracker_that_comes_again(live: Live) -> None:
    old = await live.tracker()
    new = await live.tracker()
    assert await old.ended()
    new.send(heartbeat())
    assert await new.answer() == answer(0x13, 3)
    assert live.listener.figures.connections == 1
    assert await live.states() == [(FIRST, True)]


def test_under_uvloop_as_the_server_runs() -> None:
    """Its transports are not those of asyncio."""

    async def talk() -> None:
        live = Live()
        await until(lambda: live.connector.listener is not None)
        client = await live.tracker()
        client.send(location(serial=2))
        assert await client.answer() == answer(0x22, 2)
        async with udp(live) as (sender, end):
            sender.sendto(GT02_BEAT)
            assert await end.answer() == b"\x54\x68\x1a\r\n"
        stranger = await live.connect()
        stranger.send(device.login("350000000000006", 1))
        assert await stranger.ended()
        await until(lambda: len(live.raws) == 3)
        await live.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(talk())


# --- who is let in


async def test_an_unknown_tracker_is_turned_away(live: Live) -> None:
    client = await live.connect()
    client.send(device.login("350000000000006", 1) + location())
    assert await client.ended()
    assert live.raws == []
    assert live.log.lines[-1] == (
        "vendor.hung_up",
        {
            "integration": "trackers",
            "address": "127.0.0.1",
            "device": None,
            "reason": "the tracker 350000000000006 is not registered",
        },
    )
    gt02 = await live.connect()
    gt02.send(device.gt02(0x1A, "350000000000006", b"\0\0", 1))
    assert await gt02.ended()


async def test_a_login_without_digits(live: Live) -> None:
    client = await live.connect()
    client.send(device.gt06(0x01, b"\x0f\xff\xff\xff\xff\xff\xff\xff", 1))
    assert await client.ended()
    assert live.log.lines[-1][1]["reason"] == "the frame of type 01: the IMEI holds more than digits"


async def test_data_before_a_login_belongs_to_nobody(live: Live) -> None:
    client = await live.connect()
    client.send(location(serial=1) + heartbeat(serial=2) + device.login(FIRST, 3) + heartbeat(serial=4))
    assert await client.answer(20) == answer(0x01, 3) + answer(0x13, 4), "the first two are not answered"
    await until(lambda: live.frames_of(FIRST) == [heartbeat(serial=4)])
    never = await live.connect()
    never.send(b"".join(heartbeat(serial=serial) for serial in range(1, 7)))
    assert await never.ended()
    assert live.log.lines[-1][1]["reason"] == "it sends data and never logs in"


async def test_so_many_connections_and_no_more(opened: Callable[..., Any]) -> None:
    live = await opened(most_connections=3, most_per_address=2)
    first, second = await live.tracker(FIRST), await live.tracker(SECOND)
    third = await live.connect()
    assert await third.ended()
    assert live.listener.figures.turned_away == 1
    assert live.log.lines[-1] == (
        "vendor.connection_refused",
        {
            "integration": "trackers",
            "address": "127.0.0.1",
            "reason": "there are too many connections from its address",
        },
    )
    again = await live.connect()
    assert await again.ended()
    assert live.log.events.count("vendor.connection_refused") == 1, "it is told once an hour"
    await first.close()
    await until(lambda: live.listener.figures.connections == 1)
    await live.tracker(IMEIS[2])
    del second


async def test_so_many_connections_in_all(opened: Callable[..., Any]) -> None:
    live = await opened(most_connections=2)
    await live.tracker(FIRST)
    await live.tracker(SECOND)
    assert await (await live.connect()).ended()
    assert live.log.lines[-1][1]["reason"] == "there are too many connections"


# --- nonsense


async def test_another_protocol_is_hung_up(live: Live) -> None:
    client = await live.connect()
    client.send(b"GET / HTTP/1.1\r\nHost: trackers\r\n\r\n" + bytes(8_000))
    assert await client.ended()
    assert live.log.lines[-1][1]["reason"] == "it speaks neither GT02 nor GT06"


async def test_a_frame_of_64_kib(live: Live) -> None:
    """Claimed by a tracker that is logged in: what follows is heard, and nothing is piled up."""
    client = await live.tracker()
    client.send(b"yy\xff\xff\x94" + bytes(60_000) + b"\r\n" + heartbeat(serial=9))
    assert await client.answer() == answer(0x13, 9)
    (link,) = live.listener._links
    assert link.session is not None
    assert link.session.waiting == 0
    client.send(b"yy\xff\xff\x94" + bytes(70_000))
    assert await client.ended(), "65,536 bytes that are no frame are enough"
    stranger = await live.connect()
    stranger.send(b"yy\x1f\x00\x94" + bytes(FRAME_MOST))
    assert await stranger.ended(), "of somebody unknown 4,096 are"


async def test_the_right_checksum_over_nonsense(live: Live) -> None:
    """It is answered, or it would come for ever; it tells nothing and harms nothing."""
    client = await live.tracker()
    client.send(device.gt06(0x16, b"\xff" * 32, 2) + device.gt06(0x16, b"\x01", 3) + location(serial=4))
    assert await client.answer(30) == answer(0x16, 2) + answer(0x16, 3) + answer(0x22, 4)
    await until(lambda: len(live.raws) == 3)
    (changed,) = await live.connector.events(live.raws[1])
    assert isinstance(changed, Changed)
    assert changed.record.position is None  # type: ignore[attr-defined]
    (vehicle,) = await live.connector.read_vehicles([FIRST])
    assert vehicle.position is not None
    assert vehicle.position.speed_kmh == 50.0


async def test_a_wrong_length_field_is_not_waited_for_longer_than_two_seconds(live: Live) -> None:
    client = await live.tracker()
    spoilt = bytearray(heartbeat(serial=5))
    spoilt[2] = 0x40
    client.send(bytes(spoilt))
    await until(lambda: len(live.listener._incomplete) == 1)
    live.clock.passed += 1.9
    live.listener.sweep()
    assert live.listener._incomplete
    live.clock.passed += 0.1
    live.listener.sweep()
    assert await client.answer() == answer(0x13, 5)
    assert not live.listener._incomplete


async def test_half_a_frame_may_take_its_time(live: Live) -> None:
    client = await live.tracker()
    client.send(location()[:20])
    await until(lambda: len(live.listener._incomplete) == 1)
    live.clock.passed += 60
    live.listener.sweep()
    client.send(location()[20:])
    assert await client.answer() == answer(0x22, 2)


async def test_who_does_not_read_the_answers_is_hung_up(live: Live) -> None:
    client = await live.tracker()
    (link,) = live.listener._links
    link.pause_writing()
    assert await client.ended()
    assert live.log.lines[-1][1]["reason"] == "it does not read its answers"


# --- silence


async def test_nothing_for_an_hour(live: Live) -> None:
    client, silent = await live.tracker(FIRST), await live.tracker(SECOND)
    live.clock.passed += 599
    client.send(heartbeat())
    assert await client.answer() == answer(0x13, 3)
    live.clock.passed += 2
    live.listener.sweep()
    assert await silent.ended()
    live.clock.passed += 3_600 - 601
    live.listener.sweep()
    assert await client.ended()
    await until(lambda: len(live.raws) == 5)
    assert await live.states() == [(FIRST, True), (SECOND, True), (SECOND, False), (FIRST, False)]
    assert live.log.lines[-1][1]["reason"] == "nothing was heard of it for 600 s"
    (vehicle,) = await live.connector.read_vehicles([FIRST])
    assert vehicle.connectivity is Connectivity.OFFLINE
    await live.tracker(FIRST)
    await until(lambda: len(live.raws) == 6)
    assert (await live.states())[-1] == (FIRST, True)


async def test_a_short_break_is_no_absence(live: Live) -> None:
    client = await live.tracker()
    await client.close()
    await until(lambda: live.listener.figures.connections == 0)
    live.clock.passed += 500
    live.listener.sweep()
    await live.tracker()
    assert await live.states() == [(FIRST, True)]


async def test_a_stranger_has_thirty_seconds(live: Live) -> None:
    stranger = await live.connect()
    await until(lambda: live.listener.figures.connections == 1)
    live.clock.passed += 29
    live.listener.sweep()
    assert live.listener.figures.connections == 1
    live.clock.passed += 1
    live.listener.sweep()
    assert await stranger.ended()
    assert live.log.lines[-1][1]["reason"] == "it does not say who it is"


async def test_trackers_that_were_there_before_a_restart_are_missed(opened: Callable[..., Any]) -> None:
    before = await opened()
    await (await before.tracker()).close()
    (vehicle,) = await before.connector.read_vehicles([FIRST])
    live = Live()
    live.connector.remember([vehicle])
    await until(lambda: live.connector.listener is not None)
    live.clock.passed += 601
    live.listener.sweep()
    await until(lambda: len(live.raws) == 1)
    assert await live.states() == [(FIRST, False)]
    await live.close()


# --- datagrams


class Udp(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.heard.put_nowait(data)

    async def answer(self) -> bytes:
        async with asyncio.timeout(5):
            return await self.heard.get()


@contextlib.asynccontextmanager
async def udp(live: Live) -> AsyncIterator[tuple[asyncio.DatagramTransport, Udp]]:
    loop = asyncio.get_running_loop()
    transport, end = await loop.create_datagram_endpoint(Udp, remote_addr=("127.0.0.1", live.listener.port))
    try:
        yield transport, end
    finally:
        transport.abort()
        await asyncio.sleep(0)


async def test_datagrams_of_a_tracker_are_its_own_after_its_login(live: Live) -> None:
    async with udp(live) as (sender, end), udp(live) as (stranger, nobody):
        stranger.sendto(location(serial=9))
        sender.sendto(device.login(FIRST, 1))
        assert await end.answer() == answer(0x01, 1)
        sender.sendto(location(serial=2) + heartbeat(serial=3))
        assert [await end.answer(), await end.answer()] == [answer(0x22, 2), answer(0x13, 3)]
        await until(lambda: len(live.raws) == 3)
        assert nobody.heard.empty(), "a stranger is not answered: addresses of datagrams are easily forged"
        live.clock.passed += 601
        live.listener.sweep()
        sender.sendto(location(serial=4))
        sender.sendto(GT02_BEAT)
        assert await end.answer() == b"\x54\x68\x1a\r\n", "GT02 names its tracker in every frame"
        assert live.frames_of(FIRST) == [location(serial=2), heartbeat(serial=3), GT02_BEAT]


async def test_a_datagram_of_an_unknown_tracker_is_not_answered(live: Live) -> None:
    async with udp(live) as (sender, end):
        sender.sendto(device.login("350000000000006", 1) + heartbeat())
        sender.sendto(b"\x00" * 2_000)
        sender.sendto(location()[:10])
        sender.sendto(device.login(FIRST, 2))
        assert await end.answer() == answer(0x01, 2)
        assert end.heard.empty()
    assert live.log.events.count("vendor.hung_up") == 1


async def test_no_udp_where_it_is_switched_off(opened: Callable[..., Any]) -> None:
    live = await opened(udp=False)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", live.listener.port))


# --- more than is taken


async def test_reading_pauses_while_deliveries_are_not_taken(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "WAITING_MOST", 20)
    client, other = await live.tracker(FIRST), await live.tracker(SECOND)
    await until(lambda: len(live.raws) == 2)
    live.take.clear()
    client.send(b"".join(heartbeat(serial=serial) for serial in range(1, 101)))
    await until(lambda: live.listener.figures.pauses == 1 and len(live.listener._waiting) == 19)
    assert await client.answer(200) == b"".join(answer(0x13, serial) for serial in range(1, 21)), "one is taken"
    other.send(heartbeat(serial=7))
    await until(lambda: live.listener.figures.pauses == 2)
    async with udp(live) as (sender, _):
        for serial in range(1, 6):
            sender.sendto(device.login(IMEIS[5], serial))
        await until(lambda: live.listener.figures.datagrams_dropped == 5)
    assert live.log.events.count("vendor.datagrams_dropped") == 1
    live.take.set()
    rest = await client.answer(800)
    assert rest == b"".join(answer(0x13, serial) for serial in range(21, 101))
    assert await other.answer() == answer(0x13, 7)
    await until(lambda: len(live.raws) == 103)
    assert [frames(body)[0].serial for body in live.frames_of(FIRST)] == list(range(1, 101)), "nothing is lost"
    for each in (client, other):
        each.send(heartbeat(serial=200))
        assert await each.answer() == answer(0x13, 200), "reading goes on"


# --- the end


async def test_closing_waits_for_nobody(opened: Callable[..., Any]) -> None:
    live = await opened()
    client = await live.tracker()
    client.send(location()[:9])
    idle = await live.connect()
    await until(lambda: live.listener.figures.connections == 2)
    port = live.listener.port
    async with asyncio.timeout(1):
        await live.connector.aclose()
        await live._reader
    assert live.connector.listener is None
    assert await client.ended()
    assert await idle.ended()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_a_stream_that_is_cancelled_lets_go_of_its_port(opened: Callable[..., Any]) -> None:
    live = await opened()
    client, port = await live.tracker(), live.listener.port
    live._reader.cancel()
    await asyncio.gather(live._reader, return_exceptions=True)
    assert await client.ended()
    again = await opened(port=port)
    await again.tracker()
    live._reader = asyncio.create_task(asyncio.sleep(0))


async def test_a_port_that_is_taken_is_tried_again(opened: Callable[..., Any]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        live = Live(port=taken.getsockname()[1])
        await until(lambda: len(live.clock.slept) >= 6)
        assert live.clock.slept[:6] == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0]
        assert [event for event, _ in live.log.lines] == ["vendor.cannot_listen"]
        assert live.log.lines[0][1]["reason"] == "Address already in use"
        ill = live.connector.health()
        assert (ill.state, ill.since, ill.last_success) == (HealthState.FAILING, NOW, None)
        assert ill.error == f"cannot listen on 127.0.0.1 port {taken.getsockname()[1]}: Address already in use"
    await until(lambda: live.connector.listener is not None)
    assert live.log.events == ["vendor.cannot_listen", "vendor.listening"]
    client = await live.tracker()
    assert (await live.connector.check()).endswith("40 registered, 1 connected")
    live.clock.passed += 60
    client.send(heartbeat())
    assert await client.answer() == answer(0x13, 3)
    well = live.connector.health()
    assert (well.state, well.since, well.last_success) == (HealthState.WELL, None, live.clock.now())
    await live.close()
    assert live.connector.health().state is HealthState.UNTRIED


# --- the sandbox's trackers


async def test_the_sandboxs_trackers_drive(opened: Callable[..., Any]) -> None:
    """All 24: over TCP and UDP, in both protocols, some with a local clock, one of them out of reach."""
    clock = FakeClock()
    world = World(clock.now)
    live = await opened(devices=registered(world))
    vendor = standin.create(world, server=("127.0.0.1", live.listener.port), tick_s=0.01)
    await vendor.start()
    try:
        there = [each for each in vendor.trackers if each.vehicle.state_at(NOW).online]
        await until(lambda: all(vendor.devices[each.imei].answered >= 1 for each in there))
        await until(lambda: sum(state.at is not None for state in live.connector.desk.state.values()) == len(there))
        page = await live.connector.read_vehicles([each.imei for each in there])
        for tracker, vehicle in zip(there, page, strict=True):
            state = tracker.vehicle.state_at(NOW)
            assert vehicle.position is not None
            assert vehicle.position.latitude == pytest.approx(state.latitude, abs=3e-7)
            assert vehicle.position.longitude == pytest.approx(state.longitude, abs=3e-7)
            assert vehicle.position.speed_kmh == round(state.speed_kmh)
            assert vehicle.position.recorded_at == state.at, "local clocks too"
        assert sum(device.wrong_answers for device in vendor.devices.values()) == 0
        assert live.listener.figures.datagrams > 0
    finally:
        await vendor.stop()


@pytest.mark.parametrize(
    "failure",
    [
        Failure(half_body=True),
        Failure(status=400, body="garbage"),
        Failure(status=400, body="bad-crc"),
        Failure(status=400, body="wrong-length"),
        Failure(drop=True),
        Failure(status=400, body="imei"),
    ],
    ids=["split", "garbage", "bad-crc", "wrong-length", "drop", "imei"],
)
async def test_a_fault_on_the_line_costs_a_frame_at_most(opened: Callable[..., Any], failure: Failure) -> None:
    clock = FakeClock()
    world = World(clock.now)
    live = await opened(devices=registered(world))
    vendor = standin.create(world, server=("127.0.0.1", live.listener.port), tick_s=0.01)
    vendor.faults.fail_next = [failure] * 6
    await vendor.start()
    try:
        there = [each for each in vendor.trackers if each.vehicle.state_at(NOW).online]
        async with asyncio.timeout(10):
            while sum(state.at is not None for state in live.connector.desk.state.values()) < len(there):
                live.clock.passed += 0.5  # a wrong length is waited for, a lost login repeated
                clock.passed += 0.5
                live.listener.sweep()
                await asyncio.sleep(0.01)
        assert vendor.faults.fail_next == []
    finally:
        await vendor.stop()
