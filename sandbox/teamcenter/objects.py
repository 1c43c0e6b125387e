"""The world as Teamcenter's objects: items, revisions, statuses, views, rules and queries, each with properties.

A property is a list of (database value, display text); None stands for a null. Which of them an answer shows is
decided by the request's policy.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

from sandbox.world import Item, Revision, View, World, vendor_uid

NO_OBJECT: Final = "AAAAAAAAAAAAAA"
SERVER_ZONE: Final = timezone(timedelta(hours=1), "WAT")
"""In which the server writes its dates and reads those in queries: Africa/Lagos."""
VIEWS: Final[tuple[View, ...]] = ("engineering", "manufacturing")
RULES: Final = ("Latest Working", "Any Status; Working", "Latest Released")
STATUS: Final = "TCM Released"
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

Value = tuple[str, str] | None
Props = dict[str, list[Value]]


@dataclass(frozen=True)
class Thing:
    """A business object. `lineage` are the types whose policies apply to it."""

    uid: str
    class_name: str
    type: str
    props: Props = field(default_factory=dict)
    lineage: tuple[str, ...] = ()

    @property
    def ref(self) -> dict[str, str]:
        return {"uid": self.uid, "className": self.class_name, "type": self.type}

    def text(self, name: str) -> str:
        """The first database value; empty for none."""
        first = next(iter(self.props.get(name, ())), None)
        return first[0] if first else ""


def text(value: str) -> list[Value]:
    return [(value, value)]


def date(moment: datetime | None) -> list[Value]:
    if moment is None:
        return [("0001-01-01T00:00:00", "")]
    local = moment.astimezone(SERVER_ZONE).replace(microsecond=0)
    return [(local.isoformat(), show(moment))]


def show(moment: datetime) -> str:
    """As people in the session's locale read it: `02-Dec-2021 12:24`."""
    local = moment.astimezone(SERVER_ZONE)
    return f"{local.day:02d}-{_MONTHS[local.month - 1]}-{local.year:04d} {local.hour:02d}:{local.minute:02d}"


def read_date(value: str) -> datetime:
    """What `show` writes. Raises ValueError."""
    day, clock = value.strip().split(" ")
    number, month, year = day.split("-")
    hour, minute = clock.split(":")
    made = datetime(int(year), _MONTHS.index(month) + 1, int(number), int(hour), int(minute), tzinfo=SERVER_ZONE)
    return made.astimezone(UTC)


def item_revision_uid(revision: Revision) -> str:
    return revision.uid


def view_uid(item: Item, view: View) -> str:
    return vendor_uid(f"psbomview:{item.key}:{view}")


