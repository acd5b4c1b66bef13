"""One client's SMTP session at Exchange Online's submission port 587 (facts E4 to E6)."""

import asyncio
import base64
import binascii
import secrets
import ssl
from collections.abc import Awaitable, Callable
from email.utils import format_datetime

from msoauth.practice.exchange import replies
from msoauth.practice.exchange.auth import (
    LoginResult,
    Protocol,
    Verdict,
    password_policy,
    smtp_policy,
)
from msoauth.practice.exchange.connection import DROP_AT, Connection, IdleError, LineTooLongError
from msoauth.practice.exchange.delivery import Submission, mailbox_at, submit
from msoauth.practice.exchange.framing import readline
from msoauth.practice.exchange.service import Service
from msoauth.practice.exchange.smtp_transaction import HELLO, MailTransaction, chunk
from msoauth.practice.state import Mailbox, Tenant

LINE_LIMIT = 12288  # octets of a SASL line (RFC 4954)
MAX_ERRORS = 10  # errors before the connection is closed; Exchange Online's number is not published


class SmtpSession:
    """One client's SMTP session: greeting, STARTTLS, login, and mails."""

    def __init__(
        self, service: Service, connection: Connection, tls: ssl.SSLContext | None
    ) -> None:
        self.service = service
        self.connection = connection
        self._tls = tls
        self.id = f"08DD{secrets.randbits(48):012X}"
        self._secure = False
        self._hello = False
        self._login: LoginResult | None = None
        self._refused = ""  # the last refusal of AUTH, which MAIL FROM repeats
        self._errors = 0
        self._transaction = MailTransaction(service, connection)
        self._end_time = asyncio.get_running_loop().time() + service.timing.smtp_session

    async def run(self) -> None:
        """Greet, then answer until QUIT or the end of the connection."""
        service = self.service
        for fault, reply in (("smtp.busy", replies.BUSY), ("smtp.old-tls", replies.TLS_OLD)):
            if service.has_fault(fault):
                self._say(reply)
                return
        moment = format_datetime(service.now())
        self._say(f"220 {service.host} Microsoft ESMTP MAIL Service ready at {moment} [{self.id}]")
        await self.connection.flush()
        try:
            while await self._next():
                pass
            await self.connection.flush()
        finally:
            self._transaction.reset()
            if self._login is not None and self._login.mailbox is not None:
                service.sessions.end(Protocol.SMTP, self._login.mailbox, self)

    def _say(self, reply: str) -> None:
        if reply.startswith(("4", "5")):
            self._errors += 1
        if "[..]" in reply:
            stamp = self.service.now().isoformat(timespec="milliseconds")[:-6]
            reply = reply.replace("[..]", f"[{self.service.host} {stamp}Z {self.id}]")
        self.connection.write(reply.encode() + b"\r\n")

    async def _line(self) -> bytes | None:
        """The next line, or None when the session is over (after replying with the reason)."""
        remaining = self._end_time - asyncio.get_running_loop().time()
        try:
            return await readline(
                self.connection, LINE_LIMIT, max(0.0, min(remaining, self.service.timing.smtp_idle))
            )
        except LineTooLongError:
            self._say(replies.LINE_TOO_LONG)
        except IdleError:
            self._say(
                replies.TIMED_OUT if remaining <= self.service.timing.smtp_idle else replies.IDLE
            )
        return None

    async def _next(self) -> bool:
        line = await self._line()
        if line is None:
            return False
        verb, _, argument = line.decode("utf-8", "replace").partition(" ")
        actions: dict[str, Callable[[str], Awaitable[bool]]] = {
            "EHLO": self._ehlo,
            "HELO": self._helo,
            "STARTTLS": self._starttls,
            "AUTH": self._auth,
            "MAIL": self._mail,
            "RCPT": self._rcpt,
            "DATA": self._data,
            "BDAT": self._bdat,
        }
        fixed_replies = {
            "NOOP": replies.FINE,
            "HELP": replies.HELP,
            "VRFY": replies.CANNOT_VERIFY,
            "RSET": replies.RESET,
            "QUIT": replies.BYE,
        }
        verb = verb.upper()
        if (act := actions.get(verb)) is not None:
            go_on = await act(argument.strip())
        elif verb in fixed_replies:
            if verb == "RSET":
                self._transaction.reset()
            self._say(fixed_replies[verb])
            go_on = verb != "QUIT"
        else:
            # Only the beginning is repeated: a client that is out of sync may have sent its token here.
            printable = "".join(c if " " < c < "\x7f" else "?" for c in verb[:16])
            self._say(replies.UNRECOGNIZED.format(printable))
            go_on = True
        if go_on and self._errors >= MAX_ERRORS:
            self._say(replies.TOO_MANY_ERRORS)
            return False
        return go_on

    # Before the mail

    async def _ehlo(self, name: str) -> bool:
        if not self._greet(name):
            return True
        peer, size = self.connection.peer(), self.service.limits.size
        self.connection.write(
            replies.capabilities(self.service.host, peer, self._secure, size).encode()
        )
        return True

    async def _helo(self, name: str) -> bool:
        if self._greet(name):
            self._say(f"250 {self.service.host} Hello [{self.connection.peer()}]")
        return True

    def _greet(self, name: str) -> bool:
        if len(name) > 255 or not HELLO.fullmatch(name):
            self._say(replies.HELLO_INVALID)
            return False
        self._hello = True
        self._transaction.reset()
        return True

    async def _starttls(self, argument: str) -> bool:
        if self._secure:
            self._say(replies.SEQUENCE)
            return True
        if argument:
            self._say(replies.ARGUMENTS)
            return True
        if not self._hello:
            self._say(replies.HELLO_FIRST)
            return True
        # start_tls discards what was sent after STARTTLS in plain text (no command injection).
        await self.connection.start_tls(
            self._tls, self.service.timing.handshake, f"{replies.TLS_READY}\r\n".encode()
        )
        self._secure, self._hello = True, False  # RFC 3207: the client says EHLO again
        self._transaction.reset()
        return True

    async def _auth(self, argument: str) -> bool:
        if not self._hello:
            self._say(replies.HELLO_FIRST)
        elif not self._secure:
            self._say(replies.TLS_REQUIRED)
        elif self._login is not None:
            self._say(replies.AUTH_TWICE)
        elif self._transaction.sender is not None:
            self._say(replies.SEQUENCE)
        else:
            mechanism, _, initial = argument.partition(" ")
            mechanism = mechanism.upper()
            if mechanism == "XOAUTH2":
                return await self._xoauth2(initial.strip())
            if mechanism == "LOGIN":
                return await self._basic(initial.strip())
            self._say(replies.AUTH_UNKNOWN)
        return True

    async def _ask(self, challenge: str) -> bytes | None:
        self.connection.write(f"334 {challenge}\r\n".encode())
        return await self._line()

    async def _xoauth2(self, initial: str) -> bool:
        line = initial.encode() if initial else await self._ask("")
        if line is None:
            return False
        if line == b"*":
            self._say(replies.AUTH_CANCELLED)
            return True
        service = self.service
        reply, outcome, login = _answer_xoauth2(service, line)
        if reply == replies.AUTH_OK and login.mailbox is not None:
            self._login, self._refused = login, ""
            service.sessions.begin(Protocol.SMTP, login.mailbox, self)
            service.connections.sign_in(self.connection)
        if self._login is None:
            self._refused = reply.removesuffix(" [..]")
        service.log_event(Protocol.SMTP, outcome, login, self.id)
        self._say(reply)  # no JSON challenge before a refusal (facts E4)
        return True

    async def _basic(self, initial: str) -> bool:
        user = initial.encode() if initial else await self._ask("VXNlcm5hbWU6")
        if user is None:
            return False
        password = user if user == b"*" else await self._ask("UGFzc3dvcmQ6")
        if password is None:
            return False
        if password == b"*":
            self._say(replies.AUTH_CANCELLED)
            return True
        del password  # never checked: Basic authentication is disabled
        reply, from_user = _answer_basic(self.service, user)
        self._refused = reply.removesuffix(" [..]")
        self.service.log_event(
            Protocol.SMTP,
            "AUTH LOGIN refused: basic authentication",
            session_id=self.id,
            user=from_user,
        )
        self._say(reply)
        return True

    # The mail

    def _mail_refusal(self) -> str | None:
        """The reply when no mail may be sent in this state of the session; None when it may."""
        if not self._hello:
            return replies.HELLO_FIRST
        if not self._secure:
            return replies.TLS_REQUIRED
        login = self._login
        if login is None or self.service.has_fault("smtp.login-lost", login.tenant, login.mailbox):
            if self._refused:
                return replies.NOT_AUTHENTICATED_AGAIN.format(self._refused)
            return replies.NOT_AUTHENTICATED
        return None

    async def _mail(self, argument: str) -> bool:
        self._say(self._mail_refusal() or self._transaction.mail(argument, self._login))
        return True

    async def _rcpt(self, argument: str) -> bool:
        self._say(self._mail_refusal() or self._transaction.rcpt(argument, self._login))
        return True

    async def _data(self, argument: str) -> bool:
        refusal = self._mail_refusal() or self._transaction.data_refused(argument)
        if refusal is not None:
            self._say(refusal)
            return True
        self._say(replies.START_DATA)
        try:
            content = await self._transaction.read_data()
        except IdleError:
            self._say(replies.IDLE)
            return False
        return self._finish(content)

    async def _bdat(self, argument: str) -> bool:
        parsed_chunk = chunk(argument)
        if parsed_chunk is None:
            # It is unknown how many bytes follow, so nothing after this can be parsed.
            self._say(replies.ARGUMENTS)
            return False
        (count, last), transaction = parsed_chunk, self._transaction
        refusal = self._mail_refusal() or transaction.incomplete()
        try:
            await transaction.read_chunk(count, refused=refusal is not None)
        except IdleError:
            self._say(replies.IDLE)
            return False
        if refusal is not None:
            self._say(refusal)
            return True
        if last:
            return self._finish(transaction.chunks())
        self._say(replies.TOO_BIG if transaction.too_big else replies.CHUNK_OK.format(count))
        return True

    def _finish(self, content: bytes | None) -> bool:
        login = self._login
        if login is None:
            self._say(replies.NOT_AUTHENTICATED)
            return True
        mail = None
        if content is not None:
            mail = Submission(
                self._transaction.sender or "",
                tuple(self._transaction.recipients),
                content,
                self.service.host,
                self.connection.peer(),
                self.id,
            )
        reply, outcome = submit(self.service, self, login, mail)
        self.service.log_event(Protocol.SMTP, outcome, login, self.id)
        self._transaction.reset()
        if self.service.has_fault("smtp.drop", login.tenant, login.mailbox):
            self.connection.drop_after(DROP_AT)
        self._say(reply)
        return not reply.startswith("421")


