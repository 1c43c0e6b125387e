"""What else a client wants to be told with the answer: its cost, and which vendor was asked for what.

Asked for by `extensions.crossdock` of the request, over any transport, or by headers over HTTP.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from graph.engine.request import GraphQLRequest
from server.graphql.body import Refused

COST, EXPLAIN = "x-crossdock-cost", "x-crossdock-explain"
_HEADER: Mapping[str, bool | str] = {"1": True, "true": True, "0": False, "false": False, "": False, "dry": "dry"}


def wished(given: GraphQLRequest, headers: Mapping[str, str] | None = None) -> GraphQLRequest:
    """The request with its wishes. Raises `Refused` (400) for one that is none."""
    told: Any = given.extensions.get("crossdock", {})
    if not isinstance(told, dict):
        raise Refused(400, "BAD_REQUEST", "`extensions.crossdock` must be an object")
    cost, explain = told.get("cost", False), told.get("explain", False)
    if not isinstance(cost, bool) or not (isinstance(explain, bool) or explain == "dry"):
        raise Refused(
            400, "BAD_REQUEST", '`extensions.crossdock` takes `cost`: true, and `explain`: true or "dry", nothing else'
        )
    if headers is not None:
        cost = _of_header(headers, COST, cost)
        explain = _of_header(headers, EXPLAIN, explain)
    if not cost and not explain:
        return given
    return msgspec.structs.replace(given, cost=cost is True, explain=explain is True, dry=explain == "dry")


def _of_header(headers: Mapping[str, str], name: str, otherwise: bool | str) -> bool | str:
    """What a header says; what the request says where there is no such header."""
    text = headers.get(name)
    if text is None:
        return otherwise
    value = _HEADER.get(text.strip().lower())
    if value is None or (value == "dry" and name == COST):
        raise Refused(400, "BAD_REQUEST", f"`{name}` takes 1{' or dry' if name == EXPLAIN else ''}, or is left out")
    return value
