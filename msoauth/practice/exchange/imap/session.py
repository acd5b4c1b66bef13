"""One client's IMAP session: reading commands, and the login (RFC 3501; banners and refusals of facts E3)."""

from msoauth.practice.exchange.auth import LoginResult, Protocol, Verdict
from msoauth.practice.exchange.connection import Connection, IdleError, LineTooLongError
from msoauth.practice.exchange.framing import read_exactly, readline
from msoauth.practice.exchange.imap import responses
from msoauth.practice.exchange.imap.commands import MailboxCommands
from msoauth.practice.exchange.imap.grammar import (
    COMMAND_LIMIT,
    ArgumentError,
    GrammarError,
    MessageSetError,
    Word,
    astring,
    literal,
    words,
)
from msoauth.practice.exchange.imap.responses import complete, say
from msoauth.practice.exchange.imap.search import CharsetError
from msoauth.practice.exchange.notices import Notices
from msoauth.practice.exchange.service import Service
from msoauth.practice.state import Mailbox

LITERAL_LIMIT = 65536  # bytes of a literal outside APPEND; not Exchange's number
MAX_FAILURES = 3  # tries before the connection is closed; unverified
_REFUSALS: dict[type[Exception], str] = {
    GrammarError: responses.ARGUMENTS,
    ArgumentError: responses.WRONG_ARGUMENT,
    MessageSetError: responses.MESSAGE_SET,
    CharsetError: responses.CHARSET,
}


