"""What changes in Oracle Fusion: polls that lose nothing and tell nothing twice, and signed business events."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from connectors.kit.errors import BadPayload, MappingFailed, SignatureInvalid, VendorDown
from connectors.kit.integration import Secret
from connectors.kit.manifest import Payload
from connectors.kit.protocols import Raw
from connectors.oracle_fusion import polling
from sandbox import oracle_fusion
from sandbox.oracle_fusion.rows import number_of
from sandbox.standin import Failure
from tests.connectors.test_oracle_fusion import ITEMS, OAUTH, ORDERS, STRUCTURES, Rig, page
from unified import ids
from unified.events import Changed, Removed
from unified.records import Bom, Item, Kind, WorkOrder


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig({"polled": ["items"]})
    await made.connector.check()
    made.calls()
    made.asked()
    yield made
    await made.connector.aclose()


def touch(rig: Rig, *places: int, **attributes: Any) -> None:
    for place in places:
        rig.standin.change("IBA", number_of(rig.world.items[place]), **attributes)


async def records_of(rig: Rig, *raws: Raw) -> list[Any]:
    found = [each for raw in raws for each in await rig.connector.events(raw)]
    assert all(isinstance(each, Changed) for each in found)
    return [each.record for each in found]  # type: ignore[union-attr]


# --- polls


async def test_the_first_poll_only_begins(rig: Rig) -> None:
    first = await rig.connector.poll(None)
    assert first.raws == ()
    assert rig.calls() == {}
    rig.clock.passed += 600
    assert (await rig.connector.poll(first.cursor)).raws == ()
    assert rig.calls() == {ITEMS: 1}
    asked = rig.asked()[-1]
    assert asked["q"] == "OrganizationCode in ('IBA','ABV') and LastUpdateDateTime >= '2026-11-25T09:25:00.000+00:00'"
    assert asked["orderBy"] == "LastUpdateDateTime:asc,ItemId:asc,OrganizationCode:asc"
    assert (asked["limit"], asked["offset"], asked["onlyData"]) == ("500", "0", "true")


async def test_what_changed_is_told_once_although_polls_overlap(rig: Rig) -> None:
    cursor = (await rig.connector.poll(None)).cursor
    rig.clock.passed += 30
    touch(rig, 3, ItemDescription="Changed")
    rig.clock.passed += 30
    first = await rig.connector.poll(cursor)
    [raw] = first.raws
    [item] = await records_of(rig, raw)
    assert isinstance(item, Item)
    assert (item.name, item.source.external_id) == ("Changed", rig.item_id(3))
    assert item.updated_at == rig.clock.now() - timedelta(seconds=30)
    rig.clock.passed += 60
    again = await rig.connector.poll(first.cursor)
    assert [each.delivery_id for each in again.raws] == [raw.delivery_id]
    rig.clock.passed += 600
    last = await rig.connector.poll(again.cursor)
    rig.clock.passed += 15
    assert (await rig.connector.poll(last.cursor)).raws == ()
    touch(rig, 3)
    [later] = (await rig.connector.poll(last.cursor)).raws
    assert later.delivery_id != raw.delivery_id


async def test_a_change_is_as_new_as_its_row(rig: Rig) -> None:
    cursor = (await rig.connector.poll(None)).cursor
    touch(rig, 5)
    [raw] = (await rig.connector.poll(cursor)).raws
    changed_at = rig.clock.now()
    rig.clock.passed += 40
    [event] = await rig.connector.events(raw)
    assert isinstance(event, Changed)
    assert event.occurred_at == changed_at
    assert event.record.source.as_of == rig.clock.now()


async def test_thousands_of_rows_of_one_moment_are_all_told(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """An import stamps all rows with one time: then only their order within it leads on, over several polls."""
    monkeypatch.setattr("connectors.oracle_fusion.resources.ROWS", 20)
    monkeypatch.setattr(polling, "POLLED", 50)
    cursor = (await rig.connector.poll(None)).cursor
    touch(rig, *range(200))
    rig.clock.passed += 1
    touch(rig, *range(200, 230))
    seen: dict[str, Raw] = {}
    polls = 0
    while True:
        polled = await rig.connector.poll(cursor)
        fresh = {each.delivery_id: each for each in polled.raws if each.delivery_id not in seen}
        seen |= fresh
        cursor = polled.cursor
        polls += 1
        assert len(polled.raws) <= 60
        if not fresh:
            break
        rig.clock.passed += 15
    assert len(seen) == 230
    assert polls == 6
    assert {(await records_of(rig, each))[0].source.external_id for each in seen.values()} == {
        rig.item_id(place) for place in range(230)
    }


async def test_a_server_that_repeats_a_page_ends_a_poll(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "POLLED", 3)
    cursor = (await rig.connector.poll(None)).cursor
    row = {"ItemId": 1, "OrganizationCode": "IBA", "ItemNumber": "A", "LastUpdateDateTime": "2026-11-25T09:30:00Z"}
    rig.faults.fail_next.extend([Failure(200, body={"items": [row], "hasMore": True})] * 9)
    polled = await rig.connector.poll(cursor)
    assert [each.delivery_id for each in polled.raws] == ["items/IBA:1/2026-11-25T09:30:00+00:00"]
    assert rig.calls() == {ITEMS: 3}


async def test_rows_that_move_while_they_are_read_are_not_lost(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that changes again goes to the end, and the ones after it move up."""
    monkeypatch.setattr("connectors.oracle_fusion.resources.ROWS", 10)
    monkeypatch.setattr(polling, "POLLED", 10)
    cursor = (await rig.connector.poll(None)).cursor
    for place in range(40):
        rig.clock.passed += 1
        touch(rig, place)
    told: set[str] = set()
    for place in range(12):
        polled = await rig.connector.poll(cursor)
        told |= {raw.delivery_id.split("/")[1] for raw in polled.raws}
        cursor = polled.cursor
        rig.clock.passed += 1
        touch(rig, place)  # behind the place where the walk is
    assert told >= {rig.item_id(place) for place in range(40)}


