"""The SAP EWM connector against its stand-in: what it reads, what it costs, what it pushes down, how it signs in."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from connectors.kit.errors import AuthFailed, BadPayload, PermissionDenied, Rejected, SessionExpired
from connectors.kit.integration import Integration, Secret
from connectors.kit.odata import Csrf
from connectors.kit.protocols import IdentitySource, Poller
from connectors.kit.services import Services
from connectors.sap_ewm import SapEwm
from sandbox import sap_ewm
from sandbox.standin import Failure
from sandbox.world import World
from tests.connectors.contract import NOW, Bench, ConnectorContract, FakeClock, Lines
from unified import queries
from unified.events import Changed
from unified.keys import Subject
from unified.queries import ListQuery, OrderBy
from unified.records import (
    Kind,
    OrderKind,
    OrderStatus,
    Progress,
    StockStatus,
    TaskStatus,
)
from unified.values import Quantity, System

OAUTH = {"client_id": Secret(sap_ewm.CLIENT_ID), "client_secret": Secret(sap_ewm.CLIENT_SECRET)}
BASIC = {"user": Secret(sap_ewm.USER), "password": Secret(sap_ewm.PASSWORD)}
SETTINGS = {"token_url": sap_ewm.TOKEN_PATH, "vehicle_field": sap_ewm.VEHICLE_FIELD}

HEADS = "/API_WHSE_OUTB_DLV_ORDER/WhseOutboundDeliveryOrderHead"
ITEMS = "/API_WHSE_OUTB_DLV_ORDER/WhseOutboundDeliveryOrderItem"
INBOUND = "/API_WHSE_INBOUND_DELIVERY/WhseInboundDeliveryHead"
ORDERS = "/API_WAREHOUSE_ORDER_TASK/WarehouseOrder"
TASKS = "/API_WAREHOUSE_ORDER_TASK/WarehouseTask"
BINS = "/API_WAREHOUSE_STORAGE_BIN/WarehouseStorageBin"
STOCK = "/api_whse_availablestock/srvd_a2x/sap/warehouseavailablestock/0001/WarehouseAvailableStock"


def integration(settings: dict[str, Any] | None = None, **more: Any) -> Integration:
    facts: dict[str, Any] = {
        "key": "ewm-west",
        "system": System.SAP_EWM,
        "base_url": "http://vendor",
        "credentials": OAUTH,
        "settings": SETTINGS | (settings or {}),
    }
    return Integration(**facts | more)


class Rig:
    """A connector over the western stand-in whose clock we hold."""

    def __init__(self, settings: dict[str, Any] | None = None, *, page_size: int = 100, **more: Any) -> None:
        self.clock, self.log = FakeClock(), Lines()
        self.world = World(self.clock.now)
        self.standin: Any = sap_ewm.create(self.world, page_size=page_size)[0]
        self.faults = self.standin.faults
        self.services = Services(transport=httpx.ASGITransport(app=self.standin.app), clock=self.clock, log=self.log)
        self.connector = SapEwm(integration(settings, **more), self.services)

    def calls(self) -> dict[str, int]:
        """What was asked since the last time, without log-ins."""
        found = {path: count for (_, path), count in self.faults.calls.items() if path != sap_ewm.TOKEN_PATH}
        self.faults.calls.clear()
        return found

    def asked(self, option: str = "$filter") -> list[str]:
        """What the calls since the last time said under this option."""
        found = [
            value
            for seen in self.faults.recent
            for value in parse_qs(seen.query, keep_blank_values=True).get(option, ["-"])
            if seen.method == "GET"
        ]
        self.faults.recent.clear()
        return found


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    await made.connector.check()
    made.calls()
    made.asked()
    yield made
    await made.connector.aclose()


def query(filter_type: type[queries.Filter], limit: int = 50, by: str | None = None, **more: Any) -> ListQuery[Any]:
    order = (OrderBy(by.lstrip("-"), descending=by.startswith("-")),) if by else ()
    return ListQuery(filter=filter_type(**more), limit=limit, order_by=order)


class TestSapEwm(ConnectorContract):
    system = System.SAP_EWM
    kinds = frozenset({Kind.ORDER, Kind.WAREHOUSE_ORDER, Kind.WAREHOUSE_TASK, Kind.INVENTORY_BALANCE, Kind.LOCATION})

    @pytest.fixture
    async def bench(self) -> AsyncIterator[Bench]:
        made = Rig()
        self.standin = made.standin
        await made.connector.check()  # a failure of the first call would hit the token endpoint
        yield Bench(
            connector=made.connector,
            faults=made.faults,
            clock=made.clock,
            log=made.log,
            secrets=(sap_ewm.CLIENT_SECRET, "SAP_SESSIONID"),
        )
        await made.connector.aclose()

    async def read_one(self, connector: Any) -> object:
        return await connector.read_warehouse_orders(["1710/2000000"])

    def logins(self, bench: Bench) -> int:
        return int(self.standin.logins)

    def wrong_types(self) -> bytes:
        return b'{"d": {"results": [{"Warehouse": "1710", "WarehouseOrder": 7}]}}'


class TestBasic(TestSapEwm):
    """The same with user and password: one session, opened once however many calls start side by side."""

    @pytest.fixture
    async def bench(self) -> AsyncIterator[Bench]:
        made = Rig(credentials=BASIC)
        self.standin = made.standin
        await made.connector.check()
        yield Bench(
            connector=made.connector,
            faults=made.faults,
            clock=made.clock,
            log=made.log,
            secrets=(sap_ewm.PASSWORD, "SAP_SESSIONID"),
        )
        await made.connector.aclose()


# --- what it reads


async def test_an_outbound_delivery_has_all_its_fields(rig: Rig) -> None:
    [order] = await rig.connector.read_orders(["OUTB/0080001000"])
    delivery = rig.world.delivery_by_number["0080001000"]
    state = delivery.state_at(NOW)
    assert rig.calls() == {HEADS: 1}
    assert (order.source.external_id, order.number) == ("OUTB/0080001000", "0080001000")
    assert order.order_kind is OrderKind.OUTBOUND_DELIVERY
    assert order.warehouse == "1710"
    assert order.partner == "0000001001"
    assert order.carrier == "0000500001"
    assert order.vehicle_plate == "KJA152CA"
    assert order.reference_number == "0000012000"
    assert order.planned_at == datetime(2026, 11, 25, 16, 0, tzinfo=UTC)
    assert order.updated_at == state.changed_at
    assert order.status is OrderStatus.IN_PROGRESS
    assert (order.picking, order.goods_movement) == (Progress.PARTIAL, Progress.NOT_STARTED)
    assert order.source.vendor_status == "PickingStatus=2 GoodsIssueStatus=1 CompletionStatus=2"
    assert [(line.line_number, line.item_number, line.quantity, line.integration) for line in order.lines] == [
        ("10", "104913", Quantity(value=Decimal("24.000"), unit="PCE"), "ewm-west"),
        ("20", "104743", Quantity(value=Decimal("12.000"), unit="PCE"), "ewm-west"),
    ]


async def test_an_inbound_delivery_tells_putaway_and_receipt(rig: Rig) -> None:
    delivery = next(one for one in rig.world.deliveries if one.direction == "inbound" and one.warehouse == "1710")
    [order] = await rig.connector.read_orders([f"INB/{delivery.number}"])
    assert order.order_kind is OrderKind.INBOUND_DELIVERY
    assert order.partner == delivery.partner
    assert order.reference_number == delivery.sales_order
    assert order.vehicle_plate == delivery.vehicle
    assert order.source.vendor_status is not None
    assert order.source.vendor_status.startswith("PutawayStatus=")


async def test_fifty_deliveries_of_both_services_cost_two_calls(rig: Rig) -> None:
    numbers = [
        ("OUTB/" if one.direction == "outbound" else "INB/") + one.number
        for one in rig.world.deliveries
        if one.warehouse != "1730"
    ]
    wanted = numbers[:40] + numbers[-10:]
    found = await rig.connector.read_orders(wanted)
    assert {order.source.external_id for order in found} == set(wanted)
    assert rig.calls() == {HEADS: 1, INBOUND: 1}


async def test_items_by_filter_cost_one_more_call_and_give_the_same() -> None:
    by_expand, by_filter = Rig(), Rig({"items_by": "filter"})
    ids = ["OUTB/0080001000", "OUTB/0080001003"]
    expanded = await by_expand.connector.read_orders(ids)
    by_filter.asked()
    filtered = await by_filter.connector.read_orders(ids)
    assert by_filter.calls() == {HEADS: 1, ITEMS: 1}
    assert filtered == expanded
    assert all(order.lines for order in filtered)


async def test_a_warehouse_order_and_its_tasks(rig: Rig) -> None:
    world_order = rig.world.order_by_number["1710", "0002000000"]
    state = world_order.state_at(NOW)
    [order] = await rig.connector.read_warehouse_orders(["1710/2000000"])
    assert (order.number, order.warehouse, order.status) == ("2000000", "1710", TaskStatus.IN_PROGRESS)
    assert order.source.vendor_status == "D"
    assert order.resource == "FRK02"
    assert order.created_at == state.created_at
    assert order.started_at == state.started_at
    assert order.confirmed_at is None
    rig.calls()
    tasks = await rig.connector.tasks_of_warehouse_orders(["1710/2000000", "1720/2000022"])
    assert rig.calls() == {TASKS: 1}
    assert {task.warehouse_order_number for task in tasks} == {"2000000", "2000022"}
    first = next(task for task in tasks if task.number == "100000000")
    assert first.source.external_id == "1710/100000000/1"
    assert first.item_number == "000000000000104913"
    assert first.order_number == "80001000"
    assert (first.from_location, first.to_location) == ("01-03-3", "DOOR-3")
    assert first.target == Quantity(value=Decimal("12.000"), unit="PCE")


async def test_a_bin_has_its_texts_trimmed(rig: Rig) -> None:
    [bin_] = await rig.connector.read_locations(["1710/01-02-3"])
    assert (bin_.code, bin_.zone, bin_.aisle, bin_.stack, bin_.level) == ("01-02-3", "0050", "01", "02", "3")
    assert bin_.max_mass_kg == Decimal("1200.000")
    assert bin_.section is None, "the service has no section"


async def test_stock_of_items_is_one_call_in_all_spellings(rig: Rig) -> None:
    """Numbers as the integration spells them, and canonical ones that need their zeros."""
    found = await rig.connector.inventory_of_items(["100017", "000000000000100051", "PRD10026", "404404"])
    assert rig.calls() == {STOCK: 1}
    assert {balance.item_number for balance in found} == {"000000000000100017", "000000000000100051", "PRD10026"}
    row = next(one for one in rig.world.stock if one.item_key == "100017" and one.warehouse == "1710")
    mine = next(one for one in found if one.item_number.endswith("100017") and one.location == row.bin_id)
    assert mine.available == Quantity(value=row.quantity, unit="PCE")
    assert mine.status is StockStatus.UNRESTRICTED
    assert mine.received_at == row.received_at
    assert mine.source.external_id == f"1710/000000000000100017//BP1710/BP1710/F2////////{row.bin_id}/"


async def test_fifty_items_are_still_one_call(rig: Rig) -> None:
    numbers = [item.key for item in rig.world.items[:50]]
    await rig.connector.inventory_of_items(numbers)
    assert sum(rig.calls().values()) <= 3, "one condition; more only for the server's pages"
    assert len(set(rig.asked())) == 1


async def test_stock_is_read_by_its_key(rig: Rig) -> None:
    page = await rig.connector.list_inventory_balances(query(queries.InventoryBalanceFilter, 50), None)
    ids = [balance.source.external_id for balance in page.records]
    rig.calls()
    found = await rig.connector.read_inventory_balances(ids)
    assert sorted(balance.source.external_id for balance in found) == sorted(ids)
    assert rig.calls()[STOCK] <= 2
    assert await rig.connector.read_inventory_balances(["1710/none", "1710/X" + "/" * 13]) == []


# --- lists


async def test_lists_follow_the_servers_pages_and_count(rig: Rig) -> None:
    page = await rig.connector.list_warehouse_tasks(query(queries.WarehouseTaskFilter, 500), None)
    expected = sum(1 for one in rig.world.tasks if one.warehouse != "1730" and one.state_at(NOW).created_at <= NOW)
    assert page.total == expected
    assert len(page.records) == 100, "the server gives a hundred at most"
    assert page.next == "%24skiptoken=100-400&from=0&at=100"
    seen = list(page.records)
    while page.next:
        page = await rig.connector.list_warehouse_tasks(query(queries.WarehouseTaskFilter, 500), page.next)
        seen += page.records
    assert len({task.id for task in seen}) == expected
    assert rig.calls() == {TASKS: -(-expected // 100)}


async def test_top_and_skip_where_the_server_does_not_page(rig: Rig) -> None:
    page = await rig.connector.list_locations(query(queries.LocationFilter, 50), None)
    assert (page.next, page.total, len(page.records)) == ("%24skip=50", 120, 50)
    page = await rig.connector.list_locations(query(queries.LocationFilter, 50), page.next)
    page = await rig.connector.list_locations(query(queries.LocationFilter, 50), page.next)
    assert (page.next, len(page.records)) == (None, 20)


async def test_a_page_that_links_to_itself_is_an_error(rig: Rig) -> None:
    body = {"d": {"results": [], "__next": "WarehouseTask?$skiptoken=1"}}
    rig.faults.fail_next += [Failure(status=200, body=body) for _ in range(3)]
    with pytest.raises(BadPayload, match="circle"):
        await rig.connector.tasks_of_warehouse_orders(["1710/2000000"])


async def test_filters_of_orders_are_pushed_down(rig: Rig) -> None:
    page = await rig.connector.list_orders(
        query(
            queries.OrderFilter,
            order_kinds=(OrderKind.OUTBOUND_DELIVERY,),
            warehouses=("1710",),
            partner="0000001001",
            planned_after=datetime(2026, 11, 25, 12, 0, 0, 500, tzinfo=UTC),
        ),
        None,
    )
    assert rig.asked() == [
        "Warehouse eq '1710' and ShipToParty eq '0000001001' and "
        "PlannedDeliveryUTCDateTime ge datetimeoffset'2026-11-25T12:00:00Z'"
    ]
    assert page.records
    assert page.total is None, "a bound of whole seconds may hold rows that we drop"


async def test_a_number_is_asked_for_with_and_without_zeros(rig: Rig) -> None:
    asked = query(queries.OrderFilter, numbers=("80001000",), order_kinds=(OrderKind.OUTBOUND_DELIVERY,))
    page = await rig.connector.list_orders(asked, None)
    assert [order.number for order in page.records] == ["0080001000"]
    assert rig.asked() == [
        "(OutboundDeliveryOrder eq '80001000' or OutboundDeliveryOrder eq '0080001000' or "
        "OutboundDeliveryOrder eq '00000000000000000000000000080001000')"
    ]


async def test_open_means_the_empty_status_and_the_doubtful_one(rig: Rig) -> None:
    """Public clients disagree on `A`; the vendor's English text decides."""
    page = await rig.connector.list_warehouse_orders(
        query(queries.WarehouseOrderFilter, statuses=(TaskStatus.OPEN,), warehouses=("1710", "1720")), None
    )
    assert rig.asked() == [
        "(Warehouse eq '1710' or Warehouse eq '1720') and (WarehouseOrderStatus eq '' or WarehouseOrderStatus eq 'A')"
    ]
    assert {order.source.vendor_status for order in page.records} <= {"", "A"}
    assert all(order.status is not TaskStatus.OPEN for order in page.records if order.source.vendor_status == "A")


