"""How a graph type says what it is: joins, references, and which record stands behind it."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar

import strawberry
from strawberry.federation.schema_directives import Cost, ListSize

from connectors.kit.errors import ConnectorError
from graph.asks import Step, asking
from graph.info import Info
from resolvers.errors import BadInput
from resolvers.loaders import Loader
from resolvers.tally import asking as asking_for
from unified import ids
from unified.ids import InvalidId
from unified.records import Kind, Record

F = TypeVar("F", bound=Callable[..., Any])


def accepts(record: type[Any]) -> Callable[[Any, Any], bool]:
    """`is_type_of` of a graph type whose objects at run time are `record`."""

    def is_type_of(value: Any, _: Any) -> bool:
        return isinstance(value, record)

    return is_type_of


async def load(info: Info, loader: str, key: Any) -> Any:
    """What a loader has for the key; null where all vendors that could know it fail.

    A failure is told once per integration and code, not per object: with the path of the field that met it first.
    """
    asked = getattr(info.context.loaders, loader)
    try:
        if info.context.explains:
            with asking_for(info.path.as_list()):
                wanted = asked.load(key)
            found = await wanted
        else:
            found = await asked.load(key)
    except ConnectorError as error:
        info.context.note(error, info.path.as_list())
        found = None
    _tell(info, asked)
    return found


async def load_all(info: Info, loader: str, keys: Iterable[Any]) -> list[Any] | None:
    """What a loader has for the keys, without those that have nothing or fail; null where all fail."""
    asked = getattr(info.context.loaders, loader)
    values = await _each(info, asked, keys)
    failed = [value for value in values if isinstance(value, ConnectorError)]
    for error in failed:
        info.context.note(error, info.path.as_list())
    _tell(info, asked)
    found = [value for value in values if value is not None and not isinstance(value, ConnectorError)]
    return None if failed and not found else found


async def each_loaded(info: Info, places: Sequence[ids.GlobalId | Exception]) -> list[Any]:
    """The objects at the places, in their order and in one batch; null where there is none or its system fails.

    An exception among the places stays where it is: it becomes the error of its own place only.
    """
    wanted = [place for place in places if not isinstance(place, Exception)]
    values = iter(await _each(info, info.context.loaders.records, wanted))
    found: list[Any] = []
    for index, place in enumerate(places):
        value = place if isinstance(place, Exception) else next(values)
        if isinstance(value, ConnectorError):
            info.context.note(value, [*info.path.as_list(), index])
            value = None
        found.append(value)
    return found


async def _each(info: Info, loader: Loader[Any, Any], keys: Iterable[Any]) -> list[Any]:
    if not info.context.explains:
        return await loader.load_each(keys)
    with asking_for(info.path.as_list()):
        return await loader.load_each(keys)


def _tell(info: Info, loader: Loader[Any, Any]) -> None:
    """Failures that cost what was loaded some of its rows."""
    if loader.failures:
        for error in loader.failures:
            info.context.note(error, info.path.as_list())
        loader.failures.clear()


def batched(
    loader: str, key: Callable[[Any], Any], empty: Any = None, kind: Kind | None = None
) -> Callable[..., Awaitable[Any]]:
    """A join: the loader's value for the key of this object; `empty` for a null key. `kind`: what is read by a
    loader that reads any.

    The marker `batched_by` lets a list of objects be loaded at once by whoever has the list.
    """

    @asking(Step(loader, kind=kind))
    async def resolve(root: Any, info: Info) -> Any:
        wanted = key(root)
        return empty if wanted is None else await load(info, loader, wanted)

    resolve.batched_by = (loader, key)  # type: ignore[attr-defined]
    return resolve


def joined(loader: str, key: Callable[[Any], Any], description: str, kind: Kind | None = None) -> Any:
    """A field that leads to one object, and so nullable."""
    told = f"{description} Null without a link between the two; when its system fails, with an entry in `errors`."
    return strawberry.field(resolver=batched(loader, key, kind=kind), description=told)


def joined_many(
    loader: str, key: Callable[[Any], Any], description: str, *, size: int, weight: int | None = None
) -> Any:
    """A field that leads to a list of objects; nullable, since "none" and "nobody can tell" are not the same.

    `size`: how long it is assumed to be; `weight`: what one use of it is worth, where that is more than 1.
    """
    told = f"{description} Null when all the systems that could tell fail; `errors` says why."
    directives = priced(size=size, weight=weight)
    return strawberry.field(resolver=batched(loader, key, empty=()), description=told, directives=directives)


def computed(description: str, *, size: int | None = None, weight: int | None = None) -> Callable[[F], F]:
    """A field that is a method of its own; the decorator keeps the method's type."""
    field: Any = strawberry.field(description=description, directives=priced(size=size, weight=weight))
    return field  # type: ignore[no-any-return]


def plain(description: str, name: str | None = None, *, size: int | None = None) -> Any:
    """A field that is an attribute of the record; `size`: how long a list is assumed to be."""
    return strawberry.field(description=description, name=name, directives=priced(size=size))


def priced(*, size: int | None = None, weight: int | None = None, paged: bool = False) -> list[object]:
    """`@listSize` and `@cost`, as IBM's specification has them. `paged`: a connection, as long as `first` says."""
    sizes: dict[str, Any] = {}
    if paged:
        sizes = {"slicing_arguments": ["first"], "sized_fields": ["edges", "nodes"]}
        sizes["require_one_slicing_argument"] = False
    elif size is not None:
        sizes = {"assumed_size": size, "require_one_slicing_argument": strawberry.UNSET}
    return [*([ListSize(**sizes)] if sizes else []), *([Cost(weight=weight)] if weight is not None else [])]


PERSONAL = "personal-data"
"""`@tag` of what tells of a person: a gateway's contract leaves all of it out by this name."""


def personal(description: str) -> Any:
    """A field that is an attribute of the record and tells of a person."""
    return strawberry.federation.field(description=f"{description} Personal data.", tags=[PERSONAL])


def by_id(kind: Kind) -> Callable[..., Awaitable[Record | None]]:
    """`resolve_reference` of an entity; many of them at once are one batch. It raises `BadInput`, `ConnectorError`.

    The marker `kind` says what it leads to.
    """

    async def resolve_reference(info: Info, id: strawberry.ID) -> Any:
        return await info.context.loaders.records.load(parse_id(str(id), kind))

    resolve_reference.kind = kind  # type: ignore[attr-defined]
    return resolve_reference


def parse_id(text: str, kind: Kind | None = None) -> ids.GlobalId:
    """The parts of an id that a client gave. Raises `BadInput` that says what to write instead."""
    try:
        place = ids.decode(text)
    except InvalidId as fault:
        raise BadInput(f"{text[:40]!r}: {fault}") from None
    if kind is not None and place.kind != kind.value:
        raise BadInput(f"{text[:40]!r}: this is the id of {place.kind} where that of {kind.value} is needed")
    return place
