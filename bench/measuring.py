"""How a query is measured: its time over that of its vendor calls, its CPU over that of the baseline."""

import json
import time
from typing import Any, Final

from bench.chains import Call, slowest_chain
from bench.figures import Measured
from bench.processes import ANY, UNDER_TEST
from bench.scene import Broken, Scene, Served

DELAY_MS: Final = 200
QUERIES: Final = 9
ROUNDS: Final = 5
ROUND_SECONDS: Final = 2.0


def late_queries(
    scene: Scene, served: Served, query: str, variables: dict[str, Any], *, delay_ms: int = DELAY_MS
) -> list[tuple[float, list[Call]]]:
    """Asks one query after the other. Raises `Broken` unless each makes the same number of calls.

    The server may take any core meanwhile: one that has to wait for a busy one says nothing of it.
    """
    served.process.run_on(ANY)
    served.client.ask(query, variables)  # all that is asked for the first time, such as sessions and tokens
    found = []
    scene.delay(delay_ms)
    for _ in range(QUERIES):
        began = time.perf_counter()
        served.client.ask(query, variables)
        found.append((time.perf_counter() - began, scene.delay(delay_ms)))
    scene.delay(0)
    served.process.run_on(UNDER_TEST)
    counts = {len(calls) for _, calls in found}
    if len(counts) != 1:
        raise Broken(f"the same query makes now {min(counts)}, now {max(counts)} vendor calls")
    return found


def over_chain(found: list[tuple[float, list[Call]]]) -> Measured:
    return Measured(
        tuple(seconds / sum(call.ended - call.began for call in slowest_chain(calls)) for seconds, calls in found)
    )


def cpu_ms(served: Served, query: str, variables: dict[str, str], seconds: float) -> float:
    """CPU of the server per answer, over a window of so many seconds of queries one after the other."""
    before, end, answers = served.process.cpu_seconds(), time.monotonic() + seconds, 0
    while time.monotonic() < end:
        served.client.ask(query, variables)
        answers += 1
    return (served.process.cpu_seconds() - before) * 1000 / answers


def cpu_pairs(scene: Scene, query: str, variables: dict[str, str]) -> list[tuple[float, float]]:
    """CPU per answer of the server and of its baseline, in turns. Raises `Broken` unless both answer the same."""
    both = (scene.server, scene.handwritten)
    answers = [json.loads(served.client.ask(query, variables)) for served in both]
    if answers[0] != answers[1]:
        raise Broken(f"the baseline answers otherwise: {_difference(answers[0], answers[1])}")
    calls = []
    for served in both:
        scene.delay(0)
        served.client.ask(query, variables)
        calls.append(len(scene.delay(0)))
    if calls[0] != calls[1]:
        raise Broken(f"the server makes {calls[0]} vendor calls, bench/handwritten.py makes {calls[1]}")
    for served in both:
        cpu_ms(served, query, variables, ROUND_SECONDS)
    pairs = []
    for _ in range(ROUNDS):
        server, baseline = (cpu_ms(served, query, variables, ROUND_SECONDS) for served in both)
        pairs.append((server, baseline))
    return pairs


def _difference(one: object, other: object, path: str = "$") -> str:
    """Where two JSON values differ first."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return next((_difference(one[key], other[key], f"{path}.{key}") for key in one if one[key] != other[key]), path)
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for place, (mine, its) in enumerate(zip(one, other, strict=True)):
            if mine != its:
                return _difference(mine, its, f"{path}[{place}]")
    return f"{path}: {str(one)[:200]} and {str(other)[:200]}"
