"""The first layout: firms, accounts, tokens, the journal and settings."""

import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None


def upgrade() -> None:
    """Make the tables; those of a new workspace are made from the schema of today instead."""
    for name, length in (("meta", 64), ("settings", 100)):
        op.create_table(
            name,
            sa.Column("key", sa.String(length), primary_key=True),
            sa.Column("value", sa.Text, nullable=False),
        )
    op.create_table(
        "firms",
        sa.Column("key", sa.String(200), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("tenant", sa.String(255), nullable=False),
        sa.Column("client_id", sa.String(64), nullable=False),
        sa.Column("cloud", sa.Text, nullable=False),
        sa.Column("redirect_uri", sa.String(500), nullable=False),
        sa.Column("secret_expires", sa.String(10)),
        sa.Column("access", sa.String(20), nullable=False),
        sa.Column("secret", sa.LargeBinary),
    )
    op.create_table(
        "accounts",
        sa.Column("key", sa.String(320), primary_key=True),
        sa.Column("address", sa.String(320), nullable=False),
        sa.Column(
            "firm",
            sa.String(200),
            sa.ForeignKey("firms.key", ondelete="CASCADE"),
            nullable=False,
            index=True,
        ),
        sa.Column("login", sa.String(320)),
        sa.Column("retrieve", sa.String(10), nullable=False),
    )
    op.create_table(
        "tokens",
        sa.Column(
            "account",
            sa.String(320),
            sa.ForeignKey("accounts.key", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("signed_in_as", sa.String(320), nullable=False),
        sa.Column("signed_in_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("refreshed_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "journal",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("run", sa.String(64), nullable=False, index=True),
        sa.Column("firm", sa.String(200), nullable=False),
        sa.Column("account", sa.String(320), nullable=False),
        sa.Column("check", sa.String(64), nullable=False),
        sa.Column("signal", sa.String(16), nullable=False),
        sa.Column("cause", sa.String(64)),
        sa.Column("body", sa.Text, nullable=False),
        sa.Index("journal_firm_at", "firm", "at"),
        sa.Index("journal_account_at", "account", "at"),
    )
