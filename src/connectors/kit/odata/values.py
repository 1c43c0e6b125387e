"""Times, days, keys, units and weights as SAP writes them."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Final
from urllib.parse import unquote

from connectors.kit import decode
from connectors.kit.decode import none
from connectors.kit.errors import MappingFailed

_DATE = re.compile(r"^/Date\((?P<ms>-?\d{1,16})(?:[+-]\d{1,4})?\)/$")
_TIME = re.compile(r"^PT(?P<h>\d{1,2})H(?P<m>\d{1,2})M(?P<s>\d{1,2})(?:\.\d+)?S$")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNITS: Final = {
    "ST": "PCE", "PC": "PCE", "NR": "PCE", "KG": "KGM", "G": "GRM", "TO": "TNE", "M": "MTR", "CM": "CMT",
    "MM": "MMT", "L": "LTR", "ML": "MLT", "M2": "MTK", "M3": "MTQ", "LB": "LBR", "H": "HUR", "KAR": "CT", "CAR": "CT",
}  # fmt: skip
"""UN/ECE codes of SAP's usual internal units."""
_KILOGRAMS: Final = {
    "KG": Decimal(1), "KGM": Decimal(1), "G": Decimal("0.001"), "GRM": Decimal("0.001"),
    "TO": Decimal(1000), "T": Decimal(1000), "TNE": Decimal(1000), "LB": Decimal("0.45359237"),
    "LBR": Decimal("0.45359237"),
}  # fmt: skip


def moment(value: str | None, *, path: str) -> datetime | None:
    """V2's `/Date(ms)/`, whose offset only tells how it was written, or ISO 8601 (V4)."""
    text = none(value)
    if text is None:
        return None
    found = _DATE.match(text)
    if not found:
        return decode.moment(text, path=path)
    milliseconds = int(found["ms"])
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        raise MappingFailed(f"the time at `{path}` is out of range", path=path) from None


def day(value: str | None, *, path: str) -> date | None:
    """A day in any form: `/Date(ms)/`, whose time means nothing, ISO 8601, or YYYYMMDD. Null for SAP's initial ones."""
    text = none(value)
    if text is None:
        return None
    if text.startswith("/Date("):
        at = moment(text, path=path)
        return None if at is None else at.date()
    if len(text) == 8 and text.isascii() and text.isdigit():
        text = f"{text[:4]}-{text[4:6]}-{text[6:]}"
    return decode.day(text, path=path)


def clock_time(value: str | None, *, path: str) -> time | None:
    """A time of day: V2's `PT13H26M11S`, ISO 8601, or HHMMSS."""
    text = none(value)
    if text is None:
        return None
    found = _TIME.match(text)
    try:
        if found:
            return time(int(found["h"]), int(found["m"]), int(found["s"]))
        return time.fromisoformat(text)
    except ValueError:
        raise MappingFailed(f"`{path}` is no time of day", path=path) from None


def local_time(value: str | int | None, *, path: str) -> str | None:
    """YYYYMMDDhhmmss as ISO 8601 without zone; null for SAP's initial value."""
    text = str(value or "").strip().split(".")[0]
    if not text.strip("0"):
        return None
    try:
        return datetime.strptime(text, "%Y%m%d%H%M%S").isoformat()  # noqa: DTZ007 - the vendor gives no zone
    except ValueError:
        raise MappingFailed(f"`{path}` is no YYYYMMDDhhmmss", path=path) from None


def mass_kg(amount: Decimal | None, unit: str | None) -> Decimal | None:
    """A weight in kilograms; null without an amount, and in a unit that is no weight."""
    factor = _KILOGRAMS.get((unit or "").strip().upper())
    return amount * factor if amount is not None and factor is not None else None


def joined(*parts: str) -> str:
    """An external id of several key fields: `1710/2000001`. A slash in a field is percent-encoded."""
    return "/".join(part.replace("%", "%25").replace("/", "%2F") for part in parts)


def parts(external_id: str, count: int) -> list[str] | None:
    """The key fields; null for an id that is none of ours."""
    found: Sequence[str] = [unquote(part) for part in external_id.split("/")]
    return list(found) if len(found) == count and found[0] else None
