"""A file encrypted with a passphrase, written and read in pieces, so that its size does not matter.

Layout: magic, 16 bytes of salt, then pieces: 4 bytes of length and at most 256 KiB of AES-256-GCM. The nonce is the
piece's number and a flag for the last piece, so that no piece can be left out, reordered or cut off. The key is
scrypt of passphrase and salt.
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
# Anybody may get hold of the file, so guessing costs more than for the vault: about 0.3 s and 128 MB each.
SCRYPT_N, _SCRYPT_R, _SCRYPT_P = 2**17, 8, 1


class ArchiveWriter:
    """Encrypts what is written to it; the file is complete only after :meth:`finish`."""

    def __init__(self, file: BinaryIO, passphrase: str) -> None:
        self._file = file
        salt = secrets.token_bytes(_SALT_BYTES)
        self._cipher = _cipher(passphrase, salt)
        self._number = 0
        self._buffer = bytearray()
        file.write(_MAGIC + salt)

    def write(self, data: bytes) -> None:
        """Encrypt more bytes."""
        self._buffer += data
        while len(self._buffer) > PIECE_BYTES:
            self._seal(bytes(self._buffer[:PIECE_BYTES]), last=False)
            del self._buffer[:PIECE_BYTES]

    def finish(self) -> None:
        """Encrypt the rest, marked as the last piece."""
        self._seal(bytes(self._buffer), last=True)
        self._buffer.clear()

    def _seal(self, piece: bytes, *, last: bool) -> None:
        sealed = self._cipher.encrypt(_nonce(self._number, last=last), piece, _MAGIC)
        self._number += 1
        self._file.write(struct.pack(">I", len(sealed)) + sealed)


def read_salt(file: BinaryIO) -> bytes:
    """The salt from the beginning of an archive.

    Raises:
        InputError: it is no archive.
    """
    head = file.read(len(_MAGIC) + _SALT_BYTES)
    if not head.startswith(_MAGIC) or len(head) < len(_MAGIC) + _SALT_BYTES:
        raise InputError(_("This is not a workspace that msoauth exported."))
    return head[len(_MAGIC) :]


def read_archive(file: BinaryIO, passphrase: str) -> Iterator[bytes]:
    """The content of an archive, decrypted piece by piece; a file that was cut off raises at its end.

    Raises:
        InputError: it is no archive.
        VaultError: the passphrase is wrong, or the file was changed or cut off.
    """
    cipher = _cipher(passphrase, read_salt(file))
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
