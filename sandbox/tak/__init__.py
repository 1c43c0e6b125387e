"""Stand-in of a TAK server: its REST and its CoT stream, each on a TLS port of its own.

Both ports want a client certificate. At the first start a small CA and the certificates are made below the state
directory, and used again as long as they are good:

    <state_dir>/tak/ca.pem        CA: the client's `ca_file`
    <state_dir>/tak/client.pem    the client's certificate
    <state_dir>/tak/client.key    its private key
    <state_dir>/tak/server.pem, server.key

The mission "Depot guard Abuja" has the password `sandbox-mission`. Mission changes are pushed to every connection,
where a real server only pushes to those that subscribed. In a test the REST application answers through `app` without
TLS and so without authentication.
"""

import tempfile
from pathlib import Path
from typing import Any

from starlette.applications import Starlette

from sandbox.serving import Listener
from sandbox.standin import Faults, StandIn
from sandbox.tak import certificates
from sandbox.tak.certificates import Certificates
from sandbox.tak.rest import ERRORS, MISSION_PASSWORD, Rest
from sandbox.tak.stream import CotServer
from sandbox.world import World

__all__ = ["MISSION_PASSWORD", "TakStandIn", "create"]

DOWN = "<!doctype html>\n<html lang=en><title>503 Service Unavailable</title><h1>Service Unavailable</h1></html>\n"


class TakStandIn(StandIn):
    """Ports that are null are not opened; 0 takes a free one. `files` are known after `start`."""

    def __init__(
        self,
        world: World,
        *,
        rest_port: int | None,
        stream_port: int | None,
        host: str,
        state_dir: Path | None,
        tick_s: float,
        protobuf: bool,
        quirks: bool,
    ) -> None:
        rest = Rest(world, quirks=quirks)
        app = Starlette(routes=rest.routes, exception_handlers=dict(ERRORS))
        super().__init__("tak", app, Faults(down_body=DOWN, clock=world.now), mounted=False)
        self.logins = 0
        """Always 0: a certificate is shown anew with each connection, there is no session."""
        self.stream = CotServer(world, tick_s=tick_s, offer=protobuf)
        self.stream.refuses = lambda: self.faults.down
        self.faults.when_sockets_close(self.stream.drop_all)
        self.faults.when_sessions_expire(lambda: None)
        self.files: Certificates | None = None
        self._host, self._rest_port, self._stream_port, self._state_dir = host, rest_port, stream_port, state_dir
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._listener: Listener | None = None

    @property
    def rest_port(self) -> int:
        assert self._listener is not None
        return self._listener.port

    @property
    def addresses(self) -> tuple[str, ...]:
        host = f"[{self._host}]" if ":" in self._host else self._host
        found = [f"https://{host}:{self.rest_port}"] if self._listener is not None else []
        if self.files is not None and self._stream_port is not None:
            found.append(f"tls://{host}:{self.stream.port}")
        return tuple(found)

    async def start(self) -> None:
        if self._rest_port is None and self._stream_port is None:
            return
        if self._state_dir is None:
            self._scratch = tempfile.TemporaryDirectory(prefix="crossdock-tak-")
        folder = self._state_dir or Path(self._scratch.name if self._scratch else "")
        self.files = certificates.ensure(folder, self._host)
        if self._stream_port is not None:
            await self.stream.start(self._host, self._stream_port, self.files)
        if self._rest_port is not None:
            context = certificates.server_context(self.files)
            listener = Listener(
                self.app,
                self._host,
                self._rest_port,
                ssl_certfile=str(self.files.server),
                ssl_context_factory=lambda config, default: context,
            )
            await listener.start()
            self._listener = listener

    async def stop(self) -> None:
        if self._listener is not None:
            await self._listener.stop()
            self._listener = None
        await self.stream.stop()
        self.files = None
        if self._scratch is not None:
            self._scratch.cleanup()
            self._scratch = None


def create(
    world: World,
    *,
    rest_port: int | None = None,
    stream_port: int | None = None,
    host: str = "127.0.0.1",
    state_dir: Path | str | None = None,
    tick_s: float = 2.0,
    protobuf: bool = True,
    quirks: bool = True,
    **_options: Any,
) -> TakStandIn:
    """`tick_s`: seconds between the units' reports; `protobuf`: offer the TAK protocol; `quirks`: see `rest`."""
    return TakStandIn(
        world,
        rest_port=rest_port,
        stream_port=stream_port,
        host=host,
        state_dir=None if state_dir is None else Path(state_dir),
        tick_s=tick_s,
        protobuf=protobuf,
        quirks=quirks,
    )
