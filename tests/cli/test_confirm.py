"""Attacks by somebody who can write the database, carried out, and `msoauth firm confirm`, which tells of them.

Each points the firm at a second sign-in service on this computer that records what it is sent.
"""

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from msoauth.cli import main
from msoauth.clouds import Cloud, Endpoint
from msoauth.enrol import enrol
from msoauth.practice import PracticeTenant
from msoauth.store import Workspace, schema
from tests.identity.authority import Authority, running

FIRM = "Contoso Legal"
ELSEWHERE = Cloud(
    "elsewhere",
    "https://login.elsewhere.invalid/",
    "https://graph.elsewhere.invalid/",
    "https://outlook.office.com",
    Endpoint("mail.elsewhere.invalid", 995, "implicit"),
    Endpoint("mail.elsewhere.invalid", 993, "implicit"),
    Endpoint("mail.elsewhere.invalid", 587, "starttls"),
)
Run = Callable[..., tuple[int, str, str]]


@dataclass
class Office:
    """A workspace whose users are signed in at a practice tenant, and the host of somebody else."""

    workspace: Workspace
    tenant: PracticeTenant
    thief: Authority
    secret: str
    address: str

    def sql(self, statement: str, **values: object) -> None:
        """Change the database as somebody without its key does."""
        with self.workspace.database.engine.begin() as connection:
            assert connection.execute(sa.text(statement), values).rowcount

    def redirect(self, cloud: Cloud) -> None:
        self.sql("UPDATE firms SET cloud = :cloud", cloud=cloud.to_json())

    def stored(self) -> dict[str, list[Any]]:
        """Everything in the database."""
        with self.workspace.database.read() as connection:
            return {
                table.name: [tuple(row) for row in connection.execute(sa.select(table))]
                for table in schema.metadata.sorted_tables
            }

    def sent_to_thief(self) -> str:
        return json.dumps(self.thief.asked)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with (
        PracticeTenant() as tenant,
        running(tmp_path) as thief,
        Workspace.open() as workspace,
    ):
        addresses = list(enrol(workspace, tenant.endpoints_file))
        secret = str(tenant.endpoints["practice"]["firms"][0]["client_secret"])
        yield Office(workspace, tenant, thief, secret, addresses[0])


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str, typed: str = "", terminal: bool = False) -> tuple[int, str, str]:
        stdin = io.TextIOWrapper(io.BytesIO(typed.encode()), encoding="utf-8")
        stdin.isatty = lambda: terminal  # type: ignore[method-assign]
        monkeypatch.setattr("sys.stdin", stdin)
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        shown = capsys.readouterr()
        return int(ended.value.code or 0), shown.out, shown.err

    return run


def test_an_unattended_audit_sends_no_secret_to_the_host_of_a_changed_row(office: Office) -> None:
    office.redirect(office.thief.firm().cloud)
    before = office.stored()
    done = subprocess.run(
        [sys.executable, "-m", "msoauth", "audit"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=90,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    [line] = done.stderr.splitlines()
    assert "Contoso Legal: the settings that decide where its secrets are sent have changed" in line
    assert "practice → endpoints" in line
    assert f"– → {office.thief.base}" in line
    assert 'msoauth firm confirm "Contoso Legal"' in line
    assert office.thief.asked == []
    assert office.stored() == before


def test_no_command_uses_a_secret_for_a_changed_row(office: Office, run: Run) -> None:
    office.redirect(office.thief.firm().cloud)
    before = office.stored()
    new_secret = "another~client-secret-value-of-a-test"
    for command in (
        ("audit", "--json"),
        ("audit", "--firm", FIRM, "--send"),
        ("firm", "check", FIRM),
        ("firm", "secret", FIRM, "--secret-stdin"),
        ("firm", "consent", FIRM),
        ("fetch", office.address),
        ("send-test", office.address),
        ("diagnose", office.address),
        ("diagnose", office.address, "--admin"),
        ("sign-in", office.address, "--no-open"),
    ):
        status, out, err = run(*command, typed=f"{new_secret}\n")
        assert (status, out) == (3, ""), (command, err)
        assert "msoauth firm confirm" in err, command
        assert office.stored() == before, command
    assert office.thief.asked == []


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE accounts SET firm = 'thief' WHERE address = :address",
        "UPDATE accounts SET login = 'thief@contoso.example' WHERE address = :address",
        "UPDATE tokens SET sealed_for = '{}' WHERE account = lower(:address)",
    ],
)
def test_an_audit_sends_no_token_for_a_changed_account(
    office: Office, run: Run, change: str
) -> None:
    office.workspace.firms.add(office.thief.firm("Thief"))
    office.sql(change, address=office.address)
    before = office.stored()
    status, _out, err = run("audit")
    if "sealed_for" in change:  # the copy alone decides nothing
        assert status == 0, err
        return
    assert status == 3
    assert "anna" in err or office.address in err
    assert office.stored() == before
    assert office.thief.asked == []


