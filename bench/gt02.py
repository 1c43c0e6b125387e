"""GT02/GT06: how fast frames are decoded beside a plain parse of the same bytes, and ten thousand trackers at once.

`python -m bench.gt02` measures these figures alone. The trackers are a process of their own; they use many loopback
addresses, since a listener takes so many connections of each and no more.
"""

import asyncio
import binascii
import contextlib
import gc
import json
import os
import resource
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import uvloop

from bench.figures import FIGURES, Measured, Target, figure
from connectors.gt02 import Trackers, deliveries, gt06
from connectors.gt02.frames import Cutter, answer, crc_itu
from connectors.kit.integration import Integration
from connectors.kit.services import Services
from unified.values import System

if TYPE_CHECKING:
    from bench.scene import Scene

CONNECTIONS: Final = 10_000
PER_ADDRESS: Final = 400
LOAD_SECONDS: Final = 10.0
AT_ONCE: Final = 200
"""Logins that are under way at once, as after an outage of the network."""
FRAMES: Final = (
    ("78781f120f0a140e150bc505e51e780293a9e800540000f601006e0055da00035f240d0a", 4),
    ("787822220f0c1d023305c9027ac8180c46586000140001cc00287d001f71000001000820860d0a", 3),
    ("78780a13440604000201baaf540d0a", 2),
    ("787825160f0c1d0a2b21c8027ac8040c46581000146f0901cc00287d001f714804040301001c84cf0d0a", 1),
)
"""Real frames and how many of each in ten: locations, heartbeats, an alarm."""
STREAM: Final = b"".join(bytes.fromhex(text) * count for text, count in FRAMES) * 500


def at_least(limit: float) -> Target:
    return Target(f">= {limit:g}", lambda value: value >= limit)


# --- decoding


def decoded() -> int:
    """What the connector makes of the bytes: frames, then reports."""
    cutter = Cutter()
    cutter.feed(STREAM)
    count = 0
    for frame in cutter.frames():
        gt06.read(frame)
        count += 1
    return count


_MIRROR: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_SUMS: Final = [(_MIRROR[told & 0xFF] << 8 | _MIRROR[told >> 8]) ^ 0xFFFF for told in range(1 << 16)]
"""By checksum in a frame: what `crc_hqx` gives of the mirrored bytes. The fastest check that the standard library
allows, so that the baseline is not slow where ours is clever."""
_PLAIN: Final = {
    0x12: struct.Struct(">2xBx6BBIIBHHBHBHHH2x").unpack_from,
    0x22: struct.Struct(">2xBx6BBIIBHHBHBH3BHH2x").unpack_from,
    0x13: struct.Struct(">2xBx5BHH2x").unpack_from,
    0x16: struct.Struct(">2xBx6BBIIBHBHBHBH5BHH2x").unpack_from,
}
"""All fields of a frame, with its serial number and checksum."""


def parsed() -> int:
    """The plain parse: what `unpacked` does, the time as a datetime, the place in degrees. No garbage, no variants, no
    models, no ranges, no hemispheres."""
    data, at, count = STREAM, 0, 0
    size = len(data)
    while at < size:
        end = at + data[at + 2] + 5
        fields = _PLAIN[data[at + 3]](data, at)
        if binascii.crc_hqx(data[at + 2 : end - 4].translate(_MIRROR), 0xFFFF) != _SUMS[fields[-1]]:
            raise ValueError("checksum")
        if data[at + 3] != 0x13:
            year, month, day, hour, minute, second = fields[1:7]
            when = datetime(2000 + year, month, day, hour, minute, second, 0, UTC)
            fields = (when, fields[8] / 1_800_000, fields[9] / 1_800_000, *fields[10:])
        at = end
        count += 1
    return count


def unpacked() -> int:
    """The barest parse: cut by the length byte, checksum, `struct.unpack` into a tuple of numbers as they stand in the
    frame, which nobody can use yet."""
    data, at, count = STREAM, 0, 0
    size = len(data)
    while at < size:
        end = at + data[at + 2] + 5
        fields = _PLAIN[data[at + 3]](data, at)
        if binascii.crc_hqx(data[at + 2 : end - 4].translate(_MIRROR), 0xFFFF) != _SUMS[fields[-1]]:
            raise ValueError("checksum")
        at = end
        count += 1
    return count


