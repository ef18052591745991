"""Takes a snapshot, gives the tables of the page: the account, the metrics, what was rejected, the newest cycles."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice, repeat
from typing import Any

from bridge.points import Outcome, Report
from bridge.status import Snapshot
from bridge.web.charts import sparkline
from bridge.web.markup import Content, Html, join, tag
from bridge.web.writing import clock, time, value, whole

_METRICS = 500  # as many as have trends
_SHOWN = 20  # of cycles and of rejections
_NUMBERS = frozenset({"series", "value", "read", "accepted", "ms"})  # columns that stand to the right


def section(title: str, identifier: str, *content: Content) -> Html:
    """A part of the page, with its heading."""
    return tag("section", tag("h2", title, id=identifier), *content, aria_labelledby=identifier)


def table(caption: Content, heads: Sequence[str], rows: Iterable[Sequence[Content]], kind: str = "") -> Html:
    """A table whose rows begin with what they are of; of the kind "cards", a phone shows each row as a card.

    Roles are named: a browser may forget them where the style sheet shows a table as something else.
    """
    number = {name: "number" if name in _NUMBERS else None for name in heads}
    body = (
        tag(
            "tr",
            tag("th", row[0], scope="row", role="rowheader"),
            *(
                tag("td", one, role="cell", class_=number[name], data_head=name)
                for name, one in zip(heads[1:], row[1:], strict=True)
            ),
            role="row",
        )
        for row in rows
    )
    head = (tag("th", name, scope="col", role="columnheader", class_=number[name]) for name in heads)
    return tag(
        "table",
        tag("caption", caption),
        tag("thead", tag("tr", *head, role="row"), role="rowgroup"),
        tag("tbody", *body, role="rowgroup"),
        role="table",
        class_=kind or None,
    )


def folded(identifier: str, summary: str, *content: Content) -> Html:
    """What is shown on demand, and scrolls by itself where it is wide."""
    scroll = tag(
        "div", *content, class_="scroll", tabindex=0, role="region", aria_label=summary, id=f"{identifier}-table"
    )
    return tag("details", tag("summary", summary, id=f"{identifier}-summary"), scroll, id=identifier)


def account(snapshot: Snapshot) -> Html:
    """What became of all that was read, as sums."""
    every, hour, now = snapshot.memory.account, snapshot.hour, snapshot.now
    since = "since the start" if every.origin is None else f"since {clock(every.origin, now)}"
    points = _sum("points", "read", {"last hour": _words(hour.points), since: _words(snapshot.points)})
    cycles = _sum("cycles", "due", {"last hour": _words(hour.cycles), since: _words(every.cycles)})
    read = sum(hour.cycles.values())
    covered = (
        f"The last hour is that of {whole(read)} cycles, from {clock(hour.since, now)} on, by their last reading."
        if read
        else "In the last hour no cycle was read."
    )
    return section(
        "Account",
        "account",
        tag("p", covered, class_="note"),
        tag("div", points, cycles, class_="accounts"),
        *(
            tag("p", f"{whole(count)} points {what}.", class_="note")
            for count, what in (
                (
                    every.possibly_repeated,
                    "may be there twice: their reply was lost, and they were posted again",
                ),
                (every.unconfirmed, "were accepted by an empty reply"),
            )
            if count
        ),
    )


def metrics(snapshot: Snapshot) -> Html:
    """Each metric of the newest cycle that was read, with its last hour."""
    newest = next((report for report in snapshot.reports if report.metrics), None)
    absent = snapshot.absent
    if newest is None:
        return section("Metrics", "metrics", tag("p", "No metric was read yet.", class_="none"), _absent(absent))
    # A trend ends with the newest cycle that was read, the last hour ends now. (Its time is by Prometheus' clock.)
    past = max(0, int(snapshot.now // 60 - newest.time // 60))
    minutes = max(1, math.ceil(snapshot.about.interval / 60))
    rows = (
        (
            _named(name, glance.dimensions),
            whole(glance.points),
            value(glance.value),
            sparkline((*snapshot.trends.get(name, ())[past:], *repeat(math.nan, min(past, 60))), minutes),
        )
        for name, glance in islice(newest.metrics.items(), _METRICS)
    )
    more = len(newest.metrics) - _METRICS
    caption = join(
        (
            "As read for ",
            time(newest.time, snapshot.now),
            ". The value is of all series together: the sum of what was gained, else the mean.",
        )
    )
    return section(
        f"Metrics ({whole(len(newest.metrics))})",
        "metrics",
        table(caption, ("metric, dimensions", "series", "value", "last hour"), rows, "cards metrics"),
        tag("p", f"{whole(more)} more are in status.json.", class_="note") if more > 0 else "",
        _absent(absent),
        _left_out(newest),
    )


def rejections(snapshot: Snapshot) -> Html:
    """What the service will not take, in its words."""
    every = snapshot.memory.account.rejections
    if not every:
        return section("Rejected points", "rejections", tag("p", "None.", class_="none"))
    rows = [
        (
            time(moment, snapshot.now),
            _named(one.metric, (f"{label}={text}" for label, text in one.dimensions.items())),
            f"{one.status} {one.reason}",
        )
        for moment, one in every[:_SHOWN]
    ]
    caption = (
        f"The newest {len(rows)}; status.json has {whole(len(every))}" if len(every) > len(rows) else "Newest first"
    )
    return section(
        "Rejected points",
        "rejections",
        table(caption, ("of", "metric, dimensions", "what the service says"), rows, "cards rejections"),
    )


def cycles(snapshot: Snapshot) -> Html:
    """The newest cycles of this process."""
    if not snapshot.reports:
        return join(())
    now = {detail.time: detail.settlement for detail in snapshot.memory.account.details}  # repaired, it may be
    rows = [
        (
            time(one.time, snapshot.now),
            now.get(one.time, one.settlement).value.replace("_", " "),
            whole(one.read),
            whole(one.outcomes.get(Outcome.ACCEPTED, 0)),
            whole(round(one.seconds * 1000)),
            "; ".join(one.problems),
        )
        for one in snapshot.reports[:_SHOWN]
    ]
    listed = table("Newest first", ("of", "what became of it", "read", "accepted", "ms", "problems"), rows)
    return section("Newest cycles", "cycles", folded("newest-cycles", f"The newest {len(rows)}", listed))


def _sum(what: str, total: str, columns: Mapping[str, Mapping[str, int]]) -> Html:
    """A table that adds up: the first row is the sum of the others, which every column has."""
    kinds = next(iter(columns.values()))
    heads = (tag("th", name, scope="col", class_="number") for name in columns)
    sums = (tag("td", whole(sum(counts.values())), class_="number") for counts in columns.values())
    rows = (
        tag(
            "tr",
            tag("th", tag("span", "+" if number else "=", class_="sign"), f" {kind}", scope="row"),
            *(tag("td", whole(counts[kind]), class_="number") for counts in columns.values()),
            class_=None if any(counts[kind] for counts in columns.values()) else "zero",
        )
        for number, kind in enumerate(kinds)
    )
    return tag(
        "table",
        tag("caption", f"{what} {total}"),
        tag("thead", tag("tr", tag("td"), *heads)),
        tag("tbody", tag("tr", tag("th", total, scope="row"), *sums, class_="sum"), *rows),
        class_="account",
    )


def _words(counts: Mapping[Any, int]) -> dict[str, int]:
    """Counts by what a person calls it."""
    return {kind.value.replace("_", " "): count for kind, count in counts.items()}


def _named(metric: str, dimensions: Iterable[str]) -> Html:
    told = ", ".join(dimensions)
    return join((tag("span", metric, class_="name"), tag("span", told, class_="dimensions") if told else ""))


def _absent(names: Sequence[str]) -> Content:
    if not names:
        return ""
    return tag("p", tag("strong", "Without a series now: "), ", ".join(names), class_="note")


def _left_out(report: Report) -> Content:
    if not report.left_out:
        return ""
    said = ", ".join(f"{name} ({whole(count)} series)" for name, count in report.left_out.items())
    return tag("p", tag("strong", "Left out, over BRIDGE_MAX_SERIES: "), said, class_="note")
