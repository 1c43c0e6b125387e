"""MineStar Fleet's exports: which files are taken and when, what their rows mean, and what is refused."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from connectors.kit.errors import BadPayload, MappingFailed, TimedOut, VendorDown
from connectors.kit.integration import Integration, Origin
from connectors.kit.services import Services
from connectors.minestar import MineStar, csvfiles, exports
from connectors.minestar.csvfiles import Forms
from tests.connectors.contract import NOW, FakeClock, Lines
from tests.connectors.minestar_rig import Setup
from tests.connectors.test_minestar import every
from unified import ids, queries
from unified.queries import ListQuery, OrderBy
from unified.records import EquipmentDelay, HaulCycle
from unified.values import System

SAMPLES = Path(__file__).parents[1] / "samples" / "minestar"
ORIGIN = Origin(integration="mine", system=System.MINESTAR, as_of=NOW)
HEAD = (
    "Cycle OID,Cycle Type,Primary Machine Name,Secondary Machine Name,Cycle Start Timestamp (GMT8),"
    "Cycle End Timestamp (GMT8),Payload (t),Record Updated Timestamp (GMT8)"
)
DELAYS = (
    "Delay OID,Delay Class Name,Delay Class Category Name,Target Machine Name,Engine Stopped Flag,"
    "Delay Start Timestamp (GMT8),Delay Finish Timestamp (GMT8)"
)


class Folder:
    """A connector over a folder of exports, and nothing else."""

    def __init__(self, path: Path, **settings: Any) -> None:
        self.path, self.clock, self.log = path, FakeClock(), Lines()
        self.connector = MineStar(
            Integration(
                key="mine",
                system=System.MINESTAR,
                settings={"export_folder": str(path), **settings},
                deadline_seconds=1,
            ),
            Services(clock=self.clock, log=self.log),
        )

    def write(self, name: str, text: str, *, written: datetime = NOW) -> None:
        file = self.path / name
        file.write_text(text, encoding="utf-8")
        os.utime(file, (written.timestamp(), written.timestamp()))

    async def cycles(self, **more: Any) -> list[HaulCycle]:
        found: list[HaulCycle] = await every(
            self.connector.list_haul_cycles, ListQuery(filter=queries.HaulCycleFilter(**more))
        )
        return found

    async def delays(self, **more: Any) -> list[EquipmentDelay]:
        found: list[EquipmentDelay] = await every(
            self.connector.list_equipment_delays, ListQuery(filter=queries.EquipmentDelayFilter(**more))
        )
        return found

    async def look_again(self) -> None:
        self.clock.passed += exports.LOOK_SECONDS
        await self.cycles()


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Folder]:
    made = Folder(tmp_path)
    yield made
    await made.connector.aclose()


def row(
    oid: str, start: str = "2026-11-20 08:00:00", *, truck: str = "T101", payload: str = "180", told: str = ""
) -> str:
    return f"{oid},TruckCycle,{truck},EX07,{start},2026-11-20 08:30:00,{payload},{told}"


def csv(*rows: str, head: str = HEAD) -> str:
    return "\n".join([head, *rows]) + "\n"


# --- the quarry's exports, over the stand-in


async def test_cycles_of_the_stand_in_are_read_as_they_were(tmp_path: Path) -> None:
    setup = Setup(export_folder=str(tmp_path), site_zone="Africa/Lagos")
    setup.vendor.export(tmp_path, hours=24)
    found: list[HaulCycle] = await every(
        setup.connector.list_haul_cycles, ListQuery(filter=queries.HaulCycleFilter(), limit=50)
    )
    wanted = {
        (machine.export_name, cycle.start.replace(microsecond=0)): cycle
        for machine in setup.vendor.machines
        for cycle in machine.cycles(NOW - timedelta(hours=24), NOW)
    }
    assert {(each.truck, each.started_at) for each in found} == wanted.keys()
    assert [each.started_at for each in found] == sorted((each.started_at for each in found), reverse=True)
    for each in found:
        cycle = wanted[each.truck, each.started_at]
        assert (each.loading_unit, each.source_location, each.destination_location) == (
            cycle.loader, cycle.source, cycle.destination,
        )  # fmt: skip
        assert (each.queuing_seconds, each.loading_seconds, each.dumping_seconds) == (
            cycle.queue_s, cycle.load_s, cycle.dump_s,
        )  # fmt: skip
        assert each.travelling_seconds == cycle.full_s + cycle.empty_s
        assert each.fuel_used_litres == cycle.fuel_l
        assert each.payload_kg in (Decimal(cycle.payload_kg), Decimal(0))
    assert setup.asked == []
    await setup.connector.aclose()


async def test_rows_are_corrected_later(tmp_path: Path) -> None:
    setup = Setup(export_folder=str(tmp_path), site_zone="Africa/Lagos")
    setup.vendor.export(tmp_path, hours=6)
    query: ListQuery[queries.HaulCycleFilter] = ListQuery(filter=queries.HaulCycleFilter(), limit=500)
    first = (await setup.connector.list_haul_cycles(query, None)).records
    wrong = [each for each in first if each.payload_kg == 0]
    assert wrong, "some of the last hour's payloads are not known yet"
    setup.clock.passed += 5_400
    setup.vendor.export(tmp_path, hours=6)
    await setup.connector.list_haul_cycles(query, None)  # sees the new file
    setup.clock.passed += 10
    later = (await setup.connector.list_haul_cycles(query, None)).records
    by_oid = {each.source.external_id: each for each in later}
    assert len(by_oid) == len(later) > len(first)
    for each in wrong:
        mended = by_oid[each.source.external_id]
        assert mended.payload_kg is not None
        assert mended.payload_kg > 80_000
        assert mended.started_at == each.started_at
    untouched = next(each for each in first if each.payload_kg)
    assert by_oid[untouched.source.external_id] is untouched, "the same row again changes nothing"
    await setup.connector.aclose()


async def test_delays_of_the_stand_in(tmp_path: Path) -> None:
    setup = Setup(export_folder=str(tmp_path), site_zone="Africa/Lagos")
    setup.vendor.export(tmp_path, hours=24)
    found: list[EquipmentDelay] = await every(
        setup.connector.list_equipment_delays, ListQuery(filter=queries.EquipmentDelayFilter())
    )
    wanted = {
        (machine.export_name, delay.start.replace(microsecond=0)): delay
        for machine in setup.vendor.machines
        if machine.export_name
        for delay in machine.delays(NOW - timedelta(hours=24), NOW)
    }
    assert {(each.equipment, each.started_at) for each in found} == wanted.keys()
    for each in found:
        delay = wanted[each.equipment, each.started_at]
        assert (each.category, each.reason, each.engine_stopped) == (
            delay.category, delay.reason, delay.engine_stopped,
        )  # fmt: skip
        assert each.ended_at is not None
        assert each.ended_at == delay.end.replace(microsecond=0)
    (again,) = await setup.connector.read_equipment_delays([found[0].source.external_id, "none"])
    assert again == found[0]
    await setup.connector.aclose()


async def test_the_machines_of_a_filter_are_told_in_any_spelling(tmp_path: Path) -> None:
    setup = Setup(export_folder=str(tmp_path), site_zone="Africa/Lagos")
    setup.vendor.export(tmp_path, hours=24)
    cycles = ListQuery(filter=queries.HaulCycleFilter(trucks=("t-103", "T106", "none")), limit=200)
    page = await setup.connector.list_haul_cycles(cycles, None)
    assert {each.truck for each in page.records} == {"T103", "T106"}
    assert page.total == len(page.records)
    delays = ListQuery(filter=queries.EquipmentDelayFilter(equipment=("t 104",)), limit=200)
    assert {each.equipment for each in (await setup.connector.list_equipment_delays(delays, None)).records} == {"T104"}
    since = NOW - timedelta(hours=3)
    few = await setup.connector.list_haul_cycles(
        ListQuery(filter=queries.HaulCycleFilter(started_after=since), limit=500), None
    )
    assert few.records
    assert all(each.started_at > since for each in few.records)
    wanted = (few.records[0].id, ids.encode("HaulCycle", "other", "1"))
    one = await setup.connector.list_haul_cycles(ListQuery(filter=queries.HaulCycleFilter(ids=wanted)), None)
    assert one.records == few.records[:1]
    await setup.connector.aclose()


# --- order and pages


async def test_lists_are_sorted_as_they_are_asked_for(folder: Folder) -> None:
    folder.write(
        "cycles.csv",
        csv(
            row("1", "2026-11-20 08:00:00", truck="T2"),
            row("2", "2026-11-20 09:00:00", truck="T1"),
            row("3", "2026-11-20 07:00:00", truck="T2"),
        ),
    )

    async def order(*by: OrderBy) -> list[str]:
        page = await folder.connector.list_haul_cycles(
            ListQuery(filter=queries.HaulCycleFilter(), order_by=by, limit=10), None
        )
        assert page.sorted
        return [each.source.external_id for each in page.records]

    assert await order() == ["2", "1", "3"]
    assert await order(OrderBy("started_at")) == ["3", "1", "2"]
    assert await order(OrderBy("truck"), OrderBy("started_at", descending=True)) == ["2", "1", "3"]
    assert await order(OrderBy("truck", descending=True), OrderBy("started_at")) == ["3", "1", "2"]


async def test_rows_that_come_in_while_somebody_pages_are_not_given_twice(folder: Folder) -> None:
    folder.write("a.csv", csv(*(row(str(each), f"2026-11-20 0{each}:00:00") for each in range(1, 6))))
    query = ListQuery(filter=queries.HaulCycleFilter(), limit=2)
    first = await folder.connector.list_haul_cycles(query, None)
    assert ([each.source.external_id for each in first.records], first.next, first.total) == (["5", "4"], "4", 5)
    folder.write("b.csv", csv(row("6", "2026-11-20 06:30:00")))
    await folder.look_again()
    await folder.look_again()
    second = await folder.connector.list_haul_cycles(query, first.next)
    assert [each.source.external_id for each in second.records] == ["3", "2"]
    assert second.total == 6
    with pytest.raises(ValueError, match="not a cursor of this list, or the row that it stands for is gone"):
        await folder.connector.list_haul_cycles(query, "99")


# --- which files are taken


async def test_a_file_is_taken_when_its_size_stands_still(folder: Folder) -> None:
    folder.write("a.csv", csv(row("1")))
    assert [each.source.external_id for each in await folder.cycles()] == ["1"], "what is there is read at once"
    assert folder.clock.slept == [2.0]
    whole = csv(row("2"), row("3"))
    folder.write("b.csv", whole[: len(HEAD) + 20])
    await folder.look_again()
    folder.write("b.csv", whole[: len(HEAD) + 40])
    await folder.look_again()
    assert len(await folder.cycles()) == 1, "it still grows"
    folder.write("b.csv", whole)
    await folder.look_again()
    assert len(await folder.cycles()) == 1
    await folder.look_again()
    assert {each.source.external_id for each in await folder.cycles()} == {"1", "2", "3"}
    assert folder.log.lines == []


async def test_a_file_must_stand_still_for_as_long_as_the_settings_say(tmp_path: Path) -> None:
    folder = Folder(tmp_path, stable_seconds=12)
    folder.write("a.csv", csv(row("1")))
    assert len(await folder.cycles()) == 1
    assert folder.clock.slept == [12.0]
    folder.write("b.csv", csv(row("2")))
    taken = []
    for _ in range(4):
        await folder.look_again()  # first seen, then for 5, 10 and 15 s
        taken.append(len(await folder.cycles()))
    assert taken == [1, 1, 1, 2]
    await folder.connector.aclose()


async def test_the_folder_is_looked_at_now_and_then_only(folder: Folder) -> None:
    folder.write("a.csv", csv(row("1")))
    await folder.cycles()
    folder.write("b.csv", csv(row("2")))
    folder.clock.passed += 4.9
    await folder.cycles()
    assert folder.connector.exports is not None
    assert "b.csv" not in folder.connector.exports._seen
    folder.clock.passed += 0.2
    await folder.cycles()
    assert "b.csv" in folder.connector.exports._seen


async def test_many_ask_and_one_looks(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write("a.csv", csv(row("1")))
    looks = 0
    real = exports.Exports._scan

    def counting(self: Any, *args: Any) -> bool:
        nonlocal looks
        looks += 1
        return real(self, *args)

    monkeypatch.setattr(exports.Exports, "_scan", counting)
    found = await asyncio.gather(*(folder.cycles() for _ in range(20)))
    assert {len(each) for each in found} == {1}
    assert looks == 2


async def test_a_file_that_is_written_again_is_read_again(folder: Folder) -> None:
    folder.write("a.csv", csv(row("1", payload="0")))
    assert [each.payload_kg for each in await folder.cycles()] == [Decimal(0)]
    folder.write("a.csv", csv(row("1", payload="181.25")), written=NOW + timedelta(minutes=1))
    await folder.look_again()
    await folder.look_again()
    (found,) = await folder.cycles()
    assert (found.payload_kg, found.updated_at) == (Decimal("181250.00"), NOW + timedelta(minutes=1))


async def test_of_the_same_row_the_newest_counts_whatever_the_order_of_files(folder: Folder) -> None:
    folder.write("b.csv", csv(row("1", payload="2")), written=NOW)
    folder.write("a.csv", csv(row("1", payload="3")), written=NOW + timedelta(hours=1))
    folder.write("c.csv", csv(row("1", payload="1")), written=NOW - timedelta(hours=1))
    assert [each.payload_kg for each in await folder.cycles()] == [Decimal(3_000)]
    folder.write("late.csv", csv(row("1", payload="4")), written=NOW - timedelta(hours=5))
    await folder.look_again()
    await folder.look_again()
    assert [each.payload_kg for each in await folder.cycles()] == [Decimal(3_000)], "an old export that was copied late"


async def test_the_rows_own_time_of_change_counts_more_than_the_files(folder: Folder) -> None:
    folder.write("a.csv", csv(row("1", payload="2", told="2026-11-20 12:00:00")), written=NOW)
    folder.write("b.csv", csv(row("1", payload="9", told="2026-11-20 11:00:00")), written=NOW + timedelta(hours=1))
    (found,) = await folder.cycles()
    assert found.payload_kg == Decimal(2_000)
    assert found.updated_at == datetime(2026, 11, 20, 4, tzinfo=UTC)


async def test_other_files_links_and_folders_are_left_alone(folder: Folder, tmp_path: Path) -> None:
    folder.write("notes.txt", csv(row("1")))
    folder.write("part.csv.tmp", csv(row("2")))
    (folder.path / "sub.csv").mkdir()
    outside = tmp_path.parent / "outside.csv"
    outside.write_text(csv(row("3")))
    (folder.path / "link.csv").symlink_to(outside)
    folder.write("GOOD.CSV", csv(row("4")))
    assert [each.source.external_id for each in await folder.cycles()] == ["4"]
    outside.unlink()


async def test_a_bad_file_costs_the_others_nothing_and_is_told_once(folder: Folder) -> None:
    folder.write("a.csv", csv(row("1")))
    folder.write("bad.csv", "a,b,c\n1,2,3\n")
    folder.write("empty.csv", "")
    folder.write("nozone.csv", csv(row("2"), head=HEAD.replace(" (GMT8)", "")))
    folder.write("broken.csv", csv(row("3"), row("4", "when?"), ",,,,", "5,TruckCycle"))
    assert {each.source.external_id for each in await folder.cycles()} == {"1", "3"}
    told = {(event, facts["file"]): facts for event, facts in folder.log.lines}
    assert {key: str(facts["error"]) for key, facts in told.items()} == {
        ("vendor.bad_export", "bad.csv"): "the file has neither the columns of cycles nor those of delays",
        ("vendor.bad_export", "empty.csv"): "the file has neither the columns of cycles nor those of delays",
        ("vendor.bad_export", "nozone.csv"): (
            "the column 'cycle start timestamp' tells no zone such as (GMT8); write `site_zone` in the settings"
        ),
        ("vendor.bad_rows", "broken.csv"): "`$[2].cycle start timestamp` is no ISO 8601 time",
    }
    assert told["vendor.bad_rows", "broken.csv"]["count"] == 2, "and an empty one is none"
    await folder.look_again()
    await folder.look_again()
    assert len(folder.log.lines) == 4


async def test_files_and_rows_are_bounded(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "FILE_LARGEST", 2_000)
    monkeypatch.setattr(exports, "FILES_MOST", 2)
    monkeypatch.setattr(exports, "ROWS_KEPT", 3)
    folder.write("old.csv", csv(row("old")), written=NOW - timedelta(days=1))
    folder.write("a.csv", csv(*(row(str(each), f"2026-11-20 0{each}:00:00") for each in range(1, 6))), written=NOW)
    folder.write("large.csv", csv(*(row(f"large{each}") for each in range(50))), written=NOW)
    assert [each.source.external_id for each in await folder.cycles()] == ["5", "4", "3"]
    assert [(event, facts["file"]) for event, facts in folder.log.lines] == [("vendor.bad_export", "large.csv")]
    monkeypatch.setattr(csvfiles, "ROWS_MOST", 2)
    with pytest.raises(BadPayload, match="the file has more than 2 rows; export shorter times"):
        csvfiles.read(csv(row("1"), row("2"), row("3")).encode(), Forms(UTC, None), ORIGIN, changed_at=None)


async def test_a_folder_that_is_not_there_is_a_clear_error_and_comes_back(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "share")
    with pytest.raises(VendorDown) as caught:
        await folder.cycles()
    assert str(caught.value) == f"mine: cannot read `export_folder` {tmp_path / 'share'}: No such file or directory"
    with pytest.raises(VendorDown):
        await folder.connector.check()
    folder.path.mkdir()
    folder.write("a.csv", csv(row("1")))
    await folder.look_again()
    folder.clock.passed += 10
    assert len(await folder.cycles()) == 1
    (folder.path / "a.csv").unlink()
    folder.path.rmdir()
    await folder.look_again()
    assert len(await folder.cycles()) == 1, "what is known serves on"
    assert folder.log.events == ["vendor.unavailable", "vendor.available", "vendor.unavailable"]
    await folder.connector.aclose()


async def test_a_disk_that_hangs_costs_the_deadline_only(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = asyncio.Event()
    loop = asyncio.get_running_loop()
    looks = 0

    def hang(*_: Any) -> bool:
        nonlocal looks
        looks += 1
        asyncio.run_coroutine_threadsafe(gate.wait(), loop).result(10)
        return False

    monkeypatch.setattr(exports.Exports, "_scan", hang)
    assert folder.connector.exports is not None
    folder.connector.exports._integration = msgspec.structs.replace(folder.connector.integration, deadline_seconds=0.05)
    for _ in range(3):
        with pytest.raises(TimedOut, match=r"`export_folder` .* was not read within 0.05 s"):
            await folder.cycles()
    assert looks == 1, "one thread waits for the disk, however many ask"
    gate.set()
    assert folder.connector.exports._looking is not None
    await folder.connector.exports._looking
    assert await folder.cycles() == []


# --- what rows mean


def read(text: str, **forms: Any) -> list[Any]:
    export = csvfiles.read(
        text.encode() if isinstance(text, str) else text,
        Forms(forms.get("zone"), forms.get("time_format")),
        ORIGIN,
        changed_at=NOW,
    )
    assert export.bad == []
    return [each.record for each in export.found]


def test_only_trucks_cycles_are_haul_cycles() -> None:
    text = (SAMPLES / "minestar-cycle-export.csv").read_bytes()
    export = csvfiles.read(text, Forms(None, None), ORIGIN, changed_at=None)
    assert ([each.record.source.external_id for each in export.found], export.passed) == (["9001"], 1)
    assert sum(each.record.payload_kg or 0 for each in export.found if isinstance(each.record, HaulCycle)) == 181_250
    kinds = csv(row("1").replace("TruckCycle", "Truck Cycle"), row("2").replace("TruckCycle", "AuxMachineCycle"))
    assert [each.source.external_id for each in read(kinds)] == ["1"]


@pytest.mark.parametrize(
    ("encoding", "delimiter"), [("utf-8", ","), ("utf-8-sig", ";"), ("utf-16", "\t"), ("cp1252", ";")]
)
def test_encodings_and_delimiters(encoding: str, delimiter: str) -> None:
    text = csv(row("1", truck="Förder 1")).replace(",", delimiter).encode(encoding)
    (found,) = read(text)  # type: ignore[arg-type]
    assert (found.truck, found.payload_kg) == ("Förder 1", Decimal(180_000))
    assert csvfiles.is_cycles(text)
    assert not csvfiles.is_delays(text)


@pytest.mark.parametrize(
    ("head", "offset"),
    [("GMT8", 8), ("GMT+8", 8), ("GMT-3", -3), ("UTC+9", 9), ("GMT+5:30", 5.5), ("GMT-3:30", -3.5), ("gmt 0", 0)],
)
def test_the_zone_of_a_column_head(head: str, offset: float) -> None:
    (found,) = read(csv(row("1"), head=HEAD.replace("GMT8", head)))
    assert found.started_at == datetime(2026, 11, 20, 8, tzinfo=UTC) - timedelta(hours=offset)


def test_the_settings_zone_counts_more_than_the_head() -> None:
    (found,) = read(csv(row("1")), zone=ZoneInfo("Africa/Lagos"))
    assert found.started_at == datetime(2026, 11, 20, 7, tzinfo=UTC)


def test_times_of_another_form() -> None:
    (found,) = read(csv("1,TruckCycle,T1,,20/11/2026 08:00,20/11/2026 08:30,1,"), time_format="%d/%m/%Y %H:%M")
    assert (found.started_at, found.ended_at) == (
        datetime(2026, 11, 20, 0, tzinfo=UTC),
        datetime(2026, 11, 20, 0, 30, tzinfo=UTC),
    )
    export = csvfiles.read(csv(row("1")).encode(), Forms(None, "%d/%m/%Y"), ORIGIN, changed_at=None)
    assert "is no time of the form '%d/%m/%Y'" in export.bad[0].message


def test_rows_without_oid_are_told_by_machine_and_start() -> None:
    (cycle,) = read(csv(row("")))
    assert cycle.source.external_id == "T101@2026-11-20T00:00:00Z"
    (delay,) = read(csv(",Tyre,Down,T101,true,2026-11-20 08:00:00,", head=DELAYS))
    assert delay.source.external_id == "T101@2026-11-20T00:00:00Z"
    assert (delay.ended_at, delay.engine_stopped, delay.category, delay.reason) == (None, True, "Down", "Tyre")


def test_a_payload_in_kilograms_counts_more_than_one_in_tonnes() -> None:
    head = HEAD.replace("Payload (t)", "Payload (kg),Payload (t)")
    (found,) = read(csv("1,TruckCycle,T1,,2026-11-20 08:00:00,,181250,999,", head=head))
    assert found.payload_kg == Decimal(181_250)
    (found,) = read(csv("1,TruckCycle,T1,,2026-11-20 08:00:00,,,181.25,", head=head))
    assert found.payload_kg == Decimal(181_250)
    (found,) = read(csv("1,TruckCycle,T1,,2026-11-20 08:00:00,,N/A,,", head=head))
    assert found.payload_kg is None


def test_names_of_columns_that_other_sites_have() -> None:
    head = (
        "Cycle Type,Primary Machine Name,Cycle Start Timestamp (GMT8),Travelling Full Duration,"
        "Travelling Empty Duration,Destination Location Name"
    )
    (found,) = read(csv("TruckCycle,T1,2026-11-20 08:00:00,600,400,ROM", head=head))
    assert (found.travelling_seconds, found.destination_location, found.updated_at) == (1_000, "ROM", NOW)


def test_no_csv_is_a_clear_error() -> None:
    with pytest.raises(BadPayload, match="the file is no CSV"):
        csvfiles.read(f'{HEAD}\n"{"x" * 200_000}'.encode(), Forms(UTC, None), ORIGIN, changed_at=None)
    with pytest.raises(BadPayload, match="the file lacks the columns cycle start timestamp"):
        csvfiles.read(b"Cycle Type,Primary Machine Name\n", Forms(UTC, None), ORIGIN, changed_at=None)
    assert not csvfiles.is_cycles(b"\x00\x01")
    assert not csvfiles.is_cycles(b"")
    assert issubclass(MappingFailed, BadPayload)
