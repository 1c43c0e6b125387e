"""How many calls Uber takes: trips are read one by one, and listed 50 at a time."""

from typing import Final

from connectors.kit.calls import Calls

_TRIPS: Final = 50
_CARS = Calls(each=20, alike=True)
"""Cars are those of the active trips, all of which are walked through: of a thousand at most."""

CALLS: Final = {
    "read_bookings": Calls(each=0, per_key=1),
    "list_bookings": Calls(
        once=2,  # active, past and expired trips are three lists
        rows=_TRIPS,
        by={"active": Calls(once=1, rows=_TRIPS, narrows=frozenset({"active"}))},
    ),
    "read_vehicles": _CARS,
    "list_vehicles": _CARS,
}
