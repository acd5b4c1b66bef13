"""The panels of the guided notebooks: ``panel = ui.register()`` creates one, ``panel.frame()`` gives its results as a DataFrame.

A new panel shows what the workspace holds already and does nothing until somebody presses a button. `use` sets the
workspace, `journal` lists all findings. In the examples, ``ws`` holds one law firm, Contoso Legal, of the practice
tenant, a Microsoft 365 simulated on this computer. Labels such as "facts F5" in this package refer to docs/facts.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from msoauth.store import Workspace
    from msoauth.ui.audit_panel import AuditPanel
    from msoauth.ui.diagnosis import DiagnosePanel
    from msoauth.ui.mailbox import MailPanel
    from msoauth.ui.registration import RegisterPanel
    from msoauth.ui.start_panel import StartPanel
    from msoauth.ui.users import UsersPanel

__all__ = ["audit", "diagnose", "journal", "mail", "register", "sign_in", "start", "use"]


def use(workspace: "Workspace | None") -> None:
    """Set the workspace for panels created from now on; None selects the default one.

    >>> msoauth.ui.use(ws)
    >>> msoauth.ui.start().frame()["firm"].tolist()
    ['Contoso Legal']
    """
    from msoauth.ui.session import set_workspace

    set_workspace(workspace)


def journal() -> "pd.DataFrame":
    """Every finding recorded in this workspace, as a DataFrame.

    >>> list(msoauth.ui.journal().columns)[:5]
    ['at', 'firm', 'account', 'check', 'signal']
    """
    from msoauth.ui.session import current_session

    return current_session().workspace.journal.frame()


def start() -> "StartPanel":
    """Step 0: an introduction, the state of the workspace, and the next step.

    >>> panel = msoauth.ui.start()
    >>> panel.frame()[["firm", "mailboxes", "signed_in"]].values.tolist()
    [['Contoso Legal', 5, 5]]
    """
    from msoauth.ui.start_panel import StartPanel

    return StartPanel()


def register() -> "RegisterPanel":
    """Step 1: the firm's app registration, validated as it is typed and checked against Microsoft Entra ID.

    Create the panel once, then read its findings in the next cell:

    >>> panel = msoauth.ui.register()
    >>> "check" in panel.frame().columns
    True
    """
    from msoauth.ui.registration import RegisterPanel

    return RegisterPanel()


def sign_in() -> "UsersPanel":
    """Step 2: add the firm's mailboxes, and let each user sign in once.

    >>> panel = msoauth.ui.sign_in()
    >>> "check" in panel.frame().columns
    True
    """
    from msoauth.ui.users import UsersPanel

    return UsersPanel()


def mail() -> "MailPanel":
    """Step 3: retrieve mail, and send a test mail.

    >>> panel = msoauth.ui.mail()
    >>> list(panel.frame().columns)[:3]
    ['date', 'from', 'to']
    """
    from msoauth.ui.mailbox import MailPanel

    return MailPanel()


def diagnose() -> "DiagnosePanel":
    """Step 4: run every check for one account, in order, or explain an error text.

    >>> panel = msoauth.ui.diagnose()
    >>> "check" in panel.frame().columns
    True
    """
    from msoauth.ui.diagnosis import DiagnosePanel

    return DiagnosePanel()


def audit() -> "AuditPanel":
    """Step 5: audit every account of every firm.

    >>> panel = msoauth.ui.audit()
    >>> len(panel.frame())
    5
    """
    from msoauth.ui.audit_panel import AuditPanel

    return AuditPanel()
