"""A database that somebody else can write redirects no secret and no token, on SQLite and PostgreSQL."""

import base64
import json
import os
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
import trustme
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from msoauth.clouds import GLOBAL, US_GOV, Cloud, Endpoint
from msoauth.errors import DestinationError, VaultError
from msoauth.model import Account, Firm
from msoauth.store import Workspace, archive, destinations
from msoauth.store.export import import_workspace

FIRM = Firm("Contoso Legal", "contoso.example", "11111111-2222-4333-8444-555555555555")
OTHER = replace(FIRM, name="Fabrikam", tenant="fabrikam.example")
ANNA = Account("anna@contoso.example", "Contoso Legal")
MAX = Account("max@contoso.example", "Contoso Legal", login="boss@contoso.example")
SECRET = "planted~marker.4711-secret-value"
CACHE = '{"secret": "planted~marker.4712-refresh-token"}'
EVIL = Cloud(
    "evil",
    "https://login.evil.example/",
    "https://graph.evil.example/",
    "https://outlook.office.com",
    Endpoint("mail.evil.example", 995, "implicit"),
    Endpoint("mail.evil.example", 993, "implicit"),
    Endpoint("mail.evil.example", 587, "starttls"),
)
Sql = Callable[..., None]


@pytest.fixture
def filled(either: Workspace) -> Workspace:
    either.firms.add(FIRM, SECRET)
    either.firms.add(OTHER)
    for account in (ANNA, MAX):
        either.accounts.add(account)
        either.tokens.save(account.address, CACHE, signed_in_as=account.user)
    return either


@pytest.fixture
def attack(either: Workspace) -> Sql:
    """Writes into the database as somebody who has its password, but not the key."""

    def run(statement: str, *names: str, **values: object) -> None:
        with either.database.engine.begin() as connection:
            done = connection.execute(sa.text(statement % names), values)
            assert done.rowcount

    return run


def refused(workspace: Workspace, *texts: str, firm: Firm | None = None) -> str:
    """What both uses of secret and tokens say when they are refused."""
    said = []
    uses: list[Callable[[], object]] = [lambda: workspace.tokens.load(ANNA.address)]
    if firm is None:
        uses.append(lambda: workspace.firms.secret(FIRM.name))
        uses.append(lambda: workspace.firms.set_secret(FIRM.name, "another~value-of-a-test"))
        uses.append(lambda: workspace.firms.require_confirmed(workspace.firms.get(FIRM.name)))
    for use in uses:
        with pytest.raises(DestinationError) as error:
            use()
        said.append(error.value.summary)
        for text in (*texts, "msoauth firm confirm"):
            assert text in error.value.summary
    return said[0]


def in_use(workspace: Workspace) -> None:
    """Assert that everything opens."""
    workspace.firms.require_confirmed(workspace.firms.get(FIRM.name), [ANNA])
    secret = workspace.firms.secret(FIRM.name)
    assert secret is not None
    assert secret.reveal() == SECRET
    assert workspace.tokens.load(ANNA.address) == CACHE


@pytest.mark.parametrize(
    ("column", "value", "old"),
    [
        ("tenant", "evil.example", "contoso.example"),
        ("client_id", "99999999-2222-4333-8444-555555555555", FIRM.client_id),
        ("redirect_uri", "https://evil.example/back", "http://localhost"),
        ("access", "app-only", "delegated"),
        ("cloud", "usgov", "global"),
        ("cloud", EVIL.to_json(), "global"),
        ("cloud", replace(EVIL, name="other").to_json().replace('"other"', '"global"'), "global"),
    ],
)
def test_a_changed_row_is_told_and_opens_again_when_it_was_confirmed_or_put_back(
    filled: Workspace, attack: Sql, column: str, value: str, old: str
) -> None:
    attack("UPDATE firms SET %s = :value WHERE key = 'contoso legal'", column, value=value)
    refused(filled, "Contoso Legal", old, "→", "login.evil.example" if "{" in value else value)
    shown = filled.firms.unconfirmed("contoso LEGAL")
    assert shown is not None
    assert all(change.verified for change in shown.changes)
    assert (column, old) in {(change.what, change.old) for change in shown.changes}
    assert bool(shown.host) == ("evil" in shown.firm.cloud.authority)
    was = getattr(FIRM, column) if column != "cloud" else "global"
    attack("UPDATE firms SET %s = :value WHERE key = 'contoso legal'", column, value=was)
    in_use(filled)
    attack("UPDATE firms SET %s = :value WHERE key = 'contoso legal'", column, value=value)
    filled.firms.confirm(shown)
    in_use(filled)
    assert filled.firms.unconfirmed(FIRM.name) is None
    attack("UPDATE firms SET tenant = 'third.example' WHERE key = 'contoso legal'")
    refused(filled, "→ third.example")


