"""The stand-in against OctoPrint's documentation and against answers of the real 1.11.8."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

from sandbox.octoprint import PASSWORD, USER, OctoPrint, create
from sandbox.registry import application
from sandbox.serving import Listener
from sandbox.world import World

SAMPLES = Path(__file__).parent.parent / "samples" / "equipment"
NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
FORBIDDEN = (
    "You don't have the permission to access the requested resource. "
    "It is either read-protected or not readable by the server."
)


@dataclass
class Bench:
    printers: dict[str, OctoPrint]
    now: datetime = NOW

    def client(self, number: int, *, key: bool = True) -> httpx.AsyncClient:
        printer = self.printers[f"printer-{number}"]
        headers = {"X-Api-Key": printer.printer.api_key} if key else {}
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(app=printer.app), base_url="http://printer:5000", headers=headers
        )


@pytest.fixture
def bench() -> Bench:
    bench = Bench({})
    bench.printers = {each.printer.id: each for each in create(World(lambda: bench.now), unknown_option=1)}
    return bench


def sample(name: str) -> tuple[int, Any]:
    """Status and JSON body of a captured answer."""
    text = (SAMPLES / name).read_text()
    if name.endswith(".json"):
        return 200, json.loads(text)
    head, _, body = text.replace("\r\n", "\n").partition("\n\n")
    return int(head.split()[1]), json.loads(body)


def shape(value: Any) -> Any:
    """Names and JSON types; numbers are one type."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in sorted(value.items())}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    if isinstance(value, bool) or value is None:
        return type(value).__name__
    return "number" if isinstance(value, int | float) else type(value).__name__


def test_there_is_one_for_each_printer(bench: Bench) -> None:
    assert [each.name for each in bench.printers.values()] == [f"octoprint/printer-{n}" for n in range(1, 9)]


# --- shapes as captured


@pytest.mark.parametrize(
    ("number", "path", "name"),
    [
        (1, "/api/version", "octoprint-version.txt"),
        (4, "/api/printer", "octoprint-printer.txt"),
        (1, "/api/printer?history=true&limit=2", "octoprint-printer_printing.json"),
        (1, "/api/job", "octoprint-job_printing.json"),
        (8, "/api/job", "octoprint-job.txt"),
        (1, "/api/files", "octoprint-files.txt"),
    ],
)
async def test_answers_have_the_shape_of_the_captured_ones(bench: Bench, number: int, path: str, name: str) -> None:
    async with bench.client(number) as client:
        answer = await client.get(path)
    status, body = sample(name)
    assert answer.status_code == status
    assert shape(answer.json()) == shape(body)


async def test_a_closed_connection_is_as_captured(bench: Bench) -> None:
    async with bench.client(8) as client:
        found = (await client.get("/api/connection")).json()
    _, body = sample("octoprint-connection.txt")
    assert found["current"] == body["current"]
    assert shape(found["options"]) == shape({**body["options"], "ports": []})


async def test_flags_of_idle_are_as_captured(bench: Bench) -> None:
    async with bench.client(4) as client:
        found = (await client.get("/api/printer")).json()
    _, body = sample("octoprint-printer.txt")
    assert found["state"] == body["state"]


async def test_json_is_written_as_flask_does(bench: Bench) -> None:
    async with bench.client(1) as client:
        answer = await client.get("/api/version")
    assert answer.text == '{\n  "api": "0.1",\n  "server": "1.11.8",\n  "text": "OctoPrint 1.11.8"\n}\n'
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("number", "method", "path", "more", "name"),
    [
        (1, "GET", "/api/version", {"headers": {"X-Api-Key": ""}}, "octoprint-noauth.txt"),
        (1, "GET", "/api/files/local/nothing.gcode", {}, "octoprint-filenotfound.txt"),
        (1, "GET", "/api/nothing", {}, "octoprint-filenotfound.txt"),
        (1, "POST", "/api/job", {"json": {"command": "dance"}}, "octoprint-cmdbad.txt"),
        (1, "POST", "/api/job", {"content": b"command=start"}, "octoprint-nojson.txt"),
    ],
)
async def test_errors_are_as_captured(
    bench: Bench, number: int, method: str, path: str, more: dict[str, Any], name: str
) -> None:
    async with bench.client(number) as client:
        answer = await client.request(method, path, **more)
    assert (answer.status_code, answer.json()) == sample(name)


