"""The passphrase of the vault: its minimum length, and its way from the environment to this process and its children.

``MSOAUTH_PASSPHRASE`` is removed from the environment when it is read, so that no program that is started afterwards
(JupyterLab, a browser, ``!env`` in a cell) gets it. Child processes that run msoauth get it through a file.

Why a file, and not a socket or a pipe: it works alike on Linux, macOS and Windows, in grandchildren (a command in a
cell of a kernel of JupyterLab), without a thread or a process that has to stay alive; and the operating system decides
who reads it: this user only. The file is encrypted with a key that is in the environment only. So neither the file,
which a crash may leave behind, nor the saved output of ``!env`` is enough to get the passphrase. Another program of
the same user can combine them: nothing protects the passphrase from such a program.
"""

import atexit
import base64
import os
import secrets
import shutil
import sys
import tempfile
import threading
import warnings
from pathlib import Path

from msoauth import private_files, redact
from msoauth.errors import VaultError
from msoauth.texts import _

VARIABLE = "MSOAUTH_PASSPHRASE"

# Where child processes find the passphrase: the key of the file, a colon, and the file's path.
HANDOVER_VARIABLE = "MSOAUTH_PASSPHRASE_FILE"

MIN_LENGTH = (
    12  # characters of a new passphrase; a shorter one of an existing workspace still opens it
)

_NONCE_BYTES = 12
_PURPOSE = b"msoauth passphrase"

_lock = threading.Lock()
_taken: str | None = None  # what was read from the environment
_handed_over: str | None = None  # what stood in HANDOVER_VARIABLE
_folder: Path | None = None  # of the files that this process hands over


def problem(passphrase: str) -> str | None:
    """What is wrong with a new passphrase, as a sentence, or None.

    >>> problem("correct horse battery staple") is None
    True
    """
    if len(passphrase) < MIN_LENGTH:
        return _(
            "The passphrase needs at least {n} characters: anyone who gets a copy can try to guess it."
        ).format(n=MIN_LENGTH)
    return None


def withdraw(*, for_children: bool = True) -> None:
    """Remove the passphrase from the environment, and keep it for :func:`current`.

    Args:
        for_children: Whether child processes that run msoauth shall find it. The command line wants none to: it starts
            the notebooks only, and calls :func:`hand_over` for them.
    """
    global _taken, _handed_over
    with _lock:
        value = os.environ.pop(VARIABLE, None)
        if value is None:
            _handed_over = os.environ.get(HANDOVER_VARIABLE, _handed_over)
        else:
            # Set anew, perhaps to nothing: what was known before does not count any more.
            _taken, _handed_over = value or None, None
            redact.remember(_taken)
            os.environ.pop(HANDOVER_VARIABLE, None)
            if _taken is not None and for_children:
                os.environ[HANDOVER_VARIABLE] = hand_over(_taken, _own_folder())
                _warn_in_kernel()
        if not for_children:
            os.environ.pop(HANDOVER_VARIABLE, None)


def current() -> str | None:
    """The passphrase from the environment, or from the process that started this one; None if there is none.

    Raises:
        VaultError: it was handed over, and cannot be read any more.
    """
    global _taken
    withdraw()
    with _lock:
        if _taken is None and _handed_over:
            _taken = _read(_handed_over)
            redact.remember(_taken)
        return _taken


def hand_over(passphrase: str, folder: Path) -> str:
    """Write the passphrase for child processes into a file in *folder*; returns the value of :data:`HANDOVER_VARIABLE`.

    Args:
        folder: Readable for this user only; the caller deletes it.
    """
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    key, nonce = AESGCM.generate_key(bit_length=256), secrets.token_bytes(_NONCE_BYTES)
    file = folder / f"passphrase-{secrets.token_hex(4)}"
    with os.fdopen(private_files.create(file), "wb") as out:
        out.write(nonce + AESGCM(key).encrypt(nonce, passphrase.encode(), _PURPOSE))
    return f"{base64.urlsafe_b64encode(key).decode()}:{file}"


def _read(handed_over: str) -> str:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    key, _colon, path = handed_over.partition(":")
    try:
        content = Path(path).read_bytes()
        cipher = AESGCM(base64.urlsafe_b64decode(key))
        return cipher.decrypt(content[:_NONCE_BYTES], content[_NONCE_BYTES:], _PURPOSE).decode()
    except (OSError, ValueError, InvalidTag):
        raise VaultError(
            _(
                "The passphrase that was handed over to this program cannot be read any more. Start msoauth lab again, "
                "or set MSOAUTH_PASSPHRASE."
            )
        ) from None


def _own_folder() -> Path:
    """A folder for what this process hands over, deleted when it exits."""
    global _folder
    if _folder is None:
        _folder = Path(tempfile.mkdtemp(prefix="msoauth-"))
        atexit.register(_delete, _folder, os.getpid())
    return _folder


def _delete(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # not in a forked child
        shutil.rmtree(folder, ignore_errors=True)


def _warn_in_kernel() -> None:
    """Warn where a hub or a container set the variable for a kernel, which ``msoauth lab`` never does."""
    ipython = sys.modules.get("IPython")
    if ipython is not None and hasattr(ipython.get_ipython(), "kernel"):
        warnings.warn(
            _(
                "MSOAUTH_PASSPHRASE was set for this notebook from outside, where other programs of the notebook could "
                "read it. msoauth uses it, and has removed it from the environment of this notebook. To pass it on "
                "without that, start the notebooks with: msoauth lab"
            ),
            stacklevel=5,
        )
