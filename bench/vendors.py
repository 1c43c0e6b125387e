"""The vendors of the benchmarks: what the sandbox once answered, given again from memory after a set delay.

The stand-ins spend more CPU on an answer than the server does on the whole query, and would be what is measured.
So this process stands in front of them: the first time it passes a request on and keeps the answer, from then on it
writes the kept bytes. Answers that open a session are passed on but not kept. Every call is noted with its times.
`POST /_bench {"delay_ms": 200}` sets the delay, forgets the calls and tells those that were noted until then.
"""

import argparse
import asyncio
import json
import time
from typing import Any, Final, cast
from urllib.parse import urlsplit

import httptools
import httpx
import uvloop

CONTROL: Final = b"/_bench"
_KEPT_MOST: Final = 5_000
_CALLS_MOST: Final = 100_000
_DROPPED: Final = frozenset(
    {"connection", "content-length", "content-encoding", "date", "keep-alive", "server", "transfer-encoding"}
)


class Vendors:
    """What all connections share."""

    def __init__(self, sandbox: str) -> None:
        self._client = httpx.AsyncClient(base_url=sandbox, timeout=30)
        self.answers: dict[tuple[bytes, bytes, bytes], bytes] = {}
        self.calls: list[dict[str, Any]] = []
        self.delay = 0.0

    async def fetch(self, method: bytes, url: bytes, headers: dict[str, str], body: bytes) -> bytes:
        """The sandbox's own answer; kept unless it failed or opens a session."""
        answer = await self._client.request(method.decode(), url.decode(), headers=headers, content=body)
        told = [f"HTTP/1.1 {answer.status_code} {answer.reason_phrase}"]
        told += [f"{name}: {value}" for name, value in answer.headers.multi_items() if name not in _DROPPED]
        told += [f"content-length: {len(answer.content)}", "", ""]
        whole = "\r\n".join(told).encode("latin-1") + answer.content
        if answer.status_code == 200 and "set-cookie" not in answer.headers and len(self.answers) < _KEPT_MOST:
            self.answers[method, url, body] = whole
        return whole

    def control(self, body: bytes) -> bytes:
        self.delay = json.loads(body)["delay_ms"] / 1000
        told, self.calls = json.dumps(self.calls).encode(), []
        return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(told) + told

    def note(self, method: bytes, url: bytes, began: float) -> None:
        if len(self.calls) < _CALLS_MOST:
            path = urlsplit(url.decode()).path
            self.calls.append(
                {"method": method.decode(), "path": path, "began": began, "ended": time.monotonic()},
            )


class Connection(asyncio.Protocol):
    """One request after the other; the clients of these benchmarks never send the next before the answer."""

    def __init__(self, vendors: Vendors) -> None:
        self._vendors = vendors
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.WriteTransport
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's own, which is no subclass

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._url, self._body, self._headers = b"", b"", dict[str, str]()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode().lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        began = time.monotonic()
        method, url, body = self._parser.get_method(), self._url, self._body
        if url == CONTROL:
            self._transport.write(self._vendors.control(body))
            return
        kept = self._vendors.answers.get((method, url, body))
        if kept is None:
            self._task = asyncio.create_task(self._pass_on(method, url, body, began))
        elif self._vendors.delay:
            asyncio.get_running_loop().call_later(self._vendors.delay, self._answer, method, url, began, kept)
        else:
            self._answer(method, url, began, kept)

    async def _pass_on(self, method: bytes, url: bytes, body: bytes, began: float) -> None:
        headers = {name: value for name, value in self._headers.items() if name not in (*_DROPPED, "host")}
        try:
            whole = await self._vendors.fetch(method, url, headers, body)
        except httpx.HTTPError as fault:
            text = f"the sandbox does not answer: {fault!r}".encode()
            whole = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: %d\r\n\r\n" % len(text) + text
        await asyncio.sleep(self._vendors.delay)
        self._answer(method, url, began, whole)

    def _answer(self, method: bytes, url: bytes, began: float, whole: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(whole)
            self._vendors.note(method, url, began)


async def _serve(port: int, sandbox: str) -> None:
    vendors = Vendors(sandbox)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(vendors), "127.0.0.1", port)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.vendors")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--sandbox", required=True, help="address of the sandbox, whose answers are given")
    given = parser.parse_args()
    uvloop.run(_serve(given.port, given.sandbox))


if __name__ == "__main__":
    main()
