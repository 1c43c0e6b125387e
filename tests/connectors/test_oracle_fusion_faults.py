"""Oracle Fusion answers badly: faults in both forms, pages that make no sense, links that lead elsewhere."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from connectors.kit.errors import (
    BadPayload,
    BadRequest,
    Conflict,
    MappingFailed,
    PermissionDenied,
    RateLimited,
    VendorDown,
)
from sandbox import oracle_fusion
from sandbox.oracle_fusion.framework import ROOT
from sandbox.standin import Failure
from tests.connectors.test_oracle_fusion import (
    ITEM,
    ORDER,
    Rig,
    items_query,
    orders_query,
    page,
)
from unified.values import Quantity


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    yield made
    await made.connector.aclose()


async def test_errors_with_details_are_told_in_oracles_words(rig: Rig) -> None:
    fault = {
        "title": "Bad Request",
        "status": "400",
        "o:errorDetails": [
            {"detail": "The value isn't valid.", "o:errorCode": "EGP-1", "o:errorPath": "/ItemNumber"},
            {"detail": "You must provide a value.", "o:errorCode": "27014"},
            *({"detail": f"Fault {n}."} for n in range(9)),
        ],
    }
    rig.faults.fail_next.append(Failure(400, body=fault, path="itemsV2"))
    with pytest.raises(BadRequest) as caught:
        await rig.connector.read_items([rig.item_id(0)])
    assert caught.value.vendor_code == "EGP-1"
    assert "The value isn't valid. (at /ItemNumber) You must provide a value. Fault 0." in str(caught.value)
    assert "and 6 more" in str(caught.value)


@pytest.mark.parametrize(
    ("failure", "error", "words"),
    [
        (
            Failure(400, body="JBO-25009: Cannot create an object\nat oracle.jbo"),
            BadRequest,
            "JBO-25009: Cannot create",
        ),
        (Failure(403, body="Forbidden"), PermissionDenied, "Forbidden"),
        (Failure(412, body=""), Conflict, "412"),
        (Failure(400, body={"title": "No", "status": "400", "o:errorCode": "X-1"}), BadRequest, r"\(X-1\): No"),
        (Failure(400, body={"stack": "at oracle.jbo"}), BadRequest, "bad request$"),
        (Failure(400, headers={"Content-Type": "text/html"}, body=b"<html>secret</html>"), BadRequest, "bad request$"),
        (Failure(302, headers={"Location": "https://login"}), BadPayload, "final address"),
        (
            Failure(200, body={"title": "Busy", "status": "503", "o:errorDetails": [{"detail": "Later"}]}),
            VendorDown,
            "Later",
        ),
        (Failure(200, body={"title": "No", "status": "abc", "o:errorCode": "Y"}), BadRequest, r"\(Y\): No"),
        (Failure(429, body="Too many"), RateLimited, "Too many"),
    ],
)
async def test_what_faults_mean(rig: Rig, failure: Failure, error: type[Exception], words: str) -> None:
    await rig.connector.check()
    rig.faults.fail_next.extend([failure] * 3)
    with pytest.raises(error, match=words) as caught:
        await rig.connector.read_items([rig.item_id(0)])
    assert "oracle.jbo" not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("failure", "words", "path"),
    [
        (page(ITEM, offset=50), "the one from row 50 came", "$.offset"),
        (page(hasMore=True), "says that there are more", "$.hasMore"),
        (page({**ITEM, "LastUpdateDateTime": "yesterday"}), "no ISO 8601 time", "$.items[0].LastUpdateDateTime"),
        (page({**ITEM, "ItemId": None}), "ItemId", "$.items[0].ItemId"),
        (Failure(200, body=b'{"items": [{"ItemId": 1'), "no JSON", "$"),
        (Failure(200, body=[]), "Expected `object`", "$"),
    ],
)
async def test_nonsense_is_an_error_with_its_place(rig: Rig, failure: Failure, words: str, path: str) -> None:
    await rig.connector.check()
    rig.faults.fail_next.append(failure)
    with pytest.raises(BadPayload) as caught:
        await rig.connector.list_items(items_query(), None)
    assert words in str(caught.value)
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("attributes", "path"),
    [
        ({"PlannedStartDate": "soon"}, "$.items[0].PlannedStartDate"),
        ({"LastUpdateDate": "2026-11-25"}, "$.items[0].LastUpdateDate"),
        (
            {"WorkOrderOperation": [{"OperationSequenceNumber": 10, "PlannedStartDate": "soon"}]},
            "$.items[0].WorkOrderOperation[0].PlannedStartDate",
        ),
        ({"PlannedStartQuantity": "1e99"}, "$.items[0].PlannedStartQuantity"),
    ],
)
async def test_a_work_order_that_means_nothing_says_where(rig: Rig, attributes: dict[str, Any], path: str) -> None:
    await rig.connector.check()
    rig.faults.fail_next.append(page({**ORDER, **attributes}))
    with pytest.raises(MappingFailed) as caught:
        await rig.connector.list_work_orders(orders_query(), None)
    assert caught.value.path == path


async def test_values_in_all_their_spellings(rig: Rig) -> None:
    """Numbers as texts, the text null, days, times without zone in the plant's, no end, huge ids."""
    lagos = Rig({"time_zone": "Africa/Lagos"})
    await lagos.connector.check()
    row = {
        **ORDER,
        "WorkOrderId": "300000205541234567",
        "PlannedStartQuantity": "2.50",
        "CompletedQuantity": "null",
        "PlannedStartDate": "2026-10-06",
        "PlannedCompletionDate": "4712-12-31T00:00:00+00:00",
        "ReleasedDate": "2026-10-06T08:15",
        "ActualStartDate": "null",
        "LastUpdateDate": "2026-10-06T09:15:30.123456+02:00",
        "WorkOrderOperation": {"items": [{"OperationSequenceNumber": 10.0}, {"OperationSequenceNumber": "5"}]},
        "WorkOrderMaterial": [
            {"ItemNumber": "B", "OperationSequenceNumber": 10, "Quantity": None, "SupplyType": 3},
            {"ItemNumber": "A"},
        ],
    }
    lagos.faults.fail_next.append(page(row))
    [found] = (await lagos.connector.list_work_orders(orders_query(), None)).records
    assert found.source.external_id == "300000205541234567"
    assert found.planned == Quantity(value=Decimal("2.50"), unit="")
    assert found.completed == found.scrapped == Quantity(value=Decimal(0), unit="")
    assert found.planned_start_at == datetime(2026, 10, 5, 23, tzinfo=UTC)
    assert found.planned_completion_at is None
    assert found.released_at == datetime(2026, 10, 6, 7, 15, tzinfo=UTC)
    assert found.started_at is None
    assert found.updated_at == datetime(2026, 10, 6, 7, 15, 30, 123456, tzinfo=UTC)
    assert [each.sequence for each in found.operations] == ["5", "10"]
    assert [(each.item_number, each.required.value, each.supply_type) for each in found.materials] == [
        ("A", 0, None),
        ("B", 0, "3"),
    ]
    assert found.materials[0].operation_sequence is None
    await lagos.connector.aclose()


