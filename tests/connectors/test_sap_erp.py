"""The SAP ERP connector over OData, against its stand-in: what it reads, what it costs, what it pushes down."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from connectors.kit.errors import AuthFailed, BadPayload, BadRequest, PermissionDenied, SessionExpired
from connectors.kit.integration import Integration, Secret
from connectors.kit.protocols import IdentitySource, PackageReceiver, Poller, WebhookReceiver
from connectors.kit.services import Services
from connectors.sap_erp import SapErp
from sandbox import sap_erp
from sandbox.sap_erp.rows import price
from sandbox.standin import Failure
from sandbox.world import World
from tests.connectors.contract import NOW, Bench, ConnectorContract, FakeClock, Lines
from unified import queries
from unified.events import Changed
from unified.keys import Subject, canonical
from unified.queries import ListQuery, OrderBy
from unified.records import (
    ItemType,
    Kind,
    OrderKind,
    OrderStatus,
    Progress,
    ShipmentDirection,
    ShipmentStatus,
    StockStatus,
)
from unified.values import Money, Quantity, System

OAUTH = {"client_id": Secret(sap_erp.CLIENT_ID), "client_secret": Secret(sap_erp.CLIENT_SECRET)}
BASIC = {"user": Secret(sap_erp.USER), "password": Secret(sap_erp.PASSWORD)}
SETTINGS = {"token_url": sap_erp.TOKEN, "sap_client": "100", "plain_numbers": True, "time_zone": "Africa/Lagos"}

SALES = "/API_SALES_ORDER_SRV/A_SalesOrder"
SALES_ITEMS = "/API_SALES_ORDER_SRV/A_SalesOrderItem"
PURCHASES = "/API_PURCHASEORDER_PROCESS_SRV/A_PurchaseOrder"
PURCHASE_ITEMS = "/API_PURCHASEORDER_PROCESS_SRV/A_PurchaseOrderItem"
DELIVERIES = "/API_OUTBOUND_DELIVERY_SRV;v=0002/A_OutbDeliveryHeader"
DELIVERY_ITEMS = "/API_OUTBOUND_DELIVERY_SRV;v=0002/A_OutbDeliveryItem"
STOCK = "/API_MATERIAL_STOCK_SRV/A_MatlStkInAcctMod"
PRODUCTS = "/API_PRODUCT_SRV/A_Product"


def integration(settings: dict[str, Any] | None = None, **more: Any) -> Integration:
    facts: dict[str, Any] = {
        "key": "erp",
        "system": System.SAP_ERP,
        "base_url": "http://vendor",
        "credentials": OAUTH,
        "settings": SETTINGS | (settings or {}),
    }
    return Integration(**facts | more)


class Rig:
    """A connector over the stand-in whose clock we hold."""

    def __init__(self, settings: dict[str, Any] | None = None, *, page_size: int = 100, **more: Any) -> None:
        self.clock, self.log = FakeClock(), Lines()
        self.world = World(self.clock.now)
        self.standin = sap_erp.create(self.world, page_size=page_size)
        self.faults = self.standin.faults
        self.services = Services(transport=httpx.ASGITransport(app=self.standin.app), clock=self.clock, log=self.log)
        self.connector = SapErp(integration(settings, **more), self.services)

    def calls(self) -> dict[str, int]:
        """What was asked since the last time, without log-ins."""
        aside = (sap_erp.TOKEN, sap_erp.PING)
        found = {path: count for (_, path), count in self.faults.calls.items() if path not in aside}
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


async def everything(read: Any, asked: ListQuery[Any]) -> list[Any]:
    found, cursor = [], None
    while True:
        page = await read(asked, cursor)
        found += page.records
        if page.next is None:
            return found
        cursor = page.next


class TestSapErp(ConnectorContract):
    system = System.SAP_ERP
    kinds = frozenset({Kind.ORDER, Kind.SHIPMENT, Kind.INVENTORY_BALANCE, Kind.ITEM})

    def rig(self) -> Rig:
        return Rig()

    secrets: tuple[str, ...] = (sap_erp.CLIENT_SECRET, "SAP_SESSIONID")

    @pytest.fixture
    async def bench(self) -> AsyncIterator[Bench]:
        made = self.rig()
        self.standin = made.standin
        await made.connector.check()  # a failure of the first call would hit the token endpoint
        yield Bench(connector=made.connector, faults=made.faults, clock=made.clock, log=made.log, secrets=self.secrets)
        made.faults.reset()
        await made.connector.aclose()

    async def read_one(self, connector: Any) -> object:
        return await connector.read_orders(["SO/12000"])

    def logins(self, bench: Bench) -> int:
        return int(self.standin.logins)

    def wrong_types(self) -> bytes:
        return b'{"d": {"results": [{"SalesOrder": "1", "TotalNetAmount": []}]}}'


class TestBasic(TestSapErp):
    """The same with user and password: one session, opened once however many calls start side by side."""

    secrets = (sap_erp.PASSWORD, "SAP_SESSIONID")

    def rig(self) -> Rig:
        return Rig(credentials=BASIC)


# --- orders


async def test_a_sales_order_has_all_its_fields(rig: Rig) -> None:
    [order] = await rig.connector.read_orders(["SO/12000"])
    delivery = rig.world.delivery_by_number["0080001000"]
    state = delivery.state_at(NOW)
    assert rig.calls() == {SALES: 1}
    assert (order.source.external_id, order.number, order.order_kind) == ("SO/12000", "12000", OrderKind.SALES)
    assert order.status is OrderStatus.IN_PROGRESS
    assert order.goods_movement is Progress.NOT_STARTED
    assert order.source.vendor_status == (
        "OverallSDProcessStatus=B OverallDeliveryStatus=A OverallSDDocumentRejectionSts=A"
    )
    assert (order.partner, order.ship_to, order.customer_reference, order.warehouse) == ("1001", "1001", None, "1710")
    assert order.updated_at == state.changed_at
    assert (order.ordered_on, order.created_on, order.requested_on) == (
        date(2026, 11, 25),
        date(2026, 11, 25),
        date(2026, 11, 25),
    )
    items = [rig.world.item_by_key[line.item_key] for line in delivery.lines]
    amounts = [price(item) * line.quantity for item, line in zip(items, delivery.lines, strict=True)]
    assert order.total == Money(amount=sum(amounts, Decimal(0)), currency="NGN")
    assert [line.line_number for line in order.lines] == ["10", "20"]
    first = order.lines[0]
    assert (first.item_number, first.description, first.integration) == ("104913", items[0].name, "erp")
    assert first.quantity == Quantity(value=Decimal("24.000"), unit="PCE")
    assert first.confirmed == Quantity(value=Decimal("24.000"), unit="PCE")
    assert (first.requested_on, first.promised_on) == (date(2026, 11, 25), date(2026, 11, 26))
    assert first.net_amount == Money(amount=amounts[0], currency="NGN")
    assert first.goods_movement is Progress.NOT_STARTED


async def test_free_goods_hang_on_their_line(rig: Rig) -> None:
    number = next(one.sales_order for one in rig.standin.books.outbound if int(one.sales_order) % 9 == 0)
    [order] = await rig.connector.read_orders([f"SO/{int(number)}"])
    free = order.lines[-1]
    assert free.parent_line == order.lines[0].line_number
    assert free.net_amount == Money(amount=Decimal("0.000"), currency="NGN")
    assert order.lines[0].parent_line is None


async def test_a_rejected_order_is_cancelled_and_another_ship_to_is_told(rig: Rig) -> None:
    rejected = next(one for one in rig.standin.books.outbound if int(one.sales_order) % 40 == 3)
    elsewhere = next(one for one in rig.standin.books.outbound if int(one.sales_order) % 4 == 1)
    found = await rig.connector.read_orders([f"SO/{int(rejected.sales_order)}", f"SO/{int(elsewhere.sales_order)}"])
    by_id = {order.source.external_id: order for order in found}
    assert by_id[f"SO/{int(rejected.sales_order)}"].status is OrderStatus.CANCELLED
    other = by_id[f"SO/{int(elsewhere.sales_order)}"]
    assert other.partner == str(int(elsewhere.partner))
    assert other.ship_to == str(int(elsewhere.partner) + 100)


async def test_a_purchase_order(rig: Rig) -> None:
    delivery = rig.standin.books.inbound[0]
    [order] = await rig.connector.read_orders([f"PO/{int(delivery.sales_order)}"])
    state = delivery.state_at(NOW)
    assert rig.calls() == {PURCHASES: 1}
    assert order.order_kind is OrderKind.PURCHASE
    assert (order.number, order.partner, order.warehouse) == (
        str(int(delivery.sales_order)),
        str(int(delivery.partner)),
        delivery.warehouse,
    )
    received = state.goods_moved == "complete"
    assert order.status is (OrderStatus.COMPLETED if received else OrderStatus.OPEN)
    assert order.source.vendor_status == "PurchasingProcessingStatus=05 PurchasingDocumentDeletionCode="
    assert [line.quantity.value for line in order.lines] == [line.quantity for line in delivery.lines]
    assert {line.requested_on for line in order.lines} == {state.planned_at.date()}


async def test_fifty_orders_of_both_kinds_cost_two_calls(rig: Rig) -> None:
    books = rig.standin.books
    ids = [f"SO/{int(one.sales_order)}" for one in books.outbound[:30]]
    ids += [f"PO/{int(one.sales_order)}" for one in books.inbound[:20]]
    found = await rig.connector.read_orders(ids)
    assert {order.source.external_id for order in found} == set(ids)
    assert rig.calls() == {SALES: 1, PURCHASES: 1}


async def test_items_only_is_a_smaller_expand() -> None:
    small = Rig({"details": "items"})
    await small.connector.check()
    small.asked()
    [order] = await small.connector.read_orders(["SO/12000"])
    assert small.asked("$expand") == ["to_Item"]
    assert (order.ship_to, order.lines[0].promised_on, order.lines[0].confirmed) == (None, None, None)
    await small.connector.aclose()


async def test_v4_gives_the_same_order() -> None:
    newer = Rig({"sales_orders": "v4"})
    older = Rig()
    await newer.connector.check()
    await older.connector.check()
    newer.asked()
    [one], [other] = await newer.connector.read_orders(["SO/12000"]), await older.connector.read_orders(["SO/12000"])
    assert one == other
    assert newer.asked("$expand") == ["_Item($expand=_ScheduleLine),_Partner"]
    since = query(queries.OrderFilter, order_kinds=(OrderKind.SALES,), updated_after=NOW - timedelta(hours=2))
    page = await newer.connector.list_orders(since, None)
    assert newer.asked() == ["LastChangeDateTime ge 2026-11-25T07:30:00Z"]
    assert page.records
    polled = await newer.connector.poll(None)
    assert {raw.decoder for raw in polled.raws} >= {"sales-orders"}
    for made in (newer, older):
        await made.connector.aclose()


async def test_statuses_go_to_sap(rig: Rig) -> None:
    wanted = query(queries.OrderFilter, 500, order_kinds=(OrderKind.SALES,), statuses=(OrderStatus.IN_PROGRESS,))
    found = await everything(rig.connector.list_orders, wanted)
    assert set(rig.asked()) == {"(OverallSDProcessStatus eq 'B' and OverallSDDocumentRejectionSts ne 'C')"}
    mine = [
        one
        for one in rig.standin.books.outbound
        if one.state_at(NOW).completion == "partial" and int(one.sales_order) % 40 != 3
    ]
    assert len(found) == len(mine) > 10
    assert all(order.status is OrderStatus.IN_PROGRESS for order in found)
    wanted = query(
        queries.OrderFilter, order_kinds=(OrderKind.SALES,), statuses=(OrderStatus.OPEN, OrderStatus.CANCELLED)
    )
    page = await rig.connector.list_orders(wanted, None)
    assert rig.asked() == [
        "((OverallSDProcessStatus eq 'A' and OverallSDDocumentRejectionSts ne 'C') or "
        "OverallSDDocumentRejectionSts eq 'C')"
    ]
    mine = [
        one
        for one in rig.standin.books.outbound
        if one.state_at(NOW).completion == "not_started" or int(one.sales_order) % 40 == 3
    ]
    assert page.total == len(mine)


@pytest.mark.parametrize(
    ("wanted", "conditions"),
    [
        ({"numbers": ("0000012000",)}, ["(SalesOrder eq '12000' or SalesOrder eq '0000012000')"]),
        ({"numbers": ("ORD-1",)}, ["-"]),
        ({"partner": "1001"}, ["SoldToParty eq '1001'"]),
        ({"updated_after": datetime(2026, 11, 25, 8, tzinfo=UTC)},
         ["LastChangeDateTime ge datetimeoffset'2026-11-25T08:00:00Z'"]),
        ({"warehouses": ("1710",)}, ["-"]),
    ],
)  # fmt: skip
async def test_what_of_the_filter_goes_to_sap(rig: Rig, wanted: dict[str, Any], conditions: list[str]) -> None:
    await rig.connector.list_orders(query(queries.OrderFilter, order_kinds=(OrderKind.SALES,), **wanted), None)
    assert rig.asked() == conditions


async def test_three_hundred_numbers_are_a_few_calls(rig: Rig) -> None:
    """A join may ask for many at once: the conditions are split over as many URLs as they need, none too long."""
    numbers = tuple(one.sales_order for one in rig.standin.books.outbound) + tuple(f"99{n:04d}" for n in range(120))
    found = await everything(rig.connector.list_orders, query(queries.OrderFilter, numbers=numbers))
    assert {order.number for order in found} == {one.sales_order.lstrip("0") for one in rig.standin.books.outbound}
    longest = max(len(seen.query) for seen in rig.faults.recent)
    assert longest < 7_600
    calls = rig.calls()
    assert 3 <= calls[SALES] <= 6
    shipped = tuple(one.number for one in rig.standin.books.outbound)
    shipments = await everything(rig.connector.list_shipments, query(queries.ShipmentFilter, numbers=shipped))
    assert len(shipments) == 180
    assert rig.calls()[DELIVERIES] <= 4
    parts = tuple(item.teamcenter_number for item in rig.world.items)
    items = await everything(rig.connector.list_items, query(queries.ItemFilter, numbers=parts))
    assert len(items) == 420 - len(rig.world.item_links)
    assert rig.calls()[PRODUCTS] <= 10
    assert (await rig.connector.list_orders(query(queries.OrderFilter, numbers=()), None)).records == []
    assert rig.calls() == {}


@pytest.mark.parametrize(
    "wanted",
    [{"vehicle_plate": "KJA152CA"}, {"planned_after": NOW}, {"planned_before": NOW}, {"statuses": ()}],
)
async def test_what_no_order_here_can_have_costs_no_call(rig: Rig, wanted: dict[str, Any]) -> None:
    asked = query(queries.OrderFilter, order_kinds=(OrderKind.SALES,), **wanted)
    page = await rig.connector.list_orders(asked, None)
    assert (page.records, page.next, page.total) == ([], None, 0)
    assert rig.calls() == {}


async def test_orders_with_an_item_are_found_through_the_items(rig: Rig) -> None:
    delivery = rig.world.delivery_by_number["0080001000"]
    number = rig.world.item_by_key[delivery.lines[0].item_key].teamcenter_number
    wanted = query(queries.OrderFilter, item_number=number, order_kinds=(OrderKind.SALES,))
    found = await everything(rig.connector.list_orders, wanted)
    assert rig.calls() == {SALES_ITEMS: 1, SALES: 1}
    assert "12000" in {order.number for order in found}
    assert all(any(line.item_number == "104913" for line in order.lines) for order in found)


async def test_both_kinds_follow_each_other_and_are_merged_when_sorted(rig: Rig) -> None:
    found = await everything(rig.connector.list_orders, query(queries.OrderFilter, 100))
    assert len(found) == 220
    assert [order.order_kind for order in found] == [OrderKind.SALES] * 180 + [OrderKind.PURCHASE] * 40
    page = await rig.connector.list_orders(query(queries.OrderFilter, 60, by="-updated_at"), None)
    assert page.sorted
    times = [order.updated_at for order in page.records]
    assert times == sorted(times, reverse=True)
    assert {order.order_kind for order in page.records} == {OrderKind.SALES, OrderKind.PURCHASE}
    every = await everything(rig.connector.list_orders, query(queries.OrderFilter, 60, by="-updated_at"))
    assert len({order.id for order in every}) == 220
    assert [order.updated_at for order in every] == sorted((order.updated_at for order in every), reverse=True)


async def test_a_list_of_one_kind_counts_and_pages(rig: Rig) -> None:
    page = await rig.connector.list_orders(query(queries.OrderFilter, 50, order_kinds=(OrderKind.SALES,)), None)
    assert (page.total, len(page.records), page.next) == (180, 50, "SO?%24skip=50")
    page = await rig.connector.list_orders(query(queries.OrderFilter, 50, order_kinds=(OrderKind.PURCHASE,)), None)
    assert (page.total, len(page.records), page.next) == (40, 40, None)


# --- deliveries


async def test_a_delivery_has_all_its_fields(rig: Rig) -> None:
    [shipment] = await rig.connector.read_shipments(["80001000"])
    delivery = rig.world.delivery_by_number["0080001000"]
    state = delivery.state_at(NOW)
    assert rig.calls() == {DELIVERIES: 1}
    assert (shipment.source.external_id, shipment.number) == ("80001000", "80001000")
    assert shipment.direction is ShipmentDirection.OUTBOUND
    assert shipment.status is ShipmentStatus.IN_PROGRESS
    assert (shipment.picking, shipment.goods_movement) == (Progress.PARTIAL, Progress.NOT_STARTED)
    assert shipment.source.vendor_status == (
        "OverallGoodsMovementStatus=A OverallPickingStatus=B OverallProofOfDeliveryStatus="
    )
    assert (shipment.partner, shipment.carrier, shipment.warehouse) == ("1001", "500001", "1710")
    assert shipment.vehicle_plate == "KJA-152CA"
    assert (shipment.planned_on, shipment.delivery_on, shipment.shipped_on) == (
        date(2026, 11, 25),
        date(2026, 11, 26),
        None,
    )
    assert shipment.created_at == state.created_at, "the day and time of the shipping point's zone, in UTC"
    assert shipment.updated_at == NOW, "only the day of change is kept: it is not over yet"
    gross, net = rig.standin.books.masses(delivery)
    assert (shipment.gross_mass_kg, shipment.net_mass_kg) == (gross, net)
    assert [(line.line_number, line.item_number, line.order_number, line.order_line) for line in shipment.lines] == [
        ("10", "104913", "12000", "000010"),
        ("20", "104743", "12000", "000020"),
    ]
    assert shipment.lines[0].quantity == Quantity(value=Decimal("24.000"), unit="PCE")


async def test_shipped_when_the_goods_have_left(rig: Rig) -> None:
    gone = next(one for one in rig.standin.books.outbound if one.state_at(NOW).goods_moved_at)
    [shipment] = await rig.connector.read_shipments([str(int(gone.number))])
    moved = gone.state_at(NOW).goods_moved_at
    assert moved is not None
    assert shipment.status is ShipmentStatus.SHIPPED
    assert shipment.shipped_on == moved.date()


async def test_shipments_of_orders_cost_two_calls(rig: Rig) -> None:
    found = await rig.connector.shipments_of_orders(["12000", "0000012003"])
    assert rig.calls() == {DELIVERY_ITEMS: 1, DELIVERIES: 1}
    assert {shipment.number for shipment in found} == {"80001000", "80001009"}
    assert await rig.connector.shipments_of_orders(["999999999"]) == []


@pytest.mark.parametrize(
    ("wanted", "calls", "condition"),
    [
        ({"numbers": ("80001000",)}, {DELIVERIES: 1},
         "(DeliveryDocument eq '80001000' or DeliveryDocument eq '0080001000')"),
        ({"order_number": "12000"}, {DELIVERY_ITEMS: 1, DELIVERIES: 1}, None),
        ({"warehouses": ("1730",)}, {DELIVERIES: 1}, "ShippingPoint eq '1730'"),
        ({"vehicle_plate": "kja 152 ca"}, {DELIVERIES: 2}, "MeansOfTransport ne ''"),
        ({"statuses": (ShipmentStatus.SHIPPED,)}, {DELIVERIES: 1},
         "(OverallGoodsMovementStatus eq 'C' or OverallProofOfDeliveryStatus eq 'C')"),
        ({"statuses": (ShipmentStatus.OPEN, ShipmentStatus.IN_PROGRESS)}, {DELIVERIES: 2},
         "OverallGoodsMovementStatus ne 'C'"),
        ({"updated_after": datetime(2026, 11, 25, 8, tzinfo=UTC)}, {DELIVERIES: 2},
         "(LastChangeDate ge datetime'2026-11-24T00:00:00' or CreationDate ge datetime'2026-11-24T00:00:00')"),
        ({"directions": (ShipmentDirection.INBOUND,)}, {}, None),
    ],
)  # fmt: skip
async def test_filters_of_shipments(
    rig: Rig, wanted: dict[str, Any], calls: dict[str, int], condition: str | None
) -> None:
    """Every row that the filter matches is among those that come; a number and an order are exact."""
    asked = query(queries.ShipmentFilter, 100, **wanted)
    found = await everything(rig.connector.list_shipments, asked)
    assert rig.calls() == calls
    if condition is not None:
        assert set(rig.asked()) == {condition}
    every = await everything(rig.connector.list_shipments, query(queries.ShipmentFilter, 100))
    matching = {shipment.id for shipment in every if asked.filter.matches(shipment)}
    assert {shipment.id for shipment in found if asked.filter.matches(shipment)} == matching
    assert matching or not calls


async def test_an_older_version_of_the_delivery_service_can_be_named() -> None:
    made = Rig({"delivery_service": "API_OUTBOUND_DELIVERY_SRV"})
    await made.connector.check()
    with pytest.raises(PermissionDenied, match="No service found"):
        await made.connector.read_shipments(["80001000"])
    assert "/API_OUTBOUND_DELIVERY_SRV/A_OutbDeliveryHeader" in made.calls()
    await made.connector.aclose()


# --- stock and products


async def test_stock_per_plant_batch_and_kind(rig: Rig) -> None:
    found = await rig.connector.inventory_of_items(["000000000000100017", "100051", "PRD10026", "404404"])
    assert rig.calls() == {STOCK: 1}
    assert {balance.item_number for balance in found} == {"100017", "100051", "PRD10026"}
    rows = [one for one in rig.standin.books.stocked() if one.item.key == "100017"]
    mine = {
        (each.warehouse, each.batch, each.source.vendor_status): each for each in found if each.item_number == "100017"
    }
    assert set(mine) == {(one.warehouse, one.batch or None, one.kind) for one in rows}
    first = rows[0]
    balance = mine[first.warehouse, first.batch or None, first.kind]
    assert balance.available == Quantity(value=first.quantity, unit="PCE")
    assert (balance.location, balance.updated_at) == ("171A", None)
    assert balance.source.external_id == f"100017/{first.warehouse}/171A/{first.batch}///////{first.kind}"
    kinds = {"01": StockStatus.UNRESTRICTED, "02": StockStatus.QUALITY_INSPECTION, "07": StockStatus.BLOCKED}
    assert balance.status is kinds[first.kind]


async def test_stock_is_read_by_its_key(rig: Rig) -> None:
    page = await rig.connector.list_inventory_balances(query(queries.InventoryBalanceFilter, 50), None)
    ids = [balance.source.external_id for balance in page.records]
    rig.calls()
    found = await rig.connector.read_inventory_balances(ids)
    assert sorted(balance.source.external_id for balance in found) == sorted(ids)
    assert rig.calls()[STOCK] <= 2


async def test_filters_of_stock() -> None:
    made = Rig({"plants": ["1710", "1730"]})
    await made.connector.check()
    made.asked()
    wanted = query(
        queries.InventoryBalanceFilter, warehouses=("1710", "1720"), statuses=(StockStatus.BLOCKED,), batch="B1"
    )
    await made.connector.list_inventory_balances(wanted, None)
    assert made.asked() == ["Plant eq '1710' and Batch eq 'B1' and InventoryStockType eq '07'"]
    nowhere = query(queries.InventoryBalanceFilter, warehouses=("1720",))
    assert (await made.connector.list_inventory_balances(nowhere, None)).records == []
    never = query(queries.InventoryBalanceFilter, updated_after=NOW)
    assert (await made.connector.list_inventory_balances(never, None)).records == []
    assert made.asked() == []
    found = await made.connector.inventory_of_items(["100017"])
    assert {balance.warehouse for balance in found} <= {"1710", "1730"}
    await made.connector.aclose()


async def test_a_product_has_its_text_in_our_language(rig: Rig) -> None:
    item = rig.world.item_by_key["100017"]
    [found] = await rig.connector.read_items(["100017"])
    assert rig.calls() == {PRODUCTS: 1}
    assert (found.source.external_id, found.number, found.name) == ("100017", "100017", item.name)
    assert (found.item_type, found.unit, found.lifecycle) == (ItemType.ASSEMBLY, "PCE", None)
    assert (found.net_mass_kg, found.gross_mass_kg) == (item.mass_kg, item.mass_kg)
    assert found.updated_at == item.modified_at
    german = Rig({"language": "DE"})
    [found] = await german.connector.read_items(["100017"])
    assert found.name == f"{item.name} (DE)"
    await german.connector.aclose()


async def test_fifty_items_by_number_are_one_call(rig: Rig) -> None:
    numbers = [item.sap_number for item in rig.world.items[:50]]
    found = await rig.connector.items_by_number(numbers)
    assert len(found) == 50
    assert sum(rig.calls().values()) <= 2, "a long condition is split"


@pytest.mark.parametrize(
    ("wanted", "condition"),
    [
        ({"numbers": ("100-017",)},
         "(Product eq '100-017' or Product eq '100017' or Product eq '000000000000100017')"),
        ({"item_types": (ItemType.RAW_MATERIAL,)}, "(ProductType eq 'ROH' or ProductType eq 'HIBE')"),
        ({"item_types": (ItemType.COMPONENT, ItemType.TOOLING)}, "-"),
        ({"search": "pump"}, "-"),
        ({"updated_after": datetime(2025, 6, 1, tzinfo=UTC)},
         "LastChangeDateTime ge datetimeoffset'2025-06-01T00:00:00Z'"),
    ],
)  # fmt: skip
async def test_filters_of_items(rig: Rig, wanted: dict[str, Any], condition: str) -> None:
    asked = query(queries.ItemFilter, 100, **wanted)
    found = await everything(rig.connector.list_items, asked)
    assert set(rig.asked()) == {condition}
    every = await everything(rig.connector.list_items, query(queries.ItemFilter, 100))
    assert (
        {item.id for item in found if asked.filter.matches(item)}
        == {item.id for item in every if asked.filter.matches(item)}
        != set()
    )


# --- the session and the client


async def test_every_call_names_client_and_language(rig: Rig) -> None:
    await rig.connector.read_items(["100017"])
    assert rig.asked("sap-client") == ["100"]
    await rig.connector.read_items(["100034"])
    assert rig.asked("sap-language") == ["EN"]


async def test_another_client_is_refused() -> None:
    made = Rig({"sap_client": "200"}, credentials=BASIC)
    with pytest.raises(AuthFailed):
        await made.connector.check()
    await made.connector.aclose()


async def test_the_session_of_a_user_is_given_back() -> None:
    made = Rig(credentials=BASIC)
    await made.connector.check()
    await made.connector.read_items(["100017"])
    assert made.standin.logon.open_sessions == 1
    await made.connector.aclose()
    assert made.standin.logon.open_sessions == 0
    assert made.faults.calls["GET", sap_erp.LOG_OFF] == 1


async def test_the_sandbox_key_reads() -> None:
    made = Rig(credentials={"api_key": Secret(sap_erp.API_KEY)})
    assert await made.connector.check() == "SAP ERP: API_PRODUCT_SRV answers"
    await made.connector.aclose()


@pytest.mark.parametrize(
    ("settings", "facts", "message"),
    [
        ({}, {"credentials": {}}, "give user and password"),
        ({"interface": "soap"}, {"credentials": {"api_key": Secret("x")}}, "give user and password"),
        ({}, {"base_url": ""}, "give base_url"),
    ],
)
def test_what_is_missing_is_said(settings: dict[str, Any], facts: dict[str, Any], message: str) -> None:
    with pytest.raises(AuthFailed, match=message):
        SapErp(integration(settings, **facts), Services())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sap_client": "10"}, "sap_client"),
        ({"time_zone": "Nigeria/Lagos"}, "no time zone 'Nigeria/Lagos'"),
        ({"zones": {"CET": "CE"}}, "no time zone 'CE'"),
        ({"interface": "rfc"}, "needs ashost"),
        ({"interface": "jco"}, "Invalid enum value 'jco'"),
        ({"unheard": 1}, "unheard"),
    ],
)
def test_settings_say_what_is_wrong(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SapErp(integration(settings), Services())


async def test_the_logon_page_where_data_should_be_is_a_new_session(rig: Rig) -> None:
    """The stand-in's stock answers 200 with HTML once the session is gone."""
    rig.faults.expire_sessions()
    found = await rig.connector.inventory_of_items(["100017"])
    assert found
    assert rig.standin.logins == 2
    html = Failure(status=200, headers={"Content-Type": "text/html"}, body=b"<html>Logon</html>", path="Stk")
    rig.faults.fail_next += [html] * 8
    with pytest.raises(SessionExpired, match="logon page"):
        await rig.connector.inventory_of_items(["100034"])


