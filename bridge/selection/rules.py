"""Takes an entry as the user wrote it, gives what holds between its fields and does not: findings, or the Entry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bridge import matchers
from bridge.errors import Finding
from bridge.selection.document import LONGEST_NAME, EntryText, LabelsText
from bridge.selection.entry import (
    Aggregate,
    Entry,
    Grouping,
    Mode,
    Relabelling,
    is_glob,
    published_name,
    quantile_name,
)
from bridge.selection.words import path

NOT_OF_A_QUERY = ("match", "by", "without", "aggregate", "quantiles")
POOLED = (Mode.STATS, Mode.HISTOGRAM)
_SUMMED = (Mode.INCREASE, Mode.RATE, Mode.IRATE)


def check_labels(labels: LabelsText, where: str) -> Iterator[Finding]:
    """The rules of a ``labels`` object."""
    made = [(path("rename", old), new) for old, new in labels.rename.items()]
    made += [(path("add", name), name) for name in labels.add]
    first: dict[str, str] = {}
    for below, name in made:
        if (earlier := first.setdefault(name, below)) is not below:
            problem = f"makes the dimension {name!r}, as {earlier[1:]} does"
            yield Finding(where + below, problem, "give one of them another name")


def check(text: EntryText, where: str) -> Iterator[Finding]:
    """The rules of one entry."""
    if text.metric is not None and text.query is not None:
        yield Finding(where, "has both 'metric' and 'query'", "leave one of them out")
    elif text.query is not None:
        yield from _check_query(text, where)
    elif text.metric is not None:
        yield from _check_metric(text, text.metric, where)
    else:
        yield Finding(where, "needs a 'metric' or a 'query'", "a name for the one, PromQL for the other")
    if text.match is not None:
        try:
            matchers.read(text.match)
        except matchers.NotMatchersError as error:
            again = "; JSON doubles each backslash once more" if "\\" in text.match else ""
            yield Finding(f"{where}.match", error.problem, error.remedy + again)
    if text.labels is not None:
        yield from check_labels(text.labels, f"{where}.labels")


def _check_query(text: EntryText, where: str) -> Iterator[Finding]:
    if text.name is None:
        yield Finding(where, "a 'query' needs a 'name'", "the name it has in Application Insights")
    if text.mode is not None and text.mode is not Mode.VALUE:
        remedy = "write the function into the query, or use 'metric'"
        yield Finding(f"{where}.mode", f"a 'query' has no mode {text.mode.value!r}", remedy)
    for field in NOT_OF_A_QUERY:
        if getattr(text, field) is not None:
            yield Finding(f"{where}.{field}", f"a 'query' has no {field!r}", "write it into the query")


def _check_metric(text: EntryText, metric: str, where: str) -> Iterator[Finding]:
    mode = text.mode or Mode.VALUE
    if is_glob(metric) and text.name is not None:
        yield Finding(f"{where}.name", "a glob sends each metric under its own name", "leave 'name' out")
    elif text.name is None and len(metric) > LONGEST_NAME:
        remedy = "write a shorter glob" if is_glob(metric) else "give a shorter 'name'"
        yield Finding(where, f"the name is longer than {LONGEST_NAME} characters", remedy)
    elif any(len(quantile_name(text.name or metric, quantile)) > LONGEST_NAME for quantile in text.quantiles or ()):
        problem = f"the names of the quantiles are longer than {LONGEST_NAME} characters"
        yield Finding(f"{where}.quantiles", problem, "give fewer digits, or a shorter 'name'")
    if text.quantiles is not None and mode is not Mode.HISTOGRAM:
        yield Finding(f"{where}.quantiles", f"mode {mode.value!r} has no quantiles", 'say "mode": "histogram"')
    if text.by is not None and text.without is not None:
        yield Finding(where, "has both 'by' and 'without'", "the labels to keep, or those to drop")
    grouped = text.by is not None or text.without is not None
    if text.aggregate is not None and not grouped:
        yield Finding(f"{where}.aggregate", "there is nothing to aggregate", "name labels with 'by' or 'without'")
    elif text.aggregate is not None and mode in POOLED:
        remedy = "leave 'aggregate' out: the samples of a group are taken together"
        yield Finding(f"{where}.aggregate", f"mode {mode.value!r} has none", remedy)
    elif grouped and text.aggregate is None and mode is Mode.VALUE:
        remedy = f"one of {', '.join(a.value for a in Aggregate)}: only you know what the values mean"
        yield Finding(where, "needs an 'aggregate' for its 'by' or 'without'", remedy)


def entry(text: EntryText, where: str, common: LabelsText) -> Entry:
    """The Entry of a text without findings; ``common`` are the labels for all, which its own go before."""
    mode = text.mode or Mode.VALUE
    own = text.labels or LabelsText()
    grouping = None
    if text.by is not None or text.without is not None:
        aggregate = text.aggregate or (Aggregate.SUM if mode in _SUMMED else None)
        by = None if text.by is None else tuple(sorted(text.by))
        grouping = Grouping(by, tuple(sorted(text.without or ())), aggregate)
    return Entry(
        where,
        text.name or published_name(text.metric or ""),
        mode,
        metric=text.metric,
        query=text.query,
        match=matchers.read(text.match or ""),
        grouping=grouping,
        labels=_relabelling(own, common),
        quantiles=tuple(sorted(text.quantiles or ())),
    )


def _relabelling(own: LabelsText, common: LabelsText) -> Relabelling:
    """The entry's own changes first: what they touch or make, those for all leave alone."""
    later = {old: new for old, new in common.rename.items() if old not in own.rename and new not in own.add}
    rename = (*sorted(own.rename.items()), *sorted(later.items()))
    return Relabelling(rename, tuple(sorted((common.add | own.add).items())))


def duplicates(entries: Iterable[Entry]) -> Iterator[Finding]:
    """Names that would be published twice. Of a glob's names nothing is known yet: what is named goes before them."""
    first: dict[str | tuple[str, bool], Entry] = {}
    for one in entries:
        if one.glob:
            # A histogram's name is none of a series', so that both may be sent.
            earlier = first.setdefault((one.name, one.mode is Mode.HISTOGRAM), one)
            if earlier is not one:
                problem = f"{one.name!r} stands at {_above(earlier)} already, and of globs the first one counts"
                yield Finding(one.place, problem, "leave one of them out")
            continue
        for name in (one.name, *one.quantile_names(one.name)):
            earlier = first.setdefault(name, one)
            if earlier is not one:
                problem = f"{name!r} is already published by {_above(earlier)}"
                yield Finding(one.place, problem, "give one of them another 'name'")


def _above(entry: Entry) -> str:
    return entry.place.partition(": ")[2]
