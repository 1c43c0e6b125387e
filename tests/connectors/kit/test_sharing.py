"""Identical reads share one call; the last good answers and their bounds."""

import asyncio
import gc
import weakref
from collections.abc import Callable

import httpx
import pytest

from connectors.kit.errors import NotFound, VendorDown
from connectors.kit.resilience import LastGood
from connectors.kit.services import Reading, current_reading
from tests.connectors.contract import NOW
from tests.connectors.kit.peer import Made, scripted


class Held:
    """A vendor that answers when the gate opens."""

    def __init__(self, answer: Callable[[], httpx.Response] = lambda: httpx.Response(200, json={"n": 1})) -> None:
        self.gate = asyncio.Event()
        self.answer = answer
        self.cancelled = 0

    async def __call__(self, _: httpx.Request) -> httpx.Response:
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return self.answer()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def requests(made: Made) -> int:
    assert made.wire is not None
    return len(made.wire.requests)


async def test_identical_reads_in_flight_are_one_call() -> None:
    vendor = Held()
    made = scripted(vendor)
    reads = [asyncio.create_task(made.api.get("/x", dict, params={"a": "1"})) for _ in range(50)]
    await settle()
    vendor.gate.set()
    answers = await asyncio.gather(*reads)
    assert [each.value for each in answers] == [{"n": 1}] * 50
    assert requests(made) == 1
    await made.api.get("/x", dict, params={"a": "1"})
    assert requests(made) == 2, "what is finished is not shared"


async def test_an_answer_that_is_shared_is_nobodys_to_change() -> None:
    vendor = Held()
    made = scripted(vendor)
    reads = [asyncio.create_task(made.api.get("/x", dict)) for _ in range(2)]
    await settle()
    vendor.gate.set()
    first, second = await asyncio.gather(*reads)
    first.value["n"] = 2
    assert second.value == {"n": 1}


async def test_reads_that_differ_are_not_shared() -> None:
    """In method, address, body or any header: a language, a tenant, somebody's own credential."""
    vendor = Held()
    made = scripted(vendor)
    api = made.api
    calls = [
        api.build("GET", "/x"),
        api.build("GET", "/y"),
        api.build("GET", "/x", params={"a": 1}),
        api.build("POST", "/x"),
        api.build("POST", "/x", json={"ids": [1]}),
        api.build("POST", "/x", json={"ids": [2]}),
        api.build("GET", "/x", headers={"Accept-Language": "de"}),
        api.build("GET", "/x", headers={"X-Tenant": "ann"}),
        api.build("GET", "/x", headers={"X-Tenant": "bob"}),
        api.build("GET", "/x", headers={"Authorization": "Bearer ann"}),
    ]
    reads = [asyncio.create_task(api.read(each, dict)) for each in calls]
    await settle()
    assert requests(made) == len(calls)
    vendor.gate.set()
    await asyncio.gather(*reads)


async def test_a_failure_is_shared_too() -> None:
    vendor = Held(lambda: httpx.Response(404))
    made = scripted(vendor)
    reads = [asyncio.create_task(made.api.get("/x", dict)) for _ in range(3)]
    await settle()
    vendor.gate.set()
    results = await asyncio.gather(*reads, return_exceptions=True)
    assert [type(each) for each in results] == [NotFound] * 3
    assert requests(made) == 1


async def test_one_who_gives_up_does_not_take_the_answer_from_the_others() -> None:
    vendor = Held()
    made = scripted(vendor)
    first, second = (asyncio.create_task(made.api.get("/x", dict)) for _ in range(2))
    await settle()
    first.cancel()
    await settle()
    assert vendor.cancelled == 0
    vendor.gate.set()
    assert (await second).value == {"n": 1}
    assert first.cancelled()


async def test_when_all_have_given_up_the_call_ends() -> None:
    vendor = Held()
    made = scripted(vendor)
    reads = [asyncio.create_task(made.api.get("/x", dict)) for _ in range(3)]
    await settle()
    for each in reads:
        each.cancel()
    await asyncio.gather(*reads, return_exceptions=True)
    await settle()
    assert vendor.cancelled == 1


