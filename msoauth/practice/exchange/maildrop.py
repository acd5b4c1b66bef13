"""POP3's maildrop (RFC 1939): a mailbox's messages as they were at the login, and which are marked as deleted."""

from msoauth.practice.state import Mailbox, Message


class Maildrop:
    """The messages that one session sees, counted from 0; mail that comes later is not among them.

    Attributes:
        mailbox: The mailbox that the messages are in.
        messages: All of them, also those that are marked as deleted.
        sizes: The size of each message in bytes.
    """

    def __init__(self, mailbox: Mailbox) -> None:
        self.mailbox = mailbox
        self.messages: list[Message] = list(mailbox.messages)
        self.sizes = [len(m.raw) for m in self.messages]
        self._deleted: set[int] = set()

    def index(self, number: str) -> int | None:
        """Index of the message of that number, or None when it is deleted or not there."""
        if not number.isascii() or not number.isdigit() or len(number) > 9:
            return None
        index = int(number) - 1
        return index if 0 <= index < len(self.messages) and index not in self._deleted else None

    def remaining(self) -> list[int]:
        """Indices of the messages that are not marked as deleted."""
        return [i for i in range(len(self.messages)) if i not in self._deleted]

    def listing(self) -> str:
        """RFC 1939's drop listing: the number of remaining messages, and their total size in bytes."""
        remaining = self.remaining()
        return f"{len(remaining)} {sum(self.sizes[i] for i in remaining)}"

    def uid(self, index: int) -> str:
        """Unique-id of a message."""
        # Short decimal-like strings (facts E2); a new UIDVALIDITY changes every one of them.
        return f"{self.mailbox.inbox.uid_validity}{self.messages[index].uid:04d}"

    def delete(self, index: int) -> None:
        """Mark a message as deleted."""
        self._deleted.add(index)

    def reset(self) -> None:
        """Unmark all messages."""
        self._deleted.clear()

    def update(self) -> int:
        """Delete the marked messages from the mailbox; returns how many there were."""
        if not self._deleted:
            return 0
        deleted = {id(self.messages[i]) for i in self._deleted}
        self.mailbox.messages[:] = [m for m in self.mailbox.messages if id(m) not in deleted]
        return len(deleted)
