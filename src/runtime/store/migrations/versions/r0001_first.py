"""Latest state, inbox, crosswalk, cursors."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    serial = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "latest_state",
        sa.Column("organisation", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("integration", sa.Text, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("occurred_at", sa.BigInteger, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("removed", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("organisation", "id", name="pk_latest_state"),
        postgresql_with={"fillfactor": 50},
    )
    op.create_index("ix_latest_state_organisation_kind", "latest_state", ["organisation", "kind"])
    op.create_table(
        "inbox",
        sa.Column("id", serial, autoincrement=True, nullable=False),
        sa.Column("organisation", sa.Text, nullable=False),
        sa.Column("integration", sa.Text, nullable=False),
        sa.Column("delivery_id", sa.Text, nullable=False),
        sa.Column("decoder", sa.Text, nullable=False),
        sa.Column("headers", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_attempt_at", sa.BigInteger, nullable=False),
        sa.Column("done_at", sa.BigInteger),
        sa.Column("error", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_inbox"),
        sa.UniqueConstraint(
            "organisation", "integration", "delivery_id", name="uq_inbox_organisation_integration_delivery_id"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_inbox_status_next_attempt_at", "inbox", ["status", "next_attempt_at"])
    op.create_table(
        "crosswalk",
        sa.Column("id", serial, autoincrement=True, nullable=False),
        sa.Column("organisation", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("integration", sa.Text, nullable=False),
        sa.Column("kind", sa.Text),
        sa.Column("external_id", sa.Text),
        sa.Column("number", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_crosswalk"),
    )
    op.create_index("ix_crosswalk_organisation_integration", "crosswalk", ["organisation", "integration"])
    op.create_table(
        "cursors",
        sa.Column("organisation", sa.Text, nullable=False),
        sa.Column("integration", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("organisation", "integration", "name", name="pk_cursors"),
    )


def downgrade() -> None:
    for table in ("cursors", "crosswalk", "inbox", "latest_state"):
        op.drop_table(table)
