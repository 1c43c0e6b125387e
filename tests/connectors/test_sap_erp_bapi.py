"""The SAP ERP connector over BAPIs: the SOAP gateway against its stand-in, RFC against a fake pyrfc."""

import asyncio
import sys
import types
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from connectors.kit.errors import (
    AuthFailed,
    BadPayload,
    BadRequest,
    CircuitOpen,
    PermissionDenied,
    Rejected,
    TimedOut,
    VendorDown,
)
from connectors.kit.integration import Secret
from connectors.kit.services import Services
from connectors.sap_erp import SapErp
from connectors.sap_erp.bapi import functions, tables, wsdl
from connectors.sap_erp.bapi.rfc import RfcMissing
from sandbox import sap_erp
from sandbox.sap_erp.soap import ENVELOPE, NAMESPACE
from sandbox.standin import Failure
from tests.connectors import test_sap_erp as over_odata
from tests.connectors.contract import NOW, FakeClock, Lines
from tests.connectors.test_sap_erp import BASIC, Rig, everything, integration, query
from unified import queries
from unified.keys import Subject
from unified.records import ItemType, Kind, OrderKind, OrderStatus, ShipmentStatus, StockStatus
from unified.values import Money, Quantity

SOAP: dict[str, Any] = {"interface": "soap"}
PACKAGED = Path(wsdl.__file__).with_name(wsdl.PACKAGED)


def soap_rig(settings: dict[str, Any] | None = None, **more: Any) -> Rig:
    return Rig(SOAP | (settings or {}), **{"credentials": BASIC, **more})


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = soap_rig()
    await made.connector.check()
    made.standin.soap.calls.clear()
    yield made
    await made.connector.aclose()


class TestSoap(over_odata.TestSapErp):
    """The contract over the SOAP gateway. JSON of wrong types is no answer of it."""

    secrets = (sap_erp.PASSWORD, "SAP_SESSIONID")

    def rig(self) -> Rig:
        return soap_rig()

    def wrong_types(self) -> bytes:
        return envelope("BAPISDORDER_GETDETAILEDLIST.Response", "<ORDER_HEADERS_OUT><item><NET_VAL_HD>x</NET_VAL_HD>"
                        "</item></ORDER_HEADERS_OUT>")  # fmt: skip


def envelope(name: str, inner: str, prologue: str = "") -> bytes:
    return (
        f'{prologue}<e:Envelope xmlns:e="{ENVELOPE}"><e:Body><r:{name} xmlns:r="{NAMESPACE}">{inner}</r:{name}>'
        "</e:Body></e:Envelope>"
    ).encode()


# --- the same things as over OData


async def test_orders_are_the_same_records(rig: Rig) -> None:
    """Numbers keep the spelling of the interface, here with their zeros; ids and all else are equal."""
    ids = ["SO/12000", "SO/12003", "SO/12001"]
    over_soap = {order.source.external_id: order for order in await rig.connector.read_orders(ids)}
    assert rig.standin.soap.calls == ["BAPISDORDER_GETDETAILEDLIST"]
    other = Rig()
    twins = {order.source.external_id: order for order in await other.connector.read_orders(ids)}
    assert set(over_soap) == set(twins) == set(ids)
    for key, order in over_soap.items():
        twin = twins[key]
        assert order.number.lstrip("0") == twin.number
        assert (order.partner or "").lstrip("0") == twin.partner
        assert (order.ship_to or "").lstrip("0") == twin.ship_to
        for name in ("status", "total", "customer_reference", "warehouse", "requested_on", "ordered_on", "created_on",
                     "goods_movement"):  # fmt: skip
            assert getattr(order, name) == getattr(twin, name), name
        for line, same in zip(order.lines, twin.lines, strict=True):
            assert line.item_number.lstrip("0") == same.item_number
            assert line.line_number.lstrip("0") == same.line_number
            for name in ("quantity", "confirmed", "requested_on", "promised_on", "net_amount", "description", "batch"):
                assert getattr(line, name) == getattr(same, name), name
    assert over_soap["SO/12000"].total == Money(amount=Decimal("44353.68"), currency="NGN")
    await other.connector.aclose()


