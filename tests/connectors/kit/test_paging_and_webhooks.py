"""Paging that ends whatever the vendor says; webhooks that are believed only when the raw body is signed."""

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import pytest

from connectors.kit import paging, webhooks
from connectors.kit.errors import BadPayload, NotFound, SignatureInvalid
from connectors.kit.http import each_or_absent
from connectors.kit.integration import Secret
from connectors.kit.paging import OffsetCursor, blocks, pages
from connectors.kit.webhooks import verify_hex_sha256
from unified.queries import SourcePage
from unified.records import Vehicle

Page = SourcePage[Vehicle]


class List:
    """Pages by their cursors; `asked` tells which were asked for."""

    def __init__(self, following: dict[str | None, str | None]) -> None:
        self.following = following
        self.asked: list[str | None] = []

    async def __call__(self, cursor: str | None) -> Page:
        self.asked.append(cursor)
        return Page(records=[], next=self.following[cursor])


async def walk(given: Callable[[str | None], Awaitable[Page]]) -> int:
    async with aclosing(pages(given)) as found:
        return len([each async for each in found])


async def test_pages_follow_the_cursor_to_the_end() -> None:
    given = List({None: "a", "a": "b", "b": None})
    assert await walk(given) == 3
    assert given.asked == [None, "a", "b"]


@pytest.mark.parametrize(
    ("following", "calls"),
    [({None: "a", "a": "a"}, 2), ({None: "a", "a": "b", "b": "a"}, 3), ({None: "", "": ""}, 2)],
)
async def test_a_circle_is_an_error(following: dict[str | None, str | None], calls: int) -> None:
    given = List(following)
    with pytest.raises(BadPayload, match="the vendor's paging goes in a circle"):
        await walk(given)
    assert len(given.asked) == calls


async def test_a_list_without_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "MAX_PAGES", 5)
    asked = []

    async def endless(cursor: str | None) -> Page:
        asked.append(cursor)
        return Page(records=[], next=str(len(asked)))

    with pytest.raises(BadPayload, match="more than 5 pages"):
        await walk(endless)
    assert len(asked) == 5


async def test_no_page_is_asked_for_before_it_is_wanted() -> None:
    given = List({None: "a", "a": None})
    async with aclosing(pages(given)) as found:
        await anext(found)
        assert given.asked == [None]


def test_blocks_lose_nothing() -> None:
    assert [list(each) for each in blocks([1, 2, 3, 4, 5], 2)] == [[1, 2], [3, 4], [5]]
    assert list(blocks([], 2)) == []
    for size in (0, -1):
        with pytest.raises(ValueError, match="cannot be made"):
            list(blocks([1], size))


def test_offsets() -> None:
    assert OffsetCursor.read(None) == 0
    assert OffsetCursor.read("0120") == 120
    for text in ("", "-1", "1.5", "x", "٣", "1" * 13, " 1"):
        with pytest.raises(ValueError, match="not a cursor of this list"):
            OffsetCursor.read(text)


async def test_single_reads_side_by_side() -> None:
    async def read(number: int) -> int:
        if number == 2:
            raise NotFound("gone")
        if number == 4:
            raise BadPayload("odd")
        return number

    assert await each_or_absent([read(1), read(2), read(3)]) == [1, None, 3]
    with pytest.raises(BadPayload, match="odd"):
        await each_or_absent([read(2), read(4), read(1)])
    assert await each_or_absent([]) == []


# --- webhooks

BODY = b'{"event": "a",  "n": 1.0}'
KEYS = [Secret("old"), Secret("new")]


def signed(body: bytes = BODY, key: str = "new") -> str:
    return hmac.new(key.encode(), body, hashlib.sha256).hexdigest()


@pytest.mark.parametrize("given", [signed(), signed(key="old"), signed().upper(), f" {signed()} "])
def test_a_signature_under_any_of_the_keys_holds(given: str) -> None:
    verify_hex_sha256(BODY, given, KEYS)


def test_a_prefix_belongs_to_it() -> None:
    verify_hex_sha256(BODY, f"sha256={signed()}", KEYS, prefix="sha256=")
    with pytest.raises(SignatureInvalid, match="carries no signature"):
        verify_hex_sha256(BODY, signed(), KEYS, prefix="sha256=")


@pytest.mark.parametrize(
    "given",
    [
        signed(b'{"event": "a", "n": 1.0}'),
        signed(b'{"event":"a","n":1}'),
        signed(key="other"),
        signed()[:-1],
        signed() + "0",
        "0" * 64,
        "ü" * 64,
        "\udce9" * 64,
        "\0",
    ],
)
def test_another_body_or_key_or_text_does_not_hold(given: str) -> None:
    """The bytes count as they came: the same JSON written otherwise is another body."""
    with pytest.raises(SignatureInvalid, match="the webhook's signature does not hold; nothing of it was believed"):
        verify_hex_sha256(BODY, given, KEYS)


@pytest.mark.parametrize("given", [None, ""])
def test_no_signature_is_none(given: str | None) -> None:
    with pytest.raises(SignatureInvalid, match="carries no signature"):
        verify_hex_sha256(BODY, given, KEYS)


@pytest.mark.parametrize("keys", [[], [Secret("")], [Secret(""), Secret("")]])
def test_an_empty_key_accepts_nobody(keys: list[Secret]) -> None:
    with pytest.raises(SignatureInvalid, match="does not hold"):
        verify_hex_sha256(BODY, signed(key=""), keys)


def test_signatures_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every key is tried, whole digests are compared, and by the function that does not stop at the first
    difference."""
    compared: list[tuple[bytes, bytes]] = []

    def compare(first: bytes, second: bytes) -> bool:
        compared.append((first, second))
        return hmac.compare_digest(first, second)

    class Hmac:
        new = staticmethod(hmac.new)
        compare_digest = staticmethod(compare)

    monkeypatch.setattr(webhooks, "hmac", Hmac)
    verify_hex_sha256(BODY, signed(key="old"), KEYS)
    assert compared == [
        (signed(key="old").encode(), signed(key="old").encode()),
        (signed(key="new").encode(), signed(key="old").encode()),
    ]
