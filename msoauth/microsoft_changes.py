"""Microsoft's dated changes that reach mail with OAuth: what changes when, for whom, and when that was last read.

The data file ``microsoft_changes.toml`` is the only place that holds their dates. Texts name a change as
``{change:ID}`` and are completed by :func:`complete`; reports and calendars read :func:`changes`.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Literal

from msoauth.texts import language

Phase = Literal["ahead", "under-way", "since"]
READ_AGAIN_AFTER = timedelta(days=183)  # half a year
_CHANGE = re.compile(r"\{change:([a-z0-9-]+)\}")


@dataclass(frozen=True, slots=True)
class Change:
    """A change of Microsoft's, in the current language.

    >>> from datetime import date
    >>> from msoauth.microsoft_changes import changes
    >>> change = changes()["smtp-passwords-off"]
    >>> change.phase(date(2026, 11, 30)), change.phase(date(2027, 1, 15))
    ('ahead', 'since')

    Attributes:
        begins: The first day on which it may be in effect; None while Microsoft has named none.
        done: The day on which it is in effect everywhere, if it comes gradually; else None.
        hits: Whom it concerns.
        says: A sentence for each phase: before it, while it comes (only some have one), and afterwards.
        source: Where Microsoft announced it, or who reported that.
        facts: The paragraph of ``docs/facts`` that tells of it.
        read: The day on which the source was last read.
    """

    id: str
    begins: date | None
    done: date | None
    hits: str
    says: Mapping[Phase, str]
    source: str
    facts: str
    read: date

    def phase(self, on: date | None = None) -> Phase:
        """Where the change is on a day, today by default."""
        on = on or _today()
        if self.begins is None or on < self.begins:
            return "ahead"
        return "under-way" if self.done is not None and on <= self.done else "since"

    def sentence(self, on: date | None = None) -> str:
        """What is true of the change on a day, today by default; the wording follows its phase."""
        phase = self.phase(on)
        return self.says.get(phase) or self.says["since" if phase == "under-way" else "ahead"]

    def is_stale(self, on: date | None = None) -> bool:
        """Whether its source was read more than six months ago."""
        return (on or _today()) - self.read > READ_AGAIN_AFTER


def changes() -> Mapping[str, Change]:
    """All changes by id, in the order of the file and the current language."""
    return _changes(language())


def complete(text: str, on: date | None = None) -> str:
    """*text* with each ``{change:ID}`` replaced by that change's sentence for a day, today by default.

    Raises:
        KeyError: there is no such change.
    """
    return _CHANGE.sub(lambda match: changes()[match[1]].sentence(on), text)


@cache
def _changes(language_code: str) -> Mapping[str, Change]:
    text = files("msoauth").joinpath("microsoft_changes.toml").read_text(encoding="utf-8")
    phases: tuple[Phase, ...] = ("ahead", "under-way", "since")
    return {
        name: Change(
            id=name,
            begins=entry.get("begins"),
            done=entry.get("done"),
            hits=texts["hits"],
            says={phase: texts[phase] for phase in phases if phase in texts},
            source=entry["source"],
            facts=entry["facts"],
            read=entry["read"],
        )
        for name, entry in tomllib.loads(text).items()
        for texts in (entry.get(language_code, entry),)
    }


def _today() -> date:
    return datetime.now(UTC).date()
