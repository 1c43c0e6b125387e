"""The root fields that stream."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

import strawberry

from graph import inputs
from graph.asks import asking
from graph.info import Info
from graph.types.equipment import Equipment
from graph.types.missions import Mission
from graph.types.vehicles import Booking, Vehicle
from resolvers.live import changes
from unified import queries
from unified.records import Kind

_Sources = Annotated[list[str] | None, strawberry.argument(description="Only these integrations; null = all.")]


def _stream(kind: Kind, given: Any, into: type[queries.Filter], shown: Any) -> Any:
    @asking(followed=kind)
    async def resolve(info: Info, filter: Any = None, sources: list[str] | None = None) -> Any:
        wanted = inputs.to_filter(filter, into)
        async with aclosing(changes(info.context, kind, wanted, sources, info.path.as_list())) as records:
            async for record in records:
                yield record

    resolve.__annotations__ = {
        "info": Info,
        "filter": Annotated[given | None, strawberry.argument(description="Which ones; all conditions must hold.")],
        "sources": _Sources,
        "return": AsyncGenerator[shown, None],
    }
    return resolve


@strawberry.type(
    description="What can be followed live: first what is, then every change. What its vendor no longer has, or what "
    "leaves the filter, has a last value with `removed: true`."
)
class Subscription:
    vehicle_changed: AsyncGenerator[Vehicle, None] = strawberry.subscription(
        resolver=_stream(Kind.VEHICLE, inputs.VehicleFilter, queries.VehicleFilter, Vehicle),
        description="Vehicles: each as it is now, then whenever it reports.",
    )
    equipment_changed: AsyncGenerator[Equipment, None] = strawberry.subscription(
        resolver=_stream(Kind.EQUIPMENT, inputs.EquipmentFilter, queries.EquipmentFilter, Equipment),
        description="Machines: each as it is now, then whenever state, job or sensors change.",
    )
    booking_changed: AsyncGenerator[Booking, None] = strawberry.subscription(
        resolver=_stream(Kind.BOOKING, inputs.BookingFilter, queries.BookingFilter, Booking),
        description="Bookings: each as it is now, then at every step.",
    )
    mission_changed: AsyncGenerator[Mission, None] = strawberry.subscription(
        resolver=_stream(Kind.MISSION, inputs.MissionFilter, queries.MissionFilter, Mission),
        description="Missions: each as it is now, then whenever its contents change.",
    )
