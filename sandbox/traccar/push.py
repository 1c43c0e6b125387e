"""The socket `/api/socket`: all last positions first, then what is new, and `{}` to keep it alive."""

import asyncio
import json
import math
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from starlette.websockets import WebSocket, WebSocketDisconnect

from sandbox.traccar.fleet import ARRIVAL_S

if TYPE_CHECKING:
    from sandbox.traccar.rest import Traccar

_LOOK_S: Final = 0.25
"""Real seconds after which a connection looks at the world's clock."""
_CATCH_UP_S: Final = 60
"""Most seconds of the world that are told after its clock jumped."""


class Push:
    """All connections. Frames are `{"devices": [..]}`, `{"positions": [..]}`, `{"events": [..]}`, one key each."""

    def __init__(self, traccar: "Traccar", keepalive_s: float) -> None:
        self._traccar, self._keepalive_s = traccar, keepalive_s
        self._clients: dict[WebSocket, asyncio.Event] = {}

    @property
    def connections(self) -> int:
        return len(self._clients)

    def look(self) -> None:
        """Makes every connection look at the world's clock now; for tests that move it."""
        for wake in self._clients.values():
            wake.set()

    async def send(self, frame: dict[str, Any]) -> None:
        """A frame to all, beside those that the world makes; for tests."""
        for socket in list(self._clients):
            await socket.send_text(json.dumps(frame))

    async def talk(self, socket: WebSocket) -> None:
        if self._traccar.user_of(socket) is None:
            await socket.close(1008)  # before it is accepted: the handshake answers 403
            return
        await socket.accept()
        wake = self._clients[socket] = asyncio.Event()
        telling = asyncio.create_task(self._tell(socket, wake))
        try:
            while True:
                await socket.receive_text()  # `{"logs": true}` is heard, but the sandbox has no logs to tell
        except WebSocketDisconnect:
            pass
        finally:
            del self._clients[socket]
            telling.cancel()
            with suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
                await telling

    async def _tell(self, socket: WebSocket, wake: asyncio.Event) -> None:
        fleet, world = self._traccar.fleet, self._traccar.fleet.world
        told = math.floor(world.now().timestamp() - ARRIVAL_S)
        kept_alive = world.now()
        first = [fleet.position(each, fleet.latest(each, world.now())) for each in world.vehicles]
        await socket.send_text(json.dumps({"positions": first}))
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await wake.wait()
            wake.clear()
            now = world.now()
            last = math.floor(now.timestamp() - ARRIVAL_S)
            for second in range(max(told + 1, last - _CATCH_UP_S), last + 1):
                for frame in self._frames(second):
                    await socket.send_text(json.dumps(frame))
            told = max(told, last)
            if (now - kept_alive).total_seconds() >= self._keepalive_s:
                kept_alive = now
                await socket.send_text("{}")

    def _frames(self, second: int) -> list[dict[str, Any]]:
        """As the server does: the device first, then the event, then the position."""
        fleet = self._traccar.fleet
        at = datetime.fromtimestamp(second, UTC)
        known = at + timedelta(seconds=ARRIVAL_S)
        found: list[dict[str, Any]] = []
        for vehicle in fleet.world.vehicles:
            events = fleet.events(vehicle, at, at + timedelta(seconds=1))
            report = fleet.reports_at(vehicle, second)
            if report is not None or any(each["type"] in ("deviceOnline", "deviceOffline") for each in events):
                found.append({"devices": [fleet.device(vehicle, known)]})
            found += [{"events": [each]} for each in events]
            if report is not None:
                found.append({"positions": [fleet.position(vehicle, report)]})
        return found
