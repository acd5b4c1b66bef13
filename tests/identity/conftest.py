"""A scripted authority and a workspace with a firm and a mailbox on it."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from msoauth.identity import signin
from msoauth.identity.environment import Flow
from msoauth.identity.flows import SignIn
from msoauth.model import Account, Firm
from msoauth.store import Workspace
from tests.identity.authority import SECRET, Authority, running


@pytest.fixture
def authority(tmp_path: Path) -> Iterator[Authority]:
    with running(tmp_path) as made:
        yield made


@dataclass
class Office:
    """A workspace with the firm Contoso and Anna's mailbox."""

    workspace: Workspace
    authority: Authority
    firm: Firm
    anna: Account

    def start(self, via: Flow = "browser", **options: Any) -> SignIn[signin.SignedIn]:
        return signin.start(self.workspace, self.anna, via, open_browser=False, **options)

    def sign_in(self, **options: Any) -> signin.SignedIn:
        """Anna signs in by the browser way."""
        return self.finish(
            self.start(), lambda attempt: self.authority.come_back(attempt), **options
        )

    @staticmethod
    def finish(
        attempt: SignIn[signin.SignedIn], act: Callable[[SignIn[signin.SignedIn]], object]
    ) -> signin.SignedIn:
        """Act while somebody waits; what ``wait`` gave.

        Raises:
            AuthError: what ``wait`` raised.
        """
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(attempt.wait, 20)
            act(attempt)
            return waiting.result()


@pytest.fixture
def office(authority: Authority, tmp_path: Path) -> Iterator[Office]:
    with Workspace.open(tmp_path / "workspace") as workspace:
        firm = authority.firm()
        workspace.firms.add(firm, SECRET)
        anna = Account("anna@contoso.example", "Contoso")
        workspace.accounts.add(anna)
        yield Office(workspace, authority, firm, anna)
