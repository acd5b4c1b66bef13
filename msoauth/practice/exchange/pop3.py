"""One client's POP3 session (RFC 1939; banners and refusals of facts E2)."""

from collections.abc import Awaitable, Callable

from msoauth.practice.exchange.auth import LoginResult, Protocol, Verdict
from msoauth.practice.exchange.connection import DROP_AT, Connection, IdleError, LineTooLongError
from msoauth.practice.exchange.framing import readline
from msoauth.practice.exchange.maildrop import Maildrop
from msoauth.practice.exchange.notices import REFUSED as MESSAGE_REFUSED
from msoauth.practice.exchange.notices import WITHHELD, Notices
from msoauth.practice.exchange.service import Service
from msoauth.practice.state import Mailbox

COMMAND_LIMIT = 512  # octets a command may have (office-ps: Set-PopSettings.md, default)
SASL_LIMIT = 12288  # octets of a SASL line (RFC 4954's number; Exchange's for POP is not published)

OK = b"+OK\r\n"
READY = "+OK The Microsoft Exchange POP3 service is ready. [{}]\r\n"
CAPABILITIES = b"+OK\r\nTOP\r\nUIDL\r\nSASL PLAIN XOAUTH2\r\nUSER\r\n.\r\n"
SIGNED_IN = b"+OK User successfully authenticated.\r\n"
REFUSED = b"-ERR Authentication failure: unknown user name or bad password.\r\n"
BASIC_DISABLED = b"-ERR Basic authentication is disabled\r\n"
BAD_STATE = b"-ERR Command is not valid in this state.\r\n"
TOO_LONG = b"-ERR Protocol error. Connection is closed. 10\r\n"
UNKNOWN = b"-ERR Protocol error. 19\r\n"
GOODBYE = b"+OK Microsoft Exchange Server POP3 server signing off.\r\n"
# The following are unverified: no capture of Exchange Online shows its wording for them.
NO_SUCH = b"-ERR The specified message is out of range.\r\n"
SYNTAX = b"-ERR Protocol error. 14\r\n"
UNAVAILABLE = b"-ERR Server Unavailable. 15\r\n"
BUSY = b"-ERR The mailbox is locked by another POP3 session.\r\n"
MOVED = b"-ERR The mailbox is being moved. Please try again later.\r\n"
TOO_MANY = b"-ERR Maximum number of connections exceeded. Connection is closed.\r\n"
NOT_HANDED_OVER = b"-ERR The message could not be retrieved.\r\n"
TIMED_OUT = b"-ERR Connection is closed. 20\r\n"
# Generic response codes (RFC 2449, RFC 3206): not seen from Exchange Online, so only when a fault asks for them.
RESPONSE_CODES = {
    REFUSED: b"AUTH",
    UNAVAILABLE: b"SYS/TEMP",
    BUSY: b"IN-USE",
    MOVED: b"IN-USE",
    TOO_MANY: b"SYS/TEMP",
}

MAX_FAILURES = 3  # tries before the connection is closed; unverified (facts J5)


