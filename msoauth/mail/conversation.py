"""Where a conversation with a mail server stands, and the error for what ends it there.

Its stages: resolve, connect, tls, greeting, authenticate, work.
"""

import ssl
import time
from dataclasses import dataclass, field

from msoauth.clouds import Endpoint
from msoauth.errors import MailError
from msoauth.mail import dial, unverified
from msoauth.mail.transcript import Transcript
from msoauth.texts import _


@dataclass
class Timing:
    """Seconds that each stage took."""

    seconds: dict[str, float] = field(default_factory=dict)


class Conversation:
    """A conversation: with whom, its record, its stage and the time it has there.

    Attributes:
        timing: What each stage took so far.
        timeout: Seconds that a stage may take, at work each wait.
        allowance: Seconds that are left of them; who waits takes from it what the waiting took.
        stage: Where the conversation is; a failure carries it.
        issuer: Who issued the server's certificate (a company's proxy shows itself here), or empty.
        said_in_plain: The lines that we sent before TLS began.
    """

    def __init__(self, endpoint: Endpoint, transcript: Transcript, timeout: float) -> None:
        self.endpoint = endpoint
        self.transcript = transcript
        self.timing = Timing()
        self.timeout = timeout
        self.allowance = timeout
        self.stage = "resolve"
        self.issuer = ""
        self.said_in_plain: list[str] = []
        self._entered = time.perf_counter()

    def enter(self, stage: str) -> None:
        """Begin a stage: the time of the one before is noted, and failures are named after the new one."""
        self.note_time()
        self.stage = stage
        self.allowance = self.timeout

    def note_time(self) -> None:
        """Note what the present stage took so far."""
        now = time.perf_counter()
        for seconds in (self.timing.seconds, self.transcript.seconds):
            seconds[self.stage] = seconds.get(self.stage, 0.0) + now - self._entered
        self._entered = now

    def failure(
        self,
        why: str,
        cause: str,
        problem: BaseException | str = "",
        *,
        retriable: bool = False,
        challenge: str | None = None,
    ) -> MailError:
        """The error for what went wrong at the present stage."""
        evidence = problem if isinstance(problem, str) else f"{type(problem).__name__}: {problem}"
        self.transcript.remark(f"{self.stage}: {why}")
        return MailError(
            _("{host}:{port}, {stage}: {why}.").format(
                host=self.endpoint.host, port=self.endpoint.port, stage=self.stage, why=why
            ),
            stage=self.stage,
            cause=cause,
            evidence=self.transcript.shown(evidence)[:2000],
            retriable=retriable,
            challenge=challenge,
        )

    def broken(self, problem: Exception) -> MailError:
        """The error for what the operating system or TLS said."""
        if isinstance(problem, dial.CancelledError):
            return self.failure(_("cancelled"), "unknown")
        if isinstance(problem, TimeoutError):
            return self.failure(
                _("no answer came within {seconds:.0f} seconds").format(seconds=self.timeout),
                # A server that greeted us is there: it is not a firewall that keeps silent.
                "service-unavailable"
                if self.stage in ("authenticate", "work")
                else "connect-timeout",
                problem,
                retriable=self.stage == "work",
            )
        if isinstance(problem, ssl.SSLCertVerificationError):
            return self._untrusted(problem)
        if isinstance(problem, ssl.SSLError) or self.stage == "tls":
            return self.failure(_("the TLS connection failed"), "tls-failed", problem)
        if isinstance(problem, ConnectionRefusedError):
            return self.failure(_("the connection was refused"), "connect-refused", problem)
        return self.failure(
            _("the connection broke"), "service-unavailable", problem, retriable=True
        )

    def _untrusted(self, problem: ssl.SSLCertVerificationError) -> MailError:
        """Who issued a certificate that is not believed tells a company's proxy from a wrong server."""
        self.issuer = unverified.issuer(self.endpoint, self.said_in_plain, min(self.timeout, 5.0))
        why = _("the server's certificate is not trusted")
        if self.issuer:
            why = _("the server's certificate, issued by {issuer}, is not trusted").format(
                issuer=self.transcript.shown(self.issuer)
            )
        return self.failure(why, "tls-untrusted", problem)
