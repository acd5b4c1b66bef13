"""The database cannot choose the key: what somebody else wrote into the vault's record is refused, not followed."""

import base64
import json
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from msoauth.cli import main
from msoauth.errors import VaultError
from msoauth.model import Firm
from msoauth.store import Secret, Workspace, schema, vault_key
from msoauth.store.vault_key import KeyRecord, ScryptCost

OURS = "a passphrase for tests"
MARKER = "planted~marker.4711-secret-value"
FIRM = Firm("Contoso", "contoso.example", "11111111-2222-4333-8444-555555555555")
NAME = "workspace-0123456789abcdef"
KNOWN = bytes(32)  # a key that the attacker knows
Rewrite = Callable[..., None]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault_key, "COST", ScryptCost(2**8, 8, 1))


@pytest.fixture
def rewrite(place: str) -> Rewrite:
    """Changes values of the vault's record, as somebody does who may write the database."""

    def rewrite(**values: Any) -> None:
        url = place if "://" in place else f"sqlite:///{place}/msoauth.db"
        engine = sa.create_engine(make_url(url))
        is_vault = schema.meta.c.key == "vault"
        with engine.begin() as connection:
            text = connection.scalar(sa.select(schema.meta.c.value).where(is_vault))
            record = json.loads(text or "{}")
            record |= values
            connection.execute(
                schema.meta.update().where(is_vault).values(value=json.dumps(record))
            )
        engine.dispose()

    return rewrite


def sealed_under(kek: bytes, **about: Any) -> dict[str, Any]:
    """A whole record whose data key the attacker knows, sealed under a key that he knows."""
    values = {"salt": "", "key_id": "", "cost": None, **about}
    sealed = vault_key.encrypt(kek, KNOWN, "vault")
    return {**values, "sealed_key": base64.b64encode(sealed).decode()}


def folder_of(workspace: Workspace) -> Path:
    workspace.folder.mkdir(0o700, parents=True, exist_ok=True)
    return workspace.folder


