"""Peers that run on Node: installed by `npm ci` on first use, started on a free port, ended with the test.

Where that cannot be done the tests are skipped, or fail when `CROSSDOCK_REQUIRE_SERVICES=1`.
"""

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

PEERS = Path(__file__).parents[1] / "peers"


def _unavailable(reason: str) -> None:
    if os.environ.get("CROSSDOCK_REQUIRE_SERVICES") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def _installed(peer: Path) -> None:
    """The packages of the peer's lock file; installed when they are not those."""
    if not shutil.which("node") or not shutil.which("npm"):
        _unavailable(f"node and npm are needed for {peer.name}")
    locked = hashlib.sha256((peer / "package-lock.json").read_bytes()).hexdigest()
    mark = peer / "node_modules" / ".crossdock-lock"
    if mark.exists() and mark.read_text() == locked:
        return
    done = subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=peer, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    if done.returncode:
        _unavailable(f"npm ci failed: {done.stderr.strip()[-300:]}")
    mark.write_text(locked)


@asynccontextmanager
async def started(name: str, *arguments: str) -> AsyncIterator[str]:
    """The address of `tests/peers/<name>/server.js`, which prints its port as one line of JSON."""
    peer = PEERS / name
    await asyncio.to_thread(_installed, peer)
    process = await asyncio.create_subprocess_exec(
        "node", "server.js", *arguments,
        cwd=peer,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        port = 0
        async with asyncio.timeout(60):
            async for line in process.stdout:
                if line.startswith(b'{"port"'):
                    port = json.loads(line)["port"]
                    break
            assert port, (await process.stderr.read())[-500:]
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        await process.communicate()
