"""Token caches: one sealed row per account, loaded, locked and stored alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from msoauth.errors import StoreError
from msoauth.store import schema
from msoauth.store.accounts import key, unknown
from msoauth.store.database import Database
from msoauth.store.locks import HeldError, Locks
from msoauth.store.vault import Vault
from msoauth.texts import _

_t = schema.tokens

LOCK_SECONDS = 60.0  # a refresh takes seconds; a holder that took longer has gone


# Made once: an audit asks them of ten thousand accounts.
_of = sa.bindparam("of", type_=sa.String)
_sealed = sa.select(_t.c.sealed).where(_t.c.account == _of)
_renewed = (
    _t.update()
    .where(_t.c.account == _of)
    .values(sealed=sa.bindparam("sealed"), refreshed_at=sa.bindparam("refreshed_at"))
)
_signed_in = _renewed.values(
    signed_in_as=sa.bindparam("signed_in_as"), signed_in_at=sa.bindparam("signed_in_at")
)
_status = sa.select(_t.c.signed_in_as, _t.c.signed_in_at, _t.c.refreshed_at).where(
    _t.c.account == _of
)


@dataclass(frozen=True, slots=True)
class TokenStatus:
    """What may be shown of an account's tokens.

    Attributes:
        signed_in_as: The user principal name that signed in.
        signed_in_at: When that was, UTC.
        refreshed_at: When a token was last got, UTC; the refresh token's 90 idle days count from here.
    """

    signed_in_as: str
    signed_in_at: datetime
    refreshed_at: datetime


class Tokens:
    """The token caches of a workspace."""

    def __init__(self, database: Database, vault: Vault, locks: Locks) -> None:
        self._database = database
        self._vault = vault
        self._locks = locks

    def load(self, address: str) -> str | None:
        """The account's token cache in clear, or None when nobody has signed in.

        Raises:
            VaultError: the key is missing or wrong.
        """
        with self._database.read() as connection:
            sealed = connection.scalar(_sealed, {"of": key(address)})
        return None if sealed is None else self._vault.unseal(sealed, _place(address))

    def save(self, address: str, cache: str, *, signed_in_as: str | None = None) -> None:
        """Store the account's token cache; when this returns, it survives any crash.

        Args:
            signed_in_as: The user, after a sign-in; None after a silent renewal.

        Raises:
            InputError: there is no such account.
            StoreError: it could not be stored.
        """
        now = datetime.now(UTC)
        values = {"sealed": self._vault.seal(cache, _place(address)), "refreshed_at": now}
        if signed_in_as is not None:
            values |= {"signed_in_as": signed_in_as, "signed_in_at": now}
        with self._database.write() as connection:
            update = _renewed if signed_in_as is None else _signed_in
            if connection.execute(update, {"of": key(address), **values}).rowcount:
                return
            known = connection.scalar(
                sa.select(schema.accounts.c.key).where(schema.accounts.c.key == key(address))
            )
            if known is None:
                raise unknown(address)
            if signed_in_as is None:
                return  # signed out while the renewal was under way: the user's word counts
            connection.execute(_t.insert().values(account=known, **values))

    def forget(self, address: str) -> None:
        """Forget the account's tokens; nothing happens when there are none."""
        with self._database.write() as connection:
            connection.execute(_t.delete().where(_t.c.account == key(address)))

    def status(self, address: str) -> TokenStatus | None:
        """Who signed in and when, or None when nobody has; needs no key."""
        with self._database.read() as connection:
            row = connection.execute(_status, {"of": key(address)}).first()
        return None if row is None else TokenStatus(row[0], _utc(row[1]), _utc(row[2]))

    def statuses(self) -> dict[str, TokenStatus]:
        """The same of every account, by its address without regard to case."""
        query = sa.select(_t.c.account, _t.c.signed_in_as, _t.c.signed_in_at, _t.c.refreshed_at)
        with self._database.read() as connection:
            return {
                account: TokenStatus(user, _utc(signed_in), _utc(refreshed))
                for account, user, signed_in, refreshed in connection.execute(query)
            }

    @contextmanager
    def lock(self, address: str) -> Iterator[None]:
        """Hold the account's tokens against every other thread and process that uses this workspace.

        Raises:
            StoreError: somebody else held them for a whole minute.
        """
        try:
            with self._locks.hold(f"tokens/{key(address)}", seconds=LOCK_SECONDS):
                yield
        except HeldError:
            raise StoreError(
                _("The tokens of {address} are held by another program.").format(address=address)
            ) from None


class SteadyTokens(Tokens):
    """Token caches whose statuses are read at once: for a run over thousands of accounts."""

    def __init__(self, tokens: Tokens) -> None:
        super().__init__(tokens._database, tokens._vault, tokens._locks)
        self._known: dict[str, TokenStatus] | None = None

    def status(self, address: str) -> TokenStatus | None:
        """As it was when the first was asked for; of an account that was not there then, as it is now."""
        if self._known is None:
            self._known = self.statuses()
        return self._known.get(key(address)) or super().status(address)


def _place(address: str) -> str:
    return f"tokens/{key(address)}/cache"


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
