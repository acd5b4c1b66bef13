"""How rightly error texts from public threads are explained, and how often foreign documentation is taken for an error.

Nobody tunes on the scored part: of its texts only figures are printed. The foreign documentation is 3,000 paragraphs
that the packages installed on this machine ship (text files, docstrings, manual pages), half of them with a word of
sign-in or mail; which ones is decided by a hash. The alternative is to take the first known AADSTS code.
"""

import argparse
import ast
import gzip
import hashlib
import json
import platform
import re
import sys
import sysconfig
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks import explain
from tests.explaining.collected import Answer, Collected, collected, ours, score

PARTS = {"work": "work part", "scored": "scored part"}
PACKAGES, DOCUMENTS, MANUALS = (
    Path(sysconfig.get_path("purelib")),
    Path("/usr/share/doc"),
    Path("/usr/share/man"),
)
PIECES = 3_000
PER_FILE = 3  # paragraphs, so that no single file decides
LARGEST = 400_000  # bytes of a file that is read
DOMAIN = re.compile(
    r"oauth|token|sign.?in|log.?in|password|credential|authenti|consent|tenant|scope|smtp|imap|pop3|mail|certificate"
    r"|proxy|time.?out|refused|denied|expired|invalid|unauthori[sz]ed|forbidden|microsoft|azure|exchange|outlook",
    re.IGNORECASE,
)
ROFF = re.compile(r"^[.'].*$|\\f[A-Z]|\\[&|/^-]", re.MULTILINE)


def first_code(text: str) -> Answer:
    """The alternative: the cause of the first AADSTS code that is known, always called certain."""
    return explain.first_code(text), "certain"


def _order(value: object) -> bytes:
    return hashlib.sha256(str(value).encode("utf-8", "surrogatepass")).digest()


def _files() -> list[Path]:
    """Documentation of installed packages in an order that a hash decides, the same in every run."""
    found = [
        path
        for folder, pattern in (
            *((PACKAGES, f"**/*{suffix}") for suffix in (".md", ".rst", ".txt", "METADATA", ".py")),
            *(
                (DOCUMENTS, f"**/*{suffix}")
                for suffix in (".gz", ".md", ".txt", "README*", "NEWS*")
            ),
            (MANUALS, "man*/*.gz"),
        )
        for path in folder.glob(pattern)
        if "msoauth" not in str(path.relative_to(folder)) and "/changelog" not in str(path).lower()
    ]
    return sorted(set(found), key=lambda path: _order(path.relative_to(path.parents[-2])))


def _read(path: Path) -> str:
    """The words of a file; of a module its docstrings, of a manual page without its macros."""
    try:
        if path.is_dir() or path.stat().st_size > LARGEST:
            return ""
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8", "replace")
        if path.suffix == ".py":
            nodes = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
            return "\n\n".join(
                ast.get_docstring(node) or ""
                for node in ast.walk(ast.parse(text))
                if isinstance(node, nodes)
            )
    except (OSError, SyntaxError, ValueError, RecursionError):
        return ""
    return ROFF.sub("", text) if MANUALS in path.parents else text


def _paragraphs(path: Path) -> list[str]:
    pieces = {part.strip() for part in re.split(r"\n\s*\n", _read(path))}
    return sorted((piece for piece in pieces if 60 <= len(piece) <= 3_000), key=_order)


def foreign_documentation(count: int) -> Iterator[str]:
    """*count* paragraphs of other people's documentation, half of them with a word of sign-in or mail."""
    files = _files()

    def some(wanted: re.Pattern[str], order: Iterable[Path]) -> Iterator[str]:
        for path in order:
            yield from islice((one for one in _paragraphs(path) if wanted.search(one)), PER_FILE)

    yield from islice(some(DOMAIN, files), count // 2)
    yield from islice(some(re.compile(""), reversed(files)), count - count // 2)


@dataclass
class Table:
    """The rows and ratios that were measured."""

    rows: list[dict[str, Any]]
    ratios: dict[str, float]

    def add(self, case: str, what: str, value: float, unit: str) -> None:
        self.rows.append({"case": case, "what": what, "value": round(value, 2), "unit": unit})


def percent(pair: tuple[int, int]) -> float:
    return 100 * pair[0] / max(pair[1], 1)


def of_texts(table: Table, case: str, texts: Iterable[Collected]) -> None:
    """Add the figures of one part."""
    texts = tuple(texts)
    result, other = score(texts), score(texts, first_code)
    table.add(case, "texts", len(texts), "")
    table.add(case, "right, of Microsoft's causes", percent(result.microsoft), "%")
    table.add(case, "right, of others' and of no failure", percent(result.foreign), "%")
    table.add(case, "wrong and called certain", len(result.wrong_certain), "texts")
    table.add(case, "certain, of the right on a code or reply", percent(result.certain), "%")
    table.add(case, "first code: right, of Microsoft's causes", percent(other.microsoft), "%")
    table.add(case, "first code: right, of others' and of no failure", percent(other.foreign), "%")
    table.ratios[f"{case}: right, explain / first code"] = round(
        result.right / max(other.right, 1), 3
    )
    wrong = Counter(one.lang for one, _answer in result.wrong)
    for language, count in Counter(one.lang for one in texts).most_common():
        right = count - wrong[language]
        table.add(case, f"right, in {language} ({count} texts)", percent((right, count)), "%")


def of_documentation(table: Table, count: int, show: bool) -> None:
    """Add how many pieces of foreign documentation are told as a failure."""
    case = "foreign documentation"
    told = [(piece, *ours(piece)) for piece in foreign_documentation(count)]
    causes = [one for one in told if one[1] not in ("unknown", "other-provider")]
    certain = [one for one in causes if one[2] == "certain"]
    table.add(case, "pieces", len(told), "")
    table.add(case, "told as a cause", percent((len(causes), len(told))), "%")
    table.add(case, "told as a cause with certainty", percent((len(certain), len(told))), "%")
    for piece, cause, _how in certain if show else ():
        print(f"{cause}: {' '.join(piece.split())[:400]}\n", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="a tenth of the documentation")
    parser.add_argument("--wrong", action="store_true", help="show the work part's wrong answers")
    parser.add_argument(
        "--told", action="store_true", help="show documentation told with certainty"
    )
    options = parser.parse_args()
    table = Table([], {})
    for part, case in PARTS.items():
        of_texts(table, case, collected(part))
    of_documentation(table, PIECES // 10 if options.quick else PIECES, options.told)
    if options.wrong:
        for one, answer in score(collected("work")).wrong:
            print(
                f"{one.id} {one.cause} <> {' '.join(answer)}: {one.text[:300]!r}\n", file=sys.stderr
            )
    if options.json:
        machine = platform.platform()
        print(json.dumps({"name": "explain_score", "machine": machine, **vars(table)}))
        return
    for row in table.rows:
        print(f"{row['case']:22} {row['what']:50} {row['value']:10.2f} {row['unit']}")
    for name, value in table.ratios.items():
        print(f"{name}: {value:.2f}")


if __name__ == "__main__":
    main()
