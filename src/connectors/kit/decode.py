"""From bytes to wire structs, with the place of a fault; the vendors' many spellings of null; code tables."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from enum import Enum
from functools import cache
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from connectors.kit.errors import BadPayload, MappingFailed

T = TypeVar("T")
E = TypeVar("E", bound=Enum)

NULL_TEXTS = frozenset(
    {"", "null", "NULL", "None", "nil", "N/A", "AAAAAAAAAAAAAA", "00000000-0000-0000-0000-000000000000"}
)
"""Texts that mean "no value" at some vendor; compared after trimming blanks."""
NULL_DATES = frozenset({"0001-01-01", "4712-12-31", "9999-12-31", "0000-00-00", "1900-01-01"})
"""Days that mean "no date": .NET, Oracle, SAP, SAP, Excel."""

_PLACE = re.compile(r" - at `(?P<path>[^`]*)`$")


@cache
def _decoder(into: Any, strict: bool) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(into, strict=strict)


def json(content: bytes, into: type[T], *, strict: bool = False) -> T:
    """The JSON as `into`. Not strict: `"12"` is taken for a number and 12 for a decimal, as vendors mix them.

    Raises `BadPayload` with the path of the fault; the message never holds the payload's values.
    """
    try:
        decoder: msgspec.json.Decoder[T] = _decoder(into, strict)  # type: ignore[arg-type]
        return decoder.decode(content)
    except msgspec.ValidationError as fault:
        found = _PLACE.search(str(fault))
        path = found["path"] if found else "$"
        what = _PLACE.sub("", str(fault))
        raise BadPayload(f"the answer is not what was expected at `{path}`: {what}", path=path) from None
    except msgspec.DecodeError as fault:
        raise BadPayload(f"the answer is no JSON: {fault}", path="$") from None
    except RecursionError:
        raise BadPayload("the answer is nested too deeply", path="$") from None


def none(text: str | None) -> str | None:
    """The text, trimmed; null where the vendor means "no value"."""
    if text is None:
        return None
    bare = text.strip()
    return None if bare in NULL_TEXTS else bare


def moment(value: str | None, *, path: str = "$") -> datetime | None:
    """An ISO 8601 time with zone as UTC; null for the vendors' null dates. Raises `MappingFailed`."""
    text = none(value)
    if text is None or text[:10] in NULL_DATES:
        return None
    try:
        parsed = datetime.fromisoformat(_iso(text))
    except ValueError:
        raise MappingFailed(f"`{path}` is no ISO 8601 time", path=path) from None
    if parsed.tzinfo is None:
        raise MappingFailed(f"the time at `{path}` has no zone", path=path)
    return parsed.astimezone(UTC)


_FRACTION = re.compile(r"\.(\d+)")
_OFFSET = re.compile(r"([+-]\d{2})(\d{2})$")


def _iso(text: str) -> str:
    # datetime.fromisoformat of 3.11 takes neither other counts of fractional digits than 3 and 6 nor +0000
    text = _FRACTION.sub(lambda hit: "." + hit[1][:6].ljust(6, "0"), text, count=1)
    return _OFFSET.sub(r"\1:\2", text)


def epoch(seconds: float | None) -> datetime | None:
    """Seconds since 1970 as UTC; null and 0 are "no time"."""
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def day(value: str | None, *, path: str = "$") -> date | None:
    """An ISO 8601 day; null for the vendors' null dates. Raises `MappingFailed`."""
    text = none(value)
    if text is None or text[:10] in NULL_DATES:
        return None
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        raise MappingFailed(f"`{path}` is no ISO 8601 day", path=path) from None


def decimal(value: str | int | float | Decimal | None, *, path: str = "$") -> Decimal | None:
    """A number in any of the forms that vendors give, exactly. Raises `MappingFailed`."""
    if value is None or (isinstance(value, str) and none(value) is None):
        return None
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        raise MappingFailed(f"`{path}` is no number", path=path) from None
    if not number.is_finite():
        raise MappingFailed(f"`{path}` is no finite number", path=path)
    return number


class Codes(Generic[E]):
    """A vendor's codes and what they mean. An unknown code becomes the enum's UNKNOWN and is counted."""

    every: ClassVar[list["Codes[Any]"]] = []
    """All tables of the process, for the metrics."""

    def __init__(self, enum: type[E], table: Mapping[str, E]) -> None:
        self.unknown = enum["UNKNOWN"]
        self.table = dict(table)
        self.name = enum.__name__
        self.seen: dict[str, int] = {}
        """Unknown codes and how often each was met; the first 100 different ones."""
        Codes.every.append(self)

    def __getitem__(self, code: str | None) -> E:
        found = self.table.get(code) if code is not None else None
        if found is not None:
            return found
        if code is not None and (code in self.seen or len(self.seen) < 100):
            self.seen[code] = self.seen.get(code, 0) + 1
        return self.unknown
