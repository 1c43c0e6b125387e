"""What joins are asked by. The first part of each key is the integration whose spelling it is."""

from typing import NamedTuple

from unified.keys import Subject
from unified.queries import Filter
from unified.records import Kind


class Number(NamedTuple):
    """A number as one integration spells it."""

    integration: str
    number: str


class InWarehouse(NamedTuple):
    """A number or code that is unique within a warehouse only. `external_id` where the thing itself is known."""

    integration: str
    warehouse: str
    number: str
    external_id: str = ""


class Structure(NamedTuple):
    """A structure to explode, by the item's number."""

    integration: str
    number: str
    view: str | None = None
    revision_rule: str | None = None
    revision: str | None = None
    max_levels: int | None = None


class Users(NamedTuple):
    """Who uses an item, by the item's number; `levels` up."""

    integration: str
    number: str
    levels: int


class Same(NamedTuple):
    """An object whose likes in other systems are wanted, by its numbers; `id` is its own."""

    integration: str
    numbers: tuple[tuple[Subject, str], ...]
    id: str


class Scan(NamedTuple):
    """Rows of a kind that are read through, for lack of a way to ask by key; `only`: of these integrations."""

    kind: Kind
    filter: Filter
    only: frozenset[str] | None = None
