"""Makes TLS client contexts that trust the operating system's certificates, and reuses them for many connections."""

import functools
import ssl
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import truststore

from msoauth.errors import LocalError
from msoauth.private_files import read_bounded
from msoauth.texts import _

if TYPE_CHECKING:
    from cryptography import x509

_MAX_BYTES = 4 << 20  # of a CA file; that of a whole system has 0.3 MB

_local = threading.local()


def context(ca_file: str | None) -> ssl.SSLContext:
    """A client context for TLS 1.2 or later that verifies by *ca_file*, or else by the operating system's store.

    On Linux the system's store is a file that OpenSSL reads once. On Windows and macOS the system itself verifies,
    through truststore, whose contexts do one handshake at a time: there each thread gets a context of its own.

    Raises:
        LocalError: the file cannot be read, or holds no certificate.
    """
    if ca_file:
        try:
            return _context_from_pem(read_bounded(Path(ca_file), _MAX_BYTES))
        except OSError as error:
            raise _unreadable_error(ca_file, error) from None
    from_openssl = openssl_context()
    if from_openssl is not None:
        return from_openssl
    of_thread: ssl.SSLContext | None = getattr(_local, "context", None)
    if of_thread is None:
        of_thread = _local.context = _require_tls_1_2(
            truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        )
    return of_thread


def _unreadable_error(ca_file: str, error: OSError) -> LocalError:
    return LocalError(
        _("The file with the certificates to trust, {file}, cannot be read: {reason}.").format(
            file=ca_file, reason=error.strerror or _("it holds no certificate")
        ),
        evidence=f"{type(error).__name__}: {error}",
        fix=(
            _(
                "Put the file back, or add the firm again with an endpoints file that names another one (ca_file)."
            ),
            _(
                "The file of a practice tenant is gone when the tenant has ended: start it again with msoauth practice serve."
            ),
        ),
    )


def authorities(ca_file: str) -> "tuple[x509.Certificate, ...]":
    """The certificates in a CA file: those, and no others, that :func:`context` trusts.

    Raises:
        OSError: the file cannot be read, or holds no certificate.
    """
    return _certificates(read_bounded(Path(ca_file), _MAX_BYTES))


# OpenSSL finds certificates in a file that other readers pass over ("TRUSTED CERTIFICATE"). So it gets what was read.
@functools.lru_cache(maxsize=64)
def _certificates(pem: bytes) -> "tuple[x509.Certificate, ...]":
    from cryptography import x509  # imported lazily: only endpoints files have a CA file

    try:
        return tuple(x509.load_pem_x509_certificates(pem))
    except ValueError as error:
        raise ssl.SSLError(str(error)) from None


@functools.lru_cache(maxsize=16)
def _context_from_pem(pem: bytes) -> ssl.SSLContext:
    from cryptography.hazmat.primitives.serialization import Encoding

    certificates = b"".join(cert.public_bytes(Encoding.DER) for cert in _certificates(pem))
    return _require_tls_1_2(ssl.create_default_context(cadata=certificates))


@functools.lru_cache(maxsize=1)
def openssl_context() -> ssl.SSLContext | None:
    """A context on systems whose certificate store OpenSSL can read; None elsewhere."""
    if sys.platform in ("win32", "darwin"):
        return None
    default = ssl.create_default_context()
    # A Python built on another distribution may look in the wrong folder and find nothing; truststore tries the usual ones.
    return _require_tls_1_2(default) if default.cert_store_stats()["x509_ca"] else None


def _require_tls_1_2(tls_context: ssl.SSLContext) -> ssl.SSLContext:
    tls_context.minimum_version = ssl.TLSVersion.TLSv1_2
    return tls_context
