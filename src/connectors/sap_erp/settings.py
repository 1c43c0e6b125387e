"""`[integrations.settings]` of a SAP ERP or S/4HANA system, and what of them the mapping needs."""

import re
from datetime import timedelta, timezone, tzinfo
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta

from connectors.kit.decode import Codes
from connectors.kit.odata import UNITS
from unified.records import ItemType, OrderStatus, Progress, StockStatus

Polled = Literal["sales-orders", "purchase-orders", "deliveries", "products"]
EVERY_POLL: tuple[Polled, ...] = ("sales-orders", "purchase-orders", "deliveries", "products")


class Settings(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """How this system is reached, and what its customising means."""

    interface: Annotated[
        Literal["odata", "soap", "rfc"],
        Meta(description="what is read through: the OData services, BAPIs over SOAP, or BAPIs over RFC"),
    ] = "odata"
    token_url: Annotated[str | None, Meta(description="OAuth2 token endpoint; needed with client_id")] = None
    scope: Annotated[str | None, Meta(description="OAuth2 scope, where the token endpoint wants one")] = None
    sap_client: Annotated[
        Annotated[str, Meta(pattern=r"^\d{3}$")] | None,
        Meta(description="SAP client, three digits (`sap-client`); null takes the system's default"),
    ] = None
    language: Annotated[
        str, Meta(pattern="^[A-Z]{2}$", description="language of texts (`sap-language`), two capital letters")
    ] = "EN"

    v2_path: Annotated[str, Meta(description="base of the OData V2 services")] = "/sap/opu/odata/sap"
    v4_path: Annotated[str, Meta(description="base of the OData V4 services")] = "/sap/opu/odata4/sap"
    sales_orders: Annotated[
        Literal["v2", "v4", "none"],
        Meta(description="service of sales orders: V2 API_SALES_ORDER_SRV, its V4 successor, or none of them"),
    ] = "v2"
    sales_order_v4: Annotated[str, Meta(description="path of the V4 service of sales orders below v4_path")] = (
        "/api_salesorder/srvd_a2x/sap/salesorder/0001"
    )
    purchase_orders: Annotated[bool, Meta(description="read purchase orders (API_PURCHASEORDER_PROCESS_SRV)")] = True
    delivery_service: Annotated[str, Meta(description="service of outbound deliveries, with its version")] = (
        "API_OUTBOUND_DELIVERY_SRV;v=0002"
    )
    details: Annotated[
        Literal["full", "items"],
        Meta(description="what comes with a document: items, schedule lines and partners, or items only"),
    ] = "full"

    soap_path: Annotated[str, Meta(description="address of the SOAP gateway below base_url")] = "/sap/bc/soap/rfc"
    wsdl_file: Annotated[
        str | None, Meta(description="WSDL of this system's own web service of the BAPIs; null takes the packaged one")
    ] = None
    ashost: Annotated[str | None, Meta(description="RFC: application server; with sysnr")] = None
    sysnr: Annotated[str, Meta(pattern=r"^\d{2}$", description="RFC: instance number, two digits")] = "00"
    mshost: Annotated[str | None, Meta(description="RFC: message server; with group and sysid")] = None
    group: Annotated[str, Meta(description="RFC: logon group of the message server")] = "PUBLIC"
    sysid: Annotated[str | None, Meta(description="RFC: system id, with mshost")] = None
    saprouter: Annotated[str | None, Meta(description="RFC: SAProuter string")] = None

    plants: Annotated[tuple[str, ...], Meta(description="stock of only these plants; empty means all")] = ()
    page_rows: Annotated[int, Meta(ge=1, le=5000, description="rows per call where all rows are read")] = 500
    plain_numbers: Annotated[
        bool, Meta(description="materials are spelt without dashes, dots and blanks: filters by item go to SAP")
    ] = False
    material_digits: Annotated[
        Literal[18, 40], Meta(description="digits of a padded numeric material number: 40 with long numbers")
    ] = 18
    item_types: Annotated[
        dict[str, ItemType], Meta(description="meaning of material types, over the usual one; others: COMPONENT")
    ] = {}
    stock_types: Annotated[dict[str, StockStatus], Meta(description="meaning of stock types, over the usual one")] = {}
    units: Annotated[dict[str, str], Meta(description="UN/ECE codes of SAP's internal units, over the usual ones")] = {}
    time_zone: Annotated[
        str, Meta(description="zone of the system's own clock (CREDAT and CRETIM of IDocs), such as Africa/Lagos")
    ] = "UTC"
    zones: Annotated[
        dict[str, str], Meta(description="IANA names of SAP's time zones, over the usual ones: `{ CET = … }`")
    ] = {}

    senders: Annotated[
        tuple[str, ...], Meta(description="partner numbers (SNDPRN) whose IDocs are taken; empty means all")
    ] = ()
    acknowledgement: Annotated[
        Literal["empty", "aleaud"],
        Meta(description="body of the answer to an IDoc: nothing, or an ALEAUD01 with the status of each document"),
    ] = "empty"

    polled: Annotated[
        tuple[Polled, ...], Meta(description='what polls look for; of interest with `interface = "odata"` only')
    ] = EVERY_POLL
    poll_overlap_seconds: Annotated[
        int, Meta(ge=0, le=3600, description="how far before the last poll a poll looks again")
    ] = 120
    poll_first_hours: Annotated[int, Meta(ge=1, le=720, description="how far back the first poll looks")] = 24

    def __post_init__(self) -> None:
        for name in (self.time_zone, *self.zones.values()):
            if _zone(name) is None:
                raise ValueError(f"there is no time zone {name!r}; write an IANA name such as Africa/Lagos")
        if self.interface == "rfc" and not self.ashost and not (self.mshost and self.sysid):
            raise ValueError('interface "rfc" needs ashost with sysnr, or mshost with group and sysid')


_ITEM_TYPES = {
    "FERT": ItemType.ASSEMBLY,
    "HALB": ItemType.ASSEMBLY,
    "KMAT": ItemType.ASSEMBLY,
    "IBAU": ItemType.ASSEMBLY,
    "ROH": ItemType.RAW_MATERIAL,
    "HIBE": ItemType.RAW_MATERIAL,
    "HAWA": ItemType.COMPONENT,
    "ERSA": ItemType.COMPONENT,
    "VERP": ItemType.COMPONENT,
    "FHMI": ItemType.TOOLING,
}
_STOCK = {"01": StockStatus.UNRESTRICTED, "02": StockStatus.QUALITY_INSPECTION, "07": StockStatus.BLOCKED}
_ZONES = {
    "CET": "Europe/Berlin", "WET": "Europe/Lisbon", "EET": "Europe/Athens", "GMTUK": "Europe/London",
    "RUS03": "Europe/Moscow", "EST": "America/New_York", "CST": "America/Chicago", "MST": "America/Denver",
    "PST": "America/Los_Angeles", "BRAZIL": "America/Sao_Paulo", "INDIA": "Asia/Kolkata", "JAPAN": "Asia/Tokyo",
    "AUSNSW": "Australia/Sydney", "UTC": "UTC",
}  # fmt: skip
"""SAP's names look like IANA's and mean other things: its EST has summer time."""
_OFFSET = re.compile(r"^UTC([+-]\d{1,2})$")

PROGRESS = Codes(
    Progress,
    {
        "": Progress.NOT_RELEVANT,
        "A": Progress.NOT_STARTED,
        "B": Progress.PARTIAL,
        "C": Progress.COMPLETE,
    },
)
PROCESS = Codes(
    OrderStatus,
    {
        "": OrderStatus.UNKNOWN,  # not relevant: SAP does not follow how far it is
        "A": OrderStatus.OPEN,
        "B": OrderStatus.IN_PROGRESS,
        "C": OrderStatus.COMPLETED,
    },
)


class Rules(msgspec.Struct, frozen=True):
    """What codes of one system mean."""

    item_types: dict[str, ItemType]
    stock_types: Codes[StockStatus]
    units: dict[str, str]
    zones: dict[str, str]
    language: str
    clock: tzinfo
    """Of the system itself."""

    def item_type(self, code: str | None) -> ItemType:
        """COMPONENT for a material type that is in no table: customers make their own."""
        return self.item_types.get((code or "").strip(), ItemType.COMPONENT)

    def unit(self, internal: str | None) -> str:
        """The UN/ECE code of an internal unit; the unit itself where we know none."""
        bare = (internal or "").strip()
        return self.units.get(bare, bare)

    def zone(self, name: str | None) -> tzinfo | None:
        """The zone that SAP calls so; null for a name that is in no table."""
        bare = (name or "").strip()
        offset = _OFFSET.match(bare)
        if offset and abs(int(offset[1])) <= 14:
            return timezone(timedelta(hours=int(offset[1])))
        return _zone(self.zones[bare]) if bare in self.zones else None


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def rules_of(settings: Settings) -> Rules:
    """The usual meaning with the system's own over it."""
    clock = _zone(settings.time_zone)
    assert clock is not None
    return Rules(
        item_types=_ITEM_TYPES | settings.item_types,
        stock_types=Codes(StockStatus, _STOCK | settings.stock_types),
        units=UNITS | settings.units,
        zones=_ZONES | settings.zones,
        language=settings.language,
        clock=clock,
    )
