"""The panels of the guided notebooks: ``panel = ui.register()`` makes one, ``panel.frame()`` gives its results as a DataFrame."""

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
    """Let the panels that are made from now on work on *workspace*; None for the default one.

    >>> msoauth.ui.use(ws)
    >>> msoauth.ui.start().frame()["firm"].tolist()
    ['Contoso Legal']
    """
    from msoauth.ui.session import share

    share(workspace)


def journal() -> "pd.DataFrame":
    """Every finding that was ever made in this workspace, as a DataFrame.

    >>> list(msoauth.ui.journal().columns)[:5]
    ['at', 'firm', 'account', 'check', 'signal']
    """
    from msoauth.ui.session import shared

    return shared().workspace.journal.frame()


def start() -> "StartPanel":
    """Step 0: what this is, the state of the workspace, and where to go next.

    >>> panel = msoauth.ui.start()
    >>> panel.frame()[["firm", "mailboxes", "signed_in"]].values.tolist()
    [['Contoso Legal', 5, 5]]
    """
    from msoauth.ui.start_panel import StartPanel

    return StartPanel()


def register() -> "RegisterPanel":
    """Step 1: the firm's app registration, checked as it is typed and against the directory.

    Make the panel once; its next cell reads the findings:

    >>> panel = msoauth.ui.register()
    >>> "check" in panel.frame().columns
    True
    """
    from msoauth.ui.registration import RegisterPanel

    return RegisterPanel()


def sign_in() -> "UsersPanel":
    """Step 2: the firm's mailboxes, and the one sign-in of each user.

    >>> panel = msoauth.ui.sign_in()
    >>> "check" in panel.frame().columns
    True
    """
    from msoauth.ui.users import UsersPanel

    return UsersPanel()


def mail() -> "MailPanel":
    """Step 3: mail retrieved, and a test mail sent.

    >>> panel = msoauth.ui.mail()
    >>> list(panel.frame().columns)[:3]
    ['date', 'from', 'to']
    """
    from msoauth.ui.mailbox import MailPanel

    return MailPanel()


def diagnose() -> "DiagnosePanel":
    """Step 4: every check for one account, in order; and any error text explained.

    >>> panel = msoauth.ui.diagnose()
    >>> "check" in panel.frame().columns
    True
    """
    from msoauth.ui.diagnosis import DiagnosePanel

    return DiagnosePanel()


def audit() -> "AuditPanel":
    """Step 5: every account of every firm at a glance.

    >>> panel = msoauth.ui.audit()
    >>> len(panel.frame())
    5
    """
    from msoauth.ui.audit_panel import AuditPanel

    return AuditPanel()
