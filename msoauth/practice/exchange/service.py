"""What the POP3, IMAP and SMTP servers share: the tenant's state, limits, time-outs, and who is signed in."""

import asyncio
import base64
import secrets
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime

from msoauth.practice.exchange.auth import LoginResult, Protocol, check_login
from msoauth.practice.exchange.connection import Connection
from msoauth.practice.state import Mailbox, PracticeState, Tenant
from msoauth.practice.tokens import Signer


@dataclass(frozen=True, slots=True)
class Timing:
    """Time-outs in seconds. POP and IMAP: on-premises defaults, the cloud's are not published (facts E2)."""

    # Longer than clients wait (ours 30 s): on a computer that was suspended or is very busy, the server would
    # otherwise disconnect a client before it could send its first command.
    handshake: float = 60.0
    before_login: float = 60.0
    idle: float = 1800.0
    smtp_idle: float = 300.0
    smtp_session: float = 600.0  # facts E4: 421 4.4.1 after ten minutes
    write: float = 30.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of Exchange Online (facts E7; POP and IMAP sessions are the on-premises default) and of this process."""

    sessions: int = 16
    submissions: int = 3
    messages_per_minute: int = 30
    recipients: int = 500
    size: int = 157286400  # bytes of a mail, as EHLO states
    mail: int = 35 << 20  # bytes of a mail that a mailbox may send; default unverified (facts E7)
    # Not Microsoft's: they keep a client from filling this computer's memory.
    connections: int = 4000  # open at a time
    receiving: int = 128 << 20  # bytes of mails that are being received, all together
    kept: int = 256 << 20  # bytes of sent mails, in all mailboxes


class ConnectionLimit:
    """The open connections, bounded in number; those that have not signed in are closed first."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._anonymous: dict[Connection, None] = {}
        self._signed_in: set[Connection] = set()

    def admit(self, connection: Connection) -> bool:
        """Admit a connection; when there are too many, close the oldest that has not signed in."""
        if len(self._anonymous) + len(self._signed_in) >= self.limit:
            if not self._anonymous:
                return False
            oldest = next(iter(self._anonymous))
            del self._anonymous[oldest]
            oldest.end("it makes room for a newer connection")
        self._anonymous[connection] = None
        return True

    def sign_in(self, connection: Connection) -> None:
        """Note that the connection has signed in, so it is no longer closed to make room."""
        self._anonymous.pop(connection, None)
        self._signed_in.add(connection)

    def remove(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        self._anonymous.pop(connection, None)
        self._signed_in.discard(connection)

    def all(self) -> list[Connection]:
        """Every connection."""
        return [*self._anonymous, *self._signed_in]


class MemoryBudget:
    """A bound on the bytes that all sessions together keep in memory."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._reserved: dict[object, int] = {}

    @property
    def reserved(self) -> int:
        """Bytes that are reserved now."""
        return sum(self._reserved.values())

    def reserve(self, session: object, count: int) -> bool:
        """Replace the reservation of *session* by *count* bytes; beyond the limit it gets none, and False."""
        self._reserved.pop(session, None)
        if count > self.most - self.reserved:
            return False
        if count:
            self._reserved[session] = count
        return True


class Sessions:
    """The open sessions of each mailbox, in the order of their logins, and when the mailbox lately sent mail."""

    def __init__(self) -> None:
        self._open: dict[tuple[Protocol, str], dict[object, None]] = {}
        self._sent: dict[str, deque[float]] = {}

    def begin(self, protocol: Protocol, mailbox: Mailbox, session: object) -> None:
        """Add a session."""
        self._open.setdefault((protocol, mailbox.address), {})[session] = None

    def end(self, protocol: Protocol, mailbox: Mailbox, session: object) -> None:
        """Remove a session."""
        key = (protocol, mailbox.address)
        if (sessions := self._open.get(key)) is not None:
            sessions.pop(session, None)
            if not sessions:
                del self._open[key]

    def count(self, protocol: Protocol, mailbox: Mailbox) -> int:
        """Sessions that are open on that mailbox."""
        return len(self._open.get((protocol, mailbox.address), ()))

    def place(self, protocol: Protocol, mailbox: Mailbox, session: object) -> int:
        """How many sessions on that mailbox are older than this one."""
        return list(self._open.get((protocol, mailbox.address), ())).index(session)

    def may_send(self, mailbox: Mailbox, now: float, a_minute: int) -> bool:
        """Count a message of that mailbox; False when it exceeds the limit of messages a minute."""
        sent = self._sent.setdefault(mailbox.address, deque())
        while sent and sent[0] <= now - 60:
            sent.popleft()
        if len(sent) >= a_minute:
            return False
        sent.append(now)
        return True


@dataclass
class Service:
    """The Exchange Online of one practice tenant.

    Attributes:
        host: The server's name, shaped like those of Exchange Online's front ends.
    """

    state: PracticeState
    signer: Signer
    timing: Timing = field(default_factory=Timing)
    limits: Limits = field(default_factory=Limits)
    host: str = field(
        default_factory=lambda: f"PR0P264CA{secrets.randbelow(9000) + 1000}.outlook.office365.com"
    )

    def __post_init__(self) -> None:
        self.connections = ConnectionLimit(self.limits.connections)
        self.sessions = Sessions()
        self.receiving = MemoryBudget(self.limits.receiving)
        self._kept = 0
        # facts E2: the bracket of POP's and IMAP's greetings is base64 of the UTF-16LE host name
        self.encoded_host = base64.b64encode(self.host.encode("utf-16-le")).decode()

    def check_login(self, protocol: Protocol, line: bytes) -> LoginResult:
        """Check a base64 XOAUTH2 line; the caller writes the outcome to the protocol log."""
        return check_login(self.state, self.signer, protocol, line)

    def has_fault(
        self, fault: str, tenant: Tenant | None = None, mailbox: Mailbox | None = None
    ) -> bool:
        """Whether that fault is set for the tenant or the mailbox (both None: before a login, for anybody)."""
        who = ([tenant.tenant_id] if tenant else []) + ([mailbox.address] if mailbox else [])
        return self.state.faults.value(fault, *who) is not None

    def now(self) -> datetime:
        """The practice tenant's time, in UTC."""
        return self.state.clock.now()

    def may_keep(self, size: int) -> bool:
        """Count *size* more bytes of mail; False when all mailboxes together would exceed the limit."""
        if self._kept + size > self.limits.kept:
            self._kept = sum(
                box.size()
                for tenant in self.state.tenants.values()
                for box in tenant.mailboxes.values()
            )
        if self._kept + size > self.limits.kept:
            return False
        self._kept += size
        return True

    def log_event(
        self,
        protocol: Protocol,
        outcome: str,
        login: LoginResult | None = None,
        session_id: str = "",
        user: str = "",
    ) -> None:
        """Write a line to the protocol log; *outcome* holds no credential."""
        tenant = login.tenant if login else None
        if tenant is None and login is not None:
            tenant = self.state.tenant_of_address(login.user)
        self.state.log_event(
            protocol.name,
            outcome,
            tenant=tenant.name if tenant else "",
            user=(login.user if login else user)[:254],
            trace_id=session_id,
        )


async def pause() -> None:
    """Let other sessions run during long work."""
    await asyncio.sleep(0)
