"""WebSockets and streams: messages that are none, floods, readers that do not read."""

import asyncio
import json
import time
from typing import Any

from tests.conformance.attacking.listing import Attack, answered, attack, table
from tests.conformance.attacking.target import KEY, OPERATOR, Target, token
from tests.conformance.attacking.wire import BINARY, CLOSE, PING, Line, Socket, frame, handshake, request

VEHICLES = "subscription { vehicleChanged { id name state position { latitude longitude speedKmh } } }"
OWN = {"X-API-Key": KEY}
_PIECE = 65_536
_TOLD_SECONDS = 0.02


def _closes(row: tuple[bytes, int]) -> Attack:
    """What is sent after `connection_ack`, and the code that the socket is closed with."""
    raw, code = row

    async def run(target: Target) -> None:
        async with await target.admitted() as socket:
            closing = asyncio.ensure_future(socket.until_closed())
            for start in range(0, len(raw), _PIECE):
                # once it is told, nothing more is sent: a reset would take the close frame with it
                if not await socket.line.send(raw[start : start + _PIECE]):
                    break
                if (await asyncio.wait({closing}, timeout=_TOLD_SECONDS if len(raw) > _PIECE else 0))[0]:
                    break
            found = await closing
            assert found == code, f"closed with {found} {socket.reason!r}, not {code}"

    return run


def _text(message: Any) -> bytes:
    return frame(message.encode() if isinstance(message, str) else json.dumps(message).encode())


_SUBSCRIBE = {"type": "subscribe", "id": "1"}

table(
    "message",
    {
        "an array": (_text([]), 4400),
        "null": (_text(None), 4400),
        "a number": (_text(7), 4400),
        "a text": (_text('"ping"'), 4400),
        "no JSON": (_text("{"), 4400),
        "nothing": (_text(""), 4400),
        "NaN": (_text('{"type":"ping","payload":{"a":NaN}}'), 4400),
        "10,000 deep": (_text("[" * 10_000 + "]" * 10_000), 4400),
        "an integer of 5,000 digits": (_text('{"type":"ping","payload":{"a":' + "9" * 5_000 + "}}"), 4400),
        "a lone surrogate": (_text('{"type":"ping","payload":{"a":"\\udfff"}}'), 4400),
        "bytes": (frame(b'{"type":"ping"}', BINARY), 4400),
        "no type": (_text({"id": "1"}), 4400),
        "a type that is a number": (_text({"type": 1}), 4400),
        "an unknown type": (_text({"type": "start", "id": "1"}), 4400),
        "a type of 100 KB": (_text({"type": "t" * 100_000}), 4400),
        "subscribe without id": (_text({"type": "subscribe", "payload": {"query": "{ __typename }"}}), 4400),
        "an id that is an object": (_text({"type": "subscribe", "id": {}, "payload": {"query": "{a}"}}), 4400),
        "an id of 10 KB": (_text({"type": "subscribe", "id": "i" * 10_000, "payload": {"query": "{a}"}}), 4400),
        "subscribe without payload": (_text(_SUBSCRIBE), 4400),
        "payload null": (_text(_SUBSCRIBE | {"payload": None}), 4400),
        "payload an array": (_text(_SUBSCRIBE | {"payload": []}), 4400),
        "query a number": (_text(_SUBSCRIBE | {"payload": {"query": 1}}), 4400),
        "variables a text": (_text(_SUBSCRIBE | {"payload": {"query": "{a}", "variables": "x"}}), 4400),
        "ping with a text": (_text({"type": "ping", "payload": "x"}), 4400),
        "a second connection_init": (_text({"type": "connection_init"}), 4429),
        "an id that is in use": (
            _text(_SUBSCRIBE | {"payload": {"query": VEHICLES}}) + _text(_SUBSCRIBE | {"payload": {"query": VEHICLES}}),
            4409,
        ),
        "text that is no UTF-8": (frame(b"\xff\xfe\xfd"), 1007),
        "a frame without mask": (frame(b'{"type":"ping"}', masked=False), 1002),
        "an unknown opcode": (frame(b"x", 5), 1002),
        "reserved bits": (b"\xf1" + frame(b"x")[1:], 1002),
        "a ping of 200 bytes": (frame(b"p" * 200, PING), 1002),
        "a ping in parts": (frame(b"p", PING, fin=False), 1002),
        "a part of nothing": (frame(b"x", 0), 1002),
        "a new message within another": (frame(b"x", fin=False) + frame(b"y"), 1002),
        "a close of one byte": (frame(b"\x03", CLOSE), 1002),
        "a close with a code that is none": (frame(b"\x00\x01", CLOSE), 1002),
        "a message of 5 MB": (frame(b" " * (5 << 20)), 1009),
        "a message said to have 2^62 bytes": (b"\x81\xff" + b"\x40" + b"\0" * 7 + b"\0\0\0\0", 1009),
        "a message of 5 MB in parts": (
            frame(b" " * 500_000, fin=False) + frame(b" " * 500_000, 0, fin=False) * 10, 1009,
        ),
        "a message of 100,000 empty parts": (frame(b"", fin=False) + frame(b"", 0, fin=False) * 100_000, 1008),
    },
    _closes,
)  # fmt: skip


