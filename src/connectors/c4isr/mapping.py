"""From CoT events and REST answers to records and events; each function knows both sides."""

from datetime import datetime

import msgspec

from connectors.c4isr import symbols, wire
from connectors.c4isr.cot import Event, Node, when
from connectors.kit.decode import none
from connectors.kit.integration import Origin
from unified import ids
from unified.events import Happened, Removed
from unified.records import Connectivity, Kind, Mission, MissionChange, MissionDocument, MissionState, Unit, UnitAlert
from unified.values import GeoJson, Position, Value

KMH = 3.6
"""Metres per second → kilometres per hour."""
_DELETED = "DELETE_MISSION"


# --- units


def position(event: Event) -> Position | None:
    """Null without a fix: no coordinates, coordinates off the earth, or 0, 0 as devices without a fix send."""
    lat, lon = event.lat, event.lon
    if lat is None or lon is None or not (-90 <= lat <= 90 and -180 <= lon <= 180) or (lat == 0 and lon == 0):
        return None
    speed, course = event.number("track", "speed"), event.number("track", "course")
    return Position(
        latitude=lat,
        longitude=lon,
        altitude_m=event.hae,
        accuracy_m=None if event.ce is None or event.ce < 0 else event.ce,
        speed_kmh=None if speed is None or speed < 0 else round(speed * KMH, 6),
        heading_deg=None if course is None else round(course % 360, 8) % 360,
        recorded_at=event.time,
    )


def unit(event: Event, origin: Origin) -> Unit:
    """A unit from an `a-…` event. It counts as online until its `stale`."""
    milsym = event.attribute("__milsym", "id")
    callsign = event.attribute("contact", "callsign") or event.attribute("uid", "Droid")
    remarks = event.detail.one("remarks")
    battery = event.number("status", "battery")
    online = event.stale is not None and event.stale > origin.as_of
    return Unit(
        source=origin.source(event.uid),
        updated_at=event.time,
        uid=event.uid,
        callsign=callsign,
        cot_type=event.type,
        affiliation=symbols.affiliation(event.type),
        dimension=symbols.dimension(event.type),
        symbol_code=milsym if symbols.is_letters(milsym) else symbols.letters(event.type),
        team=event.attribute("__group", "name"),
        role=event.attribute("__group", "role"),
        connectivity=Connectivity.ONLINE if online else Connectivity.OFFLINE,
        position=position(event),
        battery_percent=battery if battery is not None and 0 <= battery <= 100 else None,
        remarks=remarks.text if remarks is not None else None,
        stale_at=event.stale,
    )


def contact_unit(contact: wire.Contact, origin: Origin) -> Unit:
    """A unit that is connected but never said where it is."""
    uid = contact.uid or ""
    return Unit(
        source=origin.source(uid),
        uid=uid,
        callsign=none(contact.callsign),
        team=none(contact.team),
        role=none(contact.role),
        connectivity=Connectivity.UNKNOWN,
    )


def completed(found: Unit, contact: wire.Contact | None) -> Unit:
    """The unit with what only the contact list knows of it."""
    if contact is None:
        return found
    return msgspec.structs.replace(
        found,
        callsign=found.callsign or none(contact.callsign),
        team=found.team or none(contact.team),
        role=found.role or none(contact.role),
    )


# --- missions


def mission(given: wire.Mission, origin: Origin) -> Mission:
    """A mission. Expired when its expiration (seconds since 1970; -1 and 0 mean never) has passed."""
    expires_at = when(given.expiration * 1000) if given.expiration and given.expiration > 0 else None
    expired = expires_at is not None and expires_at <= origin.as_of
    changes = [change(each, given.guid) for each in given.mission_changes or ()]
    deleted = any(each.change_type == _DELETED for each in changes)
    created_at = when(given.create_time, path="$.createTime")
    state = MissionState.DELETED if deleted else MissionState.EXPIRED if expired else MissionState.ACTIVE
    times = [each.at for each in changes if each.at is not None]
    return Mission(
        source=origin.source(given.guid or given.name),
        updated_at=when(given.last_edited, path="$.lastEdited") or max(times, default=created_at),
        name=given.name,
        description=none(given.description),
        state=state,
        tool=none(given.tool),
        classification=none(given.classification),
        keywords=tuple(given.keywords or ()),
        created_at=created_at,
        created_by=none(given.creator_uid),
        expires_at=expires_at,
        password_protected=bool(given.password_protected),
        unit_uids=_unit_uids(given.uids or ()),
        documents=tuple(_document(each) for each in given.contents or () if each.data is not None),
        changes=tuple(sorted(changes, key=lambda each: (each.at is None, each.at))),
    )


