"""The IMAP commands on a mailbox: RFC 3501's authenticated and selected states."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import ClassVar

from msoauth.practice.exchange.connection import DROP_AT, Connection
from msoauth.practice.exchange.framing import readline
from msoauth.practice.exchange.imap import folders, items, responses
from msoauth.practice.exchange.imap.folders import Folder
from msoauth.practice.exchange.imap.grammar import COMMAND_LIMIT, GrammarError, Text, Word, astring
from msoauth.practice.exchange.imap.responses import complete, say
from msoauth.practice.exchange.service import Service
from msoauth.practice.state import Mailbox

Action = Callable[["MailboxCommands", str, list[Word]], Awaitable[None]]


class MailboxCommands:
    """The commands of one client on one mailbox and on the folder that it has selected.

    Attributes:
        ACTS: The method of each command, by its name.
    """

    def __init__(
        self, service: Service, connection: Connection, mailbox: Mailbox, *, drop: bool
    ) -> None:
        self.service = service
        self.connection = connection
        self.mailbox = mailbox
        self._drop = drop
        self._folder: Folder | None = None

    # Authenticated

    async def _select(self, tag: str, arguments: list[Word]) -> None:
        self._open_folder(tag, "SELECT", arguments, read_only=False)

    async def _examine(self, tag: str, arguments: list[Word]) -> None:
        self._open_folder(tag, "EXAMINE", arguments, read_only=True)

    def _open_folder(self, tag: str, verb: str, arguments: list[Word], *, read_only: bool) -> None:
        self._folder = None
        folder = folders.find(self.mailbox, folders.name_of(arguments), read_only=read_only)
        if folder is None:
            say(self.connection, f"{tag} {responses.NO_FOLDER}")
            return
        self._folder = folder
        for line in folder.select_rows():
            say(self.connection, f"* {line}")
        complete(self.connection, tag, verb, "[READ-ONLY] " if read_only else "[READ-WRITE] ")

    async def _list(self, tag: str, arguments: list[Word]) -> None:
        self._list_folders(tag, "LIST", arguments)

    async def _lsub(self, tag: str, arguments: list[Word]) -> None:
        self._list_folders(tag, "LSUB", arguments)

    def _list_folders(self, tag: str, verb: str, arguments: list[Word]) -> None:
        for line in folders.list_rows(verb, arguments):
            say(self.connection, line)
        complete(self.connection, tag, verb)

    async def _namespace(self, tag: str, _given: list[Word]) -> None:
        say(self.connection, '* NAMESPACE (("" "/")) NIL NIL')
        complete(self.connection, tag, "NAMESPACE")

    async def _status(self, tag: str, arguments: list[Word]) -> None:
        folder = folders.find(self.mailbox, folders.name_of(arguments), read_only=True)
        if folder is None:
            say(self.connection, f"{tag} {responses.NO_FOLDER}")
            return
        say(self.connection, f"* STATUS {folder.quoted} ({folder.status(arguments[1:])})")
        complete(self.connection, tag, "STATUS")

    async def _append(self, tag: str, arguments: list[Word]) -> None:
        folder = folders.find(self.mailbox, folders.name_of(arguments), read_only=False)
        if folder is None:
            say(self.connection, f"{tag} NO [TRYCREATE] The folder doesn't exist.")
            return
        if not self.service.may_keep(sum(len(w.value) for w in arguments if isinstance(w, Text))):
            say(self.connection, f"{tag} NO Mailbox full.")  # unverified wording
            return
        uid = folder.append(arguments, self.service.now().timestamp())
        complete(self.connection, tag, "APPEND", f"[APPENDUID {self.mailbox.uid_validity} {uid}] ")

    async def _check(self, tag: str, _given: list[Word]) -> None:
        complete(self.connection, tag, "CHECK")

    async def _idle(self, tag: str, _given: list[Word]) -> None:
        say(self.connection, "+ IDLE accepted, awaiting DONE command.")
        while (
            await readline(self.connection, COMMAND_LIMIT, self.service.timing.idle)
        ).upper() != b"DONE":
            await asyncio.sleep(0)
        complete(self.connection, tag, "IDLE")

    # Selected

    async def _close(self, tag: str, _given: list[Word]) -> None:
        if self._folder is not None and not self._folder.read_only:
            self._folder.expunge()
        self._folder = None
        complete(self.connection, tag, "CLOSE")

    async def _unselect(self, tag: str, _given: list[Word]) -> None:
        self._folder = None
        complete(self.connection, tag, "UNSELECT")

    async def _expunge(self, tag: str, _given: list[Word]) -> None:
        if (folder := self._writable(tag)) is not None:
            for number in folder.expunge():
                say(self.connection, f"* {number} EXPUNGE")
            complete(self.connection, tag, "EXPUNGE")

    async def _fetch(self, tag: str, arguments: list[Word], by_uid: bool = False) -> None:
        if (folder := self._selected(tag)) is None:
            return
        names = items.parse(arguments[1:], by_uid=by_uid)
        for number, message in folder.messages_in(
            astring(arguments[0]) if arguments else "", by_uid=by_uid
        ):
            row = items.row(number, message, names, read_only=folder.read_only)
            if self._drop:
                # The beginning arrives, then the connection is gone.
                self.connection.drop_after(min(DROP_AT, len(row)))
            await self.connection.send(row)
        complete(self.connection, tag, "FETCH")

    async def _search(self, tag: str, arguments: list[Word], by_uid: bool = False) -> None:
        if (folder := self._selected(tag)) is not None:
            numbers = "".join(f" {n}" for n in folder.search(arguments, by_uid=by_uid))
            say(self.connection, f"* SEARCH{numbers}")
            complete(self.connection, tag, "SEARCH")

    async def _store(self, tag: str, arguments: list[Word], by_uid: bool = False) -> None:
        if (folder := self._writable(tag)) is None:
            return
        silent, changed = folder.store(arguments, by_uid=by_uid)
        for number, message in changed:
            if not silent:
                values = items.flags(message) + (f" UID {message.uid}" if by_uid else "")
                say(self.connection, f"* {number} FETCH ({values})")
        complete(self.connection, tag, "STORE")

    async def _uid(self, tag: str, arguments: list[Word]) -> None:
        verb = astring(arguments[0]).upper() if arguments else ""
        actions = {"FETCH": self._fetch, "SEARCH": self._search, "STORE": self._store}
        if verb not in actions:
            raise GrammarError(f"UID {verb}")
        await actions[verb](tag, arguments[1:], True)

    def _selected(self, tag: str) -> Folder | None:
        if self._folder is None:
            say(self.connection, f"{tag} {responses.INVALID_STATE}")
        return self._folder

    def _writable(self, tag: str) -> Folder | None:
        folder = self._selected(tag)
        if folder is not None and folder.read_only:
            say(self.connection, f"{tag} {responses.READ_ONLY}")
            return None
        return folder

    ACTS: ClassVar[dict[str, Action]] = {
        "SELECT": _select,
        "EXAMINE": _examine,
        "LIST": _list,
        "LSUB": _lsub,
        "NAMESPACE": _namespace,
        "STATUS": _status,
        "APPEND": _append,
        "CHECK": _check,
        "CLOSE": _close,
        "UNSELECT": _unselect,
        "EXPUNGE": _expunge,
        "FETCH": _fetch,
        "SEARCH": _search,
        "STORE": _store,
        "UID": _uid,
        "IDLE": _idle,
    }