async def test_work_orders_are_polled_beside_items() -> None:
    rig = Rig()
    cursor = (await rig.connector.poll(None)).cursor
    touch(rig, 1)
    rig.clock.passed += 6 * 3600
    polled = await rig.connector.poll(cursor)
    assert rig.calls() == {ITEMS: 1, ORDERS: 1}
    found = await records_of(rig, *polled.raws)
    orders = [each for each in found if isinstance(each, WorkOrder)]
    assert len(found) == len(orders) + 1
    assert orders
    assert all(each.operations and each.materials for each in orders)
    asked = rig.asked()[-1]
    assert asked["expand"] == "WorkOrderOperation,WorkOrderMaterial"
    assert asked["orderBy"] == "LastUpdateDate:asc,WorkOrderId:asc"
    assert "LastUpdateDate >= '2026-11-25T09:25:00.000+00:00'" in asked["q"]
    await rig.connector.aclose()


async def test_a_kind_that_is_polled_later_begins_then(rig: Rig) -> None:
    cursor = (await rig.connector.poll(None)).cursor
    both = Rig()
    touch(both, 2)
    polled = await both.connector.poll(cursor)
    assert [each.decoder for each in polled.raws] == ["items"]
    assert json.loads(polled.cursor or "")["work-orders"][0] == "2026-11-25T09:30:00Z"
    nothing = Rig({"polled": []})
    assert (await nothing.connector.poll(cursor)).raws == ()
    assert nothing.calls() == {}
    await both.connector.aclose()
    await nothing.connector.aclose()


async def test_a_poll_fails_while_fusion_is_down_and_goes_on_where_it_was(rig: Rig) -> None:
    """The last good answer must not be told as a change."""
    cursor = (await rig.connector.poll(None)).cursor
    await rig.connector.poll(cursor)
    touch(rig, 7)
    rig.faults.down = True
    with pytest.raises(VendorDown):
        await rig.connector.poll(cursor)
    rig.faults.down = False
    rig.clock.passed += 60
    assert len((await rig.connector.poll(cursor)).raws) == 1


@pytest.mark.parametrize("cursor", ["", "2026-11-25", "[]", '{"items": 7}'])
async def test_a_cursor_that_is_not_ours_is_refused(rig: Rig, cursor: str) -> None:
    with pytest.raises(ValueError, match="not a cursor of this poll"):
        await rig.connector.poll(cursor)


@pytest.mark.parametrize(
    ("row", "path"),
    [
        ({"ItemId": 1, "OrganizationCode": "M1", "ItemNumber": "A"}, "$.items[0].LastUpdateDateTime"),
        ({"ItemId": 1, "OrganizationCode": "M1", "LastUpdateDateTime": "soon"}, "$.items[0].LastUpdateDateTime"),
        ({"ItemId": 1}, "$"),
    ],
)
async def test_a_changed_row_without_a_time_says_where(rig: Rig, row: dict[str, Any], path: str) -> None:
    cursor = (await rig.connector.poll(None)).cursor
    rig.faults.fail_next.append(page(row))
    with pytest.raises(BadPayload) as caught:
        await rig.connector.poll(cursor)
    assert (caught.value.path or "").startswith(path)


