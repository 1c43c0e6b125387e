"""What a connector says of itself: facts as values, read by `doctor`, `decode`, the docs and the checks."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from connectors.kit.calls import Calls
from connectors.kit.http import Explain
from connectors.kit.integration import Origin
from unified.events import Changed, Happened, Removed
from unified.records import Record
from unified.values import System, Value


class Payload(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a vendor sent: an answer, a webhook, a frame. Header names are lower case.

    `target` is the request target of a webhook as it came, path and query, still percent-encoded; empty for all else.
    """

    body: bytes
    status: int = 200
    headers: dict[str, str] = {}
    target: str = ""

    @property
    def content_type(self) -> str:
        """Media type without parameters, lower case; empty when unknown."""
        return self.headers.get("content-type", "").split(";")[0].strip().lower()


Decoded = Record | Value | Changed[Any] | Removed | Happened


class Decoder(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of payload. `name` is what `crossdock decode --as` takes, in kebab-case.

    `recognises` looks at the payload only as far as it must (never raises); the first decoder that
    recognises a payload reads it. `read` is the connector's own code, the same that the live path uses; it
    raises `BadPayload`/`MappingFailed` with the path.
    """

    name: str
    description: str
    read: Callable[[Payload, Origin], Iterable[Decoded]]
    recognises: Callable[[Payload], bool] = lambda payload: False


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """One secret or account name under `[integrations.credentials]`; `*` stands for any names, which then
    stand in the settings."""

    name: str
    description: str
    required: bool = True


class NoSettings(msgspec.Struct, forbid_unknown_fields=True):
    """Settings of a connector that has none."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`settings` is a msgspec struct (forbid_unknown_fields) that `[integrations.settings]` must fit;
    its fields' docstrings or `Meta(description=…)` are the documentation."""

    system: System
    title: str
    summary: str
    documentation: str
    """Address of the vendor's documentation."""
    credentials: tuple[Credential, ...] = ()
    settings: type[msgspec.Struct] = NoSettings
    needs_base_url: bool = True
    batch_size: int = 50
    """Most ids in one batch read; the fan-out splits by it."""
    rate_per_second: float | None = None
    """Calls per second that the vendor allows, or that are polite; null = no limit known."""
    calls: Mapping[str, Calls] = {}
    """Method → the calls that it makes, where they may be more than one, or none."""
    decoders: tuple[Decoder, ...] = ()
    explain: Explain | None = None
    """What the vendor's answers mean beyond HTTP; also used by `decode` for error answers."""
    ground_truth: str
    """How solid our knowledge of the interface is, in one sentence."""
