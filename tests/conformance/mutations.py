"""`make mutations`: whether the suites of `make conformance` find faults of the transports and the limits.

    python -m tests.conformance.mutations [WORD…]

For each fault, or each whose name has one of the words: `src` is copied, one text of it is replaced, the server is
started from the copy, and the suites that ought to find it are run. A fault is found when one of their checks fails; a
server that does not start, or a suite that cannot be run, has found nothing. First the copy without any fault has to
pass the same suites: otherwise what they say of the others means nothing.

The stand-ins are started once for all. The last line is `mutations: N found, M missed`.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from sandbox.elsewhere import PORTS, configuration, free_ports
from tests.conformance import __main__ as runner

AT_ONCE = 2
SOURCES = runner.ROOT / "src"
READY_SECONDS = 60.0
INIT_SECONDS = 3
"""How long a socket may be silent: the suites wait for the end of it, each time."""
SHOWN = 2
"""Failed checks that are named of each suite."""
_FAILED = re.compile(r"(?m)^FAILED (.+?):(?: |$)")

HTTP, SOCKETS, EVENTS, SUBGRAPH, GQL = ("http-audits",), ("graphql-ws",), ("graphql-sse",), ("subgraph",), ("gql",)


class NotReady(Exception):
    """A program that did not start; holds the end of what it wrote."""


class Moved(Exception):
    """The text of a fault is not where it was, or not there once; says which."""


@dataclass(frozen=True)
class Fault:
    """`text` occurs once in `file` (below `src`) and becomes `becomes`; `suites` ought to find that."""

    name: str
    file: str
    text: str
    becomes: str
    suites: tuple[str, ...]

    def apply(self, sources: Path) -> None:
        """Raises `Moved`."""
        path = sources / self.file
        code = path.read_text() if path.exists() else ""
        if (count := code.count(self.text)) != 1:
            raise Moved(f"{self.name}: {self.file} has {count} times {self.text!r}, not once; write the fault anew")
        path.write_text(code.replace(self.text, self.becomes))


_ACCEPT = "server/graphql/accept.py"
_BODY = "server/graphql/body.py"
_HTTP = "server/graphql/http.py"
_ORIGINS = "server/graphql/origins.py"
_SOCKET = "server/graphql/socket.py"
_STREAMS = "server/graphql/streams.py"
_LIMITS = "graph/engine/limits.py"
_DOCUMENTS = "graph/engine/documents.py"
_EXECUTION = "graph/engine/execution.py"
_PERSISTED = "graph/engine/persisted.py"
_SETTINGS = "runtime/settings_model.py"

FAULTS = (
    # --- what kind of answer
    Fault("Accept: q-values are not read", _ACCEPT, "quality = _quality(value)", "quality = 1.0", HTTP),
    Fault("Accept: a broken q-value counts as 1", _ACCEPT,
          ".isdigit():\n        return 0.0", ".isdigit():\n        return 1.0", HTTP),
    Fault("Accept: the least exact range decides", _ACCEPT,
          "best = max(covering", "best = min(covering", HTTP),
    Fault("Accept: the order of equal wishes is ours", _ACCEPT,
          "return min(whole or tied, key=lambda offer: named.index(offer) if offer in named else len(named))",
          "return (whole or tied)[0]", HTTP),
    Fault("Accept: none means the newer type", _ACCEPT,
          "not accept.strip():\n        return JSON", "not accept.strip():\n        return GRAPHQL", HTTP),
    Fault("status: a document that cannot be parsed is 200", _HTTP,
          'accept.GRAPHQL: {"request": 400, "parse": 400,', 'accept.GRAPHQL: {"request": 400, "parse": 200,', HTTP),
    Fault("status: an invalid document is 400 as application/json", _HTTP,
          '"validation": 200,', '"validation": 400,', HTTP),
    # --- pages of other sites
    Fault("pages: any content type is a request", _HTTP,
          'if media != "application/json":', "if not media:", HTTP),
    Fault("pages: any origin is allowed by CORS", _HTTP,
          "if origin is None or origin not in self._origins.allowed:", "if origin is None:", HTTP),
    Fault("pages: any origin may ask", _ORIGINS,
          "origin not in self.allowed and _netloc(origin) != host:",
          "origin not in self.allowed and _netloc(origin) is None:", (*HTTP, *SOCKETS)),
    Fault("pages: other sites of the same domain may ask", _ORIGINS,
          'site not in ("none", "same-origin")', 'site not in ("none", "same-origin", "same-site")', HTTP),
    Fault("pages: any name of the host is ours", _ORIGINS,
          "_bare(host) not in _LOOPBACK", "not _bare(host)", HTTP),
    # --- lengths
    Fault("body: ten bytes too many", _SETTINGS,
          "max_body_bytes: Bytes = 1_048_576", "max_body_bytes: Bytes = 1_048_586", (*HTTP, *SOCKETS)),
    Fault("body: only what is said before is counted", _BODY,
          "if len(body) > limit or (unpack", "if (unpack", HTTP),
    Fault("body: what is packed may become anything", _BODY,
          "body += unpack.decompress(chunk, limit + 1 - len(body)) if unpack else chunk\n"
          "                if len(body) > limit or (unpack is not None and unpack.unconsumed_tail):",
          "body += unpack.decompress(chunk) if unpack else chunk\n"
          "                if unpack is None and len(body) > limit:", HTTP),
    Fault("body: half of what was packed will do", _BODY,
          "(not unpack.eof or unpack.unused_data)", "unpack.unused_data", HTTP),
    Fault("batch: ten more", _HTTP, "if len(given) > limit:", "if len(given) > limit + 10:", (*HTTP, *GQL)),
    # --- limits of documents
    Fault("limits: ten characters more", _SETTINGS, "characters: Count = 100_000", "characters: Count = 100_010", HTTP),
    Fault("limits: ten tokens more", _SETTINGS, "tokens: Count = 4_000", "tokens: Count = 4_010", HTTP),
    Fault("limits: ten levels more", _SETTINGS, "    depth: Count = 16", "    depth: Count = 26", HTTP),
    Fault("limits: ten representations more", _SETTINGS,
          "representations: Count = 1_000", "representations: Count = 1_010", HTTP),
    Fault("limits: ten times the cost", _SETTINGS, "cost: Count = 500_000", "cost: Count = 5_000_000", HTTP),
    Fault("limits: the bound itself is refused", _LIMITS, "if found > allowed:", "if found >= allowed:", HTTP),
    Fault("limits: aliases are not counted", _LIMITS,
          "size.aliases += below.aliases + (field.alias is not None)", "size.aliases += below.aliases", HTTP),
    Fault("limits: root fields are not counted", _LIMITS, "root_fields=size.top", "root_fields=min(size.top, 1)", HTTP),
    Fault("limits: fields of fragments are not added", _LIMITS,
          "size.fields += other.fields", "size.fields = max(size.fields, other.fields)", HTTP),
    Fault("limits: __type counts as any field", _LIMITS,
          'name in ("__schema", "__type")', 'name in ("__schema",)', HTTP),
    Fault("limits: half of what overlaps is counted", "graph/engine/overlaps.py",
          "self._meet(len(same))", "self._meet(len(same) // 2)", HTTP),
    Fault("limits: all errors of a document are told", _DOCUMENTS,
          "max_errors=self._limits.errors,", "max_errors=10_000,", HTTP),
    # --- what is not to be known
    Fault("masks: the text of an unexpected failure is told", "graph/engine/errors.py",
          'message, extensions = "Internal error",', "message, extensions = str(cause),", SUBGRAPH),
    Fault("masks: documents suggest names of a closed schema", _DOCUMENTS,
          "hide_suggestions=not introspection", "hide_suggestions=False", HTTP),
    Fault("masks: variables suggest names of a closed schema", _EXECUTION,
          "context.tracing.middleware,\n                        hide_suggestions=not context.introspection,",
          "context.tracing.middleware,\n                        hide_suggestions=False,", HTTP),
    Fault("masks: a closed schema is introspected", _DOCUMENTS,
          "rules += [NoSchemaIntrospectionCustomRule, _NoService]", "rules += [_NoService]", HTTP),
    Fault("masks: a closed schema is told as SDL", _DOCUMENTS,
          "rules += [NoSchemaIntrospectionCustomRule, _NoService]", "rules += [NoSchemaIntrospectionCustomRule]", HTTP),
    Fault("masks: anybody sees which vendor is asked", _EXECUTION,
          "EXPLAIN not in context.principal.scopes", "not context.principal.scopes", HTTP),
    Fault("who asks: any scope will do", "server/guard.py",
          "        principal = await self.authenticator.authenticate(credentials)\n"
          "        if principal.organisation not in self._organisations:\n"
          '            raise Unauthenticated("invalid_token", "the caller\'s organisation is not known here", "")\n'
          "        if scope not in principal.scopes:",
          "        principal = await self.authenticator.authenticate(credentials)\n"
          "        if not principal.scopes:", HTTP),
    # --- documents by id
    Fault("by id: any document under any hash", _PERSISTED,
          "if hashlib.sha256(query.encode()).hexdigest() != digest:", "if not digest:", HTTP),
    Fault("by id: kept before it has proved valid", _EXECUTION,
          "        prepared = await self.documents.prepare(text, introspection=context.introspection)\n"
          "        self._persisted.proved(request, text)\n",
          "        self._persisted.proved(request, text)\n"
          "        prepared = await self.documents.prepare(text, introspection=context.introspection)\n", HTTP),
    Fault("by id: what nobody registered is trusted", _PERSISTED,
          "if self._only_trusted and text not in self._texts:", "if self._only_trusted and not text:", HTTP),
    Fault("by id: any GET may be kept", _HTTP,
          'request.method != "GET" or not persisted or', 'request.method != "GET" or', HTTP),
    Fault("by id: a proxy may keep a caller's answer", _HTTP, "private, max-age=5", "public, max-age=5", HTTP),
    Fault("operations: the first of several is meant", _DOCUMENTS,
          "if name is None and len(self.operations) == 1:", "if name is None and self.operations:", (*HTTP, *GQL)),
    Fault("entities: one bad representation spoils all", "graph/entities.py",
          "for each in representations), return_exceptions=True)", "for each in representations))", SUBGRAPH),
    # --- sockets
    Fault("socket: bytes close with another code", _SOCKET,
          'Closing(4400, "Invalid message: send text', 'Closing(1003, "Invalid message: send text', SOCKETS),
    Fault("socket: 4403 for who has not said who asks", _SOCKET,
          'Closing(4401, "Unauthorized")', 'Closing(4403, "Unauthorized")', SOCKETS),
    Fault("socket: 1008 for a page of another site", _SOCKET,
          "socket.close(4403, fault.message", "socket.close(1008, fault.message", SOCKETS),
    Fault("socket: 1002 for another subprotocol", _SOCKET, "socket.close(4406,", "socket.close(1002,", SOCKETS),
    Fault("socket: 4400 for silence", _SOCKET, "Closing(4408,", "Closing(4400,", SOCKETS),
    Fault("socket: 4400 for an id in use", _SOCKET, "Closing(4409,", "Closing(4400,", SOCKETS),
    Fault("socket: a second connection_init is taken", _SOCKET,
          'if self._initialised:\n            raise Closing(4429, "Too many initialisation requests")',
          'if self._initialised:\n            return', SOCKETS),
    Fault("socket: 4400 for a second connection_init", _SOCKET, "Closing(4429,", "Closing(4400,", SOCKETS),
    Fault("socket: pong without what ping brought", _SOCKET,
          '{"type": "pong", **({"payload": payload} if payload is not None else {})}', '{"type": "pong"}', SOCKETS),
    Fault("socket: complete ends nothing", _SOCKET,
          'case "complete":\n                task = self._running.pop(_id(message), None)\n'
          "                if task is not None:\n                    task.cancel()",
          'case "complete":\n                _id(message)', SOCKETS),
    Fault("socket: one operation more than a socket may have", _SOCKET,
          "if len(self._running) >= limit:", "if len(self._running) > limit:", SOCKETS),
    Fault("socket: ten subscriptions more of one caller", _SETTINGS,
          "subscriptions_per_caller: Count = 200", "subscriptions_per_caller: Count = 210", SOCKETS),
    # --- streams
    Fault("events: without a name", _STREAMS, r'b"event: next\ndata: "', r'b"data: "', EVENTS),
    Fault("events: no word of the end", _STREAMS,
          r'closing=b"event: complete\ndata: \n\n"', r'closing=b":\n\n"', EVENTS),
    Fault("multipart: line feeds alone", _STREAMS,
          r'return b"\r\n--graphql\r\ncontent-type: application/json\r\n\r\n"',
          r'return b"\n--graphql\ncontent-type: application/json\n\n"', EVENTS),
    Fault("multipart: the last delimiter is like the others", _STREAMS,
          r'closing=b"\r\n--graphql--\r\n"', r'closing=b"\r\n--graphql\r\n"', EVENTS),
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What suites said of a fault: `by` are the failed checks of those that found it; `broken` why one says nothing."""

    by: Mapping[str, list[str]]
    broken: str | None
    started: bool = True

    @property
    def found(self) -> bool:
        return bool(self.by) and self.broken is None