async def test_a_page_that_goes_on_without_rows_is_no_loop(rig: Rig) -> None:
    cursor = (await rig.connector.poll(None)).cursor
    rig.faults.fail_next.append(page(hasMore=True))
    with pytest.raises(BadPayload, match="no rows and says that there are more"):
        await rig.connector.poll(cursor)


# --- business events

ITEM_UPDATED = "oracle.apps.scm.items.itemUpdated"
BOM_UPDATED = "oracle.apps.scm.bom.bomUpdated"


def event(rig: Rig, kind: str = ITEM_UPDATED, event_id: str = "evt-1", prefix: str = "sha256=", **more: Any) -> Payload:
    told = {"OrganizationCode": "IBA", "ItemNumber": number_of(rig.world.items[0]), **more}
    told = {name: value for name, value in told.items() if value is not None}
    body, headers = rig.standin.event(kind, event_id, rig.clock.now() - timedelta(seconds=5), prefix=prefix, **told)
    return Payload(body=body, headers=headers)


def accepted(rig: Rig, payload: Payload) -> Raw:
    rig.connector.verify(payload)
    raw = rig.connector.received(payload)
    assert raw is not None
    return raw


@pytest.mark.parametrize("prefix", ["sha256=", "", "SHA256="])
async def test_an_event_becomes_the_item_as_it_is_now(rig: Rig, prefix: str) -> None:
    """Nothing of the event is believed but the number."""
    raw = accepted(rig, event(rig, prefix=prefix, ItemDescription="Invented", ItemClass="Invented"))
    assert (raw.delivery_id, raw.decoder) == ("event/evt-1", "business-event")
    [item] = await records_of(rig, raw)
    assert isinstance(item, Item)
    assert (item.name, item.source.external_id) == ("Field pump mark I", rig.item_id(0))
    assert rig.calls() == {ITEMS: 1}
    assert rig.asked()[-1]["q"] == "OrganizationCode = 'IBA' and ItemNumber = '100017'"


@pytest.mark.parametrize(
    "break_it",
    [
        lambda payload: Payload(body=payload.body + b" ", headers=payload.headers),
        lambda payload: Payload(body=payload.body, headers={}),
        lambda payload: Payload(body=payload.body, headers={"x-hub-signature-256": "sha256="}),
        lambda payload: Payload(body=payload.body, headers={"x-hub-signature-256": "sha256=" + "é" * 64}),
        lambda payload: Payload(
            body=payload.body,
            headers={"x-hub-signature-256": payload.headers["x-hub-signature-256"].replace("sha256=", "sha1=")},
        ),
        lambda payload: Payload(body=payload.body, headers={"x-hub-signature": payload.headers["x-hub-signature-256"]}),
    ],
)
async def test_an_event_without_a_valid_signature_is_not_believed(rig: Rig, break_it: Any) -> None:
    with pytest.raises(SignatureInvalid):
        rig.connector.verify(break_it(event(rig)))


async def test_without_a_secret_nobody_is_believed() -> None:
    for secrets in ({}, {"webhook_secret": Secret("")}):
        rig = Rig(credentials={**{k: v for k, v in OAUTH.items() if k != "webhook_secret"}, **secrets})
        body, headers = rig.standin.event(ITEM_UPDATED, "e", rig.clock.now(), secret="", ItemNumber="A")
        with pytest.raises(SignatureInvalid):
            rig.connector.verify(Payload(body=body, headers=headers))
        await rig.connector.aclose()


async def test_two_secrets_hold_while_one_is_being_changed() -> None:
    rig = Rig(credentials={**OAUTH, "webhook_secret_next": Secret("the new one")})
    for secret in (oracle_fusion.WEBHOOK_SECRET, "the new one"):
        body, headers = rig.standin.event(ITEM_UPDATED, "e", rig.clock.now(), secret=secret, ItemNumber="A")
        rig.connector.verify(Payload(body=body, headers=headers))
    await rig.connector.aclose()


async def test_the_same_event_again_is_the_same_delivery(rig: Rig) -> None:
    once, twice = accepted(rig, event(rig)), accepted(rig, event(rig, ItemDescription="other bytes"))
    assert once.delivery_id == twice.delivery_id
    body = json.dumps({"eventType": ITEM_UPDATED, "payload": {"ItemNumber": "A"}}).encode()
    nameless = [rig.connector.received(Payload(body=body + blank)) for blank in (b"", b"", b" ")]
    assert nameless[0].delivery_id == nameless[1].delivery_id != nameless[2].delivery_id  # type: ignore[union-attr]


