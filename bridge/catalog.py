"""Takes what Triton exposes, what Prometheus has and what is selected, gives the table of what can be chosen."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from bridge.selection import Mode, Selection
from bridge.triton import EXPOSED, Kind, recorded


@dataclass(frozen=True)
class Line:
    """One metric. ``present`` is None where Prometheus was not asked; ``selected`` names how it is sent, or is empty.

    ``advice`` is what a person should know before choosing it: the flag that turns it on, or the exact form.
    """

    name: str
    kind: str
    unit: str
    meaning: str
    present: bool | None
    selected: str
    advice: str


def catalog(selection: Selection | None, present: Collection[str] | None) -> list[Line]:
    """Known metrics first, in Triton's order, then whatever else Prometheus has."""
    chosen: dict[str, list[str]] = {}
    for entry in selection.entries if selection else ():
        if entry.metric:
            chosen.setdefault(entry.metric, []).append(entry.mode.value)

    def line(name: str, kind: str, unit: str, meaning: str, enabled_by: str) -> Line:
        modes = chosen.get(name, [])
        has = None if present is None else name in present
        if kind == Kind.COUNTER.value and Mode.VALUE.value in modes:
            advice = f'sends the accumulation; exact: {{"metric": "{name}", "mode": "increase"}}'
        else:
            advice = "" if has or not enabled_by else f"turned on by {enabled_by}"
        return Line(name, kind, unit, meaning, has, ", ".join(modes), advice)

    lines = [line(known.name, known.kind.value, known.unit, known.meaning, known.enabled_by) for known in EXPOSED]
    lines += [line(rule.name, "gauge", rule.unit, rule.meaning, "") for rule in recorded()]
    known_names = {found.name for found in lines}
    others = sorted((set(present or ()) | set(chosen)) - known_names)
    return lines + [line(name, "", "", "", "") for name in others]
