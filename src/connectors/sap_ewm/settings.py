"""`[integrations.settings]` of an EWM system, and what of them the mapping needs."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from connectors.kit.decode import Codes
from connectors.kit.odata import UNITS
from unified.records import Progress, StockStatus, TaskStatus


class Settings(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """How this EWM system is reached, and what its customising means."""

    token_url: Annotated[
        str | None, Meta(description=("OAuth2 token endpoint, absolute or below `base_url`; needed with client_id"))
    ] = None
    scope: Annotated[str | None, Meta(description="OAuth2 scope, where the token endpoint wants one")] = None
    sap_client: Annotated[
        str | None, Meta(description=("SAP client, sent as `sap-client`; null takes the system's own"))
    ] = None
    language: Annotated[
        str, Meta(description=("language of SAP's texts; keep English, some statuses are told by their text"))
    ] = "en"
    v2_path: Annotated[str, Meta(description="base of the OData V2 services")] = "/sap/opu/odata/sap"
    v4_path: Annotated[str, Meta(description="base of the OData V4 services")] = "/sap/opu/odata4/sap"
    warehouses: Annotated[tuple[str, ...], Meta(description="only these warehouses; empty means all")] = ()
    page_rows: Annotated[int, Meta(ge=1, le=5000, description="rows per call where all rows are read")] = 500
    items_by: Annotated[
        Literal["expand", "filter"],
        Meta(description="lines of deliveries in the same call ($expand), or by one more call per page"),
    ] = "expand"
    vehicle_field: Annotated[
        Annotated[str, Meta(pattern="^[A-Za-z_][A-Za-z0-9_]*$")] | None,
        Meta(
            description=(
                "field of the delivery head that has the truck's plate. The released services have none: "
                "name your extension field (`YY1_…`), which must be on both kinds of delivery"
            )
        ),
    ] = None
    plain_numbers: Annotated[
        bool, Meta(description="products are spelt without dashes, dots and blanks: filters by item go to SAP")
    ] = False
    warehouse_order_statuses: Annotated[
        dict[str, TaskStatus],
        Meta(
            description=(
                'meaning of WarehouseOrderStatus codes: `{ "A" = "OPEN" }`, over the usual one, `""` OPEN, '
                "`D` IN_PROGRESS, `C` DONE, `A` CANCELLED"
            )
        ),
    ] = {}
    task_statuses: Annotated[
        dict[str, TaskStatus],
        Meta(description=("meaning of WarehouseTaskStatus codes, over the usual one, as of orders and `B` OPEN")),
    ] = {}
    stock_types: Annotated[
        dict[str, StockStatus],
        Meta(
            description=(
                'meaning of stock types: `{ "X1" = "BLOCKED" }`, over the usual one, F1 F2 UNRESTRICTED, '
                "Q3 Q4 QUALITY_INSPECTION, B5 B6 BLOCKED"
            )
        ),
    ] = {}
    units: Annotated[
        dict[str, str],
        Meta(
            description=(
                'UN/ECE codes of SAP\'s internal units: `{ "KAR" = "CT" }`, over the usual ones, `ST` PCE, '
                "`KG` KGM, `M` MTR, `L` LTR, …"
            )
        ),
    ] = {}
    poll_overlap_seconds: Annotated[
        int, Meta(ge=0, le=3600, description="how far before the last poll a poll looks again")
    ] = 120
    poll_first_hours: Annotated[int, Meta(ge=1, le=720, description="how far back the first poll looks")] = 24


_WORK = {
    "": TaskStatus.OPEN,
    "D": TaskStatus.IN_PROGRESS,
    "C": TaskStatus.DONE,
    "A": TaskStatus.CANCELLED,
}
_TASK = _WORK | {"B": TaskStatus.OPEN}  # waiting
_STOCK = {
    "F1": StockStatus.UNRESTRICTED,
    "F2": StockStatus.UNRESTRICTED,
    "Q3": StockStatus.QUALITY_INSPECTION,
    "Q4": StockStatus.QUALITY_INSPECTION,
    "B5": StockStatus.BLOCKED,
    "B6": StockStatus.BLOCKED,
}
_PROGRESS = {
    "": Progress.NOT_RELEVANT,
    "0": Progress.NOT_RELEVANT,
    "1": Progress.NOT_STARTED,
    "2": Progress.PARTIAL,
    "9": Progress.COMPLETE,
}
_NAMES = {
    "open": TaskStatus.OPEN,
    "in process": TaskStatus.IN_PROGRESS,
    "confirmed": TaskStatus.DONE,
    "cancelled": TaskStatus.CANCELLED,
    "canceled": TaskStatus.CANCELLED,
}
"""English texts of the codes, for the one code on which public clients disagree (`A`)."""

PROGRESS = Codes(Progress, _PROGRESS)


class Rules(msgspec.Struct, frozen=True):
    """What codes of one system mean."""

    warehouse_order_statuses: Codes[TaskStatus]
    task_statuses: Codes[TaskStatus]
    stock_types: Codes[StockStatus]
    units: dict[str, str]

    def warehouse_order_status(self, code: str | None, name: str | None) -> TaskStatus:
        """The status; an English text settles what `A` means."""
        if code == "A" and name and (told := _NAMES.get(name.strip().casefold())):
            return told
        return self.warehouse_order_statuses[code]

    def unit(self, internal: str | None) -> str:
        """The UN/ECE code of an internal unit; the unit itself where we know none."""
        bare = (internal or "").strip()
        return self.units.get(bare, bare)


def rules_of(settings: Settings) -> Rules:
    """The usual meaning with the system's own over it."""
    return Rules(
        warehouse_order_statuses=Codes(TaskStatus, _WORK | settings.warehouse_order_statuses),
        task_statuses=Codes(TaskStatus, _TASK | settings.task_statuses),
        stock_types=Codes(StockStatus, _STOCK | settings.stock_types),
        units=UNITS | settings.units,
    )