def _first(row: tuple[Any, int]) -> Attack:
    """What is said first, and the code that the socket is closed with."""
    message, code = row

    async def run(target: Target) -> None:
        async with await target.socket() as socket:
            await socket.say(message)
            found = await socket.until_closed()
            assert found == code, f"closed with {found} {socket.reason!r}, not {code}"

    return run


def _init(payload: Any) -> dict[str, Any]:
    return {"type": "connection_init", "payload": payload}


table(
    "init",
    {
        "subscribe before it": (_SUBSCRIBE | {"payload": {"query": "{ __typename }"}}, 4401),
        "without credentials": ({"type": "connection_init"}, 4401),
        "payload an array": (_init([]), 4400),
        "payload a text": (_init("x"), 4400),
        "an unknown key": (_init({"X-API-Key": "guess"}), 4403),
        "a key that is an object": (_init({"X-API-Key": {"a": 1}}), 4401),
        "a key with a lone surrogate": ('{"type":"connection_init","payload":{"X-API-Key":"\\ud800"}}', 4400),
        "a key that is no ASCII": (_init({"X-API-Key": "ключ\u2028"}), 4403),
        "a key of 500 KB": (_init({"X-API-Key": "k" * 500_000}), 4403),
        "a key without the scope": (_init({"X-API-Key": OPERATOR}), 4403),
        "an expired token": (_init({"Authorization": f"Bearer {token(exp=int(time.time()) - 9)}"}), 4403),
        "a token of no issuer": (_init({"Authorization": "Bearer x.y.z"}), 4403),
    },
    _first,
)


@attack("init: never", patient=True)
async def _(target: Target) -> None:
    async with await target.socket() as socket:
        assert await socket.until_closed(15) == 4408


@attack("init: only pings", patient=True)
async def _(target: Target) -> None:
    async with await target.socket() as socket:

        async def pinging() -> None:
            for _ in range(50):
                if not await socket.say({"type": "ping"}):
                    return
                await asyncio.sleep(0.3)

        task = asyncio.ensure_future(pinging())
        assert await socket.until_closed(15) == 4408
        task.cancel()


@attack("init: 500 sockets that never do", patient=True)
async def _(target: Target) -> None:
    """Those beyond the bound are refused, the others ended."""
    opening = (Socket.open(target.port, source="127.0.0.4") for _ in range(500))
    answers = await asyncio.gather(*opening, return_exceptions=True)
    sockets = [each for each in answers if isinstance(each, Socket)]
    try:
        assert sockets
        codes = await asyncio.gather(*(each.until_closed(18) for each in sockets))
        assert set(codes) == {4408}, set(codes)
    finally:
        for each in sockets:
            each.line.close()
        await asyncio.sleep(2)