async def test_shipments_are_the_same_records(rig: Rig) -> None:
    [one] = await rig.connector.read_shipments(["80001000"])
    assert rig.standin.soap.calls == ["BAPI_DELIVERY_GETLIST"]
    other = Rig()
    [twin] = await other.connector.read_shipments(["80001000"])
    assert (one.id, one.number) == (twin.id, "0080001000")
    for name in ("status", "picking", "goods_movement", "vehicle_plate", "warehouse", "planned_on", "delivery_on",
                 "shipped_on", "created_at", "updated_at", "gross_mass_kg", "net_mass_kg"):  # fmt: skip
        assert getattr(one, name) == getattr(twin, name), name
    assert (one.partner, one.carrier) == ("0000001001", "0000500001")
    assert [line.order_number for line in one.lines] == ["0000012000"] * 2
    await other.connector.aclose()


async def test_fifty_orders_cost_one_call_purchase_orders_one_each(rig: Rig) -> None:
    books = rig.standin.books
    found = await rig.connector.read_orders([f"SO/{int(one.sales_order)}" for one in books.outbound[:50]])
    assert len(found) == 50
    assert rig.standin.soap.calls == ["BAPISDORDER_GETDETAILEDLIST"]
    rig.standin.soap.calls.clear()
    [order] = await rig.connector.read_orders([f"PO/{int(books.inbound[0].sales_order)}", "PO/4711"])
    assert rig.standin.soap.calls == ["BAPI_PO_GETDETAIL1"] * 2
    assert order.order_kind is OrderKind.PURCHASE
    assert order.status in (OrderStatus.OPEN, OrderStatus.COMPLETED)
    planned = books.inbound[0].state_at(NOW).planned_at.date()
    assert {line.requested_on for line in order.lines} == {planned}


async def test_lists_find_keys_in_tables_and_contents_by_bapi(rig: Rig) -> None:
    page = await rig.connector.list_orders(query(queries.OrderFilter, 40, order_kinds=(OrderKind.SALES,)), None)
    assert rig.standin.soap.calls == ["RFC_READ_TABLE", "BAPISDORDER_GETDETAILEDLIST"]
    assert (len(page.records), page.next) == (40, "SALES?40")
    rig.standin.soap.calls.clear()
    every = await everything(rig.connector.list_orders, query(queries.OrderFilter, 100))
    assert [order.order_kind for order in every] == [OrderKind.SALES] * 180 + [OrderKind.PURCHASE] * 40
    rig.standin.soap.calls.clear()
    page = await rig.connector.list_shipments(query(queries.ShipmentFilter, 40, warehouses=("1730",)), None)
    assert rig.standin.soap.calls == ["RFC_READ_TABLE", "BAPI_DELIVERY_GETLIST"]
    assert {shipment.warehouse for shipment in page.records} == {"1730"}


@pytest.mark.parametrize(
    "wanted",
    [
        {"numbers": ("12000", "0000012003")},
        {"partner": "0000001001"},
        {"updated_after": NOW},
        {"statuses": (OrderStatus.IN_PROGRESS,)},
    ],
)
async def test_filters_lose_no_order(rig: Rig, wanted: dict[str, Any]) -> None:
    asked = query(queries.OrderFilter, 100, order_kinds=(OrderKind.SALES,), **wanted)
    every = await everything(rig.connector.list_orders, query(queries.OrderFilter, 100, order_kinds=(OrderKind.SALES,)))
    found = await everything(rig.connector.list_orders, asked)
    mine = {order.id for order in every if asked.filter.matches(order)}
    assert {order.id for order in found if asked.filter.matches(order)} == mine


