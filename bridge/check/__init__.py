"""Takes settings, a selection and a Prometheus, gives findings and a cost: everything that will go wrong, before it does.

The original of this bridge died of two silent defects: rate windows too short to ever hold two samples, and rules that
were never loaded. Both are findings here. What depends on the rows is found on the real ones: a cycle that posts nothing.

evidence      settings, selection, Prometheus → what is known, and the rows of a dry cycle
kinds         modes that do not fit a metric's type
names         entries that send nothing
rules         recording rules that fail, rates over too short a time
targets       what Prometheus scrapes, and for how many bridges
labels        names and dimensions that Azure or its readers cannot take
collisions    rows that nothing tells apart
cost          what the rows cost, and which are too many
surroundings  clock, state folder, endpoint
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bridge.check.collisions import check_collisions
from bridge.check.cost import Bill, Cost, bill, check_cost
from bridge.check.evidence import look, read
from bridge.check.kinds import Kinds, check_kinds
from bridge.check.labels import check_labels
from bridge.check.names import check_names
from bridge.check.rules import check_rules
from bridge.check.surroundings import check_clock, check_endpoint, check_folder
from bridge.check.targets import check_sharing, check_targets
from bridge.errors import Finding, PrometheusError, Severity
from bridge.prometheus import Prometheus
from bridge.selection import Selection
from bridge.settings import Settings

__all__ = ["Bill", "Cost", "Result", "check", "check_offline"]


@dataclass(frozen=True)
class Result:
    """All findings, the worst first; ``bill`` is None where nothing is known of the rows."""

    findings: tuple[Finding, ...]
    bill: Bill | None = None


def check_offline(settings: Settings, selection: Selection) -> Result:
    """What the files and the environment alone tell."""
    kinds = Kinds()
    return _result([*settings.findings, *check_kinds(selection, kinds, frozenset(kinds.series))])


def check(
    settings: Settings,
    selection: Selection,
    prometheus: Prometheus,
    folder: Path,
    *,
    clock: Callable[[], float] = time.time,
) -> Result:
    """All that can be found; ``folder`` is the backlog's. A Prometheus that does not answer is a finding too."""
    found, costs = [*settings.findings], None
    try:
        evidence = look(settings, selection, prometheus, clock)
    except PrometheusError as error:
        found += check_offline(settings.model_copy(update={"findings": ()}), selection).findings
        found.append(Finding(prometheus.url, str(error), severity=Severity.FAILURE))
    else:
        found += check_clock(evidence.asked[0], evidence.now, evidence.asked[1])
        found += check_kinds(selection, evidence.kinds, evidence.names)
        try:
            evidence = read(evidence, prometheus)
            found += check_names(evidence, prometheus.ask)
        except PrometheusError as error:
            found.append(Finding(prometheus.url, str(error), severity=Severity.FAILURE))
        costs = bill(evidence)
        for look_at in (check_targets, check_sharing, check_rules, check_labels, check_collisions):
            found += look_at(evidence)
        found += check_cost(evidence, costs)
    return _result([*found, *check_folder(folder), *check_endpoint(settings)], costs)


def _result(found: list[Finding], costs: Bill | None = None) -> Result:
    return Result(tuple(sorted(dict.fromkeys(found), key=_order)), costs)


def _order(finding: Finding) -> tuple[int, list[str | int]]:
    """The worst first, then by place, where the ninth entry comes before the tenth."""
    place = re.split(r"(\d+)", finding.place)
    return list(Severity).index(finding.severity), [int(part) if part.isdigit() else part for part in place]
