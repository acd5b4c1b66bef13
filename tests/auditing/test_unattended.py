"""`msoauth audit` in a process of its own: JSON, exit status, and what holds when it is killed or the disk is full."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from msoauth.auditing import Audit
from msoauth.errors import StoreError
from msoauth.practice import PracticeTenant
from msoauth.practice.state import PracticeState
from msoauth.store import Workspace
from tests.auditing.conftest import Office

MSOAUTH = (sys.executable, "-m", "msoauth")


def command(office: Office, *arguments: str) -> list[str]:
    return [*MSOAUTH, "--workspace", str(office.folder), "audit", *arguments]


def run(office: Office, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(office, *arguments),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=90,
        check=False,
    )


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_json_a_finding_each_and_exit_status_0_when_nothing_is_red(office: Office) -> None:
    done = run(office, "--json")
    assert done.returncode == 0, done.stderr
    findings = lines(done.stdout)
    assert {f["account"] for f in findings} == {"", *office.addresses}
    assert {"check", "signal", "cause", "fix", "who", "firm", "run"} <= set(findings[0])
    assert f"{len(office.addresses)} accounts:" in done.stderr


def test_exit_status_1_and_one_line_for_what_hangs_on_one_cause(
    office: Office, tmp_path: Path
) -> None:
    for address in office.addresses[:3]:
        office.mailbox_off(address)
    done = run(
        office,
        "--html",
        str(tmp_path / "a.html"),
        "--csv",
        str(tmp_path / "a.csv"),
        "--xlsx",
        str(tmp_path / "a.xlsx"),
    )
    assert done.returncode == 1, done.stderr
    assert "3 accounts: Authenticated SMTP" in done.stdout
    assert (tmp_path / "a.xlsx").read_bytes().startswith(b"PK")
    assert "Authenticated SMTP" in (tmp_path / "a.html").read_text(encoding="utf-8")
    assert (tmp_path / "a.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    assert not list(tmp_path.glob(".*.part"))
    later = run(office, "--no-run")
    assert later.returncode == 1
    assert "3 accounts: Authenticated SMTP" in later.stdout


def test_a_report_that_cannot_be_written_is_refused_before_the_work(office: Office) -> None:
    done = run(office, "--html", str(office.folder / "nowhere" / "a.html"))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert not list(office.workspace.journal.findings())


@contextmanager
def held_up(tenant: PracticeTenant, logins: int) -> Iterator[None]:
    """From so many POP3 logins on nothing is answered: no audit comes to its end, however long somebody waits."""
    state, done = tenant.state, 0
    log_event = PracticeState.log_event

    def count(of: PracticeState, kind: str, outcome: str, **about: Any) -> None:
        nonlocal done
        log_event(of, kind, outcome, **about)
        done += kind == "POP3" and outcome.endswith("accepted")
        state.latency = 60.0 if done >= logins else 0.0

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(PracticeState, "log_event", count)
        yield
    state.latency = 0.0


@pytest.mark.parametrize(
    "accounts", [4, *(pytest.param(n, marks=pytest.mark.release) for n in (2, 3, 5, 6, 7) * 4)]
)
def test_a_killed_audit_loses_no_finding_that_it_reported_and_goes_on(
    office: Office, accounts: int
) -> None:
    with (
        held_up(office.tenant, logins=accounts + 1),
        subprocess.Popen(
            command(office, "--json", "--workers", "2"),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as running,
    ):
        assert running.stdout is not None
        told = []
        for line in running.stdout:
            told.append(json.loads(line))
            if len({f["account"] for f in told}) == accounts:
                break
        running.kill()
        told += [json.loads(line) for line in running.stdout if line.endswith("\n")]
    kept = {(f.account, f.check) for f in office.workspace.journal.findings()}
    assert {(f["account"], f["check"]) for f in told} <= kept
    rest = run(office, "--json")
    assert rest.returncode == 0
    assert "Going on with the audit" in rest.stderr
    again = {f["account"] for f in lines(rest.stdout)} & {f["account"] for f in told} - {""}
    assert not again
    [finished] = office.workspace.audits.finished(2)
    assert finished.summary["accounts"] == len(office.addresses)


@pytest.mark.skipif(os.name != "posix", reason="limits on the size of files are POSIX")
def test_a_full_disk_is_one_sentence_and_the_run_goes_on_later(office: Office) -> None:
    # A limit on the size of files fails a write just as a full disk does, and needs no disk of its own.
    grown = max(f.stat().st_size for f in office.folder.iterdir() if f.is_file())
    script = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({grown + 60_000},) * 2);"
        "from msoauth.cli import main; main(sys.argv[1:])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *command(office, "--workers", "2")[3:]],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "disk is full" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    rest = run(office, "--json")
    assert rest.returncode == 0, rest.stderr
    [finished] = office.workspace.audits.finished(2)
    assert finished.summary["accounts"] == len(office.addresses)


@pytest.mark.skipif(os.name != "posix" or os.getuid() == 0, reason="root writes everywhere")
def test_a_read_only_folder_is_one_sentence(office: Office) -> None:
    office.workspace.close()
    for file in (office.folder, *office.folder.iterdir()):
        file.chmod(0o500 if file.is_dir() else 0o400)
    try:
        done = run(office)
    finally:
        for file in (office.folder, *office.folder.iterdir()):
            file.chmod(0o700)
    assert done.returncode == 2
    assert "read-only" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_without_the_passphrase_nothing_is_begun_and_one_sentence_says_why(office: Office) -> None:
    office.workspace.vault.change("passphrase", "the firm's own")
    without = {n: value for n, value in os.environ.items() if "PASSPHRASE" not in n}
    for environment in (without, without | {"MSOAUTH_PASSPHRASE": "another one"}):
        done = subprocess.run(
            command(office),
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=60,
            check=False,
            env=environment,
        )
        assert done.returncode == 2
        assert "MSOAUTH_PASSPHRASE" in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert not list(office.workspace.journal.findings())
    assert not office.workspace.audits.finished(1)


def test_a_database_that_may_only_be_read_is_one_sentence(office: Office) -> None:
    with Workspace.open(office.folder) as other:

        @event.listens_for(other.database.engine, "connect")
        def _read_only(connection: Any, _record: object) -> None:
            connection.execute("PRAGMA query_only = ON")

        other.database.engine.dispose()
        with pytest.raises(StoreError, match="read-only"):
            list(Audit(other))


def test_an_empty_workspace_says_what_to_do(tmp_path: Path) -> None:
    done = subprocess.run(
        [*MSOAUTH, "--workspace", str(tmp_path / "new"), "audit"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    assert "msoauth account add" in done.stderr