class Catalogue:
    """All persistent objects. What clients write lies over the world and is forgotten on reset."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.written: dict[str, dict[str, str]] = {}
        self.written_at: dict[str, datetime] = {}
        self._things: dict[str, Thing] = {}
        for one in self._small():
            self._things[one.uid] = one
        for item in world.items:
            for one in self._of_item(item):
                self._things[one.uid] = one

    def get(self, uid: str) -> Thing | None:
        found = self._things.get(uid)
        if found is None or uid not in self.written:
            return found
        props = dict(found.props)
        for name, value in self.written[uid].items():
            props[name] = text(value)
        props["last_mod_date"] = date(self.written_at[uid])
        return Thing(found.uid, found.class_name, found.type, props, found.lineage)

    def write(self, uid: str, name: str, value: str) -> None:
        self.written.setdefault(uid, {})[name] = value
        self.written_at[uid] = self.world.now()

    def forget_written(self) -> None:
        self.written.clear()
        self.written_at.clear()

    def modified_at(self, uid: str) -> datetime:
        if uid in self.written_at:
            return self.written_at[uid]
        item = self.world.item_by_uid.get(uid)
        return item.modified_at if item is not None else self.world.revision_by_uid[uid].modified_at

    def rules(self) -> list[Thing]:
        return [one for one in self._things.values() if one.class_name == "RevisionRule"]

    def queries(self) -> list[Thing]:
        return [one for one in self._things.values() if one.class_name == "ImanQuery"]

    def _small(self) -> Iterable[Thing]:
        for name in RULES:
            yield Thing(vendor_uid(f"rule:{name}"), "RevisionRule", "RevisionRule", {"object_name": text(name)})
        for name in ("Item...", "Item Revision...", "General..."):
            yield Thing(vendor_uid(f"query:{name}"), "ImanQuery", "ImanQuery", {"query_name": text(name)})
        for view in VIEWS:
            yield Thing(vendor_uid(f"viewtype:{view}"), "PSViewType", "PSViewType", {"name": text(view)})
        for unit in ("KG", "M", "L"):
            yield Thing(vendor_uid(f"uom:{unit}"), "UnitOfMeasure", "UnitOfMeasure", {"symbol": text(unit)})

    def _of_item(self, item: Item) -> Iterable[Thing]:
        views = [view for view in VIEWS if self.world.bom(item.key, view)]
        unit: Value = None if item.unit == "EA" else (vendor_uid(f"uom:{item.unit}"), item.unit)
        yield Thing(
            item.uid,
            "Item",
            item.object_type,
            {
                "item_id": text(item.teamcenter_number),
                "object_name": text(item.name),
                "object_desc": text(item.description),
                "object_type": text(item.object_type),
                "object_string": text(f"{item.teamcenter_number}-{item.name}"),
                "uom_tag": [unit],
                "creation_date": date(item.created_at),
                "last_mod_date": date(item.modified_at),
                "revision_list": [
                    (one.uid, f"{item.teamcenter_number}/{one.id};1-{one.name}") for one in item.revisions
                ],
                "bom_view_tags": [(view_uid(item, view), f"{item.teamcenter_number}-{view}") for view in views],
            },
            ("Item", "WorkspaceObject"),
        )
        for revision in item.revisions:
            yield from self._of_revision(item, revision)
        for view in views:
            yield Thing(
                view_uid(item, view),
                "PSBOMView",
                "BOMView",
                {
                    "object_name": text(f"{item.teamcenter_number}-{view}"),
                    "view_type": [(vendor_uid(f"viewtype:{view}"), view)],
                },
                ("PSBOMView", "WorkspaceObject"),
            )

    def _of_revision(self, item: Item, revision: Revision) -> Iterable[Thing]:
        status = vendor_uid(f"status:{revision.uid}")
        yield Thing(
            revision.uid,
            "ItemRevision",
            f"{item.object_type}Revision",
            {
                "item_id": text(item.teamcenter_number),
                "item_revision_id": text(revision.id),
                "object_name": text(revision.name),
                "object_type": text(f"{item.object_type}Revision"),
                "items_tag": [(item.uid, f"{item.teamcenter_number}-{item.name}")],
                "creation_date": date(revision.created_at),
                "last_mod_date": date(revision.modified_at),
                "date_released": date(revision.released_at),
                "release_status_list": [(status, STATUS)] if revision.released else [],
            },
            ("ItemRevision", "WorkspaceObject"),
        )
        if revision.released:
            yield Thing(
                status,
                "ReleaseStatus",
                "ReleaseStatus",
                {"name": text(STATUS), "date_released": date(revision.released_at)},
            )


class Shower:
    """Makes the `ServiceData` of one answer, as the request's policy wants it."""

    def __init__(self, catalogue: Catalogue, policy: Mapping[str, Any], transient: Mapping[str, Thing]) -> None:
        self._catalogue = catalogue
        self._transient = transient
        self._wanted: dict[str, dict[str, bool]] = {}
        for one in policy.get("types") or ():
            wanted = self._wanted.setdefault(one["name"], {})
            for prop in one.get("properties") or ():
                follow = any(
                    each.get("name") == "withProperties" and str(each.get("Value")).lower() == "true"
                    for each in prop.get("modifiers") or ()
                )
                wanted[prop["name"]] = wanted.get(prop["name"], False) or follow
        self._shown: dict[str, dict[str, Any]] = {}
        self._plain: list[str] = []
        self._errors: list[dict[str, Any]] = []

    def thing(self, uid: str) -> Thing | None:
        return self._transient.get(uid) or self._catalogue.get(uid)

    def add(self, uid: str, attributes: Sequence[str] = ()) -> bool:
        """Shows the object with what the policy wants and `attributes`; false when there is none."""
        found = self.thing(uid)
        if found is None:
            return False
        if uid not in self._plain:
            self._plain.append(uid)
        self._show(found, dict.fromkeys(attributes, False))
        return True

    def fail(self, code: int, message: str, *, uid: str = "", client_id: str = "") -> None:
        value = {"message": message, "code": code, "level": 3}
        self._errors.append({"clientId": client_id, "clientIndex": 0, "uid": uid, "errorValues": [value]})

    def data(self) -> dict[str, Any]:
        made: dict[str, Any] = {}
        if self._plain:
            made["plain"] = self._plain
        if self._shown:
            made["modelObjects"] = self._shown
        if self._errors:
            made["partialErrors"] = self._errors
        return made

    def _show(self, found: Thing, extra: Mapping[str, bool]) -> None:
        todo = [(found, dict(extra), True)]
        while todo:
            one, more, full = todo.pop()
            entry = self._shown.setdefault(one.uid, {**one.ref, "objectID": one.uid, "cParamID": "", "props": {}})
            if not full:
                continue
            wanted = dict(more)
            for name in {one.type, one.class_name, *one.lineage}:
                for prop, follow in self._wanted.get(name, {}).items():
                    wanted[prop] = wanted.get(prop, False) or follow
            for prop, follow in wanted.items():
                if prop not in one.props or prop in entry["props"]:
                    continue
                held = one.props[prop]
                entry["props"][prop] = {
                    "dbValues": [value[0] if value else "" for value in held],
                    "uiValues": [value[1] if value else "" for value in held],
                }
                if any(value is None for value in held):
                    entry["props"][prop]["isNulls"] = [value is None for value in held]
                for value in held:
                    behind = self.thing(value[0]) if value else None
                    if behind is not None:
                        todo.append((behind, {}, follow))
