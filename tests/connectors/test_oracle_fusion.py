"""The Oracle Fusion connector against its stand-in, in process: what it reads, what it costs, how it fails."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from connectors.kit.errors import (
    AuthFailed,
    BadPayload,
    BadRequest,
    Conflict,
    MappingFailed,
    PermissionDenied,
    RateLimited,
    SessionExpired,
    VendorDown,
)
from connectors.kit.integration import Integration, Secret
from connectors.kit.protocols import IdentitySource, Poller, WebhookReceiver
from connectors.kit.services import Services
from connectors.oracle_fusion import OracleFusion
from sandbox import oracle_fusion
from sandbox.oracle_fusion.framework import ROOT
from sandbox.oracle_fusion.rows import number_of
from sandbox.standin import Failure
from sandbox.world import World
from tests.connectors.contract import Bench, ConnectorContract, FakeClock, Lines
from unified import queries
from unified.keys import Subject
from unified.queries import ListQuery, OrderBy
from unified.records import Item, ItemType, Kind, WorkOrderStatus
from unified.values import Quantity, System

OAUTH = {
    "client_id": Secret(oracle_fusion.CLIENT_ID),
    "client_secret": Secret(oracle_fusion.CLIENT_SECRET),
    "webhook_secret": Secret(oracle_fusion.WEBHOOK_SECRET),
}
BASIC = {"username": Secret(oracle_fusion.USER), "password": Secret(oracle_fusion.PASSWORD)}
SETTINGS = {
    "organizations": ["IBA", "ABV"],
    "token_url": oracle_fusion.TOKEN,
    "scope": oracle_fusion.SCOPE,
    "item_classes": {"Raw Materials": "RAW_MATERIAL", "Tooling": "TOOLING"},
}
ITEMS, STRUCTURES, ORDERS = (f"{ROOT}/{name}" for name in ("itemsV2", "itemStructures", "workOrders"))
CHILD = f"{ROOT}/{{resource}}/{{key}}/child/{{child}}"


def integration(settings: dict[str, Any] | None = None, **more: Any) -> Integration:
    facts: dict[str, Any] = {
        "key": "fusion",
        "system": System.ORACLE_FUSION,
        "base_url": "http://vendor",
        "credentials": OAUTH,
        "settings": SETTINGS | (settings or {}),
    }
    return Integration(**facts | more)


class Wire(httpx.AsyncBaseTransport):
    """Remembers what was sent, whole, and how many were under way at once."""

    def __init__(self, app: Any) -> None:
        self.inner = httpx.ASGITransport(app=app)
        self.sent: list[httpx.Request] = []
        self.under_way = self.most = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            return await self.inner.handle_async_request(request)
        finally:
            self.under_way -= 1


_clocks = [FakeClock()]


@cache
def _world() -> World:
    """It never changes, so it is built once; it follows the clock of the rig that was made last."""
    return World(lambda: _clocks[-1].now())


class Rig:
    """A connector over a stand-in whose clock we hold."""

    def __init__(
        self, settings: dict[str, Any] | None = None, *, vendor: dict[str, Any] | None = None, **more: Any
    ) -> None:
        self.clock, self.log = FakeClock(), Lines()
        _clocks[:] = [self.clock]
        self.world = _world()
        self.standin = oracle_fusion.create(self.world, **(vendor or {}))
        self.faults = self.standin.faults
        self.wire = Wire(self.standin.app)
        services = Services(transport=self.wire, clock=self.clock, log=self.log)
        self.connector = OracleFusion(integration(settings, **more), services)

    def calls(self) -> dict[str, int]:
        """What was asked since the last time, without tokens."""
        found = Counter({path: count for (_, path), count in self.faults.calls.items() if path != oracle_fusion.TOKEN})
        self.faults.calls.clear()
        return dict(found)

    def asked(self) -> list[dict[str, str]]:
        """Parameters of the reads since the last time."""
        found = [
            {name: each[0] for name, each in parse_qs(request.url.query.decode()).items()}
            for request in self.wire.sent
            if request.url.path != oracle_fusion.TOKEN
        ]
        self.wire.sent.clear()
        return found

    def item_id(self, place: int, organization: str = "IBA") -> str:
        return f"{organization}:{self.standin.rows.ids[self.world.items[place].key]}"


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    yield made
    await made.connector.aclose()


def items_query(limit: int = 50, order_by: tuple[OrderBy, ...] = (), **more: Any) -> ListQuery[queries.ItemFilter]:
    return ListQuery(filter=queries.ItemFilter(**more), limit=limit, order_by=order_by)


def orders_query(
    limit: int = 50, order_by: tuple[OrderBy, ...] = (), **more: Any
) -> ListQuery[queries.WorkOrderFilter]:
    return ListQuery(filter=queries.WorkOrderFilter(**more), limit=limit, order_by=order_by)


class TestOracleFusion(ConnectorContract):
    system = System.ORACLE_FUSION
    kinds = frozenset({Kind.ITEM, Kind.BOM, Kind.WORK_ORDER})
    request_id_header = None  # pods answer with ids that no document names

    @pytest.fixture
    async def bench(self) -> AsyncIterator[Bench]:
        rig = Rig()
        self.standin = rig.standin
        await rig.connector.check()  # logged in: what fails next is a resource, not the token endpoint
        yield Bench(
            connector=rig.connector,
            faults=rig.faults,
            clock=rig.clock,
            log=rig.log,
            secrets=(oracle_fusion.CLIENT_SECRET, oracle_fusion.WEBHOOK_SECRET, "sandbox-oracle-token"),
        )
        await rig.connector.aclose()

    async def read_one(self, connector: Any) -> object:
        return await connector.read_items(["IBA:100000000000137"])

    def logins(self, bench: Bench) -> int:
        return self.standin.logins

    def wrong_types(self) -> bytes:
        return b'{"items": [{"ItemId": 1, "OrganizationCode": "M1", "ItemNumber": 7}], "hasMore": false}'


class TestOracleFusionByBasic(TestOracleFusion):
    """The same with HTTP Basic, which does not expire."""

    expires = False

    @pytest.fixture
    async def bench(self) -> AsyncIterator[Bench]:
        rig = Rig(credentials=BASIC)
        self.standin = rig.standin
        yield Bench(
            connector=rig.connector,
            faults=rig.faults,
            clock=rig.clock,
            log=rig.log,
            secrets=(oracle_fusion.PASSWORD,),
        )
        await rig.connector.aclose()


def test_what_it_has_besides() -> None:
    rig = Rig()
    assert isinstance(rig.connector, Poller)
    assert isinstance(rig.connector, WebhookReceiver)
    assert isinstance(rig.connector, IdentitySource)


# --- signing in and the framework


async def test_the_token_is_asked_for_as_the_identity_domain_wants_it(rig: Rig) -> None:
    assert await rig.connector.check() == "Oracle Fusion, REST framework version 4"
    token, read = rig.wire.sent
    assert (token.method, str(token.url)) == ("POST", "http://vendor/oauth2/v1/token")
    assert parse_qs(token.content.decode()) == {"grant_type": ["client_credentials"], "scope": [oracle_fusion.SCOPE]}
    assert token.headers["authorization"].startswith("Basic ")
    assert read.headers["authorization"] == "Bearer sandbox-oracle-token-1"
    assert read.headers["rest-framework-version"] == "4"
    assert read.headers["accept"] == "application/json, application/vnd.oracle.adf.error+json"


async def test_a_token_is_renewed_before_it_ends(rig: Rig) -> None:
    await rig.connector.check()
    rig.clock.passed += 3600 - 61
    await rig.connector.check()
    assert rig.standin.logins == 1
    rig.clock.passed += 2
    await rig.connector.check()
    assert rig.standin.logins == 2


@pytest.mark.parametrize(
    ("credentials", "settings", "words"),
    [
        ({}, {}, "give the credentials"),
        ({**OAUTH, **BASIC}, {}, "give the credentials"),
        ({"client_id": Secret("x")}, {}, "give the credentials"),
        ({"username": Secret("x")}, {}, "give the credentials"),
        (OAUTH, {"token_url": None}, "`client_id` needs the setting `token_url`"),
        ({"username": Secret("a:b"), "password": Secret("x")}, {}, "colon"),
    ],
)
def test_credentials_that_make_no_sense_are_told_at_the_start(
    credentials: dict[str, Secret], settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        Rig(settings, credentials=credentials)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"time_zone": "Mars/Base"}, "no IANA time zone"),
        ({"organizations": ["M1", "M1"]}, "names an organization twice"),
        ({"framework_version": 1}, "framework_version"),
        ({"item_fields": ["A;B"]}, "item_fields"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_settings_that_make_no_sense_are_told_at_the_start(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Rig(settings)


async def test_wrong_credentials_are_not_a_session_that_expired() -> None:
    wrong = Rig(credentials={"username": Secret("SOMEBODY"), "password": Secret("wrong")})
    with pytest.raises(AuthFailed) as caught:
        await wrong.connector.check()
    assert not isinstance(caught.value, SessionExpired)
    assert "Unauthorized" in str(caught.value)
    await wrong.connector.aclose()
    refused = Rig({"scope": "urn:opc:resource:consumer::all"})
    with pytest.raises(AuthFailed, match="invalid_scope"):
        await refused.connector.check()
    await refused.connector.aclose()


async def test_a_token_that_is_refused_again_and_again_is_a_session_that_expired(rig: Rig) -> None:
    rig.faults.fail_next.extend([Failure(401, body="Unauthorized", path="itemsV2")] * 2)
    with pytest.raises(SessionExpired):
        await rig.connector.read_items([rig.item_id(0)])


@pytest.mark.parametrize("version", [2, 3, 9])
async def test_every_framework_version_with_row_match_reads_the_same(version: int) -> None:
    """Children come as arrays before version 3."""
    this, usual = Rig({"framework_version": version}), Rig()
    for ask in (
        lambda rig: rig.connector.list_work_orders(orders_query(5), None),
        lambda rig: rig.connector.list_items(items_query(5), None),
    ):
        assert (await ask(this)).records == (await ask(usual)).records
    assert this.wire.sent[-1].headers["rest-framework-version"] == str(version)
    await this.connector.aclose()
    await usual.connector.aclose()


# --- items


async def test_an_item_in_all_its_parts(rig: Rig) -> None:
    world_item = rig.world.items[72]  # of the second layer
    [found] = await rig.connector.read_items([rig.item_id(72)])
    assert found == Item(
        source=found.source,
        updated_at=world_item.modified_at.replace(microsecond=0),
        number=number_of(world_item),
        name=world_item.name,
        item_type=ItemType.ASSEMBLY,
        unit="Each",
        lifecycle="Production" if world_item.latest_released else "Design",
    )
    assert (found.source.external_id, found.source.vendor_status) == (rig.item_id(72), "Active")


async def test_a_hundred_items_of_two_organizations_cost_one_call(rig: Rig) -> None:
    await rig.connector.check()
    rig.calls()
    wanted = [rig.item_id(place) for place in range(80)] + [rig.item_id(place, "ABV") for place in range(20)]
    found = await rig.connector.read_items([*wanted, "IBA:1", "IBA:x", "nonsense", ":5", "M1:" + "9" * 19])
    assert {each.source.external_id for each in found} == set(wanted)
    assert rig.calls() == {ITEMS: 1}
    [asked] = rig.asked()[-1:]
    assert asked["orderBy"] == "ItemId:asc,OrganizationCode:asc"
    assert asked["onlyData"] == "true"
    assert asked["q"].startswith("(OrganizationCode = 'IBA' and ItemId in (100000000000137,")


async def test_more_than_fits_into_an_address_is_split_and_read_side_by_side(rig: Rig) -> None:
    await rig.connector.check()
    rig.calls()
    wanted = [rig.item_id(place) for place in range(400)]
    assert len(await rig.connector.read_items(wanted)) == 400
    assert rig.calls() == {ITEMS: 4}
    assert max(len(request.url.raw_path) for request in rig.wire.sent) < 4_000


async def test_nothing_costs_nothing(rig: Rig) -> None:
    assert await rig.connector.read_items([]) == []
    assert await rig.connector.items_by_number([]) == []
    assert await rig.connector.read_work_orders(["x", "-1"]) == []
    assert await rig.connector.work_orders_of_items([]) == []
    assert await rig.connector.explode([]) == []
    assert await rig.connector.where_used([]) == []
    assert rig.calls() == {}


async def test_of_several_organizations_the_first_has_the_number(rig: Rig) -> None:
    product, assembly = rig.world.items[0], rig.world.items[72]
    wanted = [number_of(product), number_of(assembly), "nothing"]
    found = await rig.connector.items_by_number(wanted)
    assert sorted(each.source.external_id for each in found) == [rig.item_id(0), rig.item_id(72)]
    other = Rig({"organizations": ["ABV", "IBA"]})
    found = await other.connector.items_by_number(wanted)
    assert sorted(each.source.external_id for each in found) == [rig.item_id(0, "ABV"), rig.item_id(72)]
    await other.connector.aclose()
    only = Rig({"organizations": ["ABV"]})
    found = await only.connector.items_by_number(wanted)
    assert [each.source.external_id for each in found] == [rig.item_id(0, "ABV")]
    await only.connector.aclose()


async def test_an_apostrophe_in_a_number_is_doubled(rig: Rig) -> None:
    rig.standin.change("IBA", number_of(rig.world.items[3]), ItemNumber="5' hose & 100%")
    [found] = await rig.connector.items_by_number(["5' hose & 100%"])
    assert found.source.external_id == rig.item_id(3)
    assert b"%20and%20ItemNumber%20%3D%20%275%27%27%20hose%20%26%20100%25%27&" in rig.wire.sent[-1].url.raw_path
    assert rig.asked()[-1]["q"] == "OrganizationCode in ('IBA','ABV') and ItemNumber = '5'' hose & 100%'"


async def test_pages_go_by_offset_in_a_fixed_order_and_tell_the_total(rig: Rig) -> None:
    first = await rig.connector.list_items(items_query(7), None)
    assert (len(first.records), first.next, first.total) == (7, "7", 662)
    second = await rig.connector.list_items(items_query(7), first.next)
    assert second.next == "14"
    assert not {each.id for each in first.records} & {each.id for each in second.records}
    last = await rig.connector.list_items(items_query(7), "658")
    assert (len(last.records), last.next) == (4, None)
    with pytest.raises(ValueError, match="not a cursor"):
        await rig.connector.list_items(items_query(7), "x")


async def test_only_times_are_sorted_by_the_vendor(rig: Rig) -> None:
    query = items_query(30, (OrderBy("updated_at", descending=True),))
    page = await rig.connector.list_items(query, None)
    times = [each.updated_at for each in page.records]
    assert page.sorted
    assert times == sorted(times, reverse=True)  # type: ignore[type-var]
    assert rig.asked()[-1]["orderBy"] == "LastUpdateDateTime:desc,ItemId:asc,OrganizationCode:asc"
    for order in ((OrderBy("number"),), (OrderBy("updated_at"), OrderBy("number"))):
        assert not (await rig.connector.list_items(items_query(5, order), None)).sorted
    orders = await rig.connector.list_work_orders(orders_query(30, (OrderBy("updated_at"),)), None)
    changed = [each.updated_at for each in orders.records]
    assert orders.sorted
    assert changed == sorted(changed)  # type: ignore[type-var]


@pytest.mark.parametrize(
    ("wanted", "asked", "count"),
    [
        ({"item_types": (ItemType.ASSEMBLY,)}, "ItemClass in ('Root','Root Item Class','Manufactured')", 214),
        ({"item_types": (ItemType.RAW_MATERIAL,)}, "ItemClass = 'Raw Materials'", 56),
        ({"item_types": (ItemType.MODEL, ItemType.TOOLING)}, "ItemClass in ('Model','Tooling')", 12),
        ({"item_types": (ItemType.COMPONENT,)}, None, 380),
        (
            {"search": "Hex bolt"},
            "(UPPER(ItemNumber) like '%HEX BOLT%' or UPPER(ItemDescription) like '%HEX BOLT%')",
            20,
        ),
        ({"search": "größe"}, None, 0),
        ({"search": "o'r"}, "(UPPER(ItemNumber) like '%O''R%' or UPPER(ItemDescription) like '%O''R%')", 0),
        (
            {"updated_after": datetime(2025, 9, 1, 0, 0, 0, 123456, tzinfo=UTC)},
            "LastUpdateDateTime >= '2025-09-01T00:00:00.123+00:00'",
            None,
        ),
    ],
)
async def test_what_of_a_filter_is_pushed_down(
    rig: Rig, wanted: dict[str, Any], asked: str | None, count: int | None
) -> None:
    """Whatever is pushed down, the rows that match are the same."""
    filter_ = queries.ItemFilter(**wanted)
    found, cursor = [], None
    while True:
        page = await rig.connector.list_items(ListQuery(filter=filter_, limit=50), cursor)
        found += [each for each in page.records if filter_.matches(each)]
        cursor = page.next
        if cursor is None:
            break
    everything = [
        each
        for offset in range(0, 800, 200)
        for each in (await rig.connector.list_items(items_query(200), str(offset))).records
    ]
    assert {each.id for each in found} == {each.id for each in everything if filter_.matches(each)}
    assert count is None or len(found) == count
    fresh = Rig()
    await fresh.connector.list_items(ListQuery(filter=filter_, limit=50), None)
    plants = "OrganizationCode in ('IBA','ABV')"
    assert fresh.asked()[-1]["q"] == (plants if asked is None else f"{plants} and {asked}")
    await fresh.connector.aclose()


async def test_a_filter_that_nothing_can_match_costs_nothing(rig: Rig) -> None:
    page = await rig.connector.list_items(items_query(released=True), None)
    assert (page.records, page.next, page.total) == ([], None, 0)
    equipment = await rig.connector.list_items(items_query(item_types=(ItemType.EQUIPMENT,)), None)
    assert equipment.records == []
    elsewhere = await rig.connector.list_work_orders(orders_query(organizations=("M1",)), None)
    assert elsewhere.records == []
    assert (await rig.connector.list_work_orders(orders_query(numbers=()), None)).records == []
    assert rig.calls() == {}


async def test_numbers_in_any_spelling_are_found(rig: Rig) -> None:
    """One call for what is spelt as here, one for all that is not."""
    exact, foreign, digits = rig.world.items[72], rig.world.items[73], rig.world.items[2]
    await rig.connector.check()
    rig.calls()
    wanted = (number_of(exact), foreign.teamcenter_number, digits.sap_number, "QQQ-1")
    page = await rig.connector.list_items(items_query(numbers=wanted), None)
    assert [each.source.external_id for each in page.records] == [
        rig.item_id(72),
        rig.item_id(2),
        rig.item_id(73),
        rig.item_id(2, "ABV"),
    ]
    assert (page.next, page.total) == (None, None)
    assert rig.calls() == {ITEMS: 2}
    rig.asked()
    await rig.connector.list_items(items_query(numbers=(number_of(exact),)), None)
    assert rig.calls() == {ITEMS: 1}


async def test_without_organizations_all_that_the_user_sees_is_read() -> None:
    rig = Rig({"organizations": []})
    page = await rig.connector.list_items(items_query(5), None)
    assert page.total == 662
    assert "q" not in rig.asked()[-1]
    assert len([each async for each in rig.connector.identities()]) == 662
    await rig.connector.aclose()


async def test_a_finder_goes_along_with_every_query_of_its_resource() -> None:
    rig = Rig({"finders": {"itemsV2": "PrimaryKey;ItemId=100000000000137"}})
    page = await rig.connector.list_items(items_query(5), None)
    assert [each.source.external_id for each in page.records] == [rig.item_id(0, "ABV"), rig.item_id(0)]
    await rig.connector.list_work_orders(orders_query(1), None)
    assert [each.get("finder") for each in rig.asked()] == ["PrimaryKey;ItemId=100000000000137", None]
    await rig.connector.aclose()


async def test_further_attributes_are_asked_for_when_they_are_named() -> None:
    rig = Rig({"item_fields": ["LongDescription", "BuildInWIPFlag"], "item_classes": {}})
    tool = rig.world.items[-1]
    rig.standin.change("IBA", number_of(tool), BuildInWIPFlag="Y")
    rig.standin.change("IBA", number_of(rig.world.items[-2]), BuildInWIPFlag="N")
    last = len(rig.world.items) - 1
    found = {each.number: each for each in await rig.connector.read_items([rig.item_id(last), rig.item_id(last - 1)])}
    assert found[number_of(tool)].description == tool.description
    assert found[number_of(tool)].item_type is ItemType.ASSEMBLY
    assert found[number_of(rig.world.items[-2])].item_type is ItemType.COMPONENT
    await rig.connector.list_items(items_query(item_types=(ItemType.ASSEMBLY,)), None)
    await rig.connector.list_items(items_query(search="made"), None)
    assert [each["q"] for each in rig.asked()[-2:]] == ["OrganizationCode in ('IBA','ABV')"] * 2
    await rig.connector.aclose()


async def test_the_newest_revision_that_is_effective_is_read_when_it_is_wanted() -> None:
    """Also where the server cuts the revisions short: then by the row's own link, as its key is a hash."""
    rig = Rig({"revisions": True}, vendor={"child_rows": 2})
    place = next(place for place, each in enumerate(rig.world.items) if len(each.revisions) == 3)
    [found] = await rig.connector.read_items([rig.item_id(place)])
    assert found.revision == "C"
    assert rig.calls() == {ITEMS: 1, CHILD: 1}
    first, second = rig.wire.sent[1:]
    assert "onlyData" not in str(first.url)
    assert second.url.path.startswith(f"{ROOT}/itemsV2/0002")
    assert parse_qs(second.url.query.decode()) == {
        "limit": ["500"],
        "offset": ["0"],
        "onlyData": ["true"],
        "orderBy": ["RevisionCode:asc"],
    }
    item = rig.world.items[place]
    rig.clock.start = item.revisions[2].created_at - timedelta(seconds=1)
    rig.connector.api.last_good = type(rig.connector.api.last_good)()
    [before] = await rig.connector.read_items([rig.item_id(place)])
    assert before.revision == "B"
    await rig.connector.aclose()


