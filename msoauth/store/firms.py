"""Firms (each a law firm: its tenant and app registration), and their encrypted client secrets."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from msoauth import clouds
from msoauth.addresses import key as key_of
from msoauth.display import Listing
from msoauth.errors import InputError, NotFoundError
from msoauth.model import Account, Firm
from msoauth.redact import redact
from msoauth.store import destinations, schema
from msoauth.store.database import Database
from msoauth.store.destinations import SealedValue, Unconfirmed
from msoauth.store.destinations import firm_key as _key
from msoauth.store.vault import Secret, Vault
from msoauth.texts import _, ngettext

if TYPE_CHECKING:
    import pandas as pd

_t = schema.firms

# Built once: an audit runs them for each of 10,000 accounts.
_firm_key = sa.bindparam("firm_key", type_=sa.String)
_select_firm = sa.select(_t).where(_t.c.key == _firm_key)
_select_sealed = sa.select(_t.c.secret, _t.c.approval, _t.c.sealed_for).where(_t.c.key == _firm_key)


class Firms(Listing[Firm]):
    """The firms of a workspace, by name. Names are compared without regard to case.

    >>> len(ws.firms), [firm.name for firm in ws.firms]
    (1, ['Contoso Legal'])
    >>> ws.firms["contoso legal"].tenant == ws.firms["Contoso Legal"].tenant
    True
    >>> "Fabrikam" in ws.firms
    False
    """

    headers = ("name", "cloud", "tenant", "client_id", "access", "secret_expires")

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def __iter__(self) -> Iterator[Firm]:
        return iter(self.list())

    def __len__(self) -> int:
        return int(self._database.scalar(sa.select(sa.func.count()).select_from(_t)))

    def __getitem__(self, name: str) -> Firm:
        """The firm of that name; raises NotFoundError as :meth:`get` does."""
        return self.get(name)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(
            self._database.rows(sa.select(_t.c.key).where(_t.c.key == _key(name)))
        )

    def frame(self) -> "pd.DataFrame":
        """All firms as a DataFrame, a row each; never a secret."""
        import pandas as pd

        frame = super().frame()
        frame["secret_expires"] = pd.to_datetime(frame["secret_expires"])
        return frame

    def _caption(self) -> str:
        return ngettext("{count} firm", "{count} firms", len(self)).format(count=f"{len(self):,}")

    def _cells(self, firm: Firm) -> tuple[object, ...]:
        expires = firm.secret_expires or ""
        return (firm.name, firm.cloud.label, firm.tenant, firm.client_id, firm.access, expires)

    def add(self, firm: Firm, secret: str | Secret | None = None) -> None:
        """Add a firm, with its client secret if it has one.

        Raises:
            InputError: the name is empty or taken.
            VaultError: the secret cannot be encrypted; then nothing is added.
        """
        firm = replace(firm, name=firm.name.strip())
        if not firm.name:
            raise InputError(_("The firm needs a name."), field="name")
        if len(firm.name) > 200 or not firm.name.isprintable():
            raise InputError(
                _("The firm's name must be one line of at most 200 characters."), field="name"
            )
        if secret is not None:
            self._vault.data_key()
        try:
            with self._database.write() as connection:
                row = {**_row(firm), **self._sealed(connection, firm, secret)}
                connection.execute(_t.insert().values(row))
        except sa.exc.IntegrityError:
            raise InputError(
                _("There is a firm “{name}” already.").format(name=firm.name), field="name"
            ) from None

    def get(self, name: str) -> Firm:
        """The firm of that name.

        Raises:
            NotFoundError: there is none.
        """
        rows = self._database.rows(_select_firm, {"firm_key": _key(name)})
        if not rows:
            raise _not_found(name)
        return firm_from_row(rows[0])

    def list(self) -> list[Firm]:
        """All firms, by name."""
        return [firm_from_row(row) for row in self._database.rows(sa.select(_t).order_by(_t.c.key))]

    def replace(self, firm: Firm) -> None:
        """Store changed values of a firm; its accounts stay, and so do its secret and tokens.

        These go to the new destination from now on, unless it has hosts that are not Microsoft's: such a change is to be
        confirmed (:meth:`unconfirmed`) before they are used again.

        Raises:
            NotFoundError: there is no such firm.
            VaultError: the key is missing or wrong, and the change concerns where the secret goes; nothing was changed.
        """
        with self._database.write() as connection:
            self._vault.hold(connection)
            row = connection.execute(_select_firm, {"firm_key": _key(firm.name)}).first()
            if row is None:
                raise _not_found(firm.name)
            connection.execute(_t.update().where(_t.c.key == row.key).values(_row(firm)))
            destinations.follow(connection, self._vault, firm_from_row(row), firm)

    def remove(self, name: str) -> None:
        """Delete a firm with its accounts, secret and tokens; its findings stay in the journal.

        Raises:
            NotFoundError: there is no such firm.
        """
        if not self._database.change(_t.delete().where(_t.c.key == _key(name))):
            raise _not_found(name)

    def has_secret(self, name: str) -> bool:
        """Whether a client secret is stored; works without the vault's key."""
        rows = self._database.rows(_select_sealed, {"firm_key": _key(name)})
        return bool(rows) and rows[0].secret is not None

    def secret(self, firm: Firm | str) -> Secret | None:
        """The client secret, to be sent to *firm*'s sign-in service and nowhere else; None for a public client.

        Args:
            firm: The firm as it is about to be used; a name for the firm as it is stored now.

        Raises:
            NotFoundError: there is no such firm.
            DestinationError: where the secret goes was changed, or has hosts that are not Microsoft's and that nobody has
                confirmed; see :meth:`unconfirmed`.
            VaultError: the key is missing or wrong.
        """
        firm = self.get(firm) if isinstance(firm, str) else firm
        secret, approval = self._sealed_values(firm)
        value = None if secret is None else Secret(secret.open(self._vault, firm))
        if destinations.needs_confirmation(firm.cloud):
            if approval is None:
                raise destinations.not_approved(firm).error()
            approval.open(self._vault, firm)
        return value

    def _sealed_values(self, firm: Firm) -> Sequence[SealedValue | None]:
        """The sealed secret and the sealed approval of a firm."""
        key = _key(firm.name)
        rows = self._database.rows(_select_sealed, {"firm_key": key})
        if not rows:
            raise _not_found(firm.name)
        [(*sealed, sealed_for)] = rows
        if sealed_for is None and any(sealed) and self.bind_old_values():
            return self._sealed_values(firm)
        return [
            None if value is None else SealedValue(column, key, key, value, sealed_for)
            for column, value in zip((_t.c.secret, _t.c.approval), sealed, strict=True)
        ]

    def set_secret(
        self, name: str, value: str | Secret | None, *, expires: date | None = None
    ) -> None:
        """Replace the client secret and its end date together.

        Args:
            value: None deletes the secret: the firm's app is a public client then.
            expires: None where the date is not known.

        Raises:
            NotFoundError: there is no such firm.
            DestinationError: where the old secret goes was changed, and so would the new one; the old one stays.
            VaultError: the key is missing or wrong; then the old secret stays.
        """
        firm = self.get(name)
        if value is not None:
            self.secret(firm)
            self._vault.data_key()
        with self._database.write() as connection:
            values = self._sealed(connection, firm, value)
            values["secret_expires"] = expires.isoformat() if expires else None
            statement = _t.update().where(_t.c.key == _key(name)).values(values)
            if not connection.execute(statement).rowcount:
                raise _not_found(name)

    def require_confirmed(self, firm: Firm, accounts: Iterable[Account] = ()) -> None:
        """Make sure, before anything is sent, that secrets and tokens may go where *firm* is now.

        Args:
            accounts: Accounts of the firm whose tokens are about to be used too.

        Raises:
            DestinationError: where they go was changed, or nobody has confirmed it.
            VaultError: the key is missing or wrong.
        """
        self.secret(firm)
        by_key = {key_of(account.address): account for account in accounts}
        if not by_key:
            return
        of_one = next(iter(by_key)) if len(by_key) == 1 else None
        of_firm = None if of_one else _key(firm.name)
        with self._database.read() as connection:
            copies = destinations.token_copies(connection, firm=of_firm, account=of_one)
            changed = [
                replace(value, account=by_key[key])
                for key, sealed_for in copies
                if key in by_key
                and sealed_for != destinations.binding(firm, by_key[key], sealed_for)
                for value in destinations.sealed_values(connection, account=key)
            ]
        for value in changed:
            value.open(self._vault, firm)

    def unconfirmed(self, name: str) -> Unconfirmed | None:
        """What is to be confirmed before the firm's secret and tokens are used again; None if nothing is.

        Raises:
            NotFoundError: there is no such firm.
            VaultError: the key is missing or wrong.
        """
        firm = self.get(name)
        self.bind_old_values()
        with self._database.read() as connection:
            values = list(destinations.sealed_values(connection, firm=_key(name)))
        return destinations.unconfirmed(self._vault, firm, values)

    def confirm(self, shown: Unconfirmed) -> None:
        """Accept what :meth:`unconfirmed` returned: from now on the firm's secrets go where it says.

        Secrets and tokens that no longer open, because more than their destination was changed, are deleted.

        Raises:
            DestinationError: something was changed again meanwhile; nothing was accepted.
            VaultError: the key is missing or wrong.
        """
        key = _key(shown.firm.name)
        self._vault.data_key()  # which is stored, if this is its first use
        with self._database.write() as connection:
            self._vault.hold(connection)
            row = connection.execute(_select_firm, {"firm_key": key}).first()
            if row is None:
                raise _not_found(shown.firm.name)
            values = list(destinations.sealed_values(connection, firm=key))
            now = destinations.unconfirmed(self._vault, firm_from_row(row), values)
            if now != shown:
                raise (now or shown).error()
            destinations.accept(connection, self._vault, shown.firm, values)

    def bind_old_values(self) -> bool:
        """Bind secrets and tokens from before version 3 to where they go now; returns False if that was done before.

        Whether somebody had changed where they go before, cannot be told.

        Raises:
            VaultError: the key is missing or wrong; nothing was changed.
        """
        if not self._database.scalar(destinations.SELECT_UNBOUND):
            return False
        self._vault.data_key()
        with self._database.write() as connection:
            self._vault.hold(connection)
            if not connection.execute(destinations.DELETE_UNBOUND).rowcount:
                return True  # another program has just done it
            firms = {row.key: firm_from_row(row) for row in connection.execute(sa.select(_t)).all()}
            for value in list(destinations.sealed_values(connection)):
                if value.sealed_for is None:
                    value.bind(connection, self._vault, firms[value.firm])
        return True

    def _sealed(
        self, connection: sa.Connection, firm: Firm, secret: str | Secret | None
    ) -> dict[str, Any]:
        """The columns of a new secret."""
        if secret is None:
            return {"secret": None}
        value = secret.reveal() if isinstance(secret, Secret) else secret
        bound_to = destinations.binding(firm)
        place = f"firms/{_key(firm.name)}/secret"
        sealed = self._vault.seal(connection, value, place, bound_to)
        return {"secret": sealed, "sealed_for": bound_to}


