"""Sessions of the stand-in: a cookie stands for a session, a server process for a user with a discriminator."""

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sandbox.teamcenter.objects import NO_OBJECT, Catalogue, Thing, text
from sandbox.world import BomLine, Item, Revision, View, vendor_uid

USER: Final = "sandbox"
PASSWORD: Final = "sandbox-teamcenter"


class Refused(Exception):
    """Ends an operation with one of `Exceptions.*`; always with status 200."""

    def __init__(self, kind: str, code: int, message: str) -> None:
        super().__init__(message)
        self.kind, self.code, self.message = kind, code, message

    def body(self) -> dict[str, Any]:
        qname = f"http://teamcenter.com/Schemas/Soa/2006-03/Exceptions.{self.kind}"
        said = {"code": self.code, "level": 3, "message": self.message}
        return {".QName": qname, "messages": [said]} if self.kind == "ServiceException" else {".QName": qname, **said}


@dataclass
class Window:
    """An open BOM window. Its lines have uids of their own, which mean nothing in another window."""

    uid: str
    view: View
    rule: str | None
    top: str
    keep: bool
    """False for one made while objects are unloaded after each call: gone with its call."""
    lines: dict[str, tuple[Item, Revision | None]] = field(default_factory=dict)


@dataclass
class Process:
    """A server process; sessions of one user with the same discriminator share it and its windows."""

    windows: dict[str, Window] = field(default_factory=dict)
    transient: dict[str, Thing] = field(default_factory=dict)

    def line(self, uid: str) -> Window | None:
        return next((one for one in self.windows.values() if uid in one.lines), None)

    def close(self, uid: str) -> bool:
        window = self.windows.pop(uid, None)
        if window is None:
            return False
        for line in (uid, *window.lines):
            self.transient.pop(line, None)
        return True


@dataclass
class Session:
    cookie: str
    key: tuple[str, str]
    """User and discriminator."""
    locale: str
    process: Process
    used_at: datetime


class Sessions:
    """Who is logged in. A session ends after `minutes` without a call."""

    def __init__(self, now: Callable[[], datetime], minutes: float) -> None:
        self._now = now
        self._idle = timedelta(minutes=minutes)
        self._count = itertools.count(1)
        self._open: dict[str, Session] = {}
        self.processes: dict[tuple[str, str], Process] = {}
        self.logins = 0

    def log_in(self, credentials: dict[str, Any]) -> Session:
        user, password = credentials.get("user"), credentials.get("password")
        if (user, password) != (USER, PASSWORD):
            message = "The login attempt failed: either the user ID or the password is invalid."
            raise Refused("InvalidCredentialsException", 515144, message)
        self.logins += 1
        key = (str(user), str(credentials.get("descrimator", "")))
        cookie = vendor_uid(f"session:{next(self._count)}").upper().replace("$", "0").replace("_", "1")
        process = self.processes.setdefault(key, Process())
        session = Session(cookie, key, str(credentials.get("locale") or "en_US"), process, self._now())
        self._open[cookie] = session
        return session

    def find(self, cookie: str | None) -> Session:
        session = self._open.get(cookie or "")
        if session is None or self._now() - session.used_at > self._idle:
            if session is not None:
                self.end(session)
            raise Refused("InvalidUserException", 515143, "The user session has timed out.")
        session.used_at = self._now()
        return session

    def end(self, session: Session) -> None:
        self._open.pop(session.cookie, None)
        if not any(one.key == session.key for one in self._open.values()):
            self.processes.pop(session.key, None)

    def expire(self) -> None:
        self._open.clear()
        self.processes.clear()


class Bom:
    """Windows and their expansion."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._world = catalogue.world
        self._count = itertools.count(1)
        self._shuffle = random.Random("teamcenter")

    def open(
        self, process: Process, item: Item, revision: Revision | None, view: View, rule: str, keep: bool
    ) -> Window:
        window = Window(self._uid("window"), view, rule, "", keep)
        process.windows[window.uid] = window
        process.transient[window.uid] = Thing(window.uid, "BOMWindow", "BOMWindow")
        window.top = self._line(process, window, item, revision or configured(item, rule), None)
        return window

    def expand(self, process: Process, window: Window, uid: str, *, deep: bool) -> list[tuple[str, list[str]]]:
        """Rows of (line, lines below), in no order; the first level only unless `deep`."""
        rows: list[tuple[str, list[str]]] = []
        todo = [uid]
        while todo:
            parent = todo.pop()
            item, revision = window.lines[parent]
            below = self._world.bom(item.key, window.view) if revision is not None else ()
            made = []
            for line in below:
                child = self._world.item_by_key[line.item_key]
                made.append(self._line(process, window, child, configured(child, window.rule), line))
            if made or parent == uid:
                rows.append((parent, self._shuffle.sample(made, len(made))))
            if deep:
                todo += made
        return self._shuffle.sample(rows, len(rows))

    def _uid(self, what: str) -> str:
        return vendor_uid(f"{what}:{next(self._count)}")

    def _line(
        self, process: Process, window: Window, item: Item, revision: Revision | None, line: BomLine | None
    ) -> str:
        uid = self._uid("bomline")
        window.lines[uid] = (item, revision)
        below = revision is not None and bool(self._world.bom(item.key, window.view))
        quantity = "" if line is None or line.quantity is None else f"{line.quantity.normalize():f}"
        process.transient[uid] = Thing(
            uid,
            "BOMLine",
            "BOMLine",
            {
                "bl_item": [(item.uid, f"{item.teamcenter_number}-{item.name}")],
                "bl_revision": [(revision.uid, revision.id)] if revision else [None],
                "bl_item_item_id": text(item.teamcenter_number),
                "bl_rev_item_revision_id": text(revision.id if revision else ""),
                "bl_rev_object_name": text(item.name if revision else "???"),
                "bl_sequence_no": text(str(line.find_number) if line else ""),
                "bl_quantity": text(quantity),
                "bl_uom": [("", "each")] if item.unit == "EA" else [(item.unit, item.unit)],
                "bl_ref_designator": text(line.reference if line else ""),
                "bl_has_children": [("1", "True") if below else ("0", "False")],
            },
        )
        return uid

    @staticmethod
    def revision_ref(process: Process, window: Window, uid: str) -> dict[str, str]:
        item, revision = window.lines[uid]
        if revision is None:
            return {"uid": NO_OBJECT, "className": "unknownClass", "type": "unknownType"}
        return {"uid": revision.uid, "className": "ItemRevision", "type": f"{item.object_type}Revision"}


def configured(item: Item, rule: str | None) -> Revision | None:
    """The revision that the rule chooses; None where it chooses none."""
    if rule == "Latest Released":
        return item.latest_released
    if rule == "Any Status; Working":
        return item.latest_released or item.latest
    return item.latest
