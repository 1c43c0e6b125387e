"""What limits, authentication, masking and metrics together add to the CPU of a query."""

import json
import time
from functools import cache
from typing import Final

from bench.figures import Measured, at_most, figure
from bench.processes import UNDER_TEST, free_port, python
from bench.queries import FEDERATED, ONE
from bench.scene import FEDERATED_KEYS, READY_SECONDS, Broken, Client, Scene, Served

KEY: Final = "bench-key-8d02f6c1b7"
QUERIES: Final = 100
ROUNDS: Final = 60
WARMING: Final = 10
"""Windows are short and many, so that some of each server are not disturbed by other work."""
KEYS: Final = 5
"""Keys that a server knows: the one that is sent is compared with each."""


def _auth() -> str:
    rows = [
        f'\n[[auth.api_keys]]\nname = "other-{number}"\nkey = "other-key-{number}-4c1d9e"\n'
        for number in range(1, KEYS)
    ]
    return "".join([*rows, f'\n[[auth.api_keys]]\nname = "bench"\nkey = "{KEY}"\n'])


def _served(scene: Scene, name: str, *, bare: bool) -> Served:
    """A server over the vendors that answer from memory, once it answers; both have the same settings and keys."""
    port = free_port()
    settings = scene.settings(name, port, only=FEDERATED_KEYS, vendors=scene.vendors)
    settings.write_text(settings.read_text() + _auth())
    command = python("-m", "bench.bare", str(settings)) if bare else scene.serve_command(settings)
    process = scene.start(name, command, cores=UNDER_TEST)
    process.wait_for(port)
    client = Client(port, {"X-API-Key": KEY})
    end = time.monotonic() + READY_SECONDS
    while len(client.data(FEDERATED)["orders"]["nodes"]) != 50:
        process.must_live()
        if time.monotonic() > end:
            raise Broken(f"the server {name} has not all orders after {READY_SECONDS:g} s")
        time.sleep(0.25)
    return Served(process, client)


def _told(scene: Scene, served: Served, wanted: dict[str, str]) -> tuple[object, int]:
    """The answer to the query, and the vendor calls for it: the fewest of several, for what is read at the start comes
    between."""
    calls = []
    answer: object = None
    for _ in range(10):
        scene.delay(0)
        answer = json.loads(served.client.ask(ONE, wanted))
        calls.append(len(scene.delay(0)))
        time.sleep(0.2)
    return answer, min(calls)


@cache
def _pairs(scene: Scene) -> list[tuple[float, float]]:
    """CPU per answer of the whole server and of the bare one, measured in turns: the best quarter of the windows of
    each, from the best on. Other work on the machine only makes windows dearer.

    Raises `Broken` unless both give the same answer by the same number of vendor calls, and the whole one alone wants
    to know who asks.
    """
    # The first that asks opens sessions at vendors, whose cookies it then sends with each call; the others are answered
    # from memory and have none. Neither of the two may be the first.
    _ = scene.server
    whole, bare = _served(scene, "whole", bare=False), _served(scene, "bare", bare=True)
    whole.client.close()  # it was idle while the other started: the server may just be about to end it
    wanted = {"id": whole.client.data(FEDERATED)["orders"]["nodes"][0]["id"]}
    (answer, calls), (bare_answer, bare_calls) = (_told(scene, served, wanted) for served in (whole, bare))
    if answer != bare_answer or calls != bare_calls:
        raise Broken(f"the bare server answers otherwise ({bare_calls} calls, not {calls}): {bare_answer} and {answer}")
    if whole.client.status({"X-API-Key": "wrong"}) != 401 or bare.client.status({"X-API-Key": "wrong"}) != 200:
        raise Broken("the whole server does not ask who asks, or the bare one does")
    pairs = []
    for number in range(WARMING + ROUNDS):
        order = (whole, bare) if number % 2 == 0 else (bare, whole)
        spent = {id(served): _cpu_ms(served, wanted) for served in order}
        pairs.append((spent[id(whole)], spent[id(bare)]))
    wholes, bares = (sorted(side)[: ROUNDS // 4] for side in zip(*pairs[WARMING:], strict=True))
    return list(zip(wholes, bares, strict=True))


def _cpu_ms(served: Served, wanted: dict[str, str]) -> float:
    """CPU of the server per answer, over a short window."""
    before = served.process.thread_seconds()
    for _ in range(QUERIES):
        served.client.ask(ONE, wanted)
    return (served.process.thread_seconds() - before) * 1000 / QUERIES


@figure(
    "one.protection",
    unit="%",
    target=at_most(15),
    baseline="CPU of the same server without limits, authentication, masking and metrics (bench/bare.py)",
)
def protection(scene: Scene) -> Measured:
    return Measured(tuple((whole / bare - 1) * 100 for whole, bare in _pairs(scene)))


@figure("one.bare-cpu", unit="ms", baseline="CPU of the server without all that, per query")
def bare_cpu(scene: Scene) -> Measured:
    return Measured(tuple(bare for _, bare in _pairs(scene)))
