"""Oracle Fusion Cloud SCM over the world's items, structures and work orders, in Oracle's own words.

For `oracle-fusion` below the prefix of that name: the identity domain's token endpoint at `/oauth2/v1/token`
(`CLIENT_ID`, `CLIENT_SECRET`, `SCOPE`), the resources below `/fscmRestApi/resources/11.13.18.05`, which take HTTP Basic
(`USER`, `PASSWORD`) as well, and the flat structure resource. Written from Oracle's REST documentation; it shares no
code with the connector.
"""

import base64
import hmac
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qs, unquote_plus

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sandbox.oracle_fusion.framework import ROOT, Asked, Framework, Refused, Resource, bad
from sandbox.oracle_fusion.rows import ITEMS, STRUCTURES, WORK_ORDERS, Rows, stamp
from sandbox.standin import Faults, StandIn
from sandbox.world import World

__all__ = [
    "CLIENT_ID", "CLIENT_SECRET", "FLAT", "PASSWORD", "SCOPE", "TOKEN", "USER", "WEBHOOK_SECRET", "OracleFusion",
    "create",
]  # fmt: skip

CLIENT_ID: Final = "crossdock-scm"
CLIENT_SECRET: Final = "sandbox-oracle-client-secret"
SCOPE: Final = "urn:opc:resource:fa:instanceid=4711urn:opc:resource:consumer::all"
USER: Final = "SCM_INTEGRATION"
PASSWORD: Final = "sandbox-oracle-password"
WEBHOOK_SECRET: Final = "sandbox-oracle-webhook"
TOKEN: Final = "/oauth2/v1/token"
FLAT: Final = "/fscmRestApi/scm/redwood/11.13.18.05/structureComponentsItemsDetails"
ERROR_TYPE: Final = "application/vnd.oracle.adf.error+json"
TOKENS_MOST: Final = 100
LEVELS_MOST: Final = 60


