"""What providers' answers mean beyond their HTTP status, and their ways of signing in.

Cat: `{"code": "429.002", "description": …}`; Samsara: `{"message", "requestId"}`; token endpoints: `{"error", …}`.
"""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from connectors.kit.auth import BasicAuth, HeaderAuth, OAuth2ClientCredentials, RenewingAuth, Send
from connectors.kit.errors import AuthFailed, BadPayload, RateLimited, VendorDown
from connectors.kit.http import Api, Outcome, OutcomeKind, by_status, looks_like_html, retry_after
from connectors.kit.integration import Integration, Secret
from connectors.kit.services import Services
from connectors.minestar import json, wire, xml
from connectors.minestar.settings import Settings

if TYPE_CHECKING:
    import httpx

QUOTA: Final = "429.002"
"""Cat's code for a day's quota that is used up."""
_FAULT_LONGEST: Final = 2_000
_TOKEN_LONGEST: Final = 8_000
_KINDS: Final = {
    "400": OutcomeKind.BAD_REQUEST,
    "401": OutcomeKind.AUTH_EXPIRED,
    "403": OutcomeKind.DENIED,
    "404": OutcomeKind.ABSENT,
    "429": OutcomeKind.THROTTLED,
    "500": OutcomeKind.DOWN,
    "503": OutcomeKind.DOWN,
}
"""By the part of Cat's codes before the point."""


class Fault(msgspec.Struct, frozen=True):
    """A fault in any of the providers' words."""

    code: str | int | None = None
    description: str | None = None
    message: str | None = None
    error: str | None = None
    error_description: str | None = None


