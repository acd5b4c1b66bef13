"""One TLS context for thousands of connections, that still believes only whom it should."""

import os
import ssl
import sys
from pathlib import Path

import pytest
import trustme

from msoauth import tls
from msoauth.errors import LocalError


def ca(file: Path) -> Path:
    trustme.CA().cert_pem.write_to_path(file)
    return file


def test_a_context_is_made_once_and_verifies(tmp_path: Path) -> None:
    file = str(ca(tmp_path / "ca.pem"))
    made = tls.context(file)
    assert tls.context(file) is made
    assert made.verify_mode is ssl.CERT_REQUIRED
    assert made.check_hostname
    assert made.minimum_version is ssl.TLSVersion.TLSv1_2
    assert made.cert_store_stats()["x509_ca"] == 1  # and not the system's beside it


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    file = ca(tmp_path / "ca.pem")
    made, before = tls.context(str(file)), file.stat()
    ca(file)
    os.utime(
        file, ns=(before.st_atime_ns, before.st_mtime_ns)
    )  # whoever changes a file sets its time, too
    assert tls.context(str(file)) is not made


def test_a_certificate_that_openssl_alone_would_find_in_a_file_is_not_trusted(
    tmp_path: Path,
) -> None:
    file = ca(tmp_path / "ca.pem")
    known = tls.authorities(str(file))
    other = trustme.CA().cert_pem.bytes().replace(b" CERT", b" TRUSTED CERT")
    file.write_bytes(file.read_bytes() + other)
    assert tls.authorities(str(file)) == known
    assert tls.context(str(file)).cert_store_stats()["x509_ca"] == 1
    file.write_bytes(other)
    for use in (tls.authorities, tls.context):
        with pytest.raises((OSError, LocalError)):
            use(str(file))


def test_a_file_without_certificates_is_a_local_error(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(LocalError, match="holds no certificate"):
        tls.context(str(tmp_path / "ca.pem"))


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="the system verifies there itself")
def test_the_systems_store_is_read_once() -> None:
    made = tls.context(None)
    assert tls.context(None) is made
    assert made.verify_mode is ssl.CERT_REQUIRED
    assert made.check_hostname
