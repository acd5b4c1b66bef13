"""Microsoft Graph of the practice tenant: what an administrator's sign-in would show, to read."""

from msoauth.practice.graph.api import routes

__all__ = ["routes"]
