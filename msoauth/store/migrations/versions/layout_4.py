"""Who signed in, by object id and tenant; and addresses whose domain is written in one spelling only.

An address that was stored in another spelling than the one by which addresses are compared gets that one. Its tokens are
sealed for the old spelling, so that nobody could open them any more: they go, and its user signs in once more.
"""

import sqlalchemy as sa
from alembic import op

from msoauth import addresses

revision = "4"
down_revision = "3"


def upgrade() -> None:
    """Add the columns that are not there yet, and rewrite the keys of such addresses."""
    connection = op.get_bind()
    there = {column["name"] for column in sa.inspect(connection).get_columns("tokens")}
    for name in ("object_id", "tenant_id"):
        if name not in there:
            op.add_column("tokens", sa.Column(name, sa.String(64)))
    accounts = sa.table("accounts", sa.column("key", sa.String))
    keys = {str(key) for (key,) in connection.execute(sa.select(accounts.c.key))}
    for old in sorted(keys):
        new = addresses.key(old)
        if new == old or new in keys:
            continue
        tokens = sa.table("tokens", sa.column("account", sa.String))
        connection.execute(tokens.delete().where(tokens.c.account == old))
        connection.execute(accounts.update().where(accounts.c.key == old).values(key=new))
        for name in ("journal", "standings", "audit_accounts"):
            table = sa.table(name, sa.column("account", sa.String))
            connection.execute(table.update().where(table.c.account == old).values(account=new))
