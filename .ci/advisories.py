"""Compares the installed versions of what msoauth needs with the advisories of OSV (osv.dev), which has PyPI's and GitHub's.

``python .ci/advisories.py [URL]`` prints a line for each advisory and exits with 1 if there is one. Where OSV cannot be
reached it says so and exits with 0: nothing was compared, which is no failure of msoauth.
"""

import http.client
import json
import sys
import urllib.request
from importlib import metadata
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

URL = "https://api.osv.dev/v1/querybatch"
SECONDS = 30
EXTRAS = ("app", "postgresql")  # what users install, too; not the tests' own tools


def needed(name: str, extras: tuple[str, ...] = ()) -> dict[str, str]:
    """The installed versions of all that a distribution needs, directly or not, by name."""
    found: dict[str, str] = {}
    waiting = [(name, extras)]
    while waiting:
        current, wanted = waiting.pop()
        for line in metadata.requires(current) or ():
            requirement = Requirement(line)
            environments = [{"extra": extra} for extra in ("", *wanted)]
            if requirement.marker and not any(map(requirement.marker.evaluate, environments)):
                continue
            key = canonicalize_name(requirement.name)
            if key in found:
                continue
            try:
                found[key] = metadata.version(key)
            except metadata.PackageNotFoundError:
                continue  # of another system, or an extra that is not installed
            waiting.append((key, tuple(requirement.extras)))
    return dict(sorted(found.items()))


def question(versions: dict[str, str]) -> bytes:
    """What OSV is asked: https://google.github.io/osv.dev/post-v1-querybatch/."""
    queries = [
        {"package": {"ecosystem": "PyPI", "name": name}, "version": version}
        for name, version in versions.items()
    ]
    return json.dumps({"queries": queries}).encode()


def advisories(versions: dict[str, str], answer: Any) -> list[str]:
    """A line for each advisory in OSV's answer, which lists the results in the order of the questions.

    Raises:
        ValueError: this is no answer of OSV's to these questions.
    """
    results = answer.get("results") if isinstance(answer, dict) else None
    is_list = isinstance(results, list) and all(isinstance(result, dict) for result in results)
    if not is_list or len(results) != len(versions):
        raise ValueError("this is no list of results for these packages")
    return [
        f"{name} {version}: {entry['id']} https://osv.dev/{entry['id']}"
        for (name, version), result in zip(versions.items(), results, strict=True)
        for entry in result.get("vulns", ())
    ]


def main() -> int:
    """Ask, and print what there is; returns the exit status."""
    versions = needed("msoauth", EXTRAS)
    url = sys.argv[1] if len(sys.argv) > 1 else URL
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, question(versions), headers)  # noqa: S310 - ours
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as reply:  # noqa: S310
            lines = advisories(versions, json.load(reply))
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as problem:
        print(
            f"No advisory list could be reached ({url}: {problem}): {len(versions)} versions were not compared."
        )
        return 0
    print(*lines, sep="\n", end="\n" if lines else "")
    print(
        f"{len(versions)} versions were compared with OSV's advisories: {len(lines)} concern them."
    )
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
