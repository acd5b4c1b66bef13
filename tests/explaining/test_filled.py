"""What an explanation holds besides its cause: the firm's links, commands, ids, and the words it rests on."""

import json

import pytest

from msoauth.clouds import CHINA, US_GOV
from msoauth.explaining import explain, for_cause
from msoauth.model import Account, Firm

CLIENT = "11111111-2222-4333-8444-555555555555"
TENANT = "66666666-7777-4888-9999-aaaaaaaaaaaa"
FIRM = Firm("Contoso Legal", TENANT, CLIENT)
ANNA = Account("anna@contoso.example", "Contoso Legal")
DISABLED = (
    "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox."
)


def urls(cause: str, firm: Firm | None) -> str:
    return " ".join(one.url for one in for_cause(cause, firm=firm).links)


def test_links_lead_into_the_firms_own_app() -> None:
    assert f"/appId/{CLIENT}" in urls("secret-expired", FIRM)
    assert "ApplicationsListBlade" in urls("secret-expired", None)


def test_the_admin_consent_link_is_the_firms_own() -> None:
    wanted = f"https://login.microsoftonline.com/{TENANT}/adminconsent?client_id={CLIENT}"
    assert wanted in urls("admin-consent-required", FIRM).split()


@pytest.mark.parametrize(
    ("cloud", "portal", "authority"),
    [
        (US_GOV, "https://portal.azure.us/", US_GOV.authority),
        (CHINA, "https://portal.azure.cn/", CHINA.authority),
    ],
)
def test_links_lead_into_the_firms_cloud(cloud: object, portal: str, authority: str) -> None:
    firm = Firm("Contoso Legal", TENANT, CLIENT, cloud=cloud)  # type: ignore[arg-type]
    assert portal in urls("secret-expired", firm)
    assert authority in urls("admin-consent-required", firm)


def test_ids_that_are_none_cannot_leave_their_place_in_a_link() -> None:
    firm = Firm("Contoso Legal", "../evil?x=1#", 'a"><script>&x=/')
    for cause in ("admin-consent-required", "secret-expired"):
        found = urls(cause, firm)
        assert not set('"<>') & set(found)
        assert "../evil" not in found


def test_an_unknown_code_links_to_what_microsoft_says_of_it() -> None:
    known = explain("AADSTS9999998: something new. AADSTS9999999: and another.")
    assert known.cause == "unknown"
    assert [one.url for one in known.links[:2]] == [
        "https://login.microsoftonline.com/error?code=9999998",
        "https://login.microsoftonline.com/error?code=9999999",
    ]


def test_commands_name_the_mailbox() -> None:
    assert any(ANNA.address in line for line in explain(DISABLED, account=ANNA).powershell)


def test_a_mailbox_is_one_word_of_powershell_whatever_signs_it_has() -> None:
    odd = Account("o'brien;Remove-Mailbox $(x)@contoso.example", "Contoso Legal")
    lines = [line for line in explain(DISABLED, account=odd).powershell if "brien" in line]
    assert lines
    for line in lines:
        assert "'o''brien;Remove-Mailbox $(x)@contoso.example'" in line


def test_the_time_and_session_that_exchange_adds_are_found() -> None:
    ids = explain(
        f"{DISABLED} [FR2P281CA0011.DEUP281.PROD.OUTLOOK.COM 2026-02-03T10:11:12.345Z 08DD1A2B3C4D5E6F]"
    ).ids
    assert ids["session_id"] == "08DD1A2B3C4D5E6F"
    assert ids["timestamp"] == "2026-02-03T10:11:12.345Z"


def test_the_ids_are_those_of_the_failure_that_is_explained() -> None:
    early, late = (f"{digit * 8}-1111-4222-8333-444455556666" for digit in "ab")
    text = (
        f"10:00:01 AADSTS90033: A transient error has occurred. Trace ID: {early}\n"
        f"10:05:01 AADSTS7000222: The provided client secret keys are expired. Trace ID: {late}"
    )
    assert explain(text).cause == "secret-expired"
    assert explain(text).ids["trace_id"] == late


