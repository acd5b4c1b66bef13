"""``msoauth fetch`` and ``send-test``: retrieves mail of an account, and sends a test mail from it."""

from collections import Counter
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from msoauth.cli.options import Address, Json, RetrySeconds
from msoauth.cli.output import (
    EXIT_FAILED,
    exit_status,
    print_failure,
    print_findings,
    print_json,
    print_on_stderr,
    print_text,
    show_progress,
)
from msoauth.cli.tables import show_table
from msoauth.errors import AuthError, InputError, LocalError, MailError
from msoauth.mail.messages import UNDELIVERED, Status, outcome, status_label
from msoauth.mail.retry import LIMIT
from msoauth.mail.round_trip import ARRIVAL_TIMEOUT
from msoauth.model import Account, Finding
from msoauth.texts import _


class Format(StrEnum):
    """The format in which mail is stored."""

    eml = "eml"
    maildir = "maildir"
    mbox = "mbox"


if TYPE_CHECKING:
    from msoauth.store import Workspace


def fetch(
    context: typer.Context,
    address: Address,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="At most the N newest messages.")
    ] = None,
    headers_only: Annotated[
        bool, typer.Option("--headers-only", help="Look at headers; store nothing.")
    ] = False,
    to: Annotated[
        Path | None,
        typer.Option(
            metavar="PLACE",
            help="The folder (for mbox the file) where mail goes.",
            show_default="the workspace's mail folder",
        ),
    ] = None,
    format: Annotated[  # noqa: A002 - the option's name
        Format, typer.Option(help="A folder of .eml files, a Maildir, or one mbox file.")
    ] = Format.eml,
    patience: RetrySeconds = LIMIT,
    json: Json = False,
) -> None:
    """Retrieve mail. Nothing is ever deleted or marked."""
    from msoauth.checks import mail

    with context.obj.open() as workspace:
        account = workspace.accounts.get(address)
        target = None if headers_only else (to or _default_target(workspace, account, format))
        rows: list[tuple[str, ...]] = []
        if format is Format.mbox and target is not None and target.is_dir():
            raise InputError(
                _("{place} is a folder; for mbox name a file.").format(place=target), field="to"
            )
        counts: Counter[Status] = Counter()
        undelivered: list[str] = []
        try:
            for message in mail.fetch_mail(
                workspace,
                account,
                limit=limit,
                headers_only=headers_only,
                to=target,
                format=format.value,
                retry_seconds=patience,
                on_retry=lambda wait: print_on_stderr(str(wait)),
            ):
                counts[message.status] += 1
                if message.status in UNDELIVERED:
                    undelivered.append(message.line())
                if json:
                    print_json(message.as_json())
                else:
                    rows.append(
                        (
                            f"{message.date:%Y-%m-%d %H:%M}" if message.date else "?",
                            message.from_,
                            message.subject,
                            f"{message.size:,}",
                            message.attachments_text(),
                            status_label(message.status),
                        )
                    )
        except (AuthError, MailError) as error:
            _show_messages(rows)
            raise typer.Exit(print_failure(error, on_stderr=json)) from None
        except LocalError:
            _show_messages(rows)
            raise
        _show_messages(rows)
        location = "" if target is None else " " + _("They are in {folder}.").format(folder=target)
        sentence = _("{outcome}; nothing was deleted on the server.")
        print_text(sentence.format(outcome=outcome(counts)) + location, on_stderr=json)
        if undelivered:
            print_text(
                _("Not retrieved, and asked for again next time:")
                + "\n  "
                + "\n  ".join(undelivered),
                on_stderr=json,
            )
            raise typer.Exit(EXIT_FAILED)


def _show_messages(messages: list[tuple[str, ...]]) -> None:
    if messages:
        headers = [_("Date"), _("From"), _("Subject"), _("Bytes"), _("Attachments"), _("Status")]
        show_table(headers, messages, wrap=[1, 2, 4], right=[3])


def _default_target(workspace: "Workspace", account: Account, format: Format) -> Path:  # noqa: A002
    """The default folder or mbox file for an account's mail, inside the workspace's folder."""
    from msoauth.checks import mail

    folder = mail.mail_folder(workspace, account)
    return {"eml": folder, "maildir": folder / "Maildir", "mbox": folder / "mbox"}[format.value]


def send_test(
    context: typer.Context,
    address: Address,
    to: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="The recipient.", show_default="the mailbox itself"),
    ] = None,
    round_trip: Annotated[
        bool, typer.Option("--round-trip", help="Also wait until the mail arrives.")
    ] = False,
    subject: Annotated[str | None, typer.Option(help="The subject.")] = None,
    sender: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="ADDRESS",
            help="Send as this address (needs Send As).",
            show_default="the mailbox itself",
        ),
    ] = None,
    patience: RetrySeconds = LIMIT,
    wait: Annotated[
        float,
        typer.Option(
            min=0, metavar="SECONDS", help="How long to wait for the mail with --round-trip."
        ),
    ] = ARRIVAL_TIMEOUT,
    json: Json = False,
) -> None:
    """Send a test mail."""
    from msoauth.checks import mail

    with context.obj.open() as workspace:
        account = workspace.accounts.get(address)
        findings = mail.send_test(
            workspace,
            account,
            to=to,
            subject=subject,
            round_trip=round_trip,
            sender=sender,
            retry_seconds=patience,
            arrival_seconds=wait,
            on_retry=lambda retry: print_on_stderr(str(retry)),
            on_progress=_show_waiting_time,
        )
        printed = print_findings(_clear_progress_before_each(findings), as_json=json)
    raise typer.Exit(exit_status(finding.signal for finding in printed))


def _show_waiting_time(seconds: float) -> None:
    show_progress(
        _("Waiting for the test mail to arrive: {seconds:.0f} s").format(seconds=seconds) + " "
    )


def _clear_progress_before_each(findings: Iterator[Finding]) -> Iterator[Finding]:
    """Pass on findings; before each, the line that shows the wait is cleared."""
    for finding in findings:
        show_progress("")
        yield finding
