"""Pages over many sources: complete, without repetition, whatever happens between two of them; and what is refused."""

import base64
from typing import Any

import pytest

from connectors.kit.resilience import LastGood
from resolvers import fanout
from tests.graph.harness import Graph
from unified.ids import decode, encode

MORE = "pageInfo { endCursor hasNextPage hasPreviousPage startCursor }"


async def walk(graph: Graph, field: str, *, first: int, rest: str = "", shown: str = "id") -> list[Any]:
    """All rows of a list, page by page."""
    found: list[Any] = []
    after = None
    for number in range(200):
        data = await graph.data(
            f"query($after: String) {{ {field}(first: {first}, after: $after{rest}) "
            f"{{ nodes {{ {shown} }} {MORE} }} }}",
            after=after,
        )
        page = data[field]
        assert page["pageInfo"]["hasPreviousPage"] == (number > 0)
        assert len(page["nodes"]) == first or not page["pageInfo"]["hasNextPage"]
        found += page["nodes"]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            return found
    raise AssertionError("the list never ends")


LISTS = (
    "orders", "warehouseOrders", "warehouseTasks", "inventoryBalances", "locations", "items", "equipment", "missions",
    "units", "bookings", "vehicles", "geofences",
)  # fmt: skip


@pytest.mark.parametrize("field", LISTS)
async def test_every_list_is_the_same_in_pages_of_any_size(graph: Graph, field: str) -> None:
    whole = [row["id"] for row in await walk(graph, field, first=200)]
    assert len(whole) == len(set(whole)) > 5
    assert [row["id"] for row in await walk(graph, field, first=67)] == whole


async def test_lists_hold_all_that_the_world_has(graph: Graph) -> None:
    world, now = graph.world, graph.clock.now()
    tasks = [task for task in world.tasks if task.state_at(now).created_at <= now]
    assert len(await walk(graph, "warehouseTasks", first=200)) == len(tasks)
    assert len(await walk(graph, "inventoryBalances", first=150)) == len(world.stock)
    assert len(await walk(graph, "locations", first=150)) == len(world.bins)
    assert len(await walk(graph, "items", first=150)) == len(world.items)
    assert len(await walk(graph, "bookings", first=20)) == len(world.bookings.at(now))
    assert len(await walk(graph, "vehicles", first=20, rest=', sources: ["fleet"]')) == len(world.vehicles)


async def test_the_page_size_may_change_between_pages(graph: Graph) -> None:
    whole = [row["id"] for row in await walk(graph, "warehouseTasks", first=200)]
    after, seen = None, []
    for first in (50, 7, 120, 1, 33):
        data = await graph.data(
            "query($after: String, $first: Int!) { warehouseTasks(first: $first, after: $after) "
            "{ nodes { id } pageInfo { endCursor } } }",
            after=after,
            first=first,
        )
        seen += [row["id"] for row in data["warehouseTasks"]["nodes"]]
        after = data["warehouseTasks"]["pageInfo"]["endCursor"]
    assert seen == whole[: 50 + 7 + 120 + 1 + 33]


async def test_any_row_is_a_place_to_go_on_from(graph: Graph) -> None:
    data = await graph.data(
        "{ vehicles(first: 40) { edges { cursor node { id } } pageInfo { startCursor endCursor } } }"
    )
    edges, told = data["vehicles"]["edges"], data["vehicles"]["pageInfo"]
    assert (told["startCursor"], told["endCursor"]) == (edges[0]["cursor"], edges[-1]["cursor"])
    for index in (0, 11, 20, 38):  # in the first source, in the second, at the end
        rest = await graph.data(
            "query($after: String) { vehicles(first: 3, after: $after) { nodes { id } } }", after=edges[index]["cursor"]
        )
        expected = [edge["node"]["id"] for edge in edges[index + 1 : index + 4]]
        assert [row["id"] for row in rest["vehicles"]["nodes"]][: len(expected)] == expected


