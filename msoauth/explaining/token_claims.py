"""Detects a wrong audience or a missing scope in a text that shows an access token's claims and an error.

Sources: facts B5, E2.
"""

import re

# "scp": "IMAP.AccessAsUser.All User.Read", aud=https://graph.microsoft.com, roles: [IMAP.AccessAsApp]
_CLAIM = re.compile(
    r"\b(aud|audience|scp|roles)[\"']?\s?[:=]{1,2}\s?[\"'\[]{0,2}([^\"'\[\]{}]{3,900})"
)
_GRAPH = ("graph.microsoft.com", "00000003-0000-0000-c000-000000000000")
# Patterns of the service that rejected the token, with the permissions it accepts; the first match decides.
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
    """``audience-wrong`` or ``scope-missing`` with the span of the claims that show it; None if they show neither.

    Args:
        lowered: The text in lower case.
    """
    matches = list(_CLAIM.finditer(lowered))
    if not matches or not _REFUSED.search(lowered):
        return None
    claims = [(match[1], match[2]) for match in matches]
    start, end = matches[0].span()
    audiences = " ".join(value[:80] for name, value in claims if name.startswith("aud"))
    scopes = " ".join(value for name, value in claims if not name.startswith("aud"))
    other_text = lowered
    for _name, value in claims:
        other_text = other_text.replace(value, " ")
    for service, permissions in _SERVICES:
        if not service.search(other_text):
            continue
        is_mail = permissions != ("mail.send",)
        if is_mail and any(graph in audiences for graph in _GRAPH):
            return "audience-wrong", start, end
        if scopes and "default" not in scopes and not any(key in scopes for key in permissions):
            return "scope-missing", start, end
        return None
    return None
