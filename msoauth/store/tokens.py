"""MSAL token caches, one for each account: each encrypted in its own row, with its own lock."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from msoauth.addresses import key
from msoauth.errors import StoreTimeoutError
from msoauth.model import Account, Firm, Person
from msoauth.store import destinations, schema
from msoauth.store.accounts import Accounts, not_found
from msoauth.store.database import Database
from msoauth.store.destinations import SealedValue
from msoauth.store.firms import Firms
from msoauth.store.locks import HeldError, Locks
from msoauth.store.vault import Vault
from msoauth.texts import _

_t = schema.tokens

LOCK_SECONDS = 60.0  # how long to wait for another process; a renewal takes a few seconds

# Built once: an audit runs them for 10,000 accounts.
_account_key = sa.bindparam("account_key", type_=sa.String)
_select_sealed = sa.select(_t.c.sealed, _t.c.sealed_for).where(_t.c.account == _account_key)
_update = (
    _t.update()
    .where(_t.c.account == _account_key)
    .values(
        sealed=sa.bindparam("sealed"),
        sealed_for=sa.bindparam("sealed_for"),
        refreshed_at=sa.bindparam("refreshed_at"),
        object_id=sa.func.coalesce(_t.c.object_id, sa.bindparam("object_id", type_=sa.String)),
        tenant_id=sa.func.coalesce(_t.c.tenant_id, sa.bindparam("tenant_id", type_=sa.String)),
        signed_in_as=sa.func.coalesce(
            sa.bindparam("signed_in_as", type_=sa.String), _t.c.signed_in_as
        ),
    )
)
# The user may have changed where the tokens go while they were renewed: they were sealed for that then, and stay so.
_update_renewed = _update.where(_t.c.sealed_for == sa.bindparam("sealed_for"))
_update_signed_in = _update.values(
    signed_in_at=sa.bindparam("signed_in_at"),
    object_id=sa.bindparam("object_id", type_=sa.String),
    tenant_id=sa.bindparam("tenant_id", type_=sa.String),
)
_STATUS = (
    *(_t.c.signed_in_as, _t.c.signed_in_at, _t.c.refreshed_at),
    *(_t.c.object_id, _t.c.tenant_id),
)
_select_status = sa.select(*_STATUS).where(_t.c.account == _account_key)


@dataclass(frozen=True, slots=True)
class TokenStatus:
    """Who signed in for an account, and when; no secret.

    Attributes:
        signed_in_as: The user principal name that signed in.
        signed_in_at: When that was, UTC.
        refreshed_at: When tokens were last renewed, UTC; the refresh token expires 90 days later.
        object_id, tenant_id: The same person by ids, which stay when the user name changes; None for a sign-in from
            before msoauth kept them, until its tokens are renewed.
    """

    signed_in_as: str
    signed_in_at: datetime
    refreshed_at: datetime
    object_id: str | None = None
    tenant_id: str | None = None


class Tokens:
    """The token caches of a workspace."""

    def __init__(
        self, database: Database, vault: Vault, locks: Locks, firms: Firms, accounts: Accounts
    ) -> None:
        self._database = database
        self._vault = vault
        self._locks = locks
        self._firms = firms
        self._accounts = accounts

    def load(self, account: Account | str, firm: Firm | None = None) -> str | None:
        """The account's decrypted token cache, or None when nobody has signed in.

        Args:
            account: The account as it is about to be used; an address for the account as it is stored now.
            firm: Its firm as it is about to be used, likewise.

        Raises:
            DestinationError: where the tokens go was changed since somebody signed in.
            VaultError: the key is missing or wrong.
        """
        address = account if isinstance(account, str) else account.address
        rows = self._database.rows(_select_sealed, {"account_key": key(address)})
        if not rows:
            return None
        if rows[0].sealed_for is None and self._firms.bind_old_values():
            return self.load(account, firm)
        account = self._accounts.get(account) if isinstance(account, str) else account
        firm = firm or self._firms.get(account.firm)
        [(sealed, sealed_for)] = rows
        place = (_t.c.sealed, key(address), destinations.firm_key(firm.name))
        value = SealedValue(*place, sealed, sealed_for, account)
        return value.open(self._vault, firm)

    def save(
        self,
        account: Account | str,
        cache: str,
        *,
        signed_in_as: str | None = None,
        person: Person | None = None,
        firm: Firm | None = None,
    ) -> None:
        """Encrypt and store the account's token cache; when this returns, it is on disk.

        Args:
            account, firm: As for :meth:`load`: those for which the tokens were obtained.
            signed_in_as: The user, after a sign-in; None after a silent renewal.
            person: Who the tokens belong to, if they say so; after a renewal, its ids are stored only where there are none.

        Raises:
            NotFoundError: there is no such account.
            StoreError: it could not be stored.
        """
        now = datetime.now(UTC)
        account = self._accounts.get(account) if isinstance(account, str) else account
        address = account.address
        bound_to = destinations.binding(firm or self._firms.get(account.firm), account)
        self._vault.data_key()
        with self._database.write() as connection:
            sealed = self._vault.seal(connection, cache, f"tokens/{key(address)}/cache", bound_to)
            values = {
                "sealed": sealed,
                "sealed_for": bound_to,
                "refreshed_at": now,
                "signed_in_as": signed_in_as or (person.user_name if person else None) or None,
                "object_id": (person.object_id if person else None) or None,
                "tenant_id": (person.tenant_id if person else None) or None,
            }
            if signed_in_as is not None:
                values |= {"signed_in_as": signed_in_as, "signed_in_at": now}
            update = _update_renewed if signed_in_as is None else _update_signed_in
            if connection.execute(update, {"account_key": key(address), **values}).rowcount:
                return
            account_key = connection.scalar(
                sa.select(schema.accounts.c.key).where(schema.accounts.c.key == key(address))
            )
            if account_key is None:
                raise not_found(address)
            if signed_in_as is None:
                return  # during the renewal the user signed out, or changed where the tokens go
            connection.execute(_t.insert().values(account=account_key, **values))

    def forget(self, address: str) -> None:
        """Delete the account's tokens from the workspace, if there are any."""
        self._database.change(_t.delete().where(_t.c.account == key(address)))

    def status(self, address: str) -> TokenStatus | None:
        """Who signed in and when, or None when nobody has; works without the vault's key."""
        rows = self._database.rows(_select_status, {"account_key": key(address)})
        return TokenStatus(*rows[0]) if rows else None

    def statuses(self) -> dict[str, TokenStatus]:
        """The statuses of all accounts, by address in lower case."""
        query = sa.select(_t.c.account, *_STATUS)
        return {account: TokenStatus(*status) for account, *status in self._database.rows(query)}

    @contextmanager
    def lock(self, address: str) -> Iterator[None]:
        """Lock the account's tokens until the block ends, so that only one thread or process renews them.

        Raises:
            StoreTimeoutError: another one held the lock for a minute.
        """
        try:
            with self._locks.hold(f"tokens/{key(address)}", seconds=LOCK_SECONDS):
                yield
        except HeldError:
            raise StoreTimeoutError(
                _("The tokens of {address} are held by another program.").format(address=address)
            ) from None


class CachedTokens(Tokens):
    """Token caches whose statuses are all read in one query, for a run over thousands of accounts."""

    def __init__(self, tokens: Tokens) -> None:
        super().__init__(
            tokens._database, tokens._vault, tokens._locks, tokens._firms, tokens._accounts
        )
        self._statuses: dict[str, TokenStatus] | None = None

    def status(self, address: str) -> TokenStatus | None:
        """The status at the first call; for an account added since, the present one."""
        if self._statuses is None:
            self._statuses = self.statuses()
        return self._statuses.get(key(address)) or super().status(address)
