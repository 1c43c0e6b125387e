"""From bytes to values: faults with their place, the many nulls, times, numbers, codes."""

import enum
import gc
import uuid
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal

import httpx
import msgspec
import pytest

from connectors.kit import decode
from connectors.kit.decode import OTHER_CODES, Codes, UnknownCode, unknown_codes
from connectors.kit.errors import BadPayload, MappingFailed
from tests.connectors.kit.peer import scripted
from unified.records import BookingStatus


class Gps(msgspec.Struct):
    lat: float
    speed: float | None = None


class Mode(enum.Enum):
    ON = "on"


class Truck(msgspec.Struct, rename="camel"):
    unit_id: int
    name: str | None = None
    gps: Gps | None = None
    mode: Mode | None = None
    kind: Literal["van", "truck"] | None = None


class Fleet(msgspec.Struct):
    trucks: list[Truck]


def fault(content: bytes, into: Any = Fleet) -> BadPayload:
    with pytest.raises(BadPayload) as caught:
        decode.json(content, into)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__, "the library's own error holds parts of the payload"
    return caught.value


@pytest.mark.parametrize(
    ("content", "path", "what"),
    [
        (b'{"trucks": [{"unitId": 1}, {"unitId": "seven"}]}', "$.trucks[1].unitId", "Expected `int`, got `str`"),
        (b'{"trucks": [{"unitId": 1, "gps": {"lat": "north"}}]}', "$.trucks[0].gps.lat", "Expected `float`, got `str`"),
        (b'{"trucks": [{"unitId": 1, "gps": {}}]}', "$.trucks[0].gps", "Object missing required field `lat`"),
        (b'{"trucks": {}}', "$.trucks", "Expected `array`, got `object`"),
        (b"[]", "$", "Expected `object`, got `array`"),
        (b"{}", "$", "Object missing required field `trucks`"),
        (b"null", "$", "Expected `object`, got `null`"),
        (b'{"trucks": [{"unitId": 1, "mode": "hidden"}]}', "$.trucks[0].mode", "Invalid enum value"),
        (b'{"trucks": [{"unitId": 1, "kind": "hidden"}]}', "$.trucks[0].kind", "Invalid enum value"),
        (b'{"trucks": [{"unitId": ' + b"9" * 5_000 + b"}]}", "$.trucks[0].unitId", "Integer value out of range"),
        (b'{"trucks": [{"unitId": 1, "gps": {"lat": 1e400}}]}', "$.trucks[0].gps.lat", "Number out of range"),
        (b'{"trucks": [{"unitId": 1, "gps": {"lat": "NaN"}}]}', "$.trucks[0].gps.lat", "Expected `float`, got `null`"),
    ],
)
def test_a_fault_has_its_place_and_no_value(content: bytes, path: str, what: str) -> None:
    error = fault(content)
    assert (error.path, str(error)) == (path, f"the answer is not what was expected at `{path}`: {what}")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "the answer is no JSON: Input data was truncated"),
        (b'{"trucks": [', "the answer is no JSON: Input data was truncated"),
        (b"<html>", "the answer is no JSON: JSON is malformed: invalid character (byte 0)"),
        (b'{"trucks": []} {}', "the answer is no JSON: JSON is malformed: trailing characters (byte 16)"),
        (b'{"trucks": NaN}', "the answer is no JSON: JSON is malformed: invalid character (byte 11)"),
        (b'{"trucks": [{"unitId": 1, "name": "\xff\xfe"}]}', "the answer is no JSON: its text is not UTF-8"),
        (
            b'{"trucks": []}'.decode().encode("utf-16"),
            "the answer is no JSON: JSON is malformed: invalid character (byte 0)",
        ),
        (b'{"x":' + b"[" * 100_000, "the answer is nested too deeply"),
        (b'{"trucks": [' + b'{"x":' * 100_000, "the answer is nested too deeply"),
    ],
)
def test_what_is_no_json_is_told(content: bytes, what: str) -> None:
    error = fault(content)
    assert (error.path, str(error)) == ("$", what)


