"""The database schema, and its version."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

# Raise it with every change, and add its revision to `migrations`.
VERSION = 4
BOUND_VERSION = 3  # the first in which secrets and tokens are bound to where they go

metadata = MetaData()


class Moment(TypeDecorator[datetime]):
    """A time in UTC, also where the database stores no time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:  # noqa: ARG002
        """Convert to UTC for the database."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:  # noqa: ARG002
        """Add or convert to UTC from the database."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


meta = Table(
    "meta",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)
is_version = meta.c.key == "version"  # of the layout, which an older msoauth looks for there

# Alembic's own table, as Alembic makes it.
alembic_version = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), primary_key=True),
)

firms = Table(
    "firms",
    metadata,
    Column("key", String(200), primary_key=True),  # the name without regard to case
    Column("name", String(200), nullable=False),
    Column("tenant", String(255), nullable=False),
    Column("client_id", String(64), nullable=False),
    Column(
        "cloud", Text, nullable=False
    ),  # the name of a Microsoft cloud, or the JSON of an endpoints file
    Column("redirect_uri", String(500), nullable=False),
    Column("secret_expires", String(10)),
    Column("access", String(20), nullable=False),
    Column("secret", LargeBinary),
    # What the secret and the approval were sealed for, as JSON, so that a change can be shown; NULL without either.
    Column("sealed_for", Text),
    Column("approval", LargeBinary),  # seals that hosts which are not Microsoft's were confirmed
)

accounts = Table(
    "accounts",
    metadata,
    Column("key", String(320), primary_key=True),  # the address without regard to case
    Column("address", String(320), nullable=False),
    Column(
        "firm", String(200), ForeignKey("firms.key", ondelete="CASCADE"), nullable=False, index=True
    ),
    Column("login", String(320)),
    Column("retrieve", String(10), nullable=False),
)

# One row an account: a refresh rewrites that account's tokens only, however many accounts there are.
tokens = Table(
    "tokens",
    metadata,
    Column(
        "account", String(320), ForeignKey("accounts.key", ondelete="CASCADE"), primary_key=True
    ),
    Column("sealed", LargeBinary, nullable=False),
    Column("signed_in_as", String(320), nullable=False),
    Column("signed_in_at", Moment, nullable=False),
    Column("refreshed_at", Moment, nullable=False),
    Column("sealed_for", Text),  # as in `firms`
    # Who signed in, whatever the user name is by now: NULL from before version 4, until the next renewal.
    Column("object_id", String(64)),
    Column("tenant_id", String(64)),
)

journal = Table(
    "journal",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Moment, nullable=False),
    Column("run", String(64), nullable=False, index=True),
    Column("firm", String(200), nullable=False),
    Column("account", String(320), nullable=False),
    Column("check", String(64), nullable=False),
    Column("signal", String(16), nullable=False),
    Column("cause", String(64)),
    Column("body", Text, nullable=False),
    Column("seconds", Float),  # NULL in findings from before version 2
    Index("journal_firm_at", "firm", "at"),
    Index("journal_account_at", "account", "at"),
)

settings = Table(
    "settings",
    metadata,
    Column("key", String(100), primary_key=True),
    Column("value", Text, nullable=False),
)

# The latest result of each check of each account (and, with an empty account, of each firm), so that a table of
# 10,000 accounts need not read years of findings.
latest_results = Table(
    "standings",
    metadata,
    Column("firm", String(200), primary_key=True),
    Column("account", String(320), primary_key=True),
    Column("check", String(64), primary_key=True),
    Column("finding", Integer, nullable=False),  # its id in the journal
    Column("at", Moment, nullable=False),
    Column("signal", String(16), nullable=False),
    Column("cause", String(64)),
    Column("verdict", String(16)),  # the last signal that was not skipped
    Column("since", Moment),  # since when the verdict has been the same
    Column("passed_at", Moment),
)

audits = Table(
    "audits",
    metadata,
    Column("run", String(64), primary_key=True),
    Column("scope", Text, nullable=False),
    Column("started", Moment, nullable=False, index=True),
    Column("finished", Moment),
    Column("summary", Text),  # counts and seconds, for charts over time
)

# The accounts of an audit: who checks each, and its result. The row with an empty account is the firm.
audit_accounts = Table(
    "audit_accounts",
    metadata,
    Column("run", String(64), ForeignKey("audits.run", ondelete="CASCADE"), primary_key=True),
    Column("firm", String(200), primary_key=True),
    Column("account", String(320), primary_key=True),
    Column("state", String(8), nullable=False),  # open, claimed or done
    Column("claimed_by", String(64)),
    Column("claimed_until", Moment),
    Column("signal", String(16)),
    Column("check", String(64)),  # of the first problem
    Column("cause", String(64)),
    Column("seconds", Float),
    Column("done_at", Moment),
    Index("audit_accounts_state", "run", "state"),
)
