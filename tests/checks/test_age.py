"""How long a refresh token was unused: amber from 60 days, red from 90, and good again once it was renewed."""

from datetime import timedelta
from pathlib import Path

import pytest

from msoauth import checks
from msoauth.model import Account, Finding, Firm, Signal
from msoauth.store import Workspace

FIRM = Firm("Contoso", "contoso.example", "11111111-2222-4333-8444-555555555555")
ANNA = Account("anna@contoso.example", "Contoso")
[AGE] = [check for check in checks.SIGN_IN if check.id == "sign-in.age"]


def age(folder: Path, days: int, *, renewed: bool = False) -> Finding:
    with Workspace.open(folder / "workspace") as workspace:
        context = checks.Context(workspace, FIRM, ANNA)
        context.state.unused_for, context.state.token_renewed = timedelta(days=days), renewed
        [finding] = checks.run([AGE], context)
    return finding


@pytest.mark.parametrize(
    ("days", "signal", "cause"),
    [
        (0, Signal.PASSED, None),
        (59, Signal.PASSED, None),
        (60, Signal.WARNING, None),
        (89, Signal.WARNING, None),
        (90, Signal.FAILED, "refresh-expired"),
    ],
)
def test_an_unused_token_is_amber_from_60_days_and_red_from_90(
    tmp_path: Path, days: int, signal: Signal, cause: str | None
) -> None:
    found = age(tmp_path, days)
    assert (found.signal, found.cause) == (signal, cause)
    assert str(days) in found.summary


def test_a_token_that_could_be_renewed_after_long_is_amber_and_not_red(tmp_path: Path) -> None:
    assert age(tmp_path, 90, renewed=True).signal is Signal.WARNING
    assert age(tmp_path, 3, renewed=True).signal is Signal.PASSED
