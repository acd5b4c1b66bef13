"""Defines the hosts, ports and scopes of the Microsoft clouds, and reads those of other servers from an endpoints file.

Sources: Microsoft's national-cloud pages for the authority and Graph hosts; Microsoft's POP3/IMAP4
page for the global mail hosts; reports from the field for the mail hosts and scopes of the national
clouds (no Microsoft page names their POP hosts: unverified). Labels such as "facts A5" refer to docs/facts.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from msoauth.errors import InputError
from msoauth.texts import _

Tls = Literal["implicit", "starttls"]
Protocol = Literal["pop3", "imap", "smtp"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A mail server: host name, TCP port, and whether TLS is implicit or begins by STARTTLS."""

    host: str
    port: int
    tls: Tls


@dataclass(frozen=True, slots=True)
class Cloud:
    """The hosts, ports and scopes of one cloud.

    Attributes:
        name: ``global``, ``usgov``, ``china``, or the name in the endpoints file.
        authority: The sign-in service, an https URL that ends in ``/``.
        graph: The root of Microsoft Graph, an https URL that ends in ``/``.
        outlook_resource: The resource in the mail servers' scopes, an https URL without a ``/`` at its end.
        ca_file: A PEM file of certificate authorities to trust instead of the system's, or None.
    """

    name: str
    authority: str
    graph: str
    outlook_resource: str
    pop3: Endpoint
    imap: Endpoint
    smtp: Endpoint
    ca_file: str | None = None

    def endpoint(self, protocol: Protocol) -> Endpoint:
        """The mail server for *protocol*."""
        return cast("Endpoint", getattr(self, protocol))

    def scope(self, permission: str) -> str:
        """The full scope name of an Outlook *permission* such as ``SMTP.Send``."""
        return f"{self.outlook_resource}/{permission}"

    @property
    def app_scope(self) -> str:
        """The scope of app-only access to mail, for POP, IMAP and SMTP alike (facts A5, A6).

        In the global cloud it is that of ``outlook.office365.com``, though delegated scopes are those of
        ``outlook.office.com``.
        """
        resource = self.outlook_resource.replace("//outlook.office.com", "//outlook.office365.com")
        return f"{resource}/.default"

    @property
    def is_microsoft(self) -> bool:
        """Whether this is one of Microsoft's own clouds, unchanged, and not a namesake from an endpoints file."""
        return BY_NAME.get(self.name) == self

    def to_json(self) -> str:
        """The endpoints file of this cloud, as JSON text."""
        return json.dumps(asdict(self))


def _microsoft_cloud(
    name: str, *, login: str, graph: str, scopes: str, mail: str, smtp: str
) -> Cloud:
    """Build one of Microsoft's clouds from its host names; *scopes* is the host of the Outlook resource."""
    return Cloud(
        name=name,
        authority=f"https://{login}/",
        graph=f"https://{graph}/",
        outlook_resource=f"https://{scopes}",
        pop3=Endpoint(mail, 995, "implicit"),
        imap=Endpoint(mail, 993, "implicit"),
        smtp=Endpoint(smtp, 587, "starttls"),
    )


GLOBAL = _microsoft_cloud(
    "global",
    login="login.microsoftonline.com",
    graph="graph.microsoft.com",
    scopes="outlook.office.com",
    mail="outlook.office365.com",
    smtp="smtp.office365.com",
)
# GCC High; the POP host is "the same as IMAP", unverified. DoD differs: use an endpoints file.
US_GOV = _microsoft_cloud(
    "usgov",
    login="login.microsoftonline.us",
    graph="graph.microsoft.us",
    scopes="outlook.office365.us",
    mail="outlook.office365.us",
    smtp="smtp.office365.us",
)
# Operated by 21Vianet; mail hosts and scopes are from field sources, unverified.
CHINA = _microsoft_cloud(
    "china",
    login="login.partner.microsoftonline.cn",
    graph="microsoftgraph.chinacloudapi.cn",
    scopes="partner.outlook.cn",
    mail="partner.outlook.cn",
    smtp="smtp.partner.outlook.cn",
)
BY_NAME = {cloud.name: cloud for cloud in (GLOBAL, US_GOV, CHINA)}


def load(name_or_file: str) -> Cloud:
    """Load a Microsoft cloud by its name, or any cloud from an endpoints file.

    Raises:
        InputError: neither a known name nor a readable endpoints file.
    """
    cloud = BY_NAME.get(name_or_file.strip().lower())
    if cloud is not None:
        return cloud
    try:
        text = Path(name_or_file).read_text(encoding="utf-8")
    except (OSError, ValueError):
        raise InputError(
            _(
                "The cloud “{name}” is neither global, usgov or china nor an endpoints file that can be read."
            ).format(name=name_or_file[:200]),
            field="cloud",
        ) from None
    return parse(text, source=Path(name_or_file).name)


def parse(text: str, *, source: str = "") -> Cloud:
    """Parse the JSON *text* of an endpoints file.

    Args:
        source: The file's name, for error messages.

    Raises:
        InputError: it is invalid; the message names the entry.
    """
    where = source or _("the endpoints file")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise InputError(_("{where} is not JSON.").format(where=where), field="cloud") from None
    if not isinstance(data, dict):
        raise InputError(
            _("{where} does not hold one JSON object.").format(where=where), field="cloud"
        )
    try:
        return Cloud(
            name=_text(data, "name"),
            authority=_https(data, "authority"),
            graph=_https(data, "graph"),
            outlook_resource=_https(data, "outlook_resource").rstrip("/"),
            pop3=_endpoint(data, "pop3"),
            imap=_endpoint(data, "imap"),
            smtp=_endpoint(data, "smtp"),
            ca_file=_text(data, "ca_file") if data.get("ca_file") is not None else None,
        )
    except _BadFieldError as error:
        key, problem = error.args
        raise InputError(
            _("{where}: the entry “{key}” {wrong}.").format(where=where, key=key, wrong=problem),
            field="cloud",
        ) from None


class _BadFieldError(Exception):
    """Raised with the entry's key and what is wrong with it."""


def _text(data: dict[str, Any], key: str) -> str:
    value = data.get(key)
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise _BadFieldError(key, _("is missing or not a text"))
    return value.strip()


def _https(data: dict[str, Any], key: str) -> str:
    value = _text(data, key)
    parts = urlsplit(value)
    if parts.scheme != "https" or not parts.hostname:
        raise _BadFieldError(key, _("is not an https address"))
    return value.rstrip("/") + "/"


def _endpoint(data: dict[str, Any], key: str) -> Endpoint:
    value = data.get(key)
    if not isinstance(value, dict):
        raise _BadFieldError(key, _("is missing"))
    host, port, tls = value.get("host"), value.get("port"), value.get("tls")
    if not isinstance(host, str) or not host.strip():
        raise _BadFieldError(f"{key}.host", _("is missing or not a text"))
    if not isinstance(port, int) or isinstance(port, bool) or not 0 < port < 65536:
        raise _BadFieldError(f"{key}.port", _("is not a port between 1 and 65535"))
    if tls not in ("implicit", "starttls"):
        raise _BadFieldError(f"{key}.tls", _("is neither “implicit” nor “starttls”"))
    return Endpoint(host.strip(), port, tls)
