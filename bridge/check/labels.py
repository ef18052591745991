"""Takes evidence, gives findings on names and dimensions: what Application Insights and its readers cannot take of them."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterator

from bridge.check.evidence import Dry, Evidence, Row
from bridge.check.kinds import listed
from bridge.errors import Finding, Severity
from bridge.selection import Entry
from bridge.selection.document import PUBLISHED, RESERVED

_LONGEST_NAME, _LONGEST_VALUE = 150, 8192  # characters, of metrics' names and dimensions' names and values
_DIMENSIONS = (
    10  # dimension keys a metric in Azure Monitor's custom metrics store ("Custom metrics", quotas and limits)
)


def check_labels(evidence: Evidence) -> Iterator[Finding]:
    """All of them, an entry at a time."""
    dry = evidence.dry
    if dry is None:
        return
    for entry in evidence.selection.entries:
        yield from _check_published(entry, dry)
        rows = list(dry.rows(entry))
        yield from _check_dimensions(entry, rows)
        yield from _check_named(entry, dry)
        yield from _check_relabelling(entry, rows)
    yield from _check_renamed(evidence, dry)


def _check_published(entry: Entry, dry: Dry) -> Iterator[Finding]:
    names = [one.name for one in dry.reading.metrics if dry.found.owners.get(one.name) is entry]
    if long := [name for name in names if len(name) > _LONGEST_NAME]:
        problem = f"{listed(long)}: Azure's documents allow {_LONGEST_NAME} characters in a name, not {len(long[0])}"
        yield Finding(entry.place, problem, "an entry of its own, with a shorter 'name'", Severity.WARNING)
    odd = [name for name in names if name not in long and not re.search(PUBLISHED, name)]
    if odd:
        query = {
            "query": f"{{{json.dumps(odd[0], ensure_ascii=False)}}}",
            "name": re.sub(r"[^\w.-]+", "_", odd[0], flags=re.ASCII),
        }
        yield Finding(
            entry.place,
            f"KEDA cannot ask for {listed([repr(name) for name in odd])}: it puts a name into a URL as it is",
            f'letters, digits, "_", "." and "-" alone, by an entry of its own: {json.dumps(query, ensure_ascii=False)}',
            Severity.WARNING,
        )


def _check_dimensions(entry: Entry, rows: list[Row]) -> Iterator[Finding]:
    many: dict[str, Row] = {}
    for row in rows:
        if len(row.dimensions) > max(_DIMENSIONS, len(many[row.name].dimensions) if row.name in many else 0):
            many[row.name] = row
    if many:
        widest = max(many.values(), key=lambda row: len(row.dimensions))
        yield Finding(
            entry.place,
            f"{listed(sorted(many))} {'has' if len(many) == 1 else 'have'} {len(widest.dimensions)} dimensions "
            f"({', '.join(sorted(widest.dimensions))}): rows of customMetrics keep all of them; Azure Monitor's custom "
            f"metrics store, where alerts by dimension look, takes {_DIMENSIONS} a metric",
            'keep those that matter with "by", or drop some with "without"',
            Severity.WARNING,
        )
    if reserved := sorted({name for row in rows for name in row.dimensions if name.startswith(RESERVED)}):
        problem = f"{listed(reserved)}: labels that begin with {RESERVED} are Application Insights' own, and may change what is stored"
        yield Finding(entry.place, problem, _LEAVE_OUT, Severity.WARNING)
    if long := sorted({name for row in rows for name in row.dimensions if len(name) > _LONGEST_NAME}):
        problem = f"{listed(long)}: a label of more than {_LONGEST_NAME} characters is not sent"
        yield Finding(entry.place, problem, _LEAVE_OUT, Severity.WARNING)
    cut = sorted({name for row in rows for name, value in row.dimensions.items() if len(value) > _LONGEST_VALUE})
    if cut:
        problem = f"{listed(cut)}: values of more than {_LONGEST_VALUE} characters are cut there"
        yield Finding(entry.place, problem, _LEAVE_OUT, Severity.WARNING)


_LEAVE_OUT = 'name the labels to keep with "by", or drop it in Prometheus (action: labeldrop)'


def _check_named(entry: Entry, dry: Dry) -> Iterator[Finding]:
    """Labels to keep or to drop that no series has: with a typing error there, rows become one, or stay as they are."""
    series, grouping = dry.found.all(entry), entry.grouping
    if grouping is None or not series:
        return
    there = {label for one in series for label in one.labels} - {"__name__"}
    for name in sorted(set(grouping.by or ()) - there):
        remedy = _near(name, there) or f"they have {', '.join(sorted(there)) or 'none'}"
        yield Finding(f"{entry.place}.by", f"no series has a label {name!r}", remedy, Severity.WARNING)
    for name in sorted(set(grouping.without) - there):
        if near := _near(name, there):  # else it is one that comes and goes
            yield Finding(f"{entry.place}.without", f"no series has a label {name!r}", near, Severity.WARNING)


def _near(name: str, there: set[str]) -> str:
    near = difflib.get_close_matches(name, sorted(there), n=1)
    return f"did you mean {near[0]!r}?" if near else ""


def _check_relabelling(entry: Entry, rows: list[Row]) -> Iterator[Finding]:
    def tell(what: str, kept: Callable[[Row], bool]) -> Iterator[Finding]:
        if found := [row for row in rows if kept(row)]:
            problem = (
                f"{what} is not done for {len(found)} of {len(rows)} rows, which have a label of that name already"
            )
            yield Finding(f"{entry.place}.labels", problem, "choose another name", Severity.NOTE)

    for old, new in entry.labels.rename:
        yield from tell(
            f"rename of {old!r} to {new!r}",
            lambda row, old=old, new=new: old in row.dimensions and {old, new} <= row.unchanged.keys(),  # type: ignore[misc]
        )
    for name, value in entry.labels.add:
        yield from tell(
            f"add of {name!r}",
            lambda row, name=name, value=value: row.dimensions[name] != value,  # type: ignore[misc]
        )


def _check_renamed(evidence: Evidence, dry: Dry) -> Iterator[Finding]:
    """Labels to rename that no series of any entry has."""
    wanted: dict[str, list[Entry]] = {}
    for entry in evidence.selection.entries:
        for old, _ in entry.labels.rename:
            wanted.setdefault(old, []).append(entry)
    for old, entries in wanted.items():
        there = {label for entry in entries for row in dry.rows(entry) for label in row.unchanged}
        if old not in there and (near := _near(old, there)):
            place = (
                f"{entries[0].place}.labels" if len(entries) == 1 else f"{entries[0].place.partition(':')[0]}: labels"
            )
            yield Finding(f"{place}.rename", f"no row has a label {old!r}", near, Severity.WARNING)