async def test_who_comes_while_a_call_is_being_given_up_gets_one_of_his_own() -> None:
    """The newcomer must not be cancelled with those who gave up."""
    vendor = Held()
    made = scripted(vendor)
    first = asyncio.create_task(made.api.get("/x", dict))
    await settle()
    first.cancel()
    second = asyncio.create_task(made.api.get("/x", dict))  # runs after the cancellation, before the call has ended
    await settle()
    vendor.gate.set()
    assert (await second).value == {"n": 1}
    assert requests(made) == 2


async def test_nothing_of_a_read_stays_behind() -> None:
    made = scripted(httpx.Response(200, json={"n": 1}))
    for number in range(100):
        await made.api.get(f"/{number}", dict)
    await settle()
    assert made.api._flights == {}


async def test_an_api_that_nobody_holds_goes_away() -> None:
    """The health page keeps its breaker by a weak reference only."""
    made = scripted(httpx.Response(200, json={}))
    await made.api.get("/x", dict)
    await made.api.aclose()
    gone, services = weakref.ref(made.api), made.api.services
    del made
    gc.collect()
    assert gone() is None
    assert services.vitals.of("depot").ways == 0


async def test_the_reading_of_the_first_counts_the_call_and_each_notes_what_is_stale() -> None:
    made = scripted(httpx.Response(200, json={"n": 1}), httpx.Response(503))
    await made.api.get("/x", dict)
    made.clock.passed += 60
    readings: list[Reading] = []

    async def read() -> bool:
        readings.append(Reading())
        current_reading.set(readings[-1])
        return (await made.api.get("/x", dict)).origin.stale

    assert await asyncio.gather(read(), read()) == [True, True]
    assert [each.calls for each in readings] == [3, 0]
    assert [each.stale_as_of for each in readings] == [NOW, NOW]
    assert all(isinstance(each.stale_error, VendorDown) for each in readings)


def test_a_reading_keeps_the_oldest_of_what_is_stale() -> None:
    reading = Reading()
    old, new = VendorDown("old"), VendorDown("new")
    reading.note_stale(NOW, new)
    reading.note_stale(NOW.replace(year=2025), old)
    reading.note_stale(NOW, new)
    assert (reading.stale_as_of, reading.stale_error) == (NOW.replace(year=2025), old)


# --- bounds of the last good answers


def kept(store: LastGood, keys: str) -> str:
    return "".join(key for key in keys if store.get(key) is not None)


def test_the_least_recently_used_goes_first() -> None:
    store = LastGood(count=3)
    for key in "abc":
        store.put(key, b"1", NOW)
    store.get("a")
    store.put("d", b"1", NOW)
    assert kept(store, "abcd") == "acd"


def test_bytes_have_a_bound() -> None:
    store = LastGood(total=100, largest=50)
    for key in "abcd":
        store.put(key, b"x" * 30, NOW)
    assert kept(store, "abcd") == "bcd"
    store.put("e", b"x" * 50, NOW)
    assert kept(store, "bcde") == "de"


def test_what_is_replaced_or_dropped_gives_its_bytes_back() -> None:
    store = LastGood(total=100)
    for _ in range(10):
        store.put("a", b"x" * 60, NOW)
    store.put("b", b"x" * 40, NOW)
    assert kept(store, "ab") == "ab"
    store.drop("a")
    store.drop("a")
    store.put("c", b"x" * 60, NOW)
    assert kept(store, "abc") == "bc"


def test_an_answer_that_is_too_large_replaces_the_old_one_by_none() -> None:
    """Better no answer than one that is known to be older than what the vendor said last."""
    store = LastGood(largest=10)
    store.put("a", b"x", NOW)
    store.put("a", b"x" * 11, NOW)
    assert store.get("a") is None


@pytest.mark.parametrize("size", [0, 10])
def test_the_bound_itself_is_kept(size: int) -> None:
    store = LastGood(largest=10, total=10)
    store.put("a", b"x" * size, NOW)
    good = store.get("a")
    assert good is not None
    assert (good.body, good.as_of) == (b"x" * size, NOW)
