"""What each device of the engine that explains error texts earns: the change when it is switched off.

"Own texts" are those of the repository's tests, for which the devices were made. "Threads" are the texts from public
threads in work.jsonl, which came later; "wrapped" are those of them about Microsoft, quoted in a mail, inside JSON, as a
page, an address, between lines of a log and settings. A device that changes nothing in threads has not earned its place.
"""

import argparse
import json
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.explain_score import foreign_documentation
from msoauth.explaining import phrases
from msoauth.explaining.load import providers, signatures
from msoauth.explaining.voices import MICROSOFT
from tests.explaining.collected import NOT_MICROSOFT, Collected, collected, ours, score
from tests.explaining.test_texts import WRAPPINGS

OWN = ("texts", "replies", "facts")
AROUND = ("quoted", "JSON in JSON", "page", "address", "log", "letter", "with settings")
NEVER, ALWAYS = re.compile(r"(?!)"), re.compile("")
ENGINE = "msoauth.explaining"


def _same(text: str, *_rest: object) -> str:
    return text


def _whole(match: re.Match[str]) -> str:
    return match[0]


# Each device with the names that are replaced to switch it off.
DEVICES: Mapping[str, Mapping[str, object]] = {
    "decoding of percent signs": {"normalize._PERCENT": NEVER},
    "spaces for plus signs": {
        "normalize._WORDS_WITH_PLUSES": NEVER,
        "normalize._ERROR_PARAMETER": "\0",
    },
    "decoding of HTML entities": {"normalize.html.unescape": _same},
    "decoding of JSON escapes": {"normalize._unescape": _whole},
    "decoding of mail encodings": {"normalize._decode_mail": _same},
    "decoding of base64 JSON": {"normalize._BASE64_JSON": NEVER},
    "removal of HTML tags": {"normalize._TAG": NEVER},
    "removal of quote marks": {"normalize._QUOTE_MARKS": NEVER},
    "removal of repeated lines": {"normalize._remove_repetition": _same},
    "plain punctuation": {"normalize.plain_punctuation": _same},
    "joining of wrapped lines": {"normalize._BLANK_LINE": re.compile("\n")},
    "remarks (history, advice, documentation, examples)": {"voices._REMARK": NEVER},
    "marks of other providers": {
        "voices.providers": lambda: {MICROSOFT: providers()[MICROSOFT]},
        "voices._MAIL_HOST": NEVER,
    },
    "mail hosts that nobody knows": {"voices._MAIL_HOST": NEVER},
    "classifier": {"decide.doubts": lambda _features: (0.0, 0.0)},
    "classifier: words": {"classifier._WORD": NEVER},
    "classifier: signs of code and documentation": {
        "voices._DOCUMENT": NEVER,
        "voices._CHANGE": NEVER,
    },
    "another speaker overrules": {"decide._other_speaker": lambda *_given: None},
    "another provider's mark beside a failure": {"decide._FAILURE": NEVER},
    "codes that wrap another": {"decide.weak_codes": frozenset},
    "phrases end with a word": {"phrases._ENDING": ALWAYS},
    "no match inside a number": {"phrases._cuts_number": lambda _text, _offset: False},
    "no match inside a longer match": {
        "decide.find_phrases": lambda *given: list(phrases._all_matches(*given))
    },
    "weights of phrases": {
        "phrases.signatures": lambda: tuple(replace(one, weight=70) for one in signatures())
    },
    "phrases of a weight below 40": {
        "phrases.signatures": lambda: tuple(one for one in signatures() if one.weight >= 40)
    },
    "phrases of a weight below 70": {
        "phrases.signatures": lambda: tuple(one for one in signatures() if one.weight >= 70)
    },
    "phrases with gaps": {
        "phrases.signatures": lambda: tuple(
            replace(one, says=tuple(says for says in one.says if "…" not in says))
            for one in signatures()
        )
    },
}


@contextmanager
def without(device: str) -> Iterator[None]:
    """Switch *device* off; AttributeError if the engine has no such device (any more)."""
    with ExitStack() as stack:
        stack.callback(phrases._index.cache_clear)
        for name, replacement in DEVICES[device].items():
            stack.enter_context(patch(f"{ENGINE}.{name}", replacement))
        phrases._index.cache_clear()
        yield


def _own_texts() -> tuple[Collected, ...]:
    folder = Path(__file__).parents[1] / "tests" / "explaining"
    return tuple(
        Collected(
            f"{name}{number}", entry["text"], entry["cause"], tuple(entry["also_ok"]), "", False, ""
        )
        for name in OWN
        for number, line in enumerate(
            (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        )
        for entry in [json.loads(line)]
    )


Figures = Mapping[str, int]


def figures(
    own: Sequence[Collected], threads: Sequence[Collected], foreign: Sequence[str]
) -> Figures:
    """How many texts are right, and how many are told as a failure or with certainty that must not be."""
    result = score(threads)
    wrapped = [
        replace(one, text=WRAPPINGS[around](one.text))
        for one in threads
        if one.cause not in NOT_MICROSOFT
        for around in AROUND
    ]
    told = [ours(piece) for piece in foreign]
    causes = [how for cause, how in told if cause not in NOT_MICROSOFT]
    return {
        "own texts right": score(own).right,
        "threads right, Microsoft's": result.microsoft[0],
        "threads wrapped right": sum(one.accepts(ours(one.text)[0]) for one in wrapped),
        "threads right, others'": result.foreign[0],
        "threads wrong and certain": len(result.wrong_certain),
        "documentation told": len(causes),
        "documentation told, certain": causes.count("certain"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="no own texts, little documentation")
    options = parser.parse_args()
    own = () if options.quick else _own_texts()
    threads = collected("work")
    foreign = tuple(foreign_documentation(100 if options.quick else 1_500))
    whole = figures(own, threads, foreign)
    rows: list[dict[str, Any]] = []
    gone = []
    if not options.json:
        print("| device off | " + " | ".join(whole) + " |")
        print("|---" * (len(whole) + 1) + "|")
        print(f"| none ({len(own)}, {len(threads)}, {len(foreign)} texts) | ", end="")
        print(" | ".join(map(str, whole.values())), "|")
    for device in DEVICES:
        try:
            with without(device):
                changed = figures(own, threads, foreign)
        except AttributeError:
            gone.append(device)
            continue
        rows += [
            {"case": device, "what": what, "value": changed[what] - whole[what], "unit": "texts"}
            for what in whole
        ]
        if not options.json:
            print(f"| {device} | " + " | ".join(f"{changed[w] - whole[w]:+d}" for w in whole), "|")
    if options.json:
        base = [{"case": "all", "what": w, "value": v, "unit": "texts"} for w, v in whole.items()]
        print(
            json.dumps(
                {
                    "name": "explain_devices",
                    "machine": platform.platform(),
                    "rows": base + rows,
                    "ratios": {},
                    "missing": gone,
                }
            )
        )
        return
    for device in gone:
        print(f"not in the engine: {device}")


if __name__ == "__main__":
    main()
