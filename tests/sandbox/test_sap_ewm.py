"""The SAP EWM stand-in against the services' EDMX and pyodata, SAP's own client, over a real socket."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pyodata
import pytest
import requests
import uvicorn
from lxml import etree

from sandbox import sap_ewm
from sandbox.sap_ewm.query import BadQuery, ordered, where
from sandbox.serving import quiet_config
from sandbox.world import World

NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
EDMX = Path(__file__).parents[1] / "samples" / "sap-ewm" / "edmx"
ORDER_TASK = f"{sap_ewm.V2}/API_WAREHOUSE_ORDER_TASK"
OUTBOUND = f"{sap_ewm.V2}/API_WHSE_OUTB_DLV_ORDER"
BINS = f"{sap_ewm.V2}/API_WAREHOUSE_STORAGE_BIN"


class Rig:
    def __init__(self, **options: Any) -> None:
        self.now = NOW
        self.world = World(lambda: self.now)
        self.west, self.north = sap_ewm.create(self.world, unheard_of=1, **options)
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=self.west.app),
            base_url="http://vendor",
            auth=(sap_ewm.USER, sap_ewm.PASSWORD),
        )

    async def get(self, path: str, **query: str) -> Any:
        answer = await self.client.get(path, params={name.replace("S_", "$"): value for name, value in query.items()})
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
async def rig() -> Any:
    made = Rig()
    yield made
    await made.client.aclose()


# --- pyodata


@pytest.fixture(scope="module")
def served() -> Iterator[str]:
    """The western system on a free port of the loopback."""
    stand_in = sap_ewm.create(World(lambda: NOW))[0]
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
        made.auth = (sap_ewm.USER, sap_ewm.PASSWORD)
        yield made


def service(served: str, session: requests.Session, name: str) -> Any:
    metadata = (EDMX / f"{name}.reconstructed.edmx").read_bytes()
    return pyodata.Client(f"{served}{sap_ewm.V2}/{name}", session, metadata=metadata)


def test_pyodata_reads_warehouse_orders(served: str, session: requests.Session) -> None:
    client = service(served, session, "API_WAREHOUSE_ORDER_TASK")
    orders = client.entity_sets.WarehouseOrder
    found = orders.get_entities().filter("WarehouseOrderStatus eq 'D'").order_by("WarehouseOrder").top(5).execute()
    assert [order.WarehouseOrder for order in found] == sorted(order.WarehouseOrder for order in found)
    assert {order.WarehouseOrderStatusName for order in found} == {"In Process"}
    assert all(isinstance(order.CreationDateTime, datetime) for order in found)
    one = orders.get_entity(Warehouse="1710", WarehouseOrder="2000000").execute()
    assert one.ExecutingResource == "FRK02"
    assert orders.get_entities().count().execute() == 59, "one of the sixty is not created yet"


def test_pyodata_follows_the_servers_pages_of_tasks(served: str, session: requests.Session) -> None:
    tasks = service(served, session, "API_WAREHOUSE_ORDER_TASK").entity_sets.WarehouseTask
    page = tasks.get_entities().count(inline=True).execute()
    seen = list(page)
    total = page.total_count
    while page.next_url:
        page = tasks.get_entities().next_url(page.next_url).execute()
        seen += list(page)
    assert len({(task.Warehouse, task.WarehouseTask) for task in seen}) == len(seen) == total
    assert seen[0].TargetQuantityInBaseUnit == "12.000"
    assert seen[0].EWMBaseUnitISOCode == "PCE"


@pytest.mark.parametrize(
    ("name", "entity_set"),
    [
        ("API_WHSE_OUTB_DLV_ORDER", "WhseOutboundDeliveryOrderItem"),
        ("API_WHSE_INBOUND_DELIVERY", "WhseInboundDeliveryItem"),
        ("API_WAREHOUSE_STORAGE_BIN", "WarehouseStorageBin"),
    ],
)
def test_pyodata_reads_the_other_services(served: str, session: requests.Session, name: str, entity_set: str) -> None:
    found = getattr(service(served, session, name).entity_sets, entity_set).get_entities().top(7).execute()
    assert len(found) == 7


# --- against the EDMX


def _properties(name: str) -> dict[str, dict[str, str]]:
    root = etree.parse(str(EDMX / f"{name}.reconstructed.edmx")).getroot()
    kinds: dict[str, dict[str, str]] = {}
    for kind in root.iter("{*}EntityType"):
        kinds[str(kind.get("Name"))] = {
            str(each.get("Name")): str(each.get("Type")) for each in kind.iter("{*}Property")
        }
    return kinds


@pytest.mark.parametrize(
    "name",
    ["API_WAREHOUSE_ORDER_TASK", "API_WAREHOUSE_STORAGE_BIN", "API_WHSE_OUTB_DLV_ORDER", "API_WHSE_INBOUND_DELIVERY"],
)
def test_it_has_no_field_that_the_service_has_not(name: str) -> None:
    types = {"Edm.String": str, "Edm.Boolean": bool, "Edm.Decimal": Decimal, "Edm.DateTimeOffset": datetime}
    kinds = _properties(name)
    for entities in Rig().west.house.services()[name].values():
        known = kinds[entities.entity_type.rpartition(".")[2]]
        for column, kind in entities.columns.items():
            if column != sap_ewm.VEHICLE_FIELD:
                assert types[known[column]] is kind, f"{entities.name}.{column}"
        for row in entities.rows():
            assert row.keys() == entities.columns.keys()
            break


def test_stock_has_the_fields_of_the_v4_service() -> None:
    [known] = _properties("API_WHSE_AVAILABLESTOCK_V4").values()
    stock = Rig().west.house.stock_service()["WarehouseAvailableStock"]
    assert stock.columns.keys() == known.keys()
    row = next(iter(stock.rows()))
    assert row.keys() == known.keys()


# --- envelopes


async def test_v2_writes_texts_and_v4_numbers(rig: Rig) -> None:
    v2 = await rig.get(f"{ORDER_TASK}/WarehouseTask", S_top="1", S_inlinecount="allpages")
    assert isinstance(v2["d"]["__count"], str)
    task = v2["d"]["results"][0]
    assert task["TargetQuantityInBaseUnit"] == "12.000"
    assert task["CreationDateTime"].endswith("+0000)/")
    assert task["__metadata"]["type"] == "cds_api_warehouse_order_task.WarehouseTaskType"
    v4 = await rig.get(f"{sap_ewm.V4}/WarehouseAvailableStock", S_top="1", S_count="true")
    assert v4["@odata.count"] == 644
    row = v4["value"][0]
    assert isinstance(row["AvailableEWMStockQty"], int | float)
    assert row["GoodsReceiptUTCDateTime"].endswith("Z")


async def test_the_services_spell_the_same_number_differently(rig: Rig) -> None:
    task = (await rig.get(f"{ORDER_TASK}/WarehouseTask", S_top="1"))["d"]["results"][0]
    head = (await rig.get(f"{OUTBOUND}/WhseOutboundDeliveryOrderHead", S_top="1"))["d"]["results"][0]
    item = (await rig.get(f"{OUTBOUND}/WhseOutboundDeliveryOrderItem", S_top="1"))["d"]["results"][0]
    assert (head["OutboundDeliveryOrder"], task["Delivery"]) == ("0080001000", "80001000")
    assert (item["Product"], task["ProductName"]) == ("104913", "000000000000104913")
    assert (item["OutboundDeliveryOrderItem"], task["DeliveryItem"]) == ("10", "000010")


async def test_pages_of_the_server_and_of_the_client(rig: Rig) -> None:
    first = (await rig.get(f"{BINS}/WarehouseStorageBin", S_filter="Warehouse ne 'x y'"))["d"]
    assert len(first["results"]) == 100
    second = (await rig.client.get(first["__next"])).json()["d"]
    assert len(second["results"]) == 20
    assert "__next" not in second
    rows = (await rig.get(f"{BINS}/WarehouseStorageBin", S_top="5", S_skip="118"))["d"]["results"]
    assert len(rows) == 2
    assert (await rig.client.get(f"{BINS}/WarehouseStorageBin/$count")).text == "120"
    stock = await rig.get(f"{sap_ewm.V4}/WarehouseAvailableStock", S_top="150", S_skip="10")
    assert stock["@odata.nextLink"].startswith("WarehouseAvailableStock?")
    rest = (await rig.client.get(f"{sap_ewm.V4}/{stock['@odata.nextLink']}")).json()
    assert len(rest["value"]) == 50
    assert "@odata.nextLink" not in rest


async def test_expanded_or_deferred(rig: Rig) -> None:
    navigation = "to_WhseOutboundDeliveryOrderItem"
    path = f"{OUTBOUND}/WhseOutboundDeliveryOrderHead('0080001000')"
    plain = (await rig.get(path))["d"]
    assert plain[navigation]["__deferred"]["uri"].endswith(f"('0080001000')/{navigation}")
    expanded = (await rig.get(path, S_expand=navigation))["d"]
    linked = (await rig.get(f"{path}/{navigation}"))["d"]
    assert len(expanded[navigation]["results"]) == len(linked["results"]) == 2


async def test_selected_fields_only(rig: Rig) -> None:
    row = (await rig.get(f"{BINS}/WarehouseStorageBin", S_top="1", S_select="StorageType"))["d"]["results"][0]
    assert row.keys() == {"__metadata", "Warehouse", "StorageBin", "StorageType"}


@pytest.mark.parametrize(
    ("path", "query", "status", "code"),
    [
        ("WarehouseOrder", {"$filter": "Nothing eq 'x'"}, 400, "/IWBEP/CM_MGW_RT/021"),
        ("WarehouseOrder", {"$filter": "Warehouse eq"}, 400, "/IWBEP/CM_MGW_RT/021"),
        ("WarehouseOrder", {"$filter": "LastChangeDateTime gt '2026'"}, 400, "/IWBEP/CM_MGW_RT/021"),
        ("WarehouseOrder", {"$orderby": "Nothing"}, 400, "/IWBEP/CM_MGW_RT/021"),
        ("WarehouseOrder", {"$expand": "to_Nothing"}, 400, "/IWBEP/CM_MGW_RT/021"),
        ("WarehouseOrder", {"$top": "x"}, 400, "/IWBEP/CM_MGW_RT/021"),
        ("WarehouseOrder", {"$apply": "x"}, 400, "/IWBEP/CM_MGW_RT/021"),
        ("Nothing", {}, 404, "/IWFND/CM_BEC/026"),
        ("WarehouseOrder(Warehouse='1710',WarehouseOrder='1')", {}, 404, "/IWBEP/CM_MGW_RT/020"),
    ],
)
async def test_errors_in_saps_envelope(rig: Rig, path: str, query: dict[str, str], status: int, code: str) -> None:
    answer = await rig.client.get(f"{ORDER_TASK}/{path}", params=query)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.json()["error"]["message"]["value"]


async def test_errors_of_v4_have_plain_texts(rig: Rig) -> None:
    answer = await rig.client.get(f"{sap_ewm.V4}/WarehouseAvailableStock", params={"$filter": "Nothing eq 1"})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "Property Nothing not found"


# --- filters


COLUMNS = {"A": str, "N": Decimal, "T": datetime, "B": bool, "D": date}
ROW = {"A": "O'Brien", "N": Decimal("2.5"), "T": NOW, "B": True, "D": None}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A eq 'O''Brien'", True),
        ("A ne 'x' and N gt 2", True),
        ("A eq 'x' or N eq 2.5M and B eq true", True),
        ("(A eq 'x' or N eq 2.5) and B eq false", False),
        ("not (A eq 'x')", True),
        ("startswith(A,'O''B')", True),
        ("startswith(A,'x') eq false", True),
        ("substringof('rie',A) eq true", True),
        ("T ge datetimeoffset'2026-11-25T09:30:00Z'", True),
        ("T gt datetimeoffset'2026-11-25T10:30:00+01:00'", False),
        ("T lt datetimeoffset'2026-11-25T09:30:00.001Z'", True),
        ("T le datetimeoffset'2026-11-25T09:29:59'", False),
        ("D eq null", True),
        ("D gt datetimeoffset'2026-11-25T09:29:59'", False),
    ],
)
def test_filters_of_v2(text: str, expected: bool) -> None:
    columns = COLUMNS | ({"D": datetime} if "D gt" in text else {})
    assert where(text, columns)(ROW) is expected


def test_filters_of_v4_have_bare_times() -> None:
    assert where("T ge 2026-11-25T09:30:00Z and startswith(A,'O')", COLUMNS, v4=True)(ROW)
    with pytest.raises(BadQuery):
        where("T ge datetimeoffset'2026-11-25T09:30:00Z'", COLUMNS, v4=True)
    with pytest.raises(BadQuery):
        where("T ge 2026-11-25T09:30:00Z", COLUMNS)


@pytest.mark.parametrize("text", ["", "A", "A eq", "A eq 'x' and", "(A eq 'x'", "A eq 'x')", "A is 'x'", "A eq 5", "#"])
def test_broken_filters(text: str) -> None:
    with pytest.raises(BadQuery):
        where(text, COLUMNS)


def test_empty_values_sort_first_ascending() -> None:
    rows: list[dict[str, Any]] = [{"A": "b"}, {"A": None}, {"A": "a"}]
    assert [row["A"] for row in ordered(rows, "A", COLUMNS)] == [None, "a", "b"]
    assert [row["A"] for row in ordered(rows, "A desc", COLUMNS)] == ["b", "a", None]


# --- who may come in


async def test_without_credentials() -> None:
    rig = Rig()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=rig.west.app), base_url="http://vendor") as client:
        answer = await client.get(f"{ORDER_TASK}/WarehouseOrder")
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic")
        page = await client.get(f"{BINS}/WarehouseStorageBin")
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        assert rig.west.logins == 0


async def test_a_session_is_kept_and_ends_after_half_an_hour(rig: Rig) -> None:
    await rig.get(f"{ORDER_TASK}/WarehouseOrder", S_top="1")
    await rig.get(f"{ORDER_TASK}/WarehouseOrder", S_top="1")
    assert rig.west.logins == 1
    assert {"SAP_SESSIONID_EWW_100", "sap-usercontext"} <= set(rig.client.cookies)
    rig.now += timedelta(minutes=31)
    assert (await rig.client.get(f"{ORDER_TASK}/WarehouseOrder")).status_code == 401
    rig.client.cookies.clear()
    await rig.get(f"{ORDER_TASK}/WarehouseOrder", S_top="1")
    assert rig.west.logins == 2


async def test_tokens_expire() -> None:
    rig = Rig(token_seconds=600)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=rig.west.app), base_url="http://vendor") as client:
        form = {"grant_type": "client_credentials"}
        refused = await client.post(sap_ewm.TOKEN_PATH, data=form, auth=("x", "y"))
        assert (refused.status_code, refused.json()) == (401, {"error": "invalid_client"})
        given = await client.post(sap_ewm.TOKEN_PATH, data=form, auth=(sap_ewm.CLIENT_ID, sap_ewm.CLIENT_SECRET))
        assert given.json()["expires_in"] == 600
        headers = {"Authorization": f"Bearer {given.json()['access_token']}"}
        assert (await client.get(f"{ORDER_TASK}/", headers=headers)).status_code == 200
        rig.now += timedelta(seconds=600)
        assert (await client.get(f"{ORDER_TASK}/", headers=headers)).status_code == 401


async def test_an_api_key_only_reads() -> None:
    rig = Rig()
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=rig.west.app),
        base_url="http://vendor",
        headers={"APIKey": sap_ewm.API_KEY},
    ) as client:
        assert (await client.get(f"{ORDER_TASK}/WarehouseOrder")).status_code == 200
        assert (await client.post(f"{ORDER_TASK}/WarehouseTask")).status_code == 401


async def test_a_change_needs_the_token_of_its_session(rig: Rig) -> None:
    path = f"{ORDER_TASK}/AssignWarehouseOrder?Warehouse='1710'&WarehouseOrder='2000000'&WarehouseResource='AMR03'"
    refused = await rig.client.post(path)
    assert (refused.status_code, refused.headers["x-csrf-token"]) == (403, "Required")
    token = (await rig.client.get(f"{ORDER_TASK}/", headers={"X-CSRF-Token": "Fetch"})).headers["x-csrf-token"]
    done = await rig.client.post(path, headers={"X-CSRF-Token": token})
    assert done.json()["d"]["ExecutingResource"] == "AMR03"
    created = await rig.client.post(f"{ORDER_TASK}/WarehouseTask", headers={"X-CSRF-Token": token})
    assert created.json()["error"]["code"] == "/SCWM/ODATA_API/040"
    other = await rig.client.post(f"{ORDER_TASK}/WarehouseOrder", headers={"X-CSRF-Token": token})
    assert (other.status_code, other.json()["error"]["code"]) == (405, "SADL_ENTITY_RUNTIME/011")
    rig.west.faults.reset()
    order = (await rig.get(f"{ORDER_TASK}/WarehouseOrder(Warehouse='1710',WarehouseOrder='2000000')"))["d"]
    assert order["ExecutingResource"] == "FRK02"


async def test_each_system_has_its_warehouses() -> None:
    rig = Rig()
    assert (rig.west.name, rig.north.name) == ("sap-ewm-west", "sap-ewm-north")
    assert {row["Warehouse"] for row in rig.west.house.bins()} == {"1710", "1720"}
    assert {row["EWMWarehouse"] for row in rig.north.house.stock()} == {"1730"}


async def test_calls_are_counted_by_entity_set(rig: Rig) -> None:
    await rig.get(f"{ORDER_TASK}/WarehouseOrder(Warehouse='1710',WarehouseOrder='2000000')")
    await rig.get(f"{sap_ewm.V4}/WarehouseAvailableStock", S_top="1")
    assert dict(rig.west.faults.calls) == {
        ("GET", "/API_WAREHOUSE_ORDER_TASK/WarehouseOrder()"): 1,
        (
            "GET",
            "/api_whse_availablestock/srvd_a2x/sap/warehouseavailablestock/0001/WarehouseAvailableStock",
        ): 1,
    }
