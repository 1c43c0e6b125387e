"""The Oracle Fusion stand-in by itself, over plain HTTP: what Oracle's documents say a pod does."""

import hmac
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from sandbox import oracle_fusion
from sandbox.oracle_fusion import FLAT, TOKEN
from sandbox.oracle_fusion.framework import ROOT
from sandbox.oracle_fusion.rowmatch import BadQuery, by_example, row_match
from sandbox.oracle_fusion.rows import LAP, number_of
from sandbox.standin import Failure
from sandbox.world import World

NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
BASIC = (oracle_fusion.USER, oracle_fusion.PASSWORD)
ITEMS, STRUCTURES, ORDERS = (f"{ROOT}/{name}" for name in ("itemsV2", "itemStructures", "workOrders"))
ERRORS = "application/json, application/vnd.oracle.adf.error+json"


class Rig:
    def __init__(self, **options: Any) -> None:
        self.now = NOW
        self.world = World(lambda: self.now)
        self.standin = oracle_fusion.create(self.world, **options)
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app=self.standin.app), base_url="http://pod")

    async def ask(self, path: str, version: int = 4, headers: dict[str, str] | None = None, **query: Any) -> Any:
        given = {"rest-framework-version": str(version), **(headers or {})}
        return await self.client.get(path, params=query, headers=given, auth=BASIC)

    async def get(self, path: str, version: int = 4, **query: Any) -> Any:
        answer = await self.ask(path, version, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def numbers(self, path: str, version: int = 4, **query: Any) -> list[str]:
        attribute = "WorkOrderNumber" if path == ORDERS else "ItemNumber"
        page = await self.get(path, version, fields=attribute, limit=500, **{"orderBy": f"{attribute}:asc"} | query)
        return [row[attribute] for row in page["items"]]


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    yield made
    await made.client.aclose()


# --- who


async def token(rig: Rig, auth: tuple[str, str] | None = None, **form: str) -> httpx.Response:
    auth = auth or (oracle_fusion.CLIENT_ID, oracle_fusion.CLIENT_SECRET)
    body = {"grant_type": "client_credentials", "scope": oracle_fusion.SCOPE} | form
    return await rig.client.post(TOKEN, data=body, auth=auth)


async def test_a_token_is_good_for_an_hour(rig: Rig) -> None:
    given = (await token(rig)).json()
    assert given == {"access_token": "sandbox-oracle-token-1", "token_type": "Bearer", "expires_in": 3600}
    headers = {"authorization": f"Bearer {given['access_token']}"}
    assert (await rig.client.get(ITEMS, headers=headers)).status_code == 200
    rig.now += timedelta(seconds=3599)
    assert (await rig.client.get(ITEMS, headers=headers)).status_code == 200
    rig.now += timedelta(seconds=1)
    answer = await rig.client.get(ITEMS, headers=headers)
    assert (answer.status_code, answer.text) == (401, "Unauthorized")
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize(
    ("auth", "form", "status", "error"),
    [
        (("crossdock-scm", "wrong"), {}, 401, "invalid_client"),
        (("somebody", oracle_fusion.CLIENT_SECRET), {}, 401, "invalid_client"),
        (None, {"grant_type": "password"}, 400, "unsupported_grant_type"),
        (None, {"scope": "urn:opc:resource:consumer::all"}, 400, "invalid_scope"),
    ],
)
async def test_the_identity_domain_says_what_is_wrong(
    rig: Rig, auth: tuple[str, str] | None, form: dict[str, str], status: int, error: str
) -> None:
    answer = await token(rig, auth, **form)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert rig.standin.logins == 0


@pytest.mark.parametrize(
    "header",
    [
        None,
        "Bearer made-up",
        "Basic bm90aGluZw==",
        "Basic not base64",
        "Basic U0NNX0lOVEVHUkFUSU9OOndyb25n",  # the user with a wrong password
        "Digest x",
    ],
)
async def test_nobody_reads_without_credentials(rig: Rig, header: str | None) -> None:
    headers = {} if header is None else {"authorization": header}
    for path in (ITEMS, f"{ORDERS}/1", f"{ORDERS}/1/child/WorkOrderMaterial"):
        assert (await rig.client.get(path, headers=headers)).status_code == 401
    assert (await rig.client.post(FLAT, headers=headers)).status_code == 401


async def test_sessions_can_be_made_to_expire(rig: Rig) -> None:
    given = (await token(rig)).json()["access_token"]
    rig.standin.faults.expire_sessions()
    assert (await rig.client.get(ITEMS, headers={"authorization": f"Bearer {given}"})).status_code == 401


# --- pages


async def test_a_page_has_at_most_500_rows_and_25_unless_asked(rig: Rig) -> None:
    page = await rig.get(ITEMS, orderBy="ItemId")
    assert (len(page["items"]), page["count"], page["limit"], page["offset"], page["hasMore"]) == (25, 25, 25, 0, True)
    assert "totalResults" not in page
    large = await rig.get(ITEMS, orderBy="ItemId", limit=100_000, totalResults="true")
    assert (large["count"], large["limit"], large["hasMore"], large["totalResults"]) == (500, 500, True, 662)
    last = await rig.get(ITEMS, orderBy="ItemId", limit=500, offset=500)
    assert (last["count"], last["hasMore"], last["offset"]) == (162, False, 500)


async def test_rows_without_an_order_come_otherwise_each_time(rig: Rig) -> None:
    pages = [[row["ItemId"] for row in (await rig.get(ITEMS, limit=5))["items"]] for _ in range(2)]
    assert pages[0] != pages[1]
    ordered = [[row["ItemId"] for row in (await rig.get(ITEMS, limit=5, orderBy="ItemId:desc"))["items"]] for _ in "12"]
    assert ordered[0] == ordered[1] == sorted(ordered[0], reverse=True)


async def test_an_order_has_several_attributes(rig: Rig) -> None:
    page = await rig.get(ITEMS, limit=500, orderBy="OrganizationCode:asc,ItemNumber:desc", fields="ItemNumber,ItemId")
    first = [row["ItemNumber"] for row in page["items"]][:242]
    assert first == sorted(first, reverse=True)


async def test_only_the_fields_that_are_asked_for(rig: Rig) -> None:
    page = await rig.get(ITEMS, limit=1, orderBy="ItemId", fields="ItemNumber;ItemRevision:RevisionCode")
    [row] = page["items"]
    assert set(row) == {"ItemNumber", "ItemRevision", "links"}
    assert [set(each) for each in row["ItemRevision"]["items"]] == [{"RevisionCode"}] * row["ItemRevision"]["count"]
    bare = await rig.get(ITEMS, limit=1, orderBy="ItemId", fields="ItemNumber", onlyData="true")
    assert set(bare["items"][0]) == {"ItemNumber"}


@pytest.mark.parametrize("version", [1, 2, 3, 4, 9])
async def test_an_expanded_child_is_a_collection_from_version_3_on(rig: Rig, version: int) -> None:
    page = await rig.get(STRUCTURES, version, limit=1, orderBy="BillSequenceId", expand="Component")
    child = page["items"][0]["Component"]
    rows = child if version < 3 else child["items"]
    assert len(rows) > 2
    assert isinstance(child, list) == (version < 3)
    if version >= 3:
        assert (child["count"], child["hasMore"], child["limit"], child["offset"]) == (len(rows), False, 25, 0)
        assert child["links"][0]["href"].endswith("/child/Component")


@pytest.mark.parametrize("version", [2, 4])
async def test_an_expanded_child_is_cut_and_its_own_collection_is_not(version: int) -> None:
    rig = Rig(child_rows=2)
    page = await rig.get(ORDERS, version, limit=1, orderBy="WorkOrderId", expand="WorkOrderOperation")
    [row] = page["items"]
    child = row["WorkOrderOperation"]
    assert len(child if version == 2 else child["items"]) == 2
    assert version == 2 or child["hasMore"] is True
    link = next(each for each in row["links"] if each["rel"] == "child" and each["name"] == "WorkOrderOperation")
    whole = await rig.get(link["href"], version, orderBy="OperationSequenceNumber")
    assert [each["OperationSequenceNumber"] for each in whole["items"]] == [10, 20, 30]
    assert whole["hasMore"] is False
    second = await rig.get(link["href"], version, orderBy="OperationSequenceNumber", limit=2, offset=2)
    assert [each["OperationSequenceNumber"] for each in second["items"]] == [30]
    await rig.client.aclose()


async def test_all_children_at_once(rig: Rig) -> None:
    page = await rig.get(ORDERS, limit=1, orderBy="WorkOrderId", expand="all")
    assert {"WorkOrderOperation", "WorkOrderMaterial"} <= set(page["items"][0])


# --- keys and links


async def test_the_address_of_an_item_is_its_self_link(rig: Rig) -> None:
    row = (await rig.get(ITEMS, limit=1, orderBy="ItemId"))["items"][0]
    own = next(link for link in row["links"] if link["rel"] == "self")
    assert own["href"].startswith(f"http://pod{ITEMS}/0002")
    assert own["properties"]["changeIndicator"].startswith("ACED0005")
    again = await rig.get(own["href"])
    assert again["ItemNumber"] == row["ItemNumber"]
    assert (await rig.ask(f"{ITEMS}/{row['ItemId']}")).status_code == 404
    revisions = next(link for link in row["links"] if link["rel"] == "child")
    assert (await rig.get(revisions["href"]))["count"] > 0


async def test_the_finder_of_the_primary_key(rig: Rig) -> None:
    order = (await rig.get(ORDERS, limit=1, orderBy="WorkOrderId"))["items"][0]
    found = await rig.get(ORDERS, finder=f"PrimaryKey;WorkOrderId={order['WorkOrderId']}")
    assert [row["WorkOrderNumber"] for row in found["items"]] == [order["WorkOrderNumber"]]
    assert (await rig.ask(ORDERS, finder="Nothing;A=1")).status_code == 400


@pytest.mark.parametrize("path", [f"{ROOT}/nothing", f"{ORDERS}/1", f"{ORDERS}/1/child/WorkOrderMaterial", "/nothing"])
async def test_what_is_not_there(rig: Rig, path: str) -> None:
    assert (await rig.ask(path)).status_code == 404


async def test_a_child_that_a_resource_does_not_have(rig: Rig) -> None:
    order = (await rig.get(ORDERS, limit=1, orderBy="WorkOrderId"))["items"][0]
    assert (await rig.ask(f"{ORDERS}/{order['WorkOrderId']}/child/Component")).status_code == 404


# --- q


async def test_a_row_match_expression(rig: Rig) -> None:
    first, second = sorted(number_of(item) for item in rig.world.items[:2])
    q = f"OrganizationCode = 'IBA' and ItemNumber in ('{first}','{second}','x','{first.upper()}x')"
    assert await rig.numbers(ITEMS, q=q) == [first, second]
    found = await rig.numbers(ITEMS, q="UPPER(ItemNumber) like 'ASM%' and OrganizationCode = 'IBA'")
    assert found
    assert all(number.startswith("asm.") for number in found)
    cut = "2026-01-01T00:00:00+00:00"
    newer = await rig.numbers(ITEMS, q=f"LastUpdateDateTime >= '{cut}' and OrganizationCode = 'IBA'")
    older = await rig.numbers(ITEMS, q=f"LastUpdateDateTime < '{cut}' and OrganizationCode = 'IBA'")
    assert sorted(newer + older) == sorted(number_of(item) for item in rig.world.items)


async def test_query_by_example_before_version_2(rig: Rig) -> None:
    assert await rig.numbers(ITEMS, 1, q="ItemNumber=PRD10026;OrganizationCode='IBA'") == ["PRD10026"]
    assert (await rig.ask(ITEMS, 1, q="ItemNumber in ('PRD10026')")).status_code == 400


async def test_an_attribute_of_a_child(rig: Rig) -> None:
    top = rig.standin.rows.structures[0]
    used = top["Component"][0]["ComponentItemId"]
    users = await rig.numbers(STRUCTURES, q=f"StructureName = 'Primary' and Component.ComponentItemId in ({used},1)")
    assert top["ItemNumber"] in users
    assert len(users) < 200


ROW = {"A": "x", "N": 5, "D": "2026-11-25T10:00:00+01:00", "Nothing": None, "C": [{"B": 1}, {"B": 2}]}
ATTRIBUTES = {"": frozenset({"A", "N", "D", "Nothing"}), "C": frozenset({"B"})}


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ("A = 'x'", True),
        ("A = 'X'", False),
        ("UPPER(A) = 'X'", True),
        ("A <> 'x'", False),
        ("A != 'y'", True),
        ("N > 4", True),
        ("N >= '5'", True),
        ("N < 5", False),
        ("N <= 5.0", True),
        ("N = -5", False),
        ("N between 1 and 5", True),
        ("N not between 1 and 5", False),
        ("A in ('y','x')", True),
        ("A not in ('y')", True),
        ("A like '_'", True),
        ("A like 'y%'", False),
        ("A not like '%x%'", False),
        ("A = 'o''clock'", False),
        ("D = '2026-11-25T09:00:00.000+00:00'", True),
        ("D > '2026-11-25'", True),
        ("Nothing is null", True),
        ("Nothing = 'x'", False),
        ("Nothing <> 'x'", False),
        ("A is not null", True),
        ("C.B = 2", True),
        ("C.B = 3", False),
        ("A = 'x' and N = 4 or N = 5", True),
        ("A = 'y' and (N = 4 or N = 5)", False),
        ("not (A = 'y')", True),
        ("NOT A = 'x'", False),
    ],
)
def test_what_an_expression_means(expression: str, holds: bool) -> None:
    assert row_match(expression, ATTRIBUTES)(ROW) is holds


