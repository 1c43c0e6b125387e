"""The server and what disturbs it."""

import asyncio
import logging
from pathlib import Path
from typing import Any, Final

from asyncua import Server, ua
from asyncua.crypto.permission_rules import User, UserRole
from cryptography import x509
from starlette.applications import Starlette

from sandbox.opcua import space
from sandbox.opcua.certificates import SERVER_URI, Certificates, ensure
from sandbox.standin import Faults, StandIn
from sandbox.world import World

USER: Final = "sandbox"
PASSWORD: Final = "sandbox-opcua"
_TICK: Final = 1.0
_ORDERS: Final = (
    (space.DI, space.MACHINERY, space.OWN),
    (space.OWN, space.DI, space.MACHINERY),
    (space.MACHINERY, space.OWN, space.DI),
)


class _Users:
    """Anonymous clients, those with the right password, and those with a certificate. `seen` tells who came: a user, or
    the subject of the certificate (the application's where the user has none)."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def get_user(
        self, iserver: Any, username: str | None = None, password: str | None = None, certificate: Any = None
    ) -> User | None:
        if username is not None and (username, password) != (USER, PASSWORD):
            return None
        shown = x509.load_der_x509_certificate(certificate).subject.rfc4514_string() if certificate else "nobody"
        self.seen = [*self.seen[-99:], username or shown]
        return User(role=UserRole.User)


class Line(StandIn):
    """`down` ends the server, its end starts it again; `expire_sessions` restarts it. After each start the namespaces
    have other indices. `obey` does at once what the ticker would do within a second."""

    def __init__(self, world: World, host: str, port: int, state_dir: Path | None) -> None:
        self.world, self.host = world, host
        self.stations: list[space.Station] = []
        self.users = _Users()
        self.starts = 0
        self.certificates: Certificates | None = None
        self._port, self._state_dir = port, state_dir
        self._server: Server | None = None
        self._again = False
        self._turn = asyncio.Lock()
        self._ticker: asyncio.Task[None] | None = None
        faults = Faults(clock=world.now)
        faults.when_sessions_expire(self._restart)
        super().__init__("opcua", Starlette(), faults, mounted=False)

    @property
    def port(self) -> int:
        """The one it really listens on; kept over restarts."""
        return self._port

    @property
    def addresses(self) -> tuple[str, ...]:
        return (f"opc.tcp://{self.host}:{self.port}",)

    async def start(self) -> None:
        """Raises RuntimeError when the port cannot be had."""
        # what asyncua says of clients that went away is no news here
        logging.getLogger("asyncua").setLevel(logging.CRITICAL)
        if self._state_dir is not None:
            self.certificates = await asyncio.to_thread(ensure, self._state_dir, now=self.world.now())
        await self._open()
        self._ticker = asyncio.create_task(self._tick())

    async def stop(self) -> None:
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.gather(self._ticker, return_exceptions=True)
        await self._close()

    async def _open(self) -> None:
        server = Server(user_manager=self.users)  # type: ignore[arg-type]
        await server.init()
        await server.set_application_uri(SERVER_URI)
        await server.set_build_info("urn:sandbox", "Sandbox", "Assembly line", "3.1.4", "0", self.world.now())
        server.set_endpoint(f"opc.tcp://{self.host}:{self._port}")
        policies = [ua.SecurityPolicyType.NoSecurity]
        if self.certificates is not None:
            policies += [
                ua.SecurityPolicyType.Basic256Sha256_Sign,
                ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
                ua.SecurityPolicyType.Aes128Sha256RsaOaep_SignAndEncrypt,
                ua.SecurityPolicyType.Aes256Sha256RsaPss_SignAndEncrypt,
            ]
            await server.load_certificate(self.certificates.server)
            await server.load_private_key(self.certificates.server_key, format="pem")
        server.set_security_policy(policies)
        machines = [one for one in self.world.machines if one.kind == "station"]
        self.stations = await space.build(server, machines, _ORDERS[self.starts % len(_ORDERS)])
        self.starts += 1
        self._server = server
        await self.look()
        try:
            await server.start()
        except OSError as exc:
            raise RuntimeError(f"cannot listen on {self.host}:{self._port}") from exc
        assert server.bserver is not None
        assert server.bserver._server is not None
        self._port = server.bserver._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            await server.stop()

    def _restart(self) -> None:
        self._again = True

    async def look(self) -> None:
        """Shows what the world says now."""
        for station in self.stations:
            await station.show(station.machine.state_at(self.world.now()))

    async def obey(self) -> None:
        """Starts and stops as the faults say, then looks."""
        async with self._turn:
            if self._server is not None and (self.faults.down or self._again):
                await self._close()
            self._again = False
            if self._server is None and not self.faults.down:
                await self._open()
            elif self._server is not None:
                await self.look()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            await self.obey()