async def test_a_query_that_sap_does_not_like_is_our_fault(rig: Rig) -> None:
    body = {"error": {"code": "/IWBEP/CX_MGW_BUSI_EXCEPTION", "message": {"lang": "en", "value": "Property 'Nope'"}}}
    rig.faults.fail_next += [Failure(status=400, body=body)] * 3
    with pytest.raises(BadRequest, match="Property 'Nope'"):
        await rig.connector.read_items(["100017"])
    assert rig.faults.calls["GET", PRODUCTS] == 1, "it is not repeated"


async def test_a_page_that_links_to_itself_is_an_error(rig: Rig) -> None:
    body = {"d": {"results": [], "__next": "A_Product?$skiptoken=1"}}
    rig.faults.fail_next += [Failure(status=200, body=body) for _ in range(3)]
    with pytest.raises(BadPayload, match="circle"):
        await rig.connector.items_by_number(["100017"])


async def test_a_write_would_carry_the_csrf_token(rig: Rig) -> None:
    """The seam for writes: the token is fetched, goes with the session, and is renewed once when it is refused."""
    request = rig.connector.api.build("POST", "/sap/opu/odata/sap/API_SALES_ORDER_SRV/A_SalesOrder", json={})
    with pytest.raises(Exception, match="Creating operations are disabled"):
        await rig.connector.csrf.send(request)
    assert rig.connector.csrf.fetches == 1