@pytest.mark.parametrize(
    "expression",
    [
        "", "A", "A =", "A = x", "B = 1", "C.A = 1", "A = 'x", "A = 'x' and", "(A = 'x'", "A = 'x')", "A in ()",
        "A in ('x'", "A is 'x'", "A ~ 'x'", "A = 'x' N = 5", "A > 5", "D > '2026-13-45T00:00'", "x" * 6_001,
    ],
)  # fmt: skip
def test_an_expression_that_is_none(expression: str) -> None:
    with pytest.raises(BadQuery):
        row_match(expression, ATTRIBUTES)(ROW)


@pytest.mark.parametrize(
    ("expression", "holds"),
    [("A=x;N=5", True), ("A='x'", True), ("N>5", False), ("A=x;N=6", False), ("A='o''clock'", False), ("", True)],
)
def test_what_an_example_means(expression: str, holds: bool) -> None:
    assert by_example(expression, ATTRIBUTES)(ROW) is holds


@pytest.mark.parametrize("expression", ["B=1", "A in ('x')", "A='x", "A=x and N=5'"])
def test_an_example_that_is_none(expression: str) -> None:
    with pytest.raises(BadQuery):
        by_example(expression, ATTRIBUTES)


# --- errors


@pytest.mark.parametrize(
    ("query", "code", "path"),
    [
        ({"q": "Nope = 1"}, "27520", "q"),
        ({"fields": "Nope"}, "27513", "fields"),
        ({"fields": "ItemId;Nope:A"}, "27513", "fields"),
        ({"expand": "Nope"}, "27514", "expand"),
        ({"orderBy": "Nope:asc"}, "27517", "orderBy"),
        ({"orderBy": "ItemId:up"}, "27517", "orderBy"),
        ({"limit": "many"}, "27516", "limit"),
        ({"offset": "-1"}, "27516", "offset"),
        ({"finder": "PrimaryKey;Nope=1"}, "27515", "finder"),
    ],
)
async def test_an_error_has_details_for_who_takes_their_media_type(
    rig: Rig, query: dict[str, str], code: str, path: str
) -> None:
    answer = await rig.ask(ITEMS, headers={"accept": ERRORS}, **query)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/vnd.oracle.adf.error+json")
    found = answer.json()
    assert (found["title"], found["status"]) == ("Bad Request", "400")
    [detail] = found["o:errorDetails"]
    assert (detail["o:errorCode"], detail["o:errorPath"]) == (code, path)
    plain = await rig.ask(ITEMS, headers={"accept": "application/json"}, **query)
    assert (plain.status_code, plain.text) == (400, detail["detail"])
    assert plain.headers["content-type"].startswith("text/plain")


