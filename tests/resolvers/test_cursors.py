"""Cursors: small, signed, tied to their list; and what they remember of rows that move."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resolvers import cursors
from resolvers.cursors import MOVING, RECENT, Place, mark, read, write
from resolvers.errors import BadCursor

KEY, OF = b"k" * 32, cursors.digest("Item", {"search": "x"})
PLACES = st.dictionaries(
    st.text(min_size=1, max_size=20),
    st.builds(
        Place,
        page=st.none() | st.text(max_size=40),
        offset=st.integers(0, 10_000),
        last=st.none() | st.text(max_size=40),
        done=st.booleans(),
        moving=st.binary(max_size=40),
        recent=st.binary(max_size=40),
    ),
    max_size=4,
)


@given(PLACES)
def test_what_is_written_is_read(places: dict[str, Place]) -> None:
    assert read(KEY, OF, write(KEY, OF, places)) == places


@given(st.text(max_size=100) | st.binary(max_size=100).map(lambda raw: raw.hex()))
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(BadCursor):
        read(KEY, OF, text)


def test_another_key_or_list_is_refused() -> None:
    cursor = write(KEY, OF, {"a": Place(offset=3)})
    with pytest.raises(BadCursor, match="is not a cursor of this list"):
        read(b"x" * 32, OF, cursor)
    with pytest.raises(BadCursor, match="belongs to another list"):
        read(KEY, cursors.digest("Item", {"search": "y"}), cursor)


def test_a_cursor_that_would_be_too_long_says_what_to_do() -> None:
    with pytest.raises(BadCursor, match="ask fewer integrations at once"):
        write(KEY, OF, {f"integration-{n}": Place(page="x" * 400) for n in range(10)})


def test_a_place_remembers_what_may_move_and_the_last_rows_and_no_more() -> None:
    place = Place()
    for start in range(0, 600, 60):
        given_ = [str(number) for number in range(start, start + 60)]
        place = place.after(given_[::2], given_)
    marks = place.marks()
    assert len(place.moving) == MOVING * 4
    assert len(place.recent) == RECENT * 4
    assert {mark(str(number)) for number in range(550, 600)} <= marks, "the last ones"
    assert {mark(str(number)) for number in range(202, 600, 2)} <= marks, "the last that may move"
    assert mark("0") not in marks
    assert len(write(KEY, OF, {"uber": place})) < cursors.LIMIT
