"""The connector against mock-sap, an independent server that behaves like a gateway: OData V2 and V4, CSRF, OAuth2,
BAPIs over SOAP, IDocs. It is a package of Python alone and starts in half a second."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import httpx
import pytest

from connectors.kit.errors import AuthFailed, BadRequest, PermissionDenied
from connectors.kit.integration import Integration, Secret
from connectors.kit.manifest import Payload
from connectors.kit.odata import OData
from connectors.kit.services import Services
from connectors.sap_erp import SapErp, mapping, wire
from tests.connectors.test_sap_erp import everything, query
from unified import queries
from unified.events import Changed
from unified.records import ItemType, Order, OrderKind, OrderStatus, Shipment, ShipmentStatus
from unified.values import System

SETTINGS = {
    "details": "items",  # it has no schedule lines
    "delivery_service": "API_OUTBOUND_DELIVERY_SRV",
    "soap_path": "/sap/bc/srt/rfc/sap/bapis",
}
USER = {"user": Secret("CROSSDOCK"), "password": Secret("mock-password")}


@asynccontextmanager
async def mocksap(*options: str) -> AsyncIterator[str]:
    """Its address."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mocksap", "--host", "127.0.0.1", "--port", "0", "--clock", "2026-11-25T09:30", *options,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            line = (await process.stdout.readline()).decode()
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found, line
        yield found[0]
    finally:
        process.kill()
        await process.communicate()


@asynccontextmanager
async def connected(
    address: str, settings: dict[str, Any] | None = None, credentials: dict[str, Secret] = USER
) -> AsyncIterator[SapErp]:
    made = SapErp(
        Integration(
            key="mock",
            system=System.SAP_ERP,
            base_url=address,
            credentials=credentials,
            settings=SETTINGS | (settings or {}),
        ),
        Services(),
    )
    try:
        yield made
    finally:
        await made.aclose()


@pytest.fixture
async def address() -> AsyncIterator[str]:
    """Of one that wants a password and the CSRF token."""
    async with mocksap("--auth", "CROSSDOCK:mock-password") as found:
        yield found


@pytest.fixture
async def made(address: str) -> AsyncIterator[SapErp]:
    async with connected(address) as found:
        yield found


async def test_odata_v2(made: SapErp) -> None:
    assert await made.check() == "SAP ERP: API_PRODUCT_SRV answers"
    sales = await everything(made.list_orders, query(queries.OrderFilter, 10, order_kinds=(OrderKind.SALES,)))
    page = await made.list_orders(query(queries.OrderFilter, 10, by="number", order_kinds=(OrderKind.SALES,)), None)
    assert page.sorted
    assert page.total == len(sales) == len({order.id for order in sales}) > 20
    first = next(order for order in sales if order.number == "0000004714")
    assert first.source.external_id == "SO/4714"
    assert first.lines
    assert first.total is not None
    assert [order.id for order in await made.read_orders(["SO/4714", "SO/9999999999"])] == [first.id]
    open_ones = query(queries.OrderFilter, 50, order_kinds=(OrderKind.PURCHASE,), statuses=(OrderStatus.OPEN,))
    purchases = await everything(made.list_orders, open_ones)
    assert purchases
    assert {order.order_kind for order in purchases} == {OrderKind.PURCHASE}
    items = await everything(made.list_items, query(queries.ItemFilter, 10))
    named = {item.number: item for item in items}
    assert (named["TG11"].name, named["TG11"].item_type, named["TG11"].unit) == (
        "Notebook Professional 15", ItemType.ASSEMBLY, "PCE",
    )  # fmt: skip
    assert named["TG11"].gross_mass_kg == Decimal("4.200")
    [again] = await made.items_by_number(["TG11"])
    assert again.id == named["TG11"].id


async def test_deliveries_of_orders(made: SapErp) -> None:
    found = await everything(made.list_shipments, query(queries.ShipmentFilter, 10))
    assert found
    assert all(isinstance(shipment, Shipment) and shipment.lines for shipment in found)
    order = found[0].lines[0].order_number
    assert order is not None
    of_order = await made.shipments_of_orders([order])
    assert found[0].id in {shipment.id for shipment in of_order}
    assert {shipment.status for shipment in found} <= {ShipmentStatus.SHIPPED, ShipmentStatus.OPEN}


async def test_rows_of_v4(made: SapErp) -> None:
    """Its V4 has no navigation; the rows and the paging are V4's."""
    path = "/sap/opu/odata4/sap/api_salesorder/srvd_a2x/sap/api_salesorder/0001/SalesOrder"
    odata = OData(made.api, [("sap-client", "100")])
    page = await odata.v4(path, wire.SalesOrder, [("$top", "5"), ("$count", "true"), ("$orderby", "SalesOrder")])
    assert (len(page.rows), page.next) == (5, "%24skip=5")
    rows = await odata.v4_all(path, wire.SalesOrder, [("$orderby", "SalesOrder"), ("$top", "10")])
    assert len(rows) == page.count
    [twin] = await made.read_orders([f"SO/{int(page.rows[0].sales_order)}"])
    order = mapping.sales_order(page.rows[0], page.origin, made.rules)
    for name in ("id", "number", "status", "partner", "ordered_on", "requested_on", "customer_reference"):
        assert getattr(order, name) == getattr(twin, name), name
    assert order.total == twin.total


