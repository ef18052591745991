"""Takes the account that a bridge keeps on disk, gives what it says of a metric; only reads, beside a running bridge too."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from bridge.account import Detail
from bridge.backlog import Backlog
from bridge.explain.nouns import Known, Refused, Verdict
from bridge.points import Outcome, Rejection, Settlement
from bridge.times import utc

CYCLES = 5
"""How many of the newest cycles are told."""


def refused(backlog: Backlog, names: Collection[str]) -> list[Refused]:
    """The kept rejections of these published names, newest first."""
    return [
        Refused(time, one.metric, one.dimensions, one.status, one.reason)
        for time, one in backlog.account.rejections
        if one.metric in names
    ]


def verdict(folder: Path, backlog: Backlog, time: float | None, points: Iterable[Refused], most: int) -> Verdict:
    """What stands in the account; ``time`` is the T that is asked for, if any."""
    account, found = backlog.account, list(points)
    remarks = [*backlog.problems]
    if hidden := sum(_nameless(one) for _, one in account.rejections):
        remarks.append(
            f"{hidden} refused points or batches have no name in the account: they may be of this metric too"
        )
    cycles = tuple(_known(detail) for detail in account.details[:CYCLES])
    if account.origin is None:
        said = "there is no account yet: no triton-bridge has worked with this folder"
    elif time is None:
        said = f"the account begins at {utc(account.origin)}"
    else:
        said = _said(account.details, time, found)
    return Verdict(str(folder), said, cycles, tuple(found[:most]), len(found), tuple(remarks))


def _known(detail: Detail) -> Known:
    return Known(detail.time, detail.settlement.value, _counts(detail.outcomes))


def _counts(outcomes: Mapping[Outcome, int]) -> dict[str, int]:
    return {outcome.value: outcomes[outcome] for outcome in Outcome if outcomes.get(outcome)}


def _nameless(rejection: Rejection) -> bool:
    return rejection.metric.startswith("(")


def _said(details: Collection[Detail], time: float, points: Collection[Refused]) -> str:
    """What became of the cycle at T, and with it of this metric."""
    detail = next((one for one in details if one.time == time), None)
    if detail is None:
        newest = max((one.time for one in details), default=0.0)
        late = (
            "it is not worked on yet, or waits to be asked for" if time > newest else "too long ago, or never its task"
        )
        return f"the account tells nothing of {utc(time)}: {late}"
    what = {
        Settlement.NO_DATA: "Prometheus had scraped nothing: there was no data",
        Settlement.EXPIRED: "it waited for longer than the service takes points, and was given up",
        Settlement.WAITING: "it is not delivered yet, and waits",
        Settlement.SETTLED: "it is settled",
    }[detail.settlement]
    counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in _counts(detail.outcomes).items())
    ours = sum(one.time == time for one in points)
    rejected = detail.outcomes.get(Outcome.REJECTED, 0)
    if ours:
        share = f"; of this metric {ours} rejected"
    elif rejected:
        share = "; none of the rejected ones that are known by name is of this metric"
    else:
        share = ""
    return f"cycle {utc(time)}: {what} ({counts or 'no points'}, of all metrics{share})"
