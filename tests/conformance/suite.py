"""A suite in Python: named checks, each with a limit of time; its last line is its count."""

import asyncio
import sys
import traceback
from collections.abc import Awaitable, Callable

address = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"
url = f"{address}/graphql"
ws_url = url.replace("http", "ws", 1)

Check = Callable[[], Awaitable[None]]


class Suite:
    """Collects the checks: each is a function whose docstring says what it shows."""

    def __init__(self, name: str, seconds: float = 20.0) -> None:
        self._name, self._seconds = name, seconds
        self._checks: list[Check] = []

    def __call__(self, check: Check) -> Check:
        self._checks.append(check)
        return check

    def run(self) -> None:
        """Runs all; ends the process with 1 when one fails."""
        passed = 0
        for check in self._checks:
            try:
                asyncio.run(asyncio.wait_for(check(), self._seconds))
                passed += 1
            except BaseException:  # noqa: BLE001 - whatever ends a check, the others are run
                print(f"FAILED {check.__doc__}:\n{traceback.format_exc()}")
        failed = len(self._checks) - passed
        print(f"{self._name}: {passed} passed, {failed} failed", flush=True)
        sys.exit(1 if failed else 0)
