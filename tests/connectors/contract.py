"""The contract that every connector passes, against its vendor's stand-in.

A subclass gives `system`, a `build` that makes the connector over a stand-in, and `first_read`, one signed read
with its expected path of failure. A rule that a connector cannot meet is overridden and skipped with a reason.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest

from connectors.kit.errors import (
    AuthFailed,
    BadPayload,
    ConnectorError,
    RateLimited,
    VendorDown,
    VendorError,
)
from connectors.kit.protocols import LISTINGS, Connector, can_list, can_read
from connectors.kit.registry import connector_class
from connectors.kit.services import Services
from sandbox.standin import Failure
from unified import records
from unified.queries import ListQuery
from unified.values import System

NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)


class FakeClock:
    """Time that passes only when somebody sleeps; `slept` tells how long each waited."""

    def __init__(self, now: datetime = NOW) -> None:
        self.start = now
        self.passed = 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.start + timedelta(seconds=self.passed)

    def monotonic(self) -> float:
        return 1_000.0 + self.passed

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.passed += seconds
        await asyncio.sleep(0)


@dataclass
class Lines:
    """A log that remembers."""

    lines: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def info(self, event: str, **values: object) -> None:
        self.lines.append((event, values))

    warning = error = info

    @property
    def events(self) -> list[str]:
        return [event for event, _ in self.lines]


@dataclass
class Bench:
    """A connector over its stand-in, and what the rules need to disturb it."""

    connector: Connector
    faults: Any
    """`sandbox.standin.Faults` of the stand-in."""
    clock: FakeClock
    log: Lines
    secrets: tuple[str, ...]
    """Texts that may appear in no log line and no error."""


def fail(bench: Bench, *, times: int = 1, **failure: Any) -> None:
    """The next `times` answers of the stand-in are this failure."""
    bench.faults.fail_next.extend([Failure(**failure)] * times)


class ConnectorContract:
    """Inherit, set `system` and `kinds`, give `bench` and `read_one`."""

    system: ClassVar[System]
    kinds: ClassVar[frozenset[records.Kind]]
    """The kinds that the connector lists."""
    expires: ClassVar[bool] = True
    """Whether the vendor has sessions or tokens that expire."""
    request_id_header: ClassVar[str | None] = "X-Request-Id"
    """The header under which this vendor names a call; null where it has none."""

    @pytest.fixture
    async def bench(self) -> AsyncIterator[Bench]:
        """Override: makes the connector over the stand-in (see `services`)."""
        raise NotImplementedError
        yield  # noqa: PT022

    async def read_one(self, connector: Connector) -> object:
        """Override: one read that costs at least one call, the same each time."""
        raise NotImplementedError

    def services(self, transport: Any) -> tuple[Services, FakeClock, Lines]:
        """Services over a transport to the stand-in, with a clock that does not wait."""
        clock, log = FakeClock(), Lines()
        return Services(transport=transport, clock=clock, log=log), clock, log

    # --- what it is

    def test_the_registry_knows_it_by_its_system(self) -> None:
        assert connector_class(self.system).manifest.system is self.system

    def test_its_methods_say_what_it_lists(self) -> None:
        connector = connector_class(self.system)
        assert frozenset(kind for kind in records.Kind if can_list(connector, kind)) == self.kinds

    def test_its_manifest_is_complete(self) -> None:
        manifest = connector_class(self.system).manifest
        assert manifest.title
        assert manifest.summary
        assert manifest.ground_truth
        assert manifest.documentation.startswith("https://")
        assert manifest.decoders, "every connector can decode what its vendor sends"
        assert len({decoder.name for decoder in manifest.decoders}) == len(manifest.decoders)
        assert all(decoder.description for decoder in manifest.decoders)

    # --- what it reads

    async def test_every_list_reads_to_its_end_and_names_its_source(self, bench: Bench) -> None:
        for kind in self.kinds - {records.Kind.PRICE_ESTIMATE, records.Kind.BOM}:
            listing = LISTINGS[kind]
            cursor, seen, pages = None, set[str](), 0
            while True:
                page = await getattr(bench.connector, listing.list_method)(
                    ListQuery(filter=listing.filter(), limit=50), cursor
                )
                for record in page.records:
                    assert type(record) is records.BY_KIND[kind]
                    assert record.source.integration == bench.connector.integration.key
                    assert record.source.system is self.system
                    assert record.source.external_id
                    assert record.id not in seen, f"{kind}: {record.source.external_id} came twice"
                    seen.add(record.id)
                pages += 1
                if page.next is None:
                    break
                assert len(page.next) <= 500, "a cursor travels in ours, which has a limit"
                assert pages < 100
                cursor = page.next
            assert seen, f"the stand-in shows no {listing.plural}"

    async def test_what_a_list_shows_is_read_by_its_id(self, bench: Bench) -> None:
        for kind in self.kinds - {records.Kind.PRICE_ESTIMATE, records.Kind.BOM}:
            listing = LISTINGS[kind]
            if not can_read(bench.connector, kind):
                continue
            page = await getattr(bench.connector, listing.list_method)(
                ListQuery(filter=listing.filter(), limit=5), None
            )
            ids = [record.source.external_id for record in page.records][:5]
            found = await getattr(bench.connector, listing.read_method)(ids)
            assert {record.source.external_id for record in found} == set(ids), listing.plural

    async def test_an_unknown_id_is_absent(self, bench: Bench) -> None:
        for kind in self.kinds - {records.Kind.PRICE_ESTIMATE}:
            if can_read(bench.connector, kind):
                found = await getattr(bench.connector, LISTINGS[kind].read_method)(self.unknown_ids(kind))
                assert found == [], LISTINGS[kind].plural

    def unknown_ids(self, kind: records.Kind) -> list[str]:
        """Ids of the right form that do not exist; override where the form matters."""
        return ["no-such-id"]

    # --- how it fails

    @pytest.mark.parametrize("status", [500, 503])
    async def test_an_outage_is_down_with_the_vendors_request_id(self, bench: Bench, status: int) -> None:
        headers = {self.request_id_header: "req-4711"} if self.request_id_header else {}
        fail(bench, status=status, headers=headers, times=10)
        with pytest.raises(VendorDown) as caught:
            await self.read_one(bench.connector)
        assert caught.value.status == status
        assert caught.value.integration == bench.connector.integration.key
        if self.request_id_header:
            assert caught.value.request_id == "req-4711"

    async def test_after_one_hiccup_the_read_succeeds(self, bench: Bench) -> None:
        fail(bench, status=503, times=1)
        assert await self.read_one(bench.connector) is not None

    async def test_429_waits_as_told(self, bench: Bench) -> None:
        fail(bench, status=429, headers={"Retry-After": "3"}, times=1)
        assert await self.read_one(bench.connector) is not None
        assert any(2.9 <= pause <= 3.1 for pause in bench.clock.slept), bench.clock.slept

    async def test_429_that_asks_too_long_is_rate_limited(self, bench: Bench) -> None:
        fail(bench, status=429, headers={"Retry-After": "120"}, times=3)
        with pytest.raises(RateLimited) as caught:
            await self.read_one(bench.connector)
        assert caught.value.retry_after == 120

    async def test_the_last_good_answer_is_served_with_its_age(self, bench: Bench) -> None:
        first = await self.read_one(bench.connector)
        bench.clock.passed += 60
        bench.faults.down = True
        again = await self.read_one(bench.connector)
        source = _first_record(again).source
        assert source.stale
        assert source.as_of == _first_record(first).source.as_of
        assert bench.log.events.count("vendor.unavailable") == 1
        bench.faults.down = False
        bench.clock.passed += 60
        assert not _first_record(await self.read_one(bench.connector)).source.stale
        assert bench.log.events.count("vendor.available") == 1

    async def test_an_expired_session_is_renewed_once_under_fifty_calls(self, bench: Bench) -> None:
        if not self.expires:
            pytest.skip("this vendor's credentials do not expire")
        await self.read_one(bench.connector)
        before = self.logins(bench)
        bench.faults.expire_sessions()
        results = await asyncio.gather(*(self.read_one(bench.connector) for _ in range(50)))
        assert all(result is not None for result in results)
        assert self.logins(bench) == before + 1

    def logins(self, bench: Bench) -> int:
        """How many log-ins the stand-in has seen; override."""
        raise NotImplementedError

    async def test_html_is_a_clear_error(self, bench: Bench) -> None:
        fail(
            bench, status=200, headers={"Content-Type": "text/html"}, body=b"<html><body>Logon</body></html>", times=10
        )
        with pytest.raises((BadPayload, AuthFailed)) as caught:
            await self.read_one(bench.connector)
        assert "<html" not in str(caught.value)

    async def test_half_a_body_is_down(self, bench: Bench) -> None:
        fail(bench, half_body=True, times=10)
        with pytest.raises((VendorDown, BadPayload)):
            await self.read_one(bench.connector)

    async def test_wrong_types_are_an_error_with_a_path(self, bench: Bench) -> None:
        fail(bench, status=200, headers={"Content-Type": "application/json"}, body=self.wrong_types(), times=10)
        with pytest.raises(BadPayload) as caught:
            await self.read_one(bench.connector)
        assert caught.value.path
        assert caught.value.path.startswith("$")

    def wrong_types(self) -> bytes:
        """A well-formed answer of the wrong types; override with one that goes deeper."""
        return b'{"d": 7, "value": 7, "output": 7}'

    async def test_cancelling_ends_the_call(self, bench: Bench) -> None:
        bench.faults.delay_ms = 60_000
        task = asyncio.create_task(self.read_one(bench.connector))  # type: ignore[arg-type]
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        bench.faults.delay_ms = 0

    async def test_no_secret_shows_in_logs_and_errors(self, bench: Bench) -> None:
        texts: list[str] = []
        for fault in ({"status": 500}, {"status": 403}, {"status": 400}, {"status": 200, "body": b"<html>"}):
            fail(bench, **fault, times=4)
            try:
                await self.read_one(bench.connector)
            except VendorError as error:
                texts.append(f"{error} {error!r} {error.__dict__}")
            bench.faults.fail_next.clear()
        shown = " ".join(texts) + repr(bench.log.lines) + repr(bench.connector.integration)
        for secret in bench.secrets:
            assert secret
            assert secret not in shown

    async def test_every_failure_is_one_of_ours(self, bench: Bench) -> None:
        for status in (400, 403, 404, 409, 412, 418, 500):
            fail(bench, status=status, times=10)
            try:
                await self.read_one(bench.connector)
            except ConnectorError as error:
                assert error.code.startswith("ERR_")  # noqa: PT017
            bench.faults.fail_next.clear()
            bench.clock.passed += 120  # the breaker closes again


def _first_record(result: Any) -> records.Record:
    if isinstance(result, records.Record):
        return result
    found = getattr(result, "records", result)
    first: records.Record = found[0]
    return first