class Sandbox:
    """The stand-ins, for all servers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports: dict[str, int] = {}
        self._lock = threading.Lock()
        self._taken: set[int] = set()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._ports['--port']}"

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Raises `NotReady`."""
        with contextlib.ExitStack() as stack:
            for last in (False, False, True):
                self._ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
                flags = [word for flag, port in self._ports.items() for word in (flag, str(port))]
                command = [sys.executable, "-m", "sandbox", "--state-dir", str(self._folder), *flags]
                log, ready = runner.LOGS / "sandbox.log", f"{self.address}/_control"
                try:
                    stack.enter_context(_process(command, runner.ROOT, SOURCES, log, ready))
                    break
                except NotReady:  # somebody else may have taken one of the ports meanwhile
                    if last:
                        raise
            yield

    def settings(self, folder: Path) -> Path:
        """The sandbox's configuration for a server with its store in `folder`."""
        text = configuration(self._ports, self._folder, self.free_port())
        text = text.replace(f"sqlite:///{self._folder}/", f"sqlite:///{folder}/")
        path = folder / "crossdock.toml"
        path.write_text(f"[server]\nconnection_init_seconds = {INIT_SECONDS}\n\n{text}")
        return path

    def free_port(self) -> int:
        """One that no other server of ours was given: another thread may be about to listen on it."""
        with self._lock:
            while (port := free_ports(1)[0]) in self._taken:
                continue
            self._taken.add(port)
            return port


