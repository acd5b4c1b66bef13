"""Firms, accounts, findings, audits and explanations where Python shows them: at a prompt and in a notebook cell."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import msoauth
from msoauth.display import MOST_ROWS
from msoauth.enrol import enrol
from msoauth.practice import PracticeTenant

EVIL = "<script>alert(1)</script>\x1b[31m\u202e & Sons"
SECRET = "planted-secret-8c1f~value"


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[msoauth.Workspace]:
    with msoauth.Workspace.open(tmp_path / "workspace") as opened:
        yield opened


def filled(ws: msoauth.Workspace, accounts: int) -> None:
    ws.firms.add(msoauth.Firm("Contoso Legal", "contoso.example", "an-id"), secret=SECRET)
    for number in range(accounts):
        ws.accounts.add(msoauth.Account(f"user{number:03}@contoso.example", "Contoso Legal"))


def test_firms_and_accounts_can_be_iterated_counted_and_looked_up(ws: msoauth.Workspace) -> None:
    filled(ws, 2)
    assert [firm.name for firm in ws.firms] == ["Contoso Legal"]
    assert (len(ws.firms), len(ws.accounts)) == (1, 2)
    assert ws.firms["CONTOSO legal "].client_id == "an-id"
    assert ws.accounts["User001@contoso.example"].firm == "Contoso Legal"
    assert "contoso legal" in ws.firms
    assert "user009@contoso.example" not in ws.accounts
    assert 7 not in ws.firms
    assert 7 not in ws.accounts


@pytest.mark.parametrize("table", ["firms", "accounts"])
def test_a_name_that_is_not_there_is_told_in_a_sentence(ws: msoauth.Workspace, table: str) -> None:
    with pytest.raises(LookupError, match="There is no") as missing:
        getattr(ws, table)["nobody@contoso.example"]
    assert isinstance(missing.value, msoauth.MsoauthError)


def test_a_long_table_shows_its_beginning_and_counts_the_rest(ws: msoauth.Workspace) -> None:
    filled(ws, MOST_ROWS + 3)
    lines = repr(ws.accounts).splitlines()
    assert lines[0] == f"{MOST_ROWS + 3} accounts"
    assert lines[1].split() == ["address", "firm", "login", "retrieve"]
    assert lines[-1] == "… and 3 more"
    assert len(lines) == MOST_ROWS + 3
    assert len(ws.accounts.frame()) == MOST_ROWS + 3
    assert ws.accounts._repr_html_().count("<tr>") == MOST_ROWS + 1


def test_what_comes_from_outside_is_data_in_every_table(ws: msoauth.Workspace) -> None:
    finding = msoauth.Finding("smtp.login", msoauth.Signal.FAILED, EVIL, cause="throttled")
    found = msoauth.Findings([finding])
    assert "<script>" not in found._repr_html_()
    assert "\x1b" not in repr(found)
    assert "\u202e" not in repr(found)


def test_no_table_shows_a_secret(ws: msoauth.Workspace) -> None:
    filled(ws, 1)
    for shown in (ws, ws.firms, ws.accounts):
        assert SECRET not in repr(shown) + shown._repr_html_()
    assert SECRET not in ws.firms.frame().to_csv()


def test_findings_are_a_sequence_with_a_verdict() -> None:
    passed = msoauth.Finding("network.smtp", msoauth.Signal.PASSED, "reached")
    failed = msoauth.Finding("smtp.login", msoauth.Signal.FAILED, "refused", cause="throttled")
    skipped = msoauth.Finding("smtp.send", msoauth.Signal.SKIPPED, "not checked")
    found = msoauth.Findings([passed, failed, skipped])
    assert (len(found), found[1], found[-1]) == (3, failed, skipped)
    assert list(found[:1]) == [passed]
    assert found.root_cause is failed
    assert not found.passed
    assert msoauth.Findings([passed]).passed
    assert repr(msoauth.Findings()) == "No findings"
    assert list(found.frame()["signal"]) == ["passed", "failed", "skipped"]


@pytest.mark.parametrize("signal", [msoauth.Signal.SKIPPED, msoauth.Signal.NOT_RUN])
def test_what_was_not_checked_has_not_passed(signal: msoauth.Signal) -> None:
    passed = msoauth.Finding("network.smtp", msoauth.Signal.PASSED, "reached")
    assert not msoauth.Findings().passed
    assert not msoauth.Findings([passed, msoauth.Finding("smtp.send", signal, "")]).passed


def test_an_audit_says_what_is_wrong_by_cause_and_writes_its_reports(
    ws: msoauth.Workspace, tmp_path: Path
) -> None:
    with PracticeTenant(scenarios=["pop-off@anna.lindqvist@contoso.example"]) as tenant:
        for _address in enrol(ws, tenant.endpoints_file):
            pass
        result = msoauth.audit(ws, "Contoso Legal", progress=False)
    assert [problem.accounts for problem in result.problems] == [
        ("anna.lindqvist@contoso.example",)
    ]
    assert result.problems.frame()["addresses"].tolist() == [["anna.lindqvist@contoso.example"]]
    assert repr(result.problems).startswith("1 problem\n")
    assert len(result) == len(ws.accounts)
    assert "anna.lindqvist@contoso.example" in result._repr_html_()
    assert result.findings.root_cause is not None
    result.to_csv(tmp_path / "a.csv")
    result.to_html(str(tmp_path / "a.html"))
    result.to_excel(tmp_path / "a.xlsx")
    assert "anna.lindqvist" in (tmp_path / "a.csv").read_text(encoding="utf-8-sig")
    assert "anna.lindqvist" in (tmp_path / "a.html").read_text(encoding="utf-8")
    assert (tmp_path / "a.xlsx").read_bytes().startswith(b"PK")


def test_share_is_still_taken_with_a_warning(ws: msoauth.Workspace) -> None:
    with pytest.warns(DeprecationWarning, match="share"), pytest.raises(msoauth.MsoauthError):
        msoauth.audit(ws, share=True, progress=False)


def test_an_explanation_reads_as_text_and_as_html() -> None:
    found = msoauth.explain("AADSTS7000222: The provided client secret keys are expired.")
    assert "secret-expired" in repr(found).splitlines()[0]
    assert "1. " in repr(found)
    assert "<ol><li>" in found._repr_html_()
