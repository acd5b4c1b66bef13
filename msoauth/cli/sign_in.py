"""``msoauth sign-in`` and ``sign-out``, and how any command lets a user or an administrator sign in."""

import contextlib
import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer
from rich.text import Text

from msoauth import shells
from msoauth.cli.options import Address
from msoauth.cli.output import print_failure, print_on_stderr, print_text, print_warnings
from msoauth.errors import AuthError, CancelledError, InputError
from msoauth.model import Account, Firm
from msoauth.terminal import Screen
from msoauth.texts import _

if TYPE_CHECKING:
    from msoauth.identity.environment import Flow
    from msoauth.identity.flows import SignIn
    from msoauth.store import Workspace

Result = TypeVar("Result")


def sign_in(
    context: typer.Context,
    address: Address,
    via: Annotated[
        Literal["browser", "device", "paste"] | None,
        typer.Option(help="The way to sign in.", show_default="the one that works here"),
    ] = None,
    no_open: Annotated[
        bool, typer.Option("--no-open", help="Only print the address; open no browser.")
    ] = False,
    another: Annotated[
        bool,
        typer.Option(
            "--another", help="Ask for name and password even if the browser is signed in already."
        ),
    ] = False,
) -> None:
    """Let the user of a mailbox sign in once; Ctrl-C cancels."""
    from msoauth.identity import signin
    from msoauth.reports.consent import known_consent

    with context.obj.open() as workspace:
        account = workspace.accounts.get(address)
        firm = workspace.firms.get(account.firm)
        flow = via
        if firm.access == "delegated" and known_consent(workspace, firm) == "required":
            print_on_stderr(
                _(
                    "First an administrator must consent, or this sign-in ends with “Need admin approval”: {command}"
                ).format(command=shells.command("firm consent {NAME}", NAME=firm.name))
            )
        try:
            attempt = signin.start(
                workspace, account, via, open_browser=not no_open, force_prompt=another
            )
            flow = attempt.flow
            if attempt.reason and flow != "browser":
                print_on_stderr(_("The “{via}” way: {why}").format(via=flow, why=attempt.reason))
            status = wait_for(attempt, open_browser=not no_open)
        except AuthError as error:
            code = print_failure(error, firm=firm, account=account)
            _print_suggestions(workspace, firm, account, flow, error)
            raise typer.Exit(code) from None
    print_text(
        _(
            "● Signed in as {user}. The tokens are stored; mail can be retrieved and sent from now on."
        ).format(user=status.signed_in_as)
    )
    if status.warning:
        print_warnings([status.warning])


def sign_out(context: typer.Context, address: Address) -> None:
    """Forget the tokens of a mailbox."""
    with context.obj.open() as workspace:
        account = workspace.accounts.get(address)
        token_status = workspace.tokens.status(account.address)
        workspace.tokens.forget(account.address)
    if token_status:
        print_text(_("The tokens of {address} are forgotten.").format(address=account.address))
    else:
        print_text(_("{address} had no tokens.").format(address=account.address))


def wait_for(
    attempt: "SignIn[Result]", *, open_browser: bool = True, on_stderr: bool = False
) -> "Result":
    """Print the instructions for a sign-in and wait for its result; Ctrl-C cancels it.

    Args:
        attempt: The sign-in of a user or an administrator.
        open_browser: Whether the attempt was started with the system's browser.
        on_stderr: Print on stderr, because stdout is for the command's result.

    Raises:
        AuthError: as :meth:`msoauth.identity.flows.SignIn.wait` does.
        InputError: the input ended without the redirect URL.
        typer.Abort: the sign-in was cancelled.
    """
    try:
        _print_instructions(attempt, open_browser=open_browser, on_stderr=on_stderr)
        countdown: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
        if attempt.flow == "paste":
            _read_redirect_url(attempt)
        elif sys.stderr.isatty():
            countdown = Screen(stderr=True).status(_Countdown(attempt))
        else:
            notice = _("Waiting for the sign-in, at most {minutes} minutes. Ctrl-C cancels.")
            print_on_stderr(notice.format(minutes=round(attempt.seconds_left / 60)))
        with countdown:
            return attempt.wait()
    except CancelledError:
        raise typer.Abort from None
    except BaseException:
        attempt.cancel()
        raise


def _print_instructions(attempt: "SignIn[Any]", *, open_browser: bool, on_stderr: bool) -> None:
    """Print what the user has to do: where to sign in, and with which code, or what to paste."""
    if attempt.flow == "paste":
        lines = [
            _("Send this link to {user}:").format(user=attempt.user),
            attempt.url,
            _(
                "Afterwards the browser shows an address that does not load: paste that whole address here, or the "
                "mail that holds it, and end with an empty line."
            ),
        ]
    else:
        lines = [attempt.message] if attempt.flow == "browser" and open_browser else []
        lines += [
            _("Sign in as {user} at this address:").format(user=attempt.user),
            attempt.url,
        ]
        if attempt.code:
            lines.append(_("and enter the code {code}").format(code=attempt.code))
    for line in lines:
        print_text(line, on_stderr=on_stderr)


class _Countdown:
    """The line with the time left; rich renders it on every refresh."""

    def __init__(self, attempt: "SignIn[Any]") -> None:
        self._attempt = attempt

    def __rich__(self) -> Text:
        left = int(self._attempt.seconds_left)
        clock = f"{left // 60}:{left % 60:02}"
        return Text(_("Waiting for the sign-in, {clock} left. Ctrl-C cancels.").format(clock=clock))


def _read_redirect_url(attempt: "SignIn[Any]") -> None:
    """Read lines until they contain the redirect URL; an empty line after some text prints what is wrong with it.

    Raises:
        InputError: the input ended before.
    """
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401 - without it a terminal cuts lines at 4,096 characters
    lines: list[str] = []
    last_error = InputError(_("No address was given; the sign-in was cancelled."))
    while True:
        try:
            line = input()
        except EOFError:
            raise last_error from None
        lines.append(line)
        try:
            attempt.paste("\n".join(lines))
        except InputError as error:
            if line.strip():
                last_error = error
            elif any(text.strip() for text in lines):
                print_on_stderr(error.summary)
                lines.clear()
        else:
            return  # the attempt has found the redirect URL in the lines


def _print_suggestions(
    workspace: "Workspace", firm: Firm, account: Account, flow: "Flow | None", error: AuthError
) -> None:
    """Print commands and links by which the user can go on after a failed sign-in."""
    from msoauth.identity import entra_links, signin

    def command(template: str) -> str:
        return shells.command(template, ADDRESS=account.address)

    if error.cause == "account-wrong":
        print_text(
            _("Use another account: {command}").format(
                command=command("sign-in --another {ADDRESS}")
            )
        )
        # These links need the sign-in service's metadata; without it the other suggestions still help.
        with contextlib.suppress(AuthError):
            print_text(
                _("Sign out at Microsoft: {url}").format(url=entra_links.sign_out_link(firm))
            )
    if error.cause in entra_links.CONSENT_CAUSES:
        with contextlib.suppress(AuthError):
            link = entra_links.admin_consent_link(firm, workspace.accounts.list(firm.name))
            print_text(
                _("The admin-consent link for {firm}: {url}").format(firm=firm.name, url=link)
            )
    alternative = signin.alternative_flow(flow, error) if flow else None
    if alternative:
        print_text(
            _("Another way: {command}").format(
                command=command(f"sign-in --via {alternative} {{ADDRESS}}")
            )
        )
