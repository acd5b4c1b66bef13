"""Where secrets and tokens go: what each sealed value is bound to, what was changed since, and who confirmed it.

A sealed value opens only for its *binding*: everything that decides where it is sent. The binding is computed from the
firm (and account) that the value is about to be used for, so that a database which others can write cannot redirect it.
A copy of the binding is stored beside each value, in clear, to tell what was changed; whether that copy is true shows
when the value opens with it.
"""

import functools
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from msoauth import shells, tls
from msoauth.clouds import Cloud, Endpoint
from msoauth.errors import DestinationError
from msoauth.model import Account, Firm
from msoauth.store import schema, vault_key
from msoauth.store.vault import Vault, associated_data, decrypted
from msoauth.texts import _

if TYPE_CHECKING:
    from cryptography import x509

_UNREADABLE = "unreadable"
_DETAILS = ("graph", "outlook_resource", "pop3", "imap", "smtp", "ca", "ca_key")
_ORDER = (
    *("firm", "login", "tenant", "client_id", "redirect_uri", "access", "cloud", "authority"),
    *_DETAILS,
)

# The mark of a workspace whose values from before version 3 are still to be bound, because that needs the key.
_is_mark = schema.meta.c.key == "unbound"
INSERT_UNBOUND = schema.meta.insert().values(key="unbound", value="1")
SELECT_UNBOUND = sa.select(schema.meta.c.value).where(_is_mark)
DELETE_UNBOUND = schema.meta.delete().where(_is_mark)

_secrets, _approvals = schema.firms.c.secret, schema.firms.c.approval
_caches = schema.tokens.c.sealed
SEALED_COLUMNS = (_secrets, _approvals, _caches)


def firm_key(name: str) -> str:
    """A firm's name in the form in which names are compared."""
    return name.strip().casefold()


@dataclass(frozen=True, slots=True)
class Change:
    """Something that decides where secrets go, and that is not what they were sealed for.

    Attributes:
        what: The entry of the binding, such as ``client_id`` or ``authority``.
        old: Its value when the secret was sealed; empty for none.
        new: Its value now; empty for none.
        account: The mailbox that it is about; empty for the firm.
        verified: Whether *old* is proven; a database that others can write may hold a false one.
    """

    what: str
    old: str
    new: str
    account: str = ""
    verified: bool = True

    def __str__(self) -> str:
        return f"{self.label}: {self.old_text} → {self.new_text}"

    @property
    def label(self) -> str:
        """What was changed, for people."""
        label = _label(self.what)
        return f"{label} ({self.account})" if self.account else label

    @property
    def old_text(self) -> str:
        """The old value, for people, marked if it is not verified."""
        old = self._for_people(self.old)
        return old if self.verified else _("{value} (not verified)").format(value=old)

    @property
    def new_text(self) -> str:
        """The new value, for people."""
        return self._for_people(self.new)

    def _for_people(self, value: str) -> str:
        is_digest = self.what.startswith("ca") and len(value) == 64
        return f"{value[:16]}…" if is_digest else value[:200] or "–"


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """What is to be confirmed before the secrets of a firm are used.

    Attributes:
        firm: The firm as it is stored now.
        changes: What was changed since its secrets and tokens were sealed.
        host: The hosts that are not Microsoft's and to which nobody confirmed that secrets may go, with commas between
            them; empty for none.
        lost: The mailboxes whose tokens no longer open, whatever is confirmed; an empty text stands for the secret.
    """

    firm: Firm
    changes: tuple[Change, ...]
    host: str = ""
    lost: tuple[str, ...] = ()

    @property
    def lost_text(self) -> str:
        """What no longer opens, for people."""
        names = [address or _("client secret") for address in self.lost]
        return ", ".join(names[:5]) + (" …" if len(names) > 5 else "")

    def _most_important(self) -> Sequence[Change]:
        """The changes without the details of a cloud in whose place there is another one."""
        if not any(change.what == "cloud" for change in self.changes):
            return self.changes
        return [change for change in self.changes if change.what not in _DETAILS]

    def error(self) -> DestinationError:
        """The error for a use of the firm's secrets."""
        command = shells.command("firm confirm {NAME}", NAME=self.firm.name)
        if self.changes:
            summary = _(
                "{firm}: the settings that decide where its secrets are sent have changed: {changes}. "
                "Nothing was sent. If the change is right: {command}"
            )
        elif self.host:
            summary = _(
                "{firm}: its servers ({host}) are not Microsoft's, and nobody has confirmed yet that secrets may be sent there. "
                "Nothing was sent. If they may: {command}"
            )
        else:
            summary = _(
                "{firm}: a stored secret was damaged or moved ({lost}). Nothing was sent. To delete it and enter it again: "
                "{command}"
            )
        text = summary.format(
            firm=self.firm.name,
            host=self.host,
            changes="; ".join(map(str, self._most_important())),
            lost=self.lost_text,
            command=command,
        )
        return DestinationError(text, firm=self.firm.name)


