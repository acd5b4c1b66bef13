"""The folders of a mailbox: LIST, LSUB, STATUS, CREATE, DELETE, RENAME, SUBSCRIBE, APPEND (RFC 3501, 6.3)."""

import re
from collections.abc import Iterator

from msoauth.practice.exchange.framing import BARE_LF
from msoauth.practice.exchange.imap.grammar import (
    ArgumentError,
    GrammarError,
    Text,
    Word,
    astring,
)
from msoauth.practice.exchange.imap.items import arrival, read_flags, read_moment
from msoauth.practice.state import INBOX, SPECIAL_USES, Folder, Mailbox, Message

MAX_FOLDERS = 1000  # not Exchange's number
MAX_NAME = 255  # characters of a name, all levels together


def name_of(arguments: list[Word], index: int = 0) -> str:
    """The folder that a command names.

    Raises:
        GrammarError: it names none.
        ArgumentError: the name has characters that IMAP encodes.
    """
    if len(arguments) <= index:
        raise GrammarError("a folder is wanted")
    name = astring(arguments[index])
    if not name.isascii() or not name.isprintable():
        raise ArgumentError
    return name.removesuffix("/")


def find(mailbox: Mailbox, name: str) -> Folder | None:
    """The folder of that name, without regard to case."""
    return mailbox.folders.get(name.lower())


def quoted(name: str) -> str:
    """A folder's name as IMAP writes it."""
    if re.fullmatch(r"[A-Za-z0-9/&,+._$!#'=@~-]+", name):
        return name
    return '"{}"'.format(name.replace("\\", "\\\\").replace('"', '\\"'))


def list_rows(mailbox: Mailbox, verb: str, arguments: list[Word]) -> Iterator[str]:
    """The untagged responses to LIST or LSUB."""
    if len(arguments) != 2:
        raise GrammarError("a reference and a pattern are wanted")
    reference, pattern = (astring(word) for word in arguments)
    if not pattern:
        yield f'* {verb} (\\Noselect \\HasChildren) "/" ""'
        return
    wanted = re.compile(
        "".join({"*": ".*", "%": "[^/]*"}.get(c) or re.escape(c) for c in (reference + pattern)),
        re.IGNORECASE,
    )
    names = [folder.name for folder in mailbox.folders.values()]
    for folder in sorted(mailbox.folders.values(), key=lambda folder: folder.name.lower()):
        if not wanted.fullmatch(folder.name) or (verb == "LSUB" and not folder.subscribed):
            continue
        parent = any(name.startswith(f"{folder.name}/") for name in names)
        marks = [
            *(["\\Marked"] if folder.name == INBOX else []),
            "\\HasChildren" if parent else "\\HasNoChildren",
            *([SPECIAL_USES[folder.name]] if SPECIAL_USES.get(folder.name) else []),
        ]
        yield f'* {verb} ({" ".join(marks)}) "/" {quoted(folder.name)}'


def status(folder: Folder, arguments: list[Word]) -> str:
    """The items that STATUS asks for, with their values.

    Raises:
        GrammarError: there are none.
        ArgumentError: one is unknown.
    """
    if not arguments or not isinstance(arguments[0], list) or not arguments[0]:
        raise GrammarError("STATUS items are wanted")
    values = {
        "MESSAGES": len(folder.messages),
        "RECENT": sum(m.uid > folder.announced for m in folder.messages),
        "UNSEEN": sum(not m.seen for m in folder.messages),
        "UIDNEXT": folder.next_uid,
        "UIDVALIDITY": folder.uid_validity,
    }
    names = [astring(word).upper() for word in arguments[0]]
    if any(name not in values for name in names):
        raise ArgumentError
    return " ".join(f"{name} {values[name]}" for name in names)


def create(mailbox: Mailbox, name: str) -> bool:
    """Create a folder and those above it; False when it may not have that name.

    The caller knows that there is none of it.
    """
    levels = name.split("/")
    if not all(levels) or len(name) > MAX_NAME or len(mailbox.folders) >= MAX_FOLDERS:
        return False
    for depth in range(1, len(levels) + 1):
        path = "/".join(levels[:depth])
        if find(mailbox, path) is None:
            mailbox.create(path)
    return True


def _within(mailbox: Mailbox, folder: Folder) -> list[Folder]:
    """The folders below a folder."""
    return [f for f in mailbox.folders.values() if f.name.startswith(f"{folder.name}/")]


def delete(mailbox: Mailbox, folder: Folder) -> bool:
    """Delete a folder and those below it; False for those that every mailbox has."""
    if folder.name in SPECIAL_USES:
        return False
    for gone in (folder, *_within(mailbox, folder)):
        gone.messages.clear()  # a session that has it selected is told so
        del mailbox.folders[gone.name.lower()]
    return True


def rename(mailbox: Mailbox, folder: Folder, name: str) -> bool:
    """Rename a folder and those below it; False for those that every mailbox has, and for a wrong name.

    INBOX stays, and its mail goes into a new folder (RFC 3501, 6.3.5).
    """
    if folder.name in SPECIAL_USES and folder.name != INBOX:
        return False
    if name.lower().startswith(f"{folder.name.lower()}/") and folder.name != INBOX:
        return False
    if not create(mailbox, name):
        return False
    if folder.name == INBOX:
        move(list(folder.messages), folder, mailbox.folders[name.lower()])
        return True
    old = folder.name
    for moved in (folder, *_within(mailbox, folder)):
        del mailbox.folders[moved.name.lower()]
        moved.name = name + moved.name[len(old) :]
        mailbox.folders[moved.name.lower()] = moved
    return True


def copy(messages: list[Message], target: Folder) -> list[int]:
    """Copy mails to the end of a folder with their flags and dates; returns their new UIDs."""
    return [
        target.append(m.raw, arrival(m).timestamp(), seen=m.seen, flags=m.flags).uid
        for m in messages
    ]


def move(messages: list[Message], source: Folder, target: Folder) -> list[int]:
    """Move mails to the end of another folder, or of the same; returns their new UIDs."""
    uids = copy(messages, target)
    gone = {m.uid for m in messages}
    source.messages[:] = [m for m in source.messages if m.uid not in gone]
    return uids


def append(folder: Folder, arguments: list[Word], now: float) -> int:
    """Add a mail as APPEND asks; flags and date are optional, the mail comes last. Returns its UID.

    Raises:
        GrammarError: there is no literal.
        ArgumentError: a flag or the date is wrong.
    """
    if len(arguments) < 2 or not isinstance(arguments[-1], Text):
        raise GrammarError("a literal is wanted")
    options = arguments[1:-1]
    seen, flags = (
        read_flags(options.pop(0))
        if options and isinstance(options[0], list)
        else (False, frozenset[str]())
    )
    received = read_moment(astring(options.pop(0))).timestamp() if options else now
    if options:
        raise GrammarError("there are too many arguments")
    raw = BARE_LF.sub(b"\r\n", arguments[-1].value.encode("utf-8", "surrogateescape"))
    return folder.append(raw, received, seen=seen, flags=flags).uid
