"""The listener: TCP and UDP, ten thousand trackers at once. What frames mean is elsewhere.

Nothing here grows without bound: connections, those of one address, bytes that wait, deliveries that wait, answers that
wait. When deliveries are not taken as fast as they come, reading from connections pauses; datagrams are dropped and
counted.
"""

import asyncio
import sys
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, Protocol, TypeVar

import msgspec

from connectors.gt02.once import Once
from connectors.gt02.session import LOGINS_IN_A_ROW, Finding, Heard, Session
from connectors.gt02.settings import Settings, Tracker
from connectors.gt02.sockets import Caller, Datagrams, Link, Peer
from connectors.kit.protocols import Raw
from connectors.kit.services import Services

K = TypeVar("K")

WAITING_MOST: Final = 2_000
"""Deliveries that wait; then reading pauses until half of them are taken."""
UNCONFIRMED_MOST: Final = 20_000
"""Answers that wait until their delivery is safe; more than what can be on its way there."""
SWEEP_SECONDS: Final = 1.0
CUT_AFTER_SECONDS: Final = 2.0
"""How long a frame may seem incomplete although it ends with CR LF: then its length field is wrong."""
BACKLOG: Final = 4_096
WRITE_MOST: Final = 16_384
"""Bytes of answers that a device has not taken; then it takes none at all."""
_SPARE_FILES: Final = 256


class Desk(Protocol):
    """Makes deliveries of what is heard; each may be null, when there is nothing to say."""

    def report(self, heard: Heard, session: Session, now: datetime) -> Raw | None: ...

    def online_again(self, device: Tracker, now: datetime) -> Raw | None: ...

    def offline(self, imei: str, now: datetime) -> Raw | None: ...


class Figures(msgspec.Struct, kw_only=True):
    """What has been seen since the listener was opened."""

    connections: int = 0
    """Open now."""
    accepted: int = 0
    turned_away: int = 0
    """Connections beyond the bounds."""
    frames: int = 0
    passed_over: int = 0
    """Frames of strangers, echoes, frames with a wrong checksum where that matters, types that are not read."""
    datagrams: int = 0
    datagrams_dropped: int = 0
    pauses: int = 0
    """How often reading from a connection has paused."""


