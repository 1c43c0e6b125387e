"""Structures of Oracle Fusion: exploded level by level and out of the flat resource, who uses what, and its cost."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from connectors.kit.errors import BadPayload, MappingFailed, Rejected, VendorDown
from connectors.kit.protocols import BomRequest
from connectors.oracle_fusion import trees
from sandbox import oracle_fusion
from sandbox.oracle_fusion.rows import UNITS, number_of
from sandbox.standin import Failure
from sandbox.world import Item, View
from tests.connectors.test_oracle_fusion import CHILD, ITEMS, STRUCTURES, Rig, page
from unified.queries import BomFilter, ListQuery
from unified.records import Bom


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    await made.connector.check()
    made.calls()
    made.asked()
    yield made
    await made.connector.aclose()


def expected(rig: Rig, item: Item, view: View = "manufacturing", levels: int | None = None) -> list[tuple[Any, ...]]:
    """Lines as the world has them: level, number, quantity, total, unit, whether there is more below."""
    found: list[tuple[Any, ...]] = []

    def walk(parent: Item, level: int, factor: Decimal) -> None:
        for line in rig.world.bom(parent.key, view):
            child = rig.world.item_by_key[line.item_key]
            total = factor * line.amount
            more = bool(rig.world.bom(child.key, view))
            found.append((level, number_of(child), line.amount, total, UNITS[child.unit][0], more))
            if levels is None or level < levels:
                walk(child, level + 1, total)

    walk(item, 1, Decimal(1))
    return found


def lines(bom: Bom | None) -> list[tuple[Any, ...]]:
    assert bom is not None
    return [
        (each.level, each.item_number, each.quantity, each.total_quantity, each.unit, each.has_children)
        for each in bom.lines
    ]


def tree_holds(found: Sequence[Bom | None]) -> None:
    """Positions count up, and every parent is the last line one level above."""
    for bom in found:
        assert bom is not None
        last: dict[int, int] = {}
        for place, line in enumerate(bom.lines):
            assert line.position == place
            assert line.parent == (last[line.level - 1] if line.level > 1 else None)
            last[line.level] = place


def slowly(rig: Rig) -> None:
    """The vendor takes its time, so that calls are under way at once."""
    rig.faults.delay_ms, rig.faults.sleep = 50, lambda _: asyncio.sleep(0.001)


async def explode(rig: Rig, *places: int, **more: Any) -> list[Bom | None]:
    return await rig.connector.explode([BomRequest(item=rig.item_id(place), **more) for place in places])


async def test_a_structure_is_exploded_to_the_bottom(rig: Rig) -> None:
    """Components that have ended, and those that wait for a change order, are not in it."""
    [bom] = await explode(rig, 0)
    assert bom is not None
    assert lines(bom) == expected(rig, rig.world.items[0])
    assert max(each.level for each in bom.lines) == 5
    tree_holds([bom])
    assert (bom.item_number, bom.view, bom.revision, bom.revision_rule, bom.truncated) == (
        "100017", "Primary", None, None, False,
    )  # fmt: skip
    assert bom.source.external_id == f"{rig.item_id(0)}?structure=Primary"
    assert [each.find_number for each in bom.lines if each.level == 1] == ["10", "20", "30", "40", "50"]
    assert {each.integration for each in bom.lines} == {"fusion"}
    assert rig.calls() == {STRUCTURES: 6}
    first, second = rig.asked()[:2]
    assert first["q"] == f"OrganizationCode = 'IBA' and StructureName = 'Primary' and ItemId = {rig.item_id(0)[4:]}"
    assert (first["expand"], first["onlyData"], first["orderBy"]) == ("Component", "true", "BillSequenceId:asc")
    assert second["q"].startswith("OrganizationCode = 'IBA' and StructureName = 'Primary' and ItemNumber in ('")


@pytest.mark.parametrize("levels", [1, 2, 3, 5, 30])
async def test_levels_cut_a_structure_and_tell_what_has_more(rig: Rig, levels: int) -> None:
    [bom] = await explode(rig, 0, max_levels=levels)
    assert bom is not None
    assert lines(bom) == expected(rig, rig.world.items[0], levels=levels)
    assert bom.truncated == (levels < 5)
    assert bom.source.external_id.endswith(f"?structure=Primary&levels={levels}")
    assert rig.calls() == {STRUCTURES: min(levels + 1, 6)}
    if levels < 5:  # of what is below only the heads are read
        assert rig.asked()[-1]["fields"] == "BillSequenceId,OrganizationCode,ItemNumber"


async def test_another_structure_is_named_by_the_view(rig: Rig) -> None:
    [other] = await explode(rig, 0, view="Engineering")
    assert lines(other) == expected(rig, rig.world.items[0], "engineering")
    assert other is not None
    assert other.view == "Engineering"
    assert await explode(rig, 0, view="Planning") == [None]
    engineering = Rig({"structure": "Engineering"})
    assert lines((await explode(engineering, 0))[0]) == expected(rig, rig.world.items[0], "engineering")
    await engineering.connector.aclose()


async def test_what_has_no_structure_is_null_in_its_place(rig: Rig) -> None:
    bought = len(rig.world.items) - 1
    requests = [rig.item_id(bought), rig.item_id(0), "nonsense", rig.item_id(0, "ABV"), "IBA:5", rig.item_id(0)]
    found = await rig.connector.explode([BomRequest(item=each) for each in requests])
    assert [each is not None for each in found] == [False, True, False, False, False, True]
    assert found[1] == found[5]


async def test_fifty_structures_cost_a_call_per_hundred_items_of_a_level(rig: Rig) -> None:
    made = [place for place, each in enumerate(rig.world.items) if each.made][:50]
    found = await explode(rig, *made)
    assert [lines(each) for each in found] == [expected(rig, rig.world.items[place]) for place in made]
    tree_holds(found)
    assert rig.calls() == {STRUCTURES: 6}


async def test_a_hundred_items_with_their_structures(rig: Rig) -> None:
    ids = [rig.item_id(place) for place, each in enumerate(rig.world.items) if each.made][:100]
    items = await rig.connector.read_items(ids)
    found = await rig.connector.explode([BomRequest(item=each.source.external_id) for each in items])
    assert len(items) == 100
    assert all(each is not None for each in found)
    assert rig.calls() == {ITEMS: 1, STRUCTURES: 5}
    assert rig.clock.slept == []  # not held back by the rate


async def test_a_wide_level_is_read_side_by_side(rig: Rig) -> None:
    """All assemblies at once: none waits for another of its level."""
    slowly(rig)
    made = [place for place, each in enumerate(rig.world.items) if each.made]
    found = await explode(rig, *made)
    assert [lines(each) for each in found] == [expected(rig, rig.world.items[place]) for place in made]
    assert rig.calls() == {STRUCTURES: 4}
    assert rig.wire.most == 2


async def test_structures_are_read_by_their_ids(rig: Rig) -> None:
    whole = await explode(rig, 0, 24)
    cut = await explode(rig, 1, max_levels=1)
    made = [each for each in (*whole, *cut) if each is not None]
    ids = [each.source.external_id for each in made]
    found = await rig.connector.read_boms([*ids, "nonsense", f"{rig.item_id(0)}?structure=", "IBA:1?structure=Primary"])
    assert {each.id: each for each in found} == {each.id: each for each in made}


async def test_a_list_of_structures_takes_numbers_in_any_spelling(rig: Rig) -> None:
    items = rig.world.items[:60]
    wanted = BomFilter(item_numbers=tuple(each.teamcenter_number for each in items), max_levels=1)
    first = await rig.connector.list_boms(ListQuery(filter=wanted, limit=200), None)
    assert [each.item_number for each in first.records] == [number_of(each) for each in items[:50]]
    assert first.next == "50"
    assert rig.calls() == {ITEMS: 3, STRUCTURES: 2}
    second = await rig.connector.list_boms(ListQuery(filter=wanted, limit=200), "50")
    assert [each.item_number for each in second.records] == [number_of(each) for each in items[50:]]
    assert second.next is None
    few = await rig.connector.list_boms(ListQuery(filter=wanted, limit=2), None)
    assert (len(few.records), few.next) == (2, "2")
    assert (await rig.connector.list_boms(ListQuery(filter=BomFilter(), limit=5), None)).records == []


async def test_revisions_are_not_what_fusion_chooses_by(rig: Rig) -> None:
    """Asked for one structure it is told; a list that names them for another system finds nothing here."""
    for more in ({"revision": "A"}, {"revision_rule": "Latest Released"}):
        with pytest.raises(Rejected, match="know no revisions and no revision rules"):
            await explode(rig, 0, **more)
        wanted = BomFilter(item_numbers=("100017",), **more)
        assert (await rig.connector.list_boms(ListQuery(filter=wanted, limit=5), None)).records == []
    assert rig.calls() == {}


@pytest.mark.parametrize("version", [2, 4])
async def test_components_that_are_cut_short_are_read_to_their_end(version: int) -> None:
    rig = Rig({"framework_version": version}, vendor={"child_rows": 2} if version > 2 else {})
    await rig.connector.check()
    rig.calls()
    if version == 2:  # an array is cut at 25 rows, and does not say so
        top = rig.standin.rows.structures[0]
        top["Component"] += [
            {**top["Component"][0], "ComponentSequenceId": 9 + n, "ItemSequenceNumber": 900 + n} for n in range(60)
        ]
        [bom] = await explode(rig, 0, max_levels=1)
        assert bom is not None
        assert len(bom.lines) == 65
        assert rig.calls() == {STRUCTURES: 3, CHILD: 1}
    else:
        [bom] = await explode(rig, 0)
        assert lines(bom) == expected(rig, rig.world.items[0])
        structures = {each.item_number for each in bom.lines if each.has_children}  # type: ignore[union-attr]
        paths = {request.url.path for request in rig.wire.sent if "/child/" in request.url.path}
        assert rig.calls()[CHILD] == len(structures) + 1  # each of them has more than two components
        wanted = {bom.item_number, *structures}
        assert paths == {
            f"{STRUCTURES}/{row['_key']}/child/Component"
            for row in rig.standin.rows.structures
            if row["ItemNumber"] in wanted and row["StructureName"] == "Primary"
        }
    await rig.connector.aclose()


# --- what may be wrong with a structure


def component(key: int, number: str, sequence: int = 10, **more: Any) -> dict[str, Any]:
    return {"ComponentSequenceId": key, "ComponentItemNumber": number, "ItemSequenceNumber": sequence, **more}


def structure(bill: int, number: str, *components: dict[str, Any], **more: Any) -> dict[str, Any]:
    told = {"BillSequenceId": bill, "OrganizationCode": "M1", "ItemNumber": number, "StructureName": "Primary"}
    return {**told, "ItemId": bill * 10, "Component": list(components), **more}


async def answered(rig: Rig, *pages: Failure) -> Bom | None:
    rig.faults.fail_next.extend(pages)
    [bom] = await rig.connector.explode([BomRequest(item="M1:10")])
    return bom


async def test_effective_is_what_has_begun_not_ended_and_is_implemented(rig: Rig) -> None:
    now = rig.clock.now()
    before, after = (now - timedelta(seconds=1)).isoformat(), (now + timedelta(seconds=1)).isoformat()
    bom = await answered(
        rig,
        page(
            structure(
                1,
                "TOP",
                component(1, "A", 30, StartDateTime=before, EndDateTime=after),
                component(2, "B", 20, StartDateTime=after),
                component(3, "C", 20, EndDateTime=now.isoformat()),
                component(4, "D", 20, ChangeNotice="ECO-1", ImplementationDateTime=None),
                component(5, "E", 20, ChangeNotice="ECO-1", ImplementationDateTime=before, EndDateTime="4712-12-31"),
                component(6, "F", 20, ChangeNotice="ECO-1"),
                component(10, "G", 20, EndDateTime="null"),
                component(9, "H", 20),
            )
        ),
        page(),
    )
    assert bom is not None
    assert [each.item_number for each in bom.lines] == ["E", "F", "H", "G", "A"]


async def test_quantities_are_exact_and_none_is_one(rig: Rig) -> None:
    below = structure(
        2, "A", component(3, "B", Quantity=0.1, PrimaryUOMCode="KG"), component(4, "C", 20, ComponentQuantity="3")
    )
    bom = await answered(
        rig,
        page(structure(1, "TOP", component(1, "A", Quantity=0.3), component(2, "D", 20, Quantity="null"))),
        page(below),
        page(),
    )
    assert bom is not None
    assert [(each.item_number, each.quantity, each.total_quantity, each.unit) for each in bom.lines] == [
        ("A", Decimal("0.3"), Decimal("0.3"), None),
        ("B", Decimal("0.1"), Decimal("0.03"), "KG"),
        ("C", Decimal(3), Decimal("0.9"), None),
        ("D", Decimal(1), Decimal(1), None),
    ]


async def test_a_structure_that_contains_itself_ends(rig: Rig) -> None:
    bom = await answered(
        rig,
        page(structure(1, "TOP", component(1, "A"), component(2, "B", 20))),
        page(structure(2, "A", component(3, "TOP")), structure(3, "B", component(4, "B"))),
    )
    assert bom is not None
    assert [(each.level, each.item_number, each.has_children) for each in bom.lines] == [
        (1, "A", True),
        (2, "TOP", True),
        (1, "B", True),
        (2, "B", True),
    ]
    assert bom.truncated


async def test_a_structure_whose_components_have_all_ended_is_none(rig: Rig) -> None:
    ended = component(1, "A", EndDateTime="2020-01-01T00:00:00+00:00")
    assert await answered(rig, page(structure(1, "TOP", ended))) is None


async def test_more_lines_than_anybody_reads_are_refused(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "LINES_MOST", 20)
    with pytest.raises(Rejected, match="the structure of 100017 has more than 20 lines; cut it with `maxLevels`"):
        await explode(rig, 0)
    assert len((await explode(rig, 0, max_levels=1))[0].lines) == 5  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("row", "path"),
    [
        (structure(1, "TOP", component(1, "A", StartDateTime="soon")), "$.items[0].Component[0].StartDateTime"),
        (structure(1, "TOP", component(1, "A", Quantity="A/R")), "$.items[0].Component"),
        (structure(1, "TOP", component(1, "A", Quantity="1e999")), "$.items[0].Component[0].Quantity"),
        (structure(1, "TOP", {"ComponentItemNumber": "A"}), "$.items[0].Component"),
    ],
)
async def test_a_component_that_means_nothing_says_where(rig: Rig, row: dict[str, Any], path: str) -> None:
    with pytest.raises(BadPayload) as caught:
        await answered(rig, page(row))
    assert (caught.value.path or "").startswith(path)


async def test_while_fusion_is_down_the_last_structure_is_served_with_its_age(rig: Rig) -> None:
    [fresh] = await explode(rig, 0)
    assert fresh is not None
    rig.clock.passed += 60
    rig.faults.down = True
    [again] = await explode(rig, 0)
    assert again is not None
    assert again.source.stale
    assert again.source.as_of == fresh.source.as_of
    assert again.lines == fresh.lines
    with pytest.raises(VendorDown):
        await explode(rig, 1)


# --- the flat resource


@pytest.fixture
async def flat() -> AsyncIterator[Rig]:
    made = Rig({"explosion": "flat"})
    await made.connector.check()
    made.calls()
    yield made
    await made.connector.aclose()


async def test_the_flat_resource_gives_the_same_structures(flat: Rig, rig: Rig) -> None:
    wanted = [0, 1, 24, 72, len(rig.world.items) - 1]
    told, usual = await explode(flat, *wanted), await explode(rig, *wanted)
    assert [each and lines(each) for each in told] == [each and lines(each) for each in usual]
    tree_holds(told[:4])
    assert told[0] is not None
    assert usual[0] is not None
    assert told[0].id == usual[0].id
    assert [each.external_id for each in told[0].lines] == [each.external_id for each in usual[0].lines]
    assert [each.find_number for each in told[0].lines] == [each.find_number for each in usual[0].lines]
    first = rig.world.item_by_key[rig.world.bom(rig.world.items[0].key, "manufacturing")[0].item_key]
    assert told[0].lines[0].name == first.name
    assert flat.calls() == {ITEMS: 1, oracle_fusion.FLAT: 5}
    sent = flat.wire.sent[-1]
    assert (sent.method, sent.content) == ("POST", b"")
    q = dict(each.partition("=")[::2] for each in sent.url.params["q"].split(";"))
    assert q == {
        "ItemNumber": number_of(rig.world.items[-1]),
        "OrganizationCode": "IBA",
        "StructureViewName": "StructureComponentDetailsView",
        "StructureName": "Primary",
    }


async def test_the_flat_resource_is_asked_for_one_level_more_than_is_shown(flat: Rig, rig: Rig) -> None:
    [told], [usual] = await explode(flat, 0, max_levels=2), await explode(rig, 0, max_levels=2)
    assert told is not None
    assert lines(told) == lines(usual)
    assert told.truncated
    assert "MaxLevels=3" in flat.wire.sent[-1].url.params["q"]


async def test_fifty_flat_structures_cost_one_call_each_side_by_side(flat: Rig) -> None:
    slowly(flat)
    made = [place for place, each in enumerate(flat.world.items) if each.made][:50]
    assert all(await explode(flat, *made))
    assert flat.calls() == {ITEMS: 1, oracle_fusion.FLAT: 50}
    assert flat.wire.most == 10
    assert sum(flat.clock.slept) < 0.1  # the rate lets fifty go at once


async def test_a_number_with_a_semicolon_goes_level_by_level(flat: Rig) -> None:
    flat.standin.change("IBA", "100017", ItemNumber="100;017")
    [bom] = await explode(flat, 0, max_levels=1)
    assert bom is not None
    assert flat.calls() == {ITEMS: 1, STRUCTURES: 2}


FLAT_TOP = {"SortOrder": "1", "DotLevel": "0", "ItemNumber": "TOP", "BillSequenceId": "7"}


def flat_row(order: str, level: str, number: str, **more: Any) -> dict[str, Any]:
    return {"SortOrder": order, "DotLevel": level, "ItemNumber": number, **more}


@pytest.mark.parametrize(
    ("rows", "path"),
    [
        ([flat_row("1", ".1", "A")], "[0].DotLevel"),
        ([FLAT_TOP, flat_row("2", "..2", "A")], "[1].DotLevel"),
        ([FLAT_TOP, flat_row("2", "0", "A")], "[1].DotLevel"),
        ([FLAT_TOP, flat_row("2", "null", "A")], "[1].DotLevel"),
        ([FLAT_TOP, flat_row("2", ".x", "A")], "[1].DotLevel"),
        ([FLAT_TOP, flat_row("2", ".1", "A", ParentItemNumber="B")], "[1].ParentItemNumber"),
        ([FLAT_TOP, flat_row("2", ".1", "A", ComponentQuantity="many")], "[1].ComponentQuantity"),
    ],
)
async def test_flat_rows_that_make_no_tree_say_where(flat: Rig, rows: list[dict[str, Any]], path: str) -> None:
    flat.faults.fail_next.append(
        Failure(200, body={"structureComponentsItemsDetails": rows}, path="structureComponentsItemsDetails")
    )
    with pytest.raises(BadPayload) as caught:
        await explode(flat, 0)
    assert caught.value.path == f"$.structureComponentsItemsDetails{path}"


async def test_flat_rows_come_in_any_order(flat: Rig) -> None:
    """By a number; where it begins with a zero it is made of equal parts, and sorts as text."""
    rows = [
        flat_row("0002", ".1", "B"),
        flat_row("00010001", "..2", "C", Quantity="2"),
        {**FLAT_TOP, "SortOrder": "0"},
        flat_row("0001", ".1", "A", Quantity="1.5", PrimaryUOMCode="KG"),
    ]
    flat.faults.fail_next.append(
        Failure(200, body={"structureComponentsItemsDetails": rows}, path="structureComponentsItemsDetails")
    )
    [bom] = await explode(flat, 0)
    assert bom is not None
    assert [(each.item_number, each.total_quantity, each.unit) for each in bom.lines] == [
        ("A", Decimal("1.5"), "KG"),
        ("C", Decimal("3.0"), None),
        ("B", Decimal(1), None),
    ]


@pytest.mark.parametrize(
    "failure", [Failure(404, body="Not Found"), Failure(200, body={"structureComponentsItemsDetails": []})]
)
async def test_no_flat_structure_is_none(flat: Rig, failure: Failure) -> None:
    flat.faults.fail_next.append(Failure(failure.status, body=failure.body, path="structureComponentsItemsDetails"))
    assert await explode(flat, 0) == [None]


# --- where used


async def test_who_uses_an_item_directly(rig: Rig) -> None:
    place = next(place for place, each in enumerate(rig.world.items) if each.object_type == "Part")
    item = rig.world.items[place]
    [found] = await rig.connector.where_used([rig.item_id(place)])
    users = {rig.world.item_by_key[line.parent_key] for line in rig.world.where_used(item.key, "manufacturing")}
    assert [each.item_number for each in found] == sorted(number_of(each) for each in users)
    assert {each.level for each in found} == {1}
    assert {each.external_id for each in found} == {f"IBA:{rig.standin.rows.ids[each.key]}" for each in users}
    assert {each.integration for each in found} == {"fusion"}
    assert rig.calls() == {STRUCTURES: 1}
    assert rig.asked()[-1]["q"].endswith(f" and Component.ComponentItemId = {rig.item_id(place)[4:]}")


async def test_who_uses_several_items_up_to_the_top(rig: Rig) -> None:
    """One call per level; an item may be used by the same user on several levels."""
    places = [place for place, each in enumerate(rig.world.items) if each.object_type in ("Part", "Material")][:6]
    found = await rig.connector.where_used([*map(rig.item_id, places), "nonsense", rig.item_id(0)], 10)
    assert found[6:] == [(), ()]
    for place, told in zip(places, found, strict=False):
        wanted: set[tuple[int, str]] = set()
        at = {rig.world.items[place].key}
        for level in range(1, 11):
            at = {line.parent_key for key in at for line in rig.world.where_used(key, "manufacturing")}
            wanted |= {(level, number_of(rig.world.item_by_key[key])) for key in at}
        assert [(each.level, each.item_number) for each in told] == sorted(wanted)
    assert 4 <= rig.calls()[STRUCTURES] <= 7


async def test_a_user_must_name_its_item(rig: Rig) -> None:
    rig.faults.fail_next.append(page(structure(1, "TOP", component(1, "A", ComponentItemId=10), ItemId=None)))
    with pytest.raises(MappingFailed) as caught:
        await rig.connector.where_used(["M1:10"])
    assert caught.value.path == "$.items[0].ItemId"


async def test_a_component_that_has_ended_is_no_use(rig: Rig) -> None:
    ended = component(1, "A", ComponentItemId=10, EndDateTime="2020-01-01T00:00:00+00:00")
    other = component(2, "B", ComponentItemId=11)
    rig.faults.fail_next.append(page(structure(1, "TOP", ended, other)))
    assert await rig.connector.where_used(["M1:10"]) == [()]