class ImapSession:
    """One client's IMAP session: greeting, login, and then the commands on its mailbox."""

    def __init__(self, service: Service, connection: Connection) -> None:
        self.service = service
        self.connection = connection
        self._login: LoginResult | None = None
        self._commands: MailboxCommands | None = None
        self._connected = True
        self._failures = 0

    async def run(self) -> None:
        """Answer until LOGOUT or the end of the connection."""
        newer = self.service.has_fault("imap.backend-greeting")
        greeting = responses.READY_BACKEND if newer else responses.READY
        say(self.connection, greeting.format(self.service.encoded_host))
        await self.connection.flush()
        try:
            while await self._next():
                pass
            await self.connection.flush()
        except (LineTooLongError, IdleError):
            say(self.connection, responses.CLOSED)
            await self.connection.flush()
        finally:
            self.service.receiving.reserve(self, 0)
            if self._commands is not None:
                self.service.sessions.end(Protocol.IMAP, self._commands.mailbox, self)

    async def _next(self) -> bool:
        timing = self.service.timing
        parts = await self._parts(timing.idle if self._login else timing.before_login)
        if self._expired():
            say(self.connection, responses.EXPIRED)
            return False
        tag, _, rest = parts[0].decode("utf-8", "replace").partition(" ")
        verb, _, _ = rest.partition(" ")
        verb = verb.upper()
        if not verb or not tag.isascii() or not tag.isprintable() or len(tag) > 100:
            say(self.connection, f"* {responses.UNKNOWN}")
            return self._count_failure() if self._login is None else True
        parts[0] = rest[len(verb) :].encode()
        try:
            return await self._command(tag, verb, words(parts))
        except (GrammarError, ArgumentError, MessageSetError, CharsetError) as error:
            say(self.connection, f"{tag} {_REFUSALS[type(error)]}")
            return True
        finally:
            self.service.receiving.reserve(self, 0)

    async def _parts(self, seconds: float) -> list[bytes]:
        """A command's line, with the literals and lines that belong to it."""
        parts = [await readline(self.connection, COMMAND_LIMIT, seconds)]
        while (announcement := literal(parts[-1])) is not None:
            size, client_waits = announcement
            append = b" APPEND " in parts[0][:200].upper() and self._commands is not None
            if size > (self.service.limits.mail if append else LITERAL_LIMIT) or len(parts) > 20:
                raise LineTooLongError
            if not self.service.receiving.reserve(self, size):
                raise LineTooLongError
            if client_waits:
                say(self.connection, responses.CONTINUE)
            parts.append(
                await read_exactly(self.connection, size, self.service.timing.before_login)
            )
            parts.append(await readline(self.connection, COMMAND_LIMIT, seconds))
        return parts

    async def _command(self, tag: str, verb: str, arguments: list[Word]) -> bool:
        if verb == "LOGOUT":
            say(self.connection, responses.GOODBYE)
            complete(self.connection, tag, verb)
            return False
        if verb == "CAPABILITY":
            say(
                self.connection,
                f"* CAPABILITY {responses.AFTER if self._login else responses.BEFORE}",
            )
            complete(self.connection, tag, verb)
        elif verb == "ID":
            say(
                self.connection,
                '* ID ("name" "Microsoft.Exchange.Imap4.Imap4Server" "version" "15.20")',
            )
            complete(self.connection, tag, verb)
        elif verb == "NOOP" and self._login is None:
            complete(self.connection, tag, verb)
        elif verb in ("AUTHENTICATE", "LOGIN"):
            if self._login is None:
                return await self._authenticate(tag, verb, arguments)
            say(self.connection, f"{tag} {responses.INVALID_STATE}")
        elif self._login is not None and not self._connected:
            say(self.connection, f"{tag} {responses.NOT_CONNECTED}")
            say(self.connection, responses.CLOSED)
            return False
        elif self._commands is None:
            exists = verb in MailboxCommands.NAMES
            say(
                self.connection, f"{tag} {responses.INVALID_STATE if exists else responses.UNKNOWN}"
            )
            return self._count_failure()
        elif self._throttled():
            say(self.connection, f"{tag} {responses.THROTTLED}")
        elif verb in MailboxCommands.NAMES:
            await self._commands.answer(tag, verb, arguments, self._expired)
            if self._expired():
                say(self.connection, responses.EXPIRED)
                return False
        else:
            say(self.connection, f"{tag} {responses.UNKNOWN}")
        return True

    def _expired(self) -> bool:
        login, now = self._login, self.service.state.clock.time()
        return login is not None and (
            login.expires <= now
            or self.service.has_fault("imap.token-expired", login.tenant, login.mailbox)
        )

    def _throttled(self) -> bool:
        login = self._login
        return login is not None and self.service.has_fault(
            "imap.throttled", login.tenant, login.mailbox
        )

    def _count_failure(self) -> bool:
        """Count a failed try; returns whether the session goes on."""
        self._failures += 1
        if self._failures < MAX_FAILURES:
            return True
        say(self.connection, responses.CLOSED)
        return False

    # Not authenticated

    async def _authenticate(self, tag: str, verb: str, arguments: list[Word]) -> bool:
        service = self.service
        mechanism = astring(arguments[0]).upper() if arguments else ""
        if verb == "LOGIN" or mechanism == "PLAIN":
            service.log_event(Protocol.IMAP, f"{verb} refused: basic authentication")
            say(self.connection, f"{tag} {responses.LOGIN_REFUSED}")
            return self._count_failure()
        if mechanism != "XOAUTH2":
            say(self.connection, f"{tag} {responses.REFUSED}")
            return self._count_failure()
        if len(arguments) > 1:
            line = astring(arguments[1]).encode()
        else:
            self.connection.write(b"+ \r\n")
            line = await readline(self.connection, COMMAND_LIMIT, service.timing.before_login)
        login = service.check_login(Protocol.IMAP, line)
        not_connected = self._is_not_connected(login) or (
            login.mailbox is not None
            and service.has_fault("imap.passes", login.tenant, login.mailbox)
            and service.state.faults.is_first("imap.passes", login.mailbox.address)
        )
        if login.verdict is Verdict.ACCEPTED and login.mailbox is not None and not not_connected:
            return self._open(tag, login, login.mailbox)
        if login.verdict.token_refused:
            service.log_event(Protocol.IMAP, f"AUTHENTICATE XOAUTH2 refused: {login.why}", login)
            say(self.connection, f"{tag} {responses.REFUSED}")
            return self._count_failure()
        # The token is valid; only the next command shows that the mailbox does not open (facts E3).
        why = "a fault that says nothing" if not_connected else login.why
        service.log_event(Protocol.IMAP, f"authenticated but not connected: {why}", login)
        self._login, self._connected = login, False
        complete(self.connection, tag, "AUTHENTICATE")
        return True

    def _is_not_connected(self, login: LoginResult) -> bool:
        """Whether a fault keeps the mailbox closed: over both IP versions, or over the one that it names."""
        who = [login.tenant.tenant_id] if login.tenant else []
        who += [login.mailbox.address] if login.mailbox else []
        fault = self.service.state.faults.value("imap.not-connected", *who)
        family = "IPv6" if ":" in self.connection.peer() else "IPv4"
        return fault is not None and fault in (True, family)

    def _open(self, tag: str, login: LoginResult, mailbox: Mailbox) -> bool:
        service = self.service
        if service.has_fault("imap.unavailable", login.tenant, mailbox):
            service.log_event(Protocol.IMAP, "temporary fault", login)
            say(self.connection, f"{tag} {responses.UNAVAILABLE}")
            return self._count_failure()
        if service.sessions.count(Protocol.IMAP, mailbox) >= service.limits.sessions:
            service.log_event(Protocol.IMAP, "too many sessions", login)
            say(self.connection, responses.CLOSED)
            return False
        drop = service.has_fault("imap.drop", login.tenant, mailbox)
        self._login = login
        notices = Notices(service, login.tenant, mailbox, "IMAP4")
        self._commands = MailboxCommands(service, self.connection, mailbox, notices, drop=drop)
        service.sessions.begin(Protocol.IMAP, mailbox, self)
        service.connections.sign_in(self.connection)
        service.log_event(Protocol.IMAP, "AUTHENTICATE XOAUTH2 accepted", login)
        complete(self.connection, tag, "AUTHENTICATE")
        return True
