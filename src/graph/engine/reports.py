"""What an answer's extensions tell of its cost and of the calls behind it. No address, no text of a vendor's."""

from collections.abc import Mapping, Sequence
from typing import Any

from graph.engine.limits import Limits
from graph.engine.pricing import Planned, Price
from resolvers.tally import Explained, Explanation, Spent, Tally

BATCHES_MOST = 50
"""Sizes of batches that a line shows."""
_WORSE = ("LIVE", "LAST_GOOD", "FAILED")


def cost_of(price: Price, limits: Limits, tally: Tally | None) -> dict[str, Any]:
    """`extensions.cost`. Without a tally nothing was executed."""
    told: dict[str, Any] = {
        "cost": _number(price.cost.total),
        "limit": limits.cost,
        "typeCost": _number(price.cost.types),
        "fieldCost": _number(price.cost.fields),
    }
    at_most, spent = price.calls.at_most, tally.spent if tally is not None else {}
    told["vendorCallLimit"] = limits.vendor_calls
    told["vendorCalls"] = [
        {"integration": key, "atMost": at_most.get(key, 0), **({} if tally is None else _spent(spent, key))}
        for key in dict.fromkeys([*at_most, *spent])
    ]
    return told


def _spent(spent: Mapping[str, Spent], key: str) -> dict[str, int]:
    found = spent.get(key) or Spent()
    return {"actual": found.calls, "retries": found.retries, "logIns": found.logins}


def _number(value: float) -> float:
    return int(value) if value == int(value) else value


def explanation_of(explanation: Explanation) -> dict[str, Any]:
    """`extensions.explain` of what was executed: a line for each method of an integration and the fields that
    needed it."""
    groups: dict[tuple[Any, ...], list[Explained]] = {}
    for each in explanation.answers:
        groups.setdefault((each.fields, each.integration, each.method), []).append(each)
    told: dict[str, Any] = {
        "calls": [_line(group) for group in groups.values()],
        "alreadyRead": [{"field": field, "count": count} for field, count in explanation.known.items()],
    }
    return told | ({"leftOut": explanation.left} if explanation.left else {})


def _line(group: Sequence[Explained]) -> dict[str, Any]:
    first, readings = group[0], [each.reading for each in group]
    ages = [each.age_seconds for each in group if each.age_seconds is not None]
    return {
        "fields": list(first.fields),
        "integration": first.integration,
        "system": first.system.name,
        "method": first.method,
        "calls": sum(each.first_calls for each in readings),
        "batches": [each.keys for each in group if each.keys is not None][:BATCHES_MOST],
        "milliseconds": max(each.milliseconds for each in group),
        "answer": max((_answer(each) for each in group), key=_WORSE.index),
        "ageSeconds": round(max(ages), 1) if ages else None,
        "retries": sum(each.retries for each in readings),
        "logIns": sum(each.logins for each in readings),
        "joined": sum(each.joined for each in readings),
        "breaker": group[-1].breaker,
        "error": next((each.error for each in group if each.error is not None), None),
    }


def _answer(explained: Explained) -> str:
    if explained.error is not None:
        return "FAILED"
    return "LIVE" if explained.age_seconds is None else "LAST_GOOD"


def plan_of(plan: Sequence[Planned], left: int) -> dict[str, Any]:
    """`extensions.explain` of a dry run: what would be asked at most."""
    lines: dict[tuple[str, str, str], dict[str, Any]] = {}
    for each in plan:
        use = each.use
        line = lines.setdefault(
            (each.field, use.integration, use.method),
            {
                "fields": [each.field],
                "integration": use.integration,
                "system": use.system.name,
                "method": use.method,
                "callsAtMost": 0,
                "keysAtMost": None,
            },
        )
        line["callsAtMost"] += use.calls
        if use.keys is not None:
            line["keysAtMost"] = (line["keysAtMost"] or 0) + use.keys
        if use.shared:
            line["oncePerOperation"] = True
    told: dict[str, Any] = {"dry": True, "calls": list(lines.values())}
    return told | ({"leftOut": left} if left else {})
