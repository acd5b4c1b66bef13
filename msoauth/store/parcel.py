"""A file sealed under a passphrase, written and read in pieces, so that its size does not matter.

Layout: the magic, 16 bytes of salt, then pieces: a length of 4 bytes and AES-256-GCM of at most 256 KiB. The nonce
is the piece's number and whether it is the last: pieces cannot be left out, put in another order or cut off. The
key is scrypt of passphrase and salt.
"""

import secrets
import struct
from collections.abc import Iterator
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from msoauth.errors import InputError, VaultError
from msoauth.texts import _

_MAGIC = b"MSOAUTH\x01"
_SALT_BYTES = 16
PIECE_BYTES = 256 * 1024
# The file travels, so guessing costs more than for the vault: about 0.3 s and 128 MB each.
SCRYPT_N, _SCRYPT_R, _SCRYPT_P = 2**17, 8, 1


class Writer:
    """Seals what is written to it; only :meth:`finish` makes the file whole."""

    def __init__(self, file: BinaryIO, passphrase: str) -> None:
        self._file = file
        salt = secrets.token_bytes(_SALT_BYTES)
        self._cipher = _cipher(passphrase, salt)
        self._number = 0
        self._kept = bytearray()
        file.write(_MAGIC + salt)

    def write(self, data: bytes) -> None:
        """Take more."""
        self._kept += data
        while len(self._kept) > PIECE_BYTES:
            self._seal(bytes(self._kept[:PIECE_BYTES]), last=False)
            del self._kept[:PIECE_BYTES]

    def finish(self) -> None:
        """Seal the rest, and that nothing follows."""
        self._seal(bytes(self._kept), last=True)
        self._kept.clear()

    def _seal(self, piece: bytes, *, last: bool) -> None:
        sealed = self._cipher.encrypt(_nonce(self._number, last=last), piece, _MAGIC)
        self._number += 1
        self._file.write(struct.pack(">I", len(sealed)) + sealed)


def salt_of(file: BinaryIO) -> bytes:
    """The salt, with which a file of ours begins.

    Raises:
        InputError: this is no such file.
    """
    head = file.read(len(_MAGIC) + _SALT_BYTES)
    if not head.startswith(_MAGIC) or len(head) < len(_MAGIC) + _SALT_BYTES:
        raise InputError(_("This is not a workspace that msoauth exported."))
    return head[len(_MAGIC) :]


def read(file: BinaryIO, passphrase: str) -> Iterator[bytes]:
    """What was written, in pieces; each is authentic when it comes, and the last proves that none is missing.

    Raises:
        InputError: this is no such file.
        VaultError: the passphrase is another one, or the file was changed or cut off.
    """
    cipher = _cipher(passphrase, salt_of(file))
    number, last = 0, False
    length = file.read(4)
    while not last:
        size = struct.unpack(">I", length)[0] if len(length) == 4 else 0
        sealed = file.read(size) if 16 <= size <= PIECE_BYTES + 16 else b""
        length = file.read(4)
        last = not length
        try:
            if len(sealed) != size:
                raise InvalidTag
            piece = cipher.decrypt(_nonce(number, last=last), sealed, _MAGIC)
        except InvalidTag:
            if number == 0:
                raise VaultError(
                    _("The passphrase is not the one of this file, or the file was damaged.")
                ) from None
            raise VaultError(_("The file was damaged or cut off; nothing was imported.")) from None
        number += 1
        yield piece


def _cipher(passphrase: str, salt: bytes) -> AESGCM:
    key = Scrypt(salt=salt, length=32, n=SCRYPT_N, r=_SCRYPT_R, p=_SCRYPT_P)
    return AESGCM(key.derive(passphrase.encode()))


def _nonce(number: int, *, last: bool) -> bytes:
    return struct.pack(">QI", number, 1 if last else 0)
