"""What a caller notices of another who attacks, and what of it stays in memory: the attack list of `make conformance`,
in a process of its own, because it changes the collector and the priority of its own."""

import json
import subprocess
from functools import cache
from typing import Final

from bench.figures import Measured, at_most, figure
from bench.processes import ROOT, python
from bench.scene import Broken, Scene

GIVE_UP_SECONDS: Final = 300.0


@cache
def _attacked(scene: Scene) -> dict[str, float]:
    """Raises `Broken` when the list does not come to its end; whether its attacks are met is not looked at here."""
    told = scene.folder / "attacks.json"
    command = python("-m", "tests.conformance.attacks", "--figures", str(told))
    environ = scene.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    with (scene.folder / "attacks.log").open("wb") as log:
        try:
            subprocess.run(command, cwd=ROOT, env=environ, stdout=log, stderr=log, timeout=GIVE_UP_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise Broken(f"the attack list is not done after {GIVE_UP_SECONDS:g} s") from None
    if not told.exists():
        raise Broken("the attack list ended without its figures")
    found: dict[str, float] = json.loads(told.read_text())
    return found


@figure(
    "neighbour.p99",
    unit="x",
    target=at_most(5),
    baseline="of another caller's waits while the attack list runs, over the same before",
)
def neighbour(scene: Scene) -> Measured:
    return Measured((_attacked(scene)["waits"],))


@figure(
    "memory.after",
    unit="x",
    target=at_most(1.1),
    baseline="resident after the attack list, over that of the server once it has served what its limits allow",
)
def memory(scene: Scene) -> Measured:
    return Measured((_attacked(scene)["memory"],))