async def test_a_source_that_dies_between_pages_goes_on_where_it_stopped(graph: Graph) -> None:
    """Nothing of it is lost or repeated; its rows come when it is back."""
    whole = {row["id"] for row in await walk(graph, "warehouseTasks", first=200)}
    graph.sources.handles["ewm-west"].connector.api.last_good = LastGood(largest=0)  # type: ignore[attr-defined]
    asked = """query($after: String) { warehouseTasks(first: 60, after: $after) {
        nodes { id source { integration } } sources { integration state } pageInfo { endCursor hasNextPage } } }"""
    seen: list[str] = []
    after = None
    for page in range(50):
        graph.faults("sap-ewm-west").down = page == 1
        result = await graph.ask(asked, after=after)
        tasks = result.data["warehouseTasks"]
        if page == 1:
            assert {row["source"]["integration"] for row in tasks["nodes"]} == {"ewm-north"}
            assert tasks["sources"][0] == {"integration": "ewm-west", "state": "FAILED"}
            assert [error.path for error in result.errors] == [["warehouseTasks"]]
        else:
            assert result.errors is None
        seen += [row["id"] for row in tasks["nodes"]]
        after = tasks["pageInfo"]["endCursor"]
        if not tasks["pageInfo"]["hasNextPage"]:
            break
    assert len(seen) == len(set(seen))
    assert set(seen) == whole


async def test_an_empty_page_of_a_dead_source_may_be_asked_for_again(graph: Graph) -> None:
    asked = """query($after: String) { missions(first: 2, after: $after) {
        nodes { id } pageInfo { endCursor hasNextPage startCursor } } }"""
    first = (await graph.data(asked))["missions"]
    graph.sources.handles["tak"].connector.api.last_good = LastGood(largest=0)  # type: ignore[attr-defined]
    graph.faults("tak").down = True
    dead = (await graph.ask(asked, after=first["pageInfo"]["endCursor"])).data["missions"]
    assert dead["nodes"] == []
    assert dead["pageInfo"]["hasNextPage"] is False, "nobody who answered has more; `sources` says who did not"
    graph.faults("tak").down = False
    graph.clock.passed += 60  # the breaker lets it try again
    again = (await graph.data(asked, after=dead["pageInfo"]["endCursor"]))["missions"]
    whole = (await graph.data("{ missions(first: 4) { nodes { id } } }"))["missions"]["nodes"]
    assert first["nodes"] + again["nodes"] == whole


async def test_a_ride_that_ends_between_pages_comes_once_and_hides_no_other(graph: Graph) -> None:
    """Uber moves it from the active to the past trips, which come later; those behind it move up."""
    asked = """query($after: String) { bookings(first: 5, after: $after) {
        nodes { id status } pageInfo { endCursor hasNextPage } } }"""
    world, final = graph.world.bookings, ("COMPLETED", "CANCELLED", "FAILED")
    before = {booking.id for booking in world.at(graph.clock.now())}
    seen: dict[str, str] = {}
    after, active = None, True
    while True:
        page = (await graph.data(asked, after=after))["bookings"]
        for row in page["nodes"]:
            external = decode(row["id"]).external_id
            assert external not in seen, "twice"
            seen[external] = row["status"]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
        active = active and all(row["status"] not in final for row in page["nodes"])
        graph.clock.passed += 240 if active else 0
    now = {booking.id: booking.state_at(graph.clock.now()).status for booking in world.at(graph.clock.now())}
    ended = [id_ for id_, status in seen.items() if status not in final and now.get(id_) == "completed"]
    assert len(ended) > 2, "some did end while we paged"
    assert (before & set(now)) <= set(seen), "nothing that was there all the time is missing"


async def test_cursors_with_many_marks_stay_within_their_limit(graph: Graph) -> None:
    data = await graph.data("{ bookings(first: 200) { edges { cursor } pageInfo { endCursor } } }")
    assert max(len(edge["cursor"]) for edge in data["bookings"]["edges"]) < 2_048


