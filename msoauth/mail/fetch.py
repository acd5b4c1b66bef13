"""Retrieve mail over POP3 or IMAP, the latest first and each message once, and store it."""

from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from msoauth.errors import MailError
from msoauth.mail.imap import ImapSession
from msoauth.mail.messages import MessageSummary, Status, summary_of
from msoauth.mail.pop3 import Pop3Session
from msoauth.mail.retry import RetryPolicy
from msoauth.mail.stores import Format, MailStore, open_store
from msoauth.mail.structure import scan
from msoauth.texts import _

Session = Pop3Session | ImapSession

_HEADERS_OF_UNDELIVERED = 20  # undelivered messages whose headers are asked for, each by itself


class ListedMessage(NamedTuple):
    """A message in the server's list.

    Attributes:
        handle: What retrieves it: POP3's message number, or IMAP's UID.
        uidl: Its unique id: POP3's, or ``UIDVALIDITY-UID`` for IMAP.
        size: In bytes, as the server states it.
        ambiguous: Another message in the list has the same unique id, so that it does not identify this one.
    """

    handle: int
    uidl: str
    size: int
    ambiguous: bool


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

    A message whose summary was yielded as *retrieved* is stored completely and flushed to disk. Every message in the
    server's list is yielded, also one that the server refused or said nothing about, but for those that were deleted
    meanwhile. A notice in a message's place is stored apart. All three are asked for again by the next call. When the
    server is busy or the connection breaks, it waits, opens another session and continues.

    Args:
        open_session: Opens a session that is logged in.
        policy: When and how long to wait; ``RetryPolicy(0)`` never does.
        limit: At most this many of the latest messages; None for all.
        headers_only: Ask for headers only; nothing is stored.
        to: Where mail is stored, or None. A message that is there already is not retrieved again; its summary comes
            first.

    Raises:
        MailError: the failure is not retriable or lasts longer than the policy's limit; complete messages are kept,
            and the next call continues.
        InputError: another retrieval is writing there.
    """
    store = open_store(to, format) if to is not None and not headers_only else None
    yielded: set[str] = set()
    with store or nullcontext():
        while True:
            yielded_before = len(yielded)
            try:
                with open_session() as session:
                    for row in _fetch_into(store, session, limit, headers_only, yielded):
                        yielded.add(row.uidl)
                        yield row
                return
            except MailError as failure:
                policy.wait_or_raise(failure, progressed=len(yielded) > yielded_before)


def _fetch_into(
    store: MailStore | None,
    session: Session,
    limit: int | None,
    headers_only: bool,
    yielded: Collection[str],
) -> Iterator[MessageSummary]:
    """Retrieve mail into an open store, in one session; skip messages that were *yielded* before."""
    wanted = []
    for entry in list_messages(session)[:limit]:
        if entry.uidl in yielded and not entry.ambiguous:
            continue
        if store is not None and not entry.ambiguous and store.has(entry.uidl):
            yield store.row(entry.uidl) or _unknown(entry, "already")
            continue
        wanted.append(entry)
    received: set[int] = set()
    if store is None:
        yield from _summaries(session, wanted, received, headers_only=headers_only)
    else:
        yield from _store_all(store, session, wanted, received, yielded)
    yield from _undelivered(session, [entry for entry in wanted if entry.handle not in received])


def list_messages(session: Session) -> list[ListedMessage]:
    """All messages on the server, the latest first.

    Raises:
        MailError: the connection broke.
    """
    if isinstance(session, ImapSession):
        rows = [
            (uid, f"{session.uid_validity}-{uid}", size) for uid, size in session.sizes().items()
        ]
    else:
        sizes, uids = session.sizes(), session.uidl()
        # LIST or UIDL may leave a message out: take what either names. A message without a unique id is
        # identified by its number and size.
        numbers = {number for number in (*sizes, *uids) if number > 0}
        rows = [(n, uids.get(n) or f"n{n}-{sizes.get(n, 0)}", sizes.get(n, 0)) for n in numbers]
    counts = Counter(uidl for _handle, uidl, _size in rows)
    return [
        ListedMessage(handle, uidl, size, counts[uidl] > 1)
        for handle, uidl, size in sorted(rows, reverse=True)
    ]


def _summaries(
    session: Session, entries: list[ListedMessage], received: set[int], *, headers_only: bool
) -> Iterator[MessageSummary]:
    by_handle = {entry.handle: entry for entry in entries}
    for handle, pieces in session.retrieve(list(by_handle), headers_only=headers_only):
        entry, scanned = by_handle[handle], scan(pieces)
        if scanned.size:
            received.add(handle)
            yield summary_of(entry.uidl, scanned, entry.size if headers_only else None)


def _undelivered(session: Session, entries: list[ListedMessage]) -> Iterator[MessageSummary]:
    """The messages that the server listed and did not hand over, without those that were deleted meanwhile."""
    if entries and isinstance(session, ImapSession):
        remaining = session.remaining()
        entries = [entry for entry in entries if entry.handle in remaining]
    replies = dict(session.refused_replies)
    asks = True
    for number, entry in enumerate(entries):
        row = None
        if asks and number < _HEADERS_OF_UNDELIVERED:
            try:
                for _handle, pieces in session.retrieve([entry.handle], headers_only=True):
                    row = summary_of(entry.uidl, scan(pieces), entry.size)
            except MailError:
                asks = False  # the connection broke, which takes nothing from what was retrieved
        status: Status = "refused" if entry.handle in replies else "missing"
        command = "UID FETCH" if isinstance(session, ImapSession) else "RETR"
        reply = replies.get(entry.handle) or _("no message in the answer")
        yield replace(
            row or _unknown(entry, status),
            status=status,
            reply=f"{command} {entry.handle}: {reply}",
        )


def _unknown(entry: ListedMessage, status: Status) -> MessageSummary:
    """The row of a message of which only its place in the list is known."""
    return MessageSummary(entry.uidl, None, "", "", "", entry.size, status=status)


def _store_all(
    store: MailStore,
    session: Session,
    entries: list[ListedMessage],
    received: set[int],
    yielded: Collection[str],
) -> Iterator[MessageSummary]:
    try:
        yield from _stage_all(store, session, entries, received, yielded)
    except MailError:
        yield from store.commit()  # complete messages are kept
        raise
    except BaseException:
        store.commit()  # although nobody takes the summaries any more
        raise
    yield from store.commit()


def _stage_all(
    store: MailStore,
    session: Session,
    entries: list[ListedMessage],
    received: set[int],
    yielded: Collection[str],
) -> Iterator[MessageSummary]:
    suspects: list[ListedMessage] = []
    for entry, pieces in _retrieve_then_retry(session, entries, suspects):
        staged = store.stage(pieces)
        if (
            isinstance(session, Pop3Session)
            and entry not in suspects
            and session.is_suspect(entry.handle, staged.scanned.size)
        ):
            store.discard(staged.file)
            suspects.append(entry)  # retrieved once more, without pipelining
            continue
        if not staged.scanned.size:  # not even a header: nothing was handed over
            store.discard(staged.file)
            continue
        received.add(entry.handle)
        uidl = entry.uidl
        if entry.ambiguous:  # only its content identifies it
            uidl = f"{entry.uidl}#{staged.digest[:16]}"
        row = summary_of(uidl, staged.scanned)
        if row.status == "placeholder":
            store.set_apart(staged, uidl)
            yield row
            continue
        if not (entry.ambiguous and (uidl in yielded or store.has(uidl))):
            yield from store.add(staged, row)
            continue
        store.discard(staged.file)
        if uidl not in yielded:
            yield row


def _retrieve_then_retry(
    session: Session, entries: list[ListedMessage], retry: list[ListedMessage]
) -> Iterator[tuple[ListedMessage, Iterator[bytes]]]:
    """Retrieve all messages in one pipeline; then, one by one, those that the caller appended to *retry*."""
    by_handle = {entry.handle: entry for entry in entries}
    for handle, pieces in session.retrieve(list(by_handle)):
        yield by_handle[handle], pieces
    for entry in list(retry):
        for _handle, pieces in session.retrieve([entry.handle]):
            yield entry, pieces