@contextlib.contextmanager
def _process(
    command: list[str], at: Path, sources: Path, log: Path, ready: str, more: Mapping[str, str] | None = None
) -> Iterator[None]:
    """A program over these sources, once `ready` answers; ends with all that it started. Raises `NotReady`."""
    environ = {**os.environ, "PYTHONPATH": str(sources), **(more or {})}
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=at, env=environ, stdout=out, stderr=out, start_new_session=True)
    try:
        end = time.monotonic() + READY_SECONDS
        while True:
            if process.poll() is not None or time.monotonic() > end:
                raise NotReady(f"{' '.join(command[1:4])} did not start:\n{log.read_text()[-2_000:]}")
            with contextlib.suppress(OSError), urllib.request.urlopen(ready, timeout=2) as answer:
                if answer.status == 200:
                    break
            time.sleep(0.1)
        yield
    finally:
        runner._end(process)


def judge(fault: Fault | None, suites: tuple[str, ...], sandbox: Sandbox, own: str, environ: Mapping[str, str]
          ) -> Outcome:  # fmt: skip
    """Runs the suites against a copy with the fault, or without any. Raises `Moved`.

    A server that does not start has one more chance: its port may have been taken meanwhile.
    """
    outcome = _judge(fault, suites, sandbox, own, environ)
    return outcome if outcome.started else _judge(fault, suites, sandbox, own, environ)


