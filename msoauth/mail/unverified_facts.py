"""What a server shows without certificate verification: for the text of an error only; no secret is ever sent."""

import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress

from msoauth.clouds import Endpoint


def _unverified_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def port_expects_tls(endpoint: Endpoint, *, timeout: float) -> bool:
    """Whether a port expects TLS from the first byte on, with whatever certificate."""
    try:
        with (
            socket.create_connection((endpoint.host, endpoint.port), timeout) as plain,
            _unverified_context().wrap_socket(plain, server_hostname=endpoint.host),
        ):
            return True
    except (OSError, ValueError):
        return False


def certificate_issuer(endpoint: Endpoint, before: Sequence[str], timeout: float) -> str:
    """The organisation, else the common name, that issued a server's certificate, trusted or not; empty if unknown.

    Args:
        before: The commands to send in plain text before TLS (EHLO, STARTTLS).
    """
    with suppress(OSError, ValueError):
        with socket.create_connection((endpoint.host, endpoint.port), timeout) as plain:
            for line in before:
                plain.recv(4096)
                plain.sendall(line.encode() + b"\r\n")
            if before:
                plain.recv(4096)
            with _unverified_context().wrap_socket(plain, server_hostname=endpoint.host) as secured:
                shown = secured.getpeercert(binary_form=True)
        if shown:
            from cryptography import x509  # only when something is wrong
            from cryptography.x509.oid import NameOID

            name = x509.load_der_x509_certificate(shown).issuer
            for kind in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME):
                for attribute in name.get_attributes_for_oid(kind):
                    return str(attribute.value)[:200]
    return ""
