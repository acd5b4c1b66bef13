"""Set up, check and diagnose OAuth mail on Microsoft 365.

Public names are loaded when they are first used, so that ``import msoauth`` stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from msoauth.auditing import audit as audit
    from msoauth.checks.run import run as run
    from msoauth.errors import MsoauthError as MsoauthError
    from msoauth.explaining import explain as explain
    from msoauth.model import Account as Account
    from msoauth.model import Finding as Finding
    from msoauth.model import Firm as Firm
    from msoauth.model import Signal as Signal
    from msoauth.store import Workspace as Workspace

__version__ = "0.1.0"

_HOMES = {
    "Account": "msoauth.model",
    "Finding": "msoauth.model",
    "Firm": "msoauth.model",
    "MsoauthError": "msoauth.errors",
    "Signal": "msoauth.model",
    "Workspace": "msoauth.store",
    "audit": "msoauth.auditing",
    "explain": "msoauth.explaining",
    "run": "msoauth.checks.run",
}

__all__ = [
    "Account",
    "Finding",
    "Firm",
    "MsoauthError",
    "Signal",
    "Workspace",
    "__version__",
    "audit",
    "explain",
    "run",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'msoauth' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value
