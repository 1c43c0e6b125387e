"""The quarry's machines in the standard's words: elements with a time and values, as XML or JSON."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from xml.sax.saxutils import escape, quoteattr

from sandbox.minestar.manners import ISO, Manners
from sandbox.world import QuarryFault, QuarryMachine, QuarryReport

Row = tuple[str, datetime, dict[str, Any]]
"""An element: name, time, values in the standard's order."""
Header = dict[str, str]
Link = tuple[str, str]


def header(machine: QuarryMachine, manners: Manners) -> Header:
    """Cat tells no PIN; some boxes do not know their machine's model."""
    told = {
        "OEMName": machine.make,
        "Model": "missing" if machine.key == "QM-012" else machine.model,
        "EquipmentID": machine.equipment_id,
        "SerialNumber": machine.serial,
    }
    if manners.cat:
        return told
    return {"UnitInstallDateTime": "0001-01-01T00:00:00Z", **told, "PIN": machine.pin}


def elements(machine: QuarryMachine, report: QuarryReport, names: Sequence[str]) -> list[Row]:
    """Those that the machine has: road trucks and loaders count no loads."""
    found = (_element(machine, report, name) for name in names)
    return [each for each in found if each is not None]


def _element(machine: QuarryMachine, report: QuarryReport, name: str) -> Row | None:
    meters = report.meters
    hauls = bool(machine.payloads_kg)
    match name:
        case "Location":
            place = {"Latitude": report.latitude, "Longitude": report.longitude, "Altitude": report.altitude_m}
            return name, report.located_at, {**place, "AltitudeUnits": "metre"}
        case "CumulativeOperatingHours":
            return name, report.at, {"Hour": meters.engine_h}
        case "CumulativeIdleHours":
            return (name, report.at, {"Hour": meters.idle_h}) if machine.vehicle is None else None
        case "FuelUsed":
            return name, report.at, {"FuelUnits": "litre", "FuelConsumed": meters.fuel_l}
        case "FuelRemaining":
            return name, report.at, {"Percent": report.fuel_pct}
        case "DEFRemaining":
            return name, report.at, {"Percent": report.def_pct, "DEFTankCapacityUnits": "litre"}
        case "Distance":
            return name, report.at, {"OdometerUnits": "kilometre", "Odometer": meters.odometer_km}
        case "EngineStatus":
            return name, report.engine_at, {"EngineNumber": "1", "Running": report.running}
        case "CumulativeLoadCount":
            return (name, report.at, {"Count": meters.loads}) if hauls else None
        case "CumulativePayloadTotals":
            weight = {"PayloadUnits": "kilogram", "Payload": meters.payload_kg}
            return (name, report.at, weight) if hauls else None
    raise ValueError(name)


def series(
    machine: QuarryMachine, element: str, start: datetime, end: datetime, page: int, size: int
) -> tuple[list[Row], int]:
    """A page of one element, the oldest first, and how many there are in all."""
    part = slice((page - 1) * size, page * size)
    if element == "FaultCode":
        faults = [_fault(each) for each in machine.faults_between(start, end)]
        return faults[part], len(faults)
    times = machine.report_times(start, end)
    if not times or not elements(machine, machine.report_of(times[0]), (element,)):
        return [], 0
    return [elements(machine, machine.report_of(each), (element,))[0] for each in times[part]], len(times)


def _fault(fault: QuarryFault) -> Row:
    told = {
        "CodeIdentifier": fault.code,
        "CodeDescription": fault.description,
        "CodeSeverity": fault.severity,
        "CodeSource": fault.source,
    }
    return "FaultCode", fault.at, told


# --- as text


def stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _words(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


_INDENT: Final = "  "


def xml_element(row: Row, indent: str) -> str:
    name, at, values = row
    inner = "".join(f"{indent}{_INDENT}<{key}>{escape(_words(value))}</{key}>\n" for key, value in values.items())
    return f"{indent}<{name} datetime={quoteattr(stamp(at))}>\n{inner}{indent}</{name}>\n"


def xml_links(links: Iterable[Link]) -> str:
    return "".join(
        f"{_INDENT}<Links>\n    <rel>{rel}</rel>\n    <href>{escape(href)}</href>\n{_INDENT}</Links>\n"
        for rel, href in links
    )


def xml_machine(told: Header, rows: Iterable[Row], indent: str = _INDENT, *, root: bool = False) -> str:
    inner = "".join(f"{indent}{_INDENT * 2}<{key}>{escape(value)}</{key}>\n" for key, value in told.items())
    body = "".join(xml_element(row, indent + _INDENT) for row in rows)
    space = f' xmlns="{ISO}"' if root else ""
    return (
        f"{indent}<Equipment{space}>\n{indent}{_INDENT}<EquipmentHeader>\n{inner}{indent}{_INDENT}</EquipmentHeader>\n"
        f"{body}{indent}</Equipment>\n"
    )


def xml_fleet(links: Iterable[Link], machines: Iterable[tuple[Header, list[Row]]], now: datetime) -> str:
    inner = "".join(xml_machine(told, rows) for told, rows in machines)
    return f'<Fleet xmlns="{ISO}" version="1" snapshotTime="{stamp(now)}">\n{xml_links(links)}{inner}</Fleet>\n'


def xml_series(element: str, links: Iterable[Link], rows: Iterable[Row]) -> str:
    root = f"{element.removesuffix('s') if element == 'CumulativePayloadTotals' else element}Messages"
    inner = "".join(xml_element(row, _INDENT) for row in rows)
    return f'<{root} xmlns="{ISO}">\n{xml_links(links)}{inner}</{root}>\n'


def json_element(row: Row, manners: Manners) -> dict[str, Any]:
    """Cat writes booleans as text and the time as `Datetime`."""
    _, at, values = row
    if manners.cat:
        values = {key: str(value) if isinstance(value, bool) else value for key, value in values.items()}
        return {**values, "Datetime": stamp(at)}
    return {"datetime": stamp(at), **values}


def json_links(links: Iterable[Link], manners: Manners) -> list[dict[str, str]]:
    if manners.cat:
        return [{"Rel": rel.capitalize(), "Href": href} for rel, href in links]
    return [{"rel": rel, "href": href} for rel, href in links]


def json_machine(told: Header, rows: Iterable[Row], manners: Manners) -> dict[str, Any]:
    return {"EquipmentHeader": told, **{row[0]: json_element(row, manners) for row in rows}}
