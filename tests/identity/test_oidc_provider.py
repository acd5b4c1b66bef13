"""An authorization server that nobody here wrote: the certified OpenID provider ``oidc-provider`` from npm.

It is installed into pytest's cache when Node is there, and knows PKCE, refresh with rotation, and device codes.
A refresh token that is used twice ends its whole grant there: what is stored has to be the newest at all times.
"""

import html
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urljoin, urlsplit

import filelock
import pytest
import requests
import trustme

from msoauth.clouds import Cloud, Endpoint
from msoauth.errors import AuthError
from msoauth.identity import access_tokens, signin
from msoauth.identity.flows import SignIn
from msoauth.model import Account, Firm
from msoauth.store import Workspace
from tests.identity.conftest import Office

VERSION = "8.8.1"  # the last that runs on Node 18 and 20 as well
TENANT = "1a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"
ANNA = "anna@contoso.example"

pytestmark = [pytest.mark.real("nodejs", "npm"), pytest.mark.xdist_group("oidc-provider")]


@dataclass
class Provider:
    """Where it runs, and whom it trusts."""

    base: str
    ca_file: Path

    def firm(self, client: str) -> Firm:
        closed = Endpoint("localhost", 1, "implicit")
        cloud = Cloud(
            "npm",
            self.base,
            f"{self.base}graph/",
            "https://outlook.office.com",
            closed,
            closed,
            closed,
            str(self.ca_file),
        )
        return Firm(client, TENANT, client, cloud=cloud)


