"""One line: a TCP connection or a serial port, which the machines behind it share. One request at a time."""

import asyncio
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.exceptions import ConnectionException, ModbusException, ModbusIOException
from pymodbus.framer import FramerType
from pymodbus.pdu import ExceptionResponse, ModbusPDU

from connectors.equipment.modbus.plan import Block
from connectors.equipment.modbus.settings import Modbus
from connectors.kit.errors import BadPayload, BadRequest, RateLimited, TimedOut, VendorDown, VendorError

TCP_PORT: Final = 502
_BUSY_PAUSE: Final = 0.5
ILLEGAL_ADDRESS: Final = "2"
_NAMES: Final = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "device failure",
    5: "acknowledge",
    6: "device busy",
    7: "negative acknowledge",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target gave no answer",
}


def exception_name(code: int) -> str:
    """The standard's name of an exception code."""
    return _NAMES.get(code, f"exception {code}")


def refusal(code: int, block: Block) -> VendorError:
    """What an exception answer to a read means."""
    said = f"answered exception {code} ({exception_name(code)})"
    names = ", ".join(each.where for each in block.registers[:5])
    more = f" and {len(block.registers) - 5} more" if len(block.registers) > 5 else ""
    match code:
        case 1:
            return BadRequest(
                f"{said}: it has no {block.kind} values; correct the kind of {names}{more}", vendor_code="1"
            )
        case 2:
            return BadRequest(f"{said}: correct the register map, it has no {names}{more}", vendor_code=ILLEGAL_ADDRESS)
        case 3:
            return BadRequest(
                f"{said}: it does not take {block.count} values in one request; lower registers_most", vendor_code="3"
            )
        case 5 | 6:
            return RateLimited(said, retry_after=_BUSY_PAUSE, vendor_code=str(code))
        case 4 | 8 | 10 | 11:
            return VendorDown(said, vendor_code=str(code))
    return BadPayload(said, path="$", vendor_code=str(code))