@attack("token: a socket whose token ends", patient=True)
async def _(target: Target) -> None:
    async with await target.socket() as socket:
        await socket.say(_init({"Authorization": f"Bearer {token(exp=int(time.time()) + 2)}"}))
        assert await socket.receive() == {"type": "connection_ack"}
        await socket.say(_SUBSCRIBE | {"payload": {"query": VEHICLES}})
        assert await socket.until_closed(10) == 4403


def _handshaken(row: tuple[dict[str, str], int]) -> Attack:
    headers, status = row

    async def run(target: Target) -> None:
        async with await Line.open(target.port) as line:
            await line.send(handshake(headers))
            answer = await line.answer()
            assert answer.status == status, answer

    return run


table(
    "handshake",
    {
        "without a key": ({"Sec-WebSocket-Key": ""}, 400),
        "a key that is none": ({"Sec-WebSocket-Key": "x"}, 400),
        "version 8": ({"Sec-WebSocket-Version": "8"}, 400),
        "30,000 protocols": ({"Sec-WebSocket-Protocol": ",".join(f"p{n}" for n in range(10_000))}, 431),
        "an extension that is none": (
            {"Sec-WebSocket-Extensions": "permessage-deflate; server_max_window_bits=x"}, 101,
        ),
        "a header of 10 KB": ({"X-A": "a" * 10_000}, 431),
        "300 headers": ({f"X-{n}": "1" for n in range(300)}, 431),
        "a name that is none": ({"X-A": "\xff\xfe"}, 101),
    },
    _handshaken,
)  # fmt: skip


@attack("handshake: another protocol")
async def _(target: Target) -> None:
    async with await target.socket({"Sec-WebSocket-Protocol": "graphql-ws"}) as socket:
        assert await socket.until_closed() == 4406


@attack("handshake: another address")
async def _(target: Target) -> None:
    async with await Line.open(target.port) as line:
        await line.send(handshake(path="/metrics"))
        assert (await line.answer()).status == 403


# --- operations ------------------------------------------------------------------------------------------


async def _errors(socket: Socket, payload: Any) -> str:
    await socket.say(_SUBSCRIBE | {"payload": payload})
    message = await socket.receive()
    assert message is not None, f"closed with {socket.code}"
    assert (message["type"], message["id"]) == ("error", "1"), message
    return str(message["payload"][0]["extensions"]["code"])


@attack("operation: a fault of one leaves the socket alone")
async def _(target: Target) -> None:
    async with await target.admitted() as socket:
        faults = {
            "{": "GRAPHQL_PARSE_FAILED",
            "{ nothing }": "GRAPHQL_VALIDATION_FAILED",
            "{ systems { " + "system " * 1_400 + "} }": "OVERLAP_LIMIT",
            "{ a(" + "x" * 200_000 + ") }": "CHARACTER_LIMIT",
            "query($id: ID!) { node(id: $id) { id } }": "BAD_USER_INPUT",
        }
        for document, code in faults.items():
            assert await _errors(socket, {"query": document}) == code
        assert (
            await _errors(socket, {"query": "{ __typename }", "operationName": "x"}) == "OPERATION_RESOLUTION_FAILURE"
        )
        await socket.say({"type": "ping"})
        assert await socket.receive() == {"type": "pong"}


@attack("flood: 5,000 subscribes on one socket")
async def _(target: Target) -> None:
    async with await target.admitted() as socket:
        sending = asyncio.ensure_future(
            socket.line.send(
                b"".join(
                    _text({"type": "subscribe", "id": str(n), "payload": {"query": VEHICLES}}) for n in range(5_000)
                )
            )
        )
        refused = 0
        while refused < 1_000:
            message = await socket.receive()
            assert message is not None, f"closed with {socket.code}"
            if message["type"] == "error":
                assert message["payload"][0]["extensions"]["code"] == "SUBSCRIPTION_LIMIT"
                refused += 1
        sending.cancel()


