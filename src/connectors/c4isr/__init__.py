"""TAK servers (the public kin of a C4ISR system): missions over REST, units over Cursor on Target.

Oddities: everything is authenticated by a client certificate, whose refusal shows at the first read under TLS 1.3;
`data` is a list or an object; three forms of time; lists of CoT answer 404 when they are empty; 9999999.0 metres and
the position 0, 0 mean unknown; the same event may come twice with its attributes in another order.
"""

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from connectors.c4isr import cot, decoders, mapping, symbols, wire
from connectors.c4isr.api import TakApi, explain
from connectors.c4isr.calls import CALLS, ONE_BY_ONE
from connectors.c4isr.settings import CREDENTIALS, Settings, Tls, settings_of, stream_address
from connectors.c4isr.stream import CotStream, Opened
from connectors.kit import decode
from connectors.kit.calls import Calls
from connectors.kit.errors import BadPayload, BadRequest, NotFound, VendorError
from connectors.kit.gaps import once_back
from connectors.kit.http import each_or_absent, segment
from connectors.kit.integration import Integration, Origin
from connectors.kit.manifest import Manifest, Payload
from connectors.kit.paging import MAX_PAGES
from connectors.kit.protocols import Connector, Identity, Polled, Raw
from connectors.kit.services import Services
from unified import queries, records
from unified.events import Changed, Event
from unified.keys import Subject
from unified.queries import ListQuery, SourcePage
from unified.values import BoundingBox, System

MISSIONS = "/Marti/api/missions"
WINDOW = timedelta(hours=24)
"""Longest time span that a server answers `cot/sa` for."""
PAGE_MAX = 100
KNOWN_NAMES = 10_000
_XML = {"Accept": "application/xml, text/xml;q=0.9, */*;q=0.1"}
_ALL = {"passwordProtected": "true", "defaultRole": "true"}


