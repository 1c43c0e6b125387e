"""The connector against SAP's own OData mock server, driven by the EDMX of the services, with generated rows.

It differs from a gateway (numbers instead of decimal texts), which the connector takes.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from connectors.kit.integration import Integration, Secret
from connectors.kit.services import Services
from connectors.sap_ewm import SapEwm
from tests.connectors.node_peers import started
from unified import queries
from unified.queries import ListQuery, OrderBy
from unified.records import InventoryBalance, Location, WarehouseOrder, WarehouseTask
from unified.values import System

pytestmark = [pytest.mark.peers, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
EDMX = ROOT / "tests" / "samples" / "sap-ewm" / "edmx"
V4 = "/sap/opu/odata4/sap/api_whse_availablestock/srvd_a2x/sap/warehouseavailablestock/0001"
SERVICES = {
    **{
        f"/sap/opu/odata/sap/{name}": EDMX / f"{name}.reconstructed.edmx"
        for name in (
            "API_WAREHOUSE_ORDER_TASK",
            "API_WAREHOUSE_STORAGE_BIN",
            "API_WHSE_OUTB_DLV_ORDER",
            "API_WHSE_INBOUND_DELIVERY",
        )
    },
    V4: EDMX / "API_WHSE_AVAILABLESTOCK_V4.reconstructed.edmx",
}


@pytest.fixture
async def connector() -> AsyncIterator[SapEwm]:
    async with started("sap-mockserver", *(f"{path}={file}" for path, file in SERVICES.items())) as address:
        made = SapEwm(
            Integration(
                key="mock",
                system=System.SAP_EWM,
                base_url=address,
                credentials={"user": Secret("any"), "password": Secret("any")},
                # the EDMX has no associations: items cannot be expanded
                settings={"items_by": "filter"},
            ),
            Services(),
        )
        yield made
        await made.aclose()


def query(filter_type: type[queries.Filter], limit: int = 40, *, by: str | None = None, **more: Any) -> ListQuery[Any]:
    order = (OrderBy(by.lstrip("-"), by.startswith("-")),) if by else ()
    return ListQuery(filter=filter_type(**more), limit=limit, order_by=order)


async def test_it_answers(connector: SapEwm) -> None:
    assert await connector.check() == "SAP EWM: API_WAREHOUSE_ORDER_TASK answers"


async def test_warehouse_orders_page_to_their_end(connector: SapEwm) -> None:
    seen: list[WarehouseOrder] = []
    cursor: str | None = None
    totals = []
    while True:
        page = await connector.list_warehouse_orders(query(queries.WarehouseOrderFilter), cursor)
        seen += page.records
        totals.append(page.total)
        cursor = page.next
        if cursor is None:
            break
    assert totals == [150, None, None, None]
    assert len({order.id for order in seen}) == len(seen) == 150
    assert all(order.updated_at is not None for order in seen)


async def test_tasks_are_listed_filtered_and_read(connector: SapEwm) -> None:
    page = await connector.list_warehouse_tasks(query(queries.WarehouseTaskFilter, by="-number"), None)
    assert page.sorted
    numbers = [task.number for task in page.records]
    assert numbers == sorted(numbers, reverse=True)
    first: WarehouseTask = page.records[0]
    assert first.target is not None
    assert first.warehouse_order_number is not None
    ids = [task.source.external_id for task in page.records[:5]]
    read = await connector.read_warehouse_tasks(ids)
    assert {task.source.external_id for task in read} == set(ids)
    order = f"{first.warehouse}/{first.warehouse_order_number}"
    of_order = await connector.tasks_of_warehouse_orders([order])
    assert first.id in {task.id for task in of_order}
    assert {task.warehouse_order_number for task in of_order} == {first.warehouse_order_number}


async def test_bins_are_listed_and_read(connector: SapEwm) -> None:
    page = await connector.list_locations(query(queries.LocationFilter, 10), None)
    first: Location = page.records[0]
    assert len(page.records) == 10
    assert page.total == 150
    [again] = await connector.read_locations([first.source.external_id])
    assert again.code == first.code
    assert again.zone == first.zone


async def test_stock_of_v4_is_listed_and_found_by_item(connector: SapEwm) -> None:
    page = await connector.list_inventory_balances(query(queries.InventoryBalanceFilter, 10), None)
    first: InventoryBalance = page.records[0]
    assert len(page.records) == 10
    assert page.total == 150
    found = await connector.inventory_of_items([first.item_number])
    assert {balance.item_number for balance in found} == {first.item_number}
    assert first.id in {balance.id for balance in found}
    read = await connector.read_inventory_balances([first.source.external_id])
    assert first.id in {balance.id for balance in read}


async def test_deliveries_come_with_the_items_that_the_filter_finds(connector: SapEwm) -> None:
    page = await connector.list_orders(query(queries.OrderFilter, 10), None)
    assert len(page.records) == 10
    assert all(order.lines for order in page.records)


async def test_the_queries_of_a_poll_are_accepted(connector: SapEwm) -> None:
    """No row comes: this server compares times of V2 as the texts `/Date(ms)/`."""
    polled = await connector.poll("2000-01-01T00:00:00+00:00")
    assert polled.raws == ()
    assert polled.cursor is not None
