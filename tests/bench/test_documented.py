"""The page on performance has each figure that is measured, with its target, and no other."""

import re
from pathlib import Path

import bench.__main__  # noqa: F401 - puts all figures into the list
from bench.figures import FIGURES

PAGE = (Path(__file__).parents[2] / "docs" / "performance.md").read_text()


_NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+|\d+(?:\.\d+)?")


def _rows() -> dict[str, str | None]:
    """The number of the target by figure; a row may have several figures, with a target each, or one for all."""
    found: dict[str, str | None] = {}
    for line in PAGE.splitlines():
        if line.startswith("| `"):
            cells = [each.strip() for each in line.strip("|").split("|")]
            names, targets = re.findall(r"`([a-z0-9.-]+)`", cells[0]), _NUMBER.findall(cells[-1])
            for place, name in enumerate(names):
                each = targets[place] if len(targets) == len(names) else next(iter(targets), None)
                found[name] = each.replace(",", "") if each is not None else None
    return found


def test_every_figure_is_explained_and_every_one_explained_is_measured() -> None:
    assert set(_rows()) == set(FIGURES)


def test_the_targets_are_those_that_are_judged_by() -> None:
    judged = {name: each.target and re.sub(r"[^\d.]", "", each.target.text) for name, each in FIGURES.items()}
    assert _rows() == judged
