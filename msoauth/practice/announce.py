"""The instructions that `practice serve` prints: who can sign in, and how to use the practice tenant."""

import textwrap
from collections.abc import Callable
from typing import Any

from msoauth.practice.server import PracticeTenant
from msoauth.practice.state import Tenant

_MAX_ACCOUNTS = 8  # accounts listed; ten thousand would bury the rest
_MAX_FIRMS = 6  # further firms listed


def instructions(practice: PracticeTenant, command: Callable[..., str]) -> str:
    """The instructions as text: accounts, addresses, and the commands to try.

    Args:
        command: Fills the ``{NAME}`` in a command of msoauth with values, quoted for the shell in use.
    """
    firms = practice.endpoints["practice"]["firms"]
    first, tenant = firms[0], next(iter(practice.state.tenants.values()))
    person = next(
        (u.upn for u in tenant.users.values() if not u.admin), first["accounts"][0]["address"]
    )
    register = command(
        "firm add {NAME} --cloud {FILE} --tenant {TENANT} --client-id {APP} --secret-stdin",
        NAME=first["name"],
        FILE=str(practice.endpoints_file),
        TENANT=first["tenant_id"],
        APP=first["client_id"],
    )
    add_account = command("account add {ADDRESS} --firm {NAME}", ADDRESS=person, NAME=first["name"])
    text = f"""\
        The practice tenant is running on this computer. It is not Microsoft: never type a real password here.
        @BROKEN@
        The firm, as a consultant reads it out of the portal
            Name                       {first["name"]}
            Directory (tenant) ID      {first["tenant_id"]}
            Application (client) ID    {first["client_id"]}
            Client secret value        {first["client_secret"]}
            Redirect URI               {first["redirect_uri"]} (platform Web)
            @MORE@

        Who can sign in, and with which password
            @PEOPLE@

        Admin center, to look, to break and to mend:   {practice.admin_url}
        Where the code of a device is entered:         {practice.people_url}/devicelogin

        Point the toolkit at it, in another terminal
            {register}
                (then paste the client secret value and press Enter)
            {command("firm check {NAME}", NAME=first["name"])}
            {add_account}
            {command("sign-in {ADDRESS}", ADDRESS=person)}
            {command("fetch {ADDRESS}", ADDRESS=person)}
            {command("send-test {ADDRESS}", ADDRESS=person)}
            {command("diagnose {ADDRESS}", ADDRESS=person)}

        Let something go wrong: admin center → Scenarios, or start with --scenario NAME;
        “msoauth practice scenarios” lists them all.

        Ctrl-C stops it; nothing stays behind.
        """
    pieces = {
        "@BROKEN@": _running_scenarios(practice),
        "@MORE@": _other_apps_and_firms(firms),
        "@PEOPLE@": _people(first["accounts"], tenant),
    }
    return _fill_in(textwrap.dedent(text), pieces)


def _fill_in(text: str, pieces: dict[str, list[str]]) -> str:
    """Replace each line that is only a mark (``@MORE@``) by its lines, with the same indentation."""
    lines: list[str] = []
    for line in text.splitlines():
        mark = line.strip()
        if mark in pieces:
            indent = line[: len(line) - len(line.lstrip())]
            lines += [f"{indent}{piece}" if piece else "" for piece in pieces[mark]]
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


def _running_scenarios(practice: PracticeTenant) -> list[str]:
    if not practice.scenarios.active:
        return [""]
    lines = [f"  {running.text}: {running.scenario.says}" for running in practice.scenarios.active]
    return ["", "Broken on purpose", *lines, ""]


def _other_apps_and_firms(firms: list[dict[str, Any]]) -> list[str]:
    """The other apps and firms, which the endpoints file lists in full."""
    lines = [f"Also registered there: {app['name']}, {_kind(app)}" for app in firms[0]["apps"][1:]]
    others = [tenant["name"] for tenant in firms[1:]]
    if others:
        names = ", ".join(others[:_MAX_FIRMS]) + (" …" if len(others) > _MAX_FIRMS else "")
        lines.append(f"And {len(others)} more firm{'s' if len(others) > 1 else ''}: {names}")
    lines.append("(all ids, secrets and passwords are in the endpoints file)")
    return lines


def _kind(app: dict[str, Any]) -> str:
    if not app["client_secret"]:
        return "an app without a secret (platform Mobile and desktop applications)"
    return "an app that opens mailboxes without a user" if not app["redirect_uri"] else "a Web app"


def _people(accounts: list[dict[str, str]], tenant: Tenant) -> list[str]:
    listed = accounts[:_MAX_ACCOUNTS]
    address_width = max(len(account["address"]) for account in listed)
    password_width = max(len(account["password"]) for account in listed)
    lines = []
    for account in listed:
        user = tenant.user(account["address"])
        remark = ""
        if user is not None and user.admin:
            remark = "administrator: may consent for everybody"
        elif user is not None and user.mfa_required:
            remark = "must enter a code too; the page shows it"
        lines.append(
            f"{account['address']:{address_width}}  {account['password']:{password_width}}  {remark}".rstrip()
        )
    if len(accounts) > _MAX_ACCOUNTS:
        lines.append(f"… and {len(accounts) - _MAX_ACCOUNTS} more")
    lines += [
        f"{box.address:{address_width}}  {'–':{password_width}}  a shared mailbox, opened by the first two lawyers"
        for box in tenant.mailboxes.values()
        if box.shared
    ]
    return lines
