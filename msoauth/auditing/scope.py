"""The scope of an audit: which firms it covers, and whether it sends mail; stored with each audit as JSON."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Scope:
    """Which accounts an audit checks, and how; audits of the same scope can be resumed and compared.

    Attributes:
        firms: Names in lower case; None for all firms, including those that are added later.
        send: Whether each account also sends a test mail.
    """

    firms: frozenset[str] | None = None
    send: bool = False

    @classmethod
    def of(cls, firms: Iterable[str] | None, *, send: bool = False) -> Self:
        """The scope of an audit of these firms (None: of all firms)."""
        names = None if firms is None else frozenset(name.casefold() for name in firms)
        return cls(names, send)

    @classmethod
    def read(cls, text: str) -> Self:
        """Parse a scope that :meth:`text` wrote."""
        data = json.loads(text)
        return cls.of(data["firms"], send=data["send"])

    def text(self) -> str:
        """The scope as JSON text; equal scopes have equal texts."""
        firms = None if self.firms is None else sorted(self.firms)
        return json.dumps({"firms": firms, "send": self.send}, ensure_ascii=False)

    def covers(self, firms: frozenset[str] | None) -> bool:
        """Whether the scope includes all of these firms (None: all firms)."""
        return self.firms is None or (firms is not None and firms <= self.firms)