async def test_a_structure_event_brings_the_item_and_its_structure(rig: Rig) -> None:
    raw = accepted(rig, event(rig, BOM_UPDATED, ItemNumber=None, AssemblyItemNumber="100017"))
    item, bom = await records_of(rig, raw)
    assert isinstance(item, Item)
    assert isinstance(bom, Bom)
    assert bom.item_number == item.number == "100017"
    assert rig.calls() == {ITEMS: 1, STRUCTURES: 6}
    events = await rig.connector.events(raw)
    assert events[1].occurred_at == rig.clock.now() - timedelta(seconds=5)


async def test_a_structure_that_is_gone_is_removed(rig: Rig) -> None:
    bought = number_of(rig.world.items[-1])
    changed, removed = await rig.connector.events(accepted(rig, event(rig, BOM_UPDATED, ItemNumber=bought)))
    assert isinstance(changed, Changed)
    external = f"{rig.item_id(len(rig.world.items) - 1)}?structure=Primary"
    assert removed == Removed(
        kind=Kind.BOM,
        id=ids.encode("Bom", "fusion", external),
        occurred_at=rig.clock.now() - timedelta(seconds=5),
    )


async def test_without_an_organization_it_is_looked_for_in_all_that_are_read(rig: Rig) -> None:
    found = await records_of(rig, accepted(rig, event(rig, OrganizationCode=None)))
    assert {each.source.external_id for each in found} == {rig.item_id(0), rig.item_id(0, "ABV")}


async def test_an_event_of_what_is_not_there_changes_nothing(rig: Rig) -> None:
    assert await rig.connector.events(accepted(rig, event(rig, ItemNumber="GONE"))) == []
    assert rig.log.lines[-1] == ("oracle_fusion.event_of_nothing", {"integration": "fusion", "type": ITEM_UPDATED})


async def test_what_nobody_asked_for_is_not_kept(rig: Rig) -> None:
    assert rig.connector.received(event(rig, "oracle.apps.scm.items.itemDeleted")) is None
    assert rig.connector.received(event(rig, OrganizationCode="M1")) is None
    assert rig.calls() == {}


async def test_further_events_are_told_by_the_settings() -> None:
    rig = Rig({"events": {"workOrderReleaseEvent": "work-order"}})
    number = rig.standin.rows.work_orders()[1]["WorkOrderNumber"]
    payload = event(rig, "workOrderReleaseEvent", ItemNumber=None, WorkOrderNumber=number)
    [order] = await records_of(rig, accepted(rig, payload))
    assert isinstance(order, WorkOrder)
    assert order.number == number
    assert order.operations
    assert rig.calls() == {ORDERS: 1}
    await rig.connector.aclose()


@pytest.mark.parametrize(
    ("body", "error", "path"),
    [
        (b"", BadPayload, "$"),
        (b"[]", BadPayload, "$"),
        (b'{"eventId": "1"}', BadPayload, "$"),
        (b'{"eventType": "oracle.apps.scm.items.itemUpdated"}', MappingFailed, "$.payload.ItemNumber"),
        (
            b'{"eventType": "oracle.apps.scm.bom.bomUpdated", "payload": {"ItemNumber": " "}}',
            MappingFailed,
            "$.payload.ItemNumber",
        ),
        (
            b'{"eventType": "oracle.apps.scm.items.itemUpdated", "payload": {"ItemNumber": "' + b"x" * 201 + b'"}}',
            MappingFailed,
            "$.payload.ItemNumber",
        ),
        (b'{"eventType": "x", "eventId": "' + b"x" * 201 + b'"}', BadPayload, "$.eventId"),
        (b'{"eventType": ' + b"[" * 5_000, BadPayload, "$.eventType"),
    ],
)
async def test_an_event_that_is_not_understood_says_where(rig: Rig, body: bytes, error: type, path: str) -> None:
    with pytest.raises(error) as caught:
        rig.connector.received(Payload(body=body))
    assert caught.value.path == path


async def test_an_event_waits_while_fusion_is_down(rig: Rig) -> None:
    """An old answer must not become a change."""
    raw = accepted(rig, event(rig))
    await rig.connector.events(raw)
    rig.faults.fail_next.extend([Failure(503, body="Service Unavailable")] * 3)
    with pytest.raises(VendorDown):
        await rig.connector.events(raw)
    rig.clock.passed += 60
    assert len(await rig.connector.events(raw)) == 1