def _installed(folder: Path) -> Path:
    """The folder with the package in it; fetched once, also when several tests begin at once."""
    with filelock.FileLock(folder / "install.lock"):
        if not (folder / "node_modules" / "oidc-provider").is_dir():
            npm = shutil.which("npm") or "npm"
            fetched = subprocess.run(
                [
                    npm,
                    "install",
                    "--prefix",
                    str(folder),
                    "--no-save",
                    "--no-package-lock",
                    "--no-audit",
                    "--no-fund",
                    "--ignore-scripts",
                    f"oidc-provider@{VERSION}",
                ],
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            if fetched.returncode:
                how = f"oidc-provider could not be fetched from npm: {fetched.stderr[-300:]}"
                if os.environ.get("MSOAUTH_REQUIRE_REAL") == "1":
                    pytest.fail(how, pytrace=False)
                pytest.skip(how)
    return folder


@pytest.fixture(scope="module")
def provider(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Provider]:
    folder = _installed(pytestconfig.cache.mkdir(f"oidc-provider-{VERSION}"))
    keys = tmp_path_factory.mktemp("oidc")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(keys / "ca.pem"))
    certificate = ca.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(str(keys / "key.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(keys / "cert.pem"))
    script = shutil.copy(
        Path(__file__).with_name("oidc_server.mjs"), folder / f"{keys.name}-{os.getpid()}.mjs"
    )
    complaints = keys / "stderr.txt"
    with (
        complaints.open("w") as stderr,
        subprocess.Popen(
            ["node", "--no-warnings", script, keys / "cert.pem", keys / "key.pem", TENANT],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        ) as server,
    ):
        try:
            assert server.stdout is not None
            port = next((line.strip() for line in server.stdout if line.strip().isdigit()), "")
            assert port, complaints.read_text(encoding="utf-8", errors="replace")
            yield Provider(f"https://localhost:{port}/", keys / "ca.pem")
        finally:
            server.kill()
            Path(script).unlink()


@contextmanager
def browser(provider: Provider, user: str, *, refuses: bool = False) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(provider.ca_file)
        session.cookies.set("test_user", user, domain="localhost.local")
        if refuses:
            session.cookies.set("test_refuses", "1", domain="localhost.local")
        yield session


def form_of(page: str) -> tuple[str, dict[str, str]]:
    """Address and fields of a page's form."""
    action = re.search(r'<form[^>]*action="([^"]*)"', page)
    assert action is not None, page
    inputs = [
        dict(re.findall(r'(\w+)="([^"]*)"', tag)) for tag in re.findall(r"<input[^>]*>", page)
    ]
    fields = {i["name"]: html.unescape(i.get("value", "")) for i in inputs if "name" in i}
    return html.unescape(action[1]), fields


def sign_in(provider: Provider, attempt: SignIn[signin.SignedIn], *, refuses: bool = False) -> None:
    """The person in the browser, up to the answer's arrival at the listener."""
    with browser(provider, ANNA, refuses=refuses) as session:
        page = session.get(attempt.url, timeout=20)
        action, fields = form_of(page.text)  # response_mode=form_post
        session.post(action, data=fields, timeout=20)


@pytest.fixture(params=["public", "confidential"])
def there(
    request: pytest.FixtureRequest, provider: Provider, tmp_path: Path
) -> Iterator[tuple[Workspace, Account]]:
    with Workspace.open(tmp_path / "workspace") as workspace:
        firm = provider.firm(request.param)
        secret = "a-client-secret-for-the-tests-only" if request.param == "confidential" else None
        workspace.firms.add(firm, secret)
        account = Account(ANNA, firm.name)
        workspace.accounts.add(account)
        yield workspace, account


def renewed_again_and_again(workspace: Workspace, account: Account) -> None:
    values = {
        access_tokens.access_token(workspace, account, force=True).value for _turn in range(4)
    }
    assert len(values) == 4
    assert access_tokens.access_token(workspace, account).value in values


def test_code_with_pkce_then_refresh_with_rotation(
    provider: Provider, there: tuple[Workspace, Account]
) -> None:
    workspace, account = there
    attempt = signin.start(workspace, account, "browser", open_browser=False)
    result = Office.finish(attempt, lambda attempt: sign_in(provider, attempt))
    assert (result.signed_in_as, result.warning) == (ANNA, "")
    renewed_again_and_again(workspace, account)


def test_the_address_at_which_the_browser_ended_is_pasted(
    provider: Provider, there: tuple[Workspace, Account]
) -> None:
    workspace, account = there
    attempt = signin.start(workspace, account, "paste")
    with browser(provider, ANNA) as session:
        page, last = session.get(attempt.url, timeout=20, allow_redirects=False), ""
        while page.is_redirect:
            last = urljoin(page.url, page.headers["Location"])
            if last.startswith("http://localhost"):
                break
            page = session.get(last, timeout=20, allow_redirects=False)
    attempt.paste(f"> Hallo,\n> {last[:70]}\n> {last[70:]}\n>\n> Gruß")
    assert attempt.wait(20).signed_in_as == ANNA
    renewed_again_and_again(workspace, account)


@pytest.mark.parametrize("there", ["public"], indirect=True)
def test_a_code_entered_on_another_computer(
    provider: Provider, there: tuple[Workspace, Account]
) -> None:
    workspace, account = there
    attempt = signin.start(workspace, account, "device")
    with browser(provider, ANNA) as session:
        page = session.get(attempt.url, timeout=20)
        for more in ({"user_code": attempt.code}, {"confirm": "yes"}):
            action, fields = form_of(page.text)
            page = session.post(urljoin(page.url, action), data=fields | more, timeout=20)
    assert attempt.wait(30).signed_in_as == ANNA
    renewed_again_and_again(workspace, account)


def test_a_person_who_presses_cancel_is_told_apart(
    provider: Provider, there: tuple[Workspace, Account]
) -> None:
    workspace, account = there
    attempt = signin.start(workspace, account, "browser", open_browser=False)
    with pytest.raises(AuthError) as told:
        Office.finish(attempt, lambda attempt: sign_in(provider, attempt, refuses=True))
    assert told.value.cause == "consent-declined"
    assert "pressed Cancel" in told.value.evidence


def test_a_code_that_is_used_twice_ends_the_sign_in(
    provider: Provider, there: tuple[Workspace, Account]
) -> None:
    workspace, account = there
    answers: list[dict[str, str]] = []

    def person(attempt: SignIn[signin.SignedIn]) -> None:
        with browser(provider, ANNA) as session:
            action, fields = form_of(session.get(attempt.url, timeout=20).text)
            answers.append(fields)
            session.post(action, data=fields, timeout=20)

    first = signin.start(workspace, account, "browser", open_browser=False)
    Office.finish(first, person)
    again = signin.start(workspace, account, "paste")
    state = parse_qs(urlsplit(again.url).query)["state"][0]
    again.paste(f"http://localhost/?code={answers[0]['code']}&state={state}")
    with pytest.raises(AuthError) as told:
        again.wait(20)
    assert told.value.evidence