def _cpu(work: Callable[[], int]) -> float:
    """CPU seconds per frame."""
    began = time.process_time()
    count = work()
    return (time.process_time() - began) / count


@cache
def _rounds() -> list[tuple[float, float, float]]:
    """CPU per frame of the connector, of the plain parse and of the barest one, in turns."""
    assert decoded() == parsed() == unpacked() == 5_000
    gc.collect()
    gc.disable()
    try:
        return [(_cpu(decoded), _cpu(parsed), _cpu(unpacked)) for _ in range(31)]
    finally:
        gc.enable()


@figure(
    "gt02.decode",
    unit="x",
    target=at_least(0.4),
    baseline="frames per CPU second of a plain struct parse, checksum, time and degrees",
)
def decode(scene: "Scene") -> Measured:
    return Measured(tuple(plain / ours for ours, plain, _ in _rounds()))


@figure("gt02.decode-rate", unit="1/s", baseline="frames decoded per CPU second")
def decode_rate(scene: "Scene") -> Measured:
    return Measured(tuple(1 / ours for ours, _, _ in _rounds()), max)


@figure(
    "gt02.decode-bare",
    unit="x",
    baseline="frames per CPU second of the barest parse: cut, checksum, struct.unpack; no time, no degrees",
)
def decode_bare(scene: "Scene") -> Measured:
    return Measured(tuple(bare / ours for ours, _, bare in _rounds()))


@figure("gt02.records", unit="1/s", baseline="deliveries read into vehicle records per CPU second")
def records(scene: "Scene") -> Measured:
    imei = "353419036066061"
    connector = Trackers(
        Integration(key="bench", system=System.GT02, settings={"devices": [{"imei": imei}]}), Services()
    )
    cutter = Cutter()
    cutter.feed(STREAM[: len(STREAM) // 10])
    now = datetime.now(UTC)
    raws = [
        deliveries.of_frame(
            frame, gt06.read(frame), imei, received=now, sequence=place, offset=None, before=deliveries.Known()
        )
        for place, frame in enumerate(cutter.frames())
    ]

    async def read() -> float:
        began = time.process_time()
        for raw in raws:
            await connector.events(raw)
        return len(raws) / (time.process_time() - began)

    return Measured(tuple(asyncio.run(read()) for _ in range(9)), max)


# --- ten thousand at once


def imei_of(place: int) -> str:
    return f"35341903{place:07d}"


async def _listen() -> None:
    """The process under measurement: a connector whose deliveries are taken and counted."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, CONNECTIONS + 1_000)), hard))
    settings = {"port": 0, "devices": [{"imei": imei_of(place)} for place in range(CONNECTIONS)]}
    connector = Trackers(Integration(key="bench", system=System.GT02, settings=settings), Services())
    taken = 0

    async def take() -> None:
        nonlocal taken
        async for _ in connector.stream():
            taken += 1

    task = asyncio.create_task(take())
    while connector.listener is None:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    print(connector.listener.port, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)  # until the parent closes it
    figures = connector.listener.figures
    print(json.dumps({"taken": taken, "frames": figures.frames, "turnedAway": figures.turned_away}), flush=True)
    await connector.aclose()
    await task


class _Client(asyncio.Protocol):
    """A tracker's end: counts what it is answered."""

    __slots__ = ("answers", "logged_in", "transport")

    def __init__(self, logged_in: "asyncio.Future[None]") -> None:
        self.logged_in = logged_in
        self.answers = 0
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.answers += len(data) // 10
        if not self.logged_in.done():
            self.logged_in.set_result(None)


def _login(place: int) -> bytes:
    body = bytes((0x0D, 0x01)) + bytes.fromhex("0" + imei_of(place)) + b"\x00\x01"
    return b"xx" + body + crc_itu(body).to_bytes(2, "big") + b"\r\n"


def _location(serial: int) -> bytes:
    """Of now, so that each is news."""
    at = datetime.now(UTC)
    clock = bytes((at.year - 2000, at.month, at.day, at.hour, at.minute, at.second))
    content = (
        clock + bytes.fromhex("c9027ac8180c46586032140001cc00287d001f71")[:12] + bytes.fromhex("01cc00287d001f71010000")
    )
    return answer(0x22, serial & 0xFFFF, content)


async def _trackers(port: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, CONNECTIONS + 1_000)), hard))
    loop = asyncio.get_running_loop()
    gate = asyncio.Semaphore(AT_ONCE)
    clients: list[_Client] = []

    async def connect(place: int) -> None:
        async with gate:
            address = f"127.0.0.{1 + place // PER_ADDRESS}"
            client = _Client(loop.create_future())
            await loop.create_connection(lambda: client, "127.0.0.1", port, local_addr=(address, 0))
            client.transport.write(_login(place))
            await client.logged_in
            clients.append(client)

    began = time.perf_counter()
    await asyncio.gather(*(connect(place) for place in range(CONNECTIONS)))
    print(json.dumps({"connected": len(clients), "seconds": time.perf_counter() - began}), flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)
    began, sent, serial = time.perf_counter(), 0, 1
    already = sum(client.answers for client in clients)
    while time.perf_counter() - began < LOAD_SECONDS:
        serial += 1
        frame = _location(serial)
        for place, client in enumerate(clients):
            client.transport.write(frame)
            sent += 1
            if place % 500 == 499:  # no more than the listener can be expected to hold for a moment
                while sent - (sum(each.answers for each in clients) - already) > 2_000:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
                await asyncio.sleep(0)
    while sum(client.answers for client in clients) - already < sent:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    print(json.dumps({"frames": sent, "seconds": time.perf_counter() - began}), flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)


