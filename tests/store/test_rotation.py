"""A new data key: what was known before opens nothing that is written afterwards, whoever writes at the same time."""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from msoauth.clouds import Cloud, Endpoint
from msoauth.errors import DestinationError, StoreError, VaultError
from msoauth.model import Account, Firm
from msoauth.store import Secret, Workspace, archive, destinations, export, schema, vault_key
from msoauth.store.vault import associated_data, decrypted
from msoauth.store.vault_key import KeyRecord
from tests.store.test_export import killed_everywhere, needs_fork

WORDS, NEW = "a passphrase for tests", "quite another passphrase"
MARKER, LATER = "planted~marker.4711-secret-value", "planted~marker.4712-later-value"
FIRM = Firm("Contoso", "contoso.example", "11111111-2222-4333-8444-555555555555")
# Its servers were confirmed, so that its row holds an approval too.
OWN = replace(
    FIRM,
    name="Fabrikam",
    cloud=Cloud(
        "own",
        "https://login.fabrikam.example/",
        "https://graph.fabrikam.example/",
        "https://outlook.office.com",
        Endpoint("mail.fabrikam.example", 995, "implicit"),
        Endpoint("mail.fabrikam.example", 993, "implicit"),
        Endpoint("mail.fabrikam.example", 587, "starttls"),
    ),
)
ADDRESS = "anna@contoso.example"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSOAUTH_PASSPHRASE", "")
    monkeypatch.setattr(archive, "SCRYPT_N", 2**8)
    monkeypatch.setattr(vault_key, "COST", vault_key.ScryptCost(2**8, 8, 1))


