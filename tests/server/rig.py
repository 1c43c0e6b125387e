"""What the server's tests share: a clock that is moved by hand, vendors behind ports, the server behind one."""

import asyncio
import contextlib
import heapq
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette

from runtime.settings import load
from runtime.settings_model import ServerSettings
from sandbox.registry import application
from sandbox.serving import Listener
from sandbox.standin import StandIn
from server.app import Parts, create_app
from server.serving import Server, bind
from tests.connectors.contract import NOW

NORTH, SOUTH = "n" * 40, "s" * 40
"""API keys of the two organisations."""


class HandClock:
    """Time passes only when a test says so; who sleeps wakes when its time has come."""

    def __init__(self, now: datetime = NOW) -> None:
        self._start = now
        self._passed = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Event]] = []
        self._number = 0

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        return 1_000.0 + self._passed

    async def sleep(self, seconds: float) -> None:
        self._number += 1
        woken = asyncio.Event()
        heapq.heappush(self._sleepers, (self._passed + seconds, self._number, woken))
        if seconds <= 0:
            woken.set()
        await woken.wait()

    @property
    def sleepers(self) -> int:
        return len(self._sleepers)

    def go_on(self, seconds: float) -> None:
        self._passed += seconds
        while self._sleepers and self._sleepers[0][0] <= self._passed:
            heapq.heappop(self._sleepers)[2].set()


@dataclass
class Lines:
    """A log that remembers. `errors` are the exceptions that it was told of."""

    lines: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def info(self, event: str, **values: object) -> None:
        self.lines.append((event, dict(values)))

    warning = error = info

    @property
    def events(self) -> list[str]:
        return [event for event, _ in self.lines]

    def of(self, event: str) -> list[dict[str, Any]]:
        return [values for name, values in self.lines if name == event]


async def eventually(holds: Callable[[], object], *, seconds: float = 10.0) -> None:
    """Waits for something that happens by itself, in another task or process."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def vendors(*stand_ins: StandIn) -> AsyncIterator[str]:
    """The stand-ins behind one port; gives its address."""
    listener = Listener(application(stand_ins), "127.0.0.1", 0)
    for each in stand_ins:
        await each.start()
    await listener.start()
    try:
        yield f"http://127.0.0.1:{listener.port}"
    finally:
        for each in stand_ins:
            each.faults.close_sockets()
            await each.stop()
        await listener.stop()


@dataclass
class Served:
    """A server behind a port of this machine."""

    app: Starlette
    server: Server
    host: str
    log: Lines
    clock: HandClock
    http: httpx.AsyncClient

    @property
    def parts(self) -> Parts:
        parts: Parts = self.app.state.parts
        return parts

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    @property
    def socket(self) -> str:
        return f"ws://{self.host}/graphql"

    async def ask(self, query: str, **headers: str) -> httpx.Response:
        return await self.http.post("/graphql", json={"query": query}, headers=headers)

    async def data(self, query: str, **headers: str) -> Any:
        answer = (await self.ask(query, **headers)).json()
        assert "errors" not in answer, answer
        return answer["data"]

    def number(self, name: str, **labels: str) -> float:
        """One of the metrics; 0 before it was counted."""
        return self.parts.metrics.registry.get_sample_value(name, labels) or 0.0


@contextlib.asynccontextmanager
async def served(
    config: str,
    folder: Path,
    *,
    environ: dict[str, str] | None = None,
    clock: HandClock | None = None,
    live: bool = True,
    transports: dict[str, httpx.AsyncBaseTransport] | None = None,
    **uvicorn_settings: Any,
) -> AsyncIterator[Served]:
    """The server of a configuration, under uvicorn as `crossdock serve` runs it, but for signals."""
    path = folder / "crossdock.toml"
    path.write_text(config)
    log, clock = Lines(), clock or HandClock()
    settings = load(path, {"NORTH": NORTH, "SOUTH": SOUTH, **(environ or {})})
    app = create_app(settings, transports=transports, live=live, clock=clock, log=log)
    listening = bind(ServerSettings(port=free_port()))
    parts: Parts = app.state.parts
    facts: dict[str, Any] = {"log_config": None, "access_log": False, "lifespan": "off", "ws": "websockets-sansio"}
    facts |= {"timeout_graceful_shutdown": 3, **uvicorn_settings}
    server = Server(uvicorn.Config(app, **facts), on_stop=lambda: parts.stop(0.1))
    host = f"127.0.0.1:{listening.getsockname()[1]}"
    async with app.router.lifespan_context(app):
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        await eventually(lambda: server.started)
        try:
            async with httpx.AsyncClient(base_url=f"http://{host}", timeout=10) as http:
                yield Served(app, server, host, log, clock, http)
        finally:
            server.should_exit = server.force_exit = True  # what is still open has been looked at
            await serving


def free_port() -> int:
    """One that nobody has just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
