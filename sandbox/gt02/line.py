"""A tracker's line to the server: TCP or UDP, and all that goes wrong on it."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from sandbox.gt02.trackers import Device, Sent
from sandbox.standin import Failure, Faults, Seen

GARBAGE: Final = bytes.fromhex("7878ff00ffee0d0a686800aa55787878")
"""Half frames, starts of frames, an end."""
SPLIT_S: Final = 0.05
PAUSE_S: Final = 2.0
LONGEST_PAUSE_S: Final = 30.0


def spoilt(data: bytes, how: object) -> bytes:
    """The frame as the named fault leaves it: `garbage` before it, a `bad-crc`, a `wrong-length`, the wrong `imei`."""
    if how == "garbage":
        return GARBAGE + data
    if how == "bad-crc":
        return data[:-3] + bytes((data[-3] ^ 0xFF,)) + data[-2:]
    if how == "wrong-length":
        return data[:2] + bytes((data[2] ^ 0x0F,)) + data[3:]
    if how == "imei" and data[3] == 0x01:
        return data[:4] + bytes(8) + data[12:]
    return data


class Line:
    """Keeps one device connected for as long as it runs."""

    def __init__(self, device: Device, target: tuple[str, int], faults: Faults, *, tick_s: float) -> None:
        self.device, self.target, self.faults, self.tick_s = device, target, faults, tick_s
        self.connections = 0
        self._transport: asyncio.BaseTransport | None = None

    async def run(self) -> None:
        """Reconnects with growing pauses while nobody answers."""
        pause = PAUSE_S
        while True:
            if not (self.faults.down or self.device.silent):
                answered = self.device.answered
                with contextlib.suppress(OSError):
                    await self._talk()
                pause = PAUSE_S if self.device.answered > answered else min(pause * 2, LONGEST_PAUSE_S)
                await asyncio.sleep(min(pause, self.tick_s * 15))
            await asyncio.sleep(self.tick_s)

    def drop(self) -> None:
        """Ends the connection without a word."""
        if self._transport is not None:
            abort: Callable[[], None] = getattr(self._transport, "abort", self._transport.close)
            abort()

    async def _talk(self) -> None:
        loop = asyncio.get_running_loop()
        end = _End(self.device)
        host, port = self.target
        if self.device.tracker.speech == "gt06-udp":
            transport: asyncio.BaseTransport
            transport, _ = await loop.create_datagram_endpoint(lambda: end, remote_addr=(host, port))
            send: Callable[[bytes], None] = transport.sendto
        else:
            transport, _ = await loop.create_connection(lambda: end, host, port)
            send = transport.write
        self._transport = transport
        self.connections += 1
        self.device.connected()
        try:
            while not (end.ended or self.faults.down or self.device.silent):
                due = self.device.due()
                if due is None:
                    return
                for sent in due:
                    if not await self._send(sent, send):
                        return
                await asyncio.sleep(self.tick_s)
        finally:
            self.drop()
            self._transport = None

    async def _send(self, sent: Sent, send: Callable[[bytes], None]) -> bool:
        """False when the line is dead afterwards."""
        faults = self.faults
        path = f"/{self.device.tracker.imei}"
        faults.note(Seen(faults.clock(), sent.kind, path, "", sent.kind.lower(), {}, sent.data.hex().encode()))
        if faults.delay_ms:
            await faults.sleep(faults.delay_ms / 1000)
        planned = faults.take(sent.kind, path)
        if not isinstance(planned, Failure):
            send(sent.data)
            return True
        if planned.delay_s:
            await faults.sleep(planned.delay_s)
        if planned.drop:
            send(sent.data[: len(sent.data) // 2])
            return False
        data = spoilt(sent.data, planned.body)
        if planned.half_body and self.device.tracker.speech != "gt06-udp":
            send(data[: len(data) // 2])
            await faults.sleep(SPLIT_S)
            data = data[len(data) // 2 :]
        send(data)
        return True


class _End(asyncio.Protocol, asyncio.DatagramProtocol):
    """Hears for the device."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.ended = False

    def data_received(self, data: bytes) -> None:
        self.device.heard(data)

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.device.heard(data)

    def error_received(self, exc: Exception) -> None:
        self.ended = True  # nobody listens there

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
