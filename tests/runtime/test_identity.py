"""Who is let in, as whom, and with which words the others are turned away."""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from runtime import jwks
from runtime.identity import (
    SCOPES,
    ApiKeys,
    Authenticator,
    Chain,
    Credentials,
    Development,
    Jwt,
    Principal,
    SecretKey,
    Unauthenticated,
    from_settings,
    lacking,
)
from runtime.settings import (
    ApiKeySettings,
    AuthSettings,
    JwtSettings,
    OrganisationSettings,
    SecretText,
    ServerSettings,
    Settings,
    StoreSettings,
)
from tests.runtime.fakes import NOON, FakeClock

SECRET = "0123456789abcdef0123456789abcdef"
NOW = int(NOON.timestamp())
CLAIMS = {
    "iss": "https://id.example",
    "aud": "crossdock",
    "sub": "ann",
    "org": "acme",
    "scope": "read write",
    "exp": NOW + 60,
}
RSA_KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
BEARER = 'Bearer realm="crossdock"'


def jwt_settings(**changes: Any) -> JwtSettings:
    values: dict[str, Any] = {
        "issuer": "https://id.example", "audience": "crossdock", "algorithms": ("HS256",), "secret": SecretText(SECRET),
    }  # fmt: skip
    return JwtSettings(**{**values, **changes})


def bearer(token: str) -> Credentials:
    return Credentials(authorization=f"Bearer {token}")


def token(key: Any = SECRET, algorithm: str = "HS256", headers: dict[str, Any] | None = None, **claims: Any) -> str:
    """A token of `CLAIMS` with changes; a claim of null is left out."""
    payload = {name: value for name, value in {**CLAIMS, **claims}.items() if value is not None}
    return jwt.encode(payload, key, algorithm, headers=headers)


@pytest.fixture
def tokens(clock: FakeClock) -> Jwt:
    return Jwt(jwt_settings(), SecretKey(SecretText(SECRET)), organisations=["acme"], clock=clock)


async def refusal(authenticator: Authenticator, credentials: Credentials) -> Unauthenticated:
    with pytest.raises(Unauthenticated) as caught:
        await authenticator.authenticate(credentials)
    return caught.value


# --- development and API keys ----------------------------------------------------------------------------


async def test_development_lets_everyone_in_as_the_developer() -> None:
    assert await Development().authenticate(Credentials()) == Principal(
        subject="developer", organisation="default", scopes=SCOPES, expires_at=None, how="development"
    )


def api_keys() -> ApiKeys:
    return ApiKeys(
        [
            ApiKeySettings(name="robot", sha256=hashlib.sha256(b"k-1").hexdigest()),
            ApiKeySettings(
                name="erp",
                organisation="acme",
                scopes=("read", "write"),
                sha256=hashlib.sha256("k-é".encode()).hexdigest(),
            ),
        ]
    )


async def test_a_key_is_known_by_its_hash() -> None:
    assert await api_keys().authenticate(Credentials(api_key="k-é")) == Principal(
        subject="erp", organisation="acme", scopes=frozenset({"read", "write"}), how="api_key"
    )
    assert (await api_keys().authenticate(Credentials(api_key="k-1"))).scopes == frozenset({"read"})


@pytest.mark.parametrize(
    ("given", "code"), [("k-2", "invalid_token"), ("", "unauthenticated"), (None, "unauthenticated")]
)
async def test_other_keys_are_refused(given: str | None, code: str) -> None:
    error = await refusal(api_keys(), Credentials(api_key=given))
    assert (error.code, error.challenge) == (code, 'ApiKey realm="crossdock"')


# --- tokens ----------------------------------------------------------------------------------------------


async def test_a_good_token_names_its_principal(tokens: Jwt) -> None:
    assert await tokens.authenticate(bearer(token())) == Principal(
        subject="ann",
        organisation="acme",
        scopes=frozenset({"read", "write"}),
        expires_at=datetime(2026, 3, 1, 12, 1, 30, tzinfo=UTC),  # the leeway included
        how="jwt",
    )


async def test_scopes_are_a_text_or_an_array(tokens: Jwt) -> None:
    assert (await tokens.authenticate(bearer(token(scope=["admin"])))).scopes == frozenset({"admin"})
    assert (await tokens.authenticate(bearer(token(scope=None)))).scopes == frozenset()
    assert (await tokens.authenticate(Credentials(authorization=f"bearer {token()}"))).subject == "ann"


