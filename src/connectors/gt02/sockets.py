"""The ends that trackers talk to: a TCP connection, and the sender of datagrams. All decisions are the listener's."""

import asyncio
from typing import Protocol, cast

from connectors.gt02.session import Session


class Door(Protocol):
    """Who decides."""

    def opened(self, link: "Link") -> None: ...

    def received(self, link: "Link", data: bytes) -> None: ...

    def hang_up(self, link: "Link", reason: str) -> None: ...

    def lost(self, link: "Link") -> None: ...

    def datagram(self, data: bytes, address: tuple[str, int]) -> None: ...


class Peer(Protocol):
    """Whom answers go to. `awaits` is the delivery of its last data frame, which may not be safe yet."""

    awaits: str

    def send(self, data: bytes) -> None: ...


class Link(asyncio.Protocol):
    """One TCP connection. `session` is null before it is let in and after it has ended."""

    __slots__ = ("_door", "address", "awaits", "held", "imei", "session", "transport")

    def __init__(self, door: Door) -> None:
        self._door = door
        self.transport: asyncio.Transport | None = None
        self.session: Session | None = None
        self.address = ""
        self.imei = ""
        """Of the tracker that it belongs to; empty before it has said who it is."""
        self.awaits = ""
        self.held = False
        """Reading is paused, because what was read cannot be delivered."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if peer else ""
        self._door.opened(self)

    def data_received(self, data: bytes) -> None:
        self._door.received(self, data)

    def pause_writing(self) -> None:
        self._door.hang_up(self, "it does not read its answers")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - how it ended does not matter
        self._door.lost(self)
        self.session = self.transport = None

    def send(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.write(data)

    def abort(self) -> None:
        self.session = None
        if self.transport is not None:
            self.transport.abort()


class Caller:
    """The sender of datagrams: nothing tells when it goes, so it is forgotten after a while."""

    __slots__ = ("_address", "_transport", "awaits", "session")

    def __init__(self, transport: asyncio.DatagramTransport, address: tuple[str, int], session: Session) -> None:
        self._transport, self._address, self.session = transport, address, session
        self.awaits = ""

    def send(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.sendto(data, self._address)


class Datagrams(asyncio.DatagramProtocol):
    """The UDP socket."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._door.datagram(data, addr)
