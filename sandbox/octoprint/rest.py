"""One OctoPrint's REST interface, its keys and its sessions."""

import dataclasses
import hashlib
import hmac
import json
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute

from sandbox.octoprint import shapes
from sandbox.octoprint.push import Push
from sandbox.standin import Faults, StandIn
from sandbox.world import Printer, PrinterState, PrintFile, World

USER: Final = "sandbox"
PASSWORD: Final = "sandbox-octoprint"
_CSRF: Final = "sandbox-csrf-token"
_BODY_MAX: Final = 64 * 1024
_HISTORY: Final = 30
_FORBIDDEN: Final = (
    "You don't have the permission to access the requested resource. "
    "It is either read-protected or not readable by the server."
)
_ABSENT: Final = (
    "The requested URL was not found on the server. If you entered the URL manually please check your spelling "
    "and try again."
)
_NO_JSON: Final = "Did not attempt to load JSON data because the request Content-Type was not 'application/json'."
_NOT_OPERATIONAL: Final = "Printer is not operational"


class _Pretty(JSONResponse):
    """Flask's way of writing JSON: indented, names sorted."""

    def render(self, content: Any) -> bytes:
        return (json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _answer(content: Any, status: int = 200, **headers: str) -> Response:
    common = {"X-Clacks-Overhead": "GNU Terry Pratchett", "Cache-Control": "max-age=0"}
    return _Pretty(content, status, {**common, **headers})


def _nothing() -> Response:
    return Response(status_code=204, media_type="text/plain", headers={"Cache-Control": "no-store"})


class _Refusal(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


class OctoPrint(StandIn):
    """`logins` counts sessions made; `sessions` holds them; `revoked` makes the API key unknown."""

    def __init__(self, world: World, printer: Printer) -> None:
        self.world, self.printer = world, printer
        self.sessions: dict[str, str] = {}
        """Session → user."""
        self.logins = 0
        self.revoked = False
        self._disconnected = False
        self._held: PrinterState | None = None
        self._cancelled: int | None = None
        self._deleted: set[str] = set()
        self.push = Push(self)
        faults = Faults(clock=world.now)
        faults.when_sessions_expire(self._expire)
        faults.when_reset(self._reset)
        routes = [
            Route("/", self._page),
            Route("/api/version", self._version),
            Route("/api/connection", self._connection, methods=["GET", "POST"]),
            Route("/api/printer", self._printer),
            Route("/api/job", self._job, methods=["GET", "POST"]),
            Route("/api/files", self._files),
            Route("/api/files/local", self._files),
            Route("/api/files/local/{path:path}", self._file, methods=["GET", "DELETE"]),
            Route("/api/login", self._login, methods=["POST"]),
            Route("/api/logout", self._logout, methods=["POST"]),
            WebSocketRoute("/sockjs/websocket", self.push.talk),
        ]
        app = Starlette(routes=routes, exception_handlers={_Refusal: _refused, HTTPException: _http_error})
        super().__init__(f"octoprint/{printer.id}", app, faults)

    def state(self) -> PrinterState:
        """What the world says, after what clients told this OctoPrint."""
        found = self.printer.state_at(self.world.now())
        if self._disconnected:
            return dataclasses.replace(found, mode="closed", file=None, error="", progress_pct=0.0)
        if self._held is not None:
            return self._held
        if self._cancelled == found.job and found.mode in ("printing", "paused"):
            return dataclasses.replace(found, mode="idle", tool_target_c=0.0, bed_target_c=0.0)
        return found

    def _kept(self) -> list[PrintFile]:
        return [file for file in self.printer.files if file.name not in self._deleted]

    def new_session(self, user: str) -> str:
        self.logins += 1
        text = f"{self.name}:{user}:{self.logins}"
        session = hashlib.sha256(text.encode()).hexdigest()
        self.sessions[session] = user
        while len(self.sessions) > 1_000:
            self.sessions.pop(next(iter(self.sessions)))
        return session

    def _expire(self) -> None:
        self.sessions.clear()
        self.push.require_login("stale")

    def _reset(self) -> None:
        self.revoked = self._disconnected = False
        self._held = self._cancelled = None
        self._deleted.clear()

    # --- who asks

    def _knows_key(self, request: Request) -> bool:
        given = request.headers.get("x-api-key")
        if given is None:
            kind, _, token = request.headers.get("authorization", "").partition(" ")
            given = token if kind.lower() == "bearer" else ""
        return not self.revoked and hmac.compare_digest(given.encode(), self.printer.api_key.encode())

    def _knows_session(self, request: Request) -> bool:
        """A cookie proves a log-in only when its session was logged in: a failed log-in sets one too."""
        return request.cookies.get(_cookie("session", request), "") in self.sessions

    def _admit(self, request: Request) -> None:
        if self._knows_key(request):
            return
        if request.method not in ("GET", "HEAD", "OPTIONS"):
            self._check_csrf(request)
        if not self._knows_session(request):
            raise _Refusal(403, _FORBIDDEN)

    @staticmethod
    def _check_csrf(request: Request) -> None:
        cookie = request.cookies.get(_cookie("csrf_token", request))
        if cookie != _CSRF or request.headers.get("x-csrf-token") != _CSRF:
            raise _Refusal(400, "CSRF validation failed")

    # --- answers

    async def _page(self, request: Request) -> Response:
        answer = Response("<!doctype html><title>OctoPrint</title>", media_type="text/html")
        answer.set_cookie(_cookie("csrf_token", request), _CSRF)
        return answer

    async def _version(self, request: Request) -> Response:
        self._admit(request)
        return _answer({"api": "0.1", "server": shapes.VERSION, "text": f"OctoPrint {shapes.VERSION}"})

    async def _connection(self, request: Request) -> Response:
        self._admit(request)
        if request.method == "GET":
            return _answer(shapes.connection(self.state()))
        command, _ = await _command(request, ("connect", "disconnect", "fake_ack"))
        if command != "fake_ack":
            self._disconnected = command == "disconnect"  # a printer that is switched off stays closed
            self.push.look()
        return _nothing()

    async def _printer(self, request: Request) -> Response:
        self._admit(request)
        state = self.state()
        if not shapes.operational(state):
            raise _Refusal(409, _NOT_OPERATIONAL)
        excluded = {part.strip() for part in request.query_params.get("exclude", "").split(",")}
        found: dict[str, Any] = {}
        if "temperature" not in excluded:
            found["temperature"] = shapes.temperature(state, offsets=True)
            if request.query_params.get("history", "").lower() in ("true", "yes", "y", "1", "on"):
                found["temperature"]["history"] = shapes.points(
                    self.printer, self.world.now(), _limit(request), chamber=False
                )
        if "sd" not in excluded:
            found["sd"] = {"ready": True}
        if "state" not in excluded:
            found["state"] = shapes.state(state)
        return _answer(found)

    async def _job(self, request: Request) -> Response:
        self._admit(request)
        state = self.state()
        if request.method == "GET":
            found = {"job": shapes.job(state), "progress": shapes.progress(state), "state": shapes.text(state)}
            return _answer(found | ({"error": state.error} if state.error else {}))
        command, body = await _command(request, ("start", "restart", "pause", "cancel"))
        if not shapes.operational(state):
            raise _Refusal(409, _NOT_OPERATIONAL)
        active = state.mode in ("printing", "paused")
        match command:
            case "start" if active:
                raise _Refusal(409, "Printer already has an active print job, did you mean 'restart'?")
            case "start":
                self._cancelled = None
            case "restart" if state.mode != "paused":
                raise _Refusal(409, "Printer does not have an active print job or is not paused")
            case "restart":
                self._held = None
            case _ if not active:
                raise _Refusal(409, f"Printer is neither printing nor paused, '{command}' command cannot be performed")
            case "cancel":
                self._held, self._cancelled = None, state.job
            case _:
                self._pause(state, body.get("action", "toggle"))
        self.push.look()
        return _nothing()

    def _pause(self, state: PrinterState, action: object) -> None:
        if action not in ("pause", "resume", "toggle"):
            raise _Refusal(400, "Unknown action")
        if action == "resume" or (action == "toggle" and state.mode == "paused"):
            self._held = None
        elif state.mode == "printing":
            self._held = dataclasses.replace(state, mode="paused")

    async def _files(self, request: Request) -> Response:
        self._admit(request)
        found = shapes.listing(self._kept(), str(request.base_url).rstrip("/"))
        tag = '"' + hashlib.sha1(json.dumps(found).encode(), usedforsecurity=False).hexdigest() + '"'
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"ETag": tag})
        return _answer(found, ETag=tag)

    async def _file(self, request: Request) -> Response:
        self._admit(request)
        path = request.path_params["path"]
        file = next((each for each in self._kept() if each.name == path), None)
        if file is None:
            raise _Refusal(404, _ABSENT)
        if request.method == "GET":
            return _answer(shapes.entry(file, str(request.base_url).rstrip("/")))
        state = self.state()
        if state.mode in ("printing", "paused") and state.file == file:
            raise _Refusal(409, f"Trying to delete a file that is currently in use: {path}")
        self._deleted.add(path)
        return _nothing()

    async def _login(self, request: Request) -> Response:
        if not self._knows_key(request):
            self._check_csrf(request)
        body = await _json(request)
        if "user" in body and "pass" in body:
            if (body["user"], body["pass"]) != (USER, PASSWORD):
                answer = _answer({"error": _FORBIDDEN}, 403, Vary="Cookie")
                answer.set_cookie(_cookie("session", request), "not-logged-in")
                return answer
            return self._logged_in(USER, "password", request)
        if not body.get("passive"):
            raise _Refusal(400, "Neither user and pass attributes nor passive flag present")
        if self._knows_key(request):
            return self._logged_in("_api", "apikey", request)
        return _answer({"_is_external_client": False, "name": None, "user": False})

    def _logged_in(self, user: str, mechanism: str, request: Request) -> Response:
        session = self.new_session(user)
        answer = _answer(
            {
                "_is_external_client": False,
                "_login_mechanism": mechanism,
                "active": True,
                "admin": True,
                "apikey": None,
                "groups": ["admins", "users"],
                "name": user,
                "needs": {"group": ["users", "admins"], "role": ["status", "admin"]},
                "permissions": [],
                "roles": ["user", "admin"],
                "session": session,
                "settings": {},
                "user": True,
            }
        )
        if mechanism == "password":
            answer.set_cookie(_cookie("session", request), session)
        return answer

    async def _logout(self, request: Request) -> Response:
        self._admit(request)
        self.sessions.pop(request.cookies.get(_cookie("session", request), ""), None)
        return _nothing()


