"""Machines as the graph knows them, of machines as providers tell of them."""

import fnmatch
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

from connectors.kit.decode import Codes
from connectors.kit.errors import MappingFailed
from connectors.kit.integration import Origin
from connectors.kit.patterns import NamePattern
from connectors.minestar import values
from connectors.minestar.settings import Settings, zone
from connectors.minestar.values import KILOGRAMS, KILOMETRES, KILOMETRES_AN_HOUR, LITRES, METRES, Percent
from connectors.minestar.wire import Element, Fleet, Machine, Values, spelt
from unified import records
from unified.records import EquipmentState, EquipmentType, FaultSeverity
from unified.values import Position

SEVERITIES: Final = {
    "high": FaultSeverity.CRITICAL,
    "medium": FaultSeverity.WARNING,
    "low": FaultSeverity.INFO,
}
"""By `CodeSeverity` in lower case."""
FAULTS: Final = frozenset({"faultcode", "cautioncode", "faultcodes", "cautioncodes", "fault", "faults"})
"""Elements that are faults; Bell calls them caution codes."""
_KEY_LONGEST: Final = 250


@dataclass(frozen=True)
class Rules:
    """What of the settings the mapping needs."""

    zone: tzinfo
    day_zone: tzinfo
    percent: Percent
    offline: timedelta
    fleet_number: NamePattern | None
    haul_trucks: re.Pattern[str] | None
    loading_units: re.Pattern[str] | None
    severities: Codes[FaultSeverity]


def rules_of(settings: Settings) -> Rules:
    """Raises `ValueError` for patterns that are none."""
    pattern = settings.fleet_number_pattern
    own = {word.strip().lower(): severity for word, severity in settings.severities.items()}
    return Rules(
        zone=zone(settings.time_zone, "time_zone"),
        day_zone=settings.day_zone,
        percent=settings.percent,
        offline=timedelta(hours=settings.offline_hours),
        fleet_number=None
        if pattern is None
        else NamePattern(pattern, setting="fleet_number_pattern", groups=("fleet",)),
        haul_trucks=_models(settings.haul_truck_models),
        loading_units=_models(settings.loading_unit_models),
        severities=Codes(FaultSeverity, {**SEVERITIES, **own}, field="CodeSeverity"),
    )


