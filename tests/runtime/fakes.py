"""What the runtime's tests share: a clock that is set by hand, a log that remembers, a few records."""

import asyncio
from datetime import UTC, datetime, timedelta

from unified.events import Changed, Removed
from unified.records import Connectivity, Kind, Record, Source, Vehicle, VehicleState
from unified.values import System

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class FakeClock:
    """Stands still until it is moved. `sleep` notes what was asked and moves on by it."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds
        await asyncio.sleep(0)


class FakeLog:
    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, object]]] = []

    def info(self, event: str, **values: object) -> None:
        self.lines.append(("info", event, values))

    def warning(self, event: str, **values: object) -> None:
        self.lines.append(("warning", event, values))

    def error(self, event: str, **values: object) -> None:
        self.lines.append(("error", event, values))


def vehicle(number: str, *, name: str = "Truck", integration: str = "traccar") -> Vehicle:
    source = Source(integration=integration, system=System.TRACCAR, external_id=number, as_of=NOON)
    return Vehicle(source=source, name=name, connectivity=Connectivity.ONLINE, state=VehicleState.MOVING)


def changed(number: str, at: int = 0, *, sequence: int = 0, name: str = "Truck") -> Changed[Record]:
    """A vehicle as it is `at` seconds after noon."""
    moment = NOON + timedelta(seconds=at)
    return Changed(record=vehicle(number, name=name), occurred_at=moment, sequence=sequence)


def removed(number: str, at: int = 0, *, sequence: int = 0) -> Removed:
    moment = NOON + timedelta(seconds=at)
    return Removed(kind=Kind.VEHICLE, id=vehicle(number).id, occurred_at=moment, sequence=sequence)
