"""Sends signed webhooks for what happens in the world: at least once, some twice, some late."""

import asyncio
import heapq
import hmac
import json
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

import httpx

from sandbox.standin import Faults
from sandbox.uber.trips import Trips
from sandbox.world import Chance

QUEUE_MAX: Final = 500
"""Deliveries that wait; beyond it the newest are dropped, as a vendor would give up."""
ATTEMPTS: Final = 8
"""The first and seven more, from 30 s on, doubled: about an hour."""
FIRST_PAUSE: Final = timedelta(seconds=30)
DOUBLED: Final = 0.05
LATE: Final = 0.05
RECEIPT_AFTER: Final = timedelta(seconds=20)
CATCH_UP: Final = timedelta(minutes=2)
"""After a pause of the sandbox, longer ago than this is not told any more."""


@dataclass(frozen=True, slots=True)
class Delivery:
    event_id: str
    body: bytes
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Sent:
    event_id: str
    attempt: int
    status: int | None
    """None when nobody answered."""


class Webhooks:
    """`tick` does what is due at the world's time; the task calls it every second of real time."""

    def __init__(
        self,
        trips: Trips,
        faults: Faults,
        *,
        url: str | None,
        key: str,
        base_url: str,
        transport: httpx.AsyncBaseTransport | None = None,
        tick_seconds: float = 1.0,
    ) -> None:
        self._trips, self._faults = trips, faults
        self._url, self._key, self._base_url = url, key, base_url.rstrip("/")
        self._transport, self._tick_seconds = transport, tick_seconds
        self._until: datetime | None = None
        self._queue: list[tuple[datetime, int, Delivery]] = []
        self._number = 0
        self._task: asyncio.Task[None] | None = None
        self._client: httpx.AsyncClient | None = None
        self.sent: deque[Sent] = deque(maxlen=1000)
        self.dropped = 0

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def open(self) -> None:
        """Begins: what happens from now on is told, a health check first."""
        self._until = self._trips.world.now()
        self._client = httpx.AsyncClient(transport=self._transport, timeout=10, follow_redirects=False)
        event_id = str(uuid5(NAMESPACE_URL, f"health:{self._until.isoformat()}"))
        check: dict[str, Any] = {
            "event_id": event_id,
            "event_time": int(self._until.timestamp()),
            "event_type": "health_check",
        }
        self._put(self._until, Delivery(event_id, json.dumps(check).encode()))

    async def start(self) -> None:
        if self._url is not None and self._task is None:
            self.open()
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _run(self) -> None:
        while True:
            await self.tick()
            await asyncio.sleep(self._tick_seconds)

    async def tick(self) -> None:
        now = self._trips.world.now()
        self._collect(now)
        if self._faults.down:
            return
        due: list[Delivery] = []
        while self._queue and self._queue[0][0] <= now:
            due.append(heapq.heappop(self._queue)[2])
        for start in range(0, len(due), 8):
            await asyncio.gather(*(self._deliver(one, now) for one in due[start : start + 8]))

    def _collect(self, now: datetime) -> None:
        since = max(self._until or now, now - CATCH_UP)
        if now <= since:
            return
        self._until = now
        for booking, status, at in self._trips.steps(since, now):
            self._announce(now, booking.id, "guests.trips.status_changed", status, at)
        for booking, status, at in self._trips.steps(since - RECEIPT_AFTER, now - RECEIPT_AFTER):
            if status == "completed":
                self._announce(now, booking.id, "guests.trips.receipt_ready", status, at + RECEIPT_AFTER)

    def _announce(self, now: datetime, trip_id: str, kind: str, status: str, at: datetime) -> None:
        event_id = str(uuid5(NAMESPACE_URL, f"{kind}:{trip_id}:{status}:{at.isoformat()}"))
        told: dict[str, Any] = {
            "event_id": event_id,
            "event_time": int(at.timestamp()),
            "event_type": kind,
            "meta": {
                "user_id": "d13dff8b",
                "org_uuid": "0f8fad5b-d9cb-469f-a165-70867728950e",
                "resource_id": trip_id,
                "status": status,
            },
            "resource_href": f"{self._base_url}/v1/guests/trips/{trip_id}",
        }
        delivery = Delivery(event_id, json.dumps(told, separators=(",", ":")).encode())
        chance = Chance(f"webhook:{event_id}")
        late = timedelta(seconds=chance.between(5, 60)) if chance.happens(LATE) else timedelta()
        self._put(now + late, delivery)
        if chance.happens(DOUBLED):
            self._put(now + timedelta(seconds=chance.between(1, 30)), delivery)

    def _put(self, due: datetime, delivery: Delivery) -> None:
        if len(self._queue) >= QUEUE_MAX:
            self.dropped += 1
            return
        self._number += 1
        heapq.heappush(self._queue, (due, self._number, delivery))

    async def _deliver(self, delivery: Delivery, now: datetime) -> None:
        assert self._client is not None
        assert self._url is not None
        headers = {
            "Content-Type": "application/json",
            "X-Environment": "sandbox",
            "X-Uber-Signature": signature(delivery.body, self._key),
        }
        status: int | None = None
        try:
            status = (await self._client.post(self._url, content=delivery.body, headers=headers)).status_code
        except httpx.HTTPError:
            status = None
        self.sent.append(Sent(delivery.event_id, delivery.attempt, status))
        if (status is None or not 200 <= status < 300) and delivery.attempt < ATTEMPTS:
            pause = FIRST_PAUSE * 2 ** (delivery.attempt - 1)
            self._put(now + pause, Delivery(delivery.event_id, delivery.body, delivery.attempt + 1))


def signature(body: bytes, key: str) -> str:
    return hmac.new(key.encode(), body, "sha256").hexdigest()
