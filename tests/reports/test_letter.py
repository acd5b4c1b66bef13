"""The request to the firm's IT: what it asks for, of whom, and that the commands fit all mailboxes at once."""

import email
import email.policy
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from msoauth import clouds
from msoauth.errors import InputError
from msoauth.model import Account, Signal
from msoauth.reports.letter import letter, of_findings
from msoauth.reports.record import record
from msoauth.store import Workspace
from tests.reports.conftest import ANNA, CLIENT, FIRM, OFFICE, TENANT, WORDS, finding

OFF = "smtp-auth-disabled-mailbox"
BEN = Account("ben@mueller-partner.example", FIRM.name)


def test_one_command_block_serves_all_mailboxes_and_quotes_their_names(
    workspace: Workspace,
) -> None:
    workspace.accounts.add(BEN)
    for account in (ANNA, BEN):
        workspace.journal.append(
            finding(account, "smtp.login", Signal.FAILED, OFF, evidence=WORDS),
            finding(account, "pop3.login"),
        )
    text = letter(workspace, FIRM).document.text()
    assert "'anna.o''brien@mueller-partner.example'," in text
    assert "foreach ($mailbox in $mailboxes) {" in text
    assert "Set-CASMailbox -Identity $mailbox -SmtpClientAuthenticationDisabled $false" in text
    assert "Get-CASMailbox -Identity $mailbox" in text  # how to verify
    assert "Authenticated SMTP" in text
    assert WORDS in text
    assert "t-4711" in text
    assert text.count("\n1. ") == 1
    assert "PowerShell 7.6" in text  # what the module for these commands needs


def test_a_letter_for_one_mailbox_names_only_it(workspace: Workspace) -> None:
    workspace.accounts.add(BEN)
    for account in (ANNA, BEN):
        workspace.journal.append(finding(account, "smtp.login", Signal.FAILED, OFF))
    text = letter(workspace, FIRM, BEN).document.text()
    assert "Set-CASMailbox -Identity 'ben@mueller-partner.example'" in text
    assert "anna" not in text


@pytest.mark.parametrize(
    ("check", "cause", "command"),
    [
        # The switch of SMTP AUTH is that of the mailbox that signs in.
        (
            "smtp.login",
            OFF,
            "Set-CASMailbox -Identity 'anna.o''brien@mueller-partner.example' -SmtpClient",
        ),
        (
            "pop3.login",
            "full-access-missing",
            "Add-MailboxPermission -Identity office@mueller-partner.example -User 'anna.o''brien@mueller-partner.example'",
        ),
        (
            "smtp.send",
            "send-as-denied",
            "Add-RecipientPermission -Identity office@mueller-partner.example -Trustee 'anna.o''brien@mueller-partner.example'",
        ),
        (
            "pop3.login",
            "pop-disabled",
            "Set-CASMailbox -Identity office@mueller-partner.example -PopEnabled $true",
        ),
    ],
)
def test_a_command_for_a_shared_mailbox_names_whom_it_is_about(
    workspace: Workspace, check: str, cause: str, command: str
) -> None:
    workspace.journal.append(finding(OFFICE, check, Signal.FAILED, cause))
    text = letter(workspace, FIRM, OFFICE).document.text()
    assert command in text.replace("'office@mueller-partner.example'", OFFICE.address)


def test_the_admin_consent_link_and_the_ids_of_tenant_and_app_are_there(
    workspace: Workspace,
) -> None:
    workspace.journal.append(
        finding(ANNA, "sign-in.present", Signal.FAILED, "admin-consent-required")
    )
    html = letter(workspace, FIRM).document.html()
    assert f"{TENANT}/" in html
    assert "adminconsent?" in html
    assert html.count(CLIENT) >= 2


def test_what_only_the_user_or_the_consultant_can_mend_is_not_asked_of_the_it(
    workspace: Workspace,
) -> None:
    workspace.journal.append(finding(ANNA, "sign-in.token", Signal.FAILED, "refresh-expired"))
    with pytest.raises(InputError, match="firm's IT"):
        letter(workspace, FIRM)


def test_without_findings_it_says_what_to_do_first(workspace: Workspace) -> None:
    with pytest.raises(InputError, match="diagnose"):
        letter(workspace, FIRM)


def test_what_was_mended_since_is_not_asked_for_again(workspace: Workspace) -> None:
    workspace.journal.append(finding(ANNA, "smtp.login", Signal.FAILED, OFF))
    workspace.journal.append(finding(None, "registration.secret", Signal.FAILED, "secret-expired"))
    workspace.journal.append(
        finding(ANNA, "smtp.login"), finding(ANNA, "registration.secret", minutes=1)
    )
    with pytest.raises(InputError):
        letter(workspace, FIRM)


def test_a_skipped_check_asks_for_nothing(workspace: Workspace) -> None:
    workspace.journal.append(finding(ANNA, "smtp.login", Signal.FAILED, OFF))
    workspace.journal.append(
        finding(ANNA, "network.smtp", Signal.FAILED, "connect-refused"),
        finding(ANNA, "smtp.login", Signal.SKIPPED),
    )
    text = letter(workspace, FIRM).document.text()
    assert "SmtpClientAuthenticationDisabled" not in text
    assert "The port refuses connections" in text


