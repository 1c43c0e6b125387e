"""Calling SOA operations: the envelope, the session, what answers mean.

Everything is answered with status 200; `.QName` says whether it is an exception. The session is a cookie.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote

from connectors.kit import decode
from connectors.kit.auth import RenewingAuth, Send
from connectors.kit.errors import AuthFailed, BadPayload, VendorError
from connectors.kit.http import Answer, Api, Outcome, OutcomeKind, by_status, looks_like_html, raise_for
from connectors.kit.integration import Integration, Secret
from connectors.kit.services import Services
from connectors.teamcenter import wire
from connectors.teamcenter.settings import Settings

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

LOGIN = "Core-2011-06-Session/login"
LOGOUT = "Core-2006-03-Session/logout"
SESSION_INFO = "Core-2007-01-Session/getTCSessionInfo"
GET_PROPERTIES = "Core-2006-03-DataManagement/getProperties"
ITEM_FROM_ID = "Core-2007-01-DataManagement/getItemFromId"
WHERE_USED = "Core-2007-01-DataManagement/whereUsed"
FIND_QUERIES = "Query-2010-04-SavedQuery/findSavedQueries"
DESCRIBE_QUERIES = "Query-2006-03-SavedQuery/describeSavedQueries"
EXECUTE_QUERIES = "Query-2008-06-SavedQuery/executeSavedQueries"
PERFORM_SEARCH = "Query-2014-11-Finder/performSearch"
REVISION_RULES = "Cad-2007-01-StructureManagement/getRevisionRules"
CREATE_WINDOWS = "Cad-2007-01-StructureManagement/createBOMWindows"
CLOSE_WINDOWS = "Cad-2007-01-StructureManagement/closeBOMWindows"
EXPAND_ALL = "Cad-2007-01-StructureManagement/expandPSAllLevels"
EXPAND_ONE = "Cad-2007-01-StructureManagement/expandPSOneLevel"

GOODBYE_SECONDS = 2.0
"""How long closing waits for the log-out."""

Policy = Sequence[Mapping[str, Any]]


def policy(**types: Sequence[str]) -> Policy:
    """Which properties come back for which type. `name>` brings the objects behind a reference with theirs."""
    return [
        {
            "name": name,
            "properties": [
                {"name": each[:-1], "modifiers": [{"name": "withProperties", "Value": "true"}]}
                if each.endswith(">")
                else {"name": each}
                for each in properties
            ],
        }
        for name, properties in types.items()
    ]


ITEMS = policy(
    Item=(
        "item_id",
        "object_name",
        "object_desc",
        "object_type",
        "uom_tag",
        "last_mod_date",
        "revision_list>",
    ),
    ItemRevision=("item_revision_id", "creation_date", "last_mod_date", "release_status_list>"),
    ReleaseStatus=("name",),
)
"""All that a record of an item is made of."""
NUMBERS = policy(Item=("item_id",))
OWNERS = policy(ItemRevision=("items_tag",))
QUERIES = policy(ImanQuery=("query_name",))
RULES = policy(RevisionRule=("object_name",))
VIEWS = policy(
    Item=("bom_view_tags>", "revision_list>"),
    ItemRevision=("item_revision_id",),
    PSBOMView=("view_type>",),
    PSViewType=("name",),
)
USERS = policy(
    ItemRevision=("item_revision_id", "object_name", "items_tag>"),
    Item=("item_id", "object_name"),
)
LINES = policy(
    BOMLine=(
        "bl_item",
        "bl_item_item_id",
        "bl_rev_item_revision_id",
        "bl_rev_object_name",
        "bl_sequence_no",
        "bl_quantity",
        "bl_uom",
        "bl_has_children",
    )
)


def reference(uid: str, class_name: str) -> dict[str, str]:
    """An object reference as requests carry it."""
    return {"uid": uid, "type": class_name, "className": class_name}


def explain(response: "httpx.Response") -> Outcome | None:
    """What the answer means: exceptions come with status 200, and an XML body stands for a missing session."""
    if response.status_code >= 400:
        return None
    if looks_like_html(response):
        return Outcome(kind=OutcomeKind.NONSENSE, message="a page in HTML instead of data")
    body = response.content
    if body[:100].lstrip()[:1] == b"<":
        return Outcome(kind=OutcomeKind.AUTH_EXPIRED, message="XML instead of JSON: there is no valid session")
    if b"Exceptions." not in body:
        return None
    try:
        fault = decode.json(body, wire.Fault)
    except BadPayload:
        return None
    if fault.exception is None:
        return None
    messages = list(dict.fromkeys(each.message for each in fault.values if each.message))
    code = next((str(each.code) for each in fault.values if each.code is not None), None)
    return Outcome(
        kind=_EXCEPTIONS.get(fault.exception, OutcomeKind.REJECTED),
        message="; ".join(messages[:3]) or fault.exception,
        code=code,
    )


_EXCEPTIONS = {
    "InvalidCredentialsException": OutcomeKind.AUTH_FAILED,
    "InvalidUserException": OutcomeKind.AUTH_EXPIRED,
    "ServiceException": OutcomeKind.REJECTED,
    "InternalServerException": OutcomeKind.DOWN,
}


class Session(RenewingAuth):
    """A log-in whose credential is the text of the `Cookie` header: the session's cookie and those of proxies."""

    def __init__(self, integration: Integration, settings: Settings) -> None:
        super().__init__()
        self._integration = integration
        self._settings = settings
        self.build: Callable[..., httpx.Request]
        """`Api.build` of the client that this signs for."""

    @property
    def credential(self) -> str | None:
        return self._credential

    def discriminator(self) -> str:
        """Ours alone: another process with the same one would share our server process and its windows."""
        begin = self._settings.discriminator or f"crossdock-{self._integration.key}"
        return f"{begin}-{socket.gethostname()}-{os.getpid()}"

    async def log_in(self, send: Send) -> str:
        credentials = self._integration.credentials
        body = {
            "credentials": {
                "user": credentials.get("user", Secret("")).reveal(),
                "password": credentials.get("password", Secret("")).reveal(),
                "group": self._settings.group,
                "role": self._settings.role,
                "locale": self._settings.locale,
                "descrimator": self.discriminator(),  # sic
            }
        }
        cookies: dict[str, str] = {}
        if self._settings.gateway:
            hello = await send(self.build("GET", "/getSessionVars"))
            raise_for(by_status(hello), hello.request, hello, self._integration.key)
            cookies |= _cookies(hello)
        path, headers = address(LOGIN, self._settings)
        request = self.build("POST", path, json=envelope(body, settings=self._settings), headers=headers)
        if cookies:
            self.sign(request, _cookie_header(cookies))
        response = await send(request)
        raise_for(explain(response) or by_status(response), request, response, self._integration.key)
        decode.json(response.content, wire.Login)
        cookies |= _cookies(response)
        if not cookies:
            raise AuthFailed(f"{self._integration.key}: the log-in was accepted, but no session cookie came with it")
        return _cookie_header(cookies)

    def sign(self, request: "httpx.Request", credential: str) -> None:
        request.headers["Cookie"] = credential
        token = next(
            (each[len("XSRF-TOKEN=") :] for each in credential.split("; ") if each.startswith("XSRF-TOKEN=")), None
        )
        if token is not None:
            request.headers["X-XSRF-TOKEN"] = unquote(token)

    def expired(self, response: "httpx.Response") -> bool:
        outcome = explain(response) or by_status(response)
        return outcome.kind is OutcomeKind.AUTH_EXPIRED


