"""What MineStar Fleet's office software exports: CSV files of cycles and delays, times in the site's zone.

A cycle that has just ended is exported with a payload of 0 now and then and corrected an hour later: the same OID comes
again in a newer file.
"""

import csv
import io
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Final

from sandbox.world import QuarryCycle, QuarryDelay, QuarryMachine

SITE: Final = timezone(timedelta(hours=1))
CYCLES: Final = (
    "Cycle OID", "Cycle Type", "Primary Machine Name", "Primary Machine Class Name", "Secondary Machine Name",
    "Cycle Start Timestamp (GMT1)", "Cycle End Timestamp (GMT1)", "Cycle Duration", "COMPLETEDCYCLEDURATION",
    "Payload (kg)", "Source Location Name", "Destination Location Final Name", "Queuing Duration",
    "Loading Duration", "Full Travel Duration", "Dumping Duration", "Empty Travel Duration", "OPERATINGTIME (CAT)",
    "TOTALTIME (CAT)", "Fuel Used",
)  # fmt: skip
DELAYS: Final = (
    "Delay OID", "Delay Class Name", "Delay Class Category Name", "Target Machine Name", "Engine Stopped Flag",
    "Delay Start Timestamp (GMT1)", "Delay Finish Timestamp (GMT1)",
)  # fmt: skip
CORRECTED_AFTER: Final = timedelta(hours=1)


def cycle_oid(machine: int, cycle: QuarryCycle) -> str:
    """`machine` counts the quarry's machines."""
    return str(1_000_000 * (machine + 1) + cycle.number)


def delay_oid(machine: int, delay: QuarryDelay) -> str:
    return str(500_000_000 + 1_000_000 * machine + delay.number)


def cycles_csv(machines: Iterable[QuarryMachine], start: datetime, end: datetime, now: datetime) -> str:
    """Cycles that ended in the window: a row of the truck, and one of the loader for the same load."""
    rows: list[tuple[datetime, list[object]]] = []
    for index, machine in enumerate(machines):
        if not machine.export_name:
            continue
        for cycle in machine.cycles(start, end):
            oid = cycle_oid(index, cycle)
            whole = int((cycle.end - cycle.start).total_seconds())
            wrong = cycle.number % 9 == 0 and now - cycle.end < CORRECTED_AFTER
            payload = 0 if wrong else cycle.payload_kg
            truck: list[object] = [
                oid, "TruckCycle", machine.export_name, f"CAT {machine.model}", cycle.loader, _site(cycle.start),
                _site(cycle.end), whole, whole, payload, cycle.source, cycle.destination, cycle.queue_s, cycle.load_s,
                cycle.full_s, cycle.dump_s, cycle.empty_s, whole - 12, whole, cycle.fuel_l,
            ]  # fmt: skip
            begun = cycle.start + timedelta(seconds=cycle.queue_s)
            over = begun + timedelta(seconds=cycle.load_s)
            loader: list[object] = [
                f"7{oid}", "LoaderCycle", cycle.loader, "Loading unit", machine.export_name, _site(begun), _site(over),
                cycle.load_s, cycle.load_s, payload, cycle.source, "", 0, cycle.load_s, "", "", "", cycle.load_s,
                cycle.load_s, "",
            ]  # fmt: skip
            rows += [(cycle.end, truck), (over, loader)]
    rows.sort(key=lambda each: (each[0], str(each[1][0])))
    return _csv(CYCLES, (row for _, row in rows))


def delays_csv(machines: Iterable[QuarryMachine], start: datetime, end: datetime) -> str:
    """Delays that ended in the window."""
    rows: list[tuple[datetime, list[object]]] = []
    for index, machine in enumerate(machines):
        if not machine.export_name:
            continue
        for delay in machine.delays(start, end):
            told: list[object] = [
                delay_oid(index, delay), delay.reason, delay.category, machine.export_name,
                "Y" if delay.engine_stopped else "N", _site(delay.start), _site(delay.end),
            ]  # fmt: skip
            rows.append((delay.end, told))
    rows.sort(key=lambda each: (each[0], str(each[1][0])))
    return _csv(DELAYS, (row for _, row in rows))


def write(machines: Iterable[QuarryMachine], folder: Path, now: datetime, *, hours: int) -> list[Path]:
    """One file of each kind for the last hours; named by the hour, so that a later export replaces it."""
    every = list(machines)
    folder.mkdir(parents=True, exist_ok=True)
    start, name = now - timedelta(hours=hours), now.astimezone(SITE).strftime("%Y%m%d-%H")
    texts = {
        folder / f"cycles-{name}.csv": cycles_csv(every, start, now, now),
        folder / f"delays-{name}.csv": delays_csv(every, start, now),
    }
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8", newline="")
    return list(texts)


def _csv(head: Iterable[str], rows: Iterable[list[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue()


def _site(at: datetime) -> str:
    return at.astimezone(SITE).strftime("%Y-%m-%d %H:%M:%S")
