"""The stand-in against Teamcenter's documented templates, and used by tcsoa, an independent client.

tcsoa logs in, reads items and walks a structure over a real socket; what it understands is compared with the world.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from tcsoa.backend import RestBackend
from tcsoa.config import TcSoaConfig
from tcsoa.exceptions import InvalidCredentialsException, ServiceException
from tcsoa.gen.BusinessObjects import BOMLine, BusinessObject
from tcsoa.gen.Cad._2007_01.services import StructureManagementService
from tcsoa.gen.Cad._2007_01.StructureManagement import (
    CreateBOMWindowsInfo,
    ExpandPSAllLevelsInfo,
    ExpandPSAllLevelsPref,
    RevisionRuleConfigInfo,
    RevisionRuleEntryProps,
)
from tcsoa.gen.Core._2006_03.services import DataManagementService as Properties
from tcsoa.gen.Core._2006_03.services import SessionService as LogOut
from tcsoa.gen.Core._2007_01.DataManagement import GetItemFromIdInfo, GetItemFromIdPref
from tcsoa.gen.Core._2007_01.services import DataManagementService as Items
from tcsoa.gen.Core._2007_01.services import SessionService as SessionInfo
from tcsoa.gen.Core._2011_06.services import SessionService
from tcsoa.gen.Core._2011_06.Session import Credentials
from tcsoa.gen.Query._2006_03.services import SavedQueryService as Describe
from tcsoa.gen.Query._2008_06.SavedQuery import QueryInput
from tcsoa.gen.Query._2008_06.services import SavedQueryService as Execute
from tcsoa.gen.Query._2010_04.SavedQuery import FindSavedQueriesCriteriaInput
from tcsoa.gen.Query._2010_04.services import SavedQueryService as Find

from sandbox.registry import application
from sandbox.serving import Listener
from sandbox.teamcenter import PASSWORD, USER, Teamcenter, create
from sandbox.world import World

SAMPLES = Path(__file__).parents[1] / "samples" / "teamcenter"
TEMPLATES = json.loads((SAMPLES / "soa-operations.json").read_text())["operations"]
NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
NOBODY = "http://teamcenter.com/Schemas/Soa/2006-03/Exceptions.InvalidUserException"


@dataclass
class Client:
    """Posts operations the plain way and keeps the cookie."""

    standin: Teamcenter
    world: World
    http: httpx.AsyncClient
    now: datetime = NOW

    async def call(
        self, operation: str, body: dict[str, Any], *, policy: dict[str, list[str]] | None = None, keep: bool = True
    ) -> dict[str, Any]:
        types = [
            {"name": name, "properties": [_property(each) for each in properties]}
            for name, properties in (policy or {}).items()
        ]
        header = {"state": {"unloadObjects": not keep}, "policy": {"types": types}}
        response = await self.http.post(f"/tc/JsonRestServices/{operation}", json={"header": header, "body": body})
        assert response.status_code == 200
        found: dict[str, Any] = response.json()
        return found

    async def log_in(self, password: str = PASSWORD, discriminator: str = "t", locale: str = "en_US") -> dict[str, Any]:
        credentials = {"user": USER, "password": password, "group": "", "role": "", "locale": locale}
        return await self.call(
            "Core-2011-06-Session/login", {"credentials": {**credentials, "descrimator": discriminator}}
        )

    async def window(self, uid: str, *, keep: bool = True) -> dict[str, Any]:
        info = {"clientId": "1", "item": uid, "itemRev": "", "bomView": "", "revRuleConfigInfo": {}}
        created = await self.call(f"{STRUCTURE}/createBOMWindows", {"info": [info]}, keep=keep)
        found: dict[str, Any] = created["output"][0]
        return found


STRUCTURE = "Cad-2007-01-StructureManagement"


def _property(name: str) -> dict[str, Any]:
    if not name.endswith(">"):
        return {"name": name}
    return {"name": name[:-1], "modifiers": [{"name": "withProperties", "Value": "true"}]}


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    clients: list[Client] = []
    world = World(lambda: clients[0].now if clients else NOW)
    standin = create(world, unknown_option=1)
    transport = httpx.ASGITransport(app=standin.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://plm") as http:
        clients.append(Client(standin, world, http))
        yield clients[0]


# --- sessions


async def test_errors_come_with_status_200(client: Client) -> None:
    assert (await client.call("Core-2007-01-Session/getTCSessionInfo", {}))[".QName"] == NOBODY
    refused = await client.log_in("wrong")
    assert refused[".QName"].endswith("Exceptions.InvalidCredentialsException")
    assert (refused["code"], refused["level"]) == (515144, 3)
    assert client.standin.logins == 0
    await client.log_in()
    assert client.standin.logins == 1
    unknown = await client.call("Core-2006-03-DataManagement/noSuch", {})
    assert unknown[".QName"].endswith("Exceptions.InternalServerException")
    wrong = await client.call("Core-2006-03-DataManagement/getProperties", {})
    assert wrong[".QName"].endswith("Exceptions.InternalServerException")
    broken = await client.http.post("/tc/JsonRestServices/a/b", content=b"{")
    assert (broken.status_code, broken.json()["code"]) == (200, 214002)


async def test_the_log_in_answers_as_the_sample(client: Client) -> None:
    sample = (SAMPLES / "login_response.http").read_text().partition("\n\n")[2]
    answer = await client.log_in()
    expected = json.loads(sample)
    assert answer[".QName"] == expected[".QName"]
    assert set(answer["serverInfo"]) == set(expected["serverInfo"])
    assert list(client.http.cookies) == ["JSESSIONID"]


async def test_sessions_time_out_and_end(client: Client) -> None:
    await client.log_in()
    assert "serverVersion" in await client.call("Core-2007-01-Session/getTCSessionInfo", {})
    client.now += timedelta(minutes=29)
    assert "serverVersion" in await client.call("Core-2007-01-Session/getTCSessionInfo", {})
    client.now += timedelta(minutes=31)
    assert (await client.call("Core-2007-01-Session/getTCSessionInfo", {}))[".QName"] == NOBODY
    await client.log_in()
    client.standin.faults.expire_sessions()
    assert (await client.call("Core-2007-01-Session/getTCSessionInfo", {}))[".QName"] == NOBODY
    await client.log_in()
    await client.call("Core-2006-03-Session/logout", {})
    assert client.standin.processes == {}
    assert (await client.call("Core-2007-01-Session/getTCSessionInfo", {}))[".QName"] == NOBODY


async def test_sessions_with_one_discriminator_share_their_windows(client: Client) -> None:
    await client.log_in(discriminator="a")
    window = await client.window(client.world.products[0].uid)
    close = {"bomWindows": [window["bomWindow"]]}
    await client.log_in(discriminator="b")
    assert "partialErrors" in (await client.call(f"{STRUCTURE}/closeBOMWindows", close))["ServiceData"]
    await client.log_in(discriminator="a")
    assert "partialErrors" not in (await client.call(f"{STRUCTURE}/closeBOMWindows", close))["ServiceData"]


async def test_the_operation_may_stand_in_the_header_alone(client: Client) -> None:
    await client.log_in()
    for path in ("Core-2007-01-Session", "Core-2007-01-Session/getTCSessionInfo"):
        response = await client.http.post(
            f"/tc/RestServices/{path}", json={"body": {}}, headers={"Operation-Name": "getTCSessionInfo"}
        )
        assert response.json()["serverVersion"] == "V14000.3.0"
    assert (await client.http.post("/tc/OtherServices/a/b", json={})).status_code == 404


# --- service data


async def test_the_policy_decides_what_comes_back(client: Client) -> None:
    await client.log_in()
    item = next(each for each in client.world.products if each.latest.released)
    body = {"objects": [{"uid": item.uid}, {"uid": "nope"}], "attributes": ["item_id"]}
    operation = "Core-2006-03-DataManagement/getProperties"
    bare = await client.call(operation, body)
    assert bare[".QName"].endswith("/Soa/2006-03/Base.ServiceData")
    assert list(bare["modelObjects"]) == [item.uid]
    number = item.teamcenter_number
    assert bare["modelObjects"][item.uid]["props"] == {"item_id": {"dbValues": [number], "uiValues": [number]}}
    assert [each["uid"] for each in bare["partialErrors"]] == ["nope"]
    listed = await client.call(operation, body, policy={"Item": ["revision_list"]})
    assert {uid: list(each["props"]) for uid, each in listed["modelObjects"].items()} == {
        item.uid: ["item_id", "revision_list"],
        **{each.uid: [] for each in item.revisions},
    }
    rich = {
        "Item": ["revision_list>", "uom_tag"],
        "ItemRevision": ["item_revision_id", "last_mod_date", "release_status_list>"],
        "ReleaseStatus": ["name"],
    }
    full = (await client.call(operation, body, policy=rich))["modelObjects"]
    assert full[item.uid]["props"]["uom_tag"] == {"dbValues": [""], "uiValues": [""], "isNulls": [True]}
    latest = full[item.latest.uid]["props"]
    assert latest["item_revision_id"]["dbValues"] == [item.latest.id]
    assert datetime.fromisoformat(latest["last_mod_date"]["dbValues"][0]) == item.latest.modified_at
    assert latest["last_mod_date"]["dbValues"][0].endswith("+01:00")
    status = latest["release_status_list"]["dbValues"][0]
    assert full[status]["props"]["name"]["dbValues"] == ["TCM Released"]


async def test_queries_have_localised_entries(client: Client) -> None:
    entries = {}
    for locale in ("en_US", "de_DE"):
        await client.log_in(locale=locale)
        find = {"inputCriteria": [{"queryNames": ["Item..."], "queryDescs": [], "queryType": 0}]}
        queries = (await client.call("Query-2010-04-SavedQuery/findSavedQueries", find))["savedQueries"]
        described = await client.call("Query-2006-03-SavedQuery/describeSavedQueries", {"queries": queries})
        fields = described["fieldLists"][0]["fields"]
        assert set(fields[0]) < set(
            TEMPLATES["Query-2006-03-SavedQuery/describeSavedQueries"]["response"]["fieldLists"][0]["fields"][0]
        )
        entries[locale] = [each["entryName"] for each in fields if each["mathOperation"] == ">="]
        run = {"query": queries[0], "entries": ["Item ID"], "values": ["100-017;PRD-1002?"], "maxNumToReturn": 0}
        executed = await client.call("Query-2008-06-SavedQuery/executeSavedQueries", {"input": [run]})
        if locale == "en_US":
            assert len(executed["arrayOfResults"][0]["objectUIDS"]) == 2
        else:
            assert executed[".QName"].endswith("Exceptions.ServiceException")
            assert executed["messages"][0]["message"] == "The query has no entry 'Item ID'."
    assert entries == {"en_US": ["Modified After"], "de_DE": ["Geändert nach"]}


async def test_written_properties_are_newer_and_forgotten_on_reset(client: Client) -> None:
    await client.log_in()
    item = client.world.items[0]
    pairs = [{"name": "object_name", "values": ["New"]}, {"name": "item_id", "values": ["X"]}]
    info = [{"object": {"uid": item.uid}, "vecNameVal": pairs, "timestamp": "0001-01-01T00:00:00"}]
    answer = await client.call("Core-2010-09-DataManagement/setProperties", {"info": info, "options": []})
    assert answer["data"]["partialErrors"][0]["errorValues"][0]["code"] == 214087
    body = {"objects": [{"uid": item.uid}], "attributes": ["object_name", "last_mod_date", "item_id"]}

    async def read() -> tuple[str, str, str]:
        found = await client.call("Core-2006-03-DataManagement/getProperties", body)
        props = found["modelObjects"][item.uid]["props"]
        return tuple(props[name]["dbValues"][0] for name in body["attributes"])  # type: ignore[return-value]

    assert await read() == ("New", "2026-11-25T10:30:00+01:00", item.teamcenter_number)
    client.standin.faults.reset()
    assert (await read())[0] == item.name


# --- structures


async def test_an_expansion_is_a_shuffled_flat_list(client: Client) -> None:
    await client.log_in()
    orders = set()
    for _ in range(4):
        window = await client.window(client.world.products[0].uid)
        body = {"input": {"parentBomLines": [window["bomLine"]], "excludeFilter": "None"}, "pref": {}}
        answer = await client.call(f"{STRUCTURE}/expandPSAllLevels", body, policy={"BOMLine": ["bl_item_item_id"]})
        assert set(answer["output"][0]) == set(TEMPLATES[f"{STRUCTURE}/expandPSAllLevels"]["response"]["output"][0])
        objects = answer["ServiceData"]["modelObjects"]
        orders.add(
            tuple(
                objects[each["bomLine"]["uid"]]["props"]["bl_item_item_id"]["dbValues"][0]
                for row in answer["output"]
                for each in row["children"]
            )
        )
    assert len(orders) > 1
    assert len({frozenset(each) for each in orders}) == 1
    assert client.standin.open_windows == 4


async def test_a_window_goes_with_its_call_unless_objects_are_kept(client: Client) -> None:
    await client.log_in()
    window = await client.window(client.world.products[0].uid, keep=False)
    assert client.standin.open_windows == 0
    body = {"input": {"parentBomLines": [window["bomLine"]]}, "pref": {}}
    answer = await client.call(f"{STRUCTURE}/expandPSOneLevel", body)
    assert answer["output"] == []
    assert answer["ServiceData"]["partialErrors"][0]["uid"] == window["bomLine"]["uid"]


@pytest.mark.parametrize("operation", sorted(TEMPLATES))
def test_every_operation_of_the_templates_is_there(client: Client, operation: str) -> None:
    known = {*client.standin._operations.table, "Core-2011-06-Session/login", "Core-2006-03-Session/logout"}
    assert operation in known


# --- tcsoa


@pytest.fixture
def soa() -> Iterator[Callable[[str], RestBackend]]:
    def connect(address: str) -> RestBackend:
        TcSoaConfig.backend = RestBackend(address)
        TcSoaConfig.backend.state["unloadObjects"] = False
        return TcSoaConfig.backend

    yield connect
    if TcSoaConfig.backend is not None:
        TcSoaConfig.backend.session.close()
    TcSoaConfig.backend = None


def read_all(backend: RestBackend, world: World) -> None:
    """What a program with tcsoa does; synchronous, so on a thread of its own."""
    with pytest.raises(InvalidCredentialsException):
        SessionService.login(Credentials(user=USER, password="wrong", locale="en_US", descrimator="tcsoa"))
    answer = SessionService.login(Credentials(user=USER, password=PASSWORD, locale="en_US", descrimator="tcsoa"))
    assert answer.serverInfo["Version"] == "V14000.3.0"
    assert SessionInfo.getTCSessionInfo().serverVersion == "V14000.3.0"

    backend.set_object_load_policy("Item", ["item_id", "object_name"])
    item = world.products[0]
    found = Items.getItemFromId([GetItemFromIdInfo(itemId=item.teamcenter_number)], 1, GetItemFromIdPref())
    assert [each.item.uid for each in found.output] == [item.uid]
    assert found.output[0].item.prop_str("object_name") == item.name
    assert found.output[0].itemRevOutput[0].itemRevision.uid == item.latest.uid
    data = Properties.getProperties([BusinessObject(uid=item.uid)], ["object_desc"])
    assert data.modelObjects[item.uid].prop_str("object_desc") == item.description

    queries = Find.findSavedQueries([FindSavedQueriesCriteriaInput(queryNames=["Item..."])]).savedQueries
    fields = Describe.describeSavedQueries(queries).fieldLists[0].fields
    entry = next(each.entryName for each in fields if each.attributeName == "item_id")
    run = QueryInput(query=queries[0], entries=[entry], values=[item.teamcenter_number])
    assert Execute.executeSavedQueries([run]).arrayOfResults[0].objectUIDS == [item.uid]
    with pytest.raises(ServiceException, match="no entry"):
        Execute.executeSavedQueries([QueryInput(query=queries[0], entries=["Nothing"], values=["1"])])

    backend.set_object_load_policy("RevisionRule", ["object_name"])
    rules = {
        each.revRule.prop_str("object_name"): each.revRule
        for each in StructureManagementService.getRevisionRules().output
    }
    assert list(rules) == ["Latest Working", "Any Status; Working", "Latest Released"]
    names = ["bl_item_item_id", "bl_quantity", "bl_sequence_no", "bl_rev_item_revision_id"]
    backend.set_object_load_policy("BOMLine", names)
    config = RevisionRuleConfigInfo(
        revRule=rules["Latest Working"], props=RevisionRuleEntryProps(unitNo=-1, today=True)
    )
    window = StructureManagementService.createBOMWindows(
        [CreateBOMWindowsInfo(clientId="1", item=found.output[0].item, revRuleConfigInfo=config)]
    ).output[0]
    expanded = StructureManagementService.expandPSAllLevels(
        ExpandPSAllLevelsInfo(parentBomLines=[window.bomLine], excludeFilter="None"), ExpandPSAllLevelsPref()
    )
    below = {row.parent.bomLine.uid: [each.bomLine for each in row.children] for row in expanded.output}
    _compare(window.bomLine, below, world, item.key)
    closed = StructureManagementService.closeBOMWindows([window.bomWindow])
    assert closed.serviceData.deleted == [window.bomWindow.uid]
    LogOut.logout()


def _compare(line: BOMLine, below: dict[str, list[BOMLine]], world: World, key: str) -> None:
    children = sorted(below.get(line.uid, ()), key=lambda each: int(each.prop_str("bl_sequence_no")))
    expected = world.bom(key)
    assert [each.prop_str("bl_item_item_id") for each in children] == [
        world.item_by_key[each.item_key].teamcenter_number for each in expected
    ]
    assert [Decimal(each.prop_str("bl_quantity") or 1) for each in children] == [each.amount for each in expected]
    for child, each in zip(children, expected, strict=True):
        assert child.prop_str("bl_rev_item_revision_id") == world.item_by_key[each.item_key].latest.id
        _compare(child, below, world, each.item_key)


async def test_tcsoa_reads_items_and_structures(soa: Callable[[str], RestBackend]) -> None:
    world = World(lambda: NOW)
    standin = create(world)
    listener = Listener(application([standin]), "127.0.0.1", 0)
    await listener.start()
    try:
        backend = soa(f"http://127.0.0.1:{listener.port}/teamcenter/tc")
        await asyncio.to_thread(read_all, backend, world)
    finally:
        await listener.stop()
    assert standin.logins == 1
    assert standin.open_windows == 0