# --- in an order


async def test_order_by_merges_sources_that_sort_by_themselves(graph: Graph) -> None:
    rows = await walk(
        graph, "warehouseTasks", first=90, rest=", orderBy: [{ field: NUMBER, direction: DESC }, { field: WAREHOUSE }]",
        shown="id number warehouse source { integration }",
    )  # fmt: skip
    assert {row["source"]["integration"] for row in rows[:50]} == {"ewm-west", "ewm-north"}
    by_warehouse = sorted(rows, key=lambda row: row["warehouse"])
    assert rows == sorted(by_warehouse, key=lambda row: row["number"], reverse=True)
    assert len({row["id"] for row in rows}) == len(rows)


async def test_order_by_sorts_small_sources_here(graph: Graph) -> None:
    """Traccar does not sort; nulls come last in both directions."""
    for direction in ("ASC", "DESC"):
        rows = await walk(
            graph,
            "vehicles",
            first=17,
            rest=f", orderBy: [{{ field: PLATE, direction: {direction} }}]",
            shown="id plate",
        )
        plates = [row["plate"] for row in rows if row["plate"] is not None]
        assert plates == sorted(plates, reverse=direction == "DESC")
        assert [row["plate"] for row in rows] == plates + [None] * (len(rows) - len(plates))
        assert len({row["id"] for row in rows}) == len(rows) == 55


