"""What is attacked: the real server as a process of its own, over the sandbox's vendors, with keys and tokens."""

import asyncio
import contextlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt

from bench.processes import ROOT, UNDER_TEST, Process, free_port
from bench.scene import Broken, Client, Scene
from tests.conformance.attacking.wire import PATIENCE, Answer, Line, Socket, request

INTEGRATIONS = ("ewm-west", "ewm-north", "plm", "fleet", "uber", "erp")
KEY = "attacker-key-7f3a9c51e2"
NEIGHBOUR = "neighbour-key-b81d40aa96"
OPERATOR = "operator-key-0c5e7d12f4"
TOKEN_SECRET = "attack-list-token-secret-0123456789"
ISSUER, AUDIENCE = "https://id.example", "crossdock"
AUTH = f"""
[auth.jwt]
issuer = "{ISSUER}"
audience = "{AUDIENCE}"
algorithms = ["HS256"]
secret = "{TOKEN_SECRET}"
leeway_seconds = 0
organisation_claim = "org"

[[auth.api_keys]]
name = "attacker"
key = "{KEY}"
[[auth.api_keys]]
name = "neighbour"
key = "{NEIGHBOUR}"
[[auth.api_keys]]
name = "operator"
scopes = ["metrics"]
key = "{OPERATOR}"
"""
ONE_ORDER = "{ orders(first: 1) { nodes { id } } }"


@dataclass
class Target:
    """`scene` made it; `ids` of objects that are there."""

    process: Process
    port: int
    log: Path
    settings: Path
    order: str = ""
    ids: dict[str, str] = field(default_factory=dict)

    @property
    def memory(self) -> float:
        """Resident, in MiB."""
        text = Path(f"/proc/{self.process._child.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", text)
        assert found is not None
        return int(found[1]) / 1024

    @property
    def connections(self) -> int:
        """Clients' connections that the server has open."""
        rows = [line.split() for line in Path(f"/proc/{self.process._child.pid}/net/tcp").read_text().splitlines()[1:]]
        return sum(row[1].endswith(f":{self.port:04X}") and row[3] == "01" for row in rows)

    async def raw(self, *parts: bytes, patience: float = PATIENCE) -> Answer:
        """The answer to what is sent, whatever it is."""
        async with await Line.open(self.port) as line:
            for part in parts:
                if not await line.send(part):
                    break
            return await line.answer(patience)

    async def post(self, body: bytes | Any, headers: dict[str, str] | None = None, **more: Any) -> Answer:
        """A request of the attacker; a body that is no bytes is sent as JSON."""
        given = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.raw(request(body=given, headers={"X-API-Key": KEY} | (headers or {}), **more))

    async def get(self, path: str, headers: dict[str, str] | None = None, method: str = "GET") -> Answer:
        return await self.raw(request(method, path, headers={"X-API-Key": KEY} | (headers or {})))

    async def ask(self, query: str, variables: Any = None, **more: Any) -> Answer:
        return await self.post({"query": query, **({"variables": variables} if variables is not None else {})}, **more)

    async def socket(self, headers: dict[str, str] | None = None) -> Socket:
        """A WebSocket that has not said anything yet."""
        return await Socket.open(self.port, headers)

    async def admitted(self, key: str = KEY) -> Socket:
        """A WebSocket whose `connection_init` is acknowledged."""
        socket = await self.socket()
        await socket.say({"type": "connection_init", "payload": {"X-API-Key": key}})
        acknowledged = await socket.receive()
        assert acknowledged == {"type": "connection_ack"}, f"{acknowledged} {socket.code}"
        return socket


def token(**claims: Any) -> str:
    """A token of our issuer; claims that are given replace those that it has."""
    known = {"iss": ISSUER, "aud": AUDIENCE, "sub": "attacker", "org": "default", "scope": "read",
             "exp": int(time.time()) + 600} | claims  # fmt: skip
    return jwt.encode({name: value for name, value in known.items() if value is not None}, TOKEN_SECRET, "HS256")


@contextlib.contextmanager
def target(scene: Scene, *, name: str = "attacked", more: str = "", auth: str = AUTH) -> Iterator[Target]:
    """A server that is ready. Raises `Broken`, `NotStarted`."""
    port = free_port()
    settings = scene.settings(name, port, only=INTEGRATIONS, vendors=scene.vendors)
    settings.write_text(settings.read_text() + more + auth)
    with scene.process(name, scene.serve_command(settings), cores=UNDER_TEST) as process:
        process.wait_for(port, 120)
        found = Target(process, port, scene.folder / f"{name}.log", settings)
        asyncio.run(_ready(found))
        yield found


async def _ready(found: Target) -> None:
    end = time.monotonic() + 60
    while True:
        found.process.must_live()
        answer = await found.ask(ONE_ORDER)
        if answer.status == 200 and (nodes := answer.json()["data"]["orders"]["nodes"]):
            found.order = nodes[0]["id"]
            break
        if time.monotonic() > end:
            raise Broken(f"the attacked server does not answer: {answer}")
        await asyncio.sleep(0.2)


class Neighbour:
    """The other caller, in a process of its own."""

    def __init__(self, attacked: Target) -> None:
        command = [sys.executable, "-m", "tests.conformance.attacking.neighbour"]
        command += [str(attacked.port), NEIGHBOUR, attacked.order]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def waits(self) -> list[tuple[float, float]]:
        """Ends it; `(moment by the monotonic clock, seconds)` of each question."""
        out, _ = self._process.communicate(timeout=60)
        return [(due, wait) for due, wait in json.loads(out)]


def p99(waits: list[float]) -> float:
    return sorted(waits)[max(0, int(len(waits) * 0.99) - 1)]


__all__ = ["AUTH", "KEY", "NEIGHBOUR", "OPERATOR", "Client", "Neighbour", "Target", "p99", "target", "token"]
