"""Builds the support bundle: everything needed to understand and replay a case, without any secret.

A zip with ``index.html`` to read, ``findings.jsonl``, the transcripts, and ``bundle.json``, which names the format
and holds the SHA-256 of every other file. The practice tenant reads it (``practice serve --bundle``).
"""

import hashlib
import io
import json
import platform
import ssl
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from msoauth import __version__, private_files
from msoauth.errors import InputError
from msoauth.judgement import is_problem, verdict
from msoauth.mail.transcript import Transcript
from msoauth.model import Account, Finding, Firm
from msoauth.redact import redact
from msoauth.reports.document import Document, write_document
from msoauth.reports.pseudonyms import for_workspace
from msoauth.sanitize import json_text
from msoauth.store import Workspace
from msoauth.texts import _, language

FORMAT = "msoauth-bundle"
VERSION = 1

_LIBRARIES = ("msal", "requests", "urllib3", "cryptography", "sqlalchemy", "truststore", "keyring", "ipywidgets",
              "anywidget", "jupyterlab", "pandas")  # fmt: skip


@dataclass(frozen=True)
class Bundle:
    """A bundle before it is written, so that its contents can be reviewed.

    Attributes:
        files: The text of each file, by name.
        index: The page for people, ``index.html`` in the zip.
        suggested_name: A file name with the account and the time.
    """

    files: Mapping[str, str]
    index: Document
    suggested_name: str

    def contents(self) -> list[tuple[str, int]]:
        """Names and sizes in bytes, in the order of the zip."""
        return [(name, len(text.encode())) for name, text in self.files.items()]

    def as_zip(self) -> bytes:
        """The zip file."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in self.files.items():
                archive.writestr(name, text)
        return buffer.getvalue()

    def write(self, path: Path) -> None:
        """Write the zip file completely or not at all.

        Raises:
            InputError: the file cannot be written there.
        """
        try:
            private_files.write(path, self.as_zip())
        except OSError as problem:
            raise InputError(
                _("The bundle cannot be written to {path}: {why}.").format(
                    path=path, why=problem.strerror or type(problem).__name__
                )
            ) from None


def bundle(
    workspace: Workspace,
    firm: Firm,
    account: Account,
    findings: Sequence[Finding],
    transcripts: Mapping[str, Transcript],
    *,
    pseudonymised: bool = False,
    error_text: str = "",
) -> Bundle:
    """Collect the contents of a bundle; nothing is written yet.

    Args:
        findings: The findings of one run.
        transcripts: Its conversations with the mail servers, by name.
        pseudonymised: Replace people, domains, firm, tenant and app with pseudonyms, the same in every bundle.
        error_text: An error text that is not known, to be added; or empty.
    """
    sanitize: Callable[[str], str] = redact
    if pseudonymised:
        names = for_workspace(workspace, firm, [account])

        def sanitize(text: str) -> str:
            return names.text(redact(text))

    settings = _settings(workspace, firm, account)
    timings = {
        "checks": {finding.check: round(finding.seconds, 4) for finding in findings},
        "stages": {
            name: {stage: round(seconds, 4) for stage, seconds in transcript.seconds.items()}
            for name, transcript in transcripts.items()
        },
    }
    files = {
        "findings.jsonl": "".join(_sanitized_json(finding.as_json(), sanitize) + "\n" for finding in findings),
        "settings.json": _sanitized_json(settings, sanitize),
        "versions.json": _sanitized_json(versions(), sanitize),
        "timings.json": _sanitized_json(timings, sanitize),
        **{f"transcripts/{name}.txt": sanitize(transcript.text()) + "\n" for name, transcript in transcripts.items()},
    }  # fmt: skip
    if error_text:
        files["error.txt"] = sanitize(error_text) + "\n"
    index = write_document(
        "bundle",
        sanitize(_("Support bundle: {address}").format(address=account.address)),
        sanitize=sanitize,
        pseudonymised=pseudonymised,
        verdict=verdict(findings),
        firm=firm,
        account=account,
        version=__version__,
        made=datetime.now(UTC),
        findings=findings,
        problems=[finding for finding in findings if is_problem(finding) and finding.cause],
        conversations={
            Path(name).stem: text for name, text in files.items() if name.startswith("transcripts/")
        },
        files=files,
        indent_json=_indent_json,
    )
    files = {"index.html": index.html(), **files}
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "made": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "msoauth": __version__,
        "pseudonymised": pseudonymised,
        "sha256": {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()},
    }
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M")
    mailbox_name = sanitize(account.address).replace("@", "-at-")
    return Bundle(
        {"bundle.json": json.dumps(manifest, indent=1) + "\n", **files},
        index,
        f"msoauth-{private_files.file_stem(mailbox_name)}-{stamp}.zip",
    )


def versions() -> dict[str, Any]:
    """Versions of Python, the system and the libraries; nothing that identifies the computer."""
    libraries = {}
    for name in _LIBRARIES:
        try:
            libraries[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "msoauth": __version__,
        "python": platform.python_version(),
        "system": platform.system(),
        "release": platform.release(),
        "machine": platform.machine(),
        "openssl": ssl.OPENSSL_VERSION,
        "frozen": bool(getattr(sys, "frozen", False)),
        "libraries": libraries,
    }


def _settings(workspace: Workspace, firm: Firm, account: Account) -> dict[str, Any]:
    """The settings of the firm, the account and the cloud, without secrets."""
    cloud = firm.cloud
    status = workspace.tokens.status(account.address)
    return {
        "language": language(),
        "firm": {
            "name": firm.name,
            "tenant": firm.tenant,
            "client_id": firm.client_id,
            "redirect_uri": firm.redirect_uri,
            "access": firm.access,
            "has_secret": workspace.firms.has_secret(firm.name),
            "secret_expires": firm.secret_expires.isoformat() if firm.secret_expires else None,
        },
        "account": {
            "address": account.address,
            "login": account.login,
            "retrieve": account.protocol,
            "signed_in_as": status.signed_in_as if status else None,
            "signed_in_at": status.signed_in_at.isoformat() if status else None,
            "refreshed_at": status.refreshed_at.isoformat() if status else None,
        },
        "cloud": {
            "name": cloud.name,
            "authority": cloud.authority,
            "graph": cloud.graph,
            "outlook_resource": cloud.outlook_resource,
            **{
                name: {"host": end.host, "port": end.port, "tls": end.tls}
                for name, end in (("pop3", cloud.pop3), ("imap", cloud.imap), ("smtp", cloud.smtp))
            },
            "own_ca": cloud.ca_file is not None,
        },
    }


def _sanitized_json(value: Mapping[str, Any], sanitize: Callable[[str], str]) -> str:
    """*value* as JSON with every string sanitized; each on its own, so that the result is always valid JSON."""

    def walk(node: Any) -> Any:
        if isinstance(node, str):
            return sanitize(node)
        if isinstance(node, Mapping):
            return {key: walk(inner) for key, inner in node.items()}
        return [walk(inner) for inner in node] if isinstance(node, (list, tuple)) else node

    return json_text(walk(value))


def _indent_json(text: str) -> str:
    return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
