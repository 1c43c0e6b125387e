"""Missions and the units that carry them out."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from graph.asks import Step, asking
from graph.fields import accepts, by_id, computed, joined, joined_many, load_all, plain
from graph.info import Info
from graph.types.base import Sourced
from graph.types.values import Position
from resolvers.loaders import Number
from unified import records
from unified.ids import GlobalId
from unified.records import Kind

if TYPE_CHECKING:
    from graph.types.vehicles import Vehicle


UNITS = 30
"""How many units and other objects a mission is assumed to have."""


@strawberry.federation.type(description="A file that belongs to a mission.", shareable=True)
class MissionDocument:
    name: str | None = plain("File name.")
    hash: str | None = plain("SHA-256 in hex: the file's id at the server.")
    mime_type: str | None = plain("Media type.")
    size_bytes: int | None = plain("Size in bytes.")
    submitted_at: datetime | None = plain("When it was added.")


@strawberry.federation.type(description="Something that happened to a mission.", shareable=True)
class MissionChange:
    change_type: str = plain("The vendor's word: CREATE_MISSION, ADD_CONTENT, REMOVE_CONTENT, ...")
    at: datetime | None = plain("When.")
    by: str | None = plain("Uid of who did it.")
    unit_uid: str | None = plain("Uid of the unit or object that it concerns.")
    callsign: str | None = plain("Call sign of the unit that it concerns.")


@strawberry.federation.type(keys=["id"], description="A mission: who and what works together on something.")
class Mission(Sourced):
    name: str = plain("Name, unique at its server.")
    description: str | None = plain("What it is about.")
    state: records.MissionState = plain("Whether it is on.")
    tool: str | None = plain("Tool that it belongs to (`public`).")
    classification: str | None = plain("Classification marking, carried through unchanged.")
    keywords: list[str] = plain("Words under which people search for it.")
    created_at: datetime | None = plain("When it was created.")
    created_by: str | None = plain("Uid of who created it.")
    expires_at: datetime | None = plain("When it ends by itself; null = never.")
    password_protected: bool = plain("Whether a password is needed to see its contents.")
    unit_uids: list[str] = plain("Uids of its units and other map objects.")
    documents: list[MissionDocument] = plain("Its files.", size=10)
    changes: list[MissionChange] = plain("What happened to it, newest last, as far as the server tells.", size=50)

    @computed(
        "Its units, with live positions; map objects that are no units are left out. Null when they fail.", size=UNITS
    )
    @asking(Step("records", keys=UNITS, kind=Kind.UNIT))
    async def units(self, info: Info) -> list[Annotated["Unit", strawberry.lazy("graph.types.missions")]] | None:
        mission: records.Mission = self  # type: ignore[assignment]
        at = mission.source.integration
        return await load_all(info, "records", [GlobalId(Kind.UNIT.value, at, uid) for uid in mission.unit_uids])

    is_type_of = accepts(records.Mission)
    resolve_reference = by_id(Kind.MISSION)


@strawberry.federation.type(keys=["id"], description="A unit: a person, vehicle or formation on the map.")
class Unit(Sourced):
    uid: str = plain("Uid in Cursor on Target.")
    callsign: str | None = plain("Call sign.")
    cot_type: str | None = plain("Type in Cursor on Target (`a-f-G-E-V-C`).")
    affiliation: records.Affiliation = plain("Whose side it is on.")
    dimension: records.Dimension = plain("Where it moves.")
    symbol_code: str | None = plain("Symbol code of MIL-STD-2525B, 15 characters.")
    team: str | None = plain("Colour of its team.")
    role: str | None = plain("Role within its team.")
    connectivity: records.Connectivity = plain("Whether it is heard of.")
    position: Position | None = plain("Where it is; null without a fix.")
    battery_percent: float | None = plain("Battery of its device, 0 to 100.")
    remarks: str | None = plain("Free text.")
    stale_at: datetime | None = plain("After this moment it counts as offline.")
    missions: list[Mission] | None = joined_many(
        "missions_of_unit",
        lambda unit: Number(unit.source.integration, unit.uid),
        "Missions that it takes part in.",
        size=5,
    )
    vehicle: Annotated["Vehicle", strawberry.lazy("graph.types.vehicles")] | None = joined(
        "vehicles",
        lambda unit: Number(unit.source.integration, unit.callsign) if unit.callsign else None,
        "The vehicle that it is, where the fleet system knows one under its call sign.",
    )

    is_type_of = accepts(records.Unit)
    resolve_reference = by_id(Kind.UNIT)
