"""The texts collected from public threads, and how rightly they are explained.

``work.jsonl`` may be read while the engine or its catalogue is changed. ``scored.jsonl`` is only scored
(``python benchmarks/explain_score.py``). They are collected in rounds: once the scored texts have been read, all of
them move to ``work.jsonl``, and a new round is collected from other threads. Of a round every text is scored, so that
nobody chooses which are. Round 1 was split by a hash of the thread and is now in ``work.jsonl`` altogether.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from msoauth.explaining import explain

NOT_MICROSOFT = {"other-provider", "unknown"}


@dataclass(frozen=True, slots=True)
class Collected:
    """A text from a public thread, with made-up names and ids, and what its thread shows about its cause.

    Attributes:
        also_ok: Other answers that are right too, because the thread leaves it open.
        lang: The language of its words, such as ``de``.
        literal: Whether the cause is shown by a code or a literal reply of Microsoft's.
        source: The thread: ``owner/repository#number``, an address, or a file of an index.
    """

    id: str
    text: str
    cause: str
    also_ok: tuple[str, ...]
    lang: str
    literal: bool
    source: str

    def accepts(self, cause: str) -> bool:
        return cause == self.cause or cause in self.also_ok


def collected(part: str) -> tuple[Collected, ...]:
    """All texts of ``work`` or of ``scored``; the first line of the file says what it is for."""
    _about, *lines = (
        Path(__file__).with_name(f"{part}.jsonl").read_text(encoding="utf-8").splitlines()
    )
    return tuple(
        Collected(**(entry | {"also_ok": tuple(entry["also_ok"])}))
        for entry in map(json.loads, lines)
    )


Answer = tuple[str, str]  # cause, confidence


def ours(text: str) -> Answer:
    explanation = explain(text)
    return explanation.cause, explanation.confidence


@dataclass(frozen=True, slots=True)
class Score:
    """How rightly texts were explained; each pair is how many of how many.

    Attributes:
        microsoft: Right answers where the label is a cause of Microsoft's and mail's.
        foreign: Right answers where it is ``other-provider`` or ``unknown``.
        certain: Those of the right answers on a literal code or reply that are called certain.
        wrong: Texts with another answer, and that answer.
        wrong_certain: Those of them whose answer is called certain.
    """

    microsoft: tuple[int, int]
    foreign: tuple[int, int]
    certain: tuple[int, int]
    wrong: tuple[tuple[Collected, Answer], ...]
    wrong_certain: tuple[tuple[Collected, Answer], ...]

    @property
    def right(self) -> int:
        return self.microsoft[0] + self.foreign[0]


def score(texts: Iterable[Collected], tell: Callable[[str], Answer] = ours) -> Score:
    """Compare what *tell* answers to each text with its label."""
    told = [(one, tell(one.text)) for one in texts]
    right = {one.id for one, (cause, _confidence) in told if one.accepts(cause)}
    wrong = tuple(pair for pair in told if pair[0].id not in right)

    def share(group: Sequence[Collected]) -> tuple[int, int]:
        return sum(one.id in right for one in group), len(group)

    literal = [how for one, (_cause, how) in told if one.literal and one.id in right]
    return Score(
        share([one for one, _answer in told if one.cause not in NOT_MICROSOFT]),
        share([one for one, _answer in told if one.cause in NOT_MICROSOFT]),
        (literal.count("certain"), len(literal)),
        wrong,
        tuple(pair for pair in wrong if pair[1][1] == "certain"),
    )
