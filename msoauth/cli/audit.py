"""``msoauth audit``: checks every account of every firm, from a terminal, cron or the Windows Task Scheduler."""

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from msoauth import shells
from msoauth.cli import files
from msoauth.cli.output import (
    COLOURS,
    EXIT_INTERRUPTED,
    console,
    exit_status,
    print_json,
    print_on_stderr,
)
from msoauth.judgement import SILENT_DAYS
from msoauth.terminal import Screen
from msoauth.texts import _, ngettext

if TYPE_CHECKING:
    from msoauth.auditing import AccountResult, Audit
    from msoauth.auditing.status import Status
    from msoauth.reports.write import Kind
    from msoauth.store import Workspace

_MAX_CAUSES = 40  # shown on a terminal; a report has all of them
_PROGRESS_INTERVAL = 30.0  # seconds between lines of progress without a terminal


def audit(
    context: typer.Context,
    firm: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this firm; may be given again.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=512,
            metavar="N",
            help="Accounts at once, in all.",
            show_default="what one computer does well",
        ),
    ] = None,
    per_firm: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=512,
            metavar="N",
            help="Accounts at once of one tenant; less by itself when it throttles.",
            show_default="what a tenant bears",
        ),
    ] = None,
    json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print each finding as JSON on stdout; with --no-run each account as it stands.",
        ),
    ] = False,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the accounts as CSV.")
    ] = None,
    xlsx: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write an Excel workbook.")
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a single HTML page that opens offline."),
    ] = None,
    send: Annotated[
        bool, typer.Option("--send", help="Also send a test mail to each mailbox itself.")
    ] = False,
    silent_days: Annotated[
        int,
        typer.Option(min=1, metavar="N", help="Days without new mail that make a mailbox silent."),
    ] = SILENT_DAYS,
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Begin anew instead of going on with what was broken off."),
    ] = False,
    share: Annotated[
        bool, typer.Option("--share", help="Share the work with other computers (PostgreSQL).")
    ] = False,
    no_run: Annotated[
        bool, typer.Option("--no-run", help="Check nothing: report how everything stands by now.")
    ] = False,
) -> None:
    """Check every account of every firm, many at once, and say how each stands.

    Nothing is sent without --send. An audit that was broken off goes on where it stopped; two at once are not run on one workspace.

    Exit status: 0 nothing red, 1 something is broken, 2 wrong usage or the workspace cannot be written, 3 something could not be checked, 130 interrupted.

    Unattended it needs no terminal and no browser. With cron, every night at 2:15: two lines of crontab -e. cron knows few folders, so write the whole path of msoauth (command -v msoauth). The passphrase has a line of its own because cron writes commands into its log and its mails.

    \b
      MSOAUTH_PASSPHRASE=...
      15 2 * * * /PATH/TO/msoauth audit --html $HOME/audit.html >/dev/null

    With the Windows Task Scheduler, in PowerShell, as the user whose keyring holds the key and with the whole path of msoauth (where.exe msoauth). Windows asks for that user's password, so that it also runs while nobody is signed in; a task that Windows makes by itself would not start on battery, nor after a time at which the computer was off:

    \b
      $who = Get-Credential "$env:USERDOMAIN\\$env:USERNAME"
      $what = New-ScheduledTaskAction -Execute 'C:\\PATH\\TO\\msoauth.exe' -Argument 'audit --html C:\\Reports\\audit.html'
      $when = New-ScheduledTaskTrigger -Daily -At 02:15
      $how = New-ScheduledTaskSettingsSet -StartWhenAvailable -AllowStartIfOnBatteries -DontStopIfGoingOnBatteries
      Register-ScheduledTask 'msoauth audit' -Action $what -Trigger $when -Settings $how -User $who.UserName -Password $who.GetNetworkCredential().Password

    The CSV is what German Excel opens by a double click: semicolons, UTF-8 with a byte order mark, whole numbers.

    With a workspace on PostgreSQL several computers share one audit: start each with --share.
    """
    from msoauth.auditing import Audit
    from msoauth.auditing.history import history
    from msoauth.auditing.status import status as current_status
    from msoauth.reports.write import report

    limits: dict[str, Any] = {"workers": workers, "per_firm": per_firm}
    formats: tuple[tuple[Kind, Path | None], ...] = (("csv", csv), ("xlsx", xlsx), ("html", html))
    reports = {kind: file for kind, file in formats if file}
    for file in reports.values():
        files.check_writable(file, may_be_open=True)
    with context.obj.open() as workspace:
        code = 0
        if not no_run:
            running_audit = Audit(
                workspace,
                firm=firm or None,
                send=send,
                silent_days=silent_days,
                fresh=fresh,
                share=share,
                **{name: limit for name, limit in limits.items() if limit is not None},
            )
            code = _run_audit(running_audit, workspace, as_json=json)
        status = current_status(workspace, firm=firm or None, silent_days=silent_days)
        for kind, file in reports.items():
            content = report(kind, status, history(workspace, firm or None))
            if (written := files.write_beside(file, content)) != file:
                text = _("{file} is open in another program, or may not be written by you.")
                print_on_stderr(text.format(file=file))
            print_on_stderr(_("Written: {file}").format(file=written))
        _show_status(status, console(on_stderr=json))
        if no_run:
            code = exit_status(status.signals)
            if json:
                from msoauth.reports.monitoring import as_json

                for account_status in status.accounts:
                    print_json(as_json(account_status))
    raise typer.Exit(code)