class TakServer(Connector):
    """Reads units and missions; listens to the CoT stream; polls missions as a safety net."""

    manifest = Manifest(
        system=System.C4ISR,
        title="C4ISR (TAK Server)",
        summary="Missions, units with their positions, emergencies; live over the Cursor-on-Target stream.",
        documentation="https://github.com/TAK-Product-Center/Server",
        credentials=CREDENTIALS,
        settings=Settings,
        batch_size=500,
        calls=CALLS,
        rate_per_second=20.0,
        decoders=tuple(decoders.DECODERS),
        explain=explain,
        ground_truth=(
            "TAK Server's own OpenAPI and source, the public CoT and TAK protocol definitions, and answers captured "
            "from OpenTAKServer 1.7.14; no real C4ISR system has been seen."
        ),
    )

    def __init__(self, integration: Integration, services: Services) -> None:
        super().__init__(integration, services)
        self.settings = settings_of(integration)
        self.tls = Tls(integration, self.settings, services.clock.now)
        self.api = TakApi(integration, services, self.tls)
        self.address = stream_address(integration, self.settings)
        self._names: dict[str, str] = {}
        """Guid → name of missions seen, for servers that only know names."""
        self._batches = True
        """False once the server has turned out not to know the batch read of CoT."""

    def calls(self, method: str) -> Calls:
        return ONE_BY_ONE if method == "read_units" and not self._batches else super().calls(method)

    async def check(self) -> str:
        answer = await self.api.get("/Marti/api/version/config", bytes)
        found = [decode.json(each, wire.ServerConfig) for each in wire.things(answer.value)]
        config = found[0] if found else wire.ServerConfig()
        until = self.tls.expires_at
        return f"TAK Server {config.version or '(version unknown)'}" + (
            f", client certificate valid until {until:%Y-%m-%d}" if until else ""
        )

    async def aclose(self) -> None:
        await self.api.aclose()

    # --- missions

    async def read_missions(self, ids: Sequence[str]) -> list[records.Mission]:
        """One call each: only that carries the log. The server has no batch read of missions."""
        found = await each_or_absent([self._mission(each) for each in dict.fromkeys(ids)])
        return [each for each in found if each is not None]

    async def list_missions(
        self, query: ListQuery[queries.MissionFilter], cursor: str | None
    ) -> SourcePage[records.Mission]:
        """Without logs. Nothing is pushed down: the server's filters are narrower than ours (see README)."""
        page, size = _page(cursor, query.limit)
        given, origin = await self._mission_page(page, size)
        found = [mapping.mission(each, origin) for each in wire.missions_of(given)]
        last = len(found) != size  # more than asked for: this server does not page
        total = len(found) if last and page == 0 and query.filter.empty else None
        return SourcePage(records=found, next=None if last else f"{page + 1}.{size}", total=total)

    async def _mission_page(self, page: int, size: int) -> tuple[list[bytes], Origin]:
        """The missions of a page, each as its own JSON."""
        try:
            body, origin = await self._get("/Marti/api/pagedmissions", {**_ALL, "page": page, "pagesize": size})
        except NotFound:
            if page:
                raise
            body, origin = await self._get(MISSIONS, _ALL)
        given = wire.things(body)
        self._learn(wire.missions_of(given))
        return given, origin

    async def _mission(self, external_id: str) -> records.Mission:
        """Raises `NotFound`."""
        try:
            return await self._mission_at(f"{MISSIONS}/guid/{segment(external_id)}")
        except (NotFound, BadRequest):
            # Servers without the path by guid, and missions without a guid, whose id is their name
            name = self._names.get(external_id, external_id)
            found = await self._mission_at(f"{MISSIONS}/{segment(name)}")
            if found.source.external_id != external_id:
                raise NotFound(
                    f"{self.integration.key}: the server has another mission of that name now",
                    integration=self.integration.key,
                ) from None
            return found

    async def _mission_at(self, path: str) -> records.Mission:
        params: dict[str, Any] = {"changes": "true", "secago": self.settings.changes_hours * 3600}
        password = self.integration.credentials.get("mission_password")
        if password:
            params["password"] = password.reveal()
        body, origin = await self._get(path, params)
        wires = wire.missions(body)
        if not wires:
            raise NotFound(f"{self.integration.key}: {path} answered without data", integration=self.integration.key)
        self._learn(wires)
        return mapping.mission(wires[0], origin)

    def _learn(self, wires: list[wire.Mission]) -> None:
        for each in wires:
            if each.guid and (each.guid in self._names or len(self._names) < KNOWN_NAMES):
                self._names[each.guid] = each.name

    async def _get(self, path: str, params: Any = None, headers: dict[str, str] | None = None) -> tuple[bytes, Origin]:
        answer = await self.api.get(path, bytes, params=params, headers=headers)
        return answer.value, answer.origin

    # --- units

    async def read_units(self, ids: Sequence[str]) -> list[records.Unit]:
        """One call for the last events of all; one more where some never sent a position but may be connected."""
        wanted = dict.fromkeys(ids)
        events, origin = await self._last_events(list(wanted))
        found = _newest(events, origin)
        missing = [uid for uid in wanted if uid not in found]
        if missing:
            contacts, at = await self._contacts()
            found |= {uid: mapping.contact_unit(contacts[uid], at) for uid in missing if uid in contacts}
        return [found[uid] for uid in wanted if uid in found]

    async def list_units(self, query: ListQuery[queries.UnitFilter], cursor: str | None) -> SourcePage[records.Unit]:
        """Who is connected, and the last day's positions: two calls, one when a box is asked for."""
        box = query.filter.within
        if cursor is not None:
            raise ValueError("not a cursor of this list")
        if box is not None:
            events, origin = await self._situation(box)
            found = _newest(events, origin)
        else:
            (contacts, told_at), (events, origin) = await asyncio.gather(self._contacts(), self._situation(None))
            origin = min(origin, told_at, key=lambda each: (not each.stale, each.as_of))
            found = {uid: mapping.completed(each, contacts.get(uid)) for uid, each in _newest(events, origin).items()}
            found |= {uid: mapping.contact_unit(each, origin) for uid, each in contacts.items() if uid not in found}
        total = len(found) if query.filter.empty else None
        return SourcePage(records=[found[uid] for uid in sorted(found)], total=total)

    async def _contacts(self) -> tuple[dict[str, wire.Contact], Origin]:
        answer = await self.api.get("/Marti/api/contacts/all", list[wire.Contact])
        return {each.uid: each for each in answer.value if each.uid}, answer.origin

    async def _situation(self, box: BoundingBox | None) -> tuple[list[cot.Event], Origin]:
        """Events of the last 23 to 24 hours; the span is the same for an hour, so that equal calls are equal."""
        end = _next_hour(self.services.clock.now())
        return await self._cot_between(end - WINDOW, end, box)

    async def _cot_between(
        self, start: datetime, end: datetime, box: BoundingBox | None = None
    ) -> tuple[list[cot.Event], Origin]:
        params: dict[str, Any] = {"start": _iso(start), "end": _iso(end)}
        if box is not None and box.west <= box.east:
            params |= {"left": box.west, "bottom": box.south, "right": box.east, "top": box.north}
        try:
            body, origin = await self._get("/Marti/api/cot/sa", params, _XML)
        except NotFound:  # so says the server when nothing moved
            return [], self.api.origin()
        return self._read(body), origin

    async def _last_events(self, uids: list[str]) -> tuple[list[cot.Event], Origin]:
        if self._batches:
            # A GET with a body: so TAK Server wants it
            request = self.api.build("GET", "/Marti/api/cot", json=uids, headers=_XML)
            try:
                body, origin = await self.api.read_bytes(request)
                return self._read(body), origin
            except (NotFound, BadRequest):
                self._batches = False
        answers = await each_or_absent([self._get(f"/Marti/api/cot/xml/{segment(uid)}", None, _XML) for uid in uids])
        given = [each for each in answers if each is not None]
        origins = [origin for _, origin in given]
        origin = min(origins, key=lambda each: (not each.stale, each.as_of), default=self.api.origin())
        return [event for body, _ in given for event in self._read(body)], origin

    def _read(self, body: bytes) -> list[cot.Event]:
        """The answer's events; a bad one is logged and left out."""
        found: list[cot.Event] = []
        bad: list[BadPayload] = []
        try:
            for each in cot.events(body):
                if isinstance(each, cot.Event):
                    found.append(each)
                else:
                    bad.append(each)
        except BadPayload as fault:
            fault.integration = self.integration.key
            raise
        if bad:
            self.services.log.warning(
                "vendor.bad_event", integration=self.integration.key, count=len(bad), error=bad[0].message
            )
        return found

    async def identities(self) -> AsyncIterator[Identity]:
        """Units by call sign and by uid: those connected, and all that ever were. Two calls."""
        (contacts, _), (body, _) = await asyncio.gather(
            self._contacts(), self._get("/Marti/api/clientEndPoints", {"showMostRecentOnly": "true"})
        )
        known: dict[str, str | None] = {each.uid: decode.none(each.callsign) for each in contacts.values() if each.uid}
        for each in wire.endpoints(body):
            if each.uid and not known.get(each.uid):
                known[each.uid] = decode.none(each.callsign)
        for uid, callsign in known.items():
            for number in dict.fromkeys((callsign, uid)):
                if number:
                    yield Identity(subject=Subject.VEHICLE, kind=records.Kind.UNIT, number=number, external_id=uid)

    # --- live

    def open_stream(self) -> CotStream | None:
        """The socket as the settings describe it; null when there is none."""
        if self.address is None:
            return None
        secrets, settings = self.integration.credentials, self.settings
        uid = settings.client_uid or f"CROSSDOCK-{self.integration.key}"
        user, password = secrets.get("stream_username"), secrets.get("stream_password")
        return CotStream(
            self.address,
            context=self.tls.context,
            integration=self.integration,
            services=self.services,
            uid=uid,
            protobuf=settings.protobuf,
            ping_seconds=settings.ping_seconds,
            silence_seconds=settings.silence_seconds,
            sign_in=cot.sign_in(user.reveal(), password.reveal(), uid) if user and password else None,
            way=self.api.breaker,
            ask=self.check,
        )

    async def stream(self) -> AsyncIterator[Raw]:
        socket = self.open_stream()
        if socket is None:
            return
        heard_at = self.services.clock.now()
        async with contextlib.aclosing(socket.events()) as incoming:
            async for each in incoming:
                if isinstance(each, Opened):
                    if each.again:
                        for raw in await self._missed(heard_at):
                            yield raw
                    continue
                heard_at = self.services.clock.now()
                if decoders.concerns(each.event):
                    yield Raw(delivery_id=each.event.delivery_id, decoder=each.decoder, payload=each.payload)

    async def _missed(self, since: datetime) -> list[Raw]:
        """What was sent while the socket was down, as far as the server still has it."""
        now = self.services.clock.now()
        try:
            return await once_back(
                lambda: self._missed_between(max(since, now - WINDOW + timedelta(minutes=1)), now),
                breaker=self.api.breaker,
                clock=self.services.clock,
            )
        except VendorError as error:
            self.services.log.warning("vendor.gap_not_filled", integration=self.integration.key, error=error.message)
            return []

    async def _missed_between(self, start: datetime, end: datetime) -> list[Raw]:
        try:
            body, _ = await self._get("/Marti/api/cot/sa", {"start": _iso(start), "end": _iso(end)}, _XML)
        except NotFound:
            return []
        raws = []
        for chunk in cot.cut(body)[0]:
            try:
                event = cot.parse(chunk)
            except BadPayload:
                continue
            if decoders.concerns(event):
                payload = Payload(body=chunk, headers={"content-type": "application/xml"})
                raws.append(Raw(delivery_id=event.delivery_id, decoder=decoders.XML, payload=payload))
        return raws

    async def poll(self, cursor: str | None) -> Polled:
        """Missions that came, changed or went since `cursor`; units too where there is no stream.

        The cursor holds a short hash per mission: servers tell no time of change for all of it.
        """
        before = _hashes(cursor)
        now = self.services.clock.now()
        after: dict[str, str] = {}
        raws: list[Raw] = []
        for page in range(MAX_PAGES):
            given, origin = await self._mission_page(page, PAGE_MAX)
            if origin.stale:
                return Polled(cursor=cursor)  # the last good answer of a server that is down: nothing new
            for body, each in zip(given, wire.missions_of(given), strict=True):
                record = mapping.mission(each, origin)
                guid = record.source.external_id
                after[guid] = _hash(record)
                if before.get(guid) != after[guid]:
                    envelope = b'{"version":"3","type":"Mission","data":[' + body + b"]}"
                    raws.append(_raw(decoders.MISSION, envelope, guid, after[guid], now))
            if len(given) != PAGE_MAX:
                break
        raws += [_raw(decoders.GONE, guid.encode(), guid, "gone", now) for guid in before.keys() - after.keys()]
        if self.address is None:
            end = _next_hour(now)
            raws += await self._missed_between(end - WINDOW, end)
        return Polled(raws=tuple(raws), cursor=json.dumps(after, separators=(",", ":")))

    async def events(self, raw: Raw) -> Sequence[Event]:
        """Notices of missions fetch the mission; everything else is in the delivery itself."""
        if raw.decoder in (decoders.MISSION, decoders.GONE):
            # A poll sees a change when it polls: a mission's own times do not tell of all changes
            at = cot.when(raw.payload.headers.get("date")) or self.services.clock.now()
            return [msgspec.structs.replace(each, occurred_at=at) for each in await super().events(raw)]
        if raw.decoder not in (decoders.XML, decoders.FRAME):
            return await super().events(raw)
        event = decoders.read_event(raw.payload)
        if event is None or not event.type.startswith("t-x-m-"):
            return await super().events(raw)
        told = mapping.notice(event)
        external_id = told.guid or told.name
        if external_id is None:
            return []
        if told.guid and told.name and len(self._names) < KNOWN_NAMES:
            self._names[told.guid] = told.name
        if not told.deleted:
            try:
                found = await self._mission(external_id)
            except NotFound:
                pass
            else:
                return [Changed(record=found, occurred_at=max(event.time, found.updated_at or event.time))]
        return [mapping.mission_removed(external_id, self.integration.key, event.time)]