async def test_a_media_type_and_a_version_that_there_is_not(rig: Rig) -> None:
    assert (await rig.ask(ITEMS, headers={"accept": "text/xml"})).status_code == 406
    assert (await rig.ask(ITEMS, 0)).status_code == 400
    assert (await rig.ask(ITEMS, 10)).status_code == 400


async def test_faults_on_demand(rig: Rig) -> None:
    faults = rig.standin.faults
    faults.down = True
    answer = await rig.ask(ITEMS)
    assert (answer.status_code, answer.text) == (503, "Service Unavailable")
    faults.down = False
    faults.fail_next.append(Failure(429, headers={"retry-after": "2"}))
    assert (await rig.ask(ITEMS)).status_code == 429
    assert (await rig.ask(ITEMS)).status_code == 200
    assert faults.calls["GET", ITEMS] == 3


# --- what there is


async def test_two_organizations_with_spellings_of_their_own(rig: Rig) -> None:
    here = await rig.numbers(ITEMS, q="OrganizationCode = 'IBA'")
    there = await rig.numbers(ITEMS, q="OrganizationCode = 'ABV'")
    assert (len(here), len(there)) == (420, 242)
    assert set(there) < set(here)
    spelt = {number_of(item) for item in rig.world.items}
    assert set(here) == spelt
    assert len(spelt) == 420
    same = {item.teamcenter_number for item in rig.world.items if number_of(item) == item.teamcenter_number}
    assert same == set(), "each number is spelt otherwise than in Teamcenter"