async def test_items_are_pushed_down_only_where_the_numbers_are_plain(rig: Rig) -> None:
    asked = query(queries.InventoryBalanceFilter, item_number="100-017", statuses=(StockStatus.UNRESTRICTED,))
    await rig.connector.list_inventory_balances(asked, None)
    assert rig.asked() == ["(EWMStockType eq 'F1' or EWMStockType eq 'F2')"]
    plain = Rig({"plain_numbers": True})
    page = await plain.connector.list_inventory_balances(asked, None)
    assert plain.asked() == [
        "(Product eq '100-017' or Product eq '100017' or Product eq '000000000000100017') and "
        "(EWMStockType eq 'F1' or EWMStockType eq 'F2')"
    ]
    assert {balance.item_number for balance in page.records} == {"000000000000100017"}


async def test_quotes_in_values_are_doubled(rig: Rig) -> None:
    page = await rig.connector.list_locations(query(queries.LocationFilter, codes=("O'Brien", "01-02-3")), None)
    assert rig.asked() == ["(StorageBin eq 'O''Brien' or StorageBin eq '01-02-3')"]
    assert len(page.records) == 2


async def test_only_the_warehouses_of_the_settings_are_read() -> None:
    rig = Rig({"warehouses": ["1720"]})
    page = await rig.connector.list_locations(query(queries.LocationFilter), None)
    assert {bin_.warehouse for bin_ in page.records} == {"1720"}
    nothing = await rig.connector.list_locations(query(queries.LocationFilter, warehouses=("1710",)), None)
    assert (nothing.records, nothing.total) == ([], 0)


