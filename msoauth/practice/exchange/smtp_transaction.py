"""SMTP's mail transaction (RFC 5321, 3.3): the envelope by MAIL and RCPT, the content by DATA or BDAT."""

import re

from msoauth.practice.exchange import replies
from msoauth.practice.exchange.auth import LoginResult, may_send_as
from msoauth.practice.exchange.connection import Connection
from msoauth.practice.exchange.delivery import mailbox_at
from msoauth.practice.exchange.framing import read_dotted, read_exactly, skip
from msoauth.practice.exchange.service import Service

# The arguments of EHLO, MAIL, RCPT and BDAT (RFC 5321, RFC 1870, RFC 3030).
HELLO = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?|\[[0-9A-Za-z.:]+\]")
_PATH = re.compile(r'<((?:"[^"]{0,64}"|[^<>\s"@]{1,64})@[^<>\s"@]{1,255}|)>((?: .*)?)')
_SIZE = re.compile(r"\bSIZE=(\d{1,20})\b", re.IGNORECASE)
_CHUNK = re.compile(r"(\d{1,12})( LAST)?", re.IGNORECASE | re.ASCII)


class MailTransaction:
    """The mail that a session is submitting; :meth:`reset` ends it, and the next one can begin.

    Attributes:
        sender: The address of MAIL; None before it.
        recipients: The addresses of RCPT.
        too_big: Whether the chunks so far are more than a mail may have, and were not kept.
    """

    def __init__(self, service: Service, connection: Connection) -> None:
        self.service = service
        self.connection = connection
        self.sender: str | None = None
        self.recipients: list[str] = []
        self.too_big = False
        self._binary = False
        self._chunks: bytearray | None = None

    def reset(self) -> None:
        """Discard the mail."""
        self.service.receiving.reserve(self, 0)
        self.sender = None
        self.recipients = []
        self.too_big = False
        self._chunks = None

    def mail(self, argument: str, login: LoginResult | None) -> str:
        """The reply to MAIL."""
        if self.sender is not None or login is None or login.tenant is None:
            return replies.SENDER_GIVEN
        path = mail_path(argument, "FROM:")
        if path is None:
            return replies.ADDRESS
        address, parameters = path
        if declared_size(parameters) > self.service.limits.size:
            return replies.TOO_BIG
        if not address.isascii() and "SMTPUTF8" not in parameters.upper():
            return replies.ADDRESS
        if not address or (
            self.service.has_fault("smtp.send-as-early", login.tenant, login.mailbox)
            and not may_send_as(login.tenant, login, address)
        ):
            # A null sender is no mailbox; that it gets this reply is unverified.
            return replies.SEND_AS_EARLY
        self.sender = address
        self._binary = "BODY=BINARYMIME" in parameters.upper().split()
        return replies.SENDER_OK

    def rcpt(self, argument: str, login: LoginResult | None) -> str:
        """The reply to RCPT."""
        if self.sender is None or login is None:
            return replies.NEED_MAIL
        if self._chunks is not None:
            return replies.SEQUENCE
        path = mail_path(argument, "TO:")
        if path is None or not path[0]:
            return replies.ADDRESS
        if len(self.recipients) >= self.service.limits.recipients:
            return replies.RECIPIENTS
        if self._is_unknown_recipient(path[0], login):
            return replies.RECIPIENT_UNKNOWN
        self.recipients.append(path[0])
        return replies.RECIPIENT_OK

    def _is_unknown_recipient(self, address: str, login: LoginResult) -> bool:
        if not self.service.has_fault("smtp.recipient-rejected", login.tenant, login.mailbox):
            return False
        tenant, mailbox = mailbox_at(self.service.state, address)
        return tenant is not None and mailbox is None

    def data_refused(self, argument: str) -> str | None:
        """The reply when DATA may not begin; None when it may."""
        if (missing := self.incomplete()) is not None:
            return missing
        if self._chunks is not None or self._binary:  # BINARYMIME wants BDAT (RFC 3030)
            return replies.SEQUENCE
        return replies.ARGUMENTS if argument else None

    def incomplete(self) -> str | None:
        """The reply to content whose envelope is incomplete; None when it is complete."""
        if self.sender is None:
            return replies.NEED_MAIL
        return None if self.recipients else replies.NEED_RCPT

    async def read_data(self) -> bytes | None:
        """Read the content after DATA; None when it is too big.

        Raises:
            IdleError: the peer said nothing for too long.
            ConnectionClosedError: the peer is gone.
        """
        return await read_dotted(
            self.connection,
            self._limit,
            self.service.timing.smtp_idle,
            lambda size: self.service.receiving.reserve(self, size),
        )

    async def read_chunk(self, count: int, *, refused: bool) -> None:
        """Read the *count* bytes after BDAT; discard them when the command is refused or the mail too big.

        Raises:
            IdleError: the peer said nothing for too long.
            ConnectionClosedError: the peer is gone.
        """
        have, idle = len(self._chunks or b""), self.service.timing.smtp_idle
        if refused:  # nothing is reserved for bytes that are discarded
            await skip(self.connection, count, idle)
            self._chunks = None
            return
        room = have + count <= self._limit and self.service.receiving.reserve(self, have + count)
        self.too_big = self.too_big or not room
        if self.too_big:
            await skip(self.connection, count, idle)
            self._chunks = bytearray()
        else:
            self._chunks = self._chunks if self._chunks is not None else bytearray()
            self._chunks += await read_exactly(self.connection, count, idle)

    def chunks(self) -> bytes | None:
        """The content of all chunks; None when it is too big."""
        return None if self.too_big else bytes(self._chunks or b"")

    @property
    def _limit(self) -> int:
        """Bytes that a mail may have: a mailbox may send less than EHLO offers (facts E7)."""
        return min(self.service.limits.size, self.service.limits.mail)


def mail_path(argument: str, keyword: str) -> tuple[str, str] | None:
    """Address and parameters of ``FROM:<…>`` or ``TO:<…>``."""
    if argument[: len(keyword)].upper() != keyword:
        return None
    match = _PATH.fullmatch(argument[len(keyword) :].strip())
    if match is None or not match[1].isprintable():
        return None
    return match[1], match[2]


def declared_size(parameters: str) -> int:
    """The ``SIZE`` that MAIL declares, in bytes; 0 when it declares none."""
    match = _SIZE.search(parameters)
    return int(match[1]) if match else 0


def chunk(argument: str) -> tuple[int, bool] | None:
    """Bytes of the chunk that BDAT announces, and whether it is the last."""
    match = _CHUNK.fullmatch(" ".join(argument.split()))
    return (int(match[1]), match[2] is not None) if match else None
