"""Tokens end to end: a configuration file, a server behind a port, an issuer behind another."""

import contextlib
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.serving import Listener
from tests.connectors.contract import NOW
from tests.server.configs import AUDIENCE, ISSUER, KEYS, SECRET, STORE, TOKENS, TWO_ORGANISATIONS, bearer, token
from tests.server.rig import NORTH, Served, served

LATER = NOW + timedelta(hours=1)
OLD, NEW = (rsa.generate_private_key(public_exponent=65_537, key_size=2_048) for _ in range(2))


async def _refusal(server: Served, headers: dict[str, str]) -> httpx.Response:
    answer = await server.ask("{ __typename }", **headers)
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    return answer


async def _closed(server: Served, headers: dict[str, str]) -> int:
    """The code that a socket is closed with."""
    protocol = websockets.Subprotocol("graphql-transport-ws")
    async with websockets.connect(server.socket, subprotocols=[protocol], proxy=None) as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": headers}))
        with pytest.raises(websockets.ConnectionClosed):
            await socket.recv()
        assert socket.close_code is not None
        return socket.close_code


async def _may_ask(server: Served, headers: dict[str, str]) -> bool:
    """Over HTTP and over a socket alike."""
    answer = await server.ask("{ __typename }", **headers)
    protocol = websockets.Subprotocol("graphql-transport-ws")
    async with websockets.connect(server.socket, subprotocols=[protocol], proxy=None) as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": headers}))
        with contextlib.suppress(websockets.ConnectionClosed):
            acknowledged = json.loads(await socket.recv()) == {"type": "connection_ack"}
            assert acknowledged is (answer.status_code == 200)
            return acknowledged
    assert answer.status_code != 200
    return False


# --- a shared secret


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Served]:
    config = STORE + TWO_ORGANISATIONS + KEYS + TOKENS
    async with served(config, tmp_path, environ={"JWT_SECRET": SECRET}, live=False) as running:
        yield running


@pytest.mark.parametrize(
    "claims", [{}, {"scope": "write read"}, {"scope": ["read"]}, {"aud": ["other", AUDIENCE]}, {"org": "south"}]
)
async def test_a_good_token_is_let_in(server: Served, claims: dict[str, Any]) -> None:
    assert await _may_ask(server, bearer(token(LATER, **claims)))


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (token(NOW), "the token has expired"),
        (token(LATER, aud="other"), "the token is for another audience"),
        (token(LATER, iss="https://evil.example"), "the token is from another issuer"),
        (token(LATER, exp=None), "the token lacks the claim exp"),
        (token(LATER, org="east"), "the claim org names no organisation of this server"),
        (token(LATER, org=None), "the claim org names no organisation of this server"),
        (token(LATER, nbf=int(LATER.timestamp())), "the token is not valid yet"),
        (token(LATER, key="another secret of at least 32 bytes"), "the token's signature is wrong"),
        (token(LATER, key=None, algorithm="none"), "the token's algorithm is not accepted"),
        (token(LATER, key=SECRET * 2, algorithm="HS512"), "the token's algorithm is not accepted"),
        ("nonsense", "this is no JWT"),
    ],
)
async def test_a_bad_token_is_refused_with_its_reason(server: Served, made: str, message: str) -> None:
    answer = await _refusal(server, bearer(made))
    assert answer.status_code == 401
    assert answer.json() == {"errors": [{"message": message, "extensions": {"code": "UNAUTHENTICATED"}}]}
    challenge = f'Bearer realm="crossdock", error="invalid_token", error_description="{message}"'
    assert answer.headers["www-authenticate"] == challenge
    assert await _closed(server, bearer(made)) == 4403


async def test_a_token_without_the_scope_is_forbidden(server: Served) -> None:
    given = bearer(token(LATER, scope="write"))
    answer = await _refusal(server, given)
    assert answer.status_code == 403
    text = "the caller lacks the scope `read`"
    assert answer.json() == {"errors": [{"message": text, "extensions": {"code": "FORBIDDEN"}}]}
    assert answer.headers["www-authenticate"] == 'Bearer realm="crossdock", error="insufficient_scope", scope="read"'
    assert await _closed(server, given) == 4403


async def test_who_sends_nothing_is_told_both_ways(server: Served) -> None:
    answer = await _refusal(server, {})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'ApiKey realm="crossdock", Bearer realm="crossdock"'
    assert await _closed(server, {}) == 4401


