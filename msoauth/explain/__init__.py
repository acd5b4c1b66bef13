"""Any error text → its cause, who can mend it, and how."""

import sys
import types

from msoauth.explain.batch import batch
from msoauth.explain.explanation import Explanation, explain, for_cause
from msoauth.explain.load import Cause, causes
from msoauth.explain.who import who_in_words

__all__ = ["Cause", "Explanation", "batch", "causes", "explain", "for_cause", "who_in_words"]


class _Room(types.ModuleType):
    """This room can be called like its main function, so that ``msoauth.explain(text)`` works beside imports."""

    def __call__(self, text: str) -> Explanation:
        return explain(text)


sys.modules[__name__].__class__ = _Room
