"""What providers send, in the standard's structure: a machine or a time series is a list of elements, each with a name,
a time of its own and named values.

Providers spell the same names differently (`Datetime`, `dateTime`, `datetime`; `Links`, `links`), and namespaces differ
between editions. So all names here are local names in lower case.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

Values = dict[str, Any]
"""Values by lower-case name: text from XML; text, numbers or booleans from JSON."""

HEADER: Final = "equipmentheader"
AT: Final = "datetime"

_SECTIONS: Final = (
    "AverageDailyLoadFactorLast24",
    "CautionCode",
    "CumulativeActiveRegenerationHours",
    "CumulativeIdleHours",
    "CumulativeIdleNonOperatingHours",
    "CumulativeLoadCount",
    "CumulativeOperatingHours",
    "CumulativePayloadTotals",
    "CumulativePowerTakeOffHours",
    "DEFRemaining",
    "Distance",
    "EngineStatus",
    "EquipmentHeader",
    "FaultCode",
    "FuelRemaining",
    "FuelUsed",
    "FuelUsedLast24",
    "Links",
    "Location",
    "MaximumSpeedLast24",
    "SwitchStatus",
)
_SPELT: Final = {name.lower(): name for name in _SECTIONS}
SECTIONS: Final = frozenset(_SPELT)
"""Elements that hold values; others that have children are such, too."""

LEAVES: Final = frozenset(
    {
        "altitudeunits",
        "codedescription",
        "codeidentifier",
        "codeseverity",
        "codesource",
        "count",
        "datetime",
        "deftankcapacity",
        "deftankcapacityunits",
        "enginenumber",
        "equipmentid",
        "fuelconsumed",
        "fueltankcapacity",
        "fueltankcapacityunits",
        "fuelunits",
        "hour",
        "href",
        "latitude",
        "loadfactor",
        "longitude",
        "make",
        "model",
        "odometer",
        "odometerunits",
        "oemname",
        "payload",
        "payloadunits",
        "percent",
        "pin",
        "rel",
        "running",
        "serialnumber",
        "speedunits",
        "unitinstalldatetime",
    }
)
"""Values that never have children."""


class Element(msgspec.Struct, frozen=True, gc=False):
    """One element and when its values were measured, as it stands."""

    name: str
    at: str | None
    values: Values


class Machine(msgspec.Struct, frozen=True, gc=False):
    """One `Equipment`. `header` are the values of its EquipmentHeader."""

    header: Values
    elements: list[Element]


class Link(msgspec.Struct, frozen=True, gc=False):
    rel: str
    """In lower case."""
    href: str


class Fleet(msgspec.Struct, frozen=True, gc=False):
    """One page of a fleet, or one machine."""

    version: str | None
    snapshot_time: str | None
    links: list[Link]
    machines: list[Machine]


class Series(msgspec.Struct, frozen=True, gc=False):
    """One page of a time series. `header` is that of the machine, where the provider repeats it."""

    links: list[Link]
    header: Values
    elements: list[Element]


Document = Fleet | Series


def spelt(name: str) -> str:
    """As the standard spells it, for people."""
    return _SPELT.get(name, name)


def link(values: Mapping[str, Any]) -> Link | None:
    """Null for one that leads nowhere."""
    rel, href = values.get("rel"), values.get("href")
    if not isinstance(rel, str) or not isinstance(href, str) or not href.strip():
        return None
    return Link(rel=rel.strip().lower(), href=href.strip())