async def test_clocks_may_differ_by_the_leeway(tokens: Jwt, clock: FakeClock) -> None:
    good = bearer(token(nbf=NOW + 30))
    await tokens.authenticate(good)
    clock.seconds = 89
    await tokens.authenticate(good)
    clock.seconds = 90
    assert (await refusal(tokens, good)).message == "the token has expired"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"iss": "https://evil.example"}, "the token is from another issuer"),
        ({"iss": None}, "the token lacks the claim iss"),
        ({"aud": "other"}, "the token is for another audience"),
        ({"aud": None}, "the token lacks the claim aud"),
        ({"exp": None}, "the token lacks the claim exp"),
        ({"sub": None}, "the token lacks the claim sub"),
        ({"exp": NOW - 30}, "the token has expired"),
        ({"exp": "soon"}, "the claim exp is no time"),
        ({"nbf": NOW + 31}, "the token is not valid yet"),
        ({"org": "zeta"}, "the claim org names no organisation of this server"),
        ({"org": None}, "the claim org names no organisation of this server"),
        ({"org": ["acme"]}, "the claim org names no organisation of this server"),
        ({"scope": 7}, "the claim scope is no list of scopes"),
        ({"key": "another secret of at least 32 bytes"}, "the token's signature is wrong"),
        ({"algorithm": "HS384", "key": SECRET * 2}, "the token's algorithm is not accepted"),
        ({"algorithm": "none", "key": None}, "the token's algorithm is not accepted"),
        ({"headers": {"typ": "logout+jwt"}}, "the token is of another type; send an access token"),
        ({"headers": {"typ": 7}}, "the token is of another type; send an access token"),
    ],
)
async def test_a_token_that_is_not_for_us_is_refused(tokens: Jwt, changes: dict[str, Any], message: str) -> None:
    error = await refusal(tokens, bearer(token(**changes)))
    assert (error.code, error.message) == ("invalid_token", message)
    assert error.challenge == f'{BEARER}, error="invalid_token", error_description="{message}"'


@pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "application/at+jwt"])
async def test_access_tokens_are_accepted_by_their_types(tokens: Jwt, kind: str) -> None:
    assert (await tokens.authenticate(bearer(token(headers={"typ": kind})))).subject == "ann"


@pytest.mark.parametrize("text", ["nonsense", "a.b.c", "x" * 20_000])
async def test_what_is_no_token_is_refused(tokens: Jwt, text: str) -> None:
    assert (await refusal(tokens, bearer(text))).code == "invalid_token"


@pytest.mark.parametrize("header", [None, "", "Basic eDp5", "Bearer", "Bearer  "])
async def test_without_a_token_the_challenge_is_bare(tokens: Jwt, header: str | None) -> None:
    error = await refusal(tokens, Credentials(authorization=header))
    assert (error.code, error.challenge) == ("unauthenticated", BEARER)


# --- the issuer's keys -----------------------------------------------------------------------------------


class Issuer:
    """Serves a set of keys and counts how often it is asked."""

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.keys = list(keys)
        self.status = 200
        self.asked = 0
        self.transport = httpx.MockTransport(self.answer)

    def answer(self, request: httpx.Request) -> httpx.Response:
        assert str(request.url) == "https://id.example/keys"
        self.asked += 1
        return httpx.Response(self.status, json={"keys": self.keys})


def jwk(key: Any, kid: str, **more: str) -> dict[str, Any]:
    algorithm = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    return {**json.loads(algorithm.to_jwk(key.public_key())), "kid": kid, **more}


def with_issuer(issuer: Issuer, clock: FakeClock, *algorithms: str) -> Jwt:
    settings = jwt_settings(
        secret=None, jwks_url="https://id.example/keys", algorithms=algorithms or ("RS256", "ES256")
    )
    keys = jwks.from_url("https://id.example/keys", clock=clock, transport=issuer.transport)
    return Jwt(settings, keys, organisations=["acme"], clock=clock)


def signed(kid: str | None, key: Any = RSA_KEY, algorithm: str = "RS256") -> Credentials:
    return bearer(token(key, algorithm, headers={"kid": kid} if kid else None, exp=NOW + 100_000))


