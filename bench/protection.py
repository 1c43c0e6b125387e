"""What limits, authentication, masking and metrics together add to the CPU of a query."""

import json
import time
from functools import cache
from typing import Final

from bench.figures import Measured, at_most, figure
from bench.measuring import ROUND_SECONDS, ROUNDS, cpu_ms
from bench.processes import UNDER_TEST, free_port, python
from bench.queries import FEDERATED, ONE
from bench.scene import FEDERATED_KEYS, READY_SECONDS, Broken, Client, Scene, Served

KEY: Final = "bench-key-8d02f6c1b7"
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


@cache
def _pairs(scene: Scene) -> list[tuple[float, float]]:
    """CPU per answer of the whole server and of the bare one, in turns, each window beside the other's.

    Raises `Broken` unless both give the same answer by the same number of vendor calls, and the whole one alone wants to
    know who asks.
    """
    scene.delay(0)
    whole, bare = _served(scene, "whole", bare=False), _served(scene, "bare", bare=True)
    whole.client.close()  # it was idle while the other started: the server may just be about to end it
    wanted = {"id": whole.client.data(FEDERATED)["orders"]["nodes"][0]["id"]}
    told = []
    for served in (whole, bare):
        served.client.ask(ONE, wanted)
        scene.delay(0)
        told.append((json.loads(served.client.ask(ONE, wanted)), len(scene.delay(0))))
    if told[0] != told[1]:
        raise Broken(f"the bare server answers otherwise: {told[0]!s:.300} and {told[1]!s:.300}")
    if whole.client.status({"X-API-Key": "wrong"}) != 401 or bare.client.status({"X-API-Key": "wrong"}) != 200:
        raise Broken("the whole server does not ask who asks, or the bare one does")
    for served in (whole, bare):
        cpu_ms(served, ONE, wanted, ROUND_SECONDS)
    pairs = []
    for number in range(ROUNDS):
        order = (whole, bare) if number % 2 == 0 else (bare, whole)
        spent = {id(served): cpu_ms(served, ONE, wanted, ROUND_SECONDS) for served in order}
        pairs.append((spent[id(whole)], spent[id(bare)]))
    return pairs


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
