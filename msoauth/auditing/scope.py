"""What an audit is of: which firms, and whether it sends; as it is written beside each audit."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Scope:
    """What an audit is of.

    Attributes:
        firms: Names without regard to case; None for all there are.
        send: Whether each account also sends a test mail.
    """

    firms: frozenset[str] | None = None
    send: bool = False

    @classmethod
    def of(cls, firms: Iterable[str] | None, *, send: bool = False) -> Self:
        """The scope of an audit of these firms; None for all."""
        names = None if firms is None else frozenset(name.casefold() for name in firms)
        return cls(names, send)

    @classmethod
    def read(cls, text: str) -> Self:
        """The scope that was written down so."""
        said = json.loads(text)
        return cls.of(said["firms"], send=said["send"])

    def text(self) -> str:
        """What is written down; the same for the same scope."""
        firms = None if self.firms is None else sorted(self.firms)
        return json.dumps({"firms": firms, "send": self.send}, ensure_ascii=False)

    def covers(self, firms: frozenset[str] | None) -> bool:
        """Whether all of these firms are in it (None: all there are)."""
        return self.firms is None or (firms is not None and firms <= self.firms)
