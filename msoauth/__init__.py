"""Set up, check and diagnose OAuth mail on Microsoft 365.

Public names are loaded when they are first used, so that ``import msoauth`` stays light::

    import msoauth

    with msoauth.Workspace.open() as ws:
        print(ws.firms)
        print(msoauth.diagnose(ws, "anna@contoso.example"))
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from msoauth import checks as checks
    from msoauth import practice as practice
    from msoauth import ui as ui
    from msoauth.api import AuditResult as AuditResult
    from msoauth.api import audit as audit
    from msoauth.api import check_firm as check_firm
    from msoauth.api import diagnose as diagnose
    from msoauth.api import explain as explain
    from msoauth.api import fetch as fetch
    from msoauth.api import iter_messages as iter_messages
    from msoauth.api import send_test as send_test
    from msoauth.api import sign_in as sign_in
    from msoauth.checks.run import run as run
    from msoauth.errors import MsoauthError as MsoauthError
    from msoauth.explaining import Explanation as Explanation
    from msoauth.findings import Findings as Findings
    from msoauth.model import Account as Account
    from msoauth.model import Finding as Finding
    from msoauth.model import Firm as Firm
    from msoauth.model import Signal as Signal
    from msoauth.store import Workspace as Workspace

from msoauth import logs as _logs

__version__ = "0.1.0"

_logs.protect()

_HOMES = {
    "Account": "msoauth.model",
    "AuditResult": "msoauth.api",
    "Explanation": "msoauth.explaining",
    "Finding": "msoauth.model",
    "Findings": "msoauth.findings",
    "Firm": "msoauth.model",
    "MsoauthError": "msoauth.errors",
    "Signal": "msoauth.model",
    "Workspace": "msoauth.store",
    "audit": "msoauth.api",
    "check_firm": "msoauth.api",
    "diagnose": "msoauth.api",
    "explain": "msoauth.api",
    "fetch": "msoauth.api",
    "iter_messages": "msoauth.api",
    "run": "msoauth.checks.run",
    "send_test": "msoauth.api",
    "sign_in": "msoauth.api",
}
_ROOMS = ("checks", "practice", "ui")  # packages that are public as such

__all__ = [
    "Account",
    "AuditResult",
    "Explanation",
    "Finding",
    "Findings",
    "Firm",
    "MsoauthError",
    "Signal",
    "Workspace",
    "__version__",
    "audit",
    "check_firm",
    "checks",
    "diagnose",
    "explain",
    "fetch",
    "iter_messages",
    "practice",
    "run",
    "send_test",
    "sign_in",
    "ui",
]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"msoauth.{name}")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'msoauth' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