def _judge(fault: Fault | None, suites: tuple[str, ...], sandbox: Sandbox, own: str, environ: Mapping[str, str]
           ) -> Outcome:  # fmt: skip
    name = re.sub(r"\W+", "-", fault.name) if fault else "unchanged"
    by: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory(prefix="crossdock-mutation-") as place:
        folder = Path(place)
        sources = folder / "src"
        shutil.copytree(SOURCES, sources)
        if fault:
            fault.apply(sources)
        port = sandbox.free_port()
        address = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "server.cli", "serve", "--config", str(sandbox.settings(folder))]
        given = {
            **environ,
            "CROSSDOCK": address,
            "SANDBOX": sandbox.address,
            "PYTHONPATH": os.pathsep.join([str(sources), str(runner.ROOT)]),
        }
        log, ready = runner.LOGS / f"{name}.server.log", f"{address}/health/ready"
        try:
            with _process(command, folder, sources, log, ready, {"CROSSDOCK_PORT": str(port)}):
                for suite in runner.SUITES:
                    if suite.name not in suites:
                        continue
                    result = runner.run(replace(suite, name=f"{name}.{suite.name}"), own, given)
                    if result.failed:
                        by[suite.name] = _FAILED.findall(result.said)
                    elif result.fault:
                        return Outcome(by, f"{suite.name} {result.fault}:\n{result.said[-1_500:]}")
        except NotReady as reason:
            return Outcome(by, str(reason), started=False)
    return Outcome(by, None)