def test_what_was_shown_and_confirmed_is_used_again(office: Office, run: Run) -> None:
    thief = office.thief.firm().cloud
    office.redirect(thief)
    status, _out, err = run("firm", "confirm", FIRM)
    assert status == 2
    assert "--yes" in err
    assert run("firm", "confirm", FIRM, typed="n\n")[0] == 130
    assert office.thief.asked == []
    status, out, _err = run("firm", "confirm", FIRM, typed="y\n")
    assert status == 0
    assert thief.authority in out
    assert "practice" in out
    run("firm", "check", FIRM)
    assert office.secret in office.sent_to_thief()  # that is where it goes now
    assert "nothing to confirm" in run("firm", "confirm", FIRM)[1]


def test_a_forged_note_is_marked_and_what_does_not_open_is_forgotten(
    office: Office, run: Run
) -> None:
    office.redirect(office.thief.firm().cloud)
    copy = json.dumps({"tenant": "harmless.example"})
    office.sql("UPDATE firms SET sealed_for = :copy", copy=copy)
    status, _out, err = run("audit")
    assert status == 3
    assert "harmless.example (not verified)" in err
    status, out, _err = run("firm", "confirm", FIRM, "--yes")
    assert status == 0
    assert "harmless.example (not verified)" in out
    assert "client secret" in out
    assert not office.workspace.firms.has_secret(FIRM)
    assert office.secret not in office.sent_to_thief()


def endpoints_file(folder: Path, cloud: Cloud) -> str:
    file = folder / "endpoints.json"
    file.write_text(cloud.to_json(), encoding="utf-8")
    return str(file)


def add(name: str, cloud: str) -> tuple[str, ...]:
    ids = ("--tenant", "contoso.example", "--client-id", "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d")
    return ("firm", "add", name, *ids, "--cloud", cloud, "--secret-stdin")


SECRET = "abc8Q~a-client-secret-value-of-a-test\n"


def test_hosts_that_are_not_microsofts_are_asked_about_before_a_secret_goes_there(
    run: Run, tmp_path: Path
) -> None:
    file = endpoints_file(tmp_path, ELSEWHERE)
    status, _out, err = run(*add("One", file), typed=SECRET)
    assert status == 0
    assert "not Microsoft's: login.elsewhere.invalid" in err
    assert "msoauth firm confirm One" in err
    status, _out, err = run("firm", "check", "One")
    assert status == 3
    assert (
        "(login.elsewhere.invalid, graph.elsewhere.invalid, mail.elsewhere.invalid) are not" in err
    )
    assert run("firm", "confirm", "One", "--yes")[0] == 0
    assert run("firm", "check", "One")[0] != 3  # it is tried, and cannot be resolved
    assert run(*add("Two", file), typed=SECRET + "y\n", terminal=True)[0] == 0
    assert "nothing to confirm" in run("firm", "confirm", "Two")[1]
    assert run(*add("Three", file), typed=SECRET + "n\n", terminal=True)[0] == 0
    assert run("firm", "check", "Three")[0] == 3
    assert (
        "nothing to confirm"
        in run(*add("Four", "usgov"), typed=SECRET)[1] + run("firm", "confirm", "Four")[1]
    )


def test_an_endpoints_file_cannot_call_itself_microsofts_or_practice(
    run: Run, tmp_path: Path
) -> None:
    for name in ("global", "practice"):
        data = json.loads(ELSEWHERE.to_json()) | {"name": name, "practice": {}}
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps(data), encoding="utf-8")
        status, _out, err = run(*add("One", str(file)), typed=SECRET)
        assert status == 2
        assert len(err.splitlines()) == 1
        assert f"“{name}” is reserved" in err
        status, _out, err = run("practice", "enrol", str(file))
        assert status == 2
        assert len(err.splitlines()) == 1


def test_wherever_the_cloud_is_not_microsofts_its_host_is_shown(run: Run, tmp_path: Path) -> None:
    run(*add("One", endpoints_file(tmp_path, ELSEWHERE)), typed=SECRET)
    run(*add("Two", "china"), typed=SECRET)
    shown = "elsewhere (login.elsewhere.invalid)"
    assert shown in run("firm", "list")[1]
    assert shown in run("firm", "show", "One")[1]
    assert shown in run("record", "One")[1]
    assert "login.partner" not in run("firm", "show", "Two")[1]
    one = json.loads(run("firm", "show", "One", "--json")[1])
    assert (one["cloud"], one["host"]) == ("elsewhere", "login.elsewhere.invalid")
