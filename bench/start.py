"""Cold start: from `crossdock serve` to the first answer, with the whole schema."""

import contextlib
import time
from functools import cache
from typing import Final

from bench.figures import Measured, at_most, figure
from bench.processes import ANY, free_port
from bench.scene import Broken, Client, Scene

STARTS: Final = 5
SIX: Final = ("ewm-west", "ewm-north", "plm", "workshop", "tak", "uber", "fleet")
"""SAP EWM (twice), Teamcenter, OctoPrint, TAK, Uber and Traccar."""
FIRST: Final = "{ vehicles(first: 1) { nodes { id name } sources { integration state } } }"
"""Goes through the view, the schema, the fan-out and a connector."""
GIVE_UP_SECONDS: Final = 30.0


@cache
def _starts(scene: Scene, only: tuple[str, ...] | None, fresh: bool) -> list[tuple[float, float]]:
    """Seconds and CPU seconds of each start. One more before them compiles the modules and, unless `fresh`, makes the
    store. The process may take any core: a start that has to wait for a busy one says nothing."""
    found = []
    for number in range(STARTS + 1):
        name = f"start-{len(only or ())}-{number if fresh else 'again'}"
        port = free_port()
        settings = scene.settings(name, port, only=only)
        with scene.process(name, scene.serve_command(settings), cores=ANY) as process:
            while True:
                process.must_live()
                client = Client(port)
                with contextlib.suppress(OSError):
                    client.data(FIRST)
                    found.append((time.perf_counter() - process.started, process.cpu_seconds()))
                    break
                client.close()
                if time.perf_counter() - process.started > GIVE_UP_SECONDS:
                    raise Broken(f"no answer {GIVE_UP_SECONDS:g} s after the start")
                time.sleep(0.005)
            client.close()
    return found[1:]


@figure("start.first", unit="s", target=at_most(1.5), baseline="six vendor systems, a store that has to be made")
def first(scene: Scene) -> Measured:
    return Measured(tuple(seconds for seconds, _ in _starts(scene, SIX, fresh=True)), min)


@figure("start.again", unit="s", target=at_most(1.5), baseline="six vendor systems, a store that was used before")
def again(scene: Scene) -> Measured:
    return Measured(tuple(seconds for seconds, _ in _starts(scene, SIX, fresh=False)), min)


@figure("start.cpu", unit="s", baseline="CPU of the server until then, also by what it begins to read by itself")
def cpu(scene: Scene) -> Measured:
    return Measured(tuple(seconds for _, seconds in _starts(scene, SIX, fresh=False)))


@figure("start.all", unit="s", baseline="as start.again, with every vendor system that the sandbox has")
def every(scene: Scene) -> Measured:
    return Measured(tuple(seconds for seconds, _ in _starts(scene, None, fresh=False)), min)
