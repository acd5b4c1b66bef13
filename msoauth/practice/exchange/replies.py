"""SMTP's replies, word for word (facts E4 to E6); ``[..]`` stands for ``[host time session-id]``."""

from msoauth.practice.exchange.auth import Verdict

_UNSUCCESSFUL = "535 5.7.139 Authentication unsuccessful, "
_CRITERIA = "the request did not meet the criteria to be authenticated successfully. Contact your administrator. [..]"
_VISIT = "Visit https://aka.ms/smtp_auth_disabled for more information. [..]"

AUTH_REFUSED = "535 5.7.3 Authentication unsuccessful [..]"
AUTH_OK = "235 2.7.0 Authentication successful"
AUTH_MALFORMED = "501 5.5.124 Invalid XOAUTH2 auth data"
AUTH_CANCELLED = "501 5.7.0 Authentication cancelled [..]"  # unverified wording; RFC 4954's code
AUTH_TEMPORARY = "454 4.7.0 Temporary authentication failure. [..]"
AUTH_UNKNOWN = "504 5.7.4 Unrecognized authentication type [..]"
AUTH_TWICE = "503 5.5.2 Already authenticated [..]"  # unverified wording
BASIC_DISABLED = f"{_UNSUCCESSFUL}basic authentication is disabled. [..]"
CREDENTIALS = f"{_UNSUCCESSFUL}the user credentials were incorrect. [..]"
# Announced for the time after the final removal of Basic authentication (facts E5, I).
BASIC_REMOVED = "550 5.7.30 Basic authentication is not supported for Client Submission."

# By the fault that a scenario sets: the reply to a login, besides those of policies (facts E5).
AT_LOGIN = {
    "smtp.sts-unreachable": f"{_UNSUCCESSFUL}federated STS service was unreachable.",
    "smtp.sts-no-https": f"{_UNSUCCESSFUL}the federated STS URL does not support HTTPS.",
    # An OAuth login got it too, in a tenant whose reason nobody could see: unverified.
    "smtp.criteria": f"{_UNSUCCESSFUL}{_CRITERIA}",
    "smtp.account-locked": f"{_UNSUCCESSFUL}account locked.",  # unverified in the facts too
    "smtp.temporary": AUTH_TEMPORARY,
}

POLICY = {
    Verdict.SMTP_OFF_MAILBOX: f"{_UNSUCCESSFUL}SmtpClientAuthentication is disabled for the Mailbox. {_VISIT}",
    Verdict.SMTP_OFF_TENANT: f"{_UNSUCCESSFUL}SmtpClientAuthentication is disabled for the Tenant. {_VISIT}",
    Verdict.SECURITY_DEFAULTS: f"{_UNSUCCESSFUL}user is locked by your organization's security defaults policy. "
    "Contact your administrator. [..]",
    Verdict.CRITERIA: f"{_UNSUCCESSFUL}{_CRITERIA}",
}

HELLO_FIRST = "503 5.5.2 Send hello first [..]"
HELLO_INVALID = "501 5.5.4 Invalid domain name [..]"
TLS_REQUIRED = "451 5.7.3 STARTTLS is required to send mail [..]"
TLS_READY = "220 2.0.0 SMTP server ready"
TLS_OLD = (
    "421 4.7.66 TLS 1.0 and 1.1 are not supported. Please upgrade/update your client to support "
    "TLS 1.2. Visit https://aka.ms/smtp_auth_tls. [..]"
)
NOT_AUTHENTICATED = "530 5.7.57 Client not authenticated to send mail. [..]"
NOT_AUTHENTICATED_AGAIN = "530 5.7.57 Client not authenticated to send mail. Error: {} [..]"
UNRECOGNIZED = "500 5.3.3 Unrecognized command '{}' [..]"
# facts N13
NEED_RCPT = "503 5.5.2 Need rcpt command [..]"
# From memory, of the same kind: unverified.
NEED_MAIL = "503 5.5.2 Need mail command [..]"
SENDER_GIVEN = "503 5.5.2 Sender already specified [..]"
HELP = (
    "214-This server supports the following commands:\r\n"
    "214 HELO EHLO STARTTLS RCPT DATA RSET MAIL QUIT HELP AUTH BDAT"
)
# The next four are the ordinary words of Exchange's SMTP receive agent; no capture in the facts: unverified.
SEQUENCE = "503 5.5.1 Bad sequence of commands [..]"
ARGUMENTS = "501 5.5.4 Invalid arguments [..]"
ADDRESS = "501 5.1.7 Invalid address [..]"
RECIPIENTS = "452 4.5.3 Too many recipients [..]"
LINE_TOO_LONG = "500 5.5.2 Line too long [..]"  # unverified wording
TOO_MANY_ERRORS = (
    "421 4.7.0 Too many errors on this connection, closing transmission channel [..]"  # unverified
)
# From memory and unverified, in the facts too.
IDLE = "451 4.7.0 Timeout waiting for client input [..]"
TIMED_OUT = "421 4.4.1 Connection timed out"
BUSY = "421 4.7.500 Server busy. Please try again later."

