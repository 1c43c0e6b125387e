"""What the REST framework does for every resource: choose, sort, page, expand, link."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sandbox.oracle_fusion.rowmatch import BadQuery, by_example, row_match

VERSION: Final = "11.13.18.05"
ROOT: Final = f"/fscmRestApi/resources/{VERSION}"
LIMIT, LIMIT_MOST = 25, 500


class Refused(Exception):
    """Ends a request; `details` are (detail, code, path)."""

    def __init__(self, status: int, title: str, *details: tuple[str, str, str | None]) -> None:
        super().__init__(title)
        self.status, self.title, self.details = status, title, details


def bad(detail: str, code: str = "27512", path: str | None = None) -> Refused:
    return Refused(400, "Bad Request", (detail, code, path))


@dataclass(frozen=True)
class Child:
    key: str
    """Attribute that names a row in an address."""
    attributes: frozenset[str]


@dataclass(frozen=True)
class Resource:
    """`key` gives the last part of a row's address, which the framework may make a hash of."""

    name: str
    key: str
    attributes: frozenset[str]
    children: Mapping[str, Child] = field(default_factory=dict)
    hashed: bool = False

    def address(self, row: Mapping[str, Any]) -> str:
        return str(row["_key"]) if self.hashed else str(row[self.key])

    @property
    def queryable(self) -> dict[str, frozenset[str]]:
        return {"": self.attributes, **{name: child.attributes for name, child in self.children.items()}}


@dataclass(frozen=True)
class Asked:
    """The framework's parameters of one request."""

    params: Mapping[str, str]
    version: int
    base: str
    """Address of the resources, as links show it."""

    @property
    def only_data(self) -> bool:
        return self.params.get("onlyData", "false").lower() == "true"


class Framework:
    """`child_rows`: how many rows an expanded child has at most."""

    def __init__(self, child_rows: int = LIMIT) -> None:
        self._child_rows = child_rows
        self._unordered = 0

    def collection(self, resource: Resource, rows: Sequence[dict[str, Any]], asked: Asked) -> dict[str, Any]:
        """The answer to `GET <resource>`."""
        found = self._sorted(resource.attributes, self._chosen(resource, rows, asked), asked)
        offset, limit = _number(asked, "offset", 0), min(_number(asked, "limit", LIMIT), LIMIT_MOST)
        page = found[offset : offset + limit]
        fields, expand = _fields(resource, asked), _expand(resource, asked)
        address = f"{asked.base}/{resource.name}"
        answer: dict[str, Any] = {
            "items": [self.row(resource, row, asked, fields, expand) for row in page],
            "count": len(page),
            "hasMore": offset + limit < len(found),
            "limit": limit,
            "offset": offset,
        }
        if asked.params.get("totalResults", "false").lower() == "true":
            answer["totalResults"] = len(found)
        answer["links"] = [{"rel": "self", "href": address, "name": resource.name, "kind": "collection"}]
        return answer

    def child(self, resource: Resource, row: Mapping[str, Any], name: str, asked: Asked) -> dict[str, Any]:
        """The answer to `GET <resource>/<key>/child/<name>`."""
        child = resource.children[name]
        inner = Resource(name, child.key, child.attributes)
        address = f"{asked.base}/{resource.name}/{resource.address(row)}/child"
        return self.collection(inner, row[name], Asked(asked.params, asked.version, address))

    def row(
        self,
        resource: Resource,
        row: Mapping[str, Any],
        asked: Asked,
        fields: Mapping[str, Sequence[str]] | None = None,
        expand: Iterable[str] = (),
    ) -> dict[str, Any]:
        """One row as it is shown. With `fields` only these, of children too; else all, and the children asked for."""
        wanted = (fields or {}).get("", []) if fields is not None else sorted(resource.attributes)
        shown = {name: row.get(name) for name in wanted}
        for name in [each for each in fields if each] if fields is not None else expand:
            shown[name] = self._expanded(resource, row, name, asked, None if fields is None else fields[name])
        if not asked.only_data:
            shown["links"] = _links(resource, row, asked.base)
        return shown

    def _expanded(
        self, resource: Resource, row: Mapping[str, Any], name: str, asked: Asked, fields: Sequence[str] | None
    ) -> Any:
        """A collection from version 3 on, an array before. Neither has more than `child_rows` rows."""
        child = resource.children[name]
        wanted = sorted(child.attributes) if fields is None else fields
        rows = [{key: each.get(key) for key in wanted} for each in row[name][: self._child_rows]]
        if asked.version < 3:
            return rows
        found: dict[str, Any] = {
            "items": rows,
            "count": len(rows),
            "hasMore": len(row[name]) > len(rows),
            "limit": self._child_rows,
            "offset": 0,
        }
        if not asked.only_data:
            href = f"{asked.base}/{resource.name}/{resource.address(row)}/child/{name}"
            found["links"] = [{"rel": "self", "href": href, "name": name, "kind": "collection"}]
        return found

    def _chosen(self, resource: Resource, rows: Sequence[dict[str, Any]], asked: Asked) -> list[dict[str, Any]]:
        found = list(rows)
        finder = asked.params.get("finder")
        if finder is not None:
            name, _, variables = finder.partition(";")
            given = dict(each.partition("=")[::2] for each in variables.split(",") if each)
            if name != "PrimaryKey" or set(given) != {resource.key}:
                raise bad(f"The finder {name} isn't valid.", "27515", "finder")
            found = [row for row in found if str(row[resource.key]) == given[resource.key]]
        expression = asked.params.get("q")
        if expression is not None:
            try:
                read = by_example if asked.version < 2 else row_match
                test = read(expression, resource.queryable)
                found = [row for row in found if test(row)]
            except BadQuery as fault:
                raise bad(str(fault), "27520", "q") from None
        return found

    def _sorted(self, attributes: frozenset[str], rows: list[dict[str, Any]], asked: Asked) -> list[dict[str, Any]]:
        """Without an order the rows come as the database likes, each time otherwise."""
        order = asked.params.get("orderBy")
        if not order:
            self._unordered += 1
            start = self._unordered % max(1, len(rows))
            return rows[start:] + rows[:start]
        for part in reversed(order.split(",")):
            name, _, direction = part.partition(":")
            if name not in attributes or direction not in ("", "asc", "desc"):
                raise bad(f"The attribute {name} in the orderBy parameter isn't valid.", "27517", "orderBy")
            rows.sort(key=lambda row, name=name: (row.get(name) is None, row.get(name)), reverse=direction == "desc")
        return rows


