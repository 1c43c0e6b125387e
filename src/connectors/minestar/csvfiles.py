"""MineStar Fleet's export files: what their columns mean. One row is a cycle of a machine, or a delay.

Times stand in the site's zone; the column head tells it (`Cycle Start Timestamp (GMT8)`), the settings know better. A
truck's cycle and the loader's cycle of the same load are two rows: only trucks' are haul cycles.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Final, NamedTuple

from connectors.kit.errors import BadPayload, MappingFailed
from connectors.kit.integration import Origin
from connectors.minestar import values
from unified.records import EquipmentDelay, HaulCycle

ROWS_MOST: Final = 500_000
_ZONE: Final = re.compile(r"^(?:GMT|UTC)\s*([+-]?\d{1,2})(?::?(\d{2}))?$", re.IGNORECASE)
_HEAD: Final = re.compile(r"^(?P<name>.*?)\s*(?:\((?P<note>[^()]*)\))?$")
_TRUCK_CYCLE: Final = "truckcycle"
_CYCLES: Final = frozenset({"cycle type", "primary machine name", "cycle start timestamp"})
_DELAYS: Final = frozenset({"target machine name", "delay start timestamp"})

Row = HaulCycle | EquipmentDelay


class Forms(NamedTuple):
    """How times are written. `zone` null: the column heads tell it. `time_format` null: ISO 8601."""

    zone: tzinfo | None
    time_format: str | None


class Found(NamedTuple):
    """One row of a file: the record and the text that it was made of, which tells whether a row has changed."""

    record: Row
    text: tuple[str, ...]


class Export(NamedTuple):
    """What a file holds. `passed` counts rows that are cycles of other machines than trucks."""

    kind: str
    found: list[Found]
    bad: list[MappingFailed]
    passed: int


def is_cycles(body: bytes) -> bool:
    """Whether the first line has the columns of cycles."""
    return _names(body) >= _CYCLES


def is_delays(body: bytes) -> bool:
    """Whether the first line has the columns of delays."""
    return _names(body) >= _DELAYS


def read(body: bytes, forms: Forms, origin: Origin, *, changed_at: datetime | None) -> Export:
    """All rows that can be read. `changed_at` is when the file was written. Raises `BadPayload` for no export."""
    try:
        rows = csv.reader(io.StringIO(_text(body)), delimiter=_delimiter(body))
        head = next(rows, [])
        columns = _Columns(head, forms)
        if not columns.names.keys() & {"cycle type", "target machine name"}:
            raise BadPayload("the file has neither the columns of cycles nor those of delays", path="$[0]")
        return _rows(rows, columns, origin, changed_at)
    except csv.Error as fault:
        raise BadPayload(f"the file is no CSV: {str(fault)[:200]}", path="$") from None


def _rows(rows: Iterator[list[str]], columns: "_Columns", origin: Origin, changed_at: datetime | None) -> Export:
    kind = "cycles" if "cycle type" in columns.names else "delays"
    columns.require(_CYCLES if kind == "cycles" else _DELAYS)
    found: list[Found] = []
    bad: list[MappingFailed] = []
    passed = 0
    for number, cells in enumerate(rows, 1):
        if not any(cell.strip() for cell in cells):
            continue
        if number > ROWS_MOST:
            raise BadPayload(f"the file has more than {ROWS_MOST:,} rows; export shorter times", path=f"$[{number}]")
        row = _Row(columns, cells, f"$[{number}]")
        try:
            record: Row | None = (
                _cycle(row, origin, changed_at) if kind == "cycles" else _delay(row, origin, changed_at)
            )
        except MappingFailed as failed:
            bad.append(failed)
            continue
        if record is None:
            passed += 1
        else:
            found.append(Found(record, tuple(cells)))
    return Export(kind, found, bad, passed)


def _cycle(row: "_Row", origin: Origin, changed_at: datetime | None) -> HaulCycle | None:
    """Null for the cycle of another machine than a truck."""
    word = row.text("cycle type") or ""
    if word.lower().replace(" ", "") != _TRUCK_CYCLE:
        return None
    truck, started = row.needed("primary machine name"), row.time("cycle start timestamp")
    if started is None:
        raise MappingFailed(f"the cycle at `{row.path}` has no start", path=row.path)
    kilograms = row.decimal("payload (kg)")
    if kilograms is None and (tonnes := row.decimal("payload (t)")) is not None:
        kilograms = tonnes * 1_000
    travelling = [
        row.seconds(full, other)
        for full, other in (
            ("full travel duration", "travelling full duration"),
            ("empty travel duration", "travelling empty duration"),
        )
    ]
    gone = [each for each in travelling if each is not None]
    return HaulCycle(
        source=origin.source(row.text("cycle oid") or f"{truck}@{started:%Y-%m-%dT%H:%M:%SZ}", word),
        updated_at=row.time("record updated timestamp") or changed_at,
        truck=truck,
        loading_unit=row.text("secondary machine name"),
        source_location=row.text("source location name"),
        destination_location=row.text("destination location final name") or row.text("destination location name"),
        started_at=started,
        ended_at=row.time("cycle end timestamp"),
        payload_kg=kilograms,
        queuing_seconds=row.seconds("queuing duration"),
        loading_seconds=row.seconds("loading duration"),
        travelling_seconds=sum(gone) if gone else row.seconds("travelling duration"),
        dumping_seconds=row.seconds("dumping duration"),
        fuel_used_litres=row.seconds("fuel used"),
    )


def _delay(row: "_Row", origin: Origin, changed_at: datetime | None) -> EquipmentDelay:
    machine, started = row.needed("target machine name"), row.time("delay start timestamp")
    if started is None:
        raise MappingFailed(f"the delay at `{row.path}` has no start", path=row.path)
    return EquipmentDelay(
        source=origin.source(
            row.text("delay oid") or f"{machine}@{started:%Y-%m-%dT%H:%M:%SZ}", row.text("delay status description")
        ),
        updated_at=row.time("record updated timestamp") or changed_at,
        equipment=machine,
        category=row.text("delay class category name") or row.text("delay category name"),
        reason=row.text("delay class name") or row.text("description"),
        started_at=started,
        ended_at=row.time("delay finish timestamp"),
        engine_stopped=values.flag(row.text("engine stopped flag"), f"{row.path}.Engine Stopped Flag"),
    )


class _Columns:
    """Places of the columns by lower-case name; a zone at the end of a name is kept apart."""

    def __init__(self, head: Sequence[str], forms: Forms) -> None:
        self.forms = forms
        self.names: dict[str, int] = {}
        self.zones: dict[str, tzinfo] = {}
        for place, cell in enumerate(head):
            name, told = _named(cell)
            self.names.setdefault(name, place)
            if told is not None:
                self.zones.setdefault(name, told)

    def require(self, names: frozenset[str]) -> None:
        missing = sorted(names - self.names.keys())
        if missing:
            raise BadPayload(f"the file lacks the columns {', '.join(missing)}", path="$[0]")
        for name in names & {"cycle start timestamp", "delay start timestamp"}:
            if self.zone(name) is None:
                raise BadPayload(
                    f"the column {name!r} tells no zone such as (GMT8); write `site_zone` in the settings", path="$[0]"
                )

    def zone(self, name: str) -> tzinfo | None:
        return self.forms.zone or self.zones.get(name)


class _Row:
    """One row's cells by column."""

    def __init__(self, columns: _Columns, cells: Sequence[str], path: str) -> None:
        self._columns, self._cells, self.path = columns, cells, path

    def text(self, name: str) -> str | None:
        """Null for a column that is not there, too."""
        place = self._columns.names.get(name)
        return values.text(self._cells[place]) if place is not None and place < len(self._cells) else None

    def needed(self, name: str) -> str:
        found = self.text(name)
        if found is None:
            raise MappingFailed(f"{name!r} is empty at `{self.path}`", path=self.path)
        return found

    def seconds(self, *names: str) -> float | None:
        """The number under the first of the names that has one."""
        for name in names:
            found = values.number(self.text(name), f"{self.path}.{name}")
            if found is not None:
                return found
        return None

    def decimal(self, name: str) -> Decimal | None:
        text = self.text(name)
        return None if values.number(text, f"{self.path}.{name}") is None or text is None else Decimal(text)

    def time(self, name: str) -> datetime | None:
        text, zone = self.text(name), self._columns.zone(name)
        if text is None:
            return None
        path = f"{self.path}.{name}"
        if self._columns.forms.time_format is None:
            return values.moment(text, zone or UTC, path)
        try:
            return datetime.strptime(text, self._columns.forms.time_format).replace(tzinfo=zone or UTC).astimezone(UTC)
        except (ValueError, OverflowError):
            raise MappingFailed(
                f"`{path}` is no time of the form {self._columns.forms.time_format!r}", path=path
            ) from None