# --- what it knows, what changed


async def test_identities_are_all_products_and_the_plates(rig: Rig) -> None:
    assert isinstance(rig.connector, IdentitySource)
    found = [identity async for identity in rig.connector.identities()]
    items = [each for each in found if each.subject is Subject.ITEM]
    assert {each.number for each in items} == {
        (item.sap_number.lstrip("0") if item.sap_number.isdigit() else item.sap_number) for item in rig.world.items
    }
    assert all(each.kind is Kind.ITEM and each.external_id == each.number for each in items)
    plates = {each.number for each in found if each.subject is Subject.VEHICLE}
    assert plates == {f"{one.vehicle[:3]}-{one.vehicle[3:]}" for one in rig.standin.books.outbound}
    assert rig.calls() == {PRODUCTS: 5, DELIVERIES: 2}


async def test_numbers_meet_those_of_the_other_systems(rig: Rig) -> None:
    """The warehouse, the PLM and the fleet spell the same things otherwise; under the canonical keys all are one."""
    found = [identity async for identity in rig.connector.identities()]
    items = {canonical(Subject.ITEM, each.number) for each in found if each.subject is Subject.ITEM}
    linked = {link[1] for link in rig.world.item_links}
    for item in rig.world.items:
        assert canonical(Subject.ITEM, item.sap_number) in items
        assert item.teamcenter_number in linked or canonical(Subject.ITEM, item.teamcenter_number) in items
    plates = {canonical(Subject.VEHICLE, each.number) for each in found if each.subject is Subject.VEHICLE}
    assert plates == {canonical(Subject.VEHICLE, one.vehicle) for one in rig.standin.books.outbound}
    [shipment] = await rig.connector.read_shipments(["80001000"])
    delivery = rig.world.delivery_by_number["0080001000"]
    assert shipment.number != delivery.number
    assert canonical(Subject.ORDER, shipment.number) == canonical(Subject.ORDER, delivery.number)
    assert canonical(Subject.ORDER, shipment.lines[0].order_number or "") == canonical(
        Subject.ORDER, delivery.sales_order
    )