async def test_the_vendor_sorts_what_it_can(rig: Rig) -> None:
    page = await rig.connector.list_warehouse_orders(query(queries.WarehouseOrderFilter, by="-updated_at"), None)
    times = [order.updated_at for order in page.records]
    assert page.sorted
    assert times == sorted(times, reverse=True)  # type: ignore[type-var]
    assert rig.asked("$orderby") == ["LastChangeDateTime desc,Warehouse,WarehouseOrder"]


async def test_what_may_be_empty_is_not_called_sorted_ascending(rig: Rig) -> None:
    """The gateway puts empty values first, we put them last."""
    up = await rig.connector.list_warehouse_orders(query(queries.WarehouseOrderFilter, by="confirmed_at"), None)
    down = await rig.connector.list_warehouse_orders(query(queries.WarehouseOrderFilter, by="-confirmed_at"), None)
    by_status = await rig.connector.list_warehouse_orders(query(queries.WarehouseOrderFilter, by="status"), None)
    assert (up.sorted, down.sorted, by_status.sorted) == (False, True, False)


@pytest.mark.parametrize("by", ["-planned_at", "number", "-updated_at"])
async def test_orders_of_both_services_come_in_one_order(by: str) -> None:
    rig = Rig(page_size=20)
    cursor, seen = None, []
    while True:
        page = await rig.connector.list_orders(query(queries.OrderFilter, 50, by=by), cursor)
        assert page.sorted
        seen += page.records
        cursor = page.next
        if cursor is None:
            break
    assert len({order.id for order in seen}) == len(seen) == 147
    values = [getattr(order, by.lstrip("-")) for order in seen]
    assert values == sorted(values, reverse=by.startswith("-"))


