"""``msoauth firm add``, ``list``, ``show``, ``check``, ``confirm`` and ``remove``: firms and their app registrations."""

import sys
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from msoauth import clouds, shells
from msoauth.cli import prompts
from msoauth.cli.options import FirmName, Json
from msoauth.cli.output import (
    exit_status,
    print_findings,
    print_json,
    print_on_stderr,
    print_text,
    print_warnings,
)
from msoauth.cli.tables import show_table, show_values
from msoauth.errors import InputError
from msoauth.judgement import days_left, secret_signal
from msoauth.model import Firm, Signal
from msoauth.redact import redact
from msoauth.texts import _, ngettext

if TYPE_CHECKING:
    from msoauth.store import Workspace
    from msoauth.store.destinations import Unconfirmed

app = typer.Typer(help="Firms and their app registrations.", no_args_is_help=True)


def as_json(firm: Firm, workspace: "Workspace") -> dict[str, object]:
    """A firm as JSON: its registration, and whether it has a secret, but not the secret."""
    return {
        "name": firm.name,
        "tenant": firm.tenant,
        "client_id": firm.client_id,
        "cloud": firm.cloud.name,
        "host": firm.cloud.host,
        "redirect_uri": firm.redirect_uri,
        "access": firm.access,
        "has_secret": workspace.firms.has_secret(firm.name),
        "secret_expires": firm.secret_expires.isoformat() if firm.secret_expires else None,
        "secret_days": days_left(firm.secret_expires, datetime.now(UTC).date())
        if firm.secret_expires
        else None,
        "accounts": len(workspace.accounts.list(firm.name)),
    }


def read_secret(*, from_stdin: bool) -> str | None:
    """Read a client secret from stdin or a hidden prompt; None if it is empty."""
    if from_stdin:
        return prompts.read_line("--secret-stdin", strip=True) or None
    if sys.stdin.isatty():
        value = prompts.read_hidden(
            _("Client secret value (hidden; empty for an app without a secret)"), "--secret-stdin"
        )
        return value.strip() or None
    return None


def parse_date(text: str | None) -> date | None:
    """Parse the date of an option; None if the option was not given.

    Raises:
        InputError: the text is not a date.
    """
    if text is None:
        return None
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise InputError(
            _("The end date “{text}” is not a date like 2027-05-31.").format(text=redact(text, 40)),
            field="secret_expires",
        ) from None


@app.command("add")
def add(
    context: typer.Context,
    name: FirmName,
    tenant: Annotated[str, typer.Option(help="Directory (tenant) ID, or a domain of the tenant.")],
    client_id: Annotated[str, typer.Option(help="Application (client) ID.")],
    secret_stdin: Annotated[
        bool, typer.Option("--secret-stdin", help="Read the client secret value from stdin.")
    ] = False,
    secret_expires: Annotated[
        str | None, typer.Option(metavar="DATE", help="Last day of the secret, 2027-05-31.")
    ] = None,
    redirect_uri: Annotated[
        str, typer.Option(help="As registered under Authentication.")
    ] = "http://localhost",
    cloud: Annotated[
        str, typer.Option(metavar="global|usgov|china|FILE", help="FILE is an endpoints file.")
    ] = "global",
    app_only: Annotated[
        bool,
        typer.Option("--app-only", help="Mailboxes that nobody signs in to (client credentials)."),
    ] = False,
) -> None:
    """Add a firm. The secret comes from stdin or a hidden prompt, never from an argument."""
    from msoauth.identity import validation  # imported lazily: it loads msal

    firm = Firm(
        name=validation.clean(name),
        tenant=validation.clean(tenant),
        client_id=validation.clean(client_id),
        cloud=clouds.load(cloud),
        redirect_uri=validation.clean(redirect_uri),
        secret_expires=parse_date(secret_expires),
        access="app-only" if app_only else "delegated",
    )
    with context.obj.open() as workspace:
        validation.check_firm(firm)
        secret = read_secret(from_stdin=secret_stdin)
        if secret is not None:
            secret = validation.clean(secret)
            validation.check_secret(secret)
        warnings_before = workspace.warnings
        workspace.firms.add(firm, secret=secret)
        # The first secret creates the vault's key, which may add a warning.
        if workspace.warnings != warnings_before:
            print_warnings(workspace.warnings)
        _confirm_hosts(workspace, firm.name)
    print_text(
        _("Added {name}. Next: {command}").format(
            name=firm.name, command=shells.command("firm check {NAME}", NAME=firm.name)
        )
    )
    if secret is None:
        print_on_stderr(
            _(
                "No client secret: the app is used as a public client (platform “Mobile and desktop applications”)."
            )
        )


def _confirm_hosts(workspace: "Workspace", name: str) -> None:
    """Ask on a terminal whether the secrets of a new firm may go to its servers, if these are not Microsoft's."""
    shown = workspace.firms.unconfirmed(name)
    if shown is None:
        return
    question = _hosts_question(shown)
    if sys.stdin.isatty() and prompts.ask(question):
        workspace.firms.confirm(shown)
        return
    print_on_stderr(
        _("{question} Nothing is sent there until you confirm: {command}").format(
            question=question, command=shells.command("firm confirm {NAME}", NAME=name)
        )
    )


def _hosts_question(shown: "Unconfirmed") -> str:
    return _(
        "Servers of {firm} are not Microsoft's: {host}. May its secret and tokens go there?"
    ).format(firm=shown.firm.name, host=shown.host)