def needs_confirmation(cloud: Cloud) -> bool:
    """Whether a cloud's servers are neither Microsoft's nor all on this computer."""
    return not (cloud.is_microsoft or cloud.is_loopback)


def not_approved(firm: Firm) -> Unconfirmed:
    """What is to be confirmed of a firm whose hosts nobody has confirmed."""
    cloud = firm.cloud
    return Unconfirmed(firm, (), ", ".join(cloud.foreign_hosts) or cloud.label)


# The binding


def binding(firm: Firm, account: Account | None = None, recorded: str | None = None) -> str:
    """What the secret of *firm*, or the tokens of its *account*, are bound to, as JSON text.

    Args:
        recorded: The binding stored beside the value. It stands in for the key of a practice tenant that has ended, whose
            certificate file is gone: without that file no connection can be made.
    """
    entries = {
        "tenant": firm.tenant,
        "client_id": firm.client_id,
        "redirect_uri": firm.redirect_uri,
        "access": firm.access,
        **_cloud_entries(firm.cloud, recorded),
    }
    if account is not None:
        entries |= {"firm": firm_key(firm.name), "login": account.login or ""}
    return json.dumps(entries, sort_keys=True)


def _cloud_entries(cloud: Cloud, recorded: str | None) -> dict[str, str]:
    if cloud.is_microsoft:
        return {"cloud": cloud.name}
    if cloud.is_practice:  # its ports change at each start
        key = _ca_digest(cloud.ca_file)
        return {
            "cloud": "practice",
            "ca_key": _entries(recorded).get("ca_key", key) if key == _UNREADABLE else key,
        }
    return {
        "cloud": "endpoints",
        "authority": cloud.authority,
        "graph": cloud.graph,
        "outlook_resource": cloud.outlook_resource,
        "pop3": _address(cloud.pop3),
        "imap": _address(cloud.imap),
        "smtp": _address(cloud.smtp),
        "ca": _ca_digest(cloud.ca_file, certificates=True) if cloud.ca_file else "",
    }  # fmt: skip


def _address(endpoint: Endpoint) -> str:
    return f"{endpoint.host}:{endpoint.port} {endpoint.tls}"


def _ca_digest(ca_file: str | None, *, certificates: bool = False) -> str:
    """A digest of the public keys (or the certificates) in a CA file."""
    try:
        return _digest_of(tls.authorities(str(ca_file)), certificates)
    except (OSError, ValueError):
        return _UNREADABLE


@functools.lru_cache(maxsize=64)
def _digest_of(found: "tuple[x509.Certificate, ...]", certificates: bool) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    parts = [
        cert.public_bytes(Encoding.DER)
        if certificates
        else cert.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        for cert in found
    ]
    return hashlib.sha256(
        b"".join(sorted(hashlib.sha256(part).digest() for part in parts))
    ).hexdigest()


def _entries(text: str | None) -> dict[str, str]:
    """The entries of a binding from the database, where anything may stand."""
    try:
        data = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return {k: str(data[k]) for k in _ORDER if k in data} if isinstance(data, dict) else {}


def _label(what: str) -> str:
    return {
        "tenant": _("Directory (tenant)"),
        "client_id": _("Application (client) ID"),
        "redirect_uri": _("Redirect URI"),
        "access": _("Access"),
        "cloud": _("Cloud"),
        "authority": _("Sign-in service"),
        "graph": _("Microsoft Graph"),
        "outlook_resource": _("Resource of the mail permissions"),
        "pop3": _("POP3 server"),
        "imap": _("IMAP server"),
        "smtp": _("SMTP server"),
        "ca": _("Certificate authority"),
        "ca_key": _("Key of the practice tenant"),
        "firm": _("Firm"),
        "login": _("Signs in as"),
    }.get(what, what)


# Sealed values in the database


