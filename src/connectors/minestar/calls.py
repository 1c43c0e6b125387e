"""How many calls a provider of ISO 15143-3 takes. A machine's series comes in pages of its own; the exports of MineStar
are files, which cost none."""

from collections.abc import Mapping
from typing import Final

from connectors.kit.calls import NONE, Calls

FLEET_PAGES: Final = 10
"""Of a fleet that was not yet read to its end: an assumption."""
SERIES_PAGES: Final = 3
"""Of one machine's series: an assumption; a page has a week or more of what machines report."""
_MACHINES: Final = ("equipment", "ids")
"""Fields of a filter that name machines, or what is of one."""
MACHINES_ON_A_PAGE: Final = 10
"""Machines that a page of the fleet has at least, but for the last."""


def calls_of(fleet_pages: int | None, counters: int, *, alerts: int, producers: int) -> Mapping[str, Calls]:
    """By method. `fleet_pages` as counted when the fleet was last read to its end; `counters` that make production;
    machines whose `alerts`, or whose counters (`producers`), are read for one page of a list."""
    fleet = fleet_pages or FLEET_PAGES
    production = counters * SERIES_PAGES
    return {
        "read_equipment": Calls(each=fleet),
        "list_equipment": Calls(rows=MACHINES_ON_A_PAGE, by={"ids": Calls(each=fleet)}),
        "read_maintenance_alerts": Calls(once=fleet, each=0, per_key=SERIES_PAGES),
        "list_maintenance_alerts": Calls(
            once=fleet,
            each=alerts * SERIES_PAGES,
            rows=alerts,
            by={name: Calls(once=fleet, each=0, per_key=SERIES_PAGES) for name in _MACHINES},
        ),
        "read_production_records": Calls(once=fleet, each=0, per_key=production),
        "list_production_records": Calls(
            once=fleet,
            each=producers * production,
            rows=producers,
            by={name: Calls(once=fleet, each=0, per_key=production) for name in _MACHINES},
        ),
        **dict.fromkeys(
            ("read_haul_cycles", "list_haul_cycles", "read_equipment_delays", "list_equipment_delays"), NONE
        ),
    }
