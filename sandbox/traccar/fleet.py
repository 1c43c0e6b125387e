"""The world's vehicles as Traccar stores them: devices, positions, events and geofences, all functions of time.

A vehicle that moves reports every two seconds, one that stands every thirty; the server has a report a fifth of a
second after its fix. Ids of positions and events grow with time, as a database's do.
"""

import math
from collections import OrderedDict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sandbox.world import ANCHOR, Geofence, Vehicle, VehicleState, World, distance_m

KNOT_KMH: Final = 1.852
ARRIVAL_S: Final = 0.204
"""From the fix to the server."""
MOVING_S, STANDING_S, GRID_S = 2, 30, 10
SPEED_LIMIT_KMH: Final = 80.0
_SLOTS: Final = 64
"""Ids kept apart per second; more than there are vehicles."""
_KINDS: Final = 32
_CACHE_MAX: Final = 4096
_ORIGIN: Final = int(ANCHOR.timestamp()) - 10_000_000

JSON = dict[str, Any]


def iso(at: datetime) -> str:
    """As Jackson writes it: milliseconds and a numeric offset."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}+00:00"


def knots(kmh: float) -> float:
    return round(kmh / KNOT_KMH, 6)


class Fleet:
    """Everything that the account of the sandbox may see."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.slots: Final = {each.traccar_id: slot for slot, each in enumerate(world.vehicles)}
        self._latest: OrderedDict[tuple[int, int], int] = OrderedDict()

    # --- when something is reported

    def reports_at(self, vehicle: Vehicle, second: int) -> VehicleState | None:
        """The report of this very second (epoch), if there is one."""
        every = MOVING_S if self._may_move(vehicle, second) else STANDING_S
        if (second + self.slots[vehicle.traccar_id]) % every:
            return None
        state = vehicle.state_at(datetime.fromtimestamp(second, UTC))
        return state if state.online else None

    @staticmethod
    def _may_move(vehicle: Vehicle, second: int) -> bool:
        return vehicle.state_at(datetime.fromtimestamp(second, UTC)).motion

    def latest(self, vehicle: Vehicle, now: datetime) -> VehicleState:
        """The newest report that the server has."""
        second = math.floor(now.timestamp() - ARRIVAL_S)
        key = (vehicle.traccar_id, second)
        if key not in self._latest:
            state = vehicle.state_at(datetime.fromtimestamp(second, UTC))
            at = int(state.at.timestamp())
            while self.reports_at(vehicle, at) is None:
                at -= 1
            self._latest[key] = at
            while len(self._latest) > _CACHE_MAX:
                self._latest.popitem(last=False)
        return vehicle.state_at(datetime.fromtimestamp(self._latest[key], UTC))

    def route(self, vehicle: Vehicle, start: datetime, end: datetime) -> Iterator[JSON]:
        """All reports with their fix in the span that the server has by now, oldest first."""
        last = min(end.timestamp(), self.world.now().timestamp() - ARRIVAL_S)
        for second in range(math.ceil(start.timestamp()), math.floor(last) + 1):
            state = self.reports_at(vehicle, second)
            if state is not None:
                yield self.position(vehicle, state)

    # --- as JSON

    def device(self, vehicle: Vehicle, now: datetime) -> JSON:
        state = self.latest(vehicle, now)
        attributes: JSON = {}
        if vehicle.traccar_fleet_number is not None:
            attributes["fleetNumber"] = vehicle.traccar_fleet_number
        if vehicle.kind == "truck":
            attributes["speedLimit"] = knots(SPEED_LIMIT_KMH)
        return {
            "id": vehicle.traccar_id,
            "attributes": attributes,
            "groupId": 0,
            "calendarId": 0,
            "name": vehicle.traccar_name,
            "uniqueId": vehicle.imei,
            "status": "online" if self.online(vehicle, now) else "offline",
            "lastUpdate": iso(state.at + timedelta(seconds=ARRIVAL_S)),
            "positionId": self.position_id(vehicle, state.at),
            "phone": None,
            "model": f"{vehicle.make} {vehicle.model}",
            "contact": None,
            "category": vehicle.traccar_category,
            "disabled": False,
            "expirationTime": None,
        }

    def online(self, vehicle: Vehicle, now: datetime) -> bool:
        """The server notices on a grid of ten seconds."""
        second = math.floor(now.timestamp() / GRID_S) * GRID_S
        return vehicle.state_at(datetime.fromtimestamp(second, UTC)).online

    def position_id(self, vehicle: Vehicle, at: datetime) -> int:
        return (int(at.timestamp()) - _ORIGIN) * _SLOTS + self.slots[vehicle.traccar_id]

    def position(self, vehicle: Vehicle, state: VehicleState) -> JSON:
        place = (state.latitude, state.longitude)
        inside = [fence.id for fence in self.world.geofences if contains(fence, place)]
        return {
            "id": self.position_id(vehicle, state.at),
            "attributes": {
                "batteryLevel": round(state.battery_pct),
                "totalDistance": state.odometer_m,
                "motion": state.motion,
                "ignition": state.ignition,
                "fuel": state.fuel_l,
                "hours": state.engine_ms,
                "sat": 11,
                "odometer": round(state.odometer_m),
                "power": state.power_v,
            },
            "deviceId": vehicle.traccar_id,
            "protocol": "teltonika",
            "serverTime": iso(state.at + timedelta(seconds=ARRIVAL_S)),
            "deviceTime": iso(state.at),
            "fixTime": iso(state.at),
            "outdated": False,
            "valid": True,
            "latitude": state.latitude,
            "longitude": state.longitude,
            "altitude": state.altitude_m,
            "speed": knots(state.speed_kmh),
            "course": state.course_deg,
            "address": None,
            "accuracy": 0.0,
            "network": None,
            "geofenceIds": inside or None,
        }

    def geofence(self, fence: Geofence) -> JSON:
        return {
            "id": fence.id,
            "attributes": {},
            "calendarId": 0,
            "name": fence.name,
            "description": fence.description,
            "area": fence.traccar_area,
        }

    # --- events

    def events(self, vehicle: Vehicle, start: datetime, end: datetime) -> list[JSON]:
        """start ≤ time < end, oldest first."""
        kinds = {"moving": "deviceMoving", "stopped": "deviceStopped"}
        kinds |= {"ignition_on": "ignitionOn", "ignition_off": "ignitionOff"}
        found: list[JSON] = []
        changes = [each for each in vehicle.changes(start, end) if vehicle.state_at(each.at).online]
        found += [self._event(vehicle, kinds[each.kind], each.at) for each in changes]
        second = math.ceil(start.timestamp() / GRID_S) * GRID_S
        while second < end.timestamp():
            found += self._crossed(vehicle, second)
            second += GRID_S
        return sorted(found, key=lambda each: (each["eventTime"], each["id"]))

    def _crossed(self, vehicle: Vehicle, second: int) -> Iterator[JSON]:
        """What differs between two points of the grid."""
        at = datetime.fromtimestamp(second, UTC)
        before, after = vehicle.state_at(at - timedelta(seconds=GRID_S)), vehicle.state_at(at)
        if before.online != after.online:
            yield self._event(vehicle, "deviceOnline" if after.online else "deviceOffline", at, position=False)
        if not (before.online and after.online):
            return
        if vehicle.kind == "truck" and before.speed_kmh <= SPEED_LIMIT_KMH < after.speed_kmh:
            limits = {"speed": knots(after.speed_kmh), "speedLimit": knots(SPEED_LIMIT_KMH)}
            yield self._event(vehicle, "deviceOverspeed", at, limits)
        if (before.latitude, before.longitude) == (after.latitude, after.longitude):
            return
        for fence in self.world.geofences:
            was = contains(fence, (before.latitude, before.longitude))
            now = contains(fence, (after.latitude, after.longitude))
            if was != now:
                yield self._event(vehicle, "geofenceEnter" if now else "geofenceExit", at, fence=fence.id)

    def _event(
        self,
        vehicle: Vehicle,
        kind: str,
        at: datetime,
        attributes: JSON | None = None,
        *,
        fence: int = 0,
        position: bool = True,
    ) -> JSON:
        place = 2 * fence + EVENTS.index(kind)
        return {
            "id": self.position_id(vehicle, at) * _KINDS + place,
            "attributes": attributes or {},
            "deviceId": vehicle.traccar_id,
            "type": kind,
            "eventTime": iso(at),
            "positionId": self.position_id(vehicle, self.latest(vehicle, at).at) if position else 0,
            "geofenceId": fence,
            "maintenanceId": 0,
        }


EVENTS: Final = (
    "deviceMoving", "deviceStopped", "ignitionOn", "ignitionOff", "deviceOverspeed", "deviceOnline",
    "deviceOffline", "geofenceEnter", "geofenceExit",
)  # fmt: skip
"""In the order of their ids; those of geofences come last, since the geofence's number is added."""


def contains(fence: Geofence, place: tuple[float, float]) -> bool:
    if fence.kind == "circle":
        return distance_m(fence.centre, place) <= fence.radius_m
    inside = False
    latitude, longitude = place
    for a, b in zip(fence.points, [*fence.points[1:], fence.points[0]], strict=True):
        if (a[0] > latitude) != (b[0] > latitude):
            crossing = a[1] + (latitude - a[0]) / (b[0] - a[0]) * (b[1] - a[1])
            inside ^= longitude < crossing
    return inside
