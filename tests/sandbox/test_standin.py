"""What all stand-ins share: faults over transports and real sockets, the control endpoints, the runner."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import types
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket, WebSocketDisconnect

from sandbox.registry import application, load
from sandbox.serving import Listener
from sandbox.standin import BODY_KEPT, COUNTERS, RECENT, Dropped, Failure, FaultLayer, Faults, StandIn
from sandbox.world import World

ROOT = Path(__file__).parents[2]
TEXT = "0123456789" * 10


class Sleeps(list[float]):
    """Instead of sleeping: remembers how long it would have been."""

    async def __call__(self, seconds: float) -> None:
        self.append(seconds)


@pytest.fixture
def server_errors() -> Iterator[list[str]]:
    """What the server of a stand-in says on its own. A filter hears it: every start takes the handlers away."""
    lines: list[str] = []

    def hear(record: logging.LogRecord) -> bool:
        lines.append(record.getMessage())
        return True

    log = logging.getLogger("uvicorn.error")
    log.addFilter(hear)
    yield lines
    log.removeFilter(hear)


async def _text(request: Request) -> Response:
    return Response(TEXT, media_type="text/plain")


async def _echo(request: Request) -> Response:
    return JSONResponse(
        {"root": request.scope["root_path"], "id": request.path_params["id"], "got": (await request.body()).decode()}
    )


async def _talk(socket: WebSocket) -> None:
    await socket.accept()
    with contextlib.suppress(asyncio.CancelledError):
        await socket.send_text("hello")
    with contextlib.suppress(WebSocketDisconnect):
        await socket.receive_text()


def vendor() -> Starlette:
    return Starlette(
        routes=[
            Route("/text", _text),
            Mount("/api", routes=[Route("/things/{id}", _echo, methods=["GET", "POST"])]),
            WebSocketRoute("/socket", _talk),
        ]
    )


def stand_in(name: str = "acme", **more: Any) -> StandIn:
    return StandIn(name, vendor(), Faults(request_id_header="acme-request-id", sleep=Sleeps()), **more)


def in_process(app: ASGIApp, client: str = "127.0.0.1") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, client=(client, 50000))
    return httpx.AsyncClient(transport=transport, base_url="http://sandbox")


@pytest.fixture
async def acme() -> StandIn:
    return stand_in()


@pytest.fixture
async def client(acme: StandIn) -> AsyncIterator[httpx.AsyncClient]:
    async with in_process(acme.app) as opened:
        yield opened


@contextlib.asynccontextmanager
async def listening(app: ASGIApp) -> AsyncIterator[int]:
    listener = Listener(app, "127.0.0.1", 0)
    await listener.start()
    try:
        yield listener.port
    finally:
        await listener.stop()


@pytest.fixture
async def socket_client(acme: StandIn) -> AsyncIterator[httpx.AsyncClient]:
    """The same stand-in, over a real connection."""
    async with listening(acme.app) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as opened:
        yield opened


@pytest.fixture(params=["in process", "socket"])
async def any_client(request: pytest.FixtureRequest, acme: StandIn) -> AsyncIterator[httpx.AsyncClient]:
    if request.param == "in process":
        async with in_process(acme.app) as opened:
            yield opened
    else:
        async with listening(acme.app) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as opened:
            yield opened


async def test_calls_are_counted_by_template(acme: StandIn, client: httpx.AsyncClient) -> None:
    await client.get("/api/things/1")
    await client.get("/api/things/2?full=1")
    await client.post("/api/things/2", content=b"abc", headers={"Authorization": "Bearer secret", "If-Match": "7"})
    await client.get("/nowhere")
    assert acme.faults.calls == {
        ("GET", "/api/things/{id}"): 2,
        ("POST", "/api/things/{id}"): 1,
        ("GET", "/nowhere"): 1,
    }
    seen = acme.faults.recent[2]
    assert (seen.method, seen.path, seen.body, seen.status) == ("POST", "/api/things/2", b"abc", 200)
    assert (seen.headers["authorization"], seen.headers["if-match"]) == ("***", "7")
    assert [one.status for one in acme.faults.recent] == [200, 200, 200, 404]
    assert acme.faults.recent[1].query == "full=1"


async def test_what_is_remembered_is_bounded(acme: StandIn, client: httpx.AsyncClient) -> None:
    for n in range(COUNTERS + 20):
        await client.get(f"/made-up/{n}")
    await client.post("/api/things/1", content=b"x" * (BODY_KEPT + 100))
    assert len(acme.faults.calls) == COUNTERS + 1
    assert acme.faults.calls["*", "(others)"] == 21
    assert len(acme.faults.recent) == RECENT
    assert len(acme.faults.recent[-1].body) == BODY_KEPT


async def test_a_template_of_ones_own() -> None:
    one = StandIn("acme", vendor(), template=lambda method, path: "/things" if path.startswith("/api") else None)
    async with in_process(one.app) as client:
        await client.get("/api/things/1")
        await client.get("/text")
    assert one.faults.calls == {("GET", "/things"): 1, ("GET", "/text"): 1}


async def test_planned_failures_come_in_order_and_then_it_is_well_again(
    acme: StandIn, any_client: httpx.AsyncClient
) -> None:
    acme.faults.fail_next = [
        Failure(429, {"Retry-After": "3"}, {"error": "slow down"}),
        JSONResponse({"error": "own"}, 502),
        Failure(200, body="<html>log in</html>"),
    ]
    answers = [await any_client.get("/text") for _ in range(4)]
    assert [one.status_code for one in answers] == [429, 502, 200, 200]
    assert (answers[0].headers["retry-after"], answers[0].json()) == ("3", {"error": "slow down"})
    assert answers[1].json() == {"error": "own"}
    assert [one.text for one in answers[2:]] == ["<html>log in</html>", TEXT]
    assert acme.faults.calls == {("GET", "/text"): 4}
    assert [one.status for one in acme.faults.recent] == [429, 502, 200, 200]


async def test_a_failure_waits_for_its_path_and_method(acme: StandIn, client: httpx.AsyncClient) -> None:
    acme.faults.fail_next = [Failure(500, method="POST", path="/things/"), Failure(503)]
    assert (await client.get("/api/things/1")).status_code == 503
    assert (await client.get("/api/things/1")).status_code == 200
    assert (await client.post("/api/things/1")).status_code == 500
    assert acme.faults.fail_next == []


async def test_delays(acme: StandIn, client: httpx.AsyncClient) -> None:
    sleeps = Sleeps()
    acme.faults.sleep = sleeps
    acme.faults.delay_ms = 1500
    acme.faults.fail_next = [Failure(delay_s=4.0), Failure(500, delay_s=2.0)]
    answers = [await client.get("/text") for _ in range(2)]
    assert [one.status_code for one in answers] == [200, 500]
    assert sleeps == [1.5, 4.0, 1.5, 2.0]


async def test_down_answers_503_with_the_vendors_request_id(acme: StandIn, any_client: httpx.AsyncClient) -> None:
    acme.faults.fail_next = [Failure(500)]
    acme.faults.down = True
    answers = [await any_client.get("/text") for _ in range(2)]
    assert [one.status_code for one in answers] == [503, 503]
    assert [one.headers["acme-request-id"] for one in answers] == ["sandbox-000001", "sandbox-000002"]
    acme.faults.down = False
    assert [(await any_client.get("/text")).status_code for _ in range(2)] == [500, 200]


async def test_half_a_body_breaks_off(acme: StandIn, any_client: httpx.AsyncClient) -> None:
    acme.faults.half_body = 1
    with pytest.raises(httpx.RemoteProtocolError):
        await any_client.get("/text")
    assert (await any_client.get("/text")).text == TEXT
    assert acme.faults.recent[0].status == 200


async def test_half_a_body_on_the_wire(acme: StandIn) -> None:
    """Content-Length tells the whole, exactly half of it comes, then the connection ends."""
    acme.faults.fail_next = [Failure(half_body=True)]
    async with listening(acme.app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /text HTTP/1.1\r\nHost: x\r\n\r\n")
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert head.lower().count(b"content-length: 100") == 1
    assert body == TEXT[:50].encode()


async def test_half_of_a_planned_answer(acme: StandIn, socket_client: httpx.AsyncClient) -> None:
    acme.faults.fail_next = [Failure(500, body={"error": "x"}, half_body=True)]
    with pytest.raises(httpx.RemoteProtocolError, match="received 7 bytes, expected 14"):
        await socket_client.get("/text")


async def test_a_dropped_connection(acme: StandIn, any_client: httpx.AsyncClient) -> None:
    acme.faults.fail_next = [Failure(drop=True)]
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        await any_client.get("/text")
    assert acme.faults.recent[0].status is None
    assert (await any_client.get("/text")).status_code == 200


async def test_cutting_leaves_no_word_in_the_servers_log(
    acme: StandIn, socket_client: httpx.AsyncClient, server_errors: list[str]
) -> None:
    acme.faults.fail_next = [Failure(drop=True), Failure(half_body=True)]
    for _ in range(2):
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await socket_client.get("/text")
    assert server_errors == []


async def test_in_process_a_drop_is_what_httpx_would_raise() -> None:
    assert issubclass(Dropped, httpx.RemoteProtocolError)


async def test_open_sockets_end_when_it_goes_down(acme: StandIn, server_errors: list[str]) -> None:
    async with listening(acme.app) as port:
        async with websockets.connect(f"ws://127.0.0.1:{port}/socket") as socket:
            assert await socket.recv() == "hello"
            acme.faults.down = True
            with pytest.raises(websockets.ConnectionClosedError) as closed:
                await socket.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1012
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(f"ws://127.0.0.1:{port}/socket")
        assert refused.value.response.status_code == 503
        assert refused.value.response.headers["acme-request-id"] == "sandbox-000002"
        acme.faults.down = False
        async with websockets.connect(f"ws://127.0.0.1:{port}/socket") as socket:
            assert await socket.recv() == "hello"
    assert acme.faults.calls == {("WEBSOCKET", "/socket"): 3}
    assert server_errors == [], "what a stand-in does on purpose is no error of its server"


async def test_a_handshake_under_way_is_refused_when_it_goes_down(server_errors: list[str]) -> None:
    begun = asyncio.Event()

    async def slow(socket: WebSocket) -> None:
        begun.set()
        await asyncio.Event().wait()

    one = StandIn("acme", Starlette(routes=[WebSocketRoute("/socket", slow)]))
    async with listening(one.app) as port:

        async def connect() -> None:
            await websockets.connect(f"ws://127.0.0.1:{port}/socket")

        coming = asyncio.create_task(connect())
        await begun.wait()
        one.faults.down = True
        with pytest.raises(websockets.InvalidStatus) as refused:
            await coming
        assert refused.value.response.status_code == 503
    assert server_errors == []


async def test_hooks_are_called(acme: StandIn) -> None:
    called: list[str] = []
    acme.faults.when_sessions_expire(lambda: called.append("sessions"))
    acme.faults.when_sockets_close(lambda: called.append("sockets"))
    acme.faults.when_reset(lambda: called.append("reset"))
    acme.faults.expire_sessions()
    acme.faults.down = True
    acme.faults.down = True
    acme.faults.reset()
    assert called == ["sessions", "sockets", "reset"]


# The sandbox as a whole


@pytest.fixture
async def both() -> list[StandIn]:
    return [stand_in("acme/east"), stand_in("acme/west"), stand_in("other", mounted=False)]


@pytest.fixture
async def sandbox(both: list[StandIn]) -> AsyncIterator[httpx.AsyncClient]:
    async with in_process(application(both)) as opened:
        yield opened


async def test_a_stand_in_answers_below_its_prefix(sandbox: httpx.AsyncClient, both: list[StandIn]) -> None:
    answer = await sandbox.get("/acme/east/api/things/7")
    assert answer.json() == {"root": "/acme/east/api", "id": "7", "got": ""}
    assert both[0].faults.calls == {("GET", "/api/things/{id}"): 1}
    assert both[0].faults.recent[0].path == "/api/things/7"
    assert (both[1].faults.calls, (await sandbox.get("/other/text")).status_code) == ({}, 404)


async def test_control_tells_what_runs(sandbox: httpx.AsyncClient) -> None:
    await sandbox.get("/acme/east/text")
    told = (await sandbox.get("/_control")).json()["stand_ins"]
    assert [one["name"] for one in told] == ["acme/east", "acme/west", "other"]
    assert told[0] == {
        "name": "acme/east",
        "prefix": "/acme/east",
        "addresses": [],
        "down": False,
        "delay_ms": 0,
        "fail_next": 0,
        "half_body": 0,
        "calls": {"GET /text": 1},
    }
    assert told[2]["prefix"] is None
    (detail,) = (await sandbox.get("/_control/acme/east")).json()["stand_ins"]
    assert [(one["path"], one["status"]) for one in detail["recent"]] == [("/text", 200)]


async def test_control_takes_one_down_and_brings_it_back(sandbox: httpx.AsyncClient) -> None:
    (told,) = (await sandbox.post("/_control/acme/west", json={"down": True})).json()["stand_ins"]
    assert told["down"] is True
    assert (await sandbox.get("/acme/west/text")).status_code == 503
    assert (await sandbox.get("/acme/east/text")).status_code == 200
    await sandbox.post("/_control/acme/west", json={"down": False})
    assert (await sandbox.get("/acme/west/text")).status_code == 200


async def test_control_reaches_all_below_a_name(sandbox: httpx.AsyncClient, both: list[StandIn]) -> None:
    expired: list[str] = []
    for one in both:
        one.faults.when_sessions_expire(partial(expired.append, one.name))
    await sandbox.post("/_control/acme", json={"delay_ms": 20, "half_body": 2, "expire_sessions": True})
    assert [(one.faults.delay_ms, one.faults.half_body) for one in both] == [(20, 2), (20, 2), (0, 0)]
    assert expired == ["acme/east", "acme/west"]
    await sandbox.post("/_control/acme", json={"reset": True})
    assert [(one.faults.delay_ms, one.faults.half_body) for one in both] == [(0, 0)] * 3


async def test_control_plans_failures(sandbox: httpx.AsyncClient, both: list[StandIn]) -> None:
    planned = [{"status": 429, "headers": {"Retry-After": "3"}, "times": 2}, {"drop": True, "method": "post"}]
    await sandbox.post("/_control/acme/east", json={"fail_next": planned})
    answers = [await sandbox.get("/acme/east/text") for _ in range(3)]
    assert [one.status_code for one in answers] == [429, 429, 200]
    assert [one.headers.get("retry-after") for one in answers] == ["3", "3", None]
    assert both[0].faults.fail_next == [Failure(drop=True, method="POST", body="")]


KNOWN = "down, delay_ms, fail_next, half_body, expire_sessions, close_sockets, reset"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"dwon": True}, f"control: unknown dwon; known are {KNOWN}"),
        ({"down": "yes"}, "down: expected true or false, got 'yes'"),
        ({"delay_ms": -1}, "delay_ms: expected a whole number from 0 to 60000, got -1"),
        ({"delay_ms": True}, "delay_ms: expected a whole number from 0 to 60000, got True"),
        ({"reset": False}, "reset: expected true, got False"),
        ({"fail_next": {}}, "fail_next: expected a list, got {}"),
        ({"fail_next": [{"status": 429}, 7]}, "fail_next[1]: expected an object, got 7"),
        ({"fail_next": [{"state": 1}]}, None),
        ({"fail_next": [{}]}, "fail_next[0]: says nothing to do; give status, drop, half_body or delay_ms"),
        ({"fail_next": [{"status": 99}]}, "fail_next[0].status: expected a whole number from 200 to 599, got 99"),
        ({"fail_next": [{"status": 500, "times": 900}] * 2}, "fail_next: more than 1000 in all"),
        ([], "expected a JSON object, got []"),
    ],
)
async def test_a_wrong_change_changes_nothing(
    sandbox: httpx.AsyncClient, both: list[StandIn], body: object, text: str | None
) -> None:
    if isinstance(body, dict) and "down" not in body:
        body = {**body, "down": True}
    answer = await sandbox.post("/_control/acme/east", json=body)
    assert answer.status_code == 400
    known = "status, headers, body, delay_ms, half_body, drop, method, path, times"
    assert answer.json() == {"error": text or f"fail_next[0]: unknown state; known are {known}"}
    assert (both[0].faults.down, both[0].faults.fail_next) == (False, [])


async def test_control_refuses(sandbox: httpx.AsyncClient, both: list[StandIn]) -> None:
    unknown = await sandbox.post("/_control/nobody", json={"down": True})
    assert (unknown.status_code, unknown.json()) == (
        404,
        {"error": "no stand-in 'nobody'; running are acme/east, acme/west, other"},
    )
    headers = {"Content-Type": "text/plain"}
    assert (await sandbox.post("/_control/other", content=b'{"down": true}', headers=headers)).status_code == 415
    headers = {"Content-Type": "application/json"}
    assert (await sandbox.post("/_control/other", content=b"{", headers=headers)).status_code == 400
    assert (await sandbox.post("/_control/other", content=b" " * 70_000, headers=headers)).status_code == 413
    async with in_process(application(both), client="192.0.2.7") as stranger:
        assert (await stranger.get("/_control")).status_code == 403
        assert (await stranger.post("/_control/other", json={"down": True})).status_code == 403
        assert (await stranger.get("/acme/east/text")).status_code == 200
    assert both[2].faults.down is False


async def test_the_page_shows_the_lines_to_type(sandbox: httpx.AsyncClient) -> None:
    page = await sandbox.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    line = "curl -H &#x27;Content-Type: application/json&#x27; http://sandbox/_control/acme/east -d"
    assert f"{line} &#x27;{{&quot;down&quot;: true}}&#x27;" in page.text


async def test_names_must_differ() -> None:
    with pytest.raises(ValueError, match="stand-ins with the same name: acme, acme"):
        application([stand_in(), stand_in()])


# Loading and running


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    made = types.ModuleType("sandbox.made_up")
    monkeypatch.setitem(sys.modules, "sandbox.made_up", made)
    return made


def test_modules_get_common_options_and_their_own(module: types.ModuleType) -> None:
    got: list[dict[str, Any]] = []

    def create(world: World, **options: Any) -> list[StandIn]:
        got.append(options)
        return [stand_in("a"), stand_in("b")]

    module.create = create  # type: ignore[attr-defined]
    options: dict[str, dict[str, Any]] = {"": {"host": "h"}, "made_up": {"port": 1}, "another": {"port": 2}}
    missing: list[str] = []
    found = load(World(), options, modules=("made_up", "not_there"), missing=missing.append)
    assert [one.name for one in found] == ["a", "b"]
    assert (got, missing) == ([{"host": "h", "port": 1}], ["not_there"])
    with pytest.raises(ModuleNotFoundError):
        load(World(), {}, modules=("not_there",))


async def test_start_and_stop_go_with_the_application() -> None:
    told: list[str] = []

    class Told(StandIn):
        async def start(self) -> None:
            told.append(f"{self.name} starts")

        async def stop(self) -> None:
            told.append(f"{self.name} stops")

    app = application([Told("a", vendor()), Told("b", vendor())])
    async with app.router.lifespan_context(app):
        assert told == ["a starts", "b starts"]
    assert told[2:] == ["b stops", "a stops"]


async def test_a_port_that_is_taken_is_told() -> None:
    async with listening(vendor()) as port:
        with pytest.raises(RuntimeError, match=f"cannot listen on 127.0.0.1:{port}"):
            await Listener(vendor(), "127.0.0.1", port).start()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_runner_says_when_it_is_ready_and_ends_cleanly(number: signal.Signals, tmp_path: Path) -> None:
    """With no stand-in at all: the modules are looked for in a place where none is."""
    code = "import sys, sandbox.__main__ as m; m.MODULES = (); sys.exit(m.main(sys.argv[1:]))"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, "--port", "0", "--state-dir", str(tmp_path)),
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        line = (await process.stdout.readline()).decode().strip()
        assert line.startswith("sandbox ready on http://127.0.0.1:")
        async with httpx.AsyncClient(base_url=line.removeprefix("sandbox ready on ")) as client:
            assert (await client.get("/_control")).json() == {"stand_ins": []}
    finally:
        process.send_signal(number)
        rest = await process.communicate()
    assert (process.returncode, rest) == (0, (b"", b""))


async def test_the_layer_leaves_lifespan_alone() -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    await FaultLayer(app, Faults())({"type": "lifespan"}, None, None)  # type: ignore[arg-type]
    assert seen == ["lifespan"]
