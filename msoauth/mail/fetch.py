"""Retrieving mail from a session of either protocol, the newest first, each message once."""

from collections.abc import Iterator
from pathlib import Path

from msoauth.mail.folders import EmlFolder
from msoauth.mail.imap import ImapSession
from msoauth.mail.messages import HEADER_LIMIT, MessageSummary, summarize
from msoauth.mail.pop3 import Pop3Session

_SUMMARY_LIMIT = (
    8 << 20
)  # bytes of a message that are parsed for the table; the file always holds all


def fetch(
    session: Pop3Session | ImapSession,
    *,
    limit: int | None = None,
    headers_only: bool = False,
    to: Path | None = None,
) -> Iterator[MessageSummary]:
    """Retrieve mail and yield a row for each message, the newest first.

    Args:
        limit: At most so many of the newest messages; None for all.
        headers_only: Ask for headers only; nothing is stored.
        to: The folder for .eml files. Messages that lie there are read from there, not retrieved again.

    Raises:
        MailError: the conversation broke; every message yielded before is whole, and another call goes on.
    """
    folder = EmlFolder(to) if to is not None and not headers_only else None
    listed = _listed(session)
    if limit is not None:
        listed = listed[:limit]
    have = [entry for entry in listed if folder is not None and folder.has(entry[1])]
    known = {uidl for _handle, uidl, _size in have}
    for _handle, uidl, _size in have:
        assert folder is not None  # noqa: S101 - `have` is empty without one
        yield of_file(uidl, folder.path(uidl))
    missing = [entry for entry in listed if entry[1] not in known]
    details = {handle: (uidl, size) for handle, uidl, size in missing}
    handles = [handle for handle, _uidl, _size in missing]
    if isinstance(session, ImapSession):
        bodies = session.retrieve(handles, headers_only=headers_only)
    elif headers_only:
        bodies = session.top(handles)
    else:
        bodies = session.retrieve(handles)
    for handle, pieces in bodies:
        uidl, size = details[handle]
        if folder is not None:
            yield of_file(uidl, folder.store(uidl, pieces))
        else:
            raw = _first(pieces, HEADER_LIMIT if headers_only else _SUMMARY_LIMIT)
            yield summarize(uidl, raw, size if headers_only else None)


def _listed(session: Pop3Session | ImapSession) -> list[tuple[int, str, int]]:
    """(handle, unique id, size) of each message, the newest first; a repeated id counts once."""
    if isinstance(session, ImapSession):
        found = [
            (uid, f"{session.uid_validity}-{uid}", size) for uid, size in session.sizes().items()
        ]
    else:
        sizes, uids = session.sizes(), session.uidl()
        # Without UIDL a message is known by its place and size, the best there is.
        found = [
            (number, uids.get(number) or f"n{number}-{size}", size)
            for number, size in sizes.items()
            if number > 0
        ]
    seen: set[str] = set()
    listed = []
    for entry in sorted(found, reverse=True):
        if entry[1] not in seen:
            seen.add(entry[1])
            listed.append(entry)
    return listed


def of_file(uidl: str, file: Path) -> MessageSummary:
    """The row for a message that lies in a file."""
    size = file.stat().st_size
    with file.open("rb") as source:
        raw = source.read(_SUMMARY_LIMIT)
    row = summarize(uidl, raw)
    if size == len(raw):
        return row
    return MessageSummary(row.uidl, row.date, row.from_, row.to, row.subject, size, row.attachments)


def _first(pieces: Iterator[bytes], limit: int) -> bytes:
    raw = bytearray()
    for piece in pieces:
        if len(raw) < limit:
            raw += piece
    return bytes(raw[:limit])
