"""Our way of running uvicorn: quiet, with connections that can be cut, and stoppable from within."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from sandbox.standin import CONNECTION


class CuttableProtocol(HttpToolsProtocol):
    """Lets an app close its connection, through an ASGI extension."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        ways: dict[str, Callable[[], None]] = {"close": self.transport.close, "abort": self.transport.abort}
        extensions: dict[str, Any] = {CONNECTION: ways}
        self.scope["extensions"] = extensions


class DecliningProtocol(WebSocketsSansIOProtocol):
    """A handshake that is declined with a status is answered. uvicorn takes it for one that was forgotten, and logs an
    error of the application for each try of a client whose vendor is down."""

    async def send(self, message: Any) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            self.handshake_complete = True


def quiet_config(app: ASGIApp, host: str, port: int, **more: Any) -> uvicorn.Config:
    """`more` goes to `uvicorn.Config`: `ssl_keyfile`, `ssl_certfile`, `ssl_ca_certs`, `ssl_cert_reqs`, ..."""
    settings: dict[str, Any] = {
        "log_level": "warning",
        "access_log": False,
        "http": CuttableProtocol,
        "ws": DecliningProtocol,
        "timeout_graceful_shutdown": 2,
    }
    return uvicorn.Config(app, host=host, port=port, **settings | more)


class Server(uvicorn.Server):
    """Leaves signals alone unless told; says when its port is open."""

    def __init__(self, config: uvicorn.Config, when_ready: Callable[[int], None] | None = None) -> None:
        super().__init__(config)
        self._when_ready = when_ready

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self._when_ready:
            self._when_ready(self.port)

    @property
    def port(self) -> int:
        """The one it really listens on; matters when 0 was asked for."""
        return int(self.servers[0].sockets[0].getsockname()[1])

    def stop_on_signals(self) -> None:
        """The first SIGINT or SIGTERM asks it to end, the second insists."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._end)

    def _end(self) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True


class Listener:
    """A server in the background, for stand-ins that need a port of their own."""

    def __init__(self, app: ASGIApp, host: str, port: int, **more: Any) -> None:
        self._server = Server(quiet_config(app, host, port, lifespan="off", **more))
        self._task: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        return self._server.port

    async def start(self) -> None:
        """Returns when the port is open. Raises RuntimeError when it cannot be had."""
        ready = asyncio.Event()
        self._server._when_ready = lambda port: ready.set()
        task = self._task = asyncio.create_task(self._serve())
        opened = asyncio.create_task(ready.wait())
        await asyncio.wait({task, opened}, return_when=asyncio.FIRST_COMPLETED)
        opened.cancel()
        if task.done():
            self._task = None
            await task

    async def _serve(self) -> None:
        try:
            await self._server.serve()
        except SystemExit as exc:
            config = self._server.config
            raise RuntimeError(f"cannot listen on {config.host}:{config.port}") from exc

    async def stop(self) -> None:
        if self._task is not None:
            self._server.should_exit = True
            task, self._task = self._task, None
            await task
