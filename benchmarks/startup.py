"""What ``import msoauth`` costs, beside ``import msal``: medians of fresh interpreters, and their ratio."""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time

CASES = {
    "bare interpreter": "pass",
    "import msal": "import msal",
    "import msoauth": "import msoauth",
}


def _seconds(code: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    runs: dict[str, list[float]] = {case: [] for case in CASES}
    for _ in range(5 if options.quick else 20):
        for case, code in CASES.items():  # interleaved, so that a busy moment hits all alike
            runs[case].append(_seconds(code))
    medians = {case: statistics.median(times) for case, times in runs.items()}
    ratio = medians["import msoauth"] / medians["import msal"]
    if options.json:
        rows = [
            {"case": c, "what": "median", "value": round(m, 4), "unit": "s"}
            for c, m in medians.items()
        ]
        print(
            json.dumps(
                {
                    "name": "startup",
                    "machine": platform.platform(),
                    "rows": rows,
                    "ratios": {"import msoauth / import msal": round(ratio, 3)},
                }
            )
        )
        return
    for case, median in medians.items():
        print(f"{case:20} {median * 1000:8.1f} ms")
    print(f"import msoauth / import msal: {ratio:.2f} (at most 1.3 is the aim)")


if __name__ == "__main__":
    main()