async def test_revisions_and_big_numbers(rig: Rig) -> None:
    page = await rig.get(ITEMS, limit=500, orderBy="ItemId", q="OrganizationCode = 'IBA'", expand="ItemRevision")
    by_number = {number_of(item): item for item in rig.world.items}
    for row in page["items"]:
        told = [each["RevisionCode"] for each in row["ItemRevision"]["items"]]
        assert told == [each.id for each in by_number[row["ItemNumber"]].revisions]
        assert row["ItemId"] > 10**14


async def test_a_structure_is_the_worlds(rig: Rig) -> None:
    item = next(each for each in rig.world.items if each.made)
    q = f"ItemNumber = '{number_of(item)}' and StructureName = 'Primary'"
    [row] = (await rig.get(STRUCTURES, q=q, expand="Component"))["items"]
    now = [
        each
        for each in row["Component"]["items"]
        if each["ImplementationDateTime"] and (each["EndDateTime"] or "9") > NOW.isoformat()
    ]
    told = [(each["ItemSequenceNumber"], each["ComponentItemNumber"], each["Quantity"]) for each in now]
    assert told == [
        (line.find_number, number_of(rig.world.item_by_key[line.item_key]), float(line.amount))
        for line in rig.world.bom(item.key, "manufacturing")
    ]
    ends = [each["EndDateTime"] for each in row["Component"]["items"]]
    assert "4712-12-31T00:00:00+00:00" in ends
    assert None in ends
    assert len(row["Component"]["items"]) == len(now) + 2, "one was replaced, one waits for its change order"


