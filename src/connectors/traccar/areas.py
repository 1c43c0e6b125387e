"""Traccar's geofence texts, which look like WKT but put the latitude first, as GeoJSON."""

import re
from typing import Final

import msgspec

from connectors.kit.errors import MappingFailed
from unified.values import GeoJson

MAX_POINTS: Final = 10_000
_SHAPE: Final = re.compile(r"\s{0,9}(CIRCLE|POLYGON|LINESTRING)\s{0,9}(.*)", re.IGNORECASE | re.DOTALL)

Point = tuple[float, float]
"""Longitude, latitude."""


class Area(msgspec.Struct, frozen=True):
    """`radius_m` is null unless the area is a circle, whose geometry is its centre."""

    geometry: GeoJson
    radius_m: float | None = None


def area(text: str, *, path: str = "$.area") -> Area:
    """Raises `MappingFailed` for any other text."""
    found = _SHAPE.fullmatch(text.rstrip())
    if found is None:
        raise MappingFailed(f"the area at `{path}` is no CIRCLE, POLYGON or LINESTRING", path=path)
    shape, inner = found[1].upper(), found[2].strip()
    if shape == "CIRCLE":
        centre, _, radius = _without_brackets(inner, path).partition(",")
        metres = _number(radius, path)
        if metres < 0:
            raise MappingFailed(f"the circle at `{path}` has a negative radius", path=path)
        return Area({"type": "Point", "coordinates": list(_point(centre, path))}, metres)
    if shape == "LINESTRING":
        line = _points(_without_brackets(inner, path), path)
        if len(line) < 2:
            raise MappingFailed(f"the line at `{path}` has fewer than two points", path=path)
        return Area({"type": "LineString", "coordinates": [list(point) for point in line]})
    ring = _ring(_points(_without_brackets(_without_brackets(inner, path), path), path), path)
    return Area({"type": "Polygon", "coordinates": [[list(point) for point in ring]]})


def _ring(points: list[Point], path: str) -> list[Point]:
    """Closed, and counter-clockwise as RFC 7946 wants an outer ring."""
    if points[0] == points[-1]:
        points = points[:-1]
    if len(points) < 3:
        raise MappingFailed(f"the polygon at `{path}` has fewer than three corners", path=path)
    twice_area = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(points, [*points[1:], points[0]], strict=True))
    if twice_area < 0:
        points = [points[0], *reversed(points[1:])]
    return [*points, points[0]]


def _without_brackets(text: str, path: str) -> str:
    if not (text.startswith("(") and text.endswith(")")):
        raise MappingFailed(f"the area at `{path}` lacks a bracket", path=path)
    return text[1:-1].strip()


def _points(text: str, path: str) -> list[Point]:
    if text.count(",") >= MAX_POINTS:
        raise MappingFailed(f"the area at `{path}` has more than {MAX_POINTS} points", path=path)
    return [_point(each, path) for each in text.split(",")]


def _point(text: str, path: str) -> Point:
    parts = text.split()
    if len(parts) != 2:
        raise MappingFailed(f"a point of the area at `{path}` is no pair of latitude and longitude", path=path)
    latitude, longitude = _number(parts[0], path), _number(parts[1], path)
    if abs(latitude) > 90 or abs(longitude) > 180:
        raise MappingFailed(f"a point of the area at `{path}` is not on the earth", path=path)
    return longitude, latitude


def _number(text: str, path: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise MappingFailed(f"the area at `{path}` holds something that is no number", path=path) from None
    if not abs(number) < 1e9:  # neither nan nor inf
        raise MappingFailed(f"the area at `{path}` holds a number without bounds", path=path)
    return number