def _cookie(name: str, request: Request) -> str:
    """Cookies carry the port, so that two OctoPrints on one host do not log each other out."""
    return f"{name}_P{request.url.port or 80}"


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", "")
    return min(int(text), _HISTORY) if text.isdigit() else _HISTORY


async def _json(request: Request) -> dict[str, Any]:
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise _Refusal(415, _NO_JSON)
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _BODY_MAX:
            raise _Refusal(413, "The data value transmitted exceeds the capacity limit.")
    try:
        found = json.loads(body)
    except ValueError:
        raise _Refusal(400, "The browser (or proxy) sent a request that this server could not understand.") from None
    if not isinstance(found, dict):
        raise _Refusal(400, "The browser (or proxy) sent a request that this server could not understand.")
    return found


async def _command(request: Request, known: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
    body = await _json(request)
    command = body.get("command")
    if command not in known:
        raise _Refusal(400, "command is invalid")
    return str(command), body


async def _refused(_request: Request, fault: Exception) -> Response:
    assert isinstance(fault, _Refusal)
    more = {"Vary": "Cookie"} if fault.status in (400, 403) else {}
    return _answer({"error": fault.text}, fault.status, **more)


async def _http_error(_request: Request, fault: Exception) -> Response:
    assert isinstance(fault, HTTPException)
    text = _ABSENT if fault.status_code == 404 else fault.detail
    return _answer({"error": text}, fault.status_code)
