"""The IMAP commands on a mailbox: RFC 3501's authenticated and selected states, with UIDPLUS and MOVE."""

from collections.abc import Awaitable, Callable, Mapping
from typing import ClassVar

from msoauth.practice.exchange.connection import DROP_AT, Connection, IdleError
from msoauth.practice.exchange.framing import readline
from msoauth.practice.exchange.imap import folders, items, responses
from msoauth.practice.exchange.imap.grammar import (
    COMMAND_LIMIT,
    ArgumentError,
    Text,
    Word,
    as_set,
    astring,
)
from msoauth.practice.exchange.imap.responses import complete, say
from msoauth.practice.exchange.imap.selected import Numbered, Selected
from msoauth.practice.exchange.notices import REFUSED, WITHHELD, Notices
from msoauth.practice.exchange.service import Service, pause
from msoauth.practice.state import Folder, Mailbox

Action = Callable[["MailboxCommands", str, list[Word]], Awaitable[None]]
IDLE_STEP = 0.2  # seconds after which IDLE looks again for what other sessions did
FETCH_STEP = 200  # messages after which other sessions get their turn


class MailboxCommands:
    """The commands of one client on one mailbox and on the folder that it has selected.

    Attributes:
        ACTS: The method of each command, by its name.
        SELECTED: The commands that need a selected folder.
    """

    def __init__(
        self,
        service: Service,
        connection: Connection,
        mailbox: Mailbox,
        notices: Notices,
        *,
        drop: bool,
    ) -> None:
        self.service = service
        self._notices = notices
        self.connection = connection
        self.mailbox = mailbox
        self._drop = drop
        self._selected: Selected | None = None

    async def answer(
        self, tag: str, verb: str, arguments: list[Word], expired: Callable[[], bool]
    ) -> None:
        """Answer a command; *expired* is asked during IDLE, which ends when it says so."""
        if verb == "IDLE":
            await self._idle(tag, expired)
        elif verb in self.SELECTED and self._selected is None:
            say(self.connection, f"{tag} {responses.INVALID_STATE}")
        elif verb in self.ACTS:
            await self.ACTS[verb](self, tag, arguments)
        elif verb == "UID":
            uid_verb = astring(arguments[0]).upper() if arguments else ""
            if uid_verb not in self.BY_UID:
                raise ArgumentError
            await self.BY_UID[uid_verb](self, tag, arguments[1:], by_uid=True)
        else:
            await self.BY_UID[verb](self, tag, arguments)

    def _complete(
        self,
        tag: str,
        verb: str,
        code: str = "",
        *,
        expunges: bool = True,
        with_uid: bool = False,
    ) -> None:
        """Tell what other sessions did, and end the command."""
        self._tell_changes(expunges=expunges, with_uid=with_uid)
        complete(self.connection, tag, verb, code)

    def _tell_changes(self, *, expunges: bool = True, with_uid: bool = False) -> None:
        if self._selected is not None:
            for line in self._selected.changes(expunges=expunges, with_uid=with_uid):
                say(self.connection, f"* {line}")

    def _folder(
        self, tag: str, arguments: list[Word], index: int = 0, code: str = ""
    ) -> Folder | None:
        """The folder that a command names; None after the answer that there is none."""
        name = folders.name_of(arguments, index)
        if (folder := folders.find(self.mailbox, name)) is None:
            refusal = responses.NO_FOLDER.format(name).replace("NO ", f"NO {code}", 1)
            say(self.connection, f"{tag} {refusal}")
        return folder

    # Authenticated

    async def _select(self, tag: str, arguments: list[Word]) -> None:
        self._open_folder(tag, "SELECT", arguments, read_only=False)

    async def _examine(self, tag: str, arguments: list[Word]) -> None:
        self._open_folder(tag, "EXAMINE", arguments, read_only=True)

    def _open_folder(self, tag: str, verb: str, arguments: list[Word], *, read_only: bool) -> None:
        self._selected = None
        if (folder := self._folder(tag, arguments)) is None:
            return
        self._selected = Selected(folder, read_only=read_only)
        for line in self._selected.opening():
            say(self.connection, f"* {line}")
        complete(self.connection, tag, verb, "[READ-ONLY] " if read_only else "[READ-WRITE] ")

    async def _list(self, tag: str, arguments: list[Word]) -> None:
        self._list_folders(tag, "LIST", arguments)

    async def _lsub(self, tag: str, arguments: list[Word]) -> None:
        self._list_folders(tag, "LSUB", arguments)

    def _list_folders(self, tag: str, verb: str, arguments: list[Word]) -> None:
        for line in folders.list_rows(self.mailbox, verb, arguments):
            say(self.connection, line)
        self._complete(tag, verb)

    async def _namespace(self, tag: str, _given: list[Word]) -> None:
        say(self.connection, '* NAMESPACE (("" "/")) NIL NIL')
        self._complete(tag, "NAMESPACE")

    async def _status(self, tag: str, arguments: list[Word]) -> None:
        if (folder := self._folder(tag, arguments)) is not None:
            values = folders.status(folder, arguments[1:])
            say(self.connection, f"* STATUS {folders.quoted(folder.name)} ({values})")
            self._complete(tag, "STATUS")

    async def _create(self, tag: str, arguments: list[Word]) -> None:
        name = folders.name_of(arguments)
        if folders.find(self.mailbox, name) is not None:
            say(self.connection, f"{tag} {responses.FOLDER_EXISTS}")
        else:
            self._finish(tag, "CREATE", folders.create(self.mailbox, name))

    async def _delete(self, tag: str, arguments: list[Word]) -> None:
        if (folder := self._folder(tag, arguments)) is not None:
            self._finish(tag, "DELETE", folders.delete(self.mailbox, folder))

    async def _rename(self, tag: str, arguments: list[Word]) -> None:
        new = folders.name_of(arguments, 1)
        if (folder := self._folder(tag, arguments)) is None:
            return
        if folders.find(self.mailbox, new) is not None:
            say(self.connection, f"{tag} {responses.FOLDER_EXISTS}")
        else:
            self._finish(tag, "RENAME", folders.rename(self.mailbox, folder, new))

    async def _subscribe(self, tag: str, arguments: list[Word]) -> None:
        self._set_subscribed(tag, "SUBSCRIBE", arguments, subscribed=True)

    async def _unsubscribe(self, tag: str, arguments: list[Word]) -> None:
        self._set_subscribed(tag, "UNSUBSCRIBE", arguments, subscribed=False)

    def _set_subscribed(
        self, tag: str, verb: str, arguments: list[Word], *, subscribed: bool
    ) -> None:
        if (folder := self._folder(tag, arguments)) is not None:
            folder.subscribed = subscribed
            self._complete(tag, verb)

    def _finish(self, tag: str, verb: str, done: bool) -> None:
        if done:
            self._complete(tag, verb)
        else:
            say(self.connection, f"{tag} {responses.FAILED.format(verb)}")

    async def _append(self, tag: str, arguments: list[Word]) -> None:
        if (folder := self._folder(tag, arguments, code="[TRYCREATE] ")) is None:
            return
        if not self.service.may_keep(sum(len(w.value) for w in arguments if isinstance(w, Text))):
            say(self.connection, f"{tag} {responses.FULL}")
            return
        uid = folders.append(folder, arguments, self.service.now().timestamp())
        self._complete(tag, "APPEND", f"[APPENDUID {folder.uid_validity} {uid}] ")

    async def _noop(self, tag: str, _given: list[Word]) -> None:
        self._complete(tag, "NOOP")

    async def _idle(self, tag: str, expired: Callable[[], bool]) -> None:
        say(self.connection, responses.IDLING)
        waited = 0.0
        while not expired():
            try:
                line = await readline(self.connection, COMMAND_LIMIT, IDLE_STEP)
            except IdleError:
                waited += IDLE_STEP
                if waited >= self.service.timing.idle:
                    raise
                # Never together with the continuation, behind which many clients overlook it.
                self._tell_changes()
                continue
            if line.upper() == b"DONE":
                self._complete(tag, "IDLE")
                return
            other = line.decode("utf-8", "replace").partition(" ")[0][:100] or tag
            say(self.connection, f"{other} {responses.INVALID_STATE}")

    # Selected; the folder is there, as `answer` has checked

    @property
    def _view(self) -> Selected:
        assert self._selected is not None  # noqa: S101 - checked by `answer`
        return self._selected

    def _may_write(self, tag: str) -> bool:
        if self._view.read_only:
            say(self.connection, f"{tag} {responses.READ_ONLY}")
        return not self._view.read_only

    async def _check(self, tag: str, _given: list[Word]) -> None:
        self._complete(tag, "CHECK")

    async def _close(self, tag: str, _given: list[Word]) -> None:
        if not self._view.read_only:
            self._view.expunge()
        self._selected = None
        complete(self.connection, tag, "CLOSE")

    async def _unselect(self, tag: str, _given: list[Word]) -> None:
        self._selected = None
        complete(self.connection, tag, "UNSELECT")

    async def _expunge(self, tag: str, arguments: list[Word], *, by_uid: bool = False) -> None:
        if self._may_write(tag):
            self._view.expunge(self._view.messages_in(arguments, by_uid=True) if by_uid else None)
            self._complete(tag, "EXPUNGE")

    async def _fetch(self, tag: str, arguments: list[Word], *, by_uid: bool = False) -> None:
        view = self._view
        names = items.read_items(arguments, by_uid=by_uid)
        for count, (number, message) in enumerate(view.messages_in(arguments, by_uid=by_uid)):
            if items.want_text(names):
                if self._notices.is_struck(REFUSED, message):
                    say(self.connection, f"{tag} {responses.FAILED.format('FETCH')}")
                    return
                if self._notices.is_struck(WITHHELD, message):
                    continue  # the command is completed all the same (MailKit#908)
                message = self._notices.in_place_of(message)
            row = items.row(number, message, names, view.recent, read_only=view.read_only)
            if b"FLAGS (" in row:
                view.note_told(message)
            if self._drop:
                # The beginning arrives, then the connection is gone.
                self.connection.drop_after(min(DROP_AT, len(row)))
            await self.connection.send(row)
            if count % FETCH_STEP == FETCH_STEP - 1:
                await pause()
        self._complete(tag, "FETCH", expunges=by_uid, with_uid=by_uid)

    async def _search(self, tag: str, arguments: list[Word], *, by_uid: bool = False) -> None:
        numbers = "".join(f" {n}" for n in self._view.search(arguments, by_uid=by_uid))
        say(self.connection, f"* SEARCH{numbers}")
        self._complete(tag, "SEARCH", expunges=by_uid, with_uid=by_uid)

    async def _store(self, tag: str, arguments: list[Word], *, by_uid: bool = False) -> None:
        if self._may_write(tag):
            for line in self._view.store(arguments, by_uid=by_uid):
                say(self.connection, f"* {line}")
            self._complete(tag, "STORE", expunges=by_uid, with_uid=by_uid)

    async def _copy(self, tag: str, arguments: list[Word], *, by_uid: bool = False) -> None:
        messages = self._view.messages_in(arguments, by_uid=by_uid)
        if (target := self._target(tag, arguments, messages)) is not None:
            uids = folders.copy([m for _number, m in messages], target)
            self._complete(tag, "COPY", _copied(target, messages, uids))

    async def _move(self, tag: str, arguments: list[Word], *, by_uid: bool = False) -> None:
        if not self._may_write(tag):
            return
        messages = self._view.messages_in(arguments, by_uid=by_uid)
        if (target := self._target(tag, arguments, messages)) is None:
            return
        uids = folders.move([m for _number, m in messages], self._view.folder, target)
        if code := _copied(target, messages, uids):
            say(self.connection, f"* OK {code.rstrip()}")
        self._complete(tag, "MOVE")

    def _target(self, tag: str, arguments: list[Word], messages: Numbered) -> Folder | None:
        """The folder that messages go to; None after an answer that refuses."""
        target = self._folder(tag, arguments, 1, "[TRYCREATE] ")
        if target is not None and not self.service.may_keep(sum(len(m.raw) for _, m in messages)):
            say(self.connection, f"{tag} {responses.FULL}")
            return None
        return target

    BY_UID: ClassVar[Mapping[str, Callable[..., Awaitable[None]]]] = {
        "COPY": _copy,
        "EXPUNGE": _expunge,
        "FETCH": _fetch,
        "MOVE": _move,
        "SEARCH": _search,
        "STORE": _store,
    }
    ACTS: ClassVar[Mapping[str, Action]] = {
        "SELECT": _select,
        "EXAMINE": _examine,
        "LIST": _list,
        "LSUB": _lsub,
        "NAMESPACE": _namespace,
        "STATUS": _status,
        "CREATE": _create,
        "DELETE": _delete,
        "RENAME": _rename,
        "SUBSCRIBE": _subscribe,
        "UNSUBSCRIBE": _unsubscribe,
        "APPEND": _append,
        "NOOP": _noop,
        "CHECK": _check,
        "CLOSE": _close,
        "UNSELECT": _unselect,
    }
    SELECTED: ClassVar[frozenset[str]] = frozenset({"CHECK", "CLOSE", "UNSELECT", "UID", *BY_UID})
    NAMES: ClassVar[frozenset[str]] = frozenset({"IDLE", "UID", *ACTS, *BY_UID})


def _copied(target: Folder, messages: Numbered, uids: list[int]) -> str:
    """The COPYUID response code (RFC 4315), followed by a space; empty when nothing was copied."""
    if not uids:
        return ""
    return f"[COPYUID {target.uid_validity} {as_set([m.uid for _, m in messages])} {as_set(uids)}] "
