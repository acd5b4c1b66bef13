"""The host of a firm's servers, in everything that is handed on, wherever these are not Microsoft's."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from msoauth.clouds import GLOBAL
from msoauth.model import Account, Finding, Firm, Signal
from msoauth.reports.bundle import bundle
from msoauth.reports.letter import of_findings
from msoauth.reports.record import record
from msoauth.store import Workspace

FIRM = Firm("Contoso Legal", "contoso.example", "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d")
ELSEWHERE = replace(FIRM, cloud=replace(GLOBAL, name="own", authority="https://login.own.example/"))
ANNA = Account("anna@contoso.example", FIRM.name)
FINDING = Finding(
    "smtp.login",
    Signal.FAILED,
    "refused",
    cause="smtp-auth-disabled-mailbox",
    who="tenant-admin",
    firm=FIRM.name,
    account=ANNA.address,
)


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with Workspace.open(tmp_path / "workspace") as opened:
        opened.firms.add(FIRM)
        opened.accounts.add(ANNA)
        yield opened


def handed_on(workspace: Workspace, firm: Firm) -> dict[str, str]:
    workspace.firms.replace(firm)
    pages = bundle(workspace, firm, ANNA, [FINDING], {})
    return {
        "letter": of_findings(firm, [FINDING]).document.text(),
        "record": record(workspace, firm).text(),
        "bundle": pages.files["index.html"],
    }


def test_the_host_stands_beside_the_clouds_name_in_letter_record_and_bundle(
    workspace: Workspace,
) -> None:
    for name, text in handed_on(workspace, ELSEWHERE).items():
        assert "own (login.own.example)" in text, name
    for name, text in handed_on(workspace, FIRM).items():
        assert "global (" not in text, name
