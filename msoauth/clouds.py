"""Defines the hosts, ports and scopes of the Microsoft clouds, and reads those of other servers from an endpoints file.

Sources: Microsoft's national-cloud pages for the authority and Graph hosts; Microsoft's POP3/IMAP4
page for the global mail hosts; reports from the field for the mail hosts and scopes of the national
clouds (no Microsoft page names their POP hosts: unverified). Labels such as "facts A5" refer to docs/facts.
"""

import ipaddress
import json
import re
import unicodedata
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast

from msoauth.errors import InputError
from msoauth.private_files import read_bounded
from msoauth.redact import redact
from msoauth.texts import _

Tls = Literal["implicit", "starttls"]
Protocol = Literal["pop3", "imap", "smtp"]

MAX_BYTES = 16 << 20  # of an endpoints file; that of a practice tenant lists its accounts

PRACTICE = "practice"  # the name of a practice tenant's cloud
# An https address without user name, backslash or blank, which programs read differently: everybody finds this host in it.
_HTTPS_ADDRESS = re.compile(
    r"https://(?P<host>[\w.-]+|\[[0-9a-f:]+\])(?P<port>:\d{1,5})?(?:/[\w.~!$&'()*+,;=:%/-]*)?",
    re.IGNORECASE | re.ASCII,
)
_NOWHERE = ".does-not-exist.invalid"  # never resolves (RFC 6761)
_HOST = re.compile(r"[\w.-]+|[0-9a-f:]+", re.IGNORECASE | re.ASCII)
_LIKE_MICROSOFTS = ("microsoft", "office365", "m365", "o365")

BY_NAME: dict[str, "Cloud"] = {}  # Microsoft's clouds


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
        name: ``global``, ``usgov``, ``china``, or the name in the endpoints file. The names of Microsoft's clouds and of
            the practice tenant are reserved for these.
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

    def __post_init__(self) -> None:
        """Refuse a name that promises another place than this.

        Raises:
            ReservedNameError: the name is reserved, and this is not the cloud of that name.
        """
        if not _may_be_called(self):
            raise ReservedNameError(
                _(
                    "The name “{name}” is reserved; an endpoints file for {host} needs another one, such as “own”."
                ).format(name=self.name[:60], host=self.host[:200]),
                field="cloud",
            )

    @property
    def host(self) -> str:
        """The authority's host, as :func:`host_of` tells it."""
        return host_of(self.authority)

    @property
    def hosts(self) -> dict[str, str]:
        """What its servers are called for people (with an unusual port), and their host names alone, without repetition."""
        hosts = {}
        for url in (self.authority, self.graph):
            match = _HTTPS_ADDRESS.fullmatch(url)
            hosts[host_of(url)] = match["host"].strip("[]").lower() if match else ""
        return hosts | {
            end.host.lower(): end.host.lower() for end in (self.pop3, self.imap, self.smtp)
        }

    @property
    def is_loopback(self) -> bool:
        """Whether all its servers are on this computer, or nowhere: names that a practice tenant's scenarios get wrong."""
        return all(map(_is_loopback, self.hosts.values()))

    @property
    def foreign_hosts(self) -> list[str]:
        """Its servers that are neither Microsoft's nor on this computer, for people."""
        known = {host for cloud in BY_NAME.values() for host in cloud.hosts.values()}
        return [
            shown
            for shown, host in self.hosts.items()
            if host not in known and not _is_loopback(host)
        ]

    @property
    def is_practice(self) -> bool:
        """Whether this is a practice tenant: on this computer, with a certificate authority of its own."""
        return self.name == PRACTICE and self.is_loopback and self.ca_file is not None

    @property
    def label(self) -> str:
        """Its name and, wherever the cloud is not Microsoft's, the authority's host."""
        return self.name if self.is_microsoft else f"{self.name} ({self.host})"

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
        """Whether this is one of Microsoft's own clouds, unchanged."""
        return BY_NAME.get(self.name) == self

    def to_json(self) -> str:
        """The endpoints file of this cloud, as JSON text."""
        return json.dumps(asdict(self))


def host_of(url: str) -> str:
    """The host of an https address, with its port if that is not 443; the whole address if it is malformed."""
    match = _HTTPS_ADDRESS.fullmatch(url)
    if match is None:
        return url
    port = match["port"] or ""
    return match["host"].lower() + ("" if port == ":443" else port)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.casefold() == "localhost" or host.endswith(_NOWHERE)


def _may_be_called(cloud: Cloud) -> bool:
    """Whether a cloud's name is not reserved, or it is the cloud of that name."""
    decomposed = unicodedata.normalize("NFKD", cloud.name.casefold())
    plain = "".join(filter(str.isalnum, decomposed)).casefold()  # no accents, no punctuation
    if plain == PRACTICE:
        return cloud.is_practice
    if plain in BY_NAME:
        return cloud.is_microsoft
    # Letters of other alphabets look like Latin ones.
    return plain.isascii() and not any(name in plain for name in _LIKE_MICROSOFTS)


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
BY_NAME.update({cloud.name: cloud for cloud in (GLOBAL, US_GOV, CHINA)})


