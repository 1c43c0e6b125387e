"""The kinds of payload that Traccar sends, each with its reader; the live path uses the same."""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Final, TypeVar

import msgspec

from connectors.kit import decode
from connectors.kit.integration import Origin
from connectors.kit.manifest import Decoded, Decoder, Payload
from connectors.traccar import mapping, urlform, wire
from unified.values import Value

T = TypeVar("T")

FRAME, FORWARDED, FORWARDED_URL = "traccar-frame", "traccar-forwarded", "traccar-forwarded-url"
"""Names of the decoders that the live path uses."""

_FRAME: Final = re.compile(rb'\s*\{\s*(?:\}\s*$|"(?:devices|positions|events)"\s*:\s*\[)')
_FORWARDED: Final = re.compile(rb'\s*\{\s*"(?:position|event|device|geofence|maintenance)"\s*:\s*[{n]')
_LOOKED_AT: Final = 20_000


class TraccarServer(Value, frozen=True, kw_only=True):
    """What the server says of itself."""

    version: str | None = None


class TraccarSession(Value, frozen=True, kw_only=True):
    """The account behind a session, without what is personal."""

    user_id: str
    administrator: bool = False
    readonly: bool = False


class TraccarTrip(Value, frozen=True, kw_only=True):
    """A row of the trips report."""

    vehicle_external_id: str
    vehicle_name: str | None = None
    started_at: datetime
    ended_at: datetime
    duration_seconds: float
    distance_km: float | None = None
    average_speed_kmh: float | None = None
    max_speed_kmh: float | None = None
    spent_fuel_litres: float | None = None
    start_odometer_km: float | None = None
    end_odometer_km: float | None = None


class News(msgspec.Struct, frozen=True, kw_only=True):
    """What a live message says, whatever way it came."""

    devices: Sequence[wire.Device] = ()
    positions: Sequence[wire.Position] = ()
    events: Sequence[wire.Event] = ()
    forwarded: wire.Device | None = None
    """The device of a forwarded position; it may lack fields that the list of devices has."""
    unnamed: urlform.UrlForm | None = None
    """A forwarded position that does not tell its device's id."""


def news(name: str, payload: Payload) -> News:
    """What a message for the decoder `name` says. Raises `BadPayload` and `MappingFailed`."""
    if name == FRAME:
        frame = decode.json(payload.body, wire.Frame)
        return News(devices=frame.devices, positions=frame.positions, events=frame.events)
    if name == FORWARDED_URL:
        form = urlform.read(payload.body)
        if form.device_id is None:
            return News(unnamed=form)
        device = wire.Device(id=form.device_id, name=form.name, unique_id=form.unique_id, status=form.status)
        return News(positions=[form.position], forwarded=device)
    body = decode.json(payload.body, wire.Forwarded)
    return News(
        positions=[body.position] if body.position is not None else (),
        events=[body.event] if body.event is not None else (),
        forwarded=body.device,
    )


def stand_in(last: wire.Position) -> wire.Device:
    """What is known of a device from its position alone: its id."""
    return wire.Device(id=last.device_id)


def _live(name: str) -> Callable[[Payload, Origin], Iterable[Decoded]]:
    def read(payload: Payload, origin: Origin) -> Iterable[Decoded]:
        told = news(name, payload)
        found: list[Decoded] = []
        for index, device in enumerate(told.devices):
            found.append(mapping.vehicle(device, None, origin, path=f"$.devices[{index}]"))
        for index, last in enumerate(told.positions):
            at = "$.position" if told.forwarded is not None else f"$.positions[{index}]"
            found.append(mapping.vehicle(told.forwarded or stand_in(last), last, origin, path=at))
        for index, event in enumerate(told.events):
            found.append(mapping.happened(event, path=f"$.events[{index}]"))
        if told.unnamed is not None and (place := mapping.position(told.unnamed.position)) is not None:
            found.append(place)
        return found

    return read


def _rows(payload: Payload, into: type[T]) -> list[tuple[str, T]]:
    """The rows of a list with the path of each; a single object counts as a list of one."""
    if payload.body.lstrip()[:1] == b"{":
        return [("$", decode.json(payload.body, into))]
    rows = decode.json(payload.body, list[into])  # type: ignore[valid-type]
    return [(f"$[{index}]", row) for index, row in enumerate(rows)]


def _devices(payload: Payload, origin: Origin) -> Iterable[Decoded]:
    return [mapping.vehicle(row, None, origin, path=path) for path, row in _rows(payload, wire.Device)]


