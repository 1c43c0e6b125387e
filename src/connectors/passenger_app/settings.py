"""Settings and credentials of a passenger app (Uber Guest Rides)."""

import hashlib
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from connectors.kit.integration import Integration
from connectors.kit.manifest import Credential

SCOPE = "guests.trips"
SIGN_IN_URL = "https://auth.uber.com/oauth/v2/token"

CREDENTIALS = (
    Credential(name="client_id", description="Client id of the app at developer.uber.com"),
    Credential(name="client_secret", description="Its client secret"),
    Credential(
        name="signing_key",
        description="Key that signs the webhooks (older apps: the client secret); without it all are refused",
        required=False,
    ),
    Credential(name="signing_key_next", description="The new signing key, while it is being changed", required=False),
)


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[integrations.settings]` of a passenger app."""

    token_url: Annotated[
        str | None,
        msgspec.Meta(
            description="Token endpoint; null = auth.uber.com for Uber's own hosts, else /oauth/v2/token below base_url"
        ),
    ] = None
    organization_uuid: Annotated[
        Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9-]{1,64}$")] | None,
        msgspec.Meta(description="Third-party apps: organisation that they act for"),
    ] = None
    requests_per_hour: Annotated[
        int,
        msgspec.Meta(
            ge=1, le=1_000_000, description="Calls per hour that Uber allows this app, per endpoint; its default is 200"
        ),
    ] = 200
    active_poll_seconds: Annotated[
        float,
        msgspec.Meta(
            ge=1, le=86_400, description="Seconds between two polls of the active trips, a safety net behind webhooks"
        ),
    ] = 300.0


def settings_of(integration: Integration) -> Settings:
    return msgspec.convert(integration.settings, Settings)


def token_url(integration: Integration, settings: Settings) -> str:
    if settings.token_url:
        return settings.token_url
    host = urlsplit(integration.base_url).hostname or ""
    if host == "uber.com" or host.endswith(".uber.com"):
        return SIGN_IN_URL
    return integration.base_url.rstrip("/") + "/oauth/v2/token"


def token_key(url: str, client_id: str) -> str:
    """Name of the shared token: the same for all integrations and processes that use the same app."""
    digest = hashlib.sha256(f"{url} {client_id} {SCOPE}".encode()).hexdigest()
    return f"passenger-app:{digest[:24]}"