@contextlib.contextmanager
def _process(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.gt02", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": "src"},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _say(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def _hear(process: "subprocess.Popen[str]") -> Any:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{process.args} ended with status {process.wait()}")
    return json.loads(line)


def _resident(pid: int) -> int:
    """Bytes in memory."""
    with open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def _cpu_of(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@cache
def crowd() -> dict[str, float]:
    """Ten thousand trackers log in, then all of them tell their place as fast as they are answered."""
    with _process("listen") as listening:
        port = _hear(listening)
        empty = _resident(listening.pid)
        with _process("trackers", str(port)) as trackers:
            connected = _hear(trackers)
            full = _resident(listening.pid)
            before = _cpu_of(listening.pid)
            _say(trackers)
            loaded = _hear(trackers)
            cpu = _cpu_of(listening.pid) - before
            after = _resident(listening.pid)
            _say(listening)
            told = _hear(listening)
            _say(trackers)
    assert connected["connected"] == CONNECTIONS
    assert told["turnedAway"] == 0
    assert told["frames"] == loaded["frames"] + CONNECTIONS
    assert told["taken"] == loaded["frames"] + CONNECTIONS, "each login tells that a tracker is there"
    return {
        "connections": connected["connected"],
        "logins per second": CONNECTIONS / connected["seconds"],
        "bytes per connection": (full - empty) / CONNECTIONS,
        "bytes per connection under load": (after - empty) / CONNECTIONS,
        "frames per second": loaded["frames"] / loaded["seconds"],
        "frames per CPU second": loaded["frames"] / cpu,
    }


@figure("gt02.connections", unit="", target=at_least(CONNECTIONS), baseline="trackers connected at once to one process")
def connections(scene: "Scene") -> Measured:
    return Measured((crowd()["connections"],))


@figure(
    "gt02.connection-memory", unit="KiB", baseline="resident memory per connected tracker, what is known of it included"
)
def memory(scene: "Scene") -> Measured:
    return Measured((crowd()["bytes per connection under load"] / 1024,))


@figure(
    "gt02.accepted",
    unit="1/s",
    baseline="frames accepted, decoded, delivered and answered per second, from all of them",
)
def accepted(scene: "Scene") -> Measured:
    return Measured((crowd()["frames per second"],))


def measure() -> dict[str, float]:
    """All figures of this module by name."""
    return {
        name: each.measure(None).value  # type: ignore[arg-type]
        for name, each in FIGURES.items()
        if name.startswith("gt02.")
    }


if __name__ == "__main__":
    if sys.argv[1:2] == ["listen"]:
        uvloop.run(_listen())
    elif sys.argv[1:2] == ["trackers"]:
        uvloop.run(_trackers(int(sys.argv[2])))
    else:
        for name, value in {**measure(), **crowd()}.items():
            print(f"{name:34} {value:,.2f}")
