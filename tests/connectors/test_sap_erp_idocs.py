"""IDocs in: who may send them, packages in bounded memory, order of arrival, what is answered."""

import base64
import tracemalloc
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from lxml import etree
from starlette.applications import Starlette
from starlette.routing import Route

from connectors.kit.errors import BadPayload, SignatureInvalid
from connectors.kit.integration import Secret
from connectors.kit.manifest import Payload
from connectors.kit.protocols import Raw
from connectors.sap_erp.idoc import package as packages
from connectors.sap_erp.idoc.package import Package
from resolvers.sources import Handle
from runtime.store import Database, LatestState, StoreDown
from sandbox import sap_erp
from sandbox.sap_erp import idocs
from sandbox.sap_erp.rows import PRODUCT_TYPES
from server import packages as server_packages
from server import webhooks
from tests.connectors.contract import NOW, Lines
from tests.connectors.test_sap_erp import BASIC, Rig
from unified.events import Changed
from unified.records import (
    Item,
    ItemType,
    Kind,
    Order,
    OrderKind,
    OrderStatus,
    Shipment,
    ShipmentDirection,
    ShipmentStatus,
)
from unified.values import Money, Quantity

IDOCS = {"idoc_user": Secret(sap_erp.IDOC_USER), "idoc_password": Secret(sap_erp.IDOC_PASSWORD)}
HEADERS = {
    "authorization": "Basic " + base64.b64encode(f"{sap_erp.IDOC_USER}:{sap_erp.IDOC_PASSWORD}".encode()).decode(),
    "content-type": "text/xml",
}


def idoc_rig(settings: dict[str, Any] | None = None, **more: Any) -> Rig:
    return Rig(settings, **{"credentials": {**BASIC, **IDOCS}, **more})


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = idoc_rig()
    yield made
    await made.connector.aclose()


def taken(rig: Rig, body: bytes, size: int = 1 << 16) -> tuple[list[Raw], Payload]:
    """What a package brings that comes in pieces of this size, and what is answered."""
    package: Any = rig.connector.package(Payload(body=b""))
    found: list[Raw] = []
    for start in range(0, len(body), size):
        found += package.feed(body[start : start + size])
    found += package.close()
    return found, package.answer()


async def event(rig: Rig, body: bytes) -> Changed[Any]:
    [raw], _ = taken(rig, body)
    [found] = await rig.connector.events(raw)
    assert isinstance(found, Changed)
    return found


# --- what they become


async def test_a_sales_order_is_the_node_that_odata_gives(rig: Rig) -> None:
    delivery = rig.standin.books.outbound[1]
    found = await event(rig, idocs.package("ORDERS05", [idocs.orders(rig.standin.books, delivery, 7, NOW)]))
    order = found.record
    assert isinstance(order, Order)
    [read] = await rig.connector.read_orders([order.source.external_id])
    assert order.id == read.id
    assert order.order_kind is OrderKind.SALES
    assert (order.number, order.partner) == (delivery.sales_order, delivery.partner)
    for name in ("warehouse", "total", "customer_reference", "ordered_on", "created_on"):
        assert getattr(order, name) == getattr(read, name), name
    assert (order.ship_to or "").lstrip("0") == read.ship_to
    assert [line.quantity for line in order.lines] == [line.quantity for line in read.lines]
    assert order.status is OrderStatus.UNKNOWN
    assert (found.occurred_at, found.sequence) == (NOW - timedelta(hours=1), 7), "CREDAT and CRETIM are Lagos time"


async def test_a_purchase_order(rig: Rig) -> None:
    delivery = rig.standin.books.inbound[0]
    found = await event(rig, idocs.package("ORDERS05", [idocs.orders(rig.standin.books, delivery, 8, NOW)]))
    order = found.record
    assert isinstance(order, Order)
    [read] = await rig.connector.read_orders([f"PO/{int(delivery.sales_order)}"])
    assert (order.id, order.order_kind, order.partner) == (read.id, OrderKind.PURCHASE, delivery.partner)
    assert [line.requested_on for line in order.lines] == [line.requested_on for line in read.lines]
    assert order.customer_reference is None


