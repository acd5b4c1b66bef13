"""Microsoft's dated changes: one file, right on each day, in both languages, and named by texts that exist."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from msoauth.explaining import explain, explanation_with_roles, for_cause
from msoauth.explaining.load import causes
from msoauth.microsoft_changes import READ_AGAIN_AFTER, Change, changes, complete
from msoauth.model import Account
from msoauth.practice.scenarios import scenarios
from msoauth.texts import LANGUAGES, use_language
from tests.test_facts import LABELS

ROOT = Path(__file__).parents[1]
RAW: dict[str, dict[str, Any]] = tomllib.loads(
    resources.files("msoauth").joinpath("microsoft_changes.toml").read_text(encoding="utf-8")
)
BEFORE, AFTER = date(2026, 11, 30), date(2027, 1, 15)
YEARS = re.compile(r"\b20(?:2[4-9])\b")


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> Iterator[str]:
    use_language(request.param)
    yield str(request.param)
    use_language("en")


@pytest.mark.parametrize("name", RAW)
def test_an_entry_says_when_whom_whence_and_when_it_was_read(name: str) -> None:
    entry = RAW[name]
    assert {"source", "facts", "read", "hits", "ahead", "de"} <= set(entry)
    assert entry["facts"] in LABELS
    assert entry["read"] <= datetime.now(UTC).date()
    sentences = {"hits", "ahead", "under-way", "since"} & set(entry)
    assert sentences == set(entry["de"])
    assert all(entry[part] != entry["de"][part] for part in sentences)
    assert ("since" in entry) == ("begins" in entry)
    if "done" in entry:
        assert entry["begins"] < entry["done"]
    assert "under-way" not in entry or "done" in entry


def test_every_sentence_ends_and_none_is_long(language: str) -> None:
    for change in changes().values():
        for sentence in (*change.says.values(), change.hits):
            assert sentence.endswith(".")
            assert len(sentence.split()) <= 30, (language, sentence)


@pytest.mark.parametrize(
    ("name", "on", "phase"),
    [
        ("smtp-passwords-off", BEFORE, "ahead"),
        ("smtp-passwords-off", date(2026, 12, 31), "since"),
        ("smtp-passwords-off", AFTER, "since"),
        ("smtp-passwords-removed", AFTER, "ahead"),
        ("smtp-passwords-removed", date(2028, 1, 1), "ahead"),
        ("old-tls-pop-imap", date(2026, 6, 30), "ahead"),
        ("old-tls-pop-imap", BEFORE, "under-way"),
        ("old-tls-pop-imap", AFTER, "since"),
        ("ews-off", date(2026, 9, 30), "ahead"),
        ("ews-off", BEFORE, "under-way"),
        ("ews-off", date(2027, 4, 2), "since"),
        ("digicert-g2", BEFORE, "since"),
    ],
)
def test_a_change_has_its_phase_on_each_day(name: str, on: date, phase: str) -> None:
    change = changes()[name]
    assert change.phase(on) == phase
    assert change.sentence(on) == RAW[name].get(
        phase, RAW[name]["since" if "since" in RAW[name] else "ahead"]
    )


def test_smtp_passwords_are_told_rightly_before_and_after_the_turn_of_the_year(
    language: str,
) -> None:
    text = "{change:smtp-passwords-off} {change:smtp-passwords-removed}"
    before, after = complete(text, BEFORE), complete(text, AFTER)
    assert before != after
    told = {
        "en": (
            "At the end of December 2026",
            "Since the end of December 2026",
            "second half of 2027",
        ),
        "de": (
            "Ende Dezember 2026 schaltet",
            "Seit Ende Dezember 2026 sind",
            "zweiten Halbjahr 2027",
        ),
    }[language]
    assert before.startswith(told[0])
    assert after.startswith(told[1])
    assert all(told[2] in said for said in (before, after))


def test_an_unknown_change_is_an_error() -> None:
    with pytest.raises(KeyError):
        complete("{change:no-such}")


def test_a_change_that_was_read_long_ago_is_stale() -> None:
    change = next(iter(changes().values()))
    assert not change.is_stale(change.read + READ_AGAIN_AFTER)
    assert change.is_stale(change.read + READ_AGAIN_AFTER + timedelta(days=1))


@pytest.mark.parametrize(("days", "status"), [(0, 0), (200, 1)])
def test_the_release_fails_when_one_must_be_read_again(
    tmp_path: Path, days: int, status: int
) -> None:
    """The same script, on another day: the data file is read as if it were *days* older."""
    older = "\n".join(
        f"read = {date.fromisoformat(line[7:17]) - timedelta(days=days)}"
        if line.startswith("read = ")
        else line
        for line in (ROOT / "msoauth/microsoft_changes.toml")
        .read_text(encoding="utf-8")
        .splitlines()
    )
    older = (
        older if days else re.sub(r"(?m)^read = .*", f"read = {datetime.now(UTC).date()}", older)
    )
    (tmp_path / "msoauth").mkdir()
    for name in ("microsoft_changes.py", "texts.py"):
        (tmp_path / "msoauth" / name).write_text(
            (ROOT / "msoauth" / name).read_text(encoding="utf-8"), encoding="utf-8"
        )
    (tmp_path / "msoauth/__init__.py").write_text("", encoding="utf-8")
    (tmp_path / "msoauth/microsoft_changes.toml").write_text(older, encoding="utf-8")
    script = (ROOT / ".ci/microsoft_changes.py").read_text(encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-"], input=script, cwd=tmp_path, capture_output=True, text=True, timeout=60,
        check=False, env=os.environ | {"PYTHONPATH": str(tmp_path), "PYTHONUTF8": "1"},
    )  # fmt: skip
    assert ended.returncode == status, ended.stderr
    assert ("smtp-passwords-off: last read on" in ended.stdout) == bool(status)


def test_the_release_script_asks() -> None:
    script = (ROOT / ".ci/release").read_text(encoding="utf-8")
    assert "python .ci/microsoft_changes.py || failed+=" in script


def test_the_causes_take_their_dates_from_the_file() -> None:
    """No year of a change stands in the catalogue itself."""
    text = (resources.files("msoauth.explaining") / "catalogue/causes.toml").read_text(
        encoding="utf-8"
    )
    # What a user can look at: the summer in which a policy's reach grew.
    found = [line for line in text.splitlines() if YEARS.search(line) and "2026: " not in line]
    assert found == []


def test_no_cause_leaves_a_change_unfilled(language: str) -> None:
    for cause in causes().values():
        for said in (cause.meaning, *cause.fix):
            assert "{change:" not in said, (language, cause.id)


def test_the_table_beside_the_facts_names_each_change_and_what_exists() -> None:
    page = (ROOT / "docs/facts/changes-2026.md").read_text(encoding="utf-8")
    table = page.partition('<a id="L15"></a>')[2]
    assert set(re.findall(r"\[([a-z0-9-]+)\]", table)) == set(RAW)
    for path in re.findall(r"`([\w/]+\.(?:py|toml))`", table):
        found = ROOT / path if path.startswith("msoauth/") else ROOT / "msoauth" / path
        assert found.exists(), path
    named = set(re.findall(r"cause `([a-z0-9-]+)`", table))
    assert named <= set(causes())
    known = {scenario.name for scenario in scenarios()}
    listed = re.findall(r"scenarios? ((?:`[a-z0-9-]+`(?:, )?)+)", table)
    assert {name for one in listed for name in re.findall(r"`([a-z0-9-]+)`", one)} <= known


def test_a_change_reads_as_a_value() -> None:
    change = changes()["high-volume-email-passwords"]
    assert isinstance(change, Change)
    assert change.begins is not None
    assert change.begins.year == 2028


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        ("550 5.2.251 Sender throttled due to continuous mailbox full errors.", "mailbox-full"),
        ("550 5.2.252 Sender throttled due to continuous send as denied errors.", "send-as-denied"),
        (
            "550 5.2.253 Sender throttled due to continuous invalid license errors.",
            "mailbox-missing",
        ),
        (
            "550 5.2.254 Sender throttled due to continuous too many recipients errors.",
            "message-rejected",
        ),
        (
            "550 5.2.255 Sender throttled due to continuous invalid recipients errors.",
            "recipient-rejected",
        ),
    ],
)
def test_a_throttled_mailbox_is_told_to_stop_first(reply: str, cause: str) -> None:
    explanation = explain(reply)
    assert explanation.cause == cause
    assert explanation.fix[0].startswith("Stop the program until this is fixed")
    assert not any("Stop the program" in step for step in for_cause(cause).fix)
    found, details = explanation_with_roles(cause, reply, None, None, {})
    assert found.fix[0] == explanation.fix[0]
    assert details["throttled"]


def test_nobody_is_told_to_send_as_oneself() -> None:
    reply = "550 5.2.252 Sender throttled due to continuous send as denied errors."
    account = Account("anna@contoso.example", "Contoso")
    known = {"sender": account.address, "protocol": "smtp"}
    found, details = explanation_with_roles("send-as-denied", reply, None, account, known)
    assert not any(step.count(account.address) > 1 for step in found.fix)
    assert "sender" not in details


def test_a_mailbox_that_does_not_open_is_tried_over_ipv4() -> None:
    told = explain("A3 BAD User is authenticated but not connected.")
    assert "IPv4 instead of IPv6" in told.fix[-1]
    assert "IPv6" not in " ".join(explain("A2 NO AUTHENTICATE failed.").fix)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        (
            "javax.net.ssl.SSLHandshakeException: PKIX path building failed: unable to find valid certification path",
            True,
        ),
        (
            "certificate verify failed: issuer: CN=DigiCert Cloud Services CA-1, O=DigiCert Inc",
            True,
        ),
        ("certificate verify failed: issuer: CN=Fortigate CA, O=Fortinet", False),
    ],
)
def test_another_programs_certificate_store_is_the_first_suspect(text: str, first: bool) -> None:
    explanation = explain(text)
    assert explanation.cause == "tls-untrusted"
    assert ("DigiCert Global Root G2" in explanation.fix[0]) is first
    assert not any("DigiCert" in step for step in for_cause("tls-untrusted").fix)
