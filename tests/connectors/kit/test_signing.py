"""Signing in: headers, renewal by one for all, log-ins that are refused, OAuth2 client credentials."""

import asyncio
import base64
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from connectors.kit.auth import REFUSED_SECONDS, BasicAuth, HeaderAuth, OAuth2ClientCredentials, RenewingAuth, Send
from connectors.kit.errors import AuthFailed, RateLimited, SessionExpired, TimedOut, VendorDown
from connectors.kit.integration import Secret
from connectors.kit.services import MemoryTokens, TokenStore
from tests.connectors.contract import NOW, FakeClock
from tests.connectors.kit.peer import SILENCE, Made, peer, real, scripted

FINE = httpx.Response(200, json={})


async def test_a_fixed_header() -> None:
    made = scripted(FINE, auth=HeaderAuth("X-Api-Key", Secret("k-1"), prefix="Key "))
    await made.api.get("/x", dict)
    assert made.wire is not None
    assert made.wire.requests[0].headers["x-api-key"] == "Key k-1"


async def test_basic_is_utf_8() -> None:
    made = scripted(FINE, auth=BasicAuth("jürgen", Secret("pä:ss")))
    await made.api.get("/x", dict)
    assert made.wire is not None
    given = made.wire.requests[0].headers["authorization"].removeprefix("Basic ")
    assert base64.b64decode(given).decode() == "jürgen:pä:ss"


@pytest.mark.parametrize("value", ["line\n", "a\r\nX-Evil: 1", "ü", "\0"])
def test_a_secret_that_no_header_can_hold_is_refused_at_once(value: str) -> None:
    with pytest.raises(ValueError, match="the credential for the header X-Api-Key holds a line break") as caught:
        HeaderAuth("X-Api-Key", Secret(value))
    assert value not in str(caught.value)


def test_a_user_with_a_colon_cannot_sign_with_basic() -> None:
    with pytest.raises(ValueError, match="a user name with a colon"):
        BasicAuth("a:b", Secret("c"))


# --- renewal


class Session(RenewingAuth):
    """Logs in for a numbered session, which the vendor below knows."""

    async def log_in(self, send: Send) -> str:
        response = await send(httpx.Request("POST", "https://vendor.example/login"))
        if response.status_code == 403:
            raise AuthFailed("the password was refused", status=403)
        if response.status_code >= 500:
            raise VendorDown("the log-in is down", status=response.status_code)
        return str(response.json()["session"])


class Vendor:
    """Knows one session at a time. `login_status` makes it refuse log-ins."""

    def __init__(self) -> None:
        self.logins = 0
        self.valid = ""
        self.login_status = 200
        self.deaf = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.calls: list[str] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/login":
            self.logins += 1
            await self.gate.wait()
            if self.login_status != 200:
                return httpx.Response(self.login_status)
            self.valid = f"s{self.logins}"
            return httpx.Response(200, json={"session": self.valid})
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        self.calls.append(given)
        await asyncio.sleep(0)
        return httpx.Response(200 if given == self.valid and not self.deaf else 401, json={})


@pytest.fixture
def vendor() -> Vendor:
    return Vendor()


def session(vendor: Vendor, auth: RenewingAuth | None = None) -> Made:
    return scripted(vendor, auth=auth or Session())


async def fifty(made: Made) -> list[Any]:
    return await asyncio.gather(*(made.api.get(f"/{each}", dict) for each in range(50)), return_exceptions=True)


async def test_fifty_calls_log_in_once(vendor: Vendor) -> None:
    made = session(vendor)
    assert all(each.value == {} for each in await fifty(made))
    assert (vendor.logins, len(vendor.calls)) == (1, 50)


async def test_an_expired_session_is_renewed_once_for_fifty_calls(vendor: Vendor) -> None:
    made = session(vendor)
    await made.api.get("/x", dict)
    vendor.valid = "ended"
    vendor.calls.clear()
    assert all(each.value == {} for each in await fifty(made))
    assert vendor.logins == 2
    assert sorted(vendor.calls) == ["s1"] * 50 + ["s2"] * 50


async def test_refusals_that_come_late_do_not_renew_again(vendor: Vendor) -> None:
    """A 401 for the old session that arrives after the renewal takes the new one."""
    auth = Session()
    made = session(vendor, auth)
    await made.api.get("/x", dict)
    assert await auth.renewed("s1") == "s2"
    assert await auth.renewed("s1") == "s2"
    assert vendor.logins == 2


async def test_a_session_that_is_refused_at_once_is_reported(vendor: Vendor) -> None:
    made = session(vendor)
    vendor.deaf = True
    with pytest.raises(SessionExpired) as caught:
        await made.api.get("/x", dict)
    assert (vendor.logins, len(vendor.calls), caught.value.status) == (2, 2, 401)


