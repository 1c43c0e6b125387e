"""Function modules as values in and values out, whatever carries them; what BAPIRET2 says of a call."""

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Protocol

import msgspec

from connectors.kit.errors import MappingFailed
from connectors.kit.http import Outcome, OutcomeKind
from connectors.kit.integration import Origin

Values = dict[str, Any]
"""Parameters: scalars, structures as dicts, tables as lists of dicts."""


class Answered(msgspec.Struct, frozen=True):
    """What a function module gave back; names are normalised (see `normal`)."""

    values: Values
    origin: Origin


class Functions(Protocol):
    """The way to the function modules."""

    async def call(self, name: str, parameters: Values) -> Answered:
        """Calls a function module that only reads.

        Raises `NotFound` and `Rejected` for what its RETURN says, and all that a call of a vendor may raise.
        """
        ...

    async def aclose(self) -> None: ...


ABSENT: Final = frozenset({"M3/305", "MM/305", "V1/302", "V1/555", "06/019", "06/055", "VL/559", "VL/595"})
"""Messages that say only that there is no such thing: class and number."""
_FAILED: Final = frozenset("EA")


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A row of BAPIRET2. `code` is class and number, `F2/003`; of the older BAPIRETURN its CODE."""

    kind: str
    code: str | None
    text: str | None

    @property
    def failed(self) -> bool:
        """E and A; S, I, W and an empty type are no failure."""
        return self.kind in _FAILED


def normal(value: Any) -> Any:
    """The value with names as generated web services and BAPIs share them: capitals and digits only.

    `MATL_DESC`, `MatlDesc` and `matlDesc` are one name. Tables may come wrapped in `item`.
    """
    if isinstance(value, Mapping):
        named = {name_of(str(key)): normal(each) for key, each in value.items() if key != "_raw_elements"}
        if set(named) == {"ITEM"}:
            return rows_of(named["ITEM"])
        return named
    if isinstance(value, list | tuple):
        return [normal(each) for each in value]
    return value


def name_of(text: str) -> str:
    return "".join(each for each in text.upper() if each.isalnum())


def rows_of(value: Any) -> list[Values]:
    """A table's rows; a single structure is a table of one."""
    if value is None or value == "":
        return []
    if isinstance(value, Mapping):
        return [dict(value)]
    return [dict(row) for row in value if isinstance(row, Mapping)]


def table(values: Values, name: str) -> list[Values]:
    return rows_of(values.get(name_of(name)))


def structure(values: Values, name: str) -> Values:
    found = table(values, name)
    return found[0] if found else {}


def text(row: Values, name: str) -> str | None:
    """A field, trimmed; null where it is initial."""
    found = row.get(name_of(name))
    bare = "" if found is None else str(found).strip()
    return bare or None


def number(row: Values, name: str) -> Decimal | None:
    """A quantity or amount, exactly. A sign may stand behind it, as ABAP writes it."""
    found = text(row, name)
    if found is None:
        return None
    bare = f"-{found[:-1]}" if found.endswith("-") else found
    try:
        return Decimal(bare)
    except InvalidOperation:
        raise MappingFailed(f"`{name}` is no number", path=f"$..{name}") from None


def amount(row: Values, name: str) -> Decimal | None:
    """An amount without the zeros that BAPIs fill up to nine decimals; two stay."""
    found = number(row, name)
    if found is None:
        return None
    short = found.normalize()
    exponent = short.as_tuple().exponent
    return short.quantize(Decimal("0.01")) if isinstance(exponent, int) and exponent > -2 else short


def messages(values: Values) -> list[Message]:
    """RETURN, which may be a structure or a table."""
    return [_message(row) for row in table(values, "RETURN")]


def _message(row: Values) -> Message:
    kind, identifier, digits = text(row, "TYPE"), text(row, "ID"), text(row, "NUMBER")
    code = f"{identifier}/{digits}" if identifier and digits else text(row, "CODE")
    return Message(kind=(kind or "").upper(), code=code, text=text(row, "MESSAGE"))


def verdict(found: Iterable[Message]) -> Outcome | None:
    """What RETURN says of the call; null when nothing failed. The first failure speaks."""
    failed = [message for message in found if message.failed]
    if not failed:
        return None
    kind = OutcomeKind.ABSENT if all(message.code in ABSENT for message in failed) else OutcomeKind.REJECTED
    return Outcome(kind=kind, code=failed[0].code, message=failed[0].text)
