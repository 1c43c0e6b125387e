"""Settings and credentials of an Oracle Fusion Cloud account, and what of them the mapping needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta

from connectors.kit.decode import Codes
from connectors.kit.integration import Integration
from connectors.kit.manifest import Credential
from unified.records import ItemType, WorkOrderStatus

CREDENTIALS: Final = (
    Credential(
        name="client_id",
        description="Client id of a confidential application in the identity domain; needs token_url and scope",
        required=False,
    ),
    Credential(name="client_secret", description="Its client secret", required=False),
    Credential(name="username", description="Fusion user for HTTP Basic, instead of a client", required=False),
    Credential(name="password", description="The user's password", required=False),
    Credential(
        name="webhook_secret",
        description="Secret that signs forwarded business events; without it none is believed",
        required=False,
    ),
    Credential(
        name="webhook_secret_next", description="The new webhook secret, while it is being changed", required=False
    ),
)

ITEM_CLASSES: Final[Mapping[str, ItemType]] = {
    "Root": ItemType.ASSEMBLY,
    "Root Item Class": ItemType.ASSEMBLY,
    "Manufactured": ItemType.ASSEMBLY,
    "Purchased": ItemType.COMPONENT,
    "Model": ItemType.MODEL,
}
"""By `ItemClass`. Tenants make classes of their own: what is in neither table is a component."""

STATUSES: Final[Mapping[str, WorkOrderStatus]] = {
    "UNRELEASED": WorkOrderStatus.CREATED,
    "RELEASED": WorkOrderStatus.RELEASED,
    "ON_HOLD": WorkOrderStatus.ON_HOLD,
    "COMPLETED": WorkOrderStatus.COMPLETED,
    "CLOSED": WorkOrderStatus.CLOSED,
    "CANCELED": WorkOrderStatus.CANCELLED,
}
"""System statuses. As `WorkOrderStatusCode` they have the prefix `ORA_`; tenants add statuses that stand for one."""

Subject = Literal["item", "structure", "work-order"]
EVENTS: Final[Mapping[str, Subject]] = {
    "oracle.apps.scm.items.itemCreated": "item",
    "oracle.apps.scm.items.itemUpdated": "item",
    "oracle.apps.scm.bom.bomCreated": "structure",
    "oracle.apps.scm.bom.bomUpdated": "structure",
}
"""Business events by what is read again for them."""

_Name = Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
_Code = Annotated[str, Meta(min_length=1, max_length=100)]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[integrations.settings]` of an Oracle Fusion Cloud account."""

    organizations: Annotated[
        tuple[_Code, ...],
        Meta(
            description="Codes of the inventory organizations (plants) that are read. A number that several of them "
            "have stands for the item of the first; empty = all that the user sees"
        ),
    ] = ()
    token_url: Annotated[
        str | None,
        Meta(
            description="Token endpoint of the identity domain (…/oauth2/v1/token), an address or a path below "
            "base_url; with client_id"
        ),
    ] = None
    scope: Annotated[
        str | None,
        Meta(
            description="OAuth 2.0 scope, `urn:opc:resource:fa:instanceid=<id>urn:opc:resource:consumer::all`: "
            "audience and scope without a blank"
        ),
    ] = None
    resources: Annotated[
        str, Meta(pattern="^/.*[^/]$", description="Path of the REST resources, with their version")
    ] = "/fscmRestApi/resources/11.13.18.05"
    framework_version: Annotated[
        int,
        Meta(
            ge=2,
            le=9,
            description="REST-Framework-Version that is asked for; `q` is a row-match expression from 2 on, expanded "
            "children are collections from 3 on, errors have structure from 4 on",
        ),
    ] = 4
    structure: Annotated[_Code, Meta(description="Name of the item structure that is exploded when none is named")] = (
        "Primary"
    )
    explosion: Annotated[
        Literal["levels", "flat"],
        Meta(
            description="How structures are exploded: `levels` asks itemStructures for all items of a level at once, "
            "`flat` asks structureComponentsItemsDetails (26A and later) for each structure"
        ),
    ] = "levels"
    flat_resource: Annotated[
        str, Meta(pattern="^/.*[^/]$", description="Path of structureComponentsItemsDetails, for `flat`")
    ] = "/fscmRestApi/scm/redwood/11.13.18.05/structureComponentsItemsDetails"
    structure_view: Annotated[
        str | None, Meta(description="Structure view whose attributes `flat` asks for; null = the standard ones")
    ] = "StructureComponentDetailsView"
    item_classes: Annotated[
        dict[str, ItemType],
        Meta(description='What the tenant\'s own item classes are: `"Raw Materials" = "RAW_MATERIAL"`'),
    ] = {}
    item_fields: Annotated[
        tuple[_Name, ...],
        Meta(
            description="Further attributes of itemsV2 to ask for: `LongDescription` becomes the description, "
            "`BuildInWIPFlag` tells assemblies where the class says nothing"
        ),
    ] = ()
    revisions: Annotated[
        bool, Meta(description="Read each item's revisions along with it, for the newest one; answers are much longer")
    ] = False
    statuses: Annotated[
        dict[str, WorkOrderStatus],
        Meta(description='What the tenant\'s own work order statuses mean: `KITTING = "RELEASED"`'),
    ] = {}
    finders: Annotated[
        dict[Literal["itemsV2", "itemStructures", "workOrders"], str],
        Meta(description="Predefined finder that every query of a resource goes through: `Name;Variable=value`"),
    ] = {}
    time_zone: Annotated[str, Meta(description="Zone of the plants, for times that come without one")] = "UTC"
    polled: Annotated[
        tuple[Literal["items", "work-orders"], ...], Meta(description="What is polled for changes; empty = nothing")
    ] = ("items", "work-orders")
    overlap_seconds: Annotated[
        int, Meta(ge=1, le=86_400, description="How far a poll looks back behind the one before it")
    ] = 300
    events: Annotated[
        dict[str, Subject],
        Meta(description="Further business events that are forwarded, by what is to be read again for them"),
    ] = {}

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"`time_zone` {self.time_zone!r} is no IANA time zone") from None
        if len(set(self.organizations)) != len(self.organizations):
            raise ValueError("`organizations` names an organization twice")


@dataclass(frozen=True)
class Rules:
    """What a tenant's own codes mean."""

    item_classes: Mapping[str, ItemType]
    own_statuses: Mapping[str, WorkOrderStatus]
    statuses: Codes[WorkOrderStatus]
    zone: tzinfo


def rules_of(settings: Settings) -> Rules:
    return Rules(
        item_classes={**ITEM_CLASSES, **settings.item_classes},
        own_statuses=settings.statuses,
        statuses=Codes(WorkOrderStatus, STATUSES),
        zone=ZoneInfo(settings.time_zone),
    )


def settings_of(integration: Integration) -> Settings:
    return msgspec.convert(integration.settings, Settings)