async def test_shipments_of_orders(rig: Rig) -> None:
    found = await rig.connector.shipments_of_orders(["12000", "0000012003"])
    assert rig.standin.soap.calls == ["RFC_READ_TABLE", "BAPI_DELIVERY_GETLIST"]
    assert {shipment.number for shipment in found} == {"0080001000", "0080001009"}
    assert await rig.connector.shipments_of_orders(["999999"]) == []
    gone = next(one for one in rig.standin.books.outbound if one.state_at(NOW).goods_moved_at)
    [shipment] = await rig.connector.read_shipments([gone.number])
    assert shipment.status is ShipmentStatus.SHIPPED


async def test_stock_has_the_units_of_the_materials(rig: Rig) -> None:
    found = await rig.connector.inventory_of_items(["100017"])
    assert rig.standin.soap.calls == ["RFC_READ_TABLE", "RFC_READ_TABLE"]
    sums: dict[tuple[str, str], Decimal] = {}
    for row in rig.standin.books.stocked():
        if row.item.key == "100017":
            sums[row.warehouse, row.kind] = sums.get((row.warehouse, row.kind), Decimal(0)) + row.quantity
    assert {(each.warehouse, each.source.vendor_status): each.available for each in found} == {
        key: Quantity(value=quantity, unit="PCE") for key, quantity in sums.items()
    }
    assert all(each.item_number == "000000000000100017" for each in found)
    read = await rig.connector.read_inventory_balances([found[0].source.external_id])
    assert [each.id for each in read] == [found[0].id]
    blocked = query(queries.InventoryBalanceFilter, 500, statuses=(StockStatus.BLOCKED,))
    page = await rig.connector.list_inventory_balances(blocked, None)
    assert any(blocked.filter.matches(each) for each in page.records)
    never = query(queries.InventoryBalanceFilter, updated_after=NOW)
    assert (await rig.connector.list_inventory_balances(never, None)).records == []


async def test_materials(rig: Rig) -> None:
    item = rig.world.item_by_key["100017"]
    [found] = await rig.connector.read_items(["100017", "404404"])
    assert rig.standin.soap.calls == ["BAPI_MATERIAL_GET_DETAIL"] * 2
    assert (found.source.external_id, found.number, found.name) == ("100017", "000000000000100017", item.name)
    assert (found.item_type, found.unit, found.net_mass_kg) == (ItemType.ASSEMBLY, "PCE", item.mass_kg)
    rig.standin.soap.calls.clear()
    page = await rig.connector.list_items(query(queries.ItemFilter, 10), None)
    assert rig.standin.soap.calls == ["BAPI_MATERIAL_GETLIST"] + ["BAPI_MATERIAL_GET_DETAIL"] * 10
    every = await everything(rig.connector.list_items, query(queries.ItemFilter, 100))
    assert len({each.id for each in every}) == len(rig.world.items)
    assert page.records[0].id in {each.id for each in every}
    known = [identity async for identity in rig.connector.identities()]
    assert len(known) == len(rig.world.items)
    assert all(each.subject is Subject.ITEM and each.kind is Kind.ITEM for each in known)


async def test_nothing_is_polled(rig: Rig) -> None:
    polled = await rig.connector.poll(None)
    assert (polled.raws, polled.cursor) == ((), NOW.isoformat())
    assert rig.standin.soap.calls == []


# --- the messages


def test_a_message_as_the_gateway_wants_it() -> None:
    body, headers = wsdl.load(None).message(
        "BAPI_MATERIAL_GETLIST",
        {"MAXROWS": 3, "MATNRSELECTION": [{"SIGN": "I", "OPTION": "CP", "MATNR_LOW": "*"}], "MATNRLIST": []},
    )
    call = etree.fromstring(body).find(f"{{{ENVELOPE}}}Body")[0]
    assert call.tag == f"{{{NAMESPACE}}}BAPI_MATERIAL_GETLIST"
    assert [(each.tag, len(each)) for each in call] == [("MATNRLIST", 0), ("MATNRSELECTION", 1), ("MAXROWS", 0)], (
        "parameters have no namespace, and a table that is wanted back is there though empty"
    )
    assert headers["SOAPAction"] == '"urn:sap-com:document:sap:rfc:functions:BAPI_MATERIAL_GETLIST"'
    assert headers["Content-Type"] == "text/xml; charset=utf-8"


