"""Renewals: what ends a grant, what only passes, and what nobody may lose."""

import json
import time

import pytest

from msoauth.errors import AuthError
from msoauth.identity import access_tokens, sign_in_history, signin
from msoauth.model import Account
from tests.identity.authority import SECRET, Answer, Authority, refused
from tests.identity.conftest import Office

REVOKED = refused(
    "invalid_grant",
    "AADSTS50173: The provided grant has expired due to it being revoked, a fresh auth token is needed.",
    error_codes=[50173],
)


def renew(office: Office) -> access_tokens.AccessToken:
    account = office.workspace.accounts.get(office.anna.address)
    return access_tokens.access_token(office.workspace, account, force=True)


def test_a_good_token_comes_from_the_cache_without_a_request(
    office: Office, authority: Authority
) -> None:
    office.sign_in()
    asked = len(authority.asked)
    first = access_tokens.access_token(office.workspace, office.anna)
    assert access_tokens.access_token(office.workspace, office.anna).value == first.value
    assert len(authority.asked) == asked
    assert renew(office).value != first.value
    assert authority.asked[-1]["grant_type"] == "refresh_token"


def test_each_renewal_goes_on_from_the_newest_refresh_token(
    office: Office, authority: Authority
) -> None:
    office.sign_in()
    for _turn in range(3):
        renew(office)
    used = [form["refresh_token"] for form in authority.asked[1:]]
    assert len(set(used)) == 3
    assert used == sorted(used)


def test_accounts_that_one_thread_renews_in_turn_keep_their_tokens_apart(
    office: Office, authority: Authority
) -> None:
    ben = Account("ben@contoso.example", office.firm.name)
    office.workspace.accounts.add(ben)
    office.sign_in()
    authority.user = ben.address
    attempt = signin.start(office.workspace, ben, "browser", open_browser=False)
    office.finish(attempt, lambda waiting: authority.come_back(waiting))
    for _turn in range(2):
        for account in (office.anna, ben):
            authority.user = account.address
            access_tokens.access_token(office.workspace, account, force=True)
    homes = []
    for account in (office.anna, ben):
        cache = json.loads(office.workspace.tokens.load(account.address) or "")
        homes.append({entry["home_account_id"] for entry in cache["RefreshToken"].values()})
    assert [len(home) for home in homes] == [1, 1]
    assert homes[0] != homes[1]


def test_after_a_mend_the_authority_is_asked_anew(office: Office, authority: Authority) -> None:
    """Msal itself would repeat the old refusal for a minute (facts H7)."""
    office.sign_in()
    authority.token = lambda _form: REVOKED
    with pytest.raises(AuthError) as told:
        renew(office)
    assert (told.value.cause, told.value.retriable) == ("refresh-revoked", False)
    assert told.value.ids["correlation_id"]
    authority.token = authority.grant
    assert renew(office).value.startswith("access-token")


@pytest.mark.parametrize(
    ("answer", "cause", "wait"),
    [
        (Answer({"error": "too_many"}, 429, {"Retry-After": "17"}), "throttled", 17.0),
        (Answer("slow down", 429, {"Retry-After": "3"}), "throttled", 3.0),
        (Answer("<html>Bad Gateway</html>", 502), "service-unavailable", None),
        (
            Answer({"error": "server_error", "error_description": "AADSTS50000: x"}, 503),
            "service-unavailable",
            None,
        ),
        (
            refused(
                "temporarily_unavailable",
                "AADSTS90033: A transient error has occurred.",
                error_codes=[90033],
            ),
            "service-unavailable",
            None,
        ),
    ],
)
def test_what_passes_by_itself_is_for_now_and_the_next_try_works(
    office: Office, authority: Authority, answer: Answer, cause: str, wait: float | None
) -> None:
    office.sign_in()
    authority.token = lambda _form: answer
    with pytest.raises(AuthError) as told:
        renew(office)
    assert (told.value.cause, told.value.retriable) == (cause, True)
    assert told.value.retry_after == wait
    authority.token = authority.grant
    assert renew(office).value.startswith("access-token")


def test_a_date_in_retry_after_is_understood(office: Office, authority: Authority) -> None:
    office.sign_in()
    soon = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 120))
    authority.token = lambda _form: Answer("x", 429, {"Retry-After": soon})
    with pytest.raises(AuthError) as told:
        renew(office)
    assert told.value.retry_after is not None
    assert 60 < told.value.retry_after < 125


