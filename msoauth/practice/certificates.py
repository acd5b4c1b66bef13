"""The TLS certificates of a practice tenant: a trusted one, and one that clients must refuse."""

import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import trustme

_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class TlsContexts:
    """The servers' TLS contexts.

    Attributes:
        trusted: Its certificate is issued by the authority in the CA file.
        untrusted: Its certificate is issued by an unknown authority, as behind TLS inspection.
    """

    trusted: ssl.SSLContext
    untrusted: ssl.SSLContext

    @classmethod
    def make(cls, ca_file: Path) -> Self:
        """Create authorities and certificates; write the trusted authority to *ca_file*."""
        # ECDSA: a handshake costs a tenth of what it costs with RSA.
        ca = trustme.CA(organization_name="msoauth practice tenant", key_type=trustme.KeyType.ECDSA)
        with os.fdopen(os.open(ca_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(ca.cert_pem.bytes())
        unknown = trustme.CA(organization_name="Office gateway", key_type=trustme.KeyType.ECDSA)
        return cls(_context(ca), _context(unknown))


def _context(ca: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Clients do not resume sessions, and creating tickets slows each handshake.
    context.num_tickets = 0
    # Some clients, such as offlineimap3, want a common name beside the alternative ones.
    leaf = ca.issue_cert(*_NAMES, common_name=_NAMES[0], key_type=trustme.KeyType.ECDSA)
    leaf.configure_cert(context)
    return context
