"""Makes TLS client contexts that trust what the operating system trusts; each serves thousands of connections."""

import functools
import ssl
import sys
import threading
from pathlib import Path

import truststore

_local = threading.local()


def context(ca_file: str | None) -> ssl.SSLContext:
    """TLS 1.2 or later, verified by *ca_file* or else the operating system's store.

    On Linux the system's store is a file that OpenSSL reads, once. On Windows and macOS the system itself verifies,
    through truststore, which lets one handshake of a context happen at a time: there each thread gets its own.

    Raises:
        OSError: the file cannot be read, or holds no certificate.
    """
    if ca_file:
        return _of_file(ca_file, Path(ca_file).stat().st_mtime_ns)
    shared = _of_openssl()
    if shared is not None:
        return shared
    kept: ssl.SSLContext | None = getattr(_local, "context", None)
    if kept is None:
        kept = _local.context = _strict(truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    return kept


@functools.lru_cache(maxsize=16)
def _of_file(ca_file: str, _changed: int) -> ssl.SSLContext:
    return _strict(ssl.create_default_context(cafile=ca_file))


@functools.lru_cache(maxsize=1)
def _of_openssl() -> ssl.SSLContext | None:
    """The context on systems whose store OpenSSL knows; None elsewhere."""
    if sys.platform in ("win32", "darwin"):
        return None
    made = ssl.create_default_context()
    # A Python that was built elsewhere may look in a place that is not there; truststore knows the usual ones.
    return _strict(made) if made.cert_store_stats()["x509_ca"] else None


def _strict(made: ssl.SSLContext) -> ssl.SSLContext:
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    return made
