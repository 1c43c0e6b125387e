"""What all records share, and Relay's connections."""

from datetime import datetime
from typing import Annotated, Generic, TypeVar

import strawberry

from graph.fields import computed, joined_many, plain
from graph.info import Info
from resolvers import sources as reports
from resolvers.same import same_key
from unified.values import System

T = TypeVar("T")


@strawberry.federation.interface(description="An object with a global id (Relay).")
class Node:
    id: strawberry.ID = plain("Opaque and stable; give it to `node(id:)`. Never take it apart.")


@strawberry.federation.type(description="Where an object comes from: every object is one source's own.", shareable=True)
class Source:
    integration: str = plain("Key of the integration, as in the configuration and in `sources`.")
    system: System = plain("The kind of vendor system.")
    external_id: str = plain("The vendor's own id, as the vendor spells it.")
    vendor_status: str | None = plain("The vendor's own status, untouched, beside the unified one.")
    as_of: datetime = plain("When Crossdock read it.")
    stale: bool = plain("True when the source fails now and this is its last good answer.")


@strawberry.federation.interface(description="What all objects share that come from a vendor system.")
class Sourced(Node):
    source: Source = plain("Which integration it comes from, under which id, read when.")
    updated_at: datetime | None = plain("When it last changed, by the vendor's clock; null where unknown.")

    @computed(
        "Only in subscriptions: true in the last value of an object, which its vendor no longer has or which no longer "
        "matches the filter. False everywhere else."
    )
    def removed(self, info: Info) -> bool:
        return info.context.gone == str(self.id)

    same_as: list[Annotated["Sourced", strawberry.lazy("graph.types.base")]] | None = joined_many(
        "same_as",
        same_key,
        "The same thing in other systems, as the crosswalk knows it; empty where it knows none. Nothing is merged: "
        "each source's object stays its own.",
        size=3,
    )


@strawberry.federation.type(description="Why a source's rows are missing or old.", shareable=True)
class SourceError:
    code: str = plain("One of the documented codes, such as `ERR_NETWORK_TIMEOUT`.")
    message: str = plain("What was tried and what came back.")
    hint: str = plain("What to do.")


@strawberry.federation.type(description="What one integration contributed to a list.", shareable=True)
class SourceReport:
    integration: str = plain("Key of the integration.")
    system: System = plain("The kind of vendor system.")
    state: reports.SourceState = plain("Whether its rows are live, old or missing.")
    count: int = plain("Its rows in this page.")
    latency_ms: int = plain("How long it took to answer, in milliseconds.")
    calls: int = plain("Calls that were made to the vendor for this list.")
    as_of: datetime | None = plain("When the oldest of its rows was read; null when it has none.")
    error: SourceError | None = plain("Why its rows are missing or old; null when all is well.")


@strawberry.federation.type(description="Where a page stands in its list (Relay).", shareable=True)
class PageInfo:
    has_next_page: bool = plain("Whether those sources that answered have more after this page.")
    has_previous_page: bool = plain("Whether the page was asked for with `after`. Lists go forwards only.")
    start_cursor: str | None = plain("Cursor of the first row; null for an empty page.")
    end_cursor: str | None = plain(
        "Cursor of the last row: give it as `after` to go on. Of an empty page: where to look again; null at the start."
    )


@strawberry.type(description="A row of a list (Relay).")
class Edge(Generic[T]):
    node: T = plain("The object.")
    cursor: str = plain("Opaque; give it as `after` to go on behind this row.")


@strawberry.type(description="A page of a list over all integrations that have such objects (Relay).")
class Connection(Generic[T]):
    edges: list[Edge[T]] = plain("The rows, each with its cursor.")
    nodes: list[T] = plain("The rows without cursors.")
    page_info: PageInfo = plain("Where the page stands.")
    sources: list[SourceReport] = plain("How each integration answered: look here when rows are missing.", size=10)
    total_count: int | None = plain("Rows in the whole list; null where a source cannot count them.")
