"""What a printer's state looks like in OctoPrint's answers and messages."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sandbox.world import Printer, PrinterState, PrintFile

VERSION: Final = "1.11.8"
JSON = dict[str, Any]

_TEXTS: Final = {
    "idle": "Operational",
    "printing": "Printing",
    "paused": "Paused",
    "error": "Error",
    "closed": "Offline",
}
_IDS: Final = {
    "idle": "OPERATIONAL",
    "printing": "PRINTING",
    "paused": "PAUSED",
    "error": "ERROR",
    "closed": "OFFLINE",
}


def text(state: PrinterState) -> str:
    return _TEXTS[state.mode]


def operational(state: PrinterState) -> bool:
    return state.mode in ("idle", "printing", "paused")


def state(state: PrinterState) -> JSON:
    up = operational(state)
    flags = {
        "cancelling": False,
        "closedOrError": not up,
        "error": state.mode == "error",
        "finishing": False,
        "operational": up,
        "paused": state.mode == "paused",
        "pausing": False,
        "printing": state.mode == "printing",
        "ready": state.mode == "idle",
        "resuming": False,
        "sdReady": up,
    }
    return {"error": state.error, "flags": flags, "text": text(state)}


def job(state: PrinterState) -> JSON:
    """While nothing is selected every value is null; while idle after a job its file stays selected."""
    file = state.file
    if file is None:
        return {
            "estimatedPrintTime": None,
            "filament": {"length": None, "volume": None},
            "file": dict.fromkeys(("date", "name", "origin", "path", "size")),
            "lastPrintTime": None,
            "user": None,
        }
    return {
        "averagePrintTime": None,
        "estimatedPrintTime": float(file.print_s),
        "filament": {"tool0": {"length": file.filament_mm, "volume": 0.0}},
        "file": {
            "date": int(file.uploaded_at.timestamp()),
            "display": file.name,
            "name": file.name,
            "origin": "local",
            "path": file.name,
            "size": file.size,
        },
        "lastPrintTime": float(file.print_s) if state.mode == "idle" else None,
        "user": "_api",
    }


def progress(state: PrinterState) -> JSON:
    if state.file is None:
        return dict.fromkeys(("completion", "filepos", "printTime", "printTimeLeft", "printTimeLeftOrigin"))
    return {
        "completion": state.progress_pct,
        "filepos": int(state.file.size * state.progress_pct / 100),
        "printTime": state.print_time_s,
        "printTimeLeft": state.print_left_s,
        "printTimeLeftOrigin": "analysis" if state.mode in ("printing", "paused") else None,
    }


def temperature(state: PrinterState, *, offsets: bool) -> JSON:
    """Of /api/printer with `offset`s; this printer has no chamber, which /api/printer leaves out."""
    more = {"offset": 0} if offsets else {}
    return {
        "bed": {"actual": state.bed_c, "target": state.bed_target_c, **more},
        "tool0": {"actual": state.tool_c, "target": state.tool_target_c, **more},
    }


def point(state: PrinterState, at: datetime, *, chamber: bool) -> JSON:
    """One point of the temperature history. The socket names the chamber that is not there."""
    found = {"time": int(at.timestamp()), **temperature(state, offsets=False)}
    return found | {"chamber": {"actual": None, "target": None}} if chamber else found


def points(printer: Printer, at: datetime, count: int, *, chamber: bool) -> list[JSON]:
    """The last `count` points, one every two seconds, oldest first; none while the printer is off."""
    times = [at - timedelta(seconds=2 * back) for back in range(count - 1, -1, -1)]
    states = [(each, printer.state_at(each)) for each in times]
    return [point(each, then, chamber=chamber) for then, each in states if operational(each)]


def changed(state: PrinterState, id_: str | None = None, string: str | None = None) -> JSON:
    payload = {"state_id": id_ or _IDS[state.mode], "state_string": string or text(state)}
    return {"type": "PrinterStateChanged", "payload": payload}


def events(before: PrinterState, after: PrinterState) -> list[JSON]:
    """What happened between two looks at a printer, in order."""
    if before.mode == after.mode and before.job == after.job:
        return []
    file = after.file
    about = {"name": file.name, "path": file.name, "origin": "local", "size": file.size} if file else {}
    started = after.mode == "printing" and (before.job != after.job or before.mode not in ("paused", "printing"))
    found: list[JSON] = []
    if before.mode in ("printing", "paused") and (before.job != after.job or after.mode not in ("printing", "paused")):
        found += _ended(before, after)
    if started:
        found += [
            changed(after, "STARTING", "Starting"),
            {"type": "PrintStarted", "payload": about | {"owner": "_api", "user": "_api"}},
        ]
    elif (before.mode, after.mode) == ("printing", "paused"):
        found += [changed(after, "PAUSING", "Pausing"), {"type": "PrintPaused", "payload": about}]
    elif (before.mode, after.mode) == ("paused", "printing"):
        found += [changed(after, "RESUMING", "Resuming"), {"type": "PrintResumed", "payload": about}]
    if after.mode == "error":
        found.append({"type": "Error", "payload": {"error": after.error, "reason": "firmware"}})
    if before.mode != after.mode or started:
        found.append(changed(after))
    return found


def _ended(before: PrinterState, after: PrinterState) -> list[JSON]:
    file = before.file
    about = {"name": file.name, "path": file.name, "origin": "local", "size": file.size} if file else {}
    about |= {"time": float(before.print_time_s)}
    if before.job != after.job or (after.mode == "idle" and after.progress_pct >= 100):
        return [{"type": "PrintDone", "payload": about}]
    if after.mode == "idle":  # a cancel is a failure as well
        return [
            {"type": "PrintCancelled", "payload": about},
            {"type": "PrintFailed", "payload": about | {"reason": "cancelled"}},
        ]
    return [{"type": "PrintFailed", "payload": about | {"reason": "error"}}]


def listing(files: Sequence[PrintFile], base: str) -> JSON:
    """GET /api/files."""
    return {"files": [entry(file, base) for file in files], "free": 74_225_872_896, "total": 270_553_174_016}


def entry(file: PrintFile, base: str) -> JSON:
    return {
        "date": int(file.uploaded_at.timestamp()),
        "display": file.name,
        "hash": hashlib.sha1(file.name.encode(), usedforsecurity=False).hexdigest(),
        "name": file.name,
        "origin": "local",
        "path": file.name,
        "refs": {
            "download": f"{base}/downloads/files/local/{file.name}",
            "resource": f"{base}/api/files/local/{file.name}",
        },
        "size": file.size,
        "type": "machinecode",
        "typePath": ["machinecode", "gcode"],
        "user": "_api",
    }


def connection(state: PrinterState) -> JSON:
    """GET /api/connection; here a printer that is off is `Closed`."""
    off = state.mode == "closed"
    return {
        "current": {
            "baudrate": None if off else 115_200,
            "port": None if off else "/dev/ttyACM0",
            "printerProfile": "_default",
            "state": "Closed" if off else text(state),
        },
        "options": {
            "baudratePreference": None,
            "baudrates": [250_000, 230_400, 115_200, 57_600, 38_400, 19_200, 9_600],
            "portPreference": None,
            "ports": [] if off else ["/dev/ttyACM0"],
            "printerProfilePreference": "_default",
            "printerProfiles": [{"id": "_default", "name": "Default"}],
        },
    }