def load(name_or_file: str) -> Cloud:
    """Load a Microsoft cloud by its name, or any cloud from an endpoints file.

    Raises:
        InputError: neither a known name nor a readable endpoints file.
    """
    cloud = BY_NAME.get(name_or_file.strip().lower())
    if cloud is not None:
        return cloud
    try:
        content = read_bounded(Path(name_or_file), MAX_BYTES)
    except (OSError, ValueError):
        raise InputError(
            _(
                "The cloud “{name}” is neither global, usgov or china nor an endpoints file that can be read."
            ).format(name=redact(name_or_file, 200)),
            field="cloud",
        ) from None
    return parse(content, source=Path(name_or_file).name)


def parse(content: str | bytes, *, source: str = "") -> Cloud:
    """Parse the JSON of an endpoints file.

    Args:
        content: Bytes may be UTF-8, UTF-16 or UTF-32: ``>`` of Windows PowerShell 5.1 writes UTF-16.
        source: The file's name, for error messages.

    Raises:
        InputError: it is invalid, or its name is reserved for another cloud; the message names the entry.
    """
    where = source or _("the endpoints file")
    data = _json_object(content, where)
    cloud = _read(data, where)
    if cloud.name == PRACTICE and not isinstance(data.get("practice"), dict):
        raise _bad_field(where, "practice", _("is missing"))
    return cloud


def stored(text: str) -> Cloud:
    """The cloud of a firm in the workspace, from the name of a Microsoft cloud or what :meth:`Cloud.to_json` wrote.

    A reserved name, which the database may hold from before it was reserved or because somebody wrote it there, is
    replaced by “own”.

    Raises:
        InputError: it is neither.
    """
    if text in BY_NAME:
        return BY_NAME[text]
    where = _("the stored cloud")
    data = _json_object(text, where)
    try:
        return _read(data, where)
    except ReservedNameError:
        return _read({**data, "name": "own"}, where)


def _json_object(content: str | bytes, where: str) -> dict[str, Any]:
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        raise InputError(_("{where} is not JSON.").format(where=where), field="cloud") from None
    if not isinstance(data, dict):
        raise InputError(
            _("{where} does not hold one JSON object.").format(where=where), field="cloud"
        )
    return data


def _read(data: dict[str, Any], where: str) -> Cloud:
    """The cloud that a JSON object describes.

    Raises:
        InputError: an entry is invalid, or the name is reserved.
    """
    try:
        return Cloud(
            name=_text(data, "name"),
            authority=_https(data, "authority"),
            graph=_https(data, "graph"),
            outlook_resource=_https(data, "outlook_resource", is_scope=True).rstrip("/"),
            pop3=_endpoint(data, "pop3"),
            imap=_endpoint(data, "imap"),
            smtp=_endpoint(data, "smtp"),
            ca_file=_text(data, "ca_file") if data.get("ca_file") is not None else None,
        )
    except _BadFieldError as error:
        raise _bad_field(where, *error.args) from None


def _bad_field(where: str, key: str, problem: str) -> InputError:
    return InputError(
        _("{where}: the entry “{key}” {wrong}.").format(where=where, key=key, wrong=problem),
        field="cloud",
    )


class ReservedNameError(InputError):
    """A cloud has a name that promises another place."""


class _BadFieldError(Exception):
    """Raised with the entry's key and what is wrong with it."""


def _text(data: dict[str, Any], key: str) -> str:
    value = data.get(key)
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise _BadFieldError(key, _("is missing or not a text"))
    return value.strip()


def _https(data: dict[str, Any], key: str, *, is_scope: bool = False) -> str:
    """An entry that is an https address, or begins with one because it *is_scope*, to which nothing is sent."""
    value = re.sub(
        r"(?<=^https://)[\w.-]+", lambda m: _ascii_host(m[0]), _text(data, key), flags=re.IGNORECASE
    )
    if not (_HTTPS_ADDRESS.match(value) if is_scope else _HTTPS_ADDRESS.fullmatch(value)):
        raise _BadFieldError(key, _("is not an https address"))
    return value.rstrip("/") + "/"


def _ascii_host(host: str) -> str:
    """A host name as it is looked up (IDNA), so that other letters do not pass for a known name; as it is, if invalid."""
    try:
        return host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        return host


def _endpoint(data: dict[str, Any], key: str) -> Endpoint:
    value = data.get(key)
    if not isinstance(value, dict):
        raise _BadFieldError(key, _("is missing"))
    host, port, tls = value.get("host"), value.get("port"), value.get("tls")
    host = _ascii_host(host.strip()) if isinstance(host, str) else ""
    if not _HOST.fullmatch(host):
        raise _BadFieldError(f"{key}.host", _("is missing or not a text"))
    if not isinstance(port, int) or isinstance(port, bool) or not 0 < port < 65536:
        raise _BadFieldError(f"{key}.port", _("is not a port between 1 and 65535"))
    if tls not in ("implicit", "starttls"):
        raise _BadFieldError(f"{key}.tls", _("is neither “implicit” nor “starttls”"))
    return Endpoint(host, port, tls)
