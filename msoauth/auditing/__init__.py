"""Audits: every account of every firm, many at once, and how each stands."""

from msoauth.auditing.account import Looked
from msoauth.auditing.progress import Progress
from msoauth.auditing.run import Audit

__all__ = ["Audit", "Looked", "Progress"]