async def test_a_delivery_is_the_node_that_odata_gives(rig: Rig) -> None:
    delivery = rig.world.delivery_by_number["0080001000"]
    found = await event(rig, idocs.package("DELVRY07", [idocs.delivery(rig.standin.books, delivery, 9, NOW)]))
    shipment = found.record
    assert isinstance(shipment, Shipment)
    [read] = await rig.connector.read_shipments(["80001000"])
    assert shipment.id == read.id
    for name in (
        "direction",
        "vehicle_plate",
        "warehouse",
        "planned_on",
        "delivery_on",
        "gross_mass_kg",
        "net_mass_kg",
    ):
        assert getattr(shipment, name) == getattr(read, name), name
    assert (shipment.partner, shipment.partner_name, shipment.carrier) == (
        delivery.partner, delivery.partner_name, delivery.carrier,
    )  # fmt: skip
    assert (shipment.status, shipment.shipped_on) == (ShipmentStatus.OPEN, None), "the goods issue has no actual date"
    assert shipment.handling_units == (f"{int(delivery.number):020d}",)
    assert [(line.order_number, line.order_line) for line in shipment.lines] == [
        ("0000012000", "000010"), ("0000012000", "000020"),
    ]  # fmt: skip


async def test_a_dispatch_advice_is_shipped(rig: Rig) -> None:
    gone = next(one for one in rig.standin.books.outbound if one.state_at(NOW).goods_moved_at)
    body = idocs.package("DELVRY07", [idocs.delivery(rig.standin.books, gone, 10, NOW)])
    assert b"<MESTYP>DESADV</MESTYP>" in body
    shipment = (await event(rig, body)).record
    moved = gone.state_at(NOW).goods_moved_at
    assert moved is not None
    assert (shipment.status, shipment.shipped_on) == (ShipmentStatus.SHIPPED, moved.date())


async def test_a_material(rig: Rig) -> None:
    item = rig.world.item_by_key["100017"]
    body = idocs.package("MATMAS05", [idocs.material(item, 11, NOW, kind=PRODUCT_TYPES[item.object_type])])
    found = (await event(rig, body)).record
    assert isinstance(found, Item)
    [read] = await rig.connector.read_items(["100017"])
    assert (found.id, found.name, found.item_type, found.unit) == (read.id, item.name, ItemType.ASSEMBLY, "PCE")
    assert found.net_mass_kg == item.mass_kg
    assert found.number == "000000000000100017"


def document(segments: str, idoctyp: str = "ORDERS05", mestyp: str = "ORDERS", **control: str) -> bytes:
    facts = {"DOCNUM": "0000000000000042", "IDOCTYP": idoctyp, "MESTYP": mestyp, "SNDPRN": "ERPCLNT100",
             "CREDAT": "20261125", "CRETIM": "093000"} | control  # fmt: skip
    record = "".join(f"<{name}>{value}</{name}>" for name, value in facts.items())
    return (
        f'<{idoctyp}><IDOC BEGIN="1"><EDI_DC40 SEGMENT="1">{record}</EDI_DC40>{segments}</IDOC></{idoctyp}>'
    ).encode()


HEAD = '<E1EDK01 SEGMENT="1"><BELNR>4711</BELNR><CURCY>EUR</CURCY></E1EDK01>'


async def test_an_order_that_is_taken_back(rig: Rig) -> None:
    line = '<E1EDP01 SEGMENT="1"><POSEX>10</POSEX><ACTION>{}</ACTION><MENGE>1</MENGE></E1EDP01>'
    one = (await event(rig, document(HEAD + line.format("003") + line.format("001")))).record
    assert (one.status, len(one.lines)) == (OrderStatus.UNKNOWN, 1)
    whole = (await event(rig, document(HEAD + line.format("003")))).record
    assert (whole.status, whole.lines) == (OrderStatus.CANCELLED, ())
    head = (await event(rig, document(HEAD.replace("<CURCY>", "<ACTION>003</ACTION><CURCY>")))).record
    assert (head.status, head.source.vendor_status) == (OrderStatus.CANCELLED, "ACTION=003")