async def flat(rig: Rig, q: str) -> httpx.Response:
    return await rig.client.post(FLAT, params={"q": q}, auth=BASIC, headers={"accept": ERRORS})


async def test_the_flat_resource_tells_all_as_text(rig: Rig) -> None:
    item = next(each for each in rig.world.items if each.made)
    number = number_of(item)
    rows = (await flat(rig, f"ItemNumber={number};OrganizationCode=IBA")).json()["structureComponentsItemsDetails"]
    assert all(isinstance(value, str) for row in rows for name, value in row.items() if name != "Item")
    assert [row["SortOrder"] for row in rows] == [str(place) for place in range(1, len(rows) + 1)]
    top = rows[0]
    assert (top["DotLevel"], top["ItemNumber"], top["ParentItemNumber"]) == ("0", number, "null")
    first = rows[1]
    assert (first["DotLevel"], first["PlanLevel"], first["ParentItemNumber"]) == (".1", "1", number)
    assert max(len(row["DotLevel"]) - 1 for row in rows) >= 2
    cut = await flat(rig, f"ItemNumber={number};OrganizationCode=IBA;MaxLevels=1")
    assert {row["DotLevel"] for row in cut.json()["structureComponentsItemsDetails"]} == {"0", ".1"}


async def test_the_flat_resource_of_what_has_no_structure(rig: Rig) -> None:
    none = await flat(rig, "ItemNumber=nothing;OrganizationCode=IBA")
    assert none.json() == {"structureComponentsItemsDetails": []}
    other = await flat(rig, f"ItemNumber={number_of(rig.world.items[0])};OrganizationCode=ABV")
    assert other.json() == {"structureComponentsItemsDetails": []}
    missing = await flat(rig, "ItemNumber=x")
    assert (missing.status_code, missing.json()["o:errorDetails"][0]["o:errorCode"]) == (400, "27014")


