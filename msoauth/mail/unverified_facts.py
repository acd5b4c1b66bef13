"""Connect without verifying the certificate, to explain an error better; nothing secret is ever sent."""

import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress

from msoauth.clouds import Endpoint
from msoauth.redact import redact


def _unverified_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def port_expects_tls(endpoint: Endpoint, *, timeout: float) -> bool:
    """Whether a port expects TLS from the first byte on; any certificate will do."""
    try:
        with (
            socket.create_connection((endpoint.host, endpoint.port), timeout) as tcp_socket,
            _unverified_context().wrap_socket(tcp_socket, server_hostname=endpoint.host),
        ):
            return True
    except (OSError, ValueError):
        return False


def certificate_issuer(endpoint: Endpoint, commands: Sequence[str], timeout: float) -> str:
    """The organisation, else the common name, that issued a server's certificate, trusted or not; empty if unknown.

    Args:
        commands: The commands to send in tcp_socket text commands TLS (EHLO, STARTTLS).
    """
    with suppress(OSError, ValueError):
        with socket.create_connection((endpoint.host, endpoint.port), timeout) as tcp_socket:
            for line in commands:
                tcp_socket.recv(4096)
                tcp_socket.sendall(line.encode() + b"\r\n")
            if commands:
                tcp_socket.recv(4096)
            with _unverified_context().wrap_socket(
                tcp_socket, server_hostname=endpoint.host
            ) as tls_socket:
                certificate = tls_socket.getpeercert(binary_form=True)
        if certificate:
            from cryptography import x509  # imported lazily: needed for a rejected certificate only
            from cryptography.x509.oid import NameOID

            name = x509.load_der_x509_certificate(certificate).issuer
            for attribute_id in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME):
                for attribute in name.get_attributes_for_oid(attribute_id):
                    return redact(str(attribute.value), 200)
    return ""
