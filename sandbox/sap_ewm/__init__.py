"""SAP EWM: two systems, `sap-ewm-west` (warehouses 1710 and 1720) and `sap-ewm-north` (1730).

OData V2 for delivery orders, inbound deliveries, warehouse orders, tasks and bins; V4 for available stock. Signs in
by user and password, by OAuth2 client credentials or by API key (reads only): see the constants. Sessions live in
cookies and are gone after 30 idle minutes; every change and `$batch` needs the session's CSRF token. Without a valid
session most services answer 401, the bins' answers 200 with the logon page.

What it does not have: `$metadata`, ETags, the robot service, and of the changes only `AssignWarehouseOrder`.
"""

from typing import Any, Final

from sandbox.sap_ewm.gateway import TOKEN, V2, V4, Gateway, template
from sandbox.sap_ewm.logon import API_KEY, CLIENT_ID, CLIENT_SECRET, PASSWORD, USER, Logon
from sandbox.sap_ewm.rows import VEHICLE_FIELD, House
from sandbox.standin import Faults, StandIn
from sandbox.world import World

HTML_SERVICES: Final = frozenset({"API_WAREHOUSE_STORAGE_BIN"})
TOKEN_PATH: Final = TOKEN


class SapEwm(StandIn):
    """One EWM system."""

    def __init__(self, world: World, system: str, *, page_size: int, token_seconds: int) -> None:
        faults = Faults(
            request_id_header="x-request-id",
            down_body="<html><body>503 Service not available</body></html>",
            clock=world.now,
        )
        self.house = House(world, system)
        self.logon = Logon(
            "EWW" if system == "west" else "EWN", world.now, token_seconds=token_seconds, html=HTML_SERVICES
        )
        gateway = Gateway(self.house, self.logon, page_size=page_size)
        super().__init__(f"sap-ewm-{system}", gateway.app, faults, template=template)
        faults.when_sessions_expire(self.logon.expire)
        faults.when_reset(self.house.assigned.clear)

    @property
    def logins(self) -> int:
        """Tokens given and sessions opened by user and password."""
        return self.logon.logins


def create(world: World, *, page_size: int = 100, token_seconds: int = 3600, **_options: Any) -> list[SapEwm]:
    """West and north. `page_size`: rows in one answer at most; `token_seconds`: life of an OAuth2 token."""
    return [SapEwm(world, system, page_size=page_size, token_seconds=token_seconds) for system in ("west", "north")]


__all__ = [
    "API_KEY", "CLIENT_ID", "CLIENT_SECRET", "HTML_SERVICES", "PASSWORD", "TOKEN_PATH", "USER", "V2", "V4",
    "VEHICLE_FIELD", "SapEwm", "create",
]  # fmt: skip