async def test_open_deliveries_are_found_through_their_items() -> None:
    """Heads have no status: two calls per page instead of reading every delivery there ever was."""
    rig = Rig({"plain_numbers": True}, page_size=100)
    wanted = {
        one.number
        for one in rig.world.deliveries
        if one.warehouse != "1730" and one.state_at(NOW).completion != "complete"
    }
    asked = query(queries.OrderFilter, statuses=(OrderStatus.OPEN, OrderStatus.IN_PROGRESS))
    cursor, seen, pages = None, [], 0
    while True:
        page = await rig.connector.list_orders(asked, cursor)
        seen += page.records
        pages += 1
        cursor = page.next
        if cursor is None:
            break
    assert len({order.id for order in seen}) == len(seen)
    assert {order.number for order in seen} == wanted
    calls = rig.calls()
    assert calls[HEADS] + calls[ITEMS] + calls[INBOUND] + calls[INBOUND.replace("Head", "Item")] == 2 * pages
    rig.asked()
    narrow = query(queries.OrderFilter, statuses=(OrderStatus.OPEN,), item_number="104913", warehouses=("1710",))
    await rig.connector.list_orders(narrow, None)
    assert rig.asked()[0] == (
        "Warehouse eq '1710' and CompletionStatus ne '9' and (Product eq '104913' or Product eq '000000000000104913')"
    )