async def test_the_call_goes_with_client_and_basic(rig: Rig) -> None:
    await rig.connector.read_items(["100017"])
    seen = rig.faults.recent[-1]
    assert (seen.method, seen.path, seen.query) == ("POST", sap_erp.SOAP, "sap-client=100&sap-language=EN")
    assert seen.headers["soapaction"].endswith('BAPI_MATERIAL_GET_DETAIL"')
    assert seen.headers["authorization"] == "***"


def test_answers_of_other_gateways_are_read_too() -> None:
    """Another name of the response, another namespace, more fields, another order, a table as a structure."""
    body = envelope(
        "MaterialGetDetailResponse",
        "<NEW_IN_2025>1</NEW_IN_2025><RETURN><TYPE>S</TYPE></RETURN><MATERIAL_GENERAL_DATA><UNIT_OF_WT>KG</UNIT_OF_WT>"
        "<ZZ_OWN>x</ZZ_OWN><NET_WEIGHT>1.500</NET_WEIGHT><MATL_DESC>Pump</MATL_DESC></MATERIAL_GENERAL_DATA>",
    ).replace(NAMESPACE.encode(), b"urn:sap-com:document:sap:soap:functions:mc-style")
    values = wsdl.load(None).values("BAPI_MATERIAL_GET_DETAIL", body)
    data = functions.structure(values, "MATERIAL_GENERAL_DATA")
    assert functions.text(data, "MATL_DESC") == "Pump"
    assert functions.number(data, "NET_WEIGHT") == Decimal("1.500")
    assert [message.failed for message in functions.messages(values)] == [False]


def test_names_of_generated_services_are_the_same_names() -> None:
    returned = {"item": [{"Type": "E", "Id": "M3", "Number": "305", "Message": "no"}]}
    values = functions.normal({"MaterialGeneralData": {"MatlDesc": "Pump"}, "Return": returned})
    assert functions.text(functions.structure(values, "MATERIAL_GENERAL_DATA"), "MATL_DESC") == "Pump"
    [message] = functions.messages(values)
    assert (message.failed, message.code, message.text) == (True, "M3/305", "no")


@pytest.mark.parametrize(
    ("given", "number", "amount"),
    [
        ("5.000", "5.000", "5.00"),
        ("12.500-", "-12.500", "-12.50"),
        ("2656.240000000", "2656.240000000", "2656.24"),
        ("0.123400000", "0.123400000", "0.1234"),
        ("1000", "1000", "1000.00"),
        ("", None, None),
    ],
)
def test_numbers_of_bapis(given: str, number: str | None, amount: str | None) -> None:
    row = {"X": given}
    found, short = functions.number(row, "X"), functions.amount(row, "X")
    assert (None if found is None else str(found)) == number
    assert (None if short is None else str(short)) == amount


def test_no_number_is_said_with_its_field() -> None:
    with pytest.raises(BadPayload, match="`REQ_QTY` is no number"):
        functions.number({"REQQTY": "many"}, "REQ_QTY")


# --- BAPIRET2 and faults


