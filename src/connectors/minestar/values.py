"""What texts and numbers mean: the providers' nulls, units, times and levels.

What a provider writes for "no value" is null; what is no value at all raises `MappingFailed` with its place.
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Any, Final, Literal

from connectors.kit.decode import NULL_DATES, NULL_TEXTS
from connectors.kit.errors import MappingFailed
from connectors.minestar.wire import AT, Element, Values

Percent = Literal["percent", "ratio", "unsure"]

_NULLS: Final = frozenset({each.lower() for each in NULL_TEXTS} | {"missing", "na", "unknown", "nan", "-"})
_TEXT_LONGEST: Final = 200
_DURATION: Final = re.compile(
    r"^P(?:(?P<days>[\d.]+)D)?(?:T(?:(?P<hours>[\d.]+)H)?(?:(?P<minutes>[\d.]+)M)?(?:(?P<seconds>[\d.]+)S)?)?$"
)
_TRUE, _FALSE = frozenset({"true", "1", "yes", "y", "on"}), frozenset({"false", "0", "no", "n", "off"})

KILOMETRES: Final[Mapping[str, float]] = {"kilometre": 1, "mile": 1.609344, "metre": 0.001, "foot": 0.0003048}
METRES: Final[Mapping[str, float]] = {"metre": 1, "foot": 0.3048, "kilometre": 1_000, "mile": 1_609.344}
KILOGRAMS: Final[Mapping[str, float]] = {
    "kilogram": 1, "tonne": 1_000, "pound": 0.45359237, "shortton": 907.18474, "longton": 1_016.0469088, "gram": 0.001,
}  # fmt: skip
LITRES: Final[Mapping[str, float]] = {
    "litre": 1, "gallon": 3.785411784, "usgallon": 3.785411784, "imperialgallon": 4.54609, "millilitre": 0.001,
}  # fmt: skip
KILOMETRES_AN_HOUR: Final[Mapping[str, float]] = {
    "kilometreperhour": 1, "mileperhour": 1.609344, "metrepersecond": 3.6,
}  # fmt: skip
_SPELLINGS: Final = {
    "kilometer": "kilometre", "km": "kilometre", "mi": "mile", "meter": "metre", "m": "metre", "feet": "foot",
    "ft": "foot",
    "kg": "kilogram", "lb": "pound", "t": "tonne", "metricton": "tonne", "g": "gram",
    "liter": "litre", "l": "litre", "gal": "gallon", "gallonus": "usgallon", "milliliter": "millilitre",
    "kilometerperhour": "kilometreperhour", "km/h": "kilometreperhour", "kph": "kilometreperhour",
    "kmh": "kilometreperhour", "mph": "mileperhour", "m/s": "metrepersecond", "meterpersecond": "metrepersecond",
}  # fmt: skip
"""Singular, without blanks. `ton` is in no table: it may be short, long or metric."""


def text(value: Any) -> str | None:
    """Trimmed, at most 200 characters; null for the providers' spellings of null."""
    if value is None or isinstance(value, bool):
        return None
    bare = str(value).strip()
    return None if bare.lower() in _NULLS else bare[:_TEXT_LONGEST]


def number(value: Any, path: str) -> float | None:
    """A finite number. Raises `MappingFailed`."""
    if value is None:
        return None
    try:
        if isinstance(value, bool) or (isinstance(value, str) and "_" in value):
            raise ValueError
        found = float(value)
    except (ValueError, TypeError):
        if isinstance(value, str) and value.strip().lower() in _NULLS:
            return None
        raise MappingFailed(f"`{path}` is no number", path=path) from None
    if math.isfinite(found):
        return found
    if math.isnan(found):
        return None
    raise MappingFailed(f"`{path}` is no finite number", path=path)


def flag(value: Any, path: str) -> bool | None:
    """True or false; Cat writes them as text. Raises `MappingFailed`."""
    if value is None or isinstance(value, bool):
        return value
    bare = str(value).strip().lower()
    if bare in _TRUE:
        return True
    if bare in _FALSE:
        return False
    if bare in _NULLS:
        return None
    raise MappingFailed(f"`{path}` is neither true nor false", path=path)


def moment(value: str, zone: tzinfo, path: str) -> datetime | None:
    """In UTC; a time without zone is one of `zone`. Null for the providers' null dates. Raises `MappingFailed`."""
    try:
        return _parsed(value, zone)
    except (ValueError, OverflowError):
        raise MappingFailed(f"`{path}` is no ISO 8601 time", path=path) from None


