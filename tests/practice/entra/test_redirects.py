"""Redirect URIs: which request matches what is registered, and what may be registered at all (facts C1, C2)."""

import pytest

from msoauth.practice.entra import redirects
from msoauth.practice.entra.refusals import RefusalError
from msoauth.practice.registrations import AppRegistration


def _app(**uris: list[str]) -> AppRegistration:
    return AppRegistration("631a96bc-a705-4eda-9f99-fdaf9f54f6a2", "Mail", **uris)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("registered", "asked"),
    [
        ("http://localhost", "http://localhost"),
        ("http://localhost", "http://localhost:8400"),
        ("http://localhost/cb", "http://localhost:3001/cb"),
        ("http://localhost:5000/cb", "http://localhost:3001/cb"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:3001/cb"),
        ("https://app.contoso.example/cb", "HTTPS://APP.contoso.example/cb"),
        ("https://app.contoso.example/cb?x=1", "https://app.contoso.example/cb?x=1"),
    ],
)
def test_these_match(registered: str, asked: str) -> None:
    assert redirects.same(registered, asked)


@pytest.mark.parametrize(
    ("registered", "asked"),
    [
        ("http://localhost", "http://localhost/cb"),
        ("http://localhost", "https://localhost"),
        ("http://localhost", "http://127.0.0.1"),
        ("http://localhost/cb", "http://localhost/CB"),
        ("http://localhost/cb", "http://localhost/cb/"),
        ("http://localhost/cb", "http://localhost/cb?x=1"),
        ("http://localhost/cb", "http://localhost/cb#x"),
        ("http://localhost", "http://localhost.evil.example"),
        ("http://localhost", "http://localhost:port"),
        ("https://app.contoso.example/cb", "https://app.contoso.example:444/cb"),
        ("http://[::1]/cb", "http://[::1]:3001/cb"),
    ],
)
def test_these_do_not(registered: str, asked: str) -> None:
    assert not redirects.same(registered, asked)


def test_the_platform_is_that_of_the_uri_and_web_wins() -> None:
    app = _app(
        web_redirect_uris=["http://localhost/web"],
        public_client_redirect_uris=["http://localhost/desktop", "http://localhost/web"],
        spa_redirect_uris=["http://localhost/spa"],
    )
    assert redirects.platform(app, "http://localhost:1/web") == "web"
    assert redirects.platform(app, "http://localhost:1/desktop") == "public"
    assert redirects.platform(app, "http://localhost:1/spa") == "spa"
    with pytest.raises(RefusalError) as told:
        redirects.platform(app, "http://localhost:1/other")
    assert told.value.number == 50011
    with pytest.raises(RefusalError) as told:
        redirects.platform(_app(), "http://localhost")
    assert told.value.number == 500113


@pytest.mark.parametrize(
    "uri",
    [
        "http://localhost",
        "http://localhost/cb",
        "https://app.contoso.example/cb",
        "https://login.microsoftonline.com/common/oauth2/nativeclient",
        "msal31a96bc://auth",
    ],
)
def test_the_portal_takes(uri: str) -> None:
    assert redirects.problem(_app(), uri) == ""


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("", "scheme"),
        ("localhost", "scheme"),
        ("http://contoso.example/cb", "https"),
        ("http://127.0.0.1/cb", "manifest"),
        ("https://contoso.example/c b", "blanks"),
        ("https://contoso.example/(cb)", "blanks or any of"),
        ("https://*.contoso.example/cb", "Wildcards"),
        ("https://contoso.example/cb#top", "fragment"),
        ("https://contoso.example/" + "x" * 256, "256"),
        ("http://localhost/known", "already"),
        ("http://localhost:port", "valid"),
    ],
)
def test_the_portal_refuses(uri: str, says: str) -> None:
    app = _app(web_redirect_uris=["http://localhost/known"])
    assert says in redirects.problem(app, uri)


def test_an_app_for_personal_accounts_has_no_query_and_nobody_has_too_many() -> None:
    app = _app(web_redirect_uris=[f"https://contoso.example/{n}" for n in range(255)])
    assert redirects.problem(app, "https://contoso.example/cb?x=1") == ""
    app.sign_in_audience = "AzureADandPersonalMicrosoftAccount"
    assert "query" in redirects.problem(app, "https://contoso.example/cb?x=1")
    app.web_redirect_uris.append("https://contoso.example/last")
    assert "256" in redirects.problem(app, "https://contoso.example/one-more")
