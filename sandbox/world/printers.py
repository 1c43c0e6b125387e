"""3D printers that go through the same jobs over and over."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

from sandbox.world.chance import ANCHOR, Chance, moment, seconds
from sandbox.world.goods import Item

PrinterMode = Literal["idle", "printing", "paused", "error", "closed"]


@dataclass(frozen=True, slots=True)
class PrintFile:
    name: str
    """`bracket_PRT-10042_r2.gcode`: names an item by its Teamcenter number, and its revision by position."""
    item_key: str
    size: int
    """Bytes."""
    print_s: int
    """Seconds of printing, pauses not counted."""
    filament_mm: float
    height_mm: float
    uploaded_at: datetime


@dataclass(frozen=True, slots=True)
class PrinterState:
    mode: PrinterMode
    file: PrintFile | None
    """The job's; while idle the one printed last, None when closed."""
    progress_pct: float
    """0 to 100; 100 while idle after a finished job."""
    print_time_s: int
    print_left_s: int
    started_at: datetime | None
    """Of this job."""
    job: int
    """Counts the printer's jobs; grows with every new one."""
    tool_c: float
    tool_target_c: float
    bed_c: float
    bed_target_c: float
    z_mm: float
    error: str
    """Text while in error, else empty."""


@dataclass(frozen=True, slots=True)
class Printer:
    id: str
    name: str
    model: str
    api_key: str
    """32 hexadecimal digits."""
    site_key: str
    files: tuple[PrintFile, ...]
    starts_s: tuple[float, ...] = field(repr=False)
    """When each job of a round begins, seconds into it; a gap follows each job."""
    round_s: float
    phase_s: float
    pause_s: float
    """Every job of this printer stops that long when 40 % are done; 0 for most."""
    fails: bool
    """In error for 90 seconds after every second job."""
    closed: bool

    def state_at(self, at: datetime) -> PrinterState:
        if self.closed:
            return PrinterState("closed", None, 0.0, 0, 0, None, 0, 0.0, 0.0, 0.0, 0.0, 0.0, "")
        second = seconds(at) + self.phase_s
        lap, inside = divmod(second, self.round_s)
        index = bisect_right(self.starts_s, inside) - 1
        file = self.files[index]
        elapsed = inside - self.starts_s[index]
        started = moment(int(lap * self.round_s + self.starts_s[index] - self.phase_s))
        job = int(lap) * len(self.files) + index
        pause_at = file.print_s * 0.4
        paused = self.pause_s > 0 and pause_at <= elapsed < pause_at + self.pause_s
        worked = min(elapsed, pause_at) if paused else elapsed - (self.pause_s if elapsed > pause_at else 0.0)
        if worked < file.print_s:
            part = worked / file.print_s
            return PrinterState(
                mode="paused" if paused else "printing",
                file=file,
                progress_pct=round(part * 100, 2),
                print_time_s=int(worked),
                print_left_s=file.print_s - int(worked),
                started_at=started,
                job=job,
                tool_c=_heat(25.0, 215.0, elapsed / 20, at),
                tool_target_c=215.0,
                bed_c=_heat(25.0, 60.0, elapsed / 30, at),
                bed_target_c=60.0,
                z_mm=round(0.2 + int(part * file.height_mm / 0.2) * 0.2, 2),
                error="",
            )
        idle = worked - file.print_s
        broken = self.fails and job % 2 == 1 and idle < 90
        return PrinterState(
            mode="error" if broken else "idle",
            file=file,
            progress_pct=100.0,
            print_time_s=file.print_s,
            print_left_s=0,
            started_at=started,
            job=job,
            tool_c=_heat(215.0, 25.0, idle / 60, at),
            tool_target_c=0.0,
            bed_c=_heat(60.0, 25.0, idle / 90, at),
            bed_target_c=0.0,
            z_mm=round(file.height_mm + 10, 2),
            error="Heating failed: E1, system stopped" if broken else "",
        )


def _heat(begin: float, end: float, times: float, at: datetime) -> float:
    """Degrees Celsius on the way from begin to end, with a little noise."""
    noise = 0.3 * math.sin(seconds(at) * 0.7)
    return round(end + (begin - end) * math.exp(-times) + noise, 1)


_MODELS: Final = ("Prusa MK4", "Prusa MK3S+", "Creality Ender-3 V2", "Voron 2.4")
_NAMES: Final = ("Amber", "Basalt", "Cobalt", "Dune", "Ember", "Flint", "Granite", "Hazel")
_SITES: Final = ("lagos", "ibadan", "abuja")


def build_printers(items: Sequence[Item]) -> tuple[Printer, ...]:
    """Eight: the third pauses in every job, the fifth fails at times, the eighth is switched off."""
    printable = [one for one in items if one.object_type == "Part"]
    return tuple(_printer(number, name, printable) for number, name in enumerate(_NAMES, start=1))


def _printer(number: int, name: str, printable: Sequence[Item]) -> Printer:
    chance = Chance(f"printer:{number}")
    files: list[PrintFile] = []
    starts: list[float] = []
    clock = 0.0
    pause = 60.0 if number == 3 else 0.0
    for item in chance.picks(printable, 6):
        word = item.name.rsplit(" ", 1)[0].lower().replace(" ", "_")
        files.append(
            PrintFile(
                name=f"{word}_{item.teamcenter_number}_r{len(item.revisions)}.gcode",
                item_key=item.key,
                size=chance.between(180_000, 6_400_000),
                print_s=chance.between(240, 900),
                filament_mm=round(chance.span(900, 9000), 1),
                height_mm=round(chance.between(20, 400) * 0.2, 1),
                uploaded_at=ANCHOR - timedelta(minutes=chance.between(100, 60_000)),
            )
        )
        starts.append(clock)
        clock += files[-1].print_s + pause + chance.between(100, 180)
    return Printer(
        id=f"printer-{number}",
        name=name,
        model=_MODELS[number % len(_MODELS)],
        api_key="".join(chance.pick("0123456789ABCDEF") for _ in range(32)),
        site_key=_SITES[number % len(_SITES)],
        files=tuple(files),
        starts_s=tuple(starts),
        round_s=clock,
        phase_s=float(chance.below(int(clock))),
        pause_s=pause,
        fails=number == 5,
        closed=number == 8,
    )