@pytest.fixture(autouse=True)
def _own_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the key files of workspaces in PostgreSQL lie."""
    monkeypatch.setattr("platformdirs.user_data_dir", lambda *_a, **_k: str(tmp_path / "data"))


def written_secret(place: str, passphrase: str | None = OURS) -> bytes:
    """Store a new secret, and return what the database holds."""
    with Workspace.open(place, passphrase=passphrase) as workspace:
        workspace.firms.set_secret(FIRM.name, "a new secret")
        return bytes(workspace.database.scalar(sa.select(schema.firms.c.secret)))


def test_with_a_passphrase_no_other_source_is_accepted(
    place: str, rewrite: Rewrite, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Workspace.open(place, passphrase=OURS) as workspace:
        workspace.firms.add(FIRM, MARKER)
        before = workspace.database.scalar(sa.select(schema.firms.c.secret))
        folder = folder_of(workspace)
    (folder / f"{NAME}.key").write_bytes(base64.b64encode(KNOWN))
    monkeypatch.setattr("keyring.get_password", lambda _s, _n: base64.b64encode(KNOWN).decode())
    for source in ("file", "keyring"):
        rewrite(**sealed_under(KNOWN, source=source, key_name=NAME))
        with Workspace.open(place, passphrase=OURS) as workspace:
            for use in (
                lambda: workspace.firms.secret(FIRM.name),
                lambda: workspace.firms.set_secret(FIRM.name, "a new secret"),
                lambda: workspace.firms.add(
                    FIRM.__class__("New", "x.example", FIRM.client_id), "s"
                ),
                lambda: workspace.vault.change(rotate=True),
                lambda: workspace.vault.data_key(),
            ):
                with pytest.raises(VaultError, match="MSOAUTH_PASSPHRASE is set, but") as refused:
                    use()
                assert "msoauth vault passphrase" in refused.value.summary
            assert workspace.database.scalar(sa.select(schema.firms.c.secret)) == before
            assert workspace.warnings == ()
            assert workspace.firms.get(FIRM.name) == FIRM


def test_a_running_program_does_not_follow_a_record_that_was_changed_meanwhile(
    place: str, rewrite: Rewrite
) -> None:
    with Workspace.open(place, passphrase=OURS) as workspace:
        workspace.firms.add(FIRM, MARKER)
        (folder_of(workspace) / f"{NAME}.key").write_bytes(base64.b64encode(KNOWN))
        rewrite(**sealed_under(KNOWN, source="file", key_name=NAME, key_id="ab"))
        with pytest.raises(VaultError, match="MSOAUTH_PASSPHRASE is set, but"):
            workspace.firms.set_secret(FIRM.name, "a new secret")
        assert workspace.firms.secret(FIRM.name) == Secret(MARKER)


def test_a_forged_source_is_no_way_around_by_a_change_of_the_key(
    place: str,
    rewrite: Rewrite,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Workspace.open(place, passphrase=OURS) as workspace:
        workspace.firms.add(FIRM, MARKER)
        (folder_of(workspace) / f"{NAME}.key").write_bytes(base64.b64encode(KNOWN))
    rewrite(**sealed_under(KNOWN, source="file", key_name=NAME))
    monkeypatch.setenv("MSOAUTH_PASSPHRASE", OURS)
    with pytest.raises(SystemExit) as ended:
        main(["--workspace", place, "vault", "passphrase"])
    assert ended.value.code == 2
    assert "does not open what is stored, so nothing was changed" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name",
    [
        "../known", "..\\known", "/etc/known", "C:\\known", "//host/share/known", "known", "", "workspace-", "CON",
        "workspace-0123456789abcdef.key", "workspace-0123456789ABCDEF", "workspace-0123456789abcdef\n", "nul",
        "workspace-0123456789abcde/", "workspace-0123456789abcdef:stream", "msoauth-workspace-0123456789abcdef",
        "workspace-０123456789abcdef", 7, None, ["workspace-0123456789abcdef"],
    ],
)  # fmt: skip
@pytest.mark.parametrize("source", ["file", "keyring"])
def test_a_name_that_msoauth_never_gives_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, name: object
) -> None:
    asked: list[object] = []
    monkeypatch.setattr("keyring.get_password", lambda *about: asked.append(about))
    monkeypatch.setattr("msoauth.private_files.open_private", lambda *about: asked.append(about))
    record = sealed_under(KNOWN, source=source, key_name=name)
    with pytest.raises(VaultError, match="not one that msoauth wrote"):
        vault_key.open_data_key(KeyRecord.from_json(json.dumps(record)), tmp_path, None)
    assert asked == []


@pytest.mark.skipif(os.name != "posix", reason="links and pipes")
@pytest.mark.parametrize("kind", ["link", "dangling", "pipe", "folder"])
def test_a_key_file_that_is_no_file_is_refused(tmp_path: Path, kind: str) -> None:
    folder, elsewhere = tmp_path / "workspace", tmp_path / "known"
    folder.mkdir()
    file = folder / f"{NAME}.key"
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    else:
        if kind == "link":
            elsewhere.write_bytes(base64.b64encode(KNOWN))
        file.symlink_to(elsewhere)
    record = KeyRecord.from_json(json.dumps(sealed_under(KNOWN, source="file", key_name=NAME)))
    with pytest.raises(VaultError, match="cannot be read"):
        vault_key.open_data_key(record, folder, None)


@pytest.mark.parametrize(
    "values",
    [
        {"source": "nowhere"}, {"source": None}, {"source": ["file"]}, {"salt": 1}, {"salt": "*"}, {"sealed_key": None},
        {"sealed_key": "ü"}, {"key_id": "x" * 1000}, {"key_id": 4}, {"cost": 7}, {"cost": [1]}, {"cost": {}},
    ],
)  # fmt: skip
def test_a_record_with_values_of_another_kind_is_one_sentence(
    place: str, rewrite: Rewrite, values: dict[str, Any]
) -> None:
    with Workspace.open(place, passphrase=OURS) as workspace:
        workspace.firms.add(FIRM, MARKER)
    rewrite(**values)
    with Workspace.open(place, passphrase=OURS) as workspace:
        assert workspace.warnings == ()
        assert workspace.firms.list() == [FIRM]
        with pytest.raises(VaultError, match="not one that msoauth wrote"):
            workspace.firms.secret(FIRM.name)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", "7", "{", '{"source": "file"}', "[" * 100_000]
)
def test_a_record_that_is_none_is_one_sentence(text: str) -> None:
    with pytest.raises(VaultError, match="not one that msoauth wrote"):
        KeyRecord.from_json(text)


# What a passphrase costs


def test_a_passphrases_key_takes_less_than_half_a_second_and_128_megabytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.undo()
    cost = vault_key.COST
    assert cost.memory <= 128_000_000
    assert cost.work >= ScryptCost(2**17, 8, 1).work
    begun = time.process_time()
    vault_key.create(bytes(32), "", Path(), "passphrase", OURS)
    assert time.process_time() - begun < 1  # half a second, and as much again for a busy computer


def test_the_cost_is_stored_and_a_record_without_it_has_the_first_one(
    place: str, rewrite: Rewrite, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Workspace.open(place, passphrase=OURS) as workspace:
        workspace.firms.add(FIRM, MARKER)
    monkeypatch.setattr(vault_key, "COST", ScryptCost(2**7, 8, 1))
    with Workspace.open(place, passphrase=OURS) as workspace:
        assert workspace.firms.secret(FIRM.name) == Secret(MARKER)
        # A record of an earlier version: its cost is not named, and its passphrase may be short.
        salt = secrets.token_bytes(16)
        monkeypatch.setattr(vault_key, "COST", ScryptCost(2**15, 8, 1))
        old = KeyRecord.from_json(
            json.dumps(_first_version_record("short", salt, workspace.vault.data_key()))
        )
        assert old.cost is None
    rewrite(
        **_first_version_record("short", salt, vault_key.open_data_key(old, Path(), "short")),
        cost=None,
        key_id="",
    )
    with Workspace.open(place, passphrase="short") as workspace:
        assert workspace.firms.secret(FIRM.name) == Secret(MARKER)
        with pytest.raises(VaultError, match="at least 12 characters"):
            workspace.vault.change("passphrase", "short")
        assert (
            workspace.vault.change(rotate=True) == 1
        )  # which keeps the passphrase, and raises its cost
        assert workspace.firms.secret(FIRM.name) == Secret(MARKER)
        workspace.vault.change("passphrase", OURS)
    with Workspace.open(place, passphrase=OURS) as workspace:
        assert workspace.firms.secret(FIRM.name) == Secret(MARKER)


def _first_version_record(passphrase: str, salt: bytes, data_key: bytes) -> dict[str, str]:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    kek = Scrypt(salt=salt, length=32, n=2**15, r=8, p=1).derive(passphrase.encode())
    sealed = vault_key.encrypt(kek, data_key, "vault")
    return {
        "source": "passphrase",
        "key_name": NAME,
        "salt": base64.b64encode(salt).decode(),
        "sealed_key": base64.b64encode(sealed).decode(),
    }


@pytest.mark.parametrize(
    "cost",
    [
        [2**30, 8, 1], [2**15, 2**20, 1], [2**16, 8, 2**40], [2, 1, 1], [2**14, 8, 1], [2, 8, 2**16], [2**16 + 1, 8, 2],
        [0, 8, 1], [-(2**16), 8, 1], [2**16, -8, -2], [True, True, True], [65536.0, 8, 2], ["65536", 8, 2], [2**16, 8],
        [2**16, 8, 2, 1], [2**18, 16, 1], [2**15, 8, 1024],
    ],
)  # fmt: skip
def test_a_cost_that_lowers_the_guard_or_stops_the_computer_is_refused_without_trying(
    monkeypatch: pytest.MonkeyPatch, cost: list[Any]
) -> None:
    monkeypatch.undo()
    record = sealed_under(KNOWN, source="passphrase", key_name=NAME, cost=cost)
    with pytest.raises(VaultError, match="not one that msoauth wrote"):
        KeyRecord.from_json(json.dumps(record))


@pytest.mark.parametrize("cost", [[2**15, 8, 1], [2**16, 8, 2], [2**17, 8, 1], [2**17, 8, 4]])
def test_a_cost_of_an_earlier_or_a_later_version_is_accepted(
    monkeypatch: pytest.MonkeyPatch, cost: list[int]
) -> None:
    monkeypatch.undo()
    record = sealed_under(KNOWN, source="passphrase", key_name=NAME, cost=cost)
    assert KeyRecord.from_json(json.dumps(record)).cost == tuple(cost)


def test_no_value_of_a_record_can_be_changed_and_the_key_still_opens(place: str) -> None:
    with Workspace.open(place, passphrase=OURS) as workspace:
        workspace.firms.add(FIRM, MARKER)
        record = json.loads(
            workspace.database.scalar(
                sa.select(schema.meta.c.value).where(schema.meta.c.key == "vault")
            )
        )
    for values in ({"key_id": "ab"}, {"key_name": NAME}, {"cost": None}, {"cost": [2**9, 8, 1]}):
        changed = KeyRecord.from_json(json.dumps(record | values))
        with pytest.raises(VaultError, match="not the one"):
            vault_key.open_data_key(changed, Path(), OURS)


def test_a_new_passphrase_has_twelve_characters_at_first_use_too(place: str) -> None:
    with Workspace.open(place, passphrase="elevenchars") as workspace:
        with pytest.raises(VaultError, match="at least 12 characters"):
            workspace.firms.add(FIRM, MARKER)
        assert workspace.firms.list() == []
        workspace.firms.add(FIRM)
        with pytest.raises(VaultError, match="at least 12 characters"):
            workspace.firms.set_secret(FIRM.name, MARKER)
        assert workspace.vault.source is None
