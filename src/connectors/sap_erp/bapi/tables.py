"""RFC_READ_TABLE: the keys that no BAPI lists. Not released for customers, 512 characters a row: few, narrow fields."""

import re
from collections.abc import Sequence
from typing import Final

from connectors.kit.errors import BadPayload
from connectors.kit.integration import Origin
from connectors.sap_erp.bapi.functions import Functions, Values, table, text

LONGEST_LINE: Final = 72
"""Characters of a line of OPTIONS."""
_TOKEN = re.compile(r"'(?:[^']|'')*'|[^\s']+")


def literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def any_of(name: str, values: Sequence[str]) -> str:
    terms = [f"{name} = {literal(value)}" for value in dict.fromkeys(values)]
    return terms[0] if len(terms) == 1 else "( " + " OR ".join(terms) + " )"


def options(conditions: Sequence[str]) -> list[dict[str, str]]:
    """The conditions as lines that break between words, never inside a literal."""
    lines: list[str] = []
    for token in _TOKEN.findall(" AND ".join(conditions)):
        if lines and len(lines[-1]) + 1 + len(token) <= LONGEST_LINE:
            lines[-1] += f" {token}"
        else:
            lines.append(token)
    return [{"TEXT": line} for line in lines]


def rows(values: Values, delimiter: str = "") -> list[dict[str, str]]:
    """The rows by field name, trimmed. Without a delimiter each field is where FIELDS says."""
    fields = table(values, "FIELDS")
    names = [text(field, "FIELDNAME") or "" for field in fields]
    places = [(int(text(each, "OFFSET") or 0), int(text(each, "LENGTH") or 0)) for each in fields]
    found = []
    for place, row in enumerate(table(values, "DATA")):
        line = str(row.get("WA") or "")
        cells = line.split(delimiter) if delimiter else [line[at : at + length] for at, length in places]
        if len(cells) != len(names):
            raise BadPayload(
                f"a row of RFC_READ_TABLE has {len(cells)} fields where {len(names)} were asked for",
                path=f"$.DATA[{place}].WA",
            )
        found.append({name: cell.strip() for name, cell in zip(names, cells, strict=True)})
    return found


async def read(
    functions: Functions,
    name: str,
    fields: Sequence[str],
    conditions: Sequence[str] = (),
    *,
    skip: int = 0,
    count: int = 0,
) -> tuple[list[dict[str, str]], Origin]:
    """Rows `skip` to `skip + count` (0: all) of a table."""
    answered = await functions.call(
        "RFC_READ_TABLE",
        {
            "QUERY_TABLE": name,
            "DELIMITER": "",
            "ROWSKIPS": skip,
            "ROWCOUNT": count,
            "OPTIONS": options(conditions),
            "FIELDS": [{"FIELDNAME": field} for field in fields],
            "DATA": [],
        },
    )
    return rows(answered.values), answered.origin
