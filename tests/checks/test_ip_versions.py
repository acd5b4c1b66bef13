"""IPv6 and IPv4: which one was used, whether the other works, and the other one where a mailbox does not open."""

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from msoauth import checks, clouds
from msoauth.checks import Context
from msoauth.errors import MailError
from msoauth.mail import sockets
from msoauth.mail.imap import ImapSession
from msoauth.model import Finding, Signal
from msoauth.practice import PracticeTenant
from tests.checks.cases import Case, running

MAIL = ("network.pop3", "network.imap", "network.smtp")
SILENT = "192.0.2.1"  # for documentation (RFC 5737): nobody is there
Resolve = Callable[..., None]


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not _has_ipv6(), reason="this computer has no ::1")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    """A practice tenant whose mail servers listen on ::1 and on 127.0.0.1."""
    with running(tmp_path_factory.mktemp("both"), ipv6=True) as case:
        yield case


@pytest.fixture(scope="module")
def only_ipv4(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    with running(tmp_path_factory.mktemp("ipv4")) as case:
        yield case


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Resolve:
    """Let localhost resolve to these addresses, in this order."""
    real = socket.getaddrinfo

    def fake(addresses: tuple[str, ...]) -> Callable[..., Any]:
        def getaddrinfo(host: str, port: int, *rest: Any, **options: Any) -> Any:
            if host != "localhost":
                return real(host, port, *rest, **options)
            return [
                found for one in addresses for found in _look_up(real, one, port, *rest, **options)
            ]

        return getaddrinfo

    def to(*addresses: str) -> None:
        getaddrinfo = fake(addresses)

        def look_up(host: str, port: int, *_rest: Any) -> list[sockets.Address]:
            """As the function in place of which it stands, but nothing is remembered from an earlier test."""
            found = getaddrinfo(host, port, type=socket.SOCK_STREAM)
            both = [(family, address) for family, *_kind, address in found]
            return sorted(both, key=lambda one: one[0] != socket.AF_INET6)

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        monkeypatch.setattr(sockets, "resolve", look_up)

    return to


def _look_up(real: Callable[..., Any], address: str, *rest: Any, **options: Any) -> Any:
    try:
        return real(address, *rest, **options)
    except socket.gaierror:  # no address of the version that is asked for
        return []


def _check(case: Case, kind: str = "imap", *, login: bool = False) -> dict[str, Finding]:
    account = case.signed_in_account(kind)
    options = checks.RunOptions(second_try_after=0.0)
    context = Context(
        case.workspace, case.workspace.firms.get(account.firm), account, options=options
    )
    wanted = checks.DIAGNOSE if login else checks.NETWORK
    return {finding.check: finding for finding in checks.run(wanted, context)}


def test_a_host_of_one_ip_version_is_told_with_it(only_ipv4: Case, resolve: Resolve) -> None:
    resolve("127.0.0.1")
    found = _check(only_ipv4)["network.imap"]
    assert found.signal is Signal.PASSED
    assert " answers over IPv4; its certificate" in found.summary
    assert found.facts["family"] == "IPv4"


@needs_ipv6
def test_both_work_and_it_is_told_which_was_used(both: Case, resolve: Resolve) -> None:
    resolve("127.0.0.1", "::1")  # IPv6 is tried first (RFC 8305)
    found = _check(both)
    for name in ("network.imap", "network.smtp"):
        assert "over IPv6; IPv4 works too" in found[name].summary
        assert found[name].evidence == ""
        assert found[name].facts["family"] == "IPv6"


def test_only_one_works_where_the_other_is_refused(only_ipv4: Case, resolve: Resolve) -> None:
    resolve("::1", "127.0.0.1")
    found = _check(only_ipv4)["network.imap"]
    assert found.signal is Signal.PASSED
    assert "over IPv4 only; IPv6 doesn't work here" in found.summary
    assert "::1" in found.evidence


@needs_ipv6
def test_only_one_works_where_the_other_never_answers(
    both: Case, resolve: Resolve, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = sockets.connect_any

    def connect_any(addresses: list[sockets.Address], *rest: Any) -> socket.socket:
        if all(address[0] == SILENT for _family, address in addresses):
            raise TimeoutError(f"{SILENT}: no answer")
        return real([one for one in addresses if one[1][0] != SILENT], *rest)

    monkeypatch.setattr(sockets, "connect_any", connect_any)
    resolve(SILENT, "::1")
    # The sign-in service has IPv4 only here: asked of the server alone.
    cloud = both.workspace.firms.get("Contoso").cloud
    with ImapSession.connect(cloud.imap, ca_file=cloud.ca_file) as session:
        assert (session.connection.family, session.connection.other_family) == ("IPv6", "IPv4")
        assert session.connection.other_family_error(0.5) == f"{SILENT}: no answer"


@needs_ipv6
def test_a_mailbox_that_does_not_open_over_one_is_opened_over_the_other(
    both: Case, resolve: Resolve
) -> None:
    both.signed_in_account("imap")
    resolve("::1", "127.0.0.1")
    faults = both.tenant.state.faults
    faults.set("imap.not-connected", "IPv6")
    try:
        found = _check(both, login=True)["imap.login"]
    finally:
        faults.clear("imap.not-connected")
    assert found.signal is Signal.WARNING
    assert "works over IPv4 only: over IPv6 Microsoft doesn't open the mailbox" in found.summary
    assert "over IPv4 Microsoft" not in found.summary


@needs_ipv6
def test_a_refusal_that_passes_is_not_laid_to_the_ip_version(both: Case, resolve: Resolve) -> None:
    both.signed_in_account("imap")
    resolve("::1", "127.0.0.1")
    take_back = both.tenant.scenarios.start("refusal-passes")
    try:
        found = _check(both, login=True)["imap.login"]
    finally:
        take_back()
    assert found.signal is Signal.PASSED
    assert "The first try was refused" in found.evidence


@needs_ipv6
def test_where_neither_opens_it_the_first_refusal_counts(both: Case, resolve: Resolve) -> None:
    both.signed_in_account("imap")
    resolve("::1", "127.0.0.1")
    take_back = both.tenant.scenarios.start("imap-off")
    try:
        found = _check(both, login=True)["imap.login"]
    finally:
        take_back()
    assert found.signal is Signal.FAILED
    assert found.cause == "mail-login-rejected"


def test_another_refusal_is_not_tried_over_the_other_version(both: Case, resolve: Resolve) -> None:
    """Only "not connected" is tied to the IP version: anything else is no matter of the network."""
    both.signed_in_account("imap")
    resolve("::1", "127.0.0.1")
    take_back = both.tenant.scenarios.start("imap-unavailable")
    try:
        found = _check(both, login=True)["imap.login"]
    finally:
        take_back()
    assert found.cause == "service-unavailable"
    tried = [e.outcome for e in both.tenant.state.log if e.kind == "IMAP"]
    assert tried.count("temporary fault") == 1


@pytest.mark.parametrize(
    ("addresses", "expected"), [(("127.0.0.1",), False), (("127.0.0.1", "::1"), _has_ipv6())]
)
def test_the_practice_tenant_listens_where_localhost_is(
    resolve: Resolve, addresses: tuple[str, ...], expected: bool
) -> None:
    resolve(*addresses)
    with PracticeTenant() as tenant:
        cloud = clouds.load(str(tenant.endpoints_file))
        with ImapSession.connect(cloud.imap, ca_file=cloud.ca_file) as session:
            assert session.connection.family == ("IPv6" if expected else "IPv4")
            assert session.connection.other_family == ("IPv4" if expected else "")


@needs_ipv6
@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
def test_a_connection_can_be_kept_to_one_version(both: Case, resolve: Resolve, family: str) -> None:
    resolve("::1", "127.0.0.1")
    cloud = both.workspace.firms.get("Contoso").cloud
    with ImapSession.connect(cloud.imap, ca_file=cloud.ca_file, family=family) as session:
        assert session.connection.family == family


def test_a_host_without_addresses_of_that_version_is_told(
    only_ipv4: Case, resolve: Resolve
) -> None:
    resolve("127.0.0.1")
    cloud = only_ipv4.workspace.firms.get("Contoso").cloud
    with pytest.raises(MailError, match="no IPv6 address") as told:
        ImapSession.connect(cloud.imap, ca_file=cloud.ca_file, family="IPv6")
    assert told.value.cause == "dns-failed"
