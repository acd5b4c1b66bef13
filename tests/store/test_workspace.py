"""What the workspace promises: nothing stored is lost, nothing secret is readable, nothing foreign is opened."""

import dataclasses
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

import msoauth
from msoauth.clouds import US_GOV
from msoauth.errors import InputError, StoreError, VaultError
from msoauth.model import Account, Finding, Firm, Link, Signal
from msoauth.store import Secret, Workspace

FIRM = Firm(
    "Contoso Legal",
    "contoso.example",
    "11111111-2222-4333-8444-555555555555",
    secret_expires=date(2027, 5, 31),
)
ACCOUNT = Account("Anna@contoso.example", "Contoso Legal")
MARKER = "planted~marker.4711-secret-value"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "workspace"


@pytest.fixture
def workspace(folder: Path) -> Iterator[Workspace]:
    with Workspace.open(folder) as opened:
        yield opened


def test_firms_and_accounts_come_back_as_they_went_in(workspace: Workspace, folder: Path) -> None:
    workspace.firms.add(FIRM, secret=MARKER)
    workspace.firms.add(dataclasses.replace(FIRM, name="Agency", cloud=US_GOV))
    workspace.accounts.add(ACCOUNT)
    with Workspace.open(folder) as again:
        assert again.firms.get("CONTOSO legal") == FIRM
        assert again.firms.get("Agency").cloud == US_GOV
        assert again.accounts.get("anna@CONTOSO.example") == ACCOUNT
        secret = again.firms.secret("Contoso Legal")
        assert secret is not None
        assert secret.reveal() == MARKER


def test_duplicates_and_strangers_are_refused_in_a_sentence(workspace: Workspace) -> None:
    workspace.firms.add(FIRM)
    workspace.accounts.add(ACCOUNT)
    with pytest.raises(InputError, match="already"):
        workspace.firms.add(dataclasses.replace(FIRM, name=" contoso LEGAL "))
    with pytest.raises(InputError, match="already"):
        workspace.accounts.add(Account("ANNA@contoso.example", "Contoso Legal"))
    with pytest.raises(InputError, match="no firm"):
        workspace.accounts.add(Account("max@contoso.example", "Nobody"))
    with pytest.raises(InputError, match="no account"):
        workspace.accounts.get("max@contoso.example")


def test_removing_a_firm_takes_its_accounts_and_tokens_along_but_no_finding(
    workspace: Workspace,
) -> None:
    workspace.firms.add(FIRM, secret=MARKER)
    workspace.accounts.add(ACCOUNT)
    workspace.tokens.save(ACCOUNT.address, "{}", signed_in_as=ACCOUNT.address)
    workspace.journal.append(Finding("a.check", Signal.PASSED, "fine", firm=FIRM.name))
    workspace.firms.remove(FIRM.name)
    assert workspace.accounts.list() == []
    assert workspace.tokens.status(ACCOUNT.address) is None
    assert len(list(workspace.journal.findings())) == 1


def test_secrets_and_tokens_are_nowhere_in_the_folder_in_clear(
    workspace: Workspace, folder: Path
) -> None:
    workspace.firms.add(FIRM, secret=MARKER)
    workspace.accounts.add(ACCOUNT)
    workspace.tokens.save(
        ACCOUNT.address, f'{{"secret": "{MARKER}"}}', signed_in_as=ACCOUNT.address
    )
    assert workspace.tokens.load(ACCOUNT.address) == f'{{"secret": "{MARKER}"}}'
    for file in folder.rglob("*"):
        if file.is_file():
            assert MARKER.encode() not in file.read_bytes(), file


def test_a_secret_does_not_show_itself() -> None:
    secret = Secret(MARKER)
    assert MARKER not in f"{secret!r} {secret} {[secret]}"


