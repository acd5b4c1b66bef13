"""Faults: misbehaviour of the servers that a scenario sets by name, for everybody or for chosen targets.

A fault without an aim applies to everybody, one with an aim to the tenants and mailboxes that it names. Before a
sign-in the servers do not know whom they serve, so there it applies to everybody either way. Misbehaving ports
(``port.…``, see ``network.py``) are such faults too: they come before any sign-in.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

# name → what it does, for the admin center
FAULTS = {
    "port.authority": "The port of the sign-in and token service misbehaves",
    "port.pop3": "The POP3 port misbehaves",
    "port.imap": "The IMAP port misbehaves",
    "port.smtp": "The SMTP port misbehaves",
    "token.status": "The token endpoint answers with this HTTP status",
    "token.graph": "Tokens are for Microsoft Graph, whatever was asked for",
    "token.lacks": "Tokens lack this permission",
    "token.no-refresh": "No refresh token comes with an access token: offline_access is not granted",
    "code.age": "Authorization codes are so many seconds old when they arrive",
    "code.redeemed": "Authorization codes were redeemed by something else on their way",
    "refresh.age": "Refresh tokens have been unused for so many seconds longer than they were",
    "refresh.cut": "Refresh tokens arrive cut short",
    "code.verifier": "Authorization codes belong to another attempt's PKCE challenge",
    "state.other": "The browser's answer carries another attempt's state",
    "pop3.drop": "The connection is dropped in the middle of the first message or list (POP3)",
    "pop3.unavailable": "Server Unavailable at every POP3 login",
    "pop3.refused": "The one refusal of POP3 at every login, whatever the token",
    "pop3.response-codes": "POP3 announces and uses RESP-CODES and AUTH-RESP-CODE, which Exchange Online does not",
    "imap.backend-greeting": "IMAP greets in its newer form, with (BACKENDAUTHENTICATE)",
    "imap.drop": "The connection is dropped in the middle of the first message (IMAP)",
    "imap.unavailable": "NO Server Unavailable at every IMAP login",
    "imap.throttled": "Request is throttled, with a backoff time",
    "imap.token-expired": "Session invalidated - AccessTokenExpired, right after the IMAP login",
    # True, or "IPv6" or "IPv4": over that one only
    "imap.not-connected": "User is authenticated but not connected, whatever the mailbox's settings",
    "imap.passes": "User is authenticated but not connected, at the first IMAP login of each mailbox only",
    "message.withheld": "The newest mail is listed, and nothing is handed over when it is asked for",
    "message.refused": "The newest mail is listed, and refused when it is asked for",
    "message.placeholder": "Retrieval using the POP3 (or IMAP4) protocol failed: a notice in place of the newest mail",
    "message.scanning": "Safe Attachments Scan In Progress: a notice in place of the newest mail's attachments",
    "smtp.busy": "421 4.7.500 Server busy at the greeting",
    "smtp.old-tls": "421 4.7.66 TLS 1.0 and 1.1 are not supported, at the greeting",
    "smtp.sts-unreachable": "535 5.7.139 federated STS service was unreachable",
    "smtp.sts-no-https": "535 5.7.139 the federated STS URL does not support HTTPS",
    "smtp.criteria": "535 5.7.139 the request did not meet the criteria, to OAuth logins too",
    "smtp.account-locked": "535 5.7.139 account locked",
    "smtp.temporary": "454 4.7.0 Temporary authentication failure",
    "smtp.credentials": "535 5.7.139 the user credentials were incorrect, to every password",
    "smtp.basic-removed": "550 5.7.30 Basic authentication is not supported, to every password",
    "smtp.login-lost": "530 5.7.57 Client not authenticated at MAIL FROM, although AUTH was accepted",
    "smtp.send-as-early": "550 5.7.60 at MAIL FROM in place of 554 5.2.252 after the mail",
    "smtp.recipient-rejected": "550 5.1.10 for recipients that do not exist here, at RCPT TO",
    "smtp.drop": "The connection is dropped in the middle of the answer to the mail",
    "smtp.timeout": "421 4.4.1 Connection timed out after the mail",
    "smtp.throttled": "432 4.3.2 Concurrent connections limit exceeded after the mail",
    "smtp.thread-limit": "432 4.3.2 sender thread limit exceeded after the mail (older wording)",
    "smtp.mailbox-full": "554 5.2.2 mailbox full after the mail",
    "smtp.quota": "554 5.2.0 submission quota exceeded after the mail",
    "smtp.too-big": "552 5.3.4 Message size exceeds fixed limit after the mail",
    "smtp.sender-blocked": "550 5.1.8 bad outbound sender",
    "smtp.tenant-blocked": "550 5.7.705 tenant has exceeded threshold",
    "smtp.address-blocked": "550 5.7.708 traffic not accepted from this IP",
    "smtp.trial-limit": "550 5.7.232 external recipient rate limit of a trial tenant",
    "smtp.external-limit": "550 5.7.233 tenant external recipient rate limit",
    "smtp.continuous-mailbox-full": "550 5.2.251 throttled due to continuous mailbox full errors",
    "smtp.continuous-send-as-denied": "550 5.2.252 throttled due to continuous send as denied errors",
    "smtp.continuous-invalid-license": "550 5.2.253 throttled due to continuous invalid license errors",
    "smtp.continuous-too-many-recipients": "550 5.2.254 throttled due to continuous too many recipients errors",
    "smtp.continuous-invalid-recipients": "550 5.2.255 throttled due to continuous invalid recipients errors",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Fault:
    value: Any
    aims: frozenset[str] | None  # tenant ids and addresses in lower case; None for everybody


class Faults:
    """The faults that are set; safe to change from any thread.

    Attributes:
        listeners: Functions that are called with the name of a fault after it was set or cleared.
    """

    def __init__(self) -> None:
        self.listeners: list[Callable[[str], None]] = []
        self._set: dict[str, _Fault] = {}
        self._met: set[tuple[str, str]] = set()  # faults that pass, and who has met them
        self._lock = threading.Lock()

    def set(self, name: str, value: Any = True, aim: str | None = None) -> None:
        """Set a fault for everybody, or for one more tenant (its id) or mailbox (its address).

        Raises:
            KeyError: there is no such fault.
        """
        if name not in FAULTS:
            raise KeyError(name)
        with self._lock:
            current = self._set.get(name)
            if aim is None or (current is not None and current.aims is None):
                aims = None
            else:
                aims = (current.aims or frozenset() if current else frozenset()) | {aim.lower()}
            self._set[name] = _Fault(value, aims)
        self._notify(name)

    def is_first(self, name: str, address: str) -> bool:
        """Whether a fault that passes is met for the first time by this mailbox since it was set."""
        with self._lock:
            met = (name, address.lower())
            is_first = met not in self._met
            self._met.add(met)
        return is_first

    def clear(self, name: str) -> None:
        """End a fault; nothing happens when it is not set."""
        with self._lock:
            cleared = self._set.pop(name, None)
            self._met = {met for met in self._met if met[0] != name}
        if cleared is not None:
            self._notify(name)

    def _notify(self, name: str) -> None:
        for listener in self.listeners:
            listener(name)

    def value(self, name: str, *who: str) -> Any:
        """The value of a fault that applies to one of *who* (tenant ids, addresses), or None.

        Without *who* it applies whenever it is set.
        """
        fault = self._set.get(name)
        if fault is None:
            return None
        if fault.aims is None or not who or any(target.lower() in fault.aims for target in who):
            return fault.value
        return None

    def __iter__(self) -> Iterator[tuple[str, Any, frozenset[str] | None]]:
        """Name, value and aims of each fault that is set."""
        for name, fault in list(self._set.items()):
            yield name, fault.value, fault.aims
