"""A failure that a panel met, kept so that it can be handed on as a support bundle."""

import traceback
from pathlib import Path

from msoauth.model import Account, Finding, Firm, Signal
from msoauth.redact import redact
from msoauth.ui.session import Session

_RECENT = 200  # findings of the mailbox that go along


def support_bundle(session: Session, problem: Exception, where: str) -> tuple[Path, bytes]:
    """Write a bundle of *problem* into the workspace: where it is, and its content.

    Args:
        where: The panel.

    Raises:
        InputError: it cannot be written.
    """
    from msoauth.reports.bundle import bundle  # brings the templates, which are wanted only now

    # A failure before there is a firm or a mailbox is worth a bundle as well.
    firm = session.firm() or Firm("-", "-", "-")
    account = session.account() or Account("nobody@nowhere.invalid", firm.name)
    past = list(session.workspace.journal.findings(account=account.address, limit=_RECENT))
    last = [finding for finding in past if finding.run == past[-1].run]
    told = Finding(
        f"panel.{where}",
        Signal.ERROR,
        redact(f"{type(problem).__name__}: {problem}"),
        evidence=redact("".join(traceback.format_exception(problem))),
        cause="unknown",
        firm=firm.name,
        account=account.address,
    )
    made = bundle(session.workspace, firm, account, [*last, told], {})
    folder = session.workspace.folder / "bundles"
    folder.mkdir(parents=True, exist_ok=True)
    made.write(folder / made.suggested_name)
    return folder / made.suggested_name, made.as_zip()
