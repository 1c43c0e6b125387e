"""How the integrations are doing: what every way to a vendor has seen since the process started."""

import weakref
from collections import defaultdict
from datetime import datetime
from enum import Enum
from operator import itemgetter
from typing import Protocol

import msgspec


class HealthState(Enum):
    """The worst that is true of an integration's ways to its vendor."""

    UNTRIED = "UNTRIED"
    WELL = "WELL"
    FAILING = "FAILING"
    """The vendor does not answer properly; it is asked again at each call."""
    LEFT_ALONE = "LEFT_ALONE"
    """It failed so often that it is not asked for a while."""
    REFUSED = "REFUSED"
    """The vendor answers, and refuses our credentials: a person has to act."""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """`ways` is how many addresses the integration has (one per machine, for some), `troubled` how many of them are
    neither well nor untried. `error` is the newest of them, fit for the people of its organisation."""

    state: HealthState = HealthState.UNTRIED
    ways: int = 0
    troubled: int = 0
    since: datetime | None = None
    """Since when the one that has been in trouble longest is."""
    last_success: datetime | None = None
    last_failure: datetime | None = None
    error: str | None = None


class Way(Protocol):
    """One way to a vendor; a `Breaker` is one."""

    @property
    def health(self) -> HealthState: ...

    @property
    def since(self) -> datetime | None: ...

    @property
    def last_success(self) -> datetime | None: ...

    @property
    def last_failure(self) -> datetime | None: ...

    @property
    def last_error(self) -> str | None: ...


_WORSE = (
    HealthState.UNTRIED,
    HealthState.WELL,
    HealthState.FAILING,
    HealthState.LEFT_ALONE,
    HealthState.REFUSED,
)


class Vitals:
    """The ways of all integrations. A way is forgotten when its owner is."""

    def __init__(self) -> None:
        self._ways: defaultdict[str, weakref.WeakSet[Way]] = defaultdict(weakref.WeakSet)

    def track(self, integration: str, way: Way) -> None:
        """From now on `way` counts for the integration."""
        self._ways[integration].add(way)

    def breaker(self, integration: str) -> str:
        """The worst state of the integration's breakers: `OPEN` before `HALF_OPEN` before `CLOSED`."""
        known = (getattr(each, "state", None) for each in list(self._ways.get(integration, ())))
        states = {str(state.value) for state in known if state is not None}  # a listener's port has none
        return next((state for state in ("OPEN", "HALF_OPEN") if state in states), "CLOSED")

    def of(self, integration: str) -> Health:
        """All of an integration's ways in one."""
        ways = list(self._ways.get(integration, ()))
        troubled = [each for each in ways if each.health not in (HealthState.UNTRIED, HealthState.WELL)]
        failed = [(each.last_failure, each.last_error) for each in troubled if each.last_failure is not None]
        return Health(
            state=max((each.health for each in ways), key=_WORSE.index, default=HealthState.UNTRIED),
            ways=len(ways),
            troubled=len(troubled),
            since=min((each.since for each in troubled if each.since is not None), default=None),
            last_success=max((each.last_success for each in ways if each.last_success is not None), default=None),
            last_failure=max((each.last_failure for each in ways if each.last_failure is not None), default=None),
            error=max(failed, key=itemgetter(0), default=(None, None))[1],
        )
