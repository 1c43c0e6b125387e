"""The Modbus gateway by itself: frames as the specification has them."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator

import pytest

from sandbox.modbus import Gateway, create
from sandbox.standin import Failure
from sandbox.world import World
from tests.connectors.contract import NOW

WORLD = World(lambda: NOW)


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    made = create(WORLD)
    await made.start()
    yield made
    await made.stop()


async def asked(gateway: Gateway, *frames: str) -> list[str]:
    """The answers to frames over one connection, in hexadecimal; the last is empty when the gateway hung up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    found = []
    for frame in frames:
        writer.write(bytes.fromhex(frame))
        head = await reader.read(7)
        body = await reader.read(int.from_bytes(head[4:6], "big") - 1) if len(head) == 7 else b""
        found.append((head + body).hex())
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return found


async def test_registers_of_a_press(gateway: Gateway) -> None:
    state = WORLD.machine_by_id["press-2"].state_at(NOW)
    (answer,) = await asked(gateway, "0007000000060203000a0002")
    force = struct.pack(">f", state.force_kn).hex()
    assert answer == f"000700000007020304{force}"


async def test_bits_are_packed_from_the_lowest(gateway: Gateway) -> None:
    assert await asked(gateway, "000100000006010200000002") == ["00010000000401020101"]


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ("000500000006010300c80001", "000500000003018302"),
        ("000500000006010300000000", "000500000003018303"),
        ("00050000000601030000007e", "000500000003018303"),
        ("000500000006010600030063", "000500000003018601"),
        ("000500000006090300000001", "00050000000309830b"),
    ],
)
async def test_exceptions(gateway: Gateway, request_: str, answer: str) -> None:
    assert await asked(gateway, request_) == [answer]


async def test_what_is_no_frame_is_hung_up_on(gateway: Gateway) -> None:
    assert await asked(gateway, "000500010006010300000001") == [""]


async def test_planned_failures(gateway: Gateway) -> None:
    read = "000100000006010300000001"
    gateway.faults.fail_next = [Failure(status=503), Failure(status=4), Failure(drop=True)]
    assert await asked(gateway, read, read, read) == ["000100000003018306", "000100000003018304", ""]
    gateway.strange_transaction = gateway.strange_unit = 1
    (answer,) = await asked(gateway, read)
    assert answer.startswith("000800000005020302")
    assert gateway.faults.calls == {("FC03", "/1/holding"): 4}


async def test_down_closes_and_refuses(gateway: Gateway) -> None:
    read = "000100000006010300000001"
    gateway.faults.down = True
    with contextlib.suppress(ConnectionError):
        assert await asked(gateway, read) == [""]
    gateway.faults.down = False
    assert len((await asked(gateway, read))[0]) == 22
    assert gateway.addresses == (f"tcp://127.0.0.1:{gateway.port}",)


async def test_a_port_that_is_taken_is_said(gateway: Gateway) -> None:
    with pytest.raises(RuntimeError, match=f"cannot listen on 127.0.0.1:{gateway.port}"):
        await create(WORLD, port=gateway.port).start()
