"""Retrieving mail from a session of either protocol, the newest first, each message once."""

from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Literal, NamedTuple

from msoauth.errors import MailError
from msoauth.mail.files import FileStore
from msoauth.mail.imap import ImapSession
from msoauth.mail.mbox import MboxStore
from msoauth.mail.messages import MessageSummary, summary_of
from msoauth.mail.pop3 import Pop3Session
from msoauth.mail.retry import RetryPolicy
from msoauth.mail.settle import Settling, Store
from msoauth.mail.structure import Scanner
from msoauth.texts import ngettext

Session = Pop3Session | ImapSession
Format = Literal["eml", "maildir", "mbox"]
FORMATS: tuple[Format, ...] = ("eml", "maildir", "mbox")


class Entry(NamedTuple):
    """A message in a session's list.

    Attributes:
        handle: What the session calls it: POP3's number, IMAP's UID.
        uidl: Its unique id.
        repeated: Another message in the list has the same id, so the id does not say which one it is.
    """

    handle: int
    uidl: str
    size: int
    repeated: bool


def store_in(place: Path, format: Format = "eml") -> Store:  # noqa: A002 - the option's name
    """A place for mail: a folder of .eml files, a Maildir, or an mbox file."""
    return MboxStore(place) if format == "mbox" else FileStore(place, maildir=format == "maildir")


def fetch(
    session: Session,
    *,
    limit: int | None = None,
    headers_only: bool = False,
    to: Path | None = None,
    format: Format = "eml",  # noqa: A002 - the option's name
) -> Generator[MessageSummary, None, None]:
    """Retrieve mail and yield a row for each message, the newest first.

    A row that was yielded is that of a message which is whole, in its place and, as far as the operating
    system can be asked, on disk.

    Args:
        limit: At most so many of the newest messages; None for all.
        headers_only: Ask for headers only; nothing is stored.
        to: Where mail goes. A message that is there already is not retrieved again; its row comes first.

    Raises:
        MailError: the conversation broke, or the server refused some messages; every message that came
            whole is kept, and another call goes on.
        InputError: another retrieval is writing there.
    """
    store = store_in(to, format) if to is not None and not headers_only else None
    with store or nullcontext():
        yield from fetch_into(store, session, limit=limit, headers_only=headers_only)


def fetch_with_retries(
    open_box: Callable[[], Session],
    policy: RetryPolicy,
    *,
    limit: int | None = None,
    headers_only: bool = False,
    to: Path | None = None,
    format: Format = "eml",  # noqa: A002 - the option's name
) -> Iterator[MessageSummary]:
    """Like :func:`fetch`; when the server is busy or the connection breaks, wait, log in again and continue.

    Raises:
        MailError: the failure is not retriable, or lasts longer than the policy's limit.
    """
    store = store_in(to, format) if to is not None and not headers_only else None
    told: set[str] = set()
    with store or nullcontext():
        while True:
            before = len(told)
            try:
                with open_box() as session:
                    for row in fetch_into(
                        store, session, limit=limit, headers_only=headers_only, told=told
                    ):
                        told.add(row.uidl)
                        yield row
                return
            except MailError as failure:
                policy.wait_after(failure, progressed=len(told) > before)


def fetch_into(
    store: Store | None,
    session: Session,
    *,
    limit: int | None = None,
    headers_only: bool = False,
    told: Collection[str] = (),
) -> Iterator[MessageSummary]:
    """``fetch`` into a place that is open; what is *told* already is passed over."""
    listed = listing(session)[:limit]
    missing = []
    for entry in listed:
        if entry.uidl in told and not entry.repeated:
            continue
        if store is not None and not entry.repeated and store.has(entry.uidl):
            row = store.row(entry.uidl)
            if row is not None:
                yield row
            continue
        missing.append(entry)
    if store is None:
        yield from _looked_at(session, missing, headers_only=headers_only)
    else:
        yield from _retrieved(store, session, missing, told)
    if session.refused:
        _tell_refused(session)