def test_a_network_that_is_down_is_for_now(office: Office, authority: Authority) -> None:
    office.sign_in()
    authority.close()
    with pytest.raises(AuthError) as told:
        renew(office)
    assert told.value.retriable
    assert told.value.cause in ("connect-refused", "connect-timeout")
    assert office.workspace.tokens.status(office.anna.address) is not None


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer("not json at all"), "is not what a sign-in service sends"),
        (Answer("<html>proxy</html>", 407), "is not what a sign-in service sends"),
        (Answer("[]"), "is not what a sign-in service sends"),
        (Answer({}), "no token that can be read"),
        (Answer({"access_token": None}), "no token that can be read"),
        (Answer({"access_token": "x", "id_token": "garbage"}), "no token that can be read"),
        (Answer({"access_token": "x", "client_info": "garbage!"}), "no token that can be read"),
    ],
)
def test_an_answer_that_is_none_is_told_in_a_sentence(
    office: Office, authority: Authority, answer: Answer, said: str
) -> None:
    authority.token = lambda _form: answer
    with pytest.raises(AuthError, match=said):
        office.sign_in()
    assert office.workspace.tokens.status(office.anna.address) is None
    authority.token = authority.grant
    office.sign_in()
    kept = office.workspace.tokens.load(office.anna.address)
    authority.token = lambda _form: answer
    with pytest.raises(AuthError):
        renew(office)
    assert office.workspace.tokens.load(office.anna.address) == kept


def test_no_refresh_token_is_warned_of(office: Office, authority: Authority) -> None:
    def short(form: dict[str, str]) -> Answer:
        answer = authority.grant(form)
        assert isinstance(answer.body, dict)
        del answer.body["refresh_token"]
        return answer

    authority.token = short
    assert "stop working in about an hour" in office.sign_in().warning
    with pytest.raises(AuthError, match="sign in again") as told:
        renew(office)
    assert told.value.cause == "offline-access-missing"


@pytest.mark.parametrize(("hours", "said"), [(3, "180 minutes behind"), (-3, "180 minutes ahead")])
def test_a_clock_that_is_wrong_by_hours_is_told_and_stops_nothing(
    office: Office, authority: Authority, hours: int, said: str
) -> None:
    authority.clock = hours * 3600.0
    assert said in office.sign_in().warning
    assert access_tokens.access_token(office.workspace, office.anna).value.startswith(
        "access-token"
    )


def test_a_token_got_while_the_clock_was_ahead_is_renewed(
    office: Office, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.time
    with monkeypatch.context() as ahead:
        ahead.setattr(time, "time", lambda: real() + 5 * 3600)
        office.sign_in()
    old = len(authority.asked)
    access_tokens.access_token(office.workspace, office.anna)
    assert len(authority.asked) == old + 1


def test_a_claims_challenge_is_kept_and_passed_on(office: Office, authority: Authority) -> None:
    office.sign_in()
    claims = '{"access_token":{"capolids":{"essential":true,"values":["a-policy"]}}}'
    authority.token = lambda _form: refused(
        "interaction_required",
        "AADSTS50076: you must use multi-factor authentication to access",
        error_codes=[50076],
        suberror="basic_action",
        claims=claims,
    )
    with pytest.raises(AuthError) as told:
        renew(office)
    assert (told.value.cause, told.value.retriable) == ("mfa-required", False)
    assert told.value.claims == claims
    assert sign_in_history.pending_challenge(office.workspace, office.anna) == claims


@pytest.mark.parametrize("claims", [{"access_token": {"x": 1}}, '{"access_token": {"x": 1}}'])
def test_a_challenge_is_understood_as_text_and_as_object(
    office: Office, authority: Authority, claims: object
) -> None:
    office.sign_in()
    authority.token = lambda _form: refused("interaction_required", "AADSTS50076: x", claims=claims)
    with pytest.raises(AuthError):
        renew(office)
    kept = sign_in_history.pending_challenge(office.workspace, office.anna)
    assert kept is not None
    assert json.loads(kept) == {"access_token": {"x": 1}}


def test_a_grant_by_device_code_is_renewed_without_the_secret(
    office: Office, authority: Authority
) -> None:
    def public_only(form: dict[str, str]) -> Answer:
        if "client_secret" in form:
            return refused(
                "invalid_client",
                "AADSTS700025: Client is public so neither 'client_assertion' nor 'client_secret' should be presented.",
                401,
                error_codes=[700025],
            )
        return authority.grant(form)

    authority.token = public_only
    assert office.start("device").wait(20).signed_in_as == authority.user
    assert renew(office).value.startswith("access-token")


def test_the_secret_is_sent_and_nowhere_shown(office: Office, authority: Authority) -> None:
    office.sign_in()
    authority.token = lambda form: refused("invalid_grant", f"said {form['client_secret']}")
    with pytest.raises(AuthError) as told:
        renew(office)
    assert authority.asked[-1]["client_secret"] == SECRET
    assert SECRET not in f"{told.value} {told.value.evidence} {told.value!r}"