async def test_the_crosswalk_learns_every_number_once_per_organization(rig: Rig) -> None:
    await rig.connector.check()
    rig.calls()
    found = [each async for each in rig.connector.identities()]
    assert len(found) == 662
    assert {each.subject for each in found} == {Subject.ITEM}
    assert [each.external_id for each in found[:1]] == [rig.item_id(0)]
    assert [each.external_id.partition(":")[0] for each in found].index("ABV") == 420  # type: ignore[union-attr]
    assert rig.calls() == {ITEMS: 2}


# --- work orders


async def test_a_work_order_with_operations_and_materials(rig: Rig) -> None:
    page = await rig.connector.list_work_orders(orders_query(statuses=(WorkOrderStatus.RELEASED,)), None)
    found = next(each for each in page.records if each.status is WorkOrderStatus.RELEASED and each.completed.value)  # type: ignore[union-attr]
    [again] = await rig.connector.read_work_orders([found.source.external_id])
    assert again == found
    item = next(each for each in rig.world.items if number_of(each) == found.item_number)
    lines = rig.world.bom(item.key, "manufacturing")
    assert [each.sequence for each in found.operations] == ["10", "20", "30"]
    assert [each.work_center for each in found.operations] == ["Stores", "Assembly line", "Test bay"]
    assert found.operations[0].completed == found.completed.value  # type: ignore[union-attr]
    assert len(found.materials) == len(lines)
    first, line = found.materials[0], lines[0]
    assert found.planned is not None
    assert first.required == Quantity(value=line.amount * found.planned.value, unit=first.required.unit)
    assert first.item_number == number_of(rig.world.item_by_key[line.item_key])
    assert {each.integration for each in found.materials} == {"fusion"}
    assert found.organization in ("IBA", "ABV")
    assert found.source.vendor_status == "ORA_RELEASED"


