"""The settings of an equipment integration: its machines, and how a job's file names the item it makes."""

import re
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from unified.records import EquipmentType

DEFAULT_ITEM_PATTERN: Final = r"(?:^|_)(?P<item>(?=[A-Za-z-]*\d)[A-Za-z0-9]+-[A-Za-z0-9-]+)(?=[_.])"
"""A part between underscores that holds a dash and a digit: `PRT-10042` in `bracket_PRT-10042_r2.gcode`."""

_PATTERN_LONGEST: Final = 200
_NAME_LONGEST: Final = 160
_REPEATS_MOST: Final = 4
_ESCAPED_OR_CLASS: Final = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]")
_REPEAT: Final = re.compile(r"[*+]|\{\d*,\d*\}")
_REPEATED_GROUP: Final = re.compile(r"\)(?:[*+]|\{)")


class ItemPattern:
    """Finds the item number in a job's file name. Bounded: the pattern may hold few repeats and no repeated
    group, and only the first 160 characters of a name are looked at, so that no name takes long.

    Raises `ValueError` with what is wrong with the pattern.
    """

    __slots__ = ("_pattern",)

    def __init__(self, text: str = DEFAULT_ITEM_PATTERN) -> None:
        if len(text) > _PATTERN_LONGEST:
            raise ValueError(f"item_pattern has {len(text)} characters; at most {_PATTERN_LONGEST} are allowed")
        bare = _ESCAPED_OR_CLASS.sub("x", text)
        if _REPEATED_GROUP.search(bare):
            raise ValueError("item_pattern repeats a group, which may take for ever; repeat a character class instead")
        if len(_REPEAT.findall(bare)) > _REPEATS_MOST:
            raise ValueError(f"item_pattern has more than {_REPEATS_MOST} repeats (`*`, `+`, `{{n,m}}`)")
        try:
            pattern = re.compile(text)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"item_pattern is no regular expression: {error}") from None
        if "item" not in pattern.groupindex:
            raise ValueError("item_pattern has no group `item`: write (?P<item>...) around the item number")
        empty = pattern.search("")
        if empty is not None and not empty["item"]:
            raise ValueError("item_pattern finds an item number in an empty name; it must need some characters")
        self._pattern = pattern

    def find(self, name: str) -> str | None:
        """The item number as the name spells it; null when the name tells none."""
        found = self._pattern.search(name[:_NAME_LONGEST])
        return (found["item"] or None) if found else None


class Machine(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One machine of the integration."""

    id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    """Immutable: the global id is made of it. Letters, digits, `.`, `_`, `-`; at most 64."""
    name: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    """What people call it; the id when it is missing."""
    protocol: Literal["octoprint"] = "octoprint"
    """What the machine speaks."""
    url: Annotated[str, Meta(max_length=500)]
    """Where it answers, without `/api`: `http://printer-1.local:5000`."""
    api_key: Annotated[str, Meta(min_length=1, max_length=100)]
    """The NAME of the credential under `[integrations.credentials]` that holds the machine's API key."""
    equipment_type: EquipmentType = EquipmentType.PRINTER_3D
    model: Annotated[str, Meta(max_length=200)] | None = None
    """Make and model; the protocol does not tell it."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"url of machine {self.id!r} must begin with http:// or https:// and name a host")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError(f"url of machine {self.id!r} must hold neither credentials nor a query")

    @property
    def display_name(self) -> str:
        """The name, or the id when there is none."""
        return self.name or self.id


class Settings(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`[integrations.settings]` of system `equipment`."""

    machines: Annotated[tuple[Machine, ...], Meta(min_length=1, max_length=500)]
    """The machines, each under an id of its own."""
    item_pattern: str = DEFAULT_ITEM_PATTERN
    """Regular expression with a group `item` that finds the item number in a job's file name."""
    push_seconds: Annotated[float, Meta(ge=0.5, le=60)] = 1.0
    """Shortest time between two live messages of one machine; OctoPrint's own floor is 0.5."""

    def __post_init__(self) -> None:
        ItemPattern(self.item_pattern)
        ids = [machine.id for machine in self.machines]
        twice = sorted({each for each in ids if ids.count(each) > 1})
        if twice:
            raise ValueError(f"two machines have the same id: {', '.join(twice)}")


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the settings know of a machine and its protocol does not tell."""

    id: str
    name: str
    equipment_type: EquipmentType = EquipmentType.PRINTER_3D
    model: str | None = None
    items: ItemPattern


def facts(machine: Machine, items: ItemPattern) -> Facts:
    """The facts of a configured machine."""
    return Facts(
        id=machine.id,
        name=machine.display_name,
        equipment_type=machine.equipment_type,
        model=machine.model,
        items=items,
    )
