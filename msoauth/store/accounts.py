"""Accounts: the mailboxes of the firms."""

from typing import Any, Literal, cast

import sqlalchemy as sa

from msoauth.errors import InputError
from msoauth.model import Account
from msoauth.store import schema
from msoauth.store.database import Database
from msoauth.texts import _

_t = schema.accounts


class Accounts:
    """The accounts of a workspace. Addresses are compared without regard to case."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, account: Account) -> None:
        """Add an account.

        Raises:
            InputError: the address is taken, or its firm is unknown.
        """
        try:
            with self._database.write() as connection:
                known = connection.scalar(
                    sa.select(schema.firms.c.key).where(
                        schema.firms.c.key == account.firm.strip().casefold()
                    )
                )
                if known is None:
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
            InputError: there is none.
        """
        with self._database.read() as connection:
            row = connection.execute(_select().where(_t.c.key == key(address))).mappings().first()
        if row is None:
            raise unknown(address)
        return _account(cast("dict[str, Any]", row))

    def list(self, firm: str | None = None) -> list[Account]:
        """All accounts, or those of one firm, by address."""
        query = _select().order_by(_t.c.key)
        if firm is not None:
            query = query.where(_t.c.firm == firm.strip().casefold())
        with self._database.read() as connection:
            return [
                _account(cast("dict[str, Any]", row))
                for row in connection.execute(query).mappings()
            ]

    def replace(self, account: Account) -> None:
        """Store changed values of an account; its tokens stay.

        Raises:
            InputError: there is no such account.
        """
        with self._database.write() as connection:
            if (
                connection.execute(
                    _t.update().where(_t.c.key == key(account.address)).values(_row(account))
                ).rowcount
                == 0
            ):
                raise unknown(account.address)

    def remove(self, address: str) -> None:
        """Forget an account and its tokens; its findings stay.

        Raises:
            InputError: there is no such account.
        """
        with self._database.write() as connection:
            if connection.execute(_t.delete().where(_t.c.key == key(address))).rowcount == 0:
                raise unknown(address)


def key(address: str) -> str:
    """The form in which addresses are compared."""
    return address.strip().casefold()


def unknown(address: str) -> InputError:
    """The complaint that there is no such account."""
    return InputError(
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
        "retrieve": account.retrieve,
    }


def _account(row: dict[str, Any]) -> Account:
    return Account(
        row["address"],
        row["firm_name"],
        row["login"],
        cast("Literal['pop3', 'imap']", row["retrieve"]),
    )
