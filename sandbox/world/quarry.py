"""The quarry: haul trucks, loaders and what else works there. Where each is, and what its counters say, follows from
the time alone; some of the world's road trucks haul from here, too.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from sandbox.world.chance import Chance, moment, seconds
from sandbox.world.geo import Loop, Point, offset
from sandbox.world.goods import SITES
from sandbox.world.vehicles import Vehicle

Account = Literal["cat", "mixed"]
QuarryKind = Literal["haul_truck", "loader", "support", "road_truck"]
PhaseName = Literal["queue", "load", "full", "dump", "empty", "work", "idle", "delay"]


@dataclass(frozen=True, slots=True)
class Phase:
    name: PhaseName
    start_s: float
    """Into the round."""
    duration_s: float
    cycle: int
    """Which of the round's cycles it belongs to; -1 for none."""
    engine: bool = True
    litres_per_hour: float = 0.0
    reason: tuple[str, str] = ("", "")
    """Class and category of a delay."""


@dataclass(frozen=True, slots=True)
class _Done:
    """What was done from the beginning of a round on."""

    engine_s: float = 0.0
    idle_s: float = 0.0
    litres: float = 0.0
    loads: int = 0

    def plus(self, phase: Phase, seconds: float) -> "_Done":
        on = seconds if phase.engine else 0.0
        return _Done(
            engine_s=self.engine_s + on,
            idle_s=self.idle_s + (on if phase.name in ("queue", "load", "idle", "delay") else 0.0),
            litres=self.litres + seconds / 3600 * phase.litres_per_hour,
            loads=self.loads + (phase.name == "dump" and seconds >= phase.duration_s),
        )


@dataclass(frozen=True, slots=True)
class Meters:
    """Since the machine was built, or since its box was replaced."""

    engine_h: float
    idle_h: float
    fuel_l: float
    odometer_km: float
    loads: int
    payload_kg: int


@dataclass(frozen=True, slots=True)
class QuarryReport:
    """What the box sent last. The values were measured at different times."""

    at: datetime
    """Of the counters."""
    located_at: datetime
    engine_at: datetime
    latitude: float
    longitude: float
    altitude_m: float
    running: bool
    meters: Meters
    fuel_pct: float
    def_pct: float


@dataclass(frozen=True, slots=True)
class QuarryCycle:
    """One load of a truck."""

    number: int
    """Counts the truck's cycles."""
    loader: str
    """Name of the loader in the exports."""
    start: datetime
    end: datetime
    payload_kg: int
    queue_s: int
    load_s: int
    full_s: int
    dump_s: int
    empty_s: int
    fuel_l: float
    source: str
    destination: str


@dataclass(frozen=True, slots=True)
class QuarryDelay:
    number: int
    start: datetime
    end: datetime
    reason: str
    category: str
    engine_stopped: bool


@dataclass(frozen=True, slots=True)
class QuarryFault:
    at: datetime
    code: str
    description: str
    severity: str
    """High, Medium or Low."""
    source: str


