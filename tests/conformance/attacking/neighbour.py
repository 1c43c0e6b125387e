"""Another caller: asks for one object fifty times a second, whatever happens, and writes down how long it waits.

    python -m tests.conformance.attacking.neighbour PORT KEY ID

Each question has a moment at which it is due; the wait counts from then, so that a server that stands still makes
all that come meanwhile late. Ends with its standard input, then prints `[[due, wait], …]` in seconds; a wait of
`PATIENCE` is a question that was not answered rightly.
"""

import asyncio
import json
import sys
import time

from tests.conformance.attacking.wire import PATIENCE, Answer, Line, request

EVERY = 0.02
FROM = "127.0.0.2"
QUERY = "query Neighbour($id: ID!) { order(id: $id) { id number kind status warehouse partner plannedAt } }"


async def measure(port: int, key: str, id: str) -> list[tuple[float, float]]:
    body = json.dumps({"query": QUERY, "variables": {"id": id}}).encode()
    raw = request(body=body, headers={"X-API-Key": key})
    idle: list[Line] = []
    waits: list[tuple[float, float]] = []
    asking: set[asyncio.Task[None]] = set()

    async def ask(due: float) -> None:
        line = idle.pop() if idle else None
        if line is not None and line.reader.at_eof():  # too long idle for the server
            line = None
        try:
            answer = Answer()
            if line is not None and await line.send(raw):
                answer = await line.answer()
            if answer.status == 0:  # a kept connection that the server has just ended
                line = await Line.open(port, FROM)
                await line.send(raw)
                answer = await line.answer()
            good = answer.status == 200 and b'"order":{' in answer.body
        except (OSError, TimeoutError):
            good = False
        if good and line is not None:
            idle.append(line)
        elif line is not None:
            line.close()
        waits.append((due, time.monotonic() - due if good else PATIENCE))

    ended = asyncio.ensure_future(asyncio.to_thread(sys.stdin.read))
    due = time.monotonic()
    while not ended.done():
        task = asyncio.ensure_future(ask(due))
        asking.add(task)
        task.add_done_callback(asking.discard)
        due += EVERY
        await asyncio.sleep(max(0.0, due - time.monotonic()))
    if asking:
        await asyncio.wait(asking)
    return waits


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(int(sys.argv[1]), sys.argv[2], sys.argv[3]))))
