"""OctoPrint 1.11 in front of each printer of the world: its REST interface and its push socket.

Written from OctoPrint's documentation (https://docs.octoprint.org/en/master/api/) and from answers of 1.11.8.
Each printer is a stand-in of its own, `octoprint/printer-1` and so on, with an API key of its own
(`world.printers[n].api_key`), since every real printer has an OctoPrint of its own.

Not offered: uploads, timelapses, settings, and commands to the printer's parts. The printers follow the
world's schedule, so that `start` does no more than take back a `cancel`.
"""

from typing import Any

from sandbox.octoprint.rest import PASSWORD, USER, OctoPrint
from sandbox.world import World

__all__ = ["PASSWORD", "USER", "OctoPrint", "create"]


def create(world: World, **_options: Any) -> list[OctoPrint]:
    """One for each printer. The credentials are the printers' own `api_key`s."""
    return [OctoPrint(world, printer) for printer in world.printers]
