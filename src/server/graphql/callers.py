"""How much one caller may do at once."""

import contextlib
from collections import Counter
from collections.abc import Iterator

from runtime.identity import Principal
from server.graphql.body import Refused


class Callers:
    """Counts the operations of each caller that run now."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._running: Counter[tuple[str, str]] = Counter()

    @contextlib.contextmanager
    def operation(self, principal: Principal, count: int = 1) -> Iterator[None]:
        """Raises `Refused` (429) when the caller has too many at once."""
        caller = (principal.organisation, principal.subject)
        running = self._running[caller]
        if running + count > self._limit:
            raise Refused(
                429,
                "CONCURRENCY_LIMIT",
                f"{running + count} operations of yours would run at once; at most {self._limit} may. "
                "Wait for some to end.",
                {"Retry-After": "1"},
            )
        self._running[caller] += count
        try:
            yield
        finally:
            self._running[caller] -= count
            if not self._running[caller]:
                del self._running[caller]
