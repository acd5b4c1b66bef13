"""`.ci/advisories.py`: what is installed against a list of advisories, and what it says when there is no list."""

import http.server
import json
import re
import runpy
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from tests.ports import reserved_port

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / ".ci" / "advisories.py"
TOOL = runpy.run_path(str(SCRIPT))
VERSIONS = {"tornado": "6.4", "urllib3": "2.8.0"}


def test_an_answer_is_read_in_the_order_of_the_questions() -> None:
    asked = json.loads(TOOL["question"](VERSIONS))
    assert [query["package"]["name"] for query in asked["queries"]] == ["tornado", "urllib3"]
    assert asked["queries"][0] == {
        "package": {"ecosystem": "PyPI", "name": "tornado"},
        "version": "6.4",
    }
    found = [{"id": "GHSA-7cx3-6m66-7c5m", "modified": "2026-01-01T00:00:00Z"}, {"id": "CVE-1"}]
    assert TOOL["advisories"](VERSIONS, {"results": [{"vulns": found}, {}]}) == [
        "tornado 6.4: GHSA-7cx3-6m66-7c5m https://osv.dev/GHSA-7cx3-6m66-7c5m",
        "tornado 6.4: CVE-1 https://osv.dev/CVE-1",
    ]
    assert TOOL["advisories"](VERSIONS, {"results": [{}, {}]}) == []


@pytest.mark.parametrize(
    "answer",
    [None, [], {}, {"results": None}, {"results": []}, {"results": [{}]}, {"results": [{}, 1]}],
)
def test_what_is_no_answer_is_not_taken_for_all_clear(answer: Any) -> None:
    with pytest.raises(ValueError, match="result"):
        TOOL["advisories"](VERSIONS, answer)


def test_what_is_compared_is_what_msoauth_needs() -> None:
    needed = TOOL["needed"]("msoauth", ("app", "postgresql"))
    assert {"tornado", "cryptography", "jupyterlab", "voila", "psycopg", "httpx"} <= set(needed)
    assert not {"pytest", "ruff", "pip", "aiosmtpd"} & set(needed)
    assert needed["tornado"] == metadata.version("tornado")


@contextmanager
def answering(body: bytes, status: int = 200) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            empty = b", ".join([b"{}"] * (len(asked["queries"]) - 1))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.replace(b"@REST@", empty))

        def log_message(self, *_about: object) -> None:
            """Nothing: tests are quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/querybatch"
        server.shutdown()
        thread.join(10)


def run(url: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), url], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_an_advisory_fails_the_step_and_names_it() -> None:
    with answering(b'{"results": [{"vulns": [{"id": "GHSA-xxxx"}]}, @REST@]}') as url:
        code, said = run(url)
    assert code == 1
    assert "GHSA-xxxx https://osv.dev/GHSA-xxxx" in said
    assert said.endswith("1 concern them.\n")
    with answering(b'{"results": [{}, @REST@]}') as url:
        code, said = run(url)
    assert code == 0
    assert "were compared with OSV's advisories: 0 concern them" in said


@pytest.mark.parametrize(
    ("body", "status"), [(b"<html>log in first</html>", 200), (b"", 503), (b'{"results": []}', 200)]
)
def test_without_a_list_it_says_so_and_fails_nothing(body: bytes, status: int) -> None:
    with answering(body, status) as url:
        code, said = run(url)
    assert code == 0
    assert "No advisory list could be reached" in said
    assert "were not compared" in said
    with reserved_port() as port:
        assert run(f"http://127.0.0.1:{port}/")[0] == 0


def test_each_bound_that_rests_on_an_advisory_is_above_the_versions_that_it_concerns() -> None:
    """Known when this was written; the release check asks for newer ones."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"]["app"]]
    bounds = {(r := Requirement(line)).name: r.specifier for line in lines}
    last_concerned = {
        "cryptography": "49.0.0",
        "filelock": "4.2.0",
        "icalendar": "7.2.0",
        "jinja2": "3.1.5",
        "jupyter-server": "2.19.0",
        "jupyterlab": "4.6.1",
        "nbconvert": "7.17.0",
        "pillow": "12.2.0",
        "pyjwt": "2.14.0",
        "requests": "2.32.5",
        "tornado": "6.5.8",
        "urllib3": "2.7.0",
        "voila": "0.5.5",
    }
    for name, version in last_concerned.items():
        assert version not in bounds[name], name
        assert metadata.version(name) in bounds[name], name
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for name in last_concerned:
        [line] = re.findall(rf'^.*"{name}[\[>].*$', text.split("test = [")[0], re.MULTILINE)
        assert re.search(r"# .*(CVE-\d{4}-\d+|GHSA-|PYSEC-)", line), line