@dataclass(frozen=True, slots=True)
class QuarryMachine:
    key: str
    kind: QuarryKind
    account: Account
    """Which account at which provider shows it."""
    make: str
    model: str
    serial: str
    pin: str
    equipment_id: str
    """The operator's number as typed at the provider."""
    export_name: str
    """As MineStar has it; empty for what MineStar does not dispatch."""
    vehicle: Vehicle | None
    phases: tuple[Phase, ...] = field(repr=False)
    starts_s: tuple[float, ...] = field(repr=False)
    so_far: tuple[_Done, ...] = field(repr=False)
    """What is done when each phase begins, and at the end of the round."""
    round_s: float
    payloads_kg: tuple[int, ...]
    """Of the round's cycles."""
    loaders: tuple[str, ...]
    way: Loop = field(repr=False)
    base_hours: float
    tank_l: float
    phase_s: float
    report_s: int
    silent_s: int
    """How long ago its last report always is; 0 for one that reports."""
    reset_s: int
    """Its box is replaced that often, and its counters begin anew; 0 for never."""
    fault_s: int
    """It reports a fault that often; 0 for never."""
    faults: tuple[tuple[str, str, str, str], ...]

    # --- what its box sends

    def report_at(self, at: datetime) -> QuarryReport:
        """The last report until then."""
        second = seconds(at) - self.silent_s
        return self._report(math.floor(second / self.report_s) * self.report_s)

    def reports(self, start: datetime, end: datetime) -> Iterator[QuarryReport]:
        """All reports, start ≤ time ≤ end, oldest first."""
        return (self._report(second) for second in self.report_times(start, end))

    def report_times(self, start: datetime, end: datetime) -> range:
        """Seconds since the world's anchor."""
        first = math.ceil(seconds(start) / self.report_s) * self.report_s
        return range(first, math.floor(seconds(end)) + 1, self.report_s)

    def report_of(self, second: int) -> QuarryReport:
        """That of one of its times."""
        return self._report(second)

    def _report(self, second: float) -> QuarryReport:
        located, engine = second - 45, second - 20
        latitude, longitude, altitude = self._place(located)
        meters = self._meters(second)
        if self.vehicle is not None:
            state = self.vehicle.state_at(moment(engine))
            running, fuel = state.ignition, 100 * state.fuel_l / self.vehicle.tank_l
        else:
            running = self.phases[self._phase(engine)[1]].engine
            fuel = 95 - 100 * (self._raw(second).fuel_l % (self.tank_l * 0.8)) / self.tank_l
        return QuarryReport(
            at=moment(second),
            located_at=moment(located),
            engine_at=moment(engine),
            latitude=round(latitude, 6),
            longitude=round(longitude, 6),
            altitude_m=round(altitude, 1),
            running=running,
            meters=meters,
            fuel_pct=round(fuel, 1),
            def_pct=round(60 + 30 * math.cos((second + self.phase_s) / 90_000), 1),
        )

    def _meters(self, second: float) -> Meters:
        """Two decimals, as boxes send them; those of a box that was replaced begin at 0."""
        now = self._raw(second)
        if self.reset_s:
            before = self._raw(math.floor(second / self.reset_s) * self.reset_s)
            now = Meters(*(getattr(now, name) - getattr(before, name) for name in Meters.__slots__))
        return Meters(
            engine_h=round(now.engine_h, 2),
            idle_h=round(now.idle_h, 2),
            fuel_l=round(now.fuel_l, 1),
            odometer_km=round(now.odometer_km, 1),
            loads=now.loads,
            payload_kg=now.payload_kg,
        )

    def _raw(self, second: float) -> Meters:
        if self.vehicle is not None:
            state = self.vehicle.state_at(moment(second))
            km = state.odometer_m / 1000
            return Meters(state.engine_ms / 3_600_000, 0.0, km * self.vehicle.litres_per_km, km, 0, 0)
        rounds, place, inside = self._phase(second)
        phase, so_far, whole = self.phases[place], self.so_far[place], self.so_far[-1]
        done = so_far.plus(phase, inside)
        engine_s, idle_s, litres = (
            rounds * all_of + part
            for all_of, part in (
                (whole.engine_s, done.engine_s),
                (whole.idle_s, done.idle_s),
                (whole.litres, done.litres),
            )
        )
        loads_a_round = len(self.payloads_kg)
        ways = rounds * loads_a_round + so_far.loads
        return Meters(
            engine_h=self.base_hours + engine_s / 3600,
            idle_h=self.base_hours / 4 + idle_s / 3600,
            fuel_l=self.base_hours * 45 + litres,
            odometer_km=self.base_hours * 9 + ways * self.way.length_m / 1000,
            loads=int(self.base_hours) + ways if loads_a_round else 0,
            payload_kg=(
                int(self.base_hours) * self.payloads_kg[0]
                + rounds * sum(self.payloads_kg)
                + sum(self.payloads_kg[: so_far.loads])
                if loads_a_round
                else 0
            ),
        )

    def _phase(self, second: float) -> tuple[int, int, float]:
        """Rounds until now, which phase, and seconds into it."""
        rounds, inside = divmod(second + self.phase_s, self.round_s)
        place = bisect_right(self.starts_s, inside) - 1
        return int(rounds), place, inside - self.starts_s[place]

    def _place(self, second: float) -> tuple[float, float, float]:
        if self.vehicle is not None:
            state = self.vehicle.state_at(moment(second))
            return state.latitude, state.longitude, state.altitude_m
        _, place, inside = self._phase(second)
        phase = self.phases[place]
        part = inside / phase.duration_s
        half = self.way.length_m / 2
        metres = {
            "queue": 0.0, "load": 0.0, "full": half * part, "dump": half, "empty": half + half * part, "delay": 0.0,
            "work": half * part, "idle": 0.0,
        }[phase.name]  # fmt: skip
        latitude, longitude, _ = self.way.at(metres)
        return latitude, longitude, 215 - 60 * math.sin(metres / self.way.length_m * math.pi)

    # --- what MineStar and the fault log know

    def cycles(self, start: datetime, end: datetime) -> Iterator[QuarryCycle]:
        """Those that ended, start ≤ end of the cycle < end, oldest first."""
        if not self.payloads_kg:
            return
        first, last = seconds(start) + self.phase_s, seconds(end) + self.phase_s
        rounds = math.floor(first / self.round_s)
        while rounds * self.round_s < last:
            for index, payload in enumerate(self.payloads_kg):
                mine = {each.name: each for each in self.phases if each.cycle == index}
                begun, over = mine["queue"].start_s, mine["empty"].start_s + mine["empty"].duration_s
                if first <= rounds * self.round_s + over < last:
                    yield QuarryCycle(
                        number=rounds * len(self.payloads_kg) + index,
                        loader=self.loaders[index % len(self.loaders)],
                        start=moment(rounds * self.round_s + begun - self.phase_s),
                        end=moment(rounds * self.round_s + over - self.phase_s),
                        payload_kg=payload,
                        queue_s=int(mine["queue"].duration_s),
                        load_s=int(mine["load"].duration_s),
                        full_s=int(mine["full"].duration_s),
                        dump_s=int(mine["dump"].duration_s),
                        empty_s=int(mine["empty"].duration_s),
                        fuel_l=round(sum(each.duration_s / 3600 * each.litres_per_hour for each in mine.values()), 1),
                        source=f"P2-1010-{14 + index % 3}",
                        destination=("CRUSHER", "STOCKPILE 3")[index % 4 == 3],
                    )
            rounds += 1

    def delays(self, start: datetime, end: datetime) -> Iterator[QuarryDelay]:
        """Those that ended, start ≤ end of the delay < end, oldest first."""
        first, last = seconds(start) + self.phase_s, seconds(end) + self.phase_s
        rounds = math.floor(first / self.round_s)
        while rounds * self.round_s < last:
            for place, each in enumerate(self.phases):
                over = rounds * self.round_s + each.start_s + each.duration_s
                if each.name == "delay" and first <= over < last:
                    yield QuarryDelay(
                        number=rounds * len(self.phases) + place,
                        start=moment(over - each.duration_s - self.phase_s),
                        end=moment(over - self.phase_s),
                        reason=each.reason[0],
                        category=each.reason[1],
                        engine_stopped=not each.engine,
                    )
            rounds += 1

    def faults_between(self, start: datetime, end: datetime) -> Iterator[QuarryFault]:
        """start ≤ time < end, oldest first."""
        if not self.fault_s:
            return
        number = math.ceil((seconds(start) + self.phase_s) / self.fault_s)
        while number * self.fault_s - self.phase_s < seconds(end):
            code, description, severity, source = self.faults[number % len(self.faults)]
            yield QuarryFault(moment(number * self.fault_s - self.phase_s), code, description, severity, source)
            number += 1