def document(body: bytes) -> wire.Document:
    """The answer, XML or JSON by its first character; none at all is an empty fleet. Raises `BadPayload`."""
    first = body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if first == b"":
        return wire.Fleet(None, None, [], [])
    if first in (b"{", b"["):
        return json.document(body)
    if first == b"<" or body[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return xml.document(body)
    raise BadPayload("the answer is neither XML nor JSON", path="$")


def explain(response: "httpx.Response") -> Outcome | None:
    """Null leaves it to the HTTP status. A quota that is used up pauses until 00:00 UTC by the answer's own clock."""
    return outcome(response, lambda: seconds_to_midnight(datetime.now(UTC)))


def outcome(response: "httpx.Response", until_midnight: Callable[[], float]) -> Outcome | None:
    """As `explain`, with the seconds that a quota that is used up pauses."""
    if looks_like_html(response):
        if response.status_code >= 400:
            return None
        return Outcome(
            kind=OutcomeKind.NONSENSE,
            message="a page in HTML instead of data, usually a log-in; check base_url",
        )
    fault = _fault(response.content)
    if response.status_code < 400:
        if fault is None or fault.code is None:
            return None
        kind = _KINDS.get(str(fault.code)[:3])
        if kind is None:
            return None
    else:
        kind = by_status(response).kind
    if response.status_code == 401 and not _expires(response):
        kind = OutcomeKind.AUTH_FAILED
    code = None if fault is None or fault.code is None else str(fault.code)
    pause = retry_after(response)
    if code == QUOTA:
        pause = until_midnight()
    said = fault and (fault.description or fault.message or fault.error_description or fault.error)
    return Outcome(kind=kind, code=code, message=said or None, retry_after=pause)


def _fault(body: bytes) -> Fault | None:
    if len(body) > _FAULT_LONGEST or body.lstrip()[:1] != b"{":
        return None
    try:
        found = msgspec.json.decode(body, type=Fault, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if found.code or found.description or found.message or found.error else None


def _expires(response: "httpx.Response") -> bool:
    """HTTP Basic does not; a fixed bearer token that is refused is told by the renewal, which it has not."""
    try:
        scheme = response.request.headers.get("authorization", "")
    except RuntimeError:  # an answer read from a file has no request
        return True
    return not scheme.lower().startswith("basic")


def seconds_to_midnight(now: datetime) -> float:
    """Until the next 00:00 UTC."""
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return (today + timedelta(days=1) - now).total_seconds()


# --- signing in


class Granted(OAuth2ClientCredentials):
    """OAuth 2.0 with another grant: a password (Bell), a refresh token (Deere). The refresh token must be one that the
    provider does not change at each use."""

    def __init__(self, token_url: str, *, form: dict[str, Secret], **rest: object) -> None:
        super().__init__(token_url, **rest)  # type: ignore[arg-type]
        self._form = form

    def grant(self) -> dict[str, str]:
        return {name: secret.reveal() for name, secret in self._form.items()}


class TextToken(RenewingAuth):
    """Develon: the token endpoint takes HTTP Basic and answers with the token as plain text."""

    def __init__(self, token_path: str, *, user: str, password: Secret, integration: str) -> None:
        super().__init__()
        self._token_path, self._user, self._password, self._integration = token_path, user, password, integration
        self._api: Api | None = None

    def through(self, api: Api) -> None:
        """Gives the way out; called once, before the first request."""
        self._api = api

    async def log_in(self, send: Send) -> str:
        assert self._api is not None
        pair = f"{self._user}:{self._password.reveal()}".encode()
        headers = {"Authorization": "Basic " + base64.b64encode(pair).decode(), "Accept": "text/plain"}
        response = await send(self._api.build("POST", self._token_path, headers=headers))
        status, key = response.status_code, self._integration
        if status == 429:
            raise RateLimited(f"{key}: the token endpoint answered 429", status=status, integration=key)
        if status >= 500:
            raise VendorDown(f"{key}: the token endpoint answered {status}", status=status, integration=key)
        token = response.content.decode("ascii", "replace").strip().strip('"')
        if status >= 400 or not token or len(token) > _TOKEN_LONGEST or not token.isprintable() or " " in token:
            raise AuthFailed(
                f"{key}: the token endpoint refused the account (HTTP {status}, no token)",
                status=status,
                integration=key,
            )
        return token


def auth_of(integration: Integration, services: Services, settings: Settings) -> "httpx.Auth | None":
    """By the credentials that are given; null for none. Raises `ValueError` for what does not go together."""
    given = {name: secret for name, secret in integration.credentials.items() if secret}
    if not given:
        return None
    token, client = given.get("token"), given.get("client_id")
    if token is not None:
        if len(given) > 1:
            raise ValueError("give the credential `token` alone, or the others without it")
        return HeaderAuth("Authorization", token, prefix="Bearer ")
    if ("username" in given) != ("password" in given) or (client is None) != ("client_secret" not in given):
        raise ValueError("give `client_id` with `client_secret`, and `username` with `password`")
    if client is None:
        if "refresh_token" in given:
            raise ValueError("the credential `refresh_token` needs `client_id` and `client_secret`")
        user, password = given["username"].reveal(), given["password"]
        if settings.token_url is None:
            return BasicAuth(user, password)
        return TextToken(settings.token_url, user=user, password=password, integration=integration.key)
    if settings.token_url is None:
        raise ValueError("`client_id` needs the setting `token_url`, the provider's token endpoint")
    url = settings.token_url
    if "://" not in url:
        url = f"{integration.base_url.rstrip('/')}/{url.lstrip('/')}"
    form = {"grant_type": Secret("client_credentials")}
    if "refresh_token" in given:
        form = {"grant_type": Secret("refresh_token"), "refresh_token": given["refresh_token"]}
    elif "username" in given:
        form = {
            "grant_type": Secret("password"),
            "username": given["username"],
            "password": given["password"],
        }
    return Granted(
        url,
        form=form,
        client_id=client.reveal(),
        client_secret=given["client_secret"],
        scope=settings.scope,
        in_body=settings.client_in_body,
        tokens=services.tokens,
        store_key=f"minestar:{integration.key}",
        clock=services.clock,
    )
