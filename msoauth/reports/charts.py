"""Draws the charts of audits as SVG with matplotlib: text stays text, and a table beside each chart holds its numbers."""

import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup

from msoauth.auditing import labels
from msoauth.model import Signal
from msoauth.store.audits import AuditRun
from msoauth.texts import _

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The signals of a column from bottom to top. The hatches tell them apart where colours cannot, as in print.
_SIGNALS = {
    Signal.PASSED: ("#2f9e4f", ""),
    Signal.WARNING: ("#e0a416", "//"),
    Signal.ERROR: ("#8250df", "\\\\\\"),
    Signal.FAILED: ("#cf2f3b", "xx"),
}
# Colours, markers and dash patterns of lines.
_LINES = (
    ("#3b82d0", "o", "-"),
    ("#b98400", "s", "--"),
    ("#9a6ae0", "^", ":"),
    ("#2f9e4f", "D", "-."),
    ("#d8434e", "v", (0, (1, 1))),
    ("#808080", "P", (0, (8, 2))),
)
_BARS = "#5b7da6"
# matplotlib knows no "currentColor", by which text and axes follow a page's light or dark colours.
_PAGE_COLOUR = "#010203"
_MAX_LABELS = 8  # dates below a chart


def signals_over_time(runs: Sequence[AuditRun]) -> Markup:
    """How many accounts had which signal at the end of each audit, as stacked columns; *runs* oldest first."""
    if not runs:
        return Markup("")
    from matplotlib.ticker import MaxNLocator  # imported lazily: it takes a third of a second

    counts = {
        signal: [int(run.summary.get("signals", {}).get(str(signal), 0)) for run in runs]
        for signal in _SIGNALS
    }
    figure, axes = _axes()
    below = [0] * len(runs)
    for signal, values in counts.items():
        colour, hatch = _SIGNALS[signal]
        name = f"{signal.shape} {labels.signal_label(signal)}"
        axes.bar(range(len(runs)), values, 0.7, below, color=colour, hatch=hatch, label=name)
        below = [sum(pair) for pair in zip(below, values, strict=True)]
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    _label_dates(axes, runs)
    table = {labels.signal_label(signal): values for signal, values in counts.items()}
    return _chart(figure, _("Accounts by signal, audit by audit"), _moments(runs), table)


def seconds_over_time(runs: Sequence[AuditRun], checks: Sequence[str]) -> Markup:
    """The mean seconds of each check, audit by audit, as lines; *runs* oldest first."""
    series = {
        check: [run.summary.get("seconds", {}).get(check) for run in runs] for check in checks
    }
    series = {check: values for check, values in series.items() if any(values)}
    if not series:
        return Markup("")
    figure, axes = _axes()
    for number, (check, values) in enumerate(series.items()):
        colour, marker, dashes = _LINES[number % len(_LINES)]
        seconds = [float("nan") if value is None else value for value in values]
        axes.plot(seconds, color=colour, marker=marker, markersize=4, linestyle=dashes, label=check)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter("{x:g} s")
    _label_dates(axes, runs)
    table = {
        check: ["" if value is None else f"{value:.2f} s" for value in values]
        for check, values in series.items()
    }
    return _chart(figure, _("Seconds of each step, audit by audit"), _moments(runs), table)


def bars(counts: Mapping[str, int], label: str) -> Markup:
    """Counts as labelled bars, the largest first."""
    if not counts:
        return Markup("")
    import textwrap

    ordered = dict(sorted(counts.items(), key=lambda pair: -pair[1]))
    figure, axes = _axes(height=0.6 + 0.42 * len(ordered))
    # matplotlib reads what stands between two dollar signs as a formula.
    names = ["\n".join(textwrap.wrap(name, 34)).replace("$", r"\$") for name in ordered]
    drawn = axes.barh(range(len(ordered)), list(ordered.values()), 0.6, color=_BARS)
    axes.bar_label(drawn, [f"{n:,}" for n in ordered.values()], padding=4, color=_PAGE_COLOUR)
    axes.set_yticks(range(len(ordered)), names)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.grid(visible=False)
    axes.xaxis.set_visible(False)
    return _chart(figure, label, list(ordered), {_("Accounts"): list(ordered.values())})


def _axes(height: float = 2.6) -> tuple["Figure", "Axes"]:
    """An empty chart in the page's colours, 432 SVG units (6 inches) wide."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, height), layout="constrained")
    axes = figure.subplots()
    axes.patch.set_visible(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_axisbelow(True)
    axes.grid(axis="y", color=_PAGE_COLOUR, alpha=0.18)
    axes.tick_params(length=0, colors=_PAGE_COLOUR)
    return figure, axes


def _moments(runs: Sequence[AuditRun]) -> list[str]:
    return [f"{run.started:%Y-%m-%d %H:%M}" for run in runs]


def _label_dates(axes: "Axes", runs: Sequence[AuditRun]) -> None:
    """Label some audits below the chart: with the date, or only the time if the label before has the same date."""
    interval = -(-len(runs) // _MAX_LABELS)
    labelled = range((len(runs) - 1) % interval, len(runs), interval)
    texts, day = [], ""
    for index in labelled:
        previous, day = day, f"{runs[index].started:%m-%d}"
        texts.append(f"{runs[index].started:%H:%M}" if day == previous else day)
    axes.set_xticks(list(labelled), texts)


def _chart(
    figure: "Figure", label: str, heads: Sequence[str], columns: Mapping[str, Sequence[object]]
) -> Markup:
    """A drawing as a figure with a caption, its legend, and its numbers in a table that unfolds.

    Args:
        heads: The first cell of each row of the table.
        columns: The other cells by column.
    """
    import matplotlib as mpl

    axes = figure.axes[0]
    if axes.get_legend_handles_labels()[0]:
        figure.legend(
            loc="outside lower left", ncols=4, frameon=False, labelcolor=_PAGE_COLOUR, fontsize=10
        )
    drawn = io.StringIO()
    # The salt keeps ids apart where two charts are on one page.
    with mpl.rc_context(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": label,
            "hatch.linewidth": 0.6,
            "hatch.color": "white",
        }
    ):
        figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None})
    svg = drawn.getvalue().replace(_PAGE_COLOUR, "currentColor")
    box = re.search(r'viewBox="[^"]*"', svg)
    inner = svg[svg.index(">", svg.index("<svg")) + 1 :]
    # A style would act on the whole page; ids of groups would be there once more in the next chart.
    inner = re.sub(r'<(metadata|style).*?</\1>|(?<=<g) id="[^"]*"', "", inner, flags=re.DOTALL)
    rows = Markup("").join(
        Markup('<tr><th scope="row">{}</th>{}</tr>').format(
            head, Markup("").join(Markup("<td>{}</td>").format(cell) for cell in cells)
        )
        for head, *cells in zip(heads, *columns.values(), strict=True)
    )
    return Markup(
        '<figure class="chart"><figcaption>{}</figcaption><svg {} role="img" aria-label="{}">{}'
        '<details data-key="{}"><summary>{}</summary><div class="scroll"><table><thead><tr><td></td>{}</tr></thead>'
        "<tbody>{}</tbody></table></div></details></figure>"
    ).format(
        label,
        Markup(box[0] if box else ""),  # noqa: S704 - drawn by matplotlib, which escapes text
        label,
        Markup(inner),  # noqa: S704
        f"numbers:{label}",
        _("The numbers"),
        Markup("").join(Markup('<th scope="col">{}</th>').format(name) for name in columns),
        rows,
    )