class Pop3Session:
    """One client's POP3 session: greeting, login, and the commands on its maildrop."""

    def __init__(self, service: Service, connection: Connection) -> None:
        self.service = service
        self.connection = connection
        self._login: LoginResult | None = None
        self._drop: Maildrop | None = None
        self._notices: Notices | None = None
        self._user: str | None = None
        self._failures = 0
        self._fault = False

    async def run(self) -> None:
        """Greet, then answer until QUIT or the end of the connection."""
        self.connection.write(READY.format(self.service.encoded_host).encode())
        await self.connection.flush()
        timing = self.service.timing
        try:
            while True:
                idle = timing.idle if self._drop else timing.before_login
                try:
                    line = await readline(self.connection, COMMAND_LIMIT, idle)
                except LineTooLongError:
                    self.connection.write(TOO_LONG)
                    break
                except IdleError:
                    self.connection.write(TIMED_OUT)
                    break
                if not await self._command(line):
                    break
            await self.connection.flush()
        finally:
            if self._drop is not None:
                self.service.sessions.end(Protocol.POP3, self._drop.mailbox, self)

    async def _command(self, line: bytes) -> bool:
        verb, _, argument = line.decode("utf-8", "replace").partition(" ")
        verb = verb.upper()
        if verb == "QUIT":
            self._update()
            self.connection.write(GOODBYE)
            return False
        if verb == "CAPA":
            more = b"RESP-CODES\r\nAUTH-RESP-CODE\r\n" if self._uses_response_codes() else b""
            self.connection.write(CAPABILITIES.replace(b"USER\r\n", b"USER\r\n" + more))
        elif verb == "AUTH":
            return await self._auth(argument.strip())
        elif verb in ("USER", "PASS"):
            return self._basic(verb, argument.strip())
        elif (act := self._actions().get(verb)) is not None:
            if self._drop is None:
                self.connection.write(BAD_STATE)
            else:
                await act(self._drop, argument.split())
        else:
            self.connection.write(UNKNOWN)
            return self._count_failure() if self._drop is None else True
        return True

    def _actions(self) -> dict[str, Callable[[Maildrop, list[str]], Awaitable[None]]]:
        return {
            "STAT": self._stat,
            "LIST": self._list,
            "UIDL": self._uidl,
            "RETR": self._retr,
            "TOP": self._top,
            "DELE": self._dele,
            "RSET": self._rset,
            "NOOP": self._noop,
        }

    def _uses_response_codes(self) -> bool:
        return self.service.has_fault("pop3.response-codes")

    def _refuse(self, answer: bytes) -> None:
        code = RESPONSE_CODES.get(answer)
        if code is not None and self._uses_response_codes():
            answer = answer.replace(b"-ERR ", b"-ERR [%b] " % code)
        self.connection.write(answer)

    # AUTHORIZATION

    def _count_failure(self) -> bool:
        """Count a failed try; returns whether the session goes on."""
        self._failures += 1
        return self._failures < MAX_FAILURES

    def _basic(self, verb: str, argument: str) -> bool:
        if self._drop is not None:
            self.connection.write(BAD_STATE)
            return True
        if verb == "USER":
            self._user = argument[:254]
            self.connection.write(OK)
            return True
        if self._user is None:
            self.connection.write(BAD_STATE)
            return True
        self.service.log_event(
            Protocol.POP3, "USER/PASS refused: basic authentication", user=self._user
        )
        self._user = None
        self.connection.write(BASIC_DISABLED)
        return self._count_failure()

    async def _auth(self, argument: str) -> bool:
        if self._drop is not None:
            self.connection.write(BAD_STATE)
            return True
        if not argument:  # what Exchange Online answers is unverified (facts E2); RFC 5034's list
            self.connection.write(b"+OK\r\nPLAIN\r\nXOAUTH2\r\n.\r\n")
            return True
        mechanism, *initial = argument.split()
        mechanism = mechanism.upper()
        if mechanism not in ("XOAUTH2", "PLAIN"):
            self.connection.write(UNKNOWN)
            return self._count_failure()
        if initial and mechanism == "XOAUTH2":
            # The one-line form fails on Exchange Online (facts E2).
            self.service.log_event(Protocol.POP3, "AUTH XOAUTH2 on one line: protocol error")
            self.connection.write(TOO_LONG)
            return False
        if initial:
            line = initial[0].encode()
        else:
            self.connection.write(b"+ \r\n")
            try:
                line = await readline(self.connection, SASL_LIMIT, self.service.timing.before_login)
            except LineTooLongError:
                self.connection.write(TOO_LONG)
                return False
        if line == b"*" or mechanism == "PLAIN":
            self.connection.write(BASIC_DISABLED if line != b"*" else REFUSED)
            self.service.log_event(Protocol.POP3, f"AUTH {mechanism} refused")
            return self._count_failure()
        return self._sign_in(self.service.check_login(Protocol.POP3, line))

    def _sign_in(self, login: LoginResult) -> bool:
        service = self.service
        mailbox, answer, outcome = login.mailbox, REFUSED, login.why
        if login.verdict is Verdict.BUSY:
            answer = BUSY
        elif login.verdict is Verdict.MOVED:
            answer = MOVED
        elif login.verdict is Verdict.ACCEPTED and mailbox is not None:
            if service.has_fault("pop3.unavailable", login.tenant, mailbox):
                answer, outcome = UNAVAILABLE, "temporary fault"
            elif service.has_fault("pop3.refused", login.tenant, mailbox):
                outcome = "a fault that says nothing"
            elif service.sessions.count(Protocol.POP3, mailbox) >= service.limits.sessions:
                service.log_event(Protocol.POP3, "too many sessions", login)
                self._refuse(TOO_MANY)
                return False
            else:
                self._open(login, mailbox)
                return True
        service.log_event(Protocol.POP3, f"AUTH XOAUTH2 refused: {outcome}", login)
        self._refuse(answer)
        return self._count_failure()

    def _open(self, login: LoginResult, mailbox: Mailbox) -> None:
        self._login, self._drop = login, Maildrop(mailbox)
        self._notices = Notices(self.service, login.tenant, mailbox, "POP3")
        self._fault = self.service.has_fault("pop3.drop", login.tenant, mailbox)
        self.service.sessions.begin(Protocol.POP3, mailbox, self)
        self.service.connections.sign_in(self.connection)
        self.service.log_event(Protocol.POP3, "AUTH XOAUTH2 accepted", login)
        self.connection.write(SIGNED_IN)

    # TRANSACTION

    async def _stat(self, drop: Maildrop, _words: list[str]) -> None:
        answer = f"+OK {drop.listing()}\r\n".encode()
        if self._fault:
            self.connection.drop_after(len(answer) - 3)
        self.connection.write(answer)

    async def _list(self, drop: Maildrop, words: list[str]) -> None:
        await self._scan(drop, words, lambda i: str(drop.sizes[i]))

    async def _uidl(self, drop: Maildrop, words: list[str]) -> None:
        await self._scan(drop, words, drop.uid)

    async def _scan(self, drop: Maildrop, words: list[str], value_of: Callable[[int], str]) -> None:
        if words:
            index = drop.index(words[0])
            if index is None:
                self.connection.write(NO_SUCH)
            else:
                self.connection.write(f"+OK {index + 1} {value_of(index)}\r\n".encode())
            return
        lines = "".join(f"{i + 1} {value_of(i)}\r\n" for i in drop.remaining())
        await self._send_multiline(f"+OK {drop.listing()}", lines.encode())

    async def _retr(self, drop: Maildrop, words: list[str]) -> None:
        index = drop.index(words[0]) if len(words) == 1 else None
        if index is None:
            self.connection.write(NO_SUCH if words else SYNTAX)
            return
        message = drop.messages[index]
        if self._notices is not None:
            if self._notices.is_struck(MESSAGE_REFUSED, message):
                self.connection.write(NOT_HANDED_OVER)
                return
            if self._notices.is_struck(WITHHELD, message):
                await self._send_multiline("+OK", b"")
                return
            message = self._notices.in_place_of(message)
        await self._send_multiline("+OK", _with_line_end(message.raw), stuff=True)

    async def _top(self, drop: Maildrop, words: list[str]) -> None:
        index = drop.index(words[0]) if len(words) == 2 else None
        if index is None or not words[1].isascii() or not words[1].isdigit() or len(words[1]) > 9:
            self.connection.write(NO_SUCH if len(words) == 2 else SYNTAX)
            return
        raw = _with_line_end(drop.messages[index].raw)
        head, _, body = raw.partition(b"\r\n\r\n")
        lines = body.split(b"\r\n", int(words[1]))
        excerpt = b"\r\n".join(lines[: int(words[1])])
        if excerpt:
            excerpt = _with_line_end(excerpt)
        await self._send_multiline(
            "+OK", head.removesuffix(b"\r\n") + b"\r\n\r\n" + excerpt, stuff=True
        )

    async def _dele(self, drop: Maildrop, words: list[str]) -> None:
        index = drop.index(words[0]) if len(words) == 1 else None
        if index is None:
            self.connection.write(NO_SUCH if words else SYNTAX)
            return
        drop.delete(index)
        self.connection.write(OK)

    async def _rset(self, drop: Maildrop, _words: list[str]) -> None:
        drop.reset()
        self.connection.write(OK)

    async def _noop(self, _drop: Maildrop, _words: list[str]) -> None:
        self.connection.write(OK)

    async def _send_multiline(self, first: str, lines: bytes, stuff: bool = False) -> None:
        if stuff and (lines.startswith(b".") or b"\r\n." in lines):
            lines = (b"\r\n" + lines).replace(b"\r\n.", b"\r\n..")[2:]
        if self._fault:
            # The beginning arrives, then the connection is gone: an end without its dot.
            self.connection.drop_after(len(first) + 2 + min(DROP_AT, len(lines)))
        await self.connection.send(first.encode() + b"\r\n" + lines + b".\r\n")

    # UPDATE

    def _update(self) -> None:
        """Delete the marked messages; POP3 does so only at QUIT (RFC 1939)."""
        if self._drop is not None and (count := self._drop.update()):
            self.service.log_event(
                Protocol.POP3, f"{count} message(s) deleted at QUIT", self._login
            )


def _with_line_end(raw: bytes) -> bytes:
    return raw if raw.endswith(b"\r\n") else raw + b"\r\n"
