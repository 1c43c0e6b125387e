"""`make run`: the sandbox's vendors and the server over them, in two processes that end together.

The server is started by its command line, as a user would; nothing of it is imported here. `--free-ports FOLDER` starts
all of it beside another one: on free ports, but for the server's if CROSSDOCK_PORT says it, with its files in FOLDER.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
import tomllib
import urllib.request
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from sandbox.elsewhere import CONFIG, PORTS, ROOT, configuration, free_ports


def _wait(url: str, process: "subprocess.Popen[bytes]", seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2) as answer:
            if answer.status == 200:
                return True
        time.sleep(0.1)
    return False


def _trackers(config: Path) -> list[str]:
    """Where the trackers connect to: the port that the server will listen on, as its configuration says."""
    for each in tomllib.loads(config.read_text()).get("integrations", []):
        if each.get("system") == "gt02":
            settings = each.get("settings", {})
            return ["--trackers-server", f"{settings.get('host', '127.0.0.1')}:{settings.get('port', 5023)}"]
    return []


def _elsewhere(folder: Path) -> tuple[Path, dict[str, int], int]:
    """The configuration, the ports of the stand-ins and of the server."""
    *own, trackers, server = free_ports(len(PORTS) + 2)
    ports = dict(zip(PORTS, own, strict=True))
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "crossdock.toml"
    config.write_text(configuration(ports, folder.resolve(), trackers))
    return config, ports, server


def main(given: Sequence[str] | None = None) -> int:
    """Runs until one of the two ends or Ctrl-C; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.start", description="The sandbox and the server over it.")
    parser.add_argument("--free-ports", type=Path, metavar="FOLDER", help="start it beside another one")
    folder: Path | None = parser.parse_args(given).free_ports
    config, ports, free = _elsewhere(folder) if folder else (CONFIG, PORTS, 8000)
    port = os.environ.get("CROSSDOCK_PORT", str(free))
    address, sandbox = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{ports['--port']}"
    environ = {**os.environ, "CROSSDOCK_PORT": port, "PYTHONPATH": str(ROOT / "src")}
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
            *(word for flag, number in ports.items() for word in (flag, str(number))),
            *(("--state-dir", str(folder)) if folder else ()),
            *_trackers(config),
        ],
        cwd=ROOT,
        env=environ,
    )
    server: subprocess.Popen[bytes] | None = None
    try:
        if not _wait(f"{sandbox}/_control", vendors, 20):
            taken = ", ".join(map(str, ports.values()))
            print(f"The sandbox did not start; is something else on one of the ports {taken}?", file=sys.stderr)
            return 1
        server = subprocess.Popen(
            [sys.executable, "-m", "server.cli", "serve", "--config", str(config)],
            cwd=ROOT,
            env=environ,
        )
        if not _wait(f"{address}/health/ready", server, 30):
            print(f"The server did not start; is something else on port {port}? Set CROSSDOCK_PORT.", file=sys.stderr)
            return 1
        print(f"Take a vendor down and up again: {sandbox}/   Stop: Ctrl-C", flush=True)
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