async def test_409_when_the_printer_is_off(bench: Bench) -> None:
    async with bench.client(8) as client:
        answer = await client.get("/api/printer")
        assert (answer.status_code, answer.json()) == (409, {"error": "Printer is not operational"})
        job = (await client.get("/api/job")).json()
    assert (job["state"], job["progress"]["completion"], job["job"]["file"]["name"]) == ("Offline", None, None)


async def test_409_in_error_and_the_job_says_why(bench: Bench) -> None:
    while bench.printers["printer-5"].state().mode != "error":
        bench.now += timedelta(seconds=5)
    async with bench.client(5) as client:
        assert (await client.get("/api/printer")).status_code == 409
        job = (await client.get("/api/job")).json()
    assert (job["state"], job["error"]) == ("Error", "Heating failed: E1, system stopped")


# --- keys, sessions, cookies


async def test_a_key_of_another_printer_is_refused(bench: Bench) -> None:
    key = bench.printers["printer-2"].printer.api_key
    async with bench.client(1, key=False) as client:
        answer = await client.get("/api/version", headers={"X-Api-Key": key})
        assert (answer.status_code, answer.json()) == (403, {"error": FORBIDDEN})
        own = bench.printers["printer-1"].printer.api_key
        assert (await client.get("/api/version", headers={"Authorization": f"Bearer {own}"})).status_code == 200


async def test_a_post_with_an_unknown_key_is_taken_for_a_browser(bench: Bench) -> None:
    async with bench.client(1, key=False) as client:
        answer = await client.post("/api/login", json={"passive": True}, headers={"X-Api-Key": "wrong"})
    assert (answer.status_code, answer.json()) == (400, {"error": "CSRF validation failed"})


async def test_a_passive_login_gives_a_session(bench: Bench) -> None:
    async with bench.client(1) as client:
        found = (await client.post("/api/login", json={"passive": True})).json()
    assert (found["name"], found["apikey"], found["_login_mechanism"]) == ("_api", None, "apikey")
    assert bench.printers["printer-1"].sessions == {found["session"]: "_api"}
    assert bench.printers["printer-1"].logins == 1


async def test_an_interactive_login_needs_the_csrf_pair_and_a_failed_one_sets_a_cookie_too(bench: Bench) -> None:
    async with bench.client(1, key=False) as client:
        wrong = {"user": USER, "pass": "no"}
        assert (await client.post("/api/login", json=wrong)).status_code == 400
        await client.get("/")
        token = client.cookies["csrf_token_P5000"]
        headers = {"X-CSRF-Token": token}
        refused = await client.post("/api/login", json=wrong, headers=headers)
        assert (refused.status_code, refused.json()) == sample("octoprint-loginbad.txt")
        assert "session_P5000" in refused.cookies
        assert (await client.get("/api/version")).status_code == 403, "a cookie is no proof of a log-in"
        good = await client.post("/api/login", json={"user": USER, "pass": PASSWORD}, headers=headers)
        assert good.status_code == 200
        assert (await client.get("/api/version")).status_code == 200
        bench.printers["printer-1"].faults.expire_sessions()
        assert (await client.get("/api/version")).status_code == 403


# --- jobs and files


async def test_pause_resume_cancel(bench: Bench) -> None:
    async with bench.client(1) as client:

        async def say(**body: str) -> int:
            return (await client.post("/api/job", json=body)).status_code

        async def state() -> str:
            found: str = (await client.get("/api/job")).json()["state"]
            return found

        assert await say(command="start") == 409
        assert await say(command="pause", action="sleep") == 400
        assert await say(command="pause", action="pause") == 204
        assert await state() == "Paused"
        assert await say(command="pause", action="toggle") == 204
        assert await state() == "Printing"
        assert await say(command="restart") == 409
        assert await say(command="cancel") == 204
        assert await state() == "Operational"
        assert await say(command="cancel") == 409
        assert await say(command="start") == 204
        assert await state() == "Printing"


