"""What SAP's systems really sent, decoded: exact values, and what each error answer means."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from connectors.kit.errors import BadPayload
from connectors.kit.http import Outcome, OutcomeKind
from connectors.kit.integration import Origin
from connectors.kit.manifest import Decoded, Payload
from connectors.kit.odata import LONGEST_FILTER, blocks, moment, parts, spellings
from connectors.sap_ewm import SapEwm, actions
from connectors.sap_ewm.explain import explain
from connectors.sap_ewm.settings import Settings, rules_of
from unified.records import Location, LocationKind, StockStatus, TaskStatus, WarehouseOrder, WarehouseTask
from unified.values import Quantity, System

SAMPLES = Path(__file__).parents[1] / "samples" / "sap-ewm"
ORIGIN = Origin(integration="ewm", system=System.SAP_EWM, as_of=datetime(2026, 11, 25, tzinfo=UTC))


def decoded(body: bytes | str | dict[str, Any]) -> tuple[str, list[Decoded]]:
    """The name of the decoder that recognises it, and what it reads."""
    raw = json.dumps(body).encode() if isinstance(body, dict) else body if isinstance(body, bytes) else body.encode()
    payload = Payload(body=raw, headers={"content-type": "application/json"})
    decoder = next(each for each in SapEwm.manifest.decoders if each.recognises(payload))
    return decoder.name, list(decoder.read(payload, ORIGIN))


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def test_robot_warehouse_orders() -> None:
    name, found = decoded(sample("robco_warehouse_orders.json"))
    assert name == "robot-warehouse-orders"
    assert [order.number for order in found if isinstance(order, WarehouseOrder)] == ["2000001", "2000002"]
    for order in found:
        assert isinstance(order, WarehouseOrder)
        assert order.warehouse == "1710"
        assert order.status is TaskStatus.OPEN
        assert order.source.vendor_status == ""
        assert order.queue == "LOCAL-ROBOT"
        assert order.resource is None
        assert order.latest_start_at is None
        assert order.latest_start_local == "2019-01-01T12:00:00"
        assert order.source.external_id == f"1710/{order.number}"


@pytest.mark.parametrize(
    ("file", "status", "code"),
    [
        ("robco_assigned_order.json", TaskStatus.IN_PROGRESS, "D"),
        ("robco_confirmed_order.json", TaskStatus.DONE, "C"),
    ],
)
def test_one_robot_warehouse_order(file: str, status: TaskStatus, code: str) -> None:
    name, [order] = decoded(sample(file))
    assert name == "robot-warehouse-orders"
    assert isinstance(order, WarehouseOrder)
    assert (order.number, order.status, order.source.vendor_status) == ("2000001", status, code)
    assert order.resource == "ROBOT_1"


def test_robot_storage_bins() -> None:
    name, found = decoded(sample("robco_storage_bins.json"))
    assert name == "robot-storage-bins"
    bins = [bin_ for bin_ in found if isinstance(bin_, Location)]
    assert [bin_.code for bin_ in bins] == ["021.06.05.01", "021.06.05.02", "021.06.05.03"]
    assert [bin_.level for bin_ in bins] == ["01", "02", "03"]
    for bin_ in bins:
        assert (bin_.zone, bin_.section, bin_.aisle, bin_.stack) == ("Y021", "YS02", "06", "05")
        assert bin_.location_kind is LocationKind.STORAGE_BIN


def test_a_task_of_saps_mock_server() -> None:
    name, [task] = decoded(sample("ewm_v2_task_fe_mockserver.json"))
    assert name == "warehouse-tasks"
    assert isinstance(task, WarehouseTask)
    assert task.source.external_id == "War0/WarehouseTa0/War0"
    assert task.target == Quantity(value=Decimal("366.41"), unit="")
    assert task.status is TaskStatus.UNKNOWN


def answer(name: str) -> httpx.Response:
    """A `.http` file as the response it was."""
    head, _, body = sample(name).decode().replace("\r\n", "\n").partition("\n\n")
    first, *lines = head.split("\n")
    headers = dict(line.split(": ", 1) for line in lines)
    headers.pop("Content-Length", None)
    return httpx.Response(int(first.split()[1]), headers=headers, text=body.strip())


def test_an_unknown_robot_is_a_business_answer_under_404() -> None:
    found = explain(answer("robco_error_robot_not_found.http"))
    assert found == Outcome(kind=OutcomeKind.REJECTED, code="ROBOT_NOT_FOUND", message=None)


def test_an_unsupported_combination_is_a_business_error() -> None:
    found = explain(httpx.Response(400, content=sample("ewm_error_parameter_combination.json")))
    assert found == Outcome(
        kind=OutcomeKind.REJECTED,
        code="/SCWM/ODATA_API/040",
        message="Parameter combination for action Create Warehouse Task is not supported",
    )


@pytest.mark.parametrize(
    ("status", "headers", "body", "kind", "code", "message"),
    [
        (404, {}, {"error": {"code": "NO_ORDER_FOUND"}}, OutcomeKind.ABSENT, "NO_ORDER_FOUND", None),
        (404, {}, {"error": {"code": "FOREIGN_LOCK"}}, OutcomeKind.CONFLICT, "FOREIGN_LOCK", None),
        (
            404,
            {},
            {"error": {"code": "/IWBEP/CM_MGW_RT/020", "message": {"value": "gone"}}},
            OutcomeKind.ABSENT,
            "/IWBEP/CM_MGW_RT/020",
            "gone",
        ),
        (
            400,
            {},
            {"error": {"code": "/IWBEP/CM_MGW_RT/021", "message": {"value": "x"}}},
            OutcomeKind.BAD_REQUEST,
            "/IWBEP/CM_MGW_RT/021",
            "x",
        ),
        (400, {}, {"error": {"code": 7, "message": "text"}}, OutcomeKind.BAD_REQUEST, "7", "text"),
        (403, {"x-csrf-token": "Required"}, {}, OutcomeKind.DENIED, "x-csrf-token: Required", None),
        (403, {}, {"error": {"code": "/IWFND/MED/170", "message": "no"}}, OutcomeKind.DENIED, "/IWFND/MED/170", "no"),
        (
            405,
            {},
            {"error": {"code": "SADL_ENTITY_RUNTIME/011", "message": "Creating operations are disabled"}},
            OutcomeKind.REJECTED,
            "SADL_ENTITY_RUNTIME/011",
            "Creating operations are disabled",
        ),
        (412, {}, {}, OutcomeKind.CONFLICT, None, None),
        (503, {"content-type": "text/html"}, {}, OutcomeKind.DOWN, None, None),
        (200, {"content-type": "text/html"}, {}, OutcomeKind.AUTH_EXPIRED, None, None),
    ],
)
def test_what_error_answers_mean(
    status: int, headers: dict[str, str], body: Any, kind: OutcomeKind, code: str | None, message: str | None
) -> None:
    found = explain(httpx.Response(status, headers=headers, content=json.dumps(body)))
    assert found is not None
    assert (found.kind, found.code) == (kind, code)
    if code != "x-csrf-token: Required" and kind is not OutcomeKind.AUTH_EXPIRED:
        assert found.message == message


def test_the_bound_action_of_v4_is_what_a_client_sends() -> None:
    sent = json.loads(sample("ewm_v4_confirm_task_request.json"))
    action = actions.confirm_product_task(("1710", "100000123", "1"), unit="EA", actual=1, to_bin="011.01.01.01")
    assert sent["path"] == "/sap/opu/odata4/sap" + action.path
    assert sent["body"] == action.body
    assert sent["headers"]["If-Match"] == action.headers["If-Match"]
    unit = actions.confirm_unit_task(("1710", "100000124", "1"), to_bin="GI-1")
    assert unit.path.endswith("/WarehouseTask/1710/100000124/1/SAP__self.ConfirmWarehouseTaskHndlgUnit")
    assert unit.body == {"DestinationStorageBin": "GI-1", "WhseTaskExCodeDestStorageBin": ""}


# --- shapes that no sample has


def test_older_servers_send_a_bare_list() -> None:
    name, [order] = decoded(
        {"d": [{"Warehouse": "1710", "WarehouseOrder": "1", "WarehouseOrderStatus": "Z", "Unheard": {}}]}
    )
    assert name == "warehouse-orders"
    assert isinstance(order, WarehouseOrder)
    assert (order.status, order.source.vendor_status) == (TaskStatus.UNKNOWN, "Z")


def test_stock_on_a_resource_has_no_location() -> None:
    row = {"EWMWarehouse": "1710", "Product": "A/B", "AvailableEWMStockQty": 2.5, "EWMStockQuantityBaseUnit": "KG"}
    name, [found] = decoded(
        {"value": [row | {"EWMStockType": "XX", "EWMResource": "AMR01", "ShelfLifeExpirationDate": "9999-12-31"}]}
    )
    assert name == "available-stock"
    balance: Any = found
    assert balance.location is None
    assert balance.expires_on is None
    assert balance.status is StockStatus.UNKNOWN
    assert balance.available == Quantity(value=Decimal("2.5"), unit="KGM")
    assert parts(balance.source.external_id, 15) == ["1710", "A/B", "", "", "", "XX", *[""] * 8, "AMR01"]


def test_a_wrong_type_is_told_with_its_path() -> None:
    body = {
        "d": {
            "results": [
                {"Warehouse": "1710", "WarehouseOrder": "1", "WarehouseOrderStatus": ""},
                {"Warehouse": "1710", "WarehouseOrder": "2", "WarehouseOrderStatus": [], "Secret": "x"},
            ]
        }
    }
    with pytest.raises(BadPayload) as caught:
        decoded(body)
    assert caught.value.path == "$.d.results[1].WarehouseOrderStatus"
    body["d"]["results"][1] = {
        "Warehouse": "1710", "WarehouseOrder": "2", "WarehouseOrderStatus": "", "LastChangeDateTime": "soon",
    }  # fmt: skip
    with pytest.raises(BadPayload) as caught:
        decoded(body)
    assert caught.value.path == "$.d.results[1].LastChangeDateTime"


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"d": 7}', b'{"d": {"results": 7}}', b'{"value": [7]}'])
def test_what_is_none_of_ours_is_recognised_by_nothing(body: bytes) -> None:
    assert not [each.name for each in SapEwm.manifest.decoders if each.recognises(Payload(body=body))]


def test_the_text_decides_what_a_means() -> None:
    rules = rules_of(Settings(warehouse_order_statuses={"Z": TaskStatus.DONE}))
    assert rules.warehouse_order_status("A", "Open") is TaskStatus.OPEN
    assert rules.warehouse_order_status("A", None) is TaskStatus.CANCELLED
    assert rules.warehouse_order_status("A", "Storniert") is TaskStatus.CANCELLED
    assert rules.warehouse_order_status("Z", None) is TaskStatus.DONE


def test_times_of_v2() -> None:
    at = datetime(2016, 6, 16, 22, 28, 21, tzinfo=UTC)
    assert moment("/Date(1466116101000)/", path="$") == at
    assert moment("/Date(1466116101000+0120)/", path="$") == at
    assert moment("2016-06-16T22:28:21Z", path="$") == at
    assert moment(None, path="$") is None


def test_numbers_and_blocks() -> None:
    assert spellings("0080001000", 10) == ["0080001000", "80001000"]
    assert spellings("PRD-1", 18) == ["PRD-1"]
    terms = [f"Product eq '{n:018d}'" for n in range(1000)]
    made = list(blocks(terms))
    assert [term for block in made for term in block] == terms
    assert all(len(quote(" or ".join(block), safe="'(),")) <= LONGEST_FILTER for block in made)
    assert LONGEST_FILTER <= 7_000, "with the rest of the URL a line of 8 KiB"
