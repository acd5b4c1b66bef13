"""The address that a user sends back, whatever mail programs did to it."""

import time
from collections.abc import Callable
from urllib.parse import quote, urlencode

import pytest

from msoauth.errors import AuthError, InputError
from msoauth.identity import flows, signin
from msoauth.identity.flows import SignIn
from tests.identity.authority import Authority
from tests.identity.conftest import Office


@pytest.fixture
def attempt(office: Office) -> SignIn[signin.SignedIn]:
    return office.start("paste")


def address(authority: Authority, attempt: SignIn[signin.SignedIn], **fields: str) -> str:
    home, answer = authority.answer_to(attempt, code="0.AXkA" + "x" * 400, **fields)
    return f"{home}/?{urlencode({'code': answer['code'], 'session_state': 'f' * 32, 'state': answer['state']})}"


def broken(text: str, width: int = 76) -> list[str]:
    return [text[start : start + width] for start in range(0, len(text), width)]


def url_defense_2(url: str) -> str:
    """As that guard writes addresses: "-" for "%" and "_" for "/", so that these two are escaped themselves."""
    escaped = quote(url, safe=":/").replace("-", "%2D").replace("_", "%5F")
    return escaped.replace("/", "_").replace("%", "-")


NOISE: dict[str, Callable[[str], str]] = {
    "alone": lambda url: url,
    "with blanks around": lambda url: f"  \r\n{url}\r\n\r\n",
    "in a sentence": lambda url: f"Hallo, hier ist sie: {url}. Gruß, Anna",
    "in angle brackets": lambda url: f"bitte <{url}>, danke",
    "without its scheme": lambda url: url.removeprefix("http://"),
    "the query alone": lambda url: url.partition("?")[2],
    "quoted": lambda url: "> Hallo,\n> " + url + "\n> Gruß",
    "quoted and broken over lines": lambda url: "> > " + "\n> > ".join(broken(url)) + "\n\nGruß",
    "broken with blanks left over": lambda url: " \r\n".join(broken(url)) + "\r\nMit freundlichen Grüßen",
    "quoted-printable": lambda url: "=\r\n".join(broken(url.replace("=", "=3D"))),
    "as HTML": lambda url: f'<a href="{url.replace("&", "&amp;")}">hier</a>',
    "behind Safe Links": lambda url: (
        f"https://eur01.safelinks.protection.outlook.com/?url={quote(url, safe='')}&data=05%7C01&reserved=0"
    ),
    "behind URL Defense 2": lambda url: (
        f"https://urldefense.proofpoint.com/v2/url?u={url_defense_2(url)}&d=x&c=y"
    ),
    "behind URL Defense 3": lambda url: f"https://urldefense.com/v3/__{url}__;!!abc",
    "after another link": lambda url: f"http://localhost/?code=older&state=older {url}",
}  # fmt: skip


@pytest.mark.parametrize("noise", NOISE)
def test_the_address_is_found_in_the_noise_of_mail_programs(
    office: Office, authority: Authority, monkeypatch: pytest.MonkeyPatch, noise: str
) -> None:
    # A state may hold what link guards have a meaning of their own for.
    state = f"-2Dx_-5F__41-{flows.new_state()}"
    monkeypatch.setattr(flows, "new_state", lambda: state)
    attempt = office.start("paste")
    attempt.paste(NOISE[noise](address(authority, attempt)))
    assert attempt.wait(20).signed_in_as == authority.user
    assert authority.asked[-1]["code"] == "0.AXkA" + "x" * 400


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no address"),
        ("Guten Tag, es ging nicht.", "no address"),
        (
            "https://login.microsoftonline.com/common/oauth2/v2.0/authorize?client_id=x",
            "no address",
        ),
        ("http://localhost/?code=0.AXkA&session_state=1", "not whole"),
        ("http://localhost/?code=0.AXkA&state=somebody-elses", "does not belong"),
        ("code" * 60_000, "no address"),
    ],
)
def test_what_is_no_answer_to_this_link_is_told_and_the_sign_in_goes_on(
    office: Office, authority: Authority, attempt: SignIn[signin.SignedIn], text: str, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        attempt.paste(text)
    attempt.paste(address(authority, attempt))
    assert attempt.wait(20).signed_in_as == authority.user


def test_the_answer_to_an_older_link_is_known_by_its_age(
    office: Office,
    authority: Authority,
    attempt: SignIn[signin.SignedIn],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old = address(authority, attempt)
    newest = office.start("paste")
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 1800)
    with pytest.raises(InputError, match=r"another link, made 30 minutes ago"):
        newest.paste(old)


def test_a_link_that_is_too_old_counts_no_more(
    authority: Authority, attempt: SignIn[signin.SignedIn], monkeypatch: pytest.MonkeyPatch
) -> None:
    late = time.monotonic() + flows.PASTE_SECONDS + 1
    monkeypatch.setattr(time, "monotonic", lambda: late)
    with pytest.raises(InputError, match="older than 60 minutes"):
        attempt.paste(address(authority, attempt))
    with pytest.raises(AuthError, match="No address was pasted in time"):
        attempt.wait()


def test_a_refusal_in_the_address_is_told_with_its_cause(
    authority: Authority, attempt: SignIn[signin.SignedIn]
) -> None:
    home, answer = authority.answer_to(
        attempt,
        error="access_denied",
        error_description="AADSTS65004: User declined to consent to access the app.",
    )
    attempt.paste(f"{home}/?{urlencode(answer)}")
    with pytest.raises(AuthError) as told:
        attempt.wait(20)
    assert told.value.cause == "consent-declined"


def test_the_other_flows_take_no_address(office: Office) -> None:
    attempt = office.start("browser")
    with pytest.raises(InputError, match="no address to be pasted"):
        attempt.paste("http://localhost/?code=x&state=y")
    attempt.cancel()
