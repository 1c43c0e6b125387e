"""What each vendor system's connector can do, told from its class and its manifest, never from a list kept beside."""

from enum import Enum
from functools import cache
from typing import Any

import msgspec

from connectors.kit.manifest import Credential
from connectors.kit.protocols import (
    LISTINGS,
    EventStream,
    IdentitySource,
    Poller,
    WebhookReceiver,
    can_list,
    can_read,
)
from connectors.kit.registry import connector_class
from unified.records import Kind
from unified.values import System


class Channel(Enum):
    """How a connector learns of changes."""

    WEBHOOK = "WEBHOOK"
    STREAM = "STREAM"
    POLL = "POLL"


_CHANNELS: dict[Channel, type] = {
    Channel.WEBHOOK: WebhookReceiver,
    Channel.STREAM: EventStream,
    Channel.POLL: Poller,
}


class Capability(msgspec.Struct, frozen=True, kw_only=True):
    """What can be done with one kind of record."""

    kind: Kind
    lists: bool
    reads: bool


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One field of `[integrations.settings]`. `default` is JSON; null when the field must be given."""

    name: str
    value_type: str
    default: str | None
    description: str


class SystemEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One vendor system in the catalogue."""

    system: System
    title: str
    summary: str
    documentation: str
    ground_truth: str
    capabilities: tuple[Capability, ...]
    channels: tuple[Channel, ...]
    joins: bool
    """Whether it tells the crosswalk which numbers it knows."""
    credentials: tuple[Credential, ...]
    settings: tuple[Setting, ...]
    batch_size: int
    rate_per_second: float | None
    payloads: tuple[str, ...]
    """Names that `crossdock decode --as` takes."""


@cache
def entry(system: System) -> SystemEntry:
    """The entry of one system. The first call imports its connector, which may take a while.

    Raises `ModuleNotFoundError` for a system whose connector is not part of the installation.
    """
    connector = connector_class(system)
    manifest = connector.manifest
    return SystemEntry(
        system=system,
        title=manifest.title,
        summary=manifest.summary,
        documentation=manifest.documentation,
        ground_truth=manifest.ground_truth,
        capabilities=tuple(
            Capability(kind=kind, lists=can_list(connector, kind), reads=can_read(connector, kind))
            for kind in LISTINGS
            if can_list(connector, kind) or can_read(connector, kind)
        ),
        channels=tuple(channel for channel, protocol in _CHANNELS.items() if issubclass(connector, protocol)),
        joins=issubclass(connector, IdentitySource),
        credentials=manifest.credentials,
        settings=_settings(manifest.settings),
        batch_size=manifest.batch_size,
        rate_per_second=manifest.rate_per_second,
        payloads=tuple(decoder.name for decoder in manifest.decoders),
    )


def entries() -> list[SystemEntry]:
    """All systems of this installation, by name."""
    found = []
    for system in sorted(System, key=lambda system: system.value):
        try:
            found.append(entry(system))
        except ModuleNotFoundError as fault:
            if not (fault.name or "").startswith("connectors."):
                raise
    return found


def _settings(struct: type[msgspec.Struct]) -> tuple[Setting, ...]:
    schema, components = msgspec.json.schema_components([struct])
    root: dict[str, Any] = components[schema[0]["$ref"].rpartition("/")[2]]
    required = set(root.get("required", ()))
    return tuple(
        Setting(
            name=name,
            value_type=_type(field, components),
            default=None if name in required else msgspec.json.encode(field.get("default")).decode(),
            description=field.get("description", ""),
        )
        for name, field in root.get("properties", {}).items()
    )


def _type(field: dict[str, Any], components: dict[str, Any]) -> str:
    """A JSON schema's type as people say it: `text`, `number from 1 to 60`, `list of text`."""
    if "$ref" in field:
        return _type(components[field["$ref"].rpartition("/")[2]], components)
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_type(each, components) for each in field["anyOf"]))
    if "enum" in field:
        return " | ".join(msgspec.json.encode(each).decode() for each in field["enum"])
    match field.get("type"):
        case "string":
            return "text"
        case "array":
            items = field.get("items")
            return f"list of {_type(items, components)}" if isinstance(items, dict) else "list"
        case "object":
            if "properties" in field:
                return "table of " + ", ".join(field["properties"])
            return "table"
        case "integer" | "number" as number:
            low, high = field.get("minimum"), field.get("maximum")
            word = "whole number" if number == "integer" else "number"
            return word if low is None or high is None else f"{word} from {low:,} to {high:,}"
        case "boolean":
            return "true or false"
        case other:
            return str(other or "anything")
