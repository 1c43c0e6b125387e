"""What the figures are measured in: sandbox, vendors, server and its baseline, each made when it is first asked for."""

import contextlib
import http.client
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from bench.chains import Call
from bench.processes import AROUND, ROOT, UNDER_TEST, Process, free_port, python
from bench.queries import FEDERATED
from sandbox.elsewhere import PORTS

FEDERATED_KEYS: Final = ("ewm-west", "ewm-north", "plm", "fleet")
"""Integrations of the federated query: two SAP EWM systems with three warehouses, Teamcenter and Traccar."""
_SANDBOX_FILE: Final = ROOT / "crossdock.sandbox.toml"
READY_SECONDS: Final = 60.0
KEPT_SECONDS: Final = 4.0
"""Uvicorn closes a connection that was silent for five; between two figures others are measured."""


class Broken(Exception):
    """What is measured does not answer as it must: its figures would mean nothing."""


class Client:
    """Asks one server, one query after the other, over one connection."""

    def __init__(self, port: int, headers: Mapping[str, str] | None = None) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._asked_at = 0.0
        self._headers = {"Content-Type": "application/json", **(headers or {})}

    def post(self, path: str, body: Mapping[str, Any]) -> bytes:
        """Raises `Broken` for any status but 200, `OSError` where nobody answers."""
        status, text = self._posted(path, body, self._headers)
        if status != 200:
            raise Broken(f"POST {path} was answered with {status}: {text[:300]!r}")
        return text

    def status(self, headers: Mapping[str, str]) -> int:
        """How a query with these headers more is answered."""
        return self._posted("/graphql", {"query": "{ __typename }"}, {**self._headers, **headers})[0]

    def _posted(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> tuple[int, bytes]:
        now = time.monotonic()
        if now - self._asked_at > KEPT_SECONDS:
            self._connection.close()
        self._asked_at = now
        self._connection.request("POST", path, json.dumps(body), headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def ask(self, query: str, variables: Mapping[str, Any] | None = None) -> bytes:
        return self.post("/graphql", {"query": query, "variables": variables or {}})

    def data(self, query: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The answer's data. Raises `Broken` when there are errors beside it."""
        answer = json.loads(self.ask(query, variables))
        if answer.get("errors"):
            raise Broken(f"the query failed: {str(answer['errors'])[:500]}")
        found: dict[str, Any] = answer["data"]
        return found

    def close(self) -> None:
        self._connection.close()


@dataclass
class Served:
    """A server under test and the client that asks it."""

    process: Process
    client: Client


class Scene:
    """Leave it, and all its processes end. All files are in a folder of its own."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="crossdock-bench-")))
        # as an installed server: its byte code exists before it is started
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("CROSSDOCK_", "PYTHON"))},
            "PYTHONPATH": str(ROOT / "src"),
            "PYTHONPYCACHEPREFIX": str(self.folder / "bytecode"),
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def start(self, name: str, command: list[str], *, cores: frozenset[int] = AROUND) -> Process:
        """A process that lives as long as the scene does."""
        return self._stack.enter_context(self.process(name, command, cores=cores))

    def process(self, name: str, command: list[str], *, cores: frozenset[int]) -> Process:
        """A process that ends with its own `with`."""
        return Process(command, log=self.folder / f"{name}.log", cores=cores, environ=self.environ)

    def said(self) -> list[str]:
        """The ends of what the processes wrote, for a person who looks for a fault."""
        return [
            f"--- {log.name}:\n{text[-3000:]}"
            for log in sorted(self.folder.glob("*.log"))
            if (text := log.read_text(errors="replace").strip())
        ]

    # --- what is around

    @cached_property
    def sandbox(self) -> dict[str, int]:
        """Port of each listener of the stand-ins, by the flag that sets it."""
        ports = {flag: free_port() for flag in PORTS}
        command = python("-m", "sandbox", "--state-dir", str(self.folder / "sandbox"))
        command += [word for flag, port in ports.items() for word in (flag, str(port))]
        self.start("sandbox", command).wait_for(ports["--port"])
        return ports

    @cached_property
    def vendors(self) -> int:
        """Port of the vendors that answer from memory."""
        port = free_port()
        command = python("-m", "bench.vendors", "--port", str(port))
        command += ["--sandbox", f"http://127.0.0.1:{self.sandbox['--port']}"]
        self.start("vendors", command).wait_for(port)
        return port

    def delay(self, milliseconds: int) -> list[Call]:
        """From now on the vendors answer so late. Gives the calls since the last time."""
        client = Client(self.vendors)
        told = json.loads(client.post("/_bench", {"delay_ms": milliseconds}))
        client.close()
        return [Call(**each) for each in told]

    # --- what is measured

    def serve_command(self, settings: Path) -> list[str]:
        """`crossdock serve`, as it is installed beside this Python."""
        return [str(Path(sys.executable).with_name("crossdock")), "serve", "--config", str(settings)]

    @cached_property
    def server(self) -> Served:
        """Crossdock over the vendors of the federated query, once everything joins."""
        port = free_port()
        settings = self.settings("federated", port, only=FEDERATED_KEYS, vendors=self.vendors)
        self.delay(0)
        process = self.start("server", self.serve_command(settings), cores=UNDER_TEST)
        process.wait_for(port)
        client = Client(port)
        end = time.monotonic() + READY_SECONDS
        while missing := _unjoined(client.data(FEDERATED)):
            process.must_live()
            if time.monotonic() > end:
                raise Broken(f"{missing} after {READY_SECONDS:g} s")
            time.sleep(0.25)
        return Served(process, client)

    @cached_property
    def handwritten(self) -> Served:
        """The baseline: the same answers by code that was written for these two queries alone."""
        port = free_port()
        joins = self.folder / "joins.json"
        joins.write_text(json.dumps(_joins(self.server.client.data(FEDERATED))))
        command = python("-m", "bench.handwritten", "--port", str(port), "--joins", str(joins))
        command += ["--settings", str(self.folder / "federated.toml")]
        process = self.start("handwritten", command, cores=UNDER_TEST)
        process.wait_for(port)
        return Served(process, Client(port))

    def settings(
        self, name: str, port: int, *, only: tuple[str, ...] | None = None, vendors: int | None = None
    ) -> Path:
        """The sandbox's configuration on these ports; with `only` these integrations.

        With `vendors`, the port of those that answer from memory, integrations come without poll and push in the window
        of measurement, and without a limit of their own.
        """
        text = _SANDBOX_FILE.read_text()
        ports = {was: self.sandbox[flag] for flag, was in PORTS.items()}
        if vendors is not None:
            ports[PORTS["--port"]] = vendors
        for was, now in ports.items():
            text = text.replace(f"127.0.0.1:{was}", f"127.0.0.1:{now}")
        unknown = {int(each) for each in re.findall(r"127\.0\.0\.1:(\d+)", text)} - set(ports.values())
        if unknown:
            raise Broken(f"{_SANDBOX_FILE.name} names the ports {unknown}; write their flags into bench/scene.py")
        # ports that Crossdock itself listens on, and files
        text = re.sub(r"(?m)^port = \d+$", lambda _: f"port = {free_port()}", text)
        text = text.replace("var/sandbox/tak/", f"{self.folder}/sandbox/tak/")
        text = text.replace("sqlite:///var/sandbox/", f"sqlite:///{self.folder}/{name}-")
        if only is not None:
            text = "".join(_about(part, only) for part in re.split(r"(?m)^(?=\[\[)", text))
        if vendors is not None:
            text = "".join(_quiet(part) for part in re.split(r"(?m)^(?=\[\[)", text))
        path = self.folder / f"{name}.toml"
        path.write_text(f'[server]\nport = {port}\ncursor_key = "{"bench" * 8}"\n\n{text}')
        return path


def _about(part: str, only: tuple[str, ...]) -> str:
    """An integration, a link or the head of the file, as far as it is about `only`; empty for what is not."""
    if part.startswith("[[integrations]]"):
        key = re.search(r'(?m)^key = "(.+)"$', part)
        return part if key is not None and key[1] in only else ""
    if part.startswith("[[links]]"):
        rows = part.splitlines(keepends=True)
        kept = [row for row in rows if not (named := re.search(r'integration = "(.+?)"', row)) or named[1] in only]
        return "".join(kept) if sum("integration = " in row for row in kept) > 1 else ""
    return part


def _quiet(part: str) -> str:
    if not part.startswith("[[integrations]]"):
        return part
    part = part.replace("[[integrations]]\n", "[[integrations]]\npoll_seconds = 3600\nrate_per_second = 1000\n", 1)
    if 'system = "traccar"' in part:
        part = part.rstrip("\n") + "\n[integrations.settings]\nsocket = false\n\n"
    return part


def lines(data: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for order in data["orders"]["nodes"]:
        yield from order["lines"]


def _unjoined(data: Mapping[str, Any]) -> str | None:
    """What the crosswalk does not know yet; null when every line has its item with stock, every order its vehicle."""
    if len(data["orders"]["nodes"]) != 50:
        return f"there are {len(data['orders']['nodes'])} orders, not 50"
    if any(order["vehicle"] is None for order in data["orders"]["nodes"]):
        return "an order has no vehicle"
    if any(line["item"] is None for line in lines(data)):
        return "a line has no item"
    sites = {row["warehouse"] for line in lines(data) for row in line["item"]["inventory"]}
    return None if len(sites) == 3 else f"stock comes from {len(sites)} sites, not 3"


def _joins(data: Mapping[str, Any]) -> dict[str, Any]:
    """The crosswalk as two dictionaries, for code that has none: global ids of items and vehicles by our number."""
    return {
        "items": {line["itemNumber"]: line["item"]["id"] for line in lines(data)},
        "vehicles": {order["vehicle"]["plate"]: order["vehicle"]["id"] for order in data["orders"]["nodes"]},
    }
