"""Firms (each a law firm: its tenant and app registration), and their encrypted client secrets."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from msoauth import clouds
from msoauth.display import Listing
from msoauth.errors import InputError, NotFoundError
from msoauth.model import Firm
from msoauth.store import schema
from msoauth.store.database import Database
from msoauth.store.vault import Secret, Vault
from msoauth.texts import _, ngettext

if TYPE_CHECKING:
    import pandas as pd

_t = schema.firms

# Built once: an audit runs them for each of 10,000 accounts.
_firm_key = sa.bindparam("firm_key", type_=sa.String)
_select_firm = sa.select(_t).where(_t.c.key == _firm_key)
_select_secret = sa.select(_t.c.secret).where(_t.c.key == _firm_key)


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
        return (firm.name, firm.cloud.name, firm.tenant, firm.client_id, firm.access, expires)

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
        row = {**_row(firm), "secret": self._seal(firm.name, secret)}
        try:
            with self._database.write() as connection:
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
        return _firm(rows[0])

    def list(self) -> list[Firm]:
        """All firms, by name."""
        return [_firm(row) for row in self._database.rows(sa.select(_t).order_by(_t.c.key))]

    def replace(self, firm: Firm) -> None:
        """Store changed values of a firm; its secret and accounts stay.

        Raises:
            NotFoundError: there is no such firm.
        """
        self._update(firm.name, _row(firm))

    def remove(self, name: str) -> None:
        """Delete a firm with its accounts, secret and tokens; its findings stay in the journal.

        Raises:
            NotFoundError: there is no such firm.
        """
        if not self._database.change(_t.delete().where(_t.c.key == _key(name))):
            raise _not_found(name)

    def has_secret(self, name: str) -> bool:
        """Whether a client secret is stored; works without the vault's key."""
        return self._database.scalar(_select_secret, {"firm_key": _key(name)}) is not None

    def secret(self, name: str) -> Secret | None:
        """The client secret, or None for a public client.

        Raises:
            NotFoundError: there is no such firm.
            VaultError: the key is missing or wrong.
        """
        rows = self._database.rows(_select_secret, {"firm_key": _key(name)})
        if not rows:
            raise _not_found(name)
        sealed = rows[0].secret
        return None if sealed is None else Secret(self._vault.unseal(sealed, _secret_place(name)))

    def set_secret(
        self, name: str, value: str | Secret | None, *, expires: date | None = None
    ) -> None:
        """Replace the client secret and its end date together.

        Args:
            value: None deletes the secret: the firm's app is a public client then.
            expires: None where the date is not known.

        Raises:
            NotFoundError: there is no such firm.
            VaultError: the key is missing or wrong; then the old secret stays.
        """
        self._update(
            name,
            {
                "secret": self._seal(name, value),
                "secret_expires": expires.isoformat() if expires else None,
            },
        )

    def _update(self, name: str, values: dict[str, Any]) -> None:
        if not self._database.change(_t.update().where(_t.c.key == _key(name)).values(values)):
            raise _not_found(name)

    def _seal(self, name: str, secret: str | Secret | None) -> bytes | None:
        if secret is None:
            return None
        value = secret.reveal() if isinstance(secret, Secret) else secret
        return self._vault.seal(value, _secret_place(name))


class CachedFirms(Firms):
    """Firms and secrets cached at their first use, for a run over thousands of accounts."""

    def __init__(self, firms: Firms) -> None:
        super().__init__(firms._database, firms._vault)
        self._firms: dict[str, Firm] = {}
        self._secrets: dict[str, Secret | None] = {}

    def get(self, name: str) -> Firm:
        """The firm of that name."""
        if name not in self._firms:
            self._firms[name] = super().get(name)
        return self._firms[name]

    def secret(self, name: str) -> Secret | None:
        """The client secret, or None for a public client."""
        if name not in self._secrets:
            self._secrets[name] = super().secret(name)
        return self._secrets[name]


def _key(name: str) -> str:
    return name.strip().casefold()


def _secret_place(name: str) -> str:
    return f"firms/{_key(name)}/secret"


def _not_found(name: str) -> NotFoundError:
    return NotFoundError(
        _("There is no firm “{name}” in this workspace.").format(name=name.strip()[:200]),
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


def _firm(row: sa.Row[Any]) -> Firm:
    return Firm(
        name=row.name,
        tenant=row.tenant,
        client_id=row.client_id,
        cloud=clouds.BY_NAME.get(row.cloud) or clouds.parse(row.cloud),
        redirect_uri=row.redirect_uri,
        secret_expires=date.fromisoformat(row.secret_expires) if row.secret_expires else None,
        access=row.access,
    )
