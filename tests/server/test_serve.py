"""`crossdock serve` as a process of its own: how it starts, what it logs, how it stops, and how it is killed."""

import asyncio
import contextlib
import errno
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from runtime.settings import ServerSettings, SettingsError, load
from sandbox import traccar, uber
from sandbox.standin import Failure
from sandbox.world import World
from server import serving
from tests.server.configs import KEYS, STORE, TWO_ORGANISATIONS, fleet, rides
from tests.server.rig import NORTH, SOUTH, eventually, free_port, vendors
from tests.server.test_live import notice

ROOT = Path(__file__).parents[2]
ASK_NORTH = {"X-API-Key": NORTH}
pytestmark = pytest.mark.timeout(60)


class Process:
    """A running `crossdock serve`, with what it has written so far."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, log: Path) -> None:
        self.process, self.port, self.log = process, port, log
        self.url = f"http://127.0.0.1:{port}"

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The log's lines; all but the one sentence for people are JSON."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    async def stop(self, signal_: int) -> tuple[int, float]:
        """Exit status and how many seconds it took."""
        started = time.monotonic()
        self.process.send_signal(signal_)
        async with asyncio.timeout(20):
            status = await self.process.wait()
        return status, time.monotonic() - started


async def _start(folder: Path, config: str, port: int) -> Process:
    (folder / "crossdock.toml").write_text(config)
    log = folder / "log"
    environ = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "src"),
        "CROSSDOCK_PORT": str(port),
        "NORTH": NORTH,
        "SOUTH": SOUTH,
    }
    with log.open("ab") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "server.cli", "serve", "--config", str(folder / "crossdock.toml"),
            env=environ, stdout=asyncio.subprocess.PIPE, stderr=out,
        )  # fmt: skip
    return Process(process, port, log)


@contextlib.asynccontextmanager
async def running(folder: Path, config: str) -> AsyncIterator[Process]:
    """Ready, and dead in the end whatever happens."""
    made = await _start(folder, config, free_port())
    try:
        assert made.process.stdout is not None
        async with asyncio.timeout(30):
            said = await made.process.stdout.readline()
        assert said == f"Crossdock is ready: {made.url}/graphiql\n".encode(), made.log.read_text()
        yield made
    finally:
        with contextlib.suppress(ProcessLookupError):
            made.process.kill()
        await made.process.wait()


# --- how it ends


async def test_ctrl_c_ends_it_cleanly(tmp_path: Path) -> None:
    async with running(tmp_path, STORE) as server:
        status, seconds = await server.stop(signal.SIGINT)
        assert status == 0
        assert seconds < 3
    said = server.log.read_text().splitlines()
    assert said[1] == "No [auth] in the configuration: everybody on this machine may ask (loopback only)."
    assert [line["event"] for line in server.lines] == ["server.started", "server.stopping", "server.stopped"]
    assert list(server.lines[0]) == ["timestamp", "level", "event", "address", "integrations"]


async def test_it_stops_in_time_with_open_streams_and_a_vendor_that_hangs(tmp_path: Path) -> None:
    world = World()
    vendor = traccar.create(world)
    async with vendors(vendor) as url:
        config = STORE + TWO_ORGANISATIONS + KEYS + fleet(f"{url}/traccar", socket=False)
        async with running(tmp_path, config) as server, httpx.AsyncClient(base_url=server.url, timeout=20) as http:
            vendor.faults.delay_ms = 3_000
            query = "subscription { vehicleChanged { name } }"
            protocol = websockets.Subprotocol("graphql-transport-ws")
            async with websockets.connect(
                f"ws://127.0.0.1:{server.port}/graphql", subprotocols=[protocol], proxy=None
            ) as open_socket:
                await open_socket.send(json.dumps({"type": "connection_init", "payload": ASK_NORTH}))
                assert json.loads(await open_socket.recv()) == {"type": "connection_ack"}
                message = {"type": "subscribe", "id": "1", "payload": {"query": query}}
                await open_socket.send(json.dumps(message))
                asking = asyncio.create_task(
                    http.post("/graphql", json={"query": "{ geofences { nodes { id } } }"}, headers=ASK_NORTH)
                )
                before = vendor.faults.total_calls()
                await eventually(lambda: vendor.faults.total_calls() > before)
                status, seconds = await server.stop(signal.SIGTERM)
                assert (status, (await asking).status_code) == (0, 503)
                assert seconds < 5
            events = [line["event"] for line in server.lines]
            assert events[0] == "server.started"
            assert events[-2:] == ["server.stopping", "server.stopped"]
            assert "Traceback" not in server.log.read_text()
            vendor.faults.delay_ms = 0


async def test_a_delivery_that_was_acknowledged_outlives_a_kill_and_is_applied_once(tmp_path: Path) -> None:
    """Killed between the acknowledgement and the work; started again on the same file."""
    world = World()
    vendor = uber.create(world)
    now = world.now()
    trip = next(each.id for each in world.bookings.at(now) if each.state_at(now).status == "in_progress")
    gate = asyncio.Event()

    async def wait_at_the_gate(_: float) -> None:
        await gate.wait()

    def fetched() -> int:
        calls = vendor.faults.calls.items()
        return sum(count for (_, path), count in calls if path.startswith("/v1/guests/trips/"))

    def hold_the_trip() -> None:
        vendor.faults.calls.clear()
        vendor.faults.fail_next[:] = [Failure(delay_s=1, path=f"/trips/{trip}")]

    vendor.faults.sleep = wait_at_the_gate
    delivery = notice(trip, "e-1", event_time=int(now.timestamp()) + 60)
    async with vendors(vendor) as url:
        # the safety net polls once, at the first start
        config = STORE + TWO_ORGANISATIONS + KEYS
        config += rides(f"{url}/uber").replace("requests_per_hour", "active_poll_seconds = 86400\nrequests_per_hour")
        async with running(tmp_path, config) as first, asking(first) as http:
            await until(http, "crossdock_last_event_timestamp_seconds{")
            hold_the_trip()
            assert (await http.post("/webhooks/rides", **delivery)).status_code == 200
            await eventually(lambda: fetched() == 1)
            first.process.kill()
            assert await first.process.wait() == -signal.SIGKILL
        hold_the_trip()
        async with (
            running(tmp_path, config) as second,
            httpx.AsyncClient(base_url=second.url, headers=ASK_NORTH) as http,
        ):
            await eventually(lambda: fetched() == 1)
            heard: list[str] = []

            async def listen() -> None:
                query = "subscription { bookingChanged { source { externalId } } }"
                accept = {"Accept": "text/event-stream"}
                async with http.stream("POST", "/graphql", json={"query": query}, headers=accept, timeout=60) as stream:
                    async for line in stream.aiter_lines():
                        if line.startswith("data: {"):
                            heard.append(json.loads(line[6:])["data"]["bookingChanged"]["source"]["externalId"])

            listening = asyncio.create_task(listen())
            await eventually(lambda: trip in heard)  # as it was before the delivery
            assert "crossdock_inbox_pending 1.0" in (await http.get("/metrics")).text
            gate.set()
            await eventually(lambda: heard.count(trip) == 2)
            await until(http, "crossdock_inbox_pending 0.0")
            assert (await http.post("/webhooks/rides", **delivery)).status_code == 200, "it comes once more"
            await http.post("/webhooks/rides", **notice(trip, "e-2", event_time=int(now.timestamp()) + 90))
            await eventually(lambda: heard.count(trip) == 3)
            assert fetched() == 2
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


def asking(server: Process) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=server.url, headers=ASK_NORTH)


async def until(http: httpx.AsyncClient, number: str) -> None:
    """Waits until the metrics have the text."""
    async with asyncio.timeout(20):
        while number not in (await http.get("/metrics")).text:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


# --- how it does not start


async def _refused(folder: Path, config: str, port: int | None = None) -> str:
    """What a server says that does not start."""
    made = await _start(folder, config, port or free_port())
    async with asyncio.timeout(30):
        assert await made.process.wait() == 2
    said = made.log.read_text()
    assert "Traceback" not in said
    return said


async def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert await _refused(tmp_path, STORE, port) == (
            f"port {port} of 127.0.0.1 is taken by another program (or by another Crossdock); stop it, "
            "write another [server] port, or set CROSSDOCK_PORT\n"
        )


async def test_a_store_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said = await _refused(tmp_path, f'[store]\nurl = "sqlite:///{tmp_path}/file/crossdock.db"\n')
    assert said.startswith("the database cannot be opened: ")
    assert f"({tmp_path}/file/crossdock.db); make its folder one that this user may write" in said


async def test_a_database_server_that_is_away_is_told_without_its_password(tmp_path: Path) -> None:
    said = await _refused(tmp_path, '[store]\nurl = "postgresql://ann:hidden@127.0.0.1:1/x"\n')
    assert said.startswith("the database cannot be opened: ")
    assert "start the database" in said
    assert "hidden" not in said


async def test_a_wrong_configuration_is_told(tmp_path: Path) -> None:
    said = await _refused(tmp_path, STORE + "[server]\nhots = 'x'\n")
    assert "crossdock.toml:5: server.hots: there is no such key; write host" in said


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.EACCES, "denied"), "port 80 may only be opened by the system's administrator; write another"),
        (socket.gaierror(-2, "unknown"), "fleet.local is no address of this machine; write another [server] host"),
        (OSError(errno.EADDRNOTAVAIL, "no"), "fleet.local is no address of this machine"),
        (OSError(errno.EMFILE, "Too many open files"), "cannot listen on port 80 of fleet.local (Too many open files)"),
    ],
)
def test_why_a_port_cannot_be_had_is_told_in_words(error: OSError, said: str) -> None:
    assert serving._why_not(error, "fleet.local", 80).startswith(said)


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux ends dead connections so")
def test_a_client_that_neither_reads_nor_acknowledges_is_gone_after_a_minute() -> None:
    listening = serving.bind(ServerSettings(port=free_port()))
    with listening, socket.create_connection(listening.getsockname()) as client:
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 60_000
        assert client.getpeername() == listening.getsockname()


def test_how_long_sockets_and_deliveries_are_waited_for_and_kept_is_a_setting(tmp_path: Path) -> None:
    path = tmp_path / "crossdock.toml"
    path.write_text("[server]\nconnection_init_seconds = 3\n[store]\ninbox_retention_days = 0.5\n")
    settings = load(path, {})
    assert (settings.server.connection_init_seconds, settings.store.inbox_retention_days) == (3, 0.5)
    path.write_text("[server]\nconnection_init_seconds = 0\n[store]\ninbox_retention_days = 'x'\n")
    with pytest.raises(SettingsError) as caught:
        load(path, {})
    assert [fault.removeprefix(f"{tmp_path}/") for fault in caught.value.faults] == [
        "crossdock.toml:2: server.connection_init_seconds: must be a number > 0.0; "
        "write seconds above 0, like 10 instead",
        "crossdock.toml:4: store.inbox_retention_days: must be a number, not a text; "
        "write days above 0, like 7 instead",
    ]
