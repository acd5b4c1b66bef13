"""The command line: the root command, its global options, and the exit status for every kind of failure."""

import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from msoauth import __version__, passphrase
from msoauth.cli import (
    accounts,
    audit,
    diagnosis,
    firm_access,
    firms,
    mail,
    practice,
    selftest,
    sign_in,
    tools,
    usage,
    vault,
)
from msoauth.cli.output import (
    EXIT_ERROR,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    Settings,
    print_failure,
    print_on_stderr,
    utf8_streams,
)
from msoauth.errors import (
    AuthError,
    DestinationError,
    InputError,
    LocalError,
    MailError,
    MsoauthError,
)
from msoauth.redact import redact
from msoauth.terminal import harmless_streams
from msoauth.texts import LANGUAGES, _, language, use_language

app = typer.Typer(
    help="Set up, check and diagnose OAuth mail on Microsoft 365.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(practice.app, name="practice")
app.add_typer(firms.app, name="firm")
app.add_typer(accounts.app, name="account")
app.add_typer(vault.app, name="vault")
app.add_typer(vault.workspace_app, name="workspace")
# Registered in the order in which --help lists them.
for group, name, command in (
    (firms.app, "secret", firm_access.secret),
    (firms.app, "calendar", firm_access.calendar),
    (firms.app, "app-only", firm_access.app_only),
    (firms.app, "consent", firm_access.consent),
    (app, "sign-in", sign_in.sign_in),
    (app, "sign-out", sign_in.sign_out),
    (app, "fetch", mail.fetch),
    (app, "send-test", mail.send_test),
    (app, "diagnose", diagnosis.diagnose),
    (app, "letter", diagnosis.letter),
    (app, "record", diagnosis.record),
    (app, "audit", audit.audit),
    (app, "lab", tools.lab),
    (app, "explain", tools.explain),
    (app, "journal", tools.journal),
    (app, "selftest", selftest.selftest),
):
    group.command(name)(command)
usage.use_command_classes(app)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"msoauth {__version__}")
        raise typer.Exit


def _language(context: typer.Context, value: str | None) -> str | None:
    """Set the language before anything is printed, including the help."""
    if value is not None and value.lower() not in LANGUAGES:
        raise InputError(_("--lang: “{text}” is neither en nor de.").format(text=redact(value, 40)))
    use_language(value or "en")
    usage.translate(context.command)
    return value


@app.callback()
def _main(
    context: typer.Context,
    workspace: Annotated[
        str | None,
        typer.Option(
            envvar="MSOAUTH_WORKSPACE",
            metavar="PATH-OR-URL",
            help="Where firms, accounts, tokens and findings are kept.",
            show_default="the user's data folder",
        ),
    ] = None,
    lang: Annotated[
        str | None,
        typer.Option(
            metavar="en|de",
            help="Language of the texts.",
            show_default="en",
            callback=_language,
            is_eager=True,
        ),
    ] = None,
    version: Annotated[  # noqa: ARG001 - handled by its callback
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    context.obj = Settings(workspace=workspace, lang=lang and language())


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit.

    The exit status is 0 if no check failed; 1 if a check, a sign-in or a mail server's command failed; 2 for wrong usage
    and input, workspaces or files that cannot be used; 3 if a check could not be carried out, if secrets would go where
    nobody confirmed that they may, and for a bug in msoauth;
    130 if it was interrupted or stdout was closed (broken pipe).
    """
    utf8_streams()
    passphrase.withdraw(for_children=False)
    with harmless_streams():
        status = _run(arguments)
    sys.exit(status)


def _run(arguments: list[str] | None) -> int:
    """Run the command line, and return the exit status."""
    command = typer.main.get_command(app)
    status: object
    try:
        status = command.main(args=arguments, prog_name="msoauth", standalone_mode=False)
    except usage.UsageError as error:
        _print_usage_error(error)
        status = EXIT_USAGE
    except usage.CommandError as error:
        print_on_stderr(usage.error_message(error))
        status = EXIT_USAGE
    except (typer.Abort, KeyboardInterrupt):
        if sys.stderr.isatty():
            print(file=sys.stderr)  # end the line on which the terminal shows ^C
        print_on_stderr(_("Interrupted."))
        status = EXIT_INTERRUPTED
    except DestinationError as error:
        print_on_stderr(redact(error.summary))
        status = EXIT_ERROR  # nothing was carried out
    except (AuthError, MailError) as error:
        status = print_failure(error, on_stderr=True)  # EXIT_FAILED: the server said no
    except MsoauthError as error:
        steps = error.fix if isinstance(error, LocalError) else ()
        print_on_stderr(redact(" ".join((error.summary, *steps))))
        status = EXIT_USAGE
    except SystemExit:
        # typer raises it if stdout was closed (broken pipe, as by head or a pager): nobody would read a message.
        status = EXIT_INTERRUPTED
    except OSError as error:
        print_on_stderr(
            _("This could not be carried out: {reason}.").format(
                reason=": ".join(filter(None, (error.filename, error.strerror or str(error))))
            )
        )
        status = EXIT_USAGE
    except Exception as error:  # noqa: BLE001 - users get one sentence without secrets, not a traceback
        print_on_stderr(_bug_message(error))
        status = EXIT_ERROR
    return status if isinstance(status, int) else 0


def _print_usage_error(error: Exception) -> None:
    message = usage.error_message(error)
    if not message:  # no command was given, and typer has shown the help
        return
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "msoauth"
    print_on_stderr(_("{problem} Help: {command} --help").format(problem=message, command=command))


def _bug_message(error: Exception) -> str:
    """A sentence by which users can report a bug in msoauth: the exception, and the lines where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{Path(step.filename).name}:{step.lineno}" for step in reversed(frames)]
    return _(
        "There is a fault in msoauth itself; please report it: {kind}: {words} ({places})"
    ).format(
        kind=type(error).__name__, words=redact(str(error), 500), places=" < ".join(places[:8])
    )