def _models(globs: Sequence[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(fnmatch.translate(each.upper()) for each in globs)) if globs else None


# --- who a machine is


class Header(NamedTuple):
    """Who a machine is. `make` and `number` (serial number, or PIN where there is none) tell it from all others."""

    make: str
    model: str | None
    equipment_id: str | None
    serial: str | None
    pin: str | None
    installed: str | None

    @property
    def number(self) -> str | None:
        return self.serial or self.pin or self.equipment_id

    @property
    def key(self) -> str | None:
        """`CAT/SHH00123`; null for a machine without any number."""
        return None if self.number is None else machine_key(self.make, self.number)


def header(told: Values) -> Header:
    get, text = told.get, values.text
    return Header(
        make=text(get("oemname")) or text(get("make")) or "",
        model=text(get("model")),
        equipment_id=text(get("equipmentid")),
        serial=text(get("serialnumber")),
        pin=text(get("pin")),
        installed=text(get("unitinstalldatetime")),
    )


def machine_key(make: str, number: str) -> str:
    """Both percent-encoded, so that the slash between them is the only one."""
    return f"{quote(make, safe=' ')}/{quote(number, safe=' ')}"[:_KEY_LONGEST]


def installed_at(who: Header, rules: Rules) -> datetime | None:
    """When the telematics box was put in; null where that is not known."""
    if who.installed is None:
        return None
    return values.moment(who.installed, rules.zone, "$.EquipmentHeader.UnitInstallDateTime")


# --- meters: one row per element, with the function that reads it

_Read = Callable[[Values, Rules, str], float | None]


def _hours(told: Values, _rules: Rules, path: str) -> float | None:
    return values.counted(values.hours(told, path), path)


def _litres(told: Values, _rules: Rules, path: str) -> float | None:
    found = values.measured(told, ("fuelconsumed", "fuelconsumedlitres"), ("fuelunits",), LITRES, path)
    return values.counted(found, path)


def _kilometres(told: Values, _rules: Rules, path: str) -> float | None:
    found = values.measured(told, ("odometer", "odometerkilometre"), ("odometerunits",), KILOMETRES, path)
    return values.counted(found, path)


def _kilograms(told: Values, _rules: Rules, path: str) -> float | None:
    return values.counted(values.measured(told, ("payload",), ("payloadunits", "weightunit"), KILOGRAMS, path), path)


def _count(told: Values, _rules: Rules, path: str) -> float | None:
    return values.counted(values.number(told.get("count"), path), path)


def _level(told: Values, rules: Rules, path: str) -> float | None:
    return values.level(told, rules.percent, path)


METERS: Final[dict[str, tuple[str, _Read]]] = {
    "cumulativeoperatinghours": ("engine_hours", _hours),
    "cumulativeidlehours": ("idle_hours", _hours),
    "fuelused": ("fuel_used_litres", _litres),
    "fuelremaining": ("fuel_percent", _level),
    "defremaining": ("def_percent", _level),
    "distance": ("odometer_km", _kilometres),
    "cumulativeloadcount": ("load_count", _count),
    "cumulativepayloadtotals": ("payload_total_kg", _kilograms),
}
"""Field of `MachineMeters` by element."""


def _speed(told: Values, _rules: Rules, path: str) -> float | None:
    return values.measured(told, ("speed",), ("speedunits",), KILOMETRES_AN_HOUR, path)


def _load_factor(told: Values, _rules: Rules, path: str) -> float | None:
    return values.number(told.get("loadfactor") or told.get("percent"), path)


SENSORS: Final[dict[str, tuple[str, _Read]]] = {
    "fuelusedlast24": ("L", _litres),
    "cumulativeidlenonoperatinghours": ("h", _hours),
    "cumulativepowertakeoffhours": ("h", _hours),
    "cumulativeactiveregenerationhours": ("h", _hours),
    "averagedailyloadfactorlast24": ("%", _load_factor),
    "maximumspeedlast24": ("km/h", _speed),
}
"""UCUM unit by element; shown as sensors, by the standard's names."""


# --- a machine


def equipment(
    machine: Machine, rules: Rules, origin: Origin, *, path: str, snapshot_at: datetime | None, bad: list[MappingFailed]
) -> records.Equipment | None:
    """Null for a machine without any number. Values that cannot be read are left out and told in `bad`."""
    who = header(machine.header)
    key = who.key
    if key is None:
        bad.append(MappingFailed(f"`{path}` has no serial number, PIN or EquipmentID", path=path))
        return None
    meters: dict[str, records.Metered] = {}
    sensors: list[records.SensorReading] = []
    faults: list[records.EquipmentFault] = []
    position: Position | None = None
    running: bool | None = None
    raw: str | None = None
    newest: datetime | None = None
    zone = rules.zone
    for element in machine.elements:
        name = element.name
        try:
            at = values.time_of(element, zone, path)
            if at is not None and (newest is None or at > newest):
                newest = at
            row = METERS.get(name)
            if row is not None:
                value = row[1](element.values, rules, path)
                if value is not None:
                    meters[row[0]] = records.Metered(value=value, recorded_at=at)
            elif name == "location":
                position = _position(element.values, at, snapshot_at, path)
            elif name == "enginestatus":
                found = values.flag(element.values.get("running"), path)
                if found is not None and not running:  # one of several engines is enough
                    running, raw = found, str(element.values["running"]).strip()
            elif name in FAULTS:
                faults.append(fault(element, rules, at))
            elif (shown := SENSORS.get(name)) is not None:
                value = shown[1](element.values, rules, path)
                if value is not None:
                    sensors.append(
                        records.SensorReading(sensor=spelt(name), value=value, unit=shown[0], recorded_at=at)
                    )
        except MappingFailed as failed:
            bad.append(_placed(failed, f"{path}.{spelt(name)}"))
    offline = silent(newest, snapshot_at or origin.as_of, rules)
    return records.Equipment(
        source=origin.source(key, raw),
        updated_at=newest,
        name=who.equipment_id or who.number or key,
        equipment_type=_type(who.model, rules),
        state=EquipmentState.OFFLINE if offline else _STATES[running],
        error_message=None if newest is None or not offline else f"no report since {newest:%Y-%m-%d %H:%M} UTC",
        manufacturer=who.make or None,
        model=who.model,
        serial_number=who.serial or who.pin,
        fleet_number=fleet_number(who, rules),
        position=position,
        meters=records.MachineMeters(**meters) if meters else None,
        faults=tuple(faults),
        sensors=tuple(sensors),
    )


_STATES: Final = {True: EquipmentState.RUNNING, False: EquipmentState.IDLE, None: EquipmentState.UNKNOWN}


def _placed(failed: MappingFailed, at: str) -> MappingFailed:
    """With the element's place in the answer."""
    return MappingFailed(f"{failed.message} (in {at})" if failed.path not in (None, at) else failed.message, path=at)


def _type(model: str | None, rules: Rules) -> EquipmentType:
    if model is not None:
        bare = model.upper()
        if rules.haul_trucks is not None and rules.haul_trucks.match(bare):
            return EquipmentType.HAUL_TRUCK
        if rules.loading_units is not None and rules.loading_units.match(bare):
            return EquipmentType.LOADING_UNIT
    return EquipmentType.MOBILE_MACHINE


def fleet_number(who: Header, rules: Rules) -> str | None:
    """The operator's own number, where the settings say that the EquipmentID holds it."""
    if who.equipment_id is None or rules.fleet_number is None:
        return None
    return rules.fleet_number.find(who.equipment_id, "fleet") or None


def _position(told: Values, at: datetime | None, snapshot_at: datetime | None, path: str) -> Position | None:
    """Null for a place beyond the earth. A fix without a time of its own bears the snapshot's and is stale."""
    latitude = values.number(told.get("latitude"), f"{path}.Latitude")
    longitude = values.number(told.get("longitude"), f"{path}.Longitude")
    known_at = at or snapshot_at
    if latitude is None or longitude is None or known_at is None or abs(latitude) > 90 or abs(longitude) > 180:
        return None
    altitude = values.measured(told, ("altitude", "meters", "metres", "feet"), ("altitudeunits",), METRES, path)
    return Position(latitude=latitude, longitude=longitude, altitude_m=altitude, recorded_at=known_at, stale=at is None)


def fault(element: Element, rules: Rules, at: datetime | None) -> records.EquipmentFault:
    get, text = element.values.get, values.text
    word = text(get("codeseverity")) or text(get("severity"))
    return records.EquipmentFault(
        code=text(get("codeidentifier")) or text(get("code")) or text(get(element.name)),
        description=text(get("codedescription")) or text(get("description")),
        severity=rules.severities[word.lower() if word is not None else None],
        component=text(get("codesource")) or text(get("source")),
        occurred_at=at,
    )


def taken_at(page: Fleet, rules: Rules) -> datetime | None:
    """When the provider made the page; null where it does not say. Raises `MappingFailed`."""
    told = page.snapshot_time
    return None if told is None else values.moment(told, rules.zone, "$.snapshotTime")


def silent(newest: datetime | None, at: datetime, rules: Rules) -> bool:
    """Whether a machine whose newest news is this old counts as offline."""
    return newest is not None and at - newest > rules.offline


def machines(
    page: Fleet, rules: Rules, origin: Origin, bad: list[MappingFailed]
) -> Iterator[tuple[Machine, records.Equipment]]:
    """The machines of a page, in its order."""
    snapshot_at = None
    try:
        snapshot_at = taken_at(page, rules)
    except MappingFailed as failed:
        bad.append(failed)
    for place, machine in enumerate(page.machines):
        path = f"$.Equipment[{place}]"
        found = equipment(machine, rules, origin, path=path, snapshot_at=snapshot_at, bad=bad)
        if found is not None:
            yield machine, found


def fleet(page: Fleet, rules: Rules, origin: Origin, bad: list[MappingFailed]) -> list[records.Equipment]:
    return [found for _, found in machines(page, rules, origin, bad)]


# --- what a machine reported


def alert(
    machine: str, element: Element, rules: Rules, origin: Origin, *, path: str, bad: list[MappingFailed]
) -> records.MaintenanceAlert | None:
    """A fault of a time series; null for one without a time."""
    try:
        at = values.time_of(element, rules.zone, path)
    except MappingFailed as failed:
        bad.append(failed)
        return None
    if at is None:
        bad.append(MappingFailed(f"the fault at `{path}` has no time", path=path))
        return None
    found = fault(element, rules, at)
    word = values.text(element.values.get("codeseverity")) or values.text(element.values.get("severity"))
    return records.MaintenanceAlert(
        source=origin.source(alert_id(machine, at, found), word),
        updated_at=at,
        equipment_external_id=machine,
        code=found.code,
        description=found.description,
        severity=found.severity,
        component=found.component,
        occurred_at=at,
    )


def alert_id(machine: str, at: datetime, found: records.EquipmentFault) -> str:
    """`CAT/SHH00123/20260301T031005.000Z/E360/Engine`: machine, time, code and source."""
    stamp = at.astimezone(UTC).strftime("%Y%m%dT%H%M%S.") + f"{at.microsecond // 1000:03d}Z"
    return "/".join((machine, stamp, *(quote(each or "", safe=" ") for each in (found.code, found.component))))[:700]


class AlertId(NamedTuple):
    machine: str
    at: datetime


def read_alert_id(external_id: str) -> AlertId | None:
    """Null for what is none."""
    parts = external_id.split("/")
    if len(parts) != 5 or not re.fullmatch(r"\d{8}T\d{6}\.\d{3}Z", parts[2]):
        return None
    try:
        at = datetime.strptime(parts[2], "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC)
    except ValueError:
        return None
    return AlertId("/".join(parts[:2]), at)


def key_parts(key: str) -> tuple[str, str] | None:
    """Make and number of a machine's key; null for what is none."""
    make, slash, number = key.partition("/")
    return (unquote(make), unquote(number)) if slash and number and "/" not in number else None
