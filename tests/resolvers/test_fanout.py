"""Lists over a source that a test can bend: rows that move, come and go between two pages."""

from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.kit.integration import Integration
from connectors.kit.services import Services
from resolvers.context import Context
from resolvers.errors import BadInput
from resolvers.fanout import Page, list_records
from resolvers.loaders import Loaders
from resolvers.sources import Handle, Sources, SourceState
from tests.connectors.contract import FakeClock
from unified import queries, records
from unified.queries import ListQuery, OrderBy, SourcePage
from unified.records import BookingStatus, Kind, Source
from unified.values import System

NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
STATUS = {True: BookingStatus.IN_TRANSIT, False: BookingStatus.COMPLETED}


class Rides:
    """Active rides, then past ones, in pages of `size`; the cursor is the list and a position in it."""

    size = 4

    def __init__(self, active: str, past: str = "") -> None:
        self.integration = Integration(key="uber", system=System.PASSENGER_APP)
        self.services = Services(clock=FakeClock())
        self.active, self.past = list(active), list(past)

    def end(self, name: str) -> None:
        self.active.remove(name)
        self.past.insert(0, name)

    async def list_bookings(self, query: ListQuery[Any], cursor: str | None) -> SourcePage[records.Booking]:
        name, _, at = (cursor or "active:0").partition(":")
        rows, start = getattr(self, name), int(at)
        end = start + self.size
        after = f"{name}:{end}" if end < len(rows) else "past:0" if name == "active" and self.past else None
        return SourcePage(records=[self.ride(each, name == "active") for each in rows[start:end]], next=after)

    def ride(self, name: str, active: bool) -> records.Booking:
        source = Source(integration="uber", system=System.PASSENGER_APP, external_id=name, as_of=NOW)
        return records.Booking(source=source, status=STATUS[active])


class Nobody:
    subject, organisation, scopes = "tester", "default", frozenset({"read"})


def context(*vendors: Any) -> Context:
    sources = Sources("default", [Handle(each.integration, each, n) for n, each in enumerate(vendors)])
    return Context(principal=Nobody(), sources=sources, live=None, cursor_key=b"k" * 32, make_loaders=Loaders)  # type: ignore[arg-type]


async def page(rides: Rides, first: int, after: str | None = None, **more: Any) -> tuple[str, str | None]:
    found: Page = await list_records(
        context(rides), Kind.BOOKING, queries.BookingFilter(), first=first, after=after, **more
    )
    told = found.page_info
    return "".join(each.source.external_id for each in found.nodes), told.end_cursor if told.has_next_page else None


async def test_a_row_that_left_the_page_hides_none_of_those_behind_it() -> None:
    rides = Rides("abcdefgh")
    names, after = await page(rides, 3)
    rides.end("a")
    rides.end("b")
    rest, after = await page(rides, 3, after)
    assert (names, rest) == ("abc", "def")


async def test_a_row_that_comes_again_is_not_given_again() -> None:
    rides = Rides("abcde", past="xyz")
    names, after = await page(rides, 3)
    rides.end("a")
    while after:
        more, after = await page(rides, 2, after)
        names += more
    assert names == "abcdexyz"


async def test_a_row_that_comes_again_within_one_page_is_given_once() -> None:
    """It ended between two calls of one question."""
    rides = Rides("abcde", past="xyz")
    first = rides.list_bookings

    async def moving(query: ListQuery[Any], cursor: str | None) -> SourcePage[records.Booking]:
        answer = await first(query, cursor)
        if cursor is None:
            rides.past.insert(0, "b")
        return answer

    rides.list_bookings = moving  # type: ignore[method-assign]
    assert (await page(rides, 20))[0] == "abcdexyz"


async def test_a_sorted_list_goes_on_behind_the_row_that_was_last() -> None:
    """Read anew for each page: rows that came or went before it do not matter."""
    rides = Rides("hgfedcba")
    order = {"order_by": [OrderBy("requested_at")]}  # all null: then by the vendor's id
    names, after = await page(rides, 3, **order)
    rides.active.remove("a")
    rest, after = await page(rides, 2, after, **order)
    rides.active.append("aa")
    last, after = await page(rides, 5, after, **order)
    assert (names, rest, last, after) == ("abc", "de", "fgh", None)


async def test_an_empty_source_is_a_page_without_rows_and_without_a_cursor() -> None:
    assert await page(Rides(""), 5) == ("", None)


@pytest.mark.parametrize("first", [-1, 201])
async def test_the_size_of_a_page_has_bounds(first: int) -> None:
    with pytest.raises(BadInput, match="ask for 0 to 200 rows"):
        await page(Rides("a"), first)


async def test_a_bug_of_a_connector_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    rides = Rides("a")

    async def broken(*_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(rides, "list_bookings", broken)
    with pytest.raises(ZeroDivisionError):
        await page(rides, 1)


async def test_paging_in_a_circle_is_an_error_of_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    rides = Rides("abc")

    async def circle(query: ListQuery[Any], cursor: str | None) -> SourcePage[records.Booking]:
        return SourcePage(records=[], next="again")

    monkeypatch.setattr(rides, "list_bookings", circle)
    asked = context(rides)
    found = await list_records(asked, Kind.BOOKING, queries.BookingFilter(), first=5)
    [report] = found.sources
    assert (report.state, report.error and report.error.code) == (SourceState.FAILED, "ERR_INVALID_RESPONSE")
    assert [each.error.message for each in asked.problems] == [
        "the vendor's paging goes in a circle: it gave the same page twice"
    ]
