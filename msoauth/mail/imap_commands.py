"""IMAP's commands, each under a tag of its own, and the server's responses to them (RFC 3501, 2.2)."""

import re

from msoauth.errors import MailError
from msoauth.mail.connection import LINE_LIMIT, Connection
from msoauth.mail.reply_errors import error_from_reply
from msoauth.texts import _

LITERAL = re.compile(rb"\{(\d{1,18})\}$")  # at the end of a line: so many bytes come next
ANSWER_LIMIT = 256 << 20  # bytes of one answer, message bodies apart
_RECORDED = 200  # lines of one answer that the transcript shows


class Commands:
    """Commands out, responses in, over one connection.

    Attributes:
        connection: What they go over; message bodies are read from it directly.
        leaving: LOGOUT is being said, to which the server's BYE is the answer and no failure.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.leaving = False
        self._tag = 0

    def send(self, command: str, *, shown: str | None = None) -> str:
        """Send a command; the tag under which the server will complete it.

        Args:
            shown: Stands in the transcript where the command holds what must not be seen.
        """
        self._tag += 1
        tag = f"M{self._tag}"
        self.connection.command(
            f"{tag} {command}", shown=None if shown is None else f"{tag} {shown}", alone=False
        )
        return tag

    def ask(self, command: str) -> list[bytes]:
        """Send a command; the untagged responses to it.

        Raises:
            MailError: the server refused, or the conversation broke.
        """
        return self.responses(self.send(command))

    def responses(self, tag: str) -> list[bytes]:
        """The untagged responses before the completion of a command; a literal in one stands in it as it came.

        Raises:
            MailError: the server refused, or the conversation broke.
        """
        lines: list[bytes] = []
        received = 0
        while True:
            line = self.connection.line()
            while literal := LITERAL.search(line):
                if int(literal[1]) > LINE_LIMIT:
                    raise self.connection.failure(
                        _("the server sent a line without end"), "service-unavailable"
                    )
                content = b"".join(self.connection.exactly(int(literal[1])))
                line = line[: literal.start()] + _as_quoted(content) + self.connection.line()
            if line.startswith(tag.encode() + b" "):
                if len(lines) > _RECORDED:
                    self.connection.transcript.remark(f"{len(lines)} lines received")
                self.connection.transcript.server(line.decode("utf-8", "replace"))
                self.check_completion(tag, line)
                return lines
            if len(lines) < _RECORDED:
                self.connection.transcript.server(line.decode("utf-8", "replace"))
            if not line.startswith((b"* ", b"+")):
                raise self.out_of_turn(line)
            self.check_bye(line)
            lines.append(line)
            received += len(line)
            if received > ANSWER_LIMIT:
                raise self.connection.failure(
                    _("the server's answer does not end"), "service-unavailable"
                )

    def tagged_or_continuation(self) -> str:
        """The next line that is no untagged response: a step of a login, or its end."""
        while (reply := self.connection.reply()).startswith("*"):
            self.check_bye(reply.encode())
        return reply

    def check_completion(self, tag: str, line: bytes) -> None:
        """Look at the line that completes a command.

        Raises:
            MailError: it is not OK.
        """
        text = line.decode("utf-8", "replace")
        if not text.upper().startswith(f"{tag} OK"):
            raise error_from_reply(self.connection, text, _("the server refused"))

    def check_bye(self, line: bytes) -> None:
        """Look at an untagged response.

        Raises:
            MailError: the server ends the session, and nobody asked it to.
        """
        if line.upper().startswith(b"* BYE") and not self.leaving:
            raise error_from_reply(
                self.connection, line.decode("utf-8", "replace"), _("the server ended the session")
            )

    def out_of_turn(self, line: bytes) -> MailError:
        """The error for a line that is no answer to what was asked."""
        return self.connection.failure(
            _("the server answered out of turn"),
            "service-unavailable",
            line.decode("utf-8", "replace"),
        )


def _as_quoted(content: bytes) -> bytes:
    return b'"' + content.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
