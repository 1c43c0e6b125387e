"""The shape of the settings: frozen structs, each field with the values that it takes.

`extra={"write": …}` of a field is what an error message tells people to write instead.
"""

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from runtime.toml_source import KeyPath, TomlSource
from unified.keys import Subject
from unified.values import System

KEY_PATTERN = r"^[a-z][a-z0-9-]{0,39}$"


def _write(text: str) -> dict[str, Any]:
    return {"write": text}


Key = Annotated[
    str, Meta(pattern=KEY_PATTERN, extra=_write('1 to 40 of a-z, 0-9 and -, starting with a letter, like "ewm-west"'))
]
Text = Annotated[str, Meta(min_length=1, extra=_write("a text that is not empty"))]
Flag = Annotated[bool, Meta(extra=_write("true or false"))]
Port = Annotated[int, Meta(ge=1, le=65_535, extra=_write("a port from 1 to 65535, like 8000"))]
Bytes = Annotated[int, Meta(ge=1, extra=_write("a number of bytes, like 1048576"))]
Seconds = Annotated[float, Meta(gt=0, le=86_400, extra=_write("seconds above 0, like 10"))]
Days = Annotated[float, Meta(gt=0, le=3_650, extra=_write("days above 0, like 7"))]
Rate = Annotated[float, Meta(gt=0, extra=_write("calls per second above 0, like 5"))]
Leeway = Annotated[int, Meta(ge=0, le=60, extra=_write("0 to 60 seconds, like 30"))]
Sha256 = Annotated[
    str, Meta(pattern=r"^[0-9a-f]{64}$", extra=_write("the SHA-256 of the key as 64 hexadecimal digits in lower case"))
]
Texts = Annotated[tuple[Text, ...], Meta(min_length=1, extra=_write('a list of texts, like ["read"]'))]


Connections = Annotated[int, Meta(ge=1, extra=_write("a number of connections, like 2000"))]


class SecretText:
    """Text that shows itself nowhere: not in logs, not in errors, not in `repr`. `reveal()` is the way in.

    `plain` is true when the secret is written in the settings file itself.
    """

    __slots__ = ("_text", "plain")

    def __init__(self, text: str, *, plain: bool = False) -> None:
        self._text = text
        self.plain = plain

    def reveal(self) -> str:
        """The text itself; hand it to the wire only."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretText) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "SecretText(***)"

    __str__ = __repr__


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the settings file."""


class ServerSettings(_Table, frozen=True, kw_only=True):
    host: Text = "127.0.0.1"
    port: Port = 8000
    cursor_key: SecretText | None = None
    """Signs cursors; null makes one per process, so that cursors end with it."""
    webhook_max_bytes: Bytes = 1_048_576
    max_body_bytes: Bytes = 1_048_576
    introspection: Flag = True
    federated_tracing: Flag = False
    """Gateways that ask for it are told how long each field took (Apollo's ftv1), which costs time itself."""
    connection_init_seconds: Seconds = 10.0
    """How long a WebSocket may take to say who it is."""
    connections: Connections = 2_000
    """Connections that are open at once, WebSockets included."""
    connections_per_address: Connections = 500
    """Of one address. Behind a balancer that has one address itself, as many as `connections`."""
    show_cost: Flag = False
    """Whether every answer tells its cost, not only those to who asks for it."""
    allowed_origins: tuple[Text, ...] = ()
    """Origins of web pages that may ask from a browser, as browsers write them: `https://front.example`."""


Count = Annotated[int, Meta(ge=1, extra=_write("a whole number from 1"))]


class LimitsSettings(_Table, frozen=True, kw_only=True):
    """What one operation, caller or socket may be at most; docs/endpoint.md says what each protects from."""

    characters: Count = 100_000
    tokens: Count = 4_000
    depth: Count = 16
    introspection_depth: Count = 20
    aliases: Count = 100
    root_fields: Count = 20
    fields: Count = 1_500
    overlaps: Count = 10_000
    errors: Count = 50
    seconds: Seconds = 30.0
    operations_per_caller: Count = 50
    subscriptions_per_socket: Count = 100
    subscriptions_per_caller: Count = 200
    batch: Count = 10
    values: Count = 10_000
    representations: Count = 1_000
    cost: Count = 500_000
    answer_fields: Count = 200_000
    vendor_calls: Count = 5_000


class DocumentsSettings(_Table, frozen=True, kw_only=True):
    """Documents that clients name instead of sending them."""

    folder: Path | None = None
    """Trusted documents: `.graphql` files, Relay's and Apollo's manifests."""
    only_trusted: Flag = False
    """Refuses every document that is not in the folder."""
    automatic: Flag = True
    """Takes Apollo's automatic persisted queries."""


