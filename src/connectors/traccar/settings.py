"""The settings of a Traccar integration, and where a device tells its plate and fleet number."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from connectors.kit import decode

DEFAULT_NAME_PATTERN: Final = (
    r"^(?P<fleet>[A-Za-z]{1,12} ?\d{1,4})\s{1,3}(?P<plate>[A-Z]{2,3}[ -]?\d{2,4}[ -]?[A-Z]{1,3})$"
)
"""`Truck 07 KJA 123 AB`: fleet number `Truck 07`, plate `KJA 123 AB`."""

_PATTERN_LONGEST: Final = 200
_NAME_LONGEST: Final = 160
_UNBOUNDED_MOST: Final = 4
_ESCAPED_OR_CLASS: Final = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]")
_REPEATED_GROUP: Final = re.compile(r"\)(?:[*+]|\{)")
_UNBOUNDED: Final = re.compile(r"[*+]|\{\d*,\}")


class Settings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """`[integrations.settings]` of a Traccar integration."""

    plate_attribute: Annotated[str | None, Meta(description="Device attribute that holds the plate")] = "plate"
    fleet_number_attribute: Annotated[str | None, Meta(description="Device attribute that holds the fleet number")] = (
        "fleetNumber"
    )
    name_pattern: Annotated[
        str | None,
        Meta(description="Regular expression with the groups `fleet` and/or `plate` on the device's name"),
    ] = DEFAULT_NAME_PATTERN
    socket: Annotated[bool, Meta(description="Listen on the server's WebSocket; false polls instead")] = True
    silence_seconds: Annotated[
        float, Meta(ge=10, le=3600, description="Seconds without a frame after which the socket counts as dead")
    ] = 120.0
    gap_minutes: Annotated[
        int, Meta(ge=1, le=1440, description="How far back a gap is filled after the socket was lost")
    ] = 60
    webhook_header: Annotated[
        str, Meta(pattern=r"^[A-Za-z0-9-]{1,64}$", description="Header of forwarded messages that holds the secret")
    ] = "X-Crossdock-Secret"


class Naming:
    """Finds plate and fleet number of a device: its attributes first, then its name.

    Raises `ValueError` for a pattern that is wrong or might take for ever.
    """

    def __init__(self, settings: Settings) -> None:
        self._plate_attribute = settings.plate_attribute
        self._fleet_attribute = settings.fleet_number_attribute
        self._pattern = _compiled(settings.name_pattern) if settings.name_pattern else None

    def plate(self, name: str | None, attributes: Mapping[str, Any]) -> str | None:
        """As the device spells it; null when it tells none."""
        return _text(attributes, self._plate_attribute) or self._from_name(name, "plate")

    def fleet_number(self, name: str | None, attributes: Mapping[str, Any]) -> str | None:
        """As the device spells it; null when it tells none."""
        return _text(attributes, self._fleet_attribute) or self._from_name(name, "fleet")

    def _from_name(self, name: str | None, group: str) -> str | None:
        if self._pattern is None or not name or group not in self._pattern.groupindex:
            return None
        found = self._pattern.search(name.strip()[:_NAME_LONGEST])
        return decode.none(found[group]) if found else None


def _text(attributes: Mapping[str, Any], name: str | None) -> str | None:
    """An attribute as text: Traccar's attributes hold any JSON scalar, a fleet number may be one."""
    value = attributes.get(name) if name else None
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return decode.none(str(value))


def _compiled(text: str) -> re.Pattern[str]:
    if len(text) > _PATTERN_LONGEST:
        raise ValueError(f"name_pattern has {len(text)} characters; at most {_PATTERN_LONGEST} are allowed")
    bare = _ESCAPED_OR_CLASS.sub("x", text)
    if _REPEATED_GROUP.search(bare):
        raise ValueError("name_pattern repeats a group, which may take for ever; repeat a character class instead")
    if len(_UNBOUNDED.findall(bare)) > _UNBOUNDED_MOST:
        raise ValueError(f"name_pattern has more than {_UNBOUNDED_MOST} unbounded repeats (`*`, `+`)")
    try:
        pattern = re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"name_pattern is no regular expression: {error}") from None
    if not {"fleet", "plate"} & pattern.groupindex.keys():
        raise ValueError("name_pattern has neither a group `fleet` nor `plate`: write (?P<plate>...) around the plate")
    return pattern
