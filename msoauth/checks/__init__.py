"""The checks, and the one line of code that carries them out: ``run(checks, context)``."""

from msoauth.checks.mailbox import MAILBOX, ROUND_TRIP, SEND
from msoauth.checks.network import NETWORK
from msoauth.checks.newest import NEWEST
from msoauth.checks.registration import REGISTRATION
from msoauth.checks.run import Check, Context, Findings, first_broken, run, verdict
from msoauth.checks.signin import SIGN_IN

DIAGNOSE = (*NETWORK, *REGISTRATION, *SIGN_IN, *MAILBOX)

__all__ = [
    "DIAGNOSE",
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
    "first_broken",
    "run",
    "verdict",
]