@pytest.fixture(autouse=True)
def _own_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the key files of workspaces in PostgreSQL lie."""
    (tmp_path / "data").mkdir(0o700)
    monkeypatch.setattr("platformdirs.user_data_dir", lambda *_a, **_k: str(tmp_path / "data"))


@contextmanager
def filled(place: str, passphrase: str | None = WORDS) -> Iterator[Workspace]:
    """A workspace with something in each sealed column."""
    with Workspace.open(place, passphrase=passphrase) as workspace:
        workspace.firms.add(FIRM, MARKER)
        workspace.firms.add(OWN, MARKER)
        shown = workspace.firms.unconfirmed(OWN.name)
        assert shown is not None
        workspace.firms.confirm(shown)
        workspace.accounts.add(Account(ADDRESS, FIRM.name))
        workspace.tokens.save(ADDRESS, f"tokens {MARKER}", signed_in_as=ADDRESS)
        yield workspace


def opens(workspace: Workspace) -> bool:
    secrets = [workspace.firms.secret(firm.name) for firm in (FIRM, OWN)]
    return secrets == [Secret(MARKER)] * 2 and (
        workspace.tokens.load(ADDRESS) == f"tokens {MARKER}"
    )


def stored(workspace: Workspace) -> dict[tuple[str, str], bytes]:
    """The sealed values, by column and row."""
    with workspace.database.read() as connection:
        return {
            (str(value.column), value.key): value.sealed
            for value in destinations.sealed_values(connection)
        }


def record(workspace: Workspace) -> KeyRecord:
    query = sa.select(schema.meta.c.value).where(schema.meta.c.key == "vault")
    return KeyRecord.from_json(workspace.database.scalar(query))


def opened_with(workspace: Workspace, data_key: bytes) -> list[str]:
    """What somebody reads who knows a data key and has a copy of the database."""
    with workspace.database.read() as connection:
        return [
            text
            for value in destinations.sealed_values(connection)
            if (text := decrypted(data_key, value.sealed, value.place, value.sealed_for))
            is not None
        ]


def test_every_sealed_column_of_the_schema_is_encrypted_anew(place: str) -> None:
    binary = {
        column
        for table in schema.metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, sa.LargeBinary)
    }
    assert binary == set(destinations.SEALED_COLUMNS)
    with filled(place) as workspace:
        before, old_key = stored(workspace), workspace.vault.data_key()
        assert {column for column, _key in before} == set(map(str, binary))
        assert workspace.vault.change(rotate=True) == len(before) == 4
        after = stored(workspace)
        assert after.keys() == before.keys()
        assert not set(after.values()) & set(before.values())
        assert opens(workspace)
        assert opened_with(workspace, old_key) == []
    with Workspace.open(place, passphrase=WORDS) as again:
        assert opens(again)


def test_whoever_copied_the_key_file_reads_nothing_after_the_key_has_left_it(
    place: str, tmp_path: Path
) -> None:
    with filled(place, passphrase=None) as workspace:
        copied, kept = record(workspace), tmp_path / "copied"
        kept.mkdir()
        [key_file] = workspace.folder.glob("*.key")
        shutil.copy(key_file, kept)
        known = vault_key.open_data_key(copied, kept, None)
        assert MARKER in opened_with(workspace, known)
        for move in (("file", None), ("passphrase", WORDS)):
            assert workspace.vault.change(*move) == 4
            workspace.firms.set_secret(FIRM.name, LATER)
            assert not key_file.exists()
            assert opened_with(workspace, known) == []
            with pytest.raises(VaultError):
                vault_key.open_data_key(record(workspace), kept, None)
        workspace.firms.set_secret(FIRM.name, MARKER)
    with Workspace.open(place, passphrase=WORDS) as again:
        assert opens(again)


def test_an_old_passphrase_and_an_old_copy_read_what_is_new_only_until_there_is_a_new_key(
    place: str,
) -> None:
    with filled(place) as workspace:
        known = vault_key.open_data_key(record(workspace), workspace.folder, WORDS)
        assert workspace.vault.change("passphrase", NEW) == 0
        workspace.firms.set_secret(FIRM.name, LATER)
        assert LATER in opened_with(workspace, known)  # which is why a new key is offered
        assert workspace.vault.change(rotate=True) == 4
        assert opened_with(workspace, known) == []
    with Workspace.open(place, passphrase=NEW) as again:
        assert again.firms.secret(FIRM.name) == Secret(LATER)


def test_another_program_that_has_the_old_key_in_memory_writes_and_reads_with_the_new_one(
    place: str,
) -> None:
    with filled(place) as one, Workspace.open(place, passphrase=WORDS) as two:
        old_key = two.vault.data_key()
        one.vault.change(rotate=True)
        assert opens(two)
        one.vault.change(rotate=True)
        two.tokens.save(ADDRESS, LATER)
        one.vault.change(rotate=True)
        two.firms.set_secret(FIRM.name, LATER)
        one.vault.change(rotate=True)
        two.firms.add(replace(FIRM, name="Third"), LATER)
        one.vault.change(rotate=True)
        two.firms.replace(replace(FIRM, tenant="new.example"))  # which seals everything of it anew
        one.vault.change(rotate=True)
        two.accounts.replace(Account(ADDRESS, FIRM.name, login="boss@contoso.example"))
        for workspace in (one, two):
            assert opened_with(workspace, old_key) == []
            assert workspace.tokens.load(ADDRESS) == LATER
            assert workspace.firms.secret("Third") == workspace.firms.secret(FIRM.name)
            assert workspace.firms.secret(OWN.name) == Secret(MARKER)


def test_a_value_that_was_read_before_and_is_opened_after_a_rotation_is_no_false_alarm(
    place: str,
) -> None:
    with filled(place) as one, Workspace.open(place, passphrase=WORDS) as two:
        firm = two.firms.get(FIRM.name)
        with two.database.read() as connection:
            [value] = destinations.sealed_values(connection, account=ADDRESS)
        one.vault.change(rotate=True)
        two.vault.data_key(reload=True)  # another thread has noticed
        assert value.open(two.vault, firm) == f"tokens {MARKER}"


def test_many_write_while_the_key_changes_and_everything_opens_afterwards(place: str) -> None:
    addresses = [f"user{number}@contoso.example" for number in range(4)]
    with filled(place) as one, Workspace.open(place, passphrase=WORDS) as two:
        for address in addresses:
            one.accounts.add(Account(address, FIRM.name))
            one.tokens.save(address, "cache 0", signed_in_as=address)
        known = [one.vault.data_key()]
        done = threading.Event()

        def renew(address: str) -> int:
            count = 0
            while not done.is_set():
                count += 1
                two.tokens.save(address, f"cache {count}")
                assert two.tokens.load(address) == f"cache {count}"
                if (
                    address == addresses[0]
                ):  # rows first, then the key: programs must not wait for each other
                    two.firms.replace(replace(OWN, tenant=f"t{count}.example"))
            return count

        with ThreadPoolExecutor(4) as pool:
            try:
                writers = [pool.submit(renew, address) for address in addresses]
                for _round in range(5):
                    one.vault.change(rotate=True)
                    known.append(one.vault.data_key())
            finally:
                done.set()
            counts = [writer.result() for writer in writers]
        assert len(set(known)) == 6
        for address, count in zip(addresses, counts, strict=True):
            assert one.tokens.load(address) == f"cache {count}"
        for data_key in known[:-1]:
            assert opened_with(one, data_key) == []


def test_a_value_that_does_not_open_stops_it_and_nothing_is_lost(place: str) -> None:
    with filled(place) as workspace:
        before = record(workspace)
        with workspace.database.write() as connection:
            connection.execute(schema.tokens.update().values(sealed=b"x" * 50))
        damaged = stored(workspace)
        with pytest.raises(DestinationError, match=f"{ADDRESS}.*msoauth firm confirm Contoso"):
            workspace.vault.change(rotate=True)
        assert (record(workspace), stored(workspace)) == (before, damaged)
        shown = workspace.firms.unconfirmed(FIRM.name)
        assert shown is not None
        workspace.firms.confirm(shown)
        assert workspace.vault.change(rotate=True) == 3
        assert workspace.firms.secret(FIRM.name) == Secret(MARKER)


def test_a_destination_that_was_changed_by_somebody_else_is_not_accepted_by_a_new_key(
    place: str,
) -> None:
    """Neither a changed firm nor a forged copy of what its secret was sealed for."""
    with filled(place) as workspace:
        with workspace.database.write() as connection:
            firms = schema.firms.update().where(schema.firms.c.key == "contoso")
            connection.execute(firms.values(tenant="evil.example"))
        assert workspace.vault.change(rotate=True) == 4
        with pytest.raises(DestinationError, match=r"→ evil\.example"):
            workspace.firms.secret(FIRM.name)
        with workspace.database.write() as connection:
            connection.execute(firms.values(tenant=FIRM.tenant, sealed_for='{"tenant": "x"}'))
        assert workspace.vault.change(rotate=True) == 4
        assert workspace.firms.secret(FIRM.name) == Secret(MARKER)


def test_sqlites_files_keep_nothing_of_what_the_old_key_opens(tmp_path: Path) -> None:
    with filled(str(tmp_path / "w")) as workspace:
        for number in range(20):  # renewals leave earlier values in free pages
            workspace.tokens.save(ADDRESS, f"cache {number}" * 500)
        old = [*stored(workspace).values()]
        workspace.tokens.save(ADDRESS, f"tokens {MARKER}")
        old_record = record(workspace)
        workspace.vault.change(rotate=True)
        content = b"".join(file.read_bytes() for file in workspace.folder.glob("msoauth.db*"))
    for sealed in old:
        assert sealed[:64] not in content
    assert old_record.sealed_key.encode() not in content


def test_a_commit_whose_answer_was_lost_keeps_the_key_that_is_needed(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with filled(place, passphrase=None) as workspace:
        real: Callable[..., Any] = workspace.database.write

        @contextmanager
        def lost(*, after: bool) -> Iterator[sa.Connection]:
            with real() as connection:
                yield connection
                if not after:
                    raise StoreError("the connection was lost")
            raise StoreError("the connection was lost")

        for after in (False, True):
            with monkeypatch.context() as patched:
                patched.setattr(workspace.database, "write", lambda: lost(after=after))  # noqa: B023
                with pytest.raises(StoreError, match="lost"):
                    workspace.vault.change(rotate=True)
            with Workspace.open(place) as again:
                assert opens(again)
            assert opens(workspace)


def test_an_imported_workspace_has_a_key_that_the_file_does_not_tell(
    place: str, tmp_path: Path
) -> None:
    with filled(str(tmp_path / "old")) as old:
        export.export_workspace(old, tmp_path / "file", NEW)
        known = old.vault.data_key()
    with Workspace.open(place, passphrase=WORDS) as workspace:
        export.import_workspace(workspace, tmp_path / "file", NEW)
        assert opens(workspace)
        assert workspace.vault.data_key() != known
        assert opened_with(workspace, known) == []


@needs_fork
@pytest.mark.parametrize("source", ["passphrase", "file"])
def test_a_rotation_that_is_killed_leaves_a_workspace_that_opens(
    tmp_path: Path, source: str
) -> None:
    words = WORDS if source == "passphrase" else ""
    with filled(str(tmp_path / "w"), words) as workspace:
        before = stored(workspace)
    left = killed_everywhere(str(tmp_path / "w"), "rotate", words)
    changed = []
    for folder in left:
        with Workspace.open(folder, passphrase=words) as workspace:
            assert opens(workspace), folder
            changed.append(len(set(stored(workspace).values()) - set(before.values())))
    assert set(changed) == {0, 4}  # all of it, or nothing
    assert changed == sorted(changed)
    assert len(changed) > 10


@needs_fork
def test_a_move_from_a_key_file_that_is_killed_leaves_a_workspace_that_opens(
    tmp_path: Path,
) -> None:
    with filled(str(tmp_path / "w"), None):
        pass
    left = killed_everywhere(str(tmp_path / "w"), "change", "", WORDS)
    sources = []
    for folder in left:
        with Workspace.open(folder) as workspace:
            sources.append(str(workspace.vault.source))
        words = WORDS if sources[-1] == "passphrase" else None
        with Workspace.open(folder, passphrase=words) as workspace:
            assert opens(workspace), folder
    assert set(sources) == {"file", "passphrase"}
    assert sources == sorted(sources)
    assert os.path.lexists(left[0])


def test_the_two_parts_of_what_a_value_is_bound_to_cannot_be_confused() -> None:
    assert associated_data("a", "b") != associated_data("a/b", "") != associated_data("a/b", None)