async def test_keys_of_the_issuer_are_fetched_once_in_ten_minutes(clock: FakeClock) -> None:
    issuer = Issuer(jwk(RSA_KEY, "r"), jwk(EC_KEY, "e"), {"kty": "unheard-of", "kid": "x"})
    tokens = with_issuer(issuer, clock)
    assert issuer.asked == 0
    for second in (0, 300, 599):
        clock.seconds = second
        assert (await tokens.authenticate(signed("r"))).subject == "ann"
        assert (await tokens.authenticate(signed("e", EC_KEY, "ES256"))).subject == "ann"
    assert issuer.asked == 1
    clock.seconds = 600
    await tokens.authenticate(signed("r"))
    assert issuer.asked == 2
    await tokens.aclose()


async def test_an_unknown_key_asks_again_but_not_more_often_than_every_thirty_seconds(clock: FakeClock) -> None:
    issuer = Issuer(jwk(RSA_KEY, "old"))
    tokens = with_issuer(issuer, clock)
    for second, asked in ((0, 1), (29, 1), (30, 2), (59, 2)):
        clock.seconds = second
        error = await refusal(tokens, signed("new"))
        assert error.message == "the token is signed with a key that the issuer does not have"
        assert issuer.asked == asked
    issuer.keys = [jwk(RSA_KEY, "new")]
    clock.seconds = 60
    assert (await tokens.authenticate(signed("new"))).subject == "ann"
    assert issuer.asked == 3
    assert (await refusal(tokens, signed("old"))).code == "invalid_token"
    await tokens.aclose()


async def test_an_issuer_that_is_away_is_outlived_for_an_hour(clock: FakeClock) -> None:
    issuer = Issuer(jwk(RSA_KEY, "r"))
    tokens = with_issuer(issuer, clock)
    await tokens.authenticate(signed("r"))
    issuer.status = 503
    clock.seconds = 3_599
    await tokens.authenticate(signed("r"))
    clock.seconds = 3_600
    error = await refusal(tokens, signed("r"))
    assert (error.code, error.message) == ("unavailable", "the issuer's keys cannot be had now; try again")
    assert error.retry_after == 30
    assert issuer.asked == 2
    issuer.status = 200
    clock.seconds = 3_629
    assert (await tokens.authenticate(signed("r"))).subject == "ann"
    assert issuer.asked == 3
    await tokens.aclose()


async def test_a_token_without_a_key_id_needs_a_set_of_one(clock: FakeClock) -> None:
    one = with_issuer(Issuer(jwk(RSA_KEY, "r"), jwk(EC_KEY, "e")), clock)
    assert (await one.authenticate(signed(None))).subject == "ann"
    two = with_issuer(Issuer(jwk(RSA_KEY, "r"), jwk(RSA_KEY, "s")), clock)
    assert (await refusal(two, signed(None))).code == "invalid_token"
    await one.aclose()
    await two.aclose()


@pytest.mark.parametrize("more", [{"use": "enc"}, {"alg": "RS512"}])
async def test_a_key_for_something_else_signs_nothing(clock: FakeClock, more: dict[str, str]) -> None:
    tokens = with_issuer(Issuer(jwk(RSA_KEY, "r", **more)), clock)
    assert (await refusal(tokens, signed("r"))).code == "invalid_token"
    await tokens.aclose()


async def test_a_public_key_is_no_secret(clock: FakeClock) -> None:
    """A token that is signed with the issuer's public key as an HMAC secret is the oldest trick."""
    tokens = with_issuer(Issuer(jwk(RSA_KEY, "r")), clock)
    forged = bearer(token("x" * 64, "HS256", headers={"kid": "r"}))
    assert (await refusal(tokens, forged)).message == "the token's algorithm is not accepted"


@pytest.mark.parametrize("body", [b"no json", b'{"keys": 7}', b" " * 1_048_577])
async def test_an_issuer_that_answers_nonsense_lets_nobody_in(clock: FakeClock, body: bytes) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=body))
    keys = jwks.from_url("https://id.example/keys", clock=clock, transport=transport)
    tokens = Jwt(jwt_settings(algorithms=("RS256",)), keys, organisations=["acme"], clock=clock)
    assert (await refusal(tokens, signed("r"))).code == "unavailable"
    await tokens.aclose()


