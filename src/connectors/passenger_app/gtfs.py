"""GTFS-Realtime vehicle positions (protobuf): described here in code, built in a pool of their own.

Fields have presence: absent is not 0. Other fields and extensions of a feed are skipped.
"""

import math
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message

from connectors.kit.errors import BadPayload, MappingFailed
from connectors.kit.integration import Origin
from connectors.passenger_app.mapping import instant
from unified import records
from unified.records import Connectivity, VehicleState
from unified.values import Position, Value

MAX_ENTITIES = 100_000
PACKAGE = "crossdock.transit_realtime"

_Type = descriptor_pb2.FieldDescriptorProto
_TEXT, _FLOAT, _DOUBLE, _BOOL = _Type.TYPE_STRING, _Type.TYPE_FLOAT, _Type.TYPE_DOUBLE, _Type.TYPE_BOOL
_UINT32, _UINT64 = _Type.TYPE_UINT32, _Type.TYPE_UINT64
_MESSAGES: dict[str, tuple[tuple[str, int, Any], ...]] = {
    # name, number, type: a text names a message, a leading * means repeated; enumerations are read as numbers
    "FeedMessage": (("header", 1, "FeedHeader"), ("entity", 2, "*FeedEntity")),
    "FeedHeader": (("gtfs_realtime_version", 1, _TEXT), ("incrementality", 2, _UINT32), ("timestamp", 3, _UINT64)),
    "FeedEntity": (("id", 1, _TEXT), ("is_deleted", 2, _BOOL), ("vehicle", 4, "VehiclePosition")),
    "VehiclePosition": (
        ("trip", 1, "TripDescriptor"),
        ("position", 2, "Position"),
        ("current_status", 4, _UINT32),
        ("timestamp", 5, _UINT64),
        ("vehicle", 8, "VehicleDescriptor"),
        ("occupancy_status", 9, _UINT32),
    ),
    "TripDescriptor": (("trip_id", 1, _TEXT),),
    "VehicleDescriptor": (("id", 1, _TEXT), ("label", 2, _TEXT), ("license_plate", 3, _TEXT)),
    "Position": (
        ("latitude", 1, _FLOAT),
        ("longitude", 2, _FLOAT),
        ("bearing", 3, _FLOAT),
        ("odometer", 4, _DOUBLE),
        ("speed", 5, _FLOAT),
    ),
}
STOP_STATUSES = ("INCOMING_AT", "STOPPED_AT", "IN_TRANSIT_TO")
IN_TRANSIT_TO = 2
"""The default of the field, which is meant where it is absent."""
OCCUPANCIES = (
    "EMPTY", "MANY_SEATS_AVAILABLE", "FEW_SEATS_AVAILABLE", "STANDING_ROOM_ONLY", "CRUSHED_STANDING_ROOM_ONLY",
    "FULL", "NOT_ACCEPTING_PASSENGERS", "NO_DATA_AVAILABLE", "NOT_BOARDABLE",
)  # fmt: skip


class FeedHeader(Value, frozen=True, kw_only=True):
    """Head of a feed. `made_at` is null where the feed gives no time."""

    version: str
    differential: bool
    made_at: datetime | None = None


class OnTrip(Value, frozen=True, kw_only=True):
    """What a vehicle of the feed is doing."""

    vehicle_external_id: str
    trip_id: str | None = None
    current_status: str
    occupancy_status: str | None = None


@cache
def _feed() -> type[Message]:
    file = descriptor_pb2.FileDescriptorProto(name="crossdock/gtfs-realtime.proto", package=PACKAGE, syntax="proto2")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            repeated = isinstance(kind, str) and kind.startswith("*")
            label = _Type.LABEL_REPEATED if repeated else _Type.LABEL_OPTIONAL
            made = message.field.add(name=field, number=number, label=label)
            if isinstance(kind, str):
                made.type, made.type_name = _Type.TYPE_MESSAGE, f".{PACKAGE}.{kind.removeprefix('*')}"
            else:
                made.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.FeedMessage"))