@attack("flood: 60 sockets of 60 subscriptions each")
async def _(target: Target) -> None:
    """More than one caller may have: refused by code, whatever sockets they come on."""
    sockets = await asyncio.gather(*(target.admitted() for _ in range(60)))
    codes: set[str] = set()

    async def fill(socket: Socket) -> None:
        for n in range(60):
            await socket.say({"type": "subscribe", "id": str(n), "payload": {"query": VEHICLES}})
        left = 60
        while left:
            message = await socket.receive(60)
            assert message is not None, f"closed with {socket.code}"
            if message["type"] == "error":
                codes.add(message["payload"][0]["extensions"]["code"])
                left -= 1
            elif message["type"] == "next":
                return

    try:
        await asyncio.gather(*(fill(socket) for socket in sockets))
        assert codes <= {"SUBSCRIPTION_LIMIT"}, codes
        await asyncio.sleep(1)
        extra = await target.admitted()
        sockets.append(extra)
        assert await _errors(extra, {"query": VEHICLES}) == "SUBSCRIPTION_LIMIT"
    finally:
        for socket in sockets:
            socket.line.close()


@attack("flood: 20,000 pings")
async def _(target: Target) -> None:
    async with await target.admitted() as socket:
        sending = asyncio.ensure_future(socket.line.send(_text({"type": "ping"}) * 20_000))
        for _ in range(200):
            assert await socket.receive() == {"type": "pong"}
        sending.cancel()


@attack("flood: 20,000 pings, none of whose answers is read")
async def _(target: Target) -> None:
    before = target.memory
    async with await target.admitted() as socket:
        socket.line.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await _push(socket.line, _text({"type": "ping", "payload": {"a": "x" * 500}}) * 20_000)
        assert target.memory - before < 30, f"{target.memory - before:.0f} MiB more"


@attack("flood: 200,000 pings of the protocol, none of whose answers is read")
async def _(target: Target) -> None:
    before = target.memory
    async with await target.admitted() as socket:
        socket.line.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await _push(socket.line, frame(b"p" * 125, PING) * 200_000)
        assert target.memory - before < 30, f"{target.memory - before:.0f} MiB more"


async def _push(line: Line, raw: bytes, seconds: float = 4.0) -> None:
    """Sends for so long, however slowly it is taken."""
    sending = asyncio.ensure_future(line.send(raw))
    await asyncio.wait({sending}, timeout=seconds)
    sending.cancel()


@attack("flood: 20 sockets that ping, all at once")
async def _(target: Target) -> None:
    sockets = await asyncio.gather(*(target.admitted() for _ in range(20)))
    try:
        await asyncio.gather(*(_push(each.line, _text({"type": "ping"}) * 20_000, 3) for each in sockets))
    finally:
        for each in sockets:
            each.line.close()


@attack("flood: completes of what is not there")
async def _(target: Target) -> None:
    async with await target.admitted() as socket:
        await _push(socket.line, b"".join(_text({"type": "complete", "id": str(n)}) for n in range(10_000)))
        await socket.say({"type": "ping"})
        assert await socket.receive() == {"type": "pong"}


@attack("flood: subscribe and complete, 2,000 times")
async def _(target: Target) -> None:
    async with await target.admitted() as socket:
        pair = _text({"type": "subscribe", "id": "1", "payload": {"query": VEHICLES}})
        pair += _text({"type": "complete", "id": "1"})
        sending = asyncio.ensure_future(socket.line.send(pair * 2_000 + _text({"type": "ping"})))
        while (message := await socket.receive(60)) != {"type": "pong"}:
            assert message is not None, f"closed with {socket.code}"
        await sending


@attack("flood: connections that init and go, 300 times")
async def _(target: Target) -> None:
    for _ in range(15):
        sockets = await asyncio.gather(*(target.socket() for _ in range(20)))
        for each in sockets:
            await each.say(_init({"X-API-Key": KEY}))
        for each in sockets:
            each.line.close()


@attack("flood: wrong keys on 200 sockets")
async def _(target: Target) -> None:
    async def guess(number: int) -> int:
        async with await target.socket() as socket:
            await socket.say(_init({"X-API-Key": f"guess-{number}"}))
            return await socket.until_closed()

    for _ in range(5):
        assert set(await asyncio.gather(*(guess(number) for number in range(40)))) == {4403}


