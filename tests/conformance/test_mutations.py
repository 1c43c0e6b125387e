"""The faults of the mutation test are where they say, each changes the code, and each has suites to find it."""

import ast
from pathlib import Path

import pytest

from tests.conformance import __main__ as runner
from tests.conformance.mutations import FAULTS, SOURCES, Fault, Moved


def _copy(fault: Fault, folder: Path) -> Path:
    path = folder / fault.file
    path.parent.mkdir(parents=True)
    path.write_text((SOURCES / fault.file).read_text())
    return path


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_changes_one_place_of_code_that_still_compiles(fault: Fault, tmp_path: Path) -> None:
    path = _copy(fault, tmp_path)
    before = path.read_text()
    fault.apply(tmp_path)
    after = path.read_text()
    assert ast.dump(ast.parse(after)) != ast.dump(ast.parse(before))


def test_a_fault_whose_code_has_moved_is_told(tmp_path: Path) -> None:
    fault = FAULTS[0]
    path = _copy(fault, tmp_path)
    path.write_text(path.read_text().replace(fault.text, ""))
    with pytest.raises(Moved, match=r"has 0 times .*, not once"):
        fault.apply(tmp_path)
    path.write_text(f"{fault.text}\n{fault.text}")
    with pytest.raises(Moved, match=r"has 2 times"):
        fault.apply(tmp_path)


def test_each_fault_has_its_own_name_and_suites_that_there_are() -> None:
    assert len(FAULTS) >= 24
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    known = {suite.name for suite in runner.SUITES}
    for fault in FAULTS:
        assert fault.suites, fault.name
        assert set(fault.suites) <= known, fault.name