def _cookies(response: "httpx.Response") -> dict[str, str]:
    found: dict[str, str] = {}
    for line in response.headers.get_list("set-cookie"):
        name, given, value = line.partition(";")[0].partition("=")
        if given and value.strip():
            found[name.strip()] = value.strip()
    return found


def _cookie_header(cookies: Mapping[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


def address(operation: str, settings: Settings) -> tuple[str, dict[str, str]]:
    """Path of an operation below the address, and the headers of its door."""
    path = f"/{settings.application}/{settings.services}/{operation}"
    if settings.services == "RestServices":
        return path, {"Operation-Name": operation.rpartition("/")[2], "App-Xml": "application/json"}
    return path, {}


def envelope(
    body: Mapping[str, Any], *, settings: Settings, policy: Policy = (), keep_objects: bool = False
) -> dict[str, Any]:
    """The request around an operation's input. `keep_objects` keeps BOM windows alive from call to call."""
    return {
        "header": {
            "state": {
                "stateless": True,
                "unloadObjects": not keep_objects,
                "enableServerStateHeaders": True,
                "formatProperties": True,
                "clientID": "crossdock",
                "clientVersion": "1",
                "locale": settings.locale,
            },
            "policy": {"useRefCount": False, "types": list(policy)},
        },
        "body": body,
    }


class Soa:
    """Operations of one server. Three ways of calling, all with retry and renewal of the session."""

    def __init__(self, integration: Integration, services: Services, settings: Settings, rate: float | None) -> None:
        self.settings = settings
        self.session = Session(integration, settings)
        self.api = Api(integration, services, auth=self.session, explain=explain, rate=rate)
        self.session.build = self.api.build

    async def read(self, operation: str, body: Mapping[str, Any], into: type[T], *, policy: Policy = ()) -> Answer[T]:
        """A read: identical calls in flight share one, and the last good answer stands in for a server that is
        down."""
        path, headers = address(operation, self.settings)
        return await self.api.post_to_read(
            path, into, json=envelope(body, settings=self.settings, policy=policy), headers=headers
        )

    async def fresh(
        self, operation: str, body: Mapping[str, Any], into: type[T], *, policy: Policy = (), keep_objects: bool = False
    ) -> Answer[T]:
        """A call whose answer is nobody else's and never an old one: BOM windows, polls."""
        path, headers = address(operation, self.settings)
        request = self.api.build(
            "POST",
            path,
            json=envelope(body, settings=self.settings, policy=policy, keep_objects=keep_objects),
            headers=headers,
        )
        response = await self.api.send(request, repeatable=True)
        return Answer(value=self.api.decoded(response.content, into, at=path), origin=self.api.origin())

    async def aclose(self) -> None:
        """Logs out, so that the server process is free at once; waits for that a moment only."""
        credential = self.session.credential
        if credential is not None:
            self.session.forget()
            path, headers = address(LOGOUT, self.settings)
            request = self.api.build("POST", path, json=envelope({}, settings=self.settings), headers=headers)
            self.session.sign(request, credential)
            with contextlib.suppress(VendorError, TimeoutError):
                async with asyncio.timeout(GOODBYE_SECONDS):
                    await self.api.exchange(request)
        await self.api.aclose()
