"""One IMAP connection's dialogue (RFC 3501 with the banners and refusals of facts E3)."""

import asyncio
from collections.abc import Awaitable, Callable

from msoauth.practice.exchange.auth import Judgement, Protocol, Verdict
from msoauth.practice.exchange.framing import read_exactly, readline
from msoauth.practice.exchange.imap import folders, items
from msoauth.practice.exchange.imap.folders import Folder
from msoauth.practice.exchange.imap.grammar import GrammarError, Text, Word, astring, literal, words
from msoauth.practice.exchange.service import Service
from msoauth.practice.exchange.wire import DROP_AT, IdleError, LineTooLongError, Wire
from msoauth.practice.state import Mailbox

COMMAND_LIMIT = 10240  # bytes a command may have (office-ps: Set-ImapSettings.md, default)
LITERAL_LIMIT = 65536  # bytes of a literal outside APPEND; ours
MAX_FAILURES = 3  # tries before the connection is closed; unverified

READY = "* OK The Microsoft Exchange IMAP4 service is ready. [{}]"
BEFORE = "IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+"
AFTER = (
    "IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS MOVE ID UNSELECT CLIENTACCESSRULES "
    "CLIENTNETWORKPRESENCELOCATION BACKENDAUTHENTICATE CHILDREN IDLE NAMESPACE LITERAL+"
)
REFUSED = "NO AUTHENTICATE failed."
LOGIN_REFUSED = "NO Basic authentication is disabled."
INVALID_STATE = "BAD Command received in Invalid state."
NOT_CONNECTED = "BAD User is authenticated but not connected."
CLOSED = "* BYE Connection closed. 14"
ARGUMENTS = "BAD Command Argument Error. 12"  # (memory, unverified) in the facts too
UNAVAILABLE = "NO Server Unavailable. 15"
THROTTLED = "BAD Request is throttled. Suggested Backoff Time: 92415 milliseconds"
EXPIRED = "* BYE Session invalidated - AccessTokenExpired"
# The following are unverified: no capture of Exchange Online shows its wording for them.
UNKNOWN = "BAD Command Error. 10"
GOODBYE = "* BYE Microsoft Exchange Server IMAP4 server signing off."
READ_ONLY = "NO The folder was opened read-only."
NO_FOLDER = "NO The folder doesn't exist."

Act = Callable[[str, list[Word]], Awaitable[None]]


