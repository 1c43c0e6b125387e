"""The sandbox beside another one: on ports that are free, with its files in a folder of its own."""

import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / "crossdock.sandbox.toml"
PORTS: Final = {
    "--port": 8100,
    "--tak-rest-port": 8101,
    "--tak-stream-port": 8102,
    "--opcua-port": 8110,
    "--modbus-port": 8111,
}
"""Flags of `python -m sandbox`, and the ports that crossdock.sandbox.toml takes for granted."""


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody listens on now, each another."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def configuration(ports: Mapping[str, int], folder: Path, trackers: int) -> str:
    """The text of crossdock.sandbox.toml for stand-ins on these ports (by flag), with the sandbox's files and the
    store in `folder`, and trackers that connect to the port `trackers`.

    Raises `ValueError` when the file names a port or a folder that is not known here.
    """
    text = CONFIG.read_text()
    for flag, was in PORTS.items():
        text = text.replace(f"127.0.0.1:{was}", f"127.0.0.1:{ports[flag]}")
    text = re.sub(r"(?m)^port = \d+$", f"port = {trackers}", text)
    text = text.replace("sqlite:///var/sandbox/", f"sqlite:///{folder}/").replace('"var/sandbox/', f'"{folder}/')
    unknown = {int(each) for each in re.findall(r"127\.0\.0\.1:(\d+)", text)} - set(ports.values())
    if unknown or "var/sandbox" in text:
        raise ValueError(f"{CONFIG.name} names what sandbox/elsewhere.py does not know: {unknown or 'var/sandbox'}")
    return text
