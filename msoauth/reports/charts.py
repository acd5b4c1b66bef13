"""Draws small SVG charts that load no other file and print well; a tooltip on every shape shows its value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from msoauth.auditing import labels
from msoauth.model import Signal
from msoauth.store.audits import AuditRun
from msoauth.texts import _

_WIDTH, _HEIGHT = 640, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 12, 12, 26
# The order of signals in a column, from bottom to top.
STACK = (Signal.PASSED, Signal.WARNING, Signal.ERROR, Signal.FAILED)
# Lines differ in dash pattern as well as in colour, for readers who cannot tell the colours apart.
_DASHES = ("", "6 3", "2 3", "8 3 2 3", "1 2", "10 4")
_LINES = ("#0b5cad", "#9a6700", "#7440b8", "#1a7f37", "#c21f2c", "#555555")


@dataclass(frozen=True)
class _Scale:
    """Maps values to vertical positions; *top* is the highest value."""

    top: float

    def y(self, value: float) -> float:
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - value / self.top)


def signals_over_time(runs: Sequence[AuditRun]) -> Markup:
    """How many accounts had which signal at the end of each audit, as stacked columns; *runs* oldest first."""
    counts = [
        {s: int(run.summary.get("signals", {}).get(str(s), 0)) for s in STACK} for run in runs
    ]
    if not counts:
        return Markup("")
    scale = _Scale(_round_up(max(sum(c.values()) for c in counts)))
    step = (_WIDTH - _LEFT - _RIGHT) / len(runs)
    width = min(48.0, step * 0.7)
    parts = [_axis(scale, "{:.0f}")]
    for index, (run, count) in enumerate(zip(runs, counts, strict=True)):
        x = _LEFT + step * (index + 0.5) - width / 2
        below = 0.0
        for signal in STACK:
            if count[signal]:
                top, bottom = scale.y(below + count[signal]), scale.y(below)
                parts.append(
                    Markup(
                        '<rect class="s-{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"><title>{}</title></rect>'
                    ).format(
                        signal,
                        x,
                        top,
                        width,
                        max(0.5, bottom - top),
                        f"{run.started:%Y-%m-%d %H:%M}: {count[signal]} {labels.signal_label(signal)}",
                    )
                )
                below += count[signal]
    parts.append(_date_labels(runs, step))
    label = _("Accounts by signal, audit by audit")
    legend = [(f"s-{s}", "", f"{s.shape} {labels.signal_label(s)}") for s in STACK]
    return _chart(label, parts, legend)


def seconds_over_time(runs: Sequence[AuditRun], checks: Sequence[str]) -> Markup:
    """The mean seconds of each check, audit by audit, as lines; *runs* oldest first."""
    series: dict[str, list[float | None]] = {
        check: [run.summary.get("seconds", {}).get(check) for run in runs] for check in checks
    }
    series = {name: values for name, values in series.items() if any(v for v in values)}
    if not series or not runs:
        return Markup("")
    top = max(v for values in series.values() for v in values if v is not None)
    scale = _Scale(_round_up(top))
    step = (_WIDTH - _LEFT - _RIGHT) / len(runs)
    parts = [_axis(scale, "{:g} s")]
    legend = []
    for number, (name, values) in enumerate(series.items()):
        colour, dash = _LINES[number % len(_LINES)], _DASHES[number % len(_DASHES)]
        points = [
            (_LEFT + step * (index + 0.5), scale.y(v), v, runs[index])
            for index, v in enumerate(values)
            if v is not None
        ]
        parts.append(
            Markup(
                '<polyline fill="none" stroke="{}" stroke-width="2" stroke-dasharray="{}" points="{}"/>'
            ).format(colour, dash, " ".join(f"{x:.1f},{y:.1f}" for x, y, _v, _run in points))
        )
        parts.extend(
            Markup(
                '<circle cx="{:.1f}" cy="{:.1f}" r="3" fill="{}"><title>{}</title></circle>'
            ).format(x, y, colour, f"{run.started:%Y-%m-%d %H:%M}: {name} {v:.2f} s")
            for x, y, v, run in points
        )
        legend.append(("", colour, name))
    parts.append(_date_labels(runs, step))
    return _chart(_("Seconds of each step, audit by audit"), parts, legend)


def bars(counts: Mapping[str, int], label: str) -> Markup:
    """Counts as labelled bars, the largest first."""
    if not counts:
        return Markup("")
    top = max(counts.values())
    rows = [
        Markup(
            '<div class="bar"><span class="name">{}</span><span class="line"><i style="width:{:.1f}%"></i></span>'
            "<b>{:,}</b></div>"
        ).format(name, 100 * count / top, count)
        for name, count in sorted(counts.items(), key=lambda pair: -pair[1])
    ]
    return Markup(
        '<figure class="chart"><figcaption>{}</figcaption><div class="bars" role="img" aria-label="{}">{}</div></figure>'
    ).format(label, label, Markup("").join(rows))


def _chart(label: str, parts: Sequence[Markup], legend: Sequence[tuple[str, str, str]]) -> Markup:
    """A figure with a caption, the drawn *parts* and a legend."""
    legend_items = Markup("").join(
        Markup('<span><i class="{}" style="{}"></i>{}</span>').format(
            css, f"background:{colour}" if colour else "", name
        )
        for css, colour, name in legend
    )
    return Markup(
        '<figure class="chart"><figcaption>{}</figcaption><svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
        '<div class="legend">{}</div></figure>'
    ).format(label, _WIDTH, _HEIGHT, label, Markup("").join(parts), legend_items)


def _axis(scale: _Scale, pattern: str) -> Markup:
    """Horizontal grid lines with their values."""
    lines = []
    for part in (0.0, 0.5, 1.0):
        value = scale.top * part
        lines.append(
            Markup(
                '<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>'
                '<text x="{}" y="{:.1f}" text-anchor="end">{}</text>'
            ).format(
                _LEFT,
                _WIDTH - _RIGHT,
                scale.y(value),
                scale.y(value),
                _LEFT - 6,
                scale.y(value) + 4,
                pattern.format(value),
            )
        )
    return Markup("").join(lines)


def _date_labels(runs: Sequence[AuditRun], step: float) -> Markup:
    """The labels below the chart: the date, or only the time if the label before has the same date."""
    interval = max(1, round(64 / step))
    parts, day = [], ""
    for index, run in enumerate(runs):
        if (len(runs) - 1 - index) % interval == 0:
            previous, day = day, f"{run.started:%m-%d}"
            parts.append(
                Markup('<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
                    _LEFT + step * (index + 0.5),
                    _HEIGHT - 8,
                    f"{run.started:%H:%M}" if day == previous else day,
                )
            )
    return Markup("").join(parts)


def _round_up(top: float) -> float:
    """The smallest round number that is at least *top*."""
    if top <= 0:
        return 1.0
    unit = 1.0
    while unit < top:
        unit *= 10
    for part in (0.1, 0.2, 0.25, 0.5, 1.0):
        if unit * part >= top:
            return unit * part
    return unit