@dataclass(frozen=True, slots=True)
class _Sort:
    key: str
    kind: QuarryKind
    account: Account
    make: str
    model: str
    equipment_id: str
    export_name: str = ""
    payload_t: int = 0
    silent_s: int = 0
    reset_s: int = 0
    fault_h: int = 0


_SORTS: Final = (
    _Sort("QT-101", "haul_truck", "cat", "CAT", "777G", "T101", "T101", 91, fault_h=31),
    _Sort("QT-102", "haul_truck", "cat", "CAT", "777G", "T102", "T102", 91),
    _Sort("QT-103", "haul_truck", "cat", "CAT", "777G", "T-103", "T103", 91, fault_h=53),
    _Sort("QT-104", "haul_truck", "cat", "CAT", "785D", "T104", "T104", 136),
    _Sort("QT-105", "haul_truck", "cat", "CAT", "785D", "T105", "T105", 136, fault_h=17),
    _Sort("QT-106", "haul_truck", "cat", "CAT", "785D", "t106", "T106", 136),
    _Sort("QL-007", "loader", "cat", "CAT", "6020B", "EX07", "EX07", fault_h=40),
    _Sort("QL-003", "loader", "cat", "CAT", "992K", "WL03", "WL03"),
    _Sort("QD-021", "support", "cat", "CAT", "D10T2", "DZ21"),
    _Sort("QG-005", "support", "cat", "CAT", "16M", "GR05"),
    _Sort("QA-201", "haul_truck", "mixed", "BELL", "B50E", "ADT 201", "", 45, fault_h=23),
    _Sort("QA-202", "haul_truck", "mixed", "BELL", "B50E", "ADT 202", "", 45),
    _Sort("QA-203", "haul_truck", "mixed", "BELL", "B40E", "ADT 203", "", 39),
    _Sort("QA-204", "haul_truck", "mixed", "BELL", "B40E", "ADT 204", "", 39, reset_s=10 * 86_400),
    _Sort("QL-008", "loader", "mixed", "Komatsu", "PC2000-8", "EX-08", fault_h=61),
    _Sort("QM-012", "support", "mixed", "Takeuchi", "TB290-2", "ME12", silent_s=60 * 3600),
)
_FAULTS: Final = (
    ("E360-2", "Low engine oil pressure", "High", "Engine"),
    ("110-16", "Engine coolant temperature above normal", "Medium", "Engine"),
    ("E876-1", "Body up while travelling", "Low", "Chassis"),
    ("1569-31", "Engine protection torque derate", "Medium", "Engine"),
)
_DELAYS: Final = (
    ("Crib break", "Operational Standby", False),
    ("Refuelling", "Operational Standby", False),
    ("Tyre change", "Unscheduled Down", False),
    ("Waiting for blast", "Operational Standby", True),
)
_ROAD_TRUCKS: Final = 4
"""Of the world's trucks at the same site; they are tippers that haul from the quarry."""


