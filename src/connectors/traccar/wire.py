"""What Traccar sends, in its own words. Speeds are knots, distances metres, `hours` milliseconds."""

from typing import Any

import msgspec


class Device(msgspec.Struct, rename="camel", kw_only=True):
    """`id` 0 is a legal device; 0 in `position_id` or `group_id` means none."""

    id: int
    name: str | None = None
    unique_id: str | None = None
    status: str | None = None
    disabled: bool | None = None
    last_update: str | None = None
    position_id: int | None = None
    group_id: int | None = None
    model: str | None = None
    category: str | None = None
    attributes: dict[str, Any] | None = None


class Position(msgspec.Struct, rename="camel", kw_only=True):
    """`id` is 0 in forwarded messages, which leave before the server has stored them.

    `outdated`: the device sent no fix, and the server copied the place, speed and `fix_time` of the last one.
    """

    id: int = 0
    device_id: int
    protocol: str | None = None
    server_time: str | None = None
    device_time: str | None = None
    fix_time: str | None = None
    outdated: bool = False
    valid: bool = True
    latitude: float
    longitude: float
    altitude: float | None = None
    speed: float | None = None
    course: float | None = None
    accuracy: float | None = None
    geofence_ids: list[int] | None = None
    attributes: dict[str, Any] | None = None


class Event(msgspec.Struct, rename="camel", kw_only=True):
    """0 in `position_id`, `geofence_id`, `maintenance_id` means none."""

    id: int = 0
    type: str
    event_time: str
    device_id: int
    position_id: int | None = None
    geofence_id: int | None = None
    maintenance_id: int | None = None
    attributes: dict[str, Any] | None = None


class Geofence(msgspec.Struct, rename="camel", kw_only=True):
    id: int
    name: str | None = None
    description: str | None = None
    area: str
    attributes: dict[str, Any] | None = None


class Server(msgspec.Struct, kw_only=True):
    id: int | None = None
    version: str | None = None


class User(msgspec.Struct, rename="camel", kw_only=True):
    """The account behind a session; what is personal in it is not read."""

    id: int
    administrator: bool | None = None
    readonly: bool | None = None


class Trip(msgspec.Struct, rename="camel", kw_only=True):
    """`duration` is milliseconds in the running server, although its API definition says seconds."""

    device_id: int
    device_name: str | None = None
    start_time: str
    end_time: str
    distance: float | None = None
    average_speed: float | None = None
    max_speed: float | None = None
    spent_fuel: float | None = None
    start_odometer: float | None = None
    end_odometer: float | None = None
    duration: float | None = None


class Frame(msgspec.Struct, kw_only=True):
    """One frame of the socket: one of the keys, or none of them to keep the connection alive."""

    devices: list[Device] = []
    positions: list[Position] = []
    events: list[Event] = []


class Parts(msgspec.Struct, kw_only=True):
    """A frame cut into its objects, each as the bytes that came."""

    devices: list[msgspec.Raw] = []
    positions: list[msgspec.Raw] = []
    events: list[msgspec.Raw] = []


class Forwarded(msgspec.Struct, kw_only=True):
    """Body of `forward.type = json` (position and device) or of `event.forward` (event and what it refers to)."""

    position: Position | None = None
    device: Device | None = None
    event: Event | None = None
    geofence: Geofence | None = None


class Ids(msgspec.Struct, rename="camel", kw_only=True):
    """Just enough of an object to name its delivery."""

    id: int = 0
    device_id: int = 0
    server_time: str | None = None
    event_time: str | None = None
