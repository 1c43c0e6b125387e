"""Trackers are never asked: what they said last is read from memory."""

from typing import Final

from connectors.kit.calls import NONE

CALLS: Final = {"read_vehicles": NONE, "list_vehicles": NONE}
