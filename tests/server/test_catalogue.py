"""The catalogue of vendor systems: what the connectors are able to do, in the graph and in the pages."""

from pathlib import Path

from connectors.kit.catalogue import Channel, entries, entry
from server import catalogue_docs
from unified.records import Kind
from unified.values import System

PAGES = Path(__file__).parents[2] / "docs" / "systems"


def test_an_entry_says_what_the_connector_class_can_do() -> None:
    found = entry(System.TRACCAR)
    assert [(each.kind, each.lists, each.reads) for each in found.capabilities] == [
        (Kind.VEHICLE, True, True),
        (Kind.GEOFENCE, True, True),
    ]
    assert found.channels == (Channel.WEBHOOK, Channel.STREAM, Channel.POLL)
    assert found.joins
    assert "traccar-positions" in found.payloads


def test_settings_come_from_the_struct_with_type_default_and_description() -> None:
    found = {each.name: each for each in entry(System.TRACCAR).settings}
    silence = found["silence_seconds"]
    assert (silence.value_type, silence.default) == ("number from 10 to 3,600", "120.0")
    assert silence.description == "Seconds without a frame after which the socket counts as dead"
    machines = {each.name: each for each in entry(System.EQUIPMENT).settings}["machines"]
    assert machines.value_type.startswith("list of table of id, name")


def test_every_setting_and_credential_is_described() -> None:
    bare = [
        f"{each.system.value}: {one.name}"
        for each in entries()
        for one in (*each.settings, *each.credentials)
        if len(one.description) < 5
    ]
    assert bare == []


def test_the_pages_say_what_the_connectors_say() -> None:
    assert catalogue_docs.renew(PAGES, write=False) == []


def test_the_made_part_replaces_itself_and_leaves_the_rest(tmp_path: Path) -> None:
    made = catalogue_docs.block(entry(System.TEAMCENTER))
    page = "# Teamcenter\n\nItems.\n\n## What it gives\n\nText.\n"
    once = catalogue_docs.with_block(page, made)
    assert once == f"# Teamcenter\n\nItems.\n\n{made}\n## What it gives\n\nText.\n"
    assert catalogue_docs.with_block(once, made) == once
    assert catalogue_docs.with_block(once.replace("teamcenter", "old"), made) == once


def test_settings_stand_in_the_made_part_of_a_page_only() -> None:
    """By hand they would say something else before long. The tables of a machine or a register are other things."""
    for each in entries():
        page = (PAGES / f"{each.system.value}.md").read_text(encoding="utf-8")
        by_hand = page.partition(catalogue_docs.END)[2]
        first = {line.split("|")[1].strip().strip("`") for line in by_hand.splitlines() if line.startswith("| ")}
        assert first & {"setting", *(setting.name for setting in each.settings)} == set(), each.system


def test_pages_call_decode_as_it_is_called() -> None:
    for path in PAGES.parent.rglob("*.md"):
        assert "decode --system" not in path.read_text(encoding="utf-8"), path
