"""`q`: row-match expressions from framework version 2 on, query by example before.

`UPPER(ItemNumber) like 'ASM%' and (ItemId in (1, 2) or LastUpdateDateTime >= '2026-01-01T00:00:00.000+00:00')`;
`ItemNumber=ASM;OrganizationCode=IBA`. Texts are compared with their case; an attribute of a child
(`Component.Quantity`) holds when it holds for one of its rows; nothing holds for null but `is null`.
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

Row = Mapping[str, Any]
Test = Callable[[Row], bool]

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)|(?P<name>[A-Za-z_][\w.]*)"
    r"|(?P<sign><>|!=|<=|>=|[=<>(),]))"
)
_WORDS: Final = frozenset({"and", "or", "not", "in", "like", "between", "is", "null", "upper"})
_SIGNS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
LONGEST: Final = 6_000


class BadQuery(Exception):
    """What is wrong with the expression, in the words of the vendor."""


def row_match(expression: str, attributes: Mapping[str, frozenset[str]]) -> Test:
    """`attributes`: names of the resource's own under `""`, those of each child under the child's name."""
    if len(expression) > LONGEST:
        raise BadQuery("The query expression is too long.")
    return _Parser(expression, attributes).whole()


def by_example(expression: str, attributes: Mapping[str, frozenset[str]]) -> Test:
    """Version 1: conditions between `;`, values with quotes or without."""
    tests: list[Test] = []
    for part in filter(None, (each.strip() for each in expression.split(";"))):
        found = re.fullmatch(r"(?P<name>\w+)\s*(?P<sign><>|!=|<=|>=|[=<>])\s*(?P<value>.*)", part, re.DOTALL)
        if found is None or found["name"] not in attributes[""]:
            raise BadQuery(f"The query parameter {part[:80]} isn't valid.")
        value = found["value"]
        quoted = re.fullmatch(r"'((?:[^']|'')*)'", value)
        if "'" in value and quoted is None:
            raise BadQuery(f"The query parameter {part[:80]} isn't valid.")
        literal: Any = quoted[1].replace("''", "'") if quoted else int(value) if value.isdigit() else value
        tests.append(_compared(_values(found["name"]), _SIGNS[found["sign"]], literal))
    return lambda row: all(test(row) for test in tests)


class _Parser:
    def __init__(self, expression: str, attributes: Mapping[str, frozenset[str]]) -> None:
        self._attributes = attributes
        self._tokens: list[tuple[str, str]] = []
        place = 0
        while expression[place:].strip():
            found = _TOKEN.match(expression, place)
            if found is None:
                raise BadQuery(f"The query expression isn't valid at {expression[place : place + 20]!r}.")
            kind = str(found.lastgroup)
            text = found[kind]
            if kind == "name" and text.lower() in _WORDS:
                kind, text = "word", text.lower()
            self._tokens.append((kind, text))
            place = found.end()
        self._at = 0

    def whole(self) -> Test:
        found = self._any()
        if self._at != len(self._tokens):
            raise BadQuery(f"The query expression isn't valid at {self._tokens[self._at][1]!r}.")
        return found

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")

    def _take(self, *wanted: str) -> str:
        kind, text = self._peek()
        if wanted and text not in wanted and kind not in wanted:
            raise BadQuery(f"The query expression isn't valid at {text or 'its end'!r}.")
        self._at += 1
        return text

    def _any(self) -> Test:
        tests = [self._all()]
        while self._peek() == ("word", "or"):
            self._take()
            tests.append(self._all())
        return tests[0] if len(tests) == 1 else lambda row: any(test(row) for test in tests)

    def _all(self) -> Test:
        tests = [self._one()]
        while self._peek() == ("word", "and"):
            self._take()
            tests.append(self._one())
        return tests[0] if len(tests) == 1 else lambda row: all(test(row) for test in tests)

    def _one(self) -> Test:
        if self._peek() == ("word", "not"):
            self._take()
            inner = self._one()
            return lambda row: not inner(row)
        if self._peek() == ("sign", "("):
            self._take()
            inner = self._any()
            self._take(")")
            return inner
        return self._condition()

    def _condition(self) -> Test:
        values = self._operand()
        kind, text = self._peek()
        if kind == "sign" and text in _SIGNS:
            return _compared(values, _SIGNS[self._take()], self._literal())
        negated = text == "not"
        if negated:
            self._take()
        match self._take("in", "like", "between", "is"):
            case "in":
                test = _among(values, self._list())
            case "like":
                test = _like(values, self._literal())
            case "between":
                low = self._literal()
                self._take("and")
                test = _between(values, low, self._literal())
            case _:
                negated = self._peek()[1] == "not"
                if negated:
                    self._take()
                self._take("null")
                return lambda row: all(value is None for value in values(row)) is not negated
        return (lambda row: not test(row)) if negated else test

    def _operand(self) -> Callable[[Row], list[Any]]:
        if self._peek() == ("word", "upper"):
            self._take()
            self._take("(")
            inner = self._operand()
            self._take(")")
            return lambda row: [value.upper() if isinstance(value, str) else value for value in inner(row)]
        name = self._take("name")
        child, _, attribute = name.rpartition(".")
        if attribute not in self._attributes.get(child, frozenset()):
            raise BadQuery(f"The attribute {name} in the query expression isn't valid.")
        return _values(name)

    def _literal(self) -> Any:
        kind, text = self._peek()
        if kind not in ("text", "number"):
            raise BadQuery(f"The query expression isn't valid at {text or 'its end'!r}.")
        self._take()
        return text[1:-1].replace("''", "'") if kind == "text" else float(text) if "." in text else int(text)

    def _list(self) -> list[Any]:
        self._take("(")
        found = [self._literal()]
        while self._peek() == ("sign", ","):
            self._take()
            found.append(self._literal())
        self._take(")")
        return found


def _values(name: str) -> Callable[[Row], list[Any]]:
    child, _, attribute = name.rpartition(".")
    if not child:
        return lambda row: [row.get(attribute)]
    return lambda row: [each.get(attribute) for each in row.get(child) or ()]


def _compared(values: Callable[[Row], list[Any]], sign: Callable[[Any, Any], bool], literal: Any) -> Test:
    def test(row: Row) -> bool:
        return any(value is not None and _holds(sign, value, literal) for value in values(row))

    return test


def _holds(sign: Callable[[Any, Any], bool], value: Any, literal: Any) -> bool:
    left, right = _alike(value, literal)
    try:
        return sign(left, right)
    except TypeError:
        raise BadQuery(f"The value {literal!r} in the query expression has the wrong type.") from None


def _among(values: Callable[[Row], list[Any]], literals: Sequence[Any]) -> Test:
    wanted = frozenset(literals)
    return lambda row: any(value in wanted for value in values(row) if value is not None)


def _between(values: Callable[[Row], list[Any]], low: Any, high: Any) -> Test:
    above, below = _compared(values, operator.ge, low), _compared(values, operator.le, high)
    return lambda row: above(row) and below(row)


def _like(values: Callable[[Row], list[Any]], literal: Any) -> Test:
    pattern = "".join(".*" if each == "%" else "." if each == "_" else re.escape(each) for each in str(literal))
    fits = re.compile(pattern, re.DOTALL).fullmatch
    return lambda row: any(isinstance(value, str) and fits(value) is not None for value in values(row))


_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d.*)?")


def _alike(value: Any, literal: Any) -> tuple[Any, Any]:
    """Times are compared as such, whatever zone they are written in; numbers may be quoted."""
    if isinstance(value, int | float) and isinstance(literal, str) and literal.replace(".", "", 1).isdigit():
        return value, float(literal)
    if all(isinstance(each, str) and _MOMENT.fullmatch(each) for each in (value, literal)):
        return _moment(value), _moment(literal)
    return value, literal


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadQuery(f"The date {text} in the query expression isn't valid.") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
