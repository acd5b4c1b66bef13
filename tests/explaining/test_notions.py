"""What no known wording tells: notions that meet in a sentence, and the claims of a token beside a refusal."""

import pytest

from msoauth.explaining import explain, explanation
from msoauth.explaining.load import Context, Rule, causes, contexts, notions, rules
from msoauth.explaining.notions import meant


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: f"{rule.cause}-{'-'.join(rule.needs)}")
def test_every_rule_tells_its_own_example(rule: Rule) -> None:
    assert rule.cause in causes()
    assert rule in [one.rule for one in meant(rule.example.lower(), ())]
    assert explain(rule.example).cause == rule.cause


def test_every_notion_is_written_as_texts_are_folded_and_is_used() -> None:
    used = {name for rule in rules() for name in (*rule.needs, *rule.without)}
    assert used == set(notions())
    for stems in notions().values():
        assert all(stem == stem.lower() and stem.strip() for stem in stems)
        assert any(stem.isascii() for stem in stems)  # else its pattern would begin with nothing


def test_signs_that_stand_without_blanks_are_found_beside_a_word() -> None:
    assert explain("提示refresh_token无效").cause == "refresh-revoked"


@pytest.mark.parametrize(
    "text",
    [
        "De toepassing staat klaar. Er is niets gevonden. De map is leeg.",
        "Your subclient secretary sends greetings",
        "Le proxy est en place. Une demande est requise.",
    ],
)
def test_notions_of_different_sentences_or_inside_words_make_no_cause(text: str) -> None:
    assert explain(text).cause == "unknown"


def test_known_words_decide_before_notions() -> None:
    text = "AADSTS53003: blocked. Le mot de passe a expiré : votre compte est verrouillé."
    assert explain(text).cause == "conditional-access"


def test_words_that_meet_by_chance_in_a_long_text_are_not_asked() -> None:
    text = "le secret client a été noté. " * 400 + "Le secret client a expiré"
    assert list(meant(text.lower(), ())) == []


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


@pytest.mark.parametrize("context", contexts(), ids=lambda one: f"{one.cause}-{one.becomes}")
def test_what_stands_around_a_reply_tells_more_than_the_reply(context: Context) -> None:
    assert {context.cause, context.becomes} <= set(causes())
    for words in (*context.beside, *context.also, *context.unless):
        assert words == words.lower()
    assert explain(context.example).cause == context.becomes
    for words in context.unless[:1]:
        assert explain(f"{context.example}\n{words}").cause != context.becomes