async def test_every_status_is_met(rig: Rig) -> None:
    page = await rig.connector.list_work_orders(orders_query(100), None)
    assert page.total == len(page.records) == 60
    assert page.next is None
    assert {each.status for each in page.records} >= {
        WorkOrderStatus.CREATED,
        WorkOrderStatus.RELEASED,
        WorkOrderStatus.COMPLETED,
        WorkOrderStatus.CLOSED,
        WorkOrderStatus.CANCELLED,
    }
    assert WorkOrderStatus.UNKNOWN not in {each.status for each in page.records}


@pytest.mark.parametrize(
    ("wanted", "asked"),
    [
        (
            {"statuses": (WorkOrderStatus.RELEASED,)},
            "(WorkOrderStatusCode in ('RELEASED','ORA_RELEASED','KITTING') or "
            "WorkOrderSystemStatusCode in ('RELEASED','ORA_RELEASED'))",
        ),
        ({"statuses": (WorkOrderStatus.UNKNOWN,)}, None),
        ({"organizations": ("ABV", "M9")}, None),
        (
            {"item_number": "PRD-10026"},
            "(ItemNumber = 'PRD-10026' or UPPER(ItemNumber) like '%P%R%D%1%0%0%2%6%')",
        ),
        ({"updated_after": datetime(2026, 11, 20, tzinfo=UTC)}, "LastUpdateDate >= '2026-11-20T00:00:00.000+00:00'"),
    ],
)
async def test_what_of_a_work_order_filter_is_pushed_down(wanted: dict[str, Any], asked: str | None) -> None:
    rig = Rig({"statuses": {"KITTING": "RELEASED"}})
    filter_ = queries.WorkOrderFilter(**wanted)
    page = await rig.connector.list_work_orders(ListQuery(filter=filter_, limit=100), None)
    everything = (await rig.connector.list_work_orders(orders_query(100), None)).records
    matching = {each.id for each in everything if filter_.matches(each)}
    assert {each.id for each in page.records if filter_.matches(each)} == matching
    plants = "OrganizationCode = 'ABV'" if "organizations" in wanted else "OrganizationCode in ('IBA','ABV')"
    assert rig.asked()[0]["q"] == (plants if asked is None else f"{plants} and {asked}")
    assert (page.total is None) == (set(wanted) != {"organizations"})
    assert matching or wanted == {"statuses": (WorkOrderStatus.UNKNOWN,)}
    await rig.connector.aclose()