async def test_what_it_refuses(address: str) -> None:
    async with connected(address, {"details": "full"}) as made:
        with pytest.raises(BadRequest, match="to_ScheduleLine"):
            await made.read_orders(["SO/4714"])
    async with connected(address, credentials={"user": Secret("x"), "password": Secret("y")}) as made:
        with pytest.raises(AuthFailed):
            await made.check()


async def test_csrf(made: SapErp) -> None:
    """The seam for writes: without the token 403, with it the order is there."""
    path = "/sap/opu/odata/sap/API_SALES_ORDER_SRV/A_SalesOrder"
    body = {
        "SalesOrderType": "OR", "SalesOrganization": "1710", "DistributionChannel": "10", "OrganizationDivision": "00",
        "SoldToParty": "1000006", "to_Item": [{"Material": "TG11", "RequestedQuantity": "2"}],
    }  # fmt: skip
    with pytest.raises(PermissionDenied, match="CSRF token is missing or stale"):
        await made.api.send(made.api.build("POST", path, json=body), repeatable=False)
    response = await made.csrf.send(made.api.build("POST", path, json=body))
    assert response.status_code == 201
    number = response.json()["d"]["SalesOrder"]
    [order] = await made.read_orders([f"SO/{int(number)}"])
    assert order.status is OrderStatus.OPEN


async def test_oauth2_with_tokens_that_expire_at_once() -> None:
    settings = {"token_url": "/sap/bc/sec/oauth2/token"}
    async with mocksap("--oauth", "crossdock:mock-secret", "--token-ttl", "1") as address:
        client = {"client_id": Secret("crossdock"), "client_secret": Secret("mock-secret")}
        async with connected(address, settings, client) as made:
            assert await made.read_items(["TG11"])
            assert await made.read_items(["TG12"])
        wrong = {"client_id": Secret("crossdock"), "client_secret": Secret("wrong")}
        async with connected(address, settings, wrong) as made:
            with pytest.raises(AuthFailed, match="invalid_client"):
                await made.check()


@pytest.fixture
async def without_csrf() -> AsyncIterator[str]:
    """As real systems are at their SOAP and IDoc ports."""
    async with mocksap("--auth", "CROSSDOCK:mock-password", "--no-csrf") as found:
        yield found


async def test_bapis_over_soap(without_csrf: str) -> None:
    async with connected(without_csrf, {"interface": "soap"}) as made, connected(without_csrf) as over_odata:
        assert await made.check() == "SAP ERP: RFC_PING answers over SOAP"
        [item] = await made.read_items(["TG11", "NOPE"])
        assert (item.number, item.name, item.net_mass_kg) == ("TG11", "Notebook Professional 15", Decimal("3.900"))
        items = await everything(made.list_items, query(queries.ItemFilter, 500))
        assert {"TG11", "TG12"} <= {each.number for each in items}
        [order] = await made.read_orders(["PO/4500000101", "PO/4711"])
        [twin] = await over_odata.read_orders(["PO/4500000101"])
        assert order.id == twin.id
        assert (order.number, order.partner) == (twin.number, twin.partner)
        assert (
            [(line.item_number, line.quantity) for line in order.lines]
            == [(line.item_number, line.quantity) for line in twin.lines]
            != []
        )
        with pytest.raises(BadRequest, match="VBAK"):
            await made.list_orders(query(queries.OrderFilter, order_kinds=(OrderKind.SALES,)), None)


@pytest.mark.parametrize(("kind", "record"), [("ORDERS", Order), ("DELVRY", Shipment)])
async def test_idocs_of_its_making(without_csrf: str, kind: str, record: type) -> None:
    async with (
        connected(without_csrf) as made,
        httpx.AsyncClient(base_url=without_csrf, auth=("CROSSDOCK", "mock-password"), trust_env=False) as client,
    ):
        rows = (await client.get("/sap/opu/odata/sap/API_SALES_ORDER_SRV/A_SalesOrder?$format=json")).json()
        for row in rows["d"]["results"]:
            body = {"mestyp": kind, "SalesOrder": row["SalesOrder"]}
            answer = await client.post("/sap/bc/idoc/generate?format=xml", json=body)
            if answer.status_code == 201:  # a delivery has to have something open
                break
        assert answer.status_code == 201, answer.text
        raw = made.received(Payload(body=answer.content))
        assert raw is not None
        [event] = await made.events(raw)
        assert isinstance(event, Changed)
        assert type(event.record) is record
        assert event.record.lines
        if isinstance(event.record, Order):
            [read] = await made.read_orders([event.record.source.external_id])
            assert [line.item_number for line in read.lines] == [line.item_number for line in event.record.lines]
        else:
            [read] = await made.read_shipments([event.record.source.external_id])
            assert {line.order_number for line in event.record.lines} == {row["SalesOrder"]}
        assert read.id == event.record.id
