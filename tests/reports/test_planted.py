"""A secret planted in every place it could come from is in none of the things that are handed on."""

import base64
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from msoauth import redact
from msoauth.auditing.status import status
from msoauth.checks import run
from msoauth.checks.context import Check, Context, Outcome
from msoauth.errors import MailError
from msoauth.mail.transcript import Transcript
from msoauth.model import Finding, Signal
from msoauth.reports.bundle import bundle
from msoauth.reports.columns import accounts_frame, causes_frame
from msoauth.reports.excel import excel_report
from msoauth.reports.html_report import html_page
from msoauth.reports.letter import letter
from msoauth.reports.monitoring import as_json
from msoauth.reports.record import record
from msoauth.reports.write import csv_text
from msoauth.store import Workspace
from tests.reports.conftest import ANNA, FIRM

MARKERS = {
    "secret": "abc8Q~planted/marker+of=a~client.secret~zyzzyva",
    "password": "Planted-Pass/word+zyzzyva",
    "code": "1.AXkplanted+code/zyzzyvamarker~of-an-authorization-code",
    "access": "eyJ0eXAiOiJKV1QifQ.eyJhdWQiOiJwbGFudGVkLTQ3MTEifQ.cGxhbnRlZC1zaWduYXR1cmU_aA",
    "refresh": "1.AXkAplanted.refresh-token/zyzzyva+marker-of-it",
}
XOAUTH2 = f"user={ANNA.address}\x01auth=Bearer {MARKERS['access']}\x01\x01"

ENCODINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "base64 URL-encoded": lambda s: quote(base64.b64encode(s.encode()).decode(), safe=""),
    "base64 JSON-escaped": lambda s: base64.b64encode(s.encode()).decode().replace("/", "\\/"),
    "URL-encoded": lambda s: quote(s, safe=""),
    "URL-encoded twice": lambda s: quote(quote(s, safe=""), safe=""),
    "JSON-escaped": lambda s: json.dumps(s)[1:-1],
    "JSON-escaped twice": lambda s: json.dumps(json.dumps(s))[2:-2],
}


def planted() -> str:
    """A server's words with everything in them."""
    values = [*MARKERS.values(), XOAUTH2]
    return "\n".join(
        f"{name}: {encode(v)} end" for name, encode in ENCODINGS.items() for v in values
    )


@pytest.fixture
def leaky(workspace: Workspace) -> tuple[Workspace, list[Finding], dict[str, Transcript]]:
    """A workspace whose journal has the findings of a run in which the server repeated every secret."""
    redact.remember(*MARKERS.values())
    workspace.firms.set_secret(FIRM.name, MARKERS["secret"])
    workspace.tokens.save(
        ANNA.address, json.dumps({"refresh": MARKERS["refresh"]}), signed_in_as=ANNA.address
    )
    talk = Transcript()

    def refuse(context: Context) -> Outcome:
        for line in planted().splitlines():
            talk.client(line)
            talk.server(line)
        raise MailError(
            f"refused: {planted()}",
            stage="authenticate",
            cause="smtp-auth-disabled-mailbox",
            evidence=planted(),
        )

    def burst(context: Context) -> Outcome:
        raise RuntimeError(planted())

    def pass_on(context: Context) -> Outcome:
        return Outcome("fine", evidence=planted())

    checks = [
        Check("smtp.login", lambda: "", refuse),
        Check("pop3.login", lambda: "", burst),
        Check("imap.login", lambda: "", pass_on),
    ]
    findings = list(run(checks, Context(workspace, FIRM, ANNA)))
    assert [f.signal for f in findings] == [Signal.FAILED, Signal.ERROR, Signal.PASSED]
    return workspace, findings, {"smtp": talk}


def assert_clean(text: str) -> None:
    """No marker in any encoding, whole or in a telling piece."""
    for name, value in {**MARKERS, "xoauth2": XOAUTH2}.items():
        for encoding, encode in ENCODINGS.items():
            form = encode(value)
            assert form not in text, (name, encoding)
            piece = (
                form[-48:-16] if name == "xoauth2" else form[12:44]
            )  # its beginning is an address
            assert piece not in text, (name, encoding, "a piece of it")
    assert "zyzzyva" not in text  # no word that times, sums and ids could hold by chance


def test_findings_are_clean(
    leaky: tuple[Workspace, list[Finding], dict[str, Transcript]],
) -> None:
    workspace, findings, _transcripts = leaky
    assert_clean("\n".join(json.dumps(f.as_json()) for f in findings))
    assert_clean("\n".join(json.dumps(f.as_json()) for f in workspace.journal.findings()))


@pytest.mark.parametrize("pseudonymised", [False, True])
def test_the_bundle_is_clean(
    leaky: tuple[Workspace, list[Finding], dict[str, Transcript]], pseudonymised: bool
) -> None:
    workspace, findings, transcripts = leaky
    made = bundle(workspace, FIRM, ANNA, findings, transcripts, pseudonymised=pseudonymised)
    with zipfile.ZipFile(io.BytesIO(made.as_zip())) as archive:
        for name in archive.namelist():
            assert_clean(archive.read(name).decode())
    assert_clean(made.index.text())
    assert_clean(made.index.markdown())


def test_the_letter_is_clean_in_every_form(
    leaky: tuple[Workspace, list[Finding], dict[str, Transcript]],
) -> None:
    made = letter(leaky[0], FIRM)
    document = made.document
    assert "What the server said" in document.text()
    for text in (document.text(), document.markdown(), document.html()):
        assert_clean(text)
    raw = made.eml("it@firm.example").decode()
    assert_clean(raw.replace("=\n", ""))


def test_the_record_is_clean(
    leaky: tuple[Workspace, list[Finding], dict[str, Transcript]],
) -> None:
    page = record(leaky[0], FIRM)
    assert_clean(page.html())
    assert_clean(page.text())


def test_what_an_audit_hands_out_is_clean(
    leaky: tuple[Workspace, list[Finding], dict[str, Transcript]], tmp_path: Path
) -> None:
    stands = status(leaky[0])
    [one] = [a for a in stands.accounts if a.account.address == ANNA.address]
    assert one.finding is not None
    assert one.finding.evidence  # the server's words are in all of these
    with zipfile.ZipFile(io.BytesIO(excel_report(stands, []))) as book:
        for name in book.namelist():
            assert_clean(book.read(name).decode())
    assert_clean(html_page(stands, []))
    assert_clean(csv_text(stands.accounts))
    assert_clean(json.dumps([as_json(a) for a in stands.accounts]))
    assert_clean(accounts_frame(stands.accounts).to_csv())
    assert_clean(causes_frame(stands.groups).to_csv())