def _unit_uids(given: list[str | wire.Added] | tuple[()]) -> tuple[str, ...]:
    """What the server says to be no unit (a marker, a drawing) is left out."""
    uids: dict[str, None] = {}
    for each in given:
        if isinstance(each, str):
            uids[each] = None
        elif each.data and (each.details is None or not each.details.type or symbols.is_unit(each.details.type)):
            uids[each.data] = None
    return tuple(uids)


def _document(given: wire.AddedResource) -> MissionDocument:
    held = given.data or wire.Resource()
    return MissionDocument(
        name=none(held.name) or none(held.filename),
        hash=none(held.hash),
        mime_type=none(held.mime_type),
        size_bytes=held.size,
        submitted_at=when(held.submission_time or given.timestamp, path="$.contents.data.submissionTime"),
    )


def change(given: wire.Change, mission_guid: str | None = None) -> MissionChange:
    """A line of a mission's log. OpenTAKServer puts the uid of the content into `missionGuid`."""
    uid = none(given.content_uid)
    if uid is None and given.details is not None and given.mission_guid != mission_guid:
        uid = none(given.mission_guid)
    return MissionChange(
        change_type=given.type or "UNKNOWN",
        at=when(given.timestamp or given.server_time, path="$.timestamp"),
        by=none(given.creator_uid),
        unit_uid=uid,
        callsign=none(given.details.callsign) if given.details is not None else None,
    )


class MissionSubscription(Value, frozen=True, kw_only=True):
    """Who subscribed to a mission, in which role; no record, shown by `decode` only."""

    client_uid: str | None = None
    created_at: datetime | None = None
    role: str | None = None


def subscription(given: wire.Subscription) -> MissionSubscription:
    return MissionSubscription(
        client_uid=none(given.client_uid),
        created_at=when(given.create_time, path="$.createTime"),
        role=given.role.type if given.role is not None else None,
    )


class MissionNotice(Value, frozen=True, kw_only=True):
    """A push on the stream: something of this mission changed; what it is now must be fetched."""

    guid: str | None = None
    name: str | None = None
    what: str
    """CHANGE, CREATE, DELETE, LOG, INVITE, …"""
    changes: tuple[MissionChange, ...] = ()

    @property
    def deleted(self) -> bool:
        return self.what == "DELETE" or any(each.change_type == _DELETED for each in self.changes)


def notice(event: Event) -> MissionNotice:
    """What a `t-x-m-…` event tells."""
    told = event.detail.one("mission") or Node("mission")
    listed = told.one("MissionChanges") or Node("MissionChanges")
    changes = tuple(_pushed_change(each) for each in listed.all("MissionChange"))
    what = told.get("type") or {"t-x-m-n": "CREATE", "t-x-m-d": "DELETE"}.get(event.type, "CHANGE")
    return MissionNotice(guid=told.get("guid"), name=told.get("name"), what=what, changes=changes)


def _pushed_change(given: Node) -> MissionChange:
    def text(name: str) -> str | None:
        found = given.one(name)
        return none(found.text) if found is not None else None

    details = given.one("details")
    return MissionChange(
        change_type=text("type") or "UNKNOWN",
        at=when(text("timestamp"), path="$.event.detail.mission.MissionChanges.MissionChange.timestamp"),
        by=text("creatorUid"),
        unit_uid=text("contentUid"),
        callsign=details.get("callsign") if details is not None else None,
    )


# --- other events


def alert(event: Event) -> Happened:
    """An emergency. The unit is the one that the event links to, else the event's own."""
    found = event.detail.one("emergency") or Node("emergency")
    links = [link for link in event.detail.all("link") if link.get("relation") == "p-p" and link.get("uid")]
    uid = links[0].get("uid") if links else None
    cancelled = event.type == "b-a-o-can" or (found.get("cancel") or "").lower() == "true"
    callsign = found.text or (event.attribute("contact", "callsign") or "").partition("\n")[0]
    raised = UnitAlert(
        unit_uid=uid or event.uid.removesuffix("-9-1-1"),
        callsign=none(callsign),
        alert_type=found.get("type") or _ALERTS.get(event.type, event.type),
        active=not cancelled,
        at=event.time,
        position=position(event),
    )
    return Happened(what=raised, occurred_at=event.time)