async def test_deliveries_by_number_are_asked_by_number_whatever_else_is_wanted() -> None:
    """All at once, in as many calls as their conditions need URLs; a number does not tell which service has it."""
    rig = Rig({"plain_numbers": True}, page_size=100)
    one = query(
        queries.OrderFilter, statuses=(OrderStatus.OPEN,), item_number="104913", warehouses=("1710",), numbers=("7",)
    )
    assert (await rig.connector.list_orders(one, None)).records == []
    way = "Warehouse eq '1710' and ({0} eq '7' or {0} eq '0000000007' or {0} eq '00000000000000000000000000000000007')"
    assert rig.asked() == [way.format("OutboundDeliveryOrder"), way.format("InboundDelivery")]
    numbers = tuple(delivery.number.lstrip("0") for delivery in rig.world.deliveries[:120])
    page = await rig.connector.list_orders(query(queries.OrderFilter, numbers=numbers), None)
    known = {delivery.number for delivery in rig.world.deliveries[:120] if delivery.warehouse != "1730"}
    assert {order.number for order in page.records} == known
    assert page.next is None
    asked = rig.asked()
    assert [len(each) < 8_000 for each in asked] == [True] * len(asked)
    assert len(asked) == 6, "three conditions for each of the two services"


async def test_a_list_goes_on_behind_the_servers_own_pages() -> None:
    """`$top` counts over all of them: behind two pages of a hundred there is more than the two hundred asked for."""
    rig = Rig(page_size=100)
    cursor, seen = None, []
    while True:
        page = await rig.connector.list_inventory_balances(query(queries.InventoryBalanceFilter, 200), cursor)
        seen += page.records
        cursor = page.next
        if cursor is None:
            break
    stock = [one for one in rig.world.stock if one.warehouse != "1730"]
    assert len({each.id for each in seen}) == len(seen) == len(stock) > 400


