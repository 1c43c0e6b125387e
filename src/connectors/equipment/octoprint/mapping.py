"""From OctoPrint's shapes to `Equipment`. The only place that knows both."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from connectors.equipment.driver import origin_with, with_trouble
from connectors.equipment.facts import Facts
from connectors.equipment.octoprint import wire
from connectors.kit import decode
from connectors.kit.integration import Origin
from unified.records import Equipment, EquipmentState, Job, SensorReading
from unified.values import Value

S = EquipmentState

TEXTS: Final = decode.Codes(
    EquipmentState,
    {
        "Operational": S.IDLE,
        "Transferring file to SD": S.IDLE,
        "Starting": S.RUNNING,
        "Starting print from SD": S.RUNNING,
        "Starting to send file to SD": S.RUNNING,
        "Printing": S.RUNNING,
        "Printing from SD": S.RUNNING,
        "Sending file to SD": S.RUNNING,
        "Resuming": S.RUNNING,
        "Finishing": S.RUNNING,
        "Cancelling": S.RUNNING,
        "Pausing": S.PAUSED,
        "Paused": S.PAUSED,
        "Error": S.ERROR,
        "Closed": S.OFFLINE,
        "Offline": S.OFFLINE,
        "Offline after error": S.OFFLINE,
        "Opening serial connection": S.OFFLINE,
        "Detecting serial connection": S.OFFLINE,
        "Connecting": S.OFFLINE,
    },
)
"""State texts, for the answers that hold no flags. Old servers append the error: `Error: heater failed`."""

STATE_IDS: Final = decode.Codes(
    EquipmentState,
    {
        "OPERATIONAL": S.IDLE,
        "TRANSFERING_FILE": S.IDLE,
        "STARTING": S.RUNNING,
        "PRINTING": S.RUNNING,
        "RESUMING": S.RUNNING,
        "FINISHING": S.RUNNING,
        "CANCELLING": S.RUNNING,
        "PAUSING": S.PAUSED,
        "PAUSED": S.PAUSED,
        "ERROR": S.ERROR,
        "OFFLINE": S.OFFLINE,
        "NONE": S.OFFLINE,
        "CLOSED": S.OFFLINE,
        "CLOSED_WITH_ERROR": S.OFFLINE,
        "OPEN_SERIAL": S.OFFLINE,
        "DETECT_SERIAL": S.OFFLINE,
        "DETECT_BAUDRATE": S.OFFLINE,
        "CONNECTING": S.OFFLINE,
    },
)
"""`state_id` of the event PrinterStateChanged."""

_TEXT_HEAD: Final = re.compile(r"^[^:(]*")
_TOOL: Final = re.compile(r"^tool(\d{1,3})$")
_SENSORS_MOST: Final = 100


class ServerVersion(Value, frozen=True, kw_only=True):
    """What GET /api/version says."""

    api: str | None
    server: str | None
    text: str | None


class PrintFile(Value, frozen=True, kw_only=True):
    """A file that a printer holds ready, or that was uploaded. `item_number` by the item pattern."""

    path: str
    size_bytes: int | None = None
    uploaded_at: datetime | None = None
    kind: str | None = None
    item_number: str | None = None


class Storage(Value, frozen=True, kw_only=True):
    """Room for files at a printer, bytes."""

    free_bytes: int | None
    total_bytes: int | None


class Upload(Value, frozen=True, kw_only=True):
    """What became of an upload: whether the file was selected, and whether it is being printed."""

    done: bool
    selected: bool | None
    printing: bool | None


class PrinterEvent(Value, frozen=True, kw_only=True):
    """An event of the socket: its name and, for a change of state, the state's id."""

    name: str
    state_id: str | None = None


def state_by_flags(flags: wire.Flags) -> EquipmentState | None:
    """The state; null when no flag tells (while a connection is being made). The order matters: while pausing
    or cancelling `printing` is set too, and an error also sets `closedOrError`."""
    if flags.error:
        return S.ERROR
    if flags.closed_or_error:
        return S.OFFLINE
    if flags.paused or flags.pausing:
        return S.PAUSED
    if flags.printing or flags.resuming or flags.finishing or flags.cancelling:
        return S.RUNNING
    return S.IDLE if flags.operational else None


def state_by_text(text: str | None) -> EquipmentState:
    """The state by its text."""
    head = _TEXT_HEAD.match(text or "")
    return TEXTS[head[0].strip() if head and text else None]


def state_of(state: wire.State) -> EquipmentState:
    """The state by its flags, or by its text where they do not tell."""
    found = state_by_flags(state.flags) if state.flags is not None else None
    return found or state_by_text(state.text)


