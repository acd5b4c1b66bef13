"""Reads a tenant's configuration from Microsoft Graph with an administrator's token; changes nothing (facts G).

A :class:`Graph` keeps the token in memory only. Graph does not have a mailbox's SMTP AUTH, POP and IMAP settings: only
Exchange PowerShell shows them (facts G1). "Facts" are numbered sections in ``docs/facts``.
"""

from msoauth.graph.objects import (
    Application,
    Assignment,
    DirectoryUser,
    Grant,
    Recipient,
    SecretEntry,
    ServicePrincipal,
    SignInEntry,
)
from msoauth.graph.policies import ConsentPolicy, ConsentRequest, SecretRules, UserConsent
from msoauth.graph.reader import Graph

EXCHANGE_APP_ID = "00000002-0000-0ff1-ce00-000000000000"
GRAPH_APP_ID = "00000003-0000-0000-c000-000000000000"

__all__ = [
    "EXCHANGE_APP_ID",
    "GRAPH_APP_ID",
    "Application",
    "Assignment",
    "ConsentPolicy",
    "ConsentRequest",
    "DirectoryUser",
    "Grant",
    "Graph",
    "Recipient",
    "SecretEntry",
    "SecretRules",
    "ServicePrincipal",
    "SignInEntry",
    "UserConsent",
]
