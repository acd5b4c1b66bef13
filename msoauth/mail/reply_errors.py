"""Turn a mail server's negative reply into an error: its cause, and whether and when a retry may succeed.

The causes of replies that no retry helps come from the catalogue in ``msoauth.explaining``.
"""

import re

from msoauth import clouds
from msoauth.clouds import Endpoint
from msoauth.errors import MailError, Stage
from msoauth.explaining import explain
from msoauth.mail.connection import Connection

# The TLS version is too old (facts E4): permanent, although the reply may be a 421.
_OLD_TLS = re.compile(r"^[45]\d\d \d\.7\.6[67]\b")
# Replies after which a retry may succeed, with their causes: Exchange's (facts E3, E4, E6, E7) and those of any server
# (RFC 2449, 3206).
_TEMPORARY = (
    (
        re.compile(
            r"^432 |^4\d\d 4\.7\.[56]\d\d\b|^421 4\.3\.2|concurrent (?:server )?connections|thread limit"
            # 550 5.2.251 to 5.2.255 hold for long, and more tries prolong them (facts L9).
            r"|throttled(?! due to continuous)|too many (?!recipients|hops|invalid|bad|errors)|LOGIN-DELAY",
            re.IGNORECASE,
        ),
        "throttled",
    ),
    (
        re.compile(
            r"\[IN-USE\]|\[INUSE\]|mailbox is locked|mailbox.{0,20}in use|being moved",
            re.IGNORECASE,
        ),
        "mailbox-busy",
    ),
    (
        re.compile(
            r"\[SYS/TEMP\]|\[UNAVAILABLE\]|Server Unavailable|^421 |^454 4\.7\.0|^4[05]1 4\.[37]\.0",
            re.IGNORECASE,
        ),
        "service-unavailable",
    ),
)
_BACKOFF = re.compile(r"Suggested Backoff Time: (\d{1,9}) milliseconds", re.IGNORECASE)


def error_from_reply(
    connection: Connection, reply: str, why: str, *, challenge: str | None = None
) -> MailError:
    """The error for a server's negative *reply* in the connection's current stage.

    Example: ``-ERR [SYS/TEMP] Server Unavailable`` becomes a retriable ``service-unavailable``.

    Args:
        why: What was refused, as a clause for people.
        challenge: The decoded challenge that came before it.
    """
    evidence = reply if not challenge else f"{reply}\n{challenge}"
    if _OLD_TLS.search(reply):
        return connection.failure(why, "tls-failed", evidence)
    for pattern, cause in _TEMPORARY:
        if pattern.search(reply):
            failure = connection.failure(why, cause, evidence, retriable=True, challenge=challenge)
            backoff = _BACKOFF.search(reply)
            failure.retry_after = int(backoff[1]) / 1000 if backoff else None
            return failure
    cause = explain(evidence).cause
    # A server that the user chose answers for itself; in the place of Microsoft's another one has no business.
    if cause == "other-provider" and not _is_microsoft(connection.endpoint):
        cause = "unknown"
    if cause == "unknown" and connection.stage == Stage.AUTHENTICATE:
        cause = "mail-login-rejected"
    # POP3 has one reply for every refused login, which the catalogue takes for a wrong password; none was sent here.
    if connection.stage == Stage.AUTHENTICATE and cause in (
        "password-wrong",
        "basic-auth-disabled",
        "pop-disabled",
        "imap-disabled",
    ):
        cause = "mail-login-rejected"
    return connection.failure(why, cause, evidence, challenge=challenge)


def _is_microsoft(endpoint: Endpoint) -> bool:
    """Whether *endpoint* is a mail server of Microsoft's clouds."""
    return any(
        endpoint in (cloud.pop3, cloud.imap, cloud.smtp) for cloud in clouds.BY_NAME.values()
    )
