"""Where a text leaves more than one cause, what is known of the account decides, and says so."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import msoauth
from msoauth.claims import UnverifiedClaims
from msoauth.cli import main
from msoauth.explaining import AccountFacts, explain, for_cause
from msoauth.identity import access_tokens
from msoauth.identity.known_facts import known_facts
from msoauth.model import Account, Finding, Firm, Signal
from tests.checks.cases import Case, running

POP = "-ERR Authentication failure: unknown user name or bad password."
IMAP = "A3 BAD User is authenticated but not connected."
SMTP = "535 5.7.3 Authentication unsuccessful [DB6P18901CA0015.EURP189.PROD.OUTLOOK.COM]"
FIRM = Firm("Contoso", "contoso.example", "11111111-2222-4333-8444-555555555555")
ANNA = Account("anna@contoso.example", "Contoso")
OFFICE = Account("office@contoso.example", "Contoso", login="anna@contoso.example")
GOOD = UnverifiedClaims(
    audience="https://outlook.office.com",
    scopes=frozenset({"POP.AccessAsUser.All", "IMAP.AccessAsUser.All", "SMTP.Send"}),
    roles=frozenset(),
    user="anna@contoso.example",
    object_id="",
)


def facts(account: Account = ANNA, **known: object) -> AccountFacts:
    return AccountFacts(FIRM, account, **{"claims": GOOD, **known})  # type: ignore[arg-type]


def lacking(scope: str) -> UnverifiedClaims:
    return replace(GOOD, scopes=GOOD.scopes - {scope})


def passed(check: str, **ago: float) -> Finding:
    return Finding(check, Signal.PASSED, "works", at=datetime.now(UTC) - timedelta(**ago))


@pytest.mark.parametrize(
    ("text", "scope"),
    [(POP, "POP.AccessAsUser.All"), (IMAP, "IMAP.AccessAsUser.All"), (SMTP, "SMTP.Send")],
)
def test_a_token_that_lacks_the_protocols_scope_decides(text: str, scope: str) -> None:
    known = explain(text, known=facts(claims=lacking(scope)))
    assert (known.cause, known.confidence) == ("scope-missing", "certain")
    assert scope in known.because
    # The scope of another protocol says nothing about this refusal.
    for other in GOOD.scopes - {scope}:
        assert explain(text, known=facts(claims=lacking(other))).cause != "scope-missing"


@pytest.mark.parametrize(
    ("audience", "cause"),
    [
        ("https://graph.microsoft.com", "audience-wrong"),
        ("00000003-0000-0000-c000-000000000000", "audience-wrong"),
        ("https://outlook.office365.com", "mail-login-rejected"),
    ],
)
def test_a_token_for_graph_decides(audience: str, cause: str) -> None:
    claims = replace(GOOD, audience=audience)
    assert explain(POP, known=facts(claims=claims)).cause == cause


def test_who_signed_in_decides() -> None:
    known = explain(POP, known=facts(claims=replace(GOOD, user="Ben@contoso.example")))
    assert known.cause == "account-wrong"
    assert "Ben@contoso.example" in known.because
    same = replace(GOOD, user="ANNA@contoso.example")
    assert explain(POP, known=facts(claims=same)).cause != "account-wrong"


@pytest.mark.parametrize("text", [POP, IMAP])
def test_of_a_shared_mailbox_full_access_is_missing(text: str) -> None:
    known = explain(text, firm=FIRM, account=OFFICE)
    assert (known.cause, known.confidence) == ("full-access-missing", "likely")
    assert (
        "Add-MailboxPermission -Identity office@contoso.example -User anna@contoso.example"
        in known.powershell[0]
    )
    assert "pop-disabled" not in [one.cause for one in known.possibilities[:1]]


def test_over_smtp_a_shared_mailbox_is_the_sender_only() -> None:
    known = explain(SMTP, account=OFFICE)
    assert known.cause == "mail-login-rejected"
    assert "set anna@contoso.example as the user name" in known.fix[0]


@pytest.mark.parametrize("text", [POP, IMAP, SMTP])
def test_an_app_without_a_user_is_not_known_to_exchange(text: str) -> None:
    app = replace(FIRM, access="app-only")
    assert explain(text, firm=app).cause == "service-principal-missing"
    assert explain(text, firm=app, account=ANNA).cause == "service-principal-missing"
    no_role = replace(GOOD, scopes=frozenset(), user="")
    assert explain(text, known=AccountFacts(app, ANNA, no_role)).cause == "scope-missing"


@pytest.mark.parametrize(
    ("text", "check", "cause"),
    [
        (POP, "smtp.login", "pop-disabled"),
        (POP, "imap.login", "pop-disabled"),
        (IMAP, "smtp.login", "imap-disabled"),
    ],
)
def test_another_protocol_that_took_the_sign_in_leaves_the_switch(
    text: str, check: str, cause: str
) -> None:
    known = explain(text, known=facts(findings=[passed(check, hours=1)]))
    assert (known.cause, known.confidence) == (cause, "likely")
    assert check.partition(".")[0].upper() in known.because
    for too_little in (passed(check, days=3), passed(check.replace("login", "connect"), hours=1)):
        assert explain(text, known=facts(findings=[too_little])).cause == "mail-login-rejected"


def test_what_an_administrators_sign_in_read_decides() -> None:
    finding = Finding("directory.user", Signal.FAILED, "no licence", cause="mailbox-missing")
    known = explain(POP, known=facts(findings=[finding]))
    assert known.cause == "mailbox-missing"
    assert "no licence" in known.because


def test_without_the_facts_the_usual_causes_come_next() -> None:
    known = explain(POP, account=ANNA)
    assert [one.cause for one in known.possibilities] == [
        "mail-login-rejected",
        "pop-disabled",
        "mailbox-missing",
    ]
    assert known.because == ""


def test_a_token_that_is_too_long_gets_its_step() -> None:
    known = explain(IMAP, known=facts(token_length=9_000))
    assert "optional claims" in known.fix[0]
    assert "9,000" in known.because


def test_the_accounts_protocol_counts_where_the_text_names_none() -> None:
    words = "XOAUTH2 authentication failed"
    imap = replace_protocol(ANNA)
    assert explain(words, account=imap).cause == "mail-login-rejected"
    assert "imap-disabled" in [one.cause for one in explain(words, account=imap).possibilities]
    assert "pop-disabled" in [one.cause for one in explain(words, account=ANNA).possibilities]


def replace_protocol(account: Account) -> Account:
    return Account(account.address, account.firm, account.login, "imap")


@pytest.mark.parametrize(
    "text",
    [
        "AADSTS7000222: The provided client secret keys are expired.",
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.",
        "The flux capacitor reports code 88 and stops.",
    ],
)
def test_what_the_text_itself_says_is_not_overruled(text: str) -> None:
    alone = explain(text)
    known = explain(text, known=facts(OFFICE, claims=lacking("SMTP.Send")))
    assert (known.cause, known.confidence, known.because) == (alone.cause, alone.confidence, "")


@pytest.mark.parametrize(
    ("text", "account", "command"),
    [
        (
            "554 5.2.252 SendAsDenied; anna@contoso.example not allowed to send as ben@contoso.example; STOREDRV",
            ANNA,
            "Add-RecipientPermission -Identity ben@contoso.example -Trustee anna@contoso.example",
        ),
        (
            "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
            OFFICE,
            "Add-RecipientPermission -Identity office@contoso.example -Trustee anna@contoso.example",
        ),
        (
            "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox.",
            OFFICE,
            "Set-CASMailbox -Identity anna@contoso.example -SmtpClientAuthenticationDisabled $false",
        ),
    ],
)
def test_a_command_names_the_mailbox_it_is_about(text: str, account: Account, command: str) -> None:
    assert any(command in line for line in explain(text, account=account).powershell)


def test_the_trustee_of_an_app_without_a_user_is_its_service_principal() -> None:
    app = replace(FIRM, access="app-only")
    (command,) = for_cause("send-as-denied", firm=app, account=ANNA).powershell
    assert "-Trustee <Object ID of the enterprise application>" in command


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    with running(tmp_path_factory.mktemp("case")) as made:
        yield made


def test_the_cached_token_is_read_and_nothing_is_contacted(case: Case) -> None:
    account = case.signed_in_account("pop3")
    case.tenant.state.faults.set("token.lacks", "POP.AccessAsUser.All")
    access_tokens.access_token(case.workspace, account, force=True)
    case.tenant.state.faults.clear("token.lacks")
    events = len(case.tenant.state.log)
    known = msoauth.explain(POP, account=account, workspace=case.workspace)
    assert (known.cause, known.confidence) == ("scope-missing", "certain")
    assert len(case.tenant.state.log) == events
    # An expired token still shows what the sign-in granted.
    assert known_facts(case.workspace, account=account).token_length > 500


def test_the_command_tells_what_is_known(
    case: Case, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MSOAUTH_PASSPHRASE", "of a test")
    account = case.signed_in_account("shared")
    workspace = str(case.folder / "workspace")

    def run(*more: str) -> str:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(POP.encode())))
        with pytest.raises(SystemExit) as left:
            main(["--workspace", workspace, "explain", "--account", account.address, *more])
        assert not left.value.code
        return capsys.readouterr().out

    assert f"{account.login} signs in to open the mailbox" in " ".join(run().split())
    answer = json.loads(run("--json"))
    assert answer["cause"] == "full-access-missing"
    assert answer["because"]
    assert answer["possibilities"][0]["cause"] == "full-access-missing"


def test_a_vault_that_does_not_open_leaves_the_rest(case: Case, tmp_path: Path) -> None:
    account = case.signed_in_account("shared")
    case.workspace.journal.append(
        Finding("smtp.login", Signal.PASSED, "works", account=account.address)
    )
    with msoauth.Workspace.open(case.folder / "workspace", passphrase="another one") as locked:
        known = known_facts(locked, account=account)
    assert known.claims is None
    assert known.findings
