"""Finds a wrong audience or a missing scope where a text shows an access token's claims beside a refusal.

Sources: facts B5, E2.
"""

import re

# "scp": "IMAP.AccessAsUser.All User.Read", aud=https://graph.microsoft.com, roles: [IMAP.AccessAsApp]
_CLAIM = re.compile(
    r"\b(aud|audience|scp|roles)[\"']?\s?[:=]{1,2}\s?[\"'\[]{0,2}([^\"'\[\]{}]{3,900})"
)
_GRAPH = ("graph.microsoft.com", "00000003-0000-0000-c000-000000000000")
# Patterns for the service that refused, with the permissions it accepts; the first that matches is taken.
_SERVICES = (
    (re.compile(r"sendmail|send[ -]mail|/send\b"), ("mail.send",)),
    (re.compile(r"\bimap|\bauthenticate xoauth2|\bno authenticate"), ("imap.access",)),
    (re.compile(r"\bpop3?\b|-err "), ("pop.access",)),
    (re.compile(r"\bsmtp|\b535\b"), ("smtp.send",)),
)
_REFUSED = re.compile(
    r"denied|fail|refus|reject|forbidden|unauthori|unsuccessful|\b40[13]\b|-err|\bno authenticate"
)


def cause_from_claims(lowered: str) -> tuple[str, int, int] | None:
    """``audience-wrong`` or ``scope-missing`` with the span of the claims that show it; None when they show neither.

    Args:
        lowered: The text in lower case.
    """
    found = list(_CLAIM.finditer(lowered))
    if not found or not _REFUSED.search(lowered):
        return None
    claims = [(match[1], match[2]) for match in found]
    start, end = found[0].span()
    audience = " ".join(value[:80] for name, value in claims if name.startswith("aud"))
    granted = " ".join(value for name, value in claims if not name.startswith("aud"))
    outside = lowered
    for _name, value in claims:
        outside = outside.replace(value, " ")
    for service, permissions in _SERVICES:
        if not service.search(outside):
            continue
        is_mail = permissions != ("mail.send",)
        if is_mail and any(graph in audience for graph in _GRAPH):
            return "audience-wrong", start, end
        if granted and "default" not in granted and not any(key in granted for key in permissions):
            return "scope-missing", start, end
        return None
    return None
