"""One Modbus slave and its register map."""

import logging
from collections.abc import Sequence
from typing import Final

from connectors.equipment.driver import Emit
from connectors.equipment.facts import Facts
from connectors.equipment.machine import KnownMachine
from connectors.equipment.modbus import values
from connectors.equipment.modbus.line import ILLEGAL_ADDRESS, Line, explain
from connectors.equipment.modbus.payloads import SNAPSHOT
from connectors.equipment.modbus.plan import Block, plan
from connectors.equipment.modbus.settings import Modbus, Register
from connectors.equipment.points import Taken
from connectors.equipment.settings import Machine, Settings
from connectors.kit.attempts import ATTEMPTS
from connectors.kit.errors import BadRequest
from connectors.kit.guarded import Guarded
from connectors.kit.integration import Integration, Origin
from connectors.kit.resilience import Breaker
from connectors.kit.services import Services
from unified.records import Equipment

_DEFAULT_UNIT: Final = 1


class ModbusMachine(KnownMachine[values.Snapshot]):
    """See `Driver`. Each slave has a breaker of its own; the line is shared. Modbus pushes nothing: `watch` reads
    every `push_seconds` and tells what changed."""

    decoder = SNAPSHOT

    def __init__(
        self,
        machine: Machine,
        facts: Facts,
        line: Line,
        registers: Sequence[Register],
        options: Modbus,
        *,
        integration: Integration,
        services: Services,
        push_seconds: float,
    ) -> None:
        super().__init__(facts, integration=integration, services=services)
        self._line, self._registers, self._options = line, tuple(registers), options
        self._unit = _DEFAULT_UNIT if machine.unit is None else machine.unit
        self._map = machine.map or ""
        self._push_seconds = push_seconds
        self._apart: frozenset[str] = frozenset()
        self._guard = Guarded(
            integration,
            services,
            target=f"{line.target} unit {self._unit}",
            explain=explain,
            rate=options.requests_per_second,
        )

    @property
    def way(self) -> Breaker:
        return self._guard.breaker

    @property
    def blocks(self) -> list[Block]:
        """The requests of one read."""
        return plan(self._registers, self._options, self._apart)

    @property
    def requests(self) -> int:
        """One per block; where the device refuses addresses, its registers one by one, once."""
        return len(self.blocks) + len(self._registers)

    async def version(self) -> str:
        """Modbus names no version; the first request shows that the slave answers."""
        blocks = self.blocks
        await self._read_block(blocks[0])
        form = "RTU" if self._line.serial else "TCP"
        return f"Modbus {form}, {len(self._registers)} values in {len(blocks)} requests"

    async def fresh(self) -> values.Snapshot:
        found: dict[str, Taken] = {}
        for block in self.blocks:
            found |= await self._read(block)
        return values.Snapshot(map=self._map, values=found)

    def empty(self) -> values.Snapshot:
        return values.Snapshot(map=self._map)

    def record(self, snapshot: values.Snapshot, origin: Origin) -> Equipment:
        return values.record(snapshot, self._registers, self.facts, origin)

    async def watch(self, emit: Emit) -> None:
        said: dict[str, object] | None = None
        while True:
            snapshot = self.known.put(await self.fresh()).value
            now: dict[str, object] = {name: each.value for name, each in snapshot.values.items()}
            if now != said:
                said = now
                emit(self.wrapped(snapshot))
            await self.services.clock.sleep(self._push_seconds)

    async def aclose(self) -> None:
        self._line.close()

    # --- inside

    async def _read_block(self, block: Block) -> dict[str, Taken]:
        return self._take(block, await self._guard.call(_what(block), lambda: self._line.read(self._unit, block)))

    async def _read_joined(self, block: Block) -> dict[str, Taken] | None:
        """The values of a block of several registers; null when the device refuses one of its addresses. That is an
        answer as good as any: how else would it tell which of the addresses between registers it has?"""

        async def words() -> Sequence[int] | Sequence[bool] | None:
            try:
                return await self._line.read(self._unit, block)
            except BadRequest as error:
                if error.vendor_code != ILLEGAL_ADDRESS:
                    raise
                return None

        found = await self._guard.call(_what(block), words)
        return None if found is None else self._take(block, found)

    def _take(self, block: Block, words: Sequence[int] | Sequence[bool]) -> dict[str, Taken]:
        return values.take(block, words, self.services.clock.now())

    async def _read(self, block: Block) -> dict[str, Taken]:
        """The values of a block. When the device refuses an address, first the gaps are to blame: the block is read
        without them, now and from then on. What is refused even so is named, register by register."""
        if len(block.registers) == 1:
            return await self._read_block(block)
        joined = await self._read_joined(block)
        if joined is not None:
            return joined
        self._apart |= {each.name for each in block.registers}
        found: dict[str, Taken] = {}
        for part in plan(block.registers, self._options, self._apart):
            if len(part.registers) == 1:
                found |= await self._read_block(part)
            elif (together := await self._read_joined(part)) is not None:
                found |= together
            else:
                for each in part.registers:
                    alone = Block(kind=part.kind, start=each.place[1], count=each.words, registers=(each,))
                    found |= await self._read_block(alone)
        return found


def _what(block: Block) -> str:
    return f"read of {block.count} {block.kind} values from {block.start} on"


def machines(settings: Settings, *, integration: Integration, services: Services) -> dict[str, ModbusMachine]:
    """The machines of an integration, by id; those with the same url share its line."""
    # pymodbus reports every lost connection by itself; ours are told once, by the kit
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
    options = settings.modbus or Modbus()
    lines: dict[str, Line] = {}
    found: dict[str, ModbusMachine] = {}
    for machine in settings.machines:
        line = lines.get(machine.url)
        if line is None:
            line = lines[machine.url] = Line(
                machine.url, options, timeout=integration.deadline_seconds / (ATTEMPTS + 1)
            )
        found[machine.id] = ModbusMachine(
            machine,
            settings.facts(machine),
            line,
            settings.registers[machine.map or ""],
            options,
            integration=integration,
            services=services,
            push_seconds=settings.push_seconds,
        )
    return found