def _fields(resource: Resource, asked: Asked) -> dict[str, list[str]] | None:
    """`A,B;Child:C,D`: names under `""` and under each child's."""
    given = asked.params.get("fields")
    if given is None:
        return None
    found: dict[str, list[str]] = {}
    for part in given.split(";"):
        child, colon, names = part.rpartition(":")
        known = resource.queryable.get(child if colon else "")
        if known is None:
            raise bad(f"The resource {child} in the fields parameter isn't valid.", "27513", "fields")
        wanted = [name for name in names.split(",") if name]
        for name in wanted:
            if name not in known:
                raise bad(f"The attribute {name} in the fields parameter isn't valid.", "27513", "fields")
        found[child] = wanted
    return found


def _expand(resource: Resource, asked: Asked) -> list[str]:
    names = [name for name in asked.params.get("expand", "").split(",") if name]
    if names == ["all"]:
        return list(resource.children)
    for name in names:
        if name not in resource.children:
            raise bad(f"The resource {name} in the expand parameter isn't valid.", "27514", "expand")
    return names


def _number(asked: Asked, name: str, default: int) -> int:
    text = asked.params.get(name, str(default))
    if not re.fullmatch(r"\d{1,9}", text):
        raise bad(f"The parameter {name} must be a number.", "27516", name)
    return int(text)


def _links(resource: Resource, row: Mapping[str, Any], base: str) -> list[dict[str, Any]]:
    address = f"{base}/{resource.name}/{resource.address(row)}"
    stamp = str(row.get("LastUpdateDateTime") or row.get("LastUpdateDate") or "").encode().hex().upper()
    own: dict[str, Any] = {"href": address, "name": resource.name, "kind": "item"}
    return [
        {"rel": "self", **own, "properties": {"changeIndicator": f"ACED0005{stamp}"}},
        {"rel": "canonical", **own},
        *(
            {"rel": "child", "href": f"{address}/child/{name}", "name": name, "kind": "collection"}
            for name in resource.children
        ),
    ]