@pytest.mark.parametrize(
    ("returned", "error"),
    [
        ("<RETURN><TYPE>E</TYPE><ID>F2</ID><NUMBER>003</NUMBER><MESSAGE>Unknown</MESSAGE></RETURN>", "F2/003"),
        ("<RETURN><item><TYPE>S</TYPE></item><item><TYPE>A</TYPE><ID>F2</ID><NUMBER>004</NUMBER></item></RETURN>",
         "F2/004"),
        ("<RETURN><TYPE>E</TYPE><CODE>MM102</CODE><MESSAGE>old form</MESSAGE></RETURN>", "MM102"),
        ("<RETURN><TYPE>W</TYPE><ID>F2</ID><NUMBER>005</NUMBER></RETURN>", None),
        ("<RETURN><item><TYPE></TYPE><MESSAGE>empty type</MESSAGE></item></RETURN>", None),
        ("<RETURN/>", None),
        ("", None),
    ],
)  # fmt: skip
async def test_errors_inside_of_200(rig: Rig, returned: str, error: str | None) -> None:
    body = envelope("BAPI_MATERIAL_GET_DETAIL.Response", "<MATERIAL_GENERAL_DATA><MATL_DESC>x</MATL_DESC>"
                    f"<MATL_TYPE>FERT</MATL_TYPE></MATERIAL_GENERAL_DATA>{returned}")  # fmt: skip
    rig.faults.fail_next.append(Failure(status=200, headers={"Content-Type": "text/xml"}, body=body))
    if error is None:
        assert len(await rig.connector.read_items(["1"])) == 1
        return
    with pytest.raises(Rejected) as caught:
        await rig.connector.read_items(["1"])
    assert caught.value.vendor_code == error


def _fault(inner: str) -> bytes:
    return (
        f'<e:Envelope xmlns:e="{ENVELOPE}"><e:Body><e:Fault><faultcode>e:Server</faultcode>{inner}</e:Fault></e:Body>'
        "</e:Envelope>"
    ).encode()


@pytest.mark.parametrize(
    ("inner", "error", "code", "calls"),
    [
        ("<faultstring>TABLE_NOT_AVAILABLE</faultstring><detail><r:TABLE_NOT_AVAILABLE.Exception "
         'xmlns:r="urn:x"/></detail>', BadRequest, "TABLE_NOT_AVAILABLE", 1),
        ("<faultstring>no</faultstring><detail><n:SystemFault xmlns:n='urn:x'><Name>RFC_ERROR_FUNCTION_NOT_FOUND</Name>"
         "<Text>no such function</Text></n:SystemFault></detail>", BadRequest, "RFC_ERROR_FUNCTION_NOT_FOUND", 1),
        ("<detail><r:NOT_AUTHORIZED.Exception xmlns:r='urn:x'/></detail>", PermissionDenied, "NOT_AUTHORIZED", 1),
        ("<detail><r:ZZ_CLOSED.Exception xmlns:r='urn:x'/></detail>", Rejected, "ZZ_CLOSED", 1),
        ("<faultstring>short dump</faultstring>", VendorDown, None, 3),
    ],
)  # fmt: skip
async def test_faults(rig: Rig, inner: str, error: type[Exception], code: str | None, calls: int) -> None:
    rig.faults.fail_next += [Failure(status=500, headers={"Content-Type": "text/xml"}, body=_fault(inner))] * 3
    before = rig.faults.calls["POST", sap_erp.SOAP]
    with pytest.raises(error) as caught:
        await rig.connector.shipments_of_orders(["1"])
    assert getattr(caught.value, "vendor_code", None) == code
    assert rig.faults.calls["POST", sap_erp.SOAP] == before + calls


BILLION = (
    '<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa">' + "".join(
        f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(8)
    ) + "]>"
)  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        envelope("BAPI_MATERIAL_GET_DETAIL.Response", "<RETURN>&i;</RETURN>", BILLION),
        envelope(
            "BAPI_MATERIAL_GET_DETAIL.Response", "<RETURN>&x;</RETURN>",
            '<!DOCTYPE l [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        ),
        envelope("BAPI_MATERIAL_GET_DETAIL.Response", "", '<!DOCTYPE l SYSTEM "http://127.0.0.1:9/x.dtd">'),
        b"<e/>",
        b"not xml",
        envelope("BAPI_MATERIAL_GET_DETAIL.Response", "<RETURN>")[:80],
    ],
)  # fmt: skip
async def test_xml_that_is_not_read(rig: Rig, body: bytes) -> None:
    rig.faults.fail_next.append(Failure(status=200, headers={"Content-Type": "text/xml"}, body=body))
    with pytest.raises(BadPayload) as caught:
        await rig.connector.read_items(["1"])
    assert "root:" not in str(caught.value)
    assert caught.value.path


