"""What TAK servers answer over REST, in their words. Every field may be missing; times stay texts."""

from typing import Any

import msgspec

from connectors.c4isr.cot import Node
from connectors.kit import decode
from connectors.kit.errors import BadPayload

Time = str | int | float | None


class Envelope(msgspec.Struct):
    """`data` is a list of things, one of them, or nothing; `version` is "3" or 3."""

    data: msgspec.Raw = msgspec.Raw(b"null")
    type: str | None = None


class Fault(msgspec.Struct):
    """An error of TAK Server (`status`, `code`, `message`) or of OpenTAKServer (`error`, `success`)."""

    status: str | None = None
    code: int | str | None = None
    message: str | None = None
    error: str | None = None
    success: bool | None = None


class Details(msgspec.Struct, rename="camel"):
    type: str | None = None
    callsign: str | None = None


class Change(msgspec.Struct, rename="camel"):
    type: str = ""
    content_uid: str | None = None
    mission_guid: str | None = None
    mission_name: str | None = None
    timestamp: Time = None
    server_time: Time = None
    creator_uid: str | None = None
    details: Details | None = None


class Resource(msgspec.Struct, rename="camel"):
    hash: str | None = None
    name: str | None = None
    filename: str | None = None
    mime_type: str | None = None
    size: int | None = None
    submission_time: Time = None


class Added(msgspec.Struct, rename="camel"):
    """A uid of a mission with who added it when; some servers give the bare uid."""

    data: str | None = None
    details: Details | None = None


class AddedResource(msgspec.Struct, rename="camel"):
    data: Resource | None = None
    timestamp: Time = None


class Mission(msgspec.Struct, rename="camel"):
    name: str
    guid: str | None = None
    description: str | None = None
    tool: str | None = None
    classification: str | None = None
    keywords: list[str] | None = None
    creator_uid: str | None = None
    create_time: Time = None
    last_edited: Time = None
    expiration: int | None = None
    password_protected: bool | None = None
    uids: list[str | Added] | None = None
    contents: list[AddedResource] | None = None
    mission_changes: list[Change] | None = None


class Contact(msgspec.Struct, rename="camel"):
    """Somebody connected now. `notes` holds the user name and is not read."""

    uid: str | None = None
    callsign: str | None = None
    team: str | None = None
    role: str | None = None


class ClientEndpoint(msgspec.Struct, rename="camel"):
    uid: str | None = None
    callsign: str | None = None
    last_event_time: Time = None
    last_status: str | None = None


class Role(msgspec.Struct):
    type: str | None = None


class Subscription(msgspec.Struct, rename="camel"):
    """Its `token` opens the mission and is not read."""

    client_uid: str | None = None
    create_time: Time = None
    role: Role | None = None


class ServerConfig(msgspec.Struct):
    version: str | None = None
    hostname: str | None = None


def things(body: bytes) -> list[bytes]:
    """The members of an answer's `data`, each as its own JSON, whether a list or a single one was sent."""
    data = bytes(decode.json(body, Envelope).data)
    if data[:1] == b"[":
        return [bytes(each) for each in decode.json(data, list[msgspec.Raw])]
    if data[:1] == b"{":
        return [data]
    if data == b"null":
        return []
    raise BadPayload("the answer's `data` is neither a list nor an object", path="$.data")


def missions(body: bytes) -> list[Mission]:
    """The missions of an answer."""
    return missions_of(things(body))


def missions_of(given: list[bytes]) -> list[Mission]:
    """The missions, each given as its own JSON."""
    return [_one(each, Mission, f"$.data[{place}]") for place, each in enumerate(given)]


def changes(body: bytes) -> list[Change]:
    """The changes of an answer."""
    return [_one(each, Change, f"$.data[{place}]") for place, each in enumerate(things(body))]


def endpoints(body: bytes) -> list[ClientEndpoint]:
    """The end points of an answer."""
    return [_one(each, ClientEndpoint, f"$.data[{place}]") for place, each in enumerate(things(body))]


def subscriptions(body: bytes) -> list[Subscription]:
    """The subscriptions of an answer."""
    return [_one(each, Subscription, f"$.data[{place}]") for place, each in enumerate(things(body))]


def _one(body: bytes, into: Any, at: str) -> Any:
    try:
        return decode.json(body, into)
    except BadPayload as fault:
        path = at + (fault.path or "$")[1:]
        raise BadPayload(f"the answer is not what was expected at `{path}`", path=path) from None


def tree(value: Any, name: str) -> Node:
    """An element that somebody wrote as a JSON object (`_attributes`, `_text`, children by name)."""
    if not isinstance(value, dict):
        return Node(name, {}, str(value))
    children = [
        tree(each, child)
        for child, held in value.items()
        if child not in ("_attributes", "_text")
        for each in (held if isinstance(held, list) else [held])
    ]
    attributes = {str(key): str(held) for key, held in (value.get("_attributes") or {}).items()}
    text = value.get("_text")
    return Node(name, attributes, None if text is None else str(text).strip() or None, tuple(children))
