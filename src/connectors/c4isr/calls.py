"""How many calls a TAK server takes."""

from typing import Final

from connectors.kit.calls import Calls

CALLS: Final = {
    "read_missions": Calls(each=0, per_key=2),  # there is no batch read; a guid that is not known is tried as a name
    "list_missions": Calls(once=1, rows=100),
    "read_units": Calls(each=2),  # last events, and who is connected
    "list_units": Calls(each=2),
}
ONE_BY_ONE: Final = Calls(once=2, each=0, per_key=1)
"""`read_units` where the server has turned out not to know the batch read."""