@pytest.mark.parametrize(
    "text",
    [
        f"Korrelations-ID: {TENANT} Zeitstempel: 2026-02-03 10:11:12Z AADSTS50126: Falsches Kennwort",
        json.dumps(
            {"error_codes": [50126], "correlation_id": TENANT, "timestamp": "2026-02-03 10:11:12Z"}
        ),
        f"client-request-id: {TENANT}\nTimestamp: 2026-02-03T10:11:12Z\nAADSTS50126",
    ],
)
def test_ids_are_found_under_their_many_names(text: str) -> None:
    ids = explain(text).ids
    assert ids["correlation_id"] == TENANT
    assert ids["timestamp"].startswith("2026-02-03")


def test_of_an_unknown_text_its_beginning_is_shown_and_nothing_is_sure() -> None:
    known = explain("The flux capacitor reports code 88 and stops.")
    assert (known.cause, known.confidence) == ("unknown", "unsure")
    assert known.evidence.startswith("The flux capacitor")


def test_no_sign_that_a_terminal_obeys_is_shown() -> None:
    known = explain(
        "\x1b]0;owned\x07\x1b[31m AADSTS50126: Error \x1b[2J validating \u202e credentials"
    )
    assert known.cause == "password-wrong"
    assert known.evidence.isprintable()


def test_of_a_heap_of_bytes_nothing_is_shown() -> None:
    assert explain("".join(map(chr, range(256))) * 20).evidence == ""


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        # sub-reasons decide
        (
            "535 5.7.139 Authentication unsuccessful, basic authentication is disabled.",
            "basic-auth-disabled",
        ),
        (
            "535 5.7.139 Authentication unsuccessful, the user credentials were incorrect.",
            "password-wrong",
        ),
        (
            '{"error":"invalid_grant","suberror":"basic_action","error_codes":[50076]}',
            "mfa-required",
        ),
        ('{"error":"interaction_required","suberror":"consent_required"}', "consent-required"),
        # what the server said, before the advice and the links around it
        (
            "AADSTS50105: not assigned. See https://learn.microsoft.com/aadsts53003 (not AADSTS53003)",
            "user-not-assigned",
        ),
        # the last attempt of a log
        (
            "09:00:01 AADSTS7000215: Invalid client secret provided.\n09:10:01 AADSTS65001: not consented.",
            "consent-required",
        ),
        # what happens now, before what happened earlier
        (
            "I used to get AADSTS7000222 (secret expired). Now it says AADSTS65001: not consented",
            "consent-required",
        ),
        # the newer mail, before the one that it answers
        (
            "AADSTS50126: wrong password.\n-----Original Message-----\nAADSTS7000222: expired keys",
            "password-wrong",
        ),
        # what the base64 of a challenge hides
        (
            "334 eyJzdGF0dXMiOiI0MDEiLCJzY2hlbWVzIjoiQmVhcmVyIiwic2NvcGUiOiJodHRwczovL291dGxvb2sub2ZmaWNlLmNvbSJ9",
            "mail-login-rejected",
        ),
    ],
)
def test_of_several_failures_the_one_that_counts_is_told(text: str, cause: str) -> None:
    assert explain(text).cause == cause


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a\n> AADSTS50126: Error\n> validating", "AADSTS50126"),
        (
            "I see\n> 535 5.7.139 Authentication unsuccessful, basic\n> authentication is disabled. [x]",
            "535 5.7.139 Authentication unsuccessful, basic\n> authentication is disabled",
        ),
        ("error_description=AADSTS7000222%3a+The+provided", "AADSTS7000222"),
        (
            "?error_description=No%20service%20found.%20Need+admin%20approval+Contoso+needs",
            "Need+admin%20approval",
        ),
        ("Clientgeheimnis ist\n abgelaufen", "Clientgeheimnis ist\n abgelaufen"),
        ("客户端密码已过期", "客户端密码已过期"),
    ],
)  # fmt: skip
def test_the_words_are_marked_where_they_stand_in_the_text_as_it_was_given(
    text: str, words: str
) -> None:
    span = explain(text).spans[0]
    assert text[span.start : span.end] == words


def test_an_explanation_names_its_possibilities_in_order() -> None:
    known = explain(DISABLED)
    assert [one.cause for one in known.possibilities] == [known.cause]
    assert known.possibilities[0].title == known.title
    assert (known.spans[0].kind, known.spans[0].owner) == ("reply", "microsoft")
    assert known.as_json()["possibilities"] == [{"cause": known.cause, "title": known.title}]
    assert explain("The printer is out of paper.").possibilities == ()
