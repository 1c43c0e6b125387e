"""Vehicles that drive closed routes; where one is follows from the time alone."""

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from sandbox.world.chance import Chance, moment, seconds
from sandbox.world.geo import Loop, Point, offset
from sandbox.world.goods import SITES, Site

Kind = Literal["truck", "ride_hail", "heavy"]
ChangeKind = Literal["ignition_on", "ignition_off", "moving", "stopped"]


@dataclass(frozen=True, slots=True)
class VehicleState:
    at: datetime
    """When this was measured: the whole second, or the last one before the vehicle went offline."""
    online: bool
    latitude: float
    longitude: float
    altitude_m: float
    speed_kmh: float
    course_deg: float
    ignition: bool
    motion: bool
    fuel_l: float
    odometer_m: float
    engine_ms: int
    """Running time of the engine since it was built, milliseconds."""
    battery_pct: float
    """Of the tracker."""
    power_v: float
    """Of the vehicle's supply."""


@dataclass(frozen=True, slots=True)
class VehicleChange:
    at: datetime
    kind: ChangeKind


@dataclass(frozen=True, slots=True)
class _Leg:
    start_s: float
    duration_s: float
    start_m: float
    length_m: float
    cruise_ms: float
    """0 while standing."""
    ignition: bool
    engine_s: float
    """Engine time of the lap before this leg."""


_RAMP_MS2: Final = 1.0


@dataclass(frozen=True, slots=True)
class Route:
    """One lap: drives that start and end at rest, and stops between them."""

    loop: Loop
    legs: tuple[_Leg, ...]
    starts_s: tuple[float, ...]
    duration_s: float
    engine_s: float

    def leg_at(self, second: float) -> tuple[int, _Leg, float]:
        """Lap, leg, seconds into the leg."""
        lap, inside = divmod(second, self.duration_s)
        leg = self.legs[max(bisect_right(self.starts_s, inside) - 1, 0)]
        return int(lap), leg, inside - leg.start_s


def _progress(leg: _Leg, elapsed: float) -> tuple[float, float]:
    """Metres and metres per second after so many seconds of a leg."""
    if leg.cruise_ms == 0:
        return 0.0, 0.0
    ramp = leg.cruise_ms / _RAMP_MS2
    left = leg.duration_s - elapsed
    if elapsed < ramp:
        return _RAMP_MS2 * elapsed**2 / 2, _RAMP_MS2 * elapsed
    if left < ramp:
        return leg.length_m - _RAMP_MS2 * left**2 / 2, _RAMP_MS2 * left
    return leg.cruise_ms * (elapsed - ramp / 2), leg.cruise_ms


