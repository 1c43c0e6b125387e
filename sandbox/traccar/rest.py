"""The REST interface below `/api`, and its three ways of signing in."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.datastructures import MultiDict
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute

from sandbox.standin import Faults, StandIn
from sandbox.traccar.fleet import Fleet
from sandbox.traccar.push import Push
from sandbox.world import Vehicle, World

EMAIL: Final = "crossdock@sandbox.example"
PASSWORD: Final = "sandbox-traccar"
TOKEN: Final = "sandbox-traccar-token-RzBFAiEA1"
TOTP_EMAIL: Final = "totp@sandbox.example"
"""An account that wants a one-time code; its password is the same."""
VERSION: Final = "6.14.5"
SPREADSHEET: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_PERIOD_MAX: Final = timedelta(days=1)
"""As `report.periodLimit` would be set."""
_SESSIONS_MAX: Final = 1_000
_Thing = TypeVar("_Thing")


class Fault(Exception):
    """Anything that is no HTTP answer of the server's own: 400 with a stack trace."""

    def __init__(self, name: str, text: str, *frames: str) -> None:
        super().__init__(text)
        self.trace = "\n\tat ".join([f"{name}: {text}" if text else name, *frames]) + "\n"


def denied(what: str) -> Fault:
    return Fault(
        "java.lang.SecurityException",
        f"{what} access denied",
        "org.traccar.api.security.PermissionsService.checkPermission(PermissionsService.java:182)",
        "org.traccar.api.BaseObjectResource.getSingle(BaseObjectResource.java:61)",
    )