def build_quarry(vehicles: Sequence[Vehicle]) -> tuple[QuarryMachine, ...]:
    site = next(one for one in SITES if one.key == "ibadan")
    home = offset(site.point, 2_400.0, 6_200.0)
    made = [_machine(sort, home) for sort in _SORTS]
    road = [one for one in vehicles if one.kind == "truck" and one.site.key == site.key][:_ROAD_TRUCKS]
    return (*made, *(_road_truck(one, home) for one in road))


def _machine(sort: _Sort, home: Point) -> QuarryMachine:
    chance = Chance(f"quarry:{sort.key}")
    phases, payloads = _work(sort, chance)
    starts: list[float] = []
    clock = 0.0
    for phase in phases:
        starts.append(clock)
        clock += phase.duration_s
    placed = tuple(
        Phase(
            name=phase.name, start_s=start, duration_s=phase.duration_s, cycle=phase.cycle, engine=phase.engine,
            litres_per_hour=phase.litres_per_hour, reason=phase.reason,
        )
        for phase, start in zip(phases, starts, strict=True)
    )  # fmt: skip
    so_far = [_Done()]
    for phase in placed:
        so_far.append(so_far[-1].plus(phase, phase.duration_s))
    digits = chance.between(10_000, 99_999)
    serial = f"{sort.model[:3].upper().replace('-', '0')}{digits:05d}" if sort.make != "BELL" else f"AEB{digits:05d}"
    return QuarryMachine(
        key=sort.key,
        kind=sort.kind,
        account=sort.account,
        make=sort.make,
        model=sort.model,
        serial=serial,
        pin=f"{sort.make[:3].upper()}0{sort.model.replace('-', '')}{serial}"[:17],
        equipment_id=sort.equipment_id,
        export_name=sort.export_name,
        vehicle=None,
        phases=placed,
        starts_s=tuple(starts),
        so_far=tuple(so_far),
        round_s=clock,
        payloads_kg=payloads,
        loaders=("EX07", "WL03") if sort.export_name else ("EX-08",),
        way=_way(chance, home),
        base_hours=float(chance.between(2_000, 18_000)),
        tank_l=1_300.0 if sort.kind == "haul_truck" else 800.0,
        phase_s=float(chance.below(int(clock))),
        report_s=1_800,
        silent_s=sort.silent_s,
        reset_s=sort.reset_s,
        fault_s=sort.fault_h * 3_600,
        faults=_FAULTS,
    )