def _named(cell: str) -> tuple[str, tzinfo | None]:
    """`Cycle Start Timestamp (GMT8)` → its name without the zone, and the zone; `Payload (kg)` stays whole."""
    bare = " ".join(cell.strip().lower().split())
    parts = _HEAD.match(bare)
    note = parts["note"] if parts is not None else None
    told = _ZONE.match(note.strip()) if note else None
    if parts is None or told is None:
        return bare, None
    hours, minutes = int(told[1]), int(told[2] or 0)
    offset = timedelta(hours=hours, minutes=-minutes if hours < 0 else minutes)
    return (parts["name"], timezone(offset)) if abs(offset) < timedelta(hours=24) else (bare, None)


def _names(body: bytes) -> frozenset[str]:
    line = _text(body[:20_000]).lstrip().partition("\n")[0]
    try:
        cells = next(csv.reader([line], delimiter=_delimiter(body)), [])
    except csv.Error:
        return frozenset()
    return frozenset(_named(cell)[0] for cell in cells)


def _text(body: bytes) -> str:
    """UTF-16 and UTF-8 by their marks, else UTF-8, else what Windows writes."""
    if body[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return body.decode("utf-16", "replace")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return body.decode("cp1252", "replace")


def _delimiter(body: bytes) -> str:
    line = _text(body[:20_000]).lstrip().partition("\n")[0]
    counts: Mapping[str, int] = {each: line.count(each) for each in (",", ";", "\t")}
    return max(counts, key=lambda each: counts[each])
