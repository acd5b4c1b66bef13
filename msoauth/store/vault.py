"""The vault: authenticated encryption (AES-GCM) of secrets and tokens, each bound to its place and its destination.

A random *data key* encrypts the values. It is stored in the database, encrypted by a *key-encryption key* from the
operating system's keyring, a passphrase or a key file (:mod:`msoauth.store.vault_key`). So a new passphrase rewrites one
value only, and a copy of the database alone decrypts nothing. Whoever knew the old passphrase and has an old copy of the
database knows the data key, however; so a new data key can be made, with which all values are encrypted anew.
"""

import contextlib
import json
import secrets
import threading
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag

from msoauth import redact
from msoauth.errors import DestinationError, StoreError, VaultError
from msoauth.passphrase import problem as passphrase_problem
from msoauth.store import schema, vault_key
from msoauth.store.database import Database
from msoauth.store.vault_key import KeyRecord, Source
from msoauth.texts import _

_is_record = schema.meta.c.key == "vault"
_select_record = sa.select(schema.meta.c.value).where(_is_record)


class Reseal(Protocol):
    """Encrypts all values of a database anew, in a transaction."""

    def __call__(
        self, connection: sa.Connection, old_key: bytes, new_key: bytes, *, strict: bool
    ) -> int:
        """Returns how many there are; a value that does not open with the old key is an error, or stays."""


class Secret:
    """A secret value; only :meth:`reveal` shows it, never repr, logs or pickles."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value
        redact.remember(value)

    def reveal(self) -> str:
        """The value in clear."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(hidden)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and secrets.compare_digest(
            self._value.encode(), other._value.encode()
        )

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not pickled")