def _work(sort: _Sort, chance: Chance) -> tuple[list[Phase], tuple[int, ...]]:
    """Phases of one round, and the payloads of its cycles."""
    if sort.kind != "haul_truck":
        return [
            Phase("work", 0, float(chance.between(2_400, 3_300)), -1, litres_per_hour=70.0),
            Phase("idle", 0, float(chance.between(300, 700)), -1, litres_per_hour=12.0),
            Phase("delay", 0, float(chance.between(600, 1_500)), -1, engine=False, reason=_DELAYS[0][:2]),
        ], ()
    phases: list[Phase] = []
    payloads: list[int] = []
    for cycle in range(8):
        payloads.append(sort.payload_t * 1000 + chance.between(-30, 30) * 100)
        phases += [
            Phase("queue", 0, float(chance.between(60, 260)), cycle, litres_per_hour=14.0),
            Phase("load", 0, float(chance.between(170, 260)), cycle, litres_per_hour=18.0),
            Phase("full", 0, float(chance.between(520, 760)), cycle, litres_per_hour=96.0),
            Phase("dump", 0, float(chance.between(45, 75)), cycle, litres_per_hour=40.0),
            Phase("empty", 0, float(chance.between(430, 610)), cycle, litres_per_hour=52.0),
        ]
        if cycle in (3, 7):
            reason, category, engine = chance.pick(_DELAYS)
            litres = 9.0 if engine else 0.0
            phases.append(
                Phase(
                    "delay", 0, float(chance.between(700, 2_400)), -1, engine=engine, litres_per_hour=litres,
                    reason=(reason, category),
                )
            )  # fmt: skip
    return phases, tuple(payloads)


def _way(chance: Chance, home: Point) -> Loop:
    """From the face to the crusher and back."""
    start = offset(home, chance.span(-120, 120), chance.span(-120, 120))
    return Loop.through(
        [
            start,
            offset(home, 500, 350 + chance.span(-20, 20)),
            offset(home, 1_100, 300),
            offset(home, 1_650, 780 + chance.span(-15, 15)),
            offset(home, 1_080, 330),
            offset(home, 480, 380),
        ]
    )


def _road_truck(vehicle: Vehicle, home: Point) -> QuarryMachine:
    """Reported by its maker under the operator's number, typed with a blank: `TRK 02`."""
    chance = Chance(f"quarry:{vehicle.key}")
    number = int(vehicle.key.partition("-")[2])
    return QuarryMachine(
        key=vehicle.key,
        kind="road_truck",
        account="mixed",
        make=vehicle.make,
        model=vehicle.model,
        serial=f"WMA{chance.between(10_000_000, 99_999_999)}",
        pin=f"WMA06XZZ{chance.between(100_000_000, 999_999_999)}",
        equipment_id=f"TRK {number:02d}",
        export_name="",
        vehicle=vehicle,
        phases=(),
        starts_s=(),
        so_far=(),
        round_s=1.0,
        payloads_kg=(),
        loaders=(),
        way=Loop.through([home, offset(home, 10, 10)]),
        base_hours=0.0,
        tank_l=vehicle.tank_l,
        phase_s=0.0,
        report_s=600,
        silent_s=0,
        reset_s=0,
        fault_s=0,
        faults=(),
    )
