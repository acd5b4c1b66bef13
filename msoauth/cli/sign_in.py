"""``msoauth sign-in`` and ``sign-out``, and how any command lets a user or an administrator sign in."""

import contextlib
import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer
from rich.console import Console
from rich.text import Text

from msoauth.cli.options import Address
from msoauth.cli.output import print_failure, say, say_on_stderr, say_warnings
from msoauth.errors import AuthError, CancelledError, InputError
from msoauth.model import Account, Firm
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

    with context.obj.open() as workspace:
        account = workspace.accounts.get(address)
        firm = workspace.firms.get(account.firm)
        flow = via
        try:
            attempt = signin.start(
                workspace, account, via, open_browser=not no_open, another=another
            )
            flow = attempt.flow
            if attempt.reason and flow != "browser":
                say_on_stderr(_("The “{via}” way: {why}").format(via=flow, why=attempt.reason))
            status = wait_for(attempt, opened=not no_open)
        except AuthError as failure:
            code = print_failure(failure)
            _say_remedy(workspace, firm, account, flow, failure)
            raise typer.Exit(code) from None
    say(
        _(
            "● Signed in as {user}. The tokens are stored; mail can be retrieved and sent from now on."
        ).format(user=status.signed_in_as)
    )
    if status.warning:
        say_warnings([status.warning])


def sign_out(context: typer.Context, address: Address) -> None:
    """Forget the tokens of a mailbox."""
    with context.obj.open() as workspace:
        account = workspace.accounts.get(address)
        known = workspace.tokens.status(account.address)
        workspace.tokens.forget(account.address)
    if known:
        say(_("The tokens of {address} are forgotten.").format(address=account.address))
    else:
        say(_("{address} had no tokens.").format(address=account.address))


def wait_for(
    attempt: "SignIn[Result]", *, opened: bool = True, on_stderr: bool = False
) -> "Result":
    """Print what to do for a user's or an administrator's sign-in, and wait for its result; Ctrl-C cancels it.

    Args:
        opened: Whether the system's browser was to be opened.
        on_stderr: Print on stderr, because stdout is for something else.

    Raises:
        AuthError: as :meth:`msoauth.identity.flows.SignIn.wait` does.
        InputError: the input ended without an address.
        typer.Abort: it was cancelled.
    """
    try:
        _show(attempt, opened=opened, on_stderr=on_stderr)
        if attempt.flow == "paste":
            _take_address(attempt)
        elif sys.stderr.isatty():
            with Console(stderr=True, highlight=False).status(_Countdown(attempt)):
                return attempt.wait()
        else:
            told = _("Waiting for the sign-in, at most {minutes} minutes. Ctrl-C cancels.")
            say_on_stderr(told.format(minutes=round(attempt.seconds_left / 60)))
        return attempt.wait()
    except CancelledError:
        raise typer.Abort from None
    except BaseException:
        attempt.cancel()
        raise


def _show(attempt: "SignIn[Any]", *, opened: bool, on_stderr: bool) -> None:
    """Print what the user has to do."""
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
        lines = [attempt.message] if attempt.flow == "browser" and opened else []
        lines += [
            _("Sign in as {user} at this address:").format(user=attempt.user),
            attempt.url,
        ]
        if attempt.code:
            lines.append(_("and enter the code {code}").format(code=attempt.code))
    for line in lines:
        say(line, as_json=on_stderr)


class _Countdown:
    """The line with the time left; rich renders it again and again."""

    def __init__(self, attempt: "SignIn[Any]") -> None:
        self._attempt = attempt

    def __rich__(self) -> Text:
        left = int(self._attempt.seconds_left)
        clock = f"{left // 60}:{left % 60:02}"
        return Text(_("Waiting for the sign-in, {clock} left. Ctrl-C cancels.").format(clock=clock))


def _take_address(attempt: "SignIn[Any]") -> None:
    """Read lines until they contain the address; an empty line after some text prints what is wrong with it.

    Raises:
        InputError: the input ended before.
    """
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401 - without it a terminal cuts lines at 4,096 characters
    lines: list[str] = []
    problem = InputError(_("No address was given; the sign-in was cancelled."))
    while True:
        try:
            line = input()
        except EOFError:
            raise problem from None
        lines.append(line)
        try:
            attempt.paste("\n".join(lines))
        except InputError as wrong:
            if line.strip():
                problem = wrong
            elif any(kept.strip() for kept in lines):
                say_on_stderr(wrong.summary)
                lines.clear()
            continue
        return


def _say_remedy(
    workspace: "Workspace", firm: Firm, account: Account, flow: "Flow | None", failure: AuthError
) -> None:
    """Print what helps now, as commands and links for this account."""
    from msoauth.identity import entra_links, signin

    again = f"msoauth sign-in {account.address}"
    if failure.cause == "account-wrong":
        say(_("Use another account: {command}").format(command=f"{again} --another"))
        with contextlib.suppress(AuthError):
            say(_("Sign out at Microsoft: {url}").format(url=entra_links.sign_out_link(firm)))
        say(
            _("If the mailbox is shared, say who signs in: {command}").format(
                command=f"msoauth account change {account.address} --login UPN"
            )
        )
    if failure.cause in entra_links.CONSENT_CAUSES:
        with contextlib.suppress(AuthError):
            link = entra_links.admin_consent_link(firm, workspace.accounts.list(firm.name))
            say(_("The admin-consent link for {firm}: {url}").format(firm=firm.name, url=link))
    other = signin.alternative_flow(flow, failure) if flow else None
    if other:
        say(_("Another way: {command}").format(command=f"{again} --via {other}"))
