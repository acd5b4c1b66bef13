"""The support bundle: what is in it, that it is told before it is written, and other names for people."""

import hashlib
import io
import json
import zipfile
from pathlib import Path

import pytest

from msoauth.errors import InputError
from msoauth.mail.transcript import Transcript
from msoauth.model import Account, Finding, Signal
from msoauth.reports.bundle import Bundle, bundle
from msoauth.reports.pseudonyms import Pseudonyms
from msoauth.store import Workspace
from tests.reports.conftest import ANNA, CLIENT, FIRM, OFFICE, TENANT, WORDS, finding


def findings() -> list[Finding]:
    return [
        finding(ANNA, "network.smtp"),
        finding(
            ANNA,
            "smtp.login",
            Signal.FAILED,
            "smtp-auth-disabled-mailbox",
            evidence=f"{WORDS} for {ANNA.address} in mueller-partner.example",
        ),
    ]


@pytest.fixture
def made(workspace: Workspace, transcript: Transcript) -> Bundle:
    return bundle(workspace, FIRM, ANNA, findings(), {"smtp": transcript})


def test_it_holds_findings_transcripts_versions_settings_and_timings(made: Bundle) -> None:
    with zipfile.ZipFile(io.BytesIO(made.as_zip())) as archive:
        assert set(archive.namelist()) == {
            "bundle.json",
            "index.html",
            "findings.jsonl",
            "settings.json",
            "versions.json",
            "timings.json",
            "transcripts/smtp.txt",
        }
        rows = [
            Finding.from_json(json.loads(line))
            for line in archive.read("findings.jsonl").splitlines()
        ]
        assert [row.check for row in rows] == ["network.smtp", "smtp.login"]
        assert WORDS in archive.read("transcripts/smtp.txt").decode()
        settings = json.loads(archive.read("settings.json"))
        assert settings["firm"]["has_secret"] is False
        assert settings["cloud"]["smtp"]["port"] == 587
        assert json.loads(archive.read("timings.json"))["stages"]["smtp"]["greeting"] == 0.5
        assert json.loads(archive.read("versions.json"))["libraries"]["msal"]
        manifest = json.loads(archive.read("bundle.json"))
        for name, digest in manifest["sha256"].items():
            assert hashlib.sha256(archive.read(name)).hexdigest() == digest


def test_its_page_tells_the_first_broken_link_and_the_conversation(made: Bundle) -> None:
    page = made.files["index.html"]
    assert "The first broken link is smtp.login" in page
    assert "<details" in page
    assert WORDS in page


def test_nothing_is_written_until_it_is_asked_for(made: Bundle, tmp_path: Path) -> None:
    before = set(tmp_path.iterdir())
    assert made.contents()
    assert set(tmp_path.iterdir()) == before
    made.write(tmp_path / "case.zip")
    assert zipfile.is_zipfile(tmp_path / "case.zip")
    assert set(tmp_path.iterdir()) == {*before, tmp_path / "case.zip"}


def test_a_place_that_cannot_be_written_to_is_one_sentence(made: Bundle, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        made.write(tmp_path / "no such folder" / "case.zip")


def test_other_names_stand_in_every_file_and_are_the_same_in_the_next_bundle(
    workspace: Workspace, transcript: Transcript
) -> None:
    first, second = (
        bundle(workspace, FIRM, ANNA, findings(), {"smtp": transcript}, pseudonymised=True)
        for _time in range(2)
    )
    everything = "\n".join([*first.files.values(), first.suggested_name]).lower()
    for name in ("anna", "o'brien", "mueller-partner", "müller", TENANT, CLIENT):
        assert name not in everything
    assert "t-4711" in everything  # without it Microsoft finds nothing
    assert first.files["settings.json"] == second.files["settings.json"]
    settings = json.loads(first.files["settings.json"])
    assert settings["account"]["address"] in first.files["transcripts/smtp.txt"]
    assert settings["account"]["address"] in first.files["findings.jsonl"]


@pytest.mark.parametrize(
    ("text", "gone", "stays"),
    [
        ("to Anna.O'Brien@MUELLER-partner.example!", "anna", "@firm-"),
        ("login_hint=office%40mueller-partner.example&x=1", "office", "%40firm-"),
        ("in domain mueller-partner.example.", "mueller", "in domain firm-"),
        (f"https://login.example/{TENANT}/adminconsent?client_id={CLIENT}", TENANT, "adminconsent"),
        ("from stranger@other.example", "stranger", "@firm-"),
    ],
)
def test_a_name_is_replaced_in_every_writing(text: str, gone: str, stays: str) -> None:
    said = Pseudonyms(b"key", FIRM, [ANNA, OFFICE]).text(text)
    assert gone not in said.lower()
    assert stays in said


def test_names_of_services_and_words_that_merely_hold_a_name_stay() -> None:
    firm = Account("a@it.example", "Roth")
    names = Pseudonyms(b"key", FIRM, [firm])
    text = "smtp.office365.com, outlook.office.com, unit.example, Rothschild"
    assert names.text(text) == text