async def test_work_orders_come_and_go(rig: Rig) -> None:
    page = await rig.get(ORDERS, limit=100, orderBy="WorkOrderId", expand="all", totalResults="true")
    rows = page["items"]
    assert page["totalResults"] == 60
    assert {row["WorkOrderStatusCode"] for row in rows} == {
        "ORA_UNRELEASED", "ORA_RELEASED", "ORA_ON_HOLD", "ORA_COMPLETED", "ORA_CLOSED", "ORA_CANCELED",
    }  # fmt: skip
    assert all(row["WorkOrderStatusCode"] == f"ORA_{row['WorkOrderSystemStatusCode']}" for row in rows)
    numbers = {number_of(item) for item in rig.world.items}
    for row in rows:
        assert row["ItemNumber"] in numbers
        assert {each["ItemNumber"] for each in row["WorkOrderMaterial"]["items"]} <= numbers
        assert all(row["PlannedStartQuantity"] >= (row["CompletedQuantity"] or 0) for row in rows)
        assert datetime.fromisoformat(row["LastUpdateDate"]) <= NOW
        ready = [each["ReadyQuantity"] for each in row["WorkOrderOperation"]["items"]]
        assert row["WorkOrderSystemStatusCode"] == "RELEASED" or ready == [0, 0, 0]
    rig.now += LAP
    later = (await rig.get(ORDERS, limit=100, orderBy="WorkOrderId"))["items"]
    assert {row["WorkOrderId"] for row in rows[30:]} <= {row["WorkOrderId"] for row in later}
    assert later[-1]["WorkOrderId"] == rows[-1]["WorkOrderId"] + 30


async def test_a_work_order_moves_on_with_time(rig: Rig) -> None:
    def of(rows: list[dict[str, Any]], number: str) -> dict[str, Any]:
        return next(row for row in rows if row["WorkOrderNumber"] == number)

    rows = rig.standin.rows.work_orders()
    running = next(row for row in rows if row["WorkOrderSystemStatusCode"] == "RELEASED" and row["CompletedQuantity"])
    rig.now += timedelta(days=1)
    after = of(rig.standin.rows.work_orders(), running["WorkOrderNumber"])
    assert after["CompletedQuantity"] > running["CompletedQuantity"]
    assert after["LastUpdateDate"] > running["LastUpdateDate"]


async def test_a_change_bears_the_time_of_the_world(rig: Rig) -> None:
    rig.standin.change("ABV", "PRD10026", ItemDescription="Changed")
    since = f"LastUpdateDateTime >= '{NOW.isoformat()}'"
    [row] = (await rig.get(ITEMS, q=since))["items"]
    assert (row["OrganizationCode"], row["ItemNumber"], row["ItemDescription"]) == ("ABV", "PRD10026", "Changed")
    rig.standin.faults.reset()
    assert (await rig.get(ITEMS, q=since))["items"] == []


def test_an_event_is_signed_over_its_bytes() -> None:
    made = oracle_fusion.OracleFusion.event
    body, headers = made("oracle.apps.scm.items.itemUpdated", "evt-1", NOW, ItemNumber="PRD10026")
    assert json.loads(body) == {
        "eventType": "oracle.apps.scm.items.itemUpdated",
        "eventId": "evt-1",
        "timestamp": NOW.isoformat(),
        "payload": {"ItemNumber": "PRD10026"},
    }
    wanted = hmac.new(oracle_fusion.WEBHOOK_SECRET.encode(), body, "sha256").hexdigest()
    assert headers["x-hub-signature-256"] == f"sha256={wanted}"
    _, bare = made("x", "1", NOW, prefix="")
    assert not bare["x-hub-signature-256"].startswith("sha256=")