@dataclass(frozen=True, slots=True)
class SealedValue:
    """A sealed value as the database holds it.

    Attributes:
        column: Its column.
        key: The key of its row.
        firm: The key of its firm.
        sealed_for: The copy of its binding, which may be forged; None for a value from before version 3.
        account: The mailbox, for tokens.
    """

    column: sa.Column[Any]
    key: str
    firm: str
    sealed: bytes
    sealed_for: str | None
    account: Account | None = None

    @property
    def place(self) -> str:
        """The place for which it was sealed."""
        table = self.column.table.name
        return f"{table}/{self.key}/{'cache' if self.account else self.column.name}"

    def binding(self, firm: Firm) -> str:
        """Its binding if it is used for *firm*."""
        return binding(firm, self.account, self.sealed_for)

    def opens(self, vault: Vault, binding: str | None) -> str | None:
        """The value in clear, or None when it does not open with this binding.

        Raises:
            VaultError: the key is missing or wrong.
        """
        text = vault.unseal(self.sealed, self.place, binding)
        if text is None:
            # Since it was read, another program may have encrypted it anew, and another thread have loaded the new key.
            now = vault.stored(self.column, self.key)
            if now is not None and now != self.sealed:
                text = vault.unseal(now, self.place, binding)
        return text

    def open(self, vault: Vault, firm: Firm) -> str:
        """The value in clear, to be used for *firm* and for nothing else.

        Raises:
            DestinationError: something was changed that decides where it goes, or the value was damaged.
            VaultError: the key is missing or wrong.
        """
        text = self.opens(vault, self.binding(firm))
        if text is None:
            lost = (self.account.address if self.account else "",)
            raise Unconfirmed(firm, self.changes(vault, firm), lost=lost).error()
        return text

    def is_lost(self, vault: Vault) -> bool:
        """Whether it does not even open with the copy of its binding."""
        return self.sealed_for is None or self.opens(vault, self.sealed_for) is None

    def changes(self, vault: Vault, firm: Firm) -> tuple[Change, ...]:
        """How its binding differs from the copy stored beside it."""
        old, new = _entries(self.sealed_for), _entries(self.binding(firm))
        verified = not self.is_lost(vault)
        own = {"firm", "login"}
        address = self.account.address if self.account else ""
        return tuple(
            Change(
                what, old.get(what, ""), new.get(what, ""), address if what in own else "", verified
            )
            for what in _ORDER
            if old.get(what) != new.get(what)
        )

    def reseal(self, connection: sa.Connection, vault: Vault, text: str, binding: str) -> None:
        """Seal *text* in its place, for another binding."""
        sealed = {
            self.column: vault.seal(connection, text, self.place, binding),
            self.column.table.c.sealed_for: binding,
        }
        self._update(connection, sealed)

    def rekey(self, connection: sa.Connection, old_key: bytes, new_key: bytes, firm: Firm) -> bool:
        """Encrypt it anew with another data key, for the binding that it has; returns whether it opens with the old key.

        Args:
            firm: Its firm as it is stored now, because the copy of its binding may be forged.
        """
        for bound_to in (self.sealed_for, self.binding(firm)):
            text = decrypted(old_key, self.sealed, self.place, bound_to)
            if text is not None:
                data = associated_data(self.place, bound_to)
                sealed = vault_key.encrypt(new_key, text.encode(), data)
                self._update(connection, {self.column: sealed})
                return True
        return False

    def _update(self, connection: sa.Connection, values: dict[Any, Any]) -> None:
        table = schema.firms if self.account is None else schema.tokens
        [row_key] = table.primary_key
        connection.execute(table.update().where(row_key == self.key).values(values))

    def bind(self, connection: sa.Connection, vault: Vault, firm: Firm) -> None:
        """Bind a value from before version 3 to where it goes now."""
        text, now = self.opens(vault, None), self.binding(firm)
        if text is None:  # damaged
            self._update(connection, {self.column.table.c.sealed_for: now})
        else:
            self.reseal(connection, vault, text, now)

    def forget(self, connection: sa.Connection) -> None:
        """Delete it; of tokens, the row."""
        if self.account is None:
            self._update(connection, {self.column: None})
        else:
            connection.execute(schema.tokens.delete().where(schema.tokens.c.account == self.key))


