"""Machines other than printers: mills, presses, assembly stations; each works through the same orders over and over."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from sandbox.world.chance import Chance, seconds
from sandbox.world.goods import Item

MachineMode = Literal["running", "paused", "idle", "error", "maintenance", "off"]
MachineKind = Literal["mill", "press", "station"]


@dataclass(frozen=True, slots=True)
class Batch:
    """So many parts of one item, one after the other."""

    item_key: str
    teamcenter_number: str
    sap_number: str
    word: str
    """What it is, in one word: `bracket`."""
    revision: int
    parts: int
    cycle_s: float
    """Seconds per part."""

    @property
    def work_s(self) -> float:
        return self.parts * self.cycle_s

    @property
    def program(self) -> str:
        """As controllers name programs: `BRACKET_PRT-10042_R2.NC`."""
        return f"{self.word}_{self.teamcenter_number}_R{self.revision}.NC".upper()


@dataclass(frozen=True, slots=True)
class MachineState:
    mode: MachineMode
    batch: Batch | None
    """What it works on; while idle what it made last; None while it is off."""
    parts_done: int
    line: int
    """Of the program, while running."""
    speed_rpm: float
    feed_mm_s: float
    load_pct: float
    position: tuple[float, float, float]
    """Millimetres."""
    temperature_c: float
    force_kn: float
    alarm: int
    """0 for none."""
    alarm_text: str
    warning: str
    job: int
    """Counts the machine's batches; grows with every new one."""


@dataclass(frozen=True, slots=True)
class MachineTool:
    """A cutting tool in a mill's magazine."""

    id: str
    serial: str
    pot: int
    life_minutes: int
    used_minutes: int


@dataclass(frozen=True, slots=True)
class Machine:
    id: str
    name: str
    kind: MachineKind
    manufacturer: str
    model: str
    serial: str
    site_key: str
    batches: tuple[Batch, ...]
    starts_s: tuple[float, ...] = field(repr=False)
    """When each batch of a round begins, seconds into it; a gap follows each."""
    round_s: float
    phase_s: float
    pause_s: float
    """Every batch stops that long when 60 % are done; 0 for most."""
    alarm: int
    """It stops with this alarm for a while after every third batch; 0 for never."""
    alarm_text: str
    serviced: bool
    """Under maintenance in the gaps between batches."""
    tools: tuple[MachineTool, ...]

    def state_at(self, at: datetime) -> MachineState:
        second = seconds(at) + self.phase_s
        lap, inside = divmod(second, self.round_s)
        index = bisect_right(self.starts_s, inside) - 1
        batch = self.batches[index]
        elapsed = inside - self.starts_s[index]
        job = int(lap) * len(self.batches) + index
        pause_at = batch.work_s * 0.6
        paused = self.pause_s > 0 and pause_at <= elapsed < pause_at + self.pause_s
        worked = min(elapsed, pause_at) if paused else elapsed - (self.pause_s if elapsed > pause_at else 0.0)
        wave = math.sin(second * 0.31)
        if worked < batch.work_s:
            done = int(worked / batch.cycle_s)
            turn = (worked % batch.cycle_s) / batch.cycle_s
            moving = not paused
            return MachineState(
                mode="paused" if paused else "running",
                batch=batch,
                parts_done=done,
                line=1 + int(turn * 240),
                speed_rpm=round(4_000 + 40 * wave, 1) if moving else 0.0,
                feed_mm_s=round(12.5 + wave, 2) if moving else 0.0,
                load_pct=round(46 + 9 * wave, 1) if moving else 3.0,
                position=(
                    round(120 * math.cos(turn * math.tau), 3),
                    round(120 * math.sin(turn * math.tau), 3),
                    round(-40 * turn, 3),
                ),
                temperature_c=round(52 + 3 * wave, 1),
                force_kn=round(800 + 60 * wave, 1) if moving else 0.0,
                alarm=0,
                alarm_text="",
                warning="Coolant level low" if turn > 0.85 else "",
                job=job,
            )
        over = worked - batch.work_s
        broken = self.alarm > 0 and job % 3 == 2 and over < 90
        return MachineState(
            mode="error" if broken else "maintenance" if self.serviced else "idle",
            batch=batch,
            parts_done=batch.parts,
            line=0,
            speed_rpm=0.0,
            feed_mm_s=0.0,
            load_pct=0.0,
            position=(0.0, 0.0, 0.0),
            temperature_c=round(24 + 28 * math.exp(-over / 120) + 0.2 * wave, 1),
            force_kn=0.0,
            alarm=self.alarm if broken else 0,
            alarm_text=self.alarm_text if broken else "",
            warning="",
            job=job,
        )


