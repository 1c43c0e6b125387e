"""The SAP ERP stand-in against the services' original metadata, pyodata and zeep's reading of our WSDL."""

import threading
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pyodata
import pytest
import requests
import uvicorn
from lxml import etree

from sandbox import sap_erp
from sandbox.sap_erp import idocs
from sandbox.sap_erp.rows import Books
from sandbox.sap_erp.soap import ENVELOPE, NAMESPACE
from sandbox.serving import quiet_config
from sandbox.world import World

NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
EDMX = Path(__file__).parents[1] / "samples" / "sap-erp" / "edmx"
FILES = {
    "API_SALES_ORDER_SRV": "API_SALES_ORDER_SRV",
    "API_OUTBOUND_DELIVERY_SRV;v=0002": "API_OUTBOUND_DELIVERY_SRV_0002",
    "API_MATERIAL_STOCK_SRV": "API_MATERIAL_STOCK_SRV",
    "API_PRODUCT_SRV": "API_PRODUCT_SRV",
}
OF_OURS = {"DeliveryDocument", "SalesOrder"}
"""Fields that partners of a document have here to be joined by."""


class Rig:
    def __init__(self) -> None:
        self.now = NOW
        self.standin = sap_erp.create(World(lambda: self.now), unheard_of=1)
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=self.standin.app),
            base_url="http://vendor",
            auth=(sap_erp.USER, sap_erp.PASSWORD),
        )

    async def get(self, path: str, **query: str) -> Any:
        named = {name.replace("S_", "$"): value for name, value in query.items()}
        answer = await self.client.get(sap_erp.V2 + path, params=named)
        assert answer.status_code == 200, answer.text
        return answer.json()["d"]

    async def call(self, name: str, inner: str = "") -> httpx.Response:
        body = (
            f'<e:Envelope xmlns:e="{ENVELOPE}"><e:Body><r:{name} xmlns:r="{NAMESPACE}">{inner}</r:{name}></e:Body>'
            "</e:Envelope>"
        )
        return await self.client.post(sap_erp.SOAP, content=body, headers={"Content-Type": "text/xml"})


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    yield made
    await made.client.aclose()


# --- pyodata, over a socket