def _newest(events: list[cot.Event], origin: Origin) -> dict[str, records.Unit]:
    """The units among the events by uid, each by its newest event."""
    newest: dict[str, cot.Event] = {}
    for event in events:
        if symbols.is_unit(event.type) and (event.uid not in newest or newest[event.uid].time <= event.time):
            newest[event.uid] = event
    return {uid: mapping.unit(event, origin) for uid, event in newest.items()}


def _page(cursor: str | None, limit: int) -> tuple[int, int]:
    """Page and its size; raises `ValueError` for what is no cursor of ours."""
    if cursor is None:
        return 0, min(max(limit, 10), PAGE_MAX)
    page, _, size = cursor.partition(".")
    if not (cursor.isascii() and page.isdigit() and size.isdigit() and len(cursor) <= 12):
        raise ValueError("not a cursor of this list")
    return int(page), int(size)


def _iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def _next_hour(now: datetime) -> datetime:
    return now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)


def _hashes(cursor: str | None) -> dict[str, str]:
    """The hashes in a cursor; empty for none, and for what is none of ours (everything is told again)."""
    try:
        return msgspec.json.decode(cursor or "{}", type=dict[str, str])
    except msgspec.DecodeError:
        return {}


def _hash(record: records.Mission) -> str:
    """Of all that the mission says, without when it was read."""
    facts = [getattr(record, name) for name in record.__struct_fields__ if name != "source"]
    return hashlib.blake2b(msgspec.json.encode(facts), digest_size=6).hexdigest()


def _raw(decoder: str, body: bytes, external_id: str, what: str, at: datetime) -> Raw:
    payload = Payload(body=body, headers={"content-type": "application/json", "date": at.isoformat()})
    return Raw(delivery_id=f"{external_id}:{what}:{at.isoformat()}", decoder=decoder, payload=payload)


CONNECTOR = TakServer
