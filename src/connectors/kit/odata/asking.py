"""`$filter` and `$orderby`: conditions with their quoting, the vendor's spellings, and nothing that loses a row."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Final
from urllib.parse import quote

import msgspec

from unified.keys import Subject, canonical
from unified.queries import OrderBy

LONGEST_FILTER: Final = 7_000
"""Encoded characters of a block's condition: gateways and proxies refuse lines of 8 KiB and more."""


def literal(text: str) -> str:
    """A string literal; quotes are doubled."""
    return "'" + text.replace("'", "''") + "'"


def any_of(name: str, values: Iterable[str]) -> str:
    """`name` is one of the values."""
    terms = [f"{name} eq {literal(value)}" for value in dict.fromkeys(values)]
    return terms[0] if len(terms) == 1 else f"({' or '.join(terms)})"


def all_of(conditions: Sequence[str]) -> str:
    return " and ".join(conditions)


def either(conditions: Sequence[str]) -> str:
    """One of the conditions, bracketed where there are several."""
    return conditions[0] if len(conditions) == 1 else f"({' or '.join(conditions)})"


def at_v2(moment: datetime) -> str:
    """A time of Edm.DateTimeOffset, rounded down to the second: SAP's business times have no more."""
    return f"datetimeoffset'{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}'"


def at_v4(moment: datetime) -> str:
    """The same in V4, where literals are bare."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def day_v2(day: date) -> str:
    """A day of Edm.DateTime, which has no zone."""
    return f"datetime'{day:%Y-%m-%d}T00:00:00'"


def spellings(number: str, *widths: int) -> list[str]:
    """How a number that is all digits may be spelt: as given, bare, with leading zeros to each width."""
    bare = number.strip().lstrip("0")
    if not (bare.isascii() and bare.isdigit()):
        return [number]
    return list(dict.fromkeys([number, bare, *(bare.zfill(width) for width in widths)]))


def item_spellings(number: str, *widths: int) -> list[str]:
    """How a system that spells products plainly may spell this one: numeric ones with or without their zeros."""
    bare = canonical(Subject.ITEM, number)
    return list(dict.fromkeys([number.strip(), *spellings(bare, *(widths or (18,)))]))


def blocks(values: Sequence[str], longest: int = LONGEST_FILTER) -> Iterator[list[str]]:
    """The conditions in blocks that fit into one URL when joined by `or`."""
    block: list[str] = []
    length = 0
    for value in values:
        cost = len(quote(value, safe="'(),")) + len("%20or%20")
        if block and length + cost > longest:
            yield block
            block, length = [], 0
        block.append(value)
        length += cost
    if block:
        yield block


class Column(msgspec.Struct, frozen=True):
    """A field that the service sorts by. Where it may be empty, ascending order would put the empty ones first."""

    name: str
    may_be_empty: bool = False


class Asked(msgspec.Struct, kw_only=True):
    """The conditions of one list; `whole`: they say all that the filter says, so that the count is ours."""

    conditions: list[str] = []
    whole: bool = True
    v4: bool = False

    def one_of(self, name: str, values: Iterable[str] | None) -> None:
        if values is None:
            return
        condition = any_of(name, values)
        if len(quote(condition, safe="'(),")) > LONGEST_FILTER:
            self.whole = False  # it would fit no URL: the caller's own filter has to do
        else:
            self.conditions.append(condition)

    def since(self, name: str, moment: datetime | None) -> None:
        """A superset: the service keeps seconds, we compare exactly."""
        if moment is not None:
            self.conditions.append(f"{name} ge {self._at(moment)}")
            self.whole = False

    def until(self, name: str, moment: datetime | None) -> None:
        if moment is not None:
            self.conditions.append(f"{name} le {self._at(moment)}")
            self.whole = False

    def _at(self, moment: datetime) -> str:
        return at_v4(moment) if self.v4 else at_v2(moment)

    def never(self) -> None:
        """The filter asks for what no row of this service has."""
        self.conditions.append("()")

    def params(self) -> list[tuple[str, str]]:
        return [("$filter", all_of(self.conditions))] if self.conditions else []

    @property
    def nothing(self) -> bool:
        """Whether a condition allows no value at all: nothing to ask."""
        return "()" in self.conditions


def order_by(
    wanted: Sequence[OrderBy],
    columns: Mapping[str, Column],
    keys: Sequence[str],
    *,
    never_empty: frozenset[str] = frozenset(),
) -> tuple[str, bool]:
    """`$orderby`, always down to the key so that pages are stable; and whether it is the order that was asked for.

    `never_empty`: fields of which the filter leaves no empty ones.
    """
    terms: list[str] = []
    for each in wanted:
        column = columns.get(each.field)
        if column is None or (column.may_be_empty and not each.descending and each.field not in never_empty):
            return ",".join(keys), False
        terms.append(f"{column.name} desc" if each.descending else column.name)
    named = {term.split(" ")[0] for term in terms}
    return ",".join([*terms, *(key for key in keys if key not in named)]), bool(wanted)