@pytest.fixture(scope="module")
def served() -> Iterator[str]:
    stand_in = sap_erp.create(World(lambda: NOW))
    server = uvicorn.Server(quiet_config(stand_in.app, "127.0.0.1", 0, lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 10
    while not server.started:
        assert time.monotonic() < until
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as made:
        made.trust_env = False
        made.auth = (sap_erp.USER, sap_erp.PASSWORD)
        yield made


def client(served: str, session: requests.Session, service: str) -> Any:
    metadata = (EDMX / f"{FILES[service]}.edmx").read_bytes()
    return pyodata.Client(f"{served}{sap_erp.V2}/{service}", session, metadata=metadata)


def test_pyodata_reads_orders_with_items_and_schedule_lines(served: str, session: requests.Session) -> None:
    orders = client(served, session, "API_SALES_ORDER_SRV").entity_sets.A_SalesOrder
    found = (
        orders.get_entities()
        .filter("OverallSDProcessStatus eq 'B'")
        .order_by("SalesOrder")
        .expand("to_Item/to_ScheduleLine")
        .top(3)
        .execute()
    )
    assert len(found) == 3
    first = found[0]
    assert first.OverallSDProcessStatus == "B"
    assert isinstance(first.LastChangeDateTime, datetime)
    assert [line.SalesOrder for line in first.to_Item] == [first.SalesOrder] * len(first.to_Item)
    assert {line.ScheduleLine for line in first.to_Item[0].to_ScheduleLine} == {"1", "2"}
    assert orders.get_entities().count().execute() == 180


@pytest.mark.parametrize(
    ("service", "entity_set"),
    [
        ("API_OUTBOUND_DELIVERY_SRV;v=0002", "A_OutbDeliveryHeader"),
        ("API_OUTBOUND_DELIVERY_SRV;v=0002", "A_OutbDeliveryItem"),
        ("API_MATERIAL_STOCK_SRV", "A_MatlStkInAcctMod"),
        ("API_PRODUCT_SRV", "A_Product"),
    ],
)
def test_pyodata_reads_the_other_services(
    served: str, session: requests.Session, service: str, entity_set: str
) -> None:
    entities = getattr(client(served, session, service).entity_sets, entity_set)
    assert len(entities.get_entities().top(7).execute()) == 7


def test_pyodata_follows_the_servers_pages(served: str, session: requests.Session) -> None:
    products = client(served, session, "API_PRODUCT_SRV").entity_sets.A_Product
    page = products.get_entities().count(inline=True).execute()
    seen, total = list(page), page.total_count
    while page.next_url:
        page = products.get_entities().next_url(page.next_url).execute()
        seen += list(page)
    assert len({product.Product for product in seen}) == total == 420


# --- against the metadata


@pytest.mark.parametrize("service", FILES)
def test_it_has_no_field_that_the_service_has_not(service: str) -> None:
    root = etree.parse(str(EDMX / f"{FILES[service]}.edmx")).getroot()
    kinds = {
        str(kind.get("Name")): {str(each.get("Name")): str(each.get("Type")) for each in kind.iter("{*}Property")}
        for kind in root.iter("{*}EntityType")
    }
    navigations = {
        str(kind.get("Name")): {str(each.get("Name")) for each in kind.iter("{*}NavigationProperty")}
        for kind in root.iter("{*}EntityType")
    }
    types = {
        "Edm.String": (str,), "Edm.Boolean": (bool,), "Edm.Decimal": (Decimal, str), "Edm.DateTime": (datetime,),
        "Edm.DateTimeOffset": (datetime,), "Edm.Time": (str,),
    }  # fmt: skip
    for entities in Books(World(lambda: NOW)).services()[service].values():
        known = kinds[entities.entity_type.rpartition(".")[2]]
        for column, kind in entities.columns.items():
            if column in OF_OURS and column not in known:
                continue
            assert kind in types[known[column]], f"{entities.name}.{column}"
        assert set(entities.expands) <= navigations[entities.entity_type.rpartition(".")[2]]
        assert next(iter(entities.rows())).keys() == entities.columns.keys()


# --- as SAP writes


async def test_values_and_envelopes_of_v2(rig: Rig) -> None:
    d = await rig.get("/API_SALES_ORDER_SRV/A_SalesOrder", S_top="1", S_inlinecount="allpages")
    assert d["__count"] == "180"
    row = d["results"][0]
    assert row["SalesOrderDate"].endswith("00000)/")
    assert row["LastChangeDateTime"].endswith("+0000)/")
    assert "." in row["TotalNetAmount"]
    assert row["to_Item"]["__deferred"]["uri"].endswith(f"A_SalesOrder('{row['SalesOrder']}')/to_Item")
    delivery = await rig.get("/API_OUTBOUND_DELIVERY_SRV;v=0002/A_OutbDeliveryHeader('80001000')")
    assert delivery["CreationTime"].startswith("PT")
    assert delivery["DeliveryDocument"] == "80001000", "the warehouse calls it 0080001000"
    assert delivery["MeansOfTransport"] == "KJA-152CA", "the warehouse calls it KJA152CA"


async def test_nested_expand(rig: Rig) -> None:
    d = await rig.get("/API_SALES_ORDER_SRV/A_SalesOrder", S_top="2", S_expand="to_Item/to_ScheduleLine,to_Partner")
    first = d["results"][0]
    assert len(first["to_Item"]["results"][0]["to_ScheduleLine"]["results"]) == 2
    assert [each["PartnerFunction"] for each in first["to_Partner"]["results"]] == ["SP", "SH"]


async def test_v4_expands_and_pages(rig: Rig) -> None:
    answer = await rig.client.get(
        f"{sap_erp.V4}/SalesOrder",
        params={
            "$expand": "_Item($expand=_ScheduleLine),_Partner",
            "$count": "true",
            "$filter": "SalesOrder eq '12000'",
        },
    )
    body = answer.json()
    assert body["@odata.count"] == 1
    [order] = body["value"]
    assert isinstance(order["TotalNetAmount"], float)
    assert order["SalesOrderDate"] == "2026-11-25"
    assert order["_Item"][0]["Product"] == "104913"
    assert len(order["_Item"][0]["_ScheduleLine"]) == 2
    page = (await rig.client.get(f"{sap_erp.V4}/SalesOrder")).json()
    assert len(page["value"]) == 100
    assert page["@odata.nextLink"].startswith("SalesOrder?$skiptoken=100")


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("/API_SALES_ORDER_SRV/A_SalesOrder", {"$filter": "Nope eq '1'"}, 400),
        ("/API_SALES_ORDER_SRV/A_SalesOrder", {"$expand": "to_Nope"}, 400),
        ("/API_SALES_ORDER_SRV/A_Nope", {}, 404),
        ("/API_SALES_ORDER_SRV/A_SalesOrder('1')", {}, 404),
        ("/API_NOPE_SRV/A_SalesOrder", {}, 403),
        ("/API_SALES_ORDER_SRV/A_SalesOrder", {"sap-client": "200"}, 401),
    ],
)
async def test_errors(rig: Rig, path: str, query: dict[str, str], status: int) -> None:
    assert (await rig.client.get(sap_erp.V2 + path, params=query)).status_code == status


