"""One printer behind OctoPrint: its REST answers and its push socket."""

import contextlib
import hashlib
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Final, TypeVar

import msgspec
from websockets.asyncio.client import ClientConnection

from connectors.equipment.driver import MACHINE_HEADER, RECEIVED_HEADER, Emit, trouble_of
from connectors.equipment.facts import Facts
from connectors.equipment.octoprint import mapping, wire
from connectors.equipment.octoprint.merge import EVENTS, Merged
from connectors.equipment.octoprint.payloads import PUSH, SNAPSHOT, explain
from connectors.equipment.settings import Machine
from connectors.kit import decode
from connectors.kit.auth import HeaderAuth
from connectors.kit.errors import AuthFailed, BadPayload, Conflict, VendorDown, VendorError
from connectors.kit.http import Api, tls_context
from connectors.kit.integration import Integration, Origin, Secret
from connectors.kit.manifest import Payload
from connectors.kit.protocols import Raw
from connectors.kit.services import Reading, Services, current_reading
from connectors.kit.sockets import Opened, Target, listen
from unified.records import Equipment

T = TypeVar("T")

_SILENCE: Final = 3_600.0
"""Seconds. A printer that is not connected says nothing for hours; the socket's own pings find dead peers."""
_REAUTHS_MOST: Final = 3
"""Log-ins in a row that bring no message before the socket is given up and made anew, after a pause."""


class OctoPrintMachine:
    """See `Driver`. Each machine has a breaker of its own."""

    def __init__(
        self,
        machine: Machine,
        facts: Facts,
        key: Secret,
        *,
        integration: Integration,
        services: Services,
        push_seconds: float,
    ) -> None:
        self.facts = facts
        self.api = Api(integration, services, base_url=machine.url, auth=HeaderAuth("X-Api-Key", key), explain=explain)
        self._integration, self._services = integration, services
        self._throttle = max(1, round(push_seconds / 0.5))
        self._version: str | None = None
        self._known: tuple[wire.Snapshot, datetime] | None = None
        """The newest values and when they came, by read or by push."""

    @property
    def requests(self) -> int:
        return 3 if self._version is None else 2

    async def version(self) -> str:
        answer, _ = await self._get("/api/version", wire.Version)
        self._version = decode.none(answer.server)
        return f"OctoPrint {self._version or '(no version)'}"

    async def read(self) -> Equipment:
        try:
            snapshot, origin = await self._fresh()
        except VendorDown as error:
            if self._known is None:
                raise
            return self.trouble(error)
        return mapping.from_snapshot(snapshot, self.facts, origin)

    async def raw(self) -> Raw:
        try:
            snapshot, _ = await self._fresh()
        except VendorError as error:
            snapshot = self._troubled(error)
        return self._wrapped(SNAPSHOT, snapshot)

    def trouble(self, error: VendorError) -> Equipment:
        return mapping.from_snapshot(self._troubled(error), self.facts, self.api.origin())

    async def item_numbers(self) -> AsyncIterator[str]:
        answer = await self.api.get("/api/files", wire.Files, params={"recursive": "true"})
        for each in mapping.print_files(answer.value, self.facts):
            if each.item_number is not None:
                yield each.item_number

    async def follow(self, emit: Emit) -> None:
        await _Push(self, emit).run()

    async def aclose(self) -> None:
        await self.api.aclose()

    # --- inside

    async def _fresh(self) -> tuple[wire.Snapshot, Origin]:
        """Two calls, one after the other: when the first fails the second is not tried. The first time a third
        one asks for the version, which no other answer tells."""
        try:
            printer, origin = await self._get("/api/printer", wire.Printer, {"history": "true", "limit": "1"})
        except Conflict:
            printer, origin = None, self.api.origin()
        job, _ = await self._get("/api/job", wire.JobAnswer)
        if self._version is None:
            with contextlib.suppress(VendorError):  # the next read asks again
                await self.version()
        snapshot = wire.Snapshot(printer=printer, job=job, version=self._version)
        self._known = (snapshot, origin.as_of)
        return snapshot, origin

    async def _get(self, path: str, into: type[T], params: Mapping[str, str] | None = None) -> tuple[T, Origin]:
        """A fresh answer. The kit's last good answer will not do: it knows nothing of the 409s since, and a
        state from one time must not stand beside a job from another."""
        outer, mine = current_reading.get(), Reading()
        token = current_reading.set(mine)
        try:
            answer = await self.api.get(path, into, params=params)
        finally:
            current_reading.reset(token)
            if outer is not None:
                outer.add(mine)
        if answer.origin.stale:
            raise mine.stale_error or VendorDown(f"{self._integration.key}: no fresh answer to {path}")
        return answer.value, answer.origin

    def _troubled(self, error: VendorError) -> wire.Snapshot:
        known, at = self._known or (wire.Snapshot(version=self._version), None)
        return msgspec.structs.replace(known, trouble=trouble_of(error, at))

    def _wrapped(self, decoder: str, content: msgspec.Struct) -> Raw:
        body = msgspec.json.encode(content)
        received = self._services.clock.now().isoformat()
        digest = hashlib.blake2b(body, digest_size=12).hexdigest()
        return Raw(
            delivery_id=f"{self.facts.id}/{received}/{digest}",
            decoder=decoder,
            payload=Payload(
                body=body,
                headers={
                    "content-type": "application/json",
                    MACHINE_HEADER: self.facts.id,
                    RECEIVED_HEADER: received,
                },
            ),
        )

    def _learned(self, merged: Merged) -> None:
        self._version = merged.version or self._version
        self._known = (merged.snapshot(), self._services.clock.now())


