"""What the claims of an access token, shown in a text beside a refusal, say of the reason (facts B5, E2)."""

import re

# "scp": "IMAP.AccessAsUser.All User.Read", aud=https://graph.microsoft.com, roles: [IMAP.AccessAsApp]
_CLAIM = re.compile(
    r"\b(aud|audience|scp|roles)[\"']?\s?[:=]{1,2}\s?[\"'\[]{0,2}([^\"'\[\]{}]{3,900})"
)
_GRAPH = ("graph.microsoft.com", "00000003-0000-0000-c000-000000000000")
# What does the refusing, by what the text speaks of, and the permissions that let one through.
_DOORS = (
    (re.compile(r"sendmail|send[ -]mail|/send\b"), ("mail.send",)),
    (re.compile(r"\bimap|\bauthenticate xoauth2|\bno authenticate"), ("imap.access",)),
    (re.compile(r"\bpop3?\b|-err "), ("pop.access",)),
    (re.compile(r"\bsmtp|\b535\b"), ("smtp.send",)),
)
_REFUSED = re.compile(
    r"denied|fail|refus|reject|forbidden|unauthori|unsuccessful|\b40[13]\b|-err|\bno authenticate"
)


def of_a_token(folded: str) -> tuple[str, int, int] | None:
    """``audience-wrong`` or ``scope-missing`` where the claims in *folded* (lower case) tell of it, and their place."""
    found = list(_CLAIM.finditer(folded))
    if not found or not _REFUSED.search(folded):
        return None
    claims = [(match[1], match[2]) for match in found]
    start, end = found[0].span()
    audience = " ".join(value[:80] for name, value in claims if name.startswith("aud"))
    granted = " ".join(value for name, value in claims if not name.startswith("aud"))
    outside = folded
    for _name, value in claims:
        outside = outside.replace(value, " ")
    for door, keys in _DOORS:
        if not door.search(outside):
            continue
        by_mail = keys != ("mail.send",)
        if by_mail and any(graph in audience for graph in _GRAPH):
            return "audience-wrong", start, end
        if granted and "default" not in granted and not any(key in granted for key in keys):
            return "scope-missing", start, end
        return None
    return None
