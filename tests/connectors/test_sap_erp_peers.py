"""The connector against SAP's own OData mock server with the services' original metadata, and against an independent
SOAP implementation that serves our WSDL."""

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.kit.errors import Rejected
from connectors.kit.integration import Integration, Secret
from connectors.kit.services import Services
from connectors.sap_erp import SapErp
from connectors.sap_erp.bapi import wsdl
from tests.connectors.node_peers import started
from tests.connectors.test_sap_erp import everything, query
from unified import queries
from unified.records import OrderKind, OrderStatus, ShipmentStatus, StockStatus
from unified.values import Money, Quantity, System

pytestmark = [pytest.mark.peers, pytest.mark.timeout(300)]

EDMX = Path(__file__).parents[1] / "samples" / "sap-erp" / "edmx"
SERVICES = {
    "/sap/opu/odata/sap/API_SALES_ORDER_SRV": "API_SALES_ORDER_SRV",
    "/sap/opu/odata/sap/API_OUTBOUND_DELIVERY_SRV": "API_OUTBOUND_DELIVERY_SRV_0002",
    "/sap/opu/odata/sap/API_MATERIAL_STOCK_SRV": "API_MATERIAL_STOCK_SRV",
    "/sap/opu/odata/sap/API_PRODUCT_SRV": "API_PRODUCT_SRV",
}


def made(address: str, **settings: Any) -> SapErp:
    return SapErp(
        Integration(
            key="mock",
            system=System.SAP_ERP,
            base_url=address,
            credentials={"user": Secret("any"), "password": Secret("any")},
            settings=settings,
        ),
        Services(),
    )


# --- SAP's mock server


@pytest.fixture
async def odata() -> AsyncIterator[SapErp]:
    """Its rows are generated; it has no purchase orders, whose metadata is not public."""
    files = [f"{path}={EDMX / name}.edmx" for path, name in SERVICES.items()]
    async with started("sap-mockserver", *files) as address:
        connector = made(address, purchase_orders=False, delivery_service="API_OUTBOUND_DELIVERY_SRV")
        yield connector
        await connector.aclose()


async def test_it_answers(odata: SapErp) -> None:
    assert await odata.check() == "SAP ERP: API_PRODUCT_SRV answers"


async def test_sales_orders_page_to_their_end_and_are_read(odata: SapErp) -> None:
    """The expand of items, schedule lines and partners is what the metadata allows."""
    asked = query(queries.OrderFilter, 40)
    first = await odata.list_orders(asked, None)
    every = await everything(odata.list_orders, asked)
    assert first.total == len(every) == len({order.id for order in every}) > 100
    assert {order.order_kind for order in every} == {OrderKind.SALES}
    assert all(order.total is not None and order.ordered_on is not None for order in every)
    ids = [order.source.external_id for order in every[:5]]
    found = await odata.read_orders(ids)
    assert {order.source.external_id for order in found} == set(ids)


async def test_the_filters_and_orders_of_lists_are_accepted(odata: SapErp) -> None:
    sorted_ = await odata.list_orders(query(queries.OrderFilter, 20, by="-number"), None)
    numbers = [order.number for order in sorted_.records]
    assert sorted_.sorted
    assert numbers == sorted(numbers, reverse=True)
    statuses = query(queries.OrderFilter, 20, statuses=(OrderStatus.OPEN, OrderStatus.CANCELLED))
    await odata.list_orders(statuses, None)
    shipments = query(queries.ShipmentFilter, 20, statuses=(ShipmentStatus.SHIPPED,), warehouses=("1710",))
    await odata.list_shipments(shipments, None)
    await odata.list_shipments(query(queries.ShipmentFilter, 20, order_number="1"), None)
    stock = query(queries.InventoryBalanceFilter, 20, statuses=(StockStatus.BLOCKED,), warehouses=("1710",))
    await odata.list_inventory_balances(stock, None)


async def test_deliveries_stock_and_products(odata: SapErp) -> None:
    shipments = (await odata.list_shipments(query(queries.ShipmentFilter, 10), None)).records
    assert len(shipments) == 10
    [again] = await odata.read_shipments([shipments[0].source.external_id])
    assert again.id == shipments[0].id
    balances = (await odata.list_inventory_balances(query(queries.InventoryBalanceFilter, 10), None)).records
    assert len(balances) == 10
    found = await odata.inventory_of_items([balances[0].item_number])
    assert balances[0].id in {balance.id for balance in found}
    assert {balance.item_number for balance in found} == {balances[0].item_number}
    items = (await odata.list_items(query(queries.ItemFilter, 10), None)).records
    assert len(items) == 10
    [item] = await odata.read_items([items[0].source.external_id])
    assert item.number == items[0].number


async def test_identities_and_polls_are_accepted(odata: SapErp) -> None:
    known = [identity async for identity in odata.identities()]
    assert known
    polled = await odata.poll("2000-01-01T00:00:00+00:00")
    assert polled.cursor is not None


