"""The gateway: URLs, envelopes and errors of OData V2 and V4 around the entity sets."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sandbox.sap_ewm.logon import Logon
from sandbox.sap_ewm.query import BadQuery, Row, number, ordered, where
from sandbox.sap_ewm.rows import EntitySet, House

V2: Final = "/sap/opu/odata/sap"
V4: Final = "/sap/opu/odata4/sap/api_whse_availablestock/srvd_a2x/sap/warehouseavailablestock/0001"
TOKEN: Final = "/sap/bc/sec/oauth2/token"

_SEGMENT: Final = re.compile(r"^(?P<set>[A-Za-z_]+)(?:\((?P<key>.*)\))?(?:/(?P<more>[A-Za-z_$]+))?$")
_PAIR: Final = re.compile(r"(?:(?P<name>[A-Za-z_]+)=)?'(?P<value>(?:[^']|'')*)'")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_OPTIONS: Final = frozenset(
    ["$filter", "$top", "$skip", "$select", "$expand", "$orderby", "$inlinecount", "$count", "$format", "$skiptoken"]
)


class Refused(Exception):
    """An error answer."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status, self.code, self.text = status, code, text


def v2_value(value: object) -> object:
    """Decimals as texts, times as `/Date(ms+offset)/`."""
    if isinstance(value, Decimal):
        return f"{value:.3f}"
    if isinstance(value, datetime):
        return f"/Date({int((value - _EPOCH).total_seconds() * 1000)}+0000)/"
    return value


