"""Any error text → its cause, who can mend it, and how."""

from msoauth.explaining.batch import batch
from msoauth.explaining.explanation import Explanation, explain, for_cause
from msoauth.explaining.load import Cause, causes
from msoauth.explaining.who import who_in_words

__all__ = ["Cause", "Explanation", "batch", "causes", "explain", "for_cause", "who_in_words"]
