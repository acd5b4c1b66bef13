"""What all panels of a kernel share: the workspace, and which firm and account were chosen last."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msoauth.lab import PRACTICE_VARIABLE
from msoauth.model import Account, Firm
from msoauth.store import Workspace


@dataclass(frozen=True)
class Practice:
    """The running practice tenant, as its endpoints file describes it.

    Attributes:
        file: The endpoints file.
        admin: Where its admin center is.
        firms: Each with ``name``, ``tenant_id``, ``client_id``, ``client_secret`` and ``accounts``.
    """

    file: Path
    admin: str
    firms: tuple[dict[str, Any], ...] = field(repr=False)

    def password(self, address: str) -> str | None:
        """The practice password of a practice user, which is no secret."""
        for firm in self.firms:
            for account in firm["accounts"]:
                if account["address"].casefold() == address.casefold():
                    return str(account["password"])
        return None


def practice() -> Practice | None:
    """The practice tenant that ``msoauth lab`` started for this kernel, if any."""
    place = os.environ.get(PRACTICE_VARIABLE)
    if not place:
        return None
    try:
        data = json.loads(Path(place).read_text(encoding="utf-8"))["practice"]
        return Practice(Path(place), str(data["admin"]), tuple(data["firms"]))
    except (OSError, ValueError, KeyError):
        return None  # it has ended; the forms go on without it


class Session:
    """The workspace of the panels, and the choices that they remember."""

    def __init__(self, workspace: Workspace | None = None) -> None:
        self.workspace = workspace or Workspace.open()
        self.practice = practice()

    def firms(self) -> list[Firm]:
        """All firms."""
        return self.workspace.firms.list()

    def firm(self) -> Firm | None:
        """The firm chosen last, else the first."""
        firms = self.firms()
        chosen = self.workspace.settings.get("firm")
        return next((f for f in firms if f.name == chosen), firms[0] if firms else None)

    def choose_firm(self, name: str) -> None:
        """Remember the firm."""
        self.workspace.settings.set("firm", name)

    def accounts(self) -> list[Account]:
        """The accounts of the chosen firm."""
        firm = self.firm()
        return self.workspace.accounts.list(firm.name) if firm else []

    def account(self) -> Account | None:
        """The account chosen last, else the first of the firm."""
        accounts = self.accounts()
        chosen = self.workspace.settings.get("account")
        return next((a for a in accounts if a.address == chosen), accounts[0] if accounts else None)

    def choose_account(self, address: str) -> None:
        """Remember the account."""
        self.workspace.settings.set("account", address)

    def place(self) -> str:
        """Where one is, in a few words, for the header."""
        return str(self.workspace.folder)


_shared: Session | None = None


def shared() -> Session:
    """The session of this kernel."""
    global _shared
    if _shared is None:
        _shared = Session()
    return _shared
