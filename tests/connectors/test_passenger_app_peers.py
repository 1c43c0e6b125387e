"""The connector's sign-in against a real OAuth2 server (npm `oidc-provider`); its trips come from the stand-in.

The server's packages are installed once, below `$CROSSDOCK_PEERS_DIR` (default `var/peers`). Where that cannot be done
the test is skipped, or fails when `CROSSDOCK_REQUIRE_SERVICES=1`.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.kit.errors import AuthFailed, VendorDown
from connectors.kit.http import real_transport
from connectors.kit.integration import Integration, Secret
from connectors.kit.services import MemoryTokens, Services
from connectors.passenger_app import PassengerApp
from sandbox import uber
from sandbox.world import World
from tests.connectors.contract import FakeClock
from unified.values import System

pytestmark = [pytest.mark.peers, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "tests" / "peers" / "oidc"
CLIENT_ID = "crossdock-peer"


def _unavailable(reason: str) -> None:
    if os.environ.get("CROSSDOCK_REQUIRE_SERVICES") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def _installed() -> Path:
    """A folder with the server and its packages as locked; made when there is none."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise RuntimeError("node and npm are not installed")
    peers = Path(os.environ.get("CROSSDOCK_PEERS_DIR") or ROOT / "var" / "peers")
    version = hashlib.sha256((SOURCE / "package-lock.json").read_bytes()).hexdigest()[:12]
    place = peers / f"oidc-{version}"
    mark = place / "complete"
    if not mark.exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(SOURCE / name, place / name)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=240, check=False)
        if done.returncode:
            raise RuntimeError(f"npm ci failed: {done.stderr.strip()[-500:]}")
        mark.touch()
    shutil.copy(SOURCE / "server.mjs", place / "server.mjs")
    return place


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Peer:
    place: Path
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    port: int = 0
    process: asyncio.subprocess.Process | None = None

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self.port = _free_port()
        told = {"PEER_PORT": str(self.port), "PEER_CLIENT_ID": CLIENT_ID, "PEER_CLIENT_SECRET": self.secret}
        self.process = await asyncio.create_subprocess_exec(
            "node",
            "server.mjs",
            cwd=self.place,
            env={"PATH": os.environ["PATH"], "PEER_TOKEN_SECONDS": "600", **told},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert self.process.stdout is not None
        async with asyncio.timeout(30):
            while True:
                line = await self.process.stdout.readline()
                assert line, "the server ended by itself"
                if b'"ready":true' in line:
                    return

    async def stop(self) -> None:
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        await self.process.wait()
        self.process._transport.close()  # type: ignore[attr-defined]
        self.process = None

    async def active(self, token: str) -> dict[str, Any]:
        """What the server itself says of a token."""
        form = {"token": token, "client_id": CLIENT_ID, "client_secret": self.secret}
        async with httpx.AsyncClient() as client:
            told: dict[str, Any] = (await client.post(f"{self.issuer}/token/introspection", data=form)).json()
        return told


@pytest.fixture(scope="module")
def place() -> Path:
    try:
        return _installed()
    except (RuntimeError, subprocess.SubprocessError, OSError) as error:
        _unavailable(f"the OAuth2 server could not be installed: {error}")
        raise


@pytest.fixture
async def peer(place: Path) -> AsyncIterator[Peer]:
    made = Peer(place)
    await made.start()
    yield made
    await made.stop()


class Bridge(httpx.AsyncBaseTransport):
    """Tokens from the real server over TCP, trips from the stand-in in process, which takes the server's word
    for whether a token is good."""

    def __init__(self, peer: Peer, clock: FakeClock) -> None:
        self.peer, self.real = peer, real_transport()
        self.standin = uber.create(World(clock.now))
        self.inner = httpx.ASGITransport(app=self.standin.app)
        self.token_calls = 0
        self.standin_token = ""
        self.refuse: set[str] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.port == self.peer.port:
            self.token_calls += 1
            return await self.real.handle_async_request(request)
        given = request.headers["authorization"].removeprefix("Bearer ")
        if given in self.refuse or not (await self.peer.active(given))["active"]:
            body = httpx.ByteStream(b'{"message": "Authorization failed.", "code": "unauthorized"}')
            return httpx.Response(401, stream=body)
        if not self.standin_token:
            form = {"grant_type": "client_credentials", "scope": uber.SCOPE}
            form |= {"client_id": uber.CLIENT_ID, "client_secret": uber.CLIENT_SECRET}
            async with httpx.AsyncClient(transport=self.inner, base_url="http://vendor") as client:
                self.standin_token = (await client.post("/oauth/v2/token", data=form)).json()["access_token"]
        request.headers["authorization"] = f"Bearer {self.standin_token}"
        return await self.inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self.real.aclose()


@dataclass
class Bench:
    peer: Peer
    clock: FakeClock
    bridge: Bridge
    tokens: MemoryTokens

    def connector(self, secret: str | None = None) -> PassengerApp:
        return PassengerApp(
            Integration(
                key="uber",
                system=System.PASSENGER_APP,
                base_url="http://vendor",
                credentials={"client_id": Secret(CLIENT_ID), "client_secret": Secret(secret or self.peer.secret)},
                settings={"token_url": f"{self.peer.issuer}/token"},
            ),
            Services(transport=self.bridge, clock=self.clock, tokens=self.tokens),
        )


@pytest.fixture
async def bench(peer: Peer) -> AsyncIterator[Bench]:
    clock = FakeClock()
    made = Bench(peer, clock, Bridge(peer, clock), MemoryTokens())
    yield made
    await made.bridge.aclose()


async def test_a_real_server_gives_a_token_that_it_knows_again(bench: Bench) -> None:
    connector = bench.connector()
    assert await connector.check() == "Uber Guest Rides v1"
    told = await bench.peer.active(await connector.auth.current())
    assert (told["active"], told["client_id"], told["scope"]) == (True, CLIENT_ID, "guests.trips")
    assert told["exp"] - told["iat"] == 600
    assert bench.bridge.token_calls == 1


async def test_a_token_is_renewed_a_minute_before_it_ends_and_shared(bench: Bench) -> None:
    first, second = bench.connector(), bench.connector()
    await first.check()
    await second.check()
    old = await first.auth.current()
    bench.clock.passed += 539
    assert await first.auth.current() == old
    bench.clock.passed += 2
    await first.check()
    await second.check()
    assert await first.auth.current() == await second.auth.current() != old
    assert bench.bridge.token_calls == 2


async def test_a_token_that_is_refused_is_renewed_once_under_many_calls(bench: Bench) -> None:
    connector = bench.connector()
    await connector.check()
    bench.bridge.refuse.add(await connector.auth.current())
    cars = await asyncio.gather(*(connector.read_vehicles([]) for _ in range(20)), connector.check())
    assert len(cars) == 21
    assert bench.bridge.token_calls == 2


async def test_a_wrong_secret_is_told_clearly_and_without_it(bench: Bench) -> None:
    with pytest.raises(AuthFailed) as caught:
        await bench.connector("wrong-4711").check()
    assert caught.value.message == "the token endpoint refused the client credentials (invalid_client)"
    assert (caught.value.status, caught.value.code) == (401, "ERR_OAUTH_INVALID")
    assert "4711" not in f"{caught.value!r} {caught.value.__dict__}"


async def test_a_server_that_is_gone_is_an_outage_and_comes_back(bench: Bench) -> None:
    await bench.peer.stop()
    connector = bench.connector()
    with pytest.raises(VendorDown) as caught:
        await connector.check()
    assert not isinstance(caught.value, AuthFailed)
    assert json.dumps(caught.value.message).count(bench.peer.secret) == 0