class Line:
    """`target` names it in messages."""

    def __init__(self, url: str, options: Modbus, *, timeout: float) -> None:
        parts = urlsplit(url)
        self.target = f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")
        self.serial = parts.scheme == "rtu"
        self._host, self._port, self._path = parts.hostname or "", parts.port or TCP_PORT, parts.path
        self._options, self._timeout = options, timeout
        self._lock = asyncio.Lock()
        self._client: AsyncModbusTcpClient | AsyncModbusSerialClient | None = None
        self._sent = b""
        self._stray: str | None = None
        self._lost = asyncio.Event()

    async def read(self, unit: int, block: Block) -> Sequence[int] | Sequence[bool]:
        """The words (bits of coils and discrete inputs) of a block. Raises `VendorError`s, or what pymodbus raises
        (see `explain`). A line on which something went wrong is closed, so that no late answer is taken for the
        next request's: a serial line has no transaction numbers."""
        async with self._lock:
            whole = False
            try:
                client = await self._open()
                answer = await self._ask(client, unit, block)
                whole = True
            finally:
                if not whole:
                    self.close()
        if isinstance(answer, ExceptionResponse):
            raise refusal(answer.exception_code, block)
        if block.kind in ("coil", "discrete"):
            return answer.bits[: block.count]
        return answer.registers

    async def _open(self) -> AsyncModbusTcpClient | AsyncModbusSerialClient:
        if self._client is not None and self._client.connected:
            return self._client
        self.close()
        if self.serial:
            self._client = AsyncModbusSerialClient(
                self._path,
                framer=FramerType.RTU,
                baudrate=self._options.baudrate,
                parity=self._options.parity,
                stopbits=self._options.stop_bits,
                timeout=self._timeout,
                retries=0,
                reconnect_delay=0,
                trace_packet=self._trace,
                trace_connect=self._connected,
            )
        else:
            self._client = AsyncModbusTcpClient(
                self._host,
                port=self._port,
                timeout=self._timeout,
                retries=0,
                reconnect_delay=0,
                trace_packet=self._trace,
                trace_connect=self._connected,
            )
        if not await self._client.connect():
            raise VendorDown("cannot open the serial port" if self.serial else "cannot connect")
        return self._client

    async def _ask(self, client: AsyncModbusTcpClient | AsyncModbusSerialClient, unit: int, block: Block) -> ModbusPDU:
        ask = {
            "coil": client.read_coils,
            "discrete": client.read_discrete_inputs,
            "holding": client.read_holding_registers,
            "input": client.read_input_registers,
        }[block.kind]
        self._stray = None
        request = asyncio.ensure_future(ask(block.start, count=block.count, device_id=unit))
        lost = asyncio.create_task(self._lost.wait())
        try:
            # pymodbus would wait for the answer of a connection that is gone
            await asyncio.wait((request, lost), return_when=asyncio.FIRST_COMPLETED)
            if not request.done():
                lost_line = VendorDown("the connection broke off")
                raise lost_line if self._stray is None else BadPayload(self._stray, path="$")
            answer = request.result()
        except ModbusIOException as fault:
            if self._stray is not None:
                raise BadPayload(self._stray, path="$") from fault
            raise
        finally:
            for task in (request, lost):
                task.cancel()
            await asyncio.gather(request, lost, return_exceptions=True)
        self._check(answer, unit, block)
        return answer

    def _connected(self, stands: bool) -> None:
        if stands:
            self._lost.clear()
        else:
            self._lost.set()

    def _check(self, answer: ModbusPDU, unit: int, block: Block) -> None:
        """That the answer is to our request. pymodbus takes a transaction number 0 for any, and any function."""
        transaction = int.from_bytes(self._sent[:2], "big")
        function = self._sent[1] if self.serial else self._sent[7]
        if not self.serial and answer.transaction_id != transaction:
            raise BadPayload(
                f"an answer to another request came: transaction {answer.transaction_id} instead of {transaction}",
                path="$",
            )
        if answer.dev_id != unit or answer.function_code & 0x7F != function:
            raise BadPayload(
                f"an answer to another request came: function {answer.function_code & 0x7F} of unit {answer.dev_id} "
                f"instead of function {function} of unit {unit}",
                path="$",
            )
        if isinstance(answer, ExceptionResponse):
            return
        got = len(answer.bits) // 8 if block.kind in ("coil", "discrete") else len(answer.registers)
        wanted = (block.count + 7) // 8 if block.kind in ("coil", "discrete") else block.count
        if got != wanted:
            raise BadPayload(
                f"{block.count} values were asked for from {block.kind} {block.start} on, an answer of another length "
                "came",
                path="$",
            )

    def _trace(self, sending: bool, data: bytes) -> bytes:
        """Remembers what was asked, and notes answers to what was not: pymodbus passes over them in silence."""
        if sending:
            self._sent = data
        elif self._sent and data:
            if self.serial:
                if data[0] != self._sent[0]:
                    self._stray = f"unit {data[0]} answered instead of unit {self._sent[0]}"
            elif len(data) >= 4 and data[2:4] != b"\0\0":
                self._stray = "what came is no answer of Modbus TCP; does something else listen there?"
            elif len(data) >= 8 and (data[:2] != self._sent[:2] or data[6] != self._sent[6]):
                self._stray = (
                    f"an answer to another request came: transaction {int.from_bytes(data[:2], 'big')} of unit "
                    f"{data[6]} instead of transaction {int.from_bytes(self._sent[:2], 'big')} of unit {self._sent[6]}"
                )
        return data

    def close(self) -> None:
        """Closes what is open; the next read opens it again."""
        if self._client is not None:
            self._client.close()
            self._client = None


def explain(fault: Exception) -> VendorError | None:
    """What an exception of pymodbus means; its texts are replaced, they speak of pymodbus's insides."""
    match fault:
        case ModbusIOException():
            return TimedOut("no answer in time")
        case ConnectionException() | OSError():
            return VendorDown("the line is not open: the connection broke off, or the port cannot be used")
        case ModbusException():
            return BadPayload("an answer that is no Modbus came", path="$")
        case RuntimeError() if "closed" in str(fault):  # uvloop's word for a connection that went a moment ago
            return VendorDown("the connection broke off")
    return None