# --- the WSDL


async def test_the_wsdl_is_read_once_and_off_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    wsdl._packaged.cache_clear()
    threads: list[str] = []
    original = wsdl.Wsdl.__init__

    def noted(self: wsdl.Wsdl, content: bytes, where: str) -> None:
        import threading

        threads.append(threading.current_thread().name)
        original(self, content, where)

    monkeypatch.setattr(wsdl.Wsdl, "__init__", noted)
    made = [soap_rig() for _ in range(3)]
    await asyncio.gather(*(each.connector.read_items(["100017", "100034"]) for each in made))
    assert len(threads) == 1
    assert threads[0] != "MainThread"
    for each in made:
        await each.connector.aclose()


async def test_a_wsdl_of_ones_own(tmp_path: Path) -> None:
    """As a system generates it: CamelCase names, another namespace."""
    own = PACKAGED.read_text()
    for old, new in (
        ("urn:sap-com:document:sap:rfc:functions", "urn:sap-com:document:sap:soap:functions:mc-style"),
        ("BAPI_MATERIAL_GET_DETAIL", "MaterialGetDetail"),
        ('name="MATERIAL"', 'name="Material"'),
    ):
        own = own.replace(old, new)
    file = tmp_path / "own.wsdl"
    file.write_text(own)
    described = await asyncio.to_thread(wsdl.load, str(file))
    body, headers = described.message("BAPI_MATERIAL_GET_DETAIL", {"MATERIAL": "TG11"})
    assert b"<Material>TG11</Material>" in body
    assert b"mc-style" in body
    assert headers["SOAPAction"].endswith('MaterialGetDetail"')


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read `wsdl_file` {file}: No such file or directory"),
        (b"", "cannot read the WSDL `{file}`"),
        (b"<html>Logon</html>", "cannot read the WSDL `{file}`"),
        (b"<!DOCTYPE d [<!ENTITY a 'b'>]><d>&a;</d>", "DTDForbidden"),
        (
            PACKAGED.read_bytes().replace(
                b"<wsdl:types>", b'<wsdl:import namespace="urn:o" location="http://127.0.0.1:9/o.wsdl"/><wsdl:types>', 1
            ),
            "127.0.0.1:9/o.wsdl",
        ),
    ],
)
async def test_a_wsdl_that_cannot_be_read_says_which_and_why(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    file = tmp_path / "own.wsdl"
    if content is not None:
        file.write_bytes(content)
    made = soap_rig({"wsdl_file": str(file)})
    with pytest.raises(AuthFailed) as caught:
        await made.connector.check()
    assert message.format(file=file) in str(caught.value)
    await made.connector.aclose()


async def test_a_function_that_ones_own_wsdl_has_not(tmp_path: Path) -> None:
    file = tmp_path / "own.wsdl"
    file.write_text(PACKAGED.read_text().replace("BAPI_MATERIAL_GETLIST", "Z_OTHER"))
    made = soap_rig({"wsdl_file": str(file)})
    with pytest.raises(BadPayload, match="has no function BAPI_MATERIAL_GETLIST"):
        await made.connector.list_items(query(queries.ItemFilter), None)
    await made.connector.aclose()


# --- RFC_READ_TABLE


def test_options_break_between_words_only() -> None:
    numbers = [f"{n:010d}" for n in range(12)]
    lines = tables.options(["VBTYP = 'C'", tables.any_of("VBELN", numbers)])
    assert all(len(line["TEXT"]) <= 72 for line in lines)
    assert " ".join(line["TEXT"] for line in lines) == "VBTYP = 'C' AND " + tables.any_of("VBELN", numbers)
    assert tables.options(["NAME = 'O''Neill & Sons'"]) == [{"TEXT": "NAME = 'O''Neill & Sons'"}]
    assert tables.options([]) == []


def test_rows_are_where_the_fields_say() -> None:
    fields = [{"FIELDNAME": "A", "OFFSET": "000000", "LENGTH": "000004"}, {"FIELDNAME": "B", "OFFSET": "000004",
              "LENGTH": "000003"}]  # fmt: skip
    values = functions.normal({"DATA": [{"WA": "ab  c|"}, {"WA": "x"}], "FIELDS": fields})
    assert tables.rows(values) == [{"A": "ab", "B": "c|"}, {"A": "x", "B": ""}]
    with pytest.raises(BadPayload, match="has 1 fields where 2 were asked for"):
        tables.rows(functions.normal({"DATA": [{"WA": "x"}], "FIELDS": fields}), "|")


# --- RFC


class FakePyrfc(types.ModuleType):
    """pyrfc as far as the connector touches it; answers come from the stand-in's function modules."""

    class RFCError(Exception):
        pass

    class RFCLibError(RFCError):
        def __init__(self, message: str = "", code: int = 0, key: str = "") -> None:
            super().__init__(message)
            self.message, self.code, self.key = message, code, key

    class ABAPApplicationError(RFCLibError):
        pass

    class ABAPRuntimeError(RFCLibError):
        pass

    class LogonError(RFCLibError):
        pass

    class CommunicationError(RFCLibError):
        pass

    def __init__(self, rig: Rig) -> None:
        super().__init__("pyrfc")
        self.opened: list[dict[str, Any]] = []
        self.closed = 0
        self.raises: list[Exception] = []
        self.hangs = False
        outer = self

        class Connection:
            def __init__(self, **facts: Any) -> None:
                outer.opened.append(facts)

            def call(self, name: str, **parameters: Any) -> dict[str, Any]:
                if outer.raises:
                    raise outer.raises.pop(0)
                if outer.hangs:
                    import time

                    time.sleep(0.2)
                rig.standin.soap.calls.append(name)
                return rig.standin.soap._functions[name](parameters)  # type: ignore[no-any-return]

            def close(self) -> None:
                outer.closed += 1

        self.Connection = Connection


RFC: dict[str, Any] = {"interface": "rfc", "ashost": "sap.example", "sysnr": "01"}


@pytest.fixture
def pyrfc(monkeypatch: pytest.MonkeyPatch) -> FakePyrfc:
    made = FakePyrfc(Rig())
    monkeypatch.setitem(sys.modules, "pyrfc", made)
    return made


def rfc_connector(settings: dict[str, Any] | None = None, **facts: Any) -> tuple[SapErp, FakeClock, Lines]:
    clock, log = FakeClock(), Lines()
    more = {"credentials": BASIC, "base_url": "", **facts}
    return SapErp(integration(RFC | (settings or {}), **more), Services(clock=clock, log=log)), clock, log


async def test_without_pyrfc_it_is_said_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyrfc", None)
    connector, _, _ = rfc_connector()
    with pytest.raises(RfcMissing) as caught:
        await connector.check()
    said = str(caught.value)
    assert 'interface = "rfc" needs pyrfc and the NetWeaver RFC SDK of SAP' in said
    assert "pip install crossdock[sap-rfc]" in said
    assert 'set interface = "soap" or "odata"' in said
    assert "soap" in caught.value.hint
    assert sap_erp.PASSWORD not in said
    await connector.aclose()


async def test_the_same_calls_over_rfc(pyrfc: FakePyrfc) -> None:
    connector, _, _ = rfc_connector()
    assert await connector.check() == "SAP ERP: RFC_PING answers over RFC"
    [order] = await connector.read_orders(["SO/12000"])
    over = soap_rig()
    [twin] = await over.connector.read_orders(["SO/12000"])
    assert order == twin
    [item] = await connector.read_items(["100017", "404404"])
    assert item.number == "000000000000100017"
    assert pyrfc.opened == [
        {"user": sap_erp.USER, "passwd": sap_erp.PASSWORD, "lang": "EN", "client": "100", "ashost": "sap.example",
         "sysnr": "01"}
    ], "one connection for all calls"  # fmt: skip
    await connector.aclose()
    assert pyrfc.closed == 1
    await over.connector.aclose()


async def test_a_message_server_and_a_router(pyrfc: FakePyrfc) -> None:
    connector, _, _ = rfc_connector(
        {"ashost": None, "mshost": "ms.example", "sysid": "ERP", "group": "SPACE", "saprouter": "/H/router"}
    )
    await connector.check()
    [facts] = pyrfc.opened
    assert (facts["mshost"], facts["group"], facts["sysid"], facts["saprouter"]) == (
        "ms.example", "SPACE", "ERP", "/H/router",
    )  # fmt: skip
    assert "ashost" not in facts
    await connector.aclose()


@pytest.mark.parametrize(
    ("fault", "error", "code", "reconnects"),
    [
        ("LogonError", AuthFailed, "RFC_LOGON_FAILURE", True),
        ("ABAPApplicationError", Rejected, "ZZ_CLOSED", False),
        ("ABAPRuntimeError", Rejected, "DBIF_DSQL2", True),
    ],
)
async def test_pyrfc_errors(pyrfc: FakePyrfc, fault: str, error: type[Exception], code: str, reconnects: bool) -> None:
    connector, _, _ = rfc_connector()
    await connector.check()
    pyrfc.raises = [getattr(pyrfc, fault)(f"said by SAP: {code}", 5, code)]
    with pytest.raises(error) as caught:
        await connector.read_items(["1"])
    assert getattr(caught.value, "vendor_code", None) == code
    assert "said by SAP" in str(caught.value)
    await connector.check()
    assert len(pyrfc.opened) == (2 if reconnects else 1)
    await connector.aclose()


@pytest.mark.parametrize(("key", "error"), [("FU_NOT_FOUND", BadRequest), ("RFC_NO_AUTHORITY", PermissionDenied)])
async def test_keys_of_pyrfc_errors(pyrfc: FakePyrfc, key: str, error: type[Exception]) -> None:
    connector, _, _ = rfc_connector()
    pyrfc.raises = [pyrfc.ABAPApplicationError("no", 5, key)]
    with pytest.raises(error):
        await connector.check()
    await connector.aclose()


async def test_an_outage_is_retried_and_opens_the_breaker(pyrfc: FakePyrfc) -> None:
    connector, clock, log = rfc_connector()
    pyrfc.raises = [pyrfc.CommunicationError("broken", 1, "RFC_COMMUNICATION_FAILURE")]
    await connector.check()
    assert len(pyrfc.opened) == 2, "a new connection after the lost one"
    pyrfc.raises = [pyrfc.CommunicationError("broken", 1, "RFC_COMMUNICATION_FAILURE") for _ in range(6)]
    for _ in range(2):
        with pytest.raises(VendorDown):
            await connector.check()
    with pytest.raises(CircuitOpen):
        await connector.check()
    assert log.events.count("vendor.unavailable") == 1, "the first was over before anybody need know"
    clock.passed += 60
    pyrfc.raises = []
    await connector.check()
    await connector.aclose()


async def test_a_call_has_a_deadline(pyrfc: FakePyrfc) -> None:
    connector, _, _ = rfc_connector(deadline_seconds=0.05)
    pyrfc.hangs = True
    with pytest.raises(TimedOut):
        await connector.check()
    pyrfc.hangs = False
    await connector.aclose()


def test_rfc_needs_user_and_password() -> None:
    oauth = {"client_id": Secret("a"), "client_secret": Secret("b")}
    with pytest.raises(AuthFailed, match="give user and password"):
        rfc_connector(credentials=oauth)