@dataclass(frozen=True, slots=True)
class Vehicle:
    key: str
    """Fleet number: `TRK-007`, `CAR-012`, `HLV-03`."""
    kind: Kind
    site: Site = field(repr=False)
    plate: str
    """As on the plate: `KJA-123-AB`."""
    sap_plate: str
    """As SAP has it: `KJA123AB`."""
    uber_plate: str
    """As Uber has it: `KJA 123 AB`."""
    tak_callsign: str
    """As TAK has it: `TRK007`."""
    tak_uid: str
    traccar_id: int
    imei: str
    """15 digits with a right check digit; Traccar's uniqueId."""
    traccar_name: str
    """As the dispatcher typed it: `Truck 07 KJA 123 AB`."""
    traccar_fleet_number: str | None
    """Traccar's attribute `fleetNumber`; filled for every second vehicle only."""
    traccar_category: str
    make: str
    model: str
    colour: str
    year: int
    driver_name: str
    driver_phone: str
    tank_l: float
    litres_per_km: float
    route: Route = field(repr=False, compare=False)
    phase_s: float
    base_odometer_m: float
    offline_every_s: float
    """0 for a vehicle that is never offline."""
    offline_for_s: float

    def state_at(self, at: datetime) -> VehicleState:
        """Measured at the whole second; while offline, at the last second before."""
        second = math.floor(seconds(at))
        online = True
        if self.offline_every_s:
            silent_at = self.offline_every_s - self.offline_for_s
            silent = (second + self.phase_s) % self.offline_every_s - silent_at
            if silent >= 0:
                online, second = False, math.floor(second - silent)
        lap, leg, elapsed = self.route.leg_at(second + self.phase_s)
        gone, speed_ms = _progress(leg, elapsed)
        metres = leg.start_m + gone
        latitude, longitude, course = self.route.loop.at(metres)
        length = self.route.loop.length_m
        used_per_lap = length / 1000 * self.litres_per_km
        laps_per_tank = max(int(self.tank_l * 0.8 / used_per_lap), 1)
        used = lap % laps_per_tank * used_per_lap + metres / 1000 * self.litres_per_km
        engine_s = lap * self.route.engine_s + leg.engine_s + (elapsed if leg.ignition else 0.0)
        hours = second / 3600
        return VehicleState(
            at=moment(second),
            online=online,
            latitude=round(latitude, 7),
            longitude=round(longitude, 7),
            altitude_m=round(self.site.altitude_m + 8 * math.sin(metres / length * 2 * math.pi), 1),
            speed_kmh=round(speed_ms * 3.6, 2),
            course_deg=round(course, 1) % 360,
            ignition=leg.ignition,
            motion=speed_ms > 0,
            fuel_l=round(self.tank_l * 0.95 - used, 2),
            odometer_m=round(self.base_odometer_m + lap * length + metres, 1),
            engine_ms=int((self.base_odometer_m / 9 + engine_s) * 1000),
            battery_pct=round(88 + 12 * math.cos((hours + self.phase_s / 600) * math.pi / 3), 1),
            power_v=13.9 if leg.ignition else 12.5,
        )

    def track(self, start: datetime, end: datetime, step_s: int = 10) -> Iterator[VehicleState]:
        """Measurements every `step_s` seconds, start ≤ time ≤ end, oldest first; none while offline."""
        second = math.ceil(seconds(start) / step_s) * step_s
        last = seconds(end)
        while second <= last:
            state = self.state_at(moment(second))
            if state.online:
                yield state
            second += step_s

    def changes(self, start: datetime, end: datetime) -> Iterator[VehicleChange]:
        """When ignition and motion changed, start ≤ time < end, oldest first."""
        first, last = seconds(start) + self.phase_s, seconds(end) + self.phase_s
        legs = self.route.legs
        lap = int(first // self.route.duration_s)
        while lap * self.route.duration_s < last:
            for index, leg in enumerate(legs):
                second = lap * self.route.duration_s + leg.start_s
                if not first <= second < last:
                    continue
                before = legs[index - 1]
                at = moment(second - self.phase_s)
                if leg.ignition != before.ignition:
                    yield VehicleChange(at, "ignition_on" if leg.ignition else "ignition_off")
                if (leg.cruise_ms > 0) != (before.cruise_ms > 0):
                    yield VehicleChange(at, "moving" if leg.cruise_ms else "stopped")
            lap += 1


def _ring(chance: Chance, home: Point, radius_m: float) -> tuple[list[Point], list[int]]:
    """A ring that starts at home and lies mostly north of it (Apapa has the sea in the south).

    Returns the points and which of them are corners, where a vehicle may stop.
    """
    heading = math.radians(chance.span(-40, 60))
    centre = offset(home, radius_m * math.sin(heading), radius_m * math.cos(heading))
    corners = [home]
    count = chance.between(9, 12)
    for n in range(1, count):
        angle = heading + math.pi + 2 * math.pi * n / count
        reach = radius_m * chance.span(0.75, 1.12)
        corners.append(offset(centre, reach * math.sin(angle), reach * math.cos(angle)))
    points: list[Point] = []
    at: list[int] = []
    for a, b in zip(corners, [*corners[1:], corners[0]], strict=True):
        at.append(len(points))
        points.append(a)
        for part in (0.33, 0.67):
            straight = a[0] + (b[0] - a[0]) * part, a[1] + (b[1] - a[1]) * part
            points.append(offset(straight, chance.span(-90, 90), chance.span(-90, 90)))
    return points, at


def _route(seed: str, home: Point, *, radius_m: float, kmh: tuple[float, float], stops: tuple[int, int]) -> Route:
    """`stops` bounds the seconds a long stop lasts; short ones (traffic) last 15 to 45 s."""
    chance = Chance(f"route:{seed}")
    points, corners = _ring(chance, home, radius_m)
    loop = Loop.through(points)
    halts = [0, *(n for n in corners[1:] if chance.happens(0.6))]
    legs: list[_Leg] = []
    clock = engine = 0.0
    for place, halt in enumerate(halts):
        start_m = loop.marks_m[halt]
        end_m = loop.marks_m[halts[place + 1]] if place + 1 < len(halts) else loop.length_m
        long = place == 0 or chance.happens(0.3)
        wait = float(chance.between(*stops) if long else chance.between(15, 45))
        ignition = wait <= 150
        legs.append(_Leg(clock, wait, start_m, 0.0, 0.0, ignition, engine))
        clock += wait
        engine += wait if ignition else 0.0
        length = end_m - start_m
        cruise = min(chance.span(*kmh) / 3.6, math.sqrt(length * _RAMP_MS2))
        duration = length / cruise + cruise / _RAMP_MS2
        legs.append(_Leg(clock, duration, start_m, length, cruise, True, engine))
        clock += duration
        engine += duration
    return Route(loop, tuple(legs), tuple(leg.start_s for leg in legs), clock, engine)


def _imei(number: int) -> str:
    digits = f"86725604{number:06d}"
    total = 0
    for place, letter in enumerate(digits):
        value = int(letter) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return f"{digits}{-total % 10}"


_MODELS: Final = {
    "truck": (("MAN", "TGS 26.400"), ("Mack", "Granite"), ("Sinotruk", "Howo 371"), ("Iveco", "Trakker")),
    "ride_hail": (("Toyota", "Corolla"), ("Kia", "Rio"), ("Honda", "Civic"), ("Hyundai", "Accent")),
    "heavy": (("Oshkosh", "MTVR"), ("Innoson", "G80 carrier"), ("Proforce", "Ara"), ("Tatra", "T815")),
}
_SPEEDER: Final = "TRK-024"
_FLICKERING: Final = ("TRK-011", "HLV-05")
"""Offline for the last 7 of every 40 minutes."""
_COLOURS: Final = ("white", "silver", "black", "blue", "grey")


def _vehicle(kind: Kind, number: int, position: int) -> Vehicle:
    """`number` counts within the kind from 1, `position` over all vehicles from 1."""
    site = SITES[position % len(SITES)]
    code, word, width = {
        "truck": ("TRK", "Truck", 3),
        "ride_hail": ("CAR", "Car", 3),
        "heavy": ("HLV", "Heavy", 2),
    }[kind]
    key = f"{code}-{number:0{width}d}"
    chance = Chance(f"vehicle:{key}")
    digits, tail = f"{101 + position * 17 % 899:03d}", chance.pick("ABCDEFGH") + chance.pick("ABCDEFGHJKL")
    plate = f"{site.plate_prefix}-{digits}-{tail}"
    make, model = chance.pick(_MODELS[kind])
    home = site.point
    if kind == "truck":
        pace = (88.0, 96.0) if key == _SPEEDER else (32.0, 68.0)
        route = _route(key, home, radius_m=chance.span(3000, 6500), kmh=pace, stops=(180, 600))
        tank, litres = 300.0, 0.34
    elif kind == "ride_hail":
        home = offset(home, chance.span(-900, 900), chance.span(600, 2800))
        route = _route(key, home, radius_m=chance.span(1500, 3500), kmh=(24, 52), stops=(40, 140))
        tank, litres = 45.0, 0.08
    else:
        home = offset(home, chance.span(-2000, 2000), chance.span(1500, 4000))
        route = _route(key, home, radius_m=chance.span(1200, 3000), kmh=(14, 38), stops=(160, 500))
        tank, litres = 250.0, 0.55
    offline = key in _FLICKERING
    first, last = chance.person()
    return Vehicle(
        key=key,
        kind=kind,
        site=site,
        plate=plate,
        sap_plate=plate.replace("-", ""),
        uber_plate=plate.replace("-", " "),
        tak_callsign=key.replace("-", ""),
        tak_uid=f"ANDROID-{chance.below(1 << 32):08x}{position:08x}",
        traccar_id=400 + position * 3,
        imei=_imei(120_000 + position * 37),
        traccar_name=f"{word} {number:02d} {plate.replace('-', ' ')}",
        traccar_fleet_number=key if position % 2 else None,
        traccar_category={"truck": "truck", "ride_hail": "car", "heavy": "offroad"}[kind],
        make=make,
        model=model,
        colour=chance.pick(_COLOURS),
        year=chance.between(2016, 2025),
        driver_name=f"{first} {last}",
        driver_phone=chance.phone(),
        tank_l=tank,
        litres_per_km=litres,
        route=route,
        phase_s=float(chance.below(int(route.duration_s))),
        base_odometer_m=float(chance.between(20_000, 180_000) * 1000),
        offline_every_s=2400.0 if offline else 0.0,
        offline_for_s=420.0 if offline else 0.0,
    )


_FLEET_SIZES: Final[tuple[tuple[Kind, int], ...]] = (("truck", 24), ("ride_hail", 16), ("heavy", 8))


def build_vehicles() -> tuple[Vehicle, ...]:
    """24 trucks, 16 ride-hail cars and 8 heavy vehicles, a third of each at every site."""
    made: list[Vehicle] = []
    for kind, count in _FLEET_SIZES:
        made.extend([_vehicle(kind, number, len(made) + number) for number in range(1, count + 1)])
    return tuple(made)
