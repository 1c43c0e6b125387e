"""The quarry's machines by ISO 15143-3 (AEMP 2.0), at two providers, and MineStar Fleet's exports of it.

`minestar` speaks as Cat's own service does: OAuth 2.0 client credentials at `/as/token.oauth2`, the fleet below
`/telematics/iso15143/fleet`, time series below `/catDigital/iso15143/v1/fleet`, JSON with Cat's capitals (XML is had by
`Accept`), the codes `401.006`, `404.001`, `429.002` and no word of a call's id. `aemp` is a maker that keeps to the
standard: the password grant at `/connect/token`, XML below `/Fleet`, counters of loads and payload, an error for a `+`
in the path, `{message, requestId}` for faults. Written from the makers' guides; it shares no code with the connector.

`exports` is the folder into which the mine's office software exports: when the sandbox starts, and every minute.

Not simulated: switch status, and MineStar's office interfaces that are not public.
"""

import asyncio
import base64
import contextlib
import hmac
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, quote, unquote, unquote_plus

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.minestar import exports, rows
from sandbox.minestar.manners import CAT, MIXED, Manners
from sandbox.standin import Faults, StandIn
from sandbox.world import QuarryMachine, World

__all__ = [
    "CAT", "CLIENT_ID", "CLIENT_SECRET", "MIXED", "PASSWORD", "SCOPE", "USER", "Aemp", "Manners", "create",
]  # fmt: skip

CLIENT_ID: Final = "crossdock-quarry"
CLIENT_SECRET: Final = "sandbox-aemp-client-secret"
USER: Final = "quarry@sandbox.example"
PASSWORD: Final = "sandbox-aemp-password"
SCOPE: Final = "manage:all"
PAGE: Final = 100
TOKENS_MOST: Final = 100
FIRST_EXPORT_HOURS: Final = 48


