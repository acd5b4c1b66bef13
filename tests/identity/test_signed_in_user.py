"""Who signed in, compared with the mailbox that is being set up."""

import base64
import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from msoauth.checks import SIGN_IN, Context, run
from msoauth.errors import AuthError
from msoauth.identity import access_tokens, administrator, entra_links
from msoauth.model import Account, Finding, Signal
from tests.identity.authority import CLIENT, TENANT, Answer, Authority, Form
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


def test_another_account_is_not_taken_for_a_renamed_one_whose_id_is_not_known(
    office: Office, authority: Authority
) -> None:
    workspace, anna = office.workspace, office.anna
    workspace.tokens.save(anna, "{}", signed_in_as=anna.address)  # by an earlier version
    authority.user = "max@contoso.example"
    with pytest.raises(AuthError) as told:
        office.sign_in()
    assert told.value.cause == "account-wrong"
    assert workspace.accounts.get(anna.address) == anna
    assert workspace.tokens.load(anna.address) == "{}"


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


def without_id_token(authority: Authority, access_token: str | None = None) -> None:
    def grant(form: Form) -> Answer:
        answer = Authority.grant(authority, form)
        assert isinstance(answer.body, dict)
        del answer.body["id_token"]
        answer.body["access_token"] = access_token or answer.body["access_token"]
        return answer

    authority.token = grant


def jwt(**claims: object) -> str:
    """An access token that anybody could have written: nobody verifies its signature."""
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"e30.{body}.x"


@pytest.mark.parametrize("access_token", [None, jwt(upn="anna@contoso.example", tid=TENANT)])
def test_without_an_id_token_nobody_is_taken_for_right(
    office: Office, authority: Authority, access_token: str | None
) -> None:
    without_id_token(authority, access_token)
    with pytest.raises(AuthError, match="somebody without a name signed in"):
        office.sign_in()
    assert office.workspace.tokens.status(office.anna.address) is None


OTHER_DIRECTORY = "99999999-4e5f-4a6b-8c7d-9e0f1a2b3c4d"


@pytest.mark.parametrize(
    ("identity", "cause", "said"),
    [
        ({"aud": "99999999-4e5f-4a6b-8c7d-9e0f1a2b3c4d"}, "state-mismatch", "another app"),
        ({"aud": ["one", "two"]}, "state-mismatch", "another app"),
        ({"aud": None}, "state-mismatch", "another app"),
        ({"tid": OTHER_DIRECTORY}, "user-external", OTHER_DIRECTORY),
        ({"tid": None}, "user-external", "another directory"),
        ({"tid": None, "iss": "https://evil.example/v2.0"}, "user-external", "evil.example"),
    ],
)
@pytest.mark.parametrize("tenant", [TENANT, "contoso.example"])
def test_an_id_token_of_another_app_or_directory_counts_for_nothing(
    office: Office,
    authority: Authority,
    identity: dict[str, object],
    cause: str,
    said: str,
    tenant: str,
) -> None:
    office.workspace.firms.replace(replace(office.firm, tenant=tenant))
    authority.identity = identity
    with pytest.raises(AuthError, match=re.escape(said)) as told:
        office.sign_in()
    assert told.value.cause == cause
    assert office.workspace.tokens.status(office.anna.address) is None


@pytest.mark.parametrize("tenant", [TENANT.upper(), "contoso.example"])
def test_the_directory_is_the_one_that_the_metadata_names(
    office: Office, authority: Authority, tenant: str
) -> None:
    office.workspace.firms.replace(replace(office.firm, tenant=tenant))
    authority.identity = {"aud": [CLIENT.upper()], "tid": TENANT.upper()}
    assert office.sign_in().signed_in_as == office.anna.address


def test_a_tenant_that_stands_for_any_directory_identifies_nobody(office: Office) -> None:
    office.workspace.firms.replace(replace(office.firm, tenant="common"))
    with pytest.raises(AuthError, match="“common” stands for any directory") as told:
        office.sign_in()
    assert told.value.cause == "app-not-multitenant"
    assert office.workspace.tokens.status(office.anna.address) is None


def test_a_server_without_tid_is_known_by_its_issuer(office: Office, authority: Authority) -> None:
    authority.identity = {"tid": None, "iss": f"{authority.base}{TENANT}/v2.0"}
    assert office.sign_in().signed_in_as == office.anna.address


def test_a_renewal_for_another_directory_is_refused_and_not_stored(
    office: Office, authority: Authority
) -> None:
    office.sign_in()
    kept = office.workspace.tokens.load(office.anna.address)
    authority.identity = {"tid": OTHER_DIRECTORY}
    with pytest.raises(AuthError) as told:
        access_tokens.access_token(office.workspace, office.anna, force=True)
    assert told.value.cause == "user-external"
    assert office.workspace.tokens.load(office.anna.address) == kept


def user_finding(office: Office) -> Finding:
    """What the check says whose token it is."""
    known = [Finding(need, Signal.PASSED, "") for need in ("registration.secret",)]
    context = Context(office.workspace, office.firm, office.anna)
    found = {finding.check: finding for finding in run(SIGN_IN, context, known=known)}
    return found["sign-in.user"]


def test_the_check_takes_the_user_from_the_id_token(office: Office, authority: Authority) -> None:
    office.sign_in()
    assert user_finding(office).signal is Signal.PASSED
    granted = authority.grant

    def lie(form: Form) -> Answer:
        answer = granted(form)
        assert isinstance(answer.body, dict)
        answer.body["access_token"] = jwt(upn=office.anna.address, aud="https://outlook.office.com")
        return answer

    authority.token = lie
    authority.user = "max@contoso.example"
    finding = user_finding(office)
    assert (finding.signal, finding.cause) == (Signal.FAILED, "account-wrong")
    assert "max@contoso.example" in finding.summary


def test_the_administrator_is_one_of_the_firms_directory(
    office: Office, authority: Authority
) -> None:
    for identity, cause in ((OTHER_DIRECTORY, "user-external"), (TENANT, "")):
        authority.identity = {"tid": identity}
        attempt = administrator.start(office.workspace, office.firm, "browser", open_browser=False)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(attempt.wait, 20)
            authority.come_back(attempt)
            if cause:
                with pytest.raises(AuthError) as told:
                    waiting.result()
                assert told.value.cause == cause
            else:
                assert waiting.result().signed_in_as == authority.user


def test_the_sign_out_page_is_that_of_the_firms_directory(office: Office) -> None:
    link = entra_links.sign_out_link(office.firm)
    assert link.startswith(f"{office.firm.authority}/oauth2/v2.0/logout?")
    assert office.firm.client_id in link
