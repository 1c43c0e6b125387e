"""Settings and credentials of a Teamcenter server."""

from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta

from connectors.kit.integration import Integration
from connectors.kit.manifest import Credential
from unified.records import ItemType

CREDENTIALS = (
    Credential(name="user", description="User id; a licence of its own is best"),
    Credential(name="password", description="Its password"),
)


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[integrations.settings]` of a Teamcenter server."""

    application: Annotated[
        str, Meta(pattern="^[A-Za-z0-9_.-]+$", description="Name of the web application below the address")
    ] = "tc"
    services: Annotated[
        Literal["JsonRestServices", "RestServices"],
        Meta(description="Which of the two JSON doors is used; `RestServices` needs no Active Workspace gateway"),
    ] = "JsonRestServices"
    gateway: Annotated[
        bool, Meta(description="The address is an Active Workspace gateway: fetch its XSRF token before the log-in")
    ] = False
    group: Annotated[str, Meta(description="Group to log in with; empty = the user's default")] = ""
    role: Annotated[str, Meta(description="Role to log in with; empty = the group's default")] = ""
    locale: Annotated[
        str, Meta(description="Locale of the session; dates in saved queries are written for `en_US`")
    ] = "en_US"
    discriminator: Annotated[
        str,
        Meta(
            pattern="^[A-Za-z0-9_.-]*$",
            description="Begins the session's discriminator, which ends with host and process: sessions of one user "
            "with the same share a server process. Empty = `crossdock-<key>`",
        ),
    ] = ""
    revision_rule: Annotated[str, Meta(min_length=1, description="Rule taken when none is asked for")] = (
        "Latest Working"
    )
    view: Annotated[str, Meta(description="View type taken when none is asked for; empty = the server's default")] = ""
    search: Annotated[
        Literal["finder", "saved-query"],
        Meta(
            description=(
                "How items are listed: `finder` pages at the server and needs Active Workspace there; "
                "`saved-query` does without"
            )
        ),
    ] = "finder"
    item_query: Annotated[str, Meta(min_length=1, description="Saved query of items, by its localised name")] = (
        "Item..."
    )
    revision_query: Annotated[
        str, Meta(min_length=1, description="Saved query of item revisions, by its localised name")
    ] = "Item Revision..."
    item_id_entry: Annotated[
        str, Meta(description="Entry of the item query for the item id; empty = found by its attribute")
    ] = ""
    modified_after_entry: Annotated[
        str, Meta(description="Entry of both queries for `modified after`; empty = found by its attribute")
    ] = ""
    time_zone: Annotated[str, Meta(description="Zone in which the server reads dates in saved queries")] = "UTC"
    overlap_minutes: Annotated[
        int, Meta(ge=1, le=1440, description="How far a poll looks back behind the one before it")
    ] = 5
    item_types: Annotated[
        dict[str, ItemType],
        Meta(
            description='What the own object types of the site are: `SPB5_Det = "COMPONENT"`, or `ASSEMBLY`, '
            "`RAW_MATERIAL`, `TOOLING`, `EQUIPMENT`"
        ),
    ] = {}

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"`time_zone` {self.time_zone!r} is no IANA time zone") from None


def settings_of(integration: Integration) -> Settings:
    return msgspec.convert(integration.settings, Settings)