def sealed_values(
    connection: sa.Connection, *, firm: str | None = None, account: str | None = None
) -> Iterator[SealedValue]:
    """All sealed values of the database, or those of one firm (with its accounts), or of one account.

    Args:
        firm: The key of a firm.
        account: The key of an account.
    """
    f, a, t = schema.firms.c, schema.accounts.c, schema.tokens.c
    if account is None:
        of_firms = sa.select(f.key, f.secret, f.approval, f.sealed_for)
        for row in connection.execute(_where(of_firms, f.key, firm)).all():
            for column, sealed in ((_secrets, row.secret), (_approvals, row.approval)):
                if sealed is not None:
                    yield SealedValue(column, row.key, row.key, sealed, row.sealed_for)
    of_accounts = sa.select(t.account, t.sealed, t.sealed_for, a.firm, a.login)
    for row in connection.execute(_of_accounts(of_accounts, firm, account)).all():
        holder = Account(row.account, row.firm, row.login)
        yield SealedValue(_caches, row.account, row.firm, row.sealed, row.sealed_for, holder)


def token_copies(
    connection: sa.Connection, *, firm: str | None, account: str | None
) -> Sequence[Any]:
    """For each account that has tokens, its key and the copy of what they are bound to; see :func:`sealed_values`."""
    t = schema.tokens.c
    query = sa.select(t.account, t.sealed_for)
    return connection.execute(_of_accounts(query, firm, account)).all()


def _of_accounts(query: sa.Select[Any], firm: str | None, account: str | None) -> sa.Select[Any]:
    a, t = schema.accounts.c, schema.tokens.c
    query = query.join(schema.accounts, a.key == t.account)
    return _where(_where(query, a.firm, firm), a.key, account)


def _where(query: sa.Select[Any], column: sa.Column[str], key: str | None) -> sa.Select[Any]:
    return query if key is None else query.where(column == key)


def unconfirmed(vault: Vault, firm: Firm, values: Iterable[SealedValue]) -> Unconfirmed | None:
    """What is to be confirmed before these sealed values of *firm* are used; None if nothing is.

    Raises:
        VaultError: the key is missing or wrong.
    """
    approved = not needs_confirmation(firm.cloud)
    changes: list[Change] = []
    lost = []
    for value in values:
        if value.opens(vault, value.binding(firm)) is not None:
            approved = approved or value.column is _approvals
            continue
        changes += value.changes(vault, firm)
        if value.column is not _approvals and value.is_lost(vault):
            lost.append(value.account.address if value.account else "")
    if approved and not changes and not lost:
        return None
    host = "" if approved else not_approved(firm).host
    return Unconfirmed(firm, tuple(dict.fromkeys(changes)), host, tuple(lost))


def accept(
    connection: sa.Connection, vault: Vault, firm: Firm, values: Iterable[SealedValue]
) -> None:
    """Seal these values of *firm* for where it is now, and approve that; delete those that do not open.

    Raises:
        VaultError: the key is missing or wrong.
    """
    for value in values:
        now = value.binding(firm)
        text = value.opens(vault, now)
        if text is None and value.sealed_for is not None:
            text = value.opens(vault, value.sealed_for)
        if text is None:
            value.forget(connection)
        else:
            value.reseal(connection, vault, text, now)
    if needs_confirmation(firm.cloud):
        key = firm_key(firm.name)
        SealedValue(_approvals, key, key, b"", None).reseal(connection, vault, "", binding(firm))


def follow(
    connection: sa.Connection,
    vault: Vault,
    old: Firm,
    new: Firm,
    accounts: tuple[str, Account, Account] | None = None,
) -> None:
    """Seal the values of a firm, or of one account, for the destination to which the user has just changed it.

    Those that were not good for the old destination stay as they are, and so do all if the new one has hosts that are
    not Microsoft's and that nobody has confirmed: they open again once the user has confirmed the change.

    Args:
        accounts: The key of the account that was changed, how it was, and how it is; None if the firm was changed.

    Raises:
        VaultError: the key is missing or wrong.
    """
    key, before, after = accounts or (None, None, None)
    if binding(old, before) == binding(new, after):
        return
    same_hosts = _cloud_entries(old.cloud, None) == _cloud_entries(new.cloud, None)
    if needs_confirmation(new.cloud) and not same_hosts:
        return
    of_firm = None if key else firm_key(old.name)
    for value in list(sealed_values(connection, firm=of_firm, account=key)):
        text = value.opens(vault, binding(old, before or value.account, value.sealed_for))
        if text is not None:
            new_binding = binding(new, after or value.account, value.sealed_for)
            value.reseal(connection, vault, text, new_binding)
