"""GT02 and GT06 trackers in the world's trucks. They are no server: they connect to ours and drive.

Written from the vendors' protocol documents. `server` is where they connect to; without one they stay silent. Each
logs in, tells its place every 10 s (30 s when it stands) and a heartbeat every minute, and reports overspeed; every
fourth speaks GT02, every fourth GT06 over UDP, and some have a local clock that their login tells. A tracker whose
login is not answered tries three times, then connects anew.

Faults of the control endpoint, per frame (`method` is LOGIN, LOCATION, HEARTBEAT or ALARM, `path` an IMEI):

    {"half_body": true}     the frame comes in two segments
    {"drop": true}          half a frame, then the connection is gone
    {"delay_ms": 60000}     silence
    {"status": 400, "body": "garbage"}   also "bad-crc", "wrong-length", "imei" (a login with another IMEI)

`down` silences all trackers, `close_sockets` ends their connections. `GET /gt02/trackers` shows how each is doing.

Not simulated: photos, OBD, Wi-Fi and cell-only frames, commands from the server.
"""

import asyncio
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from sandbox.gt02.line import Line
from sandbox.gt02.trackers import Device, Tracker, build
from sandbox.standin import Faults, StandIn
from sandbox.world import World

__all__ = ["Device", "Gt02StandIn", "Tracker", "build", "create"]


class Gt02StandIn(StandIn):
    """`devices` by IMEI."""

    def __init__(self, world: World, *, target: tuple[str, int] | None, tick_s: float) -> None:
        app = Starlette(routes=[Route("/trackers", self._show)])
        super().__init__("gt02", app, Faults(clock=world.now))
        self.trackers = build(world)
        self.devices = {each.imei: Device(world, each) for each in self.trackers}
        self.target, self._tick_s = target, tick_s
        self._lines: list[Line] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.faults.when_sockets_close(self._drop_all)
        self.faults.when_sessions_expire(self._drop_all)

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where the trackers connect to."""
        if self.target is None:
            return ()
        host, port = self.target
        return (f"trackers that connect to {host}:{port}",)

    async def start(self) -> None:
        if self.target is None:
            return
        self._lines = [Line(device, self.target, self.faults, tick_s=self._tick_s) for device in self.devices.values()]
        self._tasks = [asyncio.create_task(line.run()) for line in self._lines]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        self._lines.clear()

    def _drop_all(self) -> None:
        for line in self._lines:
            line.drop()

    async def _show(self, request: Request) -> JSONResponse:
        return JSONResponse(
            [
                {
                    "imei": tracker.imei,
                    "speech": tracker.speech,
                    "vehicle": tracker.vehicle.key,
                    "loggedIn": device.logged_in,
                    "sent": device.serial,
                    "answered": device.answered,
                    "wrongAnswers": device.wrong_answers,
                }
                for tracker, device in zip(self.trackers, self.devices.values(), strict=True)
            ]
        )


def create(world: World, *, server: tuple[str, int] | None = None, tick_s: float = 1.0, **_options: Any) -> Gt02StandIn:
    """`server`: address and port to connect to; `tick_s`: seconds between two looks at what is to be sent."""
    return Gt02StandIn(world, target=server, tick_s=tick_s)
