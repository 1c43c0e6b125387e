"""What a TAK server knows: units on vehicles and on foot, missions with their growing log, and geofences."""

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from sandbox.world.chance import ANCHOR, Chance, moment, seconds
from sandbox.world.geo import Loop, Point, distance_m, offset
from sandbox.world.goods import SITES
from sandbox.world.vehicles import Vehicle

ChangeKind = Literal["created", "content_added", "content_removed", "unit_added", "unit_removed"]


@dataclass(frozen=True, slots=True)
class UnitState:
    at: datetime
    online: bool
    latitude: float
    longitude: float
    altitude_m: float
    speed_kmh: float
    course_deg: float
    battery_pct: int


@dataclass(frozen=True, slots=True)
class TakUnit:
    uid: str
    """`ANDROID-` and 16 hexadecimal digits."""
    callsign: str
    cot_type: str
    """`a-f-G-E-V-C` for a vehicle, `a-f-G-U-C-I` for people on foot."""
    team: str
    """A TAK colour."""
    role: str
    vehicle: Vehicle | None = field(repr=False)
    """The heavy vehicle it rides in; None for people on foot."""
    walk: Loop | None = field(repr=False, compare=False)
    phase_m: float
    altitude_m: float

    def state_at(self, at: datetime) -> UnitState:
        second = math.floor(seconds(at))
        battery = 35 + int(60 * abs(math.cos(second / 21_600 + self.phase_m)))
        if self.vehicle is not None:
            seen = self.vehicle.state_at(at)
            return UnitState(
                at=seen.at,
                online=seen.online,
                latitude=seen.latitude,
                longitude=seen.longitude,
                altitude_m=seen.altitude_m,
                speed_kmh=seen.speed_kmh,
                course_deg=seen.course_deg,
                battery_pct=battery,
            )
        assert self.walk is not None
        metres = (second * _WALK_MS + self.phase_m) % self.walk.length_m
        latitude, longitude, course = self.walk.at(metres)
        return UnitState(
            at=moment(second),
            online=True,
            latitude=round(latitude, 7),
            longitude=round(longitude, 7),
            altitude_m=self.altitude_m,
            speed_kmh=round(_WALK_MS * 3.6, 2),
            course_deg=round(course, 1) % 360,
            battery_pct=battery,
        )


_WALK_MS: Final = 1.25


@dataclass(frozen=True, slots=True)
class MissionContent:
    uid: str
    name: str
    mime_type: str
    data: bytes = field(repr=False)
    submitter_uid: str
    submitted_at: datetime
    keywords: tuple[str, ...]

    @property
    def size(self) -> int:
        return len(self.data)

    @property
    def sha256(self) -> str:
        """Hexadecimal; TAK's `hash`."""
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True, slots=True)
class MissionChange:
    number: int
    """Grows by one within a mission."""
    at: datetime
    kind: ChangeKind
    creator_uid: str
    unit_uid: str | None
    content: MissionContent | None


