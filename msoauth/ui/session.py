"""Holds what all panels of a kernel share: the workspace, the chosen firm and mailbox, and the language."""

import hashlib
import os
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from msoauth.addresses import same
from msoauth.clouds import MAX_BYTES
from msoauth.lab import PRACTICE_VARIABLE, PUBLIC_VARIABLE
from msoauth.model import Account, Firm
from msoauth.private_files import read_json
from msoauth.store import Workspace
from msoauth.texts import language, use_language
from msoauth.ui.message_order import ui_lock


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
                if same(account["address"], address):
                    return str(account["password"])
        return None


def practice() -> Practice | None:
    """The practice tenant that ``msoauth lab`` started for this kernel, if any."""
    path = os.environ.get(PRACTICE_VARIABLE)
    if not path:
        return None
    try:
        data = read_json(Path(path), MAX_BYTES)["practice"]
        return Practice(Path(path), str(data["admin"]), tuple(data["firms"]))
    except (OSError, ValueError, KeyError):
        return None  # it has ended, and the panels work without it


class Watcher(Protocol):
    """An object to notify when the choice or the language changes."""

    def on_choice(self, *, firm: bool) -> None:
        """Called when another mailbox was chosen or, if *firm* is true, another firm."""

    def draw_bar(self) -> None:
        """Called when only the bar needs to be redrawn."""

    def translate(self) -> None:
        """Called when the language has changed."""


class Session:
    """The workspace, with the firm, mailbox and language chosen in it."""

    def __init__(self, workspace: Workspace | None = None) -> None:
        self.workspace = workspace or Workspace.open()
        self.practice = practice()
        self.public = bool(os.environ.get(PUBLIC_VARIABLE))  # on a public computer such as Binder
        self._watchers: weakref.WeakSet[Watcher] = weakref.WeakSet()
        self._browser_language = ""
        self._choice = self._last_choice()
        self._apply_language()

    def join(self, watcher: Watcher) -> None:
        """Notify *watcher* of changes until it is garbage-collected."""
        with ui_lock:
            self._watchers.add(watcher)

    def firms(self) -> list[Firm]:
        """All firms."""
        return self.workspace.firms.list()

    def firm(self) -> Firm | None:
        """The firm chosen last, else the first."""
        firms = self.firms()
        chosen = self._choice["firm"]
        return next((f for f in firms if f.name == chosen), firms[0] if firms else None)

    def choose_firm(self, name: str, *, by: Watcher | None = None) -> None:
        """Store the choice and notify all panels; the one that made it (*by*) only redraws its bar."""
        self._choose("firm", name, by)

    def accounts(self) -> list[Account]:
        """The accounts of the chosen firm."""
        firm = self.firm()
        return self.workspace.accounts.list(firm.name) if firm else []

    def account(self) -> Account | None:
        """The account chosen last, else the first of the firm."""
        accounts = self.accounts()
        chosen = self._choice["account"]
        return next((a for a in accounts if a.address == chosen), accounts[0] if accounts else None)

    def choose_account(self, address: str, *, by: Watcher | None = None) -> None:
        """Store the choice of an account; see :meth:`choose_firm`."""
        self._choose("account", address, by)

    def _choose(self, what: str, value: str, by: Watcher | None) -> None:
        with ui_lock:
            firm = self.firm()  # another notebook may have chosen a different one
            choice = {**self._choice, "firm": firm.name if firm else None, what: value}
            for name, chosen in choice.items():
                if chosen is not None:
                    self.workspace.settings.set(name, chosen)
            self._apply_choice(choice, by)

    def catch_up(self) -> None:
        """Take over the choice that was made last, perhaps in another notebook."""
        with ui_lock:
            self._apply_choice(self._last_choice(), None)

    def _last_choice(self) -> dict[str, str | None]:
        return {what: self.workspace.settings.get(what) for what in ("firm", "account")}

    def _apply_choice(self, choice: dict[str, str | None], by: Watcher | None) -> None:
        firm, account = self.firm(), self.account()
        self._choice = choice
        if (self.firm(), self.account()) != (firm, account):
            for watcher in list(self._watchers):
                if watcher is by:
                    watcher.draw_bar()
                else:
                    watcher.on_choice(firm=self.firm() != firm)

    def fingerprint(self) -> str:
        """A hash of the firms, the accounts and the choice, to notice changes made by any process."""
        firm, account = self.firm(), self.account()
        parts = [self.firms(), self.accounts(), firm and firm.name, account and account.address]
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    # The language: the one chosen in the bar or with --lang, else the browser's.

    def choose_language(self, code: str) -> None:
        """Store the language and use it from now on."""
        self.workspace.settings.set("language", code)
        self._apply_language()

    def use_browser_language(self, code: str) -> None:
        """Use the browser's language, unless one was chosen."""
        self._browser_language = code
        self._apply_language()

    def _apply_language(self) -> None:
        with ui_lock:
            before = language()
            use_language(
                self.workspace.settings.get("language") or self._browser_language or before
            )
            if language() != before:
                for watcher in list(self._watchers):
                    watcher.translate()


_current_session: Session | None = None


def current_session() -> Session:
    """The session of this kernel, on the default workspace unless :func:`set_workspace` chose another."""
    global _current_session
    with ui_lock:
        if _current_session is None:
            _current_session = Session()
        return _current_session


def set_workspace(workspace: Workspace | None) -> None:
    """Set the workspace for panels created from now on; None selects the default one."""
    global _current_session
    with ui_lock:
        _current_session = None if workspace is None else Session(workspace)
