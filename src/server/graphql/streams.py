"""Answers that go on: server-sent events (graphql-sse, distinct connections) and multipart (Apollo's protocol)."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import msgspec
from starlette.types import Receive, Send

from graph.engine.execution import Answer
from server.graphql.following import Following

KEEP_ALIVE = 12.0
"""Seconds of silence after which a sign of life is sent: proxies close what is silent for longer."""
BOUNDARY = "graphql"


class Framing(msgspec.Struct, frozen=True, kw_only=True):
    """How one kind of stream is written."""

    content_type: str
    item: Callable[[dict[str, Any]], bytes]
    alive: bytes
    closing: bytes


def _event(answer: dict[str, Any]) -> bytes:
    return b"event: next\ndata: " + msgspec.json.encode(answer) + b"\n\n"


def _part(answer: dict[str, Any]) -> bytes:
    return b"\r\n--graphql\r\ncontent-type: application/json\r\n\r\n" + msgspec.json.encode({"payload": answer})


EVENTS = Framing(
    content_type="text/event-stream; charset=utf-8",
    item=_event,
    alive=b":\n\n",
    closing=b"event: complete\ndata: \n\n",
)
PARTS = Framing(
    content_type=f'multipart/mixed; boundary="{BOUNDARY}"; subscriptionSpec="1.0"',
    item=_part,
    alive=b"\r\n--graphql\r\ncontent-type: application/json\r\n\r\n{}",
    closing=b"\r\n--graphql--\r\n",
)


async def send_stream(
    answers: AsyncGenerator[Answer, None],
    framing: Framing,
    receive: Receive,
    send: Send,
    headers: dict[str, str],
    *,
    stopping: asyncio.Event,
    keep_alive: float = KEEP_ALIVE,
) -> None:
    """Sends the answers as they come, until they end, the client goes or the server is stopping: then without the
    closing mark, so that the client comes back. The iterator is closed in each case."""
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", framing.content_type.encode()),
                (b"cache-control", b"no-cache, no-transform"),
                (b"x-accel-buffering", b"no"),
                *raw,
            ],
        }
    )
    gone, halt = asyncio.create_task(_gone(receive)), asyncio.create_task(stopping.wait())
    async with aclosing(Following(answers, gone, halt)) as following:
        while True:
            try:
                answer = await following.next(seconds=keep_alive)
            except StopAsyncIteration:
                break
            if gone.done():
                return
            if halt.done():
                await send({"type": "http.response.body", "body": b""})
                return
            body = framing.alive if answer is None else framing.item(answer.formatted())
            await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body", "body": framing.closing})


async def _gone(receive: Receive) -> None:
    """Returns when the client has closed its connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
