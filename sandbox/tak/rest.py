"""The REST side of a TAK server: the calls that read missions, units and positions.

With `quirks` it answers as the open server does, several ways in one: `version` as text or number, `data` as list or
object, times in three forms, the uid of a change in the wrong field. Without, as TAK Server's own OpenAPI says.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from sandbox.tak import cot
from sandbox.world import World
from sandbox.world.missions import Mission, MissionChange, TakUnit

NODE: Final = "5c0ff3ede1a44c8f9e0d5a6f3f0e7b11"
VERSION: Final = "5.4-RELEASE-sandbox"
HOURS_MAX: Final = 24
PROTECTED: Final = "Depot guard Abuja"
"""This mission has a password."""
MISSION_PASSWORD: Final = "sandbox-mission"
EXPIRED: Final = "Medical escort"
"""This mission's expiration has passed; it ended when the year 2026 began."""
_CONTACTS: Final = 12
"""So many of the units are connected at a time; the others only left positions."""


class Rest:
    """The routes over one world."""

    def __init__(self, world: World, *, quirks: bool) -> None:
        self.world = world
        self.quirks = quirks
        self.routes = [
            Route("/Marti/api/missions", self.missions),
            Route("/Marti/api/pagedmissions", self.paged),
            Route("/Marti/api/missioncount", self.count),
            Route("/Marti/api/missions/guid/{guid}", self.mission_by_guid),
            Route("/Marti/api/missions/{name}", self.mission_by_name, methods=["GET"]),
            Route("/Marti/api/missions/{name}", self.delete, methods=["DELETE"]),
            Route("/Marti/api/missions/{name}/changes", self.changes),
            Route("/Marti/api/contacts/all", self.contacts),
            Route("/Marti/api/clientEndPoints", self.endpoints),
            Route("/Marti/api/cot", self.cot),
            Route("/Marti/api/cot/sa", self.situation),
            Route("/Marti/api/cot/xml/{uid:path}", self.cot_of),
            Route("/Marti/api/version/config", self.version),
            Route("/Marti/api/tls/signClient/v2", self.enrol, methods=["POST"]),
        ]

    # --- missions

    async def missions(self, request: Request) -> Response:
        return self._envelope("Mission", [self._mission(each) for each in self._visible(request)])

    async def paged(self, request: Request) -> Response:
        """Pages count from 0; `nameFilter` takes parts of names."""
        query = request.query_params
        page, size = int(query.get("page", "0")), int(query.get("pagesize", "10"))
        wanted = query.get("nameFilter", "").lower()
        found = [each for each in self._visible(request, protected="true") if wanted in each.name.lower()]
        if query.get("sort") == "name":
            found.sort(key=lambda each: each.name, reverse=query.get("ascending", "true") != "true")
        rows = [self._mission(each) for each in found[page * size : (page + 1) * size]]
        return self._envelope("Mission", rows)

    async def count(self, request: Request) -> Response:
        return self._envelope("java.lang.Integer", len(self._visible(request, protected="true")))

    async def mission_by_guid(self, request: Request) -> Response:
        return self._single(request, self.world.mission_by_guid.get(request.path_params["guid"]))

    async def mission_by_name(self, request: Request) -> Response:
        return self._single(request, self.world.mission_by_name.get(request.path_params["name"]))

    async def changes(self, request: Request) -> Response:
        found = self.world.mission_by_name.get(request.path_params["name"])
        if found is None:
            return self._missing(request.path_params["name"])
        return self._envelope("MissionChange", self._changes(found, request))

    async def delete(self, request: Request) -> Response:
        """The open server fails here."""
        return HTMLResponse(
            "<!doctype html>\n<html lang=en><title>500 Internal Server Error</title>"
            "<h1>Internal Server Error</h1></html>\n",
            500,
        )

    def _visible(self, request: Request, *, protected: str = "false") -> list[Mission]:
        shown = request.query_params.get("passwordProtected", protected) == "true"
        return [each for each in self.world.missions if shown or each.name != PROTECTED]

    def _single(self, request: Request, found: Mission | None) -> Response:
        if found is None:
            return self._missing(next(iter(request.path_params.values())))
        if found.name == PROTECTED and request.query_params.get("password") != MISSION_PASSWORD:
            return JSONResponse(
                {"status": "FORBIDDEN", "code": 403, "message": "Access is denied to this mission"}, 403
            )
        told = self._mission(found, http_dates=self.quirks)
        if request.query_params.get("changes") == "true":
            told["missionChanges"] = self._changes(found, request)
        return self._envelope("Mission", told if self.quirks else [told], number=True)

    def _missing(self, name: str) -> Response:
        if self.quirks:
            return JSONResponse({"error": f"Mission {name} not found", "success": False}, 404)
        return JSONResponse({"status": "NOT_FOUND", "code": 404, "message": f"Mission named '{name}' not found"}, 404)

    def _mission(self, mission: Mission, *, http_dates: bool = False) -> dict[str, Any]:
        now = self.world.now()
        expiration = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) if mission.name == EXPIRED else -1
        return {
            "name": mission.name,
            "description": mission.description,
            "chatRoom": "",
            "baseLayer": "",
            "bbox": "",
            "path": "",
            "classification": mission.classification,
            "tool": mission.tool,
            "keywords": list(mission.keywords),
            "creatorUid": mission.creator_uid,
            "createTime": http_date(mission.created_at) if http_dates else iso4(mission.created_at),
            "groups": [{"id": 1, "name": "__ANON__"}] if self.quirks else ["__ANON__"],
            "externalData": [],
            "feeds": [],
            "mapLayers": [],
            "defaultRole": {"permissions": ["MISSION_READ", "MISSION_WRITE"], "type": "MISSION_SUBSCRIBER"},
            "inviteOnly": False,
            "expiration": expiration,
            "guid": mission.guid,
            "uids": [
                {"data": uid, "timestamp": iso4(mission.created_at), "creatorUid": mission.creator_uid, "keywords": []}
                for uid in mission.unit_uids_at(now)
            ],
            "contents": [
                {
                    "data": {
                        "filename": one.name,
                        "keywords": list(one.keywords),
                        "mimeType": one.mime_type,
                        "name": one.name,
                        "submissionTime": iso4(one.submitted_at),
                        "submitter": "anonymous",
                        "uid": one.uid,
                        "creatorUid": one.submitter_uid,
                        "hash": one.sha256,
                        "size": one.size,
                        "tool": "public",
                        "expiration": -1,
                    },
                    "timestamp": iso4(one.submitted_at),
                    "creatorUid": one.submitter_uid,
                    "keywords": [],
                }
                for one in mission.contents_at(now)
            ],
            "passwordProtected": mission.name == PROTECTED,
        }

    def _changes(self, mission: Mission, request: Request) -> list[dict[str, Any]]:
        """Oldest first; the last `secago` seconds, or from `start` to `end`, else a day."""
        query, now = request.query_params, self.world.now()
        start = now - timedelta(seconds=int(query.get("secago", "86400")))
        end = now + timedelta(seconds=1)
        if "start" in query:
            start = datetime.fromisoformat(query["start"])
        if "end" in query:
            end = datetime.fromisoformat(query["end"])
        return [self._change(mission, each) for each in mission.changes(start, end)]

    def _change(self, mission: Mission, change: MissionChange) -> dict[str, Any]:
        told: dict[str, Any] = {
            "isFederatedChange": False,
            "type": cot.CHANGE_TYPES[change.kind],
            "missionName": mission.name,
            "timestamp": iso4(change.at),
            "serverTime": iso4(change.at),
            "creatorUid": change.creator_uid,
        }
        if not self.quirks:
            told["missionGuid"] = mission.guid
        else:
            told |= {"contentUid": None, "missionGuid": None}
        if change.unit_uid is not None:
            unit = next(each for each in self.world.units if each.uid == change.unit_uid)
            state = unit.state_at(change.at)
            told["missionGuid" if self.quirks else "contentUid"] = unit.uid
            told["details"] = {
                "type": unit.cot_type,
                "callsign": unit.callsign,
                "color": -1 if self.quirks else "-1",
                "location": {"lat": state.latitude, "lon": state.longitude},
            }
        if change.content is not None:
            told["contentResource"] = {
                "hash": change.content.sha256,
                "name": change.content.name,
                "mimeType": change.content.mime_type,
                "size": change.content.size,
            }
        return told

    # --- units

    def _connected(self) -> list[TakUnit]:
        now = self.world.now()
        return [each for each in self.world.units if each.state_at(now).online][:_CONTACTS]

    async def contacts(self, request: Request) -> Response:
        rows = [
            {
                "filterGroups": [],
                "notes": "sandbox",
                "callsign": unit.callsign,
                "team": unit.team,
                "role": unit.role,
                "takv": "ATAK-CIV 5.4.0",
                "uid": unit.uid,
            }
            for unit in self._connected()
        ]
        rows.append(
            {
                "filterGroups": [],
                "notes": "sandbox",
                "callsign": "DESK-1",
                "team": "White",
                "role": "HQ",
                "takv": "WebTAK 5.4.0",
                "uid": "WEBTAK-DESK-1",
            }
        )
        rows.sort(key=lambda each: str(each["callsign"]))
        return JSONResponse(rows)

    async def endpoints(self, request: Request) -> Response:
        now, connected = self.world.now(), {each.uid for each in self._connected()}
        rows = [
            {
                "callsign": unit.callsign,
                "uid": unit.uid,
                "username": "sandbox",
                "lastEventTime": iso4(unit.state_at(now).at),
                "lastStatus": "Connected" if unit.uid in connected else "Disconnected",
            }
            for unit in self.world.units
        ]
        return self._envelope("com.bbn.marti.remote.ClientEndpoint", rows)

    def events(self) -> list[cot.Cot]:
        """The last event of everything."""
        now = self.world.now()
        return [*(cot.unit_event(each, now) for each in self.world.units), cot.marker(now), cot.drawing(now)]

    async def cot(self, request: Request) -> Response:
        """The uids are the body of a GET, as TAK Server has it."""
        try:
            uids = json.loads(await request.body())
        except ValueError:
            uids = None
        if not isinstance(uids, list) or not uids or not all(isinstance(each, str) for each in uids):
            return JSONResponse({"status": "BAD_REQUEST", "code": 400, "message": "one or more UIDs required"}, 400)
        return _events(each for each in self.events() if each.uid in uids)

    async def cot_of(self, request: Request) -> Response:
        found = next((each for each in self.events() if each.uid == request.path_params["uid"]), None)
        if found is None:
            return Response(status_code=404)
        return Response(cot.DECLARATION + found.xml(), media_type="application/xml")

    async def situation(self, request: Request) -> Response:
        """At most a day; 404 with an empty body when nothing happened in it."""
        query = request.query_params
        try:
            start, end = datetime.fromisoformat(query["start"]), datetime.fromisoformat(query["end"])
        except (KeyError, ValueError):
            return JSONResponse({"status": "BAD_REQUEST", "code": 400, "message": "start and end are required"}, 400)
        if start > end or (end - start) // timedelta(hours=1) > HOURS_MAX:
            return JSONResponse({"status": "BAD_REQUEST", "code": 400, "message": "Illegal argument"}, 400)
        found = [each for each in self.events() if start <= each.time <= end]
        if all(side in query for side in ("left", "bottom", "right", "top")):
            left, bottom, right, top = (float(query[side]) for side in ("left", "bottom", "right", "top"))
            found = [each for each in found if left <= each.lon <= right and bottom <= each.lat <= top]
        return _events(found) if found else Response(status_code=404)

    # --- the rest

    async def version(self, request: Request) -> Response:
        return self._envelope("ServerConfig", {"version": VERSION, "api": "3", "hostname": "takserver"})

    async def enrol(self, request: Request) -> Response:
        """Nobody can enrol here: wrong passwords get 401 and an empty body."""
        return HTMLResponse("", 401)

    def _envelope(self, kind: str, data: object, *, number: bool = False) -> Response:
        version: int | str = 3 if number and self.quirks else "3"
        return JSONResponse({"version": version, "type": kind, "data": data, "nodeId": NODE})


def _events(found: Iterable[cot.Cot]) -> Response:
    body = cot.DECLARATION + "<events>" + "".join(f"{each.xml()}\n" for each in found) + "</events>"
    return Response(body, media_type="application/xml")


def iso4(at: datetime) -> str:
    at = at.astimezone(UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 100:04d}Z"


def http_date(at: datetime) -> str:
    return format_datetime(at.astimezone(UTC), usegmt=True)


ERRORS: Final[Mapping[Any, Any]] = {
    404: lambda request, error: JSONResponse({"status": "NOT_FOUND", "code": 404, "message": "No such call"}, 404)
}
