"""Configurations of the server's tests, and tokens that they accept."""

from datetime import datetime
from typing import Any

import jwt

SECRET = "0123456789abcdef0123456789abcdef"
SIGNING_KEY = "sandbox-signing-key"
ISSUER, AUDIENCE = "https://id.example", "crossdock"

STORE = """
[store]
url = "sqlite:///crossdock.db"
"""
TWO_ORGANISATIONS = """
[[organisations]]
key = "north"
name = "North Haulage"
[[organisations]]
key = "south"
name = "South Freight"
"""
KEYS = """
[[auth.api_keys]]
name = "north"
organisation = "north"
scopes = ["read", "metrics"]
key = { env = "NORTH" }
[[auth.api_keys]]
name = "south"
organisation = "south"
key = { env = "SOUTH" }
"""
TOKENS = f"""
[auth.jwt]
issuer = "{ISSUER}"
audience = "{AUDIENCE}"
algorithms = ["HS256"]
secret = {{ env = "JWT_SECRET" }}
leeway_seconds = 0
"""


def fleet(url: str = "http://vendor", *, key: str = "fleet", organisation: str = "north", **settings: Any) -> str:
    """Traccar."""
    more = "".join(f"{name} = {str(value).lower()}\n" for name, value in settings.items())
    return f"""
[[integrations]]
key = "{key}"
system = "traccar"
organisation = "{organisation}"
base_url = "{url}"
[integrations.credentials]
token = "sandbox-traccar-token-RzBFAiEA1"
webhook_secret = "forwarded"
[integrations.settings]
{more}
"""


def rides(
    url: str = "http://vendor", *, key: str = "rides", organisation: str = "north", signing_key: str = SIGNING_KEY
) -> str:
    """Uber Guest Rides."""
    return f"""
[[integrations]]
key = "{key}"
system = "passenger-app"
organisation = "{organisation}"
base_url = "{url}"
[integrations.credentials]
client_id = "sandbox-uber-client"
client_secret = "sandbox-uber-secret"
signing_key = "{signing_key}"
[integrations.settings]
requests_per_hour = 20000
"""


def plm(url: str = "http://vendor", *, organisation: str = "north") -> str:
    """Teamcenter."""
    return f"""
[[integrations]]
key = "plm"
system = "teamcenter"
organisation = "{organisation}"
base_url = "{url}"
[integrations.credentials]
user = "sandbox"
password = "sandbox-teamcenter"
[integrations.settings]
time_zone = "Africa/Lagos"
"""


def token(
    expires_at: datetime, *, key: Any = SECRET, algorithm: str = "HS256", kid: str | None = None, **claims: Any
) -> str:
    """An access token for `north` that may read, with changes; a claim of null is left out."""
    exp = int(expires_at.timestamp())
    usual = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "org": "north", "scope": "read", "exp": exp}
    payload = usual | claims
    payload = {name: value for name, value in payload.items() if value is not None}
    return jwt.encode(payload, key, algorithm, headers={"kid": kid} if kid else None)


def bearer(value: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {value}"}
