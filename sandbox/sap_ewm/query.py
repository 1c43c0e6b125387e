"""OData query options over plain rows: a parser of `$filter`, then ordering, skipping and selecting."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

Row = Mapping[str, Any]
Test = Callable[[Row], bool]


class BadQuery(Exception):
    """The gateway would answer 400; `str` is its text."""


_TOKEN = re.compile(
    r"\s*(?:"
    r"(?P<datetimeoffset>datetimeoffset'(?P<v2time>[^']*)')"
    r"|(?P<datetime>datetime'(?P<v2plain>[^']*)')"
    r"|(?P<text>'(?:[^']|'')*')"
    r"|(?P<time>\d{4}-\d\d-\d\dT[0-9:.]+(?:Z|[+-]\d\d:\d\d))"
    r"|(?P<day>\d{4}-\d\d-\d\d)"
    r"|(?P<number>-?\d+(?:\.\d+)?)[mMlLdD]?"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_/]*)"
    r"|(?P<sign>[(),])"
    r")"
)
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": lambda a, b: bool(a == b),
    "ne": lambda a, b: bool(a != b),
    "gt": lambda a, b: a is not None and b is not None and a > b,
    "ge": lambda a, b: a is not None and b is not None and a >= b,
    "lt": lambda a, b: a is not None and b is not None and a < b,
    "le": lambda a, b: a is not None and b is not None and a <= b,
}
_FUNCTIONS: Mapping[str, Callable[[str, str], bool]] = {
    "startswith": lambda a, b: a.startswith(b),
    "endswith": lambda a, b: a.endswith(b),
    "substringof": lambda a, b: a in b,
    "contains": lambda a, b: b in a,
}
_WORDS = {"true": True, "false": False, "null": None}


def _time(text: str) -> datetime:
    try:
        parsed = datetime.fromisoformat(re.sub(r"\.(\d+)", lambda hit: "." + hit[1][:6].ljust(6, "0"), text))
    except ValueError:
        raise BadQuery(f"Invalid date/time literal '{text}'") from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


class _Parser:
    """`or` binds weakest, then `and`, then `not`. V2 and V4 differ in their literals only."""

    def __init__(self, text: str, columns: Mapping[str, type], *, v4: bool) -> None:
        self._columns, self._v4 = columns, v4
        self._tokens: list[tuple[str, Any]] = []
        at = 0
        text = text.rstrip()
        while at < len(text):
            found = _TOKEN.match(text, at)
            if not found:
                raise BadQuery(f"Invalid token at position {at}")
            at = found.end()
            kind = found.lastgroup or ""
            if found["datetimeoffset"] is not None:
                if v4:
                    raise BadQuery("Invalid literal 'datetimeoffset'")
                self._tokens.append(("value", _time(found["v2time"])))
            elif found["datetime"] is not None:
                self._tokens.append(("value", _time(found["v2plain"])))
            elif found["text"] is not None:
                self._tokens.append(("value", found["text"][1:-1].replace("''", "'")))
            elif found["time"] is not None:
                if not v4:
                    raise BadQuery("Invalid literal: datetimeoffset expected")
                self._tokens.append(("value", _time(found["time"])))
            elif found["day"] is not None:
                self._tokens.append(("value", date.fromisoformat(found["day"])))
            elif found["number"] is not None:
                self._tokens.append(("value", Decimal(found["number"])))
            else:
                self._tokens.append((kind, found[kind]))
        self._at = 0

    def parse(self) -> Test:
        test = self._or()
        if self._at < len(self._tokens):
            raise BadQuery(f"Unexpected token '{self._tokens[self._at][1]}'")
        return test

    def _peek(self, word: str) -> bool:
        return self._at < len(self._tokens) and self._tokens[self._at] in (("name", word), ("sign", word))

    def _take(self, word: str) -> None:
        if not self._peek(word):
            raise BadQuery(f"'{word}' expected")
        self._at += 1

    def _or(self) -> Test:
        tests = [self._and()]
        while self._peek("or"):
            self._at += 1
            tests.append(self._and())
        return tests[0] if len(tests) == 1 else lambda row: any(test(row) for test in tests)

    def _and(self) -> Test:
        tests = [self._not()]
        while self._peek("and"):
            self._at += 1
            tests.append(self._not())
        return tests[0] if len(tests) == 1 else lambda row: all(test(row) for test in tests)

    def _not(self) -> Test:
        if self._peek("not"):
            self._at += 1
            inner = self._not()
            return lambda row: not inner(row)
        if self._peek("("):
            self._at += 1
            test = self._or()
            self._take(")")
            return test
        return self._comparison()

    def _comparison(self) -> Test:
        function = str(self._tokens[self._at][1]) if self._at < len(self._tokens) else ""
        if self._tokens[self._at : self._at + 2][1:] == [("sign", "(")] and function in _FUNCTIONS:
            self._at += 2
            left, _ = self._operand()
            self._take(",")
            right, _ = self._operand()
            self._take(")")
            call = _FUNCTIONS[function]
            result: Test = lambda row: call(str(left(row) or ""), str(right(row) or ""))  # noqa: E731
            if not (self._at < len(self._tokens) and self._tokens[self._at] == ("name", "eq")):
                return result
            self._at += 1
            wanted, _ = self._operand()
            return lambda row: result(row) is wanted(row)
        left, left_type = self._operand()
        kind, word = self._tokens[self._at] if self._at < len(self._tokens) else ("", "")
        if kind != "name" or word not in _COMPARE:
            raise BadQuery(f"Comparison expected, not '{word}'")
        self._at += 1
        right, right_type = self._operand()
        if None not in (left_type, right_type) and left_type is not right_type:
            raise BadQuery("Operands of the comparison have incompatible types")
        compare = _COMPARE[word]
        return lambda row: compare(left(row), right(row))

    def _operand(self) -> tuple[Callable[[Row], Any], type | None]:
        if self._at >= len(self._tokens):
            raise BadQuery("Unexpected end of the filter")
        kind, value = self._tokens[self._at]
        self._at += 1
        if kind == "value":
            return (lambda row: value), type(value)
        if kind != "name":
            raise BadQuery(f"Unexpected token '{value}'")
        if value in _WORDS:
            word = _WORDS[value]
            return (lambda row: word), None if word is None else bool
        if value not in self._columns:
            raise BadQuery(f"Property {value} not found")
        return (lambda row: row[value]), self._columns[value]


def where(text: str, columns: Mapping[str, type], *, v4: bool = False) -> Test:
    """The filter as a function of a row. Raises `BadQuery`."""
    return _Parser(text, columns, v4=v4).parse()


def ordered(rows: Sequence[Row], text: str, columns: Mapping[str, type]) -> list[Row]:
    """By `$orderby`; empty values come first ascending, last descending."""
    found = list(rows)
    for term in reversed(text.split(",")):
        name, _, direction = term.strip().partition(" ")
        if name not in columns or direction.strip() not in ("", "asc", "desc"):
            raise BadQuery(f"Property {name} not found")
        found.sort(
            key=lambda row: (row[name] is not None, row[name] if row[name] is not None else 0),
            reverse=direction.strip() == "desc",
        )
    return found


def number(text: str | None, name: str) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()):
        raise BadQuery(f"Invalid value '{text}' for query option {name}")
    return int(text)