async def test_a_source_that_cannot_sort_and_is_large_is_left_out_and_says_so(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a task was confirmed may be empty, which SAP sorts first: so it is sorted here, if it is not too much."""
    monkeypatch.setattr(fanout, "READ_WHOLE", 98)
    result = await graph.ask(
        """{ warehouseTasks(first: 200, orderBy: [{ field: CONFIRMED_AT }]) {
            nodes { confirmedAt source { integration } }
            sources { integration state count error { code message hint } } totalCount } }"""
    )
    tasks = result.data["warehouseTasks"]
    assert result.errors is None
    assert {row["source"]["integration"] for row in tasks["nodes"]} == {"ewm-north"}
    times = [row["confirmedAt"] for row in tasks["nodes"] if row["confirmedAt"]]
    assert times == sorted(times)
    assert len(tasks["nodes"]) == 97
    assert [(each["integration"], each["state"], each["error"]) for each in tasks["sources"]] == [
        (
            "ewm-west",
            "UNSORTABLE",
            {
                "code": "UNSORTABLE",
                "message": "ewm-west cannot sort by this and has more than 98 rows",
                "hint": "Narrow the filter, or leave `orderBy` out.",
            },
        ),
        ("ewm-north", "LIVE", None),
    ]


async def test_a_search_that_finds_nothing_for_long_goes_on_from_where_it_stopped(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A filter that the vendor lacks: the answer is an empty page that leads on, not an endless search."""
    monkeypatch.setattr(fanout, "READ_WHOLE", 150)
    wanted = graph.world.items[-1].teamcenter_number
    asked = """query($wanted: String!, $after: String) { items(first: 5, after: $after, filter: { search: $wanted }) {
        nodes { number } sources { state error { code } } pageInfo { endCursor hasNextPage } } }"""
    pages = []
    after = None
    for _ in range(10):
        page = (await graph.data(asked, wanted=wanted, after=after))["items"]
        pages.append((page["sources"][0]["state"], [row["number"] for row in page["nodes"]]))
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert pages == [("TRUNCATED", []), ("TRUNCATED", []), ("LIVE", [wanted])]


# --- what is refused


async def test_first_zero_gives_no_rows_but_says_whether_there_are_any(graph: Graph) -> None:
    data = await graph.data(f"{{ items(first: 0) {{ nodes {{ id }} totalCount {MORE} }} }}")
    assert data["items"] == {
        "nodes": [],
        "totalCount": 420,
        "pageInfo": {"endCursor": None, "hasNextPage": True, "hasPreviousPage": False, "startCursor": None},
    }


def refusal(message: str, path: list[Any], code: str = "BAD_USER_INPUT") -> list[dict[str, Any]]:
    return [{"message": message, "path": path, "extensions": {"code": code}}]


INTEGRATIONS = "ewm-west, ewm-north, plm, workshop, tak, uber, fleet"
VEHICLE = encode("Vehicle", "fleet", "1")
BOX = "south: 10, west: 0, north: 5, east: 1"
WRONG: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "too many rows": (
        "{ items(first: 201) { totalCount } }",
        refusal("`first` is 201; ask for 0 to 200 rows and page with `after`", ["items"]),
    ),
    "fewer than none": (
        "{ items(first: -1) { totalCount } }",
        refusal("`first` is -1; ask for 0 to 200 rows and page with `after`", ["items"]),
    ),
    "an integration that there is not": (
        '{ items(sources: ["plm", "sap"]) { totalCount } }',
        refusal(f"there is no integration 'sap'; the integrations are: {INTEGRATIONS}", ["items"]),
    ),
    "an integration that there is not, in a key": (
        '{ item(by: { external: { integration: "sap", externalId: "1" } }) { id } }',
        refusal(f"there is no integration 'sap'; the integrations are: {INTEGRATIONS}", ["item"]),
    ),
    "no id": (
        '{ item(id: "nonsense!") { id } }',
        refusal("'nonsense!': not an id of this graph; take it from the `id` field of an object", ["item"]),
    ),
    "an empty id": (
        '{ node(id: "") { id } }',
        refusal("'': an id is a text of 1 to 1,024 characters; take it from the `id` field of an object", ["node"]),
    ),
    "an id of another kind": (
        f'{{ item(id: "{VEHICLE}") {{ id }} }}',
        refusal(f"'{VEHICLE}': this is the id of Vehicle where that of Item is needed", ["item"]),
    ),
    "neither id nor key": ("{ item { id } }", refusal("give exactly one of `id` and `by`", ["item"])),
    "both id and key": (
        '{ item(id: "x", by: { number: { number: "1" } }) { id } }',
        refusal("give exactly one of `id` and `by`", ["item"]),
    ),
    "a kind without numbers": (
        '{ booking(by: { number: { number: "1" } }) { id } }',
        refusal("a Booking has no number to be found by; use `id` or `by: { external: … }`", ["booking"]),
    ),
    "too many ids": (
        f"{{ nodes(ids: {list('x' * 101)}) {{ id }} }}".replace("'", '"'),
        refusal("`nodes` takes at most 100 ids; 101 were given", ["nodes"]),
    ),
    "a list without bound": (
        f"{{ items(filter: {{ numbers: {list('x' * 201)} }}) {{ totalCount }} }}".replace("'", '"'),
        refusal("a filter takes at most 200 values in a list; 201 were given", ["items"]),
    ),
    "a text without bound": (
        f'{{ items(filter: {{ search: "{"x" * 201}" }}) {{ totalCount }} }}',
        refusal("a text in a filter has at most 200 characters", ["items"]),
    ),
    "a box that is none": (
        f"{{ vehicles(filter: {{ within: {{ {BOX} }} }}) {{ totalCount }} }}",
        refusal("the box needs south ≤ north within ±90 and west, east within ±180 degrees", ["vehicles"]),
    ),
    "too many sort keys": (
        f"{{ items(orderBy: [{'{ field: NAME } ' * 4}]) {{ totalCount }} }}",
        refusal("`orderBy` takes at most 3 keys; 4 were given", ["items"]),
    ),
    "levels beyond the bottom": (
        '{ item(by: { number: { number: "100-017" } }) { bom(maxLevels: 31) { id } } }',
        refusal("levels are 31; ask for 1 to 30", ["item", "bom"]),
    ),
    "structures of nothing": (
        "{ boms(filter: { itemNumbers: [] }) { totalCount } }",
        refusal("`itemNumbers` takes 1 to 50 part numbers", ["boms"]),
    ),
    "off the earth": (
        "{ priceEstimates(pickup: { latitude: 91, longitude: 0 }, dropoff: { latitude: 0, longitude: 0 }) "
        "{ totalCount } }",
        refusal("a point has a latitude within ±90 and a longitude within ±180 degrees", ["priceEstimates"]),
    ),
}


