"""Work orders of Oracle Fusion: what they hold, how they are asked for, what of them is cut short."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from sandbox.oracle_fusion.framework import ROOT
from sandbox.oracle_fusion.rows import number_of
from tests.connectors.test_oracle_fusion import CHILD, ORDERS, Rig, orders_query
from unified import queries
from unified.queries import ListQuery
from unified.records import WorkOrderStatus
from unified.values import Quantity


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    yield made
    await made.connector.aclose()


async def test_a_work_order_with_operations_and_materials(rig: Rig) -> None:
    page = await rig.connector.list_work_orders(orders_query(statuses=(WorkOrderStatus.RELEASED,)), None)
    found = next(each for each in page.records if each.status is WorkOrderStatus.RELEASED and each.completed.value)  # type: ignore[union-attr]
    [again] = await rig.connector.read_work_orders([found.source.external_id])
    assert again == found
    item = next(each for each in rig.world.items if number_of(each) == found.item_number)
    lines = rig.world.bom(item.key, "manufacturing")
    assert [each.sequence for each in found.operations] == ["10", "20", "30"]
    assert [each.work_center for each in found.operations] == ["Stores", "Assembly line", "Test bay"]
    assert found.operations[0].completed == found.completed.value  # type: ignore[union-attr]
    assert len(found.materials) == len(lines)
    first, line = found.materials[0], lines[0]
    assert found.planned is not None
    assert first.required == Quantity(value=line.amount * found.planned.value, unit=first.required.unit)
    assert first.item_number == number_of(rig.world.item_by_key[line.item_key])
    assert {each.integration for each in found.materials} == {"fusion"}
    assert found.organization in ("IBA", "ABV")
    assert found.source.vendor_status == "ORA_RELEASED"


async def test_every_status_is_met(rig: Rig) -> None:
    page = await rig.connector.list_work_orders(orders_query(100), None)
    assert page.total == len(page.records) == 60
    assert page.next is None
    assert {each.status for each in page.records} >= {
        WorkOrderStatus.CREATED,
        WorkOrderStatus.RELEASED,
        WorkOrderStatus.COMPLETED,
        WorkOrderStatus.CLOSED,
        WorkOrderStatus.CANCELLED,
    }
    assert WorkOrderStatus.UNKNOWN not in {each.status for each in page.records}


@pytest.mark.parametrize(
    ("wanted", "asked"),
    [
        (
            {"statuses": (WorkOrderStatus.RELEASED,)},
            "(WorkOrderStatusCode in ('RELEASED','ORA_RELEASED','KITTING') or "
            "WorkOrderSystemStatusCode in ('RELEASED','ORA_RELEASED'))",
        ),
        ({"statuses": (WorkOrderStatus.UNKNOWN,)}, None),
        ({"organizations": ("ABV", "M9")}, None),
        (
            {"item_number": "PRD-10026"},
            "(ItemNumber = 'PRD-10026' or UPPER(ItemNumber) like '%P%R%D%1%0%0%2%6%')",
        ),
        ({"updated_after": datetime(2026, 11, 20, tzinfo=UTC)}, "LastUpdateDate >= '2026-11-20T00:00:00.000+00:00'"),
    ],
)
async def test_what_of_a_work_order_filter_is_pushed_down(wanted: dict[str, Any], asked: str | None) -> None:
    rig = Rig({"statuses": {"KITTING": "RELEASED"}})
    filter_ = queries.WorkOrderFilter(**wanted)
    page = await rig.connector.list_work_orders(ListQuery(filter=filter_, limit=100), None)
    everything = (await rig.connector.list_work_orders(orders_query(100), None)).records
    matching = {each.id for each in everything if filter_.matches(each)}
    assert {each.id for each in page.records if filter_.matches(each)} == matching
    plants = "OrganizationCode = 'ABV'" if "organizations" in wanted else "OrganizationCode in ('IBA','ABV')"
    assert rig.asked()[0]["q"] == (plants if asked is None else f"{plants} and {asked}")
    assert (page.total is None) == (set(wanted) != {"organizations"})
    assert matching or wanted == {"statuses": (WorkOrderStatus.UNKNOWN,)}
    await rig.connector.aclose()


async def test_work_orders_by_number_with_and_without_dashes(rig: Rig) -> None:
    everything = (await rig.connector.list_work_orders(orders_query(100), None)).records
    one, other = everything[3], everything[40]
    rig.calls()
    wanted = (one.number, other.number.replace("-", " ").lower(), "IBA-9")
    page = await rig.connector.list_work_orders(orders_query(numbers=wanted), None)
    assert {each.number for each in page.records} >= {one.number, other.number}
    assert rig.calls() == {ORDERS: 1}


async def test_work_orders_of_items_are_not_closed(rig: Rig) -> None:
    everything = (await rig.connector.list_work_orders(orders_query(100), None)).records
    numbers = sorted({each.item_number for each in everything if each.item_number})[:8]
    rig.calls()
    found = await rig.connector.work_orders_of_items(numbers)
    over = (WorkOrderStatus.CLOSED, WorkOrderStatus.CANCELLED)
    assert {each.id for each in found} == {
        each.id for each in everything if each.item_number in numbers and each.status not in over
    }
    assert found
    assert rig.calls() == {ORDERS: 1}
    assert "WorkOrderStatusCode <> 'ORA_CLOSED' and WorkOrderStatusCode <> 'ORA_CANCELED'" in rig.asked()[-1]["q"]


async def test_a_status_of_the_tenants_own_means_what_the_settings_say() -> None:
    """Else what the system status says, else nothing that we know, and it is counted."""
    rig = Rig({"statuses": {"PARKED": "ON_HOLD", "SCRAPPED_OFF": "CANCELLED"}})
    everything = (await rig.connector.list_work_orders(orders_query(100), None)).records
    some = [each for each in everything if each.status is WorkOrderStatus.RELEASED][:4]
    own = ({"WorkOrderStatusCode": "PARKED"}, {"WorkOrderStatusCode": "SCRAPPED_OFF"}, {"WorkOrderStatusCode": "MINE"})
    for order, attributes in zip(some, own, strict=False):
        rig.standin.change(str(order.organization), order.number, **attributes)
    strange = {"WorkOrderStatusCode": "X", "WorkOrderSystemStatusCode": "ORA_PENDING"}
    rig.standin.change(str(some[3].organization), some[3].number, **strange)
    found = {each.id: each for each in await rig.connector.read_work_orders([e.source.external_id for e in some])}
    assert [found[each.id].status for each in some] == [
        WorkOrderStatus.ON_HOLD,
        WorkOrderStatus.CANCELLED,
        WorkOrderStatus.RELEASED,
        WorkOrderStatus.UNKNOWN,
    ]
    assert found[some[3].id].source.vendor_status == "X"
    assert rig.connector.rules.statuses.seen == {"PENDING": 1}
    of_it = await rig.connector.work_orders_of_items([str(some[1].item_number)])
    assert some[1].id not in {each.id for each in of_it}
    await rig.connector.aclose()


@pytest.mark.parametrize("version", [2, 4])
async def test_children_that_are_cut_short_are_read_to_their_end(version: int) -> None:
    """A collection says so; a full array may go on. One call more brings the addresses of all."""
    whole = (await Rig().connector.list_work_orders(orders_query(4), None)).records
    rig = Rig({"framework_version": version}, vendor={"child_rows": 2 if version >= 3 else 25})
    if version < 3:  # two operations more than an array shows
        rows = rig.standin.rows.work_orders()[:1]
        many = [{**rows[0]["WorkOrderOperation"][0], "OperationSequenceNumber": 10 * n} for n in range(1, 28)]
        rig.standin.change(rows[0]["OrganizationCode"], rows[0]["WorkOrderNumber"], WorkOrderOperation=many)
        [found] = await rig.connector.read_work_orders([str(rows[0]["WorkOrderId"])])
        assert [each.sequence for each in found.operations] == [str(10 * n) for n in range(1, 28)]
        assert rig.calls() == {ORDERS: 2, CHILD: 1}
    else:
        found_whole = (await rig.connector.list_work_orders(orders_query(4), None)).records
        assert found_whole == whole
        materials = sum(len(each.materials) > 2 for each in whole)
        assert rig.calls() == {ORDERS: 2, CHILD: 4 + materials}
        assert rig.wire.most <= 10
        links = rig.asked()[-1 - 4 - materials]
        assert links == {
            "q": f"WorkOrderId in ({','.join(sorted(each.source.external_id for each in whole))})",
            "fields": "WorkOrderId",
            "limit": "500",
            "offset": "0",
            "orderBy": "WorkOrderId:asc",
        }
        found_whole = (await rig.connector.list_work_orders(orders_query(4), None)).records
        place = f"{ROOT}/workOrders/{whole[0].source.external_id}/child/WorkOrderOperation"
        assert place in {request.url.path for request in rig.wire.sent}
    await rig.connector.aclose()
