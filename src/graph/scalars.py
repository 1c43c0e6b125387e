"""Scalars, fixed from the first day because clients depend on them. Units stand in the names of fields."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, NewType

import strawberry
from graphql import GraphQLError

from unified.values import utc

GeoJSON = NewType("GeoJSON", dict[str, Any])


def write_moment(value: datetime) -> str:
    """ISO 8601 in UTC with `Z`; microseconds only where there are any."""
    return utc(value).isoformat().replace("+00:00", "Z")


def _read_moment(value: object) -> datetime:
    if isinstance(value, str):
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            found = None
        if found is not None and found.tzinfo is not None and "T" in value.upper():
            return found.astimezone(UTC)
    raise GraphQLError('DateTime is an ISO 8601 time with zone, such as "2026-11-25T09:30:00Z"')


def _read_day(value: object) -> date:
    if isinstance(value, str) and len(value) == 10:
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise GraphQLError('Date is an ISO 8601 day, such as "2026-11-25"')


def write_decimal(value: Decimal) -> str:
    """Plain digits, never an exponent, the digits that the vendor gave."""
    return format(value, "f")


def _read_decimal(value: object) -> Decimal:
    if isinstance(value, str | int) and not isinstance(value, bool) and len(str(value)) <= 60:
        try:
            found = Decimal(value)
        except InvalidOperation:
            found = Decimal("NaN")
        if found.is_finite():
            return found
    raise GraphQLError('Decimal is a number as text, such as "12.50"')


def write_duration(value: timedelta) -> str:
    """ISO 8601 duration of hours, minutes and seconds: `PT1H30M`."""
    seconds = value.total_seconds()
    sign, rest = ("-" if seconds < 0 else ""), abs(seconds)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    text = (f"{hours:g}H" if hours else "") + (f"{minutes:g}M" if minutes else "") + (f"{rest:g}S" if rest else "")
    return f"{sign}PT{text or '0S'}"


def _read_duration(value: object) -> timedelta:
    raise GraphQLError(f"Duration is not taken as input; {type(value).__name__} was given")


def _read_geojson(value: object) -> Any:
    raise GraphQLError(f"GeoJSON is not taken as input; {type(value).__name__} was given")


SCALARS: dict[object, Any] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description="A moment in UTC, ISO 8601 with `Z`: `2026-11-25T09:30:00Z`. Input may have any offset.",
        specified_by_url="https://scalars.graphql.org/andimarek/date-time.html",
        serialize=write_moment,
        parse_value=_read_moment,
    ),
    date: strawberry.scalar(
        name="Date",
        description="A day without time or zone, ISO 8601: `2026-11-25`.",
        specified_by_url="https://scalars.graphql.org/andimarek/local-date.html",
        serialize=lambda value: value.isoformat(),
        parse_value=_read_day,
    ),
    Decimal: strawberry.scalar(
        name="Decimal",
        description="An exact decimal number as text: `12.50`. Never rounded, never with an exponent.",
        specified_by_url="https://speleotrove.com/decimal/daconvs.html",
        serialize=write_decimal,
        parse_value=_read_decimal,
    ),
    timedelta: strawberry.scalar(
        name="Duration",
        description="A length of time, ISO 8601: `PT1H30M`, `PT12.5S`.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3339#appendix-A",
        serialize=write_duration,
        parse_value=_read_duration,
    ),
    GeoJSON: strawberry.scalar(
        name="GeoJSON",
        description="A GeoJSON geometry (RFC 7946): longitude before latitude, WGS 84.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc7946",
        serialize=lambda value: value,
        parse_value=_read_geojson,
    ),
}
