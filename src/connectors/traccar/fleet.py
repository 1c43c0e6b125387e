"""What is known of the fleet while messages come in: a position names its device by id only."""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final, Protocol, TypeVar

from connectors.kit.errors import MappingFailed
from connectors.kit.services import Clock
from connectors.traccar import mapping, wire

T = TypeVar("T")

MOST: Final = 50_000
"""Devices kept; the one not heard of for longest goes first."""
ASK_AGAIN_SECONDS: Final = 300.0
"""How long a device that the account may not see is not asked for again."""


class Source(Protocol):
    """Where devices and positions are fetched from. Raises `VendorError`."""

    async def devices(self, ids: Iterable[int] | None) -> list[wire.Device]: ...

    async def positions(self) -> list[wire.Position]: ...


class Fleet:
    """Devices and their newest positions. Fetches all devices once, then only those it does not know."""

    def __init__(self, source: Source, clock: Clock) -> None:
        self._source, self._clock = source, clock
        self._devices: OrderedDict[int, wire.Device] = OrderedDict()
        self._positions: OrderedDict[int, wire.Position] = OrderedDict()
        self._unseen: OrderedDict[int, float] = OrderedDict()
        """Device → when it may be asked for again, monotonic seconds."""
        self._loaded = False
        self._has_positions = False
        self._lock = asyncio.Lock()

    @property
    def ids(self) -> list[int]:
        """The ids of all devices known so far, ascending."""
        return sorted(self._devices)

    def device(self, device_id: int) -> wire.Device | None:
        return self._devices.get(device_id)

    def position(self, device_id: int) -> wire.Position | None:
        return self._positions.get(device_id)

    def by_words(self, unique_id: str | None, name: str | None) -> wire.Device | None:
        """The device with the identifier; else the only one with the name."""
        named: list[wire.Device] = []
        for each in self._devices.values():
            if unique_id is not None and each.unique_id == unique_id:
                return each
            if name is not None and each.name == name:
                named.append(each)
        return named[0] if unique_id is None and len(named) == 1 else None

    async def know(self, ids: Iterable[int] = (), *, positions: bool = False) -> int:
        """Makes the devices known, with at most one call for all of them; those that the account may not see
        stay unknown. `positions` makes the last positions known as well, once. Raises `VendorError`.

        Returns how many were asked for and stay unknown."""
        absent: list[int] = []
        async with self._lock:
            if not self._loaded:
                for device in await self._source.devices(None):
                    self.put_device(device)
                self._loaded = True
            now = self._clock.monotonic()
            missing = [each for each in dict.fromkeys(ids) if each not in self._devices]
            missing = [each for each in missing if self._unseen.get(each, now) <= now]
            if missing:
                for device in await self._source.devices(missing):
                    self.put_device(device)
                absent = [each for each in missing if each not in self._devices]
                for each in absent:
                    _put(self._unseen, each, now + ASK_AGAIN_SECONDS)
            if positions and not self._has_positions:
                for position in await self._source.positions():
                    with contextlib.suppress(MappingFailed):  # one without a time is of no use here
                        self.put_position(position)
                self._has_positions = True
        return len(absent)

    def put_device(self, device: wire.Device) -> None:
        self._unseen.pop(device.id, None)
        _put(self._devices, device.id, device)

    def put_position(self, position: wire.Position) -> None:
        """Keeps it when it is newer than what is known, by its time, then by its id. Raises `MappingFailed`."""
        known = self._positions.get(position.device_id)
        if known is not None and _age(known) > _age(position):
            return
        _put(self._positions, position.device_id, position)


def _age(position: wire.Position) -> tuple[float, int]:
    return mapping.recorded_at(position).timestamp(), position.id


def _put(kept: OrderedDict[int, T], key: int, value: T) -> None:
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > MOST:
        kept.popitem(last=False)
