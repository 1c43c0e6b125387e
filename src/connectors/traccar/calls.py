"""How many calls Traccar takes: it pages nothing, and positions have an endpoint of their own."""

from typing import Final

from connectors.kit.calls import Calls

CALLS: Final = {
    "read_vehicles": Calls(each=3),  # devices and positions; all devices where one id may not be seen
    "list_vehicles": Calls(each=3),
}
