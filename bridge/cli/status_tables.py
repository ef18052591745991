"""Takes the document of ``/status.json``, gives what ``triton-bridge status`` shows: the status page, as a terminal can.

``width`` is that of the terminal, in columns; 80 are enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import repeat
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bridge.cli import wording
from bridge.cli.bars import sparkline
from bridge.cli.page import harmless
from bridge.cli.two_days import a_character, two_days
from bridge.states import State
from bridge.web import writing
from bridge.web.charts import TONES, Tone

Document = Mapping[str, Any]

_SHOWN = 5  # of cycles and of rejections
_MINUTES = 60  # of a trend
_TONES: Mapping[Tone, tuple[str, str]] = {  # a mark, and a style
    Tone.GOOD: ("✓", "bold green"),
    Tone.BUSY: ("»", "bold cyan"),
    Tone.WARN: ("!", "bold yellow"),
    Tone.BAD: ("✗", "bold red"),
}


def status(document: Document, width: int) -> RenderableType:
    """All of it, what matters most first."""
    parts = (
        _state(document),
        _facts(document),
        _account(document),
        _two_days(document, width),
        _metrics(document, width),
        _rejections(document),
        _cycles(document),
        _about(document),
    )
    blocks = (block for part in parts if (block := tuple(part)))
    return Group(*(line for block in blocks for line in (*block, Text(""))))


def lost(problem: str) -> RenderableType:
    """What is shown while nothing answers."""
    return _line(Tone.BAD, problem)


def _state(document: Document) -> Iterator[RenderableType]:
    now, tone = document["now"], TONES[State(document["state"])]
    mark, style = _TONES[tone]
    since = f" since {writing.clock(document['since'], now)}, for {wording.length(now - document['since'])}"
    yield Text.assemble((f"{mark} {document['words']}", style), since)
    absent = wording.plain(writing.some(document["absent"]))
    told = (("what is known", document["detail"]), ("what to do", document["remedy"]), ("without series", absent))
    yield from (_pair(name, text) for name, text in told if text)
    yield from (_line(Tone.BAD, trouble) for trouble in document["troubles"])


def _facts(document: Document) -> Iterator[RenderableType]:
    now, delivered, oldest = document["now"], document["last_delivered"], document["oldest_waiting"]
    newest = next(iter(document["reports"]), None)
    yield _pair("last cycle", f"{writing.clock(newest['time'], now)}, {_done(newest)}" if newest else "none yet")
    yield _pair(
        "next cycle",
        f"{writing.clock(document['next_cycle'], now)}, {wording.plain(writing.coming(document['next_cycle'], now))}",
    )
    newest_there = (
        "nothing yet" if delivered is None else f"{writing.clock(delivered, now)}, {wording.ago(delivered, now)}"
    )
    yield _pair("newest in Azure", newest_there)
    waiting = wording.count(document["cycles"]["waiting"], "cycle")
    yield _pair(
        "waiting",
        "nothing"
        if oldest is None
        else f"{waiting}, the oldest of {writing.clock(oldest, now)}, {wording.ago(oldest, now)}",
    )
    size = document["monthly_bytes"]
    yield _pair("volume a month", "not known yet" if size is None else f"about {wording.plain(writing.volume(size))}")


def _done(report: Mapping[str, Any]) -> str:
    """What a cycle did, in a few words."""
    read = f"{wording.count(_read(report), 'point')} read, {_accepted(report):,} accepted"
    if report["obstacle"] is not None:
        read = "it could not be read"
    elif report["settlement"] == "no_data":
        read = "there was no data"
    return f"{read}, in {_milliseconds(report)} ms"


def _account(document: Document) -> Iterator[RenderableType]:
    """Two equations: what was read, and what fell due, is the sum of what became of it."""
    now, origin, hour = document["now"], document["origin"], document["hour"]
    since = "nothing began yet" if origin is None else f"in all: since {writing.clock(origin, now)}"
    yield Text.assemble(("Account", "bold"), f", last hour: since {writing.clock(hour['since'], now)}, {since}")
    beside = Table.grid(padding=(0, 4, 0, 0))
    beside.add_row(
        _sum("points read", hour["points"], document["points"]), _sum("cycles due", hour["cycles"], document["cycles"])
    )
    yield _indented(beside)
    for count, what in (
        (document["possibly_repeated"], "may be there twice: their reply was lost, and they were posted again"),
        (document["unconfirmed"], "were accepted by an empty reply"),
    ):
        if count:
            yield _indented(Text(f"{wording.count(count, 'point')} {what}"))


def _sum(total: str, hour: Mapping[str, int], whole: Mapping[str, int]) -> Table:
    """A table that adds up: the first row is the sum of the others."""
    table = _table("", ">last hour", ">in all")
    table.add_row(total, f"{sum(hour.values()):,}", f"{sum(whole.values()):,}", style="bold")
    for number, (name, count) in enumerate(whole.items()):
        sign = "+" if number else "="
        style = "" if hour[name] or count else "dim"
        table.add_row(f"{sign} {_words(name)}", f"{hour[name]:,}", f"{count:,}", style=style)
    return table


def _two_days(document: Document, width: int) -> Iterator[RenderableType]:
    yield Text.assemble(("Last 48 hours", "bold"), f", {a_character(width)} a character, the worst of each")
    yield from map(_indented, two_days(document, width))


def _metrics(document: Document, width: int) -> Iterator[RenderableType]:
    newest = next((report for report in document["reports"] if report["metrics"]), None)
    absent = document["absent"]
    metrics = {} if newest is None else newest["metrics"]
    title = ": none was read yet"
    if newest:
        title = (
            f", as read for {writing.clock(newest['time'], document['now'])}; the sum of what was gained, else the mean"
        )
    yield Text.assemble((f"Metrics ({len(metrics)})" if newest else "Metrics", "bold"), title)
    if newest:
        bars = next(count for count in (60, 30, 20, 10) if count <= max(10, width - 60))
        # A trend ends with the newest cycle that was read, the last hour ends now. (Its time is by Prometheus' clock.)
        past = min(_MINUTES, max(0, int(document["now"] // 60 - newest["time"] // 60)))
        table = _table("metric, dimensions", ">series", ">value")
        table.add_column("last hour", no_wrap=True)
        for name, (points, dimensions, value) in metrics.items():
            trend = [*document["trends"].get(name, [None] * _MINUTES)[past:], *repeat(None, past)]
            named = Text.assemble(name, (f"\n  {', '.join(dimensions)}" if dimensions else "", "dim"))
            table.add_row(named, f"{points:,}", wording.value(value), Text(sparkline(trend, bars), "cyan"))
        yield _indented(table)
    if absent:
        yield _line(Tone.WARN, f"without a series now: {', '.join(absent)}")
    if left_out := newest and newest["left_out"]:
        said = ", ".join(f"{name} ({count:,} series)" for name, count in left_out.items())
        yield _line(Tone.WARN, f"left out, over BRIDGE_MAX_SERIES: {said}")


def _rejections(document: Document) -> Iterator[RenderableType]:
    rejections = document["rejections"]
    if not rejections:
        return
    yield Text.assemble(
        ("Rejected points", "bold"), f", the newest {min(_SHOWN, len(rejections))} of {len(rejections)}"
    )
    for moment, one in rejections[:_SHOWN]:
        dimensions = ", ".join(f"{name}={value}" for name, value in one["dimensions"].items())
        yield _pair(writing.clock(moment, document["now"]), f"{one['metric']}{' ' if dimensions else ''}{dimensions}")
        yield _pair("", f"{one['status']} {one['reason']}", "red")


def _cycles(document: Document) -> Iterator[RenderableType]:
    reports = document["reports"][:_SHOWN]
    if not reports:
        return
    fates = {one["time"]: one["settlement"] for one in document["details"]}  # repaired, it may be
    yield Text("Newest cycles", "bold")
    table = _table("of", "what became of it", ">read", ">accepted", ">ms", "problems")
    above = ""
    for one in reports:
        problems = "; ".join(one["problems"])
        table.add_row(
            writing.clock(one["time"], document["now"]),
            _words(fates.get(one["time"], one["settlement"])),
            f"{_read(one):,}",
            f"{_accepted(one):,}",
            _milliseconds(one),
            "as above" if problems and problems == above else harmless(problems),
        )
        above = problems
    yield _indented(table)


def _about(document: Document) -> Iterator[RenderableType]:
    about, now = document["about"], document["now"]
    selected = "" if document["selected"] is None else f", loaded {writing.clock(document['selected'], now)}"
    yield Text("Selection and versions", "bold")
    yield _pair("selection", f"{document['selection']}, {about['metrics_file']}{selected}")
    yield _pair("sends as", " · ".join(filter(None, (about["role"], about["instance"]))))
    yield _pair(
        "running since", f"{writing.clock(document['started'], now)}, a cycle every {wording.length(about['interval'])}"
    )
    versions = (f"{name} {version}" for name, version in about["versions"].items())
    yield _pair("versions", ", ".join((f"triton-bridge {about['version']}", *versions)))
    yield _pair("as of", f"{writing.clock(now, now)}; all times are UTC")
    yield Text("")
    yield Text("What arrived, in the logs of the Application Insights resource (KQL):", "bold")
    yield _indented(Text(harmless(document["query"]), overflow="fold"))


def _table(*headings: str) -> Table:
    """One with a column for each heading; ``>`` puts it to the right."""
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for heading in headings:
        right = heading.startswith(">")
        table.add_column(heading.removeprefix(">"), justify="right" if right else "left", overflow="fold")
    return table


def _pair(name: str, text: str, style: str = "") -> RenderableType:
    """A name, and what is to be said of it, in columns that all pairs share."""
    grid = Table.grid(padding=(0, 1), pad_edge=False)
    grid.add_column(width=15, style="dim")
    grid.add_column(overflow="fold", style=style)
    grid.add_row(name, harmless(text))
    return _indented(grid)


def _line(tone: Tone, text: str) -> RenderableType:
    mark, style = _TONES[tone]
    grid = Table.grid(padding=(0, 1))
    grid.add_row(Text(mark, style), harmless(text))
    return grid


def _indented(what: RenderableType) -> RenderableType:
    return Padding(what, (0, 0, 0, 2), expand=False)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _read(report: Mapping[str, Any]) -> int:
    return sum(report["outcomes"].values())


def _accepted(report: Mapping[str, Any]) -> int:
    accepted: int = report["outcomes"].get("accepted", 0)
    return accepted


def _milliseconds(report: Mapping[str, Any]) -> str:
    return f"{round(report['seconds'] * 1000):,}"
