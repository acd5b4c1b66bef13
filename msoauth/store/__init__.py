"""The workspace: firms, accounts, encrypted secrets and tokens, and the journal, in one database.

A firm is a law firm: one customer's Microsoft 365 tenant, and the app registration in it that signs in to mail.
"""

from msoauth.store.tokens import TokenStatus
from msoauth.store.vault import Secret
from msoauth.store.workspace import Workspace

__all__ = ["Secret", "TokenStatus", "Workspace"]
