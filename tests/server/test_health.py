"""What machines look at: alive, ready, numbers; within a second, whatever hangs."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from connectors.traccar.mapping import CONNECTIVITIES
from runtime.store import StoreDown
from sandbox import traccar
from sandbox.standin import Failure
from sandbox.world import World
from server.health import Patient
from tests.connectors.contract import NOW
from tests.server.configs import KEYS, STORE, TWO_ORGANISATIONS, fleet
from tests.server.rig import NORTH, SOUTH, Served, eventually, served

ASK = {"query": "{ vehicles(first: 1) { nodes { id } } }"}


@pytest.fixture
async def vendor() -> traccar.Traccar:
    return traccar.create(World(lambda: NOW))


@pytest.fixture
async def server(tmp_path: Path, vendor: traccar.Traccar) -> AsyncIterator[Served]:
    config = STORE + TWO_ORGANISATIONS + fleet() + KEYS
    transports = {"fleet": httpx.ASGITransport(app=vendor.app)}
    async with served(config, tmp_path, live=False, transports=transports) as running:
        yield running


async def timed(server: Served, path: str) -> tuple[int, object, float]:
    started = time.perf_counter()
    answer = await server.http.get(path)
    return answer.status_code, answer.json(), time.perf_counter() - started


async def test_it_lives_and_is_ready(server: Served) -> None:
    assert (await timed(server, "/health/live"))[:2] == (200, {"live": True})
    assert (await timed(server, "/health/ready"))[:2] == (200, {"ready": True})


async def test_a_vendor_that_hangs_is_no_reason_to_say_no(server: Served, vendor: traccar.Traccar) -> None:
    vendor.faults.delay_ms = 60_000
    headers = {"X-API-Key": NORTH}
    hanging = [asyncio.create_task(server.http.post("/graphql", json=ASK, headers=headers)) for _ in range(20)]
    await eventually(lambda: vendor.faults.total_calls())
    for path, told in (("/health/live", {"live": True}), ("/health/ready", {"ready": True})):
        status, body, seconds = await timed(server, path)
        assert (status, body) == (200, told)
        assert seconds < 0.5
    for task in hanging:
        task.cancel()
    await asyncio.gather(*hanging, return_exceptions=True)


async def test_a_database_that_is_locked_can_still_be_read(server: Served, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "crossdock.db", isolation_level=None, timeout=30, check_same_thread=False)
    await asyncio.to_thread(other.execute, "BEGIN EXCLUSIVE")  # the server may be writing just now: let it finish
    writing = asyncio.create_task(server.parts.inbox.release())
    status, body, seconds = await timed(server, "/health/ready")
    assert (status, body) == (200, {"ready": True})
    assert seconds < 0.5
    assert not writing.done()
    other.execute("ROLLBACK")
    other.close()
    await writing


async def test_a_database_that_hangs_is_told_within_a_second(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0

    async def hang() -> None:
        nonlocal asked
        asked += 1
        await asyncio.Event().wait()

    monkeypatch.setattr(server.parts.health._ping, "_ask", hang)
    for _ in range(3):
        status, body, seconds = await timed(server, "/health/ready")
        assert (status, body) == (503, {"ready": False, "reason": "the store does not answer in time"})
        assert seconds < 1
        assert (await timed(server, "/health/live"))[0] == 200
    assert asked == 1, "a database that hangs is not asked again and again"


async def test_a_database_that_is_away_is_told(server: Served) -> None:
    await server.parts.database.aclose()
    assert (await timed(server, "/health/ready"))[:2] == (
        503,
        {"ready": False, "reason": "the store cannot be reached"},
    )
    assert (await timed(server, "/health/live"))[0] == 200
    assert (await server.http.get("/metrics", headers={"X-API-Key": NORTH})).status_code == 200


async def test_a_server_that_stops_is_not_ready(server: Served) -> None:
    server.parts.health.stop()
    status, body, _ = await timed(server, "/health/ready")
    assert (status, body) == (503, {"ready": False, "reason": "the server is being stopped"})


async def test_who_comes_meanwhile_waits_for_the_same_answer() -> None:
    asked = 0
    gate = asyncio.Event()

    async def ask() -> int:
        nonlocal asked
        asked += 1
        await gate.wait()
        return asked

    patient = Patient(ask)
    with pytest.raises(TimeoutError):
        await patient(0.01)
    both = asyncio.gather(patient(5), patient(5))
    await asyncio.sleep(0)
    gate.set()
    assert await both == [1, 1]
    assert await patient(5) == 2
    await patient.aclose()


async def test_what_the_question_raises_is_raised() -> None:
    async def ask() -> None:
        raise StoreDown("away")

    with pytest.raises(StoreDown):
        await Patient(ask)()


# --- numbers


async def test_who_may_see_the_numbers(server: Served) -> None:
    nobody = await server.http.get("/metrics")
    assert (nobody.status_code, nobody.json()["errors"][0]["extensions"]["code"]) == (401, "UNAUTHENTICATED")
    south = await server.http.get("/metrics", headers={"X-API-Key": SOUTH})
    assert south.status_code == 403
    assert south.json()["errors"][0]["message"] == "the caller lacks the scope `metrics`"
    north = await server.http.get("/metrics", headers={"X-API-Key": NORTH})
    assert north.status_code == 200
    assert north.headers["content-type"].startswith("text/plain; version=")


async def test_without_auth_everybody_here_sees_the_numbers(tmp_path: Path) -> None:
    async with served(STORE, tmp_path, live=False) as server:
        assert (await server.http.get("/metrics")).status_code == 200


async def test_operations_are_counted_by_kind_and_end(server: Served, vendor: traccar.Traccar) -> None:
    headers = {"X-API-Key": NORTH}
    for query in (
        "{ __typename }",
        "{ vehicles(first: 1) { nodes { id } } }",
        "{ nonsense }",
        "{ syntax",
        '{ vehicle(id: "no id") { id } }',
    ):
        await server.ask(query, **headers)
    vendor.faults.fail_next += [Failure(400, body="x")] * 4
    await server.ask("{ vehicles(first: 1) { nodes { id } } geofences { nodes { id } } }", **headers)
    counted = {
        (kind, outcome): server.number("crossdock_graphql_operations_total", type=kind, outcome=outcome)
        for kind in ("query", "subscription", "unknown")
        for outcome in ("ok", "partial", "failed", "refused")
    }
    assert {key: count for key, count in counted.items() if count} == {
        ("query", "ok"): 2,
        ("query", "partial"): 1,
        ("query", "failed"): 1,
        ("query", "refused"): 1,
        ("unknown", "refused"): 1,
    }
    assert server.number("crossdock_graphql_operation_seconds_count", type="query", outcome="ok") == 2
    text = (await server.http.get("/metrics", headers=headers)).text
    assert "nonsense" not in text, "no label that a caller can make up"


async def test_a_subscription_is_counted_while_it_is_open_and_when_it_ends(server: Served) -> None:
    headers = {"X-API-Key": NORTH, "Accept": "text/event-stream"}
    body = {"query": "subscription { vehicleChanged { name } }"}
    async with server.http.stream("POST", "/graphql", json=body, headers=headers) as answer:
        async for line in answer.aiter_lines():
            if line.startswith("data"):
                break
        assert server.number("crossdock_subscriptions_open") == 1
        assert server.number("crossdock_graphql_operations_total", type="subscription", outcome="ok") == 0
    await eventually(lambda: server.number("crossdock_subscriptions_open") == 0)
    assert server.number("crossdock_graphql_operations_total", type="subscription", outcome="ok") == 1


async def test_calls_and_breakers_are_counted_by_integration(server: Served, vendor: traccar.Traccar) -> None:
    headers = {"X-API-Key": NORTH}

    async def breaker() -> str:
        text = (await server.http.get("/metrics", headers=headers)).text
        states = [line for line in text.splitlines() if line.startswith("crossdock_breaker_state{")]
        [line] = [line for line in states if line.endswith(" 1.0")]
        return line

    assert await breaker() == 'crossdock_breaker_state{crossdock_breaker_state="CLOSED",integration="fleet"} 1.0'
    await server.ask(ASK["query"], **headers)
    assert server.number("crossdock_vendor_calls_total", integration="fleet", outcome="ok") == 2
    vendor.faults.down = True
    asking = asyncio.create_task(server.http.post("/graphql", json=ASK, headers=headers))
    while not asking.done():
        server.clock.go_on(1)
        await asyncio.sleep(0.005)
    assert 'state="OPEN"' in await breaker()
    server.clock.go_on(60)
    assert 'state="HALF_OPEN"' in await breaker()


async def test_codes_that_no_table_knows_are_counted(server: Served) -> None:
    """With the code, so that an operator sees what to add to the table; the tables bound how many there are."""
    _ = CONNECTIVITIES["asleep"]
    shown = (await server.http.get("/metrics", headers={"X-API-Key": NORTH})).text
    counts = [line for line in shown.splitlines() if line.startswith("crossdock_unknown_codes_total{")]
    assert [line for line in counts if 'system="traccar",value="asleep"' in line] == [
        'crossdock_unknown_codes_total{field="Connectivity",system="traccar",value="asleep"} '
        f"{float(CONNECTIVITIES.seen['asleep'])}"
    ]
    assert shown.count("# TYPE crossdock_unknown_codes_total counter") == 1
