"""The key-encryption key of a vault: where it comes from, and its record in the database.

Anybody who can write the database can write that record. So each of its values is checked before it is used: the names of
keys (which lead neither to another file nor to another keyring entry than msoauth's own), and the cost of a passphrase's
key, which can neither be lowered nor exhaust the memory.
"""

import base64
import contextlib
import json
import os
import re
import secrets
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from msoauth import private_files, redact
from msoauth.errors import VaultError
from msoauth.texts import _

Source = Literal["keyring", "passphrase", "file"]

KEY_BYTES = 32
_NONCE_BYTES = 12
_SERVICE = "msoauth"
_KEY_NAME = re.compile(r"workspace-[0-9a-f]{16}")


class ScryptCost(NamedTuple):
    """What it costs to derive a key from a passphrase (RFC 7914): 128·n·r bytes of memory, and a time of n·r·p."""

    n: int
    r: int
    p: int

    @property
    def memory(self) -> int:
        """Bytes."""
        return 128 * self.n * self.r

    @property
    def work(self) -> int:
        """Calls of its inner function, in units of about 0.25 µs."""
        return self.n * self.r * self.p


# 0.26 s and 64 MB on the slower of today's computers (a shared virtual processor): what OWASP's password storage cheat
# sheet counts as equal to (2**17, 8, 1), which would take 134 MB.
COST = ScryptCost(2**16, 8, 2)
_FIRST_COST = ScryptCost(2**15, 8, 1)  # of records that name none
_MAX_MEMORY = 256 << 20
_MAX_WORK = 2**23  # two seconds


@dataclass(frozen=True)
class KeyRecord:
    """The vault's record in the database: the encrypted data key, and what its key-encryption key comes from.

    Attributes:
        key_name: The name of the key file or keyring entry.
        salt: Of the passphrase's key, in base64.
        sealed_key: The encrypted data key, in base64.
        key_id: Of the data key: programs that keep it in memory notice by it that there is another one; empty for the
            first data key of a workspace of an earlier version.
        cost: Of the passphrase's key; None in a record of an earlier version.
    """

    source: Source
    key_name: str
    salt: str
    sealed_key: str
    key_id: str = ""
    cost: ScryptCost | None = None

    def to_json(self) -> str:
        """The record as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "KeyRecord":
        """The record from :meth:`to_json`, checked.

        Raises:
            VaultError: it has a value that msoauth never writes.
        """
        try:
            data = json.loads(text)
            cost = data.get("cost")
            record = cls(
                source=data["source"],
                key_name=data["key_name"],
                salt=data["salt"],
                sealed_key=data["sealed_key"],
                key_id=data.get("key_id", ""),
                cost=None if cost is None else ScryptCost(*cost),
            )
            if not (
                record.source in get_args(Source)
                and _KEY_NAME.fullmatch(record.key_name)
                and re.fullmatch("[0-9a-f]{0,32}", record.key_id)
                and _is_acceptable(record.cost or _FIRST_COST)
            ):
                raise ValueError
            base64.b64decode(record.salt, validate=True)
            base64.b64decode(record.sealed_key, validate=True)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise VaultError(
                _(
                    "The vault's record in the database is not one that msoauth wrote: it was damaged, or somebody changed "
                    "it. Restore the database from a backup."
                )
            ) from None
        return record

    @property
    def associated_data(self) -> str:
        """What the encrypted data key is bound to: the rest of the record."""
        if self.cost is None:
            return "vault"
        return json.dumps(asdict(self) | {"sealed_key": "vault"}, sort_keys=True)


def _is_acceptable(cost: ScryptCost) -> bool:
    """Whether a cost is neither less than in any version nor so high that it would stop the computer."""
    if not all(type(value) is int and 0 < value <= _MAX_WORK for value in cost):
        return False
    least = min(COST, _FIRST_COST)
    return (
        cost.n & (cost.n - 1) == 0
        and least.memory <= cost.memory <= _MAX_MEMORY
        and least.work <= cost.work <= _MAX_WORK
    )


def create(
    data_key: bytes, key_id: str, folder: Path, source: Source | None, passphrase: str | None
) -> KeyRecord:
    """Create a key-encryption key, store it at its source, and return a record of *data_key* encrypted by it.

    Args:
        folder: For a key file.
        source: None for a passphrase if there is one, else the keyring if there is one, else a key file.

    Raises:
        VaultError: the passphrase is missing, or there is no keyring.
    """
    name = f"workspace-{secrets.token_hex(8)}"
    source = source or ("passphrase" if passphrase else None)
    if source == "passphrase":
        if not passphrase:
            raise VaultError(_("The vault needs a passphrase that is not empty."))
        redact.remember(passphrase)
        salt = secrets.token_bytes(16)
        return _record("passphrase", name, salt, key_id, data_key, _derive(passphrase, salt, COST))
    kek = secrets.token_bytes(KEY_BYTES)
    text = base64.b64encode(kek)
    if source != "file" and _keyring_set(name, text.decode()):
        return _record("keyring", name, b"", key_id, data_key, kek)
    if source == "keyring":
        raise VaultError(_("This computer offers no keyring that keeps what is put into it."))
    _write_private(key_file(folder, name), text)
    return _record("file", name, b"", key_id, data_key, kek)


def open_data_key(record: KeyRecord, folder: Path, passphrase: str | None) -> bytes:
    """The data key of a record.

    Raises:
        VaultError: the key that encrypts it is missing or wrong.
    """
    kek = _key_encryption_key(record, folder, passphrase)
    try:
        data_key = decrypt(kek, base64.b64decode(record.sealed_key), record.associated_data)
        if len(data_key) == KEY_BYTES:
            return data_key
    except (InvalidTag, ValueError):
        pass
    if record.source == "passphrase":
        raise VaultError(
            _(
                "The passphrase in MSOAUTH_PASSPHRASE is not the one of this workspace. If it was changed, set the new one."
            )
        )
    raise VaultError(
        _("The key of this workspace ({source}) is not the one that sealed it.").format(
            source=record.source
        )
    )


def delete(record: KeyRecord, folder: Path) -> None:
    """Delete the key of a record that was replaced or never stored; failing to do so does no harm."""
    if record.source == "keyring":
        _keyring_delete(record.key_name)
    elif record.source == "file":
        with contextlib.suppress(OSError):
            key_file(folder, record.key_name).unlink()


def key_file(folder: Path, name: str) -> Path:
    """The key file of that name."""
    return folder / f"{name}.key"


def encrypt(key: bytes, plain: bytes, associated_data: str) -> bytes:
    """Encrypt with AES-256-GCM and a random nonce, which precedes the result."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, associated_data.encode())