class Traccar(StandIn):
    """`logins` counts sessions made; `sessions` holds them with the `Origin` of their log-in."""

    def __init__(self, world: World, *, keepalive_s: float = 55.0) -> None:
        self.world = world
        self.fleet = Fleet(world)
        self.logins = 0
        self.sessions: dict[str, str | None] = {}
        self.tokens: set[str] = {TOKEN}
        self.push = Push(self, keepalive_s)
        faults = Faults(clock=world.now, down_body="")
        faults.when_sessions_expire(self.sessions.clear)
        faults.when_reset(self._reset)
        routes = [
            Route("/api/server", self._server),
            Route("/api/health", self._health),
            Route("/api/session", self._session, methods=["GET", "POST", "DELETE"]),
            Route("/api/session/token", self._new_token, methods=["POST"]),
            Route("/api/session/token/revoke", self._revoke_token, methods=["POST"]),
            Route("/api/devices", self._devices),
            Route("/api/devices/{id}", self._device),
            Route("/api/positions", self._positions),
            Route("/api/geofences", self._geofences),
            Route("/api/geofences/{id}", self._geofence),
            Route("/api/reports/events", self._report_events),
            Route("/api/reports/route", self._report_route),
            WebSocketRoute("/api/socket", self.push.talk),
        ]
        app = Starlette(routes=routes, exception_handlers={Fault: _fault, HTTPException: _http_error})
        super().__init__("traccar", app, faults)

    def _reset(self) -> None:
        self.sessions.clear()
        self.tokens = {TOKEN}

    # --- who asks

    def user_of(self, asked: HTTPConnection) -> str | None:
        """The account by header, session, or token in the address (the socket only)."""
        header = asked.headers.get("authorization")
        if header is not None:
            return self._by_header(header)
        session = asked.cookies.get("JSESSIONID")
        if session in self.sessions and self.sessions[session] == asked.headers.get("origin"):
            return EMAIL
        if asked.scope["type"] == "websocket" and asked.query_params.get("token") in self.tokens:
            return EMAIL
        return None

    def _by_header(self, header: str) -> str | None:
        scheme, _, value = header.partition(" ")
        if scheme.lower() == "bearer":
            return EMAIL if value in self.tokens else None
        try:
            email, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            colon = ""
        if scheme.lower() != "basic" or not colon:
            raise Fault(
                "java.lang.ArrayIndexOutOfBoundsException",
                "Index 1 out of bounds for length 1",
                "org.traccar.api.security.SecurityRequestFilter.filter(SecurityRequestFilter.java:70)",
            )
        return EMAIL if email == EMAIL and hmac.compare_digest(password, PASSWORD) else None

    def _signed_in(self, asked: HTTPConnection) -> None:
        if self.user_of(asked) is None:
            raise HTTPException(401)

    def _logged_in(self, request: Request) -> Response:
        self.logins += 1
        session = "node0" + hashlib.sha256(f"traccar:{self.logins}".encode()).hexdigest()[:26] + ".node0"
        self.sessions[session] = request.headers.get("origin")
        while len(self.sessions) > _SESSIONS_MAX:
            self.sessions.pop(next(iter(self.sessions)))
        return JSONResponse(_user(), headers={"Set-Cookie": f"JSESSIONID={session}; Path=/; HttpOnly; SameSite=Lax"})

    async def _session(self, request: Request) -> Response:
        if request.method == "POST":
            form = await _form(request)
            if form.get("password") != PASSWORD or form.get("email") not in (EMAIL, TOTP_EMAIL):
                raise HTTPException(401)
            if form["email"] == TOTP_EMAIL:
                raise HTTPException(401, headers={"WWW-Authenticate": "TOTP"})
            return self._logged_in(request)
        if request.method == "DELETE":
            self._signed_in(request)
            self.sessions.pop(request.cookies.get("JSESSIONID", ""), None)
            return Response(status_code=204)
        token = request.query_params.get("token")
        if token is not None:
            if token not in self.tokens:
                raise HTTPException(401)
            return self._logged_in(request)
        if self.user_of(request) is None:
            raise HTTPException(404)
        return JSONResponse(_user())

    async def _new_token(self, request: Request) -> Response:
        self._signed_in(request)
        form = await _form(request)
        if "expiration" in form:
            _time(form["expiration"], "expiration")
        token = hashlib.sha256(f"token:{len(self.tokens)}".encode()).hexdigest()
        self.tokens.add(token)
        return Response(token, media_type="text/plain")

    async def _revoke_token(self, request: Request) -> Response:
        self._signed_in(request)
        self.tokens.discard((await _form(request)).get("token", ""))
        return Response(status_code=204)

    # --- what there is

    async def _server(self, request: Request) -> Response:
        return JSONResponse(
            {
                "id": 1, "attributes": {}, "registration": False, "readonly": False, "deviceReadonly": False,
                "limitCommands": False, "disableReports": False, "map": None, "bingKey": None, "mapUrl": None,
                "overlayUrl": None, "latitude": 0.0, "longitude": 0.0, "zoom": 0, "forceSettings": False,
                "coordinateFormat": None, "poiLayer": None, "announcement": None, "emailEnabled": False,
                "openIdEnabled": False, "openIdForce": False, "version": VERSION,
            }
        )  # fmt: skip

    async def _health(self, request: Request) -> Response:
        return Response("OK", media_type="text/plain")

    async def _devices(self, request: Request) -> Response:
        self._signed_in(request)
        query, now = request.query_params, self.world.now()
        ids, unique_ids = [_id(each) for each in query.getlist("id")], query.getlist("uniqueId")
        if ids or unique_ids:
            # One look-up after the other; what the account may not see is left out without a word
            found = [self.world.vehicle_by_imei[each] for each in unique_ids if each in self.world.vehicle_by_imei]
            known = self.world.vehicle_by_traccar_id
            found += [known[each] for each in ids if each in known]
        else:
            found = list(self.world.vehicles)
            keyword = query.get("keyword", "").casefold()
            found = [each for each in found if keyword in f"{each.traccar_name} {each.imei} {each.model}".casefold()]
            found = _page(found, query.get("limit"), query.get("offset"))
        rows = [self.fleet.device(each, now) for each in found]
        if query.get("excludeAttributes") == "true":
            rows = [{name: value for name, value in row.items() if name != "attributes"} for row in rows]
        return JSONResponse(rows)

    async def _device(self, request: Request) -> Response:
        self._signed_in(request)
        found = self._visible(request.path_params["id"])
        return JSONResponse(self.fleet.device(found, self.world.now()))

    def _visible(self, text: str) -> Vehicle:
        found = self.world.vehicle_by_traccar_id.get(_id(text))
        if found is None:
            raise denied("Device")
        return found

    async def _positions(self, request: Request) -> Response:
        self._signed_in(request)
        query, now = request.query_params, self.world.now()
        latest = {each.traccar_id: self.fleet.latest(each, now) for each in self.world.vehicles}
        if query.getlist("id"):
            wanted = {_id(each) for each in query.getlist("id")}
            rows = [self.fleet.position(each, latest[each.traccar_id]) for each in self.world.vehicles]
            return JSONResponse([each for each in rows if each["id"] in wanted])
        if "deviceId" in query:
            vehicle = self._visible(query["deviceId"])
            if "from" in query and "to" in query:
                start, end = _span(query)
                return JSONResponse(list(self.fleet.route(vehicle, start, end)))
            return JSONResponse([self.fleet.position(vehicle, latest[vehicle.traccar_id])])
        return JSONResponse([self.fleet.position(each, latest[each.traccar_id]) for each in self.world.vehicles])

    async def _geofences(self, request: Request) -> Response:
        self._signed_in(request)
        query = request.query_params
        keyword = query.get("keyword", "").casefold()
        found = [each for each in self.world.geofences if keyword in each.name.casefold()]
        found = _page(found, query.get("limit"), query.get("offset"))
        return JSONResponse([self.fleet.geofence(each) for each in found])

    async def _geofence(self, request: Request) -> Response:
        self._signed_in(request)
        found = self.world.geofence_by_id.get(_id(request.path_params["id"]))
        if found is None:
            raise denied("Geofence")
        return JSONResponse(self.fleet.geofence(found))

    # --- reports

    async def _report_events(self, request: Request) -> Response:
        self._signed_in(request)
        vehicles, (start, end) = self._reported(request), _span(request.query_params)
        given = request.query_params.getlist("type")
        types = {name for each in given for name in each.split(",")}
        every = not types or bool(types & {"%", "allEvents"})
        end = min(end, self.world.now())
        found = [event for each in vehicles for event in self.fleet.events(each, start, end)]
        return _table(request, [each for each in found if every or each["type"] in types])

    async def _report_route(self, request: Request) -> Response:
        self._signed_in(request)
        vehicles, (start, end) = self._reported(request), _span(request.query_params)
        return _table(request, [row for each in vehicles for row in self.fleet.route(each, start, end)])

    def _reported(self, request: Request) -> list[Vehicle]:
        return [self._visible(each) for each in request.query_params.getlist("deviceId")]


