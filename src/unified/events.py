"""Events: what the live plane carries from a vendor to subscriptions."""

from datetime import datetime
from typing import Generic, TypeVar

import msgspec

from unified.records import Kind, Record, UnitAlert, VehicleEvent

R = TypeVar("R", bound=Record)


class Changed(msgspec.Struct, Generic[R], frozen=True, kw_only=True):
    """A record as it is now. Newer wins: by `occurred_at` (the vendor's time), then by `sequence`."""

    record: R
    occurred_at: datetime
    sequence: int = 0


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """The vendor says that the thing is gone."""

    kind: Kind
    id: str
    occurred_at: datetime
    sequence: int = 0


class Happened(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened and changes no record by itself (an alarm, an emergency)."""

    what: VehicleEvent | UnitAlert
    occurred_at: datetime


Event = Changed[Record] | Removed | Happened