class OracleFusion(StandIn):
    """`logins` counts tokens given out. `faults.down` answers as the front of a pod does: plain text."""

    def __init__(self, world: World, *, token_seconds: int, child_rows: int) -> None:
        self._world, self._token_seconds = world, token_seconds
        self.logins = 0
        self.tokens: dict[str, datetime] = {}
        self.rows = Rows(world)
        self._framework = Framework(child_rows)
        self._resources: dict[str, tuple[Resource, Callable[[], list[dict[str, Any]]]]] = {
            "itemsV2": (ITEMS, self.rows.items),
            "itemStructures": (STRUCTURES, lambda: self.rows.structures),
            "workOrders": (WORK_ORDERS, self.rows.work_orders),
        }
        faults = Faults(clock=world.now, request_id_header="X-ORACLE-DMS-ECID", down_body="Service Unavailable")
        faults.when_sessions_expire(self.tokens.clear)
        faults.when_reset(self.tokens.clear)
        faults.when_reset(self.rows.changed.clear)
        routes = [
            Route(TOKEN, self._token, methods=["POST"]),
            Route(FLAT, self._flat, methods=["POST"]),
            *(Route(f"{ROOT}/{name}", self._collection, name=name) for name in self._resources),
            Route(f"{ROOT}/{{resource}}/{{key}}/child/{{child}}", self._child),
            Route(f"{ROOT}/{{resource}}/{{key}}", self._row),
        ]
        app = Starlette(routes=routes, exception_handlers={Refused: _refused})  # type: ignore[dict-item]
        super().__init__("oracle-fusion", app, faults)

    # --- who

    async def _token(self, request: Request) -> Response:
        form = parse_qs((await request.body()).decode("latin-1"))
        user, password = _basic(request)
        if not _equal(unquote_plus(user), CLIENT_ID) or not _equal(unquote_plus(password), CLIENT_SECRET):
            text = "Client authentication failed."
            return JSONResponse({"error": "invalid_client", "error_description": text}, 401)
        if form.get("grant_type") != ["client_credentials"]:
            return JSONResponse({"error": "unsupported_grant_type"}, 400)
        if form.get("scope") != [SCOPE]:
            return JSONResponse({"error": "invalid_scope", "error_description": "Invalid scope."}, 400)
        self.logins += 1
        token = f"sandbox-oracle-token-{self.logins}"
        self.tokens[token] = self._world.now() + timedelta(seconds=self._token_seconds)
        while len(self.tokens) > TOKENS_MOST:
            self.tokens.pop(next(iter(self.tokens)))
        return JSONResponse({"access_token": token, "token_type": "Bearer", "expires_in": self._token_seconds})

    def _signed_in(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            user, password = _basic(request)
            if _equal(user, USER) and _equal(password, PASSWORD):
                return
        else:
            ends = self.tokens.get(token)
            if ends is not None and ends > self._world.now():
                return
        raise Refused(401, "Unauthorized")

    # --- resources

    def _asked(self, request: Request) -> Asked:
        self._signed_in(request)
        accept = request.headers.get("accept", "*/*")
        if not any(each in accept for each in ("*/*", "application/json", "application/vnd.oracle.adf")):
            raise Refused(406, "Not Acceptable")
        version = request.headers.get("rest-framework-version", "1")
        if version not in "123456789" or len(version) != 1:
            raise bad(f"The REST framework version {version} isn't valid.", "27510")
        base = str(request.base_url).rstrip("/") + ROOT
        return Asked(dict(request.query_params), int(version), base)

    async def _collection(self, request: Request) -> Response:
        asked = self._asked(request)
        resource, rows = self._resources[request.url.path.rpartition("/")[2]]
        return _answer(self._framework.collection(resource, rows(), asked))

    def _found(self, request: Request) -> tuple[Resource, dict[str, Any]]:
        known = self._resources.get(request.path_params["resource"])
        if known is None:
            raise Refused(404, "Not Found")
        resource, rows = known
        row = next((row for row in rows() if resource.address(row) == request.path_params["key"]), None)
        if row is None:
            raise Refused(404, "Not Found")
        return resource, row

    async def _row(self, request: Request) -> Response:
        asked = self._asked(request)
        resource, row = self._found(request)
        return _answer(self._framework.row(resource, row, asked))

    async def _child(self, request: Request) -> Response:
        asked = self._asked(request)
        resource, row = self._found(request)
        if request.path_params["child"] not in resource.children:
            raise Refused(404, "Not Found")
        return _answer(self._framework.child(resource, row, request.path_params["child"], asked))

    # --- the flat resource

    async def _flat(self, request: Request) -> Response:
        """`q` is a query by example whatever the framework version; all numbers are texts."""
        self._signed_in(request)
        given = dict(each.partition("=")[::2] for each in request.query_params.get("q", "").split(";"))
        if not given.get("ItemNumber") or not given.get("OrganizationCode"):
            raise bad("You must provide a value for ItemNumber and OrganizationCode.", "27014")
        levels = int(given.get("MaxLevels", LEVELS_MOST))
        name = given.get("StructureName", "Primary")
        known = {
            row["ItemNumber"]: row
            for row in self.rows.structures
            if (row["OrganizationCode"], row["StructureName"]) == (given["OrganizationCode"], name)
        }
        top = known.get(given["ItemNumber"])
        if top is None:
            return JSONResponse({"structureComponentsItemsDetails": []})
        now = self._world.now().isoformat()
        texts = {row["ItemId"]: row["ItemDescription"] for row in self.rows.items()}
        rows = [_flat_row(1, 0, top, None, None, texts)]
        todo = [(each, top, 1) for each in reversed(_current(top, now))]
        while todo:
            component, parent, level = todo.pop()
            rows.append(_flat_row(len(rows) + 1, level, top, component, parent, texts))
            below = known.get(component["ComponentItemNumber"])
            if below is not None and level < levels:
                todo += [(each, below, level + 1) for each in reversed(_current(below, now))]
        return JSONResponse({"structureComponentsItemsDetails": rows})

    # --- for tests and demonstrations

    def change(self, organization: str, number: str, **attributes: Any) -> None:
        """Of an item or a work order, from now on; it bears the time of the world."""
        now = stamp(self._world.now())
        known = self.rows.changed.setdefault((organization, number), {})
        known.update(attributes, LastUpdateDateTime=now, LastUpdateDate=now)

    @staticmethod
    def event(
        kind: str, event_id: str, at: datetime, *, prefix: str = "sha256=", secret: str = WEBHOOK_SECRET, **payload: Any
    ) -> tuple[bytes, dict[str, str]]:
        """Body and headers of a business event as the integration cloud forwards it."""
        told = {"eventType": kind, "eventId": event_id, "timestamp": at.isoformat(), "payload": payload}
        body = json.dumps(told, separators=(",", ":")).encode()
        signature = hmac.new(secret.encode(), body, "sha256").hexdigest()
        return body, {"content-type": "application/json", "x-hub-signature-256": f"{prefix}{signature}"}


def create(world: World, *, token_seconds: int = 3600, child_rows: int = 25, **_options: Any) -> OracleFusion:
    """`token_seconds`: life of a token, by the world's clock; `child_rows`: rows of an expanded child."""
    return OracleFusion(world, token_seconds=token_seconds, child_rows=child_rows)


def _current(structure: dict[str, Any], now: str) -> list[dict[str, Any]]:
    """Components that are implemented and have not ended, by their sequence. All times are UTC in one form."""
    return sorted(
        (
            each
            for each in structure["Component"]
            if each["ImplementationDateTime"] is not None and (each["EndDateTime"] or "9") > now
        ),
        key=lambda each: int(each["ItemSequenceNumber"]),
    )


def _flat_row(
    order: int,
    level: int,
    top: dict[str, Any],
    component: dict[str, Any] | None,
    parent: dict[str, Any] | None,
    texts: dict[int, str],
) -> dict[str, Any]:
    item_id = component["ComponentItemId"] if component else top["ItemId"]
    text = {"US": texts[item_id]}
    row: dict[str, Any] = {
        "SortOrder": order,
        "PlanLevel": level,
        "DotLevel": "." * level + str(level),
        "OrganizationId": top["OrganizationId"],
        "StructureInternalName": top["StructureName"],
        "ParentComponentSequenceId": None,
        "ParentItemId": parent["ItemId"] if parent else None,
        "ParentItemNumber": parent["ItemNumber"] if parent else None,
        "BillSequenceId": (parent or top)["BillSequenceId"],
        "ComponentSequenceId": component["ComponentSequenceId"] if component else None,
        "ItemId": item_id,
        "ItemNumber": component["ComponentItemNumber"] if component else top["ItemNumber"],
        "ItemSequenceNumber": component["ItemSequenceNumber"] if component else None,
        "ComponentQuantity": component["Quantity"] if component else None,
        "PrimaryUOMValue": component["PrimaryUOMValue"] if component else None,
    }
    told: dict[str, Any] = {name: "null" if value is None else str(value) for name, value in row.items()}
    told["Item"] = [
        {"Description": {"US": "Before"}, "VersionEndDate": "2022-10-24T20:18:26", "InventoryItemId": item_id},
        {"Description": text, "InventoryItemId": item_id},
    ]
    return told


def _answer(body: dict[str, Any]) -> Response:
    return JSONResponse(body, media_type="application/vnd.oracle.adf.resourcecollection+json")


def _equal(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())


def _basic(request: Request) -> tuple[str, str]:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return user, password


async def _refused(request: Request, refused: Refused) -> Response:
    """With details only for who accepts the media type of faults; a fault without details is text for everybody."""
    headers = {"X-ORACLE-DMS-ECID": "005ySandbox"}
    if refused.status == 401:
        headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
    if not refused.details or ERROR_TYPE not in request.headers.get("accept", ""):
        text = refused.details[0][0] if refused.details else refused.title
        return PlainTextResponse(text, refused.status, headers)
    details = [
        {"detail": detail, "o:errorCode": code, **({"o:errorPath": path} if path else {})}
        for detail, code, path in refused.details
    ]
    body = {"title": refused.title, "status": str(refused.status), "o:errorDetails": details}
    return JSONResponse(body, refused.status, headers, ERROR_TYPE)