SENDER_OK = "250 2.1.0 Sender OK"
RECIPIENT_OK = "250 2.1.5 Recipient OK"
RECIPIENT_UNKNOWN = (
    "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup [..]"
)
START_DATA = "354 Start mail input; end with <CRLF>.<CRLF>"
QUEUED = "250 2.0.0 OK {} [Hostname={}]"
CHUNK_OK = "250 2.6.0 CHUNK received OK, {} octets"  # unverified wording
RESET = "250 2.0.0 Resetting"
FINE = "250 2.0.0 OK"
BYE = "221 2.0.0 Service closing transmission channel"
CANNOT_VERIFY = "252 2.1.5 Cannot VRFY user"  # unverified wording

TOO_BIG = "552 5.3.4 Message size exceeds fixed limit"
CONCURRENT = (
    "432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending "
    "for more information. [Hostname={}]"
)
SEND_AS_EARLY = "550 5.7.60 SMTP; Client does not have permissions to send as this sender [..]"
SEND_AS = (
    "554 5.2.252 SendAsDenied; {} not allowed to send as {}; "
    "STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied; Failed to process "
    "message due to a permanent exception with message [BeginDiagnosticData]Cannot submit message. "
    "MapiExceptionSendAsDenied: Unable to submit message.[EndDiagnosticData] [Hostname={}]"
)
MULTIPLE_FROM = "550 5.1.20 Multiple From addresses are not allowed without Sender address"
LOGON_FAILURE = (
    "430 4.2.0 STOREDRV; mailbox logon failure; "
    "STOREDRV.Submission.Exception:ConnectionFailedTransientException.MapiExceptionLogonFailed; Failed to "
    "process message due to a transient exception with message [BeginDiagnosticData]Cannot open mailbox. "
    "MapiExceptionLogonFailed: Unable to open message store.[EndDiagnosticData] [Hostname={}]"
)
# By the fault that a scenario sets: the reply to a submitted mail (facts E6).
AFTER_DATA = {
    "smtp.timeout": TIMED_OUT,
    "smtp.throttled": CONCURRENT,
    "smtp.thread-limit": "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded [Hostname={}]",
    "smtp.too-big": TOO_BIG,
    "smtp.mailbox-full": "554 5.2.2 mailbox full; STOREDRV.Submission.Exception:QuotaExceededException."
    "MapiExceptionShutoffQuotaExceeded; Failed to process message due to a permanent exception [Hostname={}]",
    "smtp.quota": "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException; "
    "Failed to process message due to a permanent exception [Hostname={}]",
    "smtp.sender-blocked": "550 5.1.8 Access denied, bad outbound sender [..]",
    "smtp.tenant-blocked": "550 5.7.705 Access denied, tenant has exceeded threshold [..]",
    "smtp.address-blocked": "550 5.7.708 Access denied, traffic not accepted from this IP [..]",
    "smtp.trial-limit": "550 5.7.232 - Your message can't be sent because your trial tenant has exceeded its daily "
    "limit for sending email to external recipients (tenant external recipient rate limit) [..]",
    "smtp.external-limit": "550 5.7.233 - Your message can't be sent because your tenant exceeded its daily "
    "limit for sending email to external recipients (tenant external recipient rate limit) [..]",
}
# A mailbox that met the same error again and again may not send for a while (facts L9), by the number's last digit.
for _digit, _errors in (
    ("1", "mailbox full"),
    ("2", "send as denied"),
    ("3", "invalid license"),
    ("4", "too many recipients"),
    ("5", "invalid recipients"),
):
    AFTER_DATA[f"smtp.continuous-{_errors.replace(' ', '-')}"] = (
        f"550 5.2.25{_digit} Sender throttled due to continuous {_errors} errors."
    )


def capabilities(host: str, peer: str, secure: bool, size: int) -> str:
    """EHLO's answer; offers AUTH only under TLS, and STARTTLS only before it."""
    lines = [f"{host} Hello [{peer}]", f"SIZE {size}", "PIPELINING", "DSN", "ENHANCEDSTATUSCODES"]
    lines += ["AUTH LOGIN XOAUTH2"] if secure else ["STARTTLS"]
    lines += ["8BITMIME", "BINARYMIME", "CHUNKING", "SMTPUTF8"]
    return "".join(
        f"250{'-' if i < len(lines) - 1 else ' '}{line}\r\n" for i, line in enumerate(lines)
    )