async def test_disconnect_and_connect(bench: Bench) -> None:
    async with bench.client(1) as client:
        assert (await client.post("/api/connection", json={"command": "disconnect"})).status_code == 204
        assert (await client.get("/api/printer")).status_code == 409
        assert (await client.post("/api/connection", json={"command": "connect", "port": "AUTO"})).status_code == 204
        assert (await client.get("/api/printer")).status_code == 200


async def test_what_is_excluded_is_left_out(bench: Bench) -> None:
    async with bench.client(1) as client:
        assert set((await client.get("/api/printer?exclude=temperature,sd")).json()) == {"state"}


async def test_files_have_a_tag_and_may_be_deleted_but_not_while_printed(bench: Bench) -> None:
    async with bench.client(1) as client:
        first = await client.get("/api/files?recursive=true")
        again = await client.get("/api/files", headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        names = [each["name"] for each in first.json()["files"]]
        assert len(names) == 6
        printed = (await client.get("/api/job")).json()["job"]["file"]["name"]
        other = next(name for name in names if name != printed)
        assert (await client.delete(f"/api/files/local/{printed}")).status_code == 409
        assert (await client.delete(f"/api/files/local/{other}")).status_code == 204
        assert (await client.delete(f"/api/files/local/{other}")).status_code == 404
        assert len((await client.get("/api/files")).json()["files"]) == 5
        bench.printers["printer-1"].faults.reset()
        assert len((await client.get("/api/files")).json()["files"]) == 6


# --- the socket


@dataclass
class Line:
    bench: Bench
    printer: OctoPrint
    socket: ClientConnection
    base: str

    async def hear(self) -> tuple[str, Any]:
        async with asyncio.timeout(10):
            ((kind, payload),) = json.loads(await self.socket.recv()).items()
        return kind, payload

    async def say(self, **message: Any) -> None:
        await self.socket.send(json.dumps(message))

    async def log_in(self) -> None:
        async with httpx.AsyncClient(base_url=self.base) as client:
            key = {"X-Api-Key": self.printer.printer.api_key}
            found = (await client.post("/api/login", json={"passive": True}, headers=key)).json()
        await self.say(auth=f"{found['name']}:{found['session']}")

    def go_on(self, seconds: float) -> None:
        self.bench.now += timedelta(seconds=seconds)
        self.printer.push.look()


@pytest.fixture
async def line(bench: Bench) -> AsyncIterator[Line]:
    printer = bench.printers["printer-1"]
    listener = Listener(application([printer]), "127.0.0.1", 0)
    await listener.start()
    base = f"127.0.0.1:{listener.port}/{printer.name}"
    try:
        async with connect(f"ws://{base}/sockjs/websocket", proxy=None) as socket:
            yield Line(bench, printer, socket, f"http://{base}")
    finally:
        printer.faults.close_sockets()
        await listener.stop()


def captured(kind: str) -> Any:
    for text in (SAMPLES / "octoprint-push-print.jsonl").read_text().splitlines():
        message = json.loads(text)
        if kind in message and not (kind == "current" and not message["current"]["temps"]):
            return message[kind]
    raise AssertionError(kind)


async def test_messages_have_the_shape_of_the_captured_ones(line: Line) -> None:
    kind, connected = await line.hear()
    assert kind == "connected"
    assert set(connected) == set(captured("connected"))
    await line.log_in()
    kind, history = await line.hear()
    assert kind == "history"
    assert set(history) == set(captured("history"))
    assert shape(history["temps"]) == shape(captured("history")["temps"])
    assert shape(history["state"]) == shape(captured("history")["state"])
    assert await line.hear() == ("timelapse", None)
    line.go_on(5)
    kind, current = await line.hear()
    assert kind == "current"
    assert shape({**current, "logs": [], "messages": [], "markings": []}) == shape(
        {**captured_printing(), "logs": [], "messages": [], "markings": []}
    )


def captured_printing() -> Any:
    lines = [json.loads(text) for text in (SAMPLES / "octoprint-push-print.jsonl").read_text().splitlines()]
    return next(each["current"] for each in lines if "current" in each and each["current"]["currentZ"] is not None)


async def test_nothing_is_said_before_a_session_is_shown(line: Line) -> None:
    assert (await line.hear())[0] == "connected"
    await line.say(subscribe={"state": True, "events": True, "plugins": []})
    await line.socket.send("nonsense")
    line.go_on(5)
    await line.say(auth="_api:nonsense")
    assert await line.hear() == ("reauthRequired", {"reason": "stale"})


async def test_current_comes_at_most_twice_a_second_and_slower_when_throttled(line: Line) -> None:
    await line.hear()
    await line.say(throttle=4)
    await line.log_in()
    assert [(await line.hear())[0] for _ in range(2)] == ["history", "timelapse"]
    times: list[float] = []
    line.go_on(0.25)
    times.append((await line.hear())[1]["serverTime"])
    for _ in range(3):
        for _ in range(8):
            line.go_on(0.25)
            await asyncio.sleep(0)
        times.append((await line.hear())[1]["serverTime"])
    assert all(later - earlier >= 2 for earlier, later in pairwise(times)), times


async def test_temperatures_come_every_two_seconds_else_the_list_is_empty(line: Line) -> None:
    await line.hear()
    await line.log_in()
    assert [(await line.hear())[0] for _ in range(2)] == ["history", "timelapse"]
    line.go_on(1)
    assert (await line.hear())[1]["temps"] == []
    line.go_on(1)
    (point,) = (await line.hear())[1]["temps"]
    assert point["chamber"] == {"actual": None, "target": None}
    assert point["time"] == int(line.bench.now.timestamp())


async def test_events_that_were_subscribed_come(line: Line) -> None:
    await line.hear()
    await line.log_in()
    assert [(await line.hear())[0] for _ in range(2)] == ["history", "timelapse"]
    await line.say(subscribe={"state": False, "events": ["PrintDone", "PrinterStateChanged"], "plugins": []})
    await line.log_in()
    assert await line.hear() == ("timelapse", None), "no history, and the subscription is in force"
    line.go_on(70)
    kind, event = await line.hear()
    assert (kind, event["type"], event["payload"]["name"]) == ("event", "PrintDone", "resistor_PRT-14420_r1.gcode")
    assert await line.hear() == (
        "event",
        {"type": "PrinterStateChanged", "payload": {"state_id": "OPERATIONAL", "state_string": "Operational"}},
    )


async def test_a_cancel_is_a_cancel_and_a_failure(line: Line) -> None:
    await line.hear()
    await line.log_in()
    assert [(await line.hear())[0] for _ in range(2)] == ["history", "timelapse"]
    async with httpx.AsyncClient(base_url=line.base) as client:
        key = {"X-Api-Key": line.printer.printer.api_key}
        assert (await client.post("/api/job", json={"command": "cancel"}, headers=key)).status_code == 204
    events: list[Any] = []
    while len(events) < 3:  # on a slow machine the printer tells how it is in between
        kind, told = await line.hear()
        events += [told] if kind == "event" else []
    assert [each["type"] for each in events] == ["PrintCancelled", "PrintFailed", "PrinterStateChanged"]
    assert events[1]["payload"]["reason"] == "cancelled"


async def test_expired_sessions_must_log_in_again(line: Line) -> None:
    await line.hear()
    await line.log_in()
    assert [(await line.hear())[0] for _ in range(2)] == ["history", "timelapse"]
    line.printer.faults.expire_sessions()
    assert await line.hear() == ("reauthRequired", {"reason": "stale"})
    line.go_on(5)
    await line.log_in()
    assert (await line.hear())[0] == "history"
    assert line.printer.logins == 2
