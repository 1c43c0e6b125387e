"""The gateway: frames in, frames out."""

import asyncio
import contextlib
import struct
from typing import Final

from starlette.applications import Starlette
from starlette.responses import Response

from sandbox.modbus import memory
from sandbox.standin import Failure, Faults, Seen, StandIn
from sandbox.world import MachineState, World

_FRAME_MOST: Final = 260
_READS: Final = {1: ("coil", 2_000), 2: ("discrete", 2_000), 3: ("holding", 125), 4: ("input", 125)}
_BY_STATUS: Final = {400: 3, 403: 1, 404: 2, 429: 6, 500: 4, 502: 10, 503: 6, 504: 11}
"""Exceptions for planned failures that are given as HTTP statuses, as the control endpoints do."""


class Gateway(StandIn):
    """`strange_transaction` and `strange_unit` are how many of the next answers carry another's number. `down` closes
    all connections, and refuses new ones as soon as they are made. A planned failure's `status` below 100 is a Modbus
    exception."""

    def __init__(self, world: World, host: str, port: int) -> None:
        self.world = world
        self.host, self._port = host, port
        self.units = dict(enumerate((one for one in world.machines if one.kind == "press"), start=1))
        self.strange_transaction = self.strange_unit = 0
        self.connections = 0
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()
        faults = Faults(clock=world.now)
        faults.when_sockets_close(self._hang_up)
        faults.when_reset(self._reset)
        super().__init__("modbus", Starlette(), faults, mounted=False)

    @property
    def port(self) -> int:
        """The one it really listens on."""
        if self._server is None or not self._server.sockets:
            return self._port
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def addresses(self) -> tuple[str, ...]:
        return (f"tcp://{self.host}:{self.port}",)

    async def start(self) -> None:
        """Raises RuntimeError when the port cannot be had."""
        try:
            self._server = await asyncio.start_server(self._talk, self.host, self._port)
        except OSError as exc:
            raise RuntimeError(f"cannot listen on {self.host}:{self._port}") from exc

    async def stop(self) -> None:
        if self._server is None:
            return
        self._server.close()
        self._hang_up()
        await asyncio.gather(*self._talks, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    def _hang_up(self) -> None:
        for talk in tuple(self._talks):
            talk.cancel()

    def _reset(self) -> None:
        self.strange_transaction = self.strange_unit = 0

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._talks.add(task)
        try:
            while not self.faults.down:
                head = await reader.readexactly(7)
                transaction, protocol, length, unit = struct.unpack(">HHHB", head)
                if protocol != 0 or not 2 <= length <= _FRAME_MOST - 6:
                    return
                answer = await self._asked(unit, await reader.readexactly(length - 1))
                if answer is None:
                    return
                if self.strange_transaction:
                    self.strange_transaction -= 1
                    transaction = (transaction + 7) & 0xFFFF
                if self.strange_unit:
                    self.strange_unit -= 1
                    unit += 1
                frame = struct.pack(">HHHB", transaction, 0, len(answer) + 1, unit) + answer
                if self.faults.half_body:
                    self.faults.half_body -= 1
                    writer.write(frame[: len(frame) // 2])
                    return
                writer.write(frame)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client went away, or we hang up
        finally:
            self._talks.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _asked(self, unit: int, pdu: bytes) -> bytes | None:
        """The answer to a request; None hangs up."""
        function = pdu[0]
        start, count = struct.unpack(">HH", pdu[1:5]) if len(pdu) >= 5 else (0, 0)
        kind = _READS.get(function, ("", 0))[0]
        path = f"/{unit}/{kind or 'other'}/{start}/{count}"
        template = f"/{unit}/{kind or 'other'}"
        seen = Seen(self.world.now(), f"FC{function:02d}", path, "", template, {}, pdu)
        self.faults.note(seen)
        if self.faults.delay_ms:
            await self.faults.sleep(self.faults.delay_ms / 1_000)
        planned = self.faults.take(seen.method, path)
        if isinstance(planned, Failure):
            if planned.delay_s:
                await self.faults.sleep(planned.delay_s)
            if planned.drop or planned.half_body:
                return None
            if planned.status is not None:
                return self._refused(function, _BY_STATUS.get(planned.status, planned.status % 100), seen)
        elif isinstance(planned, Response):
            return self._refused(function, 4, seen)
        seen.status = 200
        return self._read(unit, function, start, count, seen)

    @staticmethod
    def _refused(function: int, code: int, seen: Seen) -> bytes:
        seen.status = code
        return bytes((function | 0x80, code))

    def _read(self, unit: int, function: int, start: int, count: int, seen: Seen) -> bytes:
        machine = self.units.get(unit)
        if machine is None:
            return self._refused(function, 11, seen)
        if function not in _READS:
            return self._refused(function, 1, seen)
        kind, most = _READS[function]
        if not 1 <= count <= most:
            return self._refused(function, 3, seen)
        state = machine.state_at(self.world.now())
        if kind in ("coil", "discrete"):
            return self._bits(function, state, kind, range(start, start + count), seen)
        known = memory.holding(state) if kind == "holding" else memory.inputs(state)
        if any(address not in known for address in range(start, start + count)):
            return self._refused(function, 2, seen)
        words = [known[address] for address in range(start, start + count)]
        return bytes((function, 2 * count)) + struct.pack(f">{count}H", *words)

    def _bits(self, function: int, state: MachineState, kind: str, addresses: range, seen: Seen) -> bytes:
        known = memory.coils(state) if kind == "coil" else memory.discrete(state)
        if any(address not in known for address in addresses):
            return self._refused(function, 2, seen)
        packed = bytearray((len(addresses) + 7) // 8)
        for place, address in enumerate(addresses):
            packed[place // 8] |= known[address] << place % 8
        return bytes((function, len(packed))) + bytes(packed)
