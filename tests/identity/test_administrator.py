"""An administrator's sign-in: a token for Graph in memory, and nothing that stays."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from msoauth import clouds
from msoauth.claims import read_unverified
from msoauth.errors import CancelledError
from msoauth.identity import administrator
from msoauth.model import Firm
from msoauth.practice import PracticeTenant
from msoauth.store import Workspace
from tests.people import sign_in_as_a_person

ADMIN = "admin@contoso.example"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[PracticeTenant, Workspace, Firm]]:
    with PracticeTenant() as tenant, Workspace.open(tmp_path / "workspace") as workspace:
        noted = tenant.endpoints["practice"]["firms"][0]
        cloud = clouds.load(str(tenant.endpoints_file))
        firm = Firm("Contoso", noted["tenant_id"], noted["client_id"], cloud=cloud)
        workspace.firms.add(firm, noted["client_secret"])
        yield tenant, workspace, firm


def password(tenant: PracticeTenant, address: str) -> str:
    known = tenant.endpoints["practice"]["firms"][0]["accounts"]
    return str(next(a["password"] for a in known if a["address"] == address))


def test_the_token_is_for_graph_and_nothing_of_it_is_stored(
    place: tuple[PracticeTenant, Workspace, Firm],
) -> None:
    tenant, workspace, firm = place
    attempt = administrator.start(workspace, firm, "browser", open_browser=False)
    person = threading.Thread(
        target=sign_in_as_a_person,
        args=(attempt.url, ADMIN, password(tenant, ADMIN)),
        daemon=True,
    )
    person.start()
    token = attempt.wait(20)
    person.join(20)
    said = read_unverified(token.value)
    assert said is not None
    assert said.audience.rstrip("/") == "https://graph.microsoft.com"
    assert said.scopes >= set(administrator.SCOPES)
    assert token.signed_in_as == ADMIN
    assert token.value not in repr(token)
    assert token.value not in str(vars(attempt))
    assert workspace.accounts.list() == []
    assert workspace.tokens.status("") is None
    for file in workspace.folder.rglob("*"):
        if file.is_file():
            assert token.value.encode() not in file.read_bytes()


def test_a_cancelled_sign_in_leaves_no_token(
    place: tuple[PracticeTenant, Workspace, Firm],
) -> None:
    _tenant, workspace, firm = place
    attempt = administrator.start(workspace, firm, "browser", open_browser=False)
    attempt.cancel()
    with pytest.raises(CancelledError):
        attempt.wait(5)
