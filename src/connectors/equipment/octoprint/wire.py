"""OctoPrint's shapes, in its own words. Only what is read; everything may be missing.

In OctoPrint 2.0 `sd` becomes `storage`; neither is read here.
"""

from typing import Any

import msgspec

from connectors.equipment.driver import Trouble


class Version(msgspec.Struct, frozen=True):
    api: str | None = None
    server: str | None = None
    text: str | None = None


class Login(msgspec.Struct, frozen=True):
    """Answer to a passive login. `name` and `session` authenticate on the socket."""

    name: str | None = None
    session: str | None = None


class Flags(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    operational: bool = False
    printing: bool = False
    cancelling: bool = False
    pausing: bool = False
    resuming: bool = False
    finishing: bool = False
    closed_or_error: bool = False
    error: bool = False
    paused: bool = False
    ready: bool = False


class State(msgspec.Struct, frozen=True, omit_defaults=True):
    text: str | None = None
    flags: Flags | None = None
    error: str | None = None


class Reading(msgspec.Struct, frozen=True):
    """Degrees Celsius. A null `actual` with a null `target` means that there is no such sensor."""

    actual: float | None = None
    target: float | None = None


Point = dict[str, Reading | float | None]
"""One point of the temperature history: `time` (epoch seconds) and a reading per sensor."""


class Printer(msgspec.Struct, frozen=True, omit_defaults=True):
    """GET /api/printer. `temperature` holds a reading per sensor and, when asked for, `history`."""

    state: State
    temperature: dict[str, Reading | list[Point] | None] = {}


class JobFile(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str | None = None
    display: str | None = None
    path: str | None = None


class JobInfo(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    file: JobFile | None = None
    estimated_print_time: float | None = None


class Progress(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """`completion` is percent; times are seconds."""

    completion: float | None = None
    print_time: float | None = None
    print_time_left: float | None = None


class JobAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """GET /api/job. It answers even while the printer is not connected, and then alone tells the state."""

    job: JobInfo
    progress: Progress
    state: str | None = None
    error: str | None = None


class CurrentConnection(msgspec.Struct, frozen=True):
    state: str
    port: str | None = None


class Connection(msgspec.Struct, frozen=True):
    """GET /api/connection."""

    current: CurrentConnection


class FileEntry(msgspec.Struct, frozen=True, rename="camel"):
    """A file, or a folder with `children`. `date` in epoch seconds, `size` in bytes."""

    name: str
    path: str | None = None
    display: str | None = None
    type: str | None = None
    size: int | None = None
    date: float | None = None
    children: "list[FileEntry]" = []


class Files(msgspec.Struct, frozen=True):
    """GET /api/files. `free` and `total` in bytes."""

    files: list[FileEntry]
    free: int | None = None
    total: int | None = None


class Uploaded(msgspec.Struct, frozen=True, rename="camel"):
    """Answer to an upload."""

    done: bool
    files: dict[str, FileEntry]
    effective_select: bool | None = None
    effective_print: bool | None = None


# --- push


class Connected(msgspec.Struct, frozen=True, omit_defaults=True):
    version: str | None = None


class Current(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """`current` and `history`. `temps` are the points since the message before, and may be empty."""

    state: State | None = None
    job: JobInfo | None = None
    progress: Progress | None = None
    temps: list[Point] | None = None
    server_time: float | None = None


class PushEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    type: str
    payload: Any = None


class ReauthRequired(msgspec.Struct, frozen=True):
    """`reason`: `logout`, `stale` and `removed` ask for a full login, others for a passive one."""

    reason: str | None = None


class Message(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One message of the socket: exactly one of these, or a type that we do not read. What the merge makes of
    several messages has `connected`, `current` and perhaps the `event` that came last."""

    connected: Connected | None = None
    history: Current | None = None
    current: Current | None = None
    event: PushEvent | None = None
    reauth_required: ReauthRequired | None = None


# --- ours


class Snapshot(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="octoprint-snapshot"):
    """What one read of a machine brought: its answers side by side. `printer` is null when the printer is not
    connected (409)."""

    printer: Printer | None = None
    job: JobAnswer | None = None
    version: str | None = None
    trouble: Trouble | None = None