async def test_amounts_and_long_numbers(rig: Rig) -> None:
    line = (
        '<E1EDP01 SEGMENT="1"><POSEX>20</POSEX><UEPOS>000010</UEPOS><MENGE>2.5-</MENGE><MENEE>KGM</MENEE>'
        '<NETWR>12.50-</NETWR><E1EDP19 SEGMENT="1"><QUALF>002</QUALF><IDTNR>SHORT</IDTNR>'
        "<IDTNR_LONG>LONG-NUMBER-OF-THE-MATERIAL</IDTNR_LONG></E1EDP19></E1EDP01>"
    )
    [found] = (await event(rig, document(HEAD + line))).record.lines
    assert found.item_number == "LONG-NUMBER-OF-THE-MATERIAL"
    assert found.quantity == Quantity(value=Decimal("-2.5"), unit="KGM")
    assert found.net_amount == Money(amount=Decimal("-12.50"), currency="EUR")
    assert found.parent_line == "10"


async def test_an_inbound_delivery_by_its_partners(rig: Rig) -> None:
    vendor = '<E1ADRM1 SEGMENT="1"><PARTNER_Q>LF</PARTNER_Q><PARTNER_ID>300001</PARTNER_ID></E1ADRM1>'
    head = f'<E1EDL20 SEGMENT="1"><VBELN>0180000500</VBELN>{vendor}</E1EDL20>'
    found = (await event(rig, document(head, "DELVRY07", "DELVRY"))).record
    assert (found.direction, found.partner, found.status) == (
        ShipmentDirection.INBOUND, "300001", ShipmentStatus.UNKNOWN,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (document('<E1EDK01 SEGMENT="1"><CURCY>EUR</CURCY></E1EDK01>'), "$.E1EDK01[0].BELNR"),
        (document(""), "$"),
        (document(HEAD + '<E1EDP01 SEGMENT="1"><MENGE>many</MENGE></E1EDP01>'), "$.E1EDP01[0].MENGE"),
        (document(HEAD + '<E1EDK03 SEGMENT="1"><IDDAT>012</IDDAT><DATUM>soon</DATUM></E1EDK03>'),
         "$.E1EDK03[0].DATUM"),
        (document(HEAD, CREDAT="20261340"), "$.EDI_DC40.CREDAT"),
        (document('<E1MARAM SEGMENT="1"><MTART>FERT</MTART></E1MARAM>', "MATMAS05", "MATMAS"), "$.E1MARAM[0].MATNR"),
    ],
)  # fmt: skip
async def test_what_cannot_be_read_says_where(rig: Rig, body: bytes, path: str) -> None:
    [raw], _ = taken(rig, body)
    with pytest.raises(BadPayload) as caught:
        await rig.connector.events(raw)
    assert caught.value.path == path


# --- packages


def thousand(rig: Rig, count: int = 1_000) -> bytes:
    made = [idocs.orders(rig.standin.books, rig.standin.books.outbound[n % 180], 1_000 + n, NOW) for n in range(count)]
    return idocs.package("ORDERS05", made)


def test_a_thousand_documents_are_a_thousand_deliveries(rig: Rig) -> None:
    body = thousand(rig)
    found, answer = taken(rig, body)
    assert [raw.delivery_id for raw in found] == [f"idoc/ERPCLNT100/{1_000 + n:016d}" for n in range(1_000)]
    assert {raw.decoder for raw in found} == {"idoc"}
    assert (answer.status, answer.body) == (200, b"")


def test_the_pieces_may_be_cut_anywhere(rig: Rig) -> None:
    body = thousand(rig, 3)
    whole, _ = taken(rig, body)
    for size in (1, 7, 100, len(body)):
        assert taken(rig, body, size)[0] == whole


def _peak(body: bytes, documents: int) -> int:
    """Bytes that Python has at most while the package is read."""
    package, found = Package(), 0
    tracemalloc.start()
    for start in range(0, len(body), 1 << 14):
        found += len(package.feed(body[start : start + (1 << 14)]))
    found += len(package.close())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == documents
    return peak


