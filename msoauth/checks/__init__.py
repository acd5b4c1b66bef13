"""The checks, in groups, and the runner that carries them out: ``run(checks, context)``.

A firm is a law firm: one customer's tenant and app registration. Labels such as "facts B4" refer to docs/facts.
"""

from collections.abc import Iterable

from msoauth.checks.context import (
    Check,
    Context,
    Outcome,
    RunOptions,
    RunState,
)
from msoauth.checks.directory_app import APP_CHECKS
from msoauth.checks.directory_policies import POLICY_CHECKS
from msoauth.checks.directory_user import USER_CHECKS
from msoauth.checks.latest_message import LATEST_MESSAGE
from msoauth.checks.mailbox import (
    CONNECT,
    LOGIN_TO_RETRIEVE,
    LOGIN_TO_SEND,
    MAILBOX,
    ROUND_TRIP,
    SEND,
)
from msoauth.checks.network import NETWORK
from msoauth.checks.registration import REGISTRATION
from msoauth.checks.run import Threads, run
from msoauth.checks.signin import SIGN_IN
from msoauth.judgement import AnAnswer

DIRECTORY = (*APP_CHECKS, *USER_CHECKS, *POLICY_CHECKS)  # only with an administrator's sign-in
DIAGNOSE = (*NETWORK, *REGISTRATION, *DIRECTORY, *SIGN_IN, *MAILBOX)
_POSITIONS = {
    check.id: n for n, check in enumerate((*DIAGNOSE, *LATEST_MESSAGE, *SEND, *ROUND_TRIP))
}


def in_order(answers: Iterable[AnAnswer]) -> list[AnAnswer]:
    """Sort *answers* in the order of a diagnosis, in which causes come before effects; unknown checks come last.

    >>> found = msoauth.diagnose(ws, "anna.lindqvist@contoso.example", progress=False)
    >>> msoauth.checks.in_order(reversed(found)) == list(found)
    True
    """
    return sorted(answers, key=lambda a: (_POSITIONS.get(a.check, len(_POSITIONS)), a.check))


__all__ = [
    "CONNECT",
    "DIAGNOSE",
    "DIRECTORY",
    "LATEST_MESSAGE",
    "LOGIN_TO_RETRIEVE",
    "LOGIN_TO_SEND",
    "MAILBOX",
    "NETWORK",
    "REGISTRATION",
    "ROUND_TRIP",
    "SEND",
    "SIGN_IN",
    "Check",
    "Context",
    "Outcome",
    "RunOptions",
    "RunState",
    "Threads",
    "in_order",
    "run",
]
