"""The vault: authenticated encryption (AES-GCM) of secrets and tokens, each bound to its place and its destination.

A random *data key* encrypts the values. It is stored in the database, encrypted by a *key-encryption key* (``kek``)
from the operating system's keyring, a passphrase or a key file. So a new passphrase rewrites one value only, and a
copy of the database alone decrypts nothing.
"""

import base64
import contextlib
import json
import os
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from msoauth import private_files, redact
from msoauth.errors import VaultError
from msoauth.texts import _

Source = Literal["keyring", "passphrase", "file"]

_NONCE_BYTES = 12
_KEY_BYTES = 32
_SERVICE = "msoauth"
# scrypt at 2**15 takes about 0.1 s and 32 MB: slow enough against guessing, fast enough at every start.
SCRYPT_N, _SCRYPT_R, _SCRYPT_P = 2**15, 8, 1


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


@dataclass(frozen=True)
class VaultRecord:
    """The vault's record in the database: the encrypted data key, and where its key-encryption key comes from."""

    source: Source
    key_name: str
    salt: str
    sealed_key: str

    def to_json(self) -> str:
        """The record as JSON."""
        return json.dumps(vars(self))

    @classmethod
    def from_json(cls, text: str) -> "VaultRecord":
        """The record from :meth:`to_json`."""
        return cls(**json.loads(text))


class Vault:
    """Encrypts and decrypts values. The key is loaded at the first use, so that listing accounts needs none.

    Args:
        load: Reads the record from the database; None when nothing was ever encrypted.
        create: Stores a record unless there is one already; returns the stored one.
        swap: Replaces the first record by the second, if the first is still stored; returns whether it did.
        folder: The folder of a key file.
        passphrase: None when the key comes from elsewhere.
    """

    def __init__(
        self,
        load: Callable[[], VaultRecord | None],
        create: Callable[[VaultRecord], VaultRecord],
        swap: Callable[[VaultRecord, VaultRecord], bool],
        folder: Path,
        passphrase: str | None,
    ) -> None:
        self._load = load
        self._create = create
        self._swap = swap
        self._folder = folder
        self._passphrase = passphrase or None
        self._data_key: bytes | None = None
        self._lock = threading.Lock()
        redact.remember(self._passphrase)

    def __repr__(self) -> str:
        return "Vault()"

    def warning(self) -> str | None:
        """A warning for people when the key is in a file beside the database, else None."""
        record = self._load()
        if record is None or record.source != "file":
            return None
        return _(
            "The key that seals secrets lies in {file}, because this computer offers no keyring and no passphrase "
            "is set: whoever copies this folder can read the secrets. Set MSOAUTH_PASSPHRASE to do better."
        ).format(file=self._key_file(record.key_name).name)

    @property
    def source(self) -> Source | None:
        """Where the key-encryption key comes from; None before the first secret is stored."""
        record = self._load()
        return None if record is None else record.source

    def change(self, source: Source, passphrase: str | None = None) -> None:
        """Change where the key comes from, or the passphrase; the encrypted values stay as they are.

        The new key is stored first, then the record in the database is replaced, and the old key is deleted last, so
        that after a crash in between either the old or the new key works.

        Args:
            passphrase: The new one, when *source* is ``passphrase``.

        Raises:
            VaultError: the present key is missing or wrong, there is no keyring, or another program changed it.
        """
        data_key = self.data_key()
        old = self._load()
        if old is None:
            raise VaultError(_("The workspace's vault is gone."))
        new = self.new_record(data_key, source, passphrase)
        try:
            swapped = self._swap(old, new)
        except BaseException:
            self.delete_key(new)
            raise
        if not swapped:
            self.delete_key(new)
            raise VaultError(
                _("Another program changed the vault at the same moment; nothing was changed here.")
            )
        if source == "passphrase":
            self._passphrase = passphrase
        self.delete_key(old)

    def forget_key(self) -> None:
        """Forget the cached data key and load it again at the next use."""
        with self._lock:
            self._data_key = None

    def seal(self, text: str, place: str, binding: str) -> bytes:
        """Encrypt *text*, so that it can be decrypted only for *place* and *binding*.

        Args:
            place: ``table/row/column``.
            binding: What decides where the value goes; see :mod:`msoauth.store.destinations`.

        Raises:
            VaultError: the key is missing or wrong.
        """
        # Of a token cache, which is longer, the caller registers each token for redaction.
        redact.remember(text if len(text) < 300 else None)
        return _encrypt(self.data_key(), text.encode(), associated_data(place, binding))

    def unseal(self, sealed: bytes, place: str, binding: str | None) -> str:
        """Decrypt what was encrypted for *place* and *binding*; None for a value from before values were bound.

        Raises:
            VaultError: the key is missing or wrong, or the value was moved or changed.
        """
        associated = place if binding is None else associated_data(place, binding)
        try:
            return _decrypt(self.data_key(), sealed, associated).decode()
        except (InvalidTag, ValueError):
            raise VaultError(_("A stored secret was damaged or moved; enter it again.")) from None

    def data_key(self) -> bytes:
        """The data key, created at the first use; public for an export, which stores it in the exported file.

        Raises:
            VaultError: the key that encrypts it is missing or wrong.
        """
        with self._lock:
            if self._data_key is None:
                record = self._load() or self._create(
                    self.new_record(secrets.token_bytes(_KEY_BYTES))
                )
                self._data_key = self._decrypt_data_key(record)
            return self._data_key

    def _decrypt_data_key(self, record: VaultRecord) -> bytes:
        try:
            return _decrypt(
                self._key_encryption_key(record), base64.b64decode(record.sealed_key), "vault"
            )
        except (InvalidTag, ValueError):
            if record.source == "passphrase":
                raise VaultError(
                    _("The passphrase in MSOAUTH_PASSPHRASE is not the one of this workspace.")
                ) from None
            raise VaultError(
                _("The key of this workspace ({source}) is not the one that sealed it.").format(
                    source=record.source
                )
            ) from None

    def _key_encryption_key(self, record: VaultRecord) -> bytes:
        if record.source == "passphrase":
            if self._passphrase is None:
                raise VaultError(
                    _("This workspace is sealed with a passphrase: set MSOAUTH_PASSPHRASE.")
                )
            return _key_from_passphrase(self._passphrase, base64.b64decode(record.salt))
        if record.source == "keyring":
            stored = _keyring_get(record.key_name)
            if stored is None:
                raise VaultError(
                    _(
                        "This workspace's key is not in this computer's keyring (entry {name})."
                    ).format(name=record.key_name)
                )
            return base64.b64decode(stored)
        try:
            return base64.b64decode(self._key_file(record.key_name).read_bytes())
        except (OSError, ValueError):
            raise VaultError(
                _("The key file {file} of this workspace cannot be read.").format(
                    file=self._key_file(record.key_name).name
                )
            ) from None

    def _key_file(self, key_name: str) -> Path:
        return self._folder / f"{key_name}.key"

    def new_record(
        self, data_key: bytes, source: Source | None = None, passphrase: str | None = None
    ) -> VaultRecord:
        """Create a key at *source* (None: passphrase, else keyring, else file) and a record of *data_key* encrypted by it."""
        name = f"workspace-{secrets.token_hex(8)}"
        passphrase = passphrase or (self._passphrase if source is None else None)
        redact.remember(passphrase)
        if source == "passphrase" or (source is None and passphrase):
            if not passphrase:
                raise VaultError(_("The vault needs a passphrase that is not empty."))
            salt = secrets.token_bytes(16)
            return _record(
                "passphrase", name, salt, _key_from_passphrase(passphrase, salt), data_key
            )
        kek = secrets.token_bytes(_KEY_BYTES)
        text = base64.b64encode(kek)
        if source != "file" and _keyring_set(name, text.decode()):
            return _record("keyring", name, b"", kek, data_key)
        if source == "keyring":
            raise VaultError(_("This computer offers no keyring that keeps what is put into it."))
        _write_private(self._key_file(name), text)
        return _record("file", name, b"", kek, data_key)

    def delete_key(self, record: VaultRecord) -> None:
        """Delete the key of a record that was replaced or never stored; failing to do so does no harm."""
        if record.source == "keyring":
            _keyring_delete(record.key_name)
        elif record.source == "file":
            with contextlib.suppress(OSError):
                self._key_file(record.key_name).unlink()


