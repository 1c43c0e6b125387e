"""Webhooks: thin, signed, repeated, out of order. Only the id of the trip is taken from them."""

import re
from urllib.parse import urlsplit

from connectors.kit import decode
from connectors.kit.errors import BadPayload, MappingFailed
from connectors.kit.manifest import Payload
from connectors.passenger_app import wire

SIGNATURE = "x-uber-signature"
PREFIX = "guests.trips."
UNINTERESTING = frozenset({"health_check", "guests.trips.trip_message"})
"""A health check has no trip; messages between guest and driver are personal and change no record."""

_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
_HREF = re.compile(r"/v1/guests/trips/(?P<id>[A-Za-z0-9_-]{1,100})/?(?:receipt/?)?")


def is_trip_id(text: str) -> bool:
    """Whether it can stand in a path: Uber's ids are UUIDs."""
    return _ID.fullmatch(text) is not None


def notice(payload: Payload) -> wire.Notice:
    """Raises `BadPayload` with the path."""
    found = decode.json(payload.body, wire.Notice)
    if not found.event_id.strip() or len(found.event_id) > 200:
        raise BadPayload("the webhook has no usable `event_id`", path="$.event_id")
    return found


def concerns(given: wire.Notice) -> bool:
    """Whether a trip must be read again for it."""
    return given.event_type not in UNINTERESTING and given.event_type.startswith(PREFIX)


def trip_id(given: wire.Notice) -> str:
    """The trip's id, from `meta` or from the end of the link; a link's host is never believed, let alone called.

    Raises `MappingFailed`."""
    named = given.meta.resource_id if given.meta else None
    if named is not None:
        if is_trip_id(named):
            return named
        raise MappingFailed("`$.meta.resource_id` is no id of a trip", path="$.meta.resource_id")
    try:
        path = urlsplit(given.resource_href or "").path
    except ValueError:
        path = ""
    found = _HREF.search(path)
    if found is None or found.end() != len(path):
        raise MappingFailed("the webhook names no trip", path="$.resource_href")
    return found["id"]