@dataclass(frozen=True, slots=True)
class _Sort:
    id: str
    name: str
    kind: MachineKind
    manufacturer: str
    model: str
    site_key: str
    pause_s: float = 0.0
    alarm: int = 0
    alarm_text: str = ""
    serviced: bool = False


_SORTS: Final = (
    _Sort("mill-1", "Iroko", "mill", "Haas", "VF-2", "ibadan", alarm=304, alarm_text="Servo overload X axis"),
    _Sort("mill-2", "Obeche", "mill", "DMG MORI", "CMX 1100 V", "ibadan", pause_s=45.0),
    _Sort("press-1", "Mahogany", "press", "Schuler", "MSP 400", "ibadan", alarm=17, alarm_text="Light curtain cut"),
    _Sort("press-2", "Teak", "press", "Schuler", "MSP 250", "ibadan", pause_s=30.0),
    _Sort("station-1", "Ebony", "station", "Bosch Rexroth", "TS 5", "lagos", alarm=9, alarm_text="Torque not reached"),
    _Sort("station-2", "Sapele", "station", "Bosch Rexroth", "TS 5", "lagos", serviced=True),
)


def build_machines(items: Sequence[Item]) -> tuple[Machine, ...]:
    """Two mills and two presses that make parts, two stations that make assemblies."""
    parts = [one for one in items if one.object_type == "Part"]
    assemblies = [one for one in items if one.object_type == "Assembly"]
    return tuple(_machine(sort, assemblies if sort.kind == "station" else parts) for sort in _SORTS)


def _machine(sort: _Sort, makeable: Sequence[Item]) -> Machine:
    chance = Chance(f"machine:{sort.id}")
    batches: list[Batch] = []
    starts: list[float] = []
    clock = 0.0
    for item in chance.picks(makeable, 5):
        batches.append(
            Batch(
                item_key=item.key,
                teamcenter_number=item.teamcenter_number,
                sap_number=item.sap_number,
                word=item.name.split(" ")[0].lower(),
                revision=len(item.revisions),
                parts=chance.between(8, 40),
                cycle_s=float(chance.between(6, 20)),
            )
        )
        starts.append(clock)
        clock += batches[-1].work_s + sort.pause_s + chance.between(95, 180)
    tools = tuple(
        MachineTool(
            id=f"T{number:02d}",
            serial=f"{chance.between(10_000, 99_999)}",
            pot=number,
            life_minutes=chance.pick((240, 360, 480)),
            used_minutes=chance.between(5, 200),
        )
        for number in range(1, 5 if sort.kind == "mill" else 1)
    )
    return Machine(
        id=sort.id,
        name=sort.name,
        kind=sort.kind,
        manufacturer=sort.manufacturer,
        model=sort.model,
        serial=f"{sort.id[0].upper()}{chance.between(100_000, 999_999)}",
        site_key=sort.site_key,
        batches=tuple(batches),
        starts_s=tuple(starts),
        round_s=clock,
        phase_s=float(chance.below(int(clock))),
        pause_s=sort.pause_s,
        alarm=sort.alarm,
        alarm_text=sort.alarm_text,
        serviced=sort.serviced,
        tools=tools,
    )
