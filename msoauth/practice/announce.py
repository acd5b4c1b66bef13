"""The instructions that `practice serve` prints: who can sign in, and how to use the practice tenant."""

import textwrap
from typing import Any

from msoauth.practice.server import PracticeTenant
from msoauth.practice.state import Tenant

_SHOWN = 8  # accounts; ten thousand would bury the rest
_FIRMS = 6  # further firms that are named


def instructions(practice: PracticeTenant) -> str:
    """The instructions as text: accounts, addresses, and the commands to try."""
    noted = practice.endpoints["practice"]["firms"]
    first, tenant = noted[0], next(iter(practice.state.tenants.values()))
    person = next(
        (u.upn for u in tenant.users.values() if not u.admin), first["accounts"][0]["address"]
    )
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
            msoauth firm add "{first["name"]}" --cloud "{practice.endpoints_file}" --tenant "{first["tenant_id"]}" --client-id "{first["client_id"]}" --secret-stdin
                (then paste the client secret value and press Enter)
            msoauth firm check "{first["name"]}"
            msoauth account add {person} --firm "{first["name"]}"
            msoauth sign-in {person}
            msoauth fetch {person}
            msoauth send-test {person}
            msoauth diagnose {person}

        Let something go wrong: admin center → Scenarios, or start with --scenario NAME;
        “msoauth practice scenarios” lists them all.

        Ctrl-C stops it; nothing stays behind.
        """
    pieces = {
        "@BROKEN@": _broken(practice),
        "@MORE@": _more(noted),
        "@PEOPLE@": _people(first["accounts"], tenant),
    }
    return _filled(textwrap.dedent(text), pieces)


def _filled(text: str, pieces: dict[str, list[str]]) -> str:
    """Replace each marked line by its lines, indented as the mark; by none when there are none."""
    lines: list[str] = []
    for line in text.splitlines():
        mark = line.strip()
        if mark in pieces:
            indent = line[: len(line) - len(line.lstrip())]
            lines += [f"{indent}{piece}" if piece else "" for piece in pieces[mark]]
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


def _broken(practice: PracticeTenant) -> list[str]:
    if not practice.scenarios.active:
        return [""]
    lines = [f"  {running.text}: {running.scenario.says}" for running in practice.scenarios.active]
    return ["", "Broken on purpose", *lines, ""]


def _more(noted: list[dict[str, Any]]) -> list[str]:
    """The other apps and firms, which the endpoints file lists in full."""
    lines = [f"Also registered there: {app['name']}, {_kind(app)}" for app in noted[0]["apps"][1:]]
    others = [tenant["name"] for tenant in noted[1:]]
    if others:
        named = ", ".join(others[:_FIRMS]) + (" …" if len(others) > _FIRMS else "")
        lines.append(f"And {len(others)} more firm{'s' if len(others) > 1 else ''}: {named}")
    lines.append("(all ids, secrets and passwords are in the endpoints file)")
    return lines


def _kind(app: dict[str, Any]) -> str:
    if not app["client_secret"]:
        return "an app without a secret (platform Mobile and desktop applications)"
    return "an app that opens mailboxes without a user" if not app["redirect_uri"] else "a Web app"


def _people(accounts: list[dict[str, str]], tenant: Tenant) -> list[str]:
    shown = accounts[:_SHOWN]
    wide = max(len(account["address"]) for account in shown)
    width = max(len(account["password"]) for account in shown)
    lines = []
    for account in shown:
        user = tenant.user(account["address"])
        about = ""
        if user is not None and user.admin:
            about = "administrator: may consent for everybody"
        elif user is not None and user.mfa is not None:
            about = "must enter a code too; the page shows it"
        lines.append(
            f"{account['address']:{wide}}  {account['password']:{width}}  {about}".rstrip()
        )
    if len(accounts) > _SHOWN:
        lines.append(f"… and {len(accounts) - _SHOWN} more")
    lines += [
        f"{box.address:{wide}}  {'–':{width}}  a shared mailbox, opened by the first two lawyers"
        for box in tenant.mailboxes.values()
        if box.shared
    ]
    return lines
