"""Audits every account of every firm, many at once, and tells the status of each.

A firm is one customer's tenant with its app registration. "Facts" are numbered sections in ``docs/facts``.
"""

from msoauth.auditing.account import AccountResult
from msoauth.auditing.progress import Progress
from msoauth.auditing.run import Audit

__all__ = ["AccountResult", "Audit", "Progress"]
