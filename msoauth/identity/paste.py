"""The paste way: the user's browser ends on an address that does not load, and that address comes back by mail."""

import hmac
import html
import quopri
import re
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, unquote

from msoauth import redact
from msoauth.errors import AuthError, InputError
from msoauth.identity.authority import Client
from msoauth.identity.signin import SignedIn, SignIn, state_age
from msoauth.model import Account, Firm
from msoauth.store import Workspace
from msoauth.texts import _

# Seconds; a link that is sent by mail takes its time. The code in the answer lives ten minutes (facts B6).
PASTE_TIME_LIMIT = 3600.0

_TEXT_LIMIT = 200_000  # characters; a mail with its quotes
_BREAK = re.compile(
    r"[ \t]*\r?\n[>\s]*"
)  # a line that a mail program broke, perhaps behind quote marks
_BETWEEN = re.compile(r"[\s<>\"'|]+")
_NESTING = 3  # link guards that wrap one another


class PasteSignIn(SignIn):
    """A sign-in whose answer is pasted. Works when nothing else does."""

    via = "paste"

    def __init__(
        self,
        workspace: Workspace,
        account: Account,
        firm: Firm,
        client: Client,
        *,
        claims: str | None,
        another: bool,
    ) -> None:
        super().__init__(workspace, account, firm, client)
        self._ready = threading.Event()
        self._answer: dict[str, str] | None = None
        self._flow: dict[str, Any] = self._begin_code_flow(
            firm.redirect_uri, "query", claims=claims, another=another
        )
        self.expires_at = time.monotonic() + PASTE_TIME_LIMIT
        self.message = _(
            "Send this link to {user}. After signing in, the browser ends on a page that does not load: "
            "its whole address comes back to you and is pasted here."
        ).format(user=account.user)

    def paste(self, text: str) -> None:
        """See :meth:`SignIn.paste`; takes the address out of whatever mail programs put around it."""
        if time.monotonic() >= self.expires_at:
            raise _complaint(
                _("The link is older than {minutes} minutes, so this answer no longer counts; start again.").format(
                    minutes=round(PASTE_TIME_LIMIT / 60)
                )
            )  # fmt: skip
        wanted: str = self._flow["state"]
        others = []
        for fields in _answers(text):
            state = fields.get("state", "")
            # What a mail program glued to the end of the address does not make the answer another one.
            if hmac.compare_digest(state[: len(wanted)].encode(), wanted.encode()):
                redact.remember(fields.get("code"))
                self._answer = {**fields, "state": wanted}
                self._ready.set()
                return
            others.append(state)
        if not others:
            raise _complaint(
                _("In this text there is no address with an answer in it; copy the whole address line of the browser.")
            )  # fmt: skip
        if not any(others):
            raise _complaint(
                _("The address is not whole: its “state” is missing. Copy the whole address line of the browser.")
            )  # fmt: skip
        ages = [age for state in others if (age := state_age(state)) is not None]
        if ages:
            raise _complaint(
                _("This is the answer to another link, made {minutes} minutes ago; only the newest link counts.").format(
                    minutes=max(0, round(min(ages) / 60))
                )
            )  # fmt: skip
        raise _complaint(
            _("This answer does not belong to this sign-in: send the link again and use the address that comes of it.")
        )  # fmt: skip

    def _wait(self, timeout: float | None) -> SignedIn:
        """See :meth:`SignIn.wait`."""
        deadline = (
            self.expires_at if timeout is None else min(self.expires_at, time.monotonic() + timeout)
        )
        while not self._ready.wait(0.25):
            if time.monotonic() >= deadline:
                raise AuthError(
                    _("No address was pasted in time; start again."), cause="code-expired"
                )
        if self._answer is None:
            raise AuthError(_("The sign-in was cancelled."), cause="consent-declined")
        return self._redeem(self._flow, self._answer)

    def cancel(self) -> None:
        """See :meth:`SignIn.cancel`."""
        self._ready.set()


def _complaint(sentence: str) -> InputError:
    return InputError(sentence, field="paste", cause="state-mismatch")


def _answers(text: str) -> Iterator[dict[str, str]]:
    """Every answer of a sign-in that *text* holds: also broken over lines, quoted, escaped, or behind a link guard."""
    text = text[:_TEXT_LIMIT]
    seen = set()
    for version in _versions(text):
        for run in _BETWEEN.split(version):
            for fields in _fields(run, _NESTING):
                key = tuple(sorted(fields.items()))
                if key not in seen:
                    seen.add(key)
                    yield fields


def _versions(text: str) -> Iterator[str]:
    """The text as it is, and as it was before mail programs handled it."""
    plain = [text]
    if "=3D" in text or "=\n" in text or "=\r\n" in text:
        plain.append(quopri.decodestring(text.encode()).decode("utf-8", "replace"))
    for version in plain:
        for unescaped in dict.fromkeys((version, html.unescape(version))):
            yield unescaped
            yield _BREAK.sub("", unescaped)


def _fields(run: str, depth: int) -> Iterator[dict[str, str]]:
    """The answers in an unbroken run of characters."""
    if not any(name in run for name in ("code", "error")):
        return
    query = run.partition("?")[2] if "?" in run else run
    try:
        found = parse_qs(query.partition("#")[0], max_num_fields=50)
    except ValueError:
        return
    fields = {name: values[0] for name, values in found.items()}
    if ("code" in fields or "error" in fields) and "url" not in fields:
        yield {name: value.rstrip(">.,;)]") for name, value in fields.items()}
    if depth:
        # Link guards carry the address in a parameter (Safe Links: url, Barracuda: a), or between underscores
        # (URL Defense v3), or with its own escapes (URL Defense v2: u).
        inner = [fields[name] for name in ("url", "a") if name in fields]
        if "u" in fields:
            inner.append(unquote(fields["u"].replace("-", "%").replace("_", "/")))
        if "/v3/__" in run:
            inner.append(run.partition("/v3/__")[2].partition("__;")[0])
        for address in inner:
            yield from _fields(address, depth - 1)
