"""From our filters to `q`, a row-match expression: what Fusion can do, and nothing that loses a row.

Texts are compared with upper and lower case. A number in another spelling than Fusion's own is looked for by a pattern
of its characters; what else the pattern finds is left out afterwards.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, TypeVar
from urllib.parse import quote

from connectors.oracle_fusion.settings import STATUSES, Rules, Settings
from unified import queries
from unified.keys import Subject, canonical
from unified.records import ItemType, WorkOrderStatus

T = TypeVar("T")
LONGEST: Final = 3_000
"""Encoded characters of one `q`: servers in front of Fusion take addresses of 8 KiB, some of them of 4."""
_CLOSED: Final = (WorkOrderStatus.CLOSED, WorkOrderStatus.CANCELLED)


@dataclass
class Asked:
    """Conditions that must all hold. `whole`: they are all that the filter says. `never`: nothing can match."""

    terms: list[str] = field(default_factory=list)
    whole: bool = True
    never: bool = False

    def must(self, term: str | None) -> None:
        """Null is a condition that cannot be asked for."""
        if term is None:
            self.whole = False
        else:
            self.terms.append(term)

    @property
    def q(self) -> str | None:
        return " and ".join(self.terms) or None


def text(value: str) -> str:
    """As a literal; an apostrophe in it is doubled."""
    return "'" + value.replace("'", "''") + "'"


def one_of(name: str, values: Iterable[str | int]) -> str:
    """Any of the values; there must be one."""
    written = [str(value) if isinstance(value, int) else text(value) for value in dict.fromkeys(values)]
    return f"{name} = {written[0]}" if len(written) == 1 else f"{name} in ({','.join(written)})"


def any_of(terms: Sequence[str]) -> str:
    return terms[0] if len(terms) == 1 else "(" + " or ".join(terms) + ")"


def moment(value: datetime) -> str:
    """In UTC, cut to milliseconds, which is what Fusion writes."""
    return text(value.astimezone(UTC).isoformat(timespec="milliseconds"))


def in_organizations(codes: Sequence[str]) -> list[str]:
    """The condition, if there is one."""
    return [one_of("OrganizationCode", codes)] if codes else []


def short(values: Sequence[T], form: Callable[[T], str] = str) -> Iterator[list[T]]:
    """The values in blocks, each of which fits into one `q` beside an organization and the like."""
    block: list[T] = []
    length = 0
    for value in values:
        more = len(quote(form(value), safe="")) + 9  # a comma and two apostrophes, encoded
        if block and length + more > LONGEST:
            yield block
            block, length = [], 0
        block.append(value)
        length += more
    if block:
        yield block


def alike(name: str, subject: Subject, number: str) -> str:
    """What every spelling of the number fulfils."""
    return f"UPPER({name}) like {text('%' + '%'.join(canonical(subject, number)) + '%')}"


def _contains(names: Sequence[str], needle: str) -> str | None:
    """Null for what upper-casing may not make equal on both sides."""
    if not needle.isascii():
        return None
    return any_of([f"UPPER({name}) like {text(f'%{needle.upper()}%')}" for name in names])


# --- items


def items(wanted: queries.ItemFilter, settings: Settings, rules: Rules) -> Asked:
    """All but the numbers. An item of Fusion has no "released", so that the filter by it matches nothing."""
    asked = Asked(in_organizations(settings.organizations), whole=wanted.ids is None and wanted.numbers is None)
    asked.never = wanted.released is not None
    if wanted.updated_after is not None:  # cut to milliseconds: what is no later is left out afterwards
        asked.must(f"LastUpdateDateTime >= {moment(wanted.updated_after)}")
        asked.whole = False
    if wanted.item_types is not None:
        _of_types(asked, wanted.item_types, settings, rules)
    if wanted.search is not None:
        long_too = "LongDescription" in settings.item_fields
        asked.must(None if long_too else _contains(("ItemNumber", "ItemDescription"), wanted.search))
        asked.whole = False
    return asked


def _of_types(asked: Asked, types: Sequence[ItemType], settings: Settings, rules: Rules) -> None:
    by_flag = ItemType.ASSEMBLY in types and "BuildInWIPFlag" in settings.item_fields
    if ItemType.COMPONENT in types or by_flag:  # so is a class that nobody has told us
        asked.must(None)
        return
    classes = [name for name, kind in rules.item_classes.items() if kind in types]
    if classes:
        asked.must(one_of("ItemClass", classes))
    else:
        asked.never = True


# --- work orders


def work_orders(wanted: queries.WorkOrderFilter, settings: Settings) -> Asked:
    """All but the numbers. An organization that is not configured matches nothing."""
    organizations: Sequence[str] = settings.organizations
    asked = Asked(whole=wanted.ids is None and wanted.numbers is None)
    if wanted.organizations is not None:
        organizations = [each for each in wanted.organizations if not organizations or each in organizations]
        asked.never = not organizations
    asked.terms += in_organizations(organizations)
    if wanted.statuses is not None:
        _of_statuses(asked, wanted.statuses, settings)
    if wanted.updated_after is not None:
        asked.must(f"LastUpdateDate >= {moment(wanted.updated_after)}")
        asked.whole = False
    if wanted.item_number is not None:
        asked.must(spelt("ItemNumber", Subject.ITEM, wanted.item_number))
        asked.whole = False
    return asked


def spelt(name: str, subject: Subject, number: str) -> str:
    """The number as it is given, or in any spelling that is equal to it."""
    exact = one_of(name, [number])
    return any_of([exact, alike(name, subject, number)]) if canonical(subject, number) else exact


def not_closed() -> list[str]:
    """The tenant's own statuses that mean the same are left out afterwards."""
    codes = [f"ORA_{code}" for code, status in STATUSES.items() if status in _CLOSED]
    return [f"WorkOrderStatusCode <> {text(code)}" for code in codes]


def is_open(status: WorkOrderStatus) -> bool:
    return status not in _CLOSED


def _of_statuses(asked: Asked, wanted: Sequence[WorkOrderStatus], settings: Settings) -> None:
    asked.whole = False  # by what a status stands for it is said twice, and not always in the same words
    if WorkOrderStatus.UNKNOWN in wanted:  # which those are cannot be said
        return
    codes = [code for code, status in STATUSES.items() if status in wanted]
    known = [*codes, *(f"ORA_{code}" for code in codes)]
    own = [code for code, status in settings.statuses.items() if status in wanted]
    terms = [one_of("WorkOrderStatusCode", [*known, *own])] if known or own else []
    if known:
        terms.append(one_of("WorkOrderSystemStatusCode", known))
    if terms:
        asked.must(any_of(terms))
    else:
        asked.never = True