def test_what_was_changed_again_after_it_was_shown_is_not_accepted(
    filled: Workspace, attack: Sql
) -> None:
    attack("UPDATE firms SET tenant = 'one.example' WHERE key = 'contoso legal'")
    shown = filled.firms.unconfirmed(FIRM.name)
    assert shown is not None
    attack("UPDATE firms SET tenant = 'two.example' WHERE key = 'contoso legal'")
    with pytest.raises(DestinationError, match=r"two\.example"):
        filled.firms.confirm(shown)
    refused(filled, "contoso.example → two.example")


def test_a_forged_copy_lets_nothing_pass_and_is_not_taken_for_true(
    filled: Workspace, attack: Sql
) -> None:
    attack("UPDATE firms SET tenant = 'evil.example' WHERE key = 'contoso legal'")
    evil = filled.firms.get(FIRM.name)
    attack(
        "UPDATE firms SET sealed_for = :copy WHERE key = 'contoso legal'",
        copy=destinations.binding(evil),
    )
    attack("UPDATE tokens SET sealed_for = :copy", copy=destinations.binding(evil, ANNA))
    refused(filled, "damaged or moved")
    shown = filled.firms.unconfirmed(FIRM.name)
    assert shown is not None
    assert shown.lost == ("", ANNA.address, MAX.address)
    lie = destinations.binding(replace(evil, tenant="harmless.example"))
    attack("UPDATE firms SET sealed_for = :copy WHERE key = 'contoso legal'", copy=lie)
    lie = destinations.binding(replace(evil, tenant="harmless.example"), ANNA)
    attack("UPDATE tokens SET sealed_for = :copy", copy=lie)
    refused(filled, "harmless.example (not verified) → evil.example")
    shown = filled.firms.unconfirmed(FIRM.name)
    assert shown is not None
    assert not any(change.verified for change in shown.changes)
    filled.firms.confirm(shown)
    assert filled.firms.secret(FIRM.name) is None  # what does not open is forgotten
    assert filled.tokens.load(ANNA.address) is None
    filled.firms.set_secret(FIRM.name, SECRET)
    assert filled.firms.unconfirmed(FIRM.name) is None


@pytest.mark.parametrize("copy", [None, "", "[]", "{", '{"tenant": 1}', "[" * 100_000])
def test_a_copy_that_is_no_binding_does_no_harm(
    filled: Workspace, attack: Sql, copy: str | None
) -> None:
    attack("UPDATE firms SET sealed_for = :copy WHERE key = 'contoso legal'", copy=copy)
    attack("UPDATE tokens SET sealed_for = :copy", copy=copy)
    in_use(filled)  # the copy is for the wording only
    attack("UPDATE firms SET tenant = 'evil.example' WHERE key = 'contoso legal'")
    refused(filled, "evil.example")


def test_an_account_moved_to_another_firm_keeps_its_tokens_shut(
    filled: Workspace, attack: Sql
) -> None:
    attack("UPDATE accounts SET firm = 'fabrikam' WHERE key = 'anna@contoso.example'")
    with pytest.raises(DestinationError, match=r"Fabrikam: .*anna@contoso\.example"):
        filled.tokens.load(ANNA.address)
    moved = filled.accounts.get(ANNA.address)
    with pytest.raises(DestinationError):
        filled.firms.require_confirmed(filled.firms.get("Fabrikam"), [moved])
    shown = filled.firms.unconfirmed("Fabrikam")
    assert shown is not None
    assert {(c.what, c.old, c.new, c.account) for c in shown.changes} >= {
        ("firm", "contoso legal", "fabrikam", ANNA.address),
        ("tenant", "contoso.example", "fabrikam.example", ""),
    }
    filled.firms.confirm(shown)
    assert filled.tokens.load(ANNA.address) == CACHE


def test_another_login_or_another_accounts_tokens_do_not_open(
    filled: Workspace, attack: Sql
) -> None:
    attack("UPDATE accounts SET login = 'evil@contoso.example' WHERE key = 'anna@contoso.example'")
    with pytest.raises(DestinationError, match=r"– → evil@contoso\.example"):
        filled.tokens.load(ANNA.address)
    attack("UPDATE accounts SET login = NULL")
    for columns in ("sealed", "sealed_for"):
        attack(
            "UPDATE tokens SET %s = (SELECT %s FROM tokens WHERE account = 'max@contoso.example')",
            *(columns, columns),
        )
        with pytest.raises(VaultError):
            filled.tokens.load(ANNA.address)


