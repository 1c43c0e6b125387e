"""How a graph type says what it is: joins, references, and which record stands behind it."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import strawberry

from graph.info import Info
from resolvers.errors import BadInput
from unified import ids
from unified.ids import InvalidId
from unified.records import Kind, Record

F = TypeVar("F", bound=Callable[..., Any])


def accepts(record: type[Any]) -> Callable[[Any, Any], bool]:
    """`is_type_of` of a graph type whose objects at run time are `record`."""

    def is_type_of(value: Any, _: Any) -> bool:
        return isinstance(value, record)

    return is_type_of


def batched(loader: str, key: Callable[[Any], Any], empty: Any = None) -> Callable[..., Awaitable[Any]]:
    """A join: the loader's value for the key of this object; `empty` for a null key.

    The marker `batched_by` lets a list of objects be loaded at once by whoever has the list.
    """

    async def resolve(root: Any, info: Info) -> Any:
        wanted = key(root)
        return empty if wanted is None else await getattr(info.context.loaders, loader).load(wanted)

    resolve.batched_by = (loader, key)  # type: ignore[attr-defined]
    return resolve


def joined(loader: str, key: Callable[[Any], Any], description: str, *, empty: Any = None) -> Any:
    """A field that is a join; `empty` is its value for an object without a key (a list that is never null)."""
    return strawberry.field(resolver=batched(loader, key, empty), description=description)


def computed(description: str) -> Callable[[F], F]:
    """A field that is a method of its own; the decorator keeps the method's type."""
    field: Any = strawberry.field(description=description)
    return field  # type: ignore[no-any-return]


def plain(description: str, name: str | None = None) -> Any:
    """A field that is an attribute of the record."""
    return strawberry.field(description=description, name=name)


def by_id(kind: Kind) -> Callable[..., Awaitable[Record | None]]:
    """`resolve_reference` of an entity: through the loader, so that representations are one batch."""

    async def resolve_reference(info: Info, id: strawberry.ID) -> Any:
        place = parse_id(str(id), kind)
        return await info.context.loaders.records.load(place)

    return resolve_reference


def parse_id(text: str, kind: Kind | None = None) -> ids.GlobalId:
    """The parts of an id that a client gave. Raises `BadInput` that says what to write instead."""
    try:
        place = ids.decode(text)
    except InvalidId as fault:
        raise BadInput(f"{text[:40]!r} is {fault}") from None
    if kind is not None and place.kind != kind.value:
        raise BadInput(f"the id is that of a {place.kind}, not of a {kind.value}")
    return place