class _Push:
    """The push socket of one machine, through all its connections."""

    def __init__(self, machine: OctoPrintMachine, emit: Emit) -> None:
        self._machine, self._emit = machine, emit
        self._integration, self._services = machine._integration, machine._services
        self._merged = Merged()
        self._socket: ClientConnection | None = None
        self._auth = ""
        self._reauths = 0
        self._told_down = self._told_unreadable = False

    async def run(self) -> None:
        messages = listen(
            self._target,
            integration=self._integration,
            services=self._services,
            silence_seconds=_SILENCE,
            greet=self._greet,
            way=self._machine.api.breaker,
            facts={"machine": self._machine.facts.id},
        )
        async with contextlib.aclosing(messages):  # type: ignore[type-var]
            async for message in messages:
                if isinstance(message, Opened):
                    self._merged = Merged()
                    self._reauths, self._told_down, self._told_unreadable = 0, False, False
                else:
                    await self._received(message if isinstance(message, bytes) else message.encode())

    async def _received(self, content: bytes) -> None:
        try:
            message = decode.json(content, wire.Message)
        except BadPayload as fault:
            if not self._told_unreadable:  # once per connection: twice a second would say no more
                self._told_unreadable = True
                self._services.log.warning(
                    "equipment.frame_unreadable",
                    integration=self._integration.key,
                    machine=self._machine.facts.id,
                    error=fault.message,
                )
            return
        if message.reauth_required is not None:
            await self._authenticate_again()
            return
        if message.current is not None or message.history is not None:
            self._reauths = 0
        if self._merged.apply(message):
            self._machine._learned(self._merged)
            self._emit(self._machine._wrapped(PUSH, self._merged.message()))

    async def _target(self) -> Target:
        """Asked before every attempt: the session that it logs in is for this connection only."""
        try:
            self._auth = await self._log_in()
        except VendorDown as error:
            if not self._told_down:
                self._told_down = True
                self._emit(self._machine._wrapped(SNAPSHOT, self._machine._troubled(error)))
            raise
        url = "ws" + self._machine.api.base_url.removeprefix("http") + "/sockjs/websocket"
        return Target(url, tls=tls_context() if url.startswith("wss:") else None)

    async def _log_in(self) -> str:
        """A passive login with the API key; it makes a session, whose id authenticates on the socket."""
        api = self._machine.api
        request = api.build("POST", "/api/login", json={"passive": True})
        response = await api.send(request, repeatable=True)
        login = api.decoded(response.content, wire.Login, at="/api/login")
        if not login.name or not login.session:
            raise AuthFailed(
                f"{self._integration.key}: the API key of machine {self._machine.facts.id} gives no session",
                integration=self._integration.key,
            )
        return f"{login.name}:{login.session}"

    async def _greet(self, socket: ClientConnection) -> None:
        self._socket = socket
        await self._say(socket, {"auth": self._auth})
        await self._say(socket, {"throttle": self._machine._throttle})
        wanted = {"state": {"logs": False, "messages": False}, "events": list(EVENTS), "plugins": []}
        await self._say(socket, {"subscribe": wanted})

    async def _authenticate_again(self) -> None:
        """`reauthRequired`: whatever its reason, a passive login with the key makes a new session. Raises
        `AuthFailed` when the key is no longer good."""
        socket = self._socket
        if socket is None:
            return
        self._reauths += 1
        if self._reauths > _REAUTHS_MOST:
            await socket.close()  # the listener pauses and connects anew
            return
        try:
            await self._say(socket, {"auth": await self._log_in()})
        except VendorDown:
            await socket.close()

    @staticmethod
    async def _say(socket: ClientConnection, content: object) -> None:
        await socket.send(msgspec.json.encode(content).decode())


__all__ = ["OctoPrintMachine"]
