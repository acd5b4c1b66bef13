"""The command ``letter`` where there is nothing to ask for: one sentence, and no failure."""

from pathlib import Path

import pytest

from msoauth.cli import main
from msoauth.model import Account, Finding, Firm, Signal
from msoauth.store import Workspace


@pytest.mark.parametrize("known", [True, False])
def test_a_letter_without_anything_to_ask_for_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], known: bool
) -> None:
    file = tmp_path / "letter.txt"
    with Workspace.open(tmp_path / "workspace") as workspace:
        workspace.firms.add(
            Firm("Contoso", "contoso.example", "1a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d")
        )
        workspace.accounts.add(Account("anna@contoso.example", "Contoso"))
        if known:
            passed = Finding(
                "smtp.login", Signal.PASSED, "works", firm="Contoso", account="anna@contoso.example"
            )
            workspace.journal.append(passed)
    with pytest.raises(SystemExit) as ended:
        main(["--workspace", str(tmp_path / "workspace"), "letter", "--to", str(file)])
    out, err = capsys.readouterr()
    assert not ended.value.code
    assert out == ""
    assert err.count("\n") == 1
    assert ("Nothing in the latest findings" if known else "no findings of Contoso yet") in err
    assert not file.exists()
