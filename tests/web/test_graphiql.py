"""GraphiQL in a real browser: web/test/graphiql.mjs against the running server."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WEB = ROOT / "web"
CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
BUILT = ROOT / "src" / "server" / "static" / "graphiql" / "index.html"
PLAYWRIGHT = WEB / "node_modules" / "playwright-core"


def _need(met: bool, otherwise: str) -> None:
    if met:
        return
    if os.environ.get("CROSSDOCK_REQUIRE_SERVICES") == "1":
        pytest.fail(otherwise)
    pytest.skip(otherwise)


@pytest.fixture
def node() -> str:
    """The Node that builds the page also drives the browser."""
    _need(CHROMIUM.exists(), f"no browser at {CHROMIUM}: apt-get install chromium, or set CHROMIUM")
    _need(BUILT.exists() and PLAYWRIGHT.exists(), "the page is not built: python web/build.py")
    found = subprocess.run(
        [sys.executable, str(WEB / "build.py"), "--node"], capture_output=True, text=True, check=False
    )
    _need(found.returncode == 0, found.stderr)
    return found.stdout.strip()


@pytest.mark.peers
@pytest.mark.timeout(240)
def test_a_person_can_use_graphiql_and_no_other_host_is_asked(node: str, live_server: str) -> None:
    done = subprocess.run(
        [node, "test/graphiql.mjs", live_server], cwd=WEB, capture_output=True, text=True, timeout=220, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert done.stdout.splitlines()[-1].endswith(" passed, 0 failed")
