"""Python's OAuth libraries against the practice tenant, unmodified: authlib and requests-oauthlib."""

from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session as Authlib
from joserfc import jwt
from joserfc.jwk import KeySet
from oauthlib.oauth2 import BackendApplicationClient
from oauthlib.oauth2.rfc6749.errors import CustomOAuth2Error, InvalidClientError, OAuth2Error
from requests_oauthlib import OAuth2Session

from tests.practice.office import ANNA, MAIL_SCOPES, Office

CALLBACK = "http://localhost:8400"


@pytest.fixture(autouse=True)
def _told_of_the_authority(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", office.ca)


def test_authlib_signs_in_checks_the_id_token_and_refreshes(office: Office) -> None:
    url = f"{office.authority}/v2.0/.well-known/openid-configuration"
    site = requests.get(url, timeout=20).json()
    app = office.app()
    with Authlib(
        app["client_id"],
        app["client_secret"],
        scope="openid profile email offline_access",
        redirect_uri=CALLBACK,
        code_challenge_method="S256",
    ) as client:
        verifier = generate_token(48)
        page, _state = client.create_authorization_url(
            site["authorization_endpoint"], code_verifier=verifier, nonce="n-1"
        )
        token = client.fetch_token(
            site["token_endpoint"],
            authorization_response=office.sign_in(page),
            code_verifier=verifier,
        )
        keys = KeySet.import_key_set(requests.get(site["jwks_uri"], timeout=20).json())
        claims = jwt.decode(token["id_token"], keys, algorithms=["RS256"]).claims
        assert claims["iss"] == site["issuer"]
        assert (claims["aud"], claims["nonce"]) == (app["client_id"], "n-1")
        told = client.get(site["userinfo_endpoint"]).json()
        assert told["sub"] == claims["sub"]
        assert told["email"] == ANNA
        renewed = client.refresh_token(site["token_endpoint"])
        assert renewed["refresh_token"] != token["refresh_token"]
        assert set(renewed["scope"].split()) >= {"openid", "profile", "email"}


def test_requests_oauthlib_refreshes_without_a_scope(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Entra's answer names the scopes of the resource alone: its users set this.
    monkeypatch.setenv("OAUTHLIB_RELAX_TOKEN_SCOPE", "1")
    app, scope = office.app(), [*MAIL_SCOPES, "offline_access"]
    token_url = f"{office.authority}/oauth2/v2.0/token"
    with OAuth2Session(app["client_id"], redirect_uri=CALLBACK, scope=scope, pkce="S256") as client:
        page, state = client.authorization_url(f"{office.authority}/oauth2/v2.0/authorize")
        back = parse_qs(urlsplit(office.sign_in(page)).query)
        assert back["state"] == [state]
        first = client.fetch_token(
            token_url, code=back["code"][0], client_secret=app["client_secret"], timeout=20
        )
        client.scope = None  # so that the refresh sends none
        renewed = client.refresh_token(
            token_url, client_id=app["client_id"], client_secret=app["client_secret"], timeout=20
        )
    assert sorted(first["scope"]) == sorted(renewed["scope"]) == sorted(MAIL_SCOPES)


def test_requests_oauthlib_gets_an_app_only_token_and_refusals(office: Office) -> None:
    app = office.app(2)
    token_url = f"{office.authority}/oauth2/v2.0/token"
    client = OAuth2Session(client=BackendApplicationClient(app["client_id"]))
    with client:
        asked = {"scope": "https://outlook.office365.com/.default", "timeout": 20}
        token = client.fetch_token(token_url, client_secret=app["client_secret"], **asked)
        assert token["token_type"] == "Bearer"
        with pytest.raises(
            InvalidClientError, match="AADSTS7000215: Invalid client secret provided"
        ):
            client.fetch_token(token_url, client_secret="wrong", include_client_id=True, **asked)
        with pytest.raises((CustomOAuth2Error, OAuth2Error), match="AADSTS1002012"):
            client.fetch_token(
                token_url, client_secret=app["client_secret"], scope=MAIL_SCOPES[0], timeout=20
            )
