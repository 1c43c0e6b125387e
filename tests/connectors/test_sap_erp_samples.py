"""What SAP's systems and an independent server really sent, read to the exact values of `INDEX.md`."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.kit.errors import AuthFailed, BadPayload, MappingFailed
from connectors.kit.http import Outcome, OutcomeKind
from connectors.kit.integration import Integration, Origin, Secret
from connectors.kit.manifest import Decoded, Payload
from connectors.kit.services import Services
from connectors.sap_erp import SapErp, keys, mapping, wire
from connectors.sap_erp.answers import explain
from connectors.sap_erp.bapi import functions, tables
from connectors.sap_erp.idoc import segments
from connectors.sap_erp.settings import Settings, rules_of
from server import decoding
from tests.connectors.contract import FakeClock
from unified.events import Changed
from unified.records import (
    InventoryBalance,
    Item,
    ItemType,
    Order,
    OrderKind,
    OrderStatus,
    Progress,
    Shipment,
    ShipmentDirection,
    ShipmentStatus,
    StockStatus,
)
from unified.values import Money, Quantity, System

SAMPLES = Path(__file__).parents[1] / "samples" / "sap-erp"
AS_OF = datetime(2026, 11, 25, tzinfo=UTC)
ORIGIN = Origin(integration="erp", system=System.SAP_ERP, as_of=AS_OF)
RULES = rules_of(Settings())


def answer(name: str) -> httpx.Response:
    """A `.http` file as the response it was; other files as a good one."""
    content = (SAMPLES / name).read_bytes()
    if not name.endswith(".http"):
        return httpx.Response(200, content=content)
    head, _, body = content.decode().replace("\r\n", "\n").partition("\n\n")
    first, *lines = head.split("\n")
    headers = [(line.split(": ", 1)[0], line.split(": ", 1)[1]) for line in lines]
    kept = [(key, value) for key, value in headers if key.lower() != "content-length"]
    return httpx.Response(int(first.split()[1]), headers=kept, content=body.strip().encode())


def decoded(body: bytes | dict[str, Any]) -> tuple[str, list[Decoded]]:
    """The name of the decoder that recognises it, and what it reads."""
    payload = Payload(body=json.dumps(body).encode() if isinstance(body, dict) else body)
    decoder = next(each for each in SapErp.manifest.decoders if each.recognises(payload))
    return decoder.name, list(decoder.read(payload, ORIGIN))


def sample(name: str) -> tuple[str, list[Decoded]]:
    response = answer(name)
    assert explain(response) is None
    return decoded(response.content)


# --- OData


def test_sales_orders_of_a_real_system() -> None:
    name, found = sample("odata_v2_sales_orders_real.json")
    assert name == "sales-orders"
    orders = [each for each in found if isinstance(each, Order)]
    assert [order.number for order in orders] == ["4000043", "4000045", "4000046"]
    assert [order.total for order in orders] == [
        Money(amount=Decimal(text), currency="EUR") for text in ("2656.24", "3330.60", "26752.16")
    ]
    first, second, third = orders
    assert first.created_on == first.ordered_on == date(2005, 10, 24)
    assert first.updated_at == datetime(2005, 10, 24, 15, 36, 52, tzinfo=UTC)
    assert first.requested_on == date(2005, 10, 28)
    assert (first.partner, first.order_kind) == ("4502", OrderKind.SALES)
    assert [order.customer_reference for order in orders] == ["16306", "ALTY05 PRCS 005", None]
    assert second.partner == "8585"
    assert third.source.external_id == "SO/4000046"
    for order in orders:
        assert (order.status, order.goods_movement) == (OrderStatus.COMPLETED, Progress.COMPLETE)
        assert order.source.vendor_status == (
            "OverallSDProcessStatus=C OverallDeliveryStatus=C OverallSDDocumentRejectionSts=A"
        )
        assert (order.lines, order.ship_to) == ((), None), "deferred: a link is no data"


def test_a_delivery_of_a_real_system() -> None:
    name, [found] = sample("outbound_delivery_header.json")
    assert name == "deliveries"
    assert isinstance(found, Shipment)
    assert (found.number, found.partner, found.direction) == ("80000000", "1", ShipmentDirection.OUTBOUND)
    assert found.planned_on == date(2022, 9, 12)
    assert found.created_at == datetime(2022, 9, 14, 11, 26, 11, tzinfo=UTC), "13:26:11 in CET, which has summer time"
    assert (found.shipped_on, found.vehicle_plate) == (None, None)
    assert (found.picking, found.goods_movement) == (Progress.NOT_STARTED, Progress.NOT_STARTED)
    assert found.status is ShipmentStatus.OPEN
    assert (found.gross_mass_kg, found.net_mass_kg) == (Decimal("2.000"), Decimal("1.000"))
    assert found.updated_at == datetime(2022, 9, 15, tzinfo=UTC), "never changed: the end of the day of creation"


def test_flags_are_abaps_and_jsons() -> None:
    row = json.loads((SAMPLES / "outbound_delivery_header.json").read_text())["d"]["results"][0]
    assert wire.flag(row["IsExportDelivery"]) is True
    assert wire.flag(row["CompleteDeliveryIsDefined"]) is False
    assert wire.flag("") is False
    assert wire.flag(None) is False


def test_stock_of_a_real_system() -> None:
    name, [found] = sample("material_stock.json")
    assert name == "material-stock"
    assert isinstance(found, InventoryBalance)
    assert (found.item_number, found.warehouse, found.location) == ("21", "0001", "0001")
    assert found.available == Quantity(value=Decimal(10), unit="PCE")
    assert found.status is StockStatus.UNRESTRICTED
    assert found.source.external_id == "21/0001/0001////////01", "zeros of WBS element and item mean none"


def test_v4() -> None:
    response = answer("odata_v4_sales_orders.http")
    assert json.loads(response.content)["@odata.count"] == 27
    name, [order] = sample("odata_v4_sales_orders.http")
    assert name == "sales-orders"
    assert isinstance(order, Order)
    assert order.total == Money(amount=Decimal("24786.72"), currency="EUR")
    assert (order.ordered_on, order.requested_on) == (date(2025, 8, 30), date(2025, 9, 13))
    assert (order.number, order.source.external_id) == ("0000004712", "SO/4712")
    assert order.customer_reference == "PO-50306"


def test_what_a_creation_answers_is_an_order() -> None:
    response = answer("odata_create_sales_order.http")
    assert response.status_code == 201
    assert response.headers["etag"].startswith("W/\"datetime'")
    assert "0000004737" in response.headers["location"]
    _, [order] = sample("odata_create_sales_order.http")
    assert isinstance(order, Order)
    assert order.number == "0000004737"


@pytest.mark.parametrize(
    ("name", "kind", "code", "message"),
    [
        ("odata_csrf_missing.http", OutcomeKind.DENIED, "x-csrf-token: Required", None),
        ("odata_not_found.http", OutcomeKind.ABSENT, "/IWBEP/CX_MGW_RESOURCE_NOT_FOUND",
         "No entity with key SalesOrder='9999999999' found in 'A_SalesOrder'"),
        ("odata_bad_filter.http", OutcomeKind.BAD_REQUEST, "/IWBEP/CX_MGW_BUSI_EXCEPTION",
         "Property 'Nope' not found in type 'A_SalesOrder'"),
        ("bapi_json_error_http200.http", OutcomeKind.REJECTED, "F2/003", "Customer 9999999 not found"),
    ],
)  # fmt: skip
def test_error_answers(name: str, kind: OutcomeKind, code: str, message: str | None) -> None:
    found = explain(answer(name))
    assert isinstance(found, Outcome)
    assert (found.kind, found.code) == (kind, code)
    if message is not None:
        assert found.message == message
    lines, readable = decoding.decode(
        SapErp.manifest,
        answer(name).content,
        as_kind=None,
        headers=[f"{key}: {value}" for key, value in answer(name).headers.items()],
        status=answer(name).status_code,
    )
    assert readable
    assert json.loads(lines[0])["outcome"] == kind.name


async def test_both_session_cookies_go_back() -> None:
    """The recorded headers of an S/4HANA: what it set is sent with the next call."""
    recorded = json.loads((SAMPLES / "s4_session_headers.json").read_text())["headers"]
    sent: list[str] = []

    def vendor(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers.get("cookie", ""))
        stream = httpx.ByteStream(b'{"d": {"results": []}}')
        return httpx.Response(200, headers=[tuple(pair) for pair in recorded], stream=stream)

    made = SapErp(
        Integration(
            key="erp",
            system=System.SAP_ERP,
            base_url="https://s4.example.com",
            credentials={"user": Secret("u"), "password": Secret("p")},
        ),
        Services(transport=httpx.MockTransport(vendor), clock=FakeClock()),
    )
    await made.check()
    assert sent[0] == ""
    assert "sap-usercontext=sap-client=100" in sent[1]
    assert "SAP_SESSIONID_S4M_100=AAAA" in sent[1]
    await made.aclose()


async def test_tokens() -> None:
    """A token is used; a refused client is a matter of credentials and is asked for once."""
    answers = [answer("oauth_token.http"), httpx.Response(200, content=b'{"d": {"results": []}}')]
    seen: list[httpx.Request] = []

    def vendor(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        given = answers.pop(0)
        return httpx.Response(given.status_code, headers=given.headers, stream=httpx.ByteStream(given.content))

    def made() -> SapErp:
        return SapErp(
            Integration(
                key="erp",
                system=System.SAP_ERP,
                base_url="https://s4.example.com",
                credentials={"client_id": Secret("c"), "client_secret": Secret("s")},
                settings={"token_url": "/sap/bc/sec/oauth2/token"},
            ),
            Services(transport=httpx.MockTransport(vendor), clock=FakeClock()),
        )

    token = json.loads(answer("oauth_token.http").content)
    assert (token["token_type"], int(token["expires_in"])) == ("Bearer", 1)
    await made().check()
    assert seen[1].headers["authorization"] == f"Bearer {token['access_token']}"
    answers[:] = [answer("oauth_bad_client.http")]
    with pytest.raises(AuthFailed, match="invalid_client"):
        await made().check()
    assert len(seen) == 3


# --- BAPIs


def test_a_material_over_soap() -> None:
    name, [item] = sample("soap_bapi_material_detail.http")
    assert name == "bapi-answer"
    assert isinstance(item, Item)
    assert (item.number, item.name, item.item_type) == ("TG11", "Notebook Professional 15", ItemType.ASSEMBLY)
    assert (item.unit, item.net_mass_kg, item.gross_mass_kg) == ("PCE", Decimal("3.900"), Decimal("4.200"))
    assert item.updated_at == datetime(2022, 3, 8, tzinfo=UTC), "created 2022-03-07, by the day"


def test_bapiret2_of_a_success() -> None:
    values = functions.normal(json.loads(answer("bapi_json_ok.http").content))
    [message] = functions.messages(values)
    assert (message.kind, message.code, message.failed) == ("S", "V1/311", False)
    assert functions.text(values, "SALESDOCUMENT") == "0000004738"
    assert functions.verdict(functions.messages(values)) is None


def test_bapiret2_of_a_failure_inside_of_200() -> None:
    values = functions.normal(json.loads(answer("bapi_json_error_http200.http").content))
    [message] = functions.messages(values)
    assert (message.failed, message.code, message.text) == (True, "F2/003", "Customer 9999999 not found")
    assert functions.text(values, "SALESDOCUMENT") is None


def test_rows_of_a_table() -> None:
    values = functions.normal(json.loads(answer("rfc_read_table.http").content))
    assert tables.rows(values, "|") == [
        {"SalesOrder": "0000004712", "SoldToParty": "1000006"},
        {"SalesOrder": "0000004713", "SoldToParty": "1000008"},
    ]


# --- IDocs


def test_an_order_that_a_real_system_sent_to_its_vendor() -> None:
    name, [event] = sample("idoc_orders05_real.xml")
    assert name == "idoc"
    assert isinstance(event, Changed)
    order = event.record
    assert isinstance(order, Order)
    assert (order.order_kind, order.number, order.partner) == (OrderKind.PURCHASE, "4700000325", "0000100131")
    assert (order.ordered_on, order.created_on) == (date(2014, 8, 5), date(2014, 12, 17))
    assert order.total == Money(amount=Decimal("40098.16"), currency="USD")
    assert order.status is OrderStatus.UNKNOWN, "an IDoc does not say how far the order is"
    assert (order.warehouse, order.ship_to) == (None, None), "the lines go to different plants"
    assert [
        (line.line_number, line.item_number, line.quantity, line.net_amount, line.requested_on) for line in order.lines
    ] == [
        ("00001", "000000000010001547", Quantity(value=Decimal("5602.800"), unit="FTK"),
         Money(amount=Decimal("10365.18"), currency="USD"), date(2014, 11, 3)),
        ("00002", "000000000010003151", Quantity(value=Decimal("8168.400"), unit="FTK"),
         Money(amount=Decimal("14866.49"), currency="USD"), date(2014, 11, 3)),
        ("00003", "000000000010003151", Quantity(value=Decimal("8168.400"), unit="FTK"),
         Money(amount=Decimal("14866.49"), currency="USD"), date(2015, 3, 16)),
    ]  # fmt: skip
    amounts = [line.net_amount.amount for line in order.lines if line.net_amount]
    assert sum(amounts) == order.total.amount
    assert event.occurred_at == order.updated_at == datetime(2014, 12, 17, 14, 33, 21, tzinfo=UTC)
    assert event.sequence == 64132944
    document = segments.converted(segments.parsed(answer("idoc_orders05_real.xml").content), segments.Orders)
    assert (document.e1edk01[0].zterm, document.e1edk01[0].curcy) == ("NT00", "USD")
    assert [(line.vprei, line.peinh) for line in document.e1edp01] == [
        (Decimal("1.85"), Decimal(1)),
        (Decimal("1.82"), Decimal(1)),
        (Decimal("1.82"), Decimal(1)),
    ]
    assert [(line.werks, line.e1edpa1[0].name1) for line in document.e1edp01] == [
        ("1005", "LOS ANGELES CA 1005"),
        ("1113", "WEST LA CA 1113"),
        ("1113", "WEST LA CA 1113"),
    ]


def test_the_zone_of_the_system_makes_the_time() -> None:
    rules = rules_of(Settings(time_zone="America/Los_Angeles"))
    idoc = segments.parsed(answer("idoc_orders05_real.xml").content)
    from connectors.sap_erp.idoc.mapping import change

    assert change(idoc, ORIGIN, rules).occurred_at == datetime(2014, 12, 17, 22, 33, 21, tzinfo=UTC)


def test_an_order_of_the_independent_server() -> None:
    _, [event] = sample("idoc_orders05_out.http")
    assert isinstance(event, Changed)
    order = event.record
    assert isinstance(order, Order)
    assert (order.order_kind, order.number, order.source.external_id) == (OrderKind.SALES, "0000004712", "SO/4712")
    assert (order.ordered_on, order.partner, order.warehouse) == (date(2025, 8, 30), "1000006", "1710")
    [line] = order.lines
    assert (line.line_number, line.item_number) == ("000010", "TG31")
    assert line.quantity == Quantity(value=Decimal("21.000"), unit="PCE")
    document = segments.converted(segments.parsed(answer("idoc_orders05_out.http").content), segments.Orders)
    control = document.control[0]
    assert (control.docnum, control.idoctyp, control.mestyp) == ("1000000000000001", "ORDERS05", "ORDERS")
    assert document.e1edka1[0].name1 == "Meridian Trading"


# --- shapes that no sample has


def test_schedule_lines_with_and_without_their_quantities() -> None:
    """A row that only promises does not ask, and the other way round; nothing promised is null."""

    def line(**facts: Any) -> dict[str, Any]:
        return {"ScheduleLine": "1", **facts}

    row = {
        "SalesOrder": "1", "SoldToParty": "2", "OverallSDProcessStatus": "",
        "to_Item": {"results": [
            {"SalesOrderItem": "10", "Material": "A", "RequestedQuantity": "5", "to_ScheduleLine": {"results": [
                line(RequestedDeliveryDate="/Date(1764115200000)/", ScheduleLineOrderQuantity="5",
                     ConfdOrderQtyByMatlAvailCheck="0"),
                line(RequestedDeliveryDate="/Date(1764201600000)/", ScheduleLineOrderQuantity="0",
                     ConfdOrderQtyByMatlAvailCheck="2", ConfirmedDeliveryDate="/Date(1764288000000)/"),
                line(RequestedDeliveryDate="/Date(1764374400000)/", ScheduleLineOrderQuantity="0",
                     ConfdOrderQtyByMatlAvailCheck="2.5"),
            ]}},
            {"SalesOrderItem": "20", "Material": "B", "to_ScheduleLine": {"results": []}},
        ]},
    }  # fmt: skip
    _, [order] = decoded({"d": {"results": [row]}})
    assert isinstance(order, Order)
    assert order.status is OrderStatus.UNKNOWN, "not relevant: SAP does not follow it"
    first, second = order.lines
    assert (first.requested_on, first.promised_on) == (date(2025, 11, 26), date(2025, 11, 29))
    assert first.confirmed == Quantity(value=Decimal("4.5"), unit="")
    assert (second.requested_on, second.promised_on, second.confirmed) == (None, None, None)


@pytest.mark.parametrize(
    ("items", "head", "status"),
    [
        ([{"IsCompletelyDelivered": True}, {"IsCompletelyDelivered": "X"}], {}, OrderStatus.COMPLETED),
        ([{"IsCompletelyDelivered": True}, {"IsCompletelyDelivered": ""}], {}, OrderStatus.IN_PROGRESS),
        ([{"IsCompletelyDelivered": False}], {}, OrderStatus.OPEN),
        ([{"IsCompletelyDelivered": True}, {"PurchasingDocumentDeletionCode": "L"}], {}, OrderStatus.COMPLETED),
        ([{"PurchasingDocumentDeletionCode": "L"}], {}, OrderStatus.CANCELLED),
        ([{}], {"PurchasingDocumentDeletionCode": "L"}, OrderStatus.CANCELLED),
        ([], {}, OrderStatus.UNKNOWN),
    ],
)
def test_the_status_of_a_purchase_order_is_its_items(
    items: list[dict[str, Any]], head: dict[str, Any], status: OrderStatus
) -> None:
    rows = [{"PurchaseOrderItem": str(n), "Material": "A", **item} for n, item in enumerate(items)]
    row = {"PurchaseOrder": "4500000001", "Supplier": "7", "to_PurchaseOrderItem": {"results": rows}, **head}
    _, [order] = decoded({"d": row})
    assert isinstance(order, Order)
    assert order.status is status
    assert len(order.lines) == len([item for item in items if not item.get("PurchasingDocumentDeletionCode")])


@pytest.mark.parametrize(
    ("codes", "status"),
    [
        ({"OverallGoodsMovementStatus": "A", "OverallPickingStatus": "A"}, ShipmentStatus.OPEN),
        ({"OverallGoodsMovementStatus": "A", "OverallPickingStatus": "C"}, ShipmentStatus.IN_PROGRESS),
        ({"OverallGoodsMovementStatus": "B"}, ShipmentStatus.IN_PROGRESS),
        ({"OverallGoodsMovementStatus": "C"}, ShipmentStatus.SHIPPED),
        ({"OverallGoodsMovementStatus": "C", "OverallProofOfDeliveryStatus": "C"}, ShipmentStatus.DELIVERED),
        ({}, ShipmentStatus.UNKNOWN),
        ({"OverallGoodsMovementStatus": "Z"}, ShipmentStatus.UNKNOWN),
    ],
)
def test_the_status_of_a_delivery(codes: dict[str, str], status: ShipmentStatus) -> None:
    _, [found] = decoded({"d": {"DeliveryDocument": "80000001", "ShipToParty": "1", **codes}})
    assert isinstance(found, Shipment)
    assert found.status is status


def test_the_forwarder_is_a_supplier() -> None:
    """`SP` is the forwarding agent in German and the sold-to party in English."""
    partners = [
        {"PartnerFunction": "SP", "Customer": "1001", "Supplier": ""},
        {"PartnerFunction": "CR", "Customer": "", "Supplier": "500001"},
    ]
    row = {"DeliveryDocument": "1", "ShipToParty": "1", "to_DeliveryDocumentPartner": {"results": partners}}
    _, [found] = decoded({"d": row})
    assert isinstance(found, Shipment)
    assert found.carrier == "500001"


def test_zones() -> None:
    rules = rules_of(Settings(zones={"CET": "Africa/Lagos", "MINE": "Asia/Tokyo"}))
    at = datetime(2026, 7, 1, 12)  # noqa: DTZ001 - what is asked for is the offset at this time of day
    offsets = {
        name: (zone.utcoffset(at) if (zone := rules.zone(name)) else None)
        for name in ("CET", "MINE", "UTC+1", "UTC-12", "EST", "UTC", "NOWHERE", "", "UTC+99")
    }
    hours = {name: None if offset is None else offset.total_seconds() / 3600 for name, offset in offsets.items()}
    assert hours == {
        "CET": 1, "MINE": 9, "UTC+1": 1, "UTC-12": -12, "EST": -4, "UTC": 0, "NOWHERE": None, "": None, "UTC+99": None,
    }  # fmt: skip
    row = {"DeliveryDocument": "1", "ShipToParty": "1", "CreationDate": "2026-07-01", "CreationTime": "PT12H00M00S"}
    _, [found] = decoded({"d": {**row, "Shippinglocationtimezone": "NOWHERE"}})
    assert isinstance(found, Shipment)
    assert found.created_at is None, "better none than a wrong one"


def test_the_day_of_change_ends_in_the_systems_zone() -> None:
    rules = rules_of(Settings(time_zone="Africa/Lagos"))
    assert mapping.end_of(date(2026, 11, 20), rules, AS_OF) == datetime(2026, 11, 20, 23, tzinfo=UTC)
    assert mapping.end_of(date(2026, 11, 25), rules, AS_OF) == AS_OF
    assert mapping.end_of(None, rules, AS_OF) is None


def test_a_wrong_type_is_told_with_its_path() -> None:
    good = {"SalesOrder": "1", "SoldToParty": "2"}
    with pytest.raises(BadPayload) as caught:
        decoded(
            {"d": {"results": [good, {**good, "to_Item": {"results": [{"SalesOrderItem": "7", "NetAmount": []}]}}]}}
        )
    assert caught.value.path == "$.d.results[1].to_Item.results[0].NetAmount"
    item = {"SalesOrderItem": "10", "to_ScheduleLine": {"results": [{"RequestedDeliveryDate": "soon"}]}}
    with pytest.raises(MappingFailed) as caught:
        decoded({"d": {"results": [{**good, "to_Item": {"results": [item]}}]}})
    assert caught.value.path == "$.d.results[0].to_Item.results[0].to_ScheduleLine.results[0].RequestedDeliveryDate"


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"d": 7}', b'{"value": [7]}', b"<IDO", b'{"RETURN": []}'])
def test_what_is_none_of_ours_is_recognised_by_nothing(body: bytes) -> None:
    assert not [each.name for each in SapErp.manifest.decoders if each.recognises(Payload(body=body))]


def test_ids_are_the_same_whatever_the_zeros() -> None:
    assert keys.order_id(keys.SALES, "0000004712") == keys.order_id(keys.SALES, "4712") == "SO/4712"
    assert keys.bare("0000") == "0000"
    assert keys.bare("MZ-FG-C100") == "MZ-FG-C100"
    assert keys.padded("4712") == "0000004712"
    assert keys.padded("A-1") == "A-1"
    assert keys.orders_of(["SO/1", "PO/2", "SO/1", "junk", "SO/"], keys.SALES) == ["1"]
