"""The connector against SAP's own OData mock server, driven by the EDMX of the services, with generated rows.

`npm ci` installs it on first use. Where that cannot be done the tests are skipped, or fail when
`CROSSDOCK_REQUIRE_SERVICES=1`. It differs from a gateway (numbers instead of decimal texts), which the connector takes.
"""

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from connectors.kit.integration import Integration, Secret
from connectors.kit.services import Services
from connectors.sap_ewm import SapEwm
from unified import queries
from unified.queries import ListQuery, OrderBy
from unified.records import InventoryBalance, Location, WarehouseOrder, WarehouseTask
from unified.values import System

pytestmark = [pytest.mark.peers, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
PEER = ROOT / "tests" / "peers" / "sap-mockserver"
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


def _unavailable(reason: str) -> None:
    if os.environ.get("CROSSDOCK_REQUIRE_SERVICES") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def _installed() -> None:
    """The packages of the lock file below `tests/peers/sap-mockserver`; installed when they are not those."""
    if not shutil.which("node") or not shutil.which("npm"):
        _unavailable("node and npm are needed for SAP's mock server")
    locked = hashlib.sha256((PEER / "package-lock.json").read_bytes()).hexdigest()
    mark = PEER / "node_modules" / ".crossdock-lock"
    if mark.exists() and mark.read_text() == locked:
        return
    done = subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=PEER, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    if done.returncode:
        _unavailable(f"npm ci failed: {done.stderr.strip()[-300:]}")
    mark.write_text(locked)


@pytest.fixture
async def connector() -> AsyncIterator[SapEwm]:
    await asyncio.to_thread(_installed)
    process = await asyncio.create_subprocess_exec(
        "node", "server.js", *(f"{path}={file}" for path, file in SERVICES.items()),
        cwd=PEER,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with asyncio.timeout(60):
            port = 0
            async for line in process.stdout:
                if line.startswith(b'{"port"'):
                    port = json.loads(line)["port"]
                    break
            assert port, (await process.stderr.read())[-500:]
        made = SapEwm(
            Integration(
                key="mock",
                system=System.SAP_EWM,
                base_url=f"http://127.0.0.1:{port}",
                credentials={"user": Secret("any"), "password": Secret("any")},
                # the EDMX has no associations: items cannot be expanded
                settings={"items_by": "filter"},
            ),
            Services(),
        )
        yield made
        await made.aclose()
    finally:
        process.kill()
        await process.communicate()


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