async def test_products_that_stock_has_shown_are_asked_for_in_that_spelling() -> None:
    rig = Rig(page_size=100)
    number = next(one.sap_number for one in rig.world.items if one.sap_number.startswith("0"))
    bare = number.lstrip("0")
    await rig.connector.inventory_of_items([number])
    assert rig.asked() == [f"Product eq '{number}' or Product eq '{bare}'"]
    assert [each async for each in rig.connector.identities()]
    rig.asked()
    await rig.connector.inventory_of_items([number])
    assert rig.asked() == [f"Product eq '{number}'"]


# --- changes and identities


async def test_a_poll_brings_what_changed_once(rig: Rig) -> None:
    assert isinstance(rig.connector, Poller)
    first = await rig.connector.poll(None)
    rig.clock.passed += 3600
    rig.calls()
    second = await rig.connector.poll(first.cursor)
    calls = rig.calls()
    assert set(calls) == {ORDERS, TASKS, HEADS, INBOUND}
    assert sum(calls.values()) == 4
    known = {raw.delivery_id for raw in first.raws}
    new = [raw for raw in second.raws if raw.delivery_id not in known]
    assert new
    since = NOW
    for raw in new:
        [event] = await rig.connector.events(raw)
        assert isinstance(event, Changed)
        assert since - timedelta(seconds=1) <= event.occurred_at <= rig.clock.now()
        assert event.record.source.integration == "ewm-west"
    expected = sum(
        1
        for task in rig.world.tasks
        if task.warehouse != "1730"
        and task.state_at(rig.clock.now()).changed_at > NOW
        and task.state_at(rig.clock.now()).created_at <= rig.clock.now()
    )
    assert sum(raw.decoder == "warehouse-tasks" for raw in new) == expected


