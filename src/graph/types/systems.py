"""The catalogue: which vendor systems Crossdock can talk to, and what it can do with each."""

import asyncio
from typing import Any

import strawberry

from connectors.kit import catalogue
from graph.fields import accepts, computed, plain
from unified.values import System as SystemKind


@strawberry.federation.type(description="What can be done with one kind of object at a vendor system.", shareable=True)
class SystemCapability:
    @computed("Name of the graph type (`Vehicle`).")
    def kind(self) -> str:
        capability: catalogue.Capability = self  # type: ignore[assignment]
        return capability.kind.value

    lists: bool = plain("Whether its objects are listed.")
    reads: bool = plain("Whether its objects are read by id.")


@strawberry.federation.type(description="A credential that an integration takes.", shareable=True)
class SystemCredential:
    name: str = plain("Name under `[integrations.credentials]`.")
    description: str = plain("What it is.")
    required: bool = plain("Whether there is no way without it.")


@strawberry.federation.type(description="A setting that an integration takes.", shareable=True)
class SystemSetting:
    name: str = plain("Name under `[integrations.settings]`.")
    value_type: str = plain("What it takes, in words.")
    default: str | None = plain("Its default as JSON; null when it must be given.")
    description: str = plain("What it does.")


@strawberry.federation.type(description="A kind of vendor system and what Crossdock can do with it.", shareable=True)
class VendorSystem:
    system: SystemKind = plain("The kind of vendor system.")
    title: str = plain("Name as people know it.", name="name")
    summary: str = plain("What it is, in a sentence.")
    documentation: str = plain("Address of the vendor's documentation.")
    ground_truth: str = plain("How solid our knowledge of its interface is.")
    capabilities: list[SystemCapability] = plain("What can be read.", size=20)
    channels: list[catalogue.Channel] = plain("How changes are learnt of; empty where nothing is live.")
    joins: bool = plain("Whether it tells the crosswalk which numbers it knows.")
    credentials: list[SystemCredential] = plain("What an integration needs to be let in.", size=10)
    settings: list[SystemSetting] = plain("What can be set.", size=30)
    batch_size: int = plain("Most objects in one batch read.")
    rate_per_second: float | None = plain("Calls per second that the vendor allows; null where none are known.")
    payloads: list[str] = plain("Payloads that `crossdock decode --as` reads.")

    is_type_of = accepts(catalogue.SystemEntry)


async def systems() -> list[VendorSystem]:
    """All entries. Connectors are imported off the event loop: some vendors' libraries take a second."""
    found: Any = await asyncio.to_thread(catalogue.entries)
    return found  # type: ignore[no-any-return]
