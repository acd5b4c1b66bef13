"""The values of Microsoft's clouds, as facts A1, A4, A5 and A6 give them, and of any other place by its file."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from msoauth import clouds
from msoauth.clouds import Cloud, Endpoint
from msoauth.errors import InputError
from msoauth.identity.client import scopes_for
from msoauth.model import Account, Firm

VALUES = {
    "global": {
        "authority": "https://login.microsoftonline.com/",
        "graph": "https://graph.microsoft.com/",
        "delegated": "https://outlook.office.com/",
        "app": "https://outlook.office365.com/.default",
        "pop3": ("outlook.office365.com", 995, "implicit"),
        "imap": ("outlook.office365.com", 993, "implicit"),
        "smtp": ("smtp.office365.com", 587, "starttls"),
    },
    "usgov": {
        "authority": "https://login.microsoftonline.us/",
        "graph": "https://graph.microsoft.us/",
        "delegated": "https://outlook.office365.us/",
        "app": "https://outlook.office365.us/.default",
        "pop3": ("outlook.office365.us", 995, "implicit"),
        "imap": ("outlook.office365.us", 993, "implicit"),
        "smtp": ("smtp.office365.us", 587, "starttls"),
    },
    "china": {
        "authority": "https://login.partner.microsoftonline.cn/",
        "graph": "https://microsoftgraph.chinacloudapi.cn/",
        "delegated": "https://partner.outlook.cn/",
        "app": "https://partner.outlook.cn/.default",
        "pop3": ("partner.outlook.cn", 995, "implicit"),
        "imap": ("partner.outlook.cn", 993, "implicit"),
        "smtp": ("smtp.partner.outlook.cn", 587, "starttls"),
    },
}


@pytest.mark.parametrize("name", VALUES)
def test_hosts_ports_and_scopes_of_a_cloud(name: str) -> None:
    wanted, cloud = VALUES[name], clouds.load(name.upper())
    assert (cloud.authority, cloud.graph) == (wanted["authority"], wanted["graph"])
    for protocol, endpoint in (("pop3", cloud.pop3), ("imap", cloud.imap), ("smtp", cloud.smtp)):
        assert (endpoint.host, endpoint.port, endpoint.tls) == wanted[protocol]
    assert cloud.app_scope == wanted["app"]
    for retrieve, permission in (
        ("pop3", "POP.AccessAsUser.All"),
        ("imap", "IMAP.AccessAsUser.All"),
    ):
        account = Account(
            "a@contoso.example", "x", protocol="imap" if retrieve == "imap" else "pop3"
        )
        assert scopes_for(account, cloud) == [
            f"{wanted['delegated']}{permission}",
            f"{wanted['delegated']}SMTP.Send",
        ]
    firm = Firm("x", "contoso.example", "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d", cloud=cloud)
    assert firm.authority == f"{wanted['authority']}contoso.example"
    assert cloud.is_microsoft


def test_any_other_place_is_read_from_its_endpoints_file(tmp_path: Path) -> None:
    dod = Cloud(
        "dod",
        "https://login.microsoftonline.us/",
        "https://dod-graph.microsoft.us/",
        "https://outlook.office365.us",
        Endpoint("outlook-dod.office365.us", 995, "implicit"),
        Endpoint("outlook-dod.office365.us", 993, "implicit"),
        Endpoint("outlook-dod.office365.us", 587, "starttls"),
    )
    file = tmp_path / "dod.json"
    file.write_text(dod.to_json(), encoding="utf-8")
    assert clouds.load(str(file)) == dod
    assert not dod.is_microsoft


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"authority": "http://login.example/"}, "“authority” is not an https address"),
        ({"graph": None}, "“graph” is missing"),
        ({"smtp": {"host": "x", "port": 0, "tls": "starttls"}}, "“smtp.port” is not a port"),
        ({"pop3": {"host": "x", "port": 995, "tls": "none"}}, "“pop3.tls” is neither"),
    ],
)
def test_an_endpoints_file_that_lacks_something_says_what(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    file = tmp_path / "own.json"
    data = json.loads(clouds.GLOBAL.to_json()) | {"name": "own"} | change
    file.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(InputError, match=said):
        clouds.load(str(file))


@pytest.mark.parametrize(
    "name",
    [
        *(
            "global",
            " USGOV ",
            "ｇｌｏｂａｌ",
            "practice",
            "Practice",
            "Microsoft 365",
            "my Office 365",
        ),
        *(
            "glоbal",
            "ɢlobal",
            "Micrоsoft 365",
            "g\u0332lobal",
            "pr\u00e1ctice",
            "“global”",
            "us-gov",
            "Micro.soft",
            "M365",
        ),
    ],
)
def test_the_name_of_another_cloud_is_refused_in_one_sentence(name: str) -> None:
    data = json.loads(clouds.GLOBAL.to_json()) | {"authority": "https://evil.example/"}
    with pytest.raises(InputError, match=r"is reserved; an endpoints file for evil\.example"):
        clouds.parse(json.dumps(data | {"name": name, "practice": {}}))
    with pytest.raises(InputError, match="reserved"):
        replace(clouds.GLOBAL, name=name, authority="https://evil.example/")


def practice_like(**changes: object) -> str:
    mail = {"host": "localhost", "port": 995, "tls": "implicit"}
    here = "https://localhost:4433/"
    data: dict[str, object] = {
        "name": "practice",
        "authority": here,
        "graph": f"{here}graph/",
        "ca_file": "/ca.pem",
    }
    data |= {"outlook_resource": "https://outlook.office.com", "practice": {}}
    return json.dumps(data | dict.fromkeys(("pop3", "imap", "smtp"), mail) | changes)


def test_practice_is_what_lies_on_this_computer_with_its_own_authority() -> None:
    cloud = clouds.parse(practice_like())
    assert cloud.is_practice
    assert cloud.is_loopback
    assert cloud.label == "practice (localhost:4433)"
    elsewhere = {"host": "mail.evil.example", "port": 995, "tls": "implicit"}
    for change in (
        {"authority": "https://evil.example/"},
        {"authority": "https://localhost.evil.example/"},
        {"graph": "https://evil.example/"},
        {"pop3": elsewhere},
        {"imap": elsewhere},
        {"smtp": elsewhere},
        {"ca_file": None},
        {"practice": None},
    ):
        with pytest.raises(InputError):
            clouds.parse(practice_like(**change))


@pytest.mark.parametrize(
    "authority",
    [
        "https://localhost@evil.example/",
        "https://evil.example\\@localhost/",
        "https://evil.example#@localhost/",
        "https://localhost /",
    ],
)
def test_an_address_that_programs_read_differently_is_refused(authority: str) -> None:
    with pytest.raises(InputError, match="not an https address"):
        clouds.parse(practice_like(name="own", authority=authority))
    assert not replace(clouds.parse(practice_like(name="own")), authority=authority).is_loopback


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("login.micrоsoftonline.com", "login.xn--micrsoftonline-yzl.com"),
        ("Login.Müller.example", "login.xn--mller-kva.example"),
        ("１２７.0.0.1", "127.0.0.1"),
    ],
)
def test_a_host_in_other_letters_is_known_as_programs_look_it_up(host: str, shown: str) -> None:
    mail = {"host": host, "port": 995, "tls": "implicit"}
    cloud = clouds.parse(practice_like(name="own", authority=f"https://{host}:4433/", imap=mail))
    assert cloud.host == f"{shown}:4433"
    assert cloud.imap.host.lower() == shown
    for bad in (
        f"https://{host}:４４３/",
        f"https://{host}/\u0430",
        f"https://{'a' * 64}é/",
        "https://..é/",
    ):
        with pytest.raises(InputError, match="not an https address"):
            clouds.parse(practice_like(name="own", authority=bad))


def test_a_firms_own_name_for_its_cloud_is_taken() -> None:
    for name in ("own", "dod", "Kanzlei Müller & Söhne", "Straße 4"):
        assert clouds.parse(practice_like(name=name)).name == name


def test_wherever_a_cloud_is_not_microsofts_its_label_says_the_host() -> None:
    assert [cloud.label for cloud in clouds.BY_NAME.values()] == ["global", "usgov", "china"]
    own = clouds.parse(practice_like(name="own", authority="https://login.example:8443/x/"))
    assert own.label == "own (login.example:8443)"
    assert replace(own, authority="https://login.example:443/").label == "own (login.example)"


def test_a_reserved_name_in_the_workspace_is_not_shown() -> None:
    data = json.loads(clouds.GLOBAL.to_json()) | {"authority": "https://evil.example/"}
    assert clouds.stored(json.dumps(data)).label == "own (evil.example)"
    assert clouds.stored("usgov") is clouds.US_GOV
