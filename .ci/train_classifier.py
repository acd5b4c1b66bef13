"""Trains the classifier that judges whose failure a text reports: `python .ci/train_classifier.py`, after a text was labelled.

It learns from the texts of public threads that may be worked with (tests/explaining/work.jsonl), and, with little weight,
from the project's own (texts.jsonl, replies.jsonl, facts.jsonl), also as the tests wrap them. Those of them that would be
judged otherwise get more weight, until none is. The texts that are only scored are not read. With
`--folds 5` nothing is written: the texts of public threads are split into as many parts, each judged by what was learned
from the others.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

TOP = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP))

from msoauth.explaining import classifier  # noqa: E402  # the tests' helpers are beside the package
from msoauth.explaining.decide import NETWORK, decide  # noqa: E402
from msoauth.explaining.load import signatures  # noqa: E402
from msoauth.explaining.normalize import normalize  # noqa: E402
from tests.explaining.collected import NOT_MICROSOFT, collected, score  # noqa: E402
from tests.explaining.test_texts import WRAPPINGS  # noqa: E402
from tests.explaining.test_voices import NO_FAILURE  # noqa: E402

TABLE = TOP / "msoauth" / "explaining" / "catalogue" / "classifier.tsv"
OWN = ("texts", "replies", "facts")
CLASSES = {"other-provider": 1, "unknown": 2}  # 0: a failure of Microsoft's or on the way to it
STEPS, RATE = 150, 0.1
PENALTY = 0.15  # of a weight's square
OWN_WEIGHT, MORE, ROUNDS = 0.01, 3.0, 9
LEAST_TEXTS = 2  # that have a feature
SMALLEST = 6  # hundredths of a weight that is kept


class Example(NamedTuple):
    """A labelled text with its features."""

    features: Mapping[str, float]
    label: int
    weight: float


def examples_of_threads() -> list[Example]:
    return [
        Example(decide(normalize(one.text)).features, CLASSES.get(one.cause, 0), 1.0)
        for one in collected("work")
    ]


def own_examples() -> tuple[list[Example], list[Example]]:
    """The project's own texts with the catalogue's examples, and those of them that the tests wrap."""
    own = [
        Example(decide(normalize(text)).features, label, OWN_WEIGHT)
        for text, label in (
            *((one.example, CLASSES.get(one.cause, 0)) for one in signatures()),
            *((text, CLASSES["unknown"]) for text in NO_FAILURE),
        )
    ]
    wrapped = []
    for name in OWN:
        lines = (TOP / "tests" / "explaining" / f"{name}.jsonl").read_text("utf-8").splitlines()
        for entry in map(json.loads, lines):
            label = CLASSES.get(entry["cause"], 0)
            if len({cause in NOT_MICROSOFT for cause in (entry["cause"], *entry["also_ok"])}) > 1:
                continue  # it may be either
            own.append(Example(decide(normalize(entry["text"])).features, label, OWN_WEIGHT))
            for wrap in WRAPPINGS.values() if name == "texts" else ():
                found = decide(normalize(wrap(entry["text"]))).features
                wrapped.append(Example(found, label, 0.0))
    return own, wrapped


def learn(examples: Sequence[Example]) -> dict[str, tuple[float, float]]:
    """The weights of the features, by gradient descent (Adam) on the logarithmic loss."""
    texts = Counter(feature for one in examples for feature in one.features)
    index = {f: n for n, f in enumerate(sorted(f for f in texts if texts[f] >= LEAST_TEXTS))}
    cells = [
        (row, index[feature], value)
        for row, one in enumerate(examples)
        for feature, value in one.features.items()
        if feature in index
    ]
    rows = np.array([cell[0] for cell in cells])
    columns = np.array([cell[1] for cell in cells])
    values = np.array([cell[2] for cell in cells])
    wanted = np.eye(3)[[one.label for one in examples]][:, 1:]
    importance = np.array([one.weight for one in examples])[:, None]
    weights = np.zeros((len(index), 2))
    mean, spread = np.zeros_like(weights), np.zeros_like(weights)
    for step in range(1, STEPS + 1):
        odds = np.exp(
            np.stack(
                [np.bincount(rows, values * weights[columns, n], len(examples)) for n in (0, 1)], 1
            ).clip(-30, 30)
        )
        error = (odds / (1 + odds.sum(1, keepdims=True)) - wanted) * importance
        slope = PENALTY * weights + np.stack(
            [np.bincount(columns, values * error[rows, n], len(index)) for n in (0, 1)], 1
        )
        mean = 0.9 * mean + 0.1 * slope
        spread = 0.99 * spread + 0.01 * slope**2
        rate = RATE * (1 - step / (STEPS + 1))
        weights -= rate * (mean / (1 - 0.9**step)) / (np.sqrt(spread / (1 - 0.99**step)) + 1e-6)
    return {
        feature: (float(weights[n, 0]), float(weights[n, 1]))
        for feature, n in index.items()
        if np.abs(weights[n]).max() * 100 >= SMALLEST
    }


def use(weights: Mapping[str, tuple[float, float]]) -> None:
    """Let the engine judge by *weights*."""
    classifier.weights = lambda: weights  # type: ignore[assignment]


def is_lost(one: Example) -> bool:
    """Whether a text of the project's own, for which the engine asks the classifier, is judged otherwise or nearly so."""
    doubt = sum(classifier.doubts(one.features))
    asked = any(
        sign.startswith("=cause") and not sign.endswith(tuple(CLASSES)) for sign in one.features
    )
    others = any(sign.startswith("=") and sign.endswith(" other-provider") for sign in one.features)
    others = others and not any(f"=cause {cause}" in one.features for cause in NETWORK)
    return asked and not others and (doubt > 0.35 if one.label == 0 else doubt < 0.42)


