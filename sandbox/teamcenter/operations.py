"""The SOA operations of the stand-in: each takes the operation's input and gives the body of its answer."""

import fnmatch
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sandbox.teamcenter.objects import VIEWS, Catalogue, Shower, read_date, view_uid
from sandbox.teamcenter.session import Bom, Process, Refused, Session, configured
from sandbox.world import Item, Revision, View, World

VERSION: Final = "V14000.3.0"
DISPLAY_VERSION: Final = "Teamcenter 14.3"

_ENTRIES: Final[dict[str, dict[str, str]]] = {
    "en_US": {
        "object_name": "Name", "item_id": "Item ID", "item_revision_id": "Revision", "object_type": "Type",
        "after": "Modified After", "before": "Modified Before",
    },
    "de_DE": {
        "object_name": "Name", "item_id": "Element-ID", "item_revision_id": "Änderungsstand", "object_type": "Typ",
        "after": "Geändert nach", "before": "Geändert vor",
    },
}  # fmt: skip
"""Entries of the saved queries by locale of the session."""


@dataclass
class Call:
    """One call: who calls, with which input and policy."""

    session: Session
    body: dict[str, Any]
    shower: Shower
    keep: bool
    """Whether the client asked to keep its objects loaded."""

    @property
    def process(self) -> Process:
        return self.session.process


def uid_of(reference: Any) -> str:
    """Of an object reference: a structure, or just the uid."""
    found = reference.get("uid", "") if isinstance(reference, dict) else reference
    return found if isinstance(found, str) else ""


