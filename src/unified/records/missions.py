"""Missions and units."""

from datetime import datetime
from enum import Enum
from typing import ClassVar

from unified.records.base import Connectivity, Kind, Record
from unified.values import Position, Value


class MissionState(Enum):
    ACTIVE = "ACTIVE"
    EXPIRED = "EXPIRED"
    DELETED = "DELETED"
    UNKNOWN = "UNKNOWN"


class MissionDocument(Value, frozen=True, kw_only=True):
    """A file that belongs to a mission; `hash` is its SHA-256 in hex."""

    name: str | None = None
    hash: str | None = None
    mime_type: str | None = None
    size_bytes: int | None = None
    submitted_at: datetime | None = None


class MissionChange(Value, frozen=True, kw_only=True):
    change_type: str
    at: datetime | None = None
    by: str | None = None
    unit_uid: str | None = None
    callsign: str | None = None


class Mission(Record, frozen=True, kw_only=True):
    kind: ClassVar[Kind] = Kind.MISSION

    name: str
    description: str | None = None
    state: MissionState
    tool: str | None = None
    classification: str | None = None
    keywords: tuple[str, ...] = ()
    created_at: datetime | None = None
    created_by: str | None = None
    expires_at: datetime | None = None
    password_protected: bool = False
    unit_uids: tuple[str, ...] = ()
    documents: tuple[MissionDocument, ...] = ()
    changes: tuple[MissionChange, ...] = ()


class Affiliation(Enum):
    PENDING = "PENDING"
    UNKNOWN = "UNKNOWN"
    ASSUMED_FRIEND = "ASSUMED_FRIEND"
    FRIEND = "FRIEND"
    NEUTRAL = "NEUTRAL"
    SUSPECT = "SUSPECT"
    HOSTILE = "HOSTILE"
    JOKER = "JOKER"
    FAKER = "FAKER"
    NONE = "NONE"


class Dimension(Enum):
    SPACE = "SPACE"
    AIR = "AIR"
    GROUND = "GROUND"
    SEA_SURFACE = "SEA_SURFACE"
    SUBSURFACE = "SUBSURFACE"
    OTHER = "OTHER"


class Unit(Record, frozen=True, kw_only=True):
    kind: ClassVar[Kind] = Kind.UNIT

    uid: str
    callsign: str | None = None
    cot_type: str | None = None
    affiliation: Affiliation = Affiliation.UNKNOWN
    dimension: Dimension = Dimension.OTHER
    symbol_code: str | None = None
    """MIL-STD-2525B/C, 15 characters."""
    team: str | None = None
    role: str | None = None
    connectivity: Connectivity
    position: Position | None = None
    battery_percent: float | None = None
    remarks: str | None = None
    stale_at: datetime | None = None
    """After this time the unit counts as offline."""


class UnitAlert(Value, frozen=True, kw_only=True):
    """An emergency that a unit raised or (`active` false) cancelled."""

    unit_uid: str
    callsign: str | None = None
    alert_type: str
    active: bool
    at: datetime | None = None
    position: Position | None = None