@dataclass(frozen=True, slots=True)
class Mission:
    guid: str
    name: str
    description: str
    tool: str
    classification: str
    keywords: tuple[str, ...]
    creator_uid: str
    created_at: datetime
    unit_uids: tuple[str, ...]
    """Assigned for the whole time."""
    spare_uid: str
    """Of the unit that joins and leaves over and over."""
    contents: tuple[MissionContent, ...]
    """There for the whole time."""
    site_key: str
    period_s: int
    """A change happens every so many seconds."""

    def _turn(self, at: datetime) -> int:
        return max(math.floor(seconds(at) / self.period_s), 0)

    def _report(self, turn: int) -> MissionContent:
        at = moment(turn * self.period_s)
        name = f"{self.name} report {turn:06d}.txt"
        return _content(name, f"All quiet at {at.isoformat()}.\n", self.creator_uid, at)

    def contents_at(self, at: datetime) -> tuple[MissionContent, ...]:
        turn = self._turn(at)
        return (*self.contents, self._report(turn - (turn + 3) % 4)) if turn % 4 in (1, 2) else self.contents

    def unit_uids_at(self, at: datetime) -> tuple[str, ...]:
        return (*self.unit_uids, self.spare_uid) if self._turn(at) % 4 in (2, 3) else self.unit_uids

    def changes(self, start: datetime, end: datetime) -> Iterator[MissionChange]:
        """start ≤ time < end, oldest first. From the beginning it may be tens of thousands."""
        opening: list[tuple[ChangeKind, str | None, MissionContent | None]] = [
            ("created", None, None),
            *(("unit_added", uid, None) for uid in self.unit_uids),
            *(("content_added", None, one) for one in self.contents),
        ]
        for number, (kind, uid, content) in enumerate(opening, start=1):
            at = self.created_at + timedelta(seconds=number - 1)
            if start <= at < end:
                yield MissionChange(number, at, kind, self.creator_uid, uid, content)
        turn = max(math.ceil(seconds(start) / self.period_s), 1)
        while (at := moment(turn * self.period_s)) < end:
            yield self._change(len(opening) + turn, turn, at)
            turn += 1

    def _change(self, number: int, turn: int, at: datetime) -> MissionChange:
        by = self.creator_uid
        if turn % 4 == 1:
            return MissionChange(number, at, "content_added", by, None, self._report(turn))
        if turn % 4 == 2:
            return MissionChange(number, at, "unit_added", by, self.spare_uid, None)
        if turn % 4 == 3:
            return MissionChange(number, at, "content_removed", by, None, self._report(turn - 2))
        return MissionChange(number, at, "unit_removed", by, self.spare_uid, None)


@dataclass(frozen=True, slots=True)
class Geofence:
    id: int
    name: str
    description: str
    site_key: str
    kind: Literal["circle", "polygon"]
    centre: Point
    radius_m: float
    """0 for a polygon."""
    points: tuple[Point, ...]
    """Corners of a polygon, not closed; empty for a circle."""

    @property
    def traccar_area(self) -> str:
        """Traccar's text: latitude first, metres."""
        if self.kind == "circle":
            return f"CIRCLE ({self.centre[0]:.6f} {self.centre[1]:.6f}, {self.radius_m:.1f})"
        corners = ", ".join(f"{lat:.6f} {lon:.6f}" for lat, lon in (*self.points, self.points[0]))
        return f"POLYGON (({corners}))"

    def contains(self, latitude: float, longitude: float) -> bool:
        if self.kind == "circle":
            return distance_m(self.centre, (latitude, longitude)) <= self.radius_m
        inside = False
        for a, b in zip(self.points, (*self.points[1:], self.points[0]), strict=True):
            if (a[0] > latitude) != (b[0] > latitude):
                crossing = a[1] + (latitude - a[0]) / (b[0] - a[0]) * (b[1] - a[1])
                inside ^= longitude < crossing
        return inside


def _uuid(seed: str) -> str:
    return str(UUID(bytes=hashlib.sha256(seed.encode()).digest()[:16], version=4))


def _content(name: str, text: str, submitter: str, at: datetime) -> MissionContent:
    kind = "application/vnd.google-earth.kml+xml" if name.endswith(".kml") else "text/plain"
    return MissionContent(
        uid=_uuid(f"content:{name}"),
        name=name,
        mime_type=kind,
        data=f"{name}\n{text}".encode(),
        submitter_uid=submitter,
        submitted_at=at,
        keywords=("report",) if kind == "text/plain" else ("route",),
    )


_TEAMS: Final = ("Cyan", "Green", "Yellow", "Orange")
_PEOPLE: Final = (
    ("SCOUT-1", "Team Lead"), ("SCOUT-2", "Team Member"), ("MEDIC-1", "Medic"),
    ("SCOUT-3", "Team Lead"), ("SCOUT-4", "Sniper"), ("RADIO-1", "RTO"),
)  # fmt: skip
_MISSIONS: Final = (
    ("Relief convoy Apapa", "Convoys with relief goods from the port", "UNCLASSIFIED"),
    ("Bridge survey Ibadan", "Load survey of the ring road bridges", "RESTRICTED"),
    ("Depot guard Abuja", "Patrols around the field depot", "RESTRICTED"),
    ("Flood watch Lagos", "River gauges and evacuation routes", "UNCLASSIFIED"),
    ("Medical escort", "Escort of cold chain transports", "UNCLASSIFIED"),
    ("Exercise Harmattan", "Joint exercise north of the depot", "CONFIDENTIAL"),
)


