"""The two folders of a practice mailbox, INBOX and Sent Items, and what can be done in them."""

import fnmatch
from collections.abc import Iterator

from msoauth.practice.exchange.imap.grammar import (
    GrammarError,
    Text,
    Word,
    astring,
    inside,
    sequence,
)
from msoauth.practice.exchange.imap.structure import fields_of, split
from msoauth.practice.state import Mailbox, Message

NAMES = {"inbox": "INBOX", "sent items": "Sent Items"}
FLAGS = ("\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "$MDNSent")  # besides \Seen


def name_of(given: list[Word]) -> str:
    """The folder that a command names first."""
    if not given:
        raise GrammarError("a folder is wanted")
    return astring(given[0])


def find(mailbox: Mailbox, name: str, *, read_only: bool) -> "Folder | None":
    """The folder of that name, without regard to case."""
    known = NAMES.get(name.lower())
    return Folder(mailbox, known, read_only=read_only) if known else None


def listed(verb: str, given: list[Word]) -> Iterator[str]:
    """LIST's and LSUB's rows."""
    if len(given) < 2:
        raise GrammarError("a reference and a pattern are wanted")
    pattern = (astring(given[0]) + astring(given[1])).replace("%", "*").replace("[", "?").lower()
    if not pattern:
        yield f'* {verb} (\\Noselect) "/" ""'
    for name in NAMES.values():
        if fnmatch.fnmatchcase(name.lower(), pattern):
            marks = "\\Marked \\HasNoChildren" if name == "INBOX" else "\\HasNoChildren"
            yield f'* {verb} ({marks}) "/" {_quoted(name)}'


def _quoted(name: str) -> str:
    return f'"{name}"' if " " in name else name


class Folder:
    """An opened folder."""

    def __init__(self, mailbox: Mailbox, name: str, *, read_only: bool) -> None:
        self.mailbox = mailbox
        self.name = name
        self.read_only = read_only

    @property
    def quoted(self) -> str:
        """Its name as IMAP writes it."""
        return _quoted(self.name)

    @property
    def messages(self) -> list[Message]:
        """Its mail."""
        if self.name == "INBOX":
            return self.mailbox.messages
        return self.mailbox.sent or []

    def opened(self) -> Iterator[str]:
        """What SELECT and EXAMINE tell."""
        kept = "" if self.read_only else " ".join(("\\Seen", *FLAGS))
        yield f"{len(self.messages)} EXISTS"
        yield "0 RECENT"
        yield f"FLAGS ({' '.join((chr(92) + 'Seen', *FLAGS))})"
        yield f"OK [PERMANENTFLAGS ({kept})] Permanent flags"
        yield f"OK [UIDVALIDITY {self.mailbox.uid_validity}] UIDVALIDITY value"
        yield f"OK [UIDNEXT {self.mailbox.next_uid}] The next unique identifier value"

    def status(self, given: list[Word]) -> str:
        """STATUS's items."""
        wanted = given[0] if given and isinstance(given[0], list) else []
        known = {
            "MESSAGES": len(self.messages),
            "RECENT": 0,
            "UNSEEN": sum(not m.seen for m in self.messages),
            "UIDNEXT": self.mailbox.next_uid,
            "UIDVALIDITY": self.mailbox.uid_validity,
        }
        names = [astring(word).upper() for word in wanted]
        if not names or any(name not in known for name in names):
            raise GrammarError("STATUS items")
        return " ".join(f"{name} {known[name]}" for name in names)

    def chosen(self, numbers: str, *, by_uid: bool) -> Iterator[tuple[int, Message]]:
        """The messages of a sequence set, with their numbers.

        Raises:
            GrammarError: it is none.
        """
        there = list(enumerate(self.messages, 1))
        highest = (there[-1][1].uid if by_uid else len(there)) if there else 0
        ranges = sequence(numbers, highest)
        return ((n, m) for n, m in there if inside(m.uid if by_uid else n, ranges))

    def append(self, given: list[Word], now: float) -> int:
        """APPEND: flags and date are optional, the mail comes last."""
        if len(given) < 2 or not isinstance(given[-1], Text):
            raise GrammarError("a literal is wanted")
        raw = given[-1].value.encode("utf-8", "surrogateescape")
        flags = [astring(f) for f in given[1]] if isinstance(given[1], list) else []
        keep = self.mailbox.deliver if self.name == "INBOX" else self.mailbox.keep_sent
        message = keep(raw, now)
        message.seen = "\\seen" in {flag.lower() for flag in flags}
        message.flags = frozenset(f for f in FLAGS if f.lower() in {g.lower() for g in flags})
        return message.uid

    def store(self, given: list[Word], *, by_uid: bool) -> tuple[bool, list[tuple[int, Message]]]:
        """STORE: whether it is silent, and the messages that it changed."""
        if len(given) < 3:
            raise GrammarError("STORE wants numbers, what to do, and flags")
        how = astring(given[1]).upper()
        silent = how.endswith(".SILENT")
        how = how.removesuffix(".SILENT")
        if how not in ("FLAGS", "+FLAGS", "-FLAGS"):
            raise GrammarError("STORE wants FLAGS")
        listed_flags = given[2] if isinstance(given[2], list) else given[2:]
        named = {astring(flag).lower() for flag in listed_flags}
        known = frozenset(flag for flag in FLAGS if flag.lower() in named)
        changed = list(self.chosen(astring(given[0]), by_uid=by_uid))
        for _number, message in changed:
            if how == "FLAGS":
                message.seen, message.flags = "\\seen" in named, known
            elif how == "+FLAGS":
                message.seen, message.flags = (
                    message.seen or "\\seen" in named,
                    message.flags | known,
                )
            else:
                message.seen = message.seen and "\\seen" not in named
                message.flags -= known
        return silent, changed

    def expunge(self) -> list[int]:
        """Remove what is marked \\Deleted; the numbers as EXPUNGE tells them, one after another."""
        numbers = []
        messages = self.messages
        for index in range(len(messages) - 1, -1, -1):
            if "\\Deleted" in messages[index].flags:
                del messages[index]
                numbers.append(index + 1)
        return numbers

    def search(self, given: list[Word], *, by_uid: bool) -> list[int]:
        """SEARCH: every key must match; keys that are not known are an error."""
        keys = list(given)
        if (
            len(keys) > 1
            and not isinstance(keys[0], list)
            and astring(keys[0]).upper() == "CHARSET"
        ):
            keys = keys[2:]
        found = list(enumerate(self.messages, 1))
        while keys:
            found = [(n, m) for n, m in self._narrowed(keys, found)]
        return [m.uid if by_uid else n for n, m in found]

    def _narrowed(
        self, keys: list[Word], found: list[tuple[int, Message]]
    ) -> list[tuple[int, Message]]:
        key = astring(keys.pop(0)).upper()

        def argument() -> str:
            if not keys:
                raise GrammarError(f"{key} wants an argument")
            return astring(keys.pop(0))

        if key == "ALL":
            return found
        if key in ("SEEN", "UNSEEN"):
            return [(n, m) for n, m in found if m.seen is (key == "SEEN")]
        if key in ("DELETED", "FLAGGED", "ANSWERED", "DRAFT"):
            flag = f"\\{key.capitalize()}"
            return [(n, m) for n, m in found if flag in m.flags]
        if key in ("SUBJECT", "FROM", "TO", "CC"):
            return _holding(found, key.lower(), argument())
        if key == "HEADER":
            return _holding(found, argument().lower(), argument())
        if key in ("TEXT", "BODY"):
            wanted = argument().encode().lower()
            return [(n, m) for n, m in found if wanted in m.raw.lower()]
        if key == "UID":
            ranges = sequence(argument(), max((m.uid for _, m in found), default=0))
            return [(n, m) for n, m in found if inside(m.uid, ranges)]
        ranges = sequence(key, len(self.messages))
        return [(n, m) for n, m in found if inside(n, ranges)]


def _holding(found: list[tuple[int, Message]], field: str, text: str) -> list[tuple[int, Message]]:
    wanted = text.encode().lower()
    return [
        (n, m)
        for n, m in found
        if any(name == field and wanted in raw.lower() for name, raw in fields_of(split(m.raw)[0]))
    ]
