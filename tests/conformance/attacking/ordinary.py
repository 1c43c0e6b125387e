"""What ordinary callers may do at once, done once: so that memory is compared with that of a server in service.

A server that has just started has not filled what it keeps within bounds (documents, prices), nor has its allocator met
the most connections, subscriptions and operations that the limits allow: what it takes for them it does not give back.
"""

import asyncio
import json

from tests.conformance.attacking.sockets import LARGE, VEHICLES
from tests.conformance.attacking.target import KEY, Target, token
from tests.conformance.attacking.wire import Line, request

CALLERS = 10
OPERATIONS, SUBSCRIPTIONS, CONNECTIONS = 50, 200, 450
"""Of one caller, and of one address: what the limits allow."""
DOCUMENTS = 120
"""More than are kept."""
ROUNDS = 2


async def serve_ordinary(target: Target) -> None:
    """Raises `AssertionError` where the server refuses any of it."""
    await asyncio.gather(*(_documents(target, number) for number in range(CALLERS)))
    for _ in range(ROUNDS):
        answers = await asyncio.gather(*(target.ask(LARGE) for _ in range(OPERATIONS)))
        assert {answer.status for answer in answers} == {200}, answers[0]
        await _sockets(target)
        await _streams(target)
        await _connections(target)


async def _documents(target: Target, caller: int) -> None:
    """Different ones, of a caller of its own: each may take only a share of the time."""
    as_caller = {"Authorization": f"Bearer {token(sub=f'ordinary-{caller}')}"}
    fields = " ".join(f"field{n}WithALongName: name" for n in range(90))
    for number in range(DOCUMENTS // CALLERS):
        text = f'query Ordinary{caller}x{number} {{ __type(name: "Order") {{ {fields} }} }}'
        raw = request(body=json.dumps({"query": text}).encode(), headers=as_caller)
        answer = await target.raw(raw)
        assert answer.status == 200, answer


async def _sockets(target: Target) -> None:
    sockets = await asyncio.gather(*(target.admitted() for _ in range(2)))
    try:
        for socket in sockets:
            for number in range(SUBSCRIPTIONS // len(sockets)):
                payload = {"query": VEHICLES}
                await socket.say({"type": "subscribe", "id": str(number), "payload": payload})
        for socket in sockets:
            told = set()
            while len(told) < SUBSCRIPTIONS // len(sockets):
                message = await socket.receive()
                assert message is not None, f"closed with {socket.code}"
                assert message["type"] == "next", message
                told.add(message["id"])
    finally:
        for socket in sockets:
            socket.line.close()
    await asyncio.sleep(0.5)


async def _streams(target: Target) -> None:
    raw = _subscribing()
    lines = await asyncio.gather(*(Line.open(target.port) for _ in range(SUBSCRIPTIONS)))
    try:
        for line in lines:
            await line.send(raw)
        heads = await asyncio.gather(*(line.head() for line in lines))
        assert {head.status for head in heads} == {200}, heads[0]
        await asyncio.sleep(1)
    finally:
        for line in lines:
            line.close()
    await asyncio.sleep(0.5)


def _subscribing() -> bytes:
    headers = {"X-API-Key": KEY, "Accept": "text/event-stream"}
    return request(body=json.dumps({"query": VEHICLES}).encode(), headers=headers)


async def _connections(target: Target) -> None:
    lines = await asyncio.gather(*(Line.open(target.port) for _ in range(CONNECTIONS)))
    try:
        for line in lines:
            await line.send(request("GET", "/health/live"))
        answers = await asyncio.gather(*(line.answer() for line in lines))
        assert {answer.status for answer in answers} == {200}, answers[0]
    finally:
        for line in lines:
            line.close()
    await asyncio.sleep(0.5)
