"""The client secret changes, its end is foretold, and an app may act for mailboxes nobody signs in to."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from msoauth.checks import REGISTRATION, Context, run
from msoauth.cli import main
from msoauth.errors import AuthError
from msoauth.identity import access_tokens, app_only, secret_rotation
from msoauth.identity.entra_links import admin_consent_link
from msoauth.model import Account, Firm, Signal
from msoauth.reports import secret_calendar
from msoauth.store import Secret
from msoauth.ui.registration import RegisterPanel
from msoauth.ui.session import Session
from tests.identity.authority import (
    CLIENT,
    SECRET,
    TENANT,
    Answer,
    Authority,
    Form,
    refused,
    running,
)
from tests.identity.conftest import Office

NEW = "xyz8Q~a-new-client-secret-value-of-a-test"
WRONG = refused(
    "invalid_client", "AADSTS7000215: Invalid client secret provided.", 401, error_codes=[7000215]
)


def accepting(authority: Authority, *secrets: str) -> Callable[[Form], Answer]:
    """A token endpoint that knows these secrets."""
    return lambda form: authority.grant(form) if form.get("client_secret") in secrets else WRONG


def test_a_new_secret_that_works_replaces_the_old_one_and_nobody_signs_in_again(
    office: Office, authority: Authority
) -> None:
    office.sign_in()
    authority.token = accepting(authority, NEW)
    secret_rotation.replace_secret(office.workspace, office.firm, NEW, expires=date(2028, 5, 31))
    assert office.workspace.firms.secret("Contoso") == Secret(NEW)
    assert office.workspace.firms.get("Contoso").secret_expires == date(2028, 5, 31)
    access_tokens.access_token(office.workspace, office.anna, force=True)
    assert authority.asked[-1]["client_secret"] == NEW
    assert authority.asked[-1]["grant_type"] == "refresh_token"


def test_a_new_secret_that_is_refused_or_cannot_be_checked_leaves_the_old_one(
    office: Office, authority: Authority
) -> None:
    authority.token = accepting(authority, SECRET)
    with pytest.raises(AuthError) as told:
        secret_rotation.replace_secret(
            office.workspace, office.firm, NEW, expires=date(2028, 5, 31)
        )
    assert told.value.cause == "secret-invalid"
    authority.token = lambda _form: Answer("down", 503)
    with pytest.raises(AuthError):
        secret_rotation.replace_secret(office.workspace, office.firm, NEW)
    assert office.workspace.firms.secret("Contoso") == Secret(SECRET)
    assert office.workspace.firms.get("Contoso").secret_expires is None


@pytest.mark.parametrize("entry", ["token_endpoint", "device_authorization_endpoint"])
def test_a_sign_in_service_that_names_another_host_for_tokens_gets_no_secret(
    office: Office, authority: Authority, tmp_path: Path, entry: str
) -> None:
    (tmp_path / "other").mkdir()
    with running(tmp_path / "other") as other:
        authority.endpoints = {entry: f"{other.base}{TENANT}/oauth2/v2.0/token"}
        with pytest.raises(AuthError, match="names another host"):
            access_tokens.app_token(office.workspace, office.firm)
        assert authority.asked == other.asked == []


def test_a_secret_made_seconds_ago_is_tried_again(office: Office, authority: Authority) -> None:
    waited: list[float] = []

    def wait(seconds: float) -> bool:
        waited.append(seconds)
        if len(waited) == 2:
            authority.token = accepting(authority, NEW)
        return False

    authority.token = accepting(authority, SECRET)
    secret_rotation.replace_secret(office.workspace, office.firm, NEW, wait=wait)
    assert waited == list(secret_rotation.PAUSES)
    assert office.workspace.firms.secret("Contoso") == Secret(NEW)
    authority.token = WRONG_ALWAYS
    with pytest.raises(AuthError, match="Cancelled"):
        secret_rotation.replace_secret(office.workspace, office.firm, SECRET, wait=lambda _s: True)


def WRONG_ALWAYS(_form: Form) -> Answer:  # noqa: N802 - an answer like the others above
    return WRONG


def test_the_form_checks_a_new_secret_before_it_takes_the_old_ones_place(
    office: Office, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secret_rotation, "PAUSES", ())
    panel = RegisterPanel(Session(office.workspace), inline=True)
    authority.token = accepting(authority, SECRET)
    panel.form.type("secret", NEW)
    panel.form.type("expires", "2028-05-31")
    panel.form.press("check")
    assert "the old one stays" in panel.message.html
    assert "Secret ID" in panel.message.html or "secret" in panel.message.html
    assert office.workspace.firms.secret("Contoso") == Secret(SECRET)
    assert panel.form.typed("secret") == NEW  # nothing typed is lost
    authority.token = accepting(authority, NEW)
    panel.form.press("check")
    assert office.workspace.firms.secret("Contoso") == Secret(NEW)
    assert office.workspace.firms.get("Contoso").secret_expires == date(2028, 5, 31)
    assert panel.form.typed("secret") == ""
    assert NEW not in panel.message.html + panel.results.html + str(panel.form.get_state())


@pytest.mark.parametrize(
    ("days", "signal"),
    [(61, Signal.PASSED), (60, Signal.WARNING), (0, Signal.WARNING), (-1, Signal.FAILED)],
)
def test_the_end_of_a_secret_is_warned_of_from_sixty_days_on(
    office: Office, days: int, signal: Signal
) -> None:
    firm = office.authority.firm(secret_expires=datetime.now(UTC).date() + timedelta(days=days))
    office.workspace.firms.replace(firm)
    wanted = [check for check in REGISTRATION if check.id == "registration.secret-end"]
    [finding] = run(wanted, Context(office.workspace, firm))
    assert finding.signal is signal


def _unfolded(content: bytes) -> list[str]:
    for line in content.split(b"\r\n"):
        assert len(line) <= 75
    return content.decode().replace("\r\n ", "").split("\r\n")


def test_the_calendar_reminds_on_each_day_that_is_still_to_come() -> None:
    name = "Müller; Söhne, Rechtsanwälte\nBEGIN:VEVENT – " + "ä" * 60
    firm = Firm(name, TENANT, CLIENT, secret_expires=date(2027, 1, 10))
    content = secret_calendar.calendar(
        [firm, Firm("None", TENANT, CLIENT)], datetime(2026, 12, 1, tzinfo=UTC)
    )
    lines = _unfolded(content)
    assert (lines[0], lines[-2], lines[-1]) == ("BEGIN:VCALENDAR", "END:VCALENDAR", "")
    starts = [line.partition(":")[2] for line in lines if line.startswith("DTSTART")]
    assert starts == ["20261211", "20261227", "20270103", "20270109", "20270110"]
    assert lines.count("BEGIN:VEVENT") == lines.count("BEGIN:VALARM") == 5
    summaries = [line for line in lines if line.startswith("SUMMARY:")]
    assert summaries[0].startswith("SUMMARY:Müller\\; Söhne\\, Rechtsanwälte")
    assert summaries[0].endswith("ends in 30 days")
    assert summaries[-1].endswith("ends today")
    uids = [line for line in lines if line.startswith("UID:")]
    assert len(set(uids)) == 5
    again = secret_calendar.calendar([firm], datetime(2026, 12, 5, tzinfo=UTC))
    assert [line for line in _unfolded(again) if line.startswith("UID:")] == uids


def test_the_calendar_is_saved_by_command_and_by_button(
    office: Office,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    soon = datetime.now(UTC).date() + timedelta(days=90)
    office.workspace.firms.replace(office.authority.firm(secret_expires=soon))
    file = tmp_path / "x.ics"
    with pytest.raises(SystemExit) as ended:
        main(["firm", "calendar", "Contoso", "--to", str(file)])
    assert not ended.value.code
    assert file.read_bytes().count(b"BEGIN:VEVENT") == 6
    saved: list[tuple[str, bytes]] = []
    panel = RegisterPanel(Session(office.workspace), inline=True)
    monkeypatch.setattr(
        panel, "download", lambda name, content, _kind: saved.append((name, content))
    )
    panel.form.press("calendar")
    assert saved[0][0] == "Contoso-secret.ics"
    assert saved[0][1].count(b"BEGIN:VEVENT") == 6
    office.workspace.firms.replace(office.authority.firm())
    with pytest.raises(SystemExit) as ended:
        main(["firm", "calendar"])
    assert ended.value.code == 2
    assert "No end date is recorded" in capsys.readouterr().err


# App-only access


def test_the_steps_in_exchange_carry_the_firms_ids_and_every_mailbox() -> None:
    firm = Firm("O'Brien & Co", TENANT, CLIENT, access="app-only")
    accounts = [Account("a@contoso.example", firm.name), Account("b@contoso.example", firm.name)]
    steps = app_only.exchange_steps(firm, accounts, "the-object-id")
    text = steps.text()
    for words in (
        *app_only.PERMISSIONS,
        f"New-ServicePrincipal -AppId '{CLIENT}' -ObjectId 'the-object-id' -DisplayName 'O''Brien & Co'",
        "'a@contoso.example', 'b@contoso.example' | ForEach-Object { Add-MailboxPermission",
        "-AccessRights FullAccess",
        "Get-MailboxPermission",
        f"Connect-ExchangeOnline -Organization '{TENANT}'\n",
    ):
        assert words in text
    assert "Object ID of the enterprise application" in app_only.exchange_steps(firm, []).text()


def test_the_steps_for_an_app_name_send_as_rbac_and_the_modules_powershell() -> None:
    steps = app_only.exchange_steps(Firm("Contoso", TENANT, CLIENT), [], "the-object-id")
    optional = [command for command in steps.commands if command.startswith("# ")]
    assert "-Trustee 'the-object-id' -AccessRights SendAs" in "".join(optional)
    assert f"'Application SMTP.SendAsApp' -App '{CLIENT}'" in "".join(optional)
    assert not any("SendAs" in c for c in steps.commands if not c.startswith("# "))
    assert any("PowerShell 7.6" in step for step in steps.steps)
    assert any("no such role" in step for step in steps.steps)  # of POP and IMAP
    assert steps.script().endswith(steps.verify[-1])


def test_the_consent_link_asks_for_what_the_firm_uses() -> None:
    firm = Firm("Contoso", TENANT, CLIENT)
    link = admin_consent_link(
        firm, [Account("a@c.example", "x"), Account("b@c.example", "x", protocol="imap")]
    )
    assert link.startswith(
        f"https://login.microsoftonline.com/{TENANT}/v2.0/adminconsent?client_id={CLIENT}&redirect_uri=http%3A%2F%2Flocalhost&scope="
    )
    for scope in ("POP.AccessAsUser.All", "IMAP.AccessAsUser.All", "SMTP.Send", "offline_access"):
        assert scope in link
    app_only = Firm("Contoso", TENANT, CLIENT, access="app-only")
    assert "scope=https%3A%2F%2Fps.outlook.com%2F.default" in admin_consent_link(app_only)


def test_app_only_is_switched_and_its_steps_printed(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, words in (
        (["firm", "app-only", "Contoso"], "app-only access is off"),
        (["firm", "app-only", "Contoso", "--on"], "New-ServicePrincipal"),
        (["firm", "app-only", "Contoso", "--off"], "app-only access is off"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert not ended.value.code
        shown = capsys.readouterr()
        assert words in shown.out
        assert SECRET not in shown.out + shown.err
    assert office.workspace.firms.get("Contoso").access == "delegated"


def test_the_form_takes_app_only_with_a_secret_only_and_shows_the_steps(
    office: Office, authority: Authority
) -> None:
    panel = RegisterPanel(Session(office.workspace), inline=True)
    panel.form.type("app_only", True)
    panel.form.press("check")
    assert office.workspace.firms.get("Contoso").access == "app-only"
    assert "New-ServicePrincipal" in panel.message.html
    assert "Copy the PowerShell" in panel.message.html
    panel.form.press("new")
    panel.form.type("app_only", True)
    panel.form.type("name", "Another")
    panel.form.press("check")
    assert "needs a client secret" in panel.form.errors["secret"]