def test_memory_does_not_grow_with_the_package(rig: Rig) -> None:
    body = thousand(rig)
    assert len(body) > 2_000_000
    assert _peak(body, 1_000) < 400_000


def test_the_tree_behind_the_parser_does_not_grow(rig: Rig) -> None:
    """lxml's own memory is none of Python's: what is left of the tree tells."""
    package = Package()
    package.feed(thousand(rig, 200).removesuffix(b"</ORDERS05>"))
    assert package.documents == 200
    assert len(etree.tostring(_root(package))) < 200


def _root(package: Package) -> Any:
    """The root that the parser is still building: the parent of what comes next."""
    package._parser.feed(b"<IDOC/>")
    [(_, last), *_] = list(package._parser.read_events())
    return last.getroottree().getroot()


BILLION = "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            b'<!DOCTYPE o [<!ENTITY a "aaaaaaaaaa">' + BILLION.encode() + b"]>" + document(HEAD + "&j;"),
            "document type|amplification",
        ),
        (b'<!DOCTYPE o SYSTEM "http://127.0.0.1:9/o.dtd">' + document(HEAD), "document type"),
        (b'<!DOCTYPE o [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + document(HEAD + "&x;"), "document type"),
        (document(HEAD)[:-10], "breaks off"),
        (document(HEAD) + b"<again/>", "is no XML"),
        (b"not xml at all", "is no XML"),
        (b"<ORDERS05></ORDERS05>", "no IDOC element"),
        (b"", "no IDOC element"),
        (b'<ORDERS05><IDOC BEGIN="1"><E1EDK01/></IDOC></ORDERS05>', "document 1 of the package has no usable control"),
        (document(HEAD, DOCNUM="4" * 50), "too long"),
        (b"<ORDERS05>" + b"<A>" * 300 + b"</ORDERS05>", "is no XML"),
    ],
)
def test_what_is_refused(rig: Rig, body: bytes, message: str) -> None:
    with pytest.raises(BadPayload, match=message) as caught:
        taken(rig, body)
    assert "root:" not in str(caught.value)


def test_a_document_and_a_package_have_bounds(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "MOST_BYTES", 10_000)
    with pytest.raises(BadPayload, match="document 1 of the package is longer"):
        taken(rig, document(HEAD + f'<E1EDKT1 SEGMENT="1"><X>{"x" * 20_000}</X></E1EDKT1>'), 1_000)
    monkeypatch.setattr(packages, "MOST_DOCUMENTS", 2)
    with pytest.raises(BadPayload, match="a package may have 2"):
        taken(rig, thousand(rig, 3), 1_000)


def test_a_soap_envelope_around_it_does_not_matter(rig: Rig) -> None:
    inner = document(HEAD).decode()
    body = f'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>{inner}</e:Body></e:Envelope>'
    assert [raw.delivery_id for raw in taken(rig, body.encode())[0]] == ["idoc/ERPCLNT100/0000000000000042"]


def test_types_and_senders_that_are_not_read_are_told_and_counted() -> None:
    rig = idoc_rig({"senders": ["ERPCLNT100"], "acknowledgement": "aleaud"})
    counted: list[tuple[str, str, str]] = []

    class Counting:
        def unknown_code(self, system: str, field: str, value: str) -> None:
            counted.append((system, field, value))

    rig.connector.services = rig.connector.services.__class__(metrics=Counting(), clock=rig.clock)  # type: ignore[arg-type]
    parts = [
        document(HEAD, DOCNUM="1"),
        document("", "INVOIC02", "INVOIC", DOCNUM="2"),
        document(HEAD, DOCNUM="3", SNDPRN="OTHER"),
    ]
    inner = b"".join(part.partition(b">")[2].rpartition(b"</")[0] for part in parts)
    found, answer = taken(rig, b"<PACKAGE>" + inner + b"</PACKAGE>")
    assert [raw.delivery_id for raw in found] == ["idoc/ERPCLNT100/1"]
    assert counted == [("sap-erp", "IDOCTYP", "INVOIC02"), ("sap-erp", "SNDPRN", "OTHER")]
    audit = etree.fromstring(answer.body)
    assert [(each.findtext("DOCNUM"), each.findtext("STATUS")) for each in audit.iter("E1STATE")] == [
        ("1", "50"), ("2", "68"), ("3", "68"),
    ]  # fmt: skip