def looks_like(body: bytes) -> bool:
    """Whether it begins as a feed does: a header that begins with its version."""
    return len(body) > 5 and body[0] == 0x0A and body[2] == 0x0A and body[4:5].isdigit()


def parse(body: bytes) -> Any:
    """The feed. Raises `BadPayload`."""
    feed: Any = _feed()()
    try:
        feed.ParseFromString(body)
    except (DecodeError, UnicodeDecodeError):
        raise BadPayload("the payload is no GTFS-Realtime feed", path="$") from None
    if not feed.header.gtfs_realtime_version:
        raise BadPayload("the feed has no version", path="$.header.gtfs_realtime_version")
    if len(feed.entity) > MAX_ENTITIES:
        raise BadPayload(f"the feed has more than {MAX_ENTITIES} entities", path="$.entity")
    return feed


def read(body: bytes, origin: Origin) -> Iterable[Value | records.Vehicle]:
    """The header, then each vehicle with what it is doing; entities that are deleted or no vehicle are left out."""
    feed = parse(body)
    made_at = _time(feed.header, "$.header.timestamp")
    yield FeedHeader(
        version=feed.header.gtfs_realtime_version, differential=feed.header.incrementality == 1, made_at=made_at
    )
    yield from _vehicles(feed, origin, made_at)


def _vehicles(feed: Any, origin: Origin, made_at: datetime | None) -> Iterator[Value | records.Vehicle]:
    for place, entity in enumerate(feed.entity):
        if entity.is_deleted or not entity.HasField("vehicle"):
            continue
        given = entity.vehicle
        name = given.vehicle.id or entity.id
        if not name:
            raise MappingFailed("an entity has no id", path=f"$.entity[{place}].id")
        number = given.current_status if given.HasField("current_status") else IN_TRANSIT_TO
        status = STOP_STATUSES[number] if number < len(STOP_STATUSES) else str(number)
        taken = given.occupancy_status
        spot = _position(given, made_at or origin.as_of, f"$.entity[{place}].vehicle")
        yield records.Vehicle(
            source=origin.source(name, status),
            updated_at=_time(given, f"$.entity[{place}].vehicle.timestamp") or made_at,
            name=given.vehicle.label or given.vehicle.license_plate or name,
            plate=given.vehicle.license_plate or None,
            connectivity=Connectivity.ONLINE if spot is not None else Connectivity.UNKNOWN,
            state=_state(spot),
            position=spot,
            odometer_km=given.position.odometer / 1000 if given.position.HasField("odometer") else None,
        )
        yield OnTrip(
            vehicle_external_id=name,
            trip_id=given.trip.trip_id or None,
            current_status=status,
            occupancy_status=None
            if not given.HasField("occupancy_status")
            else OCCUPANCIES[taken]
            if taken < len(OCCUPANCIES)
            else str(taken),
        )


def _position(given: Any, otherwise: datetime, path: str) -> Position | None:
    spot = given.position
    if not (spot.HasField("latitude") and spot.HasField("longitude")):
        return None
    latitude, longitude = spot.latitude, spot.longitude
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        return None
    return Position(
        latitude=round(latitude, 6),
        longitude=round(longitude, 6),
        speed_kmh=round(spot.speed * 3.6, 3) if spot.HasField("speed") and math.isfinite(spot.speed) else None,
        heading_deg=spot.bearing % 360 if spot.HasField("bearing") and math.isfinite(spot.bearing) else None,
        recorded_at=_time(given, f"{path}.timestamp") or otherwise,
    )


def _state(spot: Position | None) -> VehicleState:
    if spot is None or spot.speed_kmh is None:
        return VehicleState.UNKNOWN
    return VehicleState.MOVING if spot.speed_kmh > 0 else VehicleState.IDLING


def _time(given: Any, path: str) -> datetime | None:
    return instant(given.timestamp, path=path) if given.HasField("timestamp") else None
