"""SAP ERP: one system, `sap-erp`, behind the warehouses of the EWM stand-ins.

OData V2 for sales orders with schedule lines, purchase orders, outbound deliveries, material stock and products, V4
for sales orders; BAPIs over the SOAP gateway; IDocs sent to `idoc_url` when a delivery changes. Signs in by user and
password, by OAuth2 client credentials or by API key: see the constants. Its client is 100.

What it does not have: `$metadata`, ETags, `$batch`, anything that writes.
"""

from typing import Any, Final

from sandbox.sap_erp.gateway import LOG_OFF, PING, SOAP, TOKEN, V4, Gateway, template
from sandbox.sap_erp.idocs import Port
from sandbox.sap_erp.rows import Books
from sandbox.sap_erp.soap import Soap
from sandbox.sap_ewm.gateway import V2
from sandbox.sap_ewm.logon import API_KEY, Logon
from sandbox.standin import Faults, StandIn
from sandbox.world import World

USER: Final = "CROSSDOCK"
PASSWORD: Final = "sandbox-erp-password"
CLIENT_ID: Final = "sb-crossdock!b1|erp"
CLIENT_SECRET: Final = "sandbox-erp-client-secret"
IDOC_USER: Final = "IDOCSENDER"
IDOC_PASSWORD: Final = "sandbox-idoc-password"
SAP_CLIENT: Final = "100"


class SapErp(StandIn):
    """The ERP system."""

    def __init__(
        self,
        world: World,
        *,
        page_size: int,
        token_seconds: int,
        idoc_url: str | None,
        idoc_transport: Any = None,
    ) -> None:
        faults = Faults(
            request_id_header="x-request-id",
            down_body="<html><body>503 Service not available</body></html>",
            clock=world.now,
        )
        self.books = Books(world)
        self.logon = Logon(
            "ERP",
            world.now,
            token_seconds=token_seconds,
            html=frozenset({"API_MATERIAL_STOCK_SRV"}),
            user=(USER, PASSWORD),
            client=(CLIENT_ID, CLIENT_SECRET),
        )
        self.soap = Soap(self.books)
        self.port = Port(self.books, url=idoc_url, user=IDOC_USER, password=IDOC_PASSWORD, transport=idoc_transport)
        gateway = Gateway(self.books, self.logon, self.soap, page_size=page_size, client=SAP_CLIENT)
        super().__init__("sap-erp", gateway.app, faults, template=template)
        faults.when_sessions_expire(self.logon.expire)

    @property
    def logins(self) -> int:
        """Tokens given and sessions opened by user and password."""
        return self.logon.logins

    async def start(self) -> None:
        self.port.start()

    async def stop(self) -> None:
        await self.port.stop()


def create(
    world: World,
    *,
    page_size: int = 100,
    token_seconds: int = 3600,
    idoc_url: str | None = None,
    **_options: Any,
) -> SapErp:
    """`page_size`: rows in one answer at most; `idoc_url`: where IDocs go, none without it."""
    return SapErp(world, page_size=page_size, token_seconds=token_seconds, idoc_url=idoc_url)


__all__ = [
    "API_KEY", "CLIENT_ID", "CLIENT_SECRET", "IDOC_PASSWORD", "IDOC_USER", "LOG_OFF", "PASSWORD", "PING", "SAP_CLIENT",
    "SOAP", "TOKEN", "USER", "V2", "V4", "SapErp", "create",
]  # fmt: skip