@lru_cache(maxsize=4_096)
def _parsed(value: str, zone: tzinfo) -> datetime | None:
    """Remembered: a machine's elements share their times, and pages are read again and again."""
    bare = value.strip()
    if bare[:10] in NULL_DATES or bare.lower() in _NULLS:
        return None
    found = datetime.fromisoformat(bare)
    if found.tzinfo is None:
        found = found.replace(tzinfo=zone)
    return found.astimezone(UTC)


def time_of(element: Element, zone: tzinfo, path: str) -> datetime | None:
    """When the element was measured: its attribute, or its child (Takeuchi). Raises `MappingFailed`."""
    told = element.at or element.values.get(AT)
    return moment(told, zone, path) if isinstance(told, str) else None


def hours(values: Values, path: str) -> float | None:
    """Decimal hours; an ISO 8601 duration in AEMP 1.2, minutes in Develon's second form. Raises `MappingFailed`."""
    value = values.get("hour")
    if value is None:
        minutes = number(values.get("minutes"), f"{path}.minutes")
        return None if minutes is None else round(minutes / 60, 6)
    if isinstance(value, str) and value.lstrip()[:1] == "P":
        return _duration(value.strip(), f"{path}.Hour")
    return number(value, f"{path}.Hour")


def _duration(value: str, path: str) -> float:
    found = _DURATION.match(value)
    if found is None or len(value) < 3 or len(value) > 60:
        raise MappingFailed(f"`{path}` is no ISO 8601 duration in days, hours, minutes and seconds", path=path)
    try:
        parts = {name: float(part) for name, part in found.groupdict(default="0").items()}
    except ValueError:
        raise MappingFailed(f"`{path}` is no ISO 8601 duration", path=path) from None
    return round(parts["days"] * 24 + parts["hours"] + parts["minutes"] / 60 + parts["seconds"] / 3_600, 6)


def factor(units: Mapping[str, float], unit: Any, path: str) -> float:
    """What a number in `unit` is multiplied by; without a unit it is the first of `units`, the standard's.
    Raises `MappingFailed` for a unit that is not known."""
    if unit is None:
        return 1
    bare = str(unit).strip().lower()
    found = units.get(bare)
    if found is not None:
        return found
    if bare in _NULLS:
        return 1
    bare = bare.replace(" ", "").replace("-", "").replace("_", "").replace(".", "")
    singular = {"feet": "foot"}.get(bare, bare[:-1] if bare.endswith("s") and bare != "m/s" else bare)
    for each in (bare, singular, bare.replace("sper", "per")):
        found = units.get(_SPELLINGS.get(each, each))
        if found is not None:
            return found
    raise MappingFailed(f"the unit at `{path}` is none that is known: {bare[:30]!r}", path=path)


def measured(
    values: Values, names: tuple[str, ...], unit_names: tuple[str, ...], units: Mapping[str, float], path: str
) -> float | None:
    """The number under the first of `names` that is there, in the first unit of `units`, to the thousandth where it had
    to be converted. Raises `MappingFailed`."""
    for name in names:
        value = values.get(name)
        if value is None:
            continue
        found = number(value, f"{path}.{name}")
        if found is None:
            return None
        if name not in _UNIT_IN_NAME:
            for unit_name in unit_names:
                unit = values.get(unit_name)
                if unit is not None:
                    by = factor(units, unit, f"{path}.{unit_name}")
                    return found if by == 1 else round(found * by, 3)
        return found
    return None


_UNIT_IN_NAME: Final = frozenset({"fuelconsumedlitres", "odometerkilometre"})
"""Names of MiX Telematics, which tell the unit."""


def level(values: Values, meant: Percent, path: str) -> float | None:
    """Percent of a tank; null beyond 0 to 100. Raises `MappingFailed` for one that may be a ratio or a percentage."""
    value = values.get("percent")
    found = number(value, f"{path}.Percent")
    if found is None:
        return None
    if meant == "ratio":
        found = round(found * 100, 6)
    elif meant == "unsure" and 0 < found <= 1 and (isinstance(value, float) or "." in str(value)):
        raise MappingFailed(
            f'`{path}.Percent` may be a ratio or a percentage: write `percent = "ratio"` or '
            '`percent = "percent"` in the settings',
            path=f"{path}.Percent",
        )
    return found if 0 <= found <= 100 else None


def counted(value: float | None, path: str) -> float | None:
    """A counter. Raises `MappingFailed` for one below 0."""
    if value is not None and value < 0:
        raise MappingFailed(f"the counter at `{path}` is below 0", path=path)
    return value
