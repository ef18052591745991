"""Takes an Explanation, gives it to a terminal, or to a file, as a person reads it: from the question to the verdict."""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rich.console import Console
from rich.text import Text

from bridge.explain import Explanation, Fate, Part, Refused, Sent, Told, Verdict
from bridge.times import utc

_WIDE = 160  # columns of a file or a pipe
_SAMPLES = 9  # of a series that are shown
_VALUES = 4  # of a label
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Line(NamedTuple):
    """A line of the page. One that is verbatim is never broken, so that it can be copied."""

    text: str
    style: str = ""
    verbatim: bool = False
    hang: int = 0  # further indentation of the lines that it is broken into


def print_explanation(told: Explanation, *, rejected: bool, everything: bool) -> None:
    """Write the page; ``rejected``: it tells of refused points alone."""
    console = Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False)
    for line in page(told, rejected=rejected, everything=everything):
        for text in broken(line, console.width):
            console.print(Text(text, line.style), soft_wrap=True)


def broken(line: Line, width: int) -> list[str]:
    """The lines of a terminal that a line takes up."""
    text = harmless(line.text)
    if line.verbatim or len(text) <= width:
        return [text]
    indent = " " * (len(text) - len(text.lstrip()) + line.hang)
    return textwrap.wrap(text, width, subsequent_indent=indent, drop_whitespace=True, break_on_hyphens=False)


def harmless(text: str) -> str:
    """What came from outside must not steer a terminal."""
    return _CONTROL.sub(lambda character: repr(character[0])[1:-1], text)


def page(told: Explanation, *, rejected: bool, everything: bool) -> Iterator[Line]:
    """All lines, in order."""
    yield Line(told.metric + _when(told, rejected=rejected), "bold")
    yield Line(f"Prometheus {told.prometheus}, selection {told.digest}", "dim", hang=2)
    for sent in told.sent:
        yield Line("")
        yield from _sent(sent, told, everything=everything)
    yield Line("")
    yield from _refused(told.verdict) if rejected else _verdict(told.verdict, told.metric)


def _when(told: Explanation, *, rejected: bool) -> str:
    if rejected or told.time is None or told.start is None:
        return ""
    return f": the {told.time - told.start:g} s up to {utc(told.time)}"


# -- one entry ----------------------------------------------------------------------------------------------------------


def _sent(sent: Sent, told: Explanation, *, everything: bool) -> Iterator[Line]:
    yield Line(f"{sent.place}", "bold cyan")
    source = f"{sent.mode} of {sent.source}" if sent.mode != "value" else sent.source
    yield Line(f"  sends {source} as {', '.join(sent.names)}", hang=2)
    yield from (Line(f"  {field:<13} {text}", hang=14) for field, text in sent.how.items())
    if sent.instead:
        yield Line(f"  ! not sent from here: {sent.instead}", "yellow", hang=4)
    yield from (Line(f"  ! {remark}", "yellow", hang=4) for remark in sent.remarks)
    yield from _asked(sent, told)
    if sent.no_data:
        yield Line("")
        yield Line(
            "  no data: Prometheus scraped nothing in the interval, or has forgotten it (its retention), so there is no row",
            "yellow",
            hang=2,
        )
        return
    yield from _labels(sent.labels)
    yield from _series(sent, everything=everything)
    yield from _rows(sent, everything=everything)


def _asked(sent: Sent, told: Explanation) -> Iterator[Line]:
    assert told.time is not None
    moment = utc(told.time).replace("T", " ").removesuffix("Z")
    yield from _heading(f"PromQL, asked for {moment} UTC (time={told.time:.15g})")
    for asked in sent.questions:
        yield Line(f"    # {asked.what}{', for this page alone' if asked.beside else ''}", "dim")
        yield from (Line(f"    {line}", verbatim=True) for line in asked.expr.expandtabs().splitlines())
    for one in sent.scraped:
        failed = f", {one.failed} of them failed: the target was down" if one.failed else ""
        target = f"{one.job} {one.instance}".strip()
        style = "yellow" if one.failed or not one.scrapes else ""
        yield Line(f"    target {target}: {one.scrapes} scrapes in the interval{failed}", style, hang=2)