async def test_two_ways_at_once_are_one_too_many(server: Served) -> None:
    answer = await _refusal(server, {"X-API-Key": NORTH, **bearer(token(LATER))})
    assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (400, "BAD_REQUEST")


# --- keys of an issuer


class Issuer:
    """Publishes keys, and counts how often it is asked."""

    def __init__(self) -> None:
        self.keys: dict[str, rsa.RSAPrivateKey] = {"old": OLD}
        self.status = 200
        self.asked = 0
        self.listener = Listener(Starlette(routes=[Route("/keys", self._answer)]), "127.0.0.1", 0)

    async def _answer(self, _: Request) -> Response:
        self.asked += 1
        keys = [
            {**json.loads(RSAAlgorithm.to_jwk(key.public_key())), "kid": kid, "use": "sig"}
            for kid, key in self.keys.items()
        ]
        return JSONResponse({"keys": keys}, self.status)


@pytest.fixture
async def issued(tmp_path: Path) -> AsyncIterator[tuple[Issuer, Served]]:
    issuer = Issuer()
    await issuer.listener.start()
    config = f"""{STORE}{TWO_ORGANISATIONS}
[auth.jwt]
issuer = "{ISSUER}"
audience = "{AUDIENCE}"
algorithms = ["RS256"]
jwks_url = "http://127.0.0.1:{issuer.listener.port}/keys"
"""
    async with served(config, tmp_path, live=False) as running:
        yield issuer, running
    if issuer.listener._task is not None:
        await issuer.listener.stop()


def signed(kid: str, key: rsa.RSAPrivateKey, **claims: Any) -> dict[str, str]:
    return bearer(token(NOW + timedelta(days=2), key=key, algorithm="RS256", kid=kid, **claims))


async def test_an_issuers_keys_may_be_changed(issued: tuple[Issuer, Served]) -> None:
    issuer, server = issued
    assert issuer.asked == 0
    assert await _may_ask(server, signed("old", OLD))
    assert issuer.asked == 1
    issuer.keys = {"old": OLD, "new": NEW}
    server.clock.go_on(30)
    assert await _may_ask(server, signed("new", NEW))
    assert issuer.asked == 2
    issuer.keys = {"new": NEW}
    server.clock.go_on(600)
    assert not await _may_ask(server, signed("old", OLD))
    assert await _may_ask(server, signed("new", NEW))


async def test_an_unknown_key_is_refused_and_does_not_flood_the_issuer(issued: tuple[Issuer, Served]) -> None:
    issuer, server = issued
    for number in range(10):
        answer = await _refusal(server, signed(f"made-up-{number}", NEW))
        assert answer.status_code == 401
        text = "the token is signed with a key that the issuer does not have"
        assert answer.json()["errors"][0]["message"] == text
    assert issuer.asked == 1


async def test_a_key_of_another_signs_nothing(issued: tuple[Issuer, Served]) -> None:
    _, server = issued
    assert not await _may_ask(server, signed("old", NEW))
    forged = token(LATER, key="x" * 64, algorithm="HS256", kid="old")
    assert (await _refusal(server, bearer(forged))).status_code == 401


@pytest.mark.parametrize("away", ["down", "failing"])
async def test_while_the_issuer_is_away_callers_are_told_to_come_back(issued: tuple[Issuer, Served], away: str) -> None:
    issuer, server = issued
    if away == "down":
        await issuer.listener.stop()
    else:
        issuer.status = 500
    answer = await _refusal(server, signed("old", OLD))
    assert answer.status_code == 503
    text = "the issuer's keys cannot be had now; try again"
    assert answer.json() == {"errors": [{"message": text, "extensions": {"code": "ERR_AUTH_UNAVAILABLE"}}]}
    assert answer.headers["retry-after"] == "30"
    assert "www-authenticate" not in answer.headers
    assert await _closed(server, signed("old", OLD)) == 1013, "after which clients try again by themselves"


async def test_known_keys_outlive_an_outage_of_the_issuer(issued: tuple[Issuer, Served]) -> None:
    issuer, server = issued
    assert await _may_ask(server, signed("old", OLD))
    await issuer.listener.stop()
    server.clock.go_on(3_500)
    assert await _may_ask(server, signed("old", OLD))
    server.clock.go_on(200)
    assert (await _refusal(server, signed("old", OLD))).status_code == 503
