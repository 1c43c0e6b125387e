"""The CoT stream: a TLS socket that stays, in XML or, where the server offers it, in the TAK protocol."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable

import msgspec

from connectors.c4isr import cot, takproto
from connectors.c4isr.cot import Event
from connectors.c4isr.decoders import FRAME, XML
from connectors.c4isr.settings import refusal
from connectors.kit.errors import AuthFailed, BadPayload
from connectors.kit.integration import Integration
from connectors.kit.manifest import Payload
from connectors.kit.reconnect import LONGEST_PAUSE, Reconnect
from connectors.kit.resilience import Breaker
from connectors.kit.services import Services

REFUSALS = 3
"""Refused connections in a row after which a person must act."""
ANSWER_SECONDS = 60.0
"""How long a server may take to answer our wish for the TAK protocol."""
CHUNK = 1 << 16


class Opened(msgspec.Struct, frozen=True):
    """The server speaks to us. `again` is true after a break, when the gap must be filled."""

    again: bool


class Received(msgspec.Struct, frozen=True):
    """One event, and the bytes that it came in."""

    event: Event
    payload: Payload
    decoder: str


class Framing:
    """Cuts the bytes of one connection into events; `binary` is switched on once the server has agreed."""

    def __init__(self) -> None:
        self.binary = False
        self._buffer = b""
        self._at = 0
        """Up to where the buffer is done with."""

    def feed(self, data: bytes) -> None:
        self._buffer, self._at = self._buffer[self._at :] + data, 0

    def switch(self) -> None:
        """What follows is in the TAK protocol."""
        self.binary = True
        self._buffer, self._at = self._buffer[self._at :].lstrip(b"\r\n \t"), 0

    def next(self) -> bytes | None:
        """The next whole event; null until more has come. Raises `BadPayload` when the stream makes no sense."""
        if self.binary:
            found = takproto.cut_frame(self._buffer)
            if found is None:
                return None
            payload, self._buffer = found
            return payload
        event = cot.first(self._buffer, self._at)
        if event is None:
            if len(self._buffer) - self._at > cot.MAX_EVENT:
                raise BadPayload(f"an event of the stream is longer than {cot.MAX_EVENT} bytes", path="$")
            return None
        body, self._at = event
        return body


class CotStream:
    """Connects, keeps alive, negotiates, reconnects with growing pauses. Raises only `AuthFailed`."""

    def __init__(
        self,
        address: tuple[str, int],
        *,
        context: Callable[[], ssl.SSLContext],
        integration: Integration,
        services: Services,
        uid: str,
        protobuf: bool = True,
        ping_seconds: float = 15.0,
        silence_seconds: float = 60.0,
        longest_pause: float = LONGEST_PAUSE,
        sign_in: bytes | None = None,
        way: Breaker | None = None,
        ask: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self.address, self.context = address, context
        self.integration, self.services = integration, services
        self.uid, self.protobuf = uid, protobuf
        self.ping_seconds, self.silence_seconds = ping_seconds, silence_seconds
        self._reconnect = Reconnect(
            integration=integration, services=services, way=way, ask=ask, longest_pause=longest_pause
        )
        self.sign_in = sign_in

    async def events(self) -> AsyncGenerator[Opened | Received, None]:
        """What the server sends, for ever, with an `Opened` before the events of each connection."""
        again, refusals, key = False, 0, self.integration.key
        while True:
            opened = connected = False
            try:
                async with contextlib.aclosing(self._connection(again)) as connection:
                    async for each in connection:
                        connected = True
                        if each is None:
                            continue
                        if isinstance(each, Opened):
                            self._reconnect.opened()
                            opened, again, refusals = True, True, 0
                        yield each
                reason, refused = "closed by the server", None
            except TimeoutError:
                reason, refused = f"silent for {self.silence_seconds:g} s", None
            except BadPayload as error:
                reason, refused = str(error), None
            except OSError as error:  # ssl.SSLError is one
                reason, refused = type(error).__name__, refusal(error)
            if refused is None and connected and not opened and self.sign_in is not None:
                refused = "the server closed the stream at our log-in"
            refusals = refusals + 1 if refused else 0
            if refused and refusals >= REFUSALS:
                raise AuthFailed(f"{key}: the CoT stream: {refused}", integration=key)
            await self._reconnect.broke(refused or reason, refused=refused is not None)

    async def _connection(self, again: bool) -> AsyncGenerator[Opened | Received | None, None]:
        """One connection's events; null once it stands, before the server has said anything."""
        context = await asyncio.to_thread(self.context)
        host, port = self.address
        async with asyncio.timeout(self.integration.deadline_seconds):
            reader, writer = await asyncio.open_connection(host, port, ssl=context)
        talk = _Talk(self, writer)
        if self.sign_in is not None:
            writer.write(self.sign_in)
        pinger = asyncio.create_task(talk.keep_alive())
        try:
            yield None
            opened = False
            while True:
                async with asyncio.timeout(talk.patience(self.silence_seconds)):
                    data = await reader.read(CHUNK)
                if not data:
                    return
                if not opened:
                    opened = True
                    yield Opened(again)
                talk.framing.feed(data)
                while (received := talk.next()) is not None:
                    if isinstance(received, Received):
                        yield received
        except TimeoutError:
            if talk.asked_at is not None:
                self.protobuf = False  # this server offers what it does not answer to: XML from now on
            raise
        finally:
            pinger.cancel()
            writer.transport.abort()
            await asyncio.gather(pinger, return_exceptions=True)
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(2):
                    await writer.wait_closed()


