"""The settings of a Traccar integration, and where a device tells its plate and fleet number."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from connectors.kit import decode
from connectors.kit.patterns import NamePattern

DEFAULT_NAME_PATTERN: Final = (
    r"^(?P<fleet>[A-Za-z]{1,12} ?\d{1,4})\s{1,3}(?P<plate>[A-Z]{2,3}[ -]?\d{2,4}[ -]?[A-Z]{1,3})$"
)
"""`Truck 07 KJA 123 AB`: fleet number `Truck 07`, plate `KJA 123 AB`."""


class Settings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """`[integrations.settings]` of a Traccar integration."""

    plate_attribute: Annotated[str | None, Meta(description="Device attribute that holds the plate")] = "plate"
    fleet_number_attribute: Annotated[str | None, Meta(description="Device attribute that holds the fleet number")] = (
        "fleetNumber"
    )
    name_pattern: Annotated[
        str | None,
        Meta(
            description=(
                "Regular expression with the groups `fleet` and/or `plate` on the device's name, for what "
                "no attribute tells; the default reads names such as `Truck 07 KJA 123 AB`"
            )
        ),
    ] = DEFAULT_NAME_PATTERN
    socket: Annotated[bool, Meta(description="Listen on the server's WebSocket; false polls every `poll_seconds`")] = (
        True
    )
    silence_seconds: Annotated[
        float, Meta(ge=10, le=3600, description="Seconds without a frame after which the socket counts as dead")
    ] = 120.0
    gap_minutes: Annotated[
        int, Meta(ge=1, le=1440, description="How far back a gap is filled after the socket was lost")
    ] = 60
    webhook_header: Annotated[
        str,
        Meta(pattern=r"^[A-Za-z0-9-]{1,64}$", description="Header of forwarded messages that holds `webhook_secret`"),
    ] = "X-Crossdock-Secret"


class Naming:
    """Finds plate and fleet number of a device: its attributes first, then its name.

    Raises `ValueError` for a pattern that is wrong or might take for ever.
    """

    def __init__(self, settings: Settings) -> None:
        self._plate_attribute = settings.plate_attribute
        self._fleet_attribute = settings.fleet_number_attribute
        pattern = settings.name_pattern
        self._pattern = NamePattern(pattern, setting="name_pattern", groups=("fleet", "plate")) if pattern else None

    def plate(self, name: str | None, attributes: Mapping[str, Any]) -> str | None:
        """As the device spells it; null when it tells none."""
        return _text(attributes, self._plate_attribute) or self._from_name(name, "plate")

    def fleet_number(self, name: str | None, attributes: Mapping[str, Any]) -> str | None:
        """As the device spells it; null when it tells none."""
        return _text(attributes, self._fleet_attribute) or self._from_name(name, "fleet")

    def _from_name(self, name: str | None, group: str) -> str | None:
        return decode.none(self._pattern.find(name.strip(), group)) if self._pattern and name else None


def _text(attributes: Mapping[str, Any], name: str | None) -> str | None:
    """An attribute as text: Traccar's attributes hold any JSON scalar, a fleet number may be one."""
    value = attributes.get(name) if name else None
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return decode.none(str(value))
