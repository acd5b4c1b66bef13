"""The folder that an IMAP session has selected, as that session knows it (RFC 3501, 5.2 and 7.4.1).

Other sessions add, mark and delete messages meanwhile. The numbers of this session change only when it is told so.
"""

from collections.abc import Callable, Iterator

from msoauth.practice.exchange.imap import search
from msoauth.practice.exchange.imap.grammar import (
    ArgumentError,
    GrammarError,
    MessageSetError,
    Word,
    astring,
    inside,
    sequence,
)
from msoauth.practice.exchange.imap.items import FLAGS, flags_of, read_flags
from msoauth.practice.state import Folder, Message

Numbered = list[tuple[int, Message]]


class Selected:
    """A folder as one session knows it.

    Attributes:
        recent: UIDs of the messages that are ``\\Recent`` in this session.
    """

    def __init__(self, folder: Folder, *, read_only: bool) -> None:
        self.folder = folder
        self.read_only = read_only
        self.recent: set[int] = set()
        self._known: list[Message] = []
        self._next_uid = 1
        self._told: dict[int, tuple[bool, frozenset[str]]] = {}  # the flags by UID
        self._take_new()

    def _take_new(self) -> bool:
        """Note the messages that were added; returns whether there are any."""
        new = [m for m in self.folder.messages if m.uid >= self._next_uid]
        self._next_uid = self.folder.next_uid
        self._known += new
        self._told |= {m.uid: (m.seen, m.flags) for m in new}
        self.recent |= {m.uid for m in new if m.uid > self.folder.announced}
        if not self.read_only:
            self.folder.announced = self.folder.next_uid - 1
        return bool(new)

    def opening(self) -> Iterator[str]:
        """The untagged responses to SELECT and EXAMINE."""
        names = " ".join(FLAGS)
        yield f"{len(self._known)} EXISTS"
        yield f"{len(self.recent)} RECENT"
        yield f"FLAGS ({names})"
        yield f"OK [PERMANENTFLAGS ({'' if self.read_only else names})] Permanent flags"
        unseen = next((n for n, m in enumerate(self._known, 1) if not m.seen), None)
        if unseen is not None:
            yield f"OK [UNSEEN {unseen}] Is the first unseen message"
        yield f"OK [UIDVALIDITY {self.folder.uid_validity}] UIDVALIDITY value"
        yield f"OK [UIDNEXT {self.folder.next_uid}] The next unique identifier value"

    def changes(self, *, expunges: bool, with_uid: bool = False) -> Iterator[str]:
        """The untagged responses that tell what has changed since the last ones.

        Args:
            expunges: Whether EXPUNGE is allowed: not in answer to FETCH, STORE and SEARCH.
            with_uid: Whether changed flags come with the UID, as in answer to a UID command.
        """
        if expunges:
            there = {m.uid for m in self.folder.messages}
            for index in range(len(self._known) - 1, -1, -1):
                if (uid := self._known[index].uid) not in there:
                    del self._known[index]
                    del self._told[uid]
                    self.recent.discard(uid)
                    yield f"{index + 1} EXPUNGE"
        if self._take_new():
            yield f"{len(self._known)} EXISTS"
            yield f"{len(self.recent)} RECENT"
        for number, message in enumerate(self._known, 1):
            if self._told[message.uid] != (message.seen, message.flags):
                yield self.flags_row(number, message, with_uid=with_uid)

    def flags_row(self, number: int, message: Message, *, with_uid: bool) -> str:
        """The FETCH response that tells a message's flags."""
        self.note_told(message)
        uid = f" UID {message.uid}" if with_uid else ""
        return f"{number} FETCH ({flags_of(message, self.recent)}{uid})"

    def note_told(self, message: Message) -> None:
        """Note that this session knows the message's flags."""
        self._told[message.uid] = (message.seen, message.flags)

    def messages_in(self, arguments: list[Word], *, by_uid: bool) -> Numbered:
        """The messages of the sequence set that comes first in *arguments*, with their numbers.

        Raises:
            GrammarError: there is none.
            MessageSetError: it is no sequence set, or names a number that no message has.
        """
        if not arguments:
            raise GrammarError("a sequence set is wanted")
        text, numbered = astring(arguments[0]), list(enumerate(self._known, 1))
        if by_uid:
            ranges = sequence(text, self._known[-1].uid if self._known else 0)
            return [(n, m) for n, m in numbered if inside(m.uid, ranges)]
        ranges = sequence(text, len(numbered))
        if not numbered or any(
            high > len(numbered)
            for piece, (_low, high) in zip(text.split(","), ranges)
            if "*" not in piece
        ):
            raise MessageSetError
        return [(n, m) for n, m in numbered if inside(n, ranges)]

    def store(self, arguments: list[Word], *, by_uid: bool) -> Iterator[str]:
        """Change flags as STORE asks; yields the responses that tell them.

        Raises:
            GrammarError: arguments are missing.
            ArgumentError: the operation or a flag is unknown.
        """
        if len(arguments) < 3:
            raise GrammarError("STORE wants numbers, what to do, and flags")
        messages = self.messages_in(arguments, by_uid=by_uid)
        operation = astring(arguments[1]).upper()
        silent = operation.endswith(".SILENT")
        change = _OPERATIONS.get(operation.removesuffix(".SILENT"))
        if change is None:
            raise ArgumentError
        seen, flags = read_flags(arguments[2] if isinstance(arguments[2], list) else arguments[2:])
        for number, message in messages:
            # Another session's change is told even then.
            known = self._told[message.uid] == (message.seen, message.flags)
            message.seen, message.flags = change(message, seen, flags)
            if not silent or not known:
                yield self.flags_row(number, message, with_uid=by_uid)
            else:
                self.note_told(message)

    def expunge(self, only: Numbered | None = None, *, deleted: bool = True) -> None:
        """Take messages out of the folder: those marked \\Deleted among *only* (None: among all), or all of *only*."""
        among = None if only is None else {m.uid for _number, m in only}
        self.folder.messages[:] = [
            m
            for m in self.folder.messages
            if (among is not None and m.uid not in among)
            or (deleted and "\\Deleted" not in m.flags)
        ]

    def search(self, arguments: list[Word], *, by_uid: bool) -> list[int]:
        """The numbers or UIDs that SEARCH finds.

        Raises:
            CharsetError, ArgumentError, MessageSetError: as `search.read` says.
        """
        test = search.read(arguments)
        highest = (len(self._known), self._known[-1].uid if self._known else 0)
        return [
            message.uid if by_uid else number
            for number, message in enumerate(self._known, 1)
            if test(search.Candidate(number, message, message.uid in self.recent, highest))
        ]


_Change = Callable[[Message, bool, frozenset[str]], tuple[bool, frozenset[str]]]
_OPERATIONS: dict[str, _Change] = {
    "FLAGS": lambda _m, seen, flags: (seen, flags),
    "+FLAGS": lambda m, seen, flags: (m.seen or seen, m.flags | flags),
    "-FLAGS": lambda m, seen, flags: (m.seen and not seen, m.flags - flags),
}
