"""Causes without a known phrase: keywords in one sentence, words around a reply, and token claims beside a refusal."""

import pytest

from msoauth.explaining import explain, explanation
from msoauth.explaining.keyword_rules import match_rules
from msoauth.explaining.load import (
    ContextRule,
    KeywordRule,
    causes,
    context_rules,
    keyword_groups,
    keyword_rules,
)


def no_remark(offset: int) -> None:
    """Nothing in these texts is a remark."""


@pytest.mark.parametrize(
    "rule", keyword_rules(), ids=lambda rule: f"{rule.cause}-{'-'.join(rule.needs)}"
)
def test_every_rule_explains_its_own_example(rule: KeywordRule) -> None:
    assert rule.cause in causes()
    assert rule in [one.rule for one in match_rules(rule.example.lower(), no_remark)]
    assert explain(rule.example).cause == rule.cause


def test_every_keyword_is_in_lower_case_and_its_group_is_used() -> None:
    used = {name for rule in keyword_rules() for name in (*rule.needs, *rule.without)}
    assert used == set(keyword_groups())
    for stems in keyword_groups().values():
        assert all(stem == stem.lower() and stem.strip() for stem in stems)
        assert any(stem.isascii() for stem in stems)  # else its pattern would begin with nothing


def test_keywords_of_scripts_without_spaces_are_found_beside_a_word() -> None:
    assert explain("提示refresh_token无效").cause == "refresh-revoked"


@pytest.mark.parametrize(
    "text",
    [
        "De toepassing staat klaar. Er is niets gevonden. De map is leeg.",
        "Your subclient secretary sends greetings",
        "Le proxy est en place. Une demande est requise.",
    ],
)
def test_keywords_of_different_sentences_or_inside_words_make_no_cause(text: str) -> None:
    assert explain(text).cause == "unknown"


def test_known_phrases_decide_before_keywords() -> None:
    text = "AADSTS53003: blocked. Le mot de passe a expiré : votre compte est verrouillé."
    assert explain(text).cause == "conditional-access"


def test_keyword_rules_are_not_applied_to_long_texts() -> None:
    text = "le secret client a été noté. " * 400 + "Le secret client a expiré"
    assert list(match_rules(text.lower(), no_remark)) == []


SHOWN = '"aud": "{audience}", "scp": "{scope}"\n{dialogue}'
IMAP = "C: A1 AUTHENTICATE XOAUTH2 (hidden)\nS: A1 NO AUTHENTICATE failed. (imap)"
SMTP = "C: AUTH XOAUTH2 (hidden)\nS: 535 5.7.3 Authentication unsuccessful [PROD.OUTLOOK.COM]"
OUTLOOK, GRAPH = "https://outlook.office365.com", "https://graph.microsoft.com"


@pytest.mark.parametrize(
    ("audience", "scope", "dialogue", "cause"),
    [
        (GRAPH, "IMAP.AccessAsUser.All", IMAP, "audience-wrong"),
        ("00000003-0000-0000-c000-000000000000", "SMTP.Send", SMTP, "audience-wrong"),
        (OUTLOOK, "IMAP.AccessAsUser.All", SMTP, "scope-missing"),
        (OUTLOOK, "SMTP.Send", IMAP, "scope-missing"),
        (OUTLOOK, "IMAP.AccessAsUser.All", IMAP, "mail-login-rejected"),
        (OUTLOOK, "SMTP.Send", SMTP, "mail-login-rejected"),
        (GRAPH, "User.Read", "POST /me/sendMail 403 Forbidden", "scope-missing"),
        (GRAPH, "Mail.Send", "POST /me/sendMail 403 Forbidden", "graph-forbidden"),
        (OUTLOOK, "IMAP.AccessAsUser.All", "imap: 12 messages", "unknown"),
        (
            GRAPH,
            "User.Read",
            "535 5.7.139 basic authentication is disabled.",
            "basic-auth-disabled",
        ),
    ],
)
def test_the_claims_of_the_token_tell_why_it_was_refused(
    audience: str, scope: str, dialogue: str, cause: str
) -> None:
    text = SHOWN.format(audience=audience, scope=scope, dialogue=dialogue)
    known = explanation.explain(text)
    assert known.cause == cause
    if cause in ("audience-wrong", "scope-missing"):
        assert known.evidence


@pytest.mark.parametrize("context", context_rules(), ids=lambda one: f"{one.cause}-{one.becomes}")
def test_what_stands_around_a_reply_tells_more_than_the_reply(context: ContextRule) -> None:
    assert {context.cause, context.becomes} <= set(causes())
    for words in (*context.beside, *context.also, *context.unless):
        assert words == words.lower()
    assert explain(context.example).cause == context.becomes
    for words in context.unless[:1]:
        assert explain(f"{context.example}\n{words}").cause != context.becomes