def test_a_wrong_or_missing_passphrase_is_one_sentence_and_changes_nothing(
    workspace: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.firms.add(FIRM, secret=MARKER)
    with Workspace.open(folder, passphrase="planted~wrong~passphrase") as wrong:
        with pytest.raises(VaultError, match="not the one"):
            wrong.firms.secret(FIRM.name)
        with pytest.raises(VaultError):
            wrong.firms.set_secret(FIRM.name, "a new value")
    monkeypatch.setenv("MSOAUTH_PASSPHRASE", "")
    with Workspace.open(folder) as missing:
        assert missing.firms.get(FIRM.name) == FIRM
        with pytest.raises(VaultError, match="MSOAUTH_PASSPHRASE"):
            missing.firms.secret(FIRM.name)
    kept = workspace.firms.secret(FIRM.name)
    assert kept is not None
    assert kept.reveal() == MARKER


def test_a_sealed_value_that_was_moved_to_another_row_does_not_open(
    workspace: Workspace, folder: Path
) -> None:
    workspace.firms.add(FIRM, secret=MARKER)
    workspace.firms.add(dataclasses.replace(FIRM, name="Fabrikam"), secret="another value")
    connection = sqlite3.connect(folder / "msoauth.db")
    connection.execute(
        "UPDATE firms SET secret = (SELECT secret FROM firms WHERE key = 'contoso legal')"
    )
    connection.commit()
    connection.close()
    with pytest.raises(VaultError, match="damaged or moved"):
        workspace.firms.secret("Fabrikam")


def test_without_keyring_and_passphrase_a_private_key_file_is_made_and_warned_of(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MSOAUTH_PASSPHRASE", "")
    with Workspace.open(folder) as workspace:
        assert len(list(workspace.warnings)) == 0
        workspace.firms.add(FIRM, secret=MARKER)
        [key_file] = folder.glob("*.key")
        assert str(key_file) in workspace.warnings[0]
        assert "msoauth vault passphrase" in workspace.warnings[0]
    if os.name == "posix":
        assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    with Workspace.open(folder) as again:
        assert again.warnings
        assert again.firms.secret(FIRM.name) == Secret(MARKER)
    key_file.unlink()
    with Workspace.open(folder) as lost, pytest.raises(VaultError, match="key file"):
        lost.firms.secret(FIRM.name)


def test_the_keyring_holds_the_key_where_there_is_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: dict[tuple[str, str], str] = {}
    monkeypatch.setenv("MSOAUTH_PASSPHRASE", "")
    monkeypatch.setattr(
        "keyring.set_password", lambda service, name, value: kept.update({(service, name): value})
    )
    monkeypatch.setattr("keyring.get_password", lambda service, name: kept.get((service, name)))
    with Workspace.open(folder) as workspace:
        workspace.firms.add(FIRM, secret=MARKER)
    assert len(kept) == 1
    assert not list(folder.glob("*.key"))
    with Workspace.open(folder) as again:
        assert again.firms.secret(FIRM.name) == Secret(MARKER)
        assert again.warnings == ()
    kept.clear()
    with Workspace.open(folder) as elsewhere, pytest.raises(VaultError, match="keyring"):
        elsewhere.firms.secret(FIRM.name)


def test_a_newer_layout_is_refused_in_one_sentence(workspace: Workspace, folder: Path) -> None:
    workspace.close()
    connection = sqlite3.connect(folder / "msoauth.db")
    connection.execute("UPDATE meta SET value = '99' WHERE key = 'version'")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match="update msoauth"):
        Workspace.open(folder)


def test_a_file_that_is_no_database_is_refused_in_one_sentence(folder: Path) -> None:
    folder.mkdir()
    (folder / "msoauth.db").write_bytes(
        b"this is no database at all, but long enough to look at" * 50
    )
    with pytest.raises(StoreError, match="cannot be opened"):
        Workspace.open(folder)


def test_the_password_of_a_database_url_is_not_in_the_complaint() -> None:
    with pytest.raises(StoreError) as refused:
        Workspace.open(f"postgresql+psycopg://anna:{MARKER}@127.0.0.1:1/none")
    assert MARKER not in str(refused.value)


def test_the_journal_keeps_findings_in_order_and_whole(workspace: Workspace) -> None:
    findings = [
        Finding(
            "smtp.login",
            Signal.FAILED,
            "refused – “so”",
            evidence="535 5.7.139 …",
            cause="smtp-auth-disabled-mailbox",
            fix=("one", "two"),
            who="tenant-admin",
            links=(Link("Text", "https://example.test/"),),
            ids={"trace_id": "t"},
            seconds=0.25,
            at=datetime(2026, 11, 23, 18, n, tzinfo=UTC),
            firm="Contoso Legal",
            account="anna@contoso.example",
            run="r1",
        )
        for n in range(5)
    ]
    workspace.journal.append(*findings)
    assert list(workspace.journal.findings()) == findings
    assert list(workspace.journal.findings(limit=2)) == findings[-2:]
    assert list(workspace.journal.findings(since=findings[3].at)) == findings[3:]
    assert list(workspace.journal.findings(account="ANNA@contoso.example", run="r1")) == findings
    assert list(workspace.journal.findings(firm="Nobody")) == []


def test_the_frame_is_typed_and_sorts_and_filters_as_one_expects(workspace: Workspace) -> None:
    start = datetime(2026, 11, 23, tzinfo=UTC)
    for n, signal in enumerate((Signal.FAILED, Signal.PASSED, Signal.WARNING)):
        workspace.journal.append(
            Finding("a.b", signal, "x", at=start + timedelta(hours=n), firm="Contoso Legal")
        )
    frame = workspace.journal.frame()
    assert str(frame["at"].dtype).endswith("UTC]")
    assert frame["seconds"].dtype == "float64"
    assert list(frame.sort_values("signal")["signal"]) == ["passed", "warning", "failed"]
    assert len(frame[frame["signal"] > "passed"]) == 2
    assert len(frame[frame["at"] >= start + timedelta(hours=1)]) == 2


def test_an_empty_journal_still_gives_typed_columns(workspace: Workspace) -> None:
    frame = workspace.journal.frame()
    assert len(frame) == 0
    assert str(frame["at"].dtype).endswith("UTC]")


def test_a_silent_renewal_after_a_sign_out_stores_nothing(workspace: Workspace) -> None:
    workspace.firms.add(FIRM)
    workspace.accounts.add(ACCOUNT)
    workspace.tokens.save(ACCOUNT.address, "one", signed_in_as="anna@contoso.example")
    workspace.tokens.forget(ACCOUNT.address)
    workspace.tokens.save(ACCOUNT.address, "two")
    assert workspace.tokens.load(ACCOUNT.address) is None


def test_threads_share_a_workspace(workspace: Workspace) -> None:
    failures: list[BaseException] = []

    def write(n: int) -> None:
        try:
            for _ in range(10):
                workspace.journal.append(Finding("a.b", Signal.PASSED, "x", run=str(n)))
        except BaseException as failure:  # noqa: BLE001 - shown below
            failures.append(failure)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(list(workspace.journal.findings())) == 80


def test_the_lock_of_an_account_holds_across_processes_and_ends_with_its_holder(
    workspace: Workspace, folder: Path
) -> None:
    workspace.firms.add(FIRM)
    workspace.accounts.add(ACCOUNT)
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            (
                "import sys; from msoauth.store import Workspace\n"
                "with Workspace.open(sys.argv[1]) as w, w.tokens.lock('anna@contoso.example'):\n"
                "    print('held', flush=True); sys.stdin.read()"
            ),
            str(folder),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(msoauth.__file__).parents[1])},
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == "held"
        got = threading.Event()

        def take() -> None:
            with workspace.tokens.lock("ANNA@contoso.example"):
                got.set()

        waiting = threading.Thread(target=take)
        waiting.start()
        assert not got.wait(0.3)
        holder.kill()
        assert got.wait(20)
        waiting.join()