def test_what_vendors_mix_up_is_taken() -> None:
    found = decode.json(
        b'\xef\xbb\xbf{"trucks": [{"unitId": "7", "gps": {"lat": "48.1", "speed": 3}, "new": {}}]}', Fleet
    )
    assert found.trucks == [Truck(unit_id=7, gps=Gps(lat=48.1, speed=3.0))]
    assert decode.json(b'{"a": 1, "a": 2}', dict) == {"a": 2}, "the last of two equal names counts"
    with pytest.raises(BadPayload, match="Expected `int`, got `str`"):
        decode.json(b'{"trucks": [{"unitId": "7"}]}', Fleet, strict=True)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_are_none_are_null(text: str) -> None:
    content = f'{{"trucks": [{{"unitId": 1, "name": "\\"{text}", "gps": {{"lat": 1, "speed": "{text}"}}}}]}}'
    found = decode.json(content.encode(), Fleet)
    assert found.trucks == [Truck(unit_id=1, name=f'"{text}', gps=Gps(lat=1.0, speed=None))]
    assert decode.json(f'{{"{text}" : 1}}'.encode(), dict) == {text: 1}, "a name stays"
    assert decode.json(f'["{text}"]'.encode(), list, strict=True) == [text]


async def test_the_error_of_a_call_names_integration_and_address() -> None:
    made = scripted(httpx.Response(200, content=b'{"trucks": 7}'))
    with pytest.raises(BadPayload) as caught:
        await made.api.get("/fleet", Fleet, params={"token": "hidden"})
    assert (caught.value.integration, caught.value.path) == ("depot", "$.trucks")
    assert str(caught.value) == (
        "depot: /api/fleet: the answer is not what was expected at `$.trucks`: Expected `array`, got `int`"
    )


# --- nulls, times, numbers


@pytest.mark.parametrize(
    "text",
    [None, "", " ", "\t\n", "null", "NULL", "None", "nil", "N/A", " null ", "A" * 14, str(uuid.UUID(int=0))],
)
def test_texts_that_mean_nothing(text: str | None) -> None:
    assert decode.none(text) is None
    assert decode.decimal(text) is None
    assert decode.moment(text) is None
    assert decode.day(text) is None


@pytest.mark.parametrize("text", ["0", "none", "na", "-", "nulls", "A"])
def test_texts_that_only_look_like_nothing(text: str) -> None:
    assert decode.none(f" {text} ") == text


@pytest.mark.parametrize("day", ["0001-01-01", "4712-12-31", "9999-12-31", "0000-00-00", "1900-01-01"])
def test_days_that_mean_no_date(day: str) -> None:
    assert decode.day(day) is None
    assert decode.moment(day) is None
    assert decode.moment(f"{day}T23:59:59Z") is None
    assert decode.day(f"{day}T00:00:00") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-25T09:30:00Z", datetime(2026, 11, 25, 9, 30, tzinfo=UTC)),
        ("2026-11-25T09:30:00+02:00", datetime(2026, 11, 25, 7, 30, tzinfo=UTC)),
        ("2026-11-25T09:30:00-0530", datetime(2026, 11, 25, 15, 0, tzinfo=UTC)),
        ("2026-11-25T09:30:00.1234567Z", datetime(2026, 11, 25, 9, 30, 0, 123456, tzinfo=UTC)),
        ("2026-11-25T09:30:00.5+00:00", datetime(2026, 11, 25, 9, 30, 0, 500000, tzinfo=UTC)),
        (" 2026-11-25 09:30:00.000+0000 ", datetime(2026, 11, 25, 9, 30, tzinfo=UTC)),
    ],
)
def test_times_are_utc(text: str, expected: datetime) -> None:
    assert decode.moment(text) == expected


@pytest.mark.parametrize("text", ["2026-11-25T09:30:00", "2026-11-25"])
def test_a_time_without_a_zone_is_not_guessed(text: str) -> None:
    with pytest.raises(MappingFailed, match=r"the time at `\$\.at` has no zone") as caught:
        decode.moment(text, path="$.at")
    assert caught.value.path == "$.at"


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01T00:00:00Z", "25.11.2026", "1764063000"])
def test_what_is_no_time_is_told_without_its_text(text: str) -> None:
    with pytest.raises(MappingFailed, match=r"`\$\.at` is no ISO 8601 time") as caught:
        decode.moment(text, path="$.at")
    assert text not in str(caught.value)


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "25.11.2026"])
def test_what_is_no_day_is_told(text: str) -> None:
    with pytest.raises(MappingFailed, match=r"`\$\.on` is no ISO 8601 day"):
        decode.day(text, path="$.on")


def test_days() -> None:
    assert decode.day("2026-11-25") == decode.day("2026-11-25T09:30:00+02:00") == date(2026, 11, 25)


