"""The onboarding record: one page that tells what was set up, what was tested, and what is open."""

from dataclasses import replace
from datetime import date

from msoauth.model import Signal
from msoauth.reports.record import record
from msoauth.store import Workspace
from tests.reports.conftest import ANNA, CLIENT, FIRM, OFFICE, TENANT, finding

TODAY = date(2026, 11, 25)


def green(workspace: Workspace) -> None:
    for account in (ANNA, OFFICE):
        workspace.tokens.save(account.address, "{}", signed_in_as=ANNA.address)
        workspace.journal.append(
            *(finding(account, check) for check in ("pop3.login", "smtp.login", "mail.round-trip"))
        )


def test_a_green_firm_has_registration_permissions_accounts_and_tests(workspace: Workspace) -> None:
    green(workspace)
    workspace.firms.replace(replace(FIRM, secret_expires=date(2027, 6, 1)))
    workspace.firms.set_secret(FIRM.name, "a-secret-value-of-it", expires=date(2027, 6, 1))
    text = record(workspace, workspace.firms.get(FIRM.name), today=TODAY).text()
    for told in (
        TENANT,
        CLIENT,
        "http://localhost",
        "2027-06-01",
        "https://outlook.office.com/SMTP.Send",
        "POP.AccessAsUser.All",
        "offline_access",
        ANNA.address,
        OFFICE.address,
        "mail.round-trip",
    ):
        assert told in text
    assert "All 2 mailboxes work" in text
    assert "None." in text


def test_what_is_not_in_order_is_an_open_point(workspace: Workspace) -> None:
    green(workspace)
    workspace.firms.set_secret(FIRM.name, "a-secret-value-of-it", expires=date(2026, 12, 1))
    workspace.journal.append(
        finding(OFFICE, "smtp.login", Signal.FAILED, "smtp-auth-disabled-mailbox")
    )
    text = record(workspace, workspace.firms.get(FIRM.name), today=TODAY).text()
    assert "1 of 2 mailboxes work" in text
    assert "Renew the client secret before 2026-12-01." in text
    assert f"{OFFICE.address}: smtp.login" in text


def test_a_login_alone_that_never_sent_is_not_called_green(workspace: Workspace) -> None:
    workspace.tokens.save(ANNA.address, "{}", signed_in_as=ANNA.address)
    workspace.journal.append(finding(ANNA, "pop3.login"))
    text = record(workspace, FIRM, today=TODAY).text()
    assert f"{ANNA.address}: retrieving and sending were not tested yet." in text
    assert f"{OFFICE.address}: the user has not signed in yet." in text
    assert "0 of 2 mailboxes work" in text


def test_it_is_one_page_that_loads_nothing(workspace: Workspace) -> None:
    green(workspace)
    page = record(workspace, FIRM).html()
    assert "<script" not in page
    assert "src=" not in page
    assert "default-src 'none'" in page


def test_a_failure_of_the_firm_keeps_its_mailboxes_from_green(workspace: Workspace) -> None:
    green(workspace)
    workspace.journal.append(
        finding(None, "registration.secret", Signal.FAILED, "secret-expired", minutes=1),
        *(
            finding(ANNA, check, Signal.SKIPPED, minutes=1)
            for check in ("sign-in.token", "pop3.login", "smtp.login")
        ),
    )
    text = record(workspace, FIRM, today=TODAY).text()
    assert "1 of 2 mailboxes work" in text  # the other has not been looked at since
    assert f"{FIRM.name}: registration.secret" in text


def test_a_protocol_that_is_not_used_any_more_is_no_open_point(workspace: Workspace) -> None:
    green(workspace)
    workspace.journal.append(finding(ANNA, "imap.login", Signal.FAILED, "imap-disabled"))
    text = record(workspace, FIRM, today=TODAY).text()
    assert "All 2 mailboxes work" in text
    assert "imap" not in text
