"""`make run`: the sandbox's vendors and the server over them, in two processes that end together.

The server is started by its command line, as a user would; nothing of it is imported here.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
import tomllib
import urllib.request
import webbrowser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / "crossdock.sandbox.toml"
VENDORS = "http://127.0.0.1:8100/_control"


def _wait(url: str, process: "subprocess.Popen[bytes]", seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2) as answer:
            if answer.status == 200:
                return True
        time.sleep(0.1)
    return False


def _trackers() -> list[str]:
    """Where the trackers connect to: the port that the server will listen on, as its configuration says."""
    for each in tomllib.loads(CONFIG.read_text()).get("integrations", []):
        if each.get("system") == "gt02":
            settings = each.get("settings", {})
            return ["--trackers-server", f"{settings.get('host', '127.0.0.1')}:{settings.get('port', 5023)}"]
    return []


def main() -> int:
    """Runs until one of the two ends or Ctrl-C; gives the exit status."""
    port = os.environ.get("CROSSDOCK_PORT", "8000")
    address = f"http://127.0.0.1:{port}"
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    vendors = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "sandbox",
            "--webhook-url",
            f"{address}/webhooks/uber",
            "--idoc-url",
            f"{address}/webhooks/erp",
            *_trackers(),
        ],
        cwd=ROOT,
        env=environ,
    )
    server: subprocess.Popen[bytes] | None = None
    try:
        if not _wait(VENDORS, vendors, 20):
            print("The sandbox did not start; is something else on its ports, 8100 to 8111?", file=sys.stderr)
            return 1
        server = subprocess.Popen(
            [sys.executable, "-m", "server.cli", "serve", "--config", str(CONFIG)],
            cwd=ROOT,
            env=environ,
        )
        if not _wait(f"{address}/health/ready", server, 30):
            print(f"The server did not start; is something else on port {port}? Set CROSSDOCK_PORT.", file=sys.stderr)
            return 1
        print("Take a vendor down and up again: http://127.0.0.1:8100/   Stop: Ctrl-C", flush=True)
        if sys.stdout.isatty():
            webbrowser.open(f"{address}/graphiql")
        while server.poll() is None and vendors.poll() is None:
            time.sleep(0.2)
        return server.returncode or vendors.returncode or 0
    except KeyboardInterrupt:
        return 0
    finally:
        for process in (server, vendors):
            if process is not None:
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(signal.SIGINT)
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()


if __name__ == "__main__":
    sys.exit(main())