class StoreSettings(_Table, frozen=True, kw_only=True):
    """`url` is complete: a path in it is absolute. It may hold a password, so `repr` shows no more than the host."""

    url: str
    inbox_retention_days: Days = 7.0
    """How long a delivery is remembered that was dealt with: one that comes again within it is known."""

    def __repr__(self) -> str:
        parts = urlsplit(self.url)
        return f"StoreSettings(url='{parts.scheme}://{parts.hostname or ''}{parts.path}')"


class OrganisationSettings(_Table, frozen=True, kw_only=True):
    key: Key
    name: Text


class IntegrationSettings(_Table, frozen=True, kw_only=True):
    """`credentials` and `settings` are the connector's own; it checks them."""

    key: Key
    system: System
    organisation: Key = "default"
    base_url: str = ""
    deadline_seconds: Seconds = 10.0
    rate_per_second: Rate | None = None
    poll_seconds: Seconds = 15.0
    enabled: Flag = True
    credentials: dict[str, SecretText] = {}
    settings: dict[str, Any] = {}


class Named(_Table, frozen=True, kw_only=True):
    """A thing by the number that an integration gives it."""

    integration: Text
    number: Text


class LinkSettings(_Table, frozen=True, kw_only=True):
    """Numbers that mean the same thing although no rule makes them equal."""

    subject: Subject
    organisation: Key = "default"
    same: tuple[Named, ...]


class ApiKeySettings(_Table, frozen=True, kw_only=True):
    """Only the hash of the key is kept. `plain`: the key itself stands in the settings file."""

    name: Text
    organisation: Key = "default"
    scopes: Texts = ("read",)
    sha256: Sha256
    plain: bool = False


class JwtSettings(_Table, frozen=True, kw_only=True):
    """Exactly one of `secret`, `jwks_url` and `jwks_file` is given."""

    issuer: Text
    audience: Text
    algorithms: Texts
    secret: SecretText | None = None
    jwks_url: str | None = None
    jwks_file: Path | None = None
    organisation_claim: Text = "org"
    scope_claim: Text = "scope"
    leeway_seconds: Leeway = 30


class AuthSettings(_Table, frozen=True, kw_only=True):
    api_keys: tuple[ApiKeySettings, ...] = ()
    jwt: JwtSettings | None = None


class Settings(_Table, frozen=True, kw_only=True):
    """Everything that a file and the environment say. `auth` null means the development principal."""

    path: Path | None = None
    server: ServerSettings
    store: StoreSettings
    organisations: tuple[OrganisationSettings, ...]
    integrations: tuple[IntegrationSettings, ...] = ()
    masters: dict[str, dict[Subject, str]] = {}
    """Organisation → subject → key of the integration that is its master."""
    links: tuple[LinkSettings, ...] = ()
    auth: AuthSettings | None = None
    limits: LimitsSettings = LimitsSettings()
    documents: DocumentsSettings = DocumentsSettings()
    source: TomlSource | None = None
    """The file itself, for messages about what stands in it."""

    def place(self, path: KeyPath) -> str:
        """`file:line: key` of a setting, or of the closest table around it that stands in the file."""
        name = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
        return f"{self.source.where(path)}: {name}" if self.source is not None else name

    def place_in(self, integration: str, *path: str | int) -> str:
        """The same of a setting of an integration."""
        numbers = (place for place, each in enumerate(self.integrations) if each.key == integration)
        return self.place(("integrations", *(next(numbers, 0), *path)))

    def integrations_of(self, organisation: str) -> tuple[IntegrationSettings, ...]:
        """The enabled integrations of an organisation, in the order of the file."""
        return tuple(each for each in self.integrations if each.enabled and each.organisation == organisation)

    def masters_of(self, integration: str) -> frozenset[str]:
        """The subjects (`ITEM`, `VEHICLE`) that the integration is the master of."""
        return frozenset(
            subject.value
            for masters in self.masters.values()
            for subject, master in masters.items()
            if master == integration
        )

    def plain_secrets(self) -> list[str]:
        """Where a secret stands in the file itself: fine to try things out, wrong for anything else."""
        places = [
            f"integrations.{each.key}.credentials.{name}"
            for each in self.integrations
            for name, secret in each.credentials.items()
            if secret.plain
        ]
        if self.server.cursor_key is not None and self.server.cursor_key.plain:
            places.insert(0, "server.cursor_key")
        if self.auth is not None:
            places += [f"auth.api_keys.{each.name}.key" for each in self.auth.api_keys if each.plain]
            if self.auth.jwt is not None and self.auth.jwt.secret is not None and self.auth.jwt.secret.plain:
                places.append("auth.jwt.secret")
        return places
