"""The two folders of a practice mailbox, INBOX and Sent Items, and the commands on them."""

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


def name_of(arguments: list[Word]) -> str:
    """The folder that a command names first."""
    if not arguments:
        raise GrammarError("a folder is wanted")
    return astring(arguments[0])


def find(mailbox: Mailbox, name: str, *, read_only: bool) -> "Folder | None":
    """The folder of that name, without regard to case."""
    canonical = NAMES.get(name.lower())
    return Folder(mailbox, canonical, read_only=read_only) if canonical else None


def list_rows(verb: str, arguments: list[Word]) -> Iterator[str]:
    """The untagged responses to LIST or LSUB."""
    if len(arguments) < 2:
        raise GrammarError("a reference and a pattern are wanted")
    pattern = (
        (astring(arguments[0]) + astring(arguments[1])).replace("%", "*").replace("[", "?").lower()
    )
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

    def select_rows(self) -> Iterator[str]:
        """The untagged responses to SELECT and EXAMINE."""
        permanent = "" if self.read_only else " ".join(("\\Seen", *FLAGS))
        yield f"{len(self.messages)} EXISTS"
        yield "0 RECENT"
        yield f"FLAGS ({' '.join((chr(92) + 'Seen', *FLAGS))})"
        yield f"OK [PERMANENTFLAGS ({permanent})] Permanent flags"
        yield f"OK [UIDVALIDITY {self.mailbox.uid_validity}] UIDVALIDITY value"
        yield f"OK [UIDNEXT {self.mailbox.next_uid}] The next unique identifier value"

    def status(self, arguments: list[Word]) -> str:
        """The items that STATUS asks for, with their values."""
        items = arguments[0] if arguments and isinstance(arguments[0], list) else []
        values = {
            "MESSAGES": len(self.messages),
            "RECENT": 0,
            "UNSEEN": sum(not m.seen for m in self.messages),
            "UIDNEXT": self.mailbox.next_uid,
            "UIDVALIDITY": self.mailbox.uid_validity,
        }
        names = [astring(word).upper() for word in items]
        if not names or any(name not in values for name in names):
            raise GrammarError("STATUS items")
        return " ".join(f"{name} {values[name]}" for name in names)

    def messages_in(self, numbers: str, *, by_uid: bool) -> Iterator[tuple[int, Message]]:
        """The messages of a sequence set, with their numbers.

        Raises:
            GrammarError: it is no sequence set.
        """
        numbered = list(enumerate(self.messages, 1))
        highest = (numbered[-1][1].uid if by_uid else len(numbered)) if numbered else 0
        ranges = sequence(numbers, highest)
        return ((n, m) for n, m in numbered if inside(m.uid if by_uid else n, ranges))

    def append(self, arguments: list[Word], now: float) -> int:
        """Add a mail as APPEND asks; flags and date are optional, the mail comes last. Returns its UID."""
        if len(arguments) < 2 or not isinstance(arguments[-1], Text):
            raise GrammarError("a literal is wanted")
        raw = arguments[-1].value.encode("utf-8", "surrogateescape")
        flags = [astring(f) for f in arguments[1]] if isinstance(arguments[1], list) else []
        keep = self.mailbox.deliver if self.name == "INBOX" else self.mailbox.keep_sent
        message = keep(raw, now)
        message.seen = "\\seen" in {flag.lower() for flag in flags}
        message.flags = frozenset(f for f in FLAGS if f.lower() in {g.lower() for g in flags})
        return message.uid

    def store(
        self, arguments: list[Word], *, by_uid: bool
    ) -> tuple[bool, list[tuple[int, Message]]]:
        """Change flags as STORE asks; returns whether it is silent, and the changed messages."""
        if len(arguments) < 3:
            raise GrammarError("STORE wants numbers, what to do, and flags")
        operation = astring(arguments[1]).upper()
        silent = operation.endswith(".SILENT")
        operation = operation.removesuffix(".SILENT")
        if operation not in ("FLAGS", "+FLAGS", "-FLAGS"):
            raise GrammarError("STORE wants FLAGS")
        flag_words = arguments[2] if isinstance(arguments[2], list) else arguments[2:]
        names = {astring(flag).lower() for flag in flag_words}
        flags = frozenset(flag for flag in FLAGS if flag.lower() in names)
        changed = list(self.messages_in(astring(arguments[0]), by_uid=by_uid))
        for _number, message in changed:
            if operation == "FLAGS":
                message.seen, message.flags = "\\seen" in names, flags
            elif operation == "+FLAGS":
                message.seen, message.flags = (
                    message.seen or "\\seen" in names,
                    message.flags | flags,
                )
            else:
                message.seen = message.seen and "\\seen" not in names
                message.flags -= flags
        return silent, changed

    def expunge(self) -> list[int]:
        """Delete the messages marked \\Deleted; returns their numbers as EXPUNGE reports them, one after another."""
        numbers = []
        messages = self.messages
        for index in range(len(messages) - 1, -1, -1):
            if "\\Deleted" in messages[index].flags:
                del messages[index]
                numbers.append(index + 1)
        return numbers

    def search(self, arguments: list[Word], *, by_uid: bool) -> list[int]:
        """The numbers or UIDs that SEARCH finds: every key must match; an unknown key is an error."""
        keys = list(arguments)
        if (
            len(keys) > 1
            and not isinstance(keys[0], list)
            and astring(keys[0]).upper() == "CHARSET"
        ):
            keys = keys[2:]
        matches = list(enumerate(self.messages, 1))
        while keys:
            matches = [(n, m) for n, m in self._apply_search_key(keys, matches)]
        return [m.uid if by_uid else n for n, m in matches]

    def _apply_search_key(
        self, keys: list[Word], matches: list[tuple[int, Message]]
    ) -> list[tuple[int, Message]]:
        key = astring(keys.pop(0)).upper()

        def argument() -> str:
            if not keys:
                raise GrammarError(f"{key} wants an argument")
            return astring(keys.pop(0))

        if key == "ALL":
            return matches
        if key in ("SEEN", "UNSEEN"):
            return [(n, m) for n, m in matches if m.seen is (key == "SEEN")]
        if key in ("DELETED", "FLAGGED", "ANSWERED", "DRAFT"):
            flag = f"\\{key.capitalize()}"
            return [(n, m) for n, m in matches if flag in m.flags]
        if key in ("SUBJECT", "FROM", "TO", "CC"):
            return _with_field_text(matches, key.lower(), argument())
        if key == "HEADER":
            return _with_field_text(matches, argument().lower(), argument())
        if key in ("TEXT", "BODY"):
            text = argument().encode().lower()
            return [(n, m) for n, m in matches if text in m.raw.lower()]
        if key == "UID":
            ranges = sequence(argument(), max((m.uid for _, m in matches), default=0))
            return [(n, m) for n, m in matches if inside(m.uid, ranges)]
        ranges = sequence(key, len(self.messages))
        return [(n, m) for n, m in matches if inside(n, ranges)]


def _with_field_text(
    matches: list[tuple[int, Message]], field: str, text: str
) -> list[tuple[int, Message]]:
    text_bytes = text.encode().lower()
    return [
        (n, m)
        for n, m in matches
        if any(
            name == field and text_bytes in raw.lower() for name, raw in fields_of(split(m.raw)[0])
        )
    ]