def test_the_audit_goes_back_to_the_sender() -> None:
    rig = idoc_rig({"acknowledgement": "aleaud"})
    body = idocs.package("DELVRY07", [idocs.delivery(rig.standin.books, rig.standin.books.outbound[0], 5, NOW)])
    _, answer = taken(rig, body)
    control = etree.fromstring(answer.body).find("IDOC/EDI_DC40")
    assert control is not None
    facts = {each.tag: each.text for each in control}
    assert (facts["IDOCTYP"], facts["MESTYP"], facts["DIRECT"]) == ("ALEAUD01", "ALEAUD", "2")
    assert (facts["SNDPRN"], facts["RCVPRN"], facts["RCVPOR"], facts["MANDT"]) == (
        "CROSSDOCK", "ERPCLNT100", "SAPERP", "100",
    )  # fmt: skip
    assert (facts["CREDAT"], facts["CRETIM"]) == ("20261125", "093000")
    assert answer.headers["content-type"].startswith("text/xml")


def test_one_document_without_a_package(rig: Rig) -> None:
    raw = rig.connector.received(Payload(body=document(HEAD)))
    assert raw is not None
    assert raw.delivery_id == "idoc/ERPCLNT100/0000000000000042"
    assert rig.connector.received(Payload(body=b" ")) is None
    with pytest.raises(BadPayload, match="several"):
        rig.connector.received(Payload(body=thousand(rig, 2)))


# --- who may send


def basic(user: str, password: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Basic"},
        {"authorization": "Basic ???"},
        {"authorization": f"Bearer {sap_erp.IDOC_PASSWORD}"},
        basic("", ""),
        basic(sap_erp.IDOC_USER, ""),
        basic(sap_erp.IDOC_USER, sap_erp.IDOC_PASSWORD + "x"),
        basic("OTHER", sap_erp.IDOC_PASSWORD),
        basic(sap_erp.USER, sap_erp.PASSWORD),
    ],
)
def test_strangers_are_not_believed(rig: Rig, headers: dict[str, str]) -> None:
    with pytest.raises(SignatureInvalid) as caught:
        rig.connector.verify(Payload(body=b"", headers=headers))
    assert sap_erp.IDOC_PASSWORD not in str(caught.value)


def test_the_sender_is_believed(rig: Rig) -> None:
    rig.connector.verify(Payload(body=b"", headers=HEADERS))


@pytest.mark.parametrize("credentials", [{}, {"idoc_user": Secret(""), "idoc_password": Secret("")}])
def test_without_credentials_nobody_is_believed(credentials: dict[str, Secret]) -> None:
    made = Rig(credentials={**BASIC, **credentials})
    with pytest.raises(SignatureInvalid, match="no `idoc_user` and `idoc_password`"):
        made.connector.verify(Payload(body=b"", headers=basic("", "")))


# --- through the server's endpoint, and what is newer


class Kept:
    """An ingest that remembers what it was given, and in which groups."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.down = False

    async def accept(self, organisation: str, integration: str, raws: Sequence[Raw]) -> int:
        if self.down:
            raise StoreDown("away")
        assert (organisation, integration) == ("default", "erp")
        self.groups.append([raw.delivery_id for raw in raws])
        return len(raws)


@pytest.fixture
async def endpoint(rig: Rig) -> AsyncIterator[tuple[httpx.AsyncClient, Kept, Rig]]:
    kept: Any = Kept()
    handle = Handle(integration=rig.connector.integration, connector=rig.connector)
    receive = webhooks.receiver([("default", handle)], kept, max_bytes=1_000, log=Lines())  # type: ignore[arg-type]
    app = Starlette(routes=[Route("/webhooks/{integration}", receive, methods=["GET", "POST"])])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://crossdock") as client:
        yield client, kept, rig


Endpoint = tuple[httpx.AsyncClient, Kept, Rig]


async def test_a_package_is_kept_in_groups_and_acknowledged(endpoint: Endpoint) -> None:
    """Far longer than the limit of a webhook's body: of a package each document is bounded, not the whole."""
    client, kept, rig = endpoint
    answer = await client.post("/webhooks/erp", content=thousand(rig, 250), headers=HEADERS)
    assert (answer.status_code, answer.content) == (200, b"")
    assert [len(group) for group in kept.groups] == [100, 100, 50]