def _answer_xoauth2(service: Service, line: bytes) -> tuple[str, str, LoginResult]:
    """The reply, one line for the protocol log, and the login's result; only ``AUTH_OK`` signs in."""
    login = service.check_login(Protocol.SMTP, line)
    reply = replies.POLICY.get(login.verdict, replies.AUTH_REFUSED)
    outcome = f"AUTH XOAUTH2 refused: {login.why}"
    if login.verdict is Verdict.MALFORMED:
        reply = replies.AUTH_MALFORMED
    elif (fault := _fault_at_login(service, login.tenant, login.mailbox)) is not None:
        reply, outcome = replies.AT_LOGIN[fault], f"AUTH XOAUTH2 refused: {fault}"
    elif login.verdict is Verdict.MOVED:
        reply = replies.AUTH_TEMPORARY
    elif login.verdict is Verdict.ACCEPTED and login.mailbox is not None:
        reply, outcome = replies.AUTH_OK, "AUTH XOAUTH2 accepted"
    return reply, outcome, login


def _answer_basic(service: Service, user_line: bytes) -> tuple[str, str]:
    """The refusal of a user name and password, and the name; the password is never checked."""
    user = _decode_user(user_line)
    tenant, mailbox = mailbox_at(service.state, user)
    verdict = smtp_policy(tenant, mailbox) if tenant is not None else None
    account = tenant.user(user) if tenant is not None else None
    if verdict is None and tenant is not None and account is not None:
        verdict = password_policy(tenant, account)
    if verdict is not None:
        reply = replies.POLICY[verdict]
    elif service.has_fault("smtp.basic-removed", tenant, mailbox):
        reply = replies.BASIC_REMOVED
    elif service.has_fault("smtp.credentials", tenant, mailbox):
        reply = replies.CREDENTIALS
    else:
        reply = replies.BASIC_DISABLED
    return reply, user


def _fault_at_login(service: Service, tenant: Tenant | None, mailbox: Mailbox | None) -> str | None:
    """The fault that applies to that login, or None."""
    return next((f for f in replies.AT_LOGIN if service.has_fault(f, tenant, mailbox)), None)


def _decode_user(line: bytes) -> str:
    """The user name of AUTH LOGIN, for the log only."""
    try:
        name = base64.b64decode(line, validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
    return name if "@" in name and name.isprintable() else ""  # not a password sent too early
