"""How many calls a method makes at most: facts of a connector, from which an operation is priced before it runs.

Log-ins, renewals and repetitions after an outage are not in these numbers; they are counted apart when they happen.
"""

from collections.abc import Iterable, Mapping

import msgspec


class Calls(msgspec.Struct, frozen=True, kw_only=True):
    """`once` for any use; `each` for every block of keys, and again for every further answer with rows; `per_key`
    and `per_row` on top. The default is one call for whatever is asked."""

    once: int = 0
    """Also pages that may be short of rows: the last one of each service that a list goes through."""
    each: int = 1
    keys: int | None = None
    """Keys that fit into one call at least; null: a whole batch."""
    rows: int | None = None
    """Rows that come with one answer at least, where there are as many; null: all."""
    per_key: int = 0
    per_row: int = 0
    alike: bool = False
    """Whether every batch makes the same calls, which are shared while they are under way."""
    narrows: frozenset[str] = frozenset()
    """Of a list: names of the filter's fields that the vendor applies itself, so that no row comes in vain. With any
    other field the caller reads on until a page is full."""
    by: Mapping[str, "Calls"] = {}
    """Of a list: what holds instead when the filter has this field."""

    def at_most(self, keys: int = 0, rows: int = 0) -> int:
        """Calls for so many keys, whose answer has so many rows."""
        blocks = max(1, -(-keys // self.keys)) if self.keys else 1
        pages = max(1, -(-rows // self.rows)) if self.rows else 1
        return self.once + self.each * (blocks + pages - 1) + self.per_key * keys + self.per_row * rows

    def given(self, fields: Iterable[str]) -> "list[Calls]":
        """What holds for a list whose filter has these fields; any of them may."""
        return [self.by[name] for name in fields if name in self.by] or [self]


ONE = Calls()
NONE = Calls(each=0)
"""Of what is answered without asking anybody."""
