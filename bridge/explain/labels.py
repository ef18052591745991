"""Takes the series of an entry, gives what becomes of each of their labels, and why: pure.

Nothing of the rules is written here: labels are put through ``telemetry`` with fewer and fewer of the entry's wishes,
and what differs is what each wish did.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from bridge.explain.nouns import Fate
from bridge.selection import Entry, Relabelling
from bridge.telemetry.dimensions import dimensions

_LONGEST_KEY = 150  # characters; Application Insights' limit, at which envelopes leave a dimension out


class _Step(NamedTuple):
    label: str
    dimension: str | None
    why: str
    value: str


def fates(series: Iterable[Mapping[str, str]], entry: Entry) -> list[Fate]:
    """Of all labels, in the order in which the series bear them; those that are added come last."""
    found: dict[tuple[str, str | None, str], list[str]] = {}
    for labels in series:
        for step in _steps(labels, entry):
            found.setdefault((step.label, step.dimension, step.why), []).append(step.value)
    return [Fate(*key, tuple(sorted(set(values))), len(values)) for key, values in found.items()]


def _steps(labels: Mapping[str, str], entry: Entry) -> Iterator[_Step]:
    own = {key: text for key, text in labels.items() if key != "__name__"}
    kept = {key: text for key, text in own.items() if not entry.grouping or entry.grouping.keeps(key)}
    became, why, names = _renamed(kept, entry)
    for label, text in own.items():
        if label not in became:
            yield _Step(label, None, _dropped(label, label in kept, entry), text)
        elif len(became[label]) > _LONGEST_KEY:
            yield _Step(label, None, f"dropped: its name is longer than {_LONGEST_KEY} characters", text)
        else:
            yield _Step(label, became[label], why[label], text)
    for name, text in entry.labels.add:
        if name in names:
            yield _Step(name, None, "not added: the series has that label already", text)
        else:
            yield _Step(name, name, "added by labels.add", text)


def _renamed(kept: Mapping[str, str], entry: Entry) -> tuple[dict[str, str], dict[str, str], Collection[str]]:
    """What the labels that are not dropped are called in the end, and why; all names, before any is added."""
    before = dimensions(kept, replace(entry, labels=Relabelling()))
    # A value that tells the label it was: what becomes of all of them at once cannot be told one by one.
    marked = {key: f"was {key}" for key in before}
    after = dimensions(marked, replace(entry, labels=Relabelling(entry.labels.rename)))
    became = {text.removeprefix("was "): name for name, text in after.items()}
    why = dict.fromkeys(before, "kept")
    for old, new in entry.labels.rename:
        if became.get(old) == new:
            why[old] = "renamed by labels.rename"
        elif old in became:
            why[old] = f"not renamed: the series has a label {new} already"
    return became, why, after.keys()


def _dropped(label: str, kept: bool, entry: Entry) -> str:  # noqa: FBT001
    if not kept and entry.grouping:
        return "dropped: not named in by" if entry.grouping.by is not None else "dropped: named in without"
    if label == "instance":
        return "dropped: a loopback address says nothing in Azure"
    return "dropped with the loopback instance"
