"""What texts and numbers mean: the providers' nulls, units, times, levels. All functions take an element of `wire`.

Raises `MappingFailed` for what is no value at all; what the providers write for "no value" is null.
"""

from decimal import Decimal
from typing import Final

_NULLS: Final = frozenset({"missing", "n/a", "na", "null", "none", "unknown", "nan", "-"})
"""In lower case, besides the kit's."""
_LONGEST: Final = 200
_DURATION: Final = __import__("re").compile(
    r"^P(?:(?P<days>\d+(?:\.\d+)?)D)?(?:T(?:(?P<hours>\d+(?:\.\d+)?)H)?(?:(?P<minutes>\d+(?:\.\d+)?)M)?"
    r"(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?$"
)
_KM: Final = {"kilometre": Decimal(1), "mile": Decimal("1.609344"), "metre": Decimal("0.001"), "foot": Decimal("0.0003048")}
_KG: Final = {
    "kilogram": Decimal(1),
    "tonne": Decimal(1_000),
    "pound": Decimal("0.45359237"),
    "shortton": Decimal("907.18474"),
    "longton": Decimal("1016.0469088"),
    "gram": Decimal("0.001"),
}
_LITRES: Final = {
    "litre": Decimal(1),
    "gallon": Decimal("3.785411784"),
    "usgallon": Decimal("3.785411784"),
    "imperialgallon": Decimal("4.54609"),
    "millilitre": Decimal("0.001"),
}
_KMH: Final = {"kilometreperhour": Decimal(1), "mileperhour": Decimal("1.609344"), "metrepersecond": Decimal("3.6")}
_SPELLINGS: Final = {
    "kilometer": "kilometre", "kilometers": "kilometre", "kilometres": "kilometre", "km": "kilometre",
    "miles": "mile", "mi": "mile",
    "meter": "metre", "meters": "metre", "metres": "metre", "m": "metre", "feet": "foot", "ft": "foot",
    "kilograms": "kilogram", "kg": "kilogram", "kgs": "kilogram", "pounds": "pound", "lb": "pound", "lbs": "pound",
    "tonnes": "tonne", "t": "tonne", "metricton": "tonne", "metrictons": "tonne", "shorttons": "shortton",
    "longtons": "longton", "grams": "gram", "g": "gram",
    "liter": "litre", "liters": "litre", "litres": "litre", "l": "litre", "gallons": "gallon", "gal": "gallon",
    "usgallons": "usgallon", "gallonus": "usgallon", "imperialgallons": "imperialgallon", "milliliter": "millilitre",
    "kilometersperhour": "kilometreperhour", "kilometerperhour": "kilometreperhour",
    "kilometresperhour": "kilometreperhour", "km/h": "kilometreperhour", "kph": "kilometreperhour",
    "kmh": "kilometreperhour", "milesperhour": "mileperhour", "mph": "mileperhour", "m/s": "metrepersecond",
    "meterspersecond": "metrepersecond", "meterpersecond": "metrepersecond",
}  # fmt: skip
