"""The checks, and the one line of code that carries them out: ``run(checks, context)``."""

from msoauth.checks.directory import DIRECTORY as APP
from msoauth.checks.mailbox import MAILBOX, ROUND_TRIP, SEND, greet_ahead
from msoauth.checks.network import NETWORK
from msoauth.checks.newest import NEWEST
from msoauth.checks.people import USERS
from msoauth.checks.registration import REGISTRATION
from msoauth.checks.run import Check, Context, Findings, answer, run
from msoauth.checks.signin import SIGN_IN

DIRECTORY = (*APP, *USERS)  # with an administrator's sign-in only
DIAGNOSE = (*NETWORK, *REGISTRATION, *DIRECTORY, *SIGN_IN, *MAILBOX)

__all__ = [
    "DIAGNOSE",
    "DIRECTORY",
    "MAILBOX",
    "NETWORK",
    "NEWEST",
    "REGISTRATION",
    "ROUND_TRIP",
    "SEND",
    "SIGN_IN",
    "Check",
    "Context",
    "Findings",
    "answer",
    "greet_ahead",
    "run",
]