async def test_a_refused_log_in_is_tried_once_by_fifty_calls(vendor: Vendor) -> None:
    vendor.login_status = 403
    results = await fifty(session(vendor))
    assert {(type(each), str(each), each.integration) for each in results} == {
        (AuthFailed, "the password was refused", "depot")
    }
    assert vendor.logins == 1


async def test_a_refused_log_in_is_left_alone_for_a_while(vendor: Vendor) -> None:
    """Vendors lock accounts after a few wrong passwords."""
    vendor.login_status = 403
    made = session(vendor)
    for _ in range(20):
        with pytest.raises(AuthFailed, match="the password was refused"):
            await made.api.get("/x", dict)
    assert vendor.logins == 1
    made.clock.passed += REFUSED_SECONDS
    vendor.login_status = 200
    await made.api.get("/x", dict)
    assert vendor.logins == 2


async def test_fifty_calls_with_an_expired_session_and_a_refused_log_in(vendor: Vendor) -> None:
    made = session(vendor)
    await made.api.get("/x", dict)
    vendor.valid, vendor.login_status = "ended", 403
    results = await fifty(made)
    assert {type(each) for each in results} == {AuthFailed}
    assert vendor.logins == 2


async def test_an_outage_of_the_log_in_is_an_outage(vendor: Vendor) -> None:
    vendor.login_status = 503
    made = session(vendor)
    with pytest.raises(VendorDown, match="the log-in is down"):
        await made.api.get("/x", dict)
    assert vendor.logins == 3, "each attempt logs in"
    vendor.login_status = 200
    await made.api.get("/x", dict)


async def test_who_gives_up_does_not_end_the_log_in_of_the_others(vendor: Vendor) -> None:
    vendor.gate.clear()
    made = session(vendor)
    first, second = (asyncio.create_task(made.api.get(f"/{each}", dict)) for each in range(2))
    await asyncio.sleep(0.01)
    first.cancel()
    await asyncio.sleep(0.01)
    vendor.gate.set()
    assert (await second).value == {}
    assert vendor.logins == 1


async def test_closing_ends_a_log_in(vendor: Vendor) -> None:
    vendor.gate.clear()
    auth = Session()
    made = session(vendor, auth)
    waiting = asyncio.create_task(auth.current())
    await asyncio.sleep(0.01)
    await made.api.aclose()
    with pytest.raises(VendorDown, match="the integration is being closed"):
        await waiting


async def test_a_log_in_that_never_ends_is_given_up() -> None:
    """The renewal is nobody's own: without a deadline of its own it would keep everybody waiting for ever."""
    async with peer(SILENCE) as vendor:

        class Stuck(RenewingAuth):
            async def log_in(self, send: Send) -> str:
                return (await send(httpx.Request("POST", f"{vendor.url}/login"))).text

        auth = Stuck()
        async with real(vendor.url, seconds=0.05, auth=auth) as api:
            with pytest.raises(TimedOut):
                await api.get("/x", dict)
            await asyncio.wait_for(vendor.gone.wait(), 2)
            assert auth._renewal is not None
            assert auth._renewal.done()


async def test_without_a_client_nothing_is_signed() -> None:
    with pytest.raises(AuthFailed, match="not bound to a client"):
        await Session().current()
    with pytest.raises(AuthFailed, match="RenewingAuth has no way to log in"):
        await RenewingAuth().log_in(lambda _: asyncio.sleep(0))  # type: ignore[arg-type, return-value]


# --- OAuth2


