"""Shows what an error text means: the words on which the answer rests, other possibilities, and what is not known.

The pasted text is shown without secrets, because whatever a view shows is stored in the notebook file.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from msoauth.explaining import Explanation, explain, for_cause
from msoauth.explaining.explanation import confidence_in_words, words_with_basis
from msoauth.identity import sign_in_history
from msoauth.identity.known_facts import known_facts
from msoauth.model import Account, Finding, Firm, Signal
from msoauth.redact import MASK, hidden_places
from msoauth.texts import _, ngettext
from msoauth.ui import html
from msoauth.ui.session import Session
from msoauth.ui.widgets import View

_MAX_SHOWN = 6_000  # characters of the pasted text
_CONTEXT = 400  # characters before and after the words that decide, where the text is longer


@dataclass(frozen=True)
class _Explained:
    """A text that was explained, and for whom."""

    text: str
    explanation: Explanation
    firm: Firm | None
    account: Account | None


class ExplanationView(View):
    """The explanation of the text that was pasted last.

    Args:
        preview_bundle: Shows the support bundle of a mailbox with a text added, before it is saved.
    """

    def __init__(self, session: Session, preview_bundle: Callable[[Account, str], None]) -> None:
        super().__init__(live=True, on_action=self._on_explanation_action)
        self._session = session
        self._preview_bundle = preview_bundle
        self._explained: _Explained | None = None

    def explain(self, text: str) -> None:
        """Explain *text* for the firm and the mailbox that are chosen, and show the explanation."""
        firm, account = self._session.firm(), self._session.account()
        known = known_facts(self._session.workspace, firm=firm, account=account)
        explanation = explain(text, firm=firm, account=account, known=known)
        self._explained = _Explained(text, explanation, firm, account)
        self._show_possibility(0)

    def _show_possibility(self, number: int) -> None:
        """Show the possibility of that number; after the last one, or where there is none, that it is not known."""
        explained = self._explained
        if explained is None:
            return
        possible = [one.cause for one in explained.explanation.possibilities]
        if number >= len(possible):
            self._show_unknown(explained, rejected=bool(possible))
            return
        explanation = explained.explanation
        if number:
            explanation = for_cause(
                possible[number],
                firm=explained.firm,
                account=explained.account,
                ids=explanation.ids,
                codes=explanation.codes,
                confidence="unsure",
                elsewhere=True,
            )
        position = (
            _("possibility {number} of {count}").format(number=number + 1, count=len(possible))
            if len(possible) > 1
            else ""
        )
        certainty = confidence_in_words(explanation.confidence)
        buttons = [html.button(_("Not this?"), "other-cause", str(number + 1), small=True)]
        if number:
            buttons.append(html.button(_("Back to the first"), "other-cause", "0", small=True))
        buttons.append(self._note_button(explained.account))
        self.show(
            html.box(
                "note",
                Markup("<h3>{}</h3>").format(explanation.title),
                html.paragraph(explanation.meaning),
                html.paragraph(f"{certainty} – {position}" if position else certainty),
                explanation.because and html.paragraph(explanation.because),
                Markup("") if number else self._marked(explained),
                html.remedy(
                    _as_finding(explanation, explained.account), commands=explanation.powershell
                ),
                Markup('<div class="mso-buttons">{}</div>').format(Markup(" ").join(buttons)),
            )
        )

    def _marked(self, explained: _Explained) -> Markup:
        """The pasted text with the words marked on which the answer rests, and what these words are."""
        spans = explained.explanation.spans
        if not spans:
            return Markup("")
        words = "; ".join(words_with_basis(explained.explanation, explained.text))
        rests_on = _("The answer rests on: {words}").format(words=words)
        marked = marked_text(explained.text, [(span.start, span.end) for span in spans])
        return Markup('<p class="mso-rests-on">{}</p><div class="mso-evidence">{}</div>').format(
            rests_on, marked
        )

    def _show_unknown(self, explained: _Explained, *, rejected: bool) -> None:
        """Offer a text that is not known for the support bundle, and show first what of it is taken out."""
        unknown = for_cause("unknown", ids=explained.explanation.ids)
        hidden = len(hidden_places(explained.text))
        taken_out = (
            ngettext(
                "{count} place looks like a secret and is taken out; it is marked below.",
                "{count} places look like secrets and are taken out; they are marked below.",
                hidden,
            ).format(count=hidden)
            if hidden
            else _("Nothing in it looks like a secret. Read it through all the same.")
        )
        links = explained.explanation.links if not rejected else unknown.links
        buttons = [html.button(_("Back to the first"), "other-cause", "0", small=True)] * rejected
        if explained.account is not None:
            label = _("Support bundle with this text")
            buttons.append(html.button(label, "text-bundle", primary=True, small=True))
        offer = (
            _("The text can go into the support bundle, so that its cause can be added.")
            if explained.account is not None
            else _("Choose a mailbox above to put the text into its support bundle.")
        )
        self.show(
            html.box(
                "note",
                Markup("<h3>{}</h3>").format(
                    _("None of the known causes fits") if rejected else unknown.title
                ),
                html.paragraph(unknown.meaning),
                Markup('<ol class="mso-steps">{}</ol>{}').format(
                    Markup("").join(Markup("<li>{}</li>").format(step) for step in unknown.fix),
                    Markup(" · ").join(map(html.link, links)),
                ),
                html.paragraph(offer),
                html.paragraph(taken_out),
                Markup('<div class="mso-evidence">{}</div>').format(marked_text(explained.text)),
                Markup('<div class="mso-buttons">{}</div>').format(Markup(" ").join(buttons)),
            )
        )

    def _note_button(self, account: Account | None) -> Markup:
        """A button that records a refusal that only the user saw, so that the next diagnosis reports it."""
        if account is None or self._session.workspace.tokens.status(account.address) is not None:
            return Markup("")
        label = _("{user} saw this when signing in").format(user=account.user)
        return html.button(label, "note", account.address, small=True)

    def _on_explanation_action(self, name: str, value: str) -> None:
        if name == "other-cause" and value.isdecimal():
            self._show_possibility(int(value))
        elif name == "text-bundle" and self._explained and self._explained.account:
            self._preview_bundle(self._explained.account, self._explained.text)
        elif name == "note" and self._explained:
            workspace = self._session.workspace
            account = workspace.accounts.get(value)
            firm = workspace.firms.get(account.firm)
            sign_in_history.record_reported_text(workspace, firm, account, self._explained.text)
            noted = _("Noted down: a diagnosis of {address} names it until the user has signed in.")
            self.show(html.box("note", noted.format(address=account.address)))


def marked_text(text: str, spans: Sequence[tuple[int, int]] = ()) -> Markup:
    """*text* with *spans* marked and secrets replaced by a marked mask; only what is around them, if it is long."""
    hidden_pieces = list(hidden_places(text))
    pieces = [(start, end, False) for start, end in _outside(spans, hidden_pieces)]
    pieces += [(start, end, True) for start, end in hidden_pieces]
    first, last = 0, len(text)
    if last > _MAX_SHOWN:
        around = [start for start, _end, _hidden in pieces] or [0]
        first = max(0, (spans[0][0] if spans else around[0]) - _CONTEXT)
        last = min(last, first + _MAX_SHOWN)
    parts = [Markup("… ")] * (first > 0)
    position = first
    for start, end, hidden in sorted(pieces):
        start, end = max(start, position), min(end, last)
        if start >= end:
            continue
        parts.append(Markup("{}").format(text[position:start]))
        parts.append(
            Markup('<mark class="mso-hidden">{}</mark>').format(MASK)
            if hidden
            else Markup("<mark>{}</mark>").format(text[start:end])
        )
        position = end
    parts.append(Markup("{}").format(text[position:last]))
    parts += [Markup(" …")] * (last < len(text))
    return Markup("").join(parts)


def _outside(
    spans: Iterable[tuple[int, int]], hidden: Sequence[tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    """The parts of *spans* that no secret overlaps."""
    for start, end in spans:
        for hidden_start, hidden_end in sorted(hidden):
            if hidden_end > start and hidden_start < end:
                yield start, hidden_start  # empty where the secret begins before the span
                start = hidden_end
        yield start, end


def _as_finding(explanation: Explanation, account: Account | None) -> Finding:
    return Finding(
        "",
        Signal.FAILED,
        explanation.title,
        cause=explanation.cause,
        fix=explanation.fix,
        who=explanation.who,
        links=explanation.links,
        ids=explanation.ids,
        account=account.address if account else "",
    )