def job(info: wire.JobInfo | None, progress: wire.Progress | None, facts: Facts, origin: Origin) -> Job | None:
    """The selected file and how far it is; null when none is selected. A null stays null, never 0."""
    file = info.file if info is not None else None
    name = decode.none(file.display) or decode.none(file.name) if file is not None else None
    if name is None:
        return None
    at = progress or wire.Progress()
    return Job(
        name=name,
        progress=None if at.completion is None else min(1.0, max(0.0, at.completion / 100)),
        elapsed_seconds=at.print_time,
        remaining_seconds=at.print_time_left,
        item_number=facts.items.find(name),
        integration=origin.integration,
    )


def sensors(readings: Mapping[str, Any], at: datetime | None = None) -> tuple[SensorReading, ...]:
    """Tools by number, then bed, chamber, then what plugins add by name. One without any value is absent."""
    found = {
        name: SensorReading(sensor=name, value=each.actual, target=each.target, unit="Cel", recorded_at=at)
        for name, each in readings.items()
        if isinstance(each, wire.Reading) and (each.actual is not None or each.target is not None)
    }
    return tuple(found[name] for name in sorted(found, key=_place)[:_SENSORS_MOST])


def _place(name: str) -> tuple[int, int, str]:
    tool = _TOOL.match(name)
    if tool:
        return 0, int(tool[1]), name
    return {"bed": 1, "chamber": 2}.get(name, 3), 0, name


def point_time(points: Iterable[wire.Point], path: str) -> datetime | None:
    """Time of the last point of a history."""
    last = None
    for last in points:  # noqa: B007
        pass
    at = last.get("time") if last is not None else None
    return decode.epoch(at, path=path) if isinstance(at, int | float) else None


def equipment(
    facts: Facts,
    origin: Origin,
    *,
    state: EquipmentState,
    status: str | None,
    error: str | None = None,
    job: Job | None = None,
    sensors: tuple[SensorReading, ...] = (),
    updated_at: datetime | None = None,
    version: str | None = None,
) -> Equipment:
    """The record. `version` is OctoPrint's own number."""
    return Equipment(
        source=origin.source(facts.id, decode.none(status)),
        updated_at=updated_at,
        name=facts.name,
        equipment_type=facts.equipment_type,
        state=state,
        model=facts.model,
        software=f"OctoPrint {version}" if version else None,
        error_message=decode.none(error),
        job=job,
        sensors=sensors,
    )


def from_printer(answer: wire.Printer, facts: Facts, origin: Origin, *, version: str | None = None) -> Equipment:
    """GET /api/printer: state and temperatures, no job."""
    history = answer.temperature.get("history")
    at = point_time(history, "$.temperature.history[-1].time") if isinstance(history, list) else None
    return equipment(
        facts,
        origin,
        state=state_of(answer.state),
        status=answer.state.text,
        error=answer.state.error,
        sensors=sensors(answer.temperature, at),
        updated_at=at,
        version=version,
    )


def from_job(answer: wire.JobAnswer, facts: Facts, origin: Origin, *, version: str | None = None) -> Equipment:
    """GET /api/job: job and the state's text, no temperatures."""
    return equipment(
        facts,
        origin,
        state=state_by_text(answer.state),
        status=answer.state,
        error=answer.error,
        job=job(answer.job, answer.progress, facts, origin),
        version=version,
    )


def from_connection(answer: wire.Connection, facts: Facts, origin: Origin) -> Equipment:
    """GET /api/connection: the state's text only."""
    return equipment(facts, origin, state=state_by_text(answer.current.state), status=answer.current.state)


def print_files(answer: wire.Files, facts: Facts) -> Iterable[PrintFile]:
    """All files, those in folders too, in the vendor's order."""
    waiting = list(reversed(answer.files))
    while waiting:
        each = waiting.pop()
        waiting.extend(reversed(each.children))
        if each.type != "folder":
            yield PrintFile(
                path=each.path or each.name,
                size_bytes=each.size,
                uploaded_at=decode.epoch(each.date, path="$.files[].date"),
                kind=each.type,
                item_number=facts.items.find(each.name),
            )


def from_snapshot(snapshot: wire.Snapshot, facts: Facts, origin: Origin) -> Equipment:
    """What one read brought. Trouble leaves the last known values, stale, under the state OFFLINE; or, when
    something answers wrongly, under the last state (UNKNOWN when there is none)."""
    trouble = snapshot.trouble
    origin = origin_with(trouble, origin)
    if snapshot.printer is not None:
        found = from_printer(snapshot.printer, facts, origin, version=snapshot.version)
        if snapshot.job is not None:
            made = job(snapshot.job.job, snapshot.job.progress, facts, origin)
            found = msgspec.structs.replace(found, job=made)
    elif snapshot.job is not None:
        found = from_job(snapshot.job, facts, origin, version=snapshot.version)
        if found.state is not S.ERROR:  # 409 of /printer is certain, the text of /job may be of a moment later
            found = msgspec.structs.replace(found, state=S.OFFLINE)
    else:
        found = equipment(facts, origin, state=S.UNKNOWN, status=None, version=snapshot.version)
    return with_trouble(found, trouble)