class ImapSession:
    """Greets, judges the login, and looks after one selected folder."""

    def __init__(self, service: Service, wire: Wire) -> None:
        self.service = service
        self.wire = wire
        self._login: Judgement | None = None
        self._mailbox: Mailbox | None = None
        self._connected = True
        self._folder: Folder | None = None
        self._failures = 0
        self._fault = False

    async def run(self) -> None:
        """Answer until LOGOUT or the end of the connection."""
        self._say(READY.format(self.service.encoded_host))
        await self.wire.flush()
        try:
            while await self._next():
                pass
            await self.wire.flush()
        except (LineTooLongError, IdleError):
            self._say(CLOSED)
            await self.wire.flush()
        finally:
            self.service.under_way.hold(self, 0)
            if self._mailbox is not None:
                self.service.sessions.end(Protocol.IMAP, self._mailbox, self)

    def _say(self, line: str) -> None:
        self.wire.write(line.encode("utf-8", "replace") + b"\r\n")

    async def _next(self) -> bool:
        timing = self.service.timing
        parts = await self._parts(timing.idle if self._login else timing.before_login)
        if self._login is not None and self._expired(self._login):
            self._say(EXPIRED)
            return False
        tag, _, rest = parts[0].decode("utf-8", "replace").partition(" ")
        verb, _, _ = rest.partition(" ")
        verb = verb.upper()
        if not verb or not tag.isascii() or not tag.isprintable() or len(tag) > 100:
            self._say(f"* {UNKNOWN}")
            return self._failed() if self._login is None else True
        parts[0] = rest[len(verb) :].encode()
        try:
            return await self._command(tag, verb, words(parts))
        except GrammarError:
            self._say(f"{tag} {ARGUMENTS}")
            return True
        finally:
            self.service.under_way.hold(self, 0)

    async def _parts(self, seconds: float) -> list[bytes]:
        """A command's line, with the literals and lines that belong to it."""
        parts = [await readline(self.wire, COMMAND_LIMIT, seconds)]
        while (announced := literal(parts[-1])) is not None:
            size, waits = announced
            append = b" APPEND " in parts[0][:200].upper() and self._mailbox is not None
            if size > (self.service.limits.mail if append else LITERAL_LIMIT) or len(parts) > 20:
                raise LineTooLongError
            if not self.service.under_way.hold(self, size):
                raise LineTooLongError
            if waits:
                self._say("+ Ready for additional command text.")
            parts.append(await read_exactly(self.wire, size, self.service.timing.before_login))
            parts.append(await readline(self.wire, COMMAND_LIMIT, seconds))
        return parts

    async def _command(self, tag: str, verb: str, given: list[Word]) -> bool:
        if verb == "LOGOUT":
            self._say(GOODBYE)
            self._done(tag, verb)
            return False
        if verb == "CAPABILITY":
            self._say(f"* CAPABILITY {AFTER if self._login else BEFORE}")
            self._done(tag, verb)
        elif verb == "ID":
            self._say('* ID ("name" "Microsoft.Exchange.Imap4.Imap4Server" "version" "15.20")')
            self._done(tag, verb)
        elif verb == "NOOP" and self._connected:
            self._done(tag, verb)
        elif verb in ("AUTHENTICATE", "LOGIN"):
            if self._login is None:
                return await self._authenticate(tag, verb, given)
            self._say(f"{tag} {INVALID_STATE}")
        elif self._login is not None and not self._connected:
            self._say(f"{tag} {NOT_CONNECTED}")
            self._say(CLOSED)
            return False
        elif self._mailbox is None:
            self._say(f"{tag} {INVALID_STATE if verb in self._acts() else UNKNOWN}")
            return self._failed()
        elif self._throttled():
            self._say(f"{tag} {THROTTLED}")
        elif (act := self._acts().get(verb)) is not None:
            await act(tag, given)
        else:
            self._say(f"{tag} {UNKNOWN}")
        return True

    def _acts(self) -> dict[str, Act]:
        return {
            "SELECT": self._select,
            "EXAMINE": self._examine,
            "LIST": self._list,
            "LSUB": self._lsub,
            "NAMESPACE": self._namespace,
            "STATUS": self._status,
            "APPEND": self._append,
            "CHECK": self._check,
            "CLOSE": self._close,
            "UNSELECT": self._unselect,
            "EXPUNGE": self._expunge,
            "FETCH": self._fetch,
            "SEARCH": self._search,
            "STORE": self._store,
            "UID": self._uid,
            "IDLE": self._idle,
        }

    def _done(self, tag: str, verb: str, code: str = "") -> None:
        self._say(f"{tag} OK {code}{verb} completed.")

    def _expired(self, login: Judgement) -> bool:
        now = self.service.world.clock.time()
        return login.expires <= now or self.service.strikes(
            "imap.token-expired", login.firm, login.mailbox
        )

    def _throttled(self) -> bool:
        firm = self._login.firm if self._login else None
        return self.service.strikes("imap.throttled", firm, self._mailbox)

    def _failed(self) -> bool:
        self._failures += 1
        if self._failures < MAX_FAILURES:
            return True
        self._say(CLOSED)
        return False

    # Not authenticated

    async def _authenticate(self, tag: str, verb: str, given: list[Word]) -> bool:
        service = self.service
        mechanism = astring(given[0]).upper() if given else ""
        if verb == "LOGIN" or mechanism == "PLAIN":
            service.note(Protocol.IMAP, f"{verb} refused: basic authentication")
            self._say(f"{tag} {LOGIN_REFUSED}")
            return self._failed()
        if mechanism != "XOAUTH2":
            self._say(f"{tag} {REFUSED}")
            return self._failed()
        if len(given) > 1:
            line = astring(given[1]).encode()
        else:
            self.wire.write(b"+ \r\n")
            line = await readline(self.wire, COMMAND_LIMIT, service.timing.before_login)
        login = service.judge(Protocol.IMAP, line)
        lost = service.strikes("imap.not-connected", login.firm, login.mailbox)
        if login.verdict is Verdict.ACCEPTED and login.mailbox is not None and not lost:
            return self._open(tag, login, login.mailbox)
        if login.verdict.identity_refused:
            service.note(Protocol.IMAP, f"AUTHENTICATE XOAUTH2 refused: {login.why}", login)
            self._say(f"{tag} {REFUSED}")
            return self._failed()
        # The token was fine; that the mailbox does not open comes out with the next command (facts E3).
        why = "a fault that says nothing" if lost else login.why
        service.note(Protocol.IMAP, f"authenticated but not connected: {why}", login)
        self._login, self._connected = login, False
        self._done(tag, "AUTHENTICATE")
        return True

    def _open(self, tag: str, login: Judgement, mailbox: Mailbox) -> bool:
        service = self.service
        if service.strikes("imap.unavailable", login.firm, mailbox):
            service.note(Protocol.IMAP, "temporary fault", login)
            self._say(f"{tag} {UNAVAILABLE}")
            return self._failed()
        if service.sessions.count(Protocol.IMAP, mailbox) >= service.limits.sessions:
            service.note(Protocol.IMAP, "too many sessions", login)
            self._say(CLOSED)
            return False
        self._login, self._mailbox = login, mailbox
        self._fault = service.strikes("imap.drop", login.firm, mailbox)
        service.sessions.begin(Protocol.IMAP, mailbox, self)
        service.door.sign_in(self.wire)
        service.note(Protocol.IMAP, "AUTHENTICATE XOAUTH2 accepted", login)
        self._done(tag, "AUTHENTICATE")
        return True

    # Authenticated

    def _there(self) -> Mailbox:
        assert self._mailbox is not None  # noqa: S101 - _command has looked
        return self._mailbox

    async def _select(self, tag: str, given: list[Word]) -> None:
        self._enter(tag, "SELECT", given, read_only=False)

    async def _examine(self, tag: str, given: list[Word]) -> None:
        self._enter(tag, "EXAMINE", given, read_only=True)

    def _enter(self, tag: str, verb: str, given: list[Word], *, read_only: bool) -> None:
        self._folder = None
        folder = folders.find(self._there(), folders.name_of(given), read_only=read_only)
        if folder is None:
            self._say(f"{tag} {NO_FOLDER}")
            return
        self._folder = folder
        for line in folder.opened():
            self._say(f"* {line}")
        self._done(tag, verb, "[READ-ONLY] " if read_only else "[READ-WRITE] ")

    async def _list(self, tag: str, given: list[Word]) -> None:
        self._listed(tag, "LIST", given)

    async def _lsub(self, tag: str, given: list[Word]) -> None:
        self._listed(tag, "LSUB", given)

    def _listed(self, tag: str, verb: str, given: list[Word]) -> None:
        for line in folders.listed(verb, given):
            self._say(line)
        self._done(tag, verb)

    async def _namespace(self, tag: str, _given: list[Word]) -> None:
        self._say('* NAMESPACE (("" "/")) NIL NIL')
        self._done(tag, "NAMESPACE")

    async def _status(self, tag: str, given: list[Word]) -> None:
        folder = folders.find(self._there(), folders.name_of(given), read_only=True)
        if folder is None:
            self._say(f"{tag} {NO_FOLDER}")
            return
        self._say(f"* STATUS {folder.quoted} ({folder.status(given[1:])})")
        self._done(tag, "STATUS")

    async def _append(self, tag: str, given: list[Word]) -> None:
        folder = folders.find(self._there(), folders.name_of(given), read_only=False)
        if folder is None:
            self._say(f"{tag} NO [TRYCREATE] The folder doesn't exist.")
            return
        if not self.service.may_keep(sum(len(w.value) for w in given if isinstance(w, Text))):
            self._say(f"{tag} NO Mailbox full.")  # unverified wording
            return
        uid = folder.append(given, self.service.now().timestamp())
        self._done(tag, "APPEND", f"[APPENDUID {self._there().uid_validity} {uid}] ")

    async def _check(self, tag: str, _given: list[Word]) -> None:
        self._done(tag, "CHECK")

    async def _idle(self, tag: str, _given: list[Word]) -> None:
        self._say("+ IDLE accepted, awaiting DONE command.")
        while (
            await readline(self.wire, COMMAND_LIMIT, self.service.timing.idle)
        ).upper() != b"DONE":
            await asyncio.sleep(0)
        self._done(tag, "IDLE")

    # Selected

    async def _close(self, tag: str, _given: list[Word]) -> None:
        if self._folder is not None and not self._folder.read_only:
            self._folder.expunge()
        self._folder = None
        self._done(tag, "CLOSE")

    async def _unselect(self, tag: str, _given: list[Word]) -> None:
        self._folder = None
        self._done(tag, "UNSELECT")

    async def _expunge(self, tag: str, _given: list[Word]) -> None:
        if (folder := self._writable(tag)) is not None:
            for number in folder.expunge():
                self._say(f"* {number} EXPUNGE")
            self._done(tag, "EXPUNGE")

    async def _fetch(self, tag: str, given: list[Word], by_uid: bool = False) -> None:
        if (folder := self._selected(tag)) is None:
            return
        wanted = items.parse(given[1:], by_uid=by_uid)
        for number, message in folder.chosen(astring(given[0]) if given else "", by_uid=by_uid):
            row = items.row(number, message, wanted, read_only=folder.read_only)
            if self._fault:
                # The beginning arrives, then the connection is gone.
                self.wire.drop_after(min(DROP_AT, len(row)))
            await self.wire.send(row)
        self._done(tag, "FETCH")

    async def _search(self, tag: str, given: list[Word], by_uid: bool = False) -> None:
        if (folder := self._selected(tag)) is not None:
            found = "".join(f" {n}" for n in folder.search(given, by_uid=by_uid))
            self._say(f"* SEARCH{found}")
            self._done(tag, "SEARCH")

    async def _store(self, tag: str, given: list[Word], by_uid: bool = False) -> None:
        if (folder := self._writable(tag)) is None:
            return
        silent, changed = folder.store(given, by_uid=by_uid)
        for number, message in changed:
            if not silent:
                shown = items.flags(message) + (f" UID {message.uid}" if by_uid else "")
                self._say(f"* {number} FETCH ({shown})")
        self._done(tag, "STORE")

    async def _uid(self, tag: str, given: list[Word]) -> None:
        verb = astring(given[0]).upper() if given else ""
        acts = {"FETCH": self._fetch, "SEARCH": self._search, "STORE": self._store}
        if verb not in acts:
            raise GrammarError(f"UID {verb}")
        await acts[verb](tag, given[1:], True)

    def _selected(self, tag: str) -> Folder | None:
        if self._folder is None:
            self._say(f"{tag} {INVALID_STATE}")
        return self._folder

    def _writable(self, tag: str) -> Folder | None:
        folder = self._selected(tag)
        if folder is not None and folder.read_only:
            self._say(f"{tag} {READ_ONLY}")
            return None
        return folder
