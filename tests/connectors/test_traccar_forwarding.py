"""What reaches the connector without its socket: forwarded messages and polls."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import msgspec
import pytest

from connectors.kit.errors import BadPayload, SignatureInvalid
from connectors.kit.integration import Secret
from connectors.kit.manifest import Payload
from connectors.kit.protocols import EventStream, Poller, WebhookReceiver
from connectors.traccar import urlform
from connectors.traccar.live import Cutter
from tests.connectors.contract import NOW
from tests.connectors.test_traccar import SAMPLES, TOKEN, Setup
from unified.records import Connectivity


@pytest.fixture
async def setup() -> AsyncIterator[Setup]:
    made = Setup(credentials=TOKEN)
    yield made
    await made.connector.aclose()


# --- forwarded messages

HOOK = {**TOKEN, "webhook_secret": Secret("hook-secret")}


def _forwarded(name: str = "forward.position.json", **headers: str) -> Payload:
    return Payload(body=(SAMPLES / name).read_bytes(), headers={"content-type": "application/json", **headers})


def test_without_a_secret_nothing_is_believed(setup: Setup) -> None:
    assert isinstance(setup.connector, WebhookReceiver)
    for given in ({}, {"x-crossdock-secret": ""}):
        with pytest.raises(SignatureInvalid, match="no `webhook_secret` is configured"):
            setup.connector.verify(_forwarded(**given))
    empty = Setup(credentials={**TOKEN, "webhook_secret": Secret("")})
    with pytest.raises(SignatureInvalid):
        empty.connector.verify(_forwarded(**{"x-crossdock-secret": ""}))


def test_the_header_must_hold_the_secret() -> None:
    made = Setup(credentials=HOOK)
    made.connector.verify(_forwarded(**{"x-crossdock-secret": "hook-secret"}))
    for given in (
        {},
        {"x-crossdock-secret": "hook-secre"},
        {"authorization": "hook-secret"},
        {"x-crossdock-secret": "é"},
    ):
        with pytest.raises(SignatureInvalid) as caught:
            made.connector.verify(_forwarded(**given))
        assert "hook-secret" not in str(caught.value)
    other = Setup(credentials=HOOK, settings={"webhook_header": "Authorization"})
    other.connector.verify(_forwarded(authorization="hook-secret"))


def test_a_forwarded_position_has_the_delivery_of_its_frame(setup: Setup) -> None:
    raw = setup.connector.received(_forwarded(**{"x-crossdock-secret": "hook-secret"}))
    assert raw is not None
    assert (raw.delivery_id, raw.decoder) == ("position:91234", "traccar-forwarded")
    assert raw.payload.headers == {"content-type": "application/json"}


def test_a_position_forwarded_before_it_is_stored_is_named_by_its_content(setup: Setup) -> None:
    body = json.loads((SAMPLES / "forward.position.json").read_text())
    body["position"]["id"] = 0
    one = setup.connector.received(Payload(body=json.dumps(body).encode()))
    body["position"]["speed"] = 3
    two = setup.connector.received(Payload(body=json.dumps(body).encode()))
    assert one is not None
    assert two is not None
    assert one.delivery_id.startswith("position:of:17:")
    assert one.delivery_id != two.delivery_id


def test_a_forwarded_event_is_named_by_its_id(setup: Setup) -> None:
    event = json.loads((SAMPLES / "ws.event.alarm.json").read_text())["events"][0]
    raw = setup.connector.received(Payload(body=json.dumps({"event": event, "device": None}).encode()))
    assert raw is not None
    assert raw.delivery_id == "event:5501"


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"position": null}', b"not json", b'{"position": {"id": 1}}'])
def test_a_forwarded_message_that_is_not_understood(setup: Setup, body: bytes) -> None:
    with pytest.raises(BadPayload):
        setup.connector.received(Payload(body=body))


def test_an_empty_call_is_nothing_to_do(setup: Setup) -> None:
    assert setup.connector.received(Payload(body=b"")) is None


async def test_a_forwarded_position_becomes_a_full_vehicle(setup: Setup) -> None:
    vehicle = setup.world.trucks[0]
    body = json.loads((SAMPLES / "forward.position.json").read_text())
    body["position"]["deviceId"] = body["device"]["id"] = vehicle.traccar_id
    body["device"]["status"] = "unknown"
    raw = setup.connector.received(Payload(body=json.dumps(body).encode()))
    assert raw is not None
    (event,) = await setup.connector.events(raw)
    assert event.record.plate == vehicle.uber_plate  # type: ignore[union-attr]
    assert event.record.connectivity is Connectivity.UNKNOWN  # type: ignore[union-attr]
    assert event.occurred_at == datetime(2026, 5, 12, 8, 15, 29, tzinfo=UTC)
    assert event.sequence == 91234  # type: ignore[union-attr]
    assert setup.calls == {("GET", "/api/devices"): 1}


async def test_the_url_form_finds_its_device_by_id_identifier_or_name(setup: Setup) -> None:
    vehicle = setup.world.trucks[0]
    place = "fixTime=1451610123000&latitude=6.5&longitude=3.4&speed=21.598&valid=true"
    name = vehicle.traccar_name.replace(" ", "+")
    for who in (f"deviceId={vehicle.traccar_id}", f"uniqueId={vehicle.imei}", f"name={name}"):
        raw = setup.connector.received(Payload(body=f"/hook?{who}&{place}".encode()))
        assert raw is not None
        assert raw.decoder == "traccar-forwarded-url"
        (event,) = await setup.connector.events(raw)
        assert event.record.source.external_id == str(vehicle.traccar_id)  # type: ignore[union-attr]
        assert event.record.position.speed_kmh == 40.0  # type: ignore[union-attr]
        assert event.occurred_at == datetime(2016, 1, 1, 1, 2, 3, tzinfo=UTC)
    raw = setup.connector.received(Payload(body=f"/hook?uniqueId=nobody&name={name}&{place}".encode()))
    assert raw is not None
    assert await setup.connector.events(raw) == []
    assert setup.log.events == ["vendor.unknown_devices"]


@pytest.mark.parametrize(
    "query",
    [
        "gprmc=$GPRMC,010203.000,A,2000.0000,N,03000.0000,E,0.00,0.00,010116,,*06",
        "gprmc=nonsense",
        "fixTime=yesterday&latitude=1&longitude=2",
        "fixTime=1&latitude=north&longitude=2",
        "fixTime=1451610123000&deviceId=x&latitude=1&longitude=2",
        "fixTime=1451610123000",
    ],
)
def test_an_address_that_is_wrong_is_refused(query: str) -> None:
    with pytest.raises(BadPayload):
        urlform.read(f"http://x/?{query}".encode())


# --- polling


async def test_the_poll_brings_what_is_new() -> None:
    made = Setup(credentials=TOKEN, settings={"socket": False})
    assert isinstance(made.connector, Poller)
    assert isinstance(made.connector, EventStream)
    assert [each async for each in made.connector.stream()] == []
    first = await made.connector.poll(None)
    assert len([each for each in first.raws if each.delivery_id.startswith("position:")]) == 48
    assert len([each for each in first.raws if each.delivery_id.startswith("device:")]) == 48
    again = await made.connector.poll(first.cursor)
    assert [each for each in again.raws if not each.delivery_id.startswith("event:")] == []
    made.vendor.faults.calls.clear()
    made.clock.passed += 30
    later = await made.connector.poll(again.cursor)
    fleet, now = made.vendor.fleet, made.clock.now()
    latest = [(each, fleet.latest(each, now).at) for each in made.world.vehicles]
    fresh = {f"position:{fleet.position_id(each, at)}" for each, at in latest if at >= NOW}
    assert len(fresh) > 20
    assert {each.delivery_id for each in later.raws if each.delivery_id.startswith("position:")} == fresh
    assert made.calls == {
        ("GET", "/api/devices"): 1,
        ("GET", "/api/positions"): 1,
        ("GET", "/api/reports/events"): 1,
    }
    for raw in later.raws:
        assert await made.connector.events(raw)


async def test_a_server_that_is_down_has_nothing_new() -> None:
    made = Setup(credentials=TOKEN)
    first = await made.connector.poll(None)
    made.vendor.faults.down = True
    assert await made.connector.poll(first.cursor) == msgspec.structs.replace(first, raws=())


async def test_a_cursor_of_nobody_tells_everything_again(setup: Setup) -> None:
    assert len((await setup.connector.poll("not ours")).raws) == 96


async def test_a_device_that_the_account_may_not_see_is_asked_for_once(setup: Setup) -> None:
    place = {"id": 9, "deviceId": 5, "fixTime": "2026-05-12T08:15:29Z", "latitude": 1, "longitude": 2}
    frame, now = json.dumps({"positions": [place]}).encode(), setup.clock.now()
    for _ in range(3):
        (raw,) = Cutter(now).cut(frame, now)
        assert await setup.connector.events(raw) == []
    assert setup.log.lines == [("vendor.unknown_devices", {"integration": "traccar", "count": 1})]
    assert setup.calls == {("GET", "/api/devices"): 2}  # all of them, then the unknown one
    setup.clock.passed += 301
    assert await setup.connector.events(raw) == []
    assert setup.calls == {("GET", "/api/devices"): 3}
