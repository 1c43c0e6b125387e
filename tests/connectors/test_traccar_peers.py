"""The connector against Prism, which answers by Traccar's own API definition and refuses calls that do not fit it.

Prism is installed below `$CROSSDOCK_PEERS_DIR` (default `var/peers`), once. Where that cannot be done the test is
skipped, or fails when `CROSSDOCK_REQUIRE_SERVICES=1`.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import yaml

from connectors.kit.errors import AuthFailed
from connectors.kit.integration import Integration, Secret
from connectors.kit.services import Services
from connectors.traccar import Traccar
from tests.connectors.contract import NOW, FakeClock, Lines
from unified.queries import GeofenceFilter, ListQuery, VehicleFilter
from unified.values import System

pytestmark = [pytest.mark.peers, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
PEER = ROOT / "tests" / "peers" / "prism"
DEFINITION = ROOT / "tests" / "samples" / "traccar" / "traccar-6.14.5.openapi3.1.yaml"
TOKEN = {"token": Secret("any-token-will-do")}
PLACEHOLDER = "-9007199254740991"
"""What Prism makes of an int64."""


def _unavailable(reason: str) -> None:
    if os.environ.get("CROSSDOCK_REQUIRE_SERVICES") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def _installed() -> Path:
    """The `prism` command of an installation that fits the lock; made when there is none."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise RuntimeError("node and npm are not installed")
    peers = Path(os.environ.get("CROSSDOCK_PEERS_DIR") or ROOT / "var" / "peers")
    version = hashlib.sha256((PEER / "package-lock.json").read_bytes()).hexdigest()[:12]
    place = peers / f"prism-{version}"
    command, mark = place / "node_modules" / ".bin" / "prism", place / "complete"
    if mark.exists() and command.exists():
        return command
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(PEER / name, place)
    done = subprocess.run(
        [npm, "ci", "--no-audit", "--no-fund"], cwd=place, capture_output=True, text=True, timeout=480, check=False
    )
    if done.returncode:
        raise RuntimeError(f"npm ci failed: {done.stderr.strip()[-500:]}")
    mark.touch()
    return command


@pytest.fixture(scope="module")
def command() -> Path:
    try:
        return _installed()
    except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
        _unavailable(f"Prism cannot be installed: {error}")
        raise


@pytest.fixture
async def address(command: Path, tmp_path: Path) -> AsyncIterator[str]:
    """Prism answers below the paths of the definition, and Traccar's are below `/api`."""
    definition = yaml.safe_load(DEFINITION.read_text())
    definition["paths"] = {"/api" + path: methods for path, methods in definition["paths"].items()}
    file = tmp_path / "traccar.json"
    file.write_text(json.dumps(definition, default=str))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        str(command), "mock", "-h", "127.0.0.1", "-p", str(port), str(file),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with httpx.AsyncClient() as client, asyncio.timeout(60):
            while True:
                assert process.returncode is None, "Prism ended by itself"
                with contextlib.suppress(httpx.HTTPError):
                    if (await client.get(f"http://127.0.0.1:{port}/api/server")).status_code == 200:
                        break
                await asyncio.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@pytest.fixture
def log() -> Lines:
    return Lines()


@pytest.fixture
async def connector(address: str, log: Lines) -> AsyncIterator[Traccar]:
    made = _connector(address, TOKEN, log)
    yield made
    await made.aclose()


def _connector(address: str, credentials: dict[str, Secret], log: Lines) -> Traccar:
    integration = Integration(key="prism", system=System.TRACCAR, base_url=address, credentials=credentials)
    return Traccar(integration, Services(clock=FakeClock(), log=log))


async def test_its_calls_are_those_of_the_definition(connector: Traccar, log: Lines) -> None:
    assert await connector.check() == "Traccar string"
    page = await connector.list_vehicles(ListQuery(filter=VehicleFilter()), None)
    assert [each.source.external_id for each in page.records] == [PLACEHOLDER]
    assert page.records[0].position is not None
    assert [each async for each in connector.identities()] == []
    assert await connector.read_vehicles(["403"]) == []
    # The definition knows of one `id` only, and Prism says 400 to two: the whole list is asked for instead
    assert await connector.read_vehicles(["403", "406"]) == []
    geofences = await connector.list_geofences(ListQuery(filter=GeofenceFilter()), None)
    assert geofences.records == []
    assert log.events == ["vendor.bad_geofence"]  # its area is "string"


async def test_the_reports_are_asked_for_as_the_definition_says(connector: Traccar, log: Lines) -> None:
    raws = [each async for each in connector._missed(NOW)]
    assert [each.delivery_id for each in raws] == [f"position:{PLACEHOLDER}", f"event:{PLACEHOLDER}"]
    assert log.lines == []


async def test_unsigned_calls_are_refused(connector: Traccar) -> None:
    connector.api.auth = None
    with pytest.raises(AuthFailed, match="answered 401, auth failed"):
        await connector.list_vehicles(ListQuery(filter=VehicleFilter()), None)


async def test_basic_is_accepted_and_a_session_needs_its_cookie(address: str, log: Lines) -> None:
    user = {"password": Secret("any-password")}
    basic = _connector(address, {"username": Secret("anybody"), **user}, log)
    assert await basic.check() == "Traccar string"
    await basic.aclose()
    session = _connector(address, {"email": Secret("anybody"), **user}, log)
    with pytest.raises(AuthFailed, match="the log-in gave no session cookie"):
        await session.list_vehicles(ListQuery(filter=VehicleFilter()), None)
    await session.aclose()
