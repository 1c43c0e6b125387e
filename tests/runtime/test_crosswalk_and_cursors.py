"""What is kept of the crosswalk and of the vendors' cursors."""

import pytest

from runtime.store import CrosswalkRow, CrosswalkStore, CursorStore, Database
from unified.keys import Subject
from unified.records import Kind


def row(integration: str, number: str, *, external_id: str | None = "1") -> CrosswalkRow:
    return CrosswalkRow(
        subject=Subject.ITEM, integration=integration, kind=Kind.ITEM if external_id else None,
        external_id=external_id, number=number, key=number.strip("0-"),
    )  # fmt: skip


async def test_an_integrations_rows_replace_what_it_knew_and_nobody_elses(database: Database) -> None:
    store = CrosswalkStore(database)
    await store.replace("acme", "plm", [row("plm", "00-2"), row("plm", "00-1", external_id=None)])
    await store.replace("acme", "ewm", [row("ewm", "7")])
    await store.replace("zeta", "plm", [row("plm", "9")])
    assert await store.all("acme") == [
        row("plm", "00-2"), row("plm", "00-1", external_id=None), row("ewm", "7"),
    ]  # fmt: skip
    await store.replace("acme", "plm", [row("plm", "3")])
    assert await store.all("acme") == [row("ewm", "7"), row("plm", "3")]
    await store.replace("acme", "plm", [])
    assert await store.all("acme") == [row("ewm", "7")]
    assert await store.all("zeta") == [row("plm", "9")]


async def test_rows_of_another_integration_are_refused_and_change_nothing(database: Database) -> None:
    store = CrosswalkStore(database)
    await store.replace("acme", "plm", [row("plm", "1")])
    with pytest.raises(ValueError, match=r"^rows of ewm among those of plm$"):
        await store.replace("acme", "plm", [row("plm", "2"), row("ewm", "3")])
    assert await store.all("acme") == [row("plm", "1")]


async def test_a_cursor_is_the_last_text_that_was_put(database: Database) -> None:
    store = CursorStore(database)
    assert await store.get("acme", "plm", "changes") is None
    await store.put("acme", "plm", "changes", "a")
    await store.put("acme", "plm", "changes", "b")
    await store.put("acme", "plm", "items", "c")
    await store.put("zeta", "plm", "changes", "d")
    assert await store.get("acme", "plm", "changes") == "b"
    await store.put("acme", "plm", "changes", None)
    assert await store.get("acme", "plm", "changes") is None
    assert await store.get("acme", "plm", "items") == "c"
    assert await store.get("zeta", "plm", "changes") == "d"
