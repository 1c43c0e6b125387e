"""What providers send and MineStar exports, for `crossdock decode` and the live path."""

from collections.abc import Callable, Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Final

import msgspec

from connectors.kit.errors import BadPayload, MappingFailed, Unreadable
from connectors.kit.integration import Origin
from connectors.kit.manifest import Decoded, Decoder, Payload
from connectors.minestar import answers, csvfiles, mapping, series, values, wire
from connectors.minestar.mapping import Rules
from connectors.minestar.polling import FLEET
from connectors.minestar.settings import COUNTERS, Settings, zone
from unified.values import Value

SERIES: Final = "aemp-series"
CYCLES: Final = "minestar-cycles"
DELAYS: Final = "minestar-delays"
_KIND_OF: Final = {name: kind for kind in COUNTERS for name in series.ELEMENTS[kind]}
_TOLD: Final = ("percent", "time_zone", "site_zone", "export_time_format")
"""Settings that a decoding may be given as headers."""


class Page(Value, frozen=True, kw_only=True):
    """One page of a fleet or a series."""

    version: str | None = None
    snapshot_at: datetime | None = None
    has_next: bool
    machines: int = 0
    readings: int = 0


class MachineHeader(Value, frozen=True, kw_only=True):
    """Who a machine is, as far as the record of it does not say."""

    key: str
    equipment_id: str | None = None
    serial: str | None = None
    pin: str | None = None
    installed_at: datetime | None = None


class CounterReading(Value, frozen=True, kw_only=True):
    """One reading of a counter, in the graph's unit."""

    counter: str
    at: datetime
    value: Decimal


class CounterGain(Value, frozen=True, kw_only=True):
    """What a counter gained in one day, as far as the page tells."""

    counter: str
    day: date
    gained: Decimal


def rules_told(payload: Payload) -> Rules:
    """The mapping's rules, with the settings that stand in the payload's headers. Raises `Unreadable`."""
    return mapping.rules_of(_settings(payload))


def _settings(payload: Payload) -> Settings:
    told = {name: payload.headers[name] for name in _TOLD if name in payload.headers}
    try:
        return msgspec.convert(told, Settings)
    except (msgspec.ValidationError, ValueError) as fault:
        raise Unreadable(f"a header that is a setting does not fit: {fault}") from None


def page(told: wire.Document, rules: Rules) -> Page:
    snapshot = told.snapshot_time if isinstance(told, wire.Fleet) else None
    rels = {each.rel: each.href for each in told.links}
    return Page(
        version=told.version if isinstance(told, wire.Fleet) else None,
        snapshot_at=None if snapshot is None else values.moment(snapshot, rules.zone, "$.snapshotTime"),
        has_next="next" in rels and rels["next"] != rels.get("self", rels.get("current")),
        machines=len(told.machines) if isinstance(told, wire.Fleet) else 0,
        readings=len(told.elements) if isinstance(told, wire.Series) else 0,
    )


def read_fleet(payload: Payload, origin: Origin) -> Iterable[Decoded]:
    """The page, then each machine with who it is. A value that cannot be read is told after all that can."""
    rules, told = rules_told(payload), answers.document(payload.body)
    if not isinstance(told, wire.Fleet):
        raise BadPayload("this is a time series; decode it as aemp-series", path="$")
    yield page(told, rules)
    bad: list[MappingFailed] = []
    for machine, record in mapping.machines(told, rules, origin, bad):
        who = mapping.header(machine.header)
        yield MachineHeader(
            key=who.key or "",
            equipment_id=who.equipment_id,
            serial=who.serial,
            pin=who.pin,
            installed_at=mapping.installed_at(who, rules),
        )
        yield record
    _raise_first(bad)


def read_series(payload: Payload, origin: Origin) -> Iterable[Decoded]:
    """The page, its readings by time, what they gained from day to day; faults as alerts."""
    rules, told = rules_told(payload), answers.document(payload.body)
    if isinstance(told, wire.Fleet) and told.machines:
        raise BadPayload("this is a fleet; decode it as aemp-fleet", path="$")
    yield page(told, rules)
    if isinstance(told, wire.Fleet):
        return
    bad: list[MappingFailed] = []
    machine = mapping.header(told.header).key or "unknown/machine"
    by_kind: dict[str, list[wire.Element]] = {}
    for place, element in enumerate(told.elements):
        if element.name in mapping.FAULTS:
            path = f"$.{wire.spelt(element.name)}[{place}]"
            alert = mapping.alert(machine, element, rules, origin, path=path, bad=bad)
            if alert is not None:
                yield alert
        elif element.name in _KIND_OF:
            by_kind.setdefault(_KIND_OF[element.name], []).append(element)
    for kind, elements in by_kind.items():
        found = series.readings(elements, rules, "$", bad)
        for each in found:
            yield CounterReading(counter=kind, at=each.at, value=each.value)
        for day, gain in series.gains(found, rules.day_zone).items():
            yield CounterGain(counter=kind, day=day, gained=gain.value)
    _raise_first(bad)


def read_export(payload: Payload, origin: Origin) -> Iterable[Decoded]:
    """Rows of an export of cycles or delays. Rows that cannot be read are told after all that can."""
    settings = _settings(payload)
    site = None if settings.site_zone is None else zone(settings.site_zone, "site_zone")
    forms = csvfiles.Forms(site, settings.export_time_format)
    export = csvfiles.read(payload.body, forms, origin, changed_at=None)
    yield from (each.record for each in export.found)
    _raise_first(export.bad)


def _raise_first(bad: list[MappingFailed]) -> None:
    if bad:
        first = bad[0]
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        raise MappingFailed(f"{first.message}{more}", path=first.path)


def _is(kind: type[wire.Fleet | wire.Series]) -> Callable[[Payload], bool]:
    def recognises(payload: Payload) -> bool:
        try:
            return isinstance(answers.document(payload.body), kind) and bool(payload.body.strip())
        except BadPayload:
            return False

    return recognises


DECODERS: Final = (
    Decoder(
        name=CYCLES,
        description="MineStar Fleet: an export of cycles (CSV)",
        read=read_export,
        recognises=lambda payload: csvfiles.is_cycles(payload.body),
    ),
    Decoder(
        name=DELAYS,
        description="MineStar Fleet: an export of delays (CSV)",
        read=read_export,
        recognises=lambda payload: csvfiles.is_delays(payload.body),
    ),
    Decoder(
        name=FLEET,
        description="ISO 15143-3: a page of a fleet, or one machine; XML or JSON, AEMP 1.2 too",
        read=read_fleet,
        recognises=_is(wire.Fleet),
    ),
    Decoder(
        name=SERIES,
        description="ISO 15143-3: a page of a time series; XML or JSON",
        read=read_series,
        recognises=_is(wire.Series),
    ),
)