def learn_all(
    threads: Sequence[Example], own: Sequence[Example], wrapped: Sequence[Example]
) -> Any:
    """Learn until each of the project's own texts is judged as it is labelled."""
    pool = [*own, *wrapped]
    for turn in range(ROUNDS):
        weights = learn([*threads, *(one for one in pool if one.weight)])
        use(weights)
        lost = {n for n, one in enumerate(pool) if is_lost(one)}
        print(f"round {turn}: {len(weights)} features, {len(lost)} of {len(pool)} own texts lost")
        if not lost:
            break
        pool = [
            one._replace(weight=min(5.0, max(one.weight, OWN_WEIGHT) * MORE)) if n in lost else one
            for n, one in enumerate(pool)
        ]
    return weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folds", type=int, default=0)
    options = parser.parse_args()
    use({})
    texts = collected("work")
    threads = examples_of_threads()
    own, wrapped = own_examples()
    if not options.folds:
        weights = learn_all(threads, own, wrapped)
        lines = (
            f"{feature}\t{round(other * 100)}\t{round(none * 100)}\n"
            for feature, (other, none) in sorted(weights.items())
        )
        TABLE.write_text("".join(lines), "utf-8")
        use(weights)
        told = score(texts)
        print(told.microsoft, told.foreign, told.certain, len(told.wrong_certain))
        return
    right: Counter[str] = Counter()
    for fold in range(options.folds):
        use(learn([*(one for n, one in enumerate(threads) if n % options.folds != fold), *own]))
        told = score([one for n, one in enumerate(texts) if n % options.folds == fold])
        for name in ("microsoft", "foreign", "certain"):
            good, all_of = getattr(told, name)
            right[name] += good
            right[f"{name}, of"] += all_of
        right["wrong and certain"] += len(told.wrong_certain)
        for one, answer in told.wrong:
            print(f"{one.id} {one.cause} <> {' '.join(answer)}: {one.text[:300]!r}")
    print(
        dict(right),
        {
            name: round(right[name] / right[f"{name}, of"], 4)
            for name in ("microsoft", "foreign", "certain")
        },
    )


if __name__ == "__main__":
    main()
