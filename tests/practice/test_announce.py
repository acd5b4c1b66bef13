"""What `practice serve` tells a newcomer: everything that is needed to go on, and no more than a page."""

from msoauth.practice import PracticeTenant
from msoauth.practice.announce import instructions
from msoauth.shells import command


def test_a_newcomer_finds_everything_on_one_page() -> None:
    with PracticeTenant() as tenant:
        text = instructions(tenant, command)
        firm = tenant.endpoints["practice"]["firms"][0]
    assert len(text.splitlines()) < 45
    for needed in (
        firm["tenant_id"],
        firm["client_id"],
        firm["client_secret"],
        firm["redirect_uri"],
        tenant.admin_url,
        f"{tenant.people_url}/devicelogin",
        "msoauth firm add",
        "msoauth sign-in anna.lindqvist@contoso.example",
        *(account["password"] for account in firm["accounts"]),
        "Contoso desktop mail",
        "office@contoso.example",
    ):
        assert needed in text
    admin = next(line for line in text.splitlines() if "admin@contoso.example" in line)
    assert "administrator" in admin
    assert not any(line != line.rstrip() for line in text.splitlines())


def test_many_accounts_and_firms_do_not_bury_the_rest() -> None:
    with PracticeTenant(accounts=500, firms=12, scenarios=("pop-off",)) as tenant:
        text = instructions(tenant, command)
    assert len(text.splitlines()) < 55
    assert "And 11 more firms: Fabrikam & Partners" in text
    assert "more" in text
    assert "pop-off: POP is switched off" in text
