"""PostgreSQL alone: TLS to the database, claims that pass a dead computer's accounts on, and a server that goes away."""

import os
import socket
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from msoauth.errors import StoreConnectionError, StoreError
from msoauth.model import Account, Finding, Firm, Signal
from msoauth.store import Workspace
from msoauth.store.audits import Mark
from msoauth.store.engine import is_this_computer
from msoauth.store.export import export_workspace, import_workspace
from msoauth.store.locks import HeldError
from tests.postgres import PASSWORD, Server

pytestmark = [pytest.mark.real("postgresql"), pytest.mark.xdist_group("postgresql")]

FIRM = Firm("Contoso Legal", "contoso.example", "11111111-2222-4333-8444-555555555555")
ACCOUNTS = [Account(f"user{n:02}@contoso.example", FIRM.name) for n in range(20)]


def test_tls_parameters_reach_the_database(server: Server) -> None:
    verified = f"?sslmode=verify-full&sslrootcert={server.ca_file}"
    with Workspace.open(server.new_database(verified)) as workspace:
        with workspace.database.engine.connect() as connection:
            on = connection.exec_driver_sql(
                "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
            ).scalar()
        assert on is True
    wrong = server.folder / "data" / "PG_VERSION"  # no certificate at all, so none can be trusted
    with pytest.raises(StoreError) as refused:
        Workspace.open(server.new_database(f"?sslmode=verify-full&sslrootcert={wrong}"))
    assert PASSWORD not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_database_that_falls_silent_is_not_waited_for_for_hours(server: Server) -> None:
    # A computer that was switched off sends no last word; what the system waits by itself is too long for an audit.
    with (
        Workspace.open(server.new_database()) as workspace,
        workspace.database.engine.connect() as connection,
    ):
        raw: Any = connection.connection.dbapi_connection
        with socket.socket(fileno=os.dup(raw.fileno())) as wire:
            assert wire.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            if sys.platform == "linux":
                waits = wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
                idle = wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
                assert 0 < waits <= 60_000
                assert idle <= 60
        assert raw.info.get_parameters()["connect_timeout"] == "15"
        # And the server does not keep the locks of a computer that died.
        asked = connection.exec_driver_sql("SHOW tcp_keepalives_idle").scalar_one()
        assert 0 < int(asked) <= 60
    own = Workspace.open(server.new_database("?connect_timeout=7"))
    with own, own.database.engine.connect() as connection:
        raw = connection.connection.dbapi_connection
        assert raw.info.get_parameters()["connect_timeout"] == "7"