class Listener:
    """Of one integration. `open` it, read its `raws`, `close` it."""

    def __init__(
        self, settings: Settings, registry: Mapping[str, Tracker], desk: Desk, services: Services, integration: str
    ) -> None:
        self.settings, self.registry, self.desk = settings, registry, desk
        self.services, self.integration = services, integration
        self.figures = Figures()
        self.port = 0
        """The one it really listens on."""
        self._server: asyncio.Server | None = None
        self._datagrams: asyncio.DatagramTransport | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self._strangers: OrderedDict[Link, float] = OrderedDict()
        """Connections of nobody yet, by when they were opened."""
        self._links: OrderedDict[Link, float] = OrderedDict()
        """Connections of trackers, by when they were heard last."""
        self._addresses: Counter[str] = Counter()
        self._link_of: dict[str, Link] = {}
        self._heard: OrderedDict[str, float] = OrderedDict()
        """Trackers that are online, by when they were heard last."""
        self._incomplete: dict[Link, float] = {}
        """Connections with half a frame, and since when."""
        self._callers: OrderedDict[tuple[str, int], tuple[Caller, float]] = OrderedDict()
        self._held: deque[Link] = deque()
        self._waiting: deque[Raw] = deque()
        self._there = asyncio.Event()
        self._closing = False
        self._confirms = False
        self._unconfirmed: OrderedDict[str, tuple[Peer, bytes]] = OrderedDict()
        self._once = Once(services.clock)

    # --- its life

    async def open(self, *, online: Iterable[str] = ()) -> None:
        """`online` are trackers that were so before: those that stay silent go offline. Raises `OSError`."""
        loop = asyncio.get_running_loop()
        host = self.settings.host
        self._server = await loop.create_server(lambda: Link(self), host, self.settings.port, backlog=BACKLOG)
        self.port = int(self._server.sockets[0].getsockname()[1])
        if self.settings.udp:
            try:
                self._datagrams, _ = await loop.create_datagram_endpoint(
                    lambda: Datagrams(self), local_addr=(host, self.port)
                )
            except OSError:
                await self.close()
                raise
        now = self.services.clock.monotonic()
        self._heard.update((imei, now) for imei in online)
        self._sweeper = asyncio.create_task(self._sweep_for_ever())
        self._sweeper.add_done_callback(lambda _: self._there.set())
        self._check_descriptors()

    def _check_descriptors(self) -> None:
        if sys.platform == "win32":  # it has no such limit, and no such module
            return
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = min(self.settings.most_connections, len(self.registry)) + _SPARE_FILES
        if limit != resource.RLIM_INFINITY and limit < wanted:
            self.services.log.warning(
                "vendor.few_descriptors", integration=self.integration, limit=limit, wanted=wanted
            )

    def stop(self) -> None:
        """Ends `raws`; returns at once."""
        self._closing = True
        self._there.set()

    async def close(self) -> None:
        """Ends everything at once, whatever the other ends do."""
        self.stop()
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        if self._server is not None:
            self._server.close()
        for link in (*self._strangers, *self._links):
            link.abort()
        if self._datagrams is not None:
            self._datagrams.abort()
        self._waiting.clear()
        self._held.clear()
        self._callers.clear()
        self._unconfirmed.clear()
        await asyncio.sleep(0)  # aborted transports tell so in the next round of the loop

    async def raws(self) -> AsyncIterator[Raw]:
        """What arrives, until `stop`."""
        while not self._closing:
            if self._sweeper is not None and self._sweeper.done():
                self._sweeper.result()  # it only ends by a bug: whoever runs us starts anew
            if self._waiting:
                raw = self._waiting.popleft()
                if self._held and len(self._waiting) <= WAITING_MOST // 2:
                    self._resume()
                yield raw
            else:
                self._there.clear()
                await self._there.wait()

    def kept(self, raws: Sequence[Raw]) -> None:
        """These deliveries are safe: their trackers are answered now. From the first call on, none before that."""
        self._confirms = True
        for raw in raws:
            waiting = self._unconfirmed.pop(raw.delivery_id, None)
            if waiting is not None:
                waiting[0].send(waiting[1])

    # --- connections

    def opened(self, link: Link) -> None:
        settings, figures = self.settings, self.figures
        if self._closing or figures.connections >= settings.most_connections:
            self._turn_away(link, "there are too many connections")
        elif self._addresses[link.address] >= settings.most_per_address:
            self._turn_away(link, "there are too many connections from its address")
        else:
            assert link.transport is not None
            link.transport.set_write_buffer_limits(high=WRITE_MOST)
            link.session = self._session()
            figures.accepted += 1
            figures.connections += 1
            self._addresses[link.address] += 1
            self._strangers[link] = self.services.clock.monotonic()

    def _session(self) -> Session:
        return Session(self.registry, self.settings.families, strict=self.settings.crc == "strict")

    def _turn_away(self, link: Link, reason: str) -> None:
        self.figures.turned_away += 1
        link.abort()
        if self._once.first(reason, link.address):
            self.services.log.warning(
                "vendor.connection_refused", integration=self.integration, address=link.address, reason=reason
            )

    def hang_up(self, link: Link, reason: str) -> None:
        if link.session is None:
            return
        device = link.session.device
        imei = device.imei if device is not None else None
        if self._once.first(reason, imei or link.address):
            self.services.log.warning(
                "vendor.hung_up", integration=self.integration, address=link.address, device=imei, reason=reason
            )
        link.abort()

    def lost(self, link: Link) -> None:
        if self._strangers.pop(link, None) is None and self._links.pop(link, None) is None:
            return  # it was turned away
        self._incomplete.pop(link, None)
        self.figures.connections -= 1
        self._addresses[link.address] -= 1
        if not self._addresses[link.address]:
            del self._addresses[link.address]
        if self._link_of.get(link.imei) is link:
            del self._link_of[link.imei]

    def received(self, link: Link, data: bytes) -> None:
        if link.session is not None:
            link.session.feed(data)
            self._work(link)

    def _work(self, link: Link, *, final: bool = False) -> None:
        """Deals with all frames that have come, as long as there is room for what they bring."""
        session, clock = link.session, self.services.clock
        if session is None or link.held:
            return
        now, seconds = clock.now(), clock.monotonic()
        for heard in session.heard(now, final=final):
            if heard.device is not None:
                self._belongs(link, heard.device, seconds)
            if not self._deal(heard, session, link, now):
                self.hang_up(link, heard.reason)
                return
            if len(self._waiting) >= WAITING_MOST:
                self._hold(link)
                return
        if session.unbearable:
            self.hang_up(link, session.unbearable)
        elif session.waiting:
            self._incomplete.setdefault(link, seconds)
        else:
            self._incomplete.pop(link, None)

    def _belongs(self, link: Link, device: Tracker, seconds: float) -> None:
        """The connection is this tracker's: an older one of it is dead, and does not know it yet."""
        imei = device.imei
        if link.imei != imei:
            self._strangers.pop(link, None)
            older = self._link_of.get(imei)
            self._link_of[imei] = link
            link.imei = imei
            if older is not None and older is not link:
                older.abort()
        self._links[link] = seconds
        self._links.move_to_end(link)

    def _deal(self, heard: Heard, session: Session, peer: Peer, now: datetime) -> bool:
        """Delivers and answers; false when the other end is not to be talked to."""
        self.figures.frames += 1
        finding, device = heard.finding, heard.device
        if finding is Finding.REFUSED:
            return False
        if device is not None:
            self._heard[device.imei] = self.services.clock.monotonic()
            self._heard.move_to_end(device.imei)
        raw: Raw | None = None
        if finding is Finding.REPORT:
            raw = self.desk.report(heard, session, now)
        elif finding is Finding.PASSED:
            self.figures.passed_over += 1
        elif device is not None:
            raw = self.desk.online_again(device, now)
            if session.logins >= LOGINS_IN_A_ROW and self._once.first("logins", device.imei):
                self.services.log.warning(
                    "vendor.login_loop", integration=self.integration, device=device.imei, logins=session.logins
                )
        if raw is not None:
            self._deliver(raw)
        if heard.reply:
            self._answer(peer, heard, raw)
        return True

    def _answer(self, peer: Peer, heard: Heard, raw: Raw | None) -> None:
        """At once, but for data that is not safe yet where somebody will say when it is."""
        if self._confirms and heard.finding is Finding.REPORT and raw is not None:
            peer.awaits = raw.delivery_id
            self._unconfirmed[raw.delivery_id] = (peer, heard.reply)
            if len(self._unconfirmed) > UNCONFIRMED_MOST:
                self._unconfirmed.popitem(last=False)
        elif heard.finding is not Finding.REPEATED or peer.awaits not in self._unconfirmed:
            peer.send(heard.reply)

    def _deliver(self, raw: Raw) -> None:
        self._waiting.append(raw)
        self._there.set()

    # --- back-pressure

    def _hold(self, link: Link) -> None:
        if link.transport is not None:
            link.held = True
            link.transport.pause_reading()
            self._held.append(link)
            self.figures.pauses += 1

    def _resume(self) -> None:
        """Goes on with those that were held first, as far as there is room."""
        while self._held and len(self._waiting) < WAITING_MOST:
            link = self._held.popleft()
            link.held = False
            if link.session is None:
                continue
            self._work(link)
            if not link.held and link.session is not None and link.transport is not None:
                link.transport.resume_reading()

    # --- datagrams

    def datagram(self, data: bytes, address: tuple[str, int]) -> None:
        figures, clock = self.figures, self.services.clock
        figures.datagrams += 1
        if self._closing or self._datagrams is None:
            return
        if len(self._waiting) >= WAITING_MOST:
            figures.datagrams_dropped += 1
            if self._once.first("datagrams"):
                self.services.log.warning("vendor.datagrams_dropped", integration=self.integration)
            return
        known = self._callers.get(address)
        caller = known[0] if known is not None else Caller(self._datagrams, address, self._session())
        session, now = caller.session, clock.now()
        session.feed(data)
        for heard in session.heard(now, final=True):
            if not self._deal(heard, session, caller, now):
                self._callers.pop(address, None)
                if self._once.first(heard.reason):
                    self.services.log.warning(
                        "vendor.hung_up", integration=self.integration, address=address[0], reason=heard.reason
                    )
                return
        if session.device is None:
            return  # nobody is remembered who has not said who it is
        self._callers[address] = (caller, clock.monotonic())
        self._callers.move_to_end(address)
        while len(self._callers) > self.settings.most_connections:
            self._callers.popitem(last=False)

    # --- time

    async def _sweep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self.sweep()

    def sweep(self) -> None:
        """What time alone brings: connections that say nothing, half frames, trackers that are silent."""
        clock, settings = self.services.clock, self.settings
        seconds, now = clock.monotonic(), clock.now()
        for link in _older(self._strangers, seconds - settings.login_seconds):
            self.hang_up(link, "it does not say who it is")
        for link in _older(self._links, seconds - settings.idle_seconds):
            self.hang_up(link, f"nothing was heard of it for {settings.idle_seconds:g} s")
        for link, since in list(self._incomplete.items()):
            if link.session is not None and seconds - since >= CUT_AFTER_SECONDS and link.session.ends_whole:
                self._work(link, final=True)
        while self._callers:
            address, (_, heard_at) = next(iter(self._callers.items()))
            if seconds - heard_at < settings.idle_seconds:
                break
            del self._callers[address]
        for imei in _older(self._heard, seconds - settings.idle_seconds):
            del self._heard[imei]
            raw = self.desk.offline(imei, now)
            if raw is not None:
                self._deliver(raw)


def _older(by_time: OrderedDict[K, float], limit: float) -> list[K]:
    """Those whose time is before the limit; the oldest come first."""
    found = []
    for key, at in by_time.items():
        if at > limit:
            break
        found.append(key)
    return found
