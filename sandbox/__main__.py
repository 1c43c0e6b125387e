"""`python -m sandbox`: all stand-ins on one port of this machine, until interrupted."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sandbox.registry import MODULES, application, load
from sandbox.serving import Server, quiet_config
from sandbox.world import World


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        description="Stand-ins of the vendor systems over one little world.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="the control endpoints answer to this machine only anyway")
    parser.add_argument("--port", type=int, default=8100, help="0 takes a free one")
    parser.add_argument("--tak-rest-port", type=int, default=8101, help="TAK's REST over TLS")
    parser.add_argument("--tak-stream-port", type=int, default=8102, help="TAK's event stream over TLS")
    parser.add_argument("--opcua-port", type=int, default=8110, help="the assembly line's OPC UA server")
    parser.add_argument("--modbus-port", type=int, default=8111, help="the presses' Modbus gateway")
    parser.add_argument("--state-dir", type=Path, default=Path("var/sandbox"), help="for certificates and the like")
    parser.add_argument("--webhook-url", default=None, help="where Uber's webhooks are sent; none without it")
    parser.add_argument("--idoc-url", default=None, help="where SAP ERP's IDocs are sent; none without it")
    parser.add_argument("--webhook-key", default="sandbox-signing-key", help="key that signs Uber's webhooks")
    parser.add_argument(
        "--trackers-server",
        default=None,
        type=_address,
        help="HOST:PORT that the GT02 trackers connect to; none without",
    )
    parser.add_argument("--only", action="append", choices=MODULES, help="start this one only; may be repeated")
    return parser.parse_args(given)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def _run(arguments: argparse.Namespace) -> bool:
    """Whether it came up."""
    url_host = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
    options: dict[str, dict[str, Any]] = {
        "": {
            "host": arguments.host,
            "base_url": f"http://{url_host}:{arguments.port}",
            "state_dir": arguments.state_dir,
        },
        "gt02": {"server": arguments.trackers_server},
        "opcua": {"port": arguments.opcua_port},
        "modbus": {"port": arguments.modbus_port},
        "tak": {"rest_port": arguments.tak_rest_port, "stream_port": arguments.tak_stream_port},
        "sap_erp": {"idoc_url": arguments.idoc_url},
        "uber": {"webhook_url": arguments.webhook_url, "signing_key": arguments.webhook_key},
    }
    stand_ins = load(
        World(),
        options,
        modules=arguments.only or MODULES,
        missing=lambda name: _say(f"sandbox has no stand-in {name} (sandbox/{name}.py); going on without"),
    )
    config = quiet_config(application(stand_ins), arguments.host, arguments.port, lifespan="on")
    server = Server(config, lambda port: _say(f"sandbox ready on http://{url_host}:{port}"))
    server.stop_on_signals()
    await server.serve()
    return server.started


def main(given: Sequence[str] | None = None) -> int:
    """0 after a clean end; not 0 when it could not start (uvicorn exits itself when the port is taken)."""
    return 0 if asyncio.run(_run(_arguments(given))) else 1


if __name__ == "__main__":
    sys.exit(main())
