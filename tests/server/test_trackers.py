"""Trackers through the whole server: answered when their data is safe, shown, and known again after a restart."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from connectors.gt02 import Trackers
from connectors.gt02.frames import answer
from connectors.kit.protocols import Raw
from sandbox.gt02 import frames as device
from tests.connectors.contract import NOW
from tests.connectors.gt02_rig import IMEI, location
from tests.server.configs import STORE
from tests.server.rig import Served, eventually, served

CONFIG = f"""{STORE}
[[integrations]]
key = "trackers"
system = "gt02"
[integrations.settings]
port = 0
devices = [{{ imei = "{IMEI}", plate = "KJA 123 AB" }}]
"""
QUERY = "{ vehicles(first: 5) { nodes { plate connectivity position { latitude recordedAt } } } }"


async def connected(running: Served) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    connector = running.parts.organisations["default"].handles["trackers"].connector
    assert isinstance(connector, Trackers)
    await eventually(lambda: connector.listener is not None)
    assert connector.listener is not None
    return await asyncio.open_connection("127.0.0.1", connector.listener.port)


async def logged_in(running: Served) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await connected(running)
    writer.write(device.login(IMEI, 1))
    assert await reader.readexactly(10) == answer(0x01, 1)
    return reader, writer


async def test_a_place_is_answered_when_it_is_kept_and_known_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = {
        "plate": "KJA 123 AB",
        "connectivity": "ONLINE",
        "position": {"latitude": 11_617_380 / 60 / 30000, "recordedAt": NOW.isoformat().replace("+00:00", "Z")},
    }
    async with served(CONFIG, tmp_path) as running:
        reader, writer = await logged_in(running)
        await eventually(lambda: running.number("crossdock_events_ingested_total", integration="trackers") == 1)
        ingest, kept = running.parts.ingest, asyncio.Event()
        accept, bodies = ingest.accept, list[bytes]()

        async def slowly(organisation: str, integration: str, raws: Sequence[Raw]) -> Any:
            bodies.extend(raw.payload.body for raw in raws)
            await kept.wait()
            return await accept(organisation, integration, raws)

        monkeypatch.setattr(ingest, "accept", slowly)
        writer.write(location() + answer(0x8A, 7))
        await eventually(lambda: location() in bodies)
        clock = await reader.readexactly(16)
        assert clock[3] == 0x8A, "the place came first and is not answered, for it is not kept yet"
        kept.set()
        assert await reader.readexactly(10) == answer(0x22, 2)
        assert (await running.data(QUERY))["vehicles"]["nodes"] == [shown]
        await eventually(lambda: running.number("crossdock_events_ingested_total", integration="trackers") >= 2)
        writer.transport.abort()
    async with served(CONFIG, tmp_path) as again:
        assert (await again.data(QUERY))["vehicles"]["nodes"] == [shown]
        reader, writer = await logged_in(again)
        writer.transport.abort()


async def test_the_very_first_frame_is_answered_when_it_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(CONFIG, tmp_path) as running:
        ingest, kept, asked = running.parts.ingest, asyncio.Event(), asyncio.Event()
        accept = ingest.accept

        async def slowly(*given: Any) -> Any:
            asked.set()
            await kept.wait()
            return await accept(*given)

        monkeypatch.setattr(ingest, "accept", slowly)
        reader, writer = await connected(running)
        writer.write(device.gt02(0x1A, IMEI, b"\1\0", 1, voltage=5, gsm=4))
        async with asyncio.timeout(5):
            await asked.wait()
        assert not reader._buffer  # type: ignore[attr-defined]
        kept.set()
        assert await reader.readexactly(5) == b"\x54\x68\x1a\r\n"
        writer.transport.abort()
