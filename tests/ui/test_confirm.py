"""The panels, when somebody has changed the database, and when a firm's servers are not Microsoft's."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from msoauth.clouds import GLOBAL
from msoauth.enrol import enrol
from msoauth.model import Account, Firm, Signal
from msoauth.practice import PracticeTenant
from msoauth.ui import header
from msoauth.ui.audit_panel import AuditPanel
from msoauth.ui.diagnosis import DiagnosePanel
from msoauth.ui.mailbox import MailPanel
from msoauth.ui.panel import Panel
from msoauth.ui.registration import RegisterPanel
from msoauth.ui.session import Session
from msoauth.ui.start_panel import StartPanel
from msoauth.ui.users import UsersPanel
from tests.identity.authority import SECRET, Authority, running


@pytest.fixture
def thief(tmp_path: Path) -> Iterator[Authority]:
    """A sign-in service of somebody else, which records what it is sent."""
    with running(tmp_path) as made:
        yield made


def sql(session: Session, statement: str, **values: object) -> None:
    """Change the database as somebody without its key does."""
    with session.workspace.database.engine.begin() as connection:
        assert connection.execute(sa.text(statement), values).rowcount


@pytest.fixture
def robbed(session: Session, thief: Authority) -> Firm:
    """A firm of Microsoft's that somebody has moved to the other service in the database."""
    firm = Firm("Contoso Legal", "contoso.example", "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d")
    session.workspace.firms.add(firm, SECRET)
    for name in ("anna", "max"):
        account = Account(f"{name}@contoso.example", firm.name)
        session.workspace.accounts.add(account)
        session.workspace.tokens.save(account, "{}", signed_in_as=account.address)
    cloud = thief.firm().cloud.to_json()
    sql(session, "UPDATE firms SET cloud = :cloud", cloud=cloud)
    return session.workspace.firms.get(firm.name)


def test_every_panel_shows_old_and_new_and_sends_nothing(
    session: Session, robbed: Firm, thief: Authority
) -> None:
    account = session.workspace.accounts.get("anna@contoso.example")
    register, users = RegisterPanel(session, inline=True), UsersPanel(session, inline=True)
    mail, diagnose = MailPanel(session, inline=True), DiagnosePanel(session, inline=True)
    audit = AuditPanel(session, inline=True)
    presses: dict[Panel, Callable[[], None]] = {
        register: lambda: register.form.press("check"),
        users: lambda: users.sign_in(account),
        mail: lambda: mail.retrieve.press("retrieve"),
        diagnose: lambda: diagnose.choice.press("diagnose"),
        audit: lambda: audit.options.press("audit"),
    }
    for panel, press in presses.items():
        press()
        shown = panel.message.html
        assert "global" in shown, panel
        assert robbed.cloud.authority in shown, panel
        assert 'data-act="confirm"' in shown, panel
        assert panel.state is Signal.ERROR, panel
    users.check(account)
    assert 'data-act="confirm"' in users.message.html
    assert thief.asked == []
    assert list(session.workspace.journal.findings()) == []


def confirm(panel: Panel) -> None:
    """Press the button in the message."""
    panel.message.act("confirm", "")


def test_the_button_accepts_what_was_shown_and_nothing_else(
    session: Session, robbed: Firm, thief: Authority
) -> None:
    panel = RegisterPanel(session, inline=True)
    panel.form.press("check")
    sql(session, "UPDATE firms SET tenant = 'another.example'")
    confirm(panel)
    assert "another.example" in panel.message.html
    assert 'data-act="confirm"' in panel.message.html
    assert session.workspace.firms.unconfirmed(robbed.name) is not None
    confirm(panel)
    assert "Confirmed" in panel.message.html
    assert session.workspace.firms.unconfirmed(robbed.name) is None
    assert thief.asked == []


def test_a_secret_that_is_typed_stays_in_the_form_until_its_host_was_confirmed(
    session: Session, thief: Authority
) -> None:
    elsewhere = replace(GLOBAL, name="own", authority="https://login.own.invalid/")
    firm = Firm("Own", "contoso.example", "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d", elsewhere)
    session.workspace.firms.add(firm)
    panel = RegisterPanel(session, inline=True)
    panel.form.keep_secret("secret", SECRET)
    panel.form.press("check")
    assert "s: login.own.invalid." in panel.message.html
    assert not session.workspace.firms.has_secret("Own")
    confirm(panel)
    panel.form.press("check")
    assert session.workspace.firms.has_secret("Own")
    assert session.workspace.firms.unconfirmed("Own") is None


def test_microsoft_365_chosen_is_microsoft_365_stored(session: Session, robbed: Firm) -> None:
    sql(session, "UPDATE firms SET cloud = replace(cloud, '\"test\"', '\"global\"')")
    panel = RegisterPanel(session, inline=True)
    assert panel.form.text("cloud") != "global"  # the name that somebody wrote is not shown
    panel.form.type("cloud", "global")
    panel.form.press("check")
    assert session.workspace.firms.get(robbed.name).cloud == GLOBAL
    assert session.workspace.firms.unconfirmed(robbed.name) is None


def test_the_practice_firm_needs_no_confirmation_also_after_a_new_start(
    session: Session, tenant: PracticeTenant, tmp_path: Path
) -> None:
    with PracticeTenant() as earlier:
        list(enrol(session.workspace, earlier.endpoints_file))
    panel = RegisterPanel(Session(session.workspace), inline=True)
    panel.on_action("practice", "")
    panel.form.press("check")
    assert panel.state is Signal.PASSED, panel.message.html
    list(enrol(session.workspace, tenant.endpoints_file))
    assert session.workspace.firms.unconfirmed("Contoso Legal") is None


def test_the_host_stands_beside_the_cloud_wherever_it_is_not_microsofts(
    session: Session, robbed: Firm
) -> None:
    host = robbed.cloud.host
    assert host in header.bar(session, 0)
    assert host in str([f["options"] for f in RegisterPanel(session).form.fields if "options" in f])
    assert list(StartPanel(session).frame()["place"]) == [f"test ({host})"]
    session.workspace.firms.replace(replace(robbed, cloud=GLOBAL))
    assert host not in header.bar(session, 0)
    assert "login.microsoftonline" not in header.bar(session, 0)


def test_a_practice_firm_is_called_so_only_on_this_computer(
    session: Session, tenant: PracticeTenant
) -> None:
    list(enrol(session.workspace, tenant.endpoints_file))
    assert "Nothing here reaches Microsoft" in header.badge(session)
    sql(session, "UPDATE firms SET cloud = replace(cloud, 'localhost', 'evil.example')")
    badge = header.badge(session)
    assert "Nothing here reaches Microsoft" not in badge
    assert "Practice" not in badge
    assert "evil.example" in badge
