"""`python -m bench [NAME …]`: measures and prints one line per figure; exit status 1 when one misses its target, 2 when
it cannot be measured."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

import bench.aemp
import bench.attacks
import bench.cot
import bench.federated
import bench.gt02
import bench.idocs
import bench.mtconnect
import bench.protection
import bench.single
import bench.start
import bench.structures  # noqa: F401 - each puts its figures into the list
from bench.figures import FIGURES, Figure
from bench.processes import NotStarted
from bench.scene import Broken, Scene

QUIET: Final = 0.5
"""Load of the last minute up to which a machine counts as quiet."""


def _line(*columns: str) -> str:
    return "{:<24} {:>10} {:<6} {:>10} {}".format(*columns).rstrip()


def _chosen(names: Sequence[str]) -> list[Figure]:
    """Those that are named, or whose names begin so (`federated`); all without a name."""
    return [each for each in FIGURES.values() if not names or any(_named(each.name, name) for name in names)]


def _named(figure: str, name: str) -> bool:
    return figure == name or figure.startswith(f"{name}.")


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a figure, or the beginning of several: federated")
    parser.add_argument("--verbose", action="store_true", help="also the spread over the rounds, and the baseline")
    arguments = parser.parse_args(given)
    for name in arguments.names:
        if not any(_named(figure, name) for figure in FIGURES):
            parser.error(f"there is no figure {name!r}; there are {', '.join(FIGURES)}")
    busy = os.getloadavg()[0]
    if busy > QUIET:
        print(f"other work runs on this machine (load {busy:.1f}): times are too long", file=sys.stderr)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the scene's processes end with us
    with Scene() as scene:
        try:
            missed = [each.name for each in _chosen(arguments.names) if not _holds(each, scene, arguments.verbose)]
        except (Broken, NotStarted) as fault:
            print(fault, *scene.said(), sep="\n", file=sys.stderr)
            return 2
    return 1 if missed else 0


def _holds(figure: Figure, scene: Scene, verbose: bool) -> bool:
    """Measures, prints, and says whether the target is met."""
    measured = figure.measure(scene)
    verdict = figure.verdict(measured.value)
    target = figure.target.text if figure.target else "-"
    print(_line(figure.name, f"{measured.value:.3g}", figure.unit, target, verdict), flush=True)
    if verbose:
        low, high = min(measured.rounds), max(measured.rounds)
        print(f"    {low:.3g} to {high:.3g} in {len(measured.rounds)} rounds; {figure.baseline}", flush=True)
    return verdict != "MISSED"


if __name__ == "__main__":
    sys.exit(main())
