"""Runs the application under uvicorn: takes the port, says when it is ready, stops cleanly and in time."""

import asyncio
import contextlib
import errno
import signal
import socket
import sys
import warnings
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import uvicorn
from starlette.applications import Starlette

from runtime.settings import ServerSettings, Settings
from runtime.store import StoreDown
from runtime.telemetry import Log
from server.app import Parts
from server.memory import tidy
from server.protocols import Connections, protocols

GRACE_SECONDS = 2.0
"""How long requests that are being answered may go on once the server is to stop."""
HARD_SECONDS = 3
"""After so many seconds (uvicorn takes whole ones) what still runs is cancelled."""
DEAD_PEER_MILLISECONDS = 60_000
"""A client that neither reads nor acknowledges for so long is gone, whatever it holds."""
_BACKLOG = 2_048
SWITCH_SECONDS = 0.0005
"""How long a thread that computes may keep the loop waiting (Python's own: ten times as long)."""
_MOST_FILES = 65_536
RESERVED = 200
"""Open files that are kept for vendors, the store and the log."""


class CannotServe(Exception):
    """The server cannot start; says what to do."""


class Server(uvicorn.Server):
    """Leaves signals to whoever runs it; tells when it begins to stop."""

    def __init__(self, config: uvicorn.Config, *, on_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_stop = on_stop

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn raises the signal again before the application has closed its parts
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_stop()
        await super().shutdown(sockets)

    def ask_to_stop(self) -> None:
        """Once: cleanly. Again: now."""
        self.force_exit = self.should_exit
        self.should_exit = True


def bind(settings: ServerSettings) -> socket.socket:
    """The listening socket. Raises `CannotServe`."""
    host, port = settings.host, settings.port
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        raise CannotServe(_why_not(error, host, port)) from None
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; connections inherit it
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_PEER_MILLISECONDS)
    return listening


def descriptors() -> int:
    """How many files the process may have open: as many as it can get."""
    if sys.platform == "win32":
        return 8_192
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return _MOST_FILES if soft == resource.RLIM_INFINITY else soft


def _why_not(error: OSError, host: str, port: int) -> str:
    way_out = "write another [server] port, or set CROSSDOCK_PORT"
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is taken by another program (or by another Crossdock); stop it, {way_out}"
    if error.errno == errno.EACCES:
        return f"port {port} may only be opened by the system's administrator; {way_out}"
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine; write another [server] host, or set CROSSDOCK_HOST"
    return f"cannot listen on port {port} of {host} ({error.strerror}); {way_out}"


async def serve(application: Starlette, settings: Settings, *, log: Log, ready: Callable[[str], None]) -> None:
    """Runs until SIGINT or SIGTERM. `ready` is told the address. Raises `CannotServe`."""
    listening = bind(settings.server)
    parts: Parts = application.state.parts
    most = min(settings.server.connections, descriptors() - RESERVED)
    http, websocket = protocols(Connections(most, settings.server.connections_per_address))
    server = Server(
        uvicorn.Config(
            application,
            log_config=None,
            access_log=False,
            lifespan="off",  # ours is around it all: a fault of it must be told in words
            server_header=False,
            timeout_graceful_shutdown=HARD_SECONDS,
            http=http,
            ws=websocket,
            ws_max_size=settings.server.max_body_bytes,
        ),
        on_stop=lambda: parts.stop(GRACE_SECONDS),
    )
    with _signals(server.ask_to_stop):
        try:
            async with application.router.lifespan_context(application):
                if server.should_exit:
                    return
                host = f"[{settings.server.host}]" if ":" in settings.server.host else settings.server.host
                address = f"http://{host}:{settings.server.port}"
                log.info("server.started", address=address, integrations=len(parts.handles))
                serving = asyncio.create_task(server.serve(sockets=[listening]))
                while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn has no event for it
                    await asyncio.sleep(0.01)
                if server.started:
                    ready(address)
                tidying = asyncio.create_task(tidy())
                try:
                    await serving
                finally:
                    tidying.cancel()
                log.info("server.stopping")
        except StoreDown as down:
            raise CannotServe(_no_store(settings, down)) from None
        finally:
            listening.close()
    log.info("server.stopped")


def _no_store(settings: Settings, down: StoreDown) -> str:
    scheme, _, place = settings.store.url.partition("://")
    if scheme == "sqlite":
        return (
            f"{down} ({place[1:]}); make its folder one that this user may write, or write another [store] url "
            "(CROSSDOCK_DATABASE_URL)"
        )
    return f"{down}; start the database, or correct [store] url (CROSSDOCK_DATABASE_URL)"


@contextlib.contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    before = {number: signal.signal(number, lambda *_: stop()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs under uvloop where it is installed (there is none for Windows)."""
    sys.setswitchinterval(SWITCH_SECONDS)
    # a client that goes ends its operation; what graphql-core had begun of it is not worth a line in the log
    warnings.filterwarnings(
        "ignore", r"coroutine '(\w*Executor|GraphQLCoreConverter|_waited)\b.*' was never awaited", RuntimeWarning
    )
    if sys.platform == "win32":
        asyncio.run(main())
    else:
        import uvloop

        uvloop.run(main())
