"""A sequence of findings that is shown as a table and knows its root cause."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, overload

from msoauth.display import Listing
from msoauth.judgement import root_cause, succeeded, verdict
from msoauth.model import Finding, Signal
from msoauth.sanitize import visible
from msoauth.texts import _

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "at",
    "firm",
    "account",
    "check",
    "signal",
    "summary",
    "cause",
    "who",
    "evidence",
    "seconds",
    "run",
    "ids",
)


class Findings(Listing[Finding], Sequence[Finding]):
    """Findings in the order in which they were made.

    >>> findings = msoauth.check_firm(ws, "Contoso Legal", progress=False)
    >>> findings.passed, findings.root_cause, findings[0].check
    (True, None, 'registration.values')
    >>> list(findings.frame().columns)[:5]
    ['at', 'firm', 'account', 'check', 'signal']
    """

    headers = ("signal", "check", "summary", "cause", "who")

    def __init__(self, findings: Iterable[Finding] = ()) -> None:
        self._items = tuple(findings)

    @property
    def root_cause(self) -> Finding | None:
        """The finding to fix first, or None if nothing is wrong."""
        return root_cause(self)

    @property
    def passed(self) -> bool:
        """Whether there are findings, and none of them is a problem or was skipped."""
        return succeeded(self)

    def frame(self) -> "pd.DataFrame":
        """The findings as a DataFrame: ``at`` in UTC, ``signal`` an ordered category, ``seconds`` a number."""
        return to_frame(finding.as_json() for finding in self)

    @overload
    def __getitem__(self, index: int) -> Finding: ...
    @overload
    def __getitem__(self, index: slice) -> "Findings": ...
    def __getitem__(self, index: int | slice) -> "Finding | Findings":
        if isinstance(index, slice):
            return Findings(self._items[index])
        return self._items[index]

    def _caption(self) -> str:
        return verdict(self) if self else _("No findings")

    def _cells(self, finding: Finding) -> tuple[object, ...]:
        signal = f"{finding.signal.shape} {finding.signal}"
        return (signal, finding.check, finding.summary, finding.cause or "", finding.who)


def to_frame(findings: Iterable[dict[str, Any]]) -> "pd.DataFrame":
    """Convert findings in their JSON form (:meth:`Finding.as_json`) to a DataFrame with typed columns."""
    import pandas as pd  # imported lazily: takes half a second

    rows = [{name: _harmless(value) for name, value in row.items()} for row in findings]
    frame = pd.DataFrame(rows, columns=[*COLUMNS])
    frame["at"] = pd.to_datetime(frame["at"], utc=True, format="ISO8601")
    frame["signal"] = pd.Categorical(
        frame["signal"], categories=[str(s) for s in Signal], ordered=True
    )
    frame["seconds"] = frame["seconds"].astype("float64")
    for column in ("firm", "check", "cause", "who"):
        frame[column] = frame[column].astype("category")
    return frame


def _harmless(value: Any) -> Any:
    """A value of a finding that somebody else may have written into the journal."""
    if isinstance(value, dict):  # the ids
        return {_harmless(name): _harmless(text) for name, text in value.items()}
    return visible(value) if isinstance(value, str) else value
