"""Audits: every account of every firm, many at once, and how each stands."""

from msoauth.auditing.account import AccountResult
from msoauth.auditing.progress import Progress
from msoauth.auditing.run import Audit

__all__ = ["AccountResult", "Audit", "Progress"]