def test_epochs() -> None:
    assert decode.epoch(None) is decode.epoch(0) is decode.epoch(0.0) is None
    assert decode.epoch(1_764_063_000) == datetime(2025, 11, 25, 9, 30, tzinfo=UTC)
    assert decode.epoch(1_764_063_000_500, per_second=1000) == datetime(2025, 11, 25, 9, 30, 0, 500000, tzinfo=UTC)
    assert decode.epoch(-1) == datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize("ticks", [1e18, -1e18, float("nan"), float("inf"), 10**400])
def test_what_is_no_epoch_is_told(ticks: float) -> None:
    with pytest.raises(MappingFailed, match=r"`\$\.at` is no time in epoch seconds"):
        decode.epoch(ticks, path="$.at", per_second=1000)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("12.50", "12.50"),
        (" 7 ", "7"),
        (0.1, "0.1"),
        (3, "3"),
        (Decimal("1.10"), "1.10"),
        ("1E+3", "1E+3"),
        ("0E-99", "0E-99"),
    ],
)
def test_numbers_are_exact(value: Any, expected: str) -> None:
    assert str(decode.decimal(value)) == expected


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("twelve", "is no number"),
        ("1,5", "is no number"),
        ("NaN", "is no finite number"),
        ("-Infinity", "is no finite number"),
        (float("inf"), "is no finite number"),
        ("1e999999999", "is too large or too small for a quantity"),
        ("1e-999999999", "is too large or too small for a quantity"),
        (True, "is no number"),
    ],
)
def test_what_is_no_number_is_told(value: Any, what: str) -> None:
    """`1e999999999` is a number, but writing it out takes a gigabyte."""
    with pytest.raises(MappingFailed, match=rf"`\$\.n` {what}"):
        decode.decimal(value, path="$.n")


# --- codes


def table(**options: Any) -> Codes[BookingStatus]:
    return Codes(BookingStatus, {"done": BookingStatus.COMPLETED}, **options)


def test_unknown_codes_are_unknown_and_counted() -> None:
    codes = table(system="test-counted", field="status")
    assert codes["done"] is BookingStatus.COMPLETED
    assert codes["lost"] is codes["lost"] is codes["Done"] is codes[""] is BookingStatus.UNKNOWN
    assert codes[None] is BookingStatus.UNKNOWN, "no code is not an unknown one"
    assert [each for each in unknown_codes() if each.system == "test-counted"] == [
        UnknownCode("test-counted", "status", "", 1),
        UnknownCode("test-counted", "status", "Done", 1),
        UnknownCode("test-counted", "status", "lost", 2),
    ]


def test_tables_of_the_same_field_add_up() -> None:
    """A system with two integrations has two tables, the metric one line."""
    first, second = table(system="test-sum"), table(system="test-sum")
    _ = first["x"], second["x"], second["x"]
    assert [each for each in unknown_codes() if each.system == "test-sum"] == [
        UnknownCode("test-sum", "BookingStatus", "x", 3)
    ]


def test_a_vendor_that_sends_any_number_of_codes_does_not_fill_the_memory() -> None:
    codes = table(system="test-many")
    for number in range(1_000):
        _ = codes[f"{number} " + "x" * 10_000]
        _ = codes["0 " + "x" * 10_000]
    assert len(codes.seen) == 101
    assert codes.seen[OTHER_CODES] == 900
    assert max(map(len, codes.seen)) == 60
    assert sum(codes.seen.values()) == 2_000


def test_a_code_that_holds_a_secret_does_not_show_it() -> None:
    codes = table(system="test-secret")
    _ = codes["Error: token=hidden"]
    assert list(codes.seen) == ["Error: token=***"]


def test_a_table_goes_with_its_connector() -> None:
    before = len(Codes.every)
    codes = table()
    assert len(Codes.every) == before + 1
    del codes
    gc.collect()
    assert len(Codes.every) == before


def test_the_system_is_that_of_the_connector_whose_table_it_is() -> None:
    from connectors.passenger_app import mapping as passenger
    from connectors.sap_ewm.settings import PROGRESS
    from connectors.traccar import mapping as traccar

    assert PROGRESS.system == "sap-ewm"
    assert passenger.STATUSES.system == "passenger-app"
    assert traccar.CONNECTIVITIES.system == "traccar"
    assert table().system == ""
