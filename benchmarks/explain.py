"""How often the cause of an error text is told, and how fast, beside taking the first known AADSTS code by a pattern."""

import argparse
import json
import platform
import re
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from msoauth.explaining import explain
from msoauth.explaining.load import codes

ROOT = Path(__file__).parents[1]
# Texts of our own, and those from public threads (explain_score.py has more about them).
SETS = {
    "own texts": ROOT / "tests" / "explaining" / "texts.jsonl",
    "texts from threads": ROOT / "tests" / "explaining" / "work.jsonl",
}
CODE = re.compile(r"AADSTS(\d{4,9})")
LOG_LINE = "2026-02-03 10:{:02}:{:02} INFO mail: mailbox {} fetched, {} messages, {} bytes\n"
FAILURE = (
    "2026-02-03 10:59:59 ERROR token: AADSTS7000222: The provided client secret keys are expired.\n"
)


def first_code(text: str) -> str:
    """The alternative: the cause of the first AADSTS code that is known."""
    for match in CODE.finditer(text):
        if cause := codes().get(int(match[1])):
            return cause
    return "unknown"


def ours(text: str) -> str:
    return explain(text).cause


WAYS: dict[str, Callable[[str], str]] = {"explain": ours, "first code": first_code}


def measure(texts: Sequence[str], runs: int) -> dict[str, list[float]]:
    """Seconds for each text, the median of *runs*, by each way; the ways take turns."""
    times: dict[str, list[list[float]]] = {way: [[] for _ in texts] for way in WAYS}
    for _run in range(runs):
        for number, text in enumerate(texts):
            for way, tell in WAYS.items():
                start = time.perf_counter()
                tell(text)
                times[way][number].append(time.perf_counter() - start)
    return {way: [statistics.median(each) for each in found] for way, found in times.items()}


def of_a_set(
    name: str, entries: Sequence[dict[str, Any]], runs: int
) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """The rows and ratios of one set of texts."""
    seconds = measure([entry["text"] for entry in entries], runs)
    rows, right = [], {}
    for way, tell in WAYS.items():
        hits = sum(tell(one["text"]) in (one["cause"], *one.get("also_ok", ())) for one in entries)
        right[way] = hits / len(entries)
        rows += [
            row(name, f"{way}: right", 100 * right[way], "%"),
            row(name, f"{way}: median time", 1000 * statistics.median(seconds[way]), "ms"),
            row(name, f"{way}: slowest text", 1000 * max(seconds[way]), "ms"),
        ]
    ratios = {
        f"{name}: right, explain / first code": right["explain"] / right["first code"],
        f"{name}: time, explain / first code": statistics.median(seconds["explain"])
        / statistics.median(seconds["first code"]),
    }
    return rows, ratios


def of_a_log(runs: int) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """The rows and ratios of a log of one megabyte with its failure at the end."""
    lines = [
        LOG_LINE.format(n % 60, n * 7 % 60, n * 31, n % 90, n * 7919)
        for n in range(1_000_000 // len(LOG_LINE))
    ]
    seconds = measure(["".join([*lines, FAILURE])], runs)
    case = "log of 1 MB"
    rows = [row(case, f"{way}: time", 1000 * seconds[way][0], "ms") for way in WAYS]
    return rows, {
        f"{case}: time, explain / first code": seconds["explain"][0] / seconds["first code"][0]
    }


def row(case: str, what: str, value: float, unit: str) -> dict[str, Any]:
    return {"case": case, "what": what, "value": round(value, 3), "unit": unit}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    runs = 3 if options.quick else 15
    ours("")  # reads the catalogue, once in a process
    rows, ratios = [], {}
    for name, path in SETS.items():
        entries = map(json.loads, path.read_text(encoding="utf-8").splitlines())
        more_rows, more_ratios = of_a_set(name, [one for one in entries if "text" in one], runs)
        rows += more_rows
        ratios.update(more_ratios)
    more_rows, more_ratios = of_a_log(runs)
    rows += more_rows
    ratios.update(more_ratios)
    ratios = {name: round(value, 3) for name, value in ratios.items()}
    if options.json:
        machine = platform.platform()
        print(
            json.dumps(
                {
                    "name": "explain",
                    "machine": machine,
                    "rows": rows,
                    "ratios": ratios,
                }
            )
        )
        return
    for one in rows:
        print(f"{one['case']:16} {one['what']:26} {one['value']:10.3f} {one['unit']}")
    for name, value in ratios.items():
        print(f"{name}: {value:.2f}")


if __name__ == "__main__":
    main()
