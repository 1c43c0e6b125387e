"""The sandbox's trackers: frames as the manuals have them, behaviour as devices have it."""

import asyncio
import json
import tomllib
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox import gt02
from sandbox.gt02 import frames
from sandbox.gt02.line import GARBAGE, spoilt
from sandbox.gt02.trackers import LOGINS, Device, Tracker
from sandbox.registry import application
from sandbox.standin import Failure
from sandbox.world import World

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "tests" / "samples" / "gt02"
NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)


def sample(name: str) -> str:
    return (SAMPLES / name).read_text().strip()


class Clock:
    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> datetime:
        return self.at


def made(speech: str, *, local: bool = False) -> tuple[Device, Clock]:
    clock = Clock()
    world = World(clock)
    tracker = next(
        each
        for each in gt02.build(world)
        if each.speech == speech and (each.offset_minutes is not None) is local and each.vehicle.state_at(NOW).online
    )
    device = Device(world, tracker)
    device.connected()
    return device, clock


def sent(device: Device) -> list[tuple[str, bytes]]:
    due = device.due()
    assert due is not None
    return [(each.kind, each.data) for each in due]


# --- frames


def test_the_manuals_examples_are_written_so() -> None:
    assert frames.login("353419036066061", 3).hex() == sample("gt06-01-login-minimal.hex")
    status = frames.status(ignition=False, charging=True, alarm=0, voltage=6, gsm=4)
    assert frames.gt06(0x13, status + b"\0\2", 0x01BA).hex() == sample("gt06-06-heartbeat-0x13.hex")
    beat = bytes.fromhex("010a2623211b2722252329 00")
    assert frames.gt02(0x1A, "358899058314017", beat, 14, voltage=5, gsm=4).hex() == sample(
        "gt02-04-heartbeat-10-satellites.hex"
    )
    place = frames.place_02(datetime(2014, 9, 6, 10, 29, 27, tzinfo=UTC), -6.3308494444, 106.9662133333, 0, 283)
    location = sample("gt02-01-location.hex")
    assert frames.gt02(0x10, "358899051012766", place, 1).hex() == location.replace("682500a4", "68250000")


def test_a_login_with_a_zone_west_of_greenwich() -> None:
    wanted = sample("gt06-03-login-timezone-field.hex")
    assert frames.login("864717003664467", 2, kind=0x100F, offset_minutes=-240).hex() == wanted


def test_answers_are_judged() -> None:
    ack = bytes.fromhex("787805010003face0d0a")
    assert frames.answer(ack + b"more") == (0x01, 3, 10)
    assert [frames.answer(ack[:size]) for size in range(10)] == [None] * 10
    assert frames.answer(b"\x54\x68\x1a\x0d\x0a") == (0x1A, -1, 5)
    for wrong in (b"\x78\x78\x05\x01\x00\x03\xfa\xcf\x0d\x0a", b"HTTP/1.1", b"\x78\x78\x00\x00\x00"):
        with pytest.raises(frames.Wrong):
            frames.answer(wrong)


# --- who they are


def test_they_are_the_worlds_trucks_under_other_numbers() -> None:
    world = World(lambda: NOW)
    trackers = gt02.build(world)
    assert [each.vehicle for each in trackers] == list(world.trucks)
    assert len({each.imei for each in trackers} | {truck.imei for truck in world.trucks}) == 48
    for each in trackers:
        digits = [int(letter) for letter in each.imei]
        doubled = [digit * 2 - 9 * (digit > 4) if place % 2 else digit for place, digit in enumerate(digits)]
        assert len(digits) == 15
        assert sum(doubled) % 10 == 0, "the check digit"
        assert (each.fleet_number is None) != (each.plate is None)
    assert [sum(each.speech == speech for each in trackers) for speech in ("gt06", "gt06-udp", "gt02")] == [12, 6, 6]
    assert sum(each.offset_minutes is not None for each in trackers) == 4


def test_the_sandboxs_configuration_registers_them() -> None:
    (found,) = [
        each
        for each in tomllib.loads((ROOT / "crossdock.sandbox.toml").read_text())["integrations"]
        if each["system"] == "gt02"
    ]

    def row(tracker: Tracker) -> dict[str, Any]:
        number = {"fleet_number": tracker.fleet_number} if tracker.fleet_number else {"plate": tracker.plate}
        return {"imei": tracker.imei, "name": tracker.name, **number, "category": "truck"}

    assert found["settings"]["devices"] == [row(each) for each in gt02.build(World(lambda: NOW))]


# --- what they do


def test_a_login_comes_first_and_is_repeated_until_it_is_answered() -> None:
    device, clock = made("gt06")
    imei = device.tracker.imei
    assert sent(device) == [("LOGIN", frames.login(imei, 1))]
    clock.at += timedelta(seconds=4)
    assert sent(device) == []
    for serial in range(2, LOGINS + 1):
        clock.at += timedelta(seconds=5)
        assert sent(device) == [("LOGIN", frames.login(imei, serial))]
    clock.at += timedelta(seconds=5)
    assert device.due() is None, "it gives up and connects anew"
    device.connected()
    assert sent(device) == [("LOGIN", frames.login(imei, LOGINS + 1))]


def test_an_answer_with_another_serial_is_none() -> None:
    device, _ = made("gt06")
    sent(device)
    device.heard(frames.gt06(0x01, b"", 7))
    assert (device.logged_in, device.answered, device.wrong_answers) == (False, 0, 1)
    answer = frames.gt06(0x01, b"", 1)
    device.heard(answer[:4])
    device.heard(answer[4:])
    assert (device.logged_in, device.answered) == (True, 1)
    device.heard(b"nonsense")
    assert device.wrong_answers == 2