class _Talk:
    """One connection's conversation: its framing, the negotiation, our pings."""

    def __init__(self, stream: CotStream, writer: asyncio.StreamWriter) -> None:
        self.stream, self.writer = stream, writer
        self.framing = Framing()
        self.asked_at: float | None = None
        """When we asked for the TAK protocol; while waiting for the answer nothing may be sent."""
        self._complained = False

    def patience(self, silence: float) -> float:
        """Seconds that the next read may take."""
        if self.asked_at is None:
            return silence
        return max(0.0, min(silence, self.asked_at + ANSWER_SECONDS - asyncio.get_running_loop().time()))

    async def keep_alive(self) -> None:
        """Pings until cancelled. A dead connection shows itself to the reader."""
        uid = f"{self.stream.uid}-ping"
        with contextlib.suppress(OSError):
            while True:
                if self.asked_at is None:
                    now = self.stream.services.clock.now()
                    self.writer.write(
                        takproto.frame(takproto.write_message("t-x-c-t", uid, now))
                        if self.framing.binary
                        else cot.write("t-x-c-t", uid, now)
                    )
                    await self.writer.drain()
                await asyncio.sleep(self.stream.ping_seconds)

    def next(self) -> Received | bool | None:
        """The next event; true for bytes that were dealt with here, null when more must come."""
        body = self.framing.next()
        if body is None:
            return None
        binary = self.framing.binary
        try:
            event = takproto.read_message(body) if binary else cot.parse(body) if body else None
        except BadPayload as fault:
            if not self._complained:
                self._complained = True
                self.stream.services.log.warning(
                    "vendor.bad_event", integration=self.stream.integration.key, error=fault.message, path=fault.path
                )
            return True
        if event is None:
            return True
        if event.type.startswith("t-x-takp-"):
            self._negotiate(event)
            return True
        payload = Payload(
            body=takproto.frame(body) if binary else body,
            headers={"content-type": "application/x-protobuf" if binary else "application/xml"},
        )
        return Received(event, payload, FRAME if binary else XML)

    def _negotiate(self, event: Event) -> None:
        control = event.detail.one("TakControl")
        if control is None or self.framing.binary:
            return
        offered = {each.get("version") for each in control.all("TakProtocolSupport")}
        if event.type == "t-x-takp-v" and "1" in offered and self.stream.protobuf and self.asked_at is None:
            now = self.stream.services.clock.now()
            wish = '<TakControl><TakRequest version="1"/></TakControl>'
            self.writer.write(cot.write("t-x-takp-q", event.uid, now, detail=wish))
            self.asked_at = asyncio.get_running_loop().time()
        elif event.type == "t-x-takp-r" and self.asked_at is not None:
            self.asked_at = None
            answer = control.one("TakResponse")
            if answer is not None and (answer.get("status") or "").lower() == "true":
                self.framing.switch()
