"""Cursor on Target as a TAK server writes it: XML, and TAK protocol frames made by hand."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from sandbox.world.missions import Mission, MissionChange, TakUnit

DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
UNKNOWN: Final = 9999999.0
STALE_S: Final = 120
"""After so many seconds without a report a unit counts as offline."""
FLOW: Final = "TAK-Server-sandbox"


@dataclass(frozen=True, slots=True)
class Cot:
    """An event. `typed` are the elements that the TAK protocol has fields for, `other` is XML."""

    uid: str
    type: str
    time: datetime
    stale: datetime
    lat: float = 0.0
    lon: float = 0.0
    hae: float = UNKNOWN
    ce: float = UNKNOWN
    how: str = "m-g"
    typed: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    other: str = ""

    def xml(self) -> str:
        """Without declaration."""
        elements = "".join(
            f"<{name}{''.join(f' {key}={quoteattr(value)}' for key, value in held.items())}/>"
            for name, held in self.typed.items()
        )
        return (
            f'<event version="2.0" uid={quoteattr(self.uid)} type="{self.type}" how="{self.how}" '
            f'time="{stamp(self.time)}" start="{stamp(self.time)}" stale="{stamp(self.stale)}">'
            f'<point lat="{self.lat}" lon="{self.lon}" hae="{self.hae}" ce="{self.ce}" le="{UNKNOWN}"/>'
            f"<detail>{elements}{self.other}</detail></event>"
        )

    def message(self) -> bytes:
        """A `TakMessage`."""
        numbers = {"contact": 2, "__group": 3, "precisionlocation": 4, "status": 5, "takv": 6, "track": 7}
        detail = _text(1, self.other)
        for name, held in self.typed.items():
            detail += _block(numbers[name], _element(name, held))
        event = (
            _text(1, self.type)
            + _text(5, self.uid)
            + b"".join(_number(n, _ms(at)) for n, at in ((6, self.time), (7, self.time), (8, self.stale)))
            + _text(9, self.how)
            + b"".join(
                _double(n, value) for n, value in enumerate((self.lat, self.lon, self.hae, self.ce, UNKNOWN), 10)
            )
            + _block(15, detail)
        )
        return _block(2, event)

    def frame(self) -> bytes:
        """The message as the stream carries it."""
        body = self.message()
        return b"\xbf" + _varint(len(body)) + body


_FIELDS: Final[Mapping[str, Sequence[str]]] = {
    "contact": ("endpoint", "callsign"),
    "__group": ("name", "role"),
    "precisionlocation": ("geopointsrc", "altsrc"),
    "takv": ("device", "platform", "os", "version"),
}


def _element(name: str, held: Mapping[str, str]) -> bytes:
    if name == "status":
        return _number(1, int(held["battery"]))
    if name == "track":
        return _double(1, float(held["speed"])) + _double(2, float(held["course"]))
    return b"".join(_text(n, held.get(key, "")) for n, key in enumerate(_FIELDS[name], 1))


def _varint(value: int) -> bytes:
    out = b""
    while value >= 0x80:
        out += bytes((value % 0x80 + 0x80,))
        value //= 0x80
    return out + bytes((value,))


def _number(field_number: int, value: int) -> bytes:
    return _varint(field_number * 8) + _varint(value) if value else b""


def _double(field_number: int, value: float) -> bytes:
    return _varint(field_number * 8 + 1) + struct.pack("<d", value) if value else b""


def _block(field_number: int, body: bytes) -> bytes:
    return _varint(field_number * 8 + 2) + _varint(len(body)) + body


def _text(field_number: int, text: str) -> bytes:
    return _block(field_number, text.encode()) if text else b""


def _ms(at: datetime) -> int:
    return int(at.timestamp()) * 1000 + at.microsecond // 1000


def stamp(at: datetime) -> str:
    at = at.astimezone(UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


# --- what happens in the world


def unit_event(unit: TakUnit, at: datetime) -> Cot:
    """The unit's last report; its time is when it was heard last, so an offline one is stale."""
    state = unit.state_at(at)
    return Cot(
        uid=unit.uid,
        type=unit.cot_type,
        time=state.at,
        stale=state.at + timedelta(seconds=STALE_S),
        lat=state.latitude,
        lon=state.longitude,
        hae=state.altitude_m,
        ce=4.5,
        typed={
            "contact": {"callsign": unit.callsign, "endpoint": "*:-1:stcp"},
            "__group": {"name": unit.team, "role": unit.role},
            "status": {"battery": str(state.battery_pct)},
            "takv": {"device": "SANDBOX", "platform": "ATAK-CIV", "os": "34", "version": "5.4.0"},
            "track": {"speed": repr(state.speed_kmh / 3.6), "course": repr(state.course_deg)},
        },
        other=f"<uid Droid={quoteattr(unit.callsign)}/>",
    )


