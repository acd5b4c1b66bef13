"""Microsoft Graph of the practice tenant: reading apps, users, consent, licences and sign-ins."""

from msoauth.practice.graph.api import routes

__all__ = ["routes"]
