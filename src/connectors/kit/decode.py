"""From bytes to wire structs, with the place of a fault; the vendors' many spellings of null; code tables."""

import re
import sys
import weakref
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from enum import Enum
from functools import cache
from typing import Any, ClassVar, Final, Generic, NamedTuple, TypeVar

import msgspec

from connectors.kit import redaction
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
_VALUE = re.compile(r"^(Invalid (?:enum )?value) .*", re.DOTALL)
_BOM: Final = b"\xef\xbb\xbf"
_NOT_A_NUMBER = re.compile(rb'(?<!\\)"-?(?:NaN|Infinity)"(?!\s*:)')
_LARGEST_EXPONENT: Final = 60
"""Of ten; no quantity is that large or small, and writing one out would take as many digits."""


@cache
def _decoder(into: Any, strict: bool) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(into, strict=strict)


def json(content: bytes, into: type[T], *, strict: bool = False) -> T:
    """The JSON as `into`. Not strict: `"12"` is taken for a number and 12 for a decimal, as vendors mix them; then the
    texts `"NaN"` and `"Infinity"`, which Java and .NET write for numbers that are none, are null. Of two equal names
    in an object the last counts.

    Raises `BadPayload` with the path of the fault; the message never holds the payload's values.
    """
    content = content.removeprefix(_BOM)
    if not strict and (b'NaN"' in content or b'Infinity"' in content):
        content = _NOT_A_NUMBER.sub(b"null", content)
    try:
        decoder: msgspec.json.Decoder[T] = _decoder(into, strict)  # type: ignore[arg-type]
        return decoder.decode(content)
    except msgspec.ValidationError as fault:
        found = _PLACE.search(str(fault))
        path = found["path"] if found else "$"
        what = _VALUE.sub(r"\1", _PLACE.sub("", str(fault)))
        raise BadPayload(f"the answer is not what was expected at `{path}`: {what}", path=path) from None
    except msgspec.DecodeError as fault:
        raise BadPayload(f"the answer is no JSON: {fault}", path="$") from None
    except UnicodeDecodeError:
        raise BadPayload("the answer is no JSON: its text is not UTF-8", path="$") from None
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
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise MappingFailed(f"`{path}` is no ISO 8601 time", path=path) from None
    if parsed.tzinfo is None:
        raise MappingFailed(f"the time at `{path}` has no zone", path=path)
    return parsed if parsed.tzinfo is UTC else parsed.astimezone(UTC)


def epoch(ticks: float | None, *, path: str = "$", per_second: int = 1) -> datetime | None:
    """Seconds (or `per_second` parts of one) since 1970 as UTC; null and 0 are "no time". Raises `MappingFailed`."""
    if not ticks:
        return None
    try:
        return datetime.fromtimestamp(ticks / per_second, UTC)
    except (OverflowError, ValueError, OSError):
        raise MappingFailed(f"`{path}` is no time in epoch seconds", path=path) from None


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
    if number and abs(number.adjusted()) > _LARGEST_EXPONENT:
        raise MappingFailed(f"`{path}` is too large or too small for a quantity", path=path)
    return number


class Codes(Generic[E]):
    """A vendor's codes and what they mean. An unknown code becomes the enum's UNKNOWN and is counted.

    `field` is what the codes say (default: the enum's name), `system` whose they are (default: the connector whose
    module makes the table); an operator sees both beside the counts.
    """

    every: ClassVar["weakref.WeakSet[Codes[Any]]"] = weakref.WeakSet()
    """All tables of the process, for the metrics."""

    def __init__(
        self, enum: type[E], table: Mapping[str, E], *, field: str | None = None, system: str | None = None
    ) -> None:
        self.unknown = enum["UNKNOWN"]
        self.table = dict(table)
        self.name = field or enum.__name__
        self.system = system or _system_of(sys._getframe(1).f_globals.get("__name__", ""))
        self.seen: Counter[str] = Counter()
        """Unknown codes, each cut to 60 characters, and how often each was met. From the hundredth different one on
        all that are new are counted together, as `OTHER_CODES`."""
        Codes.every.add(self)

    def __getitem__(self, code: str | None) -> E:
        found = self.table.get(code) if code is not None else None
        if found is not None:
            return found
        if code is not None:
            shown = redaction.text(code[: 2 * _CODE_LONGEST])[:_CODE_LONGEST]
            self.seen[shown if shown in self.seen or len(self.seen) < _CODES_MOST else OTHER_CODES] += 1
        return self.unknown


OTHER_CODES: Final = "(others)"
_CODES_MOST: Final = 100
_CODE_LONGEST: Final = 60


def _system_of(module: str) -> str:
    """`connectors.sap_ewm.settings` → `sap-ewm`, as in the settings."""
    area, _, rest = module.partition(".")
    return rest.partition(".")[0].replace("_", "-") if area == "connectors" else ""


class UnknownCode(NamedTuple):
    """How often a code was met that no table of the system knows."""

    system: str
    field: str
    value: str
    times: int


def unknown_codes() -> list[UnknownCode]:
    """All of the process, in order."""
    sums: Counter[tuple[str, str, str]] = Counter()
    for table in list(Codes.every):
        for value, times in table.seen.items():
            sums[table.system, table.name, value] += times
    return [UnknownCode(*key, times) for key, times in sorted(sums.items())]