def marker(at: datetime) -> Cot:
    """Something that no phone reported: a suspect vehicle without height, drawn by hand a day ago at most."""
    day = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return Cot(
        uid="marker-suspect-1",
        type="a-s-G-E-V-C",
        time=day,
        stale=day + timedelta(days=2),
        lat=6.4698,
        lon=3.3792,
        how="h-g-i-g-o",
        typed={"contact": {"callsign": "S.25.080000"}},
        other="<remarks>White pick-up, seen twice</remarks><archive/>",
    )


def drawing(at: datetime) -> Cot:
    """A shape on the map, which is no unit."""
    day = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return Cot(
        uid="drawing-1",
        type="u-d-f",
        time=day,
        stale=day + timedelta(days=1),
        lat=6.45,
        lon=3.39,
        how="h-e",
        typed={"contact": {"callsign": "Holding area"}},
        other='<link point="6.45,3.39"/><link point="6.46,3.39"/><link point="6.46,3.40"/><link point="6.45,3.39"/>',
    )


CHANGE_TYPES: Final = {
    "created": "CREATE_MISSION",
    "content_added": "ADD_CONTENT",
    "unit_added": "ADD_CONTENT",
    "content_removed": "REMOVE_CONTENT",
    "unit_removed": "REMOVE_CONTENT",
}


def mission_event(mission: Mission, change: MissionChange, now: datetime) -> Cot:
    """The push for one change of a mission."""
    content = (
        f"<contentUid>{escape(change.unit_uid)}</contentUid>"
        if change.unit_uid
        else f"<contentResource><hash>{change.content.sha256}</hash><name>{escape(change.content.name)}</name>"
        "</contentResource>"
        if change.content
        else ""
    )
    return Cot(
        uid=f"{mission.guid}-{change.number}",
        type="t-x-m-c",
        time=now,
        stale=now + timedelta(seconds=20),
        hae=0.0,
        how="h-g-i-g-o",
        other=(
            f'<mission type="CHANGE" tool="{mission.tool}" name={quoteattr(mission.name)} guid="{mission.guid}" '
            f"authorUid={quoteattr(change.creator_uid)}><MissionChanges><MissionChange>{content}"
            f"<creatorUid>{escape(change.creator_uid)}</creatorUid><isFederatedChange>false</isFederatedChange>"
            f"<missionName>{escape(mission.name)}</missionName><timestamp>{stamp(change.at)}</timestamp>"
            f"<type>{CHANGE_TYPES[change.kind]}</type></MissionChange></MissionChanges></mission>"
        ),
    )


def emergency(unit: TakUnit, at: datetime, *, cancel: bool) -> Cot:
    """A unit raises a 911 alert, or takes it back."""
    state = unit.state_at(at)
    told = (
        f'<emergency cancel="true">{escape(unit.callsign)}</emergency>'
        if cancel
        else f'<emergency type="911 Alert">{escape(unit.callsign)}</emergency>'
    )
    return Cot(
        uid=f"{unit.uid}-9-1-1",
        type="b-a-o-can" if cancel else "b-a-o-tbl",
        time=at,
        stale=at + timedelta(seconds=15),
        lat=state.latitude,
        lon=state.longitude,
        hae=state.altitude_m,
        how="h-e",
        typed={"contact": {"callsign": f"{unit.callsign}-Alert"}},
        other=f'<link uid="{unit.uid}" type="{unit.cot_type}" relation="p-p"/>{told}',
    )


def control(event_type: str, uid: str, at: datetime, detail: str = "", *, seconds: int = 20) -> Cot:
    """Talk between server and client."""
    return Cot(
        uid=uid,
        type=event_type,
        time=at,
        stale=at + timedelta(seconds=seconds),
        hae=0.0,
        other=detail,
    )
