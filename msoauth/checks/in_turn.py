"""Checks one after another in the caller's thread, for an audit that has threads of its own."""

from collections.abc import Mapping, Sequence

from msoauth.checks.run import Check, Context, Findings, answer
from msoauth.judgement import blocks
from msoauth.model import Finding


def in_turn(
    checks: Sequence[Check], context: Context, given: Mapping[str, Finding] | None = None
) -> Findings:
    """Carry out *checks* in their order and yield each finding. The journal is the caller's to write.

    Args:
        given: What is known already, by check id: the firm's findings, for the checks of its accounts.
    """
    barred: dict[str, Finding] = {}  # by check id: the finding because of which it bars others
    for known in (given or {}).values():
        if blocks(known):
            barred[known.check] = known
    for check in checks:
        if not check.applies(context):
            continue
        broken = next((barred[need] for need in check.needs if need in barred), None)
        finding = answer(check, context, broken)
        if blocks(finding):
            barred[check.id] = broken or finding
        yield finding