def test_places_and_heartbeats() -> None:
    device, clock = made("gt06")
    sent(device)
    device.heard(frames.gt06(0x01, b"", 1))
    state = device.tracker.vehicle.state_at(NOW)
    (beat, status), (location, place) = sent(device)
    assert (beat, location) == ("HEARTBEAT", "LOCATION")
    assert status[3] == 0x13
    assert status[4] == 0x40 | state.ignition << 2 | state.ignition << 1
    assert place[3] == 0x22
    assert place[4:10] == bytes((26, 11, 25, 9, 30, 0))
    assert int.from_bytes(place[11:15], "big") == round(state.latitude * 1_800_000)
    assert sent(device) == []
    kinds: list[str] = []
    for _ in range(120):
        clock.at += timedelta(seconds=1)
        kinds += [kind for kind, _ in sent(device)]
    assert kinds.count("HEARTBEAT") == 2
    assert 4 <= kinds.count("LOCATION") <= 12


def test_gt02_says_who_it_is_in_every_frame_and_never_logs_in() -> None:
    device, _ = made("gt02")
    (beat, status), (location, place) = sent(device)
    assert (beat, location) == ("HEARTBEAT", "LOCATION")
    for frame in (status, place):
        assert frame[5:13].hex() == "0" + device.tracker.imei
    assert (status[15], place[15]) == (0x1A, 0x10)


def test_a_local_clock_is_an_hour_ahead_and_told() -> None:
    device, _ = made("gt06", local=True)
    ((_, login),) = sent(device)
    assert int.from_bytes(login[14:16], "big") >> 4 == 100
    device.heard(frames.gt06(0x01, b"", 1))
    (place,) = [data for kind, data in sent(device) if kind == "LOCATION"]
    assert place[4:10] == bytes((26, 11, 25, 10, 30, 0))


def test_overspeed_is_reported_once() -> None:
    clock = Clock()
    world = World(clock)
    tracker = next(each for each in gt02.build(world) if each.vehicle.key == "TRK-024")
    device = Device(world, tracker)
    device.connected()
    sent(device)
    device.heard(frames.gt06(0x01, b"", 1))
    alarms = []
    for _ in range(3_600):
        clock.at += timedelta(seconds=1)
        alarms += [data for kind, data in sent(device) if kind == "ALARM"]
    fast = [tracker.vehicle.state_at(NOW + timedelta(seconds=each)).speed_kmh > 80 for each in range(1, 3_601)]
    assert len(alarms) == sum(now and not before for before, now in pairwise([False, *fast]))
    assert alarms
    assert all(data[3] == 0x16 and data[-8] == 0x06 for data in alarms)


def test_serial_numbers_wrap() -> None:
    device, _ = made("gt06")
    device.serial = 0xFFFE
    ((_, login),) = sent(device)
    assert login[12:14] == b"\xff\xff"
    device.connected()
    ((_, login),) = sent(device)
    assert login[12:14] == b"\x00\x01"


@pytest.mark.parametrize(
    ("how", "same"),
    [
        ("garbage", lambda was, now: now == GARBAGE + was),
        ("bad-crc", lambda was, now: now != was and now[:-3] == was[:-3] and len(now) == len(was)),
        ("wrong-length", lambda was, now: now[2] != was[2] and now[3:] == was[3:]),
        ("imei", lambda was, now: now[4:12] == bytes(8) and now[12:] == was[12:]),
        (b"", lambda was, now: now == was),
    ],
    ids=["garbage", "bad-crc", "wrong-length", "imei", "none"],
)
def test_faults(how: object, same: Any) -> None:
    frame = frames.login("353419036066061", 3)
    assert same(frame, spoilt(frame, how))


# --- their lines


async def test_without_a_server_they_stay_silent() -> None:
    standin = gt02.create(World(lambda: NOW))
    await standin.start()
    assert standin.addresses == ()
    assert standin.faults.total_calls() == 0
    await standin.stop()


async def test_they_try_until_somebody_listens_and_show_how_they_do() -> None:
    heard = asyncio.Queue[bytes]()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1_000):
            if data[:2] == b"\x78\x78" and data[3] == 1:
                writer.write(frames.gt06(0x01, b"", int.from_bytes(data[-6:-4], "big")))
            heard.put_nowait(data)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    standin = gt02.create(World(lambda: NOW), server=("127.0.0.1", port), tick_s=0.005)
    assert standin.addresses == (f"trackers that connect to 127.0.0.1:{port}",)
    standin.faults.fail_next.append(Failure(drop=True, method="LOGIN"))
    await standin.start()
    try:
        await asyncio.sleep(0.02)  # refused meanwhile
        server = await asyncio.start_server(talk, "127.0.0.1", port)
        async with asyncio.timeout(20):
            while not any(device.logged_in and device.answered for device in standin.devices.values()):
                await heard.get()
            while ("LOCATION", "location") not in standin.faults.calls:
                await heard.get()
        assert standin.faults.fail_next == []
        transport = httpx.ASGITransport(application([standin]))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            rows = (await client.get("/gt02/trackers")).json()
            told = json.loads((await client.get("/_control/gt02")).text)["stand_ins"][0]
        assert len(rows) == 24
        assert any(row["loggedIn"] and row["answered"] for row in rows)
        assert "LOGIN login" in told["calls"]
        standin.faults.down = True
        async with asyncio.timeout(5):
            while any(line._transport is not None for line in standin._lines):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
    finally:
        await standin.stop()
        server.close()
