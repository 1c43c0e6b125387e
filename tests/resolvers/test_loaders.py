"""Loaders over connectors that a test can bend: batches, blocks, failures in their slots, what is not read twice."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.kit.errors import BatchTooLarge, ConnectorError, NotFound, VendorDown
from connectors.kit.integration import Integration
from connectors.kit.protocols import Identity
from connectors.kit.services import Services
from resolvers.context import Context
from resolvers.errors import Truncated
from resolvers.loaders import InWarehouse, Loaders, Number, Structure, home, joins
from resolvers.sources import Handle, Sources
from tests.connectors.contract import FakeClock
from unified import records
from unified.ids import GlobalId
from unified.keys import Subject
from unified.queries import ListQuery, SourcePage
from unified.records import Kind, Source
from unified.values import Quantity, System

NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)


class Manifest:
    batch_size = 3


class Vendor:
    """Reads items and places, knows stock, and remembers what it was asked; `broken` raises instead."""

    manifest = Manifest()

    def __init__(self, key: str) -> None:
        self.integration = Integration(key=key, system=System.SAP_EWM)
        self.services = Services(clock=FakeClock())
        self.asked: list[tuple[str, Any]] = []
        self.broken: dict[str, Exception] = {}

    def source(self, external_id: str) -> Source:
        return Source(integration=self.integration.key, system=System.SAP_EWM, external_id=external_id, as_of=NOW)

    def _note(self, method: str, what: Any) -> None:
        self.asked.append((method, what))
        if method in self.broken:
            raise self.broken[method]


class Items(Vendor):
    def item(self, id: str) -> records.Item:
        return records.Item(source=self.source(id), number=f"N-{id}", name=id, item_type=records.ItemType.COMPONENT)

    async def read_items(self, ids: Sequence[str]) -> list[records.Item]:
        self._note("read_items", list(ids))
        return [self.item(id) for id in ids if id != "gone"]

    async def items_by_number(self, numbers: Sequence[str]) -> list[records.Item]:
        self._note("items_by_number", list(numbers))
        return [self.item(number.removeprefix("N").removeprefix("-")) for number in numbers if number != "UNKNOWN"]

    async def explode(self, requests: Sequence[Any]) -> list[records.Bom | None]:
        self._note("explode", [(each.item, each.revision_rule) for each in requests])
        return [
            records.Bom(source=self.source(each.item), item_number=each.item) if each.item != "bought" else None
            for each in requests
        ]


class Warehouse(Vendor):
    """One bin per code and one balance per product, in pages of two."""

    page = 2

    async def list_locations(self, query: ListQuery[Any], cursor: str | None) -> SourcePage[records.Location]:
        self._note("list_locations", (query.filter.warehouses, query.filter.codes, cursor))
        rows = [
            records.Location(
                source=self.source(f"{house}/{code}"),
                code=code,
                warehouse=house,
                location_kind=records.LocationKind.STORAGE_BIN,
            )
            for house in query.filter.warehouses or ()
            for code in query.filter.codes or ()
        ]
        start = int(cursor or 0)
        end = start + self.page
        return SourcePage(records=rows[start:end], next=str(end) if end < len(rows) else None)

    async def inventory_of_items(self, numbers: Sequence[str]) -> list[records.InventoryBalance]:
        self._note("inventory_of_items", list(numbers))
        return [
            records.InventoryBalance(
                source=self.source(number),
                item_number=number,
                warehouse="W",
                status=records.StockStatus.UNRESTRICTED,
                available=Quantity(value=1, unit="PCE"),  # type: ignore[arg-type]
            )
            for number in numbers
        ]

    async def list_orders(self, query: ListQuery[Any], cursor: str | None) -> SourcePage[records.Order]:
        self._note("list_orders", cursor)
        start = int(cursor or 0)
        rows = [
            records.Order(
                source=self.source(str(number)),
                number=str(number),
                order_kind=records.OrderKind.OUTBOUND_DELIVERY,
                status=records.OrderStatus.OPEN,
                vehicle_plate="KJA 1",
            )
            for number in range(start, start + 2)
        ]
        return SourcePage(records=rows, next=str(start + 2))


class Mine(Vendor):
    """A year of haul cycles of each truck, one an hour, in pages; sorts where it is said to."""

    hours, sorts = 9_000, True

    async def list_haul_cycles(self, query: ListQuery[Any], cursor: str | None) -> SourcePage[records.HaulCycle]:
        self._note("list_haul_cycles", (query.filter.trucks, cursor))
        [truck] = query.filter.trucks
        hours = range(self.hours - 1, -1, -1) if self.sorts else range(self.hours)
        chosen = hours[int(cursor or 0) :][: query.limit]
        end = int(cursor or 0) + len(chosen)
        rows = [
            records.HaulCycle(
                source=self.source(f"{truck}/{hour}"),
                truck=truck.replace("-", ""),
                started_at=NOW - timedelta(hours=self.hours - hour),
            )
            for hour in chosen
        ]
        return SourcePage(records=rows, next=str(end) if end < len(hours) else None, sorted=self.sorts)


class Nobody:
    subject, organisation, scopes = "tester", "default", frozenset({"read"})


def loaders(*vendors: Vendor) -> Loaders:
    sources = Sources("default", [Handle(each.integration, each, n) for n, each in enumerate(vendors)])  # type: ignore[arg-type]
    context = Context(
        principal=Nobody(),
        sources=sources,
        live=None,
        cursor_key=b"k" * 32,
        make_loaders=Loaders,  # type: ignore[arg-type]
    )
    return context.loaders


def item(id: str, at: str = "plm") -> GlobalId:
    return GlobalId(Kind.ITEM.value, at, id)


DOWN = VendorDown("down", integration="plm")


async def test_keys_are_one_batch_split_by_the_vendors_size_and_asked_once_each() -> None:
    plm, other = Items("plm"), Items("other")
    made = loaders(plm, other)
    keys = [item("1"), item("2"), item("3"), item("4"), item("1"), item("5", "other")]
    found = await asyncio.gather(*(made.records.load(key) for key in keys))
    assert [each.source.external_id for each in found] == ["1", "2", "3", "4", "1", "5"]
    assert plm.asked == [("read_items", ["1", "2", "3"]), ("read_items", ["4"])]
    assert other.asked == [("read_items", ["5"])]
    await made.records.load(item("2"))
    assert len(plm.asked) == 2


async def test_a_failure_stands_in_the_slots_of_its_integration_only() -> None:
    plm, other = Items("plm"), Items("other")
    plm.broken["read_items"] = DOWN
    found = await loaders(plm, other).records.load_each([item("1"), item("2", "other"), item("3")])
    assert found[0] is found[2] is DOWN
    assert isinstance(found[1], records.Item)


async def test_what_is_not_there_is_null_and_no_failure() -> None:
    plm = Items("plm")
    made = loaders(plm)
    unknown = [
        item("gone"),
        item("1", "no such integration"),
        GlobalId("Dream", "plm", "1"),
        GlobalId("Mission", "plm", "1"),
    ]
    assert await made.records.load_each(unknown) == [None, None, None, None]
    plm.broken["read_items"] = NotFound("none of them", integration="plm")
    assert await made.records.load_each([item("2")]) == [None]


async def test_a_bug_is_raised_and_not_shown_as_an_outage() -> None:
    plm = Items("plm")
    plm.broken["read_items"] = ZeroDivisionError("ours")
    with pytest.raises(ZeroDivisionError):
        await loaders(plm).records.load_each([item("1")])


async def test_what_a_list_showed_is_not_read_again() -> None:
    plm = Items("plm")
    made = loaders(plm)
    shown = plm.item("1")
    made.saw([shown])
    found = await made.records.load_each([item("1"), item("2")])
    assert found[0] is shown
    assert plm.asked == [("read_items", ["2"])]


async def test_a_mission_is_read_again_since_lists_show_less_of_it() -> None:
    class Missions(Vendor):
        async def read_missions(self, ids: Sequence[str]) -> list[records.Mission]:
            self._note("read_missions", list(ids))
            return []

    tak = Missions("tak")
    made = loaders(tak)
    made.saw([records.Mission(source=tak.source("m"), name="m", state=records.MissionState.ACTIVE)])
    await made.records.load(GlobalId(Kind.MISSION.value, "tak", "m"))
    assert tak.asked == [("read_missions", ["m"])]


async def test_items_known_to_the_crosswalk_are_read_by_id_and_others_by_number() -> None:
    plm = Items("plm")
    made = loaders(plm)
    made.sources.crosswalk.learn("plm", [Identity(subject=Subject.ITEM, kind=Kind.ITEM, number="N-7", external_id="7")])
    found = await made.items.load_each([Number("ewm", "n7"), Number("ewm", "N-8"), Number("ewm", "unknown")])
    assert [each and each.number for each in found] == ["N-7", "N-8", None]  # type: ignore[union-attr]
    assert sorted(plm.asked) == [("items_by_number", ["N8", "UNKNOWN"]), ("read_items", ["7"])]
    plm.asked.clear()
    assert await made.items.load(Number("ewm", "")) is None
    assert plm.asked == []


async def test_structures_under_different_rules_do_not_spoil_each_other() -> None:
    plm = Items("plm")
    made = loaders(plm)
    for number in ("1", "2", "bought"):
        made.sources.crosswalk.learn(
            "plm", [Identity(subject=Subject.ITEM, kind=Kind.ITEM, number=f"N-{number}", external_id=number)]
        )
    keys = [Structure("plm", "N-1"), Structure("plm", "N-2"), Structure("plm", "N-1", revision_rule="Odd"),
            Structure("plm", "N-bought")]  # fmt: skip
    found = await made.structures.load_each(keys)
    assert [each and each.item_number for each in found] == ["1", "2", "1", None]  # type: ignore[union-attr]
    assert sorted(plm.asked, key=str) == [
        ("explode", [("1", "Odd")]),
        ("explode", [("1", None), ("2", None), ("bought", None)]),
    ]


async def test_rows_of_those_that_answer_and_the_failures_of_those_that_do_not() -> None:
    west, north = Warehouse("west"), Warehouse("north")
    north.broken["inventory_of_items"] = VendorDown("down", integration="north")
    made = loaders(west, north)
    [rows] = await made.inventory.load_each([Number("plm", "A-1")])
    assert [row.source.integration for row in rows] == ["west"]  # type: ignore[union-attr]
    assert [error.integration for error in made.inventory.failures] == ["north"]  # type: ignore[attr-defined]


async def test_where_all_fail_nothing_is_known_and_each_is_told() -> None:
    west, north = Warehouse("west"), Warehouse("north")
    for each in (west, north):
        each.broken["inventory_of_items"] = VendorDown("down", integration=each.integration.key)
    made = loaders(west, north)
    [error] = await made.inventory.load_each([Number("plm", "A-1")])
    assert isinstance(error, ConnectorError)
    assert {each.integration for each in made.inventory.failures} == {"west", "north"}  # type: ignore[attr-defined]


async def test_without_anybody_to_ask_a_list_is_empty() -> None:
    assert await loaders(Items("plm")).inventory.load_each([Number("plm", "A-1")]) == [[]]


async def test_places_of_several_warehouses_are_one_filter_and_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    west = Warehouse("west")
    made = loaders(west)
    keys = [InWarehouse("west", "1710", "A"), InWarehouse("west", "1720", "B"), InWarehouse("gone", "1710", "A")]
    found = await made.locations.load_each(keys)
    assert [each and (each.warehouse, each.code) for each in found] == [("1710", "A"), ("1720", "B"), None]  # type: ignore[union-attr]
    assert west.asked == [
        ("list_locations", (("1710", "1720"), ("A", "B"), None)),
        ("list_locations", (("1710", "1720"), ("A", "B"), "2")),
    ]


async def test_a_filter_names_fifty_values_at_most() -> None:
    west = Warehouse("west")
    west.page = 1_000
    await loaders(west).locations.load_each([InWarehouse("west", "W", f"B{n}") for n in range(120)])
    assert [len(what[1]) for _, what in west.asked] == [50, 50, 20]


async def test_more_rows_than_keys_may_have_is_an_error_and_not_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home, "MOST", 3)
    west = Warehouse("west")
    [error] = set(await loaders(west).locations.load_each([InWarehouse("west", "W", f"B{n}") for n in range(7)]))
    assert isinstance(error, BatchTooLarge)
    assert error.message == "west: 7 keys of Location have more than 3 rows"


async def test_a_page_of_machines_has_the_last_cycles_of_each_however_many_there_are() -> None:
    mine = Mine("mine")
    keys = [Number("mine", f"T-{n}") for n in range(100)]
    found: Any = await loaders(mine).cycles_of_equipment.load_each(keys)
    assert [[row.source.external_id for row in rows] for rows in found] == [
        [f"T-{n}/{hour}" for hour in range(8_999, 8_899, -1)] for n in range(100)
    ]
    assert mine.asked == [("list_haul_cycles", ((f"T-{n}",), None)) for n in range(100)], "one page of each"


async def test_a_history_that_does_not_come_sorted_is_read_whole_or_not_at_all() -> None:
    mine = Mine("mine")
    mine.sorts, mine.hours = False, 450
    rows: Any = await loaders(mine).cycles_of_equipment.load(Number("mine", "T-1"))
    assert [row.source.external_id for row in rows] == [f"T-1/{hour}" for hour in range(449, 349, -1)]
    mine.hours = 9_000
    [error] = await loaders(mine).cycles_of_equipment.load_each([Number("mine", "T-1")])
    assert isinstance(error, BatchTooLarge)
    assert error.message == "mine: T-1 has more than 5000 rows of HaulCycle"


async def test_a_search_that_stops_gives_what_it_found_and_says_that_it_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(joins, "SCANNED", 5)
    west = Warehouse("west")
    made = loaders(west)
    rows, none = await made.orders_of_vehicle.load_each([Number("fleet", "kja-1"), Number("fleet", "kja-2")])
    assert [row.number for row in rows] == ["0", "1", "2", "3", "4", "5"]  # type: ignore[union-attr]
    assert none == []
    assert [cursor for _, cursor in west.asked] == [None, "2", "4"]
    [error] = made.orders_of_vehicle.failures
    assert isinstance(error, Truncated)
    assert error.message == "west has more than 5 rows of Order to be searched; what lies beyond is missing"


async def test_one_search_serves_all_joins_that_need_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joins, "SCANNED", 2)
    west = Warehouse("west")
    made = loaders(west)
    await asyncio.gather(
        made.orders_of_vehicle.load(Number("fleet", "kja-1")), made.orders_of_item.load(Number("plm", "A"))
    )
    assert len(west.asked) == 1


async def test_a_loader_is_made_on_first_use_and_then_the_same() -> None:
    made = loaders(Items("plm"))
    assert made.items is made.items
    assert made.items is not loaders(Items("plm")).items
