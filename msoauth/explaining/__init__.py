"""Explains any error text: its cause, who can fix it, and how.

A text is normalized, searched for AADSTS codes, known phrases and other providers' marks, and the candidate with the highest weight
is the cause. Codes, phrases and remedies are data: the TOML files in ``catalogue``. "Facts" in comments and in the
catalogue are numbered sections in ``docs/facts``.
"""

from msoauth.explaining.account_facts import AccountFacts
from msoauth.explaining.batch import batch
from msoauth.explaining.explanation import (
    Explanation,
    commands_about,
    explain,
    explanation_with_roles,
    for_cause,
    of_finding,
    of_shared_problem,
    who_in_words,
)
from msoauth.explaining.load import Cause, causes

__all__ = [
    "AccountFacts",
    "Cause",
    "Explanation",
    "batch",
    "causes",
    "commands_about",
    "explain",
    "explanation_with_roles",
    "for_cause",
    "of_finding",
    "of_shared_problem",
    "who_in_words",
]