def build_units(vehicles: Sequence[Vehicle]) -> tuple[TakUnit, ...]:
    """Eight in the heavy vehicles, then six on foot."""
    units: list[TakUnit] = []
    for n, vehicle in enumerate(one for one in vehicles if one.kind == "heavy"):
        units.append(
            TakUnit(
                uid=vehicle.tak_uid,
                callsign=vehicle.tak_callsign,
                cot_type="a-f-G-E-V-C" if n % 4 else "a-f-G-E-V-A-T",
                team=_TEAMS[n % len(_TEAMS)],
                role="HQ" if n == 0 else "Team Member",
                vehicle=vehicle,
                walk=None,
                phase_m=float(n),
                altitude_m=vehicle.site.altitude_m,
            )
        )
    for n, (callsign, role) in enumerate(_PEOPLE):
        site = SITES[n % len(SITES)]
        chance = Chance(f"unit:{callsign}")
        home = offset(site.point, chance.span(-600, 600), chance.span(300, 1500))
        walk = Loop.through(
            [
                offset(home, reach * math.cos(turn / 7 * math.tau), reach * math.sin(turn / 7 * math.tau))
                for turn in range(7)
                for reach in (chance.span(120, 320),)
            ]
        )
        units.append(
            TakUnit(
                uid=f"ANDROID-{chance.below(1 << 32):08x}{n + 1:08x}",
                callsign=callsign,
                cot_type="a-f-G-U-C-I",
                team=_TEAMS[n % len(_TEAMS)],
                role=role,
                vehicle=None,
                walk=walk,
                phase_m=float(chance.below(int(walk.length_m))),
                altitude_m=site.altitude_m,
            )
        )
    return tuple(units)


def build_missions(units: Sequence[TakUnit]) -> tuple[Mission, ...]:
    missions: list[Mission] = []
    for n, (name, description, classification) in enumerate(_MISSIONS):
        chance = Chance(f"mission:{name}")
        *assigned, spare = chance.picks(units, chance.between(4, 6))
        creator = assigned[0].uid
        created = ANCHOR - timedelta(days=chance.between(5, 40), minutes=chance.below(1000))
        contents = tuple(
            _content(f"{name} {part}", f"{description}\n", creator, created) for part in ("order.txt", "route.kml")
        )
        missions.append(
            Mission(
                guid=_uuid(f"mission:{name}"),
                name=name,
                description=description,
                tool="public",
                classification=classification,
                keywords=tuple(name.lower().split()),
                creator_uid=creator,
                created_at=created,
                unit_uids=tuple(unit.uid for unit in assigned),
                spare_uid=spare.uid,
                contents=contents,
                site_key=SITES[n % len(SITES)].key,
                period_s=chance.between(5, 15) * 60,
            )
        )
    return tuple(missions)


_YARD: Final = ((-350, -250), (400, -300), (450, 350), (-300, 300))
"""Corners in metres east and north of the gate."""


def build_geofences() -> tuple[Geofence, ...]:
    """Per site the gate and the surroundings (circles) and the yard (a polygon); and one zone of no entry."""
    made: list[Geofence] = []

    def add(site_key: str, name: str, text: str, centre: Point, radius_m: float, corners: tuple[Point, ...]) -> None:
        kind: Literal["circle", "polygon"] = "polygon" if corners else "circle"
        made.append(Geofence(len(made) + 1, name, text, site_key, kind, centre, radius_m, corners))

    for site in SITES:
        north = offset(site.point, 0, 1200)
        yard = tuple(offset(site.point, x, y) for x, y in _YARD)
        add(site.key, f"{site.city} gate", "Arrivals and departures", site.point, 150.0, ())
        add(site.key, f"{site.city} yard", "Parking and loading", site.point, 0.0, yard)
        add(site.key, f"{site.city} area", "Delivery area", offset(north, 0, 2000), 6000.0, ())
    last = SITES[-1]
    middle = offset(last.point, 1500, 3500)
    zone = tuple(offset(middle, x, y) for x, y in ((-900, 0), (0, -900), (900, 0), (300, 800), (-500, 700)))
    add(last.key, "No entry north", "Closed during exercises", middle, 0.0, zone)
    return tuple(made)
