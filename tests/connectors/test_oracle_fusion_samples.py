"""Every sample of the interface, read to its exact values by the decoders that the live path uses."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from connectors.kit.errors import BadPayload, BadRequest, MappingFailed, SignatureInvalid
from connectors.kit.integration import Integration, Origin, Secret
from connectors.kit.manifest import Decoded, Payload
from connectors.kit.protocols import BomRequest
from connectors.kit.services import Services
from connectors.oracle_fusion import OracleFusion, values
from server import decoding
from tests.connectors.contract import NOW, FakeClock
from unified.records import (
    Bom,
    BomLine,
    Item,
    ItemType,
    WorkOrder,
    WorkOrderMaterial,
    WorkOrderOperation,
    WorkOrderStatus,
)
from unified.values import Quantity, System

SAMPLES = Path(__file__).parents[1] / "samples" / "oracle-fusion"
ORIGIN = Origin(integration="fusion", system=System.ORACLE_FUSION, as_of=NOW)
POD = "https://servername.fa.us2.oraclecloud.com/fscmRestApi/resources/11.13.18.05"


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def told(name: str) -> Any:
    return json.loads(sample(name))


def decoded(body: bytes | Any) -> tuple[str, list[Decoded]]:
    """The name of the first decoder that recognises it, as `crossdock decode` does, and what it reads."""
    payload = Payload(body=body if isinstance(body, bytes) else json.dumps(body).encode())
    decoder = next(each for each in OracleFusion.manifest.decoders if each.recognises(payload))
    return decoder.name, list(decoder.read(payload, ORIGIN))


def shown(body: bytes, status: int = 200) -> list[dict[str, Any]]:
    lines, readable = decoding.decode(OracleFusion.manifest, body, as_kind=None, headers=[], status=status)
    assert readable
    return [json.loads(line) for line in lines]


def connector(answer: Callable[[httpx.Request], httpx.Response], **settings: Any) -> tuple[OracleFusion, FakeClock]:
    clock = FakeClock()
    made = Integration(
        key="fusion",
        system=System.ORACLE_FUSION,
        base_url="https://servername.fa.us2.oraclecloud.com",
        credentials={"username": Secret("u"), "password": Secret("p"), "webhook_secret": Secret("whsec_test")},
        settings=settings,
    )
    return OracleFusion(made, Services(transport=httpx.MockTransport(answer), clock=clock)), clock


def reply(body: bytes | Any, status: int = 200, media: str = "application/json") -> httpx.Response:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx.Response(status, headers={"content-type": media}, stream=httpx.ByteStream(raw))


# --- items


def item(number: str, item_id: str, **more: Any) -> Item:
    return Item(
        source=ORIGIN.source(f"M1:{item_id}", "Active"),
        updated_at=datetime(2024, 10, 14, 8, tzinfo=UTC),
        number=number,
        lifecycle="Production",
        **more,
    )


MAIN = item("ASM-12345", "100000000000001", name="Main assembly", item_type=ItemType.ASSEMBLY, unit="Each")
PART = item("PRT-1", "100000000000002", name="PRT-1", item_type=ItemType.COMPONENT, unit="kg")


def test_a_page_of_items() -> None:
    name, found = decoded(sample("items_page.json"))
    assert name == "items"
    etag = told("items_page.json")["items"][0]["links"][0]["properties"]["changeIndicator"]
    assert found == [
        MAIN,
        PART,
        values.Address(resource="itemsV2", href=f"{POD}/itemsV2/00020000001444454641554C54", etag=etag),
        values.Address(resource="itemsV2", href=f"{POD}/itemsV2/00020000001444454641554C55", etag=etag),
        values.Page(resource="itemsV2", count=2, offset=0, has_more=False, next_offset=None),
    ]
    assert PART.description is None


async def test_the_live_path_reads_the_same_items() -> None:
    made, clock = connector(lambda _request: reply(sample("items_page.json")))
    found = await made.read_items(["M1:100000000000001", "M1:100000000000002"])
    live = Origin(integration="fusion", system=System.ORACLE_FUSION, as_of=clock.now())
    assert [each.source for each in found] == [live.source(f"M1:10000000000000{n}", "Active") for n in (1, 2)]
    assert [(each.number, each.name, each.unit, each.item_type) for each in found] == [
        ("ASM-12345", "Main assembly", "Each", ItemType.ASSEMBLY),
        ("PRT-1", "PRT-1", "kg", ItemType.COMPONENT),
    ]
    await made.aclose()


async def test_items_of_one_moment_are_polled_by_a_second_key() -> None:
    """Both items of the page changed at the same time, so that the time alone tells no order."""
    asked: list[dict[str, list[str]]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(parse_qs(request.url.query.decode()))
        return reply(sample("items_page.json"))

    made, clock = connector(answer, polled=["items"])
    first = await made.poll(None)
    clock.passed += 60
    polled = await made.poll(first.cursor)
    assert [raw.delivery_id for raw in polled.raws] == [
        "items/M1:100000000000001/2024-10-14T08:00:00+00:00",
        "items/M1:100000000000002/2024-10-14T08:00:00+00:00",
    ]
    assert asked[-1]["orderBy"] == ["LastUpdateDateTime:asc,ItemId:asc,OrganizationCode:asc"]
    await made.aclose()


def test_any_other_collection_gives_addresses_and_where_it_goes_on() -> None:
    name, found = decoded(sample("collection_page_invoices.json"))
    assert name == "collection"
    [address, page] = found
    assert address == values.Address(
        resource="invoices",
        href=f"{POD}/invoices/361908",
        etag=told("collection_page_invoices.json")["items"][0]["links"][0]["properties"]["changeIndicator"],
    )
    assert page == values.Page(resource="invoices", count=1, offset=0, has_more=True, next_offset=1)


# --- structures


def line(position: int, external_id: str, number: str, quantity: str, find: str, **more: Any) -> BomLine:
    return BomLine(
        **{
            "position": position,
            "level": 1,
            "external_id": external_id,
            "find_number": find,
            "item_number": number,
            "quantity": Decimal(quantity),
            "total_quantity": Decimal(quantity),
            "integration": "fusion",
        }
        | more
    )


LAPTOP = Bom(
    source=ORIGIN.source("300100569482881"),
    item_number="Laptop 2050",
    view="Primary",
    lines=(
        line(0, "300100569482883", "Display 15", "1", "10", unit="Each"),
        line(1, "300100569482884", "Screw M2", "0.024", "20", unit="Kilogram"),
    ),
)
ONE = values.Page(count=1)


def test_a_structure() -> None:
    assert decoded(sample("item_structure.json")) == ("structures", [LAPTOP, ONE])


def test_a_structure_whose_components_are_a_collection() -> None:
    body = told("item_structure.json")
    body["items"][0]["Component"] = {"items": body["items"][0]["Component"], "count": 2, "hasMore": False}
    assert decoded(body) == ("structures", [LAPTOP, ONE])


@pytest.mark.parametrize("collection", [False, True])
async def test_the_live_path_reads_the_same_structure(collection: bool) -> None:
    body = told("item_structure.json")
    body["items"][0]["ItemId"] = 100101496749358
    if collection:
        body["items"][0]["Component"] = {"items": body["items"][0]["Component"], "hasMore": False}

    def answer(request: httpx.Request) -> httpx.Response:
        [q] = parse_qs(request.url.query.decode())["q"]
        nothing = {"items": [], "count": 0, "hasMore": False}
        return reply(body if "ItemId = 100101496749358" in q else nothing)

    made, _ = connector(answer)
    [found] = await made.explode([BomRequest(item="V1:100101496749358")])
    assert found is not None
    assert found.lines == LAPTOP.lines
    assert (found.item_number, found.view) == ("Laptop 2050", "Primary")
    assert found.source.external_id == "V1:100101496749358?structure=Primary"
    await made.aclose()


def test_the_flat_resource_where_all_is_text() -> None:
    name, found = decoded(sample("flat_structure.json"))
    assert name == "flat-structure"
    assert found == [
        Bom(
            source=ORIGIN.source("300100569482881"),
            item_number="Laptop 2050",
            view="Primary",
            lines=(
                line(
                    0, "300100569482883", "Display 15", "1", "10",
                    unit="Each", name="Display, 15 inch", has_children=True,
                ),
                line(1, "300100569483000", "Screw M2", "4", "10", level=2, parent=0),
            ),
        )
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "error", "path"),
    [
        ({"DotLevel": "null", "PlanLevel": "null"}, MappingFailed, "[2].DotLevel"),
        ({"DotLevel": "....4", "PlanLevel": "4"}, BadPayload, "[2].DotLevel"),
        ({"ParentItemNumber": "Keyboard"}, BadPayload, "[2].ParentItemNumber"),
        ({"ComponentQuantity": "many"}, MappingFailed, "[2].ComponentQuantity"),
    ],
)
def test_flat_rows_that_make_no_tree_say_where(change: dict[str, str], error: type, path: str) -> None:
    body = told("flat_structure.json")
    body["structureComponentsItemsDetails"][2].update(change)
    with pytest.raises(error) as caught:
        decoded(body)
    assert caught.value.path == f"$.structureComponentsItemsDetails{path}"


# --- work orders


def ordered(value: str, unit: str = "") -> Quantity:
    return Quantity(value=Decimal(value), unit=unit)


def test_a_work_order_with_operations() -> None:
    name, found = decoded(sample("work_order_with_operations.json"))
    assert name == "work-orders"
    assert found == [
        WorkOrder(
            source=ORIGIN.source("300000205541234", "ORA_RELEASED"),
            number="PCANS-1030",
            status=WorkOrderStatus.RELEASED,
            organization="PCANS",
            item_number="MOTO-110",
            planned=ordered("20"),
            completed=ordered("2"),
            scrapped=ordered("0"),
            planned_start_at=datetime(2026, 10, 6, 12, tzinfo=UTC),
            planned_completion_at=datetime(2026, 10, 16, 12, tzinfo=UTC),
            operations=(
                WorkOrderOperation(
                    sequence="10",
                    name="Assembly",
                    ready=Decimal(5),
                    completed=Decimal(2),
                    scrapped=Decimal(0),
                    rejected=Decimal(0),
                ),
            ),
        ),
        ONE,
    ]


def test_materials_and_a_status_of_the_tenants_own() -> None:
    """`KITTING` stands for RELEASED; the end of all times is no date; the text `null` is no text."""
    name, [order, page] = decoded(sample("work_order_materials.json"))
    assert (name, page) == ("work-orders", ONE)
    assert order == WorkOrder(
        source=ORIGIN.source("300000205541235", "KITTING"),
        number="PCANS-1031",
        status=WorkOrderStatus.RELEASED,
        organization="PCANS",
        item_number="MOTO-110",
        description="Motorcycle 110",
        planned=ordered("4", "Ea"),
        completed=ordered("0", "Ea"),
        scrapped=ordered("0", "Ea"),
        planned_start_at=datetime(2026, 10, 6, tzinfo=UTC),
        materials=(
            WorkOrderMaterial(
                item_number="FRAME-110",
                operation_sequence="10",
                required=ordered("4", "Ea"),
                issued=ordered("1", "Ea"),
                supply_type="1",
                integration="fusion",
            ),
            WorkOrderMaterial(
                item_number="OIL-10W40",
                description="Engine oil",
                operation_sequence="20",
                required=ordered("3.2", "LTR"),
                supply_type="3",
                integration="fusion",
            ),
        ),
    )


async def test_materials_that_were_cut_short_are_read_whole() -> None:
    """The sample says that there is more; as it has no links they are asked for, and the key in them is not ours."""
    whole = told("work_order_materials.json")["items"][0]["WorkOrderMaterial"]["items"]
    third = whole[1] | {"OperationSequenceNumber": 30, "ItemNumber": "SEAL"}
    child = f"{POD}/workOrders/00020000000EACED0005/child/WorkOrderMaterial"
    paths: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.path.rpartition("/11.13.18.05/")[2])
        if "/child/" in request.url.path:
            return reply({"items": [*whole, third], "hasMore": False, "offset": 0})
        if "onlyData" in request.url.params:
            return reply(sample("work_order_materials.json"))
        links = [{"rel": "child", "href": child, "name": "WorkOrderMaterial", "kind": "collection"}]
        return reply({"items": [{"WorkOrderId": 300000205541235, "links": links}], "hasMore": False})

    made, _ = connector(answer)
    [order] = await made.read_work_orders(["300000205541235"])
    assert [each.item_number for each in order.materials] == ["FRAME-110", "OIL-10W40", "SEAL"]
    assert paths == ["workOrders", "workOrders", "workOrders/00020000000EACED0005/child/WorkOrderMaterial"]
    await made.aclose()


def test_a_work_order_that_somebody_wants() -> None:
    assert decoded(told("work_order_create_request.json")["body"]) == (
        "work-order-request",
        [
            values.WorkOrderRequest(
                number="1560",
                organization="MFG",
                item_number="U8ACC-00001-0",
                quantity=ordered("20"),
                status="RELEASED",
                vendor_status="ORA_RELEASED",
                planned_start_at=datetime(2022, 11, 16, 17, tzinfo=UTC),
            )
        ],
    )


def test_a_report_of_an_operation() -> None:
    assert decoded(told("operation_transaction_request.json")["body"]) == (
        "operation-transactions",
        [
            values.OperationReport(
                source_system="FUSION_MOBILE",
                organization="PVM",
                work_order_number="1000000727",
                operation_sequence="10",
                quantity=ordered("1", "EA"),
                from_state="READY",
                to_state="COMPLETE",
                serial_numbers=("073-12000020/2026",),
                reported_at=datetime(2024, 10, 10, 15, 20, tzinfo=UTC),
            )
        ],
    )


# --- errors, tokens, events


def test_an_error_with_details_read_by_itself() -> None:
    assert decoded(sample("error_details.json")) == (
        "error",
        [
            values.Fault(
                status="400",
                title="Bad Request",
                code="EGP-2859193",
                message="The value of the attribute ItemNumber isn't valid.",
                path="/ItemNumber",
            ),
            values.Fault(
                status="400",
                title="Bad Request",
                code="27014",
                message="You must provide a value for OrganizationCode.",
                path="/OrganizationCode",
            ),
        ],
    )


@pytest.mark.parametrize("status", [400, 200])
def test_an_error_is_an_error_whatever_status_it_comes_with(status: int) -> None:
    assert shown(sample("error_details.json"), status) == [
        {
            "kind": "Outcome",
            "outcome": "BAD_REQUEST",
            "code": "EGP-2859193",
            "message": "The value of the attribute ItemNumber isn't valid. (at /ItemNumber) "
            "You must provide a value for OrganizationCode. (at /OrganizationCode)",
            "retryAfter": None,
        }
    ]


async def test_the_live_path_says_both_faults_and_asks_once() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return reply(sample("error_details.json"), 400, "application/vnd.oracle.adf.error+json")

    made, _ = connector(answer)
    with pytest.raises(BadRequest, match=r"ItemNumber isn't valid\. \(at /ItemNumber\) You must") as caught:
        await made.read_items(["M1:1"])
    assert caught.value.vendor_code == "EGP-2859193"
    assert len(asked) == 1
    await made.aclose()


def messages(name: str) -> tuple[list[str], list[str]]:
    """Request and answer of a captured exchange: each its lines."""
    text = sample(name).decode().replace("\r\n", "\n")
    request, _, response = text.partition("\n\nHTTP/1.1 ")
    return request.split("\n"), response.split("\n")


def test_a_token_lives_an_hour_and_cannot_be_refreshed() -> None:
    _, answer = messages("token_request_response.http")
    body = answer[-1] or answer[-2]
    assert decoded(body.encode()) == (
        "token",
        [values.Token(token_type="Bearer", expires_in_seconds=3600, refreshable=False)],
    )
    assert "eyJ4" not in json.dumps(shown(body.encode()))


async def test_our_request_for_a_token_is_the_captured_one() -> None:
    request, answer = messages("token_request_response.http")
    url, form = request[0].removeprefix("POST "), request[-1]
    sent: list[httpx.Request] = []

    def send(given: httpx.Request) -> httpx.Response:
        sent.append(given)
        if str(given.url) == url:
            return reply((answer[-1] or answer[-2]).replace("…", "-abridged").encode())
        return reply(sample("items_page.json"))

    clock = FakeClock()
    made = OracleFusion(
        Integration(
            key="fusion",
            system=System.ORACLE_FUSION,
            base_url="https://servername.fa.us2.oraclecloud.com",
            credentials={"client_id": Secret("id"), "client_secret": Secret("secret")},
            settings={"token_url": url, "scope": parse_qs(form)["scope"][0]},
        ),
        Services(transport=httpx.MockTransport(send), clock=clock),
    )
    await made.check()
    clock.passed += 3_500
    await made.check()
    token, first, second = sent
    assert parse_qs(token.content.decode()) == parse_qs(form)
    assert token.headers["authorization"] == "Basic " + base64.b64encode(b"id:secret").decode()
    assert token.headers["content-type"].startswith("application/x-www-form-urlencoded")
    assert first.headers["authorization"] == second.headers["authorization"] == "Bearer eyJ4NXQjUzI1NiI6-abridged"
    await made.aclose()


SIGNED = "d393e75d0c8a667f964b7254dd6e0e9818444eedca46ffe8c33750e80aaa2b6b"


def test_a_business_event() -> None:
    assert decoded(sample("webhook_item_updated.json")) == (
        "business-event",
        [
            values.BusinessEvent(
                id="evt-0001",
                type="oracle.apps.scm.items.itemUpdated",
                subject="item",
                number="ASM-12345",
                organization="M1",
                occurred_at=datetime(2024, 10, 15, 10, 30, tzinfo=UTC),
            )
        ],
    )


@pytest.mark.parametrize("prefix", ["", "sha256=", "SHA256="])
def test_the_signature_of_the_event_is_over_its_raw_bytes(prefix: str) -> None:
    made, _ = connector(lambda _request: reply(sample("items_page.json")))
    body, headers = sample("webhook_item_updated.json"), {"x-hub-signature-256": prefix + SIGNED}
    made.verify(Payload(body=body, headers=headers))
    for other in (body + b"\n", json.dumps(json.loads(body)).encode()):
        with pytest.raises(SignatureInvalid):
            made.verify(Payload(body=other, headers=headers))
    raw = made.received(Payload(body=body, headers=headers))
    assert raw is not None
    assert (raw.delivery_id, raw.decoder) == ("event/evt-0001", "business-event")


# --- as `crossdock decode` shows it


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("items_page.json", ["Item", "Item", "Address", "Address", "Page"]),
        ("item_structure.json", ["Bom", "Page"]),
        ("flat_structure.json", ["Bom"]),
        ("work_order_with_operations.json", ["WorkOrder", "Page"]),
        ("work_order_materials.json", ["WorkOrder", "Page"]),
        ("collection_page_invoices.json", ["Address", "Page"]),
        ("webhook_item_updated.json", ["BusinessEvent"]),
    ],
)
def test_decode_shows_each_sample(name: str, kinds: list[str]) -> None:
    assert [each["kind"] for each in shown(sample(name))] == kinds


def test_decode_writes_exact_numbers_and_times() -> None:
    bom = shown(sample("item_structure.json"))[0]
    assert [(each["itemNumber"], each["quantity"], each["unit"]) for each in bom["lines"]] == [
        ("Display 15", "1", "Each"),
        ("Screw M2", "0.024", "Kilogram"),
    ]
    order = shown(sample("work_order_with_operations.json"))[0]
    assert (order["status"], order["plannedStartAt"]) == ("RELEASED", "2026-10-06T12:00:00Z")
    assert order["operations"][0]["ready"] == "5"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b'{"items": [{"ItemId": 1, "OrganizationCode": "M1", "ItemNumber": 7}]}', "$.items[0].ItemNumber"),
        (b'{"items": [{"ItemId": 1, "OrganizationCode": "M1", "ItemNumber": "A"}', "$"),
    ],
)
def test_what_cannot_be_read_says_where(body: bytes, path: str) -> None:
    lines, readable = decoding.decode(OracleFusion.manifest, body, as_kind="items", headers=[], status=200)
    assert not readable
    assert json.loads(lines[-1])["path"] == path


def test_the_index_tells_of_every_sample() -> None:
    told_of = (SAMPLES / "INDEX.md").read_text()
    assert [
        path.name for path in SAMPLES.iterdir() if path.name != "INDEX.md" and f"`{path.name}`" not in told_of
    ] == []
