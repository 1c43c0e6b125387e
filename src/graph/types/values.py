"""Value types: shareable, without identity."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import strawberry

from graph.fields import plain


@strawberry.federation.type(description="An amount with its unit.", shareable=True)
class Quantity:
    value: Decimal = plain("The amount, exactly as the vendor gave it.")
    unit: str = plain("Unit of measure; UN/ECE Recommendation 20 code where the vendor has one (`PCE`, `KGM`).")


@strawberry.federation.type(description="An amount of money.", shareable=True)
class Money:
    amount: Decimal = plain("In major units: 12.50, not 1250.")
    currency: str = plain("ISO 4217 code.")


@strawberry.federation.type(description="A place that people speak of.", shareable=True)
class Place:
    address: str | None = plain("As people write it.")
    latitude: float | None = plain("Degrees north, WGS 84.")
    longitude: float | None = plain("Degrees east, WGS 84.")


@strawberry.federation.type(description="Where something that moves was.", shareable=True)
class Position:
    latitude: float = plain("Degrees north, WGS 84.")
    longitude: float = plain("Degrees east, WGS 84.")
    altitude_m: float | None = plain("Metres; above sea level or the ellipsoid, as the vendor measures.")
    accuracy_m: float | None = plain("Radius of the error in metres; null where unknown.")
    speed_kmh: float | None = plain("Speed over ground in km/h.")
    heading_deg: float | None = plain("Direction of movement, degrees clockwise from north, 0 to 360.")
    recorded_at: datetime = plain("Time of the fix at the device.")
    received_at: datetime | None = plain("When the vendor's server received it.")
    satellites: int | None = plain("Satellites that the fix was made of; null where unknown.")
    stale: bool = plain("True when the fix was copied from an earlier one, or the vendor calls it invalid.")


@strawberry.federation.type(
    description="One more fact that a vendor tells, under the vendor's own name.", shareable=True
)
class NamedText:
    name: str = plain("The vendor's name of it.")
    value: str = plain("What the vendor says.")


def named_texts(attribute: str) -> Callable[[Any], list[NamedText]]:
    """A mapping of texts as a list, since GraphQL has no maps."""

    def resolve(root: Any) -> list[NamedText]:
        return [NamedText(name=name, value=value) for name, value in getattr(root, attribute).items()]

    return resolve
