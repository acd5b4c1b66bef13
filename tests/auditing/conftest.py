"""What the tests of the audit share: a practice tenant whose users are all signed in."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from msoauth.enrol import enrol
from msoauth.practice import PracticeTenant
from msoauth.store import Workspace
from tests.leaks import long_lived
from tests.postgres import Server, postgresql

FIRM = "Contoso Legal"


@dataclass(frozen=True)
class Office:
    """A practice tenant, and a workspace with all its users."""

    tenant: PracticeTenant
    workspace: Workspace
    folder: Path

    @property
    def addresses(self) -> list[str]:
        return [account.address for account in self.workspace.accounts.list()]

    def mailbox_off(self, address: str) -> None:
        """Switch Authenticated SMTP off for a mailbox, as an administrator would."""
        for firm in self.tenant.state.tenants.values():
            if (mailbox := firm.mailbox(address)) is not None:
                mailbox.smtp_client_authentication_disabled = True


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    folder = tmp_path / "workspace"
    with PracticeTenant(accounts=4) as tenant, Workspace.open(folder) as workspace:
        for _address in enrol(workspace, tenant.endpoints_file):
            pass
        yield Office(tenant, workspace, folder)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with long_lived(postgresql()) as running:
        yield running