class Operations:
    """`table` has them by `Library-yyyy-mm-Service/operation`, with the end of their answer's `.QName`."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._world: World = catalogue.world
        self._bom = Bom(catalogue)
        structure = "Cad-2007-01-StructureManagement"
        self.table: dict[str, tuple[str, Callable[[Call], dict[str, Any]]]] = {
            "Core-2007-01-Session/getTCSessionInfo": ("Session.GetTCSessionInfoResponse", self._session_info),
            "Core-2006-03-DataManagement/getProperties": ("", self._properties),
            "Core-2007-01-DataManagement/getItemFromId": ("DataManagement.GetItemFromIdResponse", self._item_from_id),
            "Core-2007-01-DataManagement/whereUsed": ("DataManagement.WhereUsedResponse", self._where_used),
            "Core-2010-09-DataManagement/setProperties": ("DataManagement.SetPropertyResponse", self._set_properties),
            "Query-2010-04-SavedQuery/findSavedQueries": ("SavedQuery.FindSavedQueriesResponse", self._find_queries),
            "Query-2006-03-SavedQuery/getSavedQueries": ("SavedQuery.GetSavedQueriesResponse", self._get_queries),
            "Query-2006-03-SavedQuery/describeSavedQueries": (
                "SavedQuery.DescribeSavedQueriesResponse",
                self._describe,
            ),
            "Query-2008-06-SavedQuery/executeSavedQueries": (
                "SavedQuery.ExecuteSavedQueriesResponse",
                self._execute,
            ),
            "Query-2014-11-Finder/performSearch": ("Finder.SearchResponse2", self._search),
            f"{structure}/getRevisionRules": ("StructureManagement.GetRevisionRulesResponse", self._rules),
            f"{structure}/createBOMWindows": ("StructureManagement.CreateBOMWindowsResponse", self._open),
            f"{structure}/closeBOMWindows": ("StructureManagement.CloseBOMWindowsResponse", self._close),
            f"{structure}/expandPSAllLevels": (
                "StructureManagement.ExpandPSAllLevelsResponse",
                lambda call: self._expand(call, deep=True),
            ),
            f"{structure}/expandPSOneLevel": (
                "StructureManagement.ExpandPSOneLevelResponse",
                lambda call: self._expand(call, deep=False),
            ),
        }

    # --- data

    def _session_info(self, call: Call) -> dict[str, Any]:
        return {"serverVersion": VERSION, "bypass": False, "textInfos": [], "extraInfo": {}, "moduleNumber": 0}

    def _properties(self, call: Call) -> dict[str, Any]:
        for reference in call.body["objects"]:
            uid = uid_of(reference)
            if not call.shower.add(uid, call.body.get("attributes") or ()):
                call.shower.fail(214203, "The object is not valid or was deleted.", uid=uid)
        return {}

    def _item_from_id(self, call: Call) -> dict[str, Any]:
        output = []
        for info in call.body["infos"]:
            item = self._world.item_by_teamcenter.get(info["itemId"])
            if item is None:
                call.shower.fail(38411, "No item with this ID exists.", client_id=info["itemId"])
                continue
            chosen = [one for one in item.revisions if one.id in (info.get("revIds") or ())]
            count = int(call.body.get("nRev") or 0)
            chosen = chosen or list(item.revisions[-count:] if count > 0 else item.revisions)
            for uid in (item.uid, *(one.uid for one in chosen)):
                call.shower.add(uid)
            revisions = [{"itemRevision": self._ref(one.uid), "datasets": []} for one in chosen]
            output.append({"item": self._ref(item.uid), "itemRevOutput": revisions})
        return {"output": output}

    def _where_used(self, call: Call) -> dict[str, Any]:
        rule = call.shower.thing(uid_of(call.body.get("rule")))
        levels = int(call.body["numLevels"])
        output = []
        for reference in call.body["objects"]:
            uid = uid_of(reference)
            revision = self._world.revision_by_uid.get(uid)
            item = self._world.item_by_uid.get(uid) or (
                self._world.item_by_key[revision.item_key] if revision else None
            )
            if item is None:
                call.shower.fail(214203, "The object is not valid or was deleted.", uid=uid)
                continue
            info = []
            for parent, level in self._users(item, levels):
                chosen: Sequence[Revision | None] = (
                    [configured(parent, rule.text("object_name"))] if rule else parent.revisions
                )
                for one in chosen:
                    if one is not None:
                        call.shower.add(one.uid)
                        info.append({"parentItemRev": self._ref(one.uid), "level": level})
            output.append({"inputObject": self._ref(uid), "info": info})
        return {"output": output}

    def _users(self, item: Item, levels: int) -> list[tuple[Item, int]]:
        found: list[tuple[Item, int]] = []
        now, level = {item.key}, 0
        while now and level != levels:
            level += 1
            now = {line.parent_key for key in now for line in self._world.where_used(key, "manufacturing")}
            found += [(self._world.item_by_key[key], level) for key in sorted(now)]
        return found

    def _set_properties(self, call: Call) -> dict[str, Any]:
        for info in call.body["info"]:
            uid = uid_of(info["object"])
            if call.shower.thing(uid) is None:
                call.shower.fail(214203, "The object is not valid or was deleted.", uid=uid)
                continue
            for pair in info["vecNameVal"]:
                if pair["name"] not in ("object_name", "object_desc"):
                    call.shower.fail(214087, f"The property {pair['name']} cannot be modified.", uid=uid)
                else:
                    self._catalogue.write(uid, pair["name"], pair["values"][0])
            call.shower.add(uid, [pair["name"] for pair in info["vecNameVal"]])
        return {"data": call.shower.data(), "objPropMap": {}}

    # --- queries

    def _find_queries(self, call: Call) -> dict[str, Any]:
        found = []
        for criteria in call.body["inputCriteria"]:
            for query in self._catalogue.queries():
                if any(fnmatch.fnmatchcase(query.text("query_name"), name) for name in criteria["queryNames"]):
                    call.shower.add(query.uid)
                    found.append(query.ref)
        return {"savedQueries": found}

    def _get_queries(self, call: Call) -> dict[str, Any]:
        return {
            "queries": [
                {"query": one.ref, "name": one.text("query_name"), "description": ""}
                for one in self._catalogue.queries()
            ]
        }

    def _fields(self, call: Call, uid: str) -> list[tuple[str, str, str]]:
        """(attribute, entry, operation) of the query's conditions."""
        query = call.shower.thing(uid)
        if query is None or query.class_name != "ImanQuery":
            raise Refused("ServiceException", 214203, "The saved query does not exist.")
        names = _ENTRIES.get(call.session.locale, _ENTRIES["en_US"])
        revisions = query.text("query_name") == "Item Revision..."
        fields = [
            ("object_name", names["object_name"], "="),
            ("items_tag.item_id" if revisions else "item_id", names["item_id"], "="),
            ("object_type", names["object_type"], "="),
            ("last_mod_date", names["before"], "<="),
            ("last_mod_date", names["after"], ">="),
        ]
        return [*fields, ("item_revision_id", names["item_revision_id"], "=")] if revisions else fields

    def _describe(self, call: Call) -> dict[str, Any]:
        return {
            "fieldLists": [
                {
                    "fields": [
                        {
                            "attributeName": attribute,
                            "entryName": entry,
                            "logicalOperation": "AND",
                            "mathOperation": operation,
                            "value": "",
                            "attributeType": 2 if attribute == "last_mod_date" else 8,
                        }
                        for attribute, entry, operation in self._fields(call, uid_of(query))
                    ]
                }
                for query in call.body["queries"]
            ]
        }

    def _execute(self, call: Call) -> dict[str, Any]:
        results = []
        for run in call.body["input"]:
            given = dict(zip(run["entries"], run["values"], strict=True))
            found = self._matching(call, uid_of(run["query"]), given)
            most = int(run.get("maxNumToReturn") or 0)
            results.append(
                {
                    "clientId": run.get("clientId", ""),
                    "objectUIDS": found[:most] if most else found,
                    "numOfObjectsFound": len(found),
                }
            )
        return {"arrayOfResults": results}

    def _search(self, call: Call) -> dict[str, Any]:
        asked = call.body["searchInput"]
        if asked["providerName"] != "Awp0SavedQuerySearchProvider":
            raise Refused("ServiceException", 141023, f"The provider {asked['providerName']} is not registered.")
        criteria = dict(asked["searchCriteria"])
        own = ("queryUID", "searchID", "typeOfSearch", "utcOffset", "lastEndIndex", "totalObjectsFoundReportedToClient")
        uid = criteria["queryUID"]
        found = self._matching(call, uid, {name: value for name, value in criteria.items() if name not in own})
        for key in reversed(asked.get("searchSortCriteria") or ()):
            texts = {one.uid: one.text(key["fieldName"]) for one in map(self._catalogue.get, found) if one}
            found.sort(key=texts.__getitem__, reverse=key["sortDirection"] == "DESC")
        start, most = int(asked["startIndex"]), int(asked["maxToLoad"])
        page = found[start : start + most]
        for one in page:
            call.shower.add(one, [name for name in asked.get("attributesToInflate") or () if name])
        return {
            "searchResults": [self._ref(one) for one in page],
            "totalFound": len(found),
            "totalLoaded": len(page),
            "searchFilterMap": {},
            "searchFilterCategories": [],
            "defaultFilterFieldDisplayCount": 10,
            "cursor": {
                "startIndex": start,
                "endIndex": start + len(page),
                "startReached": start == 0,
                "endReached": start + len(page) >= len(found),
            },
        }

    def _matching(self, call: Call, query: str, given: dict[str, str]) -> list[str]:
        """Uids that fulfil all the entries; `*` and `?` are wildcards, `;` separates alternatives."""
        fields = {entry: (attribute, operation) for attribute, entry, operation in self._fields(call, query)}
        thing = call.shower.thing(query)
        assert thing is not None
        tests: list[Callable[[str], bool]] = []
        for entry, value in given.items():
            if entry not in fields:
                raise Refused("ServiceException", 214310, f"The query has no entry {entry!r}.")
            tests.append(self._test(*fields[entry], value))
        if not tests:
            raise Refused("ServiceException", 214311, "At least one entry must be given.")
        if thing.text("query_name") == "Item Revision...":
            candidates = [one.uid for item in self._world.items for one in item.revisions]
        else:
            candidates = [item.uid for item in self._world.items]
        return [uid for uid in candidates if all(test(uid) for test in tests)]

    def _test(self, attribute: str, operation: str, value: str) -> Callable[[str], bool]:
        if attribute == "last_mod_date":
            try:
                bound: datetime = read_date(value)
            except (ValueError, IndexError):
                raise Refused("ServiceException", 214312, f"The date {value!r} is not valid.") from None
            if operation == ">=":
                return lambda uid: self._catalogue.modified_at(uid) >= bound
            return lambda uid: self._catalogue.modified_at(uid) <= bound
        patterns = [re.compile(fnmatch.translate(one.replace("[", "[[]"))) for one in value.split(";")]
        name = attribute.rpartition(".")[2]

        def fits(uid: str) -> bool:
            thing = self._catalogue.get(uid)
            return thing is not None and any(one.match(thing.text(name)) for one in patterns)

        return fits

    # --- structures

    def _rules(self, call: Call) -> dict[str, Any]:
        rules = self._catalogue.rules()
        for rule in rules:
            call.shower.add(rule.uid)
        return {"output": [{"revRule": one.ref, "hasValueStatus": [[], []], "overrideFolders": []} for one in rules]}

    def _open(self, call: Call) -> dict[str, Any]:
        output = []
        for info in call.body["info"]:
            client = info.get("clientId", "")
            revision = self._world.revision_by_uid.get(uid_of(info.get("itemRev")))
            item = self._world.item_by_uid.get(uid_of(info.get("item")))
            item = self._world.item_by_key[revision.item_key] if revision else item
            config = info.get("revRuleConfigInfo") or {}
            rule = call.shower.thing(uid_of(config.get("revRule")))
            if item is None:
                call.shower.fail(214203, "The object is not valid or was deleted.", client_id=client)
                continue
            if rule is not None and rule.class_name != "RevisionRule":
                call.shower.fail(46003, "The object is not a revision rule.", client_id=client)
                continue
            name = rule.text("object_name") if rule else "Latest Working"
            view = self._view(item, uid_of(info.get("bomView")))
            window = self._bom.open(call.process, item, revision, view, name, call.keep)
            call.shower.add(window.top)
            call.shower.add(window.uid)
            output.append(
                {
                    "clientId": client,
                    "bomWindow": call.process.transient[window.uid].ref,
                    "bomLine": call.process.transient[window.top].ref,
                }
            )
        return {"output": output}

    def _view(self, item: Item, uid: str) -> View:
        """The engineering view where none is given."""
        return next((view for view in VIEWS if view_uid(item, view) == uid), "engineering")

    def _close(self, call: Call) -> dict[str, Any]:
        deleted = []
        for reference in call.body["bomWindows"]:
            uid = uid_of(reference)
            if call.process.close(uid):
                deleted.append(uid)
            else:
                call.shower.fail(214203, "The object is not valid or was deleted.", uid=uid)
        return {"ServiceData": {**call.shower.data(), "deleted": deleted}}

    def _expand(self, call: Call, *, deep: bool) -> dict[str, Any]:
        output = []
        for reference in call.body["input"]["parentBomLines"]:
            uid = uid_of(reference)
            window = call.process.line(uid)
            if window is None:
                call.shower.fail(214203, "The object is not valid or was deleted.", uid=uid)
                continue
            for parent, below in self._bom.expand(call.process, window, uid, deep=deep):
                for line in (parent, *below):
                    call.shower.add(line)
                refs = {line: self._bom.revision_ref(call.process, window, line) for line in (parent, *below)}
                output.append(
                    {
                        "parent": {
                            "bomLine": call.process.transient[parent].ref,
                            "itemRevOfBOMLine": refs[parent],
                            "parentDatasets": [],
                        },
                        "children": [
                            {
                                "bomLine": call.process.transient[line].ref,
                                "itemRevOfBOMLine": refs[line],
                                "datasets": [],
                            }
                            for line in below
                        ],
                    }
                )
        return {"output": output}

    def _ref(self, uid: str) -> dict[str, str]:
        found = self._catalogue.get(uid)
        assert found is not None
        return found.ref
