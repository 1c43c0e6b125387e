"""ISO 15143-3: how fast pages of a fleet are decoded beside a plain parse of the same bytes.

`python -m bench aemp` measures these figures alone.
"""

import gc
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Final

import msgspec
from lxml import etree

from bench.figures import Measured, Target, figure
from connectors.kit.integration import Origin
from connectors.minestar import answers, mapping
from connectors.minestar.settings import Settings
from connectors.minestar.wire import Fleet
from unified.values import System

if TYPE_CHECKING:
    from bench.scene import Scene

MACHINES: Final = 100
"""Of a page, as the standard has it."""
ROUNDS: Final = 15
SECONDS: Final = 0.15
"""CPU time of one side of a round."""
AT: Final = "2026-08-21T16:12:44Z"


def _element(name: str, **values: str) -> str:
    inner = "".join(f"      <{key}>{value}</{key}>\n" for key, value in values.items())
    return f'    <{name} datetime="{AT}">\n{inner}    </{name}>\n'


def _machine(number: int) -> str:
    """All that a haul truck of Bell reports, indented as Bell does."""
    return (
        "  <Equipment>\n    <EquipmentHeader>\n      <UnitInstallDateTime>2020-01-01T00:00:00Z</UnitInstallDateTime>\n"
        f"      <OEMName>BELL</OEMName>\n      <Model>B50E</Model>\n      <EquipmentID>ADT {number:03d}</EquipmentID>\n"
        f"      <SerialNumber>AEB{number:06d}</SerialNumber>\n      <PIN>AEB{number:06d}</PIN>\n"
        "    </EquipmentHeader>\n"
        + _element("Location", Latitude=f"-26.0{number:03d}", Longitude=f"28.9{number:03d}")
        + _element("CumulativeIdleHours", Hour=f"{3_000 + number}.96")
        + _element("CumulativeLoadCount", Count=f"{13_000 + number}")
        + _element("CumulativeOperatingHours", Hour=f"{8_000 + number}.20")
        + _element("CumulativePayloadTotals", PayloadUnits="kilogram", Payload=f"{596_361_000 + number}")
        + _element("DEFRemaining", Percent="47", DEFTankCapacityUnits="litre")
        + _element("Distance", OdometerUnits="kilometre", Odometer=f"{70_000 + number}")
        + _element("EngineStatus", EngineNumber="1", Running="true")
        + _element("FuelUsed", FuelUnits="litre", FuelConsumed=f"{149_000 + number}")
        + _element("FuelRemaining", Percent="63")
        + "  </Equipment>\n"
    )


def _page() -> bytes:
    links = "".join(
        f"  <Links>\n    <rel>{rel}</rel>\n    <href>https://aemp.example/Fleet/{page}</href>\n  </Links>\n"
        for rel, page in (("self", 1), ("next", 2), ("last", 4))
    )
    inner = "".join(map(_machine, range(MACHINES)))
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Fleet xmlns="http://standards.iso.org/iso/15143/-3" version="1" '
        f'snapshotTime="2026-08-21T16:30:00Z">\n{links}{inner}</Fleet>\n'
    ).encode()


PAGE: Final = _page()
DENSE: Final = b"".join(line.strip() for line in PAGE.splitlines())
"""The same without a blank between elements."""
RULES: Final = mapping.rules_of(Settings(dialect="iso"))
ORIGIN: Final = Origin(integration="bench", system=System.MINESTAR, as_of=datetime(2026, 8, 21, 16, 30, tzinfo=UTC))


def decoded(body: bytes = PAGE) -> Fleet:
    """What the connector makes of a page: machines with their elements, values and times, and the links."""
    told = answers.document(body)
    assert isinstance(told, Fleet)
    return told


def recorded() -> int:
    """Records of the graph, units and times read, of the same page."""
    return len(mapping.fleet(decoded(), RULES, ORIGIN, []))


def parsed(body: bytes = PAGE) -> int:
    """The plain parse: lxml's tree."""
    return len(etree.fromstring(body))


@cache
def _json() -> bytes:
    """The page's machines in Cat's JSON."""
    rows = [
        {
            "EquipmentHeader": machine.header,
            **{each.name: {**each.values, "Datetime": each.at} for each in machine.elements},
        }
        for machine in decoded().machines
    ]
    return msgspec.json.encode({"Equipment": rows, "Links": [], "Version": "1"})


def _per_second(run: Callable[[], object]) -> float:
    """Calls per CPU second."""
    count, begun = 0, time.process_time()
    while (passed := time.process_time() - begun) < SECONDS:
        run()
        count += 1
    return count / passed


def _beside(ours: Callable[[], object], plain: Callable[[], object]) -> Measured:
    gc.collect()
    ours(), plain()
    return Measured(tuple(_per_second(ours) / _per_second(plain) for _ in range(ROUNDS)))


@figure(
    "aemp.decoding",
    unit="x",
    target=Target(">= 0.4", lambda value: value >= 0.4),
    baseline="pages per CPU second that lxml parses plainly, of the same bytes",
)
def decoding(_scene: "Scene | None") -> Measured:
    return _beside(decoded, parsed)


@figure("aemp.decoding-dense", unit="x", baseline="the same of pages without blanks between elements")
def decoding_dense(_scene: "Scene | None") -> Measured:
    return _beside(lambda: decoded(DENSE), lambda: parsed(DENSE))


@figure("aemp.decoding-json", unit="x", baseline="pages of Cat's JSON per CPU second that msgspec parses plainly")
def decoding_json(_scene: "Scene | None") -> Measured:
    return _beside(lambda: decoded(_json()), lambda: msgspec.json.decode(_json()))


@figure("aemp.records", unit="k/s", baseline="thousand machines per CPU second, from a page to records of the graph")
def machine_records(_scene: "Scene | None") -> Measured:
    gc.collect()
    assert recorded() == MACHINES
    return Measured(tuple(_per_second(recorded) * MACHINES / 1_000 for _ in range(ROUNDS)), max)
