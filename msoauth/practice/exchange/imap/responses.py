"""The IMAP server's replies (facts E3 and N13)."""

from msoauth.practice.exchange.connection import Connection

READY = "* OK The Microsoft Exchange IMAP4 service is ready. [{}]"
# The form of some front ends since the end of 2025 (facts L12).
READY_BACKEND = "* OK The Microsoft Exchange IMAP4 service is ready. (BACKENDAUTHENTICATE) [{}]"
BEFORE = "IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+"
AFTER = (
    "IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS MOVE ID UNSELECT CLIENTACCESSRULES "
    "CLIENTNETWORKPRESENCELOCATION BACKENDAUTHENTICATE CHILDREN IDLE NAMESPACE LITERAL+"
)
REFUSED = "NO AUTHENTICATE failed."
LOGIN_REFUSED = "NO Basic authentication is disabled."
INVALID_STATE = "BAD Command received in Invalid state."
NOT_CONNECTED = "BAD User is authenticated but not connected."
CLOSED = "* BYE Connection closed. 14"
WRONG_ARGUMENT = "BAD Command Argument Error. 11"  # unknown FETCH items, flags, keywords
ARGUMENTS = "BAD Command Argument Error. 12"  # from memory and unverified in the facts too
MESSAGE_SET = "BAD The specified message set is invalid."
CHARSET = "NO [BADCHARSET (US-ASCII)] The specified charset is not supported."
IDLING = "+ IDLE accepted, awaiting DONE command."
CONTINUE = "+ Ready for additional command text."
NO_FOLDER = "NO {} doesn't exist."
FOLDER_EXISTS = "NO Mailbox already exists."
UNAVAILABLE = "NO Server Unavailable. 15"
THROTTLED = "BAD Request is throttled. Suggested Backoff Time: 92415 milliseconds"
EXPIRED = "* BYE Session invalidated - AccessTokenExpired"
# The following are unverified: no capture of Exchange Online shows its wording for them.
UNKNOWN = "BAD Command Error. 10"
GOODBYE = "* BYE Microsoft Exchange Server IMAP4 server signing off."
READ_ONLY = "NO The folder was opened read-only."
FAILED = "NO {} failed."
FULL = "NO Mailbox full."


def say(connection: Connection, line: str) -> None:
    """Put a line into the answer."""
    connection.write(line.encode("utf-8", "replace") + b"\r\n")


def complete(connection: Connection, tag: str, verb: str, code: str = "") -> None:
    """End a command that succeeded; *code* is a response code followed by a space."""
    say(connection, f"{tag} OK {code}{verb} completed.")
