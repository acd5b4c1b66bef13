"""What all tests share: no contact with this computer's keyring or workspace, and the real servers' mark."""

import logging
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

pytest_plugins = ["tests.leaks"]

# The same examples in every run: whoever changes something else is not stopped by a text that chance found, and no
# example fails for being slow on a busy machine. `--hypothesis-profile=default` searches on among others.
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

# The program by which we see that a Debian package is installed.
PROGRAMS = {
    "chromium": ("chromium",),
    "curl": ("curl",),
    "dovecot-core": ("dovecot", "/usr/sbin/dovecot"),
    "dovecot-imapd": ("/usr/lib/dovecot/imap",),
    "dovecot-pop3d": ("/usr/lib/dovecot/pop3",),
    "dovecot-submissiond": ("/usr/lib/dovecot/submission",),
    "mpop": ("mpop",),
    "msmtp": ("msmtp",),
    "nodejs": ("node",),
    "npm": ("npm",),
    "postfix": ("/usr/sbin/postfix",),
    "postgresql": ("/usr/lib/postgresql",),
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


@pytest.fixture(autouse=True)
def _apart_from_this_computer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test has a home, a workspace and a passphrase of its own, and no connection of an earlier one."""
    monkeypatch.setenv("MSOAUTH_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setenv("MSOAUTH_PASSPHRASE", "a passphrase for tests")
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    yield
    if (http := sys.modules.get("msoauth.identity.http")) is not None:
        http.forget_connections()  # this process keeps them for what is asked next