async def test_work_orders_by_number_with_and_without_dashes(rig: Rig) -> None:
    everything = (await rig.connector.list_work_orders(orders_query(100), None)).records
    one, other = everything[3], everything[40]
    rig.calls()
    wanted = (one.number, other.number.replace("-", " ").lower(), "IBA-9")
    page = await rig.connector.list_work_orders(orders_query(numbers=wanted), None)
    assert {each.number for each in page.records} >= {one.number, other.number}
    assert rig.calls() == {ORDERS: 1}


async def test_work_orders_of_items_are_not_closed(rig: Rig) -> None:
    everything = (await rig.connector.list_work_orders(orders_query(100), None)).records
    numbers = sorted({each.item_number for each in everything if each.item_number})[:8]
    rig.calls()
    found = await rig.connector.work_orders_of_items(numbers)
    over = (WorkOrderStatus.CLOSED, WorkOrderStatus.CANCELLED)
    assert {each.id for each in found} == {
        each.id for each in everything if each.item_number in numbers and each.status not in over
    }
    assert found
    assert rig.calls() == {ORDERS: 1}
    assert "WorkOrderStatusCode <> 'ORA_CLOSED' and WorkOrderStatusCode <> 'ORA_CANCELED'" in rig.asked()[-1]["q"]


async def test_a_status_of_the_tenants_own_means_what_the_settings_say() -> None:
    """Else what the system status says, else nothing that we know, and it is counted."""
    rig = Rig({"statuses": {"PARKED": "ON_HOLD", "SCRAPPED_OFF": "CANCELLED"}})
    everything = (await rig.connector.list_work_orders(orders_query(100), None)).records
    some = [each for each in everything if each.status is WorkOrderStatus.RELEASED][:4]
    own = ({"WorkOrderStatusCode": "PARKED"}, {"WorkOrderStatusCode": "SCRAPPED_OFF"}, {"WorkOrderStatusCode": "MINE"})
    for order, attributes in zip(some, own, strict=False):
        rig.standin.change(str(order.organization), order.number, **attributes)
    strange = {"WorkOrderStatusCode": "X", "WorkOrderSystemStatusCode": "ORA_PENDING"}
    rig.standin.change(str(some[3].organization), some[3].number, **strange)
    found = {each.id: each for each in await rig.connector.read_work_orders([e.source.external_id for e in some])}
    assert [found[each.id].status for each in some] == [
        WorkOrderStatus.ON_HOLD,
        WorkOrderStatus.CANCELLED,
        WorkOrderStatus.RELEASED,
        WorkOrderStatus.UNKNOWN,
    ]
    assert found[some[3].id].source.vendor_status == "X"
    assert rig.connector.rules.statuses.seen == {"PENDING": 1}
    of_it = await rig.connector.work_orders_of_items([str(some[1].item_number)])
    assert some[1].id not in {each.id for each in of_it}
    await rig.connector.aclose()