def listing(session: Session) -> list[Entry]:
    """Every message, the newest first."""
    if isinstance(session, ImapSession):
        found = [
            (uid, f"{session.uid_validity}-{uid}", size) for uid, size in session.sizes().items()
        ]
    else:
        sizes, uids = session.sizes(), session.uidl()
        # A list may lie, or leave a message out: what either tells of is there. Without an id a message is
        # known by its place and size, the best there is.
        numbers = {number for number in (*sizes, *uids) if number > 0}
        found = [(n, uids.get(n) or f"n{n}-{sizes.get(n, 0)}", sizes.get(n, 0)) for n in numbers]
    often = Counter(uidl for _handle, uidl, _size in found)
    return [
        Entry(handle, uidl, size, often[uidl] > 1)
        for handle, uidl, size in sorted(found, reverse=True)
    ]


def _looked_at(
    session: Session, entries: list[Entry], *, headers_only: bool
) -> Iterator[MessageSummary]:
    known = {entry.handle: entry for entry in entries}
    for handle, pieces in _bodies(session, list(known), headers_only=headers_only):
        seen = Scanner()
        for piece in pieces:
            seen.feed(piece)
        seen.close()
        entry = known[handle]
        yield summary_of(entry.uidl, seen, entry.size if headers_only else None)


def _retrieved(
    store: Store, session: Session, entries: list[Entry], told: Collection[str]
) -> Iterator[MessageSummary]:
    settling = Settling(store)
    try:
        yield from _kept(store, session, entries, told, settling)
    except MailError:
        yield from settling.finish()  # what came whole is kept
        raise
    except BaseException:
        for _row in settling.finish():
            pass
        raise
    yield from settling.finish()


def _kept(
    store: Store,
    session: Session,
    entries: list[Entry],
    told: Collection[str],
    settling: Settling,
) -> Iterator[MessageSummary]:
    doubtful: list[Entry] = []
    for entry, pieces in _together(session, entries, doubtful):
        seen = Scanner()
        staged = store.stage(_seen(pieces, seen))
        seen.close()
        if (
            isinstance(session, Pop3Session)
            and entry not in doubtful
            and session.doubtful(entry.handle, seen.size)
        ):
            store.drop(staged)
            doubtful.append(entry)  # its turn comes again, alone
            continue
        uidl = entry.uidl
        if entry.repeated:  # which of those that share the id it is, its bytes tell
            uidl = f"{entry.uidl}#{staged.digest[:16]}"
        row = summary_of(uidl, seen)
        if entry.repeated and (uidl in told or store.has(uidl)):
            store.drop(staged)
            if uidl not in told:
                yield row
            continue
        yield from settling.add(staged, row)


def _together(
    session: Session, entries: list[Entry], again: list[Entry]
) -> Iterator[tuple[Entry, Iterator[bytes]]]:
    """All messages in one go; then, one by one, those that were put on the list *again*."""
    known = {entry.handle: entry for entry in entries}
    for handle, pieces in _bodies(session, list(known), headers_only=False):
        yield known[handle], pieces
    for entry in list(again):
        for _handle, pieces in _bodies(session, [entry.handle], headers_only=False):
            yield entry, pieces


def _seen(pieces: Iterator[bytes], scanner: Scanner) -> Iterator[bytes]:
    for piece in pieces:
        scanner.feed(piece)
        yield piece


def _bodies(
    session: Session, handles: list[int], *, headers_only: bool
) -> Iterator[tuple[int, Iterator[bytes]]]:
    if isinstance(session, ImapSession):
        return session.retrieve(handles, headers_only=headers_only)
    return session.top(handles) if headers_only else session.retrieve(handles)


def _tell_refused(session: Session) -> None:
    count = len(session.refused)
    raise MailError(
        ngettext(
            "The server did not hand over {n} message; the others are there.",
            "The server did not hand over {n} messages; the others are there.",
            count,
        ).format(n=count),
        stage="work",
        cause="message-rejected",
        evidence="\n".join(dict.fromkeys(session.refused.values()))[:2000],
    )
