"""Rows of the inbox are claimed by who works on them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_PENDING = sa.text("status = 'pending'")


def upgrade() -> None:
    op.add_column("inbox", sa.Column("claimed_by", sa.Text))
    op.add_column("inbox", sa.Column("claimed_until", sa.BigInteger))
    op.drop_index("ix_inbox_status_next_attempt_at", "inbox")
    op.create_index(
        "ix_inbox_pending",
        "inbox",
        ["organisation", "integration", "id"],
        sqlite_where=_PENDING,
        postgresql_where=_PENDING,
    )
    op.create_index("ix_inbox_status_done_at", "inbox", ["status", "done_at"])


def downgrade() -> None:
    op.drop_index("ix_inbox_status_done_at", "inbox")
    op.drop_index("ix_inbox_pending", "inbox")
    op.create_index("ix_inbox_status_next_attempt_at", "inbox", ["status", "next_attempt_at"])
    op.drop_column("inbox", "claimed_until")
    op.drop_column("inbox", "claimed_by")
