"""The list itself, and what each attack says of an answer."""

from collections.abc import Awaitable, Callable
from typing import Any

from tests.conformance.attacking.target import Target
from tests.conformance.attacking.wire import Answer

Attack = Callable[[Target], Awaitable[None]]
ATTACKS: dict[str, Attack] = {}
"""By title, in their order."""
PATIENT: set[str] = set()
"""Titles of those that wait for the server's deadlines: they run side by side."""


def attack(title: str, *, patient: bool = False) -> Callable[[Attack], Attack]:
    def register(run: Attack) -> Attack:
        if title in ATTACKS:
            raise ValueError(f"there are two attacks {title!r}")
        ATTACKS[title] = run
        if patient:
            PATIENT.add(title)
        return run

    return register


def answered(answer: Answer, status: int, code: str | None = None) -> None:
    """Raises `AssertionError` unless the answer has this status and, as its first error, this code."""
    assert answer.status == status, f"{answer}, not {status} {code or ''}"
    assert code is None or answer.code == code, f"{answer}, not {status} {code}"


def table(prefix: str, rows: dict[str, Any], make: Callable[[Any], Attack]) -> None:
    """One attack for each row."""
    for title, row in rows.items():
        attack(f"{prefix}: {title}")(make(row))