# --- node-soap over our WSDL

OK = {"item": [{"TYPE": "S", "ID": "MM", "NUMBER": "356", "MESSAGE": "ok"}]}
ANSWERS: dict[str, Any] = {
    "RFC_PING": {},
    "BAPI_MATERIAL_GET_DETAIL": {
        "MATERIAL_GENERAL_DATA": {
            "MATL_DESC": "Pump & valve <1>", "MATL_TYPE": "ROH", "BASE_UOM": "ST", "NET_WEIGHT": "1.500",
            "UNIT_OF_WT": "KG", "CREATED_ON": "2026-01-02",
        },
        "RETURN": {"TYPE": "S"},
    },
    "BAPI_MATERIAL_GETLIST": {
        "MATNRLIST": {"item": [{"MATERIAL": "000000000000004711", "MATL_DESC": "Pump"}]},
        "RETURN": OK,
    },
    "RFC_READ_TABLE": {
        "DATA": {"item": [{"WA": "0000012000"}]},
        "FIELDS": {"item": [{"FIELDNAME": "VBELN", "OFFSET": "000000", "LENGTH": "000010", "TYPE": "C"}]},
    },
    "BAPISDORDER_GETDETAILEDLIST": {
        "ORDER_HEADERS_OUT": {"item": [{
            "DOC_NUMBER": "0000012000", "DOC_DATE": "2026-11-25", "NET_VAL_HD": "12.500000000", "CURREN_ISO": "EUR",
            "SOLD_TO": "0000001001",
        }]},
        "ORDER_ITEMS_OUT": {"item": [{
            "DOC_NUMBER": "0000012000", "ITM_NUMBER": "000010", "MATERIAL": "000000000000004711", "REQ_QTY": "3.000",
            "ISOCODUNIT": "PCE",
        }]},
        "ORDER_STATUSHEADERS_OUT": {"item": [{"SD_DOC": "0000012000", "PRC_STAT_H": "B", "OVERALLREJ": "A"}]},
    },
    "BAPI_PO_GETDETAIL1": {
        "RETURN": {"item": [{"TYPE": "E", "ID": "06", "NUMBER": "777", "MESSAGE": "Locked by somebody"}]},
    },
    "BAPI_DELIVERY_GETLIST": {
        "RETURN": {"item": [{"TYPE": "E", "ID": "VL", "NUMBER": "559", "MESSAGE": "No delivery"}]},
    },
}  # fmt: skip


@pytest.fixture
async def soap(tmp_path: Path) -> AsyncIterator[str]:
    answers = tmp_path / "answers.json"
    answers.write_text(json.dumps(ANSWERS))
    packaged = Path(wsdl.__file__).with_name(wsdl.PACKAGED)
    async with started("soap", str(packaged), str(answers)) as address:
        yield address


async def test_another_implementation_understands_our_messages_and_we_its_answers(soap: str) -> None:
    connector = made(soap, interface="soap")
    assert await connector.check() == "SAP ERP: RFC_PING answers over SOAP"
    page = await connector.list_items(query(queries.ItemFilter, 5), None)
    [item] = page.records
    assert (item.number, item.name, item.unit) == ("000000000000004711", "Pump & valve <1>", "PCE")
    assert item.net_mass_kg == Decimal("1.500")
    page = await connector.list_orders(query(queries.OrderFilter, 5, order_kinds=(OrderKind.SALES,)), None)
    [order] = page.records
    assert (order.number, order.status) == ("0000012000", OrderStatus.IN_PROGRESS)
    assert order.total == Money(amount=Decimal("12.50"), currency="EUR")
    assert order.lines[0].quantity == Quantity(value=Decimal("3.000"), unit="PCE")
    with pytest.raises(Rejected, match="Locked by somebody"):
        await connector.read_orders(["PO/1"])
    assert await connector.read_shipments(["1"]) == []
    async with httpx.AsyncClient(base_url=soap, trust_env=False) as client:
        asked = (await client.get("/asked")).json()
    by_name = {each["name"]: each["parameters"] for each in asked}
    assert by_name["BAPI_MATERIAL_GET_DETAIL"] == {"MATERIAL": "000000000000004711"}
    listed = by_name["BAPI_MATERIAL_GETLIST"]
    assert listed["MATNRSELECTION"]["item"] in (
        {"SIGN": "I", "OPTION": "CP", "MATNR_LOW": "*"},
        [{"SIGN": "I", "OPTION": "CP", "MATNR_LOW": "*"}],
    )
    assert str(listed["MAXROWS"]) == "5"
    assert set(by_name["BAPISDORDER_GETDETAILEDLIST"]) >= {"I_BAPI_VIEW", "SALES_DOCUMENTS", "ORDER_HEADERS_OUT"}
    await connector.aclose()
