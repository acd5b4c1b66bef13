"""The audit's panel without a browser: audit, cancel, open an account, diagnose it, save; and nothing secret in its state."""

import json
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

from msoauth.enrol import enrol
from msoauth.lab import shipped_notebooks
from msoauth.model import Signal
from msoauth.practice import PracticeTenant
from msoauth.ui.audit_panel import AuditPanel
from msoauth.ui.session import Session


@pytest.fixture
def panel(tenant: PracticeTenant, session: Session) -> AuditPanel:
    for _address in enrol(session.workspace, tenant.endpoints_file):
        pass
    return AuditPanel(session, inline=True)


def rows(panel: AuditPanel) -> list[dict[str, Any]]:
    keys = [column["key"] for column in panel.table.data["columns"]]
    return [dict(zip(keys, row, strict=True)) for row in panel.table.data["rows"]]


def break_smtp(tenant: PracticeTenant, address: str) -> None:
    for firm in tenant.state.tenants.values():
        if (mailbox := firm.mailbox(address)) is not None:
            mailbox.smtp_client_authentication_disabled = True


def test_before_the_first_audit_every_account_is_hollow(panel: AuditPanel) -> None:
    assert {row["signal"] for row in rows(panel)} == {"not-run"}
    assert panel.state is Signal.NOT_RUN


def test_an_audit_turns_the_dots_and_names_what_hangs_on_one_cause(
    panel: AuditPanel, tenant: PracticeTenant
) -> None:
    broken = rows(panel)[0]["account"]
    break_smtp(tenant, broken)
    panel.options.press("audit")
    signals = {row["account"]: row["signal"] for row in rows(panel)}
    assert signals.pop(broken) == "failed"
    assert set(signals.values()) == {"passed"}
    assert panel.state is Signal.FAILED
    assert "1 account: Authenticated SMTP is off" in panel.causes.html
    assert "<svg" in panel.charts.html
    assert re.search(r"Audited: \d+ accounts in \d+ seconds?\.", panel.progress.html)
    assert panel.frame()["signal"].tolist().count("failed") == 1
    assert panel.causes_frame()["count"].tolist() == [1]


def test_a_click_on_an_account_opens_its_findings_and_its_diagnosis(
    panel: AuditPanel, tenant: PracticeTenant
) -> None:
    broken = rows(panel)[0]["account"]
    break_smtp(tenant, broken)
    panel.options.press("audit")
    panel.table.on_message({"event": "open", "value": broken}, [])
    assert "535 5.7.139" in panel.results.html
    for firm in tenant.state.tenants.values():
        for mailbox in firm.mailboxes.values():
            mailbox.smtp_client_authentication_disabled = None
    panel.results.act("diagnose", broken)
    assert "535 5.7.139" not in panel.results.html
    assert {row["signal"] for row in rows(panel)} == {"passed"}


def test_one_cause_is_one_letter_to_the_firms_it(
    panel: AuditPanel, tenant: PracticeTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    firm = next(iter(tenant.state.tenants.values()))
    one, two, other = [row["account"] for row in rows(panel)][:3]
    for address in (one, two):
        break_smtp(tenant, address)
    box = firm.mailbox(other)
    assert box is not None
    box.pop_enabled = False
    panel.options.press("audit")
    assert "Request to the firm&#39;s IT" in panel.causes.html
    panel.causes.act("letter", f"smtp-auth-disabled-mailbox\n{firm.name}")
    assert one in panel.results.html
    assert two in panel.results.html
    assert "Set-CASMailbox" in panel.results.html
    assert other not in panel.results.html
    saved: list[tuple[str, bytes]] = []
    monkeypatch.setattr(
        panel, "download", lambda name, content, _kind: saved.append((name, content))
    )
    panel.results.act("letter-save", "eml")
    [(name, content)] = saved
    assert name.endswith(".eml")
    assert b"X-Unsent: 1" in content


def test_what_has_no_cause_can_be_shown_too(
    panel: AuditPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: dict[str, str] = {}
    monkeypatch.setattr(panel.table, "choose", chosen.__setitem__)
    panel.causes.act("find", "mail.newest\nContoso Legal")
    assert chosen == {"find": "mail.newest", "firm": "Contoso Legal"}


def test_an_unusable_number_of_workers_is_said_at_its_field(panel: AuditPanel) -> None:
    panel.options.type("workers", "many")
    panel.options.press("audit")
    assert "512" in panel.options.errors["workers"]
    assert {row["signal"] for row in rows(panel)} == {"not-run"}


def test_cancel_keeps_what_was_found_out(tenant: PracticeTenant, session: Session) -> None:
    for _address in enrol(session.workspace, tenant.endpoints_file):
        pass
    panel = AuditPanel(session)
    tenant.state.latency = 0.3
    panel.options.press("audit")
    assert panel.state == "running"
    panel.options.press("cancel")
    assert "goes on where this one stopped" in panel.progress.html
    assert panel.state != "running"
    panel.jobs.wait()
    tenant.state.latency = 0.0
    panel.options.press("audit")
    panel.jobs.wait()
    assert {row["signal"] for row in rows(panel)} == {"passed"}


def test_a_diagnosis_that_was_cancelled_says_nothing_of_an_audit(
    tenant: PracticeTenant, session: Session
) -> None:
    for _address in enrol(session.workspace, tenant.endpoints_file):
        pass
    panel = AuditPanel(session)
    tenant.state.latency = 0.3
    panel.results.act("diagnose", rows(panel)[0]["account"])
    panel.message.act("cancel")
    assert "Cancelled." in panel.message.html
    assert "audit" not in panel.message.html + panel.progress.html
    panel.jobs.wait()


def test_another_firm_in_the_line_above_stops_no_audit(panel: AuditPanel, session: Session) -> None:
    panel.jobs.start(lambda _job: session.choose_account(session.accounts()[-1].address))
    assert "Cancelled" not in panel.progress.html


@pytest.mark.parametrize(
    ("kind", "begins"), [("xlsx", b"PK"), ("html", b"<!doctype"), ("csv", b"\xef\xbb\xbf")]
)
def test_reports_are_saved_by_the_browser(
    panel: AuditPanel, monkeypatch: pytest.MonkeyPatch, kind: str, begins: bytes
) -> None:
    saved: list[tuple[str, bytes]] = []
    monkeypatch.setattr(
        panel, "download", lambda name, content, _kind: saved.append((name, content))
    )
    panel.options.press(kind)
    [(name, content)] = saved
    assert name.endswith(kind)
    assert content.startswith(begins)


def test_no_row_and_nothing_secret_is_in_what_a_notebook_could_save(
    panel: AuditPanel, tenant: PracticeTenant
) -> None:
    panel.options.press("audit")
    state = json.dumps(
        [part.get_state() for part in (panel.table, panel.options, panel.causes)], default=str
    )
    secret = next(iter(tenant.state.tenants.values())).app.secrets[0].value
    assert secret not in state
    assert "user00001@" not in json.dumps(panel.table.get_state(), default=str)
    shown = json.dumps(panel.table.data) + panel.results.html
    assert "eyJ" not in shown
    assert secret not in shown


def test_the_notebook_is_shipped_and_holds_no_output() -> None:
    file = Path(shipped_notebooks()) / "5 Audit.ipynb"
    book = nbformat.read(file, as_version=4)  # type: ignore[no-untyped-call]
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert "ui.audit()" in code[0].source
    assert not any(cell.outputs for cell in code)
