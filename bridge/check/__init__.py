"""Takes settings, a selection and a Prometheus, gives findings: everything that will go wrong, before it does.

The original of this bridge died of two silent defects: rate windows too short to ever hold two samples, and rules that
were never loaded. Both are findings here.
"""

from __future__ import annotations

import difflib
import re
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator

import requests

from bridge.durations import format_duration, parse_duration
from bridge.errors import Finding, PartialAnswer, PrometheusError, PrometheusRefused, PrometheusUnreachable, Severity
from bridge.points import Series
from bridge.prometheus import Prometheus, Rule, Target
from bridge.queries import selectors
from bridge.selection import Mode, Selection
from bridge.settings import Settings
from bridge.triton import EXPOSED, Kind, recorded

# Bytes of a point as Log Analytics bills it: the text of the stored columns, by our envelopes with four labels.
BILLED_BYTES = 450
_WINDOW = re.compile(r"\b(i?rate|increase|delta|idelta|deriv)\s*\((?:[^()\[\]]|\{[^}]*\})*\[(\w+)\]")


def check_selection(selection: Selection) -> Iterator[Finding]:
    """What can be said of the selection alone."""
    counters = {metric.name for metric in EXPOSED if metric.kind is Kind.COUNTER}
    for entry in selection.entries:
        if entry.metric in counters and entry.mode is Mode.VALUE:
            yield Finding(
                entry.place,
                f"{entry.metric} is a counter, sent as the accumulation since Triton's start",
                f'exact increments: {{"metric": "{entry.metric}", "mode": "increase"}}',
                Severity.NOTE,
            )


def check_prometheus(
    settings: Settings,
    selection: Selection,
    prometheus: Prometheus,
    *,
    clock: Callable[[], float] = time.time,
) -> Iterator[Finding]:
    """What Prometheus' present state says of the selection. Raises PrometheusError where it cannot be asked."""
    now, targets, rules, present = prometheus.now(), prometheus.targets(), prometheus.rules(), prometheus.names()
    skew = clock() - now
    if abs(skew) > 2:
        ahead = "ahead of" if skew > 0 else "behind"
        problem = f"this clock is {abs(skew):.0f} s {ahead} Prometheus'"
        yield Finding("clock", problem, "Prometheus' clock decides; keep both by NTP", Severity.WARNING)
    scrape_interval = max((target.scrape_interval for target in targets), default=settings.scrape_interval)
    yield from _check_targets(targets)
    yield from _check_rules(rules, scrape_interval)
    yield from _check_names(selection, present, {rule.record for rule in rules})
    yield from _check_queries(selection, prometheus, now, scrape_interval)
    yield from _check_volume(settings, selection, prometheus, now)


def check_endpoint(settings: Settings) -> Iterator[Finding]:
    """Whether the ingestion endpoint can be reached; nothing is posted, and any answer will do."""
    if settings.sandbox or settings.connection is None:
        return
    endpoint = settings.connection.ingestion_endpoint
    try:
        requests.get(endpoint, timeout=10, allow_redirects=False)
    except requests.RequestException as error:
        yield Finding(
            endpoint,
            f"the ingestion endpoint cannot be reached ({type(error).__name__})",
            "look at DNS, firewall, HTTPS_PROXY and the connection string",
            Severity.FAILURE,
        )


def _check_targets(targets: Collection[Target]) -> Iterator[Finding]:
    if not targets:
        remedy = "does its configuration name Triton? A target that was just added takes some seconds to appear"
        yield Finding("targets", "Prometheus scrapes nothing", remedy, Severity.WARNING)
    for target in targets:
        if target.health == "down":
            yield Finding(
                f"target {target.job} {target.instance}",
                f"is down: {target.last_error}",
                "is Triton running, and its metrics port reached from Prometheus?",
                Severity.WARNING,
            )


