"""Shared by all tests: isolation from this computer's keyring and workspace, and the mark for tests with real servers."""

import logging
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from msoauth import passphrase

pytest_plugins = ["tests.leaks"]

# The same examples in every run, so that a random one never fails an unrelated change, and no deadline, so that none
# fails on a busy machine. `--hypothesis-profile=default` tries new examples.
hypothesis.settings.register_profile(
    "steady",
    derandomize=True,
    deadline=None,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("steady")

# What a test that fails shows of the practice tenant: why it closed connections.
logging.getLogger("msoauth.practice").setLevel(logging.INFO)

# The folder by which a passphrase reaches child processes is there for as long as the process: no test leaves it open.
os.environ[passphrase.VARIABLE] = "a passphrase for tests"
passphrase.withdraw()
del os.environ[passphrase.HANDOVER_VARIABLE]

# A program of each Debian package, by which we tell that it is installed.
PROGRAMS = {
    "chromium": ("chromium",),
    "curl": ("curl",),
    "default-jdk-headless": ("javac",),
    "dovecot-core": ("dovecot", "/usr/sbin/dovecot"),
    "dovecot-imapd": ("/usr/lib/dovecot/imap",),
    "dovecot-pop3d": ("/usr/lib/dovecot/pop3",),
    "dovecot-submissiond": ("/usr/lib/dovecot/submission",),
    "isync": ("mbsync",),
    "libjakarta-mail-java": ("/usr/share/java/jakarta-mail.jar",),
    "libphp-phpmailer": ("/usr/share/php/libphp-phpmailer/autoload.php",),
    "libsasl2-modules-kdexoauth2": ("/usr/share/doc/libsasl2-modules-kdexoauth2",),
    "mpop": ("mpop",),
    "msmtp": ("msmtp",),
    "neomutt": ("neomutt",),
    "nodejs": ("node",),
    "npm": ("npm",),
    "offlineimap3": ("offlineimap",),
    "php-cli": ("php",),
    "postfix": ("/usr/sbin/postfix",),
    "postgresql": ("/usr/lib/postgresql",),
    "ruby": ("ruby",),
}


def _installed(package: str) -> bool:
    return any(shutil.which(p) or Path(p).exists() for p in PROGRAMS[package])


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("real"):
        missing = [package for package in mark.args if not _installed(package)]
        if missing:
            how = f"needs Debian's {' '.join(missing)}: apt-get install {' '.join(missing)}"
            if os.environ.get("MSOAUTH_REQUIRE_REAL") == "1":
                pytest.fail(how, pytrace=False)
            pytest.skip(how)


@pytest.fixture(autouse=True, scope="module")
def _passphrase_of_fixtures() -> None:
    """Give what a module's fixtures open, before its first test, the same passphrase."""
    os.environ[passphrase.VARIABLE] = "a passphrase for tests"
    passphrase.withdraw(for_children=False)


@pytest.fixture(autouse=True)
def _apart_from_this_computer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give every test its own workspace and passphrase, and no HTTP connection of an earlier test."""
    monkeypatch.setenv("MSOAUTH_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setenv("MSOAUTH_PASSPHRASE", "a passphrase for tests")
    monkeypatch.setenv(passphrase.HANDOVER_VARIABLE, "")
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    yield
    if (http := sys.modules.get("msoauth.identity.http")) is not None:
        http.forget_connections()  # kept open for the next request
