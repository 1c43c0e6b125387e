"""Stand-in of a Teamcenter server: its SOA operations as JSON, over the shared world.

`POST /tc/JsonRestServices/{service}/{operation}`, the same below `/tc/RestServices`, where the operation may also
stand in the header `Operation-Name` alone. Everything is answered with status 200, errors too. The log-in wants the
user and password below and gives the cookie `JSESSIONID`; a session ends after half an hour without a call. Which
properties come back is decided by the request's policy. BOM windows live in the session's server process and only
from call to call when the client asks not to unload its objects.
"""

import json
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.standin import Faults, StandIn
from sandbox.teamcenter.objects import Catalogue, Shower
from sandbox.teamcenter.operations import DISPLAY_VERSION, VERSION, Call, Operations
from sandbox.teamcenter.session import PASSWORD, USER, Process, Refused, Sessions
from sandbox.world import World, vendor_uid

__all__ = ["PASSWORD", "USER", "Teamcenter", "create"]

LOGIN: Final = "Core-2011-06-Session/login"
LOGOUT: Final = "Core-2006-03-Session/logout"
COOKIE: Final = "JSESSIONID"
_DOORS: Final = ("JsonRestServices", "RestServices")


class Teamcenter(StandIn):
    """One server. `gateway` makes it want the XSRF token of an Active Workspace gateway."""

    def __init__(self, world: World, *, session_minutes: float, gateway: bool) -> None:
        self._catalogue = Catalogue(world)
        self._operations = Operations(self._catalogue)
        self._sessions = Sessions(world.now, session_minutes)
        self._gateway = gateway
        self._token = vendor_uid("xsrf")
        routes = [
            Route("/getSessionVars", self._session_vars, methods=["GET"]),
            Route("/tc/{door}/{service}/{operation}", self._answer, methods=["POST"]),
            Route("/tc/{door}/{service}", self._answer, methods=["POST"]),
        ]
        faults = Faults(clock=world.now)
        super().__init__("teamcenter", Starlette(routes=routes), faults, template=lambda method, path: path)
        faults.when_sessions_expire(self._sessions.expire)
        faults.when_reset(self._catalogue.forget_written)

    @property
    def logins(self) -> int:
        """Log-ins that were accepted so far."""
        return self._sessions.logins

    @property
    def processes(self) -> dict[tuple[str, str], Process]:
        """Server processes by user and discriminator."""
        return self._sessions.processes

    @property
    def open_windows(self) -> int:
        """BOM windows that nobody has closed yet."""
        return sum(len(one.windows) for one in self._sessions.processes.values())

    def change(self, uid: str, **properties: str) -> None:
        """As if somebody had edited the item or revision now."""
        for name, value in properties.items():
            self._catalogue.write(uid, name, value)

    async def _session_vars(self, request: Request) -> Response:
        response = JSONResponse({})
        response.set_cookie("XSRF-TOKEN", self._token, path="/")
        return response

    async def _answer(self, request: Request) -> Response:
        door, service = request.path_params["door"], request.path_params["service"]
        operation = request.path_params.get("operation") or request.headers.get("operation-name", "")
        if door not in _DOORS:
            return Response("Not Found", 404)
        if self._gateway and not self._has_token(request):
            return Response("Forbidden", 403)
        try:
            if door == "RestServices" and request.headers.get("operation-name") != operation:
                raise Refused(
                    "InternalServerException", 214001, "The header Operation-Name does not name the operation."
                )
            given = _envelope(await request.body())
            return self._called(f"{service}/{operation}", given, request)
        except Refused as refused:
            return JSONResponse(refused.body())
        except (KeyError, TypeError, ValueError, AttributeError) as fault:
            body = Refused("InternalServerException", 214002, f"The request is not well-formed: {fault!r}").body()
            return JSONResponse(body)

    def _called(self, name: str, given: dict[str, Any], request: Request) -> Response:
        if name == LOGIN:
            return self._log_in(given["body"]["credentials"], request)
        session = self._sessions.find(request.cookies.get(COOKIE))
        if name == LOGOUT:
            self._sessions.end(session)
            return JSONResponse({".QName": "http://teamcenter.com/Schemas/Soa/2006-03/Base.ServiceData"})
        found = self._operations.table.get(name)
        if found is None:
            raise Refused("InternalServerException", 214003, f"The operation {name} is not known.")
        header = given.get("header") or {}
        keep = (header.get("state") or {}).get("unloadObjects") is False
        shower = Shower(self._catalogue, header.get("policy") or {}, session.process.transient)
        qname, run = found
        body = run(Call(session, given["body"], shower, keep))
        for window in [one for one in session.process.windows.values() if not one.keep]:
            session.process.close(window.uid)
        if not qname:  # the answer is the service data itself
            return JSONResponse(
                {".QName": "http://teamcenter.com/Schemas/Soa/2006-03/Base.ServiceData", **shower.data()}
            )
        library, year, month, _ = name.partition("/")[0].split("-")
        body.setdefault("ServiceData", shower.data())
        return JSONResponse({".QName": f"http://teamcenter.com/Schemas/{library}/{year}-{month}/{qname}", **body})

    def _log_in(self, credentials: dict[str, Any], request: Request) -> Response:
        session = self._sessions.log_in(credentials)
        response = JSONResponse(
            {
                ".QName": "http://teamcenter.com/Schemas/Core/2011-06/Session.LoginResponse",
                "serverInfo": {
                    "DisplayVersion": DISPLAY_VERSION,
                    "HostName": "sandbox",
                    "Locale": session.locale,
                    "LogFile": "/tmp/tcserver.exe0001.syslog",
                    "SiteLocale": "en_US",
                    "TcServerID": "tcserver1",
                    "UserID": session.key[0],
                    "Version": VERSION,
                },
            }
        )
        path = request.scope.get("root_path", "") + "/tc"
        response.set_cookie(COOKIE, session.cookie, path=path, httponly=True, samesite=None)
        return response

    def _has_token(self, request: Request) -> bool:
        return request.headers.get("x-xsrf-token") == self._token == request.cookies.get("XSRF-TOKEN")


def _envelope(body: bytes) -> dict[str, Any]:
    given = json.loads(body)
    if not isinstance(given, dict) or not isinstance(given.get("body"), dict):
        raise Refused("InternalServerException", 214004, "The request has no body.")
    return given


def create(world: World, *, session_minutes: float = 30.0, gateway: bool = False, **_options: object) -> Teamcenter:
    return Teamcenter(world, session_minutes=session_minutes, gateway=gateway)