def _check_rules(rules: Iterable[Rule], scrape_interval: float) -> Iterator[Finding]:
    for rule in rules:
        yield from _check_windows(f"rule {rule.record}", rule.expr, scrape_interval)
        if rule.health == "err":
            yield Finding(f"rule {rule.record}", f"fails: {rule.last_error}", "mend the rule file")


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


def _check_names(selection: Selection, present: set[str], loaded: set[str]) -> Iterator[Finding]:
    known = {metric.name: metric for metric in EXPOSED}
    ours = {rule.name for rule in recorded()}
    for entry in selection.entries:
        if not entry.metric:
            continue
        if entry.metric in ours and entry.metric not in loaded:
            yield Finding(
                entry.place,
                f"{entry.metric} is recorded by a rule that this Prometheus has not loaded",
                "add prometheus/rules/triton.yml to its rule_files",
            )
            continue
        if entry.metric in present:
            continue
        near = difflib.get_close_matches(entry.metric, present | set(known) | ours, n=3)
        remedy = f"nearest: {', '.join(near)}" if near else "triton-bridge catalog lists what can be chosen"
        if metric := known.get(entry.metric):
            remedy = f"Triton exposes it {f'with {metric.enabled_by}' if metric.enabled_by else 'by default'}"
            remedy += f", since release {metric.since}"
        elif entry.metric in ours:
            remedy = "it appears after two scrapes of its source"
        yield Finding(entry.place, f"Prometheus has no {entry.metric} now", remedy, Severity.WARNING)


def _check_queries(
    selection: Selection,
    prometheus: Prometheus,
    now: float,
    scrape_interval: float,
) -> Iterator[Finding]:
    for entry in selection.entries:
        if entry.query:
            place = f"{entry.place}.query"
            yield from _check_windows(place, entry.query, scrape_interval)
            try:
                rows = prometheus.ask(entry.query, now)
            except PrometheusUnreachable:
                raise
            except PrometheusError as error:
                yield Finding(place, str(error), "try it in Prometheus' own page")
                continue
            if not rows:
                yield Finding(place, "gives no series now", "try it in Prometheus' own page", Severity.WARNING)


def _check_volume(settings: Settings, selection: Selection, prometheus: Prometheus, now: float) -> Iterator[Finding]:
    modes = Counter(entry.metric for entry in selection.entries if entry.metric)
    series = sum(
        modes[row.labels["__name__"]] * _count(row)
        for selector in selectors(modes, settings.match)
        for row in prometheus.ask(f"count by (__name__) ({selector})", now)
    )
    series += sum(_size(prometheus, entry.query, now) for entry in selection.entries if entry.query)
    if series > settings.max_series:
        yield Finding(
            "BRIDGE_MAX_SERIES",
            f"{series} series are selected, {settings.max_series} are sent: the largest metrics are left out",
            "raise it, or select less",
        )
    points = series * 86_400 / settings.interval
    yield Finding(
        "volume",
        f"{series} series make {points:,.0f} points a day, about {points * 30 * BILLED_BYTES / 1e9:.2f} GB a month "
        f"billed, at {BILLED_BYTES} bytes a point",
        severity=Severity.NOTE,
    )


def _size(prometheus: Prometheus, query: str, now: float) -> int:
    try:
        return sum(map(_count, prometheus.ask(f"count({query}\n)", now)))  # the query may end in a comment
    except (PrometheusRefused, PartialAnswer):  # of which another finding tells
        return 0


def _count(row: Series) -> int:
    return int(row.samples[-1][1])


def findings(settings: Settings, selection: Selection, prometheus: Prometheus | None) -> Iterator[Finding]:
    """Every finding. Without a Prometheus, those that the files and the environment alone give."""
    yield from settings.findings
    yield from check_selection(selection)
    if prometheus:
        try:
            yield from check_prometheus(settings, selection, prometheus)
        except PrometheusError as error:
            yield Finding(prometheus.url, str(error), "is BRIDGE_PROMETHEUS_URL right?", Severity.FAILURE)
        yield from check_endpoint(settings)