async def test_keys_may_lie_in_a_file(clock: FakeClock, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": [jwk(EC_KEY, "e")]}))
    keys = jwks.from_file(file, clock=clock)
    tokens = Jwt(jwt_settings(algorithms=("ES256",)), keys, organisations=["acme"], clock=clock)
    assert (await tokens.authenticate(signed("e", EC_KEY, "ES256"))).subject == "ann"
    await tokens.aclose()


async def test_a_scope_that_is_lacking_is_named() -> None:
    robot = await api_keys().authenticate(Credentials(api_key="k-1"))
    error = lacking(robot, "metrics")
    assert (error.code, error.message) == ("insufficient_scope", "the caller lacks the scope `metrics`")
    assert error.challenge == 'ApiKey realm="crossdock", error="insufficient_scope", scope="metrics"'


# --- what doctor says --------------------------------------------------------------------------------------


async def test_each_way_in_is_told_in_words(tokens: Jwt) -> None:
    assert await Development().check() == ["everybody on this machine, who may do everything"]
    assert await Chain([api_keys(), tokens]).check() == [
        "API key 'robot' of default: read",
        "API key 'erp' of acme: read, write",
        "tokens of https://id.example for crossdock, signed by our shared secret (HS256); "
        "the claim 'org' tells the organisation",
    ]


async def test_the_issuers_keys_are_counted_and_their_absence_is_a_fault(clock: FakeClock) -> None:
    issuer = Issuer(jwk(RSA_KEY, "r"), jwk(EC_KEY, "e"), {"kty": "unheard-of", "kid": "x"})
    tokens = with_issuer(issuer, clock)
    [told] = await tokens.check()
    assert "signed by one of 2 keys at https://id.example/keys (RS256, ES256)" in told
    await tokens.aclose()
    for wrong in (Issuer(), Issuer(jwk(RSA_KEY, "r"))):
        wrong.status = 503 if wrong.keys else 200
        tokens = with_issuer(wrong, clock)
        with pytest.raises(Unauthenticated) as caught:
            await tokens.check()
        assert caught.value.code == "unavailable"
        await tokens.aclose()


# --- all together ----------------------------------------------------------------------------------------


def settings(auth: AuthSettings | None) -> Settings:
    return Settings(
        server=ServerSettings(),
        store=StoreSettings(url="sqlite:////tmp/x.db"),
        organisations=(OrganisationSettings(key="default", name="D"), OrganisationSettings(key="acme", name="A")),
        auth=auth,
    )


async def test_without_auth_everyone_is_the_developer() -> None:
    assert (await from_settings(settings(None)).authenticate(Credentials())).how == "development"


async def test_keys_and_tokens_live_side_by_side(clock: FakeClock) -> None:
    keys = (ApiKeySettings(name="robot", sha256=hashlib.sha256(b"k-1").hexdigest()),)
    chain = from_settings(settings(AuthSettings(api_keys=keys, jwt=jwt_settings())), clock=clock)
    assert isinstance(chain, Chain)
    assert (await chain.authenticate(Credentials(api_key="k-1"))).how == "api_key"
    assert (await chain.authenticate(bearer(token()))).how == "jwt"
    wrong = await refusal(chain, bearer(token(aud="other")))
    assert (wrong.code, wrong.message) == ("invalid_token", "the token is for another audience")
    nobody = await refusal(chain, Credentials())
    assert (nobody.code, nobody.challenge) == ("unauthenticated", f'ApiKey realm="crossdock", {BEARER}')
    both = await refusal(chain, Credentials(api_key="k-1", authorization=f"Bearer {token()}"))
    assert (both.code, both.challenge) == ("invalid_request", f'{BEARER}, error="invalid_request"')
    await chain.aclose()


async def test_the_settings_choose_where_keys_come_from(clock: FakeClock, tmp_path: Path) -> None:
    issuer = Issuer(jwk(RSA_KEY, "r"))
    by_url = jwt_settings(secret=None, jwks_url="https://id.example/keys", algorithms=("RS256",))
    chain = from_settings(settings(AuthSettings(jwt=by_url)), clock=clock, transport=issuer.transport)
    assert (await chain.authenticate(signed("r"))).subject == "ann"
    await chain.aclose()
    (tmp_path / "keys.json").write_text(json.dumps({"keys": issuer.keys}))
    by_file = jwt_settings(secret=None, jwks_file=tmp_path / "keys.json", algorithms=("RS256",))
    chain = from_settings(settings(AuthSettings(jwt=by_file)), clock=clock)
    assert (await chain.authenticate(signed("r"))).subject == "ann"


def test_credentials_show_themselves_nowhere() -> None:
    assert repr(Credentials(authorization="Bearer x", api_key="y")) == "Credentials(authorization=***, api_key=***)"
    assert repr(Credentials()) == "Credentials()"
