"""A page of plain instructions for who started the practice tenant."""

import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from msoauth.practice.server import PracticeTenant

_SHOWN = 8  # accounts; ten thousand would bury the rest


def instructions(tenant: "PracticeTenant") -> str:
    """Where to sign in, with whom, where the admin center is, how to point the toolkit at it."""
    firm = tenant.endpoints["practice"]["firms"][0]
    accounts = firm["accounts"]
    width = max(len(account["address"]) for account in accounts[:_SHOWN])
    rows = [
        f"    {account['address']:{width}}  {account['password']}" for account in accounts[:_SHOWN]
    ]
    if len(accounts) > _SHOWN:
        rows.append(
            f"    … and {len(accounts) - _SHOWN} more (their passwords are in the endpoints file)"
        )
    first = next(
        account["address"] for account in accounts if not account["address"].startswith("admin@")
    )
    people = "\n".join(rows)
    text = f"""\
        The practice tenant is running on this computer. It is not Microsoft; use no real password here.

        The firm
            Name                       {firm["name"]}
            Directory (tenant) ID      {firm["tenant_id"]}
            Application (client) ID    {firm["client_id"]}
            Client secret value        {firm["client_secret"]}
            Redirect URI               {firm["redirect_uri"]} (Web)

        Who can sign in, and with which password
        @PEOPLE@

        Its admin center, to look and to mend:  {tenant.admin_url}
        Where a device code is entered:         {tenant.people_url}/devicelogin

        To point the toolkit at it, in another terminal:
            msoauth firm add "{firm["name"]}" --cloud "{tenant.endpoints_file}" \\
                --tenant {firm["tenant_id"]} \\
                --client-id {firm["client_id"]} --secret-stdin
            (then paste the client secret value and press Enter)
            msoauth firm check "{firm["name"]}"
            msoauth account add {first} --firm "{firm["name"]}"
            msoauth sign-in {first}
            msoauth fetch {first}
            msoauth send-test {first}

        Ctrl-C stops it; nothing stays behind.
        """
    return textwrap.dedent(text).replace("@PEOPLE@", people)