@attack("many: 1,000 sockets of one address")
async def _(target: Target) -> None:
    answers = await asyncio.gather(*(target.socket() for _ in range(1_000)), return_exceptions=True)
    sockets = [each for each in answers if isinstance(each, Socket)]
    try:
        refused = [str(each) for each in answers if isinstance(each, AssertionError)]
        assert sockets
        assert refused
        assert all("503" in each for each in refused), refused[0]
    finally:
        for each in sockets:
            each.line.close()
        await asyncio.sleep(2)


# --- readers that do not read ----------------------------------------------------------------------------


@attack("unread: 50 subscriptions on a socket that is never read")
async def _(target: Target) -> None:
    before = target.memory
    async with await target.admitted() as socket:
        socket.line.writer.transport.pause_reading()  # type: ignore[attr-defined]
        for n in range(50):
            await socket.say({"type": "subscribe", "id": str(n), "payload": {"query": VEHICLES}})
        for n in range(40):
            await socket.say({"type": "subscribe", "id": f"q{n}", "payload": {"query": LARGE}})
        await asyncio.sleep(3)
        assert target.memory - before < 40, f"{target.memory - before:.0f} MiB more"


LARGE = "{ orders(first: 50) { nodes { id number kind status partner lines { lineNumber itemNumber } } } }"


def _unread(kind: str) -> Attack:
    async def run(target: Target) -> None:
        before = target.memory
        lines = await asyncio.gather(*(Line.open(target.port) for _ in range(40)))
        body = json.dumps({"query": VEHICLES}).encode()
        try:
            for line in lines:
                line.writer.transport.pause_reading()  # type: ignore[attr-defined]
                await line.send(request(body=body, headers=OWN | {"Accept": kind}))
            await asyncio.sleep(3)
            assert target.memory - before < 40, f"{target.memory - before:.0f} MiB more"
        finally:
            for line in lines:
                line.close()

    return run


table("unread: 40 streams", {"SSE": "text/event-stream", "multipart": "multipart/mixed"}, _unread)


@attack("unread: 100 large answers")
async def _(target: Target) -> None:
    before = target.memory
    lines = await asyncio.gather(*(Line.open(target.port) for _ in range(100)))
    body = json.dumps({"query": LARGE}).encode()
    try:
        for line in lines:
            line.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await line.send(request(body=body, headers=OWN))
        await asyncio.sleep(3)
        assert target.memory - before < 60, f"{target.memory - before:.0f} MiB more"
    finally:
        for line in lines:
            line.close()


@attack("unread: a stream that is read a byte at a time")
async def _(target: Target) -> None:
    async with await Line.open(target.port) as line:
        await line.send(
            request(body=json.dumps({"query": VEHICLES}).encode(), headers=OWN | {"Accept": "text/event-stream"})
        )
        answered(await line.head(), 200)
        for _ in range(100):
            await line.reader.readexactly(1)
            await asyncio.sleep(0.02)


@attack("streams: 400 of one caller")
async def _(target: Target) -> None:
    """More than one caller may have are refused."""
    body = json.dumps({"query": VEHICLES}).encode()
    lines = await asyncio.gather(*(Line.open(target.port) for _ in range(240)))
    try:

        async def ask(line: Line) -> int:
            await line.send(request(body=body, headers=OWN | {"Accept": "text/event-stream"}))
            return (await line.head()).status

        told = await asyncio.gather(*(ask(line) for line in lines))
        assert set(told) == {200, 429}, set(told)
    finally:
        for line in lines:
            line.close()


@attack("streams: opened and left, 300 times")
async def _(target: Target) -> None:
    body = json.dumps({"query": VEHICLES}).encode()
    for _ in range(15):
        lines = await asyncio.gather(*(Line.open(target.port) for _ in range(20)))
        for line in lines:
            await line.send(request(body=body, headers=OWN | {"Accept": "multipart/mixed"}))
        for line in lines:
            line.close()
