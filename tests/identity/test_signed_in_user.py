"""Who signed in, compared with the mailbox that is being set up."""

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from msoauth.errors import AuthError
from msoauth.identity import access_tokens, entra_links
from msoauth.model import Account
from tests.identity.authority import Answer, Authority, Form
from tests.identity.conftest import Office


def test_another_account_is_named_and_nothing_is_stored(
    office: Office, authority: Authority
) -> None:
    authority.user = "max@contoso.example"
    with pytest.raises(AuthError, match=r"max@contoso\.example signed in, but anna@") as told:
        office.sign_in()
    assert told.value.cause == "account-wrong"
    assert office.workspace.tokens.status(office.anna.address) is None
    assert office.workspace.tokens.load(office.anna.address) is None


def test_another_account_does_not_undo_a_sign_in_that_was_right(
    office: Office, authority: Authority
) -> None:
    office.sign_in()
    kept = office.workspace.tokens.load(office.anna.address)
    authority.user = "max@contoso.example"
    with pytest.raises(AuthError):
        office.sign_in()
    assert office.workspace.tokens.load(office.anna.address) == kept


def test_use_another_account_asks_for_name_and_password_whatever_the_browser_knows(
    office: Office,
) -> None:
    first = office.start()
    another = office.start(force_prompt=True)
    for attempt in (first, another):
        attempt.cancel()
    asked = parse_qs(urlsplit(another.url).query)
    assert parse_qs(urlsplit(first.url).query)["prompt"] == ["select_account"]
    assert (asked["prompt"], asked["login_hint"]) == (["login"], [office.anna.address])


def test_upper_and_lower_case_are_the_same_user(office: Office, authority: Authority) -> None:
    authority.user = "Anna@Contoso.Example"
    assert office.sign_in().signed_in_as == "Anna@Contoso.Example"


@pytest.mark.parametrize(
    "me",
    [
        {"userPrincipalName": "a.mueller@contoso.example", "mail": "Anna@contoso.example"},
        {"proxyAddresses": ["SMTP:office@contoso.example", "smtp:ANNA@contoso.example"]},
    ],
)
def test_an_alias_that_graph_shows_is_the_same_person_and_the_sign_in_name_is_kept(
    office: Office, authority: Authority, me: dict[str, object]
) -> None:
    authority.user = "a.mueller@contoso.example"
    authority.graph = lambda _form: Answer(me)
    assert office.sign_in().signed_in_as == "a.mueller@contoso.example"
    kept = office.workspace.accounts.get(office.anna.address)
    assert kept.login == "a.mueller@contoso.example"
    assert access_tokens.access_token(office.workspace, kept, force=True).value.startswith(
        "access-token"
    )


@pytest.mark.parametrize(
    "graph",
    [
        Answer({"error": {"code": "Forbidden"}}, 403),
        Answer("<html>", 200),
        Answer("[]"),
        Answer({"proxyAddresses": None, "mail": None}),
        Answer({"proxyAddresses": ["X500:/o=x", 7], "otherMails": ["anna@contoso.example"]}),
    ],
)
def test_where_graph_shows_no_such_alias_the_sign_in_name_decides(
    office: Office, authority: Authority, graph: Answer
) -> None:
    authority.user = "max@contoso.example"
    authority.graph = lambda _form: graph
    with pytest.raises(AuthError) as told:
        office.sign_in()
    assert told.value.cause == "account-wrong"


def test_a_shared_mailbox_is_signed_in_to_by_the_user_whom_the_account_names(
    office: Office, authority: Authority
) -> None:
    shared = Account("office@contoso.example", "Contoso", login="anna@contoso.example")
    office.workspace.accounts.add(shared)
    there = replace(office, anna=shared)
    assert there.sign_in().signed_in_as == "anna@contoso.example"
    assert office.workspace.tokens.status(shared.address) is not None
    authority.user = "office@contoso.example"  # the mailbox itself is not who was named
    with pytest.raises(AuthError):
        there.sign_in()


def test_without_an_id_token_the_access_token_tells_or_nobody_is_taken_for_right(
    office: Office, authority: Authority
) -> None:
    def nameless(form: Form) -> Answer:
        answer = authority.grant(form)
        assert isinstance(answer.body, dict)
        del answer.body["id_token"]
        return answer

    authority.token = nameless
    with pytest.raises(AuthError, match="somebody without a name signed in"):
        office.sign_in()


def test_the_sign_out_page_is_that_of_the_firms_directory(office: Office) -> None:
    link = entra_links.sign_out_link(office.firm)
    assert link.startswith(f"{office.firm.authority}/oauth2/v2.0/logout?")
    assert office.firm.client_id in link