async def test_sessions_are_opened_and_given_back(rig: Rig) -> None:
    await rig.get("/API_PRODUCT_SRV/A_Product", S_top="1")
    await rig.get("/API_PRODUCT_SRV/A_Product", S_top="1")
    assert (rig.standin.logins, rig.standin.logon.open_sessions) == (1, 1)
    await rig.client.get(sap_erp.LOG_OFF)
    assert rig.standin.logon.open_sessions == 0


async def test_a_change_wants_the_token_and_is_then_refused(rig: Rig) -> None:
    path = sap_erp.V2 + "/API_SALES_ORDER_SRV/A_SalesOrder"
    first = await rig.client.post(path, json={})
    assert (first.status_code, first.headers["x-csrf-token"]) == (403, "Required")
    token = (await rig.client.get(sap_erp.V2 + "/API_SALES_ORDER_SRV/", headers={"X-CSRF-Token": "Fetch"})).headers
    second = await rig.client.post(path, json={}, headers={"X-CSRF-Token": token["x-csrf-token"]})
    assert second.status_code == 405


# --- SOAP


async def test_a_bapi_answers_in_its_namespace(rig: Rig) -> None:
    answer = await rig.call("BAPI_MATERIAL_GET_DETAIL", "<MATERIAL>000000000000100017</MATERIAL>")
    body = etree.fromstring(answer.content).find(f"{{{ENVELOPE}}}Body")[0]
    assert body.tag == f"{{{NAMESPACE}}}BAPI_MATERIAL_GET_DETAIL.Response"
    assert body.findtext("RETURN/TYPE") == "S"
    assert body.findtext("MATERIAL_GENERAL_DATA/MATL_TYPE") == "FERT"


async def test_a_failure_of_the_application_is_200(rig: Rig) -> None:
    answer = await rig.call("BAPI_MATERIAL_GET_DETAIL", "<MATERIAL>100017</MATERIAL>")
    assert answer.status_code == 200
    assert b"<TYPE>E</TYPE>" in answer.content, "without its zeros there is no such material"