class Vault:
    """Encrypts and decrypts values. The key is loaded at the first use, so that listing accounts needs none.

    Args:
        folder: The folder of a key file.
        passphrase: Where there is one, no other source of the key is accepted.
        reseal: Encrypts all values of the database anew; :func:`msoauth.store.firms.reseal_all`.
    """

    def __init__(
        self,
        database: Database,
        folder: Path,
        passphrase: str | None,
        reseal: Reseal,
    ) -> None:
        self._database = database
        self._folder = folder
        self._passphrase = passphrase or None
        self._reseal = reseal
        self._key: tuple[str, bytes] | None = None  # the data key and its id
        self._lock = threading.RLock()
        redact.remember(self._passphrase)

    def __repr__(self) -> str:
        return "Vault()"

    def warning(self) -> str | None:
        """A warning for people when the key is in a file, else None."""
        with contextlib.suppress(VaultError):
            record = self._record()
            if record is not None and record.source == "file" and self._passphrase is None:
                return _(
                    "The key that protects secrets and tokens is in the file {file}: anyone who copies this file and the "
                    "database can read them. To protect them with a passphrase: msoauth vault passphrase"
                ).format(file=vault_key.key_file(self._folder, record.key_name))
        return None

    @property
    def source(self) -> Source | None:
        """Where the database says that the key-encryption key comes from; None before the first secret is stored.

        Raises:
            VaultError: the record was damaged, or somebody changed it.
        """
        record = self._record()
        return None if record is None else record.source

    def refusal(self) -> VaultError | None:
        """Why the vault is not opened although its key may be there: a passphrase is given, and it names another source.

        Raises:
            VaultError: the record was damaged, or somebody changed it.
        """
        record = self._record()
        return None if record is None else self._refusal(record)

    def require_key(self) -> None:
        """Make sure that the key can be opened for a change of it, wherever the database says that it is.

        Raises:
            VaultError: nothing is encrypted yet, or the key is missing or wrong.
        """
        self._open_for_change()

    def change(
        self, source: Source | None = None, passphrase: str | None = None, *, rotate: bool = False
    ) -> int:
        """Change where the key comes from, or the passphrase.

        With *rotate*, and always when the source changes or a key file is left behind, all values are encrypted anew with
        a new data key: what was known before opens nothing that is written afterwards. That is one transaction with the
        new record; the new key is stored before it and the old one deleted after it, so that after a crash either the old
        or the new key opens everything.

        Args:
            source: None for the present one, with the present passphrase.
            passphrase: The new one, when *source* is ``passphrase``.

        Returns:
            How many values were encrypted anew.

        Raises:
            VaultError: the present key is missing or wrong, there is no keyring, the passphrase is too short, a value
                cannot be decrypted, or another program changed the vault. In every case nothing was changed.
        """
        old, data_key = self._open_for_change()
        if source is None:
            self._load(old)  # which refuses another source than the passphrase that is given
            source, passphrase = old.source, self._passphrase
        else:
            _require_length(passphrase)
        rotate = rotate or source != old.source or source == "file"
        new_key = secrets.token_bytes(vault_key.KEY_BYTES) if rotate else data_key
        key_id = secrets.token_hex(8) if rotate else old.key_id
        new = vault_key.create(new_key, key_id, self._folder, source, passphrase)
        count = 0
        try:
            with self._database.write() as connection:
                if self._record(connection, for_update=True) != old:
                    raise VaultError(
                        _(
                            "Another program changed the vault at the same moment; nothing was changed here."
                        )
                    )
                if rotate:
                    count = self._reseal_all(connection, old, data_key, new_key)
                connection.execute(
                    schema.meta.update().where(_is_record).values(value=new.to_json())
                )
        except BaseException:
            self.discard(new)
            raise
        with self._lock:
            self._passphrase = passphrase if source == "passphrase" else None
            self._key = (key_id, new_key)
        vault_key.delete(old, self._folder)
        if rotate:
            self._database.erase_deleted()
        return count

    def _reseal_all(
        self, connection: sa.Connection, old: KeyRecord, data_key: bytes, new_key: bytes
    ) -> int:
        try:
            return self._reseal(connection, data_key, new_key, strict=True)
        except DestinationError:
            if self._refusal(old) is None:
                raise
            raise VaultError(
                _(
                    "The key that the database names does not open what is stored, so nothing was changed: somebody may have "
                    "changed the database. Restore a backup."
                )
            ) from None

    def _open_for_change(self) -> tuple[KeyRecord, bytes]:
        record = self._record()
        if record is None:
            raise VaultError(
                _("Nothing is sealed in this workspace yet, so that there is no key to change.")
            )
        # The source may be another one than a passphrase that is given: such a change is the way to that passphrase. A
        # record that somebody forged does not get any further, because its data key does not open what is there.
        return record, vault_key.open_data_key(record, self._folder, self._passphrase)

    def hold(self, connection: sa.Connection) -> KeyRecord | None:
        """Keep the data key from being changed by other programs until this transaction ends; returns its record.

        Where a transaction changes other rows before it seals something, call this first: programs that lock rows in
        different orders would wait for each other.
        """
        return self._record(connection)

    def seal(self, connection: sa.Connection, text: str, place: str, binding: str) -> bytes:
        """Encrypt *text*, so that it can be decrypted only for *place* and *binding*.

        Args:
            place: ``table/row/column``.
            binding: What decides where the value goes; see :mod:`msoauth.store.destinations`.
            connection: The transaction in which the result is written: until it ends, no other program changes the data
                key, so that nothing is written under an old one. Call :meth:`data_key` before it begins.

        Raises:
            VaultError: the key is missing or wrong.
        """
        # Of a token cache, which is longer, the caller registers each token for redaction.
        redact.remember(text if len(text) < 300 else None)
        record = self.hold(connection)
        if record is None:
            raise VaultError(_("The workspace's vault is gone."))
        return vault_key.encrypt(self._load(record), text.encode(), associated_data(place, binding))

    def unseal(self, sealed: bytes, place: str, binding: str | None) -> str | None:
        """Decrypt what was encrypted for *place* and *binding*; None if it was not, or was damaged.

        Args:
            binding: None for a value from before values were bound.

        Raises:
            VaultError: the key is missing or wrong.
        """
        key = self.data_key()
        text = decrypted(key, sealed, place, binding)
        if text is None:
            # Another program may have encrypted everything anew since this one loaded the key.
            newest = self.data_key(reload=True)
            return None if newest == key else decrypted(newest, sealed, place, binding)
        return text

    def stored(self, column: "sa.Column[bytes]", key: str) -> bytes | None:
        """What a sealed column of the row with that key holds now."""
        [row_key] = column.table.primary_key
        value = self._database.scalar(sa.select(column).where(row_key == key))
        return None if value is None else bytes(value)

    def data_key(self, *, reload: bool = False) -> bytes:
        """The data key, created at the first use; public for an export, which stores it in the exported file.

        Args:
            reload: Look whether another program has made a new one.

        Raises:
            VaultError: the key that encrypts it is missing or wrong.
        """
        with self._lock:
            if self._key is not None and not reload:
                return self._key[1]
        return self._load(self._record() or self._create())

    def forget_key(self) -> None:
        """Forget the cached data key and load it again at the next use."""
        with self._lock:
            self._key = None

    def adopt(self, connection: sa.Connection, old_key: bytes) -> KeyRecord:
        """Encrypt the values of an imported workspace anew with a new data key, and store its record.

        Whoever made or has the imported file knows the old data key.

        Returns:
            The record, to be discarded if the transaction fails.
        """
        data_key, new = self._new_record()
        try:
            self._reseal(connection, old_key, data_key, strict=False)
            connection.execute(schema.meta.delete().where(_is_record))
            connection.execute(schema.meta.insert().values(key="vault", value=new.to_json()))
        except BaseException:
            self.discard(new)
            raise
        return new

    def discard(self, record: KeyRecord) -> None:
        """Delete the key of a record that was to be stored, after the transaction has failed."""
        # A connection that was lost may have committed: then this is the key that is needed.
        with contextlib.suppress(StoreError):
            if self._record() != record:
                vault_key.delete(record, self._folder)

    def _new_record(self) -> tuple[bytes, KeyRecord]:
        _require_length(self._passphrase)
        data_key, key_id = secrets.token_bytes(vault_key.KEY_BYTES), secrets.token_hex(8)
        return data_key, vault_key.create(data_key, key_id, self._folder, None, self._passphrase)

    def _load(self, record: KeyRecord) -> bytes:
        """The data key of a record; from memory unless it is another one."""
        with self._lock:
            if self._key is None or self._key[0] != record.key_id:
                if (refusal := self._refusal(record)) is not None:
                    raise refusal
                data_key = vault_key.open_data_key(record, self._folder, self._passphrase)
                self._key = (record.key_id, data_key)
            return self._key[1]

    def _refusal(self, record: KeyRecord) -> VaultError | None:
        if self._passphrase is None or record.source == "passphrase":
            return None
        place = {"keyring": _("the keyring"), "file": _("a key file")}[record.source]
        return VaultError(
            _(
                "MSOAUTH_PASSPHRASE is set, but the key of this workspace comes from {place}: run msoauth vault passphrase to "
                "protect it with the passphrase, or unset MSOAUTH_PASSPHRASE. If you did not expect this, somebody may have "
                "changed the database: restore a backup."
            ).format(place=place)
        )

    def _record(
        self, connection: sa.Connection | None = None, *, for_update: bool = False
    ) -> KeyRecord | None:
        """The stored record; in a transaction, it cannot be changed by others (nor read, for update) until that ends."""
        if connection is None:
            text = self._database.scalar(_select_record)
        else:  # SQLite, which lets one transaction write at a time, needs no lock
            text = connection.scalar(_select_record.with_for_update(read=not for_update))
        return None if text is None else KeyRecord.from_json(text)

    def _create(self) -> KeyRecord:
        """Store a record of a new data key, unless another program has just done so; returns the stored one."""
        _data_key, new = self._new_record()
        with contextlib.suppress(sa.exc.IntegrityError):
            self._database.change(schema.meta.insert().values(key="vault", value=new.to_json()))
            return new
        vault_key.delete(new, self._folder)
        return self._record() or self._create()


def _require_length(passphrase: str | None) -> None:
    """Raises VaultError for a new passphrase that is too short."""
    if passphrase and (problem := passphrase_problem(passphrase)):
        raise VaultError(problem)


def associated_data(place: str, binding: str | None) -> str:
    """The associated data of a sealed value: both parts, so that neither can be read as a part of the other."""
    return place if binding is None else json.dumps([place, binding])


def decrypted(key: bytes, sealed: bytes, place: str, binding: str | None) -> str | None:
    """A sealed value in clear; None if it does not open with this key for this place and binding."""
    try:
        return vault_key.decrypt(key, sealed, associated_data(place, binding)).decode()
    except (InvalidTag, ValueError):
        return None