async def test_a_stranger_gets_401_and_nothing_is_kept(endpoint: Endpoint) -> None:
    client, kept, _ = endpoint
    answer = await client.post("/webhooks/erp", content=document(HEAD), headers=basic("x", "y"))
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic ")
    assert answer.json()["errors"][0]["extensions"]["code"] == "ERR_WEBHOOK_SIGNATURE"
    assert kept.groups == []


async def test_a_broken_package_is_not_acknowledged(endpoint: Endpoint) -> None:
    client, kept, rig = endpoint
    answer = await client.post("/webhooks/erp", content=thousand(rig, 150)[:-30], headers=HEADERS)
    assert answer.status_code == 400
    assert "breaks off" in answer.json()["errors"][0]["message"]
    assert [len(group) for group in kept.groups] == [100], "its repetition is known by its ids"


async def test_what_cannot_be_kept_is_not_acknowledged(endpoint: Endpoint) -> None:
    client, kept, _ = endpoint
    kept.down = True
    answer = await client.post("/webhooks/erp", content=document(HEAD), headers=HEADERS)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


async def test_an_endless_package_ends(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    client, _, rig = endpoint
    monkeypatch.setattr(server_packages, "LONGEST", 100_000)
    answer = await client.post("/webhooks/erp", content=thousand(rig, 250), headers=HEADERS)
    assert answer.status_code == 413


async def test_an_older_idoc_does_not_overwrite_a_newer_one(rig: Rig, tmp_path: Any) -> None:
    """Whatever the order in which they arrive: CREDAT and CRETIM decide, then DOCNUM."""
    database = Database(f"sqlite:///{tmp_path}/state.db")
    await database.start()
    state = LatestState(database)
    total = '<E1EDS01 SEGMENT="1"><SUMID>002</SUMID><SUMME>{}</SUMME></E1EDS01>'

    async def arrive(docnum: str, time: str, amount: str) -> int:
        found = await event(rig, document(HEAD + total.format(amount), DOCNUM=docnum, CRETIM=time))
        return len(await state.upsert("default", [found]))

    assert await arrive("0000000000000050", "100000", "1.00") == 1
    assert await arrive("0000000000000040", "095959", "2.00") == 0, "older"
    assert await arrive("0000000000000049", "100000", "3.00") == 0, "of the same second, an earlier number"
    assert await arrive("0000000000000051", "100000", "4.00") == 1
    assert await arrive("0000000000000051", "100000", "4.00") == 0, "again"
    [order] = await state.read("default", Kind.ORDER)
    assert isinstance(order, Order)
    assert order.total == Money(amount=Decimal("4.00"), currency="EUR")
    assert order.updated_at == datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
    await database.aclose()


# --- the stand-in's port


async def test_the_sandbox_sends_what_it_changes(endpoint: Endpoint) -> None:
    client, kept, rig = endpoint
    transport = client._transport
    port = idocs.Port(
        rig.standin.books,
        url="http://crossdock/webhooks/erp",
        user=sap_erp.IDOC_USER,
        password=sap_erp.IDOC_PASSWORD,
        transport=transport,
    )
    assert await port.tick() == 0
    rig.clock.passed += 3_600
    sent = await port.tick()
    assert sent > 3
    assert port.sent[-1][1] == 200
    assert sum(len(group) for group in kept.groups) == sent