def test_a_row_that_takes_the_name_of_another_is_not_taken_for_it(
    filled: Workspace, attack: Sql
) -> None:
    attack(
        "UPDATE firms SET name = 'Contoso Legal', cloud = :cloud WHERE key = 'fabrikam'",
        cloud=EVIL.to_json(),
    )
    assert [firm.name for firm in filled.firms.list()] == ["Contoso Legal", "fabrikam"]
    with pytest.raises(DestinationError):
        filled.firms.secret(replace(FIRM, cloud=EVIL))  # the firm that is about to be used counts
    with pytest.raises(DestinationError):
        filled.tokens.load(ANNA, replace(FIRM, cloud=EVIL))
    attack("UPDATE accounts SET address = 'anna@contoso.example' WHERE key = 'max@contoso.example'")
    assert [a.address for a in filled.accounts.list()] == [ANNA.address, MAX.address]
    in_use(filled)


def test_renewed_tokens_are_sealed_for_where_they_came_from(filled: Workspace, attack: Sql) -> None:
    firm = filled.firms.get(FIRM.name)
    attack("UPDATE firms SET tenant = 'evil.example' WHERE key = 'contoso legal'")
    filled.tokens.save(ANNA, CACHE, firm=firm)  # the renewal had begun before
    refused(filled, "contoso.example → evil.example")


def test_a_change_by_the_user_during_a_renewal_is_no_alarm(filled: Workspace) -> None:
    before = filled.firms.get(FIRM.name)
    filled.firms.replace(replace(before, client_id="0b1c2d3e-4f5a-4b6c-8d7e-9f0a1b2c3d4e"))
    filled.tokens.save(ANNA, "of the old app", firm=before)  # the renewal had begun before
    in_use(filled)
    assert filled.tokens.load(ANNA.address) == CACHE


def test_what_the_user_changes_goes_on_working(filled: Workspace) -> None:
    filled.firms.replace(replace(FIRM, tenant="new.example", redirect_uri="http://localhost/x"))
    in_use(filled)
    filled.firms.replace(replace(FIRM, cloud=US_GOV, access="app-only"))
    in_use(filled)
    filled.accounts.replace(replace_account(ANNA, login="someone@contoso.example"))
    in_use_as(filled, replace_account(ANNA, login="someone@contoso.example"))
    filled.accounts.replace(replace_account(ANNA, firm="Fabrikam"))
    assert filled.tokens.load(ANNA.address) == CACHE


def in_use_as(workspace: Workspace, account: Account) -> None:
    workspace.firms.require_confirmed(workspace.firms.get(account.firm), [account])
    assert workspace.tokens.load(account) == CACHE


def replace_account(account: Account, **changes: str) -> Account:
    values = {"address": account.address, "firm": account.firm, "login": account.login, **changes}
    return Account(str(values["address"]), str(values["firm"]), values["login"])


def test_a_change_by_the_user_does_not_hide_one_that_was_not_his(
    filled: Workspace, attack: Sql
) -> None:
    attack("UPDATE firms SET client_id = 'evil' WHERE key = 'contoso legal'")
    seen = filled.firms.get(FIRM.name)  # by somebody who does not notice
    filled.firms.replace(replace(seen, redirect_uri="http://localhost/x"))
    refused(filled, f"{FIRM.client_id} → evil")
    filled.firms.replace(replace(FIRM, redirect_uri="http://localhost"))
    in_use(filled)


def test_hosts_that_are_not_microsofts_are_confirmed_before_a_secret_goes_there(
    filled: Workspace,
) -> None:
    filled.firms.replace(replace(FIRM, cloud=EVIL))
    refused(filled, "global → endpoints", "– → https://login.evil.example/")
    shown = filled.firms.unconfirmed(FIRM.name)
    assert shown is not None
    assert shown.host == "login.evil.example, graph.evil.example, mail.evil.example"
    filled.firms.confirm(shown)
    in_use(filled)
    filled.firms.replace(replace(FIRM, cloud=EVIL, tenant="new.example"))  # the same hosts
    in_use(filled)
    filled.firms.replace(replace(FIRM, cloud=replace(EVIL, graph="https://third.example/")))
    refused(filled, "https://third.example/")
    filled.firms.replace(replace(FIRM, cloud=EVIL, tenant="new.example"))
    assert filled.firms.unconfirmed(FIRM.name) is None
    filled.firms.replace(FIRM)
    in_use(filled)


