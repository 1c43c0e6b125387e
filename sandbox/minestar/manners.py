"""How two providers speak ISO 15143-3: Cat's own service, and one of the makers that keep to the standard's XML."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sandbox.world.quarry import Account

ISO: Final = "http://standards.iso.org/iso/15143/-3"


@dataclass(frozen=True)
class Manners:
    """`series` are the time series by their name in addresses: element of the answer, and its meter."""

    name: str
    """Of the stand-in, and so the prefix of its addresses."""
    account: Account
    fleet: str
    """Path of the fleet."""
    series_root: str
    """Path of the fleet that time series are below."""
    equipment: str
    make_model_serial: str
    by_id: str
    token: str
    """Path of the token endpoint."""
    grant: str
    cat: bool
    """JSON by default, capitals in `Datetime`, `Rel` and `Href`, Cat's codes for faults."""
    series: Mapping[str, tuple[str, str]]
    snapshot: tuple[str, ...]
    """Elements of a machine in the fleet."""


CAT: Final = Manners(
    name="minestar",
    account="cat",
    fleet="/telematics/iso15143/fleet",
    series_root="/catDigital/iso15143/v1/fleet",
    equipment="equipment",
    make_model_serial="makeModelSerial",
    by_id="id",
    token="/as/token.oauth2",
    grant="client_credentials",
    cat=True,
    series={
        "faults": ("FaultCode", "faults"),
        "locations": ("Location", "location"),
        "fuelRemainingRatio": ("FuelRemaining", "fuel_pct"),
        "cumulativeOperatingHours": ("CumulativeOperatingHours", "engine_h"),
        "cumulativeIdleHours": ("CumulativeIdleHours", "idle_h"),
        "cumulativeFuelUsed": ("FuelUsed", "fuel_l"),
        "engineCondition": ("EngineStatus", "running"),
    },
    snapshot=(
        "Location", "CumulativeOperatingHours", "CumulativeIdleHours", "FuelUsed", "FuelRemaining", "EngineStatus",
        "Distance",
    ),
)  # fmt: skip

MIXED: Final = Manners(
    name="aemp",
    account="mixed",
    fleet="/Fleet",
    series_root="/Fleet",
    equipment="Equipment",
    make_model_serial="MakeModelSerial",
    by_id="ID",
    token="/connect/token",
    grant="password",
    cat=False,
    series={
        "Faults": ("FaultCode", "faults"),
        "CautionCodes": ("FaultCode", "faults"),
        "Locations": ("Location", "location"),
        "CumulativeOperatingHours": ("CumulativeOperatingHours", "engine_h"),
        "CumulativeIdleHours": ("CumulativeIdleHours", "idle_h"),
        "CumulativeFuelUsed": ("FuelUsed", "fuel_l"),
        "CumulativeLoadCount": ("CumulativeLoadCount", "loads"),
        "CumulativePayloadTotals": ("CumulativePayloadTotals", "payload_kg"),
        "EngineCondition": ("EngineStatus", "running"),
    },
    snapshot=(
        "Location", "CumulativeIdleHours", "CumulativeLoadCount", "CumulativeOperatingHours",
        "CumulativePayloadTotals", "DEFRemaining", "Distance", "EngineStatus", "FuelUsed", "FuelRemaining",
    ),
)  # fmt: skip
