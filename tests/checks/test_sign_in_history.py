"""Why nobody has signed in: a refusal during the sign-in is what a diagnosis names afterwards."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from msoauth import checks
from msoauth.errors import AuthError, CancelledError
from msoauth.identity import sign_in_history
from msoauth.model import Account, Finding, Firm, Signal
from msoauth.store import Workspace

FIRM = Firm("Contoso", "contoso.example", "11111111-2222-4333-8444-555555555555")
ANNA = Account("anna@contoso.example", "Contoso")
PAGE = "Need admin approval … AADSTS90094: The grant requires admin permission. Correlation ID: 423fb8ff-6968-4354-98ff-6a9818890b00"
PRESENT = [check for check in checks.SIGN_IN if check.id == "sign-in.present"]


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with Workspace.open(tmp_path / "workspace") as opened:
        opened.firms.add(FIRM)
        opened.accounts.add(ANNA)
        yield opened


def present(workspace: Workspace, said: str = "") -> Finding:
    options = checks.RunOptions(user_reported_error=said)
    [finding] = checks.run(PRESENT, checks.Context(workspace, FIRM, ANNA, options=options))
    return finding


def test_without_a_try_it_only_says_that_nobody_signed_in(workspace: Workspace) -> None:
    assert present(workspace).cause == "session-missing"
    assert present(workspace, "nothing that anybody knows").cause == "session-missing"


def test_what_the_user_saw_on_the_page_is_the_cause_and_is_remembered(workspace: Workspace) -> None:
    found = present(workspace, PAGE)
    assert (found.signal, found.cause) == (Signal.FAILED, "admin-consent-required")
    assert found.ids["correlation_id"].startswith("423fb8ff")
    assert present(workspace).cause == "admin-consent-required"


def test_a_refused_try_is_the_cause_until_one_succeeds(workspace: Workspace) -> None:
    refused = AuthError("refused", cause="account-wrong", evidence="signed in: x@y.example")
    sign_in_history.record(workspace, FIRM, ANNA, refused)
    assert present(workspace).cause == "account-wrong"
    sign_in_history.record(workspace, FIRM, ANNA, None)
    assert present(workspace).cause == "session-missing"  # and signed out since


def test_a_cancelled_attempt_is_skipped_in_the_journal_and_hides_no_refusal(
    workspace: Workspace,
) -> None:
    cancelled = CancelledError("The sign-in was cancelled.")
    sign_in_history.record(workspace, FIRM, ANNA, cancelled)
    [written] = workspace.journal.findings(account=ANNA.address)
    assert (written.signal, written.cause) == (Signal.SKIPPED, None)
    assert present(workspace).cause == "session-missing"
    refused = AuthError("refused", cause="account-wrong", evidence="signed in: x@y.example")
    sign_in_history.record(workspace, FIRM, ANNA, refused)
    sign_in_history.record(workspace, FIRM, ANNA, cancelled)
    assert present(workspace).cause == "account-wrong"


def test_an_attempt_that_timed_out_says_nothing(workspace: Workspace) -> None:
    late = AuthError("Nobody entered the code in time; start again.", cause="code-expired")
    sign_in_history.record(workspace, FIRM, ANNA, late)
    assert present(workspace).cause == "session-missing"
    assert sign_in_history.last_refusal(workspace, ANNA) is None


def test_a_secret_on_the_page_is_not_kept(workspace: Workspace) -> None:
    finding = present(workspace, f"{PAGE} client_secret=planted-marker-4711")
    assert "planted-marker-4711" not in str(finding.as_json())
    kept = [str(f.as_json()) for f in workspace.journal.findings()]
    assert "planted-marker-4711" not in "".join(kept)
