"""A POP3 session without a server, for tests of retrieving and storing mail."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any, Self, cast

from msoauth.errors import MailError
from msoauth.mail import fetch as mail
from msoauth.mail.fetch import Session
from msoauth.mail.messages import MessageSummary
from msoauth.mail.retry import RetryPolicy


class FakePop3:
    """Behaves like a POP3 session with the given messages.

    Args:
        mails: Messages in order, each with its unique id.
        breaks_after: After so many messages the connection fails in the middle of the next; None for never.
    """

    def __init__(
        self, mails: Sequence[tuple[str, bytes]], *, breaks_after: int | None = None
    ) -> None:
        self.mails = list(mails)
        self.refused_replies: dict[int, str] = {}
        self.handed_over: list[int] = []
        self._breaks_after = breaks_after

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_about: object) -> None:
        pass

    @property
    def count(self) -> int:
        return len(self.mails)

    def sizes(self) -> dict[int, int]:
        return {n: len(raw) for n, (_uid, raw) in enumerate(self.mails, 1)}

    def uidl(self) -> dict[int, str]:
        return {n: uid for n, (uid, _raw) in enumerate(self.mails, 1)}

    def retrieve(
        self, numbers: Sequence[int], *, headers_only: bool = False
    ) -> Iterator[tuple[int, Iterator[bytes]]]:
        for done, number in enumerate(numbers):
            raw = self.mails[number - 1][1]
            if headers_only:
                yield number, iter([raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"])
                continue
            self.handed_over.append(number)
            yield number, self._pieces(raw, half=done == self._breaks_after)

    def _pieces(self, raw: bytes, *, half: bool) -> Iterator[bytes]:
        middle = len(raw) // 2
        yield raw[:middle]
        if half:
            raise MailError("the line broke", stage="work", retriable=True)
        yield raw[middle:]

    @property
    def session(self) -> Session:
        return cast("Session", self)


def fetch(session: Session, **options: Any) -> Generator[MessageSummary, None, None]:
    """Retrieve in this session, without a second try."""
    return mail.fetch(lambda: nullcontext(session), RetryPolicy(0), **options)


def make_messages(count: int, *, first: int = 0) -> list[tuple[str, bytes]]:
    """Messages with unique ids; some ids and bodies are hard to store."""
    made = []
    for n in range(first, first + count):
        uid = f"uid{n}" if n % 3 else f"Odd/../..\\{n}:*?"
        body = (
            f"Subject: Brief {n}\r\n\r\n".encode()
            + b"From here on\r\n>From there\r\n.\r\nNUL\x00 \xff\r\n" * (n % 4 + 1)
        )
        made.append((uid, body))
    return made


def subjects(rows: Iterable[object]) -> list[str]:
    return sorted(str(getattr(row, "subject", "")) for row in rows)
