"""Plane geometry on a small piece of the earth: distances in metres, courses in degrees from north."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

METRES_PER_DEGREE: Final = 111_320.0

Point = tuple[float, float]
"""Latitude and longitude in degrees."""


def offset(point: Point, east_m: float, north_m: float) -> Point:
    latitude, longitude = point
    return (
        latitude + north_m / METRES_PER_DEGREE,
        longitude + east_m / (METRES_PER_DEGREE * math.cos(math.radians(latitude))),
    )


def distance_m(a: Point, b: Point) -> float:
    north = (b[0] - a[0]) * METRES_PER_DEGREE
    east = (b[1] - a[1]) * METRES_PER_DEGREE * math.cos(math.radians((a[0] + b[0]) / 2))
    return math.hypot(north, east)


def course_deg(a: Point, b: Point) -> float:
    """0 is north, 90 east; below 360."""
    north = b[0] - a[0]
    east = (b[1] - a[1]) * math.cos(math.radians((a[0] + b[0]) / 2))
    return math.degrees(math.atan2(east, north)) % 360.0


@dataclass(frozen=True, slots=True)
class Loop:
    """A closed way: from the last point back to the first."""

    points: tuple[Point, ...]
    marks_m: tuple[float, ...]
    """Metres from the start to each point, and once more the whole length."""

    @classmethod
    def through(cls, points: Sequence[Point]) -> "Loop":
        marks = [0.0]
        for a, b in zip(points, [*points[1:], points[0]], strict=True):
            marks.append(marks[-1] + distance_m(a, b))
        return cls(tuple(points), tuple(marks))

    @property
    def length_m(self) -> float:
        return self.marks_m[-1]

    def at(self, metres: float) -> tuple[float, float, float]:
        """Latitude, longitude and course after so many metres (0 ≤ metres ≤ length)."""
        index = min(max(bisect_right(self.marks_m, metres) - 1, 0), len(self.points) - 1)
        a, b = self.points[index], self.points[(index + 1) % len(self.points)]
        piece = self.marks_m[index + 1] - self.marks_m[index]
        part = (metres - self.marks_m[index]) / piece if piece else 0.0
        return a[0] + (b[0] - a[0]) * part, a[1] + (b[1] - a[1]) * part, course_deg(a, b)
