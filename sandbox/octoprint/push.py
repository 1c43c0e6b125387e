"""The push socket: SockJS's raw websocket. It talks to anybody, but says nothing before a session is shown."""

import asyncio
import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from starlette.websockets import WebSocket, WebSocketDisconnect

from sandbox.octoprint import shapes
from sandbox.world import PrinterState

if TYPE_CHECKING:
    from sandbox.octoprint.rest import OctoPrint

_FLOOR: Final = 0.5
"""Seconds between two `current` messages at throttle 1."""
_LOOK: Final = 0.25
"""Real seconds after which a connection looks at the world's clock."""
_HISTORY: Final = 30


class _Client:
    """One connection: who it is, what it wants and what it was told last."""

    def __init__(self, socket: WebSocket) -> None:
        self.socket = socket
        self.session: str | None = None
        self.throttle = 1
        self.wants_state: bool | dict[str, Any] = True
        self.events: list[str] | None = None
        """Names of events; None wants all."""
        self.seen: PrinterState | None = None
        self.current_at = float("-inf")
        """World time of the last `current`, epoch seconds."""
        self.points_at = float("-inf")
        self.wake = asyncio.Event()
        self.must_log_in: str | None = None

    async def say(self, kind: str, payload: object) -> None:
        await self.socket.send_text(json.dumps({kind: payload}))


class Push:
    """All push connections of one OctoPrint."""

    def __init__(self, octoprint: "OctoPrint") -> None:
        self._octoprint = octoprint
        self._clients: set[_Client] = set()

    @property
    def connections(self) -> int:
        return len(self._clients)

    def look(self) -> None:
        """Makes every connection look at the world's clock now; for tests that move it."""
        for client in self._clients:
            client.wake.set()

    def require_login(self, reason: str) -> None:
        """Sends `reauthRequired` to all that are logged in; they hear nothing more before they log in again."""
        for client in self._clients:
            if client.session is not None:
                client.session, client.must_log_in = None, reason
                client.wake.set()

    async def talk(self, socket: WebSocket) -> None:
        await socket.accept()
        client = _Client(socket)
        self._clients.add(client)
        telling = asyncio.create_task(self._tell(client))
        try:
            await client.say(
                "connected",
                {
                    "version": shapes.VERSION,
                    "display_version": shapes.VERSION,
                    "branch": "HEAD",
                    "python_version": "3.11.7",
                    "plugin_hash": "42523e0adbb3fcf8733eb999e93a7434",
                    "config_hash": "83e65877c92d36ef3304a60c5ae23e3e",
                    "debug": False,
                    "safe_mode": None,
                    "online": True,
                    "permissions": [],
                },
            )
            while True:
                await self._heard(client, await socket.receive_text())
        except WebSocketDisconnect:
            pass
        finally:
            self._clients.discard(client)
            telling.cancel()
            with suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
                await telling

    async def _heard(self, client: _Client, text: str) -> None:
        """Nonsense is ignored, as the real one does."""
        try:
            message = json.loads(text)
        except ValueError:
            return
        if not isinstance(message, dict):
            return
        if "auth" in message:
            user, _, session = str(message["auth"]).partition(":")
            if session and self._octoprint.sessions.get(session) == user:
                client.session = session
                await self._history(client)
                await client.say("timelapse", None)
            else:
                client.session = None
                await client.say("reauthRequired", {"reason": "stale"})
        elif "throttle" in message:
            factor = message["throttle"]
            if isinstance(factor, int) and factor >= 1:
                client.throttle = factor
        elif isinstance(message.get("subscribe"), dict):
            await self._subscribe(client, message["subscribe"])

    async def _subscribe(self, client: _Client, wanted: dict[str, Any]) -> None:
        state, events = wanted.get("state", False), wanted.get("events", [])
        if isinstance(state, dict):
            for name in ("logs", "messages"):
                if isinstance(state.get(name), str):
                    try:
                        re.compile(state[name])
                    except re.error:
                        return
        elif not isinstance(state, bool):
            return
        if not isinstance(events, list | bool):
            return
        before, client.wants_state = client.wants_state, state
        client.events = events if isinstance(events, list) else (None if events else [])
        if state and state != before:
            await self._history(client)

    async def _history(self, client: _Client) -> None:
        octoprint = self._octoprint
        if client.session is None or not client.wants_state:
            return
        state, now = octoprint.state(), octoprint.world.now()
        client.seen = state
        client.points_at = now.timestamp()
        points = shapes.points(octoprint.printer, now, _HISTORY, chamber=True)
        await client.say("history", self._body(state) | {"temps": points})

    def _body(self, state: PrinterState) -> dict[str, Any]:
        return {
            "state": shapes.state(state),
            "job": shapes.job(state),
            "currentZ": state.z_mm if state.mode in ("printing", "paused") else None,
            "progress": shapes.progress(state),
            "offsets": {},
            "resends": {"count": 0, "transmitted": 0, "ratio": 0},
            "serverTime": self._octoprint.world.now().timestamp(),
            "logs": [],
            "messages": [],
            "markings": [],
        }

    async def _tell(self, client: _Client) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK):
                    await client.wake.wait()
            client.wake.clear()
            if client.must_log_in is not None:
                reason, client.must_log_in = client.must_log_in, None
                await client.say("reauthRequired", {"reason": reason})
            if client.session is not None and client.seen is not None:
                await self._news(client)

    async def _news(self, client: _Client) -> None:
        state, now = self._octoprint.state(), self._octoprint.world.now().timestamp()
        before, client.seen = client.seen, state
        happened = shapes.events(before, state) if before is not None else []
        for event in happened:
            if client.events is None or event["type"] in client.events:
                await client.say("event", event)
        quiet = not shapes.operational(state) and not happened  # a printer that is off has nothing to say
        if not client.wants_state or quiet or now < client.current_at + _FLOOR * client.throttle:
            return
        client.current_at = now
        temps: list[dict[str, Any]] = []
        if shapes.operational(state) and now >= client.points_at + 2:
            client.points_at = now
            temps = [shapes.point(state, self._octoprint.world.now(), chamber=True)]
        busy = [{"origin": "local", "path": state.file.name}] if state.file and state.mode != "idle" else []
        await client.say("current", self._body(state) | {"temps": temps, "busyFiles": busy})