def _run_audit(running_audit: "Audit", workspace: "Workspace", *, as_json: bool) -> int:
    """Run the audit with progress on stderr; returns the exit status."""
    if not running_audit.progress.total:
        print_on_stderr(
            _("There is no account to audit. Add one with: msoauth account add ADDRESS --firm NAME")
        )
        return 0
    with _cancel_on_signals(running_audit):
        for result in _with_progress(running_audit):
            for finding in result.findings if as_json else ():
                print_json(finding.as_json())
    if running_audit.cancelled:
        print_on_stderr(_("Interrupted; the next audit goes on where this one stopped."))
        return EXIT_INTERRUPTED
    return exit_status(mark.signal for mark in workspace.audits.marks(running_audit.run))


@contextlib.contextmanager
def _cancel_on_signals(running_audit: "Audit") -> Iterator[None]:
    """Cancel the audit in an orderly way on Ctrl-C and on shutdown; Python handles signals in the main thread only."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    names = ("SIGINT", "SIGTERM", "SIGBREAK") if in_main_thread else ()
    previous = {
        number: signal.signal(number, lambda *_args: running_audit.cancel())
        for number in (getattr(signal, name) for name in names if hasattr(signal, name))
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _with_progress(running_audit: "Audit") -> "Iterator[AccountResult]":
    """Yield an audit's results with progress on stderr: a live line on a terminal, elsewhere a line every half minute."""
    live = Screen(stderr=True).status("") if sys.stderr.isatty() else None
    last_printed = time.monotonic()
    with live or contextlib.nullcontext():
        for count, result in enumerate(running_audit):
            yield result
            if count == 0 and running_audit.resumed:
                notice = (
                    _("Taking part in the audit that is under way: {done} of {total} are done.")
                    if running_audit.shared
                    else _(
                        "Going on with the audit that was broken off: {done} of {total} are done."
                    )
                )
                print_on_stderr(
                    notice.format(
                        done=f"{running_audit.skipped:,}", total=f"{running_audit.progress.total:,}"
                    )
                )
            if live:
                live.update(Text(running_audit.progress.text()))
            elif time.monotonic() - last_printed >= _PROGRESS_INTERVAL:
                last_printed = time.monotonic()
                print_on_stderr(running_audit.progress.text())


def _show_status(status: "Status", screen: Console) -> None:
    """Print the status of all accounts for people."""
    from msoauth.auditing import labels
    from msoauth.reports.html_report import changes_line
    from msoauth.reports.letter import fixable_by_it_department

    if not status.accounts:
        return
    several_firms = len(status.firms) > 1
    total = len(status.accounts)
    screen.print(
        Text(
            ngettext("{count} account: ", "{count} accounts: ", total).format(count=f"{total:,}")
            + labels.counts_line(status.signals)
        ),
        style="bold",
    )
    for group in status.groups[:_MAX_CAUSES]:
        line = Text(f"{group.signal.shape} ", style=COLOURS[group.signal])
        line.append(f"{group.firm}: " if several_firms else "", style="default")
        line.append(labels.group_line(group), style="default")
        who = labels.who_label(labels.group_who(group))
        if who:
            line.append(f" ({who})", style="bright_black")
        screen.print(line)
        screen.print(Text(f"    {_first_addresses(group.accounts)}", style="bright_black"))
        if steps := labels.group_fix(group):
            screen.print(Text(f"    → {labels.steps_line(steps)}", style="bright_black"))
    if len(status.groups) > _MAX_CAUSES:
        screen.print(_("… and {count} more causes.").format(count=len(status.groups) - _MAX_CAUSES))
    firm_names = {
        g.firm
        for g in status.groups
        if g.cause and fixable_by_it_department(g.cause, labels.group_who(g))
    }
    if firm_names:
        name = firm_names.pop() if len(firm_names) == 1 else "NAME"
        screen.print(
            Text(
                _("One letter to a firm's IT about all of it: {command}").format(
                    command=shells.command("letter --firm {NAME}", NAME=name)
                )
            )
        )
    if change_line := changes_line(status):
        screen.print(Text(change_line))


def _first_addresses(addresses: tuple[str, ...]) -> str:
    listing = ", ".join(addresses[:3])
    more = len(addresses) - 3
    return (
        listing if more <= 0 else _("{some} and {more} more").format(some=listing, more=f"{more:,}")
    )
