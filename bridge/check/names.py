"""Takes evidence, gives findings on entries that send nothing: names that nothing exposes, matchers that nothing fits."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator

from bridge import matchers
from bridge.check.evidence import Dry, Evidence
from bridge.check.kinds import listed
from bridge.errors import Finding, Severity
from bridge.instruments import TABLE
from bridge.matchers import Matchers
from bridge.points import Series
from bridge.queries import selectors
from bridge.selection import Entry, Mode, Owners
from bridge.times import utc
from bridge.triton import EXPOSED, Kind, recorded

_KNOWN = {metric.name for metric in EXPOSED}
_OURS = {rule.name: rule for rule in recorded()}
_TRY = "try it in Prometheus' own page"

Ask = Callable[[str, float], list[Series]]


def check_names(evidence: Evidence, ask: Ask) -> Iterator[Finding]:
    """Entries that send nothing, and why. ``ask`` puts further questions to Prometheus, and raises a PrometheusError."""
    loaded = {rule.record for rule in evidence.rules}
    outside: dict[str, list[str]] = {}  # of BRIDGE_MATCH: what the series there have → metrics
    for entry in evidence.selection.entries:
        if entry.query:
            yield from _check_query(entry, evidence.dry)
        elif entry.metric in _OURS and entry.metric not in loaded and "rules" not in evidence.untold:
            yield Finding(
                entry.place,
                f"{entry.metric} is recorded by a rule that this Prometheus has not loaded",
                f"add prometheus/rules/{_OURS[entry.metric].file} to its rule_files",
            )
        elif not _is_there(entry, evidence):
            yield from _missing(entry, evidence)
        elif evidence.dry and entry.name in evidence.dry.reading.absent:
            yield from _silent(entry, evidence, evidence.dry, ask, outside)
    for there, metrics in outside.items():
        problem = f"{evidence.settings.match} fits no series of {listed(metrics)}"
        yield Finding("BRIDGE_MATCH", problem, there, Severity.WARNING)


def _check_query(entry: Entry, dry: Dry | None) -> Iterator[Finding]:
    place = f"{entry.place}.query"
    if dry is None:  # it was not asked
        return
    if entry.place in dry.failed:
        yield Finding(place, dry.failed[entry.place], _TRY)
    elif not dry.answers.expressions.get(entry.name):
        yield Finding(place, "gives no series now", _TRY, Severity.WARNING)


def _missing(entry: Entry, evidence: Evidence) -> Iterator[Finding]:
    role = None if entry.glob else evidence.kinds.of(str(entry.metric))
    whole = role is not None and role.kind is Kind.HISTOGRAM and not role.part
    if role and whole is not (entry.mode is Mode.HISTOGRAM):
        return  # it can never come, as ``kinds`` has told
    what = f"Prometheus has no {_wanted(entry)} now"
    if entry.glob:
        buckets = ", with buckets" if entry.mode is Mode.HISTOGRAM else ""
        what = f"no metric that Prometheus has now fits {entry.metric}{buckets}"
    yield Finding(entry.place, what, _where_from(entry, evidence.names), Severity.WARNING)


def _wanted(entry: Entry) -> str:
    return f"{entry.metric}_bucket" if entry.mode is Mode.HISTOGRAM else str(entry.metric)


def _is_there(entry: Entry, evidence: Evidence) -> bool:
    if not entry.glob:
        return _wanted(entry) in evidence.names
    ending = "_bucket" if entry.mode is Mode.HISTOGRAM else ""
    return any(entry.wants(name) and name.endswith(ending) for name in evidence.names)


def _where_from(entry: Entry, present: frozenset[str]) -> str:
    """What turns a metric on, or which names are near."""
    metric = str(entry.metric)
    parts = ("", "_bucket", "_sum", "_count")
    fitting = [known for known in EXPOSED if any(entry.wants(f"{known.name}{part}") for part in parts)]
    if fitting:
        needed = sorted({known.enabled_by for known in fitting} - {""})
        with_it = f"with {' or '.join(needed)}" if needed else "by default"
        since = f", since release {fitting[0].since}" if len(fitting) == 1 else ""
        return f"Triton exposes {'it' if not entry.glob else listed([one.name for one in fitting])} {with_it}{since}"
    if rule := _OURS.get(metric):
        while_busy = ", and while there are requests" if len(rule.sources) > 1 else " of its source"
        return f"it appears after two scrapes{while_busy}"
    if any(entry.wants(own.name) for own in TABLE):
        return "a metric of the bridge itself: Prometheus has it once it has scraped one that runs"
    candidates = {*present, *_KNOWN, *_OURS, *(own.name for own in TABLE)}
    if entry.mode is Mode.HISTOGRAM:
        candidates = {name.removesuffix("_bucket") for name in present if name.endswith("_bucket")}
    near = difflib.get_close_matches(metric.replace("*", "").replace("?", ""), sorted(candidates), n=3)
    return f"nearest: {', '.join(near)}" if near else "triton-bridge catalog lists what can be chosen"


def _silent(entry: Entry, evidence: Evidence, dry: Dry, ask: Ask, outside: dict[str, list[str]]) -> Iterator[Finding]:
    """Why an entry whose metrics are there has no row. What BRIDGE_MATCH leaves out goes into ``outside``."""
    time = evidence.interval.time
    if others := sorted({other.place.partition(": ")[2] for other in _instead(entry, evidence, dry)}):
        problem = f"all that fits it is sent by {listed(others)} already"
        yield Finding(entry.place, problem, "take it away, or put it before the other glob", Severity.WARNING)
    elif not dry.found.all(entry) and (wrong := _unmatched(entry, evidence, ask)):
        match, there = wrong
        if match is entry.match:
            problem = f"{match.text} fits no series of {entry.metric}"
            yield Finding(f"{entry.place}.match", problem, there, Severity.WARNING)
        else:
            outside.setdefault(there, []).append(str(entry.metric))
    elif entry.mode is Mode.HISTOGRAM:
        problem = f"{entry.metric} had no observation in the interval up to {utc(time)}, and so no row"
        yield Finding(entry.place, problem, severity=Severity.NOTE)
    else:
        problem = f"{entry.metric} gave no row for {utc(time)}: its samples are older, or too few"
        yield Finding(entry.place, problem, "triton-bridge explain tells of each series", Severity.WARNING)


def _instead(entry: Entry, evidence: Evidence, dry: Dry) -> Iterator[Entry]:
    """Other entries, if they send all that this one means: its series, or what it calls its metrics."""
    owners = Owners(evidence.selection, evidence.names)
    fitting = [name for name in evidence.names if entry.wants(name)]
    if not any(owners.sends(entry, name) for name in fitting):
        yield from (one for one in evidence.selection.entries if any(owners.sends(one, name) for name in fitting))
    named = (dry.found.owners[entry.published(metric)] for metric in dry.found.metrics(entry))
    yield from (one for one in named if one is not entry)


def _unmatched(entry: Entry, evidence: Evidence, ask: Ask) -> tuple[Matchers, str] | None:
    """Which matchers let no series through, and what they could say."""
    both = (matchers.read(evidence.settings.match), entry.match)
    labels = sorted({label for match in both for label, _, _ in match.tests})
    if not labels:
        return None
    # Grouped: a metric may have many series, and its matchers look at few labels.
    by = ", ".join(("__name__", *labels))
    questions = [f"count by ({by}) ({selector})" for selector in selectors(entry.asks)]
    there = [series.labels for question in questions for series in ask(question, evidence.interval.time)]
    for match in both:
        left = [series for series in there if match.fit(series)]
        if there and not left:
            wrong = [test for test in match.tests if not any(Matchers("", (test,)).fit(one) for one in there)]
            label = (wrong or match.tests)[0][0]
            values = sorted({one.get(label, "") for one in there})
            return match, f"{label} is {listed([repr(value) for value in values])}"
        there = left
    return None