async def test_a_poll_brings_what_changed_and_the_same_state_only_once(rig: Rig) -> None:
    assert isinstance(rig.connector, Poller)
    first = await rig.connector.poll(None)
    assert rig.calls() == {SALES: 2, PURCHASES: 1, DELIVERIES: 2, PRODUCTS: 1}
    again = await rig.connector.poll(first.cursor)
    ids = {raw.delivery_id for raw in first.raws}
    assert {raw.delivery_id for raw in again.raws} <= ids
    rig.clock.passed += 6 * 3600
    later = await rig.connector.poll(again.cursor)
    changed = {raw.delivery_id for raw in later.raws} - ids
    moved = [one for one in rig.standin.books.outbound if one.state_at(rig.clock.now()).changed_at > NOW]
    keys = [each.partition("@")[0] for each in changed]
    assert {each for each in keys if each.startswith("sales-orders/")} == {
        f"sales-orders/{int(one.sales_order)}" for one in moved
    }
    shipped = {each for each in keys if each.startswith("deliveries/")}
    assert shipped <= {f"deliveries/{int(one.number)}" for one in moved}
    assert len(shipped) > 100


async def test_what_was_polled_becomes_the_record_that_a_read_gives(rig: Rig) -> None:
    polled = await rig.connector.poll(None)
    raw = next(each for each in polled.raws if each.delivery_id.startswith("sales-orders/12000@"))
    [event] = await rig.connector.events(raw)
    assert isinstance(event, Changed)
    [read] = await rig.connector.read_orders(["SO/12000"])
    assert event.record == read
    assert event.occurred_at == read.updated_at
    raw = next(each for each in polled.raws if each.delivery_id.startswith("deliveries/80001000@"))
    rig.clock.passed += 600
    [event] = await rig.connector.events(raw)
    assert isinstance(event, Changed)
    assert event.occurred_at == NOW, "as old as its reading, however late it is worked off"


async def test_only_what_is_chosen_is_polled() -> None:
    made = Rig({"polled": ["purchase-orders"]})
    await made.connector.check()
    made.calls()
    await made.connector.poll(None)
    assert made.calls() == {PURCHASES: 1}
    await made.connector.aclose()


def test_it_receives_packages() -> None:
    made = Rig()
    assert isinstance(made.connector, PackageReceiver)
    assert isinstance(made.connector, WebhookReceiver)