def _table(request: Request, rows: list[dict[str, Any]]) -> Response:
    """JSON for those who ask for it, else a spreadsheet."""
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse(rows)
    headers = {"Content-Disposition": "attachment; filename=report.xlsx"}
    return Response(b"PK\x03\x04sandbox", media_type=SPREADSHEET, headers=headers)


def _page(found: list[_Thing], limit: str | None, offset: str | None) -> list[_Thing]:
    start = _id(offset) if offset else 0
    return found[start : start + _id(limit)] if limit else found[start:]


def _id(text: str) -> int:
    """JAX-RS answers 404 for a parameter that cannot be converted."""
    if not (text.isascii() and text.isdigit()):
        raise HTTPException(404)
    return int(text)


def _span(query: Any) -> tuple[datetime, datetime]:
    for name in ("from", "to"):
        if name not in query:
            raise Fault(
                "java.lang.NullPointerException",
                f'Cannot invoke "java.util.Date.getTime()" because "{name}" is null',
                "org.traccar.reports.common.ReportUtils.checkPeriodLimit(ReportUtils.java:88)",
            )
    start, end = _time(query["from"], "from"), _time(query["to"], "to")
    if end - start > _PERIOD_MAX:
        raise Fault(
            "java.lang.IllegalArgumentException",
            "Time period exceeds the limit",
            "org.traccar.reports.common.ReportUtils.checkPeriodLimit(ReportUtils.java:90)",
        )
    return start, end


def _time(text: str, name: str) -> datetime:
    try:
        found = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise Fault(
            "java.time.format.DateTimeParseException",
            f"Text '{text[:40]}' could not be parsed at index 10",
            "org.traccar.helper.DateUtil.parseDate(DateUtil.java:80)",
        )
    return found


async def _form(request: Request) -> dict[str, str]:
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise HTTPException(415)
    body = await request.body()
    pairs: Iterable[tuple[str, str]] = parse_qsl(body[:4096].decode("utf-8", "replace"))
    return dict(MultiDict(pairs).items())


def _user() -> dict[str, Any]:
    return {
        "id": 7, "attributes": {}, "name": "Crossdock", "login": None, "email": EMAIL, "phone": None,
        "readonly": True, "administrator": False, "map": None, "latitude": 0.0, "longitude": 0.0, "zoom": 0,
        "coordinateFormat": None, "disabled": False, "expirationTime": None, "deviceLimit": -1, "userLimit": 0,
        "deviceReadonly": True, "limitCommands": True, "disableReports": False, "fixedEmail": False,
        "poiLayer": None, "totpKey": None, "temporary": False,
    }  # fmt: skip


async def _fault(request: Request, error: Exception) -> Response:
    assert isinstance(error, Fault)
    return Response(error.trace, 400, media_type="text/plain")


async def _http_error(request: Request, error: Exception) -> Response:
    """401 has no body; the others tell their status in a line."""
    assert isinstance(error, HTTPException)
    body = "" if error.status_code == 401 else f"HTTP {error.status_code} {error.detail}"
    return Response(body, error.status_code, dict(error.headers or {}), "text/plain")