def v4_value(value: object) -> object:
    """Decimals as numbers, times as ISO 8601."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return value.isoformat() if isinstance(value, date) else value


class Page:
    """What is left of an entity set after the query options."""

    def __init__(self, entities: EntitySet, query: Mapping[str, str], *, size: int, v4: bool) -> None:
        unknown = [name for name in query if name.startswith("$") and name not in _OPTIONS]
        if unknown:
            raise BadQuery(f"Invalid query option {unknown[0]}")
        rows = list(entities.rows())
        if query.get("$filter"):
            test = where(query["$filter"], entities.columns, v4=v4)
            rows = [row for row in rows if test(row)]
        self.total = len(rows)
        rows = ordered(rows, query.get("$orderby") or ",".join(entities.keys), entities.columns)
        top = number(query.get("$top"), "$top")
        start, left = number(query.get("$skip"), "$skip") or 0, top
        if "$skiptoken" in query:
            told = re.fullmatch(r"(\d+)(?:-(\d+))?", query["$skiptoken"])
            if not told:
                raise BadQuery("Invalid $skiptoken")
            start, left = int(told[1]), int(told[2]) if told[2] else None
        wanted = rows[start:] if left is None else rows[start : start + left]
        self.rows: Sequence[Row] = wanted[:size]
        self.token: str | None = None
        if len(wanted) > size:
            self.token = f"{start + size}" if left is None else f"{start + size}-{left - size}"


class Gateway:
    """One EWM system. `page_size` rows at most are in one answer, whatever `$top` says."""

    def __init__(self, house: House, logon: Logon, *, page_size: int) -> None:
        self.house, self.logon, self._page_size = house, logon, page_size
        self._v2 = house.services()
        self._v4 = house.stock_service()
        methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]
        self.app = Starlette(
            routes=[
                Route(TOKEN, logon.token, methods=["POST"]),
                Route(V4 + "/{rest:path}", self._v4_endpoint, methods=methods),
                Route(V2 + "/{service}/{rest:path}", self._v2_endpoint, methods=methods),
            ]
        )

    # --- V2

    async def _v2_endpoint(self, request: Request) -> Response:
        service, rest = request.path_params["service"], request.path_params["rest"]
        session = self.logon.enter(request, service)
        if isinstance(session, Response):
            return session
        refused = self.logon.guard(request, session)
        if refused is not None:
            return self.logon.leave(request, session, refused)
        if rest == "$batch" and request.method == "POST":
            response = self._batch(service, request.headers.get("content-type", ""), await request.body())
        else:
            response = self.v2(request.method, service, rest, dict(request.query_params), str(request.url))
        return self.logon.leave(request, session, response)

    def v2(self, method: str, service: str, rest: str, query: Mapping[str, str], url: str) -> Response:
        """One call, signed already."""
        try:
            sets = self._v2.get(service)
            if sets is None:
                raise Refused(403, "/IWFND/MED/170", f"No service found for namespace '', name '{service}'")
            if method in ("GET", "HEAD"):
                return self._v2_read(service, sets, rest, query, url)
            return self._v2_change(sets, rest, query)
        except BadQuery as fault:
            return v2_error(Refused(400, "/IWBEP/CM_MGW_RT/021", str(fault)))
        except Refused as refusal:
            return v2_error(refusal)

    def _v2_read(
        self, service: str, sets: Mapping[str, EntitySet], rest: str, query: Mapping[str, str], url: str
    ) -> Response:
        if not rest:
            return JSONResponse({"d": {"EntitySets": list(sets)}})
        found = _SEGMENT.match(rest)
        entities = sets.get(found["set"]) if found else None
        if not found or entities is None:
            raise Refused(404, "/IWFND/CM_BEC/026", f"Resource not found for the segment '{rest.split('(')[0]}'")
        base = url.split(f"{V2}/{service}/")[0] + f"{V2}/{service}/"
        if found["key"] is not None:
            row = _one(entities, found["key"])
            if not found["more"]:
                return JSONResponse({"d": self._v2_entity(sets, entities, row, query, base)})
            target, common = entities.expands.get(found["more"], ("", ()))
            if not target:
                raise Refused(404, "/IWFND/CM_BEC/026", f"Resource not found for the segment '{found['more']}'")
            inner = sets[target]
            rows = [other for other in inner.rows() if all(other[name] == row[name] for name in common)]
            return JSONResponse({"d": {"results": [self._v2_entity(sets, inner, one, {}, base) for one in rows]}})
        page = Page(entities, query, size=self._page_size, v4=False)
        if found["more"] == "$count":
            return PlainTextResponse(str(page.total))
        results = [self._v2_entity(sets, entities, row, query, base) for row in page.rows]
        d: dict[str, Any] = {"results": results}
        if query.get("$inlinecount") == "allpages":
            d = {"__count": str(page.total), **d}
        if page.token:
            d["__next"] = base + entities.name + "?" + _following(query, page.token)
        return JSONResponse({"d": d})

    def _v2_entity(
        self, sets: Mapping[str, EntitySet], entities: EntitySet, row: Row, query: Mapping[str, str], base: str
    ) -> dict[str, Any]:
        key = ",".join(f"{name}='{quote(str(row[name]).replace(chr(39), chr(39) * 2))}'" for name in entities.keys)
        if len(entities.keys) == 1:
            key = key.partition("=")[2]
        uri = f"{base}{entities.name}({key})"
        entity: dict[str, Any] = {"__metadata": {"id": uri, "uri": uri, "type": entities.entity_type}}
        chosen = _chosen(entities, query)
        entity |= {name: v2_value(row[name]) for name in chosen}
        expanded = [name for name in query.get("$expand", "").split(",") if name]
        unknown = [name for name in expanded if name not in entities.expands]
        if unknown:
            raise BadQuery(f"Invalid expand: navigation property '{unknown[0]}' not found")
        for name, (target, common) in entities.expands.items():
            if name in expanded:
                inner = sets[target]
                entity[name] = {
                    "results": [
                        self._v2_entity(sets, inner, other, {}, base)
                        for other in inner.rows()
                        if all(other[field] == row[field] for field in common)
                    ]
                }
            elif not query.get("$select"):
                entity[name] = {"__deferred": {"uri": f"{uri}/{name}"}}
        return entity

    def _v2_change(self, sets: Mapping[str, EntitySet], rest: str, query: Mapping[str, str]) -> Response:
        if rest == "AssignWarehouseOrder" and "WarehouseOrder" in sets:
            text = {name: value.strip("'") for name, value in query.items()}
            place = text.get("Warehouse", ""), text.get("WarehouseOrder", "")
            rows = [row for row in self.house.orders() if (row["Warehouse"], row["WarehouseOrder"]) == place]
            if not rows:
                raise Refused(400, "/SCWM/ODATA_API/020", f"Warehouse order {place[1]} does not exist")
            if rows[0]["WarehouseOrderStatus"] in ("C", "A"):
                raise Refused(
                    400, "/SCWM/ODATA_API/021", f"Warehouse order {place[1]} is confirmed or canceled already"
                )
            self.house.assigned[place] = text.get("WarehouseResource", "")
            row = next(row for row in self.house.orders() if (row["Warehouse"], row["WarehouseOrder"]) == place)
            return JSONResponse({"d": self._v2_entity(sets, sets["WarehouseOrder"], row, {}, "")})
        if rest == "WarehouseTask":
            text_ = "Parameter combination for action Create Warehouse Task is not supported"
            raise Refused(400, "/SCWM/ODATA_API/040", text_)
        raise Refused(405, "SADL_ENTITY_RUNTIME/011", "Creating operations are disabled")

    def _batch(self, service: str, content_type: str, body: bytes) -> Response:
        """Reads only; a change set is refused."""
        boundary = re.search(r'boundary="?([^";]+)', content_type)
        if not boundary:
            return v2_error(Refused(400, "/IWFND/CM_BEC/030", "No boundary in the content type"))
        answers: list[bytes] = []
        for part in body.decode().split("--" + boundary[1])[1:-1]:
            line = re.search(r"^(GET|POST|PUT|PATCH|DELETE|MERGE) (\S+) HTTP/1\.1\r?$", part, re.MULTILINE)
            if not line or line[1] != "GET":
                return v2_error(Refused(400, "/IWFND/CM_BEC/031", "Only retrieve operations are supported here"))
            target = urlsplit(line[2])
            rest = unquote(target.path.split(f"/{service}/")[-1])
            answer = self.v2("GET", service, rest, dict(parse_qsl(target.query)), f"{V2}/{service}/")
            content = bytes(answer.body)
            head = f"HTTP/1.1 {answer.status_code} OK\r\nContent-Type: {answer.media_type}\r\n"
            inner = f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content
            start = f"Content-Type: application/http\r\nContent-Length: {len(inner)}\r\n"
            answers.append(f"--answer\r\n{start}content-transfer-encoding: binary\r\n\r\n".encode() + inner + b"\r\n")
        return Response(b"".join(answers) + b"--answer--\r\n", 202, media_type="multipart/mixed; boundary=answer")

    # --- V4

    async def _v4_endpoint(self, request: Request) -> Response:
        session = self.logon.enter(request, "warehouseavailablestock")
        if isinstance(session, Response):
            return session
        refused = self.logon.guard(request, session)
        if refused is None:
            refused = self._v4_read(request, request.path_params["rest"], dict(request.query_params))
        return self.logon.leave(request, session, refused)

    def _v4_read(self, request: Request, rest: str, query: Mapping[str, str]) -> Response:
        try:
            if request.method not in ("GET", "HEAD"):
                raise Refused(405, "SADL_ENTITY_RUNTIME/011", "Creating operations are disabled")
            if not rest:
                sets = [{"name": name, "kind": "EntitySet", "url": name} for name in self._v4]
                return JSONResponse({"@odata.context": "$metadata", "value": sets})
            found = _SEGMENT.match(rest)
            entities = self._v4.get(found["set"]) if found else None
            if not found or entities is None or found["key"] is not None:
                raise Refused(404, "/IWBEP/CM_V4_RUNTIME/021", "Resource not found")
            page = Page(entities, query, size=self._page_size, v4=True)
            if found["more"] == "$count":
                return PlainTextResponse(str(page.total))
            chosen = _chosen(entities, query)
            value = [{name: v4_value(row[name]) for name in chosen} for row in page.rows]
            body: dict[str, Any] = {"@odata.context": f"$metadata#{entities.name}", "value": value}
            if query.get("$count") == "true":
                body = {"@odata.context": body["@odata.context"], "@odata.count": page.total, "value": value}
            if page.token:
                body["@odata.nextLink"] = f"{entities.name}?{_following(query, page.token)}"
            return JSONResponse(body)
        except (BadQuery, Refused) as fault:
            refusal = fault if isinstance(fault, Refused) else Refused(400, "/IWBEP/CM_V4_COS/014", str(fault))
            error = {"code": refusal.code, "message": refusal.text, "details": []}
            return JSONResponse({"error": error}, refusal.status)


def _one(entities: EntitySet, key: str) -> Row:
    given = {hit["name"] or entities.keys[0]: hit["value"].replace("''", "'") for hit in _PAIR.finditer(key)}
    if set(given) != set(entities.keys):
        raise BadQuery("Invalid key predicate")
    for row in entities.rows():
        if all(row[name] == value for name, value in given.items()):
            return row
    kind = entities.entity_type.rpartition(".")[2]
    raise Refused(404, "/IWBEP/CM_MGW_RT/020", f"Resource not found for segment '{kind}'.")


def _chosen(entities: EntitySet, query: Mapping[str, str]) -> list[str]:
    names = [name for name in query.get("$select", "").split(",") if name]
    unknown = [name for name in names if name not in entities.columns and name not in entities.expands]
    if unknown:
        raise BadQuery(f"Property {unknown[0]} not found")
    return [name for name in entities.columns if not names or name in names or name in entities.keys]


def _following(query: Mapping[str, str], token: str) -> str:
    kept = {name: value for name, value in query.items() if name not in ("$skip", "$skiptoken")}
    return urlencode({**kept, "$skiptoken": token}, safe="$'(),")


def v2_error(refusal: Refused) -> Response:
    error = {
        "code": refusal.code,
        "message": {"lang": "en", "value": refusal.text},
        "innererror": {
            "transactionid": "5F1E0A9C2B3D4E5F8A9B0C1D2E3F4A5B",
            "errordetails": [
                {"code": refusal.code, "message": refusal.text, "severity": "error", "target": ""},
            ],
        },
    }
    return Response(json.dumps({"error": error}), refusal.status, media_type="application/json")


def template(method: str, path: str) -> str | None:
    """Calls are counted by entity set, without keys: `/API_WAREHOUSE_ORDER_TASK/WarehouseTask`."""
    for root in (V2, V4.rpartition("/srvd_a2x")[0].rpartition("/")[0]):
        if path.startswith(root + "/"):
            return re.sub(r"\(.*?\)", "()", path[len(root) :])
    return None


__all__ = ["TOKEN", "V2", "V4", "Gateway", "Page", "Refused", "template", "v2_error", "v2_value", "v4_value"]
