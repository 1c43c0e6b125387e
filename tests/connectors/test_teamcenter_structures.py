"""Structures of the Teamcenter connector: what an explosion gives, what it costs, and that no window stays open."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from connectors.kit.errors import BadPayload, MappingFailed, Rejected, VendorDown
from connectors.kit.integration import Origin
from connectors.kit.protocols import BomRequest
from connectors.kit.services import Reading, current_reading
from connectors.teamcenter import wire
from connectors.teamcenter.mapping import BomKey, Tree, bom
from sandbox.standin import Failure
from sandbox.world import View, World
from tests.connectors.contract import NOW
from tests.connectors.test_teamcenter import Rig
from unified import queries
from unified.keys import Subject, canonical
from unified.queries import ListQuery
from unified.records import Bom
from unified.values import System


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    await made.connector.check()
    await made.connector.structures.rule("Latest Working")
    made.calls()
    yield made
    await made.connector.aclose()
    assert made.standin.open_windows == 0


@pytest.fixture
def origin() -> Origin:
    return Origin(integration="plm", system=System.TEAMCENTER, as_of=NOW)


Row = tuple[int, str, str | None, str, Decimal, Decimal, bool]


def expected(world: World, key: str, view: View = "engineering", levels: int = 99) -> list[Row]:
    """The structure as the world has it: depth first, by find number."""
    rows: list[Row] = []

    def walk(key: str, level: int, above: Decimal) -> None:
        for line in world.bom(key, view):
            child = world.item_by_key[line.item_key]
            total = above * line.amount
            below = bool(world.bom(child.key, view))
            rows.append(
                (level, str(line.find_number), child.latest.id, child.teamcenter_number, line.amount, total, below)
            )
            if level < levels:
                walk(child.key, level + 1, total)

    walk(key, 1, Decimal(1))
    return rows


def rows(found: Bom | None) -> list[Row]:
    assert found is not None
    return [
        (
            each.level,
            each.find_number or "",
            each.item_revision,
            each.item_number,
            each.quantity,
            each.total_quantity,
            each.has_children,
        )
        for each in found.lines
    ]


async def test_many_structures_cost_three_calls(rig: Rig) -> None:
    tops = rig.world.products[:12]
    found = await rig.connector.explode([BomRequest(item=each.uid) for each in tops])
    assert rig.calls() == {"createBOMWindows": 1, "expandPSAllLevels": 1, "closeBOMWindows": 1}
    for top, each in zip(tops, found, strict=True):
        assert rows(each) == expected(rig.world, top.key)
        assert each is not None
        assert (each.item_number, each.revision) == (top.teamcenter_number, top.latest.id)
        assert (each.view, each.revision_rule, each.truncated) == (None, "Latest Working", False)


async def test_lines_know_their_parents_and_the_integration(rig: Rig) -> None:
    top = rig.world.products[0]
    found = (await rig.connector.explode([BomRequest(item=top.uid)]))[0]
    assert found is not None
    assert len(found.lines) == 46
    assert [each.position for each in found.lines] == list(range(46))
    for each in found.lines:
        parent = found.lines[each.parent] if each.parent is not None else None
        assert each.level == (parent.level + 1 if parent else 1)
        assert each.total_quantity == each.quantity * (parent.total_quantity if parent else 1)
        assert each.integration == "plm"
    assert {each.unit for each in found.lines} <= {"each", "KG", "M", "L"}


async def test_an_empty_quantity_is_one(rig: Rig) -> None:
    top = next(
        each for each in rig.world.products if any(line.quantity is None for line in rig.world.bom(each.key))
    )  # fmt: skip
    line = next(each for each in rig.world.bom(top.key) if each.quantity is None)
    found = (await rig.connector.explode([BomRequest(item=top.uid, max_levels=1)]))[0]
    assert found is not None
    assert [each.quantity for each in found.lines if each.find_number == str(line.find_number)] == [Decimal(1)]


async def test_one_level_is_expanded_alone(rig: Rig) -> None:
    top = rig.world.products[0]
    found = (await rig.connector.explode([BomRequest(item=top.uid, max_levels=1)]))[0]
    assert rig.calls() == {"createBOMWindows": 1, "expandPSOneLevel": 1, "closeBOMWindows": 1}
    assert rows(found) == expected(rig.world, top.key, levels=1)
    assert found is not None
    assert found.truncated


@pytest.mark.parametrize(("levels", "truncated"), [(2, True), (3, True), (50, False)])
async def test_more_levels_are_cut_after_one_expansion(rig: Rig, levels: int, truncated: bool) -> None:
    top = rig.world.products[0]
    found = (await rig.connector.explode([BomRequest(item=top.uid, max_levels=levels)]))[0]
    assert rig.calls() == {"createBOMWindows": 1, "expandPSAllLevels": 1, "closeBOMWindows": 1}
    assert rows(found) == expected(rig.world, top.key, levels=levels)
    assert found is not None
    assert found.truncated is truncated


async def test_a_view_and_a_revision_are_looked_up_in_one_call(rig: Rig) -> None:
    top = next(each for each in rig.world.products if len(each.revisions) > 1)
    requests = [
        BomRequest(item=top.uid, view="Manufacturing"),
        BomRequest(item=top.uid, revision="A"),
        BomRequest(item=top.uid, view="no such view"),
        BomRequest(item=top.uid, revision="Z"),
    ]
    made, old, *none = await rig.connector.explode(requests)
    assert rig.calls() == {"getProperties": 1, "createBOMWindows": 1, "expandPSAllLevels": 1, "closeBOMWindows": 1}
    assert rows(made) == expected(rig.world, top.key, "manufacturing")
    assert made is not None
    assert old is not None
    assert (made.view, old.revision, none) == ("Manufacturing", "A", [None, None])


async def test_the_rule_chooses_the_revisions(rig: Rig) -> None:
    items = rig.world.item_by_key
    top = next(
        each
        for each in rig.world.products
        if each.latest.released and not all(items[x.item_key].latest.released for x in rig.world.bom(each.key))
    )
    requests = [
        BomRequest(item=top.uid, max_levels=1, revision_rule=rule)
        for rule in ("Latest Working", "Any Status; Working", "Latest Released")
    ]
    working, status, released = await rig.connector.explode(requests)
    assert working is not None
    assert status is not None
    assert released is not None
    children = [rig.world.item_by_key[each.item_key] for each in rig.world.bom(top.key)]
    assert [each.item_revision for each in working.lines] == [each.latest.id for each in children]
    assert [each.item_revision for each in status.lines] == [
        (each.latest_released or each.latest).id for each in children
    ]
    assert [each.item_revision for each in released.lines] == [
        each.latest_released.id if each.latest_released else None for each in children
    ]


async def test_what_is_bought_and_what_does_not_exist_have_no_structure(rig: Rig) -> None:
    bought = next(each for each in rig.world.items if not each.made)
    found = await rig.connector.explode([BomRequest(item=bought.uid), BomRequest(item="nope")])
    assert found == [None, None]
    assert await rig.connector.explode([]) == []


async def test_an_unknown_rule_is_told_with_those_that_exist(rig: Rig) -> None:
    with pytest.raises(Rejected, match="no revision rule `Newest`; there are `Any Status; Working`, `Latest Released`"):
        await rig.connector.explode([BomRequest(item=rig.world.products[0].uid, revision_rule="Newest")])
    assert rig.calls() == {"getRevisionRules": 1}


async def test_the_rules_are_asked_for_once_an_hour(rig: Rig) -> None:
    request = BomRequest(item=rig.world.products[0].uid, max_levels=1)
    await rig.connector.explode([request])
    assert "getRevisionRules" not in rig.calls()
    rig.clock.passed += 3601
    await rig.connector.check()  # the session has ended meanwhile
    rig.calls()
    await rig.connector.explode([request])
    assert rig.calls()["getRevisionRules"] == 1


# --- ids


async def test_a_structure_is_read_by_its_id(rig: Rig) -> None:
    top = rig.world.products[0]
    requests = [
        BomRequest(item=top.uid),
        BomRequest(item=top.uid, view="manufacturing", revision_rule="Any Status; Working", max_levels=2),
    ]
    found = [each for each in await rig.connector.explode(requests) if each is not None]
    ids = [each.source.external_id for each in found]
    assert ids == [
        f"{top.uid}?rule=Latest%20Working",
        f"{top.uid}?view=manufacturing&rule=Any%20Status%3B%20Working&levels=2",
    ]
    again = await rig.connector.read_boms([*ids, "nope", f"{top.uid}?rule=", f"nope?{ids[0].partition('?')[2]}"])
    assert [each.source.external_id for each in again] == ids
    assert [rows(each) for each in again] == [rows(each) for each in found]


@pytest.mark.parametrize(
    "key",
    [
        BomKey("Zv_X7e6Yu$DyBA", "Latest Working"),
        BomKey("a", "Any Status; Working", view="My view & more?", revision="A/1", levels=3),
        BomKey("a", "R=ü", levels=99999),
    ],
)
def test_a_key_survives_as_text(key: BomKey) -> None:
    assert BomKey.read(key.text) == key


@pytest.mark.parametrize(
    "text", ["", "a", "a?", "?rule=x", "a?rule=x&levels=x", "a?rule=x&more=1", "a?levels=2&rule=x"]
)
def test_other_texts_are_no_keys(text: str) -> None:
    assert BomKey.read(text) is None


# --- lists


async def test_structures_are_listed_for_named_items_only(rig: Rig) -> None:
    query = ListQuery(filter=queries.BomFilter())
    assert (await rig.connector.list_boms(query, None)).records == []
    assert rig.calls() == {}
    numbers = [each.teamcenter_number for each in rig.world.products]
    wanted = ListQuery(filter=queries.BomFilter(item_numbers=(*numbers, "X-1"), max_levels=1), limit=50)
    cursor, seen, pages = None, list[str](), 0
    while True:
        page = await rig.connector.list_boms(wanted, cursor)
        assert all(wanted.filter.matches(each) for each in page.records)
        seen += [each.item_number for each in page.records]
        cursor, pages = page.next, pages + 1
        if cursor is None:
            break
    assert (seen, pages) == (numbers, 3)


async def test_structures_are_listed_by_numbers_in_another_spelling(rig: Rig) -> None:
    wanted = queries.BomFilter(item_numbers=("000000000000100017",), view="manufacturing")
    page = await rig.connector.list_boms(ListQuery(filter=wanted), None)
    assert [(each.item_number, each.view) for each in page.records] == [("100-017", "manufacturing")]


# --- where used


async def test_where_used_costs_one_call_for_all_items(rig: Rig) -> None:
    parts = [each for each in rig.world.items if rig.world.where_used(each.key)][200:203]
    found = await rig.connector.where_used([*(each.uid for each in parts), "nope"])
    assert rig.calls() == {"whereUsed": 1}
    for part, users in zip(parts, found, strict=False):
        parents = {line.parent_key for line in rig.world.where_used(part.key, "manufacturing")}
        assert {each.external_id for each in users} == {rig.world.item_by_key[key].uid for key in parents}
        assert {each.item_number for each in users} == {rig.world.item_by_key[key].teamcenter_number for key in parents}
        assert {each.level for each in users} == {1}
        for each in users:
            item = rig.world.item_by_uid[each.external_id]
            assert (each.revision, each.name, each.integration) == (item.latest.id, item.name, "plm")
    assert found[3] == ()


async def test_users_further_up_come_after_nearer_ones(rig: Rig) -> None:
    deepest = rig.world.bom(rig.world.bom(rig.world.bom(rig.world.products[0].key)[0].item_key)[0].item_key)[0]
    part = rig.world.item_by_key[deepest.item_key]
    users = (await rig.connector.where_used([part.uid], 3))[0]
    levels = [each.level for each in users]
    assert levels == sorted(levels)
    assert set(levels) == {1, 2, 3}
    assert all(canonical(Subject.ITEM, each.item_number) for each in users)


# --- windows


@pytest.mark.parametrize("what", ["expandPSAllLevels", "closeBOMWindows"])
async def test_windows_are_closed_after_an_error(rig: Rig, what: str) -> None:
    said = [{"code": 7, "level": 3, "message": "No."}]
    body = {".QName": "http://teamcenter.com/Schemas/Soa/2006-03/Exceptions.ServiceException", "messages": said}
    rig.faults.fail_next.append(Failure(status=200, body=body, path=what))
    request = [BomRequest(item=rig.world.products[0].uid)]
    if what == "closeBOMWindows":
        assert (await rig.connector.explode(request))[0] is not None
        assert rig.log.events == ["teamcenter.windows_left_open"]
        await rig.connector.soa.aclose()
    else:
        with pytest.raises(Rejected, match=r"No\."):
            await rig.connector.explode(request)
        assert rig.calls()["closeBOMWindows"] == 1
    assert rig.standin.open_windows == 0


@pytest.mark.parametrize("held", ["createBOMWindows", "expandPSAllLevels"])
async def test_windows_are_closed_after_cancellation(rig: Rig, held: str) -> None:
    rig.faults.fail_next.append(Failure(delay_s=0.05, path=held))
    task = asyncio.create_task(rig.connector.explode([BomRequest(item=rig.world.products[0].uid)]))
    for _ in range(1000):
        if any(path.endswith(held) for _, path in rig.faults.calls):
            break
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert rig.calls()["closeBOMWindows"] == 1
    assert rig.standin.open_windows == 0


async def test_windows_lost_with_their_session_are_opened_again(rig: Rig) -> None:
    """The session ends between opening and expanding."""
    handle = rig.wire.inner.handle_async_request
    lost: list[str] = []

    async def losing(request: Any) -> Any:
        if request.url.path.endswith("expandPSAllLevels") and not lost:
            lost.append(request.url.path)
            rig.faults.expire_sessions()
        return await handle(request)

    rig.wire.inner.handle_async_request = losing  # type: ignore[method-assign]
    top = rig.world.products[0]
    found = (await rig.connector.explode([BomRequest(item=top.uid)]))[0]
    assert rows(found) == expected(rig.world, top.key)
    assert rig.calls()["createBOMWindows"] == 2


async def test_windows_lost_again_and_again_are_an_outage(rig: Rig) -> None:
    handle = rig.wire.inner.handle_async_request

    async def losing(request: Any) -> Any:
        if request.url.path.endswith("expandPSAllLevels"):
            for process in rig.standin.processes.values():
                for uid in list(process.windows):
                    process.close(uid)
        return await handle(request)

    rig.wire.inner.handle_async_request = losing  # type: ignore[method-assign]
    with pytest.raises(VendorDown, match="went away twice"):
        await rig.connector.explode([BomRequest(item=rig.world.products[0].uid)])


async def test_the_last_good_structure_is_served_while_the_server_is_down(rig: Rig) -> None:
    request = BomRequest(item=rig.world.products[0].uid)
    first = (await rig.connector.explode([request]))[0]
    assert first is not None
    rig.clock.passed += 60
    rig.faults.down = True
    reading = Reading()
    token = current_reading.set(reading)
    again = (await rig.connector.explode([request]))[0]
    assert again is not None
    assert (again.source.stale, again.source.as_of) == (True, first.source.as_of)
    assert again.lines == first.lines
    assert reading.stale_as_of is not None
    with pytest.raises(VendorDown):
        await rig.connector.explode([request, BomRequest(item=rig.world.products[1].uid)])
    current_reading.reset(token)
    rig.faults.down = False


# --- odd expansions


def expansion(lines: dict[str, dict[str, str]], below: dict[str, list[str]]) -> Tree:
    objects = {
        uid: wire.ModelObject(uid=uid, props={name: wire.Property(db=[text]) for name, text in props.items()})
        for uid, props in lines.items()
    }
    output = [
        wire.Expanded(
            parent=wire.Line(line=wire.Reference(uid=parent)),
            children=[wire.Line(line=wire.Reference(uid=each)) for each in children],
        )
        for parent, children in below.items()
    ]
    return Tree.of(wire.Expansion(qname="", capital=wire.ServiceData(objects=objects), output=output))


def test_find_numbers_are_sorted_by_value_and_texts_come_last(origin: Origin) -> None:
    numbers = {"a": "100", "b": "20", "c": "A1", "d": "", "e": "3"}
    lines = {uid: {"bl_item_item_id": uid, "bl_sequence_no": number} for uid, number in numbers.items()}
    found = bom("top", expansion({"top": {"bl_item_item_id": "T"}, **lines}, {"top": list(numbers)}), origin)
    assert found is not None
    assert [each.external_id for each in found.lines] == ["e", "b", "a", "d", "c"]


def test_quantities_multiply_exactly(origin: Origin) -> None:
    lines = {
        "top": {"bl_item_item_id": "T"},
        "a": {"bl_item_item_id": "A", "bl_quantity": "0.123456789012345678"},
        "b": {"bl_item_item_id": "B", "bl_quantity": "0.987654321098765432"},
    }
    found = bom("top", expansion(lines, {"b": [], "a": ["b"], "top": ["a"]}), origin)
    assert found is not None
    assert str(found.lines[1].total_quantity) == "0.121932631137021794322511812221002896"


def test_a_line_below_itself_is_refused(origin: Origin) -> None:
    lines = {"top": {"bl_item_item_id": "T"}, "a": {"bl_item_item_id": "A"}}
    with pytest.raises(BadPayload, match="the line `a` occurs twice"):
        bom("top", expansion(lines, {"top": ["a"], "a": ["a"]}), origin)


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ({"bl_item_item_id": "A", "bl_quantity": "A/R"}, "$.ServiceData.modelObjects.a.props.bl_quantity.dbValues[0]"),
        ({}, "$.ServiceData.modelObjects.a.props.bl_item_item_id"),
    ],
)
def test_a_line_that_means_nothing_is_told_with_its_place(origin: Origin, line: dict[str, str], path: str) -> None:
    tree = expansion({"top": {"bl_item_item_id": "T"}, "a": line}, {"top": ["a"]})
    with pytest.raises(MappingFailed) as caught:
        bom("top", tree, origin)
    assert caught.value.path == path
