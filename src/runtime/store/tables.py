"""The tables. The migrations are the truth; a test compares the two.

Times are integer microseconds UTC: text costs SQLite a third of its speed, and both databases compare integers
alike.
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970 UTC, exact. Raises `TypeError` for a naive time."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The aware UTC time."""
    return _EPOCH + micros * _MICROSECOND


class Micros(TypeDecorator[datetime]):
    """An aware time, kept as integer microseconds UTC."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        return None if value is None else to_micros(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else from_micros(value)


metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

# SQLite counts up by itself only for a column that is spelled INTEGER
_Serial = BigInteger().with_variant(Integer, "sqlite")

latest_state = Table(
    "latest_state",
    metadata,
    Column("organisation", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("integration", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("occurred_at", Micros, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("received_at", Micros, nullable=False),
    Column("removed", Boolean(create_constraint=False), nullable=False),
    Index(None, "organisation", "kind"),
    # an update finds room in its own page and touches no index
    postgresql_with={"fillfactor": 50},
)

inbox = Table(
    "inbox",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("organisation", Text, nullable=False),
    Column("integration", Text, nullable=False),
    Column("delivery_id", Text, nullable=False),
    Column("decoder", Text, nullable=False),
    Column("headers", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("status", Text, nullable=False),
    Column("received_at", Micros, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", Micros, nullable=False),
    Column("done_at", Micros),
    Column("error", Text),
    # who works on it, and until when that is believed without a sign of life
    Column("claimed_by", Text),
    Column("claimed_until", Micros),
    UniqueConstraint("organisation", "integration", "delivery_id"),
    # what waits is few among what was done: claims look at it only, in the order of arrival
    Index(
        "ix_inbox_pending",
        "organisation",
        "integration",
        "id",
        sqlite_where=text("status = 'pending'"),
        postgresql_where=text("status = 'pending'"),
    ),
    Index(None, "status", "done_at"),
    # ids are never given twice, also after a purge: new rows are found as those above the highest id
    sqlite_autoincrement=True,
)

crosswalk = Table(
    "crosswalk",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("organisation", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("integration", Text, nullable=False),
    Column("kind", Text),
    Column("external_id", Text),
    Column("number", Text, nullable=False),
    Column("key", Text, nullable=False),
    Index(None, "organisation", "integration"),
)

cursors = Table(
    "cursors",
    metadata,
    Column("organisation", Text, primary_key=True),
    Column("integration", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
