"""What is known of the consent to a firm's app, and that a tick means what it says."""

from dataclasses import replace

import pytest

from msoauth.model import Account, Finding, Signal
from msoauth.reports.consent import known_consent
from msoauth.store import Workspace
from tests.reports.conftest import ANNA, FIRM, OFFICE, finding

CONSENT, SCOPES, REQUIRED = "registration.consent", "sign-in.scopes", "admin-consent-required"


def _consent(account: Account | None, kind: str, minutes: int = 0) -> Finding:
    return replace(finding(account, CONSENT, minutes=minutes), facts={"consent": kind})


@pytest.mark.parametrize(
    ("findings", "known"),
    [
        ([], "unknown"),
        ([_consent(ANNA, "all")], "all"),
        ([_consent(None, "all")], "all"),
        ([_consent(ANNA, "user")], "unknown"),
        ([_consent(None, "each")], "unknown"),  # the tokens of the mailboxes prove it
        ([finding(ANNA, CONSENT, Signal.WARNING)], "unknown"),
        ([finding(ANNA, CONSENT, Signal.FAILED, REQUIRED)], "required"),
        ([finding(ANNA, "sign-in.attempt", Signal.FAILED, REQUIRED)], "required"),
        ([finding(ANNA, SCOPES)], "unknown"),  # the other mailbox was not checked
        ([finding(ANNA, SCOPES), finding(OFFICE, SCOPES)], "each"),
        (
            [finding(ANNA, SCOPES), finding(OFFICE, SCOPES, Signal.FAILED, "scope-missing")],
            "unknown",
        ),
        (
            [finding(ANNA, CONSENT, Signal.FAILED, REQUIRED), _consent(OFFICE, "all", minutes=1)],
            "all",
        ),
        (
            [_consent(OFFICE, "all"), finding(ANNA, CONSENT, Signal.FAILED, REQUIRED, minutes=1)],
            "required",
        ),
        (
            [
                finding(ANNA, "sign-in.attempt", Signal.FAILED, REQUIRED),
                finding(ANNA, SCOPES, minutes=1),
                finding(OFFICE, SCOPES),
            ],
            "each",
        ),
        (
            [finding(ANNA, SCOPES), finding(OFFICE, "sign-in.present", Signal.FAILED, REQUIRED)],
            "required",
        ),
    ],
)
def test_what_the_findings_say(workspace: Workspace, findings: list[Finding], known: str) -> None:
    workspace.journal.append(*findings)
    assert known_consent(workspace, FIRM) == known
