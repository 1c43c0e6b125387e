"""The ERP's web addresses: OData V2 with nested `$expand`, V4 sales orders, the SOAP gateway, ping and log-off."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sandbox.sap_erp.rows import Books
from sandbox.sap_erp.soap import Soap
from sandbox.sap_ewm.gateway import V2, Page, Refused, v2_error, v2_value, v4_value
from sandbox.sap_ewm.logon import Logon, Session
from sandbox.sap_ewm.query import BadQuery, Row
from sandbox.sap_ewm.rows import EntitySet

V4: Final = "/sap/opu/odata4/sap/api_salesorder/srvd_a2x/sap/salesorder/0001"
TOKEN: Final = "/sap/bc/sec/oauth2/token"
SOAP: Final = "/sap/bc/soap/rfc"
PING: Final = "/sap/bc/ping"
LOG_OFF: Final = "/sap/public/bc/icf/logoff"

_SEGMENT: Final = re.compile(r"^(?P<set>[A-Za-z_]+)(?:\((?P<key>.*)\))?(?:/(?P<more>[A-Za-z_$]+))?$")
_PAIR: Final = re.compile(r"(?:(?P<name>[A-Za-z_]+)=)?'(?P<value>(?:[^']|'')*)'")
_NESTED: Final = re.compile(r"(?P<name>[A-Za-z_]+)(?:\(\$expand=(?P<inner>[A-Za-z_,]+)\))?(?:,|$)")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
Tree = dict[str, Any]


class Gateway:
    """One ERP system. `page_size` rows at most are in one answer, whatever `$top` says."""

    def __init__(self, books: Books, logon: Logon, soap: Soap, *, page_size: int, client: str) -> None:
        self.logon, self.soap = logon, soap
        self._page_size, self._client = page_size, client
        self._v2, self._v4 = books.services(), books.services_v4()
        methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]
        self.app = Starlette(
            routes=[
                Route(TOKEN, logon.token, methods=["POST"]),
                Route(PING, self._ping, methods=["GET"]),
                Route(LOG_OFF, self._log_off, methods=["GET"]),
                Route(SOAP, self._soap, methods=["POST"]),
                Route(V4 + "/{rest:path}", self._v4_endpoint, methods=methods),
                Route(V2 + "/{service}/{rest:path}", self._v2_endpoint, methods=methods),
            ]
        )

    def _enter(self, request: Request, service: str) -> Session | Response:
        client = request.query_params.get("sap-client", self._client)
        if client != self._client:
            return PlainTextResponse(f"Client {client} is not available in this system", 401)
        return self.logon.enter(request, service)

    async def _ping(self, request: Request) -> Response:
        session = self._enter(request, "ping")
        if isinstance(session, Response):
            return session
        return self.logon.leave(request, session, PlainTextResponse("Server reached successfully"))

    async def _log_off(self, request: Request) -> Response:
        self.logon.close(request)
        return PlainTextResponse("You have been logged off")

    async def _soap(self, request: Request) -> Response:
        """No CSRF token: the SOAP gateway wants none."""
        session = self._enter(request, "soap")
        if isinstance(session, Response):
            return session
        status, body = self.soap.answer(await request.body())
        return self.logon.leave(request, session, Response(body, status, media_type="text/xml; charset=utf-8"))

    # --- V2

    async def _v2_endpoint(self, request: Request) -> Response:
        service, rest = request.path_params["service"], request.path_params["rest"]
        session = self._enter(request, service)
        if isinstance(session, Response):
            return session
        refused = self.logon.guard(request, session)
        if refused is not None:
            return self.logon.leave(request, session, refused)
        try:
            sets = self._v2.get(service)
            if sets is None:
                raise Refused(403, "/IWFND/MED/170", f"No service found for namespace '', name '{service}'")
            if request.method not in ("GET", "HEAD"):
                raise Refused(405, "SADL_ENTITY_RUNTIME/011", "Creating operations are disabled")
            response = self._read(service, sets, rest, dict(request.query_params), str(request.url))
        except BadQuery as fault:
            response = v2_error(Refused(400, "/IWBEP/CM_MGW_RT/021", str(fault)))
        except Refused as refusal:
            response = v2_error(refusal)
        return self.logon.leave(request, session, response)

    def _read(
        self, service: str, sets: Mapping[str, EntitySet], rest: str, query: dict[str, str], url: str
    ) -> Response:
        if not rest:
            return JSONResponse({"d": {"EntitySets": list(sets)}})
        found = _SEGMENT.match(rest)
        entities = sets.get(found["set"]) if found else None
        if not found or entities is None:
            raise Refused(404, "/IWFND/CM_BEC/026", f"Resource not found for the segment '{rest.split('(')[0]}'")
        base = url.split(f"{V2}/")[0] + f"{V2}/{service}/"
        tree = _tree(query.get("$expand", ""))
        if found["key"] is not None:
            row = _one(entities, found["key"])
            return JSONResponse({"d": self._entity(sets, entities, row, query, tree, base)})
        page = Page(entities, query, size=self._page_size, v4=False)
        if found["more"] == "$count":
            return PlainTextResponse(str(page.total))
        joined = Joined(sets, entities, tree)
        d: dict[str, Any] = {
            "results": [self._entity(sets, entities, row, query, tree, base, joined) for row in page.rows]
        }
        if query.get("$inlinecount") == "allpages":
            d = {"__count": str(page.total), **d}
        if page.token:
            kept = {name: value for name, value in query.items() if name not in ("$skip", "$skiptoken")}
            d["__next"] = f"{base}{entities.name}?" + urlencode({**kept, "$skiptoken": page.token}, safe="$'(),")
        return JSONResponse({"d": d})

    def _entity(
        self,
        sets: Mapping[str, EntitySet],
        entities: EntitySet,
        row: Row,
        query: Mapping[str, str],
        tree: Tree,
        base: str,
        joined: "Joined | None" = None,
    ) -> dict[str, Any]:
        joined = joined or Joined(sets, entities, tree)
        key = ",".join(f"{name}='{quote(str(row[name]))}'" for name in entities.keys)
        uri = f"{base}{entities.name}({key.partition('=')[2] if len(entities.keys) == 1 else key})"
        entity: dict[str, Any] = {"__metadata": {"id": uri, "uri": uri, "type": entities.entity_type}}
        entity |= {name: _v2(name, row[name]) for name in _chosen(entities, query)}
        for name, (target, _) in entities.expands.items():
            if name in tree:
                inner = sets[target]
                entity[name] = {
                    "results": [
                        self._entity(sets, inner, other, {}, tree[name], base, joined.below[name])
                        for other in joined.rows(name, row)
                    ]
                }
            elif not query.get("$select"):
                entity[name] = {"__deferred": {"uri": f"{uri}/{name}"}}
        return entity

    # --- V4

    async def _v4_endpoint(self, request: Request) -> Response:
        session = self._enter(request, "salesorder")
        if isinstance(session, Response):
            return session
        response = self.logon.guard(request, session)
        if response is None:
            try:
                response = self._v4_read(request.path_params["rest"], dict(request.query_params))
            except (BadQuery, Refused) as fault:
                refusal = fault if isinstance(fault, Refused) else Refused(400, "/IWBEP/CM_V4_COS/014", str(fault))
                error = {"code": refusal.code, "message": refusal.text, "details": []}
                response = JSONResponse({"error": error}, refusal.status)
        return self.logon.leave(request, session, response)

    def _v4_read(self, rest: str, query: dict[str, str]) -> Response:
        entities = self._v4.get(rest)
        if entities is None:
            raise Refused(404, "/IWBEP/CM_V4_RUNTIME/021", "Resource not found")
        tree = _tree_v4(query.get("$expand", ""))
        page = Page(entities, query, size=self._page_size, v4=True)
        joined = Joined(self._v4, entities, tree)
        body: dict[str, Any] = {"@odata.context": f"$metadata#{entities.name}"}
        if query.get("$count") == "true":
            body["@odata.count"] = page.total
        body["value"] = [self._v4_entity(entities, row, query, tree, joined) for row in page.rows]
        if page.token:
            kept = {name: value for name, value in query.items() if name not in ("$skip", "$skiptoken")}
            body["@odata.nextLink"] = f"{entities.name}?" + urlencode({**kept, "$skiptoken": page.token}, safe="$'(),")
        return JSONResponse(body)

    def _v4_entity(
        self, entities: EntitySet, row: Row, query: Mapping[str, str], tree: Tree, joined: "Joined"
    ) -> dict[str, Any]:
        found = {name: _v4(name, row[name]) for name in _chosen(entities, query)}
        for name in tree:
            inner = self._v4[entities.expands[name][0]]
            found[name] = [
                self._v4_entity(inner, other, {}, tree[name], joined.below[name]) for other in joined.rows(name, row)
            ]
        return found


class Joined:
    """The rows of what is expanded, grouped by the fields that they share with their parents: once per answer."""

    def __init__(self, sets: Mapping[str, EntitySet], entities: EntitySet, tree: Tree) -> None:
        self._common: dict[str, tuple[str, ...]] = {}
        self._groups: dict[str, dict[tuple[Any, ...], list[Row]]] = {}
        self.below: dict[str, Joined] = {}
        for name, inner in tree.items():
            target, common = entities.expands.get(name, ("", ()))
            if not target:
                raise BadQuery(f"Invalid expand: navigation property '{name}' not found")
            groups: dict[tuple[Any, ...], list[Row]] = {}
            for row in sets[target].rows():
                groups.setdefault(tuple(row[field] for field in common), []).append(row)
            self._common[name], self._groups[name] = common, groups
            self.below[name] = Joined(sets, sets[target], inner)

    def rows(self, name: str, parent: Row) -> list[Row]:
        return self._groups[name].get(tuple(parent[field] for field in self._common[name]), [])


def _tree(text: str) -> Tree:
    """`to_Item/to_ScheduleLine,to_Partner` of V2."""
    tree: Tree = {}
    for path in filter(None, text.split(",")):
        level = tree
        for name in path.strip().split("/"):
            level = level.setdefault(name, {})
    return tree


def _tree_v4(text: str) -> Tree:
    """`_Item($expand=_ScheduleLine),_Partner` of V4."""
    return {
        found["name"]: {inner: {} for inner in (found["inner"] or "").split(",") if inner}
        for found in _NESTED.finditer(text)
        if found["name"]
    }


def _v2(name: str, value: object) -> object:
    """A day of Edm.DateTime has no offset, a time of Edm.DateTimeOffset has one."""
    if isinstance(value, datetime) and name.endswith("Date"):
        return f"/Date({int((value - _EPOCH).total_seconds() * 1000)})/"
    return v2_value(value)


def _v4(name: str, value: object) -> object:
    if isinstance(value, datetime) and name.endswith("Date"):
        return value.date().isoformat()
    if name.endswith("Amount") and isinstance(value, str):
        return float(value)
    return v4_value(value)


def _chosen(entities: EntitySet, query: Mapping[str, str]) -> list[str]:
    names = [name for name in query.get("$select", "").split(",") if name]
    unknown = [name for name in names if name not in entities.columns and name not in entities.expands]
    if unknown:
        raise BadQuery(f"Property {unknown[0]} not found")
    return [name for name in entities.columns if not names or name in names or name in entities.keys]


def _one(entities: EntitySet, key: str) -> Row:
    given = {hit["name"] or entities.keys[0]: hit["value"].replace("''", "'") for hit in _PAIR.finditer(key)}
    if set(given) != set(entities.keys):
        raise BadQuery("Invalid key predicate")
    for row in entities.rows():
        if all(row[name] == value for name, value in given.items()):
            return row
    raise Refused(404, "/IWBEP/CX_MGW_RESOURCE_NOT_FOUND", f"Resource not found for segment '{entities.name}'")


def template(method: str, path: str) -> str | None:
    """Calls are counted by entity set, without keys: `/API_SALES_ORDER_SRV/A_SalesOrder`."""
    for root in (V2, V4.partition("/api_salesorder")[0]):
        if path.startswith(root + "/"):
            return re.sub(r"\(.*?\)", "()", path[len(root) :])
    return None
