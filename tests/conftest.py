"""What tests of the whole share: everything up, as `make run` starts it."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.elsewhere import free_ports

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def live_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server over the sandbox's vendors, in processes of their own."""
    [port] = free_ports(1)
    address = f"http://127.0.0.1:{port}"
    folder = tmp_path_factory.mktemp("live")
    log = folder / "log"
    environ = {**os.environ, "CROSSDOCK_PORT": str(port), "PYTHONPATH": str(ROOT / "src")}
    with log.open("wb") as out:
        command = [sys.executable, "-m", "sandbox.start", "--free-ports", str(folder / "sandbox")]
        process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=out, stderr=out)
        try:
            end = time.monotonic() + 60
            while not _ready(address):
                if process.poll() is not None or time.monotonic() > end:
                    pytest.fail(f"the server did not start:\n{log.read_text()[-4000:]}")
                time.sleep(0.2)
            yield address
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)


def _ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health/ready", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
