"""The workspace: firms, accounts, sealed secrets and tokens, and the journal, in one database."""

from msoauth.store.tokens import TokenStatus
from msoauth.store.vault import Secret
from msoauth.store.workspace import Workspace

__all__ = ["Secret", "TokenStatus", "Workspace"]