def test_the_mail_opens_as_a_draft_with_text_and_html() -> None:
    made = of_findings(FIRM, [finding(ANNA, "smtp.login", Signal.FAILED, OFF)])
    mail = email.message_from_bytes(
        made.eml("it@firm.example\r\nBcc: x@y.example"), policy=email.policy.default
    )
    assert mail["X-Unsent"] == "1"
    assert mail["Bcc"] is None
    assert FIRM.name in str(mail["Subject"])
    assert [part.get_content_type() for part in mail.walk()] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]
    plain = mail.get_body(("plain",))
    assert plain is not None
    assert "Set-CASMailbox" in plain.get_content()


def test_text_from_outside_becomes_no_html_and_no_markdown() -> None:
    nasty = "<script>alert(1)</script> [x](http://evil.example) `` | # *b*"
    rows = [finding(ANNA, "smtp.login", Signal.FAILED, OFF, evidence=nasty)]
    firm = replace(FIRM, name="<img src=x> | [link](http://evil.example)")
    document = of_findings(firm, rows).document
    assert "<script" not in document.html()
    assert "<img" not in document.html()
    markdown = document.markdown()
    assert "[link](" not in markdown
    assert f"```\n{nasty}" in markdown or f"````\n{nasty}" in markdown


def test_each_cloud_has_its_own_connection_to_exchange() -> None:
    firm = replace(FIRM, cloud=clouds.US_GOV)
    text = of_findings(firm, [finding(ANNA, "smtp.login", Signal.FAILED, OFF)]).document.text()
    assert "-ExchangeEnvironmentName O365USGovGCCHigh" in text
    assert "login.microsoftonline.us" in text


def test_what_a_later_login_answered_is_not_asked_for(workspace: Workspace) -> None:
    refused = finding(ANNA, "smtp.send", Signal.FAILED, OFF)
    workspace.journal.append(refused)
    assert "Authenticated SMTP" in letter(workspace, FIRM).document.text()
    workspace.journal.append(finding(ANNA, "smtp.login"))
    with pytest.raises(InputError, match="Nothing in the latest findings"):
        letter(workspace, FIRM)


def test_what_an_audit_saw_pass_since_for_the_whole_firm_is_not_asked_for(
    workspace: Workspace,
) -> None:
    workspace.journal.append(
        finding(ANNA, "network.smtp", Signal.FAILED, "connect-refused"),
        finding(None, "network.smtp", minutes=1),
        finding(ANNA, "smtp.login", minutes=1),
    )
    with pytest.raises(InputError, match="firm's IT"):
        letter(workspace, FIRM)


def test_a_protocol_that_is_not_used_any_more_is_not_asked_for(workspace: Workspace) -> None:
    workspace.journal.append(
        finding(ANNA, "imap.login", Signal.FAILED, "imap-disabled"), finding(ANNA, "pop3.login")
    )
    with pytest.raises(InputError, match="firm's IT"):
        letter(workspace, FIRM)


def test_the_time_of_the_last_check_is_utc_as_its_label_says() -> None:
    at = datetime(2026, 11, 23, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    refused = replace(finding(ANNA, "smtp.login", Signal.FAILED, OFF), at=at)
    text = of_findings(FIRM, [refused]).document.text()
    assert text.count("2026-11-22 23:30") == 2  # the last check, and what the server said then
    assert "01:30" not in text


def test_without_a_mailbox_no_command_is_announced_for_all_of_them() -> None:
    text = of_findings(FIRM, [finding(None, "smtp.login", Signal.FAILED, OFF)]).document.text()
    assert "Or with PowerShell\n" in text
    assert "for all of them" not in text


def _headings(workspace: Workspace) -> list[str]:
    text = letter(workspace, FIRM).document.markdown()
    return [line for line in text.splitlines() if line.startswith("## ")]


def test_what_an_administrator_must_consent_to_comes_first_and_once(workspace: Workspace) -> None:
    workspace.journal.append(finding(ANNA, "smtp.login", Signal.FAILED, OFF))
    first, second, *_rest = _headings(workspace)
    assert first == "## 1. First: consent for all users, with one click"
    assert second.startswith("## 2. ")
    workspace.journal.append(
        finding(ANNA, "registration.consent", Signal.FAILED, "admin-consent-required")
    )
    first, second, *_rest = _headings(workspace)
    assert first == "## 1. An administrator must approve the app"
    assert second.startswith("## 2. ")
    assert "with one click" not in letter(workspace, FIRM).document.text()


def test_consent_that_an_administrator_gave_is_not_asked_for(workspace: Workspace) -> None:
    given = replace(finding(ANNA, "registration.consent"), facts={"consent": "all"})
    workspace.journal.append(finding(ANNA, "smtp.login", Signal.FAILED, OFF), given)
    assert _headings(workspace)[0].startswith("## 1. Authenticated SMTP")
    assert "adminconsent" not in letter(workspace, FIRM).document.html()


@pytest.mark.parametrize("domain", ["straße.example", "xn--strae-oqa.example", "STRASSE.example"])
def test_a_mailbox_is_found_however_its_domain_is_written(
    workspace: Workspace, domain: str
) -> None:
    carla = Account(f"Carla@{domain}", FIRM.name)
    workspace.accounts.add(carla)
    workspace.journal.append(finding(carla, "smtp.login", Signal.FAILED, OFF))
    assert "carla@" in letter(workspace, FIRM).document.text().lower()
    results = record(workspace, FIRM).text().partition("Test results")[2]
    assert "smtp.login" in results
    assert "carla@" in results.lower()