def associated_data(place: str, binding: str) -> str:
    """The associated data of a sealed value: both parts, so that neither can be read as a part of the other."""
    return json.dumps([place, binding])


def _record(source: Source, name: str, salt: bytes, kek: bytes, data_key: bytes) -> VaultRecord:
    sealed = _encrypt(kek, data_key, "vault")
    return VaultRecord(
        source, name, base64.b64encode(salt).decode(), base64.b64encode(sealed).decode()
    )


def _encrypt(key: bytes, plain: bytes, place: str) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, place.encode())


def _decrypt(key: bytes, sealed: bytes, place: str) -> bytes:
    return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], place.encode())


def _key_from_passphrase(passphrase: str, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=_KEY_BYTES, n=SCRYPT_N, r=_SCRYPT_R, p=_SCRYPT_P).derive(
        passphrase.encode()
    )


def _keyring_get(name: str) -> str | None:
    import keyring  # imported lazily: searching for its backends takes time

    with contextlib.suppress(
        Exception
    ):  # a locked or missing keyring raises its backend's own errors
        return keyring.get_password(_SERVICE, name)
    return None


def _keyring_set(name: str, value: str) -> bool:
    import keyring

    with contextlib.suppress(Exception):
        keyring.set_password(_SERVICE, name, value)
        return keyring.get_password(_SERVICE, name) == value
    return False


def _keyring_delete(name: str) -> None:
    import keyring

    with contextlib.suppress(Exception):
        keyring.delete_password(_SERVICE, name)


def _write_private(file: Path, content: bytes) -> None:
    private_files.make_folder(file.parent)
    with os.fdopen(private_files.create(file), "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
