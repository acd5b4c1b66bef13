"""The admin center: settings under Microsoft's names, changed by hand, seen by the next check."""

from msoauth.practice.admin.pages import routes

__all__ = ["routes"]
