"""Bare values become records: roles, states, faults, progress; for OPC UA and Modbus alike."""

from typing import Any

import msgspec
import pytest

from connectors.equipment import points
from connectors.equipment.facts import Facts, ItemPattern
from connectors.equipment.points import Identity, Point, Taken, part_of
from tests.connectors.test_equipment_samples import ORIGIN
from unified.records import Equipment, EquipmentFault, EquipmentState, EquipmentType, FaultSeverity, Job, ReadingQuality

FACTS = Facts(id="m", name="m", equipment_type=EquipmentType.PLC, items=ItemPattern(r"(?P<item>[A-Z]+-[0-9]+)"))


def record(*told: tuple[dict[str, Any], object], identity: Identity | None = None) -> Equipment:
    use = [msgspec.convert({"name": f"p{place}", **settings}, Point) for place, (settings, _) in enumerate(told)]
    values = {
        each.name: value if isinstance(value, Taken) else Taken(value=value)  # type: ignore[arg-type]
        for each, (_, value) in zip(use, told, strict=True)
    }
    return points.equipment(use, values, FACTS, ORIGIN, identity=identity)


def state(table: Any) -> dict[str, Any]:
    return {"role": "state", "states": table}


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (1.0, EquipmentState.IDLE), (2.0, EquipmentState.IDLE), (3.0, EquipmentState.RUNNING),
        (4.0, EquipmentState.IDLE), (5.0, EquipmentState.PAUSED), (6.0, EquipmentState.RUNNING),
        (7.0, EquipmentState.RUNNING), (8.0, EquipmentState.ERROR), (9.0, EquipmentState.ERROR),
        (10.0, EquipmentState.PAUSED), (11.0, EquipmentState.PAUSED), (12.0, EquipmentState.RUNNING),
        (13.0, EquipmentState.PAUSED), (14.0, EquipmentState.RUNNING), (15.0, EquipmentState.IDLE),
        (16.0, EquipmentState.RUNNING), (17.0, EquipmentState.IDLE), (99.0, EquipmentState.UNKNOWN),
        (None, EquipmentState.UNKNOWN),
    ],
)  # fmt: skip
def test_packml(number: float | None, expected: EquipmentState) -> None:
    assert record((state("packml"), number)).state is expected


def test_states_by_number_truth_and_text() -> None:
    assert record((state({"1": "RUNNING"}), 1.0)).state is EquipmentState.RUNNING
    assert record((state({"true": "RUNNING"}), True)).state is EquipmentState.RUNNING
    assert record((state({"1": "RUNNING"}), True)).state is EquipmentState.RUNNING, "a bit is 1 to some"
    assert record((state({"Auto": "RUNNING"}), "Auto")).state is EquipmentState.RUNNING
    assert record((state({"1": "RUNNING"}), 7.0)).state is EquipmentState.UNKNOWN
    bad = Taken(value=1.0, quality=ReadingQuality.BAD)
    assert record((state({"1": "RUNNING"}), bad)).state is EquipmentState.UNKNOWN


def test_of_several_states_the_graver_one_counts() -> None:
    running, held = (state("machinery"), 3.0), (state("packml"), 11.0)
    found = record(running, held)
    assert (found.state, found.source.vendor_status) == (EquipmentState.PAUSED, "3; 11")
    assert record(running, (state("machinery"), 0.0)).state is EquipmentState.OFFLINE
    assert record(running, (state({"7": "IDLE"}), 1.0)).state is EquipmentState.RUNNING, "what is unknown tells nothing"


@pytest.mark.parametrize(
    ("value", "faults"),
    [
        (0.0, ()), (False, ()), (None, ()), ("", ()),
        (17.0, (("17", "too hot"),)), (18.0, (("18", "p1"),)), (True, (("p1", "p1"),)), ("E7", (("E7", "E7"),)),
    ],
)  # fmt: skip
def test_faults(value: object, faults: tuple[tuple[str, str], ...]) -> None:
    found = record((state({"1": "RUNNING"}), 1.0), ({"role": "fault", "texts": {"17": "too hot"}}, value))
    assert tuple((each.code, each.description) for each in found.faults) == faults
    assert found.state is (EquipmentState.ERROR if faults else EquipmentState.RUNNING)
    assert found.error_message == (faults[0][1] if faults else None)


def test_a_warning_changes_no_state() -> None:
    warning = {"role": "fault", "severity": "WARNING", "component": "Oil"}
    found = record((state({"1": "RUNNING"}), 1.0), (warning, True))
    assert found.faults == (
        EquipmentFault(code="p1", description="p1", severity=FaultSeverity.WARNING, component="Oil"),
    )
    assert (found.state, found.error_message) == (EquipmentState.RUNNING, None)


def test_jobs() -> None:
    job = ({"role": "job"}, "bracket PRT-10042")
    assert record(job).job == Job(
        name="bracket PRT-10042", progress=None, item_number="PRT-10042", integration="workshop"
    )
    assert record(({"role": "parts"}, 3.0)).job is None, "a count without a job is none"
    for told, progress in (
        ([({"role": "parts"}, 3.0), ({"role": "parts_target"}, 12.0)], 0.25),
        ([({"role": "progress"}, 0.5), ({"role": "parts"}, 3.0), ({"role": "parts_target"}, 12.0)], 0.5),
        ([({"role": "progress"}, 1.7)], 1.0),
        ([({"role": "progress"}, float("nan"))], None),
    ):
        found = record(job, *told).job
        assert found is not None
        assert found.progress == progress
    assert record(({"role": "operation"}, "drilling")).operation == "drilling"


@pytest.mark.parametrize(
    ("done", "wanted", "part"),
    [(1.0, 4.0, 0.25), (9.0, 4.0, 1.0), (-1.0, 4.0, 0.0), (1.0, 0.0, None), (None, 4.0, None), (1.0, None, None)],
)
def test_parts(done: float | None, wanted: float | None, part: float | None) -> None:
    assert part_of(done, wanted) == part


def test_who_it_is() -> None:
    identity = Identity(manufacturer="ENGEL", model="Viper 6", serial_number="235223", software="70.0.1")
    found = record(identity=identity)
    assert (found.manufacturer, found.model, found.serial_number, found.software) == (
        "ENGEL", "Viper 6", "235223", "70.0.1",
    )  # fmt: skip
    named = points.equipment((), {}, msgspec.structs.replace(FACTS, model="ours"), ORIGIN, identity=identity)
    assert named.model == "ours", "what the settings say counts"


def test_readings() -> None:
    found = record(
        ({"unit": "Cel"}, 20.5), ({}, True), ({}, "on"), ({}, None), ({}, Taken(value=1.0, quality=ReadingQuality.BAD))
    ).sensors
    assert [(each.value, each.text, each.unit, each.quality) for each in found] == [
        (20.5, None, "Cel", None),
        (1.0, "true", None, None),
        (None, "on", None, None),
        (None, None, None, None),
        (None, None, None, ReadingQuality.BAD),
    ]