async def test_a_delivery_of_the_poll_keeps_its_plate_and_lines(rig: Rig) -> None:
    polled = await rig.connector.poll(None)
    raw = next(raw for raw in polled.raws if raw.delivery_id.startswith("outbound-delivery-orders/0080001000@"))
    assert sap_ewm.VEHICLE_FIELD in json.loads(raw.payload.body)["d"]
    [event] = await rig.connector.events(raw)
    assert isinstance(event, Changed)
    [read] = await rig.connector.read_orders(["OUTB/0080001000"])
    assert event.record == read


async def test_identities_are_products_and_plates(rig: Rig) -> None:
    assert isinstance(rig.connector, IdentitySource)
    found = [each async for each in rig.connector.identities()]
    items = {each.number for each in found if each.subject is Subject.ITEM}
    plates = {each.number for each in found if each.subject is Subject.VEHICLE}
    assert "000000000000100017" in items
    assert plates == {one.vehicle for one in rig.world.deliveries if one.warehouse != "1730"}
    assert len(found) == len(items) + len(plates)
    assert all(each.external_id is None for each in found)


async def test_without_the_field_there_are_no_plates() -> None:
    rig = Rig({"vehicle_field": None})
    [order] = await rig.connector.read_orders(["OUTB/0080001000"])
    assert order.vehicle_plate is None
    assert not [each async for each in rig.connector.identities() if each.subject is Subject.VEHICLE]


# --- signing in


async def test_session_cookies_are_kept() -> None:
    rig = Rig(credentials=BASIC)
    await asyncio.gather(
        *(rig.connector.list_locations(query(queries.LocationFilter, limit), None) for limit in range(1, 20))
    )
    assert rig.standin.logins == 1
    assert rig.connector.api.cookies is not None
    assert "SAP_SESSIONID_EWW_100" in rig.connector.api.cookies


@pytest.mark.parametrize("credentials", [BASIC, OAUTH])
async def test_the_logon_page_instead_of_data_is_an_expired_session(credentials: dict[str, Secret]) -> None:
    """The bins' service answers 200 with a page for people."""
    rig = Rig(credentials=credentials)
    await rig.connector.read_locations(["1710/01-02-3"])
    rig.faults.expire_sessions()
    [bin_] = await rig.connector.read_locations(["1710/01-02-3"])
    assert bin_.code == "01-02-3"
    assert rig.standin.logins == 2


async def test_a_logon_page_that_stays_is_told(rig: Rig) -> None:
    page: dict[str, Any] = {
        "status": 200,
        "headers": {"content-type": "text/html"},
        "body": b"<html>",
        "path": "StorageBin",
    }
    rig.faults.fail_next += [Failure(**page) for _ in range(2)]
    with pytest.raises(SessionExpired, match="logon page"):
        await rig.connector.read_locations(["1710/01-02-3"])


async def test_a_token_is_renewed_before_it_expires(rig: Rig) -> None:
    rig.clock.passed += 3600 - 61
    await rig.connector.check()
    assert rig.standin.logins == 1
    rig.clock.passed += 2
    await rig.connector.check()
    assert rig.standin.logins == 2


async def test_wrong_credentials_are_refused_once() -> None:
    for credentials in (
        {"user": Secret("CROSSDOCK"), "password": Secret("wrong")},
        {"client_id": Secret("x"), "client_secret": Secret("wrong")},
    ):
        rig = Rig(credentials=credentials)
        with pytest.raises(AuthFailed) as caught:
            await rig.connector.check()
        assert "wrong" not in str(caught.value)
        assert rig.faults.total_calls() == 1


