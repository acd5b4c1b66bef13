"""Retrieving mail over POP3 or IMAP, the latest first, each message once, and storing it."""

from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Literal, NamedTuple

from msoauth.errors import MailError
from msoauth.mail.files import FileStore
from msoauth.mail.imap import ImapSession
from msoauth.mail.mbox import MboxStore
from msoauth.mail.messages import MessageSummary, summary_of
from msoauth.mail.pop3 import Pop3Session
from msoauth.mail.retry import RetryPolicy
from msoauth.mail.saving import BatchWriter, MailStore, tee
from msoauth.mail.structure import Scanner, scan
from msoauth.texts import ngettext

Session = Pop3Session | ImapSession
Format = Literal["eml", "maildir", "mbox"]


class ListedMessage(NamedTuple):
    """A message in the server's list.

    Attributes:
        handle: POP3's message number, or IMAP's UID.
        uidl: Its unique id; for IMAP made of UIDVALIDITY and UID.
        repeated: Another message in the list has the same unique id, which does not identify it then.
    """

    handle: int
    uidl: str
    size: int
    repeated: bool


def open_store(place: Path, format: Format = "eml") -> MailStore:  # noqa: A002 - the option's name
    """The store at *place*: a folder of .eml files, a Maildir, or an mbox file."""
    return MboxStore(place) if format == "mbox" else FileStore(place, maildir=format == "maildir")


def fetch(
    open_session: Callable[[], AbstractContextManager[Session]],
    policy: RetryPolicy,
    *,
    limit: int | None = None,
    headers_only: bool = False,
    to: Path | None = None,
    format: Format = "eml",  # noqa: A002 - the option's name
) -> Generator[MessageSummary, None, None]:
    """Retrieve mail and yield the summary of each message, the latest first.

    A message whose summary was yielded is stored completely and flushed to disk. When the server is busy or the
    connection breaks, it waits, opens another session and continues.

    Args:
        open_session: Opens a session that is logged in.
        policy: When and how long to wait; ``RetryPolicy(0)`` never does.
        limit: At most this many of the latest messages; None for all.
        headers_only: Ask for headers only; nothing is stored.
        to: Where mail is stored. A message that is there already is not retrieved again; its summary comes first.

    Raises:
        MailError: the failure is not retriable or lasts longer than the policy's limit, or the server refused some
            messages; complete messages are kept, and the next call continues.
        InputError: another retrieval is writing there.
    """
    store = open_store(to, format) if to is not None and not headers_only else None
    yielded: set[str] = set()
    with store or nullcontext():
        while True:
            before = len(yielded)
            try:
                with open_session() as session:
                    for row in _fetch_into(store, session, limit, headers_only, yielded):
                        yielded.add(row.uidl)
                        yield row
                return
            except MailError as failure:
                policy.wait_after(failure, progressed=len(yielded) > before)


def _fetch_into(
    store: MailStore | None,
    session: Session,
    limit: int | None,
    headers_only: bool,
    yielded: Collection[str],
) -> Iterator[MessageSummary]:
    """Retrieve into an open store, in one session; messages that were *yielded* before are skipped."""
    listed = list_messages(session)[:limit]
    missing = []
    for entry in listed:
        if entry.uidl in yielded and not entry.repeated:
            continue
        if store is not None and not entry.repeated and store.has(entry.uidl):
            row = store.row(entry.uidl)
            if row is not None:
                yield row
            continue
        missing.append(entry)
    if store is None:
        yield from _summaries(session, missing, headers_only=headers_only)
    else:
        yield from _store_all(store, session, missing, yielded)
    if session.refused:
        raise _refused_error(session)


def list_messages(session: Session) -> list[ListedMessage]:
    """All messages on the server, the latest first.

    Raises:
        MailError: the connection broke.
    """
    if isinstance(session, ImapSession):
        found = [
            (uid, f"{session.uid_validity}-{uid}", size) for uid, size in session.sizes().items()
        ]
    else:
        sizes, uids = session.sizes(), session.uidl()
        # LIST or UIDL may leave a message out: take what either names. A message without a unique id is
        # identified by its number and size.
        numbers = {number for number in (*sizes, *uids) if number > 0}
        found = [(n, uids.get(n) or f"n{n}-{sizes.get(n, 0)}", sizes.get(n, 0)) for n in numbers]
    often = Counter(uidl for _handle, uidl, _size in found)
    return [
        ListedMessage(handle, uidl, size, often[uidl] > 1)
        for handle, uidl, size in sorted(found, reverse=True)
    ]


def _summaries(
    session: Session, entries: list[ListedMessage], *, headers_only: bool
) -> Iterator[MessageSummary]:
    known = {entry.handle: entry for entry in entries}
    for handle, pieces in session.retrieve(list(known), headers_only=headers_only):
        entry = known[handle]
        yield summary_of(entry.uidl, scan(pieces), entry.size if headers_only else None)


def _store_all(
    store: MailStore, session: Session, entries: list[ListedMessage], yielded: Collection[str]
) -> Iterator[MessageSummary]:
    writer = BatchWriter(store)
    try:
        yield from _stage_all(store, session, entries, yielded, writer)
    except MailError:
        yield from writer.finish()  # complete messages are kept
        raise
    except BaseException:
        for _row in writer.finish():
            pass
        raise
    yield from writer.finish()


def _stage_all(
    store: MailStore,
    session: Session,
    entries: list[ListedMessage],
    yielded: Collection[str],
    writer: BatchWriter,
) -> Iterator[MessageSummary]:
    suspect: list[ListedMessage] = []
    for entry, pieces in _all_then_again(session, entries, suspect):
        seen = Scanner()
        staged = store.stage(tee(pieces, seen.feed))
        seen.close()
        if (
            isinstance(session, Pop3Session)
            and entry not in suspect
            and session.doubtful(entry.handle, seen.size)
        ):
            store.discard(staged)
            suspect.append(entry)  # retrieved once more, alone
            continue
        uidl = entry.uidl
        if entry.repeated:  # its bytes tell which of them it is
            uidl = f"{entry.uidl}#{staged.digest[:16]}"
        row = summary_of(uidl, seen)
        if entry.repeated and (uidl in yielded or store.has(uidl)):
            store.discard(staged)
            if uidl not in yielded:
                yield row
            continue
        yield from writer.add(staged, row)


def _all_then_again(
    session: Session, entries: list[ListedMessage], retry: list[ListedMessage]
) -> Iterator[tuple[ListedMessage, Iterator[bytes]]]:
    """Retrieve all messages in one pipeline; then, one by one, those that the caller appended to *retry*."""
    known = {entry.handle: entry for entry in entries}
    for handle, pieces in session.retrieve(list(known)):
        yield known[handle], pieces
    for entry in list(retry):
        for _handle, pieces in session.retrieve([entry.handle]):
            yield entry, pieces


def _refused_error(session: Session) -> MailError:
    count = len(session.refused)
    return MailError(
        ngettext(
            "The server did not hand over {n} message; the others are there.",
            "The server did not hand over {n} messages; the others are there.",
            count,
        ).format(n=count),
        stage="work",
        cause="message-rejected",
        evidence="\n".join(dict.fromkeys(session.refused.values()))[:2000],
    )
