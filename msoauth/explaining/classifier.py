"""Classifies whose failure a text reports: Microsoft's, another provider's, or none (advice, code, documentation, success).

The classifier is linear: each word of the text, each pair of words, and each sign that the marks and phrases in it give
has two weights, for another provider and for none. They are in ``catalogue/classifier.tsv``, which
``.ci/train_classifier.py`` learns from the labelled texts of the tests.
"""

import math
import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from itertools import pairwise

_WORD = re.compile(r"[^\W_]+|[^\w\s]")
_IDS = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{20,30}")
_LONGEST = 12  # characters of a word that count
_WINDOW = 1_500  # characters before and after the decisive place that are read
_SHARE_OF_WORDS = 4.0  # the weight of all words together, beside that of a sign


def features(lowered: str, place: int, signs: Iterable[str]) -> dict[str, float]:
    """The features of a text in lower case, with their values.

    Args:
        place: Where its decisive words begin.
        signs: What else is known of it; each begins with an equals sign, as no word does.
    """
    around = _IDS.sub("ID", lowered[max(0, place - _WINDOW) : place + _WINDOW])
    words = [re.sub(r"\d", "0", word[:_LONGEST]) for word in _WORD.findall(around)]
    found = {*words, *map(" ".join, pairwise(words))}
    value = _SHARE_OF_WORDS / math.sqrt(len(found) or 1)
    return {**dict.fromkeys(found, value), **dict.fromkeys(signs, 1.0)}


@cache
def weights() -> Mapping[str, tuple[float, float]]:
    """The weights of each feature, for another provider and for none."""
    table = files("msoauth.explaining").joinpath("catalogue", "classifier.tsv")
    return {
        feature: (int(other) / 100, int(none) / 100)
        for line in table.read_text(encoding="utf-8").splitlines()
        for feature, other, none in [line.split("\t")]
    }


def doubts(found: Mapping[str, float]) -> tuple[float, float]:
    """How probable it is that the failure is another provider's, and that there is none."""
    known = [
        (value, weights()[feature]) for feature, value in found.items() if feature in weights()
    ]
    other, none = (math.exp(sum(value * pair[n] for value, pair in known)) for n in (0, 1))
    return other / (1 + other + none), none / (1 + other + none)