def test_a_connection_over_the_network_that_others_could_read_is_told(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified = f"sslmode=verify-full&sslrootcert={server.ca_file}"
    monkeypatch.setenv("MSOAUTH_PASSPHRASE", "of no matter")
    with Workspace.open(server.new_database()) as workspace:
        assert workspace.warnings == ()  # it is on this computer
    monkeypatch.setattr("msoauth.store.engine.is_this_computer", lambda _place: False)
    for options, told in (
        ("sslmode=disable", "is not encrypted"),
        ("sslmode=require", "right server"),
    ):
        with Workspace.open(server.new_database(f"?{options}")) as workspace:
            [warning] = workspace.warnings
            assert told in warning
            assert "sslmode=verify-full" in warning
            assert PASSWORD not in warning
    with Workspace.open(server.new_database(f"?{verified}")) as workspace:
        assert workspace.warnings == ()


@pytest.mark.parametrize(
    ("place", "here"),
    [("127.0.0.1", True), ("::1", True), ("/run/postgresql", True), ("localhost", True), ("", True),
     ("10.0.0.7", False), ("db.contoso.example", False), ("2001:db8::7", False)],
)  # fmt: skip
def test_which_places_are_this_computer(place: str, here: bool) -> None:
    assert is_this_computer(place) is here


def test_nobody_claims_what_another_has_claimed(server: Server) -> None:
    place = server.new_database()
    with Workspace.open(place) as workspace:
        workspace.audits.begin("r", "all", ACCOUNTS)
        claimed: list[tuple[str, str]] = []
        gate = threading.Barrier(4)

        def work(name: str) -> None:
            gate.wait()
            while got := workspace.audits.claim("r", name, 3, 60):
                claimed.extend(got)

        threads = [threading.Thread(target=work, args=(f"c{n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert sorted(claimed) == sorted((a.firm, a.address) for a in ACCOUNTS)


def test_the_claims_of_a_silent_computer_are_taken_over_and_its_late_result_is_dropped(
    server: Server,
) -> None:
    with Workspace.open(server.new_database()) as workspace:
        audits = workspace.audits
        audits.begin("r", "all", ACCOUNTS[:2])
        alive = audits.claim("r", "alive", 1, lease=0)
        audits.renew_lease("r", "alive", 60)
        silent = audits.claim("r", "silent", 1, lease=0)  # its lease ends at once
        assert audits.claim("r", "heir", 5, 60) == silent
        late = Mark(FIRM.name, silent[0][1], Signal.PASSED)
        finding = Finding("a.b", Signal.PASSED, "late", firm=FIRM.name, account=silent[0][1])
        assert not audits.complete("r", late, [finding], by="silent")
        assert list(workspace.journal.findings()) == []
        assert audits.complete("r", late, [finding], by="heir")
        assert audits.complete("r", Mark(FIRM.name, alive[0][1], Signal.PASSED), [], by="alive")
        assert audits.counts("r") == {"done": 2}
        assert audits.claim("r", "heir", 5, 60) == []


def test_a_firm_is_claimed_by_one_and_what_is_given_back_is_free(server: Server) -> None:
    with Workspace.open(server.new_database()) as workspace:
        audits = workspace.audits
        audits.begin("r", "all", ACCOUNTS[:3])
        assert audits.claim("r", "one", 1, 60, firm=FIRM.name) == [(FIRM.name, "")]
        assert audits.claim("r", "two", 1, 60, firm=FIRM.name) == []
        assert not audits.firm_is_done("r", FIRM.name)
        assert audits.complete("r", Mark(FIRM.name, "", Signal.PASSED), [], by="one")
        assert audits.firm_is_done("r", FIRM.name)
        assert len(audits.claim("r", "one", 2, 60)) == 2
        audits.release("r", "one")
        assert len(audits.claim("r", "two", 5, 60)) == 3


def test_shared_holders_keep_out_one_who_wants_it_alone(server: Server) -> None:
    place = server.new_database()
    with (
        Workspace.open(place) as one,
        Workspace.open(place) as two,
        one.locks.hold("audit", shared=True),
        two.locks.hold("audit", shared=True),
        Workspace.open(place) as three,
        pytest.raises(HeldError),
        three.locks.hold("audit"),
    ):
        raise AssertionError("it was not alone")


def test_a_database_that_goes_away_is_one_sentence_and_work_goes_on_when_it_is_back(
    server: Server,
) -> None:
    place = server.new_database()
    finding = Finding("a.b", Signal.PASSED, "kept", at=datetime.now(UTC))
    with Workspace.open(place) as workspace:
        workspace.journal.append(finding)
        server.disconnect_all(place)
        with pytest.raises(StoreError, match="does not answer") as gone:
            workspace.journal.append(finding)
        assert PASSWORD not in str(gone.value)
        assert "\n" not in str(gone.value)
        server.allow_connections(place)
        workspace.journal.append(finding)
        assert len(list(workspace.journal.findings())) == 2


def test_a_database_that_goes_away_is_not_taken_for_a_file_that_cannot_be_read(
    server: Server, tmp_path: Path
) -> None:
    place, file = server.new_database(), tmp_path / "whole.msoauth"
    findings = [Finding("a.b", Signal.PASSED, "kept") for _number in range(1500)]

    def gone(_rows: int) -> None:
        raise StoreConnectionError("The workspace's database does not answer.")

    with Workspace.open(place) as workspace:
        workspace.journal.append(*findings)
        with pytest.raises(ConnectionError, match="does not answer"):
            export_workspace(workspace, file, "a long passphrase", on_progress=gone)
        assert not file.exists()
        export_workspace(workspace, file, "a long passphrase")
    empty = server.new_database()
    with Workspace.open(empty) as workspace:
        server.disconnect_all(empty)
        with pytest.raises(ConnectionError, match="does not answer"):
            import_workspace(workspace, file, "a long passphrase")
    with pytest.raises(ConnectionError, match="cannot be opened"):
        Workspace.open("postgresql+psycopg://nobody@127.0.0.1:1/none")
