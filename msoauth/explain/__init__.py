"""Any error text → its cause, who can mend it, and how."""

from msoauth.explain.batch import batch
from msoauth.explain.explanation import Explanation, explain, for_cause
from msoauth.explain.load import Cause, causes

__all__ = ["Cause", "Explanation", "batch", "causes", "explain", "for_cause"]
