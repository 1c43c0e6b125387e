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


def document(body: bytes) -> wire.Document:
    """A fleet, a machine or a time series. Raises `BadPayload` with the path of what is wrong."""
    told: Any = decode.json(body, object)
    if isinstance(told, list):
        if not told:
            return wire.Fleet(None, None, [], [])  # a page beyond the last, of whatever was asked for
        if len(told) > 1 and all(isinstance(each, dict) for each in told):
            return _rows(told)
        told = told[0]
        return _document(_named(told, "$[0]"), "$[0]")
    return _document(_named(told, "$"), "$")


def _rows(rows: list[Any]) -> wire.Document:
    """A bare list: of machines, or of readings."""
    named = [_named(each, f"$[{place}]") for place, each in enumerate(rows)]
    if all(wire.HEADER in each for each in named):
        return wire.Fleet(None, None, [], [_machine(each, f"$[{place}]") for place, each in enumerate(named)])
    raise BadPayload("the answer is a list of something else than machines", path="$[0]")


def _document(told: dict[str, Any], path: str) -> wire.Document:
    if "fleet" in told:
        return _document(_named(told["fleet"], f"{path}.Fleet"), f"{path}.Fleet")
    links = list(_links(told.get("links"), f"{path}.Links"))
    if "equipment" in told or (wire.HEADER in told and not _has_series(told)):
        found = told.get("equipment", told)
        rows = found if isinstance(found, list) else [found]
        return wire.Fleet(
            version=_text(told.get("version")),
            snapshot_time=_text(told.get("snapshottime")),
            links=links,
            machines=[
                _machine(_named(each, f"{path}.Equipment[{place}]"), f"{path}.Equipment[{place}]")
                for place, each in enumerate(rows)
            ],
        )
    header = _named(told.get(wire.HEADER) or {}, f"{path}.EquipmentHeader")
    elements: list[wire.Element] = []
    for name, rows in told.items():
        if name in _NOT_SERIES:
            continue
        if not isinstance(rows, list):
            if isinstance(rows, dict):
                rows = [rows]
            else:
                continue
        elements += [
            _element(name, _named(each, f"{path}.{wire.spelt(name)}[{place}]")) for place, each in enumerate(rows)
        ]
    if not elements and not links and not header and told:
        raise BadPayload("the answer has neither Equipment nor a time series", path=path)
    return wire.Series(links=links, header=header, elements=elements)


def _has_series(told: Mapping[str, Any]) -> bool:
    """A machine's elements are objects (or lists of a few), a time series is nothing but one list."""
    lists = [name for name, value in told.items() if isinstance(value, list) and name not in _NOT_SERIES]
    return bool(lists) and not any(isinstance(value, dict) for name, value in told.items() if name not in _NOT_SERIES)


def _machine(told: dict[str, Any], path: str) -> wire.Machine:
    elements: list[wire.Element] = []
    header: wire.Values = {}
    for name, value in told.items():
        if name == wire.HEADER:
            header = _flat(_named(value, f"{path}.EquipmentHeader"))
        elif isinstance(value, dict):
            elements.append(_element(name, _named(value, f"{path}.{wire.spelt(name)}")))
        elif isinstance(value, list):  # several engines, several faults
            elements += [
                _element(name, _named(each, f"{path}.{wire.spelt(name)}[{place}]")) for place, each in enumerate(value)
            ]
        elif value is not None and name in wire.SECTIONS:
            raise BadPayload(
                f"the element is no object at `{path}.{wire.spelt(name)}`", path=f"{path}.{wire.spelt(name)}"
            )
    return wire.Machine(header, elements)


def _element(name: str, told: dict[str, Any]) -> wire.Element:
    values = _flat(told)
    at = values.pop(wire.AT, None)
    return wire.Element(name, at if isinstance(at, str) else None, values)


def _flat(told: dict[str, Any], depth: int = 0) -> wire.Values:
    """Values of objects within, too: the altitude's number is one level lower in AEMP 1.2."""
    values: wire.Values = {}
    for name, value in told.items():
        if isinstance(value, dict):
            if depth < _MOST_DEPTH:
                values |= _flat({str(inner).lower(): each for inner, each in value.items()}, depth + 1)
        elif not isinstance(value, list):
            values[name] = value
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
    return {str(name).lower(): value for name, value in told.items()}


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
