"""Who asks: API keys, tokens of an issuer, or the developer at this machine."""

import hashlib
import hmac
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import jwt

from runtime import jwks
from runtime.clock import Clock, SystemClock
from runtime.settings import ApiKeySettings, JwtSettings, SecretText, Settings

SCOPES = frozenset({"read", "write", "admin", "metrics", "explain"})
MAX_TOKEN_LENGTH = 16_384
_REALM = 'realm="crossdock"'
_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})


@dataclass(frozen=True, kw_only=True)
class Principal:
    """Who asks, for which organisation, and what they may do. `how`: `development`, `api_key` or `jwt`.

    `expires_at`: from then on these credentials are refused, on an open socket too; null for those that never end.
    """

    subject: str
    organisation: str
    scopes: frozenset[str]
    expires_at: datetime | None = None
    how: str


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """The two headers as they came: `Authorization` and `X-API-Key`."""

    authorization: str | None = None
    api_key: str | None = None

    def __repr__(self) -> str:
        given = [name for name, value in (("authorization", self.authorization), ("api_key", self.api_key)) if value]
        return f"Credentials({', '.join(f'{name}=***' for name in given)})"


class Unauthenticated(Exception):
    """Nobody is let in. `challenge` is the value of `WWW-Authenticate`.

    `code`: `unauthenticated` (nothing was given that counts here), `invalid_token` (it is wrong or has expired),
    `insufficient_scope` (it is good, but not for this), `invalid_request` (it is given twice), `unavailable` (the
    issuer's keys cannot be had; `retry_after` says after how many seconds it is worth asking again).
    """

    def __init__(self, code: str, message: str, challenge: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.challenge, self.retry_after = code, message, challenge, retry_after


def lacking(principal: Principal, scope: str) -> Unauthenticated:
    """The refusal of a principal that lacks a scope (RFC 6750, 3.1)."""
    scheme = "ApiKey" if principal.how == "api_key" else "Bearer"
    challenge = f'{scheme} {_REALM}, error="insufficient_scope", scope="{scope}"'
    return Unauthenticated("insufficient_scope", f"the caller lacks the scope `{scope}`", challenge)


class Authenticator(Protocol):
    """Says who asks, or raises `Unauthenticated`."""

    async def authenticate(self, credentials: Credentials) -> Principal: ...

    async def check(self) -> list[str]:
        """Who is let in, in words, one line per way. Raises `Unauthenticated` when a way does not work."""
        ...

    async def aclose(self) -> None: ...


class Development:
    """Everyone is the developer and may do everything; for a server that only this machine can reach."""

    async def authenticate(self, credentials: Credentials) -> Principal:  # noqa: ARG002  the protocol's
        return Principal(subject="developer", organisation="default", scopes=SCOPES, how="development")

    async def check(self) -> list[str]:
        return ["everybody on this machine, who may do everything"]

    async def aclose(self) -> None:
        """Nothing to end."""


class ApiKeys:
    """Keys in `X-API-Key`, known by their SHA-256 only."""

    challenge = f"ApiKey {_REALM}"

    def __init__(self, keys: Sequence[ApiKeySettings]) -> None:
        self._keys = tuple(keys)
        self._principals = [(bytes.fromhex(key.sha256), _of_key(key)) for key in keys]

    async def authenticate(self, credentials: Credentials) -> Principal:
        if not credentials.api_key:
            raise Unauthenticated("unauthenticated", "send your key in X-API-Key", self.challenge)
        given = hashlib.sha256(credentials.api_key.encode("utf-8", "surrogateescape")).digest()
        # all are compared: the time it takes does not tell which
        matching = [principal for digest, principal in self._principals if hmac.compare_digest(digest, given)]
        if not matching:
            raise Unauthenticated("invalid_token", "the key in X-API-Key is not known", self.challenge)
        return matching[0]

    async def check(self) -> list[str]:
        return [f"API key {key.name!r} of {key.organisation}: {', '.join(sorted(key.scopes))}" for key in self._keys]

    async def aclose(self) -> None:
        """Nothing to end."""


def _of_key(key: ApiKeySettings) -> Principal:
    return Principal(subject=key.name, organisation=key.organisation, scopes=frozenset(key.scopes), how="api_key")


class Keys(Protocol):
    """Where the keys come from that tokens are checked with."""

    async def key(self, kid: str | None, algorithm: str) -> Any | None: ...

    async def check(self) -> str:
        """What the keys are, in words. Raises `NoKeys`."""
        ...

    async def aclose(self) -> None: ...


class SecretKey:
    """One secret for all tokens (HS256 and its larger kin)."""

    def __init__(self, secret: SecretText) -> None:
        self._secret = secret

    async def key(self, kid: str | None, algorithm: str) -> Any | None:  # noqa: ARG002  the protocol's
        return self._secret.reveal().encode()

    async def check(self) -> str:
        return "by our shared secret"

    async def aclose(self) -> None:
        """Nothing to end."""


class Jwt:
    """Bearer tokens (RFC 9068): signed by an allowed algorithm, for us, by the issuer, now."""

    challenge = f"Bearer {_REALM}"

    def __init__(self, settings: JwtSettings, keys: Keys, *, organisations: Collection[str], clock: Clock) -> None:
        self._settings = settings
        self._keys = keys
        self._organisations = frozenset(organisations)
        self._clock = clock

    async def authenticate(self, credentials: Credentials) -> Principal:
        scheme, _, token = (credentials.authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthenticated("unauthenticated", "send a token as Authorization: Bearer …", self.challenge)
        claims = await self._claims(token.strip())
        expires_at = self._in_time(claims)
        organisation = claims.get(self._settings.organisation_claim)
        if not isinstance(organisation, str) or organisation not in self._organisations:
            raise self._invalid(f"the claim {self._settings.organisation_claim} names no organisation of this server")
        return Principal(
            subject=claims["sub"],
            organisation=organisation,
            scopes=self._scopes(claims),
            expires_at=expires_at,
            how="jwt",
        )

    async def check(self) -> list[str]:
        try:
            signed = await self._keys.check()
        except jwks.NoKeys as error:
            raise self._unavailable() from error
        given = self._settings
        return [
            f"tokens of {given.issuer} for {given.audience}, signed {signed} ({', '.join(given.algorithms)}); "
            f"the claim {given.organisation_claim!r} tells the organisation"
        ]

    async def aclose(self) -> None:
        await self._keys.aclose()

    async def _claims(self, token: str) -> dict[str, Any]:
        """What a token says whose signature, issuer and audience are right."""
        settings = self._settings
        if len(token) > MAX_TOKEN_LENGTH:
            raise self._invalid("the token is too long")
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            raise self._invalid("this is no JWT") from None
        algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
        if algorithm not in settings.algorithms or algorithm == "none":
            raise self._invalid("the token's algorithm is not accepted")
        if not isinstance(kind, str) or kind.lower() not in _TYPES:
            raise self._invalid("the token is of another type; send an access token")
        try:
            key = await self._keys.key(kid, algorithm)
        except jwks.NoKeys as error:
            raise self._unavailable() from error
        if key is None:
            raise self._invalid("the token is signed with a key that the issuer does not have")
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=settings.audience,
                issuer=settings.issuer,
                # times are compared by our own clock
                options={
                    "require": ["exp", "sub"], "verify_exp": False, "verify_nbf": False, "verify_iat": False,
                    "enforce_minimum_key_length": True,
                },
            )  # fmt: skip
        except jwt.InvalidIssuerError:
            raise self._invalid("the token is from another issuer") from None
        except jwt.InvalidAudienceError:
            raise self._invalid("the token is for another audience") from None
        except jwt.MissingRequiredClaimError as error:
            raise self._invalid(f"the token lacks the claim {error.claim}") from None
        except (jwt.PyJWTError, TypeError, ValueError):
            raise self._invalid("the token's signature is wrong") from None
        return claims

    def _in_time(self, claims: dict[str, Any]) -> datetime:
        """From when on the token is refused. Clocks may differ by the leeway."""
        leeway = timedelta(seconds=self._settings.leeway_seconds)
        now = self._clock.now()
        expires_at = self._moment(claims, "exp", leeway)
        if now >= expires_at:
            raise self._invalid("the token has expired")
        if "nbf" in claims and now < self._moment(claims, "nbf", -leeway):
            raise self._invalid("the token is not valid yet")
        return expires_at

    def _moment(self, claims: dict[str, Any], name: str, leeway: timedelta) -> datetime:
        value = claims[name]
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._invalid(f"the claim {name} is no time")
        try:
            return datetime.fromtimestamp(value, UTC) + leeway
        except (OverflowError, OSError, ValueError):
            raise self._invalid(f"the claim {name} is no time") from None

    def _scopes(self, claims: dict[str, Any]) -> frozenset[str]:
        """A text with blanks or an array of texts; issuers do both."""
        found = claims.get(self._settings.scope_claim, "")
        if isinstance(found, str):
            return frozenset(found.split())
        if isinstance(found, list) and all(isinstance(each, str) for each in found):
            return frozenset(found)
        raise self._invalid(f"the claim {self._settings.scope_claim} is no list of scopes")

    def _unavailable(self) -> Unauthenticated:
        return Unauthenticated(
            "unavailable",
            "the issuer's keys cannot be had now; try again",
            self.challenge,
            retry_after=jwks.PAUSE_SECONDS,
        )

    def _invalid(self, message: str) -> Unauthenticated:
        description = message.replace('"', "'")
        challenge = f'{self.challenge}, error="invalid_token", error_description="{description}"'
        return Unauthenticated("invalid_token", message, challenge)


class Chain:
    """The first that finds something to judge decides."""

    def __init__(self, authenticators: Iterable[Authenticator]) -> None:
        self._authenticators = tuple(authenticators)

    async def authenticate(self, credentials: Credentials) -> Principal:
        if credentials.authorization and credentials.api_key:
            raise Unauthenticated(
                "invalid_request",
                "send either Authorization or X-API-Key, not both",
                f'Bearer {_REALM}, error="invalid_request"',
            )
        challenges = []
        for authenticator in self._authenticators:
            try:
                return await authenticator.authenticate(credentials)
            except Unauthenticated as error:
                if error.code != "unauthenticated":
                    raise
                challenges.append(error.challenge)
        raise Unauthenticated("unauthenticated", "who are you? Send credentials", ", ".join(challenges))

    async def check(self) -> list[str]:
        return [line for each in self._authenticators for line in await each.check()]

    async def aclose(self) -> None:
        for authenticator in self._authenticators:
            await authenticator.aclose()


def from_settings(
    settings: Settings, *, clock: Clock | None = None, transport: jwks.Transport | None = None
) -> Authenticator:
    """What the settings ask for. `transport` is for the issuer's keys."""
    clock = clock or SystemClock()
    if settings.auth is None:
        return Development()
    found: list[Authenticator] = []
    if settings.auth.api_keys:
        found.append(ApiKeys(settings.auth.api_keys))
    if settings.auth.jwt is not None:
        organisations = [each.key for each in settings.organisations]
        keys = _keys(settings.auth.jwt, clock, transport)
        found.append(Jwt(settings.auth.jwt, keys, organisations=organisations, clock=clock))
    return Chain(found)


def _keys(settings: JwtSettings, clock: Clock, transport: jwks.Transport | None) -> Keys:
    if settings.secret is not None:
        return SecretKey(settings.secret)
    if settings.jwks_url is not None:
        return jwks.from_url(settings.jwks_url, clock=clock, transport=transport)
    if settings.jwks_file is not None:
        return jwks.from_file(settings.jwks_file, clock=clock)
    raise ValueError("tokens need a secret, an address or a file of keys")
