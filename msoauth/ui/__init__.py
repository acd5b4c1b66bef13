"""The panels of the guided notebooks; each is one call, and gives its results back as a DataFrame."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from msoauth.ui.audit_panel import AuditPanel
    from msoauth.ui.diagnosis import DiagnosePanel
    from msoauth.ui.mailbox import MailPanel
    from msoauth.ui.registration import RegisterPanel
    from msoauth.ui.start_panel import StartPanel
    from msoauth.ui.users import UsersPanel

__all__ = ["audit", "diagnose", "journal", "mail", "register", "sign_in", "start"]


def journal() -> "pd.DataFrame":
    """Every finding that was ever made in this workspace, as a DataFrame."""
    from msoauth.ui.session import shared

    return shared().workspace.journal.frame()


def start() -> "StartPanel":
    """Step 0: what this is, the state of the workspace, and where to go next."""
    from msoauth.ui.start_panel import StartPanel

    return StartPanel()


def register() -> "RegisterPanel":
    """Step 1: the firm's app registration, checked as it is typed and against the directory."""
    from msoauth.ui.registration import RegisterPanel

    return RegisterPanel()


def sign_in() -> "UsersPanel":
    """Step 2: the firm's mailboxes, and the one sign-in of each user."""
    from msoauth.ui.users import UsersPanel

    return UsersPanel()


def mail() -> "MailPanel":
    """Step 3: mail retrieved, and a test mail sent."""
    from msoauth.ui.mailbox import MailPanel

    return MailPanel()


def diagnose() -> "DiagnosePanel":
    """Step 4: every check for one account, in order; and any error text explained."""
    from msoauth.ui.diagnosis import DiagnosePanel

    return DiagnosePanel()


def audit() -> "AuditPanel":
    """Step 5: every account of every firm at a glance."""
    from msoauth.ui.audit_panel import AuditPanel

    return AuditPanel()
