"""The connector against the real OctoPrint with its own virtual printer.

OctoPrint is installed into an environment of its own, below `$CROSSDOCK_PEERS_DIR` (default `var/peers`), once.
Where that cannot be done the test is skipped, or fails when `CROSSDOCK_REQUIRE_SERVICES=1`.
"""

import asyncio
import contextlib
import hashlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from connectors.equipment import CONNECTOR, EquipmentConnector
from connectors.kit.errors import AuthFailed
from connectors.kit.integration import Integration, Secret
from connectors.kit.protocols import Raw
from connectors.kit.services import Services
from unified.events import Changed
from unified.queries import EquipmentFilter, ListQuery
from unified.records import Equipment, EquipmentState
from unified.values import System

pytestmark = [pytest.mark.peers, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
REQUIREMENTS = ROOT / "tests" / "peers" / "octoprint" / "requirements.txt"
FILE = "bracket_PRT-10042_r2.gcode"
GCODE = "\n".join(
    ["M104 S60", "G28", "G92 E0", *(f"G1 X{10 + step % 40} Y{10 + step // 40} F600" for step in range(200)), "M104 S0"]
)


def _unavailable(reason: str) -> None:
    if os.environ.get("CROSSDOCK_REQUIRE_SERVICES") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def _run(*command: str, seconds: float) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    if done.returncode:
        raise RuntimeError(f"{Path(command[0]).name} {command[1]} failed: {done.stderr.strip()[-500:]}")


def _installed() -> Path:
    """The `octoprint` command of an environment that fits the requirements; made when there is none."""
    peers = Path(os.environ.get("CROSSDOCK_PEERS_DIR") or ROOT / "var" / "peers")
    version = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    place = peers / f"octoprint-{version}-py{sys.version_info.major}{sys.version_info.minor}"
    command, mark = place / "bin" / "octoprint", place / "complete"
    if mark.exists() and command.exists():
        return command
    shutil.rmtree(place, ignore_errors=True)
    peers.mkdir(parents=True, exist_ok=True)
    _run(sys.executable, "-m", "venv", str(place), seconds=120)
    python = str(place / "bin" / "python")
    uv = shutil.which("uv")
    installer = [uv, "pip", "install", "--python", python] if uv else [python, "-m", "pip", "install"]
    _run(*installer, "-q", "-r", str(REQUIREMENTS), seconds=480)
    mark.touch()
    return command


@dataclass
class Peer:
    """One OctoPrint, that can be ended and started again on the same port."""

    command: Path
    base: Path
    port: int
    key: str
    process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def configure(self) -> None:
        switched_off = (
            "discovery, announcements, tracking, softwareupdate, pluginmanager, achievements, errortracking, backup"
        )
        self.base.mkdir(parents=True, exist_ok=True)
        (self.base / "config.yaml").write_text(
            f"api:\n  key: {self.key}\n"
            f"plugins:\n  virtual_printer:\n    enabled: true\n  _disabled: [{switched_off}]\n"
            "server:\n  firstRun: false\n  onlineCheck:\n    enabled: false\n"
        )
        password = secrets.token_hex(12)
        _run(
            str(self.command), "--basedir", str(self.base), "user", "add", "tester", "--password", password, "--admin",
            seconds=60,
        )  # fmt: skip

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            str(self.command), "serve", "--basedir", str(self.base), "--host", "127.0.0.1",
            "--port", str(self.port), "--iknowwhatimdoing",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        async with httpx.AsyncClient(base_url=self.url, headers={"X-Api-Key": self.key}) as client:
            async with asyncio.timeout(90):
                while True:
                    assert self.process.returncode is None, "OctoPrint ended by itself"
                    with contextlib.suppress(httpx.HTTPError):
                        if (await client.get("/api/version")).status_code == 200:
                            return
                    await asyncio.sleep(0.2)

    async def kill(self) -> None:
        if self.process is not None:
            process, self.process = self.process, None
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            async with asyncio.timeout(30):
                await process.wait()

    async def post(self, path: str, **body: object) -> None:
        async with httpx.AsyncClient(base_url=self.url, headers={"X-Api-Key": self.key}, timeout=20) as client:
            answer = await client.post(path, json=body)
            assert answer.status_code == 204, answer.text

    def log(self) -> str:
        return (self.base / "logs" / "octoprint.log").read_text()

    async def logged(self, times: int, text: str) -> None:
        async with asyncio.timeout(30):
            while self.log().count(text) < times:  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    async def upload(self, *, print_it: bool) -> None:
        async with httpx.AsyncClient(base_url=self.url, headers={"X-Api-Key": self.key}, timeout=20) as client:
            answer = await client.post(
                "/api/files/local", files={"file": (FILE, GCODE.encode())}, data={"print": str(print_it).lower()}
            )
            assert answer.status_code == 201, answer.text


@pytest.fixture
async def peer(tmp_path: Path) -> AsyncIterator[Peer]:
    try:
        command = _installed()
    except (RuntimeError, OSError, subprocess.TimeoutExpired) as fault:
        _unavailable(f"OctoPrint cannot be installed here: {fault}")
        raise
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    found = Peer(command, tmp_path / "octoprint", port, secrets.token_hex(16).upper())
    found.configure()
    yield found
    await found.kill()


def _connector(peer: Peer, key: str | None = None) -> EquipmentConnector:
    return CONNECTOR(
        Integration(
            key="workshop",
            system=System.EQUIPMENT,
            credentials={"printer": Secret(key or peer.key)},
            settings={
                "machines": [{"id": "virtual", "name": "Virtual", "url": peer.url, "api_key": "printer"}],
                "push_seconds": 0.5,
            },
            deadline_seconds=5,
        ),
        Services(),
    )


async def _until(
    connector: EquipmentConnector, stream: AsyncIterator[Raw], wanted: Callable[[Equipment], bool]
) -> list[Equipment]:
    """All that the stream tells up to and including the first that is wanted."""
    seen: list[Equipment] = []
    async with asyncio.timeout(120):
        while True:
            for event in await connector.events(await anext(stream)):
                assert isinstance(event, Changed)
                assert isinstance(event.record, Equipment)
                seen.append(event.record)
                if wanted(event.record):
                    return seen


async def _listed(connector: EquipmentConnector) -> Equipment:
    (found,) = (await connector.list_equipment(ListQuery(filter=EquipmentFilter()), None)).records
    return found


async def test_a_print_from_beginning_to_end_an_outage_and_its_end(peer: Peer) -> None:
    await peer.start()
    connector = _connector(peer)
    stream = connector.stream()
    try:
        async with contextlib.aclosing(stream):  # type: ignore[type-var]
            assert await connector.check() == "OctoPrint 1.11.8 (virtual)"
            off = await _listed(connector)
            assert (off.state, off.source.stale, off.error_message) == (EquipmentState.OFFLINE, False, None)
            (told,) = await _until(connector, stream, lambda each: True)
            assert (told.state, told.source.vendor_status) == (EquipmentState.OFFLINE, off.source.vendor_status)

            await peer.post("/api/connection", command="connect", port="VIRTUAL")
            await _until(connector, stream, lambda each: each.state is EquipmentState.IDLE and each.sensors != ())
            idle = await _listed(connector)
            assert (idle.state, idle.job, idle.software) == (EquipmentState.IDLE, None, "OctoPrint 1.11.8")
            assert [(each.sensor, each.unit) for each in idle.sensors] == [("tool0", "Cel"), ("bed", "Cel")]
            assert all(each.value is not None and each.recorded_at is not None for each in idle.sensors)

            await peer.upload(print_it=True)
            await _until(
                connector,
                stream,
                lambda each: each.state is EquipmentState.RUNNING and each.job is not None and bool(each.job.progress),
            )
            running = await _listed(connector)
            assert running.state is EquipmentState.RUNNING
            assert running.job is not None
            assert (running.job.name, running.job.item_number) == (FILE, "PRT-10042")
            assert running.job.progress is not None
            assert 0 < running.job.progress <= 1
            (identity,) = [each async for each in connector.identities()]
            assert identity.number == "PRT-10042"

            seen = await _until(
                connector,
                stream,
                lambda each: each.state is EquipmentState.IDLE and each.job is not None and each.job.progress == 1,
            )
            parts = [each.job.progress for each in seen if each.job and each.job.progress is not None]
            assert parts == sorted(parts), "progress only grows"
            done = await _listed(connector)
            assert (done.state, done.job and done.job.progress) == (EquipmentState.IDLE, 1.0)

            await peer.kill()
            gone = await _listed(connector)
            assert (gone.state, gone.source.stale) == (EquipmentState.OFFLINE, True)
            assert gone.error_message is not None
            assert "cannot connect" in gone.error_message or "broke off" in gone.error_message
            assert gone.job == done.job
            (*_, lost) = await _until(connector, stream, lambda each: each.error_message is not None)
            assert lost.state is EquipmentState.OFFLINE

            await peer.start()
            back = (await _until(connector, stream, lambda each: not each.source.stale))[-1]
            assert back.error_message is None
            assert back.state in (EquipmentState.OFFLINE, EquipmentState.IDLE), "it may connect to its printer itself"
    finally:
        await connector.aclose()


async def test_a_wrong_key_is_refused_on_both_ways(peer: Peer) -> None:
    await peer.start()
    connector = _connector(peer, key="0" * 32)
    try:
        with pytest.raises(AuthFailed):
            await connector.check()
        with pytest.raises(AuthFailed):
            await connector.read_equipment(["virtual"])
        stream = connector.stream()
        async with contextlib.aclosing(stream):  # type: ignore[type-var]
            (told,) = await _until(connector, stream, lambda each: True)
            assert told.state is EquipmentState.UNKNOWN
            with pytest.raises(AuthFailed, match="CSRF"):
                async with asyncio.timeout(30):
                    await anext(stream)
    finally:
        await connector.aclose()


async def test_a_new_login_is_asked_for_and_given_on_the_same_socket(peer: Peer) -> None:
    """`reauthRequired` of the real one: the user that the key belongs to is changed."""
    await peer.start()
    user = "/api/access/users/tester"
    async with httpx.AsyncClient(base_url=peer.url, headers={"X-Api-Key": peer.key}, timeout=20) as client:
        key = (await client.post(f"{user}/apikey")).json()["apikey"]
        connector = _connector(peer, key=key)
        stream = connector.stream()
        try:
            async with contextlib.aclosing(stream):  # type: ignore[type-var]
                await _until(connector, stream, lambda each: True)
                changed = await client.put(user, json={"active": True, "permissions": ["STATUS"]})
                assert changed.status_code == 200, changed.text
                await peer.logged(2, "tester logged in on the socket")
                await peer.post("/api/connection", command="connect", port="VIRTUAL")
                await _until(connector, stream, lambda each: each.state is EquipmentState.IDLE and each.sensors != ())
                assert peer.log().count("New connection from client") == 1
        finally:
            await connector.aclose()