def _labels(labels: Sequence[Fate]) -> Iterator[Line]:
    if not labels:
        return
    yield from _heading("labels")
    names = [one.label if one.dimension in {None, one.label} else f"{one.label} → {one.dimension}" for one in labels]
    room = min(30, max(map(len, names)))
    several = max(one.series for one in labels)
    for name, one in zip(names, labels, strict=True):
        values = ", ".join(one.values[:_VALUES]) + (
            f" … and {len(one.values) - _VALUES} more" if len(one.values) > _VALUES else ""
        )
        share = f" (in {one.series} of {several} series)" if one.series < several else ""
        sign = "-" if one.dimension is None else "+"
        style = "" if one.why == "kept" else "yellow" if one.dimension is None else "green"
        yield Line(f"    {sign} {name:<{room}}  {one.why}{share}: {values}", style, hang=room + 4)


def _series(sent: Sent, *, everything: bool) -> Iterator[Line]:
    begun = any(part.before for one in sent.series for part in one.parts)
    lacking = f", {sent.without_row} of them without a row" if sent.without_row else ""
    yield from _heading(f"series: {sent.series_count}{lacking}{' (the interval begins at |)' if begun else ''}")
    if not sent.series:
        yield Line("    Prometheus gave none, so there is no row", "yellow", hang=2)
    for one in sent.series:
        shown = ", ".join(f"{name}={json.dumps(text, ensure_ascii=False)}" for name, text in one.labels.items())
        yield Line(f"    {{{shown}}}", hang=2)
        yield from (Line(f"      {text}", hang=4) for text in _arithmetic(one, sent.mode, everything=everything))
        if one.why:
            yield Line(f"      no row: {one.why}", "yellow", hang=4)
    yield from _more(sent.series_count - len(sent.series))


def _arithmetic(one: Told, mode: str, *, everything: bool) -> Iterator[str]:
    """The samples of a series, and how they become its value."""
    if len(one.parts) > 1 or mode == "histogram":
        room = max(len(part.series) for part in one.parts)
        for part in one.parts:
            yield f"{part.series:<{room}}  {_chain(part, everything=everything)}"
        yield from (f"= {name}: {_value(value)}" for name, value in one.values.items())
        if any(part.resets for part in one.parts):
            yield "a reset of one of them is one of all: they are scraped together"
        return
    (part,) = one.parts
    chain = _chain(part, everything=everything)
    for value in one.values.values():
        if mode in {"increase", "rate"}:
            gain = f" = {' + '.join(one.steps)}" if 1 < len(one.steps) <= _SAMPLES or everything else ""
            chain += f"{gain} = {_sum(one, value, mode)}"
        elif mode == "irate":
            chain += f" = {_value(value)} per second between the last two"
        else:
            chain += f" = {_value(value)}"
    yield chain
    if part.origin:
        yield part.origin


def _sum(one: Told, value: Any, mode: str) -> str:
    if mode != "rate" or not one.seconds:
        return _value(value)
    total = sum(map(float, one.steps))
    return f"{total:.15g}, in {one.seconds:g} s = {_value(value)} per second"


def _chain(part: Part, *, everything: bool) -> str:
    """The sample before the interval, a bar where it begins, and those in it."""
    marks = {**dict.fromkeys(part.resets, " (reset)"), **dict.fromkeys(part.seen, " (seen by the bridge)")}
    inside = [f"{text}{marks.get(time, '')}" for time, text in part.samples]
    if len(inside) > _SAMPLES and not everything:
        hidden = part.samples[4:-4]
        resets = sum(time in part.resets for time, _ in hidden)
        count = f"… {len(hidden)} more{f' with {resets} resets' if resets else ''} …"
        inside = [*inside[:4], count, *inside[-4:]]
    before = [] if part.before is None else [f"{part.before[1]} |"]
    return " ".join([*before, " → ".join(inside) or "no sample"])


