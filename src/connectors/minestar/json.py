"""The standard's JSON, in all the forms that are known: Cat's object, Samsara's object in `Fleet`, Bodas' list around
the object; names in any case.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from connectors.kit import decode
from connectors.kit.errors import BadPayload
from connectors.minestar import wire

_NOT_SERIES: Final = frozenset({"links", wire.HEADER, "version", "snapshottime"})
_MOST_DEPTH: Final = 3
_NAMES_MOST: Final = 5_000


class _Lower(dict[str, str]):
    """Names in lower case, remembered: there are few, and each page has them thousands of times."""

    def __missing__(self, name: str) -> str:
        lower = name.lower()
        if len(self) < _NAMES_MOST:
            self[name] = lower
        return lower


_LOWER: Final = _Lower()


def document(body: bytes) -> wire.Document:
    """A fleet, a machine or a time series. Raises `BadPayload` with the path of what is wrong."""
    told: Any = decode.json(body, object)
    if not isinstance(told, list):
        return _document(_named(told, "$"), "$")
    if not told:
        return wire.Fleet(None, None, [], [])  # a page beyond the last, of whatever was asked for
    if len(told) == 1:
        return _document(_named(told[0], "$[0]"), "$[0]")
    named = [_named(each, f"$[{place}]") for place, each in enumerate(told)]
    if not all(wire.HEADER in each for each in named):
        raise BadPayload("the answer is a list of something else than machines", path="$[0]")
    return wire.Fleet(None, None, [], [_machine(each, f"$[{place}]") for place, each in enumerate(named)])


def _document(told: dict[str, Any], path: str) -> wire.Document:
    if "fleet" in told:
        return _document(_named(told["fleet"], f"{path}.Fleet"), f"{path}.Fleet")
    links = list(_links(told.get("links"), f"{path}.Links"))
    if "equipment" in told or (wire.HEADER in told and not _is_series(told)):
        found = told.get("equipment", told)
        rows = found if isinstance(found, list) else [found]
        places = [f"{path}.Equipment[{place}]" for place in range(len(rows))]
        return wire.Fleet(
            version=_text(told.get("version")),
            snapshot_time=_text(told.get("snapshottime")),
            links=links,
            machines=[_machine(_named(each, at), at) for each, at in zip(rows, places, strict=True)],
        )
    header = _named(told.get(wire.HEADER) or {}, f"{path}.EquipmentHeader")
    elements: list[wire.Element] = []
    for name, rows in told.items():
        if name not in _NOT_SERIES and isinstance(rows, dict | list):
            elements += _elements(name, rows if isinstance(rows, list) else [rows], path)
    if not elements and not links and not header and told:
        raise BadPayload("the answer has neither Equipment nor a time series", path=path)
    return wire.Series(links=links, header=header, elements=elements)


def _is_series(told: Mapping[str, Any]) -> bool:
    """A machine's elements are objects (or lists of a few), a time series is nothing but one list."""
    values = [value for name, value in told.items() if name not in _NOT_SERIES]
    return any(isinstance(each, list) for each in values) and not any(isinstance(each, dict) for each in values)


def _machine(told: dict[str, Any], path: str) -> wire.Machine:
    elements: list[wire.Element] = []
    header: wire.Values = {}
    for name, value in told.items():
        if value.__class__ is dict:
            values = _values(value)
            if name == wire.HEADER:
                header = values
            else:
                elements.append(_element(name, values))
        elif isinstance(value, list) and name != wire.HEADER:  # several engines, several faults
            elements += _elements(name, value, path)
        elif value is not None and name in wire.SECTIONS:
            place = f"{path}.{wire.spelt(name)}"
            raise BadPayload(f"the answer is not what was expected at `{place}`: Expected `object`", path=place)
    return wire.Machine(header, elements)


def _elements(name: str, rows: list[Any], path: str) -> Iterator[wire.Element]:
    for place, each in enumerate(rows):
        if not isinstance(each, dict):
            _named(each, f"{path}.{wire.spelt(name)}[{place}]")
        yield _element(name, _values(each))


def _element(name: str, values: wire.Values) -> wire.Element:
    at = values.pop(wire.AT, None)
    return wire.Element(name, at if at.__class__ is str else None, values)


def _values(told: dict[str, Any], depth: int = 0) -> wire.Values:
    """Values of objects within, too: the altitude's number is one level lower in AEMP 1.2."""
    values: wire.Values = {}
    for name, value in told.items():
        if value.__class__ is dict:
            if depth < _MOST_DEPTH:
                values |= _values(value, depth + 1)
        elif value.__class__ is not list:
            values[_LOWER[name]] = value
    return values


def _links(told: Any, path: str) -> Iterator[wire.Link]:
    if told is None:
        return
    for place, each in enumerate(told if isinstance(told, list) else [told]):
        found = wire.link(_named(each, f"{path}[{place}]"))
        if found is not None:
            yield found


def _named(told: Any, path: str) -> dict[str, Any]:
    """The object by lower-case names. Raises `BadPayload` for what is none."""
    if not isinstance(told, dict):
        raise BadPayload(f"the answer is not what was expected at `{path}`: Expected `object`", path=path)
    return {_LOWER[name]: value for name, value in told.items()}


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