def oauth(
    answer: Callable[[httpx.Request], httpx.Response] | httpx.Response,
    *,
    tokens: TokenStore | None = None,
    clock: FakeClock | None = None,
    **facts: Any,
) -> tuple[OAuth2ClientCredentials, list[httpx.Request], FakeClock]:
    clock, asked = clock or FakeClock(), list[httpx.Request]()
    auth = OAuth2ClientCredentials(
        "https://vendor.example/token",
        **{"client_id": "id:1", "client_secret": Secret("se cret"), "store_key": "k"} | facts,
        tokens=tokens or MemoryTokens(),
        clock=clock,
    )

    async def send(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return answer(request) if callable(answer) else answer

    auth.bind(send, clock)
    return auth, asked, clock


def token(number: int = 1, **facts: Any) -> httpx.Response:
    return httpx.Response(200, json={"access_token": f"t{number}", "token_type": "Bearer"} | facts)


async def test_the_client_signs_by_basic_or_in_the_body() -> None:
    auth, asked, _ = oauth(token(), scope="read write")
    assert await auth.current() == "t1"
    assert base64.b64decode(asked[0].headers["authorization"].removeprefix("Basic ")) == b"id%3A1:se+cret"
    assert parse_qs(asked[0].content.decode()) == {"grant_type": ["client_credentials"], "scope": ["read write"]}
    auth, asked, _ = oauth(token(), in_body=True)
    await auth.current()
    assert "authorization" not in asked[0].headers
    assert parse_qs(asked[0].content.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["id:1"],
        "client_secret": ["se cret"],
    }


@pytest.mark.parametrize(
    ("expires_in", "fresh", "late"),
    [(3_600, 3_539, 3_541), (90, 44, 46), (30, 14, 16), ("3600", 3_539, 3_541)],
)
async def test_a_token_is_renewed_before_it_ends(expires_in: Any, fresh: float, late: float) -> None:
    """A minute before, or after half its life: one of thirty seconds must not be renewed at every call."""
    count = iter(range(1, 9))
    auth, asked, clock = oauth(lambda _: token(next(count), expires_in=expires_in))
    await auth.current()
    clock.passed = fresh
    assert await auth.current() == "t1"
    clock.passed = late
    assert await auth.current() == "t2"
    assert len(asked) == 2


@pytest.mark.parametrize("expires_in", [None, 0, -5, 1e300, "NaN"])
async def test_a_life_that_cannot_be_meant_is_no_trouble(expires_in: Any) -> None:
    auth, asked, clock = oauth(token(expires_in=expires_in))
    await auth.current()
    clock.passed += 86_400
    assert await auth.current() == "t1"
    assert len(asked) == 1


async def test_processes_share_the_token() -> None:
    tokens = MemoryTokens()
    first, asked, clock = oauth(token(expires_in=3_600), tokens=tokens)
    await first.current()
    second, asked_too, _ = oauth(token(2, expires_in=3_600), tokens=tokens, clock=clock)
    assert await second.current() == "t1"
    assert (len(asked), len(asked_too)) == (1, 0)
    assert await second.renewed("t1") == "t2", "a shared token that was refused is not taken again"
    assert await first.renewed("t1") == "t2", "and the other process takes what is new"
    assert (len(asked), len(asked_too)) == (1, 1)


async def test_who_comes_during_a_renewal_does_not_bring_the_refused_token_back() -> None:
    class Slow(MemoryTokens):
        async def get(self, key: str) -> tuple[str, datetime | None] | None:
            await asyncio.sleep(0.01)
            return await super().get(key)

    tokens = Slow()
    await tokens.put("k", "t1", NOW + timedelta(hours=1))
    auth, asked, _ = oauth(token(2, expires_in=3_600), tokens=tokens)
    assert await auth.current() == "t1"
    renewal = asyncio.create_task(auth.renewed("t1"))
    await asyncio.sleep(0.001)
    assert await auth.current() == "t2"
    assert await renewal == "t2"
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (httpx.Response(401, json={"error": "invalid_client"}), r"refused the client credentials \(invalid_client\)"),
        (httpx.Response(400, json={"error": "x" * 9_000}), r"refused the client credentials \(x{497}\.\.\.\)"),
        (httpx.Response(200, json={"error": "access_denied"}), "access_denied"),
        (httpx.Response(200, content=b"<html>"), "HTTP 200 without an access token"),
        (httpx.Response(404), "there is no token endpoint at https://vendor.example/token .HTTP 404."),
        (token(token_type="mac"), "a token that is no bearer token"),
        (httpx.Response(200, json={"access_token": "a\nX-Evil: 1"}), "a token that no HTTP header can hold"),
        (httpx.Response(200, json={"access_token": 7}), "refused|without an access token"),
    ],
)
async def test_what_is_no_token_is_told(answer: httpx.Response, complaint: str) -> None:
    auth, asked, clock = oauth(answer)
    with pytest.raises(AuthFailed, match=complaint) as caught:
        await auth.current()
    assert "se cret" not in str(caught.value)
    with pytest.raises(AuthFailed):
        await auth.current()
    assert len(asked) == 1
    clock.passed += REFUSED_SECONDS
    with pytest.raises(AuthFailed):
        await auth.current()
    assert len(asked) == 2


@pytest.mark.parametrize(("status", "kind"), [(429, RateLimited), (500, VendorDown), (503, VendorDown)])
async def test_an_outage_of_the_token_endpoint_is_no_refusal(status: int, kind: type[VendorDown]) -> None:
    auth, asked, _ = oauth(httpx.Response(status, headers={"Retry-After": "7", "X-Request-Id": "req-1"}))
    for _ in range(2):
        with pytest.raises(kind) as caught:
            await auth.current()
        assert (caught.value.status, caught.value.retry_after, caught.value.request_id) == (status, 7.0, "req-1")
    assert len(asked) == 2
