"""Takes evidence, gives what the rows of a dry cycle cost: points a day and GB a month as billed, in total and by metric."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from opentelemetry.sdk.resources import Resource

from bridge.billing import DAYS, billed
from bridge.check.evidence import Evidence
from bridge.check.kinds import listed
from bridge.delivery import context_tags
from bridge.envelopes import Encoder
from bridge.errors import Finding, Severity


@dataclass(frozen=True)
class Cost:
    """What rows cost: so many a cycle are ``points`` a day, and ``gigabytes`` (10⁹ bytes) billed in 30 days."""

    rows: int = 0
    points: float = 0.0
    gigabytes: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.rows + other.rows, self.points + other.points, self.gigabytes + other.gigabytes)

    @property
    def row_bytes(self) -> int:
        """What a row is billed as, on average."""
        return round(self.gigabytes * 1e9 / (self.points * DAYS)) if self.points else 0


@dataclass(frozen=True)
class Bill:
    """The cost of all that is sent, and by published name, most first; and in words what it stands on."""

    total: Cost
    metrics: Mapping[str, Cost]
    assumption: str


def bill(evidence: Evidence) -> Bill | None:
    """What the rows of the dry cycle would cost as they are; None where nothing is known of them."""
    dry, settings = evidence.dry, evidence.settings
    if dry is None:
        return None
    encoder = Encoder("", context_tags(Resource(settings.resource_attributes)))
    cycles = 86_400 / settings.interval
    costs = {}
    for metric in dry.reading.metrics:
        if metric.name not in dry.left_out:
            rows = len(metric.data.data_points)
            costs[metric.name] = Cost(rows, rows * cycles, billed(encoder.items([metric])) * cycles * DAYS / 1e9)
    total = sum(costs.values(), Cost())
    assumption = (
        f"assumed: these rows in every cycle, {DAYS} days, and {total.row_bytes} bytes a row, the text of what Log "
        "Analytics stores of it (its _BilledSize in AppMetrics is the truth)"
    )
    return Bill(total, dict(sorted(costs.items(), key=lambda item: (-item[1].gigabytes, item[0]))), assumption)


def check_cost(evidence: Evidence, costs: Bill | None) -> Iterator[Finding]:
    """The cost in one line, and what is over BRIDGE_MAX_SERIES."""
    dry = evidence.dry
    if dry is None or costs is None:
        return
    if dry.left_out:
        named = listed([f"{name} ({size})" for name, size in dry.left_out.items()])
        yield Finding(
            "BRIDGE_MAX_SERIES",
            f"{dry.reading.read} series are selected, {evidence.settings.max_series} are sent: {named} would be left out",
            "raise it, or select less",
        )
    total, silent = costs.total, sum(dry.reading.not_finite.values())
    besides = f"; what is NaN or infinite now ({silent}) comes on top once it is a number" if silent else ""
    yield Finding(
        "volume",
        f"{total.rows} row{'s' * (total.rows != 1)} a cycle make{'s' * (total.rows == 1)} {total.points:,.0f} points a day, about {total.gigabytes:.2f} GB a month "
        f"billed{besides}",
        costs.assumption,
        Severity.NOTE,
    )
