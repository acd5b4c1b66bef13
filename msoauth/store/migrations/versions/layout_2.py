"""Audits, their accounts, the latest result of each check, and how long each took."""

import sqlalchemy as sa
from alembic import op

from msoauth.store import latest_results

revision = "2"
down_revision = "1"

_PAGE_ROWS = 20_000  # of the journal, read at a time


def upgrade() -> None:
    """Add the tables and a column; the latest results are those of the journal."""
    op.add_column("journal", sa.Column("seconds", sa.Float))
    op.create_table(
        "standings",
        sa.Column("firm", sa.String(200), primary_key=True),
        sa.Column("account", sa.String(320), primary_key=True),
        sa.Column("check", sa.String(64), primary_key=True),
        sa.Column("finding", sa.Integer, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("signal", sa.String(16), nullable=False),
        sa.Column("cause", sa.String(64)),
        sa.Column("verdict", sa.String(16)),
        sa.Column("since", sa.DateTime(timezone=True)),
        sa.Column("passed_at", sa.DateTime(timezone=True)),
    )
    op.create_table(
        "audits",
        sa.Column("run", sa.String(64), primary_key=True),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("started", sa.DateTime(timezone=True), nullable=False, index=True),
        sa.Column("finished", sa.DateTime(timezone=True)),
        sa.Column("summary", sa.Text),
    )
    op.create_table(
        "audit_accounts",
        sa.Column(
            "run", sa.String(64), sa.ForeignKey("audits.run", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("firm", sa.String(200), primary_key=True),
        sa.Column("account", sa.String(320), primary_key=True),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("claimed_by", sa.String(64)),
        sa.Column("claimed_until", sa.DateTime(timezone=True)),
        sa.Column("signal", sa.String(16)),
        sa.Column("check", sa.String(64)),
        sa.Column("cause", sa.String(64)),
        sa.Column("seconds", sa.Float),
        sa.Column("done_at", sa.DateTime(timezone=True)),
        sa.Index("audit_accounts_state", "run", "state"),
    )
    # As today's findings are recorded: a later revision that adds a column to "standings" has to fill it itself.
    connection = op.get_bind()
    journal = sa.table("journal", *map(sa.column, ("id", "firm", "account", "check")))
    page = sa.select(journal).order_by(journal.c.id).limit(_PAGE_ROWS)
    last = 0
    while rows := connection.execute(page.where(journal.c.id > last)).mappings().all():
        latest_results.record(connection, [dict(row) for row in rows])
        last = rows[-1]["id"]
