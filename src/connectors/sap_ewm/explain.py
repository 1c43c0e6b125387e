"""What EWM's answers mean beyond a gateway's: business answers of the robot service under 404."""

import re
from typing import TYPE_CHECKING

from connectors.kit import odata
from connectors.kit.http import Outcome, OutcomeKind

if TYPE_CHECKING:
    import httpx

_ROBOT_ABSENT = frozenset({"NO_ORDER_FOUND"})
_ROBOT_CONFLICT = frozenset(
    {"WAREHOUSE_ORDER_LOCKED", "WAREHOUSE_ORDER_ASSIGNED", "WAREHOUSE_TASK_ASSIGNED", "FOREIGN_LOCK"}
)
"""Business answers of the robot service, under 404, that mean "nothing there" and "somebody else has it"."""
_ROBOT_CODE = re.compile(r"^[A-Z][A-Z0-9]*(_[A-Z0-9]+)+$")


def explain(response: "httpx.Response") -> Outcome | None:
    """Null for what HTTP says well enough."""
    found = odata.explain(response)
    if response.status_code != 404 or found is None or found.code is None:
        return found
    if not _ROBOT_CODE.match(found.code) or found.code in _ROBOT_ABSENT:
        return found
    # the route is there: ROBOT_NOT_FOUND is what the application answers
    kind = OutcomeKind.CONFLICT if found.code in _ROBOT_CONFLICT else OutcomeKind.REJECTED
    return Outcome(kind=kind, code=found.code, message=found.message, retry_after=found.retry_after)