class CachedFirms(Firms):
    """Firms and secrets cached at their first use, for a run over thousands of accounts."""

    def __init__(self, firms: Firms) -> None:
        super().__init__(firms._database, firms._vault)
        self._firms: dict[str, Firm] = {}
        self._secrets: dict[Firm, Secret | None] = {}

    def get(self, name: str) -> Firm:
        """The firm of that name."""
        if name not in self._firms:
            self._firms[name] = super().get(name)
        return self._firms[name]

    def secret(self, firm: Firm | str) -> Secret | None:
        """The client secret, or None for a public client; see :meth:`Firms.secret`."""
        firm = self.get(firm) if isinstance(firm, str) else firm
        if firm not in self._secrets:
            self._secrets[firm] = super().secret(firm)
        return self._secrets[firm]


def reseal_all(connection: sa.Connection, old_key: bytes, new_key: bytes, *, strict: bool) -> int:
    """Encrypt all sealed values of the database anew with another data key; returns how many.

    Args:
        strict: Whether a value that does not open with the old key is an error; else it stays as it is.

    Raises:
        DestinationError: there is such a value, and *strict* is true.
    """
    firms = {row.key: firm_from_row(row) for row in connection.execute(sa.select(_t)).all()}
    count = 0
    for value in list(destinations.sealed_values(connection)):
        firm = firms[value.firm]
        if value.rekey(connection, old_key, new_key, firm):
            count += 1
        elif strict:
            lost = value.account.address if value.account else ""
            raise Unconfirmed(firm, (), lost=(lost,)).error()
    return count


def name_of(key: str, name: str) -> str:
    """The name of a firm: that of its row or, if somebody wrote the name of another row there, the row's key."""
    return name if _key(name) == key else key


def _not_found(name: str) -> NotFoundError:
    return NotFoundError(
        _("There is no firm “{name}” in this workspace.").format(name=redact(name.strip(), 200)),
        field="firm",
    )


def _row(firm: Firm) -> dict[str, Any]:
    return {
        "key": _key(firm.name),
        "name": firm.name,
        "tenant": firm.tenant,
        "client_id": firm.client_id,
        "cloud": firm.cloud.name if firm.cloud.is_microsoft else firm.cloud.to_json(),
        "redirect_uri": firm.redirect_uri,
        "secret_expires": firm.secret_expires.isoformat() if firm.secret_expires else None,
        "access": firm.access,
    }


def firm_from_row(row: sa.Row[Any]) -> Firm:
    """The firm that a row of the table holds."""
    return Firm(
        name=name_of(row.key, row.name),
        tenant=row.tenant,
        client_id=row.client_id,
        cloud=clouds.stored(row.cloud),
        redirect_uri=row.redirect_uri,
        secret_expires=date.fromisoformat(row.secret_expires) if row.secret_expires else None,
        access=row.access,
    )
