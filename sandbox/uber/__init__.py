"""Uber Guest Rides v1 over the world's ride-hail bookings, from Uber's public pages.

Sign in at `/oauth/v2/token` with `CLIENT_ID` and `CLIENT_SECRET` in a form, scope `guests.trips`. Everything else
is below `/v1/guests`. With `webhook_url` it sends signed webhooks (`SIGNING_KEY` unless `signing_key` says otherwise).
"""

from collections import deque
from datetime import datetime, timedelta
from typing import Any, Final

import httpx
from starlette.applications import Starlette
from starlette.routing import Route

from sandbox.standin import Faults, StandIn
from sandbox.uber.endpoints import Endpoints
from sandbox.uber.tokens import CLIENT_ID, CLIENT_SECRET, SCOPE, TOKEN_SECONDS, Tokens
from sandbox.uber.trips import Trips
from sandbox.uber.webhooks import Webhooks
from sandbox.world import World

__all__ = ["CLIENT_ID", "CLIENT_SECRET", "SCOPE", "SIGNING_KEY", "Uber", "create"]

SIGNING_KEY: Final = "sandbox-signing-key"


class Limits:
    """So many calls per hour and endpoint."""

    def __init__(self, world: World, per_hour: int) -> None:
        self._world, self._per_hour = world, per_hour
        self._calls: dict[str, deque[datetime]] = {}

    def forget(self) -> None:
        self._calls.clear()

    def admits(self, endpoint: str) -> bool:
        now = self._world.now()
        calls = self._calls.setdefault(endpoint, deque())
        while calls and calls[0] <= now - timedelta(hours=1):
            calls.popleft()
        if len(calls) >= self._per_hour:
            return False
        calls.append(now)
        return True


class Uber(StandIn):
    def __init__(
        self,
        world: World,
        *,
        base_url: str,
        webhook_url: str | None,
        signing_key: str,
        requests_per_hour: int,
        token_seconds: int,
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        faults = Faults(
            request_id_header="x-uber-request-id",
            down_body={"message": "Service unavailable", "code": "service_unavailable"},
            clock=world.now,
        )
        self.tokens = Tokens(world, token_seconds)
        self.trips = Trips(world)
        self.limits = Limits(world, requests_per_hour)
        endpoints = Endpoints(self.trips, self.tokens, self.limits.admits)
        routes = [Route("/oauth/v2/token", self.tokens.endpoint, methods=["POST"]), *endpoints.routes]
        super().__init__("uber", Starlette(routes=routes, exception_handlers=endpoints.handlers), faults)
        self.webhooks = Webhooks(
            self.trips,
            faults,
            url=webhook_url,
            key=signing_key,
            base_url=f"{base_url.rstrip('/')}/uber",
            transport=transport,
        )
        faults.when_sessions_expire(self.tokens.forget)
        for forget in (self.trips.forget, self.limits.forget, endpoints.forget):
            faults.when_reset(forget)

    @property
    def logins(self) -> int:
        """Tokens given out."""
        return self.tokens.logins

    async def start(self) -> None:
        await self.webhooks.start()

    async def stop(self) -> None:
        await self.webhooks.stop()

    def describe(self, *, recent: bool = False) -> dict[str, Any]:
        sent = self.webhooks.sent
        told = {"waiting": self.webhooks.waiting, "sent": len(sent), "dropped": self.webhooks.dropped}
        return {**super().describe(recent=recent), "logins": self.logins, "webhooks": told}


def create(
    world: World,
    *,
    base_url: str = "http://127.0.0.1:8100",
    webhook_url: str | None = None,
    signing_key: str = SIGNING_KEY,
    requests_per_hour: int = 20_000,
    token_seconds: int = TOKEN_SECONDS,
    webhook_transport: httpx.AsyncBaseTransport | None = None,
    **_options: Any,
) -> Uber:
    """Uber itself allows 200 calls per hour and endpoint; the sandbox is busier than that."""
    return Uber(
        world,
        base_url=base_url,
        webhook_url=webhook_url,
        signing_key=signing_key,
        requests_per_hour=requests_per_hour,
        token_seconds=token_seconds,
        transport=webhook_transport,
    )
