"""Structures: BOM windows are opened, expanded and closed again, for all requests at once."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import msgspec

from connectors.kit.errors import Rejected, VendorDown, VendorError
from connectors.kit.http import Answer
from connectors.kit.services import current_reading
from connectors.teamcenter import mapping, soa, wire
from connectors.teamcenter.mapping import BomKey, Tree
from connectors.teamcenter.soa import Soa, reference
from unified.records import Bom

RULES_SECONDS = 3600.0
"""How long the list of revision rules is believed; an unknown name asks anew at once."""
KEPT = 200
"""Structures kept for when the server is down."""


class _WindowsLost(Exception):
    """The windows went away while they were in use, usually with their session."""


class Structures:
    """Explosions. The windows of one call are its own; they are closed also after errors and cancellation."""

    def __init__(self, api: Soa) -> None:
        self._soa = api
        self._clock = api.api.services.clock
        self._rules: dict[str, str] = {}
        self._rules_at: float | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._good: OrderedDict[BomKey, tuple[Bom | None, datetime]] = OrderedDict()

    async def explode(self, keys: Sequence[BomKey]) -> list[Bom | None]:
        """One structure per key, in order. While the server is down: the last good ones, if all are known."""
        distinct = list(dict.fromkeys(keys))
        if not distinct:
            return []
        try:
            found = await self._explode(distinct)
        except VendorDown as error:
            kept = {key: self._good[key] for key in distinct if key in self._good}
            if len(kept) < len(distinct):
                raise
            reading = current_reading.get()
            if reading is not None:
                reading.note_stale(min(as_of for _, as_of in kept.values()), error)
            return [_stale(kept[key][0]) for key in keys]
        now = self._clock.now()
        for key, bom in found.items():
            self._good.pop(key, None)
            self._good[key] = (bom, now)
        while len(self._good) > KEPT:
            self._good.popitem(last=False)
        return [found[key] for key in keys]

    async def rule(self, name: str) -> str:
        """Uid of the revision rule. Raises `Rejected` with the names that exist."""
        late = self._rules_at is None or self._clock.monotonic() - self._rules_at > RULES_SECONDS
        if late or name not in self._rules:
            answer = await self._soa.read(soa.REVISION_RULES, {}, wire.RevisionRules, policy=soa.RULES)
            objects = answer.value.data.objects
            self._rules = {
                title: each.rule.uid
                for each in answer.value.output
                if (title := wire.value(objects.get(each.rule.uid, wire.ModelObject()), "object_name"))
            }
            self._rules_at = self._clock.monotonic()
        if name not in self._rules:
            raise Rejected(
                f"{self._soa.api.integration.key}: there is no revision rule `{name}`; there are "
                + ", ".join(f"`{each}`" for each in sorted(self._rules)[:20])
            )
        return self._rules[name]

    async def aclose(self) -> None:
        """Waits for windows that are being closed."""
        await asyncio.gather(*self._closing, return_exceptions=True)

    async def _explode(self, keys: Sequence[BomKey]) -> dict[BomKey, Bom | None]:
        for _ in range(2):
            try:
                return await self._once(keys)
            except _WindowsLost:
                continue
        raise VendorDown(
            f"{self._soa.api.integration.key}: the BOM windows went away twice while they were being expanded",
            integration=self._soa.api.integration.key,
        )

    async def _once(self, keys: Sequence[BomKey]) -> dict[BomKey, Bom | None]:
        rules = {name: await self.rule(name) for name in dict.fromkeys(key.rule for key in keys)}
        chosen = await self._choices([key for key in keys if key.view or key.revision])
        infos = {
            str(place): _window(str(place), key, rules[key.rule], chosen.get(key, {}))
            for place, key in enumerate(keys)
            if chosen.get(key, {}) is not None
        }
        found: dict[BomKey, Bom | None] = dict.fromkeys(keys)
        if not infos:
            return found
        async with self._windows(list(infos.values())) as opened:
            logins = self._soa.session.logins
            lines = {each.client_id: each.line.uid for each in opened.value.output if each.line.uid}
            one = [lines[place] for place in lines if keys[int(place)].levels == 1]
            deep = [lines[place] for place in lines if keys[int(place)].levels != 1]
            answers = [
                await self._expand(operation, tops)
                for operation, tops in ((soa.EXPAND_ALL, deep), (soa.EXPAND_ONE, one))
                if tops
            ]
            if self._soa.session.logins != logins or _unknown(answers, lines.values()):
                raise _WindowsLost
        if answers:
            tree = Tree.of(*(each.value for each in answers))
            for place, top in lines.items():
                key = keys[int(place)]
                found[key] = mapping.bom(top, tree, answers[-1].origin, key)
        return found

    async def _expand(self, operation: str, tops: Sequence[str]) -> Answer[wire.Expansion]:
        body = {
            "input": {"parentBomLines": [reference(uid, "BOMLine") for uid in tops], "excludeFilter": "None"},
            "pref": {"expItemRev": False, "info": []},
        }
        return await self._soa.fresh(operation, body, wire.Expansion, policy=soa.LINES, keep_objects=True)

    async def _choices(self, keys: Sequence[BomKey]) -> dict[BomKey, dict[str, str] | None]:
        """Uids of the views and revisions that are asked for by name; null where an item has none of that name."""
        if not keys:
            return {}
        uids = list(dict.fromkeys(key.item for key in keys))
        body = {"objects": [{"uid": uid} for uid in uids], "attributes": ["bom_view_tags", "revision_list"]}
        answer = await self._soa.read(soa.GET_PROPERTIES, body, wire.BareData, policy=soa.VIEWS)
        objects = answer.value.objects
        found: dict[BomKey, dict[str, str] | None] = {}
        for key in keys:
            item = objects.get(key.item, wire.ModelObject())
            chosen: dict[str, str] = {}
            if key.view and (uid := _view(item, key.view, objects)):
                chosen["view"] = uid
            if key.revision and (uid := _revision(item, key.revision, objects)):
                chosen["revision"] = uid
            found[key] = chosen if len(chosen) == bool(key.view) + bool(key.revision) else None
        return found

    @asynccontextmanager
    async def _windows(self, infos: Sequence[Mapping[str, Any]]) -> AsyncIterator[Answer[wire.WindowsCreated]]:
        # Shielded: were the call cut off, the server would have windows of which we do not know
        opening = asyncio.create_task(
            self._soa.fresh(
                soa.CREATE_WINDOWS, {"info": list(infos)}, wire.WindowsCreated, policy=soa.LINES, keep_objects=True
            )
        )
        try:
            yield await asyncio.shield(opening)
        finally:
            closing = asyncio.create_task(self._close(opening))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
            await asyncio.shield(closing)

    async def _close(self, opening: "asyncio.Task[Answer[wire.WindowsCreated]]") -> None:
        try:
            opened = await opening
        except VendorError:
            return  # nothing was opened; the one who asked sees the error
        windows = [each.window.uid for each in opened.value.output if each.window.uid]
        if not windows:
            return
        try:
            await self._soa.fresh(soa.CLOSE_WINDOWS, {"bomWindows": windows}, wire.Answer, keep_objects=True)
        except VendorError as error:
            self._soa.api.services.log.warning(
                "teamcenter.windows_left_open",
                integration=self._soa.api.integration.key,
                windows=len(windows),
                error=error.message,
            )


def _unknown(answers: Sequence[Answer[wire.Expansion]], tops: Iterable[str]) -> bool:
    """Whether the server no longer knows a line that it has just given us."""
    if not any(answer.value.data.partial_errors for answer in answers):
        return False
    expanded = {row.parent.line.uid for answer in answers for row in answer.value.output}
    return any(top not in expanded for top in tops)


def _window(place: str, key: BomKey, rule: str, chosen: Mapping[str, str] | None) -> dict[str, Any]:
    chosen = chosen or {}
    revision, view = chosen.get("revision"), chosen.get("view")
    return {
        "clientId": place,
        "item": key.item,
        "itemRev": reference(revision, "ItemRevision") if revision else "",
        "bomView": reference(view, "PSBOMView") if view else "",
        "revRuleConfigInfo": {
            "clientId": place,
            "revRule": reference(rule, "RevisionRule"),
            "props": {
                "unitNo": -1,
                "date": "0001-01-01T00:00:00",
                "today": True,
                "endItem": "",
                "endItemRevision": "",
                "overrideFolders": [],
            },
        },
        "objectForConfigure": "",
        "activeAssemblyArrangement": "",
    }


def _view(item: wire.ModelObject, name: str, objects: wire.Objects) -> str | None:
    """The item's BOM view whose view type bears the name, in any case of letters."""
    for uid in wire.references(item, "bom_view_tags"):
        view = objects.get(uid)
        if view is None:
            continue
        kind = next((objects[each] for each in wire.references(view, "view_type") if each in objects), None)
        title = (wire.value(kind, "name") if kind is not None else None) or wire.shown(view, "view_type")
        if title is not None and title.casefold() == name.casefold():
            return uid
    return None


def _revision(item: wire.ModelObject, name: str, objects: wire.Objects) -> str | None:
    for uid in wire.references(item, "revision_list"):
        if uid in objects and wire.value(objects[uid], "item_revision_id") == name:
            return uid
    return None


def _stale(bom: Bom | None) -> Bom | None:
    if bom is None:
        return None
    return msgspec.structs.replace(bom, source=msgspec.structs.replace(bom.source, stale=True))