async def test_the_next_page_must_be_another_one(rig: Rig) -> None:
    """A vendor that gives the first page for ever is not read for ever."""
    await rig.connector.check()
    again = page(ITEM, hasMore=True)
    rig.faults.fail_next.extend([again, again])
    with pytest.raises(BadPayload, match="the page from row 1 was asked for, the one from row 0 came"):
        await rig.connector.items_by_number(["A"])


@pytest.mark.parametrize(
    "href",
    [
        "https://elsewhere.example/secret",
        "https://servername/fscmRestApi/resources/11.13.18.05/../../admin/child",
        "http://[broken",
    ],
)
async def test_a_link_that_leads_elsewhere_is_not_followed(rig: Rig, href: str) -> None:
    await rig.connector.check()
    operations = {"items": [], "hasMore": True, "links": [{"rel": "self", "href": href}]}
    rig.faults.fail_next.append(page({**ORDER, "WorkOrderOperation": operations}))
    rig.wire.sent.clear()
    with pytest.raises(BadPayload, match="a link leads out"):
        await rig.connector.list_work_orders(orders_query(), None)
    assert len(rig.wire.sent) == 1


async def test_a_child_that_has_no_address_is_an_error_and_not_cut(rig: Rig) -> None:
    await rig.connector.check()
    cut = {"items": [], "hasMore": True}
    rig.faults.fail_next += [page({**ORDER, "WorkOrderMaterial": cut}), page({"WorkOrderId": ORDER["WorkOrderId"]})]
    with pytest.raises(BadPayload, match="workOrders gives no link to the rest of WorkOrderMaterial"):
        await rig.connector.list_work_orders(orders_query(), None)


async def test_a_link_of_another_name_of_the_pod_is_followed_at_our_address(rig: Rig) -> None:
    await rig.connector.check()
    order = rig.standin.rows.work_orders()[0]
    href = f"https://fa-internal.oraclecloud.com:443{ROOT}/workOrders/{order['WorkOrderId']}/child/WorkOrderOperation"
    cut = {"items": [], "hasMore": True, "links": [{"rel": "self", "href": href}]}
    rig.faults.fail_next.append(page({**ORDER, "WorkOrderOperation": cut}))
    [found] = (await rig.connector.list_work_orders(orders_query(), None)).records
    assert [each.sequence for each in found.operations] == ["10", "20", "30"]
    assert rig.wire.sent[-1].url.host == "vendor"


async def test_one_failing_part_gives_up_the_others(rig: Rig) -> None:
    await rig.connector.check()
    rig.faults.fail_next.append(Failure(400, body="No"))
    with pytest.raises(BadRequest):
        await rig.connector.read_items([rig.item_id(place) for place in range(400)])
    await asyncio.sleep(0)
    assert not rig.connector.api._flights


async def test_no_secret_is_in_an_address(rig: Rig) -> None:
    await rig.connector.check()
    addresses = " ".join(str(request.url) for request in rig.wire.sent)
    assert oracle_fusion.CLIENT_SECRET not in addresses
    assert "sandbox-oracle-token" not in addresses
