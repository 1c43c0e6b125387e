"""Time series: what a counter gained from day to day, and how production records are made of it.

A day's production is the last value of its counter less the last value of an earlier day; of the first day, less its
own first value. A counter that falls belongs to a telematics box that was replaced: what it jumps by is no production.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Final, NamedTuple

from connectors.kit.errors import MappingFailed
from connectors.kit.integration import Origin
from connectors.minestar import values
from connectors.minestar.mapping import METERS, Rules
from connectors.minestar.settings import SeriesKind
from connectors.minestar.wire import Element, spelt
from unified import records

ELEMENTS: Final[Mapping[SeriesKind, frozenset[str]]] = {
    "hours": frozenset({"cumulativeoperatinghours"}),
    "idle": frozenset({"cumulativeidlehours"}),
    "fuel": frozenset({"fuelused", "cumulativefuelused"}),
    "loads": frozenset({"cumulativeloadcount"}),
    "payload": frozenset({"cumulativepayloadtotals", "cumulativepayloadtotal"}),
}
"""Elements that the answer to a series is made of."""
_METER_OF: Final = {"cumulativefuelused": "fuelused", "cumulativepayloadtotal": "cumulativepayloadtotals"}


class Reading(NamedTuple):
    at: datetime
    value: Decimal


class Gain(NamedTuple):
    """What a counter gained in one day, and when it was last read."""

    value: Decimal
    last_at: datetime


def readings(elements: Iterable[Element], rules: Rules, path: str, bad: list[MappingFailed]) -> list[Reading]:
    """Of the counters among the elements, by time; those without a time or a number are told in `bad`."""
    found: list[Reading] = []
    for place, element in enumerate(elements):
        name = _METER_OF.get(element.name, element.name)
        meter = METERS.get(name)
        if meter is None:
            continue
        where = f"{path}.{spelt(name)}[{place}]"
        try:
            at = values.time_of(element, rules.zone, where)
            value = meter[1](element.values, rules, where)
        except MappingFailed as failed:
            bad.append(failed)
            continue
        if at is None:
            bad.append(MappingFailed(f"the reading at `{where}` has no time", path=where))
        elif value is not None:
            found.append(Reading(at, Decimal(repr(value))))
    found.sort(key=lambda each: each.at)
    return found


def gains(found: Sequence[Reading], zone: tzinfo) -> dict[date, Gain]:
    """By day of the zone; `found` is by time. Days without a reading are absent."""
    days: dict[date, Gain] = {}
    before: Decimal | None = None
    for at, value in found:
        day = at.astimezone(zone).date()
        gained = value - before if before is not None and value > before else Decimal(0)
        known = days.get(day)
        days[day] = Gain(gained if known is None else known.value + gained, at)
        before = value
    return days


class Span(NamedTuple):
    """Days of the zone, both included."""

    first: date
    last: date

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    @classmethod
    def until(cls, last: date, *, days: int) -> "Span":
        """So many days, of which `last` is the last."""
        return cls(last - timedelta(days=days - 1), last)

    def covers(self, other: "Span") -> bool:
        return self.first <= other.first and other.last <= self.last


def start_of(day: date, zone: tzinfo) -> datetime:
    """The day's midnight in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def production_id(machine: str, day: date) -> str:
    """`CAT/SHH00123/2026-03-01`."""
    return f"{machine}/{day.isoformat()}"


def read_production_id(external_id: str) -> tuple[str, date] | None:
    """Machine and day; null for what is none."""
    machine, _, text = external_id.rpartition("/")
    if machine.count("/") != 1 or len(text) != 10:
        return None
    try:
        return machine, date.fromisoformat(text)
    except ValueError:
        return None


def production(
    machine: str, by_kind: Mapping[SeriesKind, Mapping[date, Gain]], span: Span, rules: Rules, origin: Origin
) -> list[records.ProductionRecord]:
    """One record for each day of the span with a reading, the oldest first."""
    days = sorted({day for each in by_kind.values() for day in each if span.first <= day <= span.last})
    return [_record(machine, day, by_kind, rules.day_zone, origin) for day in days]


def _record(
    machine: str, day: date, by_kind: Mapping[SeriesKind, Mapping[date, Gain]], zone: tzinfo, origin: Origin
) -> records.ProductionRecord:
    told = {kind: gained[day] for kind, gained in by_kind.items() if day in gained}

    def plain(kind: SeriesKind) -> float | None:
        found = told.get(kind)
        return None if found is None else round(float(found.value), 6)

    loads, payload = told.get("loads"), told.get("payload")
    return records.ProductionRecord(
        source=origin.source(production_id(machine, day)),
        updated_at=max(each.last_at for each in told.values()),
        equipment_external_id=machine,
        started_at=start_of(day, zone),
        ended_at=start_of(day + timedelta(days=1), zone),
        loads=None if loads is None else int(loads.value),
        payload_kg=None if payload is None else _tidy(payload.value),
        operating_hours=plain("hours"),
        idle_hours=plain("idle"),
        fuel_used_litres=plain("fuel"),
    )


def _tidy(value: Decimal) -> Decimal:
    """Without a point where there is nothing behind it."""
    whole = value.to_integral_value()
    return whole if whole == value else value
