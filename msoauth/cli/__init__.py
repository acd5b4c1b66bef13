"""The command line: the root command, its global options, and the exit status for every kind of failure."""

import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from msoauth import __version__
from msoauth.cli import (
    accounts,
    audit,
    diagnosis,
    firm_access,
    firms,
    mail,
    practice,
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
    say_on_stderr,
    utf8_streams,
)
from msoauth.errors import AuthError, InputError, MailError, MsoauthError
from msoauth.redact import redact
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
# In the order of the help.
for owner, name, command in (
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
):
    owner.command(name)(command)
usage.use_command_classes(app)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"msoauth {__version__}")
        raise typer.Exit


def _language(context: typer.Context, wanted: str | None) -> str | None:
    """Set the language before anything is printed, the help included."""
    if wanted is not None and wanted.lower() not in LANGUAGES:
        raise InputError(_("--lang: “{text}” is neither en nor de.").format(text=wanted[:40]))
    use_language(wanted or "en")
    usage.translate(context.command)
    return wanted


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
    version: Annotated[  # noqa: ARG001 - acts in its callback
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    context.obj = Settings(workspace=workspace, lang=lang and language())


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 nothing red, 1 failed, 2 wrong usage, 3 could not be checked, 130 interrupted."""
    utf8_streams()
    command = typer.main.get_command(app)
    status: object
    try:
        status = command.main(args=arguments, prog_name="msoauth", standalone_mode=False)
    except usage.UsageError as wrong:
        _say_usage_error(wrong)
        status = EXIT_USAGE
    except usage.CommandError as wrong:
        say_on_stderr(usage.error_message(wrong))
        status = EXIT_USAGE
    except (typer.Abort, KeyboardInterrupt):
        if sys.stderr.isatty():
            print(file=sys.stderr)  # after the line on which the terminal shows ^C
        say_on_stderr(_("Interrupted."))
        status = EXIT_INTERRUPTED
    except (AuthError, MailError) as refused:
        status = print_failure(refused, as_json=True)
    except MsoauthError as failure:
        say_on_stderr(redact(failure.summary))
        status = EXIT_USAGE
    except SystemExit:
        # typer raises it when the reader (head, a closed pager) has gone; there is nobody left to tell.
        status = EXIT_INTERRUPTED
    except OSError as trouble:
        say_on_stderr(
            _("This could not be carried out: {reason}.").format(
                reason=": ".join(filter(None, (trouble.filename, trouble.strerror or str(trouble))))
            )
        )
        status = EXIT_USAGE
    except Exception as fault:  # noqa: BLE001 - people get a sentence, and no secret shows
        say_on_stderr(_fault(fault))
        status = EXIT_ERROR
    sys.exit(status if isinstance(status, int) else 0)


def _say_usage_error(wrong: Exception) -> None:
    problem = usage.error_message(wrong)
    if not problem:  # nothing was asked for, and the help has been shown
        return
    context = getattr(wrong, "ctx", None)
    where = context.command_path if context else "msoauth"
    say_on_stderr(_("{problem} Help: {command} --help").format(problem=problem, command=where))


def _fault(fault: Exception) -> str:
    """A bug in msoauth as one sentence to report: the exception, and the lines where it was raised."""
    steps = traceback.extract_tb(fault.__traceback__)
    places = [f"{Path(step.filename).name}:{step.lineno}" for step in reversed(steps)]
    return _(
        "There is a fault in msoauth itself; please report it: {kind}: {words} ({places})"
    ).format(
        kind=type(fault).__name__, words=redact(str(fault))[:500], places=" < ".join(places[:8])
    )
