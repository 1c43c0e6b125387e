"""The MineStar connector over its stand-ins, for its tests."""

from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any

import httpx

from connectors.kit.auth import RenewingAuth
from connectors.kit.integration import Integration, Secret
from connectors.kit.services import Services
from connectors.minestar import MineStar
from sandbox.minestar import CAT, CLIENT_ID, CLIENT_SECRET, MIXED, PASSWORD, USER, Aemp
from sandbox.world import World
from tests.connectors.contract import NOW, FakeClock, Lines
from unified.values import System

CLIENT = {"client_id": Secret(CLIENT_ID), "client_secret": Secret(CLIENT_SECRET)}
ACCOUNT = {"username": Secret(USER), "password": Secret(PASSWORD)}
CAT_SETTINGS: dict[str, Any] = {
    "token_url": "http://vendor/as/token.oauth2",
    "series_url": "http://vendor/catDigital/iso15143/v1",
    "fresh_seconds": 0,
    "series_seconds": 0,
}
ISO_SETTINGS: dict[str, Any] = {
    "dialect": "iso",
    "token_url": "/connect/token",
    "machine_by": "serial",
    "fresh_seconds": 0,
    "series_seconds": 0,
}


@cache
def _world() -> tuple[World, list[FakeClock]]:
    """The world never changes and takes a while to build; its clock is that of the setup made last."""
    clocks = [FakeClock()]
    return World(lambda: clocks[-1].now()), clocks


class Wire(httpx.ASGITransport):
    """Keeps the addresses that were asked for, tokens apart."""

    def __init__(self, app: Any) -> None:
        super().__init__(app=app)
        self.asked: list[str] = []
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if "token" not in request.url.path:
            self.asked.append(str(request.url).removeprefix("http://vendor"))
        return await super().handle_async_request(request)


class Setup:
    """A connector over the stand-in of Cat, or of the maker that keeps to the standard."""

    def __init__(
        self, *, iso: bool = False, at: datetime = NOW, vendor: dict[str, Any] | None = None, **settings: Any
    ) -> None:
        self.clock, self.log = FakeClock(at), Lines()
        self.world, clocks = _world()
        clocks[:] = [self.clock]
        self.vendor = Aemp(self.world, MIXED if iso else CAT, **(vendor or {}))
        self.wire = Wire(self.vendor.app)
        self.services = Services(transport=self.wire, clock=self.clock, log=self.log)
        usual = ISO_SETTINGS if iso else CAT_SETTINGS
        self.connector = MineStar(
            Integration(
                key="quarry" if iso else "mine",
                system=System.MINESTAR,
                base_url="http://vendor" if iso else "http://vendor/telematics/iso15143",
                credentials=CLIENT | ACCOUNT if iso else CLIENT,
                settings=usual | settings,
            ),
            self.services,
        )

    @property
    def asked(self) -> list[str]:
        return self.wire.asked

    async def sign_in(self) -> None:
        provider = self.connector.provider
        assert provider is not None
        assert isinstance(provider.fleet_api.auth, RenewingAuth)
        await provider.fleet_api.auth.current()

    @property
    def told(self) -> list[str]:
        """What the log says of the connector's troubles."""
        return [str(facts.get("error")) for _, facts in self.log.lines]


class Answers(httpx.AsyncBaseTransport):
    """A provider that gives the answers of a function."""

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response]) -> None:
        self.answer = answer
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.answer(request)


def over(
    answer: Callable[[httpx.Request], httpx.Response],
    *,
    credentials: dict[str, Secret] | None = None,
    base_url: str = "http://vendor",
    **settings: Any,
) -> tuple[MineStar, Answers, FakeClock, Lines]:
    """A connector over answers of one's own."""
    clock, log, wire = FakeClock(), Lines(), Answers(answer)
    made = MineStar(
        Integration(
            key="quarry",
            system=System.MINESTAR,
            base_url=base_url,
            credentials=credentials or {},
            settings={"dialect": "iso", "fresh_seconds": 0, "series_seconds": 0, **settings},
        ),
        Services(transport=wire, clock=clock, log=log),
    )
    return made, wire, clock, log