def decrypt(key: bytes, sealed: bytes, associated_data: str) -> bytes:
    """Decrypt what :func:`encrypt` returned.

    Raises:
        InvalidTag, ValueError: the key or the associated data is another, or it was damaged.
    """
    return AESGCM(key).decrypt(
        sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], associated_data.encode()
    )


def _record(
    source: Source, name: str, salt: bytes, key_id: str, data_key: bytes, kek: bytes
) -> KeyRecord:
    about: dict[str, Any] = {
        "source": source,
        "key_name": name,
        "salt": base64.b64encode(salt).decode(),
        "key_id": key_id,
        "cost": COST,
    }
    associated_data = KeyRecord(**about, sealed_key="").associated_data
    sealed = encrypt(kek, data_key, associated_data)
    return KeyRecord(**about, sealed_key=base64.b64encode(sealed).decode())


def _key_encryption_key(record: KeyRecord, folder: Path, passphrase: str | None) -> bytes:
    if record.source == "passphrase":
        if passphrase is None:
            raise VaultError(
                _("This workspace is sealed with a passphrase: set MSOAUTH_PASSPHRASE.")
            )
        return _derive(passphrase, base64.b64decode(record.salt), record.cost or _FIRST_COST)
    if record.source == "keyring":
        stored = _keyring_get(record.key_name)
        if stored is None:
            raise VaultError(
                _("This workspace's key is not in this computer's keyring (entry {name}).").format(
                    name=record.key_name
                )
            )
        return base64.b64decode(stored)
    file = key_file(folder, record.key_name)
    try:
        return base64.b64decode(_read_regular(file), validate=True)
    except (OSError, ValueError):
        raise VaultError(
            _("The key file {file} of this workspace cannot be read.").format(file=file.name)
        ) from None


def _derive(passphrase: str, salt: bytes, cost: ScryptCost) -> bytes:
    return Scrypt(salt=salt, length=KEY_BYTES, n=cost.n, r=cost.r, p=cost.p).derive(
        passphrase.encode()
    )


def _keyring_get(name: str) -> str | None:
    """An entry of the keyring, or None if it has none of that name.

    Raises:
        VaultError: there is no keyring here, it is locked, or it lets this program read nothing.
    """
    import keyring  # imported lazily: searching for its backends takes time
    from keyring.errors import InitError, KeyringLocked, NoKeyringError

    try:
        return keyring.get_password(_SERVICE, name)
    except (NoKeyringError, InitError):
        problem = _(
            "There is no keyring here, as under cron, in services and over SSH. Before it runs there, set a passphrase: msoauth vault passphrase."
        )
    except KeyringLocked as error:
        # On macOS the same error says that a person, or the keychain's access list, refused.
        if type(error.__cause__).__name__ == "KeychainDenied":
            problem = _(
                "The keychain denied access to it; after an update of Python macOS asks again. Answer “Always Allow”, or set a passphrase: msoauth vault passphrase."
            )
        else:
            problem = _(
                "The keyring is locked. Unlock it, or sign in to this computer, and try again."
            )
    except Exception as error:  # noqa: BLE001 - each backend raises errors of its own
        problem = _("The keyring did not answer ({kind}).").format(kind=type(error).__name__)
    key = _("The key of this workspace lies in this computer's keyring (entry {name}).")
    raise VaultError(f"{key.format(name=name)} {problem}")


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


def _read_regular(file: Path) -> bytes:
    """Read a small regular file; a link, a device or a pipe of that name is refused.

    Raises:
        OSError: it is none, or cannot be read.
    """
    if file.is_symlink():  # where a system cannot refuse it while opening
        raise OSError
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)
    with os.fdopen(private_files.open_private(file, flags), "rb") as content:
        if not stat.S_ISREG(os.fstat(content.fileno()).st_mode):
            raise OSError
        return content.read(1000)


def _write_private(file: Path, content: bytes) -> None:
    private_files.make_folder(file.parent)
    with os.fdopen(private_files.create(file), "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
