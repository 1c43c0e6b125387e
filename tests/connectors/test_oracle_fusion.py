"""The Oracle Fusion connector against its stand-in, in process: what it reads, what it costs, how it fails."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from connectors.kit.errors import (
    AuthFailed,
    SessionExpired,
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
from unified.records import Item, ItemType, Kind
from unified.values import System

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


def page(*items: dict[str, Any], **more: Any) -> Failure:
    return Failure(200, body={"items": list(items), "count": len(items), "hasMore": False, "offset": 0, **more})


ITEM = {"ItemId": 100000000000001, "OrganizationCode": "M1", "ItemNumber": "A"}
ORDER = {"WorkOrderId": 300000205541234, "WorkOrderNumber": "1", "WorkOrderStatusCode": "ORA_RELEASED"}


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
