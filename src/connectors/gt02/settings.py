"""The settings of a GT02/GT06 integration: where it listens, whom it lets in, which trackers are whose."""

import ipaddress
from collections.abc import Mapping
from datetime import tzinfo
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta

from connectors.gt02.frames import Family

Words = Annotated[str, Meta(min_length=1, max_length=100)]


class Tracker(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One registered tracker and the vehicle that it sits in."""

    imei: Annotated[str, Meta(pattern=r"^[0-9]{15}$", description="The tracker's IMEI: 15 digits, in quotes")]
    name: Annotated[Words | None, Meta(description="What people call the vehicle")] = None
    plate: Annotated[Words | None, Meta(description="The vehicle's plate")] = None
    fleet_number: Annotated[Words | None, Meta(description="The vehicle's fleet number")] = None
    category: Annotated[Words | None, Meta(description="Kind of vehicle, such as `truck`")] = None
    model: Annotated[
        Words | None,
        Meta(description="The tracker's model, where its frames need it: `R11`, `VL103`, `SEEWORLD`, …"),
    ] = None
    zone: Annotated[
        Words | None,
        Meta(description="Time zone of the tracker's clock, such as `Africa/Lagos`; else what it tells"),
    ] = None


class Settings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """`[integrations.settings]` of a GT02/GT06 integration."""

    host: Annotated[
        str, Meta(min_length=1, description="Address to listen on; `0.0.0.0` or `::` for trackers from outside")
    ] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="TCP port, and UDP port; 0 takes a free one")] = 5023
    udp: Annotated[bool, Meta(description="Also take datagrams")] = True
    protocols: Annotated[
        tuple[Literal["gt02", "gt06"], ...],
        Meta(min_length=1, max_length=2, description="Frames that are understood; which it is shows at the first one"),
    ] = ("gt02", "gt06")
    crc: Annotated[
        Literal["lenient", "strict"],
        Meta(description="Frames with a wrong checksum: read as far as their values are possible, or dropped"),
    ] = "lenient"
    idle_seconds: Annotated[
        float,
        Meta(ge=10, le=86_400, description="Silence after which a connection is closed and its tracker is offline"),
    ] = 600.0
    login_seconds: Annotated[
        float, Meta(ge=1, le=600, description="Time that a new connection has to say who it is")
    ] = 30.0
    most_connections: Annotated[int, Meta(ge=1, le=200_000, description="Connections at once")] = 20_000
    most_per_address: Annotated[
        int,
        Meta(ge=1, le=200_000, description="Connections at once from one address; mobile networks share addresses"),
    ] = 500
    devices: Annotated[
        tuple[Tracker, ...], Meta(max_length=200_000, description="Registered trackers; all others are turned away")
    ] = ()

    def __post_init__(self) -> None:
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            raise ValueError(f"host: {self.host!r} is no IP address; write the address to listen on") from None
        seen: set[str] = set()
        for device in self.devices:
            if device.imei in seen:
                raise ValueError(f"devices: the IMEI {device.imei} is there twice; leave one of them out")
            seen.add(device.imei)
            if device.zone is not None:
                zone(device.zone)

    @property
    def families(self) -> frozenset[Family]:
        return frozenset(self.protocols)


def zone(name: str) -> tzinfo:
    """Raises `ValueError` for a name that is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"zone: there is no time zone {name!r}; write one such as Africa/Lagos") from None


def register(devices: tuple[Tracker, ...]) -> Mapping[str, Tracker]:
    """By IMEI."""
    return {device.imei: device for device in devices}
