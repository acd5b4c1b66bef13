"""Accounts: the mailboxes of the firms."""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from msoauth.addresses import key
from msoauth.display import Listing
from msoauth.errors import InputError, NotFoundError
from msoauth.model import Account
from msoauth.redact import redact
from msoauth.store import destinations, schema
from msoauth.store.database import Database
from msoauth.store.destinations import firm_key
from msoauth.store.firms import firm_from_row, name_of
from msoauth.store.vault import Vault
from msoauth.texts import _, ngettext

_t = schema.accounts


class Accounts(Listing[Account]):
    """The accounts of a workspace, by address. Addresses are compared without regard to case.

    >>> ws.accounts["Anna.Lindqvist@contoso.example"].firm
    'Contoso Legal'
    >>> "nobody@contoso.example" in ws.accounts
    False
    """

    headers = ("address", "firm", "login", "retrieve")

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def __iter__(self) -> Iterator[Account]:
        return iter(self.list())

    def __len__(self) -> int:
        return int(self._database.scalar(sa.select(sa.func.count()).select_from(_t)))

    def __getitem__(self, address: str) -> Account:
        """The account of that address; raises NotFoundError as :meth:`get` does."""
        return self.get(address)

    def __contains__(self, address: object) -> bool:
        return isinstance(address, str) and bool(
            self._database.rows(sa.select(_t.c.key).where(_t.c.key == key(address)))
        )

    def _caption(self) -> str:
        count = len(self)
        return ngettext("{count} account", "{count} accounts", count).format(count=f"{count:,}")

    def _cells(self, account: Account) -> tuple[object, ...]:
        return (account.address, account.firm, account.login or "", account.protocol)

    def add(self, account: Account) -> None:
        """Add an account.

        Raises:
            InputError: the address is taken, or its firm is not in the workspace.
        """
        try:
            with self._database.write() as connection:
                same_firm = schema.firms.c.key == firm_key(account.firm)
                if connection.scalar(sa.select(schema.firms.c.key).where(same_firm)) is None:
                    raise InputError(
                        _("There is no firm “{name}” in this workspace.").format(name=account.firm),
                        field="firm",
                    )
                connection.execute(_t.insert().values(_row(account)))
        except sa.exc.IntegrityError:
            text = _("There is an account {address} already.")
            firm = next((a.firm for a in self if key(a.address) == key(account.address)), "")
            if firm and firm_key(firm) != firm_key(account.firm):
                text = _("There is an account {address} already, of the firm “{firm}”.")
            raise InputError(
                text.format(address=account.address, firm=firm), field="address"
            ) from None

    def get(self, address: str) -> Account:
        """The account of that address.

        Raises:
            NotFoundError: there is none.
        """
        rows = self._database.rows(_select().where(_t.c.key == key(address)))
        if not rows:
            raise not_found(address)
        return _account(rows[0])

    def list(self, firm: str | None = None) -> list[Account]:
        """All accounts, or those of one firm, by address."""
        query = _select().order_by(_t.c.key)
        if firm is not None:
            query = query.where(_t.c.firm == firm_key(firm))
        return [_account(row) for row in self._database.rows(query)]

    def replace(self, account: Account) -> None:
        """Store changed values of an account; its tokens stay, for its new user and firm.

        Raises:
            NotFoundError: there is no such account.
            VaultError: the key that seals its tokens is missing or wrong; nothing was changed.
        """
        with self._database.write() as connection:
            self._vault.hold(connection)
            row = connection.execute(_select().where(_t.c.key == key(account.address))).first()
            if row is None:
                raise not_found(account.address)
            connection.execute(_t.update().where(_t.c.key == row.key).values(_row(account)))
            keys = (row.firm, firm_key(account.firm))
            query = sa.select(schema.firms).where(schema.firms.c.key.in_(keys))
            firms = {found.key: firm_from_row(found) for found in connection.execute(query).all()}
            old, new = (firms[name] for name in keys)
            changed = (row.key, _account(row), account)
            destinations.follow(connection, self._vault, old, new, changed)

    def remove(self, address: str) -> None:
        """Delete an account and its tokens; its findings stay in the journal.

        Raises:
            NotFoundError: there is no such account.
        """
        if not self._database.change(_t.delete().where(_t.c.key == key(address))):
            raise not_found(address)


def not_found(address: str) -> NotFoundError:
    """The error for an address without an account."""
    return NotFoundError(
        _("There is no account {address} in this workspace.").format(
            address=redact(address.strip(), 200) or "“”"
        ),
        field="address",
    )


def _select() -> sa.Select[Any]:
    return sa.select(_t, schema.firms.c.name.label("firm_name")).join(
        schema.firms, _t.c.firm == schema.firms.c.key
    )


def _row(account: Account) -> dict[str, Any]:
    return {
        "key": key(account.address),
        "address": account.address.strip(),
        "firm": firm_key(account.firm),
        "login": account.login,
        "retrieve": account.protocol,
    }


def _account(row: sa.Row[Any]) -> Account:
    # As for firms, a name that belongs to another row is not believed.
    address = row.address if key(row.address) == row.key else row.key
    return Account(address, name_of(row.firm, row.firm_name), row.login, row.retrieve)
