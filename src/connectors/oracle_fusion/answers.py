"""What Oracle's answers mean beyond their HTTP status, and its two ways of signing in.

With the error media type accepted a fault is `{"title", "status", "o:errorDetails": [{"detail", "o:errorCode",
"o:errorPath"}]}`, where `status` is text; without it, and from what stands in front of Fusion, it is plain text.
"""

from typing import TYPE_CHECKING, Final

import msgspec

from connectors.kit.auth import BasicAuth, OAuth2ClientCredentials
from connectors.kit.http import Outcome, OutcomeKind, by_status, looks_like_html
from connectors.kit.integration import Integration
from connectors.kit.services import Services
from connectors.oracle_fusion import wire
from connectors.oracle_fusion.settings import Settings

if TYPE_CHECKING:
    import httpx

_LONGEST: Final = 300
_SAID: Final = 5
"""Faults of one answer that are told; a refused batch may have hundreds."""
_STATUS_BY_KIND: Final = {
    400: OutcomeKind.BAD_REQUEST,
    401: OutcomeKind.AUTH_EXPIRED,
    403: OutcomeKind.DENIED,
    404: OutcomeKind.ABSENT,
    412: OutcomeKind.CONFLICT,
    429: OutcomeKind.THROTTLED,
}


def explain(response: "httpx.Response") -> Outcome | None:
    """Null leaves it to the HTTP status."""
    if response.status_code < 400:
        return _of_success(response)
    if looks_like_html(response):
        return None if response.status_code != 401 else Outcome(kind=_unauthorised(response))
    plain = by_status(response)
    fault = _fault(response.content)
    code, message = said(fault) if fault is not None else (None, _first_line(response))
    kind = _unauthorised(response) if response.status_code == 401 else plain.kind
    return Outcome(kind=kind, code=code, message=message, retry_after=plain.retry_after)


def _of_success(response: "httpx.Response") -> Outcome | None:
    if response.status_code >= 300:
        return None
    if looks_like_html(response):
        return Outcome(
            kind=OutcomeKind.NONSENSE,
            message="a page in HTML instead of data, usually a log-in; base_url must be the pod's own address "
            "(https://<pod>.fa.<region>.oraclecloud.com)",
        )
    if b'"o:error' not in response.content[:2_000]:
        return None
    fault = _fault(response.content)
    if fault is None:
        return None
    code, message = said(fault)
    given = str(fault.status)
    status = int(given) if given.isascii() and given.isdigit() and len(given) == 3 else 400
    kind = _STATUS_BY_KIND.get(status, OutcomeKind.DOWN if status >= 500 else OutcomeKind.BAD_REQUEST)
    return Outcome(kind=kind, code=code, message=message)


def _unauthorised(response: "httpx.Response") -> OutcomeKind:
    """HTTP Basic does not expire."""
    try:
        scheme = response.request.headers.get("authorization", "")
    except RuntimeError:  # an answer read from a file has no request
        scheme = ""
    return OutcomeKind.AUTH_FAILED if scheme.lower().startswith("basic") else OutcomeKind.AUTH_EXPIRED


def said(fault: wire.Fault) -> tuple[str | None, str | None]:
    """Code and words of a fault: the first code, and what is wrong at which place."""
    details = fault.details or []
    if not details:
        return fault.code, (fault.detail or fault.title or "")[:_LONGEST] or None
    words = [f"{each.detail or 'no words'}{f' (at {each.path})' if each.path else ''}" for each in details[:_SAID]]
    if len(details) > _SAID:
        words.append(f"and {len(details) - _SAID} more")
    return next((each.code for each in details if each.code), fault.code), " ".join(words)[:_LONGEST]


def _fault(body: bytes) -> wire.Fault | None:
    if body.lstrip()[:1] != b"{":
        return None
    try:
        found = msgspec.json.decode(body, type=wire.Fault, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if found.title or found.detail or found.details else None


def _first_line(response: "httpx.Response") -> str | None:
    """Of plain text. JSON of another form says nothing that is fit to show."""
    text = response.text[:2_000].strip()
    return text.partition("\n")[0].strip()[:_LONGEST] or None if text[:1] not in ("{", "[", "<") else None


def auth_of(integration: Integration, services: Services, settings: Settings) -> OAuth2ClientCredentials | BasicAuth:
    """By the credentials that are given. Raises `ValueError` for none, both, or half of one."""
    given = {name: secret for name, secret in integration.credentials.items() if secret}
    client, user = given.keys() & {"client_id", "client_secret"}, given.keys() & {"username", "password"}
    if bool(client) == bool(user) or 1 in (len(client), len(user)):
        raise ValueError(
            "give the credentials `client_id` and `client_secret` (OAuth 2.0), or `username` and `password` (Basic)"
        )
    if user:
        return BasicAuth(given["username"].reveal(), given["password"])
    if not settings.token_url:
        raise ValueError("`client_id` needs the setting `token_url`, the token endpoint of the identity domain")
    url = settings.token_url
    if "://" not in url:
        url = f"{integration.base_url.rstrip('/')}/{url.lstrip('/')}"
    return OAuth2ClientCredentials(
        url,
        client_id=given["client_id"].reveal(),
        client_secret=given["client_secret"],
        scope=settings.scope,
        tokens=services.tokens,
        store_key=f"oracle-fusion:{integration.key}",
        clock=services.clock,
    )