def _positions(payload: Payload, origin: Origin) -> Iterable[Decoded]:
    return [mapping.vehicle(stand_in(row), row, origin, path=path) for path, row in _rows(payload, wire.Position)]


def _events(payload: Payload, _origin: Origin) -> Iterable[Decoded]:
    return [mapping.happened(row, path=path) for path, row in _rows(payload, wire.Event)]


def _geofences(payload: Payload, origin: Origin) -> Iterable[Decoded]:
    return [mapping.geofence(row, origin, path=path) for path, row in _rows(payload, wire.Geofence)]


def _server(payload: Payload, _origin: Origin) -> Iterable[Decoded]:
    return [TraccarServer(version=decode.none(decode.json(payload.body, wire.Server).version))]


def _session(payload: Payload, _origin: Origin) -> Iterable[Decoded]:
    user = decode.json(payload.body, wire.User)
    return [TraccarSession(user_id=str(user.id), administrator=bool(user.administrator), readonly=bool(user.readonly))]


def _trips(payload: Payload, _origin: Origin) -> Iterable[Decoded]:
    return [_trip(row, path=path) for path, row in _rows(payload, wire.Trip)]


def _trip(row: wire.Trip, *, path: str = "$") -> TraccarTrip:
    """The duration is taken from the two times: `duration` has had different units. Raises `MappingFailed`."""
    started = mapping.known_moment(row.start_time, path=f"{path}.startTime")
    ended = mapping.known_moment(row.end_time, path=f"{path}.endTime")
    return TraccarTrip(
        vehicle_external_id=str(row.device_id),
        vehicle_name=decode.none(row.device_name),
        started_at=started,
        ended_at=ended,
        duration_seconds=(ended - started).total_seconds(),
        distance_km=None if row.distance is None else round(row.distance / 1000, 4),
        average_speed_kmh=None if row.average_speed is None else mapping.kmh(row.average_speed),
        max_speed_kmh=None if row.max_speed is None else mapping.kmh(row.max_speed),
        spent_fuel_litres=row.spent_fuel,
        start_odometer_km=None if row.start_odometer is None else round(row.start_odometer / 1000, 4),
        end_odometer_km=None if row.end_odometer is None else round(row.end_odometer / 1000, 4),
    )


def _has(payload: Payload, start: bytes, *names: bytes) -> bool:
    body = payload.body[:_LOOKED_AT].lstrip()
    return body[:1] in start and all(b'"' + name + b'"' in body for name in names)


DECODERS: Sequence[Decoder] = (
    Decoder(
        name=FRAME,
        description="One frame of the WebSocket /api/socket: devices, positions, events, or the keep-alive {}",
        read=_live(FRAME),
        recognises=lambda payload: _FRAME.match(payload.body) is not None,
    ),
    Decoder(
        name=FORWARDED,
        description="Body of a forwarded position (forward.type=json) or event (event.forward)",
        read=_live(FORWARDED),
        recognises=lambda payload: _FORWARDED.match(payload.body) is not None,
    ),
    Decoder(
        name=FORWARDED_URL,
        description="Address of a forwarded position (forward.type=url), its parameters named as the placeholders",
        read=_live(FORWARDED_URL),
        recognises=lambda payload: urlform.is_url_form(payload.body),
    ),
    Decoder(
        name="traccar-positions",
        description="Answer of /positions or /reports/route",
        read=_positions,
        recognises=lambda payload: _has(payload, b"[{", b"deviceId", b"fixTime"),
    ),
    Decoder(
        name="traccar-events",
        description="Answer of /reports/events or /events/{id}",
        read=_events,
        recognises=lambda payload: _has(payload, b"[{", b"deviceId", b"eventTime"),
    ),
    Decoder(
        name="traccar-trips",
        description="Answer of /reports/trips",
        read=_trips,
        recognises=lambda payload: _has(payload, b"[{", b"deviceId", b"startTime", b"averageSpeed"),
    ),
    Decoder(
        name="traccar-devices",
        description="Answer of /devices",
        read=_devices,
        recognises=lambda payload: _has(payload, b"[{", b"uniqueId", b"status"),
    ),
    Decoder(
        name="traccar-geofences",
        description="Answer of /geofences; areas become GeoJSON",
        read=_geofences,
        recognises=lambda payload: _has(payload, b"[{", b"area"),
    ),
    Decoder(
        name="traccar-session",
        description="Answer of /session",
        read=_session,
        recognises=lambda payload: _has(payload, b"{", b"email"),
    ),
    Decoder(
        name="traccar-server",
        description="Answer of /server",
        read=_server,
        recognises=lambda payload: _has(payload, b"{", b"version"),
    ),
)
