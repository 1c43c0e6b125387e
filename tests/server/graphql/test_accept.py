"""Content negotiation: which media type a client gets for which `Accept`."""

import pytest

from server.graphql import accept
from server.graphql.accept import GRAPHQL, JSON, MULTIPART, SSE

URQL = (
    "application/graphql-response+json, application/graphql+json, application/json, text/event-stream, multipart/mixed"
)
APOLLO = (
    'multipart/mixed;boundary="graphql";subscriptionSpec="1.0",application/graphql-response+json,application/json;q=0.9'
)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("application/json", JSON),
        ("APPLICATION/JSON", JSON),
        ("application/json; charset=utf-8", JSON),
        ("application/graphql-response+json", GRAPHQL),
        ("application/graphql-response+json, application/json", GRAPHQL),
        ("application/json, application/graphql-response+json", JSON),
        ("application/graphql-response+json;q=0.5, application/json;q=0.9", JSON),
        ("application/graphql-response+json, application/json;q=0.9", GRAPHQL),
        ("text/html,application/xhtml+xml,*/*;q=0.8", JSON),
        (URQL, GRAPHQL),
        ("text/event-stream, application/json", JSON),
        ("text/event-stream, application/json;q=0.9", SSE),
        ("text/event-stream", SSE),
        ("text/event-stream;q=0.9, application/json", JSON),
        ("multipart/mixed, application/json;q=0.5", MULTIPART),
        ("*/*;q=0.1, application/json;q=0", GRAPHQL),
        ("text/html", None),
        ("application/json;q=0", None),
        ("application/json;q=abc", None),
        ("nonsense", None),
        ('application/json;x="a,b"', JSON),
    ],
)
def test_one_answer_has_the_type_that_ranks_highest(header: str | None, expected: str | None) -> None:
    assert accept.single(header) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("application/json", None),
        ("text/event-stream", SSE),
        ("*/*", SSE),
        (URQL, SSE),
        (APOLLO, MULTIPART),
        ("multipart/mixed;q=0.5, text/event-stream;q=0.4", MULTIPART),
        ("multipart/mixed, text/event-stream", MULTIPART),
        ("text/event-stream;q=0", None),
        ("multipart/*", MULTIPART),
    ],
)
def test_a_stream_has_the_streaming_type_that_ranks_highest(header: str | None, expected: str | None) -> None:
    assert accept.stream(header) == expected


def test_an_accept_of_absurd_length_is_read_in_part_only() -> None:
    assert accept.single("text/html," * 100_000 + "application/json") is None