_ALERTS = {
    "b-a-o-tbl": "911 Alert",
    "b-a-o-pan": "Ring The Bell",
    "b-a-o-opn": "Troops In Contact",
    "b-a-o-can": "Cancel Alert",
}


def removal(event: Event, origin: Origin) -> list[Removed]:
    """Units that a `t-x-d-d` event deletes; links that are typed as something else are no units."""
    return [
        Removed(kind=Kind.UNIT, id=ids.encode(Kind.UNIT.value, origin.integration, uid), occurred_at=event.time)
        for link in event.detail.all("link")
        if (uid := link.get("uid")) and (symbols.is_unit(link.get("type") or "a-") or link.get("type") == "none")
    ]


def mission_removed(external_id: str, integration: str, at: datetime) -> Removed:
    """The mission is gone."""
    return Removed(kind=Kind.MISSION, id=ids.encode(Kind.MISSION.value, integration, external_id), occurred_at=at)


# --- what is no record of ours, for `decode`


class MapObject(Value, frozen=True, kw_only=True):
    """A point, route or drawing on the map: no record, shown by `decode` only. Colours are `#RRGGBB`."""

    uid: str
    cot_type: str
    name: str | None = None
    geometry: GeoJson | None = None
    altitude_m: float | None = None
    color: str | None = None
    stroke: str | None = None
    fill: str | None = None
    waypoints: tuple[str, ...] = ()
    """Call signs of a route's way points; its control points have none."""
    method: str | None = None
    video_url: str | None = None
    remarks: str | None = None


class Signal(Value, frozen=True, kw_only=True):
    """Talk between machines and people that changes no record (ping, chat, negotiation)."""

    uid: str
    cot_type: str
    meaning: str


_SIGNALS = (
    ("t-x-c-t-r", "answer to a ping"),
    ("t-x-c-t", "ping, or an answer to one"),
    ("t-x-takp", "protocol negotiation"),
    ("b-t-f-d", "chat: delivered"),
    ("b-t-f-r", "chat: read"),
    ("b-t-f", "chat"),
    ("b-f-t", "file transfer"),
    ("t-", "tasking"),
)


def signal(event: Event) -> Signal | None:
    """What the event is when it concerns no record; null for things on the map."""
    for prefix, meaning in _SIGNALS:
        if event.type == prefix or event.type.startswith(prefix if prefix.endswith("-") else prefix + "-"):
            return Signal(uid=event.uid, cot_type=event.type, meaning=meaning)
    return None


def map_object(event: Event) -> MapObject:
    """A `b-m-…` or `u-…` event. Points in links are `lat,lon[,hae]`; GeoJSON has the longitude first."""
    links = [link for link in event.detail.all("link") if link.get("point")]
    line = [found for link in links if (found := _lon_lat(link.get("point") or "")) is not None]
    remarks, video = event.detail.one("remarks"), event.detail.one("__video")
    geometry: GeoJson | None = None
    if event.type == "b-m-r" and line:
        geometry = {"type": "LineString", "coordinates": line}
    elif event.type.startswith("u-d-") and len(line) >= 3:
        geometry = {"type": "Polygon", "coordinates": [line if line[0] == line[-1] else [*line, line[0]]]}
    elif (at := position(event)) is not None:
        geometry = {"type": "Point", "coordinates": [at.longitude, at.latitude]}
    return MapObject(
        uid=event.uid,
        cot_type=event.type,
        name=event.attribute("contact", "callsign"),
        geometry=geometry,
        altitude_m=event.hae,
        color=_color(event.attribute("color", "argb") or event.attribute("color", "value")),
        stroke=_color(event.attribute("strokeColor", "value")),
        fill=_color(event.attribute("fillColor", "value")),
        waypoints=tuple(link.get("callsign") or "" for link in links if link.get("type") == "b-m-p-w"),
        method=event.attribute("link_attr", "method"),
        video_url=video.get("url") if video is not None else None,
        remarks=remarks.text if remarks is not None else None,
    )


def _lon_lat(text: str) -> list[float] | None:
    try:
        lat, lon, *_ = (float(each) for each in text.split(","))
    except ValueError:
        return None
    return [lon, lat]


def _color(argb: str | None) -> str | None:
    """Signed 32-bit ARGB as `#RRGGBB`."""
    try:
        return None if argb is None else f"#{int(argb) & 0xFFFFFF:06X}"
    except ValueError:
        return None