@pytest.mark.parametrize("secret", [SECRET, None])
def test_a_new_firm_with_such_hosts_waits_too_even_without_a_secret(
    either: Workspace, secret: str | None
) -> None:
    either.firms.add(replace(FIRM, cloud=EVIL), secret)
    with pytest.raises(DestinationError, match=r"\(login\.evil\.example, .*\) are not Microsoft's"):
        either.firms.secret(FIRM.name)
    shown = either.firms.unconfirmed(FIRM.name)
    assert shown is not None
    assert (shown.changes, shown.host, shown.lost) == ((), ", ".join(EVIL.foreign_hosts), ())
    either.firms.confirm(shown)
    got = either.firms.secret(FIRM.name)
    assert (got.reveal() if got else None) == secret


def test_every_host_is_shown_before_it_is_confirmed(either: Workspace) -> None:
    mixed = replace(GLOBAL, name="own", imap=EVIL.imap, smtp=Endpoint("127.0.0.1", 25, "starttls"))
    either.firms.add(replace(FIRM, cloud=mixed))
    shown = either.firms.unconfirmed(FIRM.name)
    assert shown is not None
    assert shown.host == "mail.evil.example"  # and not Microsoft's sign-in service
    with pytest.raises(DestinationError, match=r"servers \(mail\.evil\.example\) are not"):
        either.firms.secret(FIRM.name)


def test_an_approval_of_other_hosts_is_none(either: Workspace, attack: Sql) -> None:
    other = replace(EVIL, name="own", authority="https://login.own.example/")
    either.firms.add(replace(FIRM, cloud=other))
    either.firms.add(replace(OTHER, cloud=EVIL))
    shown = either.firms.unconfirmed(FIRM.name)
    assert shown is not None
    either.firms.confirm(shown)
    attack("UPDATE firms SET cloud = :cloud WHERE key = 'contoso legal'", cloud=EVIL.to_json())
    with pytest.raises(DestinationError, match=r"login\.own\.example/ → https://login\.evil"):
        either.firms.secret(FIRM.name)
    for column in ("approval", "sealed_for"):
        attack(
            "UPDATE firms SET %s = (SELECT %s FROM firms WHERE key = 'contoso legal')",
            *(column, column),
        )
    with pytest.raises(DestinationError):
        either.firms.secret("Fabrikam")


def practice(folder: Path, port: int) -> Cloud:
    """A practice tenant's cloud with a certificate authority of its own."""
    folder.mkdir()
    trustme.CA().cert_pem.write_to_path(str(folder / "ca.pem"))
    here = f"https://localhost:{port}/"
    pop3, imap, smtp = (Endpoint("localhost", port + n, "implicit") for n in (1, 2, 3))
    resource, ca_file = "https://outlook.office.com", str(folder / "ca.pem")
    return Cloud("practice", here, f"{here}graph/", resource, pop3, imap, smtp, ca_file)


def test_a_practice_tenant_is_known_by_its_key_and_not_by_its_ports(
    filled: Workspace, attack: Sql, tmp_path: Path
) -> None:
    first, second = practice(tmp_path / "a", 4000), practice(tmp_path / "b", 5000)
    filled.firms.replace(replace(FIRM, cloud=first))  # on this computer: nothing to confirm
    in_use(filled)
    moved = replace(first, authority="https://localhost:7000/")
    attack("UPDATE firms SET cloud = :cloud WHERE key = 'contoso legal'", cloud=moved.to_json())
    in_use(filled)
    attack("UPDATE firms SET cloud = :cloud WHERE key = 'contoso legal'", cloud=second.to_json())
    refused(filled, "Key of the practice tenant")
    attack("UPDATE firms SET cloud = :cloud WHERE key = 'contoso legal'", cloud=first.to_json())
    Path(str(first.ca_file)).unlink()  # it has ended
    in_use(filled)
    filled.firms.replace(replace(FIRM, cloud=second, tenant="next.example"))
    in_use(filled)


def test_other_servers_are_known_by_the_certificates_they_are_trusted_by(
    filled: Workspace, tmp_path: Path
) -> None:
    own = replace(practice(tmp_path / "a", 4000), name="own")
    filled.firms.replace(replace(FIRM, cloud=own))
    in_use(filled)
    ca_file = Path(str(own.ca_file))
    before = ca_file.stat()
    trustme.CA().cert_pem.write_to_path(str(ca_file))
    os.utime(ca_file, ns=(before.st_atime_ns, before.st_mtime_ns))
    refused(filled, "Certificate authority")
    ca_file.unlink()
    refused(filled, "→ unreadable")