async def test_an_api_key_reads() -> None:
    rig = Rig(credentials={"api_key": Secret(sap_ewm.API_KEY)})
    assert await rig.connector.check() == "SAP EWM: API_WAREHOUSE_ORDER_TASK answers"
    assert rig.standin.logins == 0


async def test_credentials_must_be_one_of_three() -> None:
    with pytest.raises(AuthFailed, match="user and password"):
        Rig(credentials={"user": Secret("x")})


# --- CSRF


def _assign(rig: Rig) -> httpx.Request:
    return rig.connector.api.build(
        "POST",
        sap_ewm.V2 + "/API_WAREHOUSE_ORDER_TASK/AssignWarehouseOrder",
        params="Warehouse='1710'&WarehouseOrder='2000000'&WarehouseResource='AMR03'",
    )


async def test_a_change_fetches_its_token_once(rig: Rig) -> None:
    csrf = rig.connector.csrf
    for _ in range(2):
        answer = await csrf.send(_assign(rig))
        assert answer.json()["d"]["ExecutingResource"] == "AMR03"
    assert csrf.fetches == 1
    [order] = await rig.connector.read_warehouse_orders(["1710/2000000"])
    assert order.resource == "AMR03"


async def test_a_stale_token_is_fetched_again_and_the_call_repeated_once(rig: Rig) -> None:
    csrf = rig.connector.csrf
    await csrf.send(_assign(rig))
    for session in rig.standin.logon._sessions.values():
        session.csrf = "another"
    await csrf.send(_assign(rig))
    assert csrf.fetches == 2
    required: dict[str, Any] = {"status": 403, "headers": {"x-csrf-token": "Required"}, "method": "POST"}
    rig.faults.fail_next += [Failure(**required) for _ in range(2)]
    with pytest.raises(PermissionDenied) as caught:
        await csrf.send(_assign(rig))
    assert caught.value.vendor_code == "x-csrf-token: Required"
    assert csrf.fetches == 3


async def test_a_missing_right_is_no_csrf_matter(rig: Rig) -> None:
    await rig.connector.csrf.send(_assign(rig))
    rig.faults.fail_next.append(Failure(status=403, method="POST"))
    with pytest.raises(PermissionDenied):
        await rig.connector.csrf.send(_assign(rig))
    assert rig.connector.csrf.fetches == 1


async def test_a_session_that_expired_under_a_change_takes_its_token_with_it(rig: Rig) -> None:
    await rig.connector.csrf.send(_assign(rig))
    rig.faults.expire_sessions()
    assert (await rig.connector.csrf.send(_assign(rig))).status_code == 200
    assert rig.connector.csrf.fetches == 2


async def test_a_batch_of_reads_goes_with_the_token(rig: Rig) -> None:
    head = "--b\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    parts = "".join(
        f"{head}GET {path} HTTP/1.1\r\n\r\n\r\n"
        for path in ("WarehouseOrder/$count", "WarehouseOrder(Warehouse='1710',WarehouseOrder='2000000')")
    )
    request = rig.connector.api.build(
        "POST",
        sap_ewm.V2 + "/API_WAREHOUSE_ORDER_TASK/$batch",
        content=(parts + "--b--").encode(),
        headers={"Content-Type": "multipart/mixed; boundary=b"},
    )
    answer = await Csrf(rig.connector.api, rig.connector.csrf._root).send(request, repeatable=True)
    assert answer.status_code == 202
    assert answer.text.count("HTTP/1.1 200 OK") == 2
    assert '"WarehouseOrder":"2000000"' in answer.text


async def test_a_business_refusal_is_told_and_not_repeated(rig: Rig) -> None:
    request = rig.connector.api.build("POST", sap_ewm.V2 + "/API_WAREHOUSE_ORDER_TASK/WarehouseTask", json={})
    with pytest.raises(Rejected) as caught:
        await rig.connector.csrf.send(request)
    assert caught.value.vendor_code == "/SCWM/ODATA_API/040"
    assert "Parameter combination" in str(caught.value)