@app.command("list")
def list_(context: typer.Context, json: Json = False) -> None:
    """All firms of the workspace."""
    with context.obj.open() as workspace:
        rows = [(firm, as_json(firm, workspace)) for firm in workspace.firms.list()]
    if json:
        for _firm, row in rows:
            print_json(row)
        return
    if not rows:
        print_text(_("No firm yet. Add one with: msoauth firm add NAME --tenant … --client-id …"))
        return
    show_table(
        [
            _("Firm"),
            _("Directory (tenant)"),
            _("Application (client) ID"),
            _("Cloud"),
            _("Secret until"),
            _("Accounts"),
        ],
        [
            (
                str(row["name"]),
                str(row["tenant"]),
                str(row["client_id"]),
                firm.cloud.label,
                _secret_until(row),
                str(row["accounts"]),
            )
            for firm, row in rows
        ],
        wrap=[0],
        right=[5],
    )


def _secret_until(row: dict[str, object]) -> str:
    """The last day of a firm's secret, marked if it is near or past."""
    date, days = row["secret_expires"], row["secret_days"]
    if not isinstance(days, int):
        return _("not recorded") if row["has_secret"] else _("no secret")
    signal = secret_signal(days)
    if signal is Signal.FAILED:
        return _("✖ {date}, ended").format(date=date)
    if signal is Signal.WARNING:
        return _("▲ {date}, {days} days left").format(date=date, days=days)
    return str(date)


@app.command("show")
def show(context: typer.Context, name: FirmName, json: Json = False) -> None:
    """One firm's registration, without its secret."""
    with context.obj.open() as workspace:
        firm = workspace.firms.get(name)
        row = as_json(firm, workspace)
    if json:
        print_json(row)
        return
    by_users = row["access"] == "delegated"
    show_values(
        str(row["name"]),
        [
            (_("Directory (tenant)"), str(row["tenant"])),
            (_("Application (client) ID"), str(row["client_id"])),
            (_("Cloud"), firm.cloud.label),
            (_("Redirect URI"), str(row["redirect_uri"])),
            (_("Access"), _("the users sign in") if by_users else _("app-only")),
            (_("Secret until"), _secret_until(row)),
            (_("Accounts"), str(row["accounts"])),
        ],
    )


@app.command("check")
def check(context: typer.Context, name: FirmName, json: Json = False) -> None:
    """Run the registration checks: directory, application, secret, redirect URI, end date."""
    from msoauth import checks
    from msoauth.reports.consent import known_consent

    with context.obj.open() as workspace:
        firm = workspace.firms.get(name)
        findings = print_findings(
            checks.run(checks.REGISTRATION, checks.Context(workspace, firm)), as_json=json
        )
        if firm.access == "delegated" and known_consent(workspace, firm) not in ("all", "each"):
            print_on_stderr(
                _(
                    "Before any user signs in, an administrator consents for all of them: {command}"
                ).format(command=shells.command("firm consent {NAME}", NAME=firm.name))
            )
    raise typer.Exit(exit_status(finding.signal for finding in findings))


@app.command("confirm")
def confirm(
    context: typer.Context,
    name: FirmName,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Show and accept changed settings, or servers that are not Microsoft's, before secrets are sent there."""
    with context.obj.open() as workspace:
        firm = workspace.firms.get(name)
        shown = workspace.firms.unconfirmed(firm.name)
        if shown is None:
            print_text(_("There is nothing to confirm for {name}.").format(name=firm.name))
            return
        _show_unconfirmed(shown, yes=yes)
        if not yes:
            question = _hosts_question(shown) if shown.host else _("Accept the new values?")
            prompts.confirm(question, "--yes")
        workspace.firms.confirm(shown)
    print_text(_("Confirmed. The secrets of {name} can be used again.").format(name=firm.name))


def _show_unconfirmed(shown: "Unconfirmed", *, yes: bool) -> None:
    """Print what is to be confirmed; if nobody is asked about the host, with the host."""
    if shown.changes:
        print_text(
            _("{name}: changed since its secrets and tokens were stored").format(
                name=shown.firm.name
            )
        )
        headers = [_("What"), _("When they were stored"), _("Now")]
        rows = [(change.label, change.old_text, change.new_text) for change in shown.changes]
        show_table(headers, rows, wrap=[1, 2])
    if shown.host and yes:
        print_text(_("These servers are not Microsoft's: {host}.").format(host=shown.host))
    if shown.lost:
        print_text(
            _(
                "These can no longer be decrypted. Confirming deletes them; enter the secret or sign in again: {which}."
            ).format(which=shown.lost_text)
        )


@app.command("remove")
def remove(
    context: typer.Context,
    name: FirmName,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Forget a firm with its accounts, secret and tokens. Findings stay in the journal."""
    with context.obj.open() as workspace:
        firm = workspace.firms.get(name)
        count = len(workspace.accounts.list(firm.name))
        if not yes and count:
            prompts.confirm(
                ngettext(
                    "Forget {name} with its {count} account and its tokens?",
                    "Forget {name} with its {count} accounts and their tokens?",
                    count,
                ).format(name=firm.name, count=count),
                "--yes",
            )
        workspace.firms.remove(firm.name)
    print_text(_("Removed {name}.").format(name=firm.name))