def to_second_layout(workspace: Workspace, attack: Sql) -> None:
    """Make the workspace what msoauth 0.3 wrote: sealed to places only."""
    cipher = AESGCM(workspace.vault.data_key())
    nonce = b"n" * 12
    for table, key, column, row, text in (
        ("firms", "key", "secret", "contoso legal", SECRET),
        ("tokens", "account", "sealed", ANNA.address, CACHE),
        ("tokens", "account", "sealed", MAX.address, CACHE),
    ):
        place = f"{table}/{row}/{'secret' if table == 'firms' else 'cache'}"
        sealed = nonce + cipher.encrypt(nonce, text.encode(), place.encode())
        names = (table, column, key)
        attack("UPDATE %s SET %s = :sealed WHERE %s = :row", *names, sealed=sealed, row=row)
    with workspace.database.engine.begin() as connection:
        for column in (
            "firms DROP COLUMN sealed_for",
            "firms DROP COLUMN approval",
            "tokens DROP COLUMN sealed_for",
        ):
            connection.exec_driver_sql(f"ALTER TABLE {column}")
        connection.exec_driver_sql("UPDATE meta SET value = '2' WHERE key = 'version'")


def test_a_workspace_of_the_second_layout_is_brought_up_to_date_without_losing_a_secret(
    filled: Workspace, place: str, attack: Sql
) -> None:
    to_second_layout(filled, attack)
    with Workspace.open(place, passphrase="planted~wrong~passphrase") as wrong:
        assert len(wrong.firms) == 2
        with pytest.raises(VaultError, match="not the one"):
            wrong.firms.secret(FIRM.name)
    with Workspace.open(place) as again:
        in_use(again)
        assert again.firms.unconfirmed(FIRM.name) is None
        assert again.tokens.status(ANNA.address) is not None
    attack("UPDATE firms SET tenant = 'evil.example' WHERE key = 'contoso legal'")
    with Workspace.open(place) as again:
        refused(again, "contoso.example → evil.example")


def test_an_export_of_the_second_layout_is_brought_up_to_date_without_losing_a_secret(
    filled: Workspace, attack: Sql, tmp_path: Path
) -> None:
    key = base64.b64encode(filled.vault.data_key()).decode()
    to_second_layout(filled, attack)
    lines: list[dict[str, object]] = [{"layout": 2, "key": key}]
    with filled.database.engine.connect() as connection:
        for table in ("firms", "accounts", "tokens"):
            for row in connection.execute(sa.text("SELECT * FROM " + table)).mappings():  # noqa: S608
                values = {
                    n: base64.b64encode(v).decode() if isinstance(v, bytes) else v
                    for n, v in row.items()
                }
                lines.append({"table": table, "row": values})
    lines.append({"rows": len(lines) - 1})
    text = "".join(json.dumps(line, default=str) + "\n" for line in lines)
    passphrase, file = "a passphrase of an export", tmp_path / "old.msoauth"
    with file.open("wb") as out:
        writer = archive.ArchiveWriter(out, passphrase)
        writer.write(zlib.compress(text.encode()))
        writer.finish()
    with Workspace.open(tmp_path / "new") as new:
        import_workspace(new, file, passphrase)
        in_use(new)
        assert new.firms.unconfirmed(FIRM.name) is None


def test_a_value_of_the_second_layout_is_not_taken_afterwards(
    filled: Workspace, place: str, attack: Sql
) -> None:
    to_second_layout(filled, attack)
    with filled.database.engine.connect() as connection:
        old = connection.execute(
            sa.text("SELECT secret FROM firms WHERE key = 'contoso legal'")
        ).scalar()
    with Workspace.open(place) as again:
        in_use(again)
        attack(
            "UPDATE firms SET secret = :old, sealed_for = NULL WHERE key = 'contoso legal'", old=old
        )
        with pytest.raises(DestinationError):
            again.firms.secret(FIRM.name)


def test_hosts_that_are_not_microsofts_are_to_be_confirmed_after_the_update(
    filled: Workspace, place: str, attack: Sql
) -> None:
    attack("UPDATE firms SET cloud = :cloud WHERE key = 'contoso legal'", cloud=EVIL.to_json())
    to_second_layout(filled, attack)
    with Workspace.open(place) as again:
        with pytest.raises(DestinationError, match="not Microsoft's"):
            again.firms.secret(FIRM.name)
        shown = again.firms.unconfirmed(FIRM.name)
        assert shown is not None
        again.firms.confirm(shown)
        in_use(again)