@pytest.mark.parametrize("version", [2, 4])
async def test_children_that_are_cut_short_are_read_to_their_end(version: int) -> None:
    """A collection says so; a full array may go on. One call more brings the addresses of all."""
    whole = (await Rig().connector.list_work_orders(orders_query(4), None)).records
    rig = Rig({"framework_version": version}, vendor={"child_rows": 2 if version >= 3 else 25})
    if version < 3:  # two operations more than an array shows
        rows = rig.standin.rows.work_orders()[:1]
        many = [{**rows[0]["WorkOrderOperation"][0], "OperationSequenceNumber": 10 * n} for n in range(1, 28)]
        rig.standin.change(rows[0]["OrganizationCode"], rows[0]["WorkOrderNumber"], WorkOrderOperation=many)
        [found] = await rig.connector.read_work_orders([str(rows[0]["WorkOrderId"])])
        assert [each.sequence for each in found.operations] == [str(10 * n) for n in range(1, 28)]
        assert rig.calls() == {ORDERS: 2, CHILD: 1}
    else:
        found_whole = (await rig.connector.list_work_orders(orders_query(4), None)).records
        assert found_whole == whole
        materials = sum(len(each.materials) > 2 for each in whole)
        assert rig.calls() == {ORDERS: 2, CHILD: 4 + materials}
        assert rig.wire.most <= 10
        links = rig.asked()[-1 - 4 - materials]
        assert links == {
            "q": f"WorkOrderId in ({','.join(sorted(each.source.external_id for each in whole))})",
            "fields": "WorkOrderId",
            "limit": "500",
            "offset": "0",
            "orderBy": "WorkOrderId:asc",
        }
        found_whole = (await rig.connector.list_work_orders(orders_query(4), None)).records
        place = f"{ROOT}/workOrders/{whole[0].source.external_id}/child/WorkOrderOperation"
        assert place in {request.url.path for request in rig.wire.sent}
    await rig.connector.aclose()


# --- bad answers


def page(*items: dict[str, Any], **more: Any) -> Failure:
    return Failure(200, body={"items": list(items), "count": len(items), "hasMore": False, "offset": 0, **more})


ITEM = {"ItemId": 100000000000001, "OrganizationCode": "M1", "ItemNumber": "A"}
ORDER = {"WorkOrderId": 300000205541234, "WorkOrderNumber": "1", "WorkOrderStatusCode": "ORA_RELEASED"}


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
