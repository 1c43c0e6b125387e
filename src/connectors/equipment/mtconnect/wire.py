"""What MTConnect agents send, in the standard's words, whichever form (XML, JSON) it came in."""

from typing import Literal

import msgspec

from connectors.equipment.driver import Trouble
from unified.values import Value

UNAVAILABLE = "UNAVAILABLE"
"""The text that means "no value"."""

Category = Literal["Samples", "Events", "Condition"]


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """`instance_id` changes when the agent restarts; sequence numbers then begin at 1 again."""

    instance_id: str
    version: str | None = None
    buffer_size: int | None = None
    first_sequence: int = 0
    last_sequence: int = 0
    next_sequence: int = 0
    model_changed: str | None = None
    """`deviceModelChangeTime`: when what /probe answers last changed."""
    asset_count: int | None = None


class Place(Value, frozen=True, omit_defaults=True, gc=False):
    """Whose observations they are: one for all of a component."""

    component: str | None = None
    component_name: str | None = None
    device: str | None = None
    device_uuid: str | None = None


class Observation(Value, frozen=True, omit_defaults=True, gc=False):
    """One observation. `type` is the element's name, of a condition its level. `value` is null for no text.

    Made by position, since there are many: see `xml.streams`.
    """

    data_item: str
    category: Category
    type: str
    sequence: int
    timestamp: str
    value: str | None = None
    name: str | None = None
    sub_type: str | None = None
    place: Place = Place()
    native_code: str | None = None
    native_severity: str | None = None
    qualifier: str | None = None
    condition_id: str | None = None


class Streams(msgspec.Struct, frozen=True, kw_only=True):
    """A document of /current or /sample. Observations are grouped by component, so not in order of sequence."""

    header: Header
    observations: list[Observation]


class DataItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    id: str
    category: str | None = None
    type: str | None = None
    sub_type: str | None = None
    name: str | None = None
    units: str | None = None


class Device(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A device of /probe. `agent`: it is the agent itself and no machine."""

    id: str
    name: str | None = None
    uuid: str | None = None
    agent: bool = False
    manufacturer: str | None = None
    model: str | None = None
    serial_number: str | None = None
    description: str | None = None
    items: dict[str, DataItem] = {}


class Devices(msgspec.Struct, frozen=True, kw_only=True):
    header: Header
    devices: list[Device]


class Asset(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`details`: attributes and the simple elements of the asset, flat, by name."""

    asset_id: str
    type: str
    timestamp: str | None = None
    device_uuid: str | None = None
    serial_number: str | None = None
    removed: bool = False
    details: dict[str, str] = {}


class Assets(msgspec.Struct, frozen=True, kw_only=True):
    header: Header
    assets: list[Asset]


class Error(msgspec.Struct, frozen=True, kw_only=True):
    code: str
    message: str | None = None


class Errors(msgspec.Struct, frozen=True, kw_only=True):
    """Since version 2.6 there may be several."""

    errors: list[Error]


Document = Streams | Devices | Assets | Errors


# --- ours


class Gap(Value, frozen=True, kw_only=True, omit_defaults=True):
    """Observations that were never seen: the agent restarted, or its buffer went round before we asked."""

    reason: Literal["restart", "overrun"]
    at: str
    """When we found it, ISO 8601."""
    first: int | None = None
    last: int | None = None
    """The sequence numbers that are missing, where they are known."""

    @property
    def text(self) -> str:
        if self.reason == "restart":
            return "the agent restarted; what happened while it was away, and what was not read before, is lost"
        count = (self.last or 0) - (self.first or 0) + 1
        return (
            f"the agent's buffer was overrun: {count} observations ({self.first} to {self.last}) were lost; "
            "enlarge its BufferSize"
        )


class Snapshot(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="mtconnect-snapshot"):
    """All that is known of one machine: the newest observation of each data item, the conditions that are active."""

    device: Device | None = None
    """Without its data items but those that give units or names to the observations here."""
    header: Header | None = None
    observations: list[Observation] = []
    assets: list[Asset] = []
    gap: Gap | None = None
    trouble: Trouble | None = None