def _value(value: Any) -> str:
    if not isinstance(value, Mapping):
        return f"{value:.15g}"
    return ", ".join(f"{name} {_number(number)}" for name, number in value.items() if number is not None)


def _number(number: Any) -> str:
    """A number, or how many observations lie in each bucket, by its upper bound."""
    if isinstance(number, Mapping):
        return f"({', '.join(f'{count} up to {bound}' for bound, count in number.items())})"
    return f"{number:.15g}"


def _rows(sent: Sent, *, everything: bool) -> Iterator[Line]:
    yield from _heading(f"rows in customMetrics: {sent.envelope_count}")
    for one in sent.envelopes:
        data = one["data"]["baseData"]
        (metric,) = data["metrics"]
        numbers = {"sum": metric["value"], **{key: metric[key] for key in ("count", "min", "max") if key in metric}}
        shown = _value(numbers if metric.get("kind") == "Aggregation" else metric["value"])
        dimensions = " ".join(f"{key}={text}" for key, text in data["properties"].items())
        yield Line(f"    {metric['name']} = {shown}  {dimensions}", "green", hang=4)
    yield from _more(sent.envelope_count - len(sent.envelopes))
    for number, one in enumerate(sent.envelopes):
        if number and not everything:
            break  # one shows what they are like
        yield from _envelope(one, "envelope" if sent.envelope_count == 1 else f"envelope of row {number + 1}")


def _envelope(envelope: Mapping[str, Any], title: str) -> Iterator[Line]:
    yield from _heading(title)
    for line in json.dumps(envelope, indent=2, ensure_ascii=False).splitlines():
        yield Line(f"    {line}", verbatim=True)


# -- what became of it ---------------------------------------------------------------------------------------------------


def _verdict(verdict: Verdict, metric: str) -> Iterator[Line]:
    yield Line("last verdict", "bold cyan")
    yield Line(f"  {verdict.said}", hang=2)
    yield from (Line(f"  ! {remark}", "yellow", hang=4) for remark in verdict.remarks)
    if verdict.cycles:
        yield from _heading(f"newest cycles in {verdict.folder}, all metrics together")
    for cycle in verdict.cycles:
        points = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in cycle.points.items())
        style = "yellow" if cycle.settlement != "settled" or set(cycle.points) - {"accepted", "not_finite"} else ""
        yield Line(
            f"    {utc(cycle.time)}  {cycle.settlement.replace('_', ' ')}: {points or 'no points'}", style, hang=4
        )
    if verdict.refused_count:
        yield from _heading(f"rejected points of it that are kept: {verdict.refused_count}")
        yield from (line for one in verdict.refused for line in _point(one))
        yield from _more(verdict.refused_count - len(verdict.refused))
        yield Line(f"    with their envelopes: triton-bridge explain {metric} --rejected", "dim", hang=2)


def _refused(verdict: Verdict) -> Iterator[Line]:
    yield Line(f"rejected points that are kept: {verdict.refused_count}", "bold cyan")
    yield from (Line(f"  ! {remark}", "yellow", hang=4) for remark in verdict.remarks)
    if not verdict.refused_count:
        yield Line(f"  {verdict.said}", hang=2)
    for one in verdict.refused:
        yield Line("")
        yield from _point(one)
        if one.note:
            yield Line(f"      {one.note}", "dim" if one.envelope else "yellow", hang=2)
        if one.envelope:
            yield from _envelope(one.envelope, "envelope")
    yield from _more(verdict.refused_count - len(verdict.refused))


def _point(one: Refused) -> Iterator[Line]:
    dimensions = " ".join(f"{key}={text}" for key, text in one.dimensions.items())
    yield Line(f"    {utc(one.time)}  {one.metric}  {dimensions}", hang=4)
    yield Line(f"      {one.status} {one.reason}", "red", hang=2)


def _heading(text: str) -> Iterable[Line]:
    return Line(""), Line(f"  {text}", "bold", hang=2)


def _more(count: int) -> Iterator[Line]:
    if count > 0:
        yield Line(f"    … and {count} more (--all shows them)", "dim")
