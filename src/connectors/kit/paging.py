"""Walking through pages: an async generator whose state dies with it, guarded against loops."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

from connectors.kit.errors import BadPayload
from unified.queries import SourcePage
from unified.records import Record

R = TypeVar("R", bound=Record)
K = TypeVar("K")
MAX_PAGES = 10_000


async def pages(fetch: Callable[[str | None], Awaitable[SourcePage[R]]]) -> AsyncGenerator[SourcePage[R], None]:
    """All pages from the first on. A vendor that gives the same cursor twice is an error, not a loop."""
    seen: set[str] = set()
    cursor: str | None = None
    for _ in range(MAX_PAGES):
        page = await fetch(cursor)
        yield page
        cursor = page.next
        if cursor is None:
            return
        if cursor in seen:
            raise BadPayload("the vendor's paging goes in a circle: it gave the same page twice", path="$")
        seen.add(cursor)
    raise BadPayload(f"the vendor's list has more than {MAX_PAGES} pages", path="$")


def blocks(keys: Sequence[K], size: int) -> Iterator[Sequence[K]]:
    """The keys in blocks of at most `size`, in order. Raises `ValueError` for a size below 1, which would lose them."""
    if size < 1:
        raise ValueError(f"blocks of {size} keys cannot be made")
    for start in range(0, len(keys), size):
        yield keys[start : start + size]


class OffsetCursor:
    """Cursor of vendors that page by `offset` or `$skip`: the number of rows before the page, as text."""

    @staticmethod
    def read(cursor: str | None) -> int:
        """Raises `ValueError` when the text is no cursor of ours."""
        if cursor is None:
            return 0
        if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 12):
            raise ValueError("not a cursor of this list")
        return int(cursor)
