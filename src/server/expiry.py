"""Credentials that end while a stream is open end the stream: one timer per stream, by a clock that is handed in."""

from datetime import datetime

from graphql import GraphQLError

from runtime.clock import Clock

_LONGEST_SLEEP = 3_600.0
"""Seconds; the time of day may be set while we sleep, so it is looked at again."""


def expired_error() -> GraphQLError:
    """What the caller is told."""
    return GraphQLError(
        "your credentials have expired; connect again with fresh ones", extensions={"code": "UNAUTHENTICATED"}
    )


async def wait_until(moment: datetime, clock: Clock) -> None:
    """Returns when the clock's time of day is past the moment."""
    while (left := (moment - clock.now()).total_seconds()) > 0:
        await clock.sleep(min(left, _LONGEST_SLEEP))
