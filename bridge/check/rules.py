"""Takes evidence, gives findings on recording rules and rates: what fails, and windows that two scrapes do not fit into."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bridge.check.evidence import Evidence
from bridge.durations import format_duration, parse_duration
from bridge.errors import Finding

# Its two alternatives begin differently, so that it never tries a text in more than one way.
_WINDOW = re.compile(
    r"\b(i?rate|increase|delta|idelta|deriv)\s*\((?:[^()\[\]{}]|\{(?:[^}\"]|\"(?:[^\"\\]|\\.)*\")*\})*\[(\w+)\]"
)


def check_rules(evidence: Evidence) -> Iterator[Finding]:
    """Of a Prometheus of our own all rules, of another's those that are selected; and the selected queries."""
    entries = evidence.selection.entries
    own = evidence.settings.own_target is not None
    for rule in evidence.rules:
        if own or any(entry.wants(rule.record) for entry in entries):
            yield from _check_windows(f"rule {rule.record}", rule.expr, evidence.scrape_interval)
            if rule.health == "err":
                yield Finding(f"rule {rule.record}", f"fails: {rule.last_error}", "mend the rule file")
    for entry in entries:
        yield from _check_windows(f"{entry.place}.query", entry.query or "", evidence.scrape_interval)


def _check_windows(place: str, expr: str, scrape_interval: float) -> Iterator[Finding]:
    for function, window in _WINDOW.findall(expr):
        try:
            length = parse_duration(window)
        except ValueError:  # Prometheus refuses the whole expression, and says why
            continue
        if length < 2 * scrape_interval:
            often, empty = (
                ("never holds", "always empty")
                if length < scrape_interval
                else ("does not always hold", "empty part of the time")
            )
            yield Finding(
                place,
                f"{function}(…[{window}]) {often} two samples at a scrape interval of "
                f"{format_duration(scrape_interval)}, so it is {empty}",
                f"use [{format_duration(4 * scrape_interval)}]",
            )