@pytest.mark.parametrize("case", WRONG)
async def test_what_cannot_be_answered_says_what_to_write_instead(graph: Graph, case: str) -> None:
    document, expected = WRONG[case]
    assert await graph.errors(document) == expected
    assert graph.reported == []
    assert graph.calls() == {} or case == "levels beyond the bottom"


@pytest.mark.parametrize(
    "by",
    ["{}", '{ number: { number: "1" }, external: { integration: "plm", externalId: "1" } }', "{ number: null }"],
    ids=["none", "two", "null"],
)
async def test_a_key_is_exactly_one_of_its_ways(graph: Graph, by: str) -> None:
    result = await graph.ask(f"{{ item(by: {by}) {{ id }} }}")
    assert result.data is None
    assert {error.extensions["code"] for error in result.errors} == {"GRAPHQL_VALIDATION_FAILED"}
    assert "RecordKey" in result.errors[0].message
    assert graph.calls() == {}


async def test_a_cursor_is_believed_only_as_it_was_given(graph: Graph) -> None:
    asked = "query($after: String) { items(first: 2, after: $after) { nodes { id } } }"
    first = (await graph.data("{ items(first: 2) { pageInfo { endCursor } } }"))["items"]["pageInfo"]["endCursor"]
    assert (await graph.data(asked, after=first))["items"]["nodes"]
    graph.forget()
    raw = bytearray(base64.urlsafe_b64decode(first + "=" * (-len(first) % 4)))
    tampered = []
    for index in range(len(raw)):
        raw[index] ^= 1
        tampered.append(base64.urlsafe_b64encode(raw).rstrip(b"=").decode())
        raw[index] ^= 1
    wrong = "`after` is not a cursor of this list; use `pageInfo.endCursor` or an edge's `cursor`"
    for forged in (*tampered, first[:-4], first + "AAAA", "", "AAAA", "ä" * 20, "x" * 5_000):
        assert await graph.errors(asked, after=forged) == refusal(wrong, ["items"], "INVALID_CURSOR"), forged
    assert graph.calls() == {}


async def test_a_cursor_of_another_list_filter_order_or_set_of_sources_is_refused(graph: Graph) -> None:
    cursor = (await graph.data("{ vehicles(first: 2) { pageInfo { endCursor } } }"))["vehicles"]["pageInfo"][
        "endCursor"
    ]
    other = "the cursor belongs to another list, filter or order; start again without `after`"
    for field in (
        "units(after: $after)",
        "vehicles(after: $after, filter: { states: [MOVING] })",
        "vehicles(after: $after, orderBy: [{ field: NAME }])",
        'vehicles(after: $after, sources: ["fleet"])',
    ):
        errors = await graph.errors(f"query($after: String) {{ {field} {{ totalCount }} }}", after=cursor)
        assert errors == refusal(other, [field.split("(")[0]], "INVALID_CURSOR")


async def test_ids_that_are_none_spoil_only_their_own_place(graph: Graph) -> None:
    unit = encode("Unit", "tak", graph.world.units[0].uid)
    result = await graph.ask(
        "query($ids: [ID!]!) { nodes(ids: $ids) { __typename } }",
        ids=[
            unit,
            "nonsense!",
            encode("Unit", "tak", "nobody"),
            encode("Unit", "gone", "x"),
            encode("Dream", "tak", "x"),
        ],
    )
    assert result.data["nodes"] == [{"__typename": "Unit"}, None, None, None, None]
    [error] = result.errors
    assert (error.path, error.extensions["code"]) == (["nodes", 1], "BAD_USER_INPUT")
