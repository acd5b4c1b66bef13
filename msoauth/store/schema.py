"""The tables, and the version of their layout."""

from sqlalchemy import (
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

# Raise it with every change that an older msoauth would misread, and teach `workspace._migrate` the step.
VERSION = 1

metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

firms = Table(
    "firms",
    metadata,
    Column("key", String(200), primary_key=True),  # the name without regard to case
    Column("name", String(200), nullable=False),
    Column("tenant", String(255), nullable=False),
    Column("client_id", String(64), nullable=False),
    Column("cloud", Text, nullable=False),  # a known cloud's name, or the JSON of an endpoints file
    Column("redirect_uri", String(500), nullable=False),
    Column("secret_expires", String(10)),
    Column("access", String(20), nullable=False),
    Column("secret", LargeBinary),
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
    Column("signed_in_at", DateTime(timezone=True), nullable=False),
    Column("refreshed_at", DateTime(timezone=True), nullable=False),
)

journal = Table(
    "journal",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("run", String(64), nullable=False, index=True),
    Column("firm", String(200), nullable=False),
    Column("account", String(320), nullable=False),
    Column("check", String(64), nullable=False),
    Column("signal", String(16), nullable=False),
    Column("cause", String(64)),
    Column("body", Text, nullable=False),
    Index("journal_firm_at", "firm", "at"),
    Index("journal_account_at", "account", "at"),
)

settings = Table(
    "settings",
    metadata,
    Column("key", String(100), primary_key=True),
    Column("value", Text, nullable=False),
)