@pytest.mark.parametrize(
    ("name", "inner", "key"),
    [
        ("BAPI_NOPE", "", "FU_NOT_FOUND"),
        ("RFC_READ_TABLE", "<QUERY_TABLE>NOPE</QUERY_TABLE>", "TABLE_NOT_AVAILABLE"),
        ("RFC_READ_TABLE", "<QUERY_TABLE>VBAK</QUERY_TABLE><FIELDS><item><FIELDNAME>X</FIELDNAME></item></FIELDS>",
         "FIELD_NOT_VALID"),
        ("RFC_READ_TABLE", f"<QUERY_TABLE>VBAK</QUERY_TABLE><OPTIONS><item><TEXT>{'x' * 73}</TEXT></item></OPTIONS>",
         "OPTION_NOT_VALID"),
    ],
)  # fmt: skip
async def test_exceptions_are_faults(rig: Rig, name: str, inner: str, key: str) -> None:
    answer = await rig.call(name, inner)
    assert answer.status_code == 500
    assert f"{key}.Exception" in answer.text


async def test_a_table_comes_back_only_when_it_was_sent(rig: Rig) -> None:
    view = "<I_BAPI_VIEW><HEADER>X</HEADER><ITEM>X</ITEM></I_BAPI_VIEW>"
    wanted = "<SALES_DOCUMENTS><item><VBELN>0000012000</VBELN></item></SALES_DOCUMENTS>"
    answer = await rig.call("BAPISDORDER_GETDETAILEDLIST", view + wanted + "<ORDER_HEADERS_OUT/>")
    assert b"<ORDER_HEADERS_OUT><item>" in answer.content
    assert b"ORDER_ITEMS_OUT" not in answer.content


async def test_rows_of_a_table_are_padded(rig: Rig) -> None:
    fields = "<FIELDS><item><FIELDNAME>VBELN</FIELDNAME></item><item><FIELDNAME>BSTNK</FIELDNAME></item></FIELDS>"
    options = (
        "<OPTIONS><item><TEXT>VBTYP = 'C' AND</TEXT></item><item><TEXT>VBELN &gt; '0000012002'</TEXT></item></OPTIONS>"
    )
    answer = await rig.call(
        "RFC_READ_TABLE",
        f"<QUERY_TABLE>VBAK</QUERY_TABLE>{fields}{options}<ROWSKIPS>1</ROWSKIPS><ROWCOUNT>2</ROWCOUNT>",
    )
    rows = [each.text for each in etree.fromstring(answer.content).iter("WA")]
    assert rows == ["0000012004PO-62004", "0000012005PO-62005"]


# --- IDocs


def test_idocs_have_control_records_and_segments() -> None:
    books = Books(World(lambda: NOW))
    body = idocs.package("ORDERS05", [idocs.orders(books, one, n, NOW) for n, one in enumerate(books.inbound[:3])])
    root = etree.fromstring(body)
    assert root.tag == "ORDERS05"
    assert [idoc.findtext("EDI_DC40/DOCNUM") for idoc in root] == [f"{n:016d}" for n in range(3)]
    assert all(idoc.findtext("E1EDK01/BELNR") for idoc in root)


async def test_the_port_sends_what_changed_since_it_looked() -> None:
    received: list[httpx.Request] = []

    def hook(request: httpx.Request) -> httpx.Response:
        received.append(request)
        return httpx.Response(200)

    now = [NOW]
    books = Books(World(lambda: now[0]))
    port = idocs.Port(books, url="http://x/", user="u", password="p", transport=httpx.MockTransport(hook))
    assert await port.tick() == 0
    now[0] = NOW.replace(hour=11)
    sent = await port.tick()
    due = [one for one in books.outbound if NOW < one.state_at(now[0]).changed_at <= now[0]]
    assert sent == len(due) > 5
    assert received[0].headers["authorization"].startswith("Basic ")
    assert received[0].content.count(b"<IDOC ") == sent
    assert port.sent == [(",".join(one.number for one in due), 200)]
    assert await port.tick() == 0
