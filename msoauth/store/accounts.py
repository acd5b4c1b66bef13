"""Accounts: the mailboxes of the firms."""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from msoauth.display import Listing
from msoauth.errors import InputError, NotFoundError
from msoauth.model import Account
from msoauth.store import schema
from msoauth.store.database import Database
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

    def __init__(self, database: Database) -> None:
        self._database = database

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
                firm_key = connection.scalar(
                    sa.select(schema.firms.c.key).where(
                        schema.firms.c.key == account.firm.strip().casefold()
                    )
                )
                if firm_key is None:
                    raise InputError(
                        _("There is no firm “{name}” in this workspace.").format(name=account.firm),
                        field="firm",
                    )
                connection.execute(_t.insert().values(_row(account)))
        except sa.exc.IntegrityError:
            raise InputError(
                _("There is an account {address} already.").format(address=account.address),
                field="address",
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
            query = query.where(_t.c.firm == firm.strip().casefold())
        return [_account(row) for row in self._database.rows(query)]

    def replace(self, account: Account) -> None:
        """Store changed values of an account; its tokens stay.

        Raises:
            NotFoundError: there is no such account.
        """
        same_address = _t.c.key == key(account.address)
        if not self._database.change(_t.update().where(same_address).values(_row(account))):
            raise not_found(account.address)

    def remove(self, address: str) -> None:
        """Delete an account and its tokens; its findings stay in the journal.

        Raises:
            NotFoundError: there is no such account.
        """
        if not self._database.change(_t.delete().where(_t.c.key == key(address))):
            raise not_found(address)


def key(address: str) -> str:
    """An address in the form in which addresses are compared: trimmed, in lower case."""
    return address.strip().casefold()


def not_found(address: str) -> NotFoundError:
    """The error for an address without an account."""
    return NotFoundError(
        _("There is no account {address} in this workspace.").format(
            address=address.strip()[:200] or "“”"
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
        "firm": account.firm.strip().casefold(),
        "login": account.login,
        "retrieve": account.protocol,
    }


def _account(row: sa.Row[Any]) -> Account:
    return Account(row.address, row.firm_name, row.login, row.retrieve)