class Refused(Exception):
    """A fault; `code` is Cat's."""

    def __init__(self, status: int, code: str, text: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(text)
        self.status, self.code, self.text, self.headers = status, code, text, headers or {}


class Aemp(StandIn):
    """One provider. `logins` counts tokens given out; `used` are the day's calls."""

    def __init__(
        self,
        world: World,
        manners: Manners,
        *,
        page_size: int = PAGE,
        token_seconds: int = 3600,
        daily_limit: int = 50_000,
        per_url_seconds: int = 0,
        next_is_self: bool = False,
        relative_links: bool = False,
        export_folder: Path | None = None,
        export_seconds: float = 60.0,
    ) -> None:
        self._world, self.manners = world, manners
        self._page_size, self._token_seconds = page_size, token_seconds
        self.daily_limit, self.per_url_seconds = daily_limit, per_url_seconds
        self._next_is_self, self._relative_links = next_is_self, relative_links
        self.machines = tuple(one for one in world.quarry if one.account == manners.account)
        self.logins = 0
        self.used = 0
        self._day = world.now().date()
        self.tokens: dict[str, datetime] = {}
        self._asked: dict[str, datetime] = {}
        self._exporting: asyncio.Task[None] | None = None
        self.export_folder, self._export_seconds = export_folder, export_seconds
        down = {"code": "503.001", "description": "Service unavailable"} if manners.cat else "Service Unavailable"
        faults = Faults(clock=world.now, down_body=down)
        for forget in (self.tokens.clear, self._asked.clear):
            faults.when_reset(forget)
        faults.when_sessions_expire(self.tokens.clear)
        by = "{make}/{model}/{serial}"
        machine = f"{manners.fleet}/{manners.equipment}"
        below = f"{manners.series_root}/{manners.equipment}"
        span = "{series}/{start}/{end}/{page}"
        routes = [
            Route(manners.token, self._token, methods=["POST"]),
            Route(f"{manners.fleet}/{{page:int}}", self._fleet),
            Route(f"{machine}/{manners.make_model_serial}/{by}", self._machine),
            Route(f"{machine}/{manners.by_id}/{{id}}", self._machine),
            Route(f"{below}/{manners.make_model_serial}/{by}/{span}", self._series),
            Route(f"{below}/{manners.by_id}/{{id}}/{span}", self._series),
        ]
        if not manners.cat:  # Bell addresses machines by their serial number alone
            routes += [Route(f"{machine}/{{id}}", self._machine), Route(f"{below}/{{id}}/{span}", self._series)]
        handlers: dict[Any, Callable[..., Any]] = {Refused: self._refused, 404: self._unknown}
        super().__init__(manners.name, Starlette(routes=routes, exception_handlers=handlers), faults)

    # --- the mine's exports

    async def start(self) -> None:
        if self.export_folder is not None:
            await asyncio.to_thread(self.export, hours=FIRST_EXPORT_HOURS)
            self._exporting = asyncio.create_task(self._export_on())

    async def stop(self) -> None:
        if self._exporting is not None:
            self._exporting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._exporting

    async def _export_on(self) -> None:
        while True:
            await asyncio.sleep(self._export_seconds)
            await asyncio.to_thread(self.export, hours=3)

    def export(self, folder: Path | None = None, *, hours: int = 3) -> list[Path]:
        """Files of the last hours, as of now."""
        target = folder or self.export_folder
        assert target is not None
        return exports.write(self._world.quarry, target, self._world.now(), hours=hours)

    @property
    def addresses(self) -> tuple[str, ...]:
        return (str(self.export_folder),) if self.export_folder is not None else ()

    # --- who

    async def _token(self, request: Request) -> Response:
        form = {name: found[0] for name, found in parse_qs((await request.body()).decode("latin-1")).items()}
        user, password = _basic(request)
        client, secret = form.get("client_id", unquote_plus(user)), form.get("client_secret", unquote_plus(password))
        if not (_equal(client, CLIENT_ID) and _equal(secret, CLIENT_SECRET)):
            return JSONResponse({"error": "invalid_client"}, 401)
        if form.get("grant_type") != self.manners.grant:
            return JSONResponse({"error": "unsupported_grant_type"}, 400)
        if self.manners.grant == "password" and not (
            _equal(form.get("username", ""), USER) and _equal(form.get("password", ""), PASSWORD)
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        self.logins += 1
        token = f"sandbox-{self.name}-token-{self.logins}"
        self.tokens[token] = self._world.now() + timedelta(seconds=self._token_seconds)
        while len(self.tokens) > TOKENS_MOST:
            self.tokens.pop(next(iter(self.tokens)))
        return JSONResponse({"access_token": token, "token_type": "Bearer", "expires_in": self._token_seconds})

    def _admit(self, request: Request) -> None:
        """Signed in, and within the limits."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        ends = self.tokens.get(token)
        if scheme.lower() != "bearer" or ends is None or ends <= self._world.now():
            raise Refused(401, "401.006", "Missing Authorization header or token value")
        if not self.manners.cat and "+" in request.scope["raw_path"].decode("latin-1"):
            raise Refused(400, "400.001", "Invalid value for parameter.")
        now = self._world.now()
        if now.date() != self._day:
            self._day, self.used = now.date(), 0
        if self.used >= self.daily_limit:
            raise Refused(429, "429.002", "Quota rate limit exceeded.")
        self.used += 1
        if self.per_url_seconds:
            before = self._asked.get(request.url.path)
            if before is not None and (now - before).total_seconds() < self.per_url_seconds:
                left = self.per_url_seconds - (now - before).total_seconds()
                raise Refused(429, "429.001", "Exceeded rate limit.", {"Retry-After": f"{left:.0f}"})
            self._asked[request.url.path] = now

    # --- what

    async def _fleet(self, request: Request) -> Response:
        self._admit(request)
        page, now = request.path_params["page"], self._world.now()
        last = max(1, -(-len(self.machines) // self._page_size))
        mine = self.machines[(page - 1) * self._page_size : page * self._page_size] if page > 0 else ()
        if not mine and self.manners.cat:
            raise Refused(404, "404.001", "Resource not found")
        links = self._links(request, self.manners.fleet, page, last)
        told = [(rows.header(one, self.manners), self._snapshot(one)) for one in mine]
        if self._wants_json(request):
            body = {
                "Equipment": [rows.json_machine(head, found, self.manners) for head, found in told],
                "Links": rows.json_links(links, self.manners),
                "Version": "1",
                "SnapshotTime": rows.stamp(now),
            }
            return self._json(body)
        return _xml(rows.xml_fleet(links, told, now) if told else "<Fleet/>")

    async def _machine(self, request: Request) -> Response:
        self._admit(request)
        machine = self._found(request)
        head, found = rows.header(machine, self.manners), self._snapshot(machine)
        if self._wants_json(request):
            return self._json(rows.json_machine(head, found, self.manners))
        return _xml(rows.xml_machine(head, found, "", root=True))

    async def _series(self, request: Request) -> Response:
        self._admit(request)
        machine, name = self._found(request), request.path_params["series"]
        known = self.manners.series.get(name)
        if known is None:
            raise Refused(404, "404.001", "Resource not found")
        start, end = (_moment(request.path_params[each]) for each in ("start", "end"))
        if end < start or request.path_params["page"] not in map(str, range(1, 1_000)):
            raise Refused(400, "400.001", "Invalid value for parameter.")
        page = int(request.path_params["page"])
        mine, count = rows.series(machine, known[0], start, min(end, self._world.now()), page, PAGE)
        last = max(1, -(-count // PAGE))
        path = request.url.path[len(request.scope.get("root_path", "")) :].rpartition("/")[0]
        links = self._links(request, path, page, last)
        if self._wants_json(request):
            values = [rows.json_element(row, self.manners) for row in mine]
            body = {known[0]: values, "Links": rows.json_links(links, self.manners)}
            return self._json({"EquipmentHeader": rows.header(machine, self.manners), **body})
        return _xml(rows.xml_series(known[0], links, mine))

    def _snapshot(self, machine: QuarryMachine) -> list[rows.Row]:
        return rows.elements(machine, machine.report_at(self._world.now()), self.manners.snapshot)

    def _found(self, request: Request) -> QuarryMachine:
        asked = request.path_params
        for one in self.machines:
            head = rows.header(one, self.manners)
            if "id" in asked:
                if asked["id"] in (one.equipment_id, one.serial, one.pin):
                    return one
            elif (asked["make"], asked["model"], asked["serial"]) == (head["OEMName"], head["Model"], one.serial):
                return one
        raise Refused(404, "404.001", "Resource not found")

    # --- how

    def _links(self, request: Request, path: str, page: int, last: int) -> list[rows.Link]:
        """Self, next (on the last page itself, at some providers) and last."""
        base = str(request.base_url).rstrip("/")
        before = "" if self._relative_links else base

        def href(number: int) -> str:
            return f"{before}{quote(unquote(path), safe='/:')}/{number}"

        links = [("self", href(page))]
        if page < last:
            links.append(("next", href(page + 1)))
        elif self._next_is_self:
            links.append(("next", href(page)))
        return [*links, ("last", href(last))]

    def _wants_json(self, request: Request) -> bool:
        accept = request.headers.get("accept", "")
        return "json" in accept or (self.manners.cat and "xml" not in accept)

    def _json(self, body: Any) -> Response:
        kind = "application/iso15143-snapshot+json" if self.manners.cat else "application/json"
        return Response(json.dumps(body), media_type=kind)

    async def _unknown(self, request: Request, _: Exception) -> Response:
        return await self._refused(request, Refused(404, "404.001", "Resource not found"))

    async def _refused(self, _: Request, refused: Refused) -> Response:
        if self.manners.cat:
            body: dict[str, str] = {"code": refused.code, "description": refused.text}
        else:
            body = {"message": refused.text, "requestId": f"{self.faults.total_calls():08x}"}
        return JSONResponse(body, refused.status, refused.headers)


def create(world: World, *, state_dir: Path | None = None, page_size: int = PAGE, **_options: Any) -> list[Aemp]:
    """Both providers. With `state_dir` the mine exports below it."""
    folder = Path(state_dir) / "minestar" / "exports" if state_dir is not None else None
    return [
        Aemp(world, CAT, page_size=page_size, export_folder=folder),
        Aemp(world, MIXED, page_size=page_size),
    ]


def _xml(text: str) -> Response:
    return Response('<?xml version="1.0" encoding="UTF-8"?>\n' + text, media_type="application/xml")


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(400, "400.001", "Invalid value for parameter.") from None
    if found.tzinfo is None:
        raise Refused(400, "400.001", "Invalid value for parameter.")
    return found


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