def _told(fault: Fault, outcome: Outcome, seconds: float) -> None:
    if outcome.broken is not None:
        print(f"MISSED  {fault.name}: {outcome.broken}", flush=True)
    elif not outcome.found:
        print(f"MISSED  {fault.name}: {', '.join(fault.suites)} passed", flush=True)
    else:
        print(f"found   {fault.name} ({seconds:.0f} s)", flush=True)
        for suite, titles in outcome.by.items():
            more = f" and {len(titles) - SHOWN} more" if len(titles) > SHOWN else ""
            print(f"          {suite}: {'; '.join(titles[:SHOWN])}{more}", flush=True)


def main(words: list[str]) -> int:
    """Tries the faults that are meant; 0 when all were found."""
    chosen = [fault for fault in FAULTS if not words or any(word in fault.name for word in words)]
    if not chosen:
        sys.exit(f"mutations: no fault has {' or '.join(words)} in its name")
    suites = tuple(dict.fromkeys(name for fault in chosen for name in fault.suites))
    own, npm = runner.node()
    runner.LOGS = runner.ROOT / "var" / "mutations"  # conformance may run beside
    environ = runner.install(own, npm)
    shutil.rmtree(runner.LOGS, ignore_errors=True)
    runner.LOGS.mkdir(parents=True)
    (runner.LOGS / "node_modules").symlink_to(runner.HERE / "node_modules")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="crossdock-stand-ins-") as place:
        sandbox = Sandbox(Path(place).resolve())
        given = environ | {"PYTHON": sys.executable, "NODE": own}

        def attempt(fault: Fault) -> bool:
            began = time.monotonic()
            outcome = judge(fault, fault.suites, sandbox, own, given)
            _told(fault, outcome, time.monotonic() - began)
            return outcome.found

        with sandbox.running(), ThreadPoolExecutor(AT_ONCE) as lanes:
            unchanged = judge(None, suites, sandbox, own, given)
            if unchanged.by or unchanged.broken:
                why = unchanged.broken or "; ".join(f"{suite}: {', '.join(by)}" for suite, by in unchanged.by.items())
                sys.exit(f"mutations: the suites do not pass without any fault, so they show nothing: {why}")
            print(f"without any fault {', '.join(suites)} pass ({time.monotonic() - started:.0f} s)", flush=True)
            try:
                found = sum(lanes.map(attempt, chosen))
            except Moved as fault:
                lanes.shutdown(cancel_futures=True)
                sys.exit(f"mutations: {fault}")
    print(f"\n{time.monotonic() - started:.0f} s; what suites and servers wrote is in {runner.LOGS}")
    print(f"mutations: {found} found, {len(chosen) - found} missed")
    return 0 if found == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
