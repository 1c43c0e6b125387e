"""Machines that speak OctoPrint's REST interface and push socket: 3D printers.

API: https://docs.octoprint.org/en/master/api/ (no paging, no rate limit, keys that do not expire)
Oddities: 403 instead of 401, and 400 `CSRF validation failed` for a POST with an unknown key; 409 of
/api/printer means that the printer is off, not that something is wrong; progress in percent; times in epoch
seconds of a clock that is often wrong; a chamber that does not exist has null temperatures.
"""

from connectors.equipment.octoprint.machine import OctoPrintMachine
from connectors.equipment.octoprint.payloads import decoders, explain

__all__ = ["OctoPrintMachine", "decoders", "explain"]
