"""What a server shows of itself to those who do not believe it: for a diagnosis only, and nothing is told it."""

import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress

from msoauth.clouds import Endpoint


def _believing_nothing() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def begins_with_tls(endpoint: Endpoint, *, timeout: float) -> bool:
    """Whether a port takes a TLS handshake as the first thing; whose certificate it has does not matter here."""
    try:
        with (
            socket.create_connection((endpoint.host, endpoint.port), timeout) as plain,
            _believing_nothing().wrap_socket(plain, server_hostname=endpoint.host),
        ):
            return True
    except (OSError, ValueError):
        return False


def issuer(endpoint: Endpoint, before: Sequence[str], timeout: float) -> str:
    """Who issued the certificate that a server shows, believed or not; an empty text when it cannot be told.

    Args:
        before: What has to be said in plain text before TLS begins.
    """
    with suppress(OSError, ValueError):
        with socket.create_connection((endpoint.host, endpoint.port), timeout) as plain:
            for line in before:
                plain.recv(4096)
                plain.sendall(line.encode() + b"\r\n")
            if before:
                plain.recv(4096)
            with _believing_nothing().wrap_socket(plain, server_hostname=endpoint.host) as secured:
                shown = secured.getpeercert(binary_form=True)
        if shown:
            from cryptography import x509  # only when something is wrong
            from cryptography.x509.oid import NameOID

            name = x509.load_der_x509_certificate(shown).issuer
            for kind in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME):
                for attribute in name.get_attributes_for_oid(kind):
                    return str(attribute.value)[:200]
    return ""
